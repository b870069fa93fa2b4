//! Health: what the checks of an xNode say, taken together and one by one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CheckId, CheckKind, CheckName, XNodeId, XNodeName, words};

words! {
    /// All checks of an xNode taken together.
    Health("health") {
        /// Every check passes.
        Healthy = "healthy",
        /// Some checks pass.
        Degraded = "degraded",
        /// No check passes.
        Unhealthy = "unhealthy",
        /// No data yet, data too old, or we could not measure.
        Unknown = "unknown",
    }
}

words! {
    /// The confirmed state of one check.
    CheckStatus("check status") {
        /// No confirmed result yet.
        Unknown = "unknown",
        /// Passing.
        Up = "up",
        /// Failing, confirmed by as many failures as the check asks for.
        Down = "down",
    }
}

words! {
    /// What one probe found.
    Outcome("outcome") {
        /// The check passed.
        Up = "up",
        /// The check failed.
        Down = "down",
        /// We could not ask (no route, no permission, out of descriptors): says nothing about the xNode.
        Blind = "blind",
    }
}

/// One probe's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeResult {
    /// When the probe started.
    pub at: Timestamp,
    /// What it found.
    pub outcome: Outcome,
    /// How long the answer took, in microseconds; absent when none came.
    pub latency_us: Option<u64>,
    /// The banner, the status line, or why it failed.
    pub detail: String,
}

/// A check with its confirmed state and its newest result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckHealth {
    /// The check's id.
    pub id: CheckId,
    /// The check's name, unique on its xNode.
    pub name: CheckName,
    /// What kind of probe it is.
    pub kind: CheckKind,
    /// The confirmed state.
    pub status: CheckStatus,
    /// Since when it has been in this state; absent before the first confirmation.
    pub since: Option<Timestamp>,
    /// Failures in a row, zero while it passes.
    pub failures: u32,
    /// The newest result; absent before the first.
    pub last: Option<ProbeResult>,
    /// When the next probe is due; absent while the check is disabled.
    pub next_at: Option<Timestamp>,
    /// Share of passing probes in the last 24 hours, 0–100; absent without data.
    pub uptime_percent: Option<f64>,
}

/// The health of one xNode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct XNodeHealth {
    /// The xNode.
    pub xnode_id: XNodeId,
    /// Its name.
    pub name: XNodeName,
    /// All checks taken together.
    pub health: Health,
    /// Since when it has been so.
    pub since: Option<Timestamp>,
    /// Check by check.
    pub checks: Vec<CheckHealth>,
}

/// A stretch of history of one check: one raw result or one roll-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbePoint {
    /// The check's name.
    pub check: CheckName,
    /// Beginning of the stretch.
    pub at: Timestamp,
    /// Length of the stretch in milliseconds; 0 for a single result.
    pub span_ms: i64,
    /// Probes that got an answer worth counting (blind ones are left out).
    pub probes: u32,
    /// Probes that passed.
    pub passed: u32,
    /// Smallest latency in microseconds.
    pub latency_min_us: Option<u64>,
    /// Mean latency in microseconds.
    pub latency_avg_us: Option<u64>,
    /// Largest latency in microseconds.
    pub latency_max_us: Option<u64>,
    /// Only for a single result: what it said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}
