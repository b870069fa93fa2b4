//! Scaleway's records and words: a server, its states, its disks and addresses, the types of its errors.

use std::{collections::BTreeMap, net::IpAddr};

use capsule_api::{Instance, InstanceState};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::PROVIDER;
use crate::{ProviderError, Result, http::shortened, record::without_secrets, timestamp, values::read};

/// What a tag begins with that holds a public key, blanks written as `_`.
pub(super) const KEY_TAG: &str = "AUTHORIZED_KEY=";

/// The part of a server that has a meaning here.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub commercial_type: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub creation_date: Option<String>,
    #[serde(default)]
    pub public_ip: Option<Address>,
    #[serde(default)]
    pub public_ips: Option<Vec<Address>>,
    #[serde(default)]
    pub volumes: BTreeMap<String, Volume>,
}

/// A public address.
#[derive(Debug, Deserialize)]
pub(super) struct Address {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub address: String,
    /// Came with power-on and goes with it; the others are flexible and stay.
    #[serde(default)]
    pub dynamic: bool,
}

/// A disk.
#[derive(Debug, Deserialize)]
pub(super) struct Volume {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub volume_type: String,
    /// Bytes; a block volume's is known to the block service only.
    #[serde(default)]
    pub size: Option<u64>,
}

impl Volume {
    pub(super) fn is_block(&self) -> bool {
        self.volume_type == "sbs_volume"
    }

    /// For people.
    pub(super) fn label(&self) -> String {
        let name = self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.id);
        format!("{name}, {} GB", self.size.unwrap_or_default() / 1_000_000_000)
    }
}

/// Scaleway's own states, which differ in what may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    Running,
    Starting,
    Stopping,
    Stopped,
    /// Off, but its host is kept and billed.
    StoppedInPlace,
    Locked,
    Unknown,
}

impl Record {
    pub(super) fn read(raw: &Value) -> Result<Self> {
        read(PROVIDER, raw)
    }

    pub(super) fn power(&self) -> Power {
        match self.state.as_str() {
            "running" => Power::Running,
            "starting" => Power::Starting,
            "stopping" => Power::Stopping,
            "stopped" => Power::Stopped,
            "stopped in place" => Power::StoppedInPlace,
            "locked" => Power::Locked,
            _ => Power::Unknown,
        }
    }

    /// The disks that a deletion leaves behind: block volumes always; the others when the server is off,
    /// because only ending a running one takes them along.
    pub(super) fn surviving_volumes(&self) -> impl Iterator<Item = &Volume> {
        let is_off = self.power() == Power::Stopped;
        self.volumes.values().filter(move |volume| match volume.volume_type.as_str() {
            "sbs_volume" | "b_ssd" => true,
            "scratch" => false,
            _ => is_off,
        })
    }

    fn addresses(&self) -> impl Iterator<Item = &Address> {
        let several = self.public_ips.iter().flatten();
        let only = self.public_ip.iter().filter(|_| self.public_ips.as_ref().is_none_or(Vec::is_empty));
        several.chain(only)
    }

    /// The addresses that a deletion leaves behind.
    pub(super) fn flexible_addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses().filter(|ip| !ip.dynamic && !ip.id.is_empty())
    }

    fn address(&self) -> Option<IpAddr> {
        let mut all: Vec<IpAddr> = self.addresses().filter_map(|ip| ip.address.parse().ok()).collect();
        all.sort_by_key(IpAddr::is_ipv6);
        all.into_iter().next()
    }
}

fn state(power: Power) -> InstanceState {
    match power {
        Power::Starting => InstanceState::Provisioning,
        Power::Running => InstanceState::Running,
        Power::Stopped | Power::StoppedInPlace | Power::Stopping => InstanceState::Stopped,
        Power::Locked => InstanceState::Error,
        Power::Unknown => InstanceState::Unknown,
    }
}

/// A server of `zone` in our words.
pub(super) fn instance(raw: Value, zone: &str) -> Result<Instance> {
    let record = Record::read(&raw)?;
    Ok(Instance {
        provider: PROVIDER,
        status: state(record.power()),
        ip_address: record.address(),
        region: zone.to_owned(),
        created_at: record.creation_date.as_deref().and_then(timestamp),
        id: record.id,
        name: record.name,
        plan: record.commercial_type,
        tags: record.tags.into_iter().filter(|tag| !tag.starts_with(KEY_TAG)).collect(),
        place: zone.to_owned(),
        metadata: without_secrets(raw),
    })
}

/// By `type`: the same refusal comes with more than one status.
pub(super) fn classify(status: StatusCode, body: &Value) -> Option<ProviderError> {
    let kind = body["type"].as_str()?;
    let mut text = format!("{status}: {kind}: {}", body["message"].as_str().unwrap_or_default());
    for detail in body["details"].as_array().into_iter().flatten() {
        let word = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
        text.push_str(&format!("; {} {} {}", word("argument_name"), word("reason"), word("help_message")));
    }
    let detail = shortened(&Value::String(text.trim_end().to_owned()));
    let provider = PROVIDER;
    Some(match kind {
        "denied_authentication" | "permissions_denied" => ProviderError::Unauthorized { provider, detail },
        "not_found" | "resource_expired" => {
            let what = match (body["resource"].as_str(), body["resource_id"].as_str()) {
                (Some(resource), Some(id)) => format!("{resource} {id}"),
                _ => detail,
            };
            ProviderError::NotFound { provider, what }
        }
        "invalid_arguments" | "invalid_request_error" => ProviderError::Invalid { provider, detail },
        "quotas_exceeded" => ProviderError::Quota { provider, detail },
        "out_of_stock" => ProviderError::OutOfStock { provider, detail },
        "too_many_requests" => ProviderError::RateLimited { provider, after: None },
        "transient_state" | "locked" | "precondition_failed" | "conflict" | "resource_still_in_use" => {
            ProviderError::Conflict { provider, detail }
        }
        _ => return None,
    })
}

/// The error with the zone's name before what it says.
pub(super) fn in_zone(zone: &str, mut error: ProviderError) -> ProviderError {
    match &mut error {
        ProviderError::Unauthorized { detail, .. }
        | ProviderError::NotFound { what: detail, .. }
        | ProviderError::OutOfStock { detail, .. }
        | ProviderError::Quota { detail, .. }
        | ProviderError::Invalid { detail, .. }
        | ProviderError::Conflict { detail, .. }
        | ProviderError::Unavailable { detail, .. }
        | ProviderError::UnknownOutcome { detail, .. }
        | ProviderError::Unreadable { detail, .. } => *detail = format!("{zone}: {detail}"),
        ProviderError::RateLimited { .. } | ProviderError::Ended { .. } => {}
    }
    error
}
