//! What the daemon says about itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Health, RequestId, UsdMicros, words};

words! {
    /// What a caller may do. Ordered: each role includes the ones before it.
    Role("role") {
        /// See everything but secrets.
        Reader = "reader",
        /// Act: no credentials, no bulk deletes, no shell on nodes.
        Operator = "operator",
        /// Everything.
        Admin = "admin",
    }
}

/// The daemon and what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerInfo {
    /// Version of this API: `v1`.
    pub api_version: String,
    /// Version of the daemon.
    pub server_version: String,
    /// The caller's role.
    pub role: Role,
    /// The caller's user name, or `uid N` without one.
    pub user: String,
    /// Where the state is.
    pub state_dir: String,
    /// When the daemon started.
    pub started_at: Timestamp,
}

/// How many xNodes are in each health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HealthCounts {
    /// All checks pass.
    pub healthy: u32,
    /// Some checks pass.
    pub degraded: u32,
    /// No check passes.
    pub unhealthy: u32,
    /// No data.
    pub unknown: u32,
}

impl HealthCounts {
    /// Counts one more xNode.
    pub fn add(&mut self, health: Health) {
        match health {
            Health::Healthy => self.healthy += 1,
            Health::Degraded => self.degraded += 1,
            Health::Unhealthy => self.unhealthy += 1,
            Health::Unknown => self.unknown += 1,
        }
    }

    /// All xNodes.
    pub const fn total(&self) -> u32 {
        self.healthy + self.degraded + self.unhealthy + self.unknown
    }
}

/// The fleet at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// xNodes by health.
    pub health: HealthCounts,
    /// Enabled checks.
    pub checks: u32,
    /// Open alerts that are critical, acknowledged or not.
    pub critical_alerts: u32,
    /// Open alerts that are warnings.
    pub warning_alerts: u32,
    /// Open alerts that are for information.
    pub info_alerts: u32,
    /// Channels that are enabled.
    pub channels: u32,
    /// Deliveries that wait.
    pub waiting_deliveries: u32,
    /// Deliveries given up in the last 24 hours.
    pub failed_deliveries: u32,
    /// What all xNodes that are billed cost per hour, micro-dollars; own discounts are not taken off.
    pub hourly_cost_micros: UsdMicros,
    /// How probing goes.
    pub probing: ProbingStatus,
    /// Whether ICMP can be sent; otherwise ping checks use TCP and say so.
    pub icmp: bool,
    /// When the daemon started.
    pub started_at: Timestamp,
}

/// How probing goes, since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct ProbingStatus {
    /// Probes carried out.
    pub probes: u64,
    /// Probes that were due and not started before the next one was: our overload, not their outage.
    pub missed: u64,
    /// Probes that could not be carried out for reasons of our own.
    pub blind: u64,
    /// Start lag of the last minute's probes, 99th percentile, milliseconds.
    pub start_lag_p99_ms: f64,
    /// Results that wait to be written.
    pub unwritten: u64,
}

/// A background task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskStatus {
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// When it last ran.
    pub last_run_at: Option<Timestamp>,
    /// How long that took, milliseconds.
    pub last_run_ms: Option<f64>,
    /// Why the last run failed; absent when it did not.
    pub last_error: Option<String>,
}

/// One change somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Position in the log.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// User name, or `uid N` without one; `capsuled` for ourselves.
    pub actor: String,
    /// What was done, by operation id such as `create_xnode`.
    pub action: String,
    /// To what.
    pub target: String,
    /// The request.
    pub request_id: Option<RequestId>,
}

/// One group of targets in Prometheus HTTP service discovery form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrometheusTargets {
    /// `host:port`.
    pub targets: Vec<String>,
    /// Labels, each beginning with `__meta_capsule_`.
    pub labels: std::collections::BTreeMap<String, String>,
}
