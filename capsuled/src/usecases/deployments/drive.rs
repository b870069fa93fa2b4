//! Moves intents along, one step at a time, until they have ended.

use std::time::Duration;

use capsule_api::{
    DeploymentState as State, EventKind, IntentId, OperationId, OperationState, Problem, XNodeId,
};
use capsule_providers::{Provider, ProviderError};
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::{inventory, of_operation, reach, send};
use crate::{
    context::Context,
    logging::Chain,
    model::Intent,
    rules::deployments::{self as rules, Step},
    store::{self, BoxFuture, Lane, StoreError, Tx, intents},
    usecases::{UseCaseError, accounts},
};

/// Servers of one operation that are made at the same time.
const AT_ONCE: usize = 16;
/// A provider's call ends within a few times its own deadline; one that does not is cut here.
const LONGEST_CALL: Duration = Duration::from_secs(300);
/// How often a waiting step looks whether it should stop.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// After a database that refused.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How an operation ended.
#[derive(Debug)]
pub enum Ended {
    /// Done, with its result.
    Done(serde_json::Value),
    /// Not done.
    Failed(Box<Problem>),
    /// Stopped on request; what that means.
    Cancelled(String),
}

/// When to take the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// At once.
    Now,
    /// After this pause, or when somebody asks for it to stop.
    After(Duration),
    /// After a pause that grows with every error in a row.
    AfterError,
}

/// What was tried: outcome and detail.
pub(super) type Tried = (String, String);

/// Carries out a deployment's operation to its end; called again after a restart it goes on.
///
/// # Errors
/// Only when the database is closed: the operation goes on at the next start.
pub async fn carry_out(context: &Context, operation: OperationId) -> Result<Ended, StoreError> {
    let ids = loop {
        let found = async { intents::of_operation(&mut *context.store.reader().await?, operation).await };
        match found.await {
            Ok(ids) => break ids,
            Err(error) => wait_for_database(context, error).await?,
        }
    };
    let mut unfinished: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for (id, state) in ids {
        if !state.is_final() {
            unfinished.push(Box::pin(drive(context, operation, id)));
        }
    }
    let mut driven = stream::iter(unfinished).buffer_unordered(AT_ONCE);
    while let Some(done) = driven.next().await {
        done?;
    }
    drop(driven);
    loop {
        match of_operation(context, operation).await {
            Ok(rows) => return Ok(sum_up(&rows)),
            Err(UseCaseError::Store(error)) => wait_for_database(context, error).await?,
            Err(error) => return Ok(Ended::Failed(problem("failed", 500, Chain(&error).to_string()))),
        }
    }
}

async fn wait_for_database(context: &Context, error: StoreError) -> Result<(), StoreError> {
    if matches!(error, StoreError::Closed) {
        return Err(error);
    }
    tracing::warn!(error = %Chain(&error), "a deployment waits for the database");
    context.clock.sleep(AFTER_FAILURE).await;
    Ok(())
}

