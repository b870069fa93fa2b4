//! Problems of an xNode that are known the moment they happen and not measured: a deployment that failed, a
//! time to live that is nearly over. They stay open until who raised them says otherwise, a person resolves
//! them, or the xNode goes.

use capsule_api::{Alert, AlertChangeKind, AlertId, AlertKind, AlertState, Cause, Severity, XNode};
use uuid::Uuid;

use super::{
    telling::{self, Happening},
    xnodes,
};
use crate::store::{StoreError, Tx, alerts};

/// Opens an alert on an xNode unless one of that kind is open. Ring `wakes.outbox` after the commit.
pub async fn raise(
    tx: &mut Tx,
    xnode: &XNode,
    kind: AlertKind,
    severity: Severity,
    summary: &str,
) -> Result<(), StoreError> {
    let subject = xnodes::subject(xnode.id);
    if alerts::open_of(tx, &subject).await?.iter().any(|alert| alert.kind == kind) {
        return Ok(());
    }
    let now = tx.now();
    let cause = Cause { key: kind.to_string(), severity, text: summary.to_owned(), since: now, value: None };
    let alert = Alert {
        id: AlertId(Uuid::now_v7()),
        subject,
        subject_name: xnode.name.to_string(),
        kind,
        severity,
        state: AlertState::Open,
        summary: summary.to_owned(),
        causes: vec![cause],
        since: now,
        opened_at: now,
        changed_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
    };
    tell(tx, &alert, xnode, AlertChangeKind::Opened, summary).await
}

/// Resolves the open alert of a kind on an xNode, if there is one. Ring `wakes.outbox` after the commit.
pub async fn end(tx: &mut Tx, xnode: &XNode, kind: AlertKind, why: &str) -> Result<(), StoreError> {
    let open = alerts::open_of(tx, &xnodes::subject(xnode.id)).await?;
    let Some(mut alert) = open.into_iter().find(|alert| alert.kind == kind) else { return Ok(()) };
    let now = tx.now();
    alert.state = AlertState::Resolved;
    (alert.changed_at, alert.resolved_at) = (now, Some(now));
    tell(tx, &alert, xnode, AlertChangeKind::Resolved, why).await
}

async fn tell(
    tx: &mut Tx,
    alert: &Alert,
    xnode: &XNode,
    kind: AlertChangeKind,
    text: &str,
) -> Result<(), StoreError> {
    let happening = Happening { kind, actor: None, text: text.to_owned(), comment: None };
    telling::tell(tx, alert, &xnode.tags, happening).await
}
