//! Messages for the tests of this module: one problem told from its beginning to its end, and alerts as
//! large and as hostile as they come.

use capsule_api::{
    Alert, AlertChangeKind, AlertId, AlertKind, AlertState, Cause, DeliveryId, Operation, OperationKind,
    OperationState, Problem, Severity, Subject, SubjectKind,
};
use jiff::Timestamp;

use super::{Change, End, Message, News};

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn alert() -> Alert {
    let since = time("2026-11-20T22:11:04Z");
    let cause = |key: &str, severity, text: &str, later, value| Cause {
        key: key.to_owned(),
        severity,
        text: text.to_owned(),
        since: since + jiff::SignedDuration::from_secs(later),
        value,
    };
    Alert {
        id: AlertId("01939c2e-7b1f-7cc0-8f00-9d55a1b2c3d4".parse().expect("an id")),
        subject: Subject { kind: SubjectKind::XNode, id: "01939c00-0000-7000-8000-0000000000aa".to_owned() },
        subject_name: "web-1".to_owned(),
        kind: AlertKind::SshUnreachable,
        severity: Severity::Critical,
        state: AlertState::Open,
        summary: "SSH unreachable".to_owned(),
        causes: vec![
            cause(
                "check:ssh",
                Severity::Critical,
                "ssh on 192.0.2.10:22: connection refused (3 in a row)",
                0,
                None,
            ),
            cause(
                "check:ssh-2",
                Severity::Warning,
                "ssh-2 on 192.0.2.10:2222: <banner> took 912 ms & more",
                3,
                Some(912.0),
            ),
        ],
        since,
        opened_at: time("2026-11-20T22:11:09Z"),
        changed_at: time("2026-11-20T22:11:09Z"),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
    }
}

fn about(news: News, at: &str) -> Message {
    Message {
        delivery_id: DeliveryId("01939c2e-7b20-7d31-9a00-0123456789ab".parse().expect("an id")),
        at: time(at),
        actor: None,
        comment: None,
        test: false,
        news,
    }
}

fn message(change: AlertChangeKind, at: &str, change_seq: u32) -> Message {
    about(News::Change(Box::new(Change { change_seq, change, alert: alert() })), at)
}

/// The alert that a message is about.
pub(super) fn alert_of(message: &mut Message) -> &mut Alert {
    match &mut message.news {
        News::Change(change) => &mut change.alert,
        News::End(_) => panic!("the message is about an operation"),
    }
}

fn ended(state: OperationState, servers: &[&str]) -> Message {
    let operation = Operation {
        id: "01939c2e-7b1f-7cc0-8f00-9d55a1b2c3d5".parse().expect("an id"),
        kind: OperationKind::Deploy,
        state,
        resource: "api".to_owned(),
        stage: "done".to_owned(),
        progress_percent: 100,
        result: None,
        error: None,
        cancellable: false,
        created_by: "alice".to_owned(),
        created_at: time("2026-11-20T22:11:04Z"),
        updated_at: time("2026-11-20T22:13:07Z"),
    };
    let servers: Vec<_> = servers.iter().map(|&line| line.to_owned()).collect();
    let end = End { operation, name: "api".to_owned(), servers_total: servers.len(), servers };
    about(News::End(Box::new(end)), "2026-11-20T22:13:07Z")
}

fn operation_of(message: &mut Message) -> &mut Operation {
    match &mut message.news {
        News::End(end) => &mut end.operation,
        News::Change(_) => panic!("the message is about an alert"),
    }
}

pub(super) fn deployed() -> Message {
    ended(OperationState::Succeeded, &["api: 203.0.113.5 at hetzner nbg1 (cx22)"])
}

pub(super) fn not_deployed() -> Message {
    let servers = ["api-2: out of stock <everywhere>", "api-1: 203.0.113.5 at hetzner nbg1 (cx22)"];
    let mut message = ended(OperationState::Failed, &servers);
    operation_of(&mut message).error = Some(Problem {
        kind: "about:blank".to_owned(),
        title: "The operation failed".to_owned(),
        status: 502,
        detail: "1 of 2 servers: api-2: out of stock <everywhere>".to_owned(),
        code: "deployment_failed".to_owned(),
        hint: None,
        request_id: String::new(),
    });
    message
}

pub(super) fn stopped_deploying() -> Message {
    let mut message = ended(OperationState::Cancelled, &["api: stopped on request; nothing was made"]);
    operation_of(&mut message).stage = "stopped on request; nothing was made".to_owned();
    message
}

