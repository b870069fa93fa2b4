//! One server, as the inventory has it and as its provider does.
//!
//! A field drifts when the provider contradicts the inventory *and* says something else than it was last known to
//! say: a tag, a label or a price that was changed here on purpose is no drift, and neither is a tag that the vendor
//! spells in its own way. Power has no such memory: on or off is a fact.

use std::{collections::BTreeSet, net::IpAddr};

use capsule_api::{Drift, DriftField, InstanceState, Label, Price, Tag, UsdMicros, XNodeStatus};

use crate::model::{PlacedXNode, ProviderFacts, SeenInstance};

/// What a name that leads nowhere ends in (RFC 6761 §6.4): the address of a server that had none.
const NOWHERE: &str = ".invalid";
/// As many tags as an xNode may have.
const MOST_TAGS: usize = 32;

/// What drifts, in the order of the fields, and what the provider is known to say from now on.
pub(super) fn compare(xnode: &PlacedXNode, seen: &SeenInstance) -> (Vec<Drift>, ProviderFacts) {
    let mut fields = Fields { drift: Vec::new(), known: xnode.known.clone() };
    let instance = &seen.instance;
    if !instance.plan.is_empty() {
        let agrees = xnode.plan.is_empty() || xnode.plan == instance.plan;
        let known = xnode.known.plan.as_ref() == Some(&instance.plan);
        if fields.judge(DriftField::Size, agrees || known, Some(xnode.plan.clone()), &instance.plan) {
            fields.known.plan = Some(instance.plan.clone());
        }
    }
    if !instance.region.is_empty() {
        let agrees = xnode.region.as_ref().is_none_or(|region| region.as_str() == instance.region);
        let known = xnode.known.region.as_ref() == Some(&instance.region);
        let expected = xnode.region.as_ref().map(ToString::to_string);
        if fields.judge(DriftField::Region, agrees || known, expected, &instance.region) {
            fields.known.region = Some(instance.region.clone());
        }
    }
    if let Some(ip) = public(seen) {
        let known = xnode.known.address == Some(ip);
        let expected = expected_address(xnode, ip);
        if fields.judge(DriftField::Address, has_address(xnode, ip) || known, expected, &ip.to_string()) {
            fields.known.address = Some(ip);
        }
    }
    if let Some(status) = contradicting_status(xnode, instance.status) {
        fields.judge(DriftField::Power, false, Some(xnode.status.to_string()), status.as_str());
    }
    let known = xnode.known.tags.as_ref() == Some(&seen.tags);
    let expected = (!xnode.tags.is_empty()).then(|| listed(xnode.tags.iter().map(Tag::as_str)));
    let tags = listed(seen.tags.iter().map(String::as_str));
    let shown = if tags.is_empty() { "none" } else { &tags };
    if fields.judge(DriftField::Tags, known || same_tags(xnode, seen), expected, shown) {
        fields.known.tags = Some(seen.tags.clone());
    }
    if let Some((price, usd)) = seen.price.filter(|(price, _)| 0 < price.hourly_micros) {
        let known = xnode.known.price.is_some_and(|known| same_price(known, price));
        let expected = xnode.hourly_cost.map(|cost| cost.to_string());
        if fields.judge(
            DriftField::Price,
            known || xnode.hourly_cost == Some(usd),
            expected,
            &usd.to_string(),
        ) {
            fields.known.price = Some(price);
        }
    }
    (fields.drift, fields.known)
}

struct Fields {
    drift: Vec<Drift>,
    known: ProviderFacts,
}

impl Fields {
    /// Notes a drift unless all is well; whether it is.
    fn judge(&mut self, field: DriftField, is_well: bool, expected: Option<String>, seen: &str) -> bool {
        if !is_well {
            self.drift.push(Drift { field, expected, seen: seen.to_owned() });
        }
        is_well
    }
}

fn public(seen: &SeenInstance) -> Option<IpAddr> {
    seen.instance.ip_address.filter(|ip| !ip.is_unspecified())
}

/// Whether the inventory has this address, or has a name of its own choice for the server and no address at all.
fn has_address(xnode: &PlacedXNode, ip: IpAddr) -> bool {
    let is_own_name = xnode.address.ip().is_none() && !xnode.address.as_str().ends_with(NOWHERE);
    match ip {
        _ if xnode.address.ip() == Some(ip) => true,
        IpAddr::V4(ip) => xnode.ipv4.map_or(is_own_name, |known| known == ip),
        IpAddr::V6(ip) => xnode.ipv6.map_or(is_own_name, |known| known == ip),
    }
}

