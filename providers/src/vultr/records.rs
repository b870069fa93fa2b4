//! Vultr's records, and what they are in our words.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use capsule_api::{Arch, Currency, Instance, InstanceState, Price};
use serde::Deserialize;
use serde_json::Value;

use super::NAME;
use crate::{
    Offer, micros,
    record::{or_default, without_secrets},
    timestamp,
};

/// Hours after which the monthly price caps the hourly one: 28 days.
const BILLED_HOURS: i64 = 672;

/// Bare metal has neither power nor server status, so `active` alone is running.
pub(super) fn state(status: &str, power: Option<&str>, server: Option<&str>) -> InstanceState {
    match (status, power, server) {
        ("pending" | "resizing", ..) => InstanceState::Provisioning,
        ("suspended", ..) => InstanceState::Error,
        ("active", _, Some("none" | "locked" | "installingbooting")) => InstanceState::Provisioning,
        ("active", Some("stopped"), _) => InstanceState::Stopped,
        ("active", Some("running") | None, _) => InstanceState::Running,
        _ => InstanceState::Unknown,
    }
}

/// `main_ip` is `0.0.0.0` or empty until there is one, and for ever where there is only IPv6.
pub(super) fn address(main: &str, v6: &str) -> Option<IpAddr> {
    let main = main.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified());
    main.or_else(|| v6.parse::<Ipv6Addr>().ok().filter(|ip| !ip.is_unspecified()).map(IpAddr::from))
}

pub(super) fn instance(record: Value, place: &str) -> serde_json::Result<Instance> {
    let server = Server::deserialize(&record)?;
    Ok(Instance {
        name: if server.label.is_empty() { server.hostname } else { server.label },
        provider: NAME,
        status: state(&server.status, server.power_status.as_deref(), server.server_status.as_deref()),
        ip_address: address(&server.main_ip, &server.v6_main_ip),
        region: server.region,
        created_at: timestamp(&server.date_created),
        plan: server.plan,
        tags: server.tags,
        place: place.to_owned(),
        id: server.id,
        metadata: without_secrets(record),
    })
}

/// The plan in every region that has it; where it is sold out the vendor names no region.
pub(super) fn offers(plan: &Plan, bare_metal: bool) -> Vec<Offer> {
    let offer = |region: &String| {
        Some(Offer {
            plan: plan.id.clone(),
            region: region.clone(),
            vcpus: plan.vcpu_count.or(plan.cpu_count).unwrap_or_default(),
            memory_mib: plan.ram,
            disk_gb: plan.disk * plan.disk_count.unwrap_or(1).max(1),
            transfer_gb: plan.bandwidth,
            gpus: u32::from(!plan.gpu_type.is_empty()),
            gpu_model: Some(plan.gpu_type.clone()).filter(|model| !model.is_empty()),
            arch: Arch::X86_64,
            bare_metal,
            price: price(plan, region)?,
            available: plan.deploy_ondemand.unwrap_or(true),
        })
    };
    plan.locations.iter().filter_map(offer).collect()
}

fn price(plan: &Plan, region: &str) -> Option<Price> {
    let here = plan.location_cost.get(region);
    let monthly =
        here.map(|cost| &cost.monthly_cost).and_then(micros).or_else(|| micros(&plan.monthly_cost))?;
    let listed = match here {
        Some(cost) => micros(&cost.hourly_cost),
        None => micros(&plan.hourly_cost),
    };
    let hourly_micros = listed.filter(|micros| 0 < *micros).unwrap_or(monthly / BILLED_HOURS);
    Some(Price { currency: Currency::Usd, hourly_micros, monthly_micros: Some(monthly) })
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Deserialize, Default)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) links: Links,
}

#[derive(Deserialize, Default)]
pub(super) struct Links {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) next: String,
}

#[derive(Deserialize)]
pub(super) struct Account {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) email: String,
}

#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) id: String,
    #[serde(default)]
    pub(super) ssh_key: String,
}

#[derive(Deserialize)]
pub(super) struct Os {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) arch: String,
}

#[derive(Deserialize)]
pub(super) struct RegionRecord {
    pub(super) id: String,
    #[serde(default)]
    pub(super) city: String,
    #[serde(default)]
    pub(super) country: String,
}

#[derive(Deserialize)]
pub(super) struct Plan {
    id: String,
    /// Of virtual machines.
    vcpu_count: Option<u32>,
    /// Of bare metal.
    cpu_count: Option<u32>,
    /// In MB.
    ram: u64,
    #[serde(default)]
    disk: u64,
    disk_count: Option<u64>,
    bandwidth: Option<u64>,
    monthly_cost: Value,
    #[serde(default)]
    hourly_cost: Value,
    #[serde(default, deserialize_with = "or_default")]
    gpu_type: String,
    #[serde(default, deserialize_with = "or_default")]
    locations: Vec<String>,
    /// Regions that are dearer; an empty array where there is none.
    #[serde(default, deserialize_with = "costs")]
    location_cost: BTreeMap<String, LocationCost>,
    deploy_ondemand: Option<bool>,
}

#[derive(Deserialize)]
struct LocationCost {
    #[serde(default)]
    monthly_cost: Value,
    #[serde(default)]
    hourly_cost: Value,
}

fn costs<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, LocationCost>, D::Error> {
    let value = Value::deserialize(from)?;
    if !value.is_object() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_value(value).map_err(serde::de::Error::custom)
}

#[derive(Deserialize)]
struct Server {
    id: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    status: String,
    power_status: Option<String>,
    server_status: Option<String>,
    #[serde(default)]
    main_ip: String,
    #[serde(default)]
    v6_main_ip: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    plan: String,
    #[serde(default)]
    date_created: String,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
}
