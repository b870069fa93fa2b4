//! The life of a server at its provider after it was made: on, off, on again, gone.
//!
//! An xNode is `running` or `stopped` here when the provider says so and not when it was asked, and it leaves
//! the inventory when the provider says that it is gone. One operation at a time: the second client is told
//! which one is running.

mod delete;

use std::{sync::Arc, time::Duration};

use capsule_api::{
    AlertKind, EventKind, InstanceRef, Leftover, Operation, OperationId, OperationKind, Placement,
    TerminateRequest, XNode, XNodeId, XNodeStatus,
};
use capsule_providers::{Provider, ProviderError};
use serde::{Deserialize, Serialize};

use super::{
    UseCaseError, accounts,
    deployments::drive::{Ended, problem},
    operations, problems,
    xnodes::{self, placed},
};
use crate::{
    context::Context,
    model::Caller,
    rules::{
        deployments::{POLL, pause},
        power::{Switch, Switching, judge_switch},
    },
    store::{self, Lane, StoreError, Tx, intents, xnodes::StoredXNode},
};

/// How long a provider may take to switch a server, bare metal included.
const LONGEST_SWITCH: Duration = Duration::from_secs(1_200);

/// What was asked for, kept with the operation.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Asked {
    /// By power instead of through its system.
    force: bool,
    /// A restart was sent: a second one would take the server away from whoever just got it back.
    #[serde(default)]
    sent: bool,
}

/// Asks for an xNode to be switched on, off, or off and on.
///
/// # Errors
/// [`UseCaseError::WrongState`] for an xNode that is not known at a provider, and while another operation
/// works on it.
pub async fn begin(
    context: &Context,
    by: &Caller,
    given: &str,
    kind: OperationKind,
    force: bool,
) -> Result<Operation, UseCaseError> {
    let action = match kind {
        OperationKind::StartXNode => "start_xnode",
        OperationKind::StopXNode => "stop_xnode",
        _ => "restart_xnode",
    };
    let id = xnodes::resolve(&context.store, given).await?;
    let (given, caller) = (given.to_owned(), by.clone());
    let operation = context
        .store
        .change(by, action, id.to_string(), move |tx| {
            Box::pin(async move { begin_in(tx, &caller, id, &given, kind, force).await })
        })
        .await?;
    context.wakes.operations.ring();
    Ok(operation)
}

/// [`begin`] inside a transaction that writes more than that. Ring `wakes.operations` after the commit.
///
/// # Errors
/// As [`begin`].
pub(super) async fn begin_in(
    tx: &mut Tx,
    by: &Caller,
    id: XNodeId,
    given: &str,
    kind: OperationKind,
    force: bool,
) -> Result<Operation, UseCaseError> {
    free(tx, id, given).await?;
    let operation = operations::pending(by, kind, id.to_string(), tx.now());
    store::operations::insert(tx, &operation).await?;
    store::operations::set_request(tx, operation.id, &Asked { force, sent: false }).await?;
    tx.emit(EventKind::OperationChanged, &operation.id.to_string(), &operation).await?;
    Ok(operation)
}

/// Asks for an xNode to be deleted at its provider and taken out of the inventory.
///
/// # Errors
/// As [`begin`]; [`UseCaseError::WrongState`] also when others go through it.
pub async fn terminate(
    context: &Context,
    by: &Caller,
    given: &str,
    request: TerminateRequest,
) -> Result<Operation, UseCaseError> {
    let id = xnodes::resolve(&context.store, given).await?;
    xnodes::refuse_if_jump(&context.store, id).await?;
    let operation =
        operations::pending(by, OperationKind::TerminateXNode, id.to_string(), context.clock.now());
    let given = given.to_owned();
    let operation = context
        .store
        .change(by, "terminate_xnode", id.to_string(), move |tx| {
            Box::pin(async move {
                let (xnode, placement) = free(tx, id, &given).await?;
                intents::insert(tx, &delete::intent(&operation, &xnode, &placement, request)).await?;
                store::operations::insert(tx, &operation).await?;
                tx.emit(EventKind::OperationChanged, &operation.id.to_string(), &operation).await?;
                Ok::<_, UseCaseError>(operation)
            })
        })
        .await?;
    context.faults.point("delete:planned");
    context.wakes.operations.ring();
    Ok(operation)
}

/// The xNode and where it is known, when nobody else is at work on it.
pub(super) async fn free(tx: &mut Tx, id: XNodeId, given: &str) -> Result<(XNode, Placement), UseCaseError> {
    let stored = store::xnodes::find_in(tx, id).await?;
    let xnode = stored.ok_or_else(|| UseCaseError::not_found("xNode", given))?.xnode;
    let placement = placement(&xnode)?;
    if let Some((doing, operation)) = at_work(tx, id).await? {
        let why = format!("`{}` is at work: {doing}, operation {operation}", xnode.name);
        return Err(UseCaseError::WrongState(why));
    }
    Ok((xnode, placement))
}

