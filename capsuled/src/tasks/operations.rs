//! Carries out operations. Every kind can begin again from its row, so a restart picks up whatever had not
//! ended: for each [`OperationKind`] there is one arm in `carry_out`, and the compiler asks for it.

use std::{collections::HashSet, time::Duration};

use capsule_api::{EventKind, Operation, OperationId, OperationKind, OperationState, Problem, XNodeId};
use tokio::{sync::oneshot, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    context::{CollectNow, Context, RunNow, TaskHandle},
    logging::Chain,
    store::{Lane, StoreError, Tx, operations, xnodes},
    usecases::{
        deployments::{self, drive::Ended},
        power, reconcile, telling, templates, watching,
    },
};

/// A probe ends within a minute; twice that means the prober is not there.
const LONGEST: Duration = Duration::from_secs(120);

/// Works until `stop`; what is under way then goes on at the next start.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let mut under_way: JoinSet<OperationId> = JoinSet::new();
    let mut started: HashSet<OperationId> = HashSet::new();
    loop {
        let (at, began) = (context.clock.now(), context.clock.elapsed());
        let outcome = start_pending(&context, &mut under_way, &mut started).await;
        let error = outcome.err().map(|error| Chain(&error).to_string());
        let pause = error.as_ref().map(|_| super::AFTER_FAILURE);
        handle.ran(at, context.clock.elapsed().saturating_sub(began), error);
        tokio::select! {
            () = stop.cancelled() => return,
            () = context.wakes.operations.rung() => {}
            () = super::sleep_or_never(&context.clock, pause) => {}
            Some(done) = under_way.join_next() => {
                match done {
                    Ok(id) => _ = started.remove(&id),
                    Err(error) => tracing::error!(%error, "an operation panicked"),
                }
            }
        }
    }
}

async fn start_pending(
    context: &Context,
    under_way: &mut JoinSet<OperationId>,
    started: &mut HashSet<OperationId>,
) -> Result<(), StoreError> {
    let mut reader = context.store.reader().await?;
    for operation in operations::list(&mut reader, true, None, 1_000).await? {
        if started.insert(operation.id) {
            let context = context.clone();
            under_way.spawn(async move {
                let id = operation.id;
                if let Err(error) = work(&context, operation).await {
                    tracing::error!(operation.id = %id, error = %Chain(&error), "could not write operation {id}");
                }
                id
            });
        }
    }
    Ok(())
}

async fn work(context: &Context, operation: Operation) -> Result<(), StoreError> {
    let id = operation.id;
    if operation.state == OperationState::Pending {
        advance(context, id, OperationState::Running, "started", 10).await?;
    }
    let ended = match operation.kind {
        OperationKind::Deploy => deployments::drive::carry_out(context, id).await?,
        OperationKind::StartXNode
        | OperationKind::StopXNode
        | OperationKind::RestartXNode
        | OperationKind::TerminateXNode => power::carry_out(context, &operation).await?,
        _ => within_minutes(context, &operation).await?,
    };
    let outcome = match ended {
        Ended::Done(result) => Ok(result),
        Ended::Failed(problem) => Err(problem),
        Ended::Cancelled(why) => return cancelled(context, id, why).await,
    };
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                operations::finish(tx, id, outcome.as_ref().map_err(AsRef::as_ref)).await?;
                tell_end(tx, id).await
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(())
}

async fn cancelled(context: &Context, id: OperationId, why: String) -> Result<(), StoreError> {
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                operations::finish_cancelled(tx, id, &why).await?;
                tell_end(tx, id).await
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(())
}

/// Work that is over in a moment, and may be dropped anywhere when somebody asks for it to stop. What changes
/// a server at a provider is neither: it has deadlines of its own and stops only where nothing is lost by it.
async fn within_minutes(context: &Context, operation: &Operation) -> Result<Ended, StoreError> {
    let id = operation.id;
    let stopped = async {
        loop {
            context.clock.sleep(Duration::from_millis(500)).await;
            let mut reader = context.store.reader().await?;
            if operations::is_cancel_requested(&mut reader, id).await? {
                return Ok::<(), StoreError>(());
            }
        }
    };
    let outcome = tokio::select! {
        outcome = timeout(LONGEST, carry_out(context, operation)) => outcome,
        stopped = stopped => {
            stopped?;
            return Ok(Ended::Cancelled("cancelled on request".to_owned()));
        }
    };
    let outcome = outcome.unwrap_or_else(|_| Err(failure("deadline_exceeded", "no answer within 2 minutes")));
    Ok(match outcome {
        Ok(result) => Ended::Done(result),
        Err(problem) => Ended::Failed(problem),
    })
}

async fn carry_out(context: &Context, operation: &Operation) -> Result<serde_json::Value, Box<Problem>> {
    match operation.kind {
        OperationKind::RunChecks => run_checks(context, named_xnode(operation)?).await,
        OperationKind::CollectMetrics => collect_metrics(context, named_xnode(operation)?).await,
        OperationKind::RefreshTemplates => refresh_templates(context, &operation.resource).await,
        OperationKind::Reconcile => compare_accounts(context, operation).await,
        OperationKind::Deploy
        | OperationKind::StartXNode
        | OperationKind::StopXNode
        | OperationKind::RestartXNode
        | OperationKind::TerminateXNode => Err(failure("not_there_yet", "this version cannot do it yet")),
    }
}

