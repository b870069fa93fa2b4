//! Equinix Metal's records and words: a device, its states, names of systems, errors.

use std::net::IpAddr;

use capsule_api::{Instance, InstanceState};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::PROVIDER;
use crate::{
    ProviderError, Result,
    http::shortened,
    record::{or_default, without_secrets},
    timestamp,
    values::read,
};

/// The part of a device that has a meaning here.
#[derive(Debug, Deserialize)]
struct Record {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    hostname: String,
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    ip_addresses: Vec<Address>,
    #[serde(default)]
    metro: Value,
    #[serde(default)]
    plan: Value,
}

#[derive(Debug, Deserialize)]
struct Address {
    #[serde(default, deserialize_with = "or_default")]
    address: String,
    #[serde(default, deserialize_with = "or_default")]
    address_family: u32,
    #[serde(default, deserialize_with = "or_default")]
    public: bool,
}

pub(super) fn state(word: &str) -> InstanceState {
    match word {
        "queued" | "provisioning" | "reinstalling" | "powering_on" => InstanceState::Provisioning,
        "active" => InstanceState::Running,
        "inactive" | "powering_off" => InstanceState::Stopped,
        "failed" => InstanceState::Error,
        "deprovisioning" | "deleted" => InstanceState::Deleted,
        _ => InstanceState::Unknown,
    }
}

/// The public address, IPv4 first.
fn address(record: &Record) -> Option<IpAddr> {
    let of = |family: u32| {
        let mut public = record.ip_addresses.iter().filter(|ip| ip.public && ip.address_family == family);
        public.find_map(|ip| ip.address.parse().ok())
    };
    of(4).or_else(|| of(6))
}

/// A device in our words. Its user data is in `userdata` and `customdata`.
pub(super) fn instance(mut raw: Value) -> Result<Instance> {
    let record: Record = read(PROVIDER, &raw)?;
    if let Some(fields) = raw.as_object_mut() {
        fields.remove("customdata");
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Instance {
        provider: PROVIDER,
        status: state(&record.state),
        ip_address: address(&record),
        region: text(&record.metro["code"]),
        created_at: record.created_at.as_deref().and_then(timestamp),
        plan: text(&record.plan["slug"]),
        id: record.id,
        name: record.hostname,
        tags: record.tags,
        place: String::new(),
        metadata: without_secrets(raw),
    })
}

/// `ubuntu-24.04` as Equinix writes it: `ubuntu_24_04`. Anything else is a slug of theirs already.
pub(super) fn operating_system(image: &str) -> String {
    match image.split_once('-') {
        Some((distribution @ ("ubuntu" | "debian"), version)) => {
            format!("{distribution}_{}", version.replace('.', "_"))
        }
        _ => image.to_owned(),
    }
}

/// Equinix says why only in words, under `errors` or `error`.
pub(super) fn classify(status: StatusCode, body: &Value) -> Option<ProviderError> {
    if status.is_server_error() {
        return None;
    }
    let several = body["errors"].as_array().into_iter().flatten();
    let reasons: Vec<&str> = several.chain([&body["error"]]).filter_map(Value::as_str).collect();
    let text = reasons.join("; ");
    let detail = shortened(&Value::String(format!("{status}: {text}")));
    let says = |words: &[&str]| words.iter().any(|word| text.to_ascii_lowercase().contains(word));
    let provider = PROVIDER;
    if says(&["not enough capacity", "no available", "no capacity", "not available", "out of stock"]) {
        return Some(ProviderError::OutOfStock { provider, detail });
    }
    if says(&["quota", "limit reached", "maximum number", "exceed"]) {
        return Some(ProviderError::Quota { provider, detail });
    }
    // 422 is what a locked device or one in another state answers with.
    if says(&["locked", "while the device", "must be active", "in progress"]) {
        return Some(ProviderError::Conflict { provider, detail });
    }
    None
}
