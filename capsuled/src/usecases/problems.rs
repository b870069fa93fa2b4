//! Problems of an xNode or an account that are known the moment they happen and not measured: a deployment that
//! failed, a time to live that is nearly over, a credential that is refused. They stay open until who raised
//! them says otherwise, a person resolves them, or what they are about goes.

use capsule_api::{
    Account, Alert, AlertChangeKind, AlertKind, AlertState, Cause, Severity, Subject, SubjectKind, Tag, XNode,
};

use super::{
    telling::{self, Happening},
    xnodes,
};
use crate::{
    model::AlertDraft,
    store::{StoreError, Tx, alerts},
};

/// What a problem is about.
#[derive(Debug)]
pub struct About {
    subject: Subject,
    name: String,
    tags: Vec<Tag>,
}

impl From<&XNode> for About {
    fn from(xnode: &XNode) -> Self {
        Self { subject: xnodes::subject(xnode.id), name: xnode.name.to_string(), tags: xnode.tags.clone() }
    }
}

impl From<&Account> for About {
    fn from(account: &Account) -> Self {
        let name = account.name.to_string();
        Self { subject: Subject { kind: SubjectKind::Account, id: name.clone() }, name, tags: Vec::new() }
    }
}

/// Opens an alert unless one of that kind is open. Ring `wakes.outbox` after the commit.
pub async fn raise(
    tx: &mut Tx,
    about: impl Into<About>,
    kind: AlertKind,
    severity: Severity,
    summary: &str,
) -> Result<(), StoreError> {
    let About { subject, name, tags } = about.into();
    if alerts::open_of(tx, &subject).await?.iter().any(|alert| alert.kind == kind) {
        return Ok(());
    }
    let now = tx.now();
    let cause = Cause { key: kind.to_string(), severity, text: summary.to_owned(), since: now, value: None };
    let draft = AlertDraft { kind, severity, summary: summary.to_owned(), causes: vec![cause], since: now };
    let alert = telling::opened(subject, name, draft, now);
    tell(tx, &alert, &tags, AlertChangeKind::Opened, summary).await
}

/// Resolves the open alert of a kind, if there is one. Ring `wakes.outbox` after the commit.
pub async fn end(tx: &mut Tx, about: impl Into<About>, kind: AlertKind, why: &str) -> Result<(), StoreError> {
    let About { subject, tags, .. } = about.into();
    let open = alerts::open_of(tx, &subject).await?;
    let Some(mut alert) = open.into_iter().find(|alert| alert.kind == kind) else { return Ok(()) };
    let now = tx.now();
    alert.state = AlertState::Resolved;
    (alert.changed_at, alert.resolved_at) = (now, Some(now));
    tell(tx, &alert, &tags, AlertChangeKind::Resolved, why).await
}

async fn tell(
    tx: &mut Tx,
    alert: &Alert,
    tags: &[Tag],
    kind: AlertChangeKind,
    text: &str,
) -> Result<(), StoreError> {
    let happening = Happening { kind, actor: None, text: text.to_owned(), comment: None };
    telling::tell(tx, alert, tags, happening).await
}
