//! What the fleet costs and has cost: reports, history, discounts. All amounts are micro-dollars; reports
//! round each sum once, from exact integers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Health, UsdMicros, XNodeId, XNodeStatus, words};

words! {
    /// By what a cost report adds up.
    CostGrouping("grouping") {
        /// By provider label.
        Provider = "provider",
        /// By region label.
        Region = "region",
        /// By tag; an xNode with several counts under each.
        Tag = "tag",
        /// By xNode.
        XNode = "xnode",
    }
}

words! {
    /// What a discount applies to.
    DiscountScope("discount scope") {
        /// All xNodes with a provider label.
        Provider = "provider",
        /// All xNodes billed to a provider account.
        Account = "account",
        /// All xNodes with a tag.
        Tag = "tag",
    }
}

/// Which cost report to make.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CostQuery {
    /// By what `groups` adds up, default `provider`.
    pub by: Option<CostGrouping>,
    /// Calendar month in UTC as `YYYY-MM`, default the present one; not in the future.
    pub month: Option<String>,
}

/// A rate, projected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct CostRate {
    /// Per hour, at this moment.
    pub hourly_micros: UsdMicros,
    /// 24 hours at this rate.
    pub daily_micros: UsdMicros,
    /// 730 hours at this rate.
    pub monthly_micros: UsdMicros,
    /// 8,760 hours at this rate.
    pub annual_micros: UsdMicros,
}

/// One group of a cost report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostGroup {
    /// Provider, region, tag or name of the xNode; absent: those without.
    pub name: Option<String>,
    /// xNodes that are billed at this moment.
    pub xnodes: u32,
    /// What they cost at this moment.
    #[serde(flatten)]
    pub rate: CostRate,
    /// Spent in the month so far.
    pub month_micros: UsdMicros,
    /// What the month will have cost at the present rate.
    pub forecast_micros: UsdMicros,
}

/// One xNode in a cost report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostXNode {
    /// Its id.
    pub xnode_id: XNodeId,
    /// Its name.
    pub name: String,
    /// Its provider label.
    pub provider: Option<String>,
    /// Per hour, at this moment.
    pub hourly_micros: UsdMicros,
    /// 24 hours at this rate.
    pub daily_micros: UsdMicros,
    /// Spent in the month so far.
    pub month_micros: UsdMicros,
}

/// What the fleet costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostReport {
    /// When it was made.
    pub at: Timestamp,
    /// The calendar month in UTC that `month_micros` and `forecast_micros` are about, as `YYYY-MM`.
    pub month: String,
    /// xNodes that are billed at this moment.
    pub xnodes: u32,
    /// What they cost at this moment, whatever the month asked for.
    #[serde(flatten)]
    pub rate: CostRate,
    /// Spent in the month so far.
    pub month_micros: UsdMicros,
    /// What the month will have cost at the present rate.
    pub forecast_micros: UsdMicros,
    /// What own discounts took off `month_micros`.
    pub discount_micros: UsdMicros,
    /// By what `groups` adds up.
    pub by: CostGrouping,
    /// The groups, the dearest month first.
    pub groups: Vec<CostGroup>,
    /// The five xNodes with the highest rate.
    pub most_expensive: Vec<CostXNode>,
    /// xNodes that are switched off and billed, the dearest first.
    pub stopped: Vec<CostXNode>,
    /// xNodes that are billed and answer no check, the dearest first.
    pub dead: Vec<CostXNode>,
}

/// Which lifetimes to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LifetimeFilter {
    /// Id, unique name, or a unique beginning or end of an id, also of an xNode that is gone.
    pub xnode: Option<String>,
    /// Provider label.
    pub provider: Option<String>,
    /// Rows of a page, 1 to 1,000, default 100.
    pub limit: Option<u32>,
    /// Where to continue.
    pub cursor: Option<String>,
}

/// An xNode's life in the inventory, kept after it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lifetime {
    /// The xNode's id.
    pub xnode_id: XNodeId,
    /// Its name, at the end.
    pub name: String,
    /// Its provider label.
    pub provider: Option<String>,
    /// Its region label.
    pub region: Option<String>,
    /// The template it was deployed from.
    pub template: Option<String>,
    /// The provider account it was billed to.
    pub account: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was deployed, or added to the inventory.
    pub deployed_at: Timestamp,
    /// When it was removed; absent: it is there.
    pub terminated_at: Option<Timestamp>,
    /// From the one to the other, or until now, in seconds.
    pub lifetime_seconds: u64,
    /// What it has cost, own discounts taken off.
    pub total_cost_micros: UsdMicros,
}

/// Numbers about the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InventoryStats {
    /// xNodes in the inventory.
    pub xnodes: u32,
    /// xNodes that ever were, those in the inventory included.
    pub total_deployed: u32,
    /// xNodes that run.
    pub total_running: u32,
    /// xNodes that were removed and are still in the history.
    pub total_terminated: u32,
    /// What all of them have cost, own discounts taken off.
    pub total_lifetime_cost_micros: UsdMicros,
    /// What they cost per hour at this moment.
    pub hourly_micros: UsdMicros,
    /// xNodes by status.
    pub by_status: Vec<StatusCount>,
    /// xNodes by health.
    pub by_health: Vec<HealthCount>,
    /// xNodes by provider label, the most first.
    pub by_provider: Vec<LabelCount>,
    /// xNodes by region label, the most first.
    pub by_region: Vec<LabelCount>,
    /// xNodes by tag, the most first.
    pub by_tag: Vec<LabelCount>,
}

/// How many xNodes have a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusCount {
    /// The status.
    pub status: XNodeStatus,
    /// How many.
    pub xnodes: u32,
}

/// How many xNodes have a health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthCount {
    /// The health.
    pub health: Health,
    /// How many.
    pub xnodes: u32,
}

/// How many xNodes have a label or tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LabelCount {
    /// The label or tag; absent: those without.
    pub name: Option<String>,
    /// How many.
    pub xnodes: u32,
}

/// What of the history to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryCleanUp {
    /// Forget xNodes that were removed this many days ago or earlier, 0 to 36,500.
    pub days: u32,
    /// Only say how many there are.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryCleaned {
    /// How many xNodes were forgotten, or would be.
    pub forgotten: u32,
    /// The moment by which they were removed.
    pub before: Timestamp,
}

/// A discount that its owner has agreed with a provider. Where several apply at a moment, the highest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Discount {
    /// What it applies to.
    pub scope: DiscountScope,
    /// Provider label, account name or tag.
    pub name: String,
    /// Hundredths of a percent taken off, 1 to 10,000.
    pub basis_points: u32,
    /// From this moment on; absent: always.
    pub valid_from: Option<Timestamp>,
    /// Up to, and without, this moment; absent: for ever.
    pub valid_until: Option<Timestamp>,
}

/// A discount as it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscountSet {
    /// Hundredths of a percent taken off, 1 to 10,000.
    pub basis_points: u32,
    /// From this moment on; absent: always.
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
    /// Up to, and without, this moment; absent: for ever.
    #[serde(default)]
    pub valid_until: Option<Timestamp>,
}
