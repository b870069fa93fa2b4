//! Owns every long-lived task. One that panics or returns before it was asked to stops the daemon, loudly,
//! and whoever started the daemon starts it again: a daemon that lost its probes but still answers is the
//! worst state there is.

use std::{future::Future, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks may take to finish what they are at after the first signal.
pub const GRACE: Duration = Duration::from_secs(20);

/// A task ended that should not have.
#[derive(Debug, thiserror::Error)]
pub enum Crash {
    /// It returned.
    #[error("the task `{0}` ended by itself")]
    Ended(&'static str),
    /// It panicked.
    #[error("the task `{name}` panicked: {panic}")]
    Panicked {
        /// Which one.
        name: &'static str,
        /// What it said.
        panic: String,
    },
    /// It did not finish within the grace period.
    #[error("{0} background tasks did not finish in time and were dropped")]
    Overdue(usize),
}

/// The tasks and the token that asks them to stop.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<(&'static str, Result<(), String>)>,
    stop: CancellationToken,
}

impl Supervisor {
    /// A supervisor whose tasks stop with `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), stop }
    }

    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            let outcome = tokio::spawn(task).await;
            (name, outcome.map_err(panic_text))
        });
    }

    /// Starts a thread with a runtime of its own; the task ends with it.
    pub fn spawn_thread<F>(&mut self, name: &'static str, task: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()>,
    {
        self.tasks.spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let run =
                move || runtime.map(|runtime| runtime.block_on(task())).map_err(|error| error.to_string());
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            (name, outcome.unwrap_or_else(|panic| Err(text_of(panic.as_ref()))))
        });
    }

    /// Returns when a task ends that was not asked to. Cancel-safe.
    pub async fn crashed(&mut self) -> Crash {
        loop {
            match self.tasks.join_next().await {
                Some(Ok((name, _))) if self.stop.is_cancelled() => tracing::debug!("task `{name}` stopped"),
                Some(Ok((name, Ok(())))) => return Crash::Ended(name),
                Some(Ok((name, Err(panic)))) => return Crash::Panicked { name, panic },
                Some(Err(error)) => return Crash::Panicked { name: "unknown", panic: error.to_string() },
                None => std::future::pending().await,
            }
        }
    }

    /// Asks every task to stop and waits for them, [`GRACE`] at most or until `hurry`.
    pub async fn stop(mut self, hurry: impl Future<Output = ()>) -> Result<(), Crash> {
        self.stop.cancel();
        let finish = async { while self.tasks.join_next().await.is_some() {} };
        let finished = tokio::select! {
            () = finish => true,
            () = tokio::time::sleep(GRACE) => false,
            () = hurry => false,
        };
        let left = self.tasks.len();
        self.tasks.abort_all();
        if finished { Ok(()) } else { Err(Crash::Overdue(left)) }
    }
}

fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => text_of(panic.as_ref()),
        Err(error) => error.to_string(),
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_a_crash_with_its_words() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("prober", async { panic!("lost the plot") });
        let Crash::Panicked { name, panic } = supervisor.crashed().await else { panic!("another crash") };
        assert_eq!((name, panic.as_str()), ("prober", "lost the plot"));
    }

    #[tokio::test]
    async fn a_thread_that_returns_early_is_a_crash() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn_thread("prober", || async {});
        assert!(matches!(supervisor.crashed().await, Crash::Ended("prober")));
    }

    #[tokio::test]
    async fn stopping_waits_for_what_is_under_way() {
        let stop = CancellationToken::new();
        let mut supervisor = Supervisor::new(stop.clone());
        supervisor.spawn("recorder", async move { stop.cancelled().await });
        supervisor.stop(std::future::pending()).await.expect("stopped in time");
    }
}
