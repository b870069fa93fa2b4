//! The console channel: one structured log line. It has no other side, so it always succeeds.

use capsule_api::{AlertChangeKind, Severity};
use tracing::{error, info, warn};

use super::{Change, End, Message, News, Receipt, Rendered, render};

/// Writes the message to the daemon's log: critical as `error`, warning as `warn`, the rest as `info`.
pub(super) fn send(message: &Message) -> Receipt {
    let rendered = render(message);
    let line = line(&rendered);
    match &message.news {
        News::Change(change) => log_change(message, change, &rendered, &line),
        News::End(end) => log_end(message, end, &line),
    }
    Receipt { detail: "written to the log".to_owned() }
}

fn log_change(message: &Message, change: &Change, rendered: &Rendered, line: &str) {
    let alert = &change.alert;
    // `tracing` fixes the level where the macro stands, so the same fields are written three times.
    macro_rules! log {
        ($level:ident) => {
            $level!(
                alert.id = %alert.id,
                alert.kind = %alert.kind,
                alert.severity = %alert.severity,
                alert.change = %change.change,
                delivery.id = %message.delivery_id,
                subject.kind = %alert.subject.kind,
                subject.id = %alert.subject.id,
                subject.name = %rendered.subject,
                "{line}"
            )
        };
    }
    match (change.change, alert.severity) {
        (AlertChangeKind::Resolved | AlertChangeKind::Acknowledged | AlertChangeKind::Commented, _) => {
            log!(info)
        }
        (_, Severity::Critical) => log!(error),
        (_, Severity::Warning) => log!(warn),
        (_, Severity::Info) => log!(info),
    }
}

fn log_end(message: &Message, end: &End, line: &str) {
    let operation = &end.operation;
    macro_rules! log {
        ($level:ident) => {
            $level!(
                operation.id = %operation.id,
                operation.kind = %operation.kind,
                operation.state = %operation.state,
                delivery.id = %message.delivery_id,
                "{line}"
            )
        };
    }
    match message.severity() {
        Severity::Critical => log!(error),
        Severity::Warning => log!(warn),
        Severity::Info => log!(info),
    }
}

/// Title, lead and causes in one line of at most 2,000 bytes.
fn line(rendered: &Rendered) -> String {
    let mut line = format!("{} ({})", rendered.title, rendered.lead);
    for cause in &rendered.causes {
        line.push_str("; ");
        line.push_str(cause);
    }
    if let Some(more) = rendered.more_causes() {
        line.push_str("; ");
        line.push_str(&more);
    }
    super::text::clean(&line, 2_000)
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn the_line_says_what_where_since_when_and_why() {
        insta::assert_snapshot!(line(&render(&samples::opened())), @"[critical] web-1: SSH unreachable (It began 5 s ago and is critical.); ssh on 192.0.2.10:22: connection refused (3 in a row); ssh-2 on 192.0.2.10:2222: <banner> took 912 ms & more (since 2026-11-20 22:11:07 UTC)");
    }
}
