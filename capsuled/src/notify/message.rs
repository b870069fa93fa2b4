//! What is told: one change of one alert, or the end of one operation, as things were then.
//!
//! A message is written into the outbox row in the transaction of the change and read back at every try,
//! also by a later version of the daemon. So it carries everything the channels need, asks nothing of the
//! present state, and renders the same at the first try and at the last.

use capsule_api::{
    Alert, AlertChangeKind, AlertId, AlertKind, AlertState, DeliveryId, Operation, OperationState, Severity,
    Subject, SubjectKind,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something to be told, on its way to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Stays the same at every try; the receiver sees it, so a repeat is recognisable.
    pub delivery_id: DeliveryId,
    /// When it happened.
    pub at: Timestamp,
    /// User name of who did it; `None` when it was us.
    #[serde(default)]
    pub actor: Option<String>,
    /// What they said.
    #[serde(default)]
    pub comment: Option<String>,
    /// Whether this is a test of the channel and there is no such alert.
    #[serde(default)]
    pub test: bool,
    /// What happened.
    #[serde(flatten)]
    pub news: News,
}

/// What a message tells; which of them, its fields say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum News {
    /// An alert changed.
    Change(Box<Change>),
    /// An operation ended.
    End(Box<End>),
}

/// One change of one alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Position of the change in the alert's timeline, from 1.
    pub change_seq: u32,
    /// What happened.
    pub change: AlertChangeKind,
    /// The alert as of that change.
    pub alert: Alert,
}

/// The end of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The operation as it ended.
    pub operation: Operation,
    /// Name of what it worked on.
    pub name: String,
    /// What became of each server, one line each, what went wrong first; at most [`SERVERS_TOLD`].
    pub servers: Vec<String>,
    /// How many servers it was about.
    pub servers_total: usize,
}

/// Servers of one operation that a message spells out.
pub const SERVERS_TOLD: usize = 20;

impl Message {
    /// A message that tries a channel: an alert about the daemon itself that nobody has to act on.
    pub fn test(delivery_id: DeliveryId, at: Timestamp, actor: Option<String>) -> Self {
        let alert = Alert {
            id: AlertId(delivery_id.0),
            subject: Subject { kind: SubjectKind::Daemon, id: "daemon".to_owned() },
            subject_name: "capsuled".to_owned(),
            kind: AlertKind::ServiceDown,
            severity: Severity::Info,
            state: AlertState::Open,
            summary: "this is a test, nothing is wrong".to_owned(),
            causes: Vec::new(),
            since: at,
            opened_at: at,
            changed_at: at,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
        };
        let news = News::Change(Box::new(Change { change_seq: 1, change: AlertChangeKind::Opened, alert }));
        Self { delivery_id, at, actor, comment: None, test: true, news }
    }

    /// How bad it is. An operation that failed is as bad as it gets: somebody counts on it.
    pub(super) fn severity(&self) -> Severity {
        match &self.news {
            News::Change(change) => change.alert.severity,
            News::End(end) => match end.operation.state {
                OperationState::Failed => Severity::Critical,
                OperationState::Cancelled => Severity::Warning,
                _ => Severity::Info,
            },
        }
    }

    /// Whether it tells of a good end: a problem is over, or what was asked for is done.
    pub(super) fn is_good_end(&self) -> bool {
        match &self.news {
            News::Change(change) => change.change == AlertChangeKind::Resolved,
            News::End(end) => end.operation.state == OperationState::Succeeded,
        }
    }
}

impl Change {
    /// How long the problem had lasted when it changed at `at`.
    pub(super) fn lasted(&self, at: Timestamp) -> jiff::SignedDuration {
        self.alert.resolved_at.unwrap_or(at).duration_since(self.alert.since)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_message_survives_the_outbox_row() {
        for message in [samples::resolved(), samples::deployed()] {
            let row = serde_json::to_string(&message).expect("serialises");
            assert_eq!(serde_json::from_str::<Message>(&row).expect("reads back"), message);
        }
    }
}
