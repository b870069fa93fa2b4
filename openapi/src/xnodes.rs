//! xNodes: the servers in the inventory.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AccountName, Check, CheckCreate, Health, Host, InstanceRef, Label, Tag, ThresholdOverrides, UsdMicros,
    XNodeId, XNodeName, words,
};

words! {
    /// What the inventory says of a server's power state; checks say whether it answers.
    XNodeStatus("xNode status") {
        /// In use; probed.
        Running = "running",
        /// Switched off on purpose; not probed.
        Stopped = "stopped",
        /// Being made; not probed yet.
        Deploying = "deploying",
        /// Its last change failed; probed.
        Error = "error",
    }
}

/// How to log in to an xNode, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshAccess {
    /// TCP port, default 22.
    pub port: u16,
    /// User; absent: metrics over SSH are not collected.
    pub user: Option<String>,
    /// The xNode (by name) or `user@host:port` to go through.
    pub jump: Option<String>,
    /// Where the private key comes from: `stored`, `path`, `agent`, or absent.
    pub key: Option<SshKeySource>,
    /// The pinned host key as `SHA256:…`; absent before the first contact.
    pub host_key_fingerprint: Option<String>,
}

words! {
    /// Where a private key comes from.
    SshKeySource("key source") {
        /// Sealed in the daemon's database.
        Stored = "stored",
        /// A file the daemon reads; only where daemon and caller are the same user.
        Path = "path",
        /// The daemon's SSH agent; only where daemon and caller are the same user.
        Agent = "agent",
    }
}

/// A private key handed to the daemon.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SshKeyCreate {
    /// The key itself in OpenSSH or PEM form, without passphrase; sealed at rest, never shown again.
    Pem(String),
    /// A path the daemon reads at each connection; refused unless daemon and caller are the same user.
    Path(String),
    /// Use the daemon's SSH agent; refused unless daemon and caller are the same user.
    Agent {},
}

impl std::fmt::Debug for SshKeyCreate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pem(_) => f.write_str("Pem(***)"),
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Agent {} => f.write_str("Agent"),
        }
    }
}

words! {
    /// What happens to an xNode when its time to live is over.
    ExpiryAction("expiry action") {
        /// Switched off at its provider; what keeps costing then keeps costing.
        Stop = "stop",
        /// Deleted at its provider.
        Delete = "delete",
    }
}

/// The end of an xNode's time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Expiry {
    /// When.
    pub at: Timestamp,
    /// What then happens.
    pub action: ExpiryAction,
}

/// Where an xNode is known at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Placement {
    /// The account it is billed to.
    pub account: AccountName,
    /// The provider's id.
    pub instance: InstanceRef,
    /// The provider's name of its size.
    pub plan: String,
    /// The template it was deployed from.
    pub template: Option<String>,
    /// The end of its time to live, if it has one.
    pub expiry: Option<Expiry>,
}

/// A server in the inventory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct XNode {
    /// The xNode's id.
    pub id: XNodeId,
    /// Unique name.
    pub name: XNodeName,
    /// Address or DNS name that checks and SSH use.
    pub address: Host,
    /// IPv4 address, where known beside `address`.
    #[schema(value_type = Option<String>, format = "ipv4")]
    pub ipv4: Option<std::net::Ipv4Addr>,
    /// IPv6 address, where known beside `address`.
    #[schema(value_type = Option<String>, format = "ipv6")]
    pub ipv6: Option<std::net::Ipv6Addr>,
    /// How to log in.
    pub ssh: SshAccess,
    /// Provider label.
    pub provider: Option<Label>,
    /// Region label.
    pub region: Option<Label>,
    /// Where it is known at a provider; absent: we cannot steer it there.
    pub placement: Option<Placement>,
    /// What the inventory says of its power state.
    pub status: XNodeStatus,
    /// Tags, sorted.
    pub tags: Vec<Tag>,
    /// Cost per hour in micro-dollars.
    pub hourly_cost_micros: Option<UsdMicros>,
    /// All checks taken together.
    pub health: Health,
    /// Since when the health has been so.
    pub health_since: Option<Timestamp>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// Thresholds that differ for this xNode.
    pub thresholds: ThresholdOverrides,
    /// Time between resource readings in milliseconds; absent: the global setting (1 minute); 0: none.
    pub metrics_interval_ms: Option<u64>,
    /// Whether this is the machine the daemon runs on, measured without SSH.
    pub own_host: bool,
    /// Number of open alerts.
    pub open_alerts: u32,
    /// Rises with every change; the `ETag`.
    pub revision: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed by an operator.
    pub updated_at: Timestamp,
}