fn expected_address(xnode: &PlacedXNode, ip: IpAddr) -> Option<String> {
    let of_family = match ip {
        IpAddr::V4(_) => xnode.ipv4.map(IpAddr::V4),
        IpAddr::V6(_) => xnode.ipv6.map(IpAddr::V6),
    };
    of_family.or_else(|| xnode.address.ip()).map(|ip| ip.to_string())
}

/// What the provider says, when that is another power state than the inventory's. A state on its way somewhere
/// contradicts nothing, and an xNode in `error` claims none.
fn contradicting_status(xnode: &PlacedXNode, seen: InstanceState) -> Option<XNodeStatus> {
    let seen = match seen {
        InstanceState::Running => XNodeStatus::Running,
        InstanceState::Stopped => XNodeStatus::Stopped,
        InstanceState::Error => XNodeStatus::Error,
        InstanceState::Provisioning | InstanceState::Deleted | InstanceState::Unknown => return None,
    };
    (xnode.status != XNodeStatus::Error && xnode.status != seen).then_some(seen)
}

/// Vendors change case and put something else for characters they do not take.
fn same_tags(xnode: &PlacedXNode, seen: &SeenInstance) -> bool {
    let plain = |tag: &str| -> String {
        tag.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
    };
    let ours: BTreeSet<String> = xnode.tags.iter().map(|tag| plain(tag.as_str())).collect();
    let theirs: BTreeSet<String> = seen.tags.iter().map(|tag| plain(tag)).collect();
    ours == theirs
}

fn same_price(a: Price, b: Price) -> bool {
    (a.currency, a.hourly_micros) == (b.currency, b.hourly_micros)
}

fn listed<'a>(tags: impl Iterator<Item = &'a str>) -> String {
    tags.collect::<Vec<_>>().join(",")
}

/// What becomes of an xNode when its provider is taken at its word. Absent: as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Accepted {
    /// The provider's name of its size.
    pub plan: Option<String>,
    /// Region label.
    pub region: Option<Label>,
    /// Whether the provider's address takes the place of the one that is stored.
    pub address: bool,
    /// Power state.
    pub status: Option<XNodeStatus>,
    /// The whole set of tags.
    pub tags: Option<Vec<Tag>>,
    /// Cost per hour, and as the provider bills it.
    pub price: Option<(Price, UsdMicros)>,
    /// What drifted.
    pub drift: Vec<Drift>,
    /// What the provider is known to say from now on.
    pub known: ProviderFacts,
}

/// Takes the provider at its word in everything that drifts; what was changed here and did not drift stays.
pub fn accept(xnode: &PlacedXNode, seen: &SeenInstance) -> Accepted {
    let (drift, known) = compare(xnode, seen);
    let mut accepted = Accepted { known, ..Accepted::default() };
    for one in &drift {
        match one.field {
            DriftField::Size => accepted.plan = Some(seen.instance.plan.clone()),
            DriftField::Region => accepted.region = seen.instance.region.parse().ok(),
            DriftField::Address => accepted.address = true,
            DriftField::Power => accepted.status = contradicting_status(xnode, seen.instance.status),
            DriftField::Tags => accepted.tags = Some(merged_tags(xnode, seen)),
            DriftField::Price => accepted.price = seen.price,
        }
    }
    accepted.drift = drift;
    accepted.known = ProviderFacts {
        plan: Some(seen.instance.plan.clone()),
        region: Some(seen.instance.region.clone()),
        address: public(seen),
        tags: Some(seen.tags.clone()),
        price: seen.price.map(|(price, _)| price).or(accepted.known.price),
    };
    accepted
}

/// The provider's tags; where we know what it had before, our own additions and removals stay.
fn merged_tags(xnode: &PlacedXNode, seen: &SeenInstance) -> Vec<Tag> {
    let theirs = seen.tags.iter().filter_map(|tag| as_tag(tag));
    let Some(before) = &xnode.known.tags else { return theirs.take(MOST_TAGS).collect() };
    let before: BTreeSet<Tag> = before.iter().filter_map(|tag| as_tag(tag)).collect();
    let now: BTreeSet<Tag> = theirs.collect();
    let kept = xnode.tags.iter().filter(|tag| now.contains(tag) || !before.contains(tag)).cloned();
    let mut tags: BTreeSet<Tag> = kept.collect();
    tags.extend(now.difference(&before).cloned());
    tags.into_iter().take(MOST_TAGS).collect()
}

/// A vendor's tag as one of ours; `None`: nothing of it can be.
pub fn as_tag(text: &str) -> Option<Tag> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/=".contains(c);
    let plain: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).take(63).collect();
    plain.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).parse().ok()
}