/// What works on an xNode at its provider at present, and its operation.
pub(super) async fn at_work(
    tx: &mut Tx,
    id: XNodeId,
) -> Result<Option<(&'static str, OperationId)>, StoreError> {
    if let Some(running) = store::operations::steering_in(tx, &id.to_string()).await? {
        return Ok(Some((running.kind.as_str(), running.id)));
    }
    let under_way = intents::under_way_in(tx, id).await?;
    Ok(under_way.map(|(operation, kind)| (kind.as_str(), operation)))
}

fn placement(xnode: &XNode) -> Result<Placement, UseCaseError> {
    xnode.placement.clone().ok_or_else(|| {
        UseCaseError::WrongState(format!(
            "`{}` is not known at a provider, so it cannot be switched there",
            xnode.name
        ))
    })
}

/// What would go on costing after the xNode is deleted.
///
/// # Errors
/// [`UseCaseError::WrongState`] for an xNode that is not known at a provider; [`UseCaseError::Provider`].
pub async fn leftovers(context: &Context, given: &str) -> Result<Vec<Leftover>, UseCaseError> {
    let xnode = xnodes::stored(&context.store, given).await?.xnode;
    let placement = placement(&xnode)?;
    let provider = accounts::client(context, &placement.account).await?;
    Ok(provider.leftovers(&placement.instance).await?)
}

/// Carries out such an operation to its end; called again after a restart it goes on.
///
/// # Errors
/// Only when the database is closed: the operation goes on at the next start.
pub async fn carry_out(context: &Context, operation: &Operation) -> Result<Ended, StoreError> {
    loop {
        let outcome = match operation.kind {
            OperationKind::TerminateXNode => delete::carry_out(context, operation).await,
            _ => switch(context, operation).await,
        };
        match outcome {
            Ok(ended) => return Ok(ended),
            Err(UseCaseError::Store(StoreError::Closed)) => return Err(StoreError::Closed),
            Err(UseCaseError::Store(error)) => {
                tracing::warn!(operation.id = %operation.id, %error, "an operation waits for the database");
                context.clock.sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Ok(failed("failed", error.to_string())),
        }
    }
}

fn failed(code: &str, detail: impl Into<String>) -> Ended {
    Ended::Failed(problem(code, 502, detail.into()))
}

fn refused(error: &ProviderError) -> Ended {
    failed(error.code(), error.to_string())
}

/// One server at its provider, and until when to wait for it.
struct Steered<'a> {
    context: &'a Context,
    operation: &'a Operation,
    provider: Arc<dyn Provider>,
    instance: InstanceRef,
    until: Duration,
}

/// Why a wait ended without what was waited for.
enum Waited {
    /// Nobody waits any more.
    Stopped,
    /// It took too long.
    TooLong,
}

impl Steered<'_> {
    /// Pauses; `Err` when there is nothing more to wait for.
    async fn pause(&self, pause: Duration, may_stop: bool) -> Result<Result<(), Waited>, UseCaseError> {
        if self.until <= self.context.clock.elapsed() {
            return Ok(Err(Waited::TooLong));
        }
        let mut reader = self.context.store.reader().await?;
        let stop = may_stop && store::operations::is_cancel_requested(&mut reader, self.operation.id).await?;
        drop(reader);
        if stop {
            return Ok(Err(Waited::Stopped));
        }
        self.context.clock.sleep(pause).await;
        Ok(Ok(()))
    }

    fn gave_up(&self, waited: &Waited, last: &str) -> Ended {
        match waited {
            Waited::Stopped => Ended::Cancelled(last.to_owned()),
            Waited::TooLong => failed("deadline_exceeded", format!("it took too long: {last}")),
        }
    }
}

async fn switch(context: &Context, operation: &Operation) -> Result<Ended, UseCaseError> {
    let Ok(id) = operation.resource.parse::<XNodeId>() else {
        return Ok(failed("xnode_not_found", "the operation names no xNode"));
    };
    let found = store::xnodes::find(&mut *context.store.reader().await?, id).await?;
    let Some(stored) = found else {
        return Ok(failed("xnode_not_found", "the xNode was removed meanwhile"));
    };
    let placement = placement(&stored.xnode)?;
    let steered = Steered {
        context,
        operation,
        provider: accounts::client(context, &placement.account).await?,
        instance: placement.instance,
        until: context.clock.elapsed() + LONGEST_SWITCH,
    };
    let mut reader = context.store.reader().await?;
    let asked: Asked = store::operations::request(&mut reader, operation.id).await?;
    drop(reader);
    steer(&steered, id, asked).await
}

