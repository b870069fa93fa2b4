//! Watches times to live.

use tokio_util::sync::CancellationToken;

use crate::{
    context::{Context, TaskHandle},
    usecases::expiry,
};

/// Works until `stop`.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let step = || async { expiry::run_once(&context).await.map(Some) };
    super::run_when_woken(&context.clock, &context.wakes.expiry, &handle, &stop, step).await;
}
