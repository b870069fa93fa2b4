//! What a comparison of a provider's account with the inventory works on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use capsule_api::{
    DeploymentState, Drift, Host, Instance, InstanceRef, IntentId, IntentKind, Label, Price, Tag, UsdMicros,
    XNodeId, XNodeName, XNodeStatus,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a provider was last known to say of a server where that was no drift; absent: not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProviderFacts {
    /// Its name of the size.
    pub plan: Option<String>,
    /// Its name of the region or zone.
    pub region: Option<String>,
    /// The public address.
    pub address: Option<IpAddr>,
    /// The tags, our mark left out, sorted.
    pub tags: Option<Vec<String>>,
    /// The price, in the currency billed.
    pub price: Option<Price>,
}

/// An xNode as far as its provider could contradict it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedXNode {
    /// Its id.
    pub id: XNodeId,
    /// Its name.
    pub name: XNodeName,
    /// The revision that was read.
    pub revision: i64,
    /// The server at the provider.
    pub instance: InstanceRef,
    /// The provider's name of its size; empty: not known.
    pub plan: String,
    /// Region label.
    pub region: Option<Label>,
    /// Where checks and SSH go.
    pub address: Host,
    /// Public IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Public IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Power state.
    pub status: XNodeStatus,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Cost per hour.
    pub hourly_cost: Option<UsdMicros>,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What its provider was last known to say.
    pub known: ProviderFacts,
}

/// A server as its provider lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenInstance {
    /// The provider's record.
    pub instance: Instance,
    /// The intent whose mark it carries.
    pub mark: Option<IntentId>,
    /// Its tags without marks, sorted.
    pub tags: Vec<String>,
    /// Its price as the provider lists it, and that in dollars.
    pub price: Option<(Price, UsdMicros)>,
}

/// What is asked about an intent when somebody else's server is told from one that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentOutline {
    /// Its id.
    pub id: IntentId,
    /// Whether a server is made or deleted.
    pub kind: IntentKind,
    /// The server's name.
    pub name: XNodeName,
    /// How far it has come.
    pub state: DeploymentState,
    /// Since when.
    pub state_at: Timestamp,
    /// The server at the provider, once it is known.
    pub instance: Option<InstanceRef>,
    /// The xNode, once there is one.
    pub xnode: Option<XNodeId>,
}

/// What is told of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingDetail {
    /// The xNode's name, or the server's at the provider.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// What differs.
    pub drift: Vec<Drift>,
    /// The provider's name of its size.
    pub plan: String,
    /// The provider's name of its region or zone.
    pub region: String,
    /// What an orphan costs per hour.
    pub hourly_cost: Option<UsdMicros>,
}
