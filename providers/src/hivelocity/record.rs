//! Hivelocity's records and words: deployments, devices, orders, their states, operating systems' names.

use std::net::IpAddr;

use capsule_api::{Instance, InstanceState};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PROVIDER, device_id};
use crate::{Mark, ProviderError, Result, http::shortened, record::without_secrets};

/// What comes after name and mark in a host name: a top level reserved for private use.
const DOMAIN: &str = "internal";
const ORDER: &str = "order-";

/// The two trees that deployments are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Metal,
    Compute,
}

impl Kind {
    pub(super) fn of(place: &str) -> Self {
        if place == "compute" { Self::Compute } else { Self::Metal }
    }

    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Metal => "",
            Self::Compute => "compute",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Metal => "/bare-metal-devices/",
            Self::Compute => "/compute/",
        }
    }
}

/// An order, which may come before any device.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    #[serde(rename = "orderId")]
    pub id: u64,
    #[serde(default)]
    pub status: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Order {
    /// Whether a device may still come of it: `verification`, `lead`, `provisioning`, `assembling`.
    pub(super) fn is_open(&self) -> bool {
        let status = self.status.to_ascii_lowercase();
        !matches!(status.as_str(), "complete" | "completed" | "cancelled" | "canceled")
    }

    pub(super) fn mentions(&self, mark: &Mark) -> bool {
        Value::Object(self.rest.clone()).to_string().contains(mark.as_str())
    }
}

/// The number in `order-N`.
pub(super) fn order_number(id: &str) -> Option<u64> {
    id.strip_prefix(ORDER)?.parse().ok()
}

/// An order as the instance that it will be.
pub(super) fn ordered(order: &Order, region: &str) -> Instance {
    Instance {
        id: format!("{ORDER}{}", order.id),
        name: String::new(),
        provider: PROVIDER,
        status: InstanceState::Provisioning,
        ip_address: None,
        region: region.to_owned(),
        created_at: None,
        metadata: without_secrets(json!({"order": {"status": order.status, "details": order.rest}})),
        plan: String::new(),
        tags: Vec::new(),
        place: String::new(),
    }
}

/// `NAME.MARK.internal`.
pub(super) fn host_name(name: &str, mark: &Mark) -> String {
    format!("{name}.{mark}.{DOMAIN}")
}

/// The name people gave, out of a host name of ours; other host names are whole.
fn name(host: &str) -> &str {
    let ours = host.split_once('.').filter(|(_, rest)| {
        rest.strip_suffix(DOMAIN)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|mark| mark.parse::<Mark>().is_ok())
    });
    ours.map_or(host, |(name, _)| name)
}

/// Whether a deployment carries the mark, as a tag or in its host name.
pub(super) fn is_marked(raw: &Value, mark: &Mark) -> bool {
    let mut tags = raw["tags"].as_array().into_iter().flatten();
    let host = raw["hostname"].as_str().unwrap_or_default();
    tags.any(|tag| tag.as_str() == Some(mark.as_str())) || host.split('.').any(|label| label == mark.as_str())
}

/// The state of a machine: of its provisioning first, then of its power.
fn state(deployment: Option<&Value>, device: Option<&Value>) -> InstanceState {
    let Some(device) = device else { return InstanceState::Provisioning };
    if device["hasCancellation"] == true {
        return InstanceState::Deleted;
    }
    if device["isReload"] == true {
        return InstanceState::Provisioning;
    }
    let word = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let power = word(&device["powerStatus"]).or_else(|| word(&deployment?["powerStatus"]));
    let powered = || match power.as_deref() {
        Some("ON") => InstanceState::Running,
        Some("OFF") => InstanceState::Stopped,
        _ => InstanceState::Unknown,
    };
    // `IN_USE` in one place is `InUse` in another.
    let stage = word(&device["spsStatus"]).or_else(|| word(&device["metadata"]["sps_status"]));
    let stage: String =
        stage.unwrap_or_default().chars().filter(|c| *c != '_').collect::<String>().to_ascii_uppercase();
    match stage.as_str() {
        "INUSE" | "" => powered(),
        "BUILDING" | "IPMIREADY" | "PROVISIONABLE" | "RESERVED" | "RELOADING" => InstanceState::Provisioning,
        "FAILED" | "CLEANUPMOVETOFAILED" | "INREVIEW" => InstanceState::Error,
        stage if stage.starts_with("WAIT") || stage.starts_with("PROVISION") => InstanceState::Provisioning,
        _ => InstanceState::Unknown,
    }
}

