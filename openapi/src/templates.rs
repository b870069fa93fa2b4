//! Templates: the sizes that providers sell, where, and what they cost; and the rate by which a price in
//! euros is compared with one in dollars.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{AccountName, Arch, Price, ProviderName, UsdMicros, words};

words! {
    /// Where a template's figures come from.
    PriceSource("price source") {
        /// The provider's own list, at the last refresh.
        Live = "live",
        /// A dated listing that ships with Capsule.
        Listed = "listed",
        /// A figure that nobody has compared with the provider's.
        Unchecked = "unchecked",
    }
}

words! {
    /// By what templates are sorted; equal ones by provider and id.
    TemplateSort("sort order") {
        /// The cheapest region's price per hour, in dollars; without a price last.
        Price = "price",
        /// Virtual processors, fewest first.
        Cpu = "cpu",
        /// Memory, least first.
        Memory = "memory",
        /// Provider and id.
        Provider = "provider",
        /// Id.
        Name = "name",
    }
}

/// A template in one of its regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplateRegion {
    /// The provider's name of the region or zone; absent: only a refresh can tell.
    pub region: Option<String>,
    /// Our name of it, which commands accept as well.
    pub name: String,
    /// The provider's name of the size there, where sizes are named apart in each region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What it costs there, in the provider's currency; absent: not known.
    pub price: Option<Price>,
    /// The price per hour in micro-dollars, through the dated rate where it is billed in euros.
    pub usd_hourly_micros: Option<UsdMicros>,
    /// Whether it can be had there, as far as is known.
    pub available: bool,
    /// When the price was seen; absent: never compared with the provider's.
    pub observed_at: Option<Timestamp>,
    /// Whether the price is older than 48 hours or was never compared with the provider's.
    pub stale: bool,
}

/// What Capsule's first version said of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OriginalFigures {
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in GB.
    pub disk_gb: u64,
    /// Traffic in GB a month.
    pub transfer_gb: u64,
    /// Per hour, in millionths of a dollar.
    pub hourly_micros: UsdMicros,
    /// Per month, in millionths of a dollar.
    pub monthly_micros: UsdMicros,
    /// Model of the GPU.
    pub gpu_model: Option<String>,
}

/// A size that a provider sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Our id of it, such as `do-basic-1`, or `PROVIDER-PLAN` where we have none.
    pub id: String,
    /// Who sells it.
    pub provider: ProviderName,
    /// Its name, for people.
    pub name: String,
    /// The provider's name of it; absent: only a refresh can tell.
    pub plan: Option<String>,
    /// Virtual processors, or cores of bare metal.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Local disk in GB; 0 where disks are apart.
    pub disk_gb: u64,
    /// Included traffic in GB a month; absent: metered, unlimited or not known.
    pub transfer_gb: Option<u64>,
    /// Number of GPUs.
    pub gpus: u32,
    /// Their model.
    pub gpu_model: Option<String>,
    /// Processor architecture.
    pub arch: Arch,
    /// Whether it is a machine of one's own.
    pub bare_metal: bool,
    /// Words for what is particular about it, such as `nvme`.
    pub features: Vec<String>,
    /// Where it is sold, by our name of the region.
    pub regions: Vec<TemplateRegion>,
    /// The price where it is cheapest.
    pub price: Option<Price>,
    /// That price per hour in micro-dollars, through the dated rate where it is billed in euros.
    pub usd_hourly_micros: Option<UsdMicros>,
    /// Where that price comes from.
    pub source: PriceSource,
    /// When it was seen; absent: never compared with the provider's.
    pub observed_at: Option<Timestamp>,
    /// Whether it is older than 48 hours or was never compared with the provider's.
    pub stale: bool,
    /// When the provider ended its service, if it did.
    #[schema(value_type = Option<String>, format = Date)]
    pub ended: Option<Date>,
    /// What Capsule's first version said of it, where it had it.
    pub original: Option<OriginalFigures>,
    /// What is to be known about its figures, in a sentence; empty: nothing.
    pub note: String,
}

/// Which templates, and in which order. Every part that is given must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TemplateFilter {
    /// At least this many virtual processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_cpu: Option<u32>,
    /// At least this much memory, in GB (of 1,024 MiB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_memory: Option<u32>,
    /// At most this price per hour, in micro-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<i64>)]
    pub max_price: Option<UsdMicros>,
    /// With a GPU, or without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<bool>,
    /// Of this processor architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub arch: Option<Arch>,
    /// Sold in this region, by our name or the provider's; only this region is then shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Sold by this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The order, default `price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub sort: Option<TemplateSort>,
}

/// Whose regions to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegionFilter {
    /// Only this provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// A place where a provider has machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Region {
    /// Whose.
    pub provider: ProviderName,
    /// Our name of it.
    pub name: String,
    /// The provider's name of it; absent: only a refresh can tell.
    pub region: Option<String>,
    /// City or country, where known; empty: not known.
    pub title: String,
    /// When the provider ended its service, if it did.
    #[schema(value_type = Option<String>, format = Date)]
    pub ended: Option<Date>,
    /// What is to be known about it; empty: nothing.
    pub note: String,
}

/// What a euro is worth, to compare prices; nothing is ever billed through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct ExchangeRate {
    /// Millionths of a dollar for a euro.
    pub usd_per_eur_micros: i64,
    /// The day of the rate.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
}

impl ExchangeRate {
    /// The rate until the user sets one: the European Central Bank's reference rate of the last day of 2024.
    pub const DEFAULT: Self = Self { usd_per_eur_micros: 1_038_900, date: jiff::civil::date(2024, 12, 31) };
}

/// A new rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRateSet {
    /// Millionths of a dollar for a euro: 100,000 to 10,000,000.
    pub usd_per_eur_micros: i64,
    /// The day of the rate; absent: today. Not in the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub date: Option<Date>,
}

/// Whose prices to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// Only this provider's accounts; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// What came of asking one account's provider for its prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshResult {
    /// The account.
    pub account: AccountName,
    /// Its provider.
    pub provider: ProviderName,
    /// Sizes in regions that it listed; 0 when it failed.
    pub offers: u64,
    /// Why it failed: the last good copy stays.
    pub error: Option<String>,
    /// When the copy in use was made; absent: there is none, the figures that ship with Capsule are used.
    pub observed_at: Option<Timestamp>,
}
