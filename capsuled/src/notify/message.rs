//! What is told: one change of one alert, with the alert as it was then.
//!
//! A message is written into the outbox row in the transaction of the change and read back at every try,
//! also by a later version of the daemon. So it carries everything the channels need, asks nothing of the
//! present state, and renders the same at the first try and at the last.

use capsule_api::{
    Alert, AlertChangeKind, AlertId, AlertKind, AlertState, DeliveryId, Severity, Subject, SubjectKind,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One alert change on its way to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Stays the same at every try; the receiver sees it, so a repeat is recognisable.
    pub delivery_id: DeliveryId,
    /// Position of the change in the alert's timeline, from 1.
    pub change_seq: u32,
    /// What happened.
    pub change: AlertChangeKind,
    /// When it happened.
    pub at: Timestamp,
    /// The alert as of that change.
    pub alert: Alert,
    /// User name of who did it; `None` when it was us.
    #[serde(default)]
    pub actor: Option<String>,
    /// What they said.
    #[serde(default)]
    pub comment: Option<String>,
    /// Whether this is a test of the channel and there is no such alert.
    #[serde(default)]
    pub test: bool,
}

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
        let change = AlertChangeKind::Opened;
        Self { delivery_id, change_seq: 1, change, at, alert, actor, comment: None, test: true }
    }

    /// The moment up to which the problem's duration counts.
    pub(super) fn until(&self) -> Timestamp {
        self.alert.resolved_at.unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_message_survives_the_outbox_row() {
        let message = samples::resolved();
        let row = serde_json::to_string(&message).expect("serialises");
        assert_eq!(serde_json::from_str::<Message>(&row).expect("reads back"), message);
    }
}
