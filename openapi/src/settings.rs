//! Settings that change how everything is watched, thresholds and budgets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Tag, UsdMicros, words};

/// When a measured share becomes an alert.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Warning at this value and above, percent.
    pub warning: f64,
    /// Critical at this value and above, percent, not below `warning`.
    pub critical: f64,
    /// How far below the threshold the value must fall before the alert eases or ends, percentage points.
    pub hysteresis: f64,
    /// How long the value must stay at or above the threshold first, milliseconds.
    pub for_ms: u64,
}

/// The thresholds that apply to an xNode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Processor use; default 75/90 %, 5 points, 2 minutes.
    pub cpu: Threshold,
    /// Memory use; default 80/95 %, 5 points, 2 minutes.
    pub memory: Threshold,
    /// Every file system's space and inodes; default 85/95 %, 2 points, at once.
    pub disk: Threshold,
}

impl Default for Thresholds {
    fn default() -> Self {
        let share =
            |warning, critical, hysteresis, for_ms| Threshold { warning, critical, hysteresis, for_ms };
        Self {
            cpu: share(75.0, 90.0, 5.0, 120_000),
            memory: share(80.0, 95.0, 5.0, 120_000),
            disk: share(85.0, 95.0, 2.0, 0),
        }
    }
}

/// The parts of a threshold that differ; absent ones come from the next wider scope.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdOverride {
    /// Warning at this value and above, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
    /// Critical at this value and above, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
    /// Percentage points below the threshold before the alert eases or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hysteresis: Option<f64>,
    /// How long the value must stay there first, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// Thresholds that differ for a tag or an xNode: global → tag (in alphabetical order) → xNode.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdOverrides {
    /// Processor use.
    #[serde(default)]
    pub cpu: ThresholdOverride,
    /// Memory use.
    #[serde(default)]
    pub memory: ThresholdOverride,
    /// Disk space and inodes.
    #[serde(default)]
    pub disk: ThresholdOverride,
}

/// Thresholds that differ for every xNode with a tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TagThresholds {
    /// The tag.
    pub tag: Tag,
    /// What differs.
    pub thresholds: ThresholdOverrides,
}

/// How everything is watched where an xNode or check says nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Settings {
    /// Time between probes of a check, milliseconds, 1,000 to 86,400,000; default 300,000 (5 minutes).
    pub check_interval_ms: u64,
    /// Time between the first failure and the probes that confirm it, milliseconds, 100 to 60,000; default 1,000.
    pub confirm_interval_ms: u64,
    /// Deadline of a ping, milliseconds, 100 to 60,000; default 5,000.
    pub ping_timeout_ms: u64,
    /// Deadline of a TCP probe, milliseconds, 100 to 60,000; default 10,000.
    pub tcp_timeout_ms: u64,
    /// Deadline of an SSH probe, milliseconds, 100 to 60,000; default 10,000.
    pub ssh_timeout_ms: u64,
    /// Deadline of an HTTP probe, milliseconds, 100 to 60,000; default 10,000.
    pub http_timeout_ms: u64,
    /// Failures in a row before a check is down, 1 to 20; default 2.
    pub down_after: u32,
    /// Passes in a row before a check is up again, 1 to 20; default 1.
    pub up_after: u32,
    /// Time between resource readings, milliseconds, 5,000 to 86,400,000; default 60,000 (1 minute).
    pub metrics_interval_ms: u64,
    /// Time between comparisons of a provider account with the inventory, milliseconds, 60,000 to 604,800,000;
    /// default 3,600,000 (1 hour).
    pub reconcile_interval_ms: u64,
    /// Thresholds where nothing narrower applies.
    pub thresholds: Thresholds,
    /// How long raw results and readings are kept, hours, 1 to 720; default 24.
    pub raw_retention_hours: u32,
    /// How long 5-minute roll-ups are kept, days, 1 to 3,650; default 30.
    pub five_minute_retention_days: u32,
    /// How long hourly roll-ups are kept, days, 1 to 3,650; default 400.
    pub hourly_retention_days: u32,
    /// How long resolved alerts, finished deliveries, events and audit rows are kept, days, 1 to 3,650; default 400.
    pub record_retention_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            check_interval_ms: 300_000,
            confirm_interval_ms: 1_000,
            ping_timeout_ms: 5_000,
            tcp_timeout_ms: 10_000,
            ssh_timeout_ms: 10_000,
            http_timeout_ms: 10_000,
            down_after: 2,
            up_after: 1,
            metrics_interval_ms: 60_000,
            reconcile_interval_ms: 3_600_000,
            thresholds: Thresholds::default(),
            raw_retention_hours: 24,
            five_minute_retention_days: 30,
            hourly_retention_days: 400,
            record_retention_days: 400,
        }
    }
}

/// Changes to the settings; an absent field stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_interval_ms: Option<u64>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_interval_ms: Option<u64>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_timeout_ms: Option<u64>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_timeout_ms: Option<u64>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_timeout_ms: Option<u64>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_timeout_ms: Option<u64>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_after: Option<u32>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_after: Option<u32>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_interval_ms: Option<u64>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_interval_ms: Option<u64>,
    /// The parts of the thresholds that change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<ThresholdOverrides>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_retention_hours: Option<u32>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub five_minute_retention_days: Option<u32>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_retention_days: Option<u32>,
    /// See `Settings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_retention_days: Option<u32>,
}

words! {
    /// What a budget covers.
    BudgetScope("budget scope") {
        /// Everything.
        Global = "global",
        /// All xNodes with a tag.
        Tag = "tag",
        /// All xNodes with a provider label.
        Provider = "provider",
    }
}

/// A limit on what xNodes cost: per hour, per month, or both. Own discounts are taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    /// What it covers.
    pub scope: BudgetScope,
    /// Tag or provider label; `global` for everything.
    pub name: String,
    /// Micro-dollars per hour above which an alert is raised.
    pub hourly_limit_micros: Option<UsdMicros>,
    /// Micro-dollars per calendar month (UTC); an alert is raised at 50, 80 and 100 %, each once a month.
    pub monthly_limit_micros: Option<UsdMicros>,
    /// Whether a deployment that would go over it is refused.
    pub block: bool,
    /// What the covered xNodes cost per hour now, micro-dollars.
    pub hourly_cost_micros: UsdMicros,
    /// What they have cost in this month, micro-dollars.
    pub month_cost_micros: UsdMicros,
    /// What the month will have cost at the present rate, micro-dollars.
    pub month_forecast_micros: UsdMicros,
}

/// A budget's limits, at least one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSet {
    /// Micro-dollars per hour, positive; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_limit_micros: Option<UsdMicros>,
    /// Micro-dollars per calendar month (UTC), positive; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_limit_micros: Option<UsdMicros>,
    /// Refuse a deployment that would go over it, default no.
    #[serde(default)]
    pub block: bool,
}
