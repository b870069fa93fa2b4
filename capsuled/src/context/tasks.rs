//! How the background tasks are doing, for `GET /v1/tasks`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use capsule_api::TaskStatus;
use jiff::Timestamp;

/// The board on which every task notes its runs.
#[derive(Debug, Default)]
pub struct TaskBoard {
    tasks: Mutex<BTreeMap<&'static str, TaskStatus>>,
}

/// A task's own line on the board.
#[derive(Debug, Clone)]
pub struct TaskHandle {
    name: &'static str,
    board: Arc<TaskBoard>,
}

impl TaskBoard {
    /// A line for the task `name`.
    pub fn register(self: &Arc<Self>, name: &'static str) -> TaskHandle {
        let status = TaskStatus {
            name: name.to_owned(),
            runs: 0,
            last_run_at: None,
            last_run_ms: None,
            last_error: None,
        };
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(status);
        TaskHandle { name, board: Arc::clone(self) }
    }

    /// Every task's line, by name.
    pub fn list(&self) -> Vec<TaskStatus> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl TaskHandle {
    /// Notes one run: when it began, how long it took and why it failed, if it did.
    pub fn ran(&self, at: Timestamp, took: Duration, error: Option<String>) {
        let mut tasks = self.board.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = tasks.get_mut(self.name) {
            status.runs += 1;
            status.last_run_at = Some(at);
            status.last_run_ms = Some(took.as_secs_f64() * 1_000.0);
            status.last_error = error;
        }
    }
}
