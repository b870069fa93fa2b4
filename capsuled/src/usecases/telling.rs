//! One alert change: its row, its place in the timeline, its event and the deliveries it owes, in one
//! transaction. Whoever changes an alert, a task or an operator, comes through here, so nothing is ever
//! changed without being told and nothing is told that was not changed.
//!
//! The end of an operation goes the same way to the channels that ask for it.

use capsule_api::{
    Alert, AlertChange, AlertChangeKind, AlertId, AlertState, DeliveryId, DeploymentState, EventKind,
    Operation, Subject, Tag, Topic, XNode,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    model::{AlertDraft, Intent},
    notify::{self, Message, SERVERS_TOLD},
    rules::routing,
    store::{
        StoreError, Tx, alerts,
        channels::{self, ChannelKey},
        deliveries::{self, News},
        intents, xnodes,
    },
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

/// An alert that begins `now`.
pub fn opened(subject: Subject, subject_name: String, draft: AlertDraft, now: Timestamp) -> Alert {
    let AlertDraft { kind, severity, summary, causes, since } = draft;
    Alert {
        id: AlertId(Uuid::now_v7()),
        subject,
        subject_name,
        kind,
        severity,
        state: AlertState::Open,
        summary,
        causes,
        since,
        opened_at: now,
        changed_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
    }
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
        let message = Message {
            delivery_id: DeliveryId(Uuid::now_v7()),
            at,
            actor: actor.clone(),
            comment: comment.clone(),
            test: false,
            news: notify::News::Change(Box::new(notify::Change {
                change_seq,
                change: kind,
                alert: alert.clone(),
            })),
        };
        let summary = format!("{}: {}", alert.subject_name, alert.summary);
        let news = News::Change { alert: alert.id, seq: change_seq, kind };
        queue(tx, channel, news, &message, &summary).await?;
    }
    Ok(())
}

async fn queue(
    tx: &mut Tx,
    channel: ChannelKey,
    news: News,
    message: &Message,
    summary: &str,
) -> Result<(), StoreError> {
    let new = deliveries::New { id: message.delivery_id, news, channel, message, summary };
    deliveries::insert(tx, new).await
}

/// Queues a delivery for every channel that is told of the end of operations. Belongs into the transaction
/// that ends the operation; ring `wakes.outbox` after the commit.
pub async fn tell_end(tx: &mut Tx, operation: Operation) -> Result<(), StoreError> {
    if !routing::is_told(operation.kind) || !operation.state.is_final() {
        return Ok(());
    }
    let mut routes = channels::routes_in(tx).await?;
    routes.retain(|(_, route)| route.tells(Topic::Operations));
    if routes.is_empty() {
        return Ok(());
    }
    let about = About::read(tx, &operation).await?;
    let summary = format!("{}: {} {}", about.name, operation.kind, operation.state);
    let (at, id) = (tx.now(), operation.id);
    let end = notify::End {
        operation,
        name: about.name,
        servers_total: about.servers.len(),
        servers: about.servers.into_iter().take(SERVERS_TOLD).collect(),
    };
    for (channel, route) in routes {
        if routing::wants_end(&route, &about.tags) {
            let message = Message {
                delivery_id: DeliveryId(Uuid::now_v7()),
                at,
                actor: None,
                comment: None,
                test: false,
                news: notify::News::End(Box::new(end.clone())),
            };
            queue(tx, channel, News::End(id), &message, &summary).await?;
        }
    }
    Ok(())
}

/// What an operation worked on.
#[derive(Default)]
struct About {
    name: String,
    tags: Vec<Tag>,
    /// What became of each server, what went wrong first.
    servers: Vec<String>,
}

impl About {
    async fn read(tx: &mut Tx, operation: &Operation) -> Result<Self, StoreError> {
        let ids = intents::of_operation_in(tx, operation.id).await?;
        if ids.is_empty() {
            return Self::of_xnode(tx, operation).await;
        }
        let (mut about, mut well) = (Self::default(), Vec::new());
        for (id, _) in &ids {
            let Some(intent) = intents::find_in(tx, *id).await? else { continue };
            let xnode = xnode(tx, intent.xnode).await?;
            let line = told(&intent, xnode.as_ref());
            match intent.state {
                DeploymentState::Succeeded => well.push(line),
                _ => about.servers.push(line),
            }
            // The resource of a deployment is the name of its servers or their stem; that of a deletion an id.
            about.name =
                if intent.offers.is_empty() { intent.name.to_string() } else { operation.resource.clone() };
            about.tags = intent.spec.tags;
        }
        about.servers.append(&mut well);
        Ok(about)
    }

    async fn of_xnode(tx: &mut Tx, operation: &Operation) -> Result<Self, StoreError> {
        let xnode = xnode(tx, operation.resource.parse().ok()).await?;
        let name = xnode.as_ref().map_or_else(|| operation.resource.clone(), |xnode| xnode.name.to_string());
        Ok(Self { name, tags: xnode.map(|xnode| xnode.tags).unwrap_or_default(), servers: Vec::new() })
    }
}

async fn xnode(tx: &mut Tx, id: Option<capsule_api::XNodeId>) -> Result<Option<XNode>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    Ok(xnodes::find_in(tx, id).await?.map(|stored| stored.xnode))
}

/// `api: 203.0.113.5 at work nbg1 (cx22)`, or why there is none.
fn told(intent: &Intent, xnode: Option<&XNode>) -> String {
    if !intent.reason.is_empty() {
        return format!("{}: {}", intent.name, intent.reason);
    }
    match (xnode, intent.offer_in_hand()) {
        (Some(xnode), Some(offer)) => {
            let at = format!("{} {} ({})", intent.account, intent.region, offer.plan);
            format!("{}: {} at {at}", intent.name, xnode.address)
        }
        _ => format!("{}: {}", intent.name, intent.state),
    }
}