async fn drive(context: &Context, operation: OperationId, id: IntentId) -> Result<(), StoreError> {
    let mut errors = 0;
    loop {
        match step(context, operation, id).await {
            Ok(None) => return Ok(()),
            Ok(Some(Next::Now)) => errors = 0,
            Ok(Some(Next::After(pause))) => {
                errors = 0;
                sleep_or_stop(context, operation, pause).await;
            }
            Ok(Some(Next::AfterError)) => {
                errors += 1;
                sleep_or_stop(context, operation, rules::pause(errors)).await;
            }
            Err(UseCaseError::Store(error)) => wait_for_database(context, error).await?,
            Err(error) => {
                tracing::error!(intent.id = %id, error = %Chain(&error), "a step of the deployment {id} failed");
                context.clock.sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Takes the step that the row calls for; `None`: it has ended.
pub(super) async fn step(
    context: &Context,
    operation: OperationId,
    id: IntentId,
) -> Result<Option<Next>, UseCaseError> {
    let found = intents::find(&mut *context.store.reader().await?, id).await?;
    let Some(mut intent) = found else { return Ok(None) };
    let stop = is_stop_requested(context, operation).await?;
    let from = intent.state;
    let next = match rules::next(from, stop) {
        Step::Rest => return Ok(None),
        Step::Begin => {
            enter(&mut intent, State::Preparing, context);
            write(context, intent, from, Vec::new()).await?;
            Next::Now
        }
        Step::PrepareAndSend => send::prepare_and_send(context, intent).await?,
        Step::Doubt => {
            let why = "the daemon stopped before the answer came".to_owned();
            send::doubt(context, intent, why).await?
        }
        Step::LookUp => send::look_up(context, intent, stop).await?,
        Step::Finish => reach::finish(context, intent).await?,
        Step::Await => reach::await_running(context, intent).await?,
        Step::Reach => reach::reach(context, intent).await?,
        Step::Cancel => {
            enter(&mut intent, State::Cancelled, context);
            "stopped on request; nothing was made".clone_into(&mut intent.reason);
            write(context, intent, from, Vec::new()).await?;
            Next::Now
        }
        Step::Abandon => {
            let reason = format!(
                "stopped on request; the server is there and billed: `capsulectl xnode delete {}` ends it",
                intent.name
            );
            inventory::leave(context, intent, State::Cancelled, reason).await?
        }
    };
    Ok(Some(next))
}

/// Whether somebody asked for the operation to stop.
pub(super) async fn is_stop_requested(
    context: &Context,
    operation: OperationId,
) -> Result<bool, UseCaseError> {
    Ok(store::operations::is_cancel_requested(&mut *context.store.reader().await?, operation).await?)
}

async fn sleep_or_stop(context: &Context, operation: OperationId, pause: Duration) {
    let until = context.clock.elapsed() + pause;
    let already = is_stop_requested(context, operation).await.unwrap_or(true);
    while context.clock.elapsed() < until {
        // Who was asked to stop already has nothing to wait for but the pause itself.
        let look = if already { until } else { until.min(context.clock.elapsed() + BETWEEN_LOOKS) };
        context.clock.sleep_until(look).await;
        if !already && is_stop_requested(context, operation).await.unwrap_or(false) {
            return;
        }
    }
}

/// The client of the account in hand.
pub(super) async fn client(
    context: &Context,
    intent: &Intent,
) -> Result<std::sync::Arc<dyn Provider>, UseCaseError> {
    accounts::client(context, &intent.account).await
}

/// A provider's call, cut when it does not end. What a cut call means is for the caller to say.
pub(super) async fn bounded<T>(
    call: impl Future<Output = capsule_providers::Result<T>>,
    cut: impl FnOnce() -> ProviderError,
) -> capsule_providers::Result<T> {
    timeout(LONGEST_CALL, call).await.unwrap_or_else(|_| Err(cut()))
}

/// Puts the intent into a state.
pub(super) fn enter(intent: &mut Intent, state: State, context: &Context) {
    intent.state = state;
    intent.state_at = context.clock.now();
    intent.reason.clear();
}

/// Writes a move with what was tried, and the operation's progress, in one transaction.
pub(super) async fn write(
    context: &Context,
    intent: Intent,
    from: State,
    tried: Vec<(usize, Tried)>,
) -> Result<(), UseCaseError> {
    context
        .store
        .write::<(), UseCaseError>(Lane::Normal, move |tx| {
            Box::pin(async move { write_in(tx, &intent, from, &tried).await })
        })
        .await
}

/// As [`write`], inside a transaction.
pub(super) async fn write_in(
    tx: &mut Tx,
    intent: &Intent,
    from: State,
    tried: &[(usize, Tried)],
) -> Result<(), UseCaseError> {
    debug_assert!(rules::may_follow(from, intent.state), "{from} -> {}", intent.state);
    if !intents::update(tx, intent, from).await? {
        return Err(UseCaseError::WrongState(format!("the deployment of `{}` has moved on", intent.name)));
    }
    for (offer, (outcome, detail)) in tried {
        intents::add_attempt(tx, intent.id, *offer, outcome, detail).await?;
    }
    Ok(tell_progress(tx, intent).await?)
}

async fn tell_progress(tx: &mut Tx, intent: &Intent) -> Result<(), StoreError> {
    let states = intents::of_operation_in(tx, intent.operation).await?;
    let done: usize = states.iter().map(|(_, state)| usize::from(rules::progress(*state).0)).sum();
    // The operation itself says when all is done.
    let percent = u8::try_from(done / states.len().max(1)).unwrap_or(99).min(99);
    let stage = format!("{}: {}", intent.name, rules::progress(intent.state).1);
    if store::operations::advance(tx, intent.operation, OperationState::Running, &stage, percent).await?
        && let Some(operation) = store::operations::find_in(tx, intent.operation).await?
    {
        tx.emit(EventKind::OperationChanged, &operation.id.to_string(), &operation).await?;
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct Made<'a> {
    deployment: IntentId,
    name: &'a str,
    xnode: Option<XNodeId>,
}

fn sum_up(rows: &[Intent]) -> Ended {
    let told = |state: State| {
        let rows = rows.iter().filter(|row| row.state == state);
        rows.map(|row| format!("{}: {}", row.name, row.reason)).collect::<Vec<_>>()
    };
    let (failed, cancelled) = (told(State::Failed), told(State::Cancelled));
    if !failed.is_empty() {
        let detail = match failed.len() {
            count if count == rows.len() => failed.join("; "),
            count => format!("{count} of {} servers: {}", rows.len(), failed.join("; ")),
        };
        return Ended::Failed(problem("deployment_failed", 502, detail));
    }
    if !cancelled.is_empty() {
        return Ended::Cancelled(cancelled.join("; "));
    }
    let made = |row: &Intent| {
        let made = Made { deployment: row.id, name: row.name.as_str(), xnode: row.xnode };
        serde_json::to_value(made).unwrap_or_default()
    };
    Ended::Done(serde_json::json!({ "xnodes": rows.iter().map(made).collect::<Vec<_>>() }))
}

/// The problem that an operation ends with.
pub(in crate::usecases) fn problem(code: &str, status: u16, detail: String) -> Box<Problem> {
    Box::new(Problem {
        kind: "about:blank".to_owned(),
        title: "The operation failed".to_owned(),
        status,
        detail,
        code: code.to_owned(),
        hint: None,
        request_id: String::new(),
    })
}
