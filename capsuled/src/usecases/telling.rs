//! One alert change: its row, its place in the timeline, its event and the deliveries it owes, in one
//! transaction. Whoever changes an alert, a task or an operator, comes through here, so nothing is ever
//! changed without being told and nothing is told that was not changed.

use capsule_api::{Alert, AlertChange, AlertChangeKind, DeliveryId, EventKind, Tag};
use uuid::Uuid;

use crate::{
    notify::Message,
    rules::routing,
    store::{StoreError, Tx, alerts, channels, deliveries},
};

/// What happened to an alert, before it has a place in the timeline.
#[derive(Debug, Clone)]
pub struct Happening {
    /// What happened.
    pub kind: AlertChangeKind,
    /// User name of who did it; `None` when it was us.
    pub actor: Option<String>,
    /// What was said or seen.
    pub text: String,
    /// The words somebody added, to go out with the message.
    pub comment: Option<String>,
}

/// Writes `alert` as it is after `happening` and queues a delivery for every channel that wants it. `tags`
/// are the subject's. Ring `wakes.outbox` after the commit.
pub async fn tell(tx: &mut Tx, alert: &Alert, tags: &[Tag], happening: Happening) -> Result<(), StoreError> {
    let at = tx.now();
    let Happening { kind, actor, text, comment } = happening;
    let change = AlertChange { seq: 0, at, kind, severity: alert.severity, actor: actor.clone(), text };
    let told = deliveries::told_channels(tx, alert.id).await?;
    let change_seq = alerts::record(tx, alert, &change).await?;
    tx.emit(EventKind::AlertChanged, &alert.id.to_string(), alert).await?;
    for (channel, route) in channels::routes_in(tx).await? {
        if !routing::wants(&route, alert, kind, tags, told.contains(&channel)) {
            continue;
        }
        let id = DeliveryId(Uuid::now_v7());
        let message = Message {
            delivery_id: id,
            change_seq,
            change: kind,
            at,
            alert: alert.clone(),
            actor: actor.clone(),
            comment: comment.clone(),
            test: false,
        };
        let summary = format!("{}: {}", alert.subject_name, alert.summary);
        let new = deliveries::New {
            id,
            alert_id: alert.id,
            change_seq,
            change: kind,
            channel,
            message: &message,
            summary: &summary,
        };
        deliveries::insert(tx, new).await?;
    }
    Ok(())
}
