//! Alerts: what is wrong, who looks at it, what happened to it.

use capsule_api::{Alert, AlertChange, AlertDetail, AlertFilter, AlertNote, AlertState, EventKind};

use super::Session;
use crate::{
    args::monitor::{AlertsArgs, CommentArgs, NoteArgs},
    client::encode,
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Sheet, View, text, words},
};

/// Columns of alerts.
pub const VIEW: View<Alert> = View {
    columns: &[
        Column {
            title: "ID",
            fit: Fit::Keep,
            cell: |a, _| Cell::from(a.id.short()).exactly(a.id.to_string()),
        },
        Column { title: "SEVERITY", fit: Fit::Keep, cell: |a, look| words::severity(a.severity, look) },
        Column { title: "SUBJECT", fit: Fit::Keep, cell: |a, _| a.subject_name.clone().into() },
        Column { title: "KIND", fit: Fit::Drop(2), cell: |a, _| a.kind.as_str().into() },
        Column { title: "STATE", fit: Fit::Drop(3), cell: |a, _| words::alert_state(a.state) },
        Column {
            title: "SINCE",
            fit: Fit::Number,
            cell: |a, look| Cell::from(text::age(a.since, look.now)).exactly(a.since.to_string()),
        },
        Column { title: "SUMMARY", fit: Fit::Cut, cell: |a, _| a.summary.clone().into() },
        Column {
            title: "BY",
            fit: Fit::Wide,
            cell: |a, look| Cell::maybe(a.resolved_by.as_ref().or(a.acknowledged_by.as_ref()), look),
        },
        Column { title: "RESOLVED", fit: Fit::Wide, cell: |a, look| Cell::maybe(a.resolved_at, look) },
    ],
    name: |alert| alert.id.to_string(),
    empty: "no open alerts",
};

const DETAIL_VIEW: View<AlertDetail> = View {
    columns: &[
        Column { title: "ID", fit: Fit::Keep, cell: |d, _| d.alert.id.to_string().into() },
        Column { title: "SEVERITY", fit: Fit::Keep, cell: |d, look| words::severity(d.alert.severity, look) },
        Column { title: "SUBJECT", fit: Fit::Keep, cell: |d, _| d.alert.subject_name.clone().into() },
        Column { title: "KIND", fit: Fit::Keep, cell: |d, _| d.alert.kind.as_str().into() },
        Column { title: "STATE", fit: Fit::Keep, cell: |d, _| words::alert_state(d.alert.state) },
        Column { title: "SUMMARY", fit: Fit::Cut, cell: |d, _| d.alert.summary.clone().into() },
    ],
    name: |detail| detail.alert.id.to_string(),
    empty: "no such alert",
};

const TIMELINE: View<AlertChange> = View {
    columns: &[
        Column { title: "WHEN", fit: Fit::Keep, cell: |c, _| text::moment(c.at).into() },
        Column { title: "WHAT", fit: Fit::Keep, cell: |c, _| c.kind.as_str().into() },
        Column { title: "SEVERITY", fit: Fit::Drop(1), cell: |c, look| words::severity(c.severity, look) },
        Column { title: "WHO", fit: Fit::Keep, cell: |c, look| Cell::maybe(c.actor.as_ref(), look) },
        Column { title: "TEXT", fit: Fit::Cut, cell: |c, _| c.text.clone().into() },
    ],
    name: |change| change.seq.to_string(),
    empty: "nothing happened yet",
};

/// `monitor alerts`.
pub async fn list(session: &Session, args: &AlertsArgs) -> Result<Outcome> {
    let filter = AlertFilter {
        all: args.all.then_some(true),
        severity: args.severity,
        kind: args.kind,
        xnode: args.xnode_id.clone(),
        ..AlertFilter::default()
    };
    let rows = session.client.list("/v1/alerts", &filter).await?;
    let open: Vec<Alert> = crate::output::parse_rows(&rows)?;
    session.out.list(&rows, &VIEW)?;
    if args.follow {
        return super::events::follow(session, &[EventKind::AlertChanged], None, |event| {
            let alert: Option<Alert> = serde_json::from_value(event.data.clone()).ok();
            alert.is_some_and(|alert| wanted(&alert, args, &open))
        })
        .await;
    }
    let found = args.exit_code && open.iter().any(|alert| alert.state != AlertState::Resolved);
    Ok(if found { Outcome::Found } else { Outcome::Done })
}

/// Whether a changed alert is one of those asked for. Servers are compared by id through the listed ones or by
/// name, because the filter is the daemon's and events carry no query.
fn wanted(alert: &Alert, args: &AlertsArgs, listed: &[Alert]) -> bool {
    let by_xnode = args.xnode_id.as_ref().is_none_or(|given| {
        alert.subject_name == *given
            || alert.subject.id.ends_with(given.as_str())
            || alert.subject.id.starts_with(given.as_str())
            || listed.iter().any(|known| known.subject == alert.subject)
    });
    by_xnode
        && args.severity.is_none_or(|severity| alert.severity == severity)
        && args.kind.is_none_or(|kind| alert.kind == kind)
}

/// `monitor alert show`.
pub async fn show(session: &Session, alert: &str) -> Result<Outcome> {
    let answer = session.client.get(&path(alert)).await?;
    session.out.one(&answer, &DETAIL_VIEW, detail)?;
    Ok(Outcome::Done)
}

/// What a person says about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is being looked at.
    Acknowledge,
    /// It is over.
    Resolve,
}

