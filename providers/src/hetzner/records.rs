//! Hetzner's records, and what they are in our words.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use capsule_api::{Arch, Currency, Instance, InstanceState, Leftover, Price};
use serde::Deserialize;
use serde_json::Value;

use super::{MARK_LABEL, NAME, NAME_LABEL};
use crate::{
    Mark, Offer, micros,
    record::{or_default, without_secrets},
    timestamp,
};

pub(super) fn state(status: &str) -> InstanceState {
    match status {
        "initializing" | "starting" | "migrating" | "rebuilding" => InstanceState::Provisioning,
        "running" => InstanceState::Running,
        "stopping" | "off" => InstanceState::Stopped,
        "deleting" => InstanceState::Deleted,
        _ => InstanceState::Unknown,
    }
}

/// Labels for tags; a mark among them goes under its own key.
pub(super) fn labels(tags: &[String], name: &str) -> BTreeMap<String, String> {
    let label = |tag: &String| {
        if tag.parse::<Mark>().is_ok() {
            return (MARK_LABEL.to_owned(), tag.clone());
        }
        let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
        (allowed(key), allowed(value))
    };
    let mut labels: BTreeMap<_, _> = tags.iter().map(label).filter(|(key, _)| !key.is_empty()).collect();
    labels.insert(NAME_LABEL.to_owned(), allowed(name));
    labels
}

/// What the vendor allows in a label: 63 letters, digits and `-_.`, the first and last neither of these three.
fn allowed(text: &str) -> String {
    let one = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = text.chars().map(one).take(63).collect();
    text.trim_matches(['-', '_', '.']).to_owned()
}

/// The tags that labels stand for; the reverse of [`labels`].
fn tags(labels: &BTreeMap<String, String>) -> Vec<String> {
    let tag = |(key, value): (&String, &String)| match (key.as_str(), value.as_str()) {
        (MARK_LABEL, mark) => mark.to_owned(),
        (key, "") => key.to_owned(),
        (key, value) => format!("{key}:{value}"),
    };
    labels.iter().filter(|(key, _)| *key != NAME_LABEL).map(tag).collect()
}

/// An IPv6 network is the server's; its first address answers.
fn public_address(net: &PublicNet) -> Option<IpAddr> {
    let v4 = net.ipv4.as_ref().and_then(|one| one.ip.parse::<Ipv4Addr>().ok()).map(IpAddr::from);
    v4.or_else(|| {
        let network = net.ipv6.as_ref()?.ip.split('/').next()?.parse::<Ipv6Addr>().ok()?;
        Some(Ipv6Addr::from_bits(network.to_bits() | 1).into())
    })
}

pub(super) fn instance(record: Value) -> serde_json::Result<Instance> {
    let server = Server::deserialize(&record)?;
    let place = server.location.or(server.datacenter.map(|one| one.location));
    Ok(Instance {
        id: server.id.to_string(),
        name: server.labels.get(NAME_LABEL).filter(|name| !name.is_empty()).cloned().unwrap_or(server.name),
        provider: NAME,
        status: state(&server.status),
        ip_address: public_address(&server.public_net),
        region: place.map(|one| one.name).unwrap_or_default(),
        created_at: timestamp(&server.created),
        plan: server.server_type.name,
        tags: tags(&server.labels),
        place: String::new(),
        metadata: without_secrets(record),
    })
}

/// The size wherever it has a price.
pub(super) fn offers(size: &ServerType, datacenters: Option<&[Datacenter]>) -> Vec<Offer> {
    let offer = |price: &LocationPrice| {
        Some(Offer {
            plan: size.name.clone(),
            region: price.location.clone(),
            vcpus: size.cores as u32,
            memory_mib: (size.memory * 1024.0).round() as u64,
            disk_gb: size.disk as u64,
            transfer_gb: price.included_traffic.map(|bytes| bytes / 1_000_000_000),
            gpus: 0,
            gpu_model: None,
            arch: if size.architecture == "arm" { Arch::Aarch64 } else { Arch::X86_64 },
            bare_metal: false,
            price: Price {
                currency: Currency::Eur,
                hourly_micros: micros(&price.price_hourly.net)?,
                monthly_micros: micros(&price.price_monthly.net),
            },
            available: is_available(size, &price.location, datacenters),
        })
    };
    size.prices.iter().filter_map(offer).collect()
}

fn is_available(size: &ServerType, location: &str, datacenters: Option<&[Datacenter]>) -> bool {
    let told = size.locations.iter().find(|one| one.name == location).and_then(|one| one.available);
    let stocked = || {
        datacenters.is_none_or(|all| {
            let mut here = all.iter().filter(|one| one.location.name == location);
            here.any(|one| one.server_types.available.contains(&size.id))
        })
    };
    !size.deprecated && told.unwrap_or_else(stocked)
}

pub(super) fn volume(record: Value) -> Option<Leftover> {
    let label = format!("{} ({} GB)", record["name"].as_str().unwrap_or_default(), record["size"]);
    Some(leftover("volume", &record, "volumes", label)).filter(|one| !one.id.is_empty())
}

pub(super) fn address(record: &Value, place: &str) -> Option<Leftover> {
    let label = record["ip"].as_str().unwrap_or_default().to_owned();
    Some(leftover("address", record, place, label)).filter(|one| !one.id.is_empty())
}

fn leftover(kind: &str, record: &Value, place: &str, label: String) -> Leftover {
    let id = record["id"].as_u64().map(|id| id.to_string()).unwrap_or_default();
    Leftover { kind: kind.to_owned(), id, place: place.to_owned(), label, price: None }
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Deserialize, Default)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) pagination: Pagination,
}

/// The document calls these numbers, not integers.
#[derive(Deserialize, Default)]
pub(super) struct Pagination {
    pub(super) next_page: Option<f64>,
    pub(super) last_page: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) name: String,
    #[serde(default)]
    pub(super) public_key: String,
}

#[derive(Deserialize, Default)]
pub(super) struct Location {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) city: String,
    #[serde(default)]
    pub(super) country: String,
}

#[derive(Deserialize)]
pub(super) struct Datacenter {
    #[serde(default)]
    location: Location,
    #[serde(default)]
    server_types: Stock,
}

#[derive(Deserialize, Default)]
struct Stock {
    #[serde(default)]
    available: Vec<u64>,
}

#[derive(Deserialize, Default)]
pub(super) struct ServerType {
    #[serde(default)]
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    cores: f64,
    /// In GB.
    #[serde(default)]
    memory: f64,
    #[serde(default)]
    disk: f64,
    #[serde(default)]
    architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    deprecated: bool,
    #[serde(default)]
    prices: Vec<LocationPrice>,
    #[serde(default)]
    locations: Vec<TypeLocation>,
}

#[derive(Deserialize)]
struct TypeLocation {
    #[serde(default)]
    name: String,
    available: Option<bool>,
}

#[derive(Deserialize)]
struct LocationPrice {
    location: String,
    price_hourly: Amount,
    price_monthly: Amount,
    /// In bytes.
    included_traffic: Option<u64>,
}

/// A decimal as text, before and with tax.
#[derive(Deserialize)]
struct Amount {
    net: Value,
}

#[derive(Deserialize)]
struct Server {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    created: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    public_net: PublicNet,
    datacenter: Option<Datacenter>,
    location: Option<Location>,
    #[serde(default)]
    server_type: ServerType,
}

#[derive(Deserialize, Default)]
struct PublicNet {
    ipv4: Option<Address>,
    ipv6: Option<Address>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(default)]
    ip: String,
}
