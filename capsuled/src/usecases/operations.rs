//! Operations: long work as a row that a task picks up, and the wait for its end.

use std::time::Duration;

use capsule_api::{EventKind, Operation, OperationId, OperationKind, OperationState, XNode};
use jiff::Timestamp;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::{Listing, Slice, UseCaseError, watching, xnodes};
use crate::{context::Context, model::Caller, store::operations};

/// Asks for every check of an xNode to be probed now.
///
/// # Errors
/// [`UseCaseError::WrongState`] for an xNode without enabled checks.
pub async fn run_checks(context: &Context, by: &Caller, given: &str) -> Result<Operation, UseCaseError> {
    let xnode = xnodes::stored(&context.store, given).await?.xnode;
    if !xnode.checks.iter().any(|check| check.enabled) {
        return Err(UseCaseError::WrongState(format!("`{}` has no enabled checks", xnode.name)));
    }
    refuse_unwatched(&xnode)?;
    begin(context, by, "run_xnode_checks", OperationKind::RunChecks, xnode.id.to_string()).await
}

/// Asks for an xNode's resources to be read now.
///
/// # Errors
/// [`UseCaseError::WrongState`] for an xNode that we cannot log in to.
pub async fn collect_metrics(context: &Context, by: &Caller, given: &str) -> Result<Operation, UseCaseError> {
    let xnode = xnodes::stored(&context.store, given).await?.xnode;
    if !xnode.own_host && xnode.ssh.user.is_none() {
        return Err(UseCaseError::WrongState(format!("`{}` has no SSH user to log in as", xnode.name)));
    }
    refuse_unwatched(&xnode)?;
    begin(context, by, "collect_xnode_metrics", OperationKind::CollectMetrics, xnode.id.to_string()).await
}

fn refuse_unwatched(xnode: &XNode) -> Result<(), UseCaseError> {
    if watching::is_watched(xnode.status) {
        return Ok(());
    }
    Err(UseCaseError::WrongState(format!("`{}` is {} and therefore not watched", xnode.name, xnode.status)))
}

/// An operation that nobody has begun.
pub(super) fn pending(by: &Caller, kind: OperationKind, resource: String, now: Timestamp) -> Operation {
    Operation {
        id: OperationId(Uuid::now_v7()),
        kind,
        state: OperationState::Pending,
        resource,
        stage: "waiting".to_owned(),
        progress_percent: 0,
        result: None,
        error: None,
        cancellable: true,
        created_by: by.name.clone(),
        created_at: now,
        updated_at: now,
    }
}

/// Writes down work that the operations task then carries out. `action` is the API operation's id.
pub(super) async fn begin(
    context: &Context,
    by: &Caller,
    action: &'static str,
    kind: OperationKind,
    resource: String,
) -> Result<Operation, UseCaseError> {
    let operation = pending(by, kind, resource.clone(), context.clock.now());
    let operation = context
        .store
        .change(by, action, resource, move |tx| {
            Box::pin(async move {
                operations::insert(tx, &operation).await?;
                tx.emit(EventKind::OperationChanged, &operation.id.to_string(), &operation).await?;
                Ok::<_, UseCaseError>(operation)
            })
        })
        .await?;
    context.wakes.operations.ring();
    Ok(operation)
}

/// The operations, newest first.
pub async fn list(context: &Context, listing: &Listing) -> Result<Slice<Operation>, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let rows = operations::list(&mut reader, false, listing.after()?, listing.limit_plus_one()).await?;
    Ok(listing.slice(rows, |operation| operation.id.to_string()))
}

/// One operation, as soon as it has ended or `wait` is over. Cancel-safe.
pub async fn get(context: &Context, id: OperationId, wait: Duration) -> Result<Operation, UseCaseError> {
    // Subscribed before the first look, so an end between the two is not missed.
    let mut events = context.store.subscribe();
    let deadline = Instant::now() + wait;
    let subject = id.to_string();
    let mut operation = find(context, id).await?;
    while !operation.state.is_final() {
        match timeout_at(deadline, events.recv()).await {
            Ok(Ok(event)) if event.kind != EventKind::OperationChanged || event.subject != subject => {
                continue;
            }
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => operation = find(context, id).await?,
            Ok(Err(RecvError::Closed)) | Err(_) => break,
        }
    }
    Ok(operation)
}

async fn find(context: &Context, id: OperationId) -> Result<Operation, UseCaseError> {
    let found = operations::find(&mut *context.store.reader().await?, id).await?;
    found.ok_or_else(|| not_found(id))
}

fn not_found(id: OperationId) -> UseCaseError {
    UseCaseError::not_found("operation", id)
}

/// Asks an operation to stop.
///
/// # Errors
/// [`UseCaseError::WrongState`] when it has ended.
pub async fn cancel(context: &Context, by: &Caller, id: OperationId) -> Result<Operation, UseCaseError> {
    let operation = context
        .store
        .change(by, "cancel_operation", id.to_string(), move |tx| {
            Box::pin(async move {
                let before = operations::find_in(tx, id).await?.ok_or_else(|| not_found(id))?;
                if !operations::request_cancel(tx, id).await? {
                    return Err(UseCaseError::WrongState(format!("the operation has {}", before.state)));
                }
                let operation = operations::find_in(tx, id).await?.ok_or_else(|| not_found(id))?;
                tx.emit(EventKind::OperationChanged, &id.to_string(), &operation).await?;
                Ok(operation)
            })
        })
        .await?;
    context.wakes.operations.ring();
    Ok(operation)
}