/// `monitor ack` and `monitor resolve`.
pub async fn note(session: &Session, step: Step, args: &NoteArgs) -> Result<Outcome> {
    let (word, done) = match step {
        Step::Acknowledge => ("acknowledge", "acknowledged"),
        Step::Resolve => ("resolve", "resolved"),
    };
    let body = AlertNote { comment: args.comment.clone() };
    let answer = session.client.post(&format!("{}/{word}", path(&args.alert)), &body).await?;
    let outcome = print_changed(session, &answer, done)?;
    if step == Step::Resolve {
        session.out.note("if the problem is still there, the next probe or reading opens a new alert");
    }
    Ok(outcome)
}

/// `monitor comment`.
pub async fn comment(session: &Session, args: &CommentArgs) -> Result<Outcome> {
    let body = AlertNote { comment: Some(args.text.clone()) };
    let answer = session.client.post(&format!("{}/comments", path(&args.alert)), &body).await?;
    print_changed(session, &answer, "commented on")
}

fn print_changed(session: &Session, answer: &crate::client::Answer, done: &str) -> Result<Outcome> {
    let alert: Alert = answer.parse()?;
    if session.out.is_for_people() {
        session.out.done(&format!("{done} {} {}: {}", alert.id.short(), alert.subject_name, alert.summary));
    } else {
        session.out.one(answer, &VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

/// An alert with its causes and its timeline, for people.
pub fn detail(detail: &AlertDetail, sheet: &mut Sheet<'_>) {
    let alert = &detail.alert;
    let look = sheet.look;
    let severity = words::severity(alert.severity, look);
    let state = words::alert_state(alert.state);
    sheet.title(&format!("Alert {}", alert.id.short()), &format!("{} on {}", alert.kind, alert.subject_name));
    sheet.toned_field("severity", severity.tone, &severity.text);
    sheet.toned_field("state", state.tone, &state.text);
    sheet.field("summary", &alert.summary);
    sheet.field("since", &format!("{} ({})", text::moment(alert.since), text::age(alert.since, look.now)));
    if let (Some(at), Some(by)) = (alert.acknowledged_at, &alert.acknowledged_by) {
        sheet.field("acknowledged", &format!("{} by {by}", text::moment(at)));
    }
    if let Some(at) = alert.resolved_at {
        let by = alert.resolved_by.as_deref().map_or_else(|| "by itself".to_owned(), |by| format!("by {by}"));
        sheet.field("resolved", &format!("{} {by}", text::moment(at)));
    }
    sheet.field("id", &alert.id.to_string());
    sheet.section("Causes");
    for cause in &alert.causes {
        let cell = words::severity(cause.severity, look);
        let icon = look.paint(cell.tone, &cell.text);
        sheet.line(&format!(
            "  {icon}  {}  {} ({})",
            crate::error::one_line(&cause.key),
            crate::error::one_line(&cause.text),
            text::age(cause.since, look.now)
        ));
    }
    sheet.section("Timeline");
    sheet.table(&TIMELINE, &detail.timeline);
}

fn path(alert: &str) -> String {
    format!("/v1/alerts/{}", encode(alert))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::output::{look::tests::look, table::table};

    /// A critical and an acknowledged warning.
    pub fn alerts() -> Vec<Alert> {
        serde_json::from_value(serde_json::json!([
            {
                "id": "01939c3e-0000-7000-8000-00001a2b3c4d",
                "subject": {"kind": "xnode", "id": "01939c3e-0000-7000-8000-000000000001"},
                "subject_name": "web-1", "kind": "service_down", "severity": "critical", "state": "open",
                "summary": "ping: no answer within 5 s (3 in a row)",
                "causes": [{"key": "check:ping", "severity": "critical", "text": "no answer within 5 s",
                    "since": "2026-11-21T11:55:00Z", "value": null}],
                "since": "2026-11-21T11:55:00Z", "opened_at": "2026-11-21T11:55:02Z",
                "changed_at": "2026-11-21T11:55:02Z", "acknowledged_at": null, "acknowledged_by": null,
                "resolved_at": null, "resolved_by": null
            },
            {
                "id": "01939c3e-0000-7000-8000-0000deadbeef",
                "subject": {"kind": "xnode", "id": "01939c3e-0000-7000-8000-000000000002"},
                "subject_name": "db-1", "kind": "low_disk", "severity": "warning", "state": "acknowledged",
                "summary": "/var is 91 % full (warning at 85 %)",
                "causes": [{"key": "mount:/var", "severity": "warning", "text": "/var is 91 % full",
                    "since": "2026-11-21T09:00:00Z", "value": 91.0}],
                "since": "2026-11-21T09:00:00Z", "opened_at": "2026-11-21T09:00:02Z",
                "changed_at": "2026-11-21T10:00:00Z", "acknowledged_at": "2026-11-21T10:00:00Z",
                "acknowledged_by": "ops", "resolved_at": null, "resolved_by": null
            }
        ]))
        .expect("alerts")
    }

    #[test]
    fn alerts_as_a_table() {
        insta::assert_snapshot!(table(&VIEW, &alerts(), false, &look()));
    }

    #[test]
    fn an_alert_shows_its_causes_and_its_timeline() {
        let alert = alerts().remove(1);
        let timeline = serde_json::from_value(serde_json::json!([
            {"seq": 1, "at": "2026-11-21T09:00:02Z", "kind": "opened", "severity": "warning", "actor": null,
                "text": "/var is 86 % full"},
            {"seq": 2, "at": "2026-11-21T10:00:00Z", "kind": "acknowledged", "severity": "warning", "actor": "ops",
                "text": "disk ordered"}
        ]))
        .expect("a timeline");
        let look = look();
        let mut sheet = Sheet::new(&look);
        detail(&AlertDetail { alert, timeline }, &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}
