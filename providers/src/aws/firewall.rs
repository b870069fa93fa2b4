//! The security group that lets people in.
//!
//! A default VPC's own group lets nothing in. So there is one group for each set of ports, named after it and
//! shared by all instances that open the same ones; it is looked up by name, made when missing, and completed
//! when a rule is. Echo requests are let in too, because our own checks send them. Groups cost nothing and are
//! left behind.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, SecurityGroup};
use capsule_api::ProviderName;
use sha2::{Digest, Sha256};

use super::{
    Aws,
    client::invalid,
    launch::{code, filter},
};
use crate::{ProviderError, Result, http::Repeat};

/// EC2's limit on a group's name is 255 characters.
const LONGEST_LIST: usize = 200;
const ANYWHERE: &str = "0.0.0.0/0";
const ANYWHERE_V6: &str = "::/0";

/// A rule to let in: a TCP port, or echo requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Tcp(u16),
    Echo,
}

impl Rule {
    /// Protocol, first and last port; for ICMP, type and code, of which -1 is any.
    fn terms(self) -> (&'static str, i32, i32) {
        match self {
            Self::Tcp(port) => ("tcp", i32::from(port), i32::from(port)),
            Self::Echo => ("icmp", 8, -1),
        }
    }

    fn is_in(self, group: &SecurityGroup) -> bool {
        let (protocol, first, last) = self.terms();
        group.ip_permissions().iter().any(|there| {
            there.ip_protocol() == Some(protocol)
                && there.from_port() == Some(first)
                && there.to_port() == Some(last)
                && there.ip_ranges().iter().any(|range| range.cidr_ip() == Some(ANYWHERE))
        })
    }

    fn permission(self) -> IpPermission {
        let (protocol, first, last) = self.terms();
        let permission = IpPermission::builder().ip_protocol(protocol).from_port(first).to_port(last);
        let permission = permission.ip_ranges(IpRange::builder().cidr_ip(ANYWHERE).build());
        match self {
            Self::Tcp(_) => {
                permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(ANYWHERE_V6).build()).build()
            }
            Self::Echo => permission.build(),
        }
    }
}

/// The ports to open: those asked for and 22, each once, in order.
fn opened(ports: &[u16]) -> BTreeSet<u16> {
    ports.iter().copied().chain([22]).collect()
}

/// `capsule-22-80`; a list too long for a name is digested.
fn group_name(ports: &BTreeSet<u16>) -> String {
    let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join("-");
    if list.len() <= LONGEST_LIST {
        return format!("capsule-{list}");
    }
    let hex: String = Sha256::digest(list.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("capsule-{hex}")
}

impl Aws {
    /// The id of the group that opens these ports in a region's default VPC.
    pub(super) async fn open_group(&self, region: &str, ports: &[u16]) -> Result<String> {
        let ports = opened(ports);
        let name = group_name(&ports);
        let vpc = self.default_vpc(region).await?;
        let group = match self.group(region, &vpc, &name).await? {
            Some(group) => group,
            None => self.make_group(region, &vpc, &name).await?,
        };
        let id = group.group_id().unwrap_or_default().to_owned();
        for rule in ports.into_iter().map(Rule::Tcp).chain([Rule::Echo]) {
            if !rule.is_in(&group) {
                self.let_in(region, &id, rule).await?;
            }
        }
        Ok(id)
    }

    async fn default_vpc(&self, region: &str) -> Result<String> {
        let asked = self.calls.region(region).describe_vpcs().filters(filter("is-default", "true"));
        let found = self.calls.call("default VPC", asked.send()).await?;
        let vpc = found.vpcs().first().and_then(|vpc| vpc.vpc_id());
        vpc.map(ToOwned::to_owned).ok_or_else(|| {
            invalid(format!("{region} has no default VPC; `aws ec2 create-default-vpc` makes one"))
        })
    }

    async fn group(&self, region: &str, vpc: &str, name: &str) -> Result<Option<SecurityGroup>> {
        let asked = self.calls.region(region).describe_security_groups();
        let asked = asked.filters(filter("vpc-id", vpc)).filters(filter("group-name", name));
        let found = self.calls.call("security group", asked.send()).await?;
        Ok(found.security_groups().iter().find(|group| group.group_id().is_some()).cloned())
    }

    /// Makes the group and waits until EC2 finds it again, or another of us made it at the same time.
    async fn make_group(&self, region: &str, vpc: &str, name: &str) -> Result<SecurityGroup> {
        let make = self.calls.region(region).create_security_group();
        let make = make.group_name(name).vpc_id(vpc).description("Ports opened by Capsule");
        if let Err(error) = self.calls.limited("create security group", make.send()).await
            && code(&error) != Some("InvalidGroup.Duplicate")
        {
            return Err(self.calls.translated(Repeat::Safe, "security group", error));
        }
        for pause in self.pauses() {
            if let Some(group) = self.group(region, vpc, name).await? {
                return Ok(group);
            }
            tokio::time::sleep(pause).await;
        }
        let detail = format!("the new security group {name} does not show");
        Err(ProviderError::Unavailable { provider: ProviderName::Aws, detail })
    }

    async fn let_in(&self, region: &str, group: &str, rule: Rule) -> Result<()> {
        let allow = self.calls.region(region).authorize_security_group_ingress();
        let allow = allow.group_id(group).ip_permissions(rule.permission());
        match self.calls.limited("authorize ingress", allow.send()).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some("InvalidPermission.Duplicate") => Ok(()),
            Err(error) => Err(self.calls.translated(Repeat::Safe, "security group", error)),
        }
    }

    /// The pauses while something new does not show yet: half a minute with the usual backoff.
    pub(super) fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        let backoff = self.backoff;
        (0..6).map(move |attempt| backoff.saturating_mul(1 << attempt).min(Duration::from_secs(15)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_after_its_ports_and_22_is_always_among_them() {
        assert_eq!(group_name(&opened(&[])), "capsule-22");
        assert_eq!(group_name(&opened(&[443, 80, 22, 80])), "capsule-22-80-443");
        let many: Vec<u16> = (1000..1200).collect();
        let name = group_name(&opened(&many));
        assert!(name.len() <= 255);
        assert_ne!(name, group_name(&opened(&many[1..])));
    }

    #[test]
    fn only_a_rule_for_everybody_counts_as_there() {
        let office = IpRange::builder().cidr_ip("198.51.100.0/24").build();
        let narrow = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).ip_ranges(office);
        let group = SecurityGroup::builder().ip_permissions(narrow.build()).build();
        assert!(!Rule::Tcp(22).is_in(&group));
        let group = SecurityGroup::builder()
            .ip_permissions(Rule::Tcp(22).permission())
            .ip_permissions(Rule::Echo.permission());
        let group = group.build();
        assert!(Rule::Tcp(22).is_in(&group) && Rule::Echo.is_in(&group));
        assert!(!Rule::Tcp(80).is_in(&group));
    }
}