fn named_xnode(operation: &Operation) -> Result<XNodeId, Box<Problem>> {
    operation.resource.parse().map_err(|_| failure("xnode_not_found", "the operation names no xNode"))
}

async fn run_checks(context: &Context, xnode: XNodeId) -> Result<serde_json::Value, Box<Problem>> {
    let stored = find(context, xnode).await?;
    let checks: Vec<_> =
        stored.xnode.checks.iter().filter(|check| check.enabled).map(|check| check.id).collect();
    if checks.is_empty() {
        return Err(failure("no_checks", "the xNode has no enabled checks"));
    }
    let (done, wait) = oneshot::channel();
    context.wakes.run_now(RunNow { checks, done });
    wait.await.map_err(|_| {
        failure("not_probed", "the xNode is not probed while its status is stopped or deploying")
    })?;
    // The health that is told must be the one that these results led to.
    context.wakes.judged().await;
    let stored = find(context, xnode).await?;
    let health = watching::xnode_health(context, &stored);
    Ok(serde_json::to_value(health).unwrap_or_default())
}

async fn collect_metrics(context: &Context, xnode: XNodeId) -> Result<serde_json::Value, Box<Problem>> {
    let stored = find(context, xnode).await?;
    let (done, wait) = oneshot::channel();
    context.wakes.collect_now(CollectNow { xnode, done });
    wait.await
        .map_err(|_| failure("not_collected", "no SSH user is set for the xNode, or it is not running"))?;
    let metrics = watching::xnode_metrics(context, &stored);
    match metrics.error {
        Some(error) => Err(failure("collection_failed", &error)),
        None => Ok(serde_json::to_value(metrics).unwrap_or_default()),
    }
}

async fn refresh_templates(context: &Context, resource: &str) -> Result<serde_json::Value, Box<Problem>> {
    let refreshed = templates::refresh(context, resource).await;
    let results = refreshed.map_err(|error| failure("refresh_failed", &Chain(&error).to_string()))?;
    // One provider that answers is a refresh; the result says who did not.
    let failed: Vec<String> = results
        .iter()
        .filter_map(|result| Some(format!("{}: {}", result.account, result.error.as_ref()?)))
        .collect();
    if failed.len() == results.len() {
        return Err(failure("refresh_failed", &failed.join("; ")));
    }
    Ok(serde_json::json!({ "items": results }))
}

async fn compare_accounts(
    context: &Context,
    operation: &Operation,
) -> Result<serde_json::Value, Box<Problem>> {
    let failed = |error: &dyn std::error::Error| failure("reconcile_failed", &Chain(error).to_string());
    let mut sweeps = reconcile::start(context, &operation.resource).await.map_err(|error| failed(&error))?;
    let count = sweeps.count();
    let mut done = 0;
    while let Some(outcome) = sweeps.next().await {
        outcome.map_err(|error| failed(&error))?;
        done += 1;
        let percent = u8::try_from(10 + 85 * done / count.max(1)).unwrap_or(95);
        let stage = format!("{done} of {count} accounts compared");
        advance(context, operation.id, OperationState::Running, &stage, percent)
            .await
            .map_err(|error| failed(&error))?;
    }
    let results = sweeps.results(context).await.map_err(|error| failed(&error))?;
    // One account that answers is a comparison; the result says who did not.
    let errors: Vec<String> = results
        .iter()
        .filter_map(|sweep| Some(format!("{}: {}", sweep.account, sweep.error.as_ref()?)))
        .collect();
    if !results.is_empty() && errors.len() == results.len() {
        return Err(failure("reconcile_failed", &errors.join("; ")));
    }
    Ok(serde_json::json!({ "items": results }))
}

async fn find(context: &Context, xnode: XNodeId) -> Result<xnodes::StoredXNode, Box<Problem>> {
    let read = async {
        let mut reader = context.store.reader().await?;
        xnodes::find(&mut reader, xnode).await
    };
    match read.await {
        Ok(Some(stored)) => Ok(stored),
        Ok(None) => Err(failure("xnode_not_found", "the xNode was removed meanwhile")),
        Err(error) => Err(failure("store", &Chain(&error).to_string())),
    }
}

fn failure(code: &str, detail: &str) -> Box<Problem> {
    Box::new(Problem {
        kind: "about:blank".to_owned(),
        title: "The operation failed".to_owned(),
        status: 409,
        detail: detail.to_owned(),
        code: code.to_owned(),
        hint: None,
        request_id: String::new(),
    })
}

async fn advance(
    context: &Context,
    id: OperationId,
    state: OperationState,
    stage: &str,
    progress_percent: u8,
) -> Result<(), StoreError> {
    let stage = stage.to_owned();
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                if operations::advance(tx, id, state, &stage, progress_percent).await? {
                    emit(tx, id).await?;
                }
                Ok(())
            })
        })
        .await
}

/// To whoever listens now, and through the outbox to the channels that ask for it.
async fn tell_end(tx: &mut Tx, id: OperationId) -> Result<(), StoreError> {
    emit(tx, id).await?;
    match operations::find_in(tx, id).await? {
        Some(operation) => telling::tell_end(tx, operation).await,
        None => Ok(()),
    }
}

async fn emit(tx: &mut Tx, id: OperationId) -> Result<(), StoreError> {
    if let Some(operation) = operations::find_in(tx, id).await? {
        tx.emit(EventKind::OperationChanged, &id.to_string(), &operation).await?;
    }
    Ok(())
}
