//! What a provider sold when it was last asked: one account's whole list, kept and replaced as one.

use capsule_api::{AccountName, Arch, Price, ProviderName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A size in one region, with its price there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The provider's name of the size.
    pub plan: String,
    /// The provider's name of the region or zone.
    pub region: String,
    /// Virtual processors, or cores of bare metal.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Local disk in GB; 0 where disks are apart.
    pub disk_gb: u64,
    /// Included traffic in GB a month; absent: metered or unlimited.
    pub transfer_gb: Option<u64>,
    /// Number of GPUs.
    pub gpus: u32,
    /// Their model, where the provider names it.
    pub gpu_model: Option<String>,
    /// Processor architecture.
    pub arch: Arch,
    /// Whether it is a machine of one's own.
    pub bare_metal: bool,
    /// What it costs there.
    pub price: Price,
    /// Whether it could be had.
    pub available: bool,
}

/// A place as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRegion {
    /// The provider's name.
    pub name: String,
    /// City or country, for people.
    pub title: String,
}

/// An account's last good copy of its provider's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCatalogue {
    /// Whose it is.
    pub account: AccountName,
    /// Who sells.
    pub provider: ProviderName,
    /// When it was asked for.
    pub observed_at: Timestamp,
    /// Every size in every region.
    pub offers: Vec<Offer>,
    /// Every region.
    pub regions: Vec<LiveRegion>,
}
