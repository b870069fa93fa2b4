//! Plans: what a deployment would choose, from the cheapest on, and why the others lost.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountName, Arch, ExchangeRate, Price, ProviderName, UsdMicros};

/// What a server must be like. Every part that is given must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// At least this many virtual processors, 1 to 4,096.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_cpu: Option<u32>,
    /// At least this much memory, in GB (of 1,024 MiB), 1 to 65,536.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_memory_gb: Option<u32>,
    /// At most this price per hour for each server, in micro-dollars, positive, at most 10,000 dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hourly: Option<UsdMicros>,
    /// With a GPU; default false, which takes any.
    #[serde(default)]
    pub gpu: bool,
    /// Of this processor architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Only this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Only this template, by our id or the provider's name of the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Only this region, by our name or the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// What to install; not looked at by the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How many servers, 1 to 1,000; absent: 1. Prices are those of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// A size in a region that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedOffer {
    /// 1 is tried first.
    pub rank: u32,
    /// The account it would be billed to.
    pub account: AccountName,
    /// Its provider.
    pub provider: ProviderName,
    /// Our id of the size.
    pub template: String,
    /// The provider's name of it.
    pub plan: String,
    /// The provider's name of the region or zone.
    pub region: String,
    /// Virtual processors, or cores of bare metal.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Local disk in GB; 0 where disks are apart.
    pub disk_gb: u64,
    /// Number of GPUs.
    pub gpus: u32,
    /// Processor architecture.
    pub arch: Arch,
    /// Whether it is a machine of one's own.
    pub bare_metal: bool,
    /// The price in the provider's currency.
    pub price: Price,
    /// The price per hour in micro-dollars, through the plan's rate where it is billed in euros.
    pub usd_hourly: UsdMicros,
    /// The price of a full month in micro-dollars; 730 hours where the provider lists none.
    pub usd_monthly: UsdMicros,
    /// Whether the price is older than 48 hours or was never compared with the provider's.
    pub stale: bool,
}

/// What lost, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejection {
    /// Our id of the size.
    pub template: String,
    /// Its provider.
    pub provider: ProviderName,
    /// The provider's name of the region; absent: the reasons hold in all of them.
    pub region: Option<String>,
    /// Every reason, each a sentence without full stop.
    pub reasons: Vec<String>,
}

/// What a deployment would choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// What was asked for.
    pub request: PlanRequest,
    /// What fits, cheapest first; equal prices by provider, template, region and account. At most 50 of each
    /// account.
    pub offers: Vec<PlannedOffer>,
    /// How many more would fit.
    pub more_offers: u64,
    /// What does not, at most 100: what fails for the fewest reasons first, then by provider, template and
    /// region. Sizes of a provider, template or account that was not asked for are not among them.
    pub rejected: Vec<Rejection>,
    /// How many more do not.
    pub more_rejected: u64,
    /// Changes when the offers, their order or one of their prices change.
    pub fingerprint: String,
    /// The rate by which prices in euros were compared.
    pub rate: ExchangeRate,
}
