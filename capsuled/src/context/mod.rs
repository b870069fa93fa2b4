//! The shared handles that use cases, handlers and tasks receive. No logic lives here.

mod clouds;
mod live;
mod tasks;
mod wakes;

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;

pub use clouds::Clouds;
#[cfg(test)]
pub use clouds::scripted;
pub use live::{Changes, DayOfResults, Live, LiveCheck, LiveXNode};
pub use tasks::{TaskBoard, TaskHandle};
pub use wakes::{CollectNow, RunNow, Wake, Wakes};

use crate::{clock::Clock, faults::Faults, notify::Notifier, secret::Seal, store::Store};

/// Everything a use case may need. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Both databases.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Places where tests of debug builds kill the process.
    pub faults: Faults,
    /// Seals and opens secrets.
    pub seal: Arc<Seal>,
    /// The newest reading of every check and xNode.
    pub live: Arc<Live>,
    /// Wakes background tasks.
    pub wakes: Arc<Wakes>,
    /// How the background tasks are doing.
    pub tasks: Arc<TaskBoard>,
    /// Delivers messages.
    pub notifier: Arc<Notifier>,
    /// The clients of provider accounts.
    pub clouds: Arc<Clouds>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Where the state is.
    pub state_dir: Arc<PathBuf>,
    /// Socket of the SSH agent, where there is one.
    pub agent_socket: Option<Arc<PathBuf>>,
    /// The user the daemon runs as.
    pub own_uid: u32,
    /// When the daemon started.
    pub started_at: Timestamp,
}
