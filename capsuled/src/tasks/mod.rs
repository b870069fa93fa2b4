//! Background reconcilers and the supervisor that owns them.
//!
//! A task takes no input: somebody rings its bell, it reads what should be true and moves the world one step
//! closer. A crash, a double ring and a restart are therefore the same case. The prober differs in one thing:
//! it runs on a thread of its own, because one thread is cheaper than two for work that never blocks.

pub mod collector;
pub mod evaluator;
pub mod expiry;
pub mod operations;
pub mod outbox;
pub mod prober;
pub mod reconcile;
pub mod recorder;
pub mod remediation;
pub mod retention;
pub mod supervisor;
pub mod templates;

use std::{future::Future, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    context::{TaskHandle, Wake},
    logging::Chain,
    store::StoreError,
};

/// How long a task waits after a run that failed before it looks again by itself.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Shortest time between two readings of the inventory: a client that changes hundreds of xNodes a second
/// must not have the whole inventory read as often.
const BETWEEN_RELOADS: Duration = Duration::from_millis(100);

/// Runs `step` when `wake` rings and again when the pause it asked for is over, one run at a time, until
/// `stop`. `step` returns how long it may sleep; `None`: until somebody rings.
async fn run_when_woken<Step, Run>(
    clock: &Clock,
    wake: &Wake,
    handle: &TaskHandle,
    stop: &CancellationToken,
    mut step: Step,
) where
    Step: FnMut() -> Run,
    Run: Future<Output = Result<Option<Duration>, StoreError>>,
{
    loop {
        let (at, began) = (clock.now(), clock.elapsed());
        let outcome = step().await;
        let failure = outcome.as_ref().err().map(|error| Chain(error).to_string());
        if let Some(failure) = &failure {
            tracing::warn!(error = %failure, "a background run failed; trying again");
        }
        handle.ran(at, clock.elapsed().saturating_sub(began), failure);
        let pause = outcome.unwrap_or(Some(AFTER_FAILURE));
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.rung() => {}
            () = sleep_or_never(clock, pause) => {}
        }
    }
}

async fn sleep_or_never(clock: &Clock, pause: Option<Duration>) {
    match pause {
        Some(pause) => clock.sleep(pause).await,
        None => std::future::pending().await,
    }
}
