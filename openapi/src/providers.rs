//! Providers: the clouds, what they call a server, and what it costs there.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

words! {
    /// A cloud we can deploy to.
    ProviderName("provider") {
        /// Hivelocity, bare metal.
        Hivelocity = "hivelocity",
        /// DigitalOcean Droplets.
        DigitalOcean = "digitalocean",
        /// Vultr, virtual and bare metal.
        Vultr = "vultr",
        /// Amazon EC2.
        Aws = "aws",
        /// Equinix Metal, which ended on 2026-06-30.
        Equinix = "equinix",
        /// Linode (Akamai).
        Linode = "linode",
        /// Scaleway Instances.
        Scaleway = "scaleway",
        /// Hetzner Cloud.
        Hetzner = "hetzner",
    }
}

words! {
    /// What a provider says of an instance, in our words.
    InstanceState("instance state") {
        /// Being made, starting, rebuilding.
        Provisioning = "provisioning",
        /// Switched on. Whether it answers is for checks to say.
        Running = "running",
        /// Switched off, or on its way there.
        Stopped = "stopped",
        /// The provider gave up on it or locked it.
        Error = "error",
        /// Gone, or on its way there.
        Deleted = "deleted",
        /// A word this version does not know.
        Unknown = "unknown",
    }
}

words! {
    /// A processor architecture.
    Arch("architecture") {
        /// x86-64.
        X86_64 = "x86_64",
        /// 64-bit ARM.
        Aarch64 = "aarch64",
    }
}

words! {
    /// A currency in which a provider bills.
    Currency("currency") {
        /// US dollar.
        Usd = "USD",
        /// Euro.
        Eur = "EUR",
    }
}

/// A provider's price, in the currency it bills in. Compared with others only through a dated rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// The currency of both amounts.
    pub currency: Currency,
    /// Per hour, in millionths of the currency.
    pub hourly_micros: i64,
    /// Per month, in millionths: the cap where the provider has one, else what it lists. Absent: not listed.
    pub monthly_micros: Option<i64>,
}

/// The provider's own id of an instance, with the place it must be asked in where ids are not global
/// (a Scaleway zone, an AWS region).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct InstanceRef {
    /// The provider's id, as text.
    pub id: String,
    /// The zone or region the id belongs to; empty where ids are global.
    #[serde(default)]
    pub place: String,
}

impl fmt::Display for InstanceRef {
    /// `ID`, or `PLACE/ID`; [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() { f.pad(&self.id) } else { f.pad(&format!("{}/{}", self.place, self.id)) }
    }
}

impl FromStr for InstanceRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, id) = text.split_once('/').unwrap_or(("", text));
        Ok(Self { id: id.to_owned(), place: place.to_owned() })
    }
}

/// A provider's record of a server. The first eight fields are what earlier tools showed, under their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// The provider's id.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// The provider.
    pub provider: ProviderName,
    /// What the provider says of it, in our words.
    pub status: InstanceState,
    /// Its public address, IPv4 before IPv6; absent while it has none.
    #[schema(value_type = Option<String>)]
    pub ip_address: Option<std::net::IpAddr>,
    /// The provider's name of the region or zone.
    pub region: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// The provider's raw record, passwords and keys removed.
    pub metadata: serde_json::Value,
    /// The provider's name of its size.
    pub plan: String,
    /// Its tags there.
    pub tags: Vec<String>,
    /// Where its id belongs; see [`InstanceRef::place`].
    pub place: String,
}

impl Instance {
    /// How to ask the provider for it again.
    pub fn reference(&self) -> InstanceRef {
        InstanceRef { id: self.id.clone(), place: self.place.clone() }
    }
}

/// Something that goes on costing after its instance is stopped or deleted: a disk, an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leftover {
    /// What it is: `volume` or `address`.
    pub kind: String,
    /// The provider's id.
    pub id: String,
    /// Where the id belongs; see [`InstanceRef::place`].
    pub place: String,
    /// Its name, size or address, for people.
    pub label: String,
    /// What it costs, where the provider says so.
    pub price: Option<Price>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_reference_survives_its_text() {
        for (id, place) in [("4711", ""), ("11111111-2222", "fr-par-1"), ("i-0abc", "us-east-1")] {
            let reference = InstanceRef { id: id.to_owned(), place: place.to_owned() };
            assert_eq!(reference.to_string().parse::<InstanceRef>().expect("infallible"), reference);
        }
    }
}
