//! Checks: configured questions about an xNode.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CheckId, CheckName, words};

words! {
    /// The kind of probe.
    CheckKind("check kind") {
        /// ICMP echo; over TCP where we may not send ICMP, and marked so.
        Ping = "ping",
        /// A TCP connection that opens.
        Tcp = "tcp",
        /// An SSH banner and the pinned host key.
        Ssh = "ssh",
        /// An HTTP or HTTPS request.
        Http = "http",
    }
}

words! {
    /// Which IP family a probe uses.
    IpFamily("IP family") {
        /// Whatever the address or the first DNS answer is.
        Any = "any",
        /// IPv4 only.
        V4 = "v4",
        /// IPv6 only.
        V6 = "v6",
    }
}

words! {
    /// What an HTTP check does when the server redirects it.
    RedirectPolicy("redirect policy") {
        /// Follow up to ten redirects on the same host.
        SameHost = "same_host",
        /// Follow up to ten redirects anywhere.
        Follow = "follow",
        /// Take the redirect itself as the answer.
        None = "none",
    }
}

/// What a check asks, tagged by `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProbeSpec {
    /// ICMP echo.
    Ping(PingProbe),
    /// A TCP connection.
    Tcp(TcpProbe),
    /// SSH banner and host key.
    Ssh(SshProbe),
    /// An HTTP request.
    Http(Box<HttpProbe>),
}

impl ProbeSpec {
    /// The kind without its settings.
    pub const fn kind(&self) -> CheckKind {
        match self {
            Self::Ping(_) => CheckKind::Ping,
            Self::Tcp(_) => CheckKind::Tcp,
            Self::Ssh(_) => CheckKind::Ssh,
            Self::Http(_) => CheckKind::Http,
        }
    }
}

/// Settings of a ping check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PingProbe {
    /// Family to use, default `any`.
    #[serde(default = "any_family")]
    pub family: IpFamily,
}

/// Settings of a TCP check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// Port that must accept a connection, 1–65535.
    pub port: u16,
    /// Family to use, default `any`.
    #[serde(default = "any_family")]
    pub family: IpFamily,
}

/// Settings of an SSH check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SshProbe {
    /// Port, default the xNode's SSH port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether the key exchange is carried out and the host key compared with the pinned one, default true.
    /// The banner alone is cheaper and does not notice a changed key.
    #[serde(default = "yes")]
    pub host_key: bool,
}

/// Settings of an HTTP check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// Absolute `http` or `https` URL, at most 2,048 characters, without user name or password.
    pub url: String,
    /// Method, default `GET`; one of GET, HEAD, POST, PUT, OPTIONS.
    #[serde(default = "get")]
    pub method: String,
    /// Request headers; at most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Accepted status codes, as numbers and ranges such as `200`, `200-299`; default `200-399`.
    #[serde(default = "status_ok")]
    pub status: Vec<String>,
    /// Text the first MiB of the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Regular expression the first MiB of the body must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_regex: Option<String>,
    /// Response headers that must be there, name to regular expression.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// The answer fails when it takes longer than this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u64>,
    /// The check fails when the certificate has fewer days left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tls_days: Option<u32>,
    /// What to do with redirects, default `same_host`.
    #[serde(default = "same_host")]
    pub redirects: RedirectPolicy,
    /// PEM certificates to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Accept any certificate. Default false; the check then says nothing about who answered.
    #[serde(default)]
    pub insecure: bool,
    /// Address to connect to instead of what the URL's host resolves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_to: Option<crate::Host>,
}

/// A check as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// The check's id.
    pub id: CheckId,
    /// Name, unique on its xNode.
    pub name: CheckName,
    /// What it asks.
    pub probe: ProbeSpec,
    /// Time between probes in milliseconds; absent: the global setting (5 minutes).
    pub interval_ms: Option<u64>,
    /// Deadline of one probe in milliseconds; absent: the global setting of the kind (ping 5 s, others 10 s).
    pub timeout_ms: Option<u64>,
    /// Failures in a row before it is down; absent: the global setting (2).
    pub down_after: Option<u32>,
    /// Passes in a row before it is up again; absent: the global setting (1).
    pub up_after: Option<u32>,
    /// Whether it is probed.
    pub enabled: bool,
}

/// A check to be made; every omitted field takes the global setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckCreate {
    /// Name, unique on its xNode; default the kind, then kind-2, kind-3 ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<CheckName>,
    /// What it asks.
    pub probe: ProbeSpec,
    /// Time between probes in milliseconds, 1,000 to 86,400,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// Deadline of one probe in milliseconds, 100 to 60,000 and not above the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Failures in a row before it is down, 1 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_after: Option<u32>,
    /// Passes in a row before it is up again, 1 to 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_after: Option<u32>,
    /// Whether it is probed, default true.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}
const fn any_family() -> IpFamily {
    IpFamily::Any
}
const fn same_host() -> RedirectPolicy {
    RedirectPolicy::SameHost
}
fn get() -> String {
    "GET".to_owned()
}
fn status_ok() -> Vec<String> {
    vec!["200-399".to_owned()]
}
