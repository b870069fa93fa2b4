//! Times to live: a notice before the end, then the stop or the deletion that was asked for.
//!
//! What is due is asked for again until the provider has done it, less and less often, so a provider that is away for
//! a day delays an end and does not cancel it.

use std::time::Duration;

use capsule_api::{
    AlertKind, ExpiryAction, OperationKind, Placement, Severity, TerminateRequest, XNode, XNodeId,
    XNodeStatus,
};
use jiff::{SignedDuration, Timestamp};

use super::{UseCaseError, power, problems, xnodes::placed};
use crate::{
    context::Context,
    logging::Chain,
    model::Caller,
    rules::backoff,
    store::{self, Lane, StoreError, intents, xnodes},
};

/// How long before the end people are told.
const NOTICE: SignedDuration = SignedDuration::from_mins(30);
/// Pause before something that is due is looked at again.
const AGAIN: Duration = Duration::from_secs(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Tells of what ends soon and ends what is due; returns how long until there is more to do.
pub async fn run_once(context: &Context) -> Result<Duration, StoreError> {
    let now = context.clock.now();
    let soon = now + NOTICE;
    let ending = intents::expiring(&mut *context.store.reader().await?, soon).await?;
    let mut pause = LONGEST_PAUSE;
    for (id, at) in ending {
        let rest = rest(context, id, at).await?;
        if !rest.is_zero() {
            pause = pause.min(rest);
            continue;
        }
        pause = pause.min(if at <= now { AGAIN } else { until(now, at) });
        let Some(stored) = xnodes::find(&mut *context.store.reader().await?, id).await? else { continue };
        let xnode = stored.xnode;
        let Some(action) = xnode.placement.as_ref().and_then(|placement| placement.expiry).map(|e| e.action)
        else {
            continue;
        };
        let outcome = if at <= now {
            end(context, &xnode, action).await
        } else {
            announce(context, xnode, action, at).await.map_err(UseCaseError::from)
        };
        match outcome {
            // Another operation works on it; the next look decides again.
            Ok(()) | Err(UseCaseError::WrongState(_)) => {}
            Err(UseCaseError::Store(error)) => return Err(error),
            Err(error) => tracing::warn!(xnode = %id, error = %Chain(&error), "could not end a time to live"),
        }
    }
    if let Some(next) = intents::next_expiry(&mut *context.store.reader().await?, soon).await? {
        pause = pause.min(until(now, next - NOTICE));
    }
    Ok(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

/// How long an end that was due at `at` and came to nothing is left alone.
async fn rest(context: &Context, id: XNodeId, at: Timestamp) -> Result<Duration, StoreError> {
    let mut reader = context.store.reader().await?;
    let tried = store::operations::ends_tried(&mut reader, &id.to_string(), at).await?;
    Ok(tried.map_or(Duration::ZERO, |(tries, last)| {
        backoff::end_again(tries).saturating_sub(until(last, context.clock.now()))
    }))
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

async fn announce(
    context: &Context,
    xnode: XNode,
    action: ExpiryAction,
    at: Timestamp,
) -> Result<(), StoreError> {
    let done = match action {
        ExpiryAction::Stop => "switched off",
        ExpiryAction::Delete => "deleted",
    };
    let summary = format!("its time to live ends at {at:.0}: it will be {done} at its provider");
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                problems::raise(tx, &xnode, AlertKind::ExpiresSoon, Severity::Warning, &summary).await
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(())
}

async fn end(context: &Context, xnode: &XNode, action: ExpiryAction) -> Result<(), UseCaseError> {
    let (daemon, given) = (Caller::daemon(), xnode.id.to_string());
    match action {
        ExpiryAction::Stop if xnode.status == XNodeStatus::Stopped => forget(context, xnode.id).await,
        ExpiryAction::Stop => {
            power::begin(context, &daemon, &given, OperationKind::StopXNode, false).await.map(drop)
        }
        ExpiryAction::Delete => {
            power::terminate(context, &daemon, &given, TerminateRequest::default()).await.map(drop)
        }
    }
}

/// The stop was carried out: there is no time to live any more, and nothing to be told about it.
async fn forget(context: &Context, id: XNodeId) -> Result<(), UseCaseError> {
    context
        .store
        .write::<(), UseCaseError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                let changed = placed::amend(tx, id, |stored| {
                    if let Some(Placement { expiry, .. }) = &mut stored.xnode.placement {
                        *expiry = None;
                    }
                })
                .await?;
                if let Some(xnode) = changed {
                    problems::end(tx, &xnode, AlertKind::ExpiresSoon, "it was switched off in time").await?;
                }
                Ok(())
            })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(())
}
