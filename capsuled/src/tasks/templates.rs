//! Keeps prices, stock and plans fresh: each account's list once a day, sooner after a failure and for a new
//! account.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    context::{Context, TaskHandle},
    store::StoreError,
    usecases::templates,
};

/// Longest pause: an account may have come without the bell being rung.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Shortest pause, whatever the clock does.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Refreshes until `stop`. A list that is being asked for then is asked for again after the next start.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let step = || async {
        match stop.run_until_cancelled(run_once(&context)).await {
            Some(pause) => pause.map(Some),
            None => Ok(None),
        }
    };
    super::run_when_woken(&context.clock, &context.wakes.templates, &handle, &stop, step).await;
}

/// Refreshes what is due; returns how long until something is.
pub async fn run_once(context: &Context) -> Result<Duration, StoreError> {
    let next = templates::refresh_due(context).await?;
    let until = next.map(|next| next.duration_since(context.clock.now()));
    let pause = until.and_then(|until| Duration::try_from(until).ok()).unwrap_or(SHORTEST_PAUSE);
    Ok(if next.is_none() { LONGEST_PAUSE } else { pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE) })
}
