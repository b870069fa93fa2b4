//! Compares every account with the inventory, once an interval each; a new one at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    context::{Context, TaskHandle},
    store::StoreError,
    usecases::reconcile,
};

/// Longest pause: an account may have come without the bell being rung.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Shortest pause, whatever the clock does.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Compares until `stop`. A comparison that is under way then is made again after the next start.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let step = || async {
        match stop.run_until_cancelled(run_once(&context)).await {
            Some(pause) => pause.map(Some),
            None => Ok(None),
        }
    };
    super::run_when_woken(&context.clock, &context.wakes.reconcile, &handle, &stop, step).await;
}

/// Compares what is due; returns how long until something is.
pub async fn run_once(context: &Context) -> Result<Duration, StoreError> {
    let next = reconcile::sweep_due(context).await?;
    let until = next.map(|next| next.duration_since(context.clock.now()));
    let pause = until.map_or(LONGEST_PAUSE, |until| Duration::try_from(until).unwrap_or(SHORTEST_PAUSE));
    Ok(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}