/// Looks, asks when it helps, and looks until the provider says so. It is looked first: a server that is still
/// being made takes no orders, and one that is where it should be needs none.
async fn steer(steered: &Steered<'_>, id: XNodeId, asked: Asked) -> Result<Ended, UseCaseError> {
    let (context, kind) = (steered.context, steered.operation.kind);
    let stops = kind == OperationKind::StopXNode;
    let wanted = match kind {
        OperationKind::StartXNode => Switch::On,
        OperationKind::StopXNode => Switch::Off,
        _ => Switch::OffAndOn,
    };
    let mut asked_at = asked.sent.then(|| context.clock.elapsed());
    let mut errors = 0;
    loop {
        let since = asked_at.map(|at| context.clock.elapsed().saturating_sub(at));
        let last = match steered.provider.instance(&steered.instance).await {
            Ok(Some(seen)) => match judge_switch(seen.status, wanted, since) {
                Switching::Done => {
                    let status = if stops { XNodeStatus::Stopped } else { XNodeStatus::Running };
                    let set = move |row: &mut StoredXNode| {
                        row.xnode.status = status;
                        placed::set_address(&mut row.xnode, &seen);
                    };
                    return settle(context, id, stops, set).await;
                }
                Switching::Failed => return Ok(failed("failed", "the provider says that it failed")),
                Switching::Gone => return Ok(failed("gone", "the provider no longer knows it")),
                Switching::Wait => {
                    errors = 0;
                    format!("it is {} at the provider", seen.status)
                }
                Switching::Ask => match ask(steered, asked.force).await? {
                    // Whether it happened, the provider's record says.
                    Ok(()) | Err(ProviderError::UnknownOutcome { .. }) => {
                        context.faults.point("power:asked");
                        asked_at = Some(context.clock.elapsed());
                        errors = 0;
                        continue;
                    }
                    Err(error) if error.is_transient() => {
                        errors += 1;
                        error.to_string()
                    }
                    Err(error) => return Ok(refused(&error)),
                },
            },
            Ok(None) => return Ok(failed("gone", "the provider no longer knows it")),
            Err(error) if error.is_transient() => {
                errors += 1;
                error.to_string()
            }
            Err(error) => return Ok(refused(&error)),
        };
        let rest = if errors == 0 { POLL } else { pause(errors) };
        if let Err(waited) = steered.pause(rest, true).await? {
            let was_asked = if asked_at.is_some() { "was asked already" } else { "was not asked" };
            return Ok(steered.gave_up(&waited, &format!("the provider {was_asked}; {last}")));
        }
    }
}

/// Asks the provider, once.
async fn ask(steered: &Steered<'_>, force: bool) -> Result<capsule_providers::Result<()>, UseCaseError> {
    let (provider, instance) = (&steered.provider, &steered.instance);
    match steered.operation.kind {
        OperationKind::StartXNode => return Ok(provider.start(instance).await),
        OperationKind::StopXNode => return Ok(provider.stop(instance, force).await),
        _ => {}
    }
    let (id, sent) = (steered.operation.id, Asked { force, sent: true });
    steered
        .context
        .store
        .write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move { store::operations::set_request(tx, id, &sent).await })
        })
        .await?;
    Ok(provider.restart(instance, force).await)
}

async fn settle(
    context: &Context,
    id: XNodeId,
    stops: bool,
    set: impl FnOnce(&mut StoredXNode) + Send + 'static,
) -> Result<Ended, UseCaseError> {
    let now = context.clock.now();
    let xnode = context
        .store
        .change(&Caller::daemon(), "update_xnode", id.to_string(), move |tx| {
            Box::pin(async move {
                let changed = placed::amend(tx, id, |row| {
                    set(row);
                    // A time to live that ended in a stop has done its work.
                    if let Some(placement) = &mut row.xnode.placement
                        && stops
                        && placement.expiry.is_some_and(|expiry| expiry.at <= now)
                    {
                        placement.expiry = None;
                    }
                })
                .await?;
                if let Some(xnode) = &changed
                    && xnode.placement.as_ref().is_some_and(|placement| placement.expiry.is_none())
                {
                    problems::end(tx, xnode, AlertKind::ExpiresSoon, "it is switched off").await?;
                }
                Ok::<_, UseCaseError>(changed)
            })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    match xnode {
        Some(xnode) => Ok(Ended::Done(serde_json::json!({ "xnode": id, "status": xnode.status }))),
        None => Ok(failed("xnode_not_found", "the xNode was removed meanwhile")),
    }
}
