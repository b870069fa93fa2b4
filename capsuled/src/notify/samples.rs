//! Messages for the tests of this module: one problem told from its beginning to its end, and alerts as
//! large and as hostile as they come.

use capsule_api::{
    Alert, AlertChangeKind, AlertId, AlertKind, AlertState, Cause, DeliveryId, Severity, Subject, SubjectKind,
};
use jiff::Timestamp;

use super::Message;

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

fn message(change: AlertChangeKind, at: &str, change_seq: u32) -> Message {
    Message {
        delivery_id: DeliveryId("01939c2e-7b20-7d31-9a00-0123456789ab".parse().expect("an id")),
        change_seq,
        change,
        at: time(at),
        alert: alert(),
        actor: None,
        comment: None,
        test: false,
    }
}

pub(super) fn opened() -> Message {
    message(AlertChangeKind::Opened, "2026-11-20T22:11:09Z", 1)
}

pub(super) fn acknowledged() -> Message {
    let mut message = message(AlertChangeKind::Acknowledged, "2026-11-20T22:20:00Z", 4);
    message.alert.state = AlertState::Acknowledged;
    message.alert.acknowledged_at = Some(message.at);
    message.alert.acknowledged_by = Some("alice".to_owned());
    message.actor = Some("alice".to_owned());
    message.comment = Some("Looking at it.\nThe firewall was changed <today>.".to_owned());
    message
}

pub(super) fn resolved() -> Message {
    let mut message = message(AlertChangeKind::Resolved, "2026-11-20T23:23:50Z", 6);
    message.alert.state = AlertState::Resolved;
    message.alert.resolved_at = Some(message.at);
    message
}

pub(super) fn every_change() -> Vec<Message> {
    let escalated = message(AlertChangeKind::Escalated, "2026-11-20T22:13:00Z", 2);
    let updated = message(AlertChangeKind::Updated, "2026-11-20T22:15:00Z", 3);
    let mut eased = message(AlertChangeKind::Eased, "2026-11-20T22:30:00Z", 5);
    eased.alert.severity = Severity::Warning;
    eased.alert.causes.remove(0);
    let mut commented = acknowledged();
    commented.change = AlertChangeKind::Commented;
    commented.actor = Some("bob".to_owned());
    commented.comment = Some("Rolled back.".to_owned());
    let mut by_hand = resolved();
    by_hand.actor = Some("alice".to_owned());
    let test = Message::test(opened().delivery_id, opened().at, Some("alice".to_owned()));
    vec![opened(), escalated, updated, acknowledged(), eased, commented, resolved(), by_hand, budget(), test]
}

pub(super) fn budget() -> Message {
    let mut message = opened();
    message.alert.subject = Subject { kind: SubjectKind::Tag, id: "team=a".to_owned() };
    message.alert.subject_name = "team=a".to_owned();
    message.alert.kind = AlertKind::CostThreshold;
    message.alert.severity = Severity::Warning;
    message.alert.summary = "costs $1.25 an hour, over its budget of $1.00".to_owned();
    message.alert.causes.truncate(1);
    message.alert.causes[0].key = "budget".to_owned();
    message.alert.causes[0].text = "12 xNodes cost $1.25 an hour".to_owned();
    message
}

/// An alert with so many causes, of which only the seventh is critical.
pub(super) fn many_causes(count: usize) -> Message {
    let mut message = opened();
    let pattern = message.alert.causes[1].clone();
    message.alert.causes = (0..count)
        .map(|place| Cause {
            key: format!("check:{place}"),
            text: format!("cause {place} "),
            ..pattern.clone()
        })
        .collect();
    message.alert.causes[7].severity = Severity::Critical;
    message
}

/// Everything too long, of the characters that grow most when escaped.
pub(super) fn enormous() -> Message {
    let mut message = many_causes(500);
    let quotes = "\"<&>'\n/é".repeat(2_000);
    for cause in &mut message.alert.causes {
        cause.text.clone_from(&quotes);
        cause.key.clone_from(&quotes);
    }
    message.alert.summary.clone_from(&quotes);
    message.alert.subject_name.clone_from(&quotes);
    message.alert.acknowledged_at = Some(message.at);
    message.alert.acknowledged_by = Some(quotes.clone());
    message.actor = Some(quotes.clone());
    message.comment = Some("\"".repeat(2_000));
    message
}