/// Everything about an operation too long.
pub(super) fn enormous_end() -> Message {
    let mut message = not_deployed();
    let quotes = "\"<&>'\n/é".repeat(2_000);
    let operation = operation_of(&mut message);
    operation.resource.clone_from(&quotes);
    operation.stage.clone_from(&quotes);
    operation.created_by.clone_from(&"x".repeat(64));
    operation.result = Some(quotes.clone().into());
    operation.error.as_mut().expect("it failed").detail.clone_from(&quotes);
    if let News::End(end) = &mut message.news {
        end.name.clone_from(&quotes);
        (end.servers, end.servers_total) = (vec![quotes; super::SERVERS_TOLD], 1_000);
    }
    message
}

pub(super) fn opened() -> Message {
    message(AlertChangeKind::Opened, "2026-11-20T22:11:09Z", 1)
}

pub(super) fn acknowledged() -> Message {
    let mut message = message(AlertChangeKind::Acknowledged, "2026-11-20T22:20:00Z", 4);
    let at = message.at;
    let alert = alert_of(&mut message);
    alert.state = AlertState::Acknowledged;
    alert.acknowledged_at = Some(at);
    alert.acknowledged_by = Some("alice".to_owned());
    message.actor = Some("alice".to_owned());
    message.comment = Some("Looking at it.\nThe firewall was changed <today>.".to_owned());
    message
}

pub(super) fn resolved() -> Message {
    let mut message = message(AlertChangeKind::Resolved, "2026-11-20T23:23:50Z", 6);
    let at = message.at;
    let alert = alert_of(&mut message);
    alert.state = AlertState::Resolved;
    alert.resolved_at = Some(at);
    message
}

pub(super) fn every_change() -> Vec<Message> {
    let escalated = message(AlertChangeKind::Escalated, "2026-11-20T22:13:00Z", 2);
    let updated = message(AlertChangeKind::Updated, "2026-11-20T22:15:00Z", 3);
    let mut eased = message(AlertChangeKind::Eased, "2026-11-20T22:30:00Z", 5);
    alert_of(&mut eased).severity = Severity::Warning;
    alert_of(&mut eased).causes.remove(0);
    let mut commented = acknowledged();
    if let News::Change(change) = &mut commented.news {
        change.change = AlertChangeKind::Commented;
    }
    commented.actor = Some("bob".to_owned());
    commented.comment = Some("Rolled back.".to_owned());
    let mut by_hand = resolved();
    by_hand.actor = Some("alice".to_owned());
    let test = Message::test(opened().delivery_id, opened().at, Some("alice".to_owned()));
    vec![opened(), escalated, updated, acknowledged(), eased, commented, resolved(), by_hand, budget(), test]
}

pub(super) fn budget() -> Message {
    let mut message = opened();
    let alert = alert_of(&mut message);
    alert.subject = Subject { kind: SubjectKind::Tag, id: "team=a".to_owned() };
    alert.subject_name = "team=a".to_owned();
    alert.kind = AlertKind::CostThreshold;
    alert.severity = Severity::Warning;
    alert.summary = "costs $1.25 an hour, over its budget of $1.00".to_owned();
    alert.causes.truncate(1);
    alert.causes[0].key = "budget".to_owned();
    alert.causes[0].text = "12 xNodes cost $1.25 an hour".to_owned();
    message
}

/// An alert with so many causes, of which only the seventh is critical.
pub(super) fn many_causes(count: usize) -> Message {
    let mut message = opened();
    let alert = alert_of(&mut message);
    let pattern = alert.causes[1].clone();
    alert.causes = (0..count)
        .map(|place| Cause {
            key: format!("check:{place}"),
            text: format!("cause {place} "),
            ..pattern.clone()
        })
        .collect();
    alert.causes[7].severity = Severity::Critical;
    message
}

/// Everything too long, of the characters that grow most when escaped.
pub(super) fn enormous() -> Message {
    let mut message = many_causes(500);
    let quotes = "\"<&>'\n/é".repeat(2_000);
    let at = message.at;
    let alert = alert_of(&mut message);
    for cause in &mut alert.causes {
        cause.text.clone_from(&quotes);
        cause.key.clone_from(&quotes);
    }
    alert.summary.clone_from(&quotes);
    alert.subject_name.clone_from(&quotes);
    alert.acknowledged_at = Some(at);
    alert.acknowledged_by = Some(quotes.clone());
    message.actor = Some(quotes.clone());
    message.comment = Some("\"".repeat(2_000));
    message
}
