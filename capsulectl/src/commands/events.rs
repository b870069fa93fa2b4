//! `events` and everything that follows them: one line for each change.

use std::time::Duration;

use capsule_api::{Alert, Delivery, Event, EventKind};

use super::Session;
use crate::{
    args::{Format, records::EventsArgs},
    error::{Error, Outcome, Result},
    output::{Look, Tone, words},
    stream::{Events, Message, jitter, reconnect_delay},
};

/// How long the backlog may be silent before we take it for complete.
const QUIET: Duration = Duration::from_secs(1);

/// `events`.
pub async fn run(session: &Session, args: &EventsArgs) -> Result<Outcome> {
    if args.follow || args.since.is_none() {
        return follow(session, &args.kinds, args.since.clone(), |_| true).await;
    }
    let mut events = Events::open(&session.client, args.since.as_deref(), kinds(&args.kinds)).await?;
    loop {
        match tokio::time::timeout(QUIET, events.next()).await {
            Err(_) | Ok(Ok(None)) => return Ok(Outcome::Done),
            Ok(Ok(Some(Message::Event(event)))) => print(session, &event)?,
            Ok(Ok(Some(Message::Lagged))) => {
                events = Events::open(&session.client, args.since.as_deref(), kinds(&args.kinds)).await?;
            }
            Ok(Err(error)) => return Err(error),
        }
    }
}

/// Prints events until interrupted. A daemon that goes away is waited for and resumed from; only the first
/// connection must succeed, so that a wrong socket is told at once.
pub async fn follow(
    session: &Session,
    of: &[EventKind],
    since: Option<String>,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Outcome> {
    let mut last_id = since;
    let mut failures = 0;
    let mut events = Events::open(&session.client, last_id.as_deref(), kinds(of)).await?;
    loop {
        let lost = loop {
            match events.next().await {
                Ok(Some(Message::Event(event))) => {
                    failures = 0;
                    last_id = Some(event.id.clone());
                    if wanted(&event) {
                        print(session, &event)?;
                    }
                }
                Ok(Some(Message::Lagged)) | Ok(None) => break "the stream ended".to_owned(),
                Err(Error::Output(source)) => return Err(Error::Output(source)),
                Err(error) => break error.line(),
            }
        };
        session.out.note(&format!("reconnecting: {lost}"));
        events = loop {
            tokio::time::sleep(reconnect_delay(failures, jitter())).await;
            failures += 1;
            match Events::open(&session.client, last_id.as_deref(), kinds(of)).await {
                Ok(events) => break events,
                Err(Error::Refused(problem)) if problem.status == 410 => {
                    session.out.warn("the daemon no longer has all events since; going on from now");
                    last_id = None;
                }
                Err(Error::Refused(problem)) if problem.status < 500 => return Err(Error::Refused(problem)),
                Err(error) => tracing::debug!(error = %error.line(), "not yet"),
            }
        };
    }
}

fn kinds(of: &[EventKind]) -> Option<String> {
    (!of.is_empty()).then(|| of.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(","))
}

fn print(session: &Session, event: &Event) -> Result<()> {
    match session.out.format {
        Format::Table | Format::Wide | Format::Csv => {
            session.out.print(&(line(event, &session.out.look) + "\n"))
        }
        Format::Name => session.out.print(&format!("{}\n", event.subject)),
        Format::Json | Format::Ndjson | Format::Yaml => {
            let text = serde_json::to_string(event).map_err(Error::Answer)?;
            session.out.print(&(text + "\n"))
        }
    }
}

/// An event on one line for people.
pub fn line(event: &Event, look: &Look) -> String {
    let at = event.at.strftime("%H:%M:%S");
    let (tone, text) = describe(event, look);
    format!("{at}  {:<18}  {}", event.kind, look.paint(tone, &crate::error::one_line(&text)))
}

/// What an event says, in a few words.
pub fn describe(event: &Event, look: &Look) -> (Tone, String) {
    let text = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str);
    let name = text("name").or_else(|| text("subject_name")).unwrap_or(&event.subject);
    if event.kind == EventKind::AlertChanged
        && let Ok(alert) = serde_json::from_value::<Alert>(event.data.clone())
    {
        let cell = words::severity(alert.severity, look);
        let tone = if alert.resolved_at.is_some() { Tone::Good } else { cell.tone };
        let said = format!(
            "{} {} {} {}: {} [{}]",
            cell.text,
            alert.subject_name,
            alert.kind,
            alert.state,
            alert.summary,
            alert.id.short()
        );
        return (tone, said);
    }
    if event.kind == EventKind::DeliveryChanged
        && let Ok(delivery) = serde_json::from_value::<Delivery>(event.data.clone())
    {
        let cell = words::delivery(delivery.state, look);
        return (cell.tone, format!("{} {}: {}", delivery.channel, cell.text, delivery.summary));
    }
    let (tone, what) = match event.kind {
        EventKind::XNodeCreated => (Tone::Plain, "added".to_owned()),
        EventKind::XNodeUpdated => (Tone::Plain, "changed".to_owned()),
        EventKind::XNodeDeleted => (Tone::Plain, "removed".to_owned()),
        EventKind::HealthChanged => match text("health").and_then(|word| word.parse().ok()) {
            Some(health) => {
                let cell = words::health(health, look);
                (cell.tone, cell.text)
            }
            None => (Tone::Plain, "health changed".to_owned()),
        },
        _ => (Tone::Plain, text("state").or_else(|| text("status")).unwrap_or("changed").to_owned()),
    };
    (tone, format!("{name} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commands::alerts::tests::alerts, output::look::tests::look};

    #[test]
    fn events_read_as_sentences() {
        let event = |kind: &str, data: serde_json::Value| -> Event {
            serde_json::from_value(serde_json::json!({
                "id": "1-7", "at": "2026-11-21T12:00:00Z", "kind": kind, "subject": "id", "data": data
            }))
            .expect("an event")
        };
        let alert = serde_json::to_value(&alerts()[0]).expect("JSON");
        let lines = [
            event("alert_changed", alert),
            event("health_changed", serde_json::json!({"name": "web-1", "health": "degraded"})),
            event("xnode_created", serde_json::json!({"name": "web-2"})),
            event("operation_changed", serde_json::json!({"state": "running"})),
        ]
        .map(|event| line(&event, &look()))
        .join("\n");
        insta::assert_snapshot!(lines);
        let delivery = serde_json::json!({
            "id": "01939c3e-0000-7000-8000-0000000000d1", "alert_id": "01939c3e-0000-7000-8000-0000000000a1",
            "change": "opened", "change_seq": 1, "channel": "hook", "state": "sent", "attempts": 1,
            "created_at": "2026-11-21T12:00:00Z", "finished_at": "2026-11-21T12:00:00Z", "next_at": null,
            "reason": "200 OK", "summary": "web-1: it is down"
        });
        let told = line(&event("delivery_changed", delivery), &look());
        assert!(told.contains("hook") && told.contains("sent: web-1: it is down"), "{told}");
    }
}
