//! Waiting for a condition, with a deadline and the last thing seen.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

/// How long a condition may take on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Looks until `look` returns `Ok`, and returns that.
///
/// # Panics
/// After `deadline`, with what `look` said last.
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(last) if begun.elapsed() > deadline => {
                panic!("{what} did not happen within {deadline:?}; last seen: {last:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
