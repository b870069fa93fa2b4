//! Writes probe results in batches. A failing database costs no probe: results wait in memory, within
//! bounds, and what had to be dropped is counted.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    context::{Context, TaskHandle},
    model::CheckKey,
    store::{StoreError, probes, probes::RawResult},
};

/// Time between batches. Longer costs more history in a crash, shorter more commits.
const PAUSE: Duration = Duration::from_millis(500);
const BATCH: usize = 2_000;
/// About five minutes of 3,000 checks every 10 s, and 10 MB.
const MOST_WAITING: usize = 100_000;

/// Results that wait to be written.
#[derive(Debug, Default)]
pub struct Waiting {
    results: Mutex<VecDeque<(CheckKey, RawResult)>>,
}

impl Waiting {
    /// Adds a result; the oldest goes when there are too many.
    pub fn push(&self, check: CheckKey, result: RawResult) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.len() == MOST_WAITING {
            results.pop_front();
            metrics::counter!("capsule_probe_results_dropped_total").increment(1);
        }
        results.push_back((check, result));
    }

    fn take(&self) -> Vec<(CheckKey, RawResult)> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let count = results.len().min(BATCH);
        results.drain(..count).collect()
    }

    fn put_back(&self, batch: Vec<(CheckKey, RawResult)>) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        for result in batch.into_iter().rev() {
            if results.len() < MOST_WAITING {
                results.push_front(result);
            }
        }
    }

    fn len(&self) -> usize {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Writes what waits every half second until `stop`, and once more then.
pub async fn run(
    context: Context,
    waiting: std::sync::Arc<Waiting>,
    handle: TaskHandle,
    stop: CancellationToken,
) {
    let mut failing = false;
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(PAUSE) => false,
        };
        let (at, began) = (context.clock.now(), context.clock.elapsed());
        let outcome = write_all(&context, &waiting).await;
        context.live.update_probing(|probing| probing.unwritten = waiting.len() as u64);
        let error = outcome.err().map(|error| crate::logging::Chain(&error).to_string());
        if let Some(error) = error.as_ref().filter(|_| !failing) {
            tracing::error!(error, "could not write probe results; they wait in memory");
        }
        failing = error.is_some();
        handle.ran(at, context.clock.elapsed().saturating_sub(began), error);
        if stopping {
            return;
        }
    }
}

async fn write_all(context: &Context, waiting: &Waiting) -> Result<(), StoreError> {
    loop {
        let batch = waiting.take();
        if batch.is_empty() {
            return Ok(());
        }
        let batch = std::sync::Arc::new(batch);
        let job_batch = std::sync::Arc::clone(&batch);
        let written = context
            .store
            .write_telemetry::<_, StoreError>(move |tx| {
                Box::pin(async move { probes::append(tx, &job_batch).await })
            })
            .await;
        if let Err(error) = written {
            waiting.put_back(std::sync::Arc::unwrap_or_clone(batch));
            return Err(error);
        }
    }
}
