//! Alerts as operators see and handle them. Raising and ending them by themselves is the evaluator's work.

use capsule_api::{
    Alert, AlertChangeKind, AlertDetail, AlertFilter, AlertId, AlertNote, AlertState, SubjectKind, Tag,
    XNodeId,
};

use super::{
    Listing, Slice, UseCaseError, find_named,
    telling::{self, Happening},
    text, xnodes,
};
use crate::{
    context::Context,
    model::Caller,
    store::{self, Store, StoreError, Tx, alerts},
};

const WHAT: &str = "alert";

/// What an operator does to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Says that they have seen it.
    Acknowledge,
    /// Ends it by hand.
    Resolve,
    /// Adds words.
    Comment,
}

impl Deed {
    const fn action(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge_alert",
            Self::Resolve => "resolve_alert",
            Self::Comment => "comment_alert",
        }
    }

    const fn change(self) -> AlertChangeKind {
        match self {
            Self::Acknowledge => AlertChangeKind::Acknowledged,
            Self::Resolve => AlertChangeKind::Resolved,
            Self::Comment => AlertChangeKind::Commented,
        }
    }
}

/// The alerts that match, newest first.
pub async fn list(
    context: &Context,
    filter: &AlertFilter,
    listing: &Listing,
) -> Result<Slice<Alert>, UseCaseError> {
    let subject = match &filter.xnode {
        Some(given) => Some(xnodes::subject(xnodes::resolve(&context.store, given).await?)),
        None => None,
    };
    let filter = alerts::Filter {
        state: filter.state,
        unresolved_only: filter.state.is_none() && filter.all != Some(true),
        severity: filter.severity,
        kind: filter.kind,
        subject,
        before: listing.after()?,
    };
    let rows = alerts::list(&mut *context.store.reader().await?, &filter, listing.limit_plus_one()).await?;
    Ok(listing.slice(rows, |alert| alert.id.to_string()))
}

/// The id of the alert that `given` means: an id or a unique beginning or end of one.
async fn resolve(store: &Store, given: &str) -> Result<AlertId, UseCaseError> {
    if let Ok(id) = given.parse() {
        return Ok(id);
    }
    let ids = alerts::ids(&mut *store.reader().await?).await?;
    find_named(WHAT, given, ids.iter().map(|id| (*id, "")))
}

/// One alert with its timeline.
pub async fn get(context: &Context, given: &str) -> Result<AlertDetail, UseCaseError> {
    let id = resolve(&context.store, given).await?;
    let mut reader = context.store.reader().await?;
    let alert = alerts::find(&mut reader, id).await?.ok_or_else(|| not_found(given))?;
    let timeline = alerts::timeline(&mut reader, id).await?;
    Ok(AlertDetail { alert, timeline })
}

fn not_found(given: &str) -> UseCaseError {
    UseCaseError::not_found(WHAT, given)
}

/// Acknowledges, ends or comments on an alert; channels that were told of it are told.
///
/// # Errors
/// [`UseCaseError::WrongState`] when it is acknowledged or over already; [`UseCaseError::Invalid`] for a
/// comment that is missing or too long.
pub async fn handle(
    context: &Context,
    by: &Caller,
    given: &str,
    deed: Deed,
    note: AlertNote,
) -> Result<Alert, UseCaseError> {
    let id = resolve(&context.store, given).await?;
    let comment = text::comment(note.comment)?;
    if deed == Deed::Comment && comment.is_none() {
        return Err(UseCaseError::invalid("comment", "it must not be empty"));
    }
    let (given, actor) = (given.to_owned(), by.name.clone());
    let alert = context
        .store
        .change(by, deed.action(), id.to_string(), move |tx| {
            Box::pin(async move {
                let mut alert = alerts::find_in(tx, id).await?.ok_or_else(|| not_found(&given))?;
                apply(tx, &mut alert, deed, &actor)?;
                let tags = tags_of(tx, &alert).await?;
                let text = comment.clone().unwrap_or_default();
                let happening = Happening { kind: deed.change(), actor: Some(actor), text, comment };
                telling::tell(tx, &alert, &tags, happening).await?;
                Ok::<_, UseCaseError>(alert)
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(alert)
}

fn apply(tx: &Tx, alert: &mut Alert, deed: Deed, actor: &str) -> Result<(), UseCaseError> {
    let now = tx.now();
    match (deed, alert.state) {
        (Deed::Acknowledge, AlertState::Open) => {
            alert.state = AlertState::Acknowledged;
            alert.acknowledged_at = Some(now);
            alert.acknowledged_by = Some(actor.to_owned());
        }
        (Deed::Resolve, AlertState::Open | AlertState::Acknowledged) => {
            alert.state = AlertState::Resolved;
            alert.resolved_at = Some(now);
            alert.resolved_by = Some(actor.to_owned());
        }
        // Words may be added at any time; a post-mortem comes last.
        (Deed::Comment, _) => {}
        (Deed::Acknowledge | Deed::Resolve, state) => {
            return Err(UseCaseError::WrongState(format!("the alert is {state} already")));
        }
    }
    alert.changed_at = now;
    Ok(())
}

/// The tags of an alert's subject, by which it is routed.
pub(super) async fn tags_of(tx: &mut Tx, alert: &Alert) -> Result<Vec<Tag>, StoreError> {
    match alert.subject.kind {
        SubjectKind::XNode => {
            let Ok(id) = alert.subject.id.parse::<XNodeId>() else { return Ok(Vec::new()) };
            let stored = store::xnodes::find_in(tx, id).await?;
            Ok(stored.map(|stored| stored.xnode.tags).unwrap_or_default())
        }
        SubjectKind::Tag => Ok(alert.subject.id.parse().into_iter().collect()),
        SubjectKind::Provider | SubjectKind::Account | SubjectKind::Daemon => Ok(Vec::new()),
    }
}
