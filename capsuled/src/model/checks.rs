//! Checks as the prober and the rules see them.

use std::time::Duration;

use capsule_api::{CheckId, CheckKind, CheckName, CheckStatus, Host, Outcome, ProbeSpec};
use jiff::Timestamp;

/// Small integer that stands for a check in telemetry, where 16 bytes per row would double its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckKey(pub i64);

/// Small integer that stands for an xNode in telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XNodeKey(pub i64);

/// A check with every setting resolved: what the prober needs and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckPlan {
    /// The check in telemetry.
    pub key: CheckKey,
    /// The check's id; its hash is the phase of the schedule.
    pub id: CheckId,
    /// The xNode it belongs to.
    pub xnode: XNodeKey,
    /// Name, unique on its xNode.
    pub name: CheckName,
    /// Where the xNode answers.
    pub address: Host,
    /// The xNode's SSH port.
    pub ssh_port: u16,
    /// The pinned host key in OpenSSH form; `None` before the first contact.
    pub host_key: Option<String>,
    /// What it asks.
    pub probe: ProbeSpec,
    /// Time between probes.
    pub interval: Duration,
    /// Deadline of one probe.
    pub timeout: Duration,
    /// Time between the first failure and the probes that confirm it.
    pub confirm_interval: Duration,
    /// When it counts as down and as up.
    pub limits: CheckLimits,
}

impl CheckPlan {
    /// The kind of probe.
    pub const fn kind(&self) -> CheckKind {
        self.probe.kind()
    }
}

/// How many results in a row change a check's confirmed state; both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckLimits {
    /// Failures in a row before it is down.
    pub down_after: u32,
    /// Passes in a row before it is up again.
    pub up_after: u32,
}

/// What one probe saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// When the probe started.
    pub at: Timestamp,
    /// What it found.
    pub outcome: Outcome,
    /// How long the answer took.
    pub latency: Option<Duration>,
    /// The banner, the status line, or why it failed; at most 500 bytes of printable text.
    pub detail: String,
    /// The host key that was offered, in OpenSSH form, when the probe saw one.
    pub host_key: Option<String>,
}

/// Where the state machine of a check stands; every field survives a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckState {
    /// The confirmed state.
    pub status: CheckStatus,
    /// Since when; `None` before the first confirmation.
    pub since: Option<Timestamp>,
    /// Failures in a row, zero after a pass.
    pub failures: u32,
    /// Passes in a row while not yet up; zero after a failure and once it is up.
    pub passes: u32,
    /// When the present run of failures began; `None` while it passes.
    pub failing_since: Option<Timestamp>,
    /// When the newest probe that was not blind started.
    pub last_at: Option<Timestamp>,
    /// What the newest failure said; empty while it passes.
    pub reason: String,
}

impl Default for CheckState {
    fn default() -> Self {
        Self {
            status: CheckStatus::Unknown,
            since: None,
            failures: 0,
            passes: 0,
            failing_since: None,
            last_at: None,
            reason: String::new(),
        }
    }
}
