//! What a file says of one server, whatever the form of the file.

use std::net::{Ipv4Addr, Ipv6Addr};

use capsule_api::{Host, Label, Placement, SshKeyCreate, Tag, UsdMicros, XNodeName, XNodeStatus};
use jiff::Timestamp;

use super::faults::{Left, Spot};

/// What a file says of one server. The outer `None` of a field: the file says nothing about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub spot: Spot,
    /// The id, whatever tool gave it.
    pub id: Option<String>,
    /// The name.
    pub name: Option<XNodeName>,
    /// Whether an xNode of that name is meant only if it has the same address: names of clouds are not ours.
    pub name_needs_address: bool,
    /// Provider label.
    pub provider: Option<Option<Label>>,
    /// Power state.
    pub status: Option<XNodeStatus>,
    /// Whether the power state is for a new xNode only, because the file may be old.
    pub status_if_new: bool,
    /// Address or DNS name.
    pub address: Option<Host>,
    /// Region label.
    pub region: Option<Option<Label>>,
    /// Where it is known at a provider.
    pub placement: Option<Placement>,
    /// When it was deployed.
    pub deployed_at: Option<Timestamp>,
    /// Dollars per hour.
    pub hourly_cost: Option<Option<UsdMicros>>,
    /// Tags.
    pub tags: Option<Vec<Tag>>,
    /// SSH user.
    pub ssh_user: Option<Option<String>>,
    /// SSH port.
    pub ssh_port: Option<u16>,
    /// Jump host.
    pub ssh_jump: Option<Option<String>>,
    /// Private key, for an xNode that has none.
    pub ssh_key: Option<SshKeyCreate>,
    /// IPv4 address beside the address.
    pub ipv4: Option<Option<Ipv4Addr>>,
    /// IPv6 address beside the address.
    pub ipv6: Option<Option<Ipv6Addr>>,
}

impl Record {
    /// A record that says nothing yet.
    pub const fn at(spot: Spot) -> Self {
        Self {
            spot,
            id: None,
            name: None,
            name_needs_address: false,
            provider: None,
            status: None,
            status_if_new: false,
            address: None,
            region: None,
            placement: None,
            deployed_at: None,
            hourly_cost: None,
            tags: None,
            ssh_user: None,
            ssh_port: None,
            ssh_jump: None,
            ssh_key: None,
            ipv4: None,
            ipv6: None,
        }
    }
}

/// What was read of a file without a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The servers, in the order of the file.
    pub records: Vec<Record>,
    /// What is not taken over, and why.
    pub left: Vec<Left>,
    /// The private keys that the file names by path.
    pub identity_files: Vec<String>,
}