/// How to log in, as given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SshAccessCreate {
    /// TCP port, default 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// User to log in as: 1–32 characters, as `useradd` accepts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// An xNode's name or `user@host:port` to go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// Private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SshKeyCreate>,
    /// Host key to pin now (`ssh-ed25519 AAAA…`) instead of on first contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
}

/// A server to be added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct XNodeCreate {
    /// Unique name.
    pub name: XNodeName,
    /// Address or DNS name.
    pub address: Host,
    /// IPv4 address beside `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "ipv4")]
    pub ipv4: Option<std::net::Ipv4Addr>,
    /// IPv6 address beside `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "ipv6")]
    pub ipv6: Option<std::net::Ipv6Addr>,
    /// How to log in.
    #[serde(default)]
    pub ssh: SshAccessCreate,
    /// Provider label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Label>,
    /// Region label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
    /// Default `running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<XNodeStatus>,
    /// At most 32.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Cost per hour in micro-dollars, not negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_cost_micros: Option<UsdMicros>,
    /// At most 64. Absent: a ping and, where an SSH user is given, an SSH check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<CheckCreate>>,
    /// Thresholds that differ for this xNode.
    #[serde(default)]
    pub thresholds: ThresholdOverrides,
    /// Time between resource readings in milliseconds, at least 5,000; 0: none; absent: the global setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_interval_ms: Option<u64>,
}

/// Changes to an xNode; an absent field stays, `null` clears where clearing makes sense.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct XNodePatch {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<XNodeName>,
    /// New address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Host>,
    /// New IPv4 address, `null` to forget it.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ipv4: Option<Option<std::net::Ipv4Addr>>,
    /// New IPv6 address, `null` to forget it.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ipv6: Option<Option<std::net::Ipv6Addr>>,
    /// New SSH port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_port: Option<u16>,
    /// New SSH user, `null` to stop logging in.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ssh_user: Option<Option<String>>,
    /// New jump host, `null` for none.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ssh_jump: Option<Option<String>>,
    /// New private key, `null` to forget it.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SshKeyCreate>)]
    pub ssh_key: Option<Option<SshKeyCreate>>,
    /// Host key to pin, `null` to take the next one seen.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ssh_host_key: Option<Option<String>>,
    /// New provider label, `null` for none.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub provider: Option<Option<Label>>,
    /// New region label, `null` for none.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub region: Option<Option<Label>>,
    /// New status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<XNodeStatus>,
    /// The whole new set of tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// New hourly cost, `null` for unknown.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub hourly_cost_micros: Option<Option<UsdMicros>>,
    /// The whole new set of checks; a check that keeps its name keeps its id, state and history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<CheckCreate>>,
    /// The whole new set of threshold overrides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<ThresholdOverrides>,
    /// New time between readings, `null` for the global setting.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub metrics_interval_ms: Option<Option<u64>>,
}

/// Serde for a field that may be absent (keep), `null` (clear) or a value (set).
mod double_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Option<Option<T>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(to)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::<T>::deserialize(from).map(Some)
    }
}

/// A query over the inventory; every given field must match.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct XNodeFilter {
    /// Provider label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Region label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Inventory status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<XNodeStatus>,
    /// Health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Tags, comma separated; all must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<String>,
    /// Text contained in name, address, provider, region or a tag, ignoring case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Rows per page, 1 to 1,000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