/// A machine in our words, from the records that there are. One without a device's number is known by its
/// order's.
pub(super) fn instance(kind: Kind, deployment: Option<Value>, device: Option<Value>) -> Result<Instance> {
    let either = |name: &str| {
        let of =
            |raw: &Option<Value>| raw.as_ref().map(|raw| raw[name].clone()).filter(|value| !value.is_null());
        of(&deployment).or_else(|| of(&device)).unwrap_or_default()
    };
    let number = deployment.as_ref().and_then(device_id).or(device.as_ref().and_then(device_id));
    let order = either("orderId").as_u64().map(|order| format!("{ORDER}{order}"));
    let Some(id) = number.map(|id| id.to_string()).or(order) else {
        let detail = "a device has neither `deviceId` nor `orderId`".to_owned();
        return Err(ProviderError::Unreadable { provider: PROVIDER, detail });
    };
    let facility = device.as_ref().and_then(|raw| raw["location"]["facility"].as_str());
    let region = either("locationName").as_str().or(facility).unwrap_or_default().to_owned();
    let tags = either("tags");
    let tags = tags.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let ip: Option<IpAddr> = either("primaryIp").as_str().and_then(|ip| ip.parse().ok());
    Ok(Instance {
        id,
        name: either("hostname").as_str().map(|host| name(host).to_owned()).unwrap_or_default(),
        provider: PROVIDER,
        status: state(deployment.as_ref(), device.as_ref()),
        ip_address: ip,
        region,
        created_at: None,
        plan: either("productId").as_u64().map(|id| id.to_string()).unwrap_or_default(),
        tags: tags.collect(),
        place: kind.place().to_owned(),
        metadata: without_secrets(json!({
            "deployment": deployment.map(without_scripts),
            "device": device.map(without_scripts),
        })),
    })
}

/// User data goes by other names here.
fn without_scripts(mut raw: Value) -> Value {
    if let Some(fields) = raw.as_object_mut() {
        fields.retain(|name, _| name != "script" && !name.starts_with("customIPXEScript"));
    }
    raw
}

/// The name of `image` among a product's operating systems: itself, or for `ubuntu-22.04` what begins with
/// `Ubuntu 22.04`, `Ubuntu 22.x` or `Ubuntu 22`; of several the shortest, which comes without extras.
pub(super) fn os_name(systems: &[Value], image: &str) -> Result<String> {
    let names: Vec<&str> = systems.iter().filter_map(|system| system["name"].as_str()).collect();
    if let Some(same) = names.iter().find(|name| name.eq_ignore_ascii_case(image)) {
        return Ok((*same).to_owned());
    }
    let (distribution, version) = image.split_once('-').unwrap_or((image, ""));
    let major = version.split('.').next().unwrap_or_default();
    let versions = [version.to_owned(), format!("{major}.x"), major.to_owned()];
    let rank = |name: &&str| {
        let mut words = name.split_whitespace();
        let is_same = words.next()?.eq_ignore_ascii_case(distribution);
        let found = words.next()?;
        let place = versions.iter().position(|version| version == found)?;
        is_same.then_some((place, name.len()))
    };
    let best = names.iter().filter_map(|name| rank(name).map(|rank| (rank, *name))).min();
    best.map(|(_, name)| name.to_owned()).ok_or_else(|| {
        let detail = format!("no image {image} for this product; there are {}", names.join(", "));
        ProviderError::Invalid { provider: PROVIDER, detail: shortened(&Value::String(detail)) }
    })
}

/// Hivelocity's messages have no fixed shape.
pub(super) fn classify(status: StatusCode, body: &Value) -> Option<ProviderError> {
    if status.is_server_error() {
        return None;
    }
    let text = body["message"].as_str().or(body.as_str()).map_or_else(|| body.to_string(), str::to_owned);
    let detail = shortened(&Value::String(format!("{status}: {text}")));
    let says = |words: &[&str]| words.iter().any(|word| text.to_ascii_lowercase().contains(word));
    let provider = PROVIDER;
    if says(&["while server is powered", "power off device"]) {
        return Some(ProviderError::Conflict { provider, detail });
    }
    const EMPTY: [&str; 7] = [
        "out of stock",
        "not in stock",
        "no stock",
        "sold out",
        "not available",
        "no longer available",
        "unavailable",
    ];
    if says(&EMPTY) {
        return Some(ProviderError::OutOfStock { provider, detail });
    }
    if says(&["quota", "limit reached", "credit limit", "device limit", "maximum number"]) {
        return Some(ProviderError::Quota { provider, detail });
    }
    None
}
