//! DigitalOcean's records, and what they are in our words.

use std::net::{Ipv4Addr, Ipv6Addr};

use capsule_api::{Arch, Currency, Instance, InstanceState, Price};
use serde::Deserialize;
use serde_json::Value;

use super::NAME;
use crate::{
    Offer, micros,
    record::{or_default, without_secrets},
    timestamp,
};

pub(super) fn state(status: &str) -> InstanceState {
    match status {
        "new" => InstanceState::Provisioning,
        "active" => InstanceState::Running,
        "off" => InstanceState::Stopped,
        "archive" => InstanceState::Deleted,
        _ => InstanceState::Unknown,
    }
}

pub(super) fn instance(record: Value) -> serde_json::Result<Instance> {
    let droplet = Droplet::deserialize(&record)?;
    let public = |networks: &[Network]| {
        networks.iter().find(|one| one.kind == "public").map(|one| one.ip_address.clone()).unwrap_or_default()
    };
    let v4 = public(&droplet.networks.v4).parse::<Ipv4Addr>().ok().map(Into::into);
    let v6 = || public(&droplet.networks.v6).parse::<Ipv6Addr>().ok().map(Into::into);
    Ok(Instance {
        id: droplet.id.to_string(),
        name: droplet.name,
        provider: NAME,
        status: state(&droplet.status),
        ip_address: v4.or_else(v6),
        region: droplet.region.slug,
        created_at: timestamp(&droplet.created_at),
        plan: droplet.size_slug,
        tags: droplet.tags,
        place: String::new(),
        metadata: without_secrets(record),
    })
}

pub(super) fn offer(size: &Size, region: &str, regions: &[RegionRecord]) -> Option<Offer> {
    let stocked = regions
        .iter()
        .find(|one| one.slug == region)
        .is_none_or(|one| one.available && one.sizes.contains(&size.slug));
    Some(Offer {
        plan: size.slug.clone(),
        region: region.to_owned(),
        vcpus: size.vcpus,
        memory_mib: size.memory,
        disk_gb: size.disk,
        // Terabytes, some sizes with a fraction.
        transfer_gb: size.transfer.map(|terabytes| (terabytes * 1000.0).round() as u64),
        gpus: size.gpu_info.as_ref().map_or(0, |gpu| gpu.count),
        gpu_model: size.gpu_info.as_ref().map(|gpu| gpu.model.clone()).filter(|model| !model.is_empty()),
        arch: Arch::X86_64,
        bare_metal: false,
        price: Price {
            currency: Currency::Usd,
            hourly_micros: micros(&size.price_hourly)?,
            monthly_micros: micros(&size.price_monthly),
        },
        available: size.available && stocked,
    })
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Deserialize, Default)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) total: usize,
}

#[derive(Deserialize)]
pub(super) struct Account {
    #[serde(default)]
    pub(super) email: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) status_message: String,
    pub(super) team: Option<Team>,
}

#[derive(Deserialize)]
pub(super) struct Team {
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) id: u64,
    pub(super) public_key: String,
}

#[derive(Deserialize)]
struct Droplet {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    created_at: String,
    #[serde(default, deserialize_with = "or_default")]
    networks: Networks,
    #[serde(default, deserialize_with = "or_default")]
    region: RegionSlug,
    #[serde(default)]
    size_slug: String,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Networks {
    #[serde(default, deserialize_with = "or_default")]
    v4: Vec<Network>,
    #[serde(default, deserialize_with = "or_default")]
    v6: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(default)]
    ip_address: String,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize, Default)]
struct RegionSlug {
    #[serde(default)]
    slug: String,
}

#[derive(Deserialize)]
pub(super) struct RegionRecord {
    pub(super) slug: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) available: bool,
    #[serde(default)]
    pub(super) sizes: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Size {
    pub(super) slug: String,
    pub(super) memory: u64,
    pub(super) vcpus: u32,
    #[serde(default)]
    pub(super) disk: u64,
    pub(super) transfer: Option<f64>,
    pub(super) price_monthly: Value,
    pub(super) price_hourly: Value,
    #[serde(default)]
    pub(super) regions: Vec<String>,
    #[serde(default)]
    pub(super) available: bool,
    pub(super) gpu_info: Option<Gpu>,
}

#[derive(Deserialize)]
pub(super) struct Gpu {
    #[serde(default)]
    count: u32,
    #[serde(default)]
    model: String,
}
