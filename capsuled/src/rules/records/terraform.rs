//! The servers in a Terraform or OpenTofu state, version 4.
//!
//! Only the attributes named in `KINDS` are looked at, so passwords and keys, which states hold in clear, are
//! never taken; one of those that is marked sensitive is treated as absent. Data sources belong to somebody else.

mod kinds;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use capsule_api::{
    AccountName, InstanceRef, Label, Placement, ProviderName, Tag, UsdMicros, XNodeName, XNodeStatus,
};

use self::kinds::{KINDS, Kind};
use super::{
    document::{self, Faults, Node, Value},
    faults::{Fault, Left, Spot, clip},
    record::{Reading, Record},
};

/// The version of the format that is read.
const VERSION: i64 = 4;
/// The most tags an xNode may have.
const MOST_TAGS: usize = 32;
/// How many foreign types of resources are named.
const NAMED_TYPES: usize = 4;

/// Reads a state. Servers of a provider get a placement where one of `accounts` is there: `chosen`, or the only one.
///
/// # Errors
/// Everything that is wrong with it, by line and field; then nothing of it should be used.
pub fn read(
    text: &str,
    accounts: &[(AccountName, ProviderName)],
    chosen: Option<&AccountName>,
) -> Result<Reading, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let state =
        document::json(text).map_err(|(line, reason)| vec![Fault::new(Spot::Line(line), "", reason)])?;
    let mut reader = Reader {
        faults: Faults::of(None),
        reading: Reading::default(),
        accounts,
        chosen,
        foreign: BTreeMap::new(),
        unplaced: BTreeMap::new(),
    };
    if reader.is_readable(&state) {
        for (at, resource) in reader.faults.list(&state, "resources").iter().enumerate() {
            reader.resource(at, resource);
        }
    }
    reader.finish()
}

struct Reader<'a> {
    faults: Faults,
    reading: Reading,
    accounts: &'a [(AccountName, ProviderName)],
    chosen: Option<&'a AccountName>,
    /// Resources that are no servers of ours, by type.
    foreign: BTreeMap<String, usize>,
    /// Servers without an account, by provider.
    unplaced: BTreeMap<ProviderName, usize>,
}

impl Reader<'_> {
    fn is_readable(&mut self, state: &Node) -> bool {
        if !self.faults.is_map(state, "") {
            return false;
        }
        let hint = "`terraform state pull` with Terraform 0.12 or later writes version 4";
        let Some(version) = state.get("version") else {
            let reason = if state.get("format_version").is_some() {
                "this is the output of `terraform show -json`; the state itself is what `terraform state pull` writes"
                    .to_owned()
            } else {
                "it is missing, so this is no Terraform state".to_owned()
            };
            self.faults.add(state.line, "version", reason);
            return false;
        };
        if version.integer() == Some(VERSION) {
            return true;
        }
        let found = version.word().map(clip).unwrap_or_default();
        self.faults.add(
            version.line,
            "version",
            format!("version {VERSION} is read and not `{found}`; {hint}"),
        );
        false
    }

    fn resource(&mut self, at: usize, resource: &Node) {
        let place = format!("resources[{at}]");
        if !self.faults.is_map(resource, &place) {
            return;
        }
        let mode = self.faults.needed(resource, "mode").map(str::to_owned);
        let (Some(kind_name), Some(name)) =
            (self.faults.needed(resource, "type"), self.faults.needed(resource, "name"))
        else {
            return;
        };
        match mode.as_deref() {
            Some("managed") => {}
            Some("data") | None => return,
            Some(other) => return self.faults.unknown(resource, "mode", other),
        }
        let Some(kind) = KINDS.iter().find(|kind| kind.types.contains(&kind_name)) else {
            *self.foreign.entry(clip(kind_name)).or_default() += 1;
            return;
        };
        let module = self.faults.text(resource, "module").map(|module| format!("{module}."));
        let address = format!("{}{kind_name}.{name}", module.unwrap_or_default());
        if resource.get("instances").is_none() {
            self.faults.add(resource.line, format!("{address}.instances"), "it is missing");
        }
        for instance in self.faults.list(resource, "instances") {
            self.instance(kind, &address, name, instance);
        }
    }

    fn instance(&mut self, kind: &Kind, address: &str, name: &str, instance: &Node) {
        if !self.faults.is_map(instance, address) {
            return;
        }
        let index = instance.get("index_key").and_then(Node::word);
        let address = match instance.get("index_key").map(|key| &key.value) {
            Some(Value::Text(key)) => format!("{address}[\"{}\"]", clip(key)),
            Some(Value::Number(key)) => format!("{address}[{}]", clip(key)),
            _ => address.to_owned(),
        };
        let spot = self.faults.spot(instance.line);
        if instance.get("deposed").is_some() {
            let reason = "Terraform is about to delete it";
            self.reading.left.push(Left::at(&spot, address, reason));
            return;
        }
        let Some(attributes) = instance.get("attributes") else {
            self.faults.add(instance.line, format!("{address}.attributes"), "it is missing");
            return;
        };
        if !self.faults.is_map(attributes, &format!("{address}.attributes")) {
            return;
        }
        let attributes = Attributes { node: attributes, sensitive: sensitive(instance), address: &address };
        self.server(kind, &attributes, fallback_name(name, index), spot);
    }

    fn server(&mut self, kind: &Kind, of: &Attributes<'_>, fallback: String, spot: Spot) {
        let before = self.faults.found.len();
        let Some(reference) = self.reference(kind, of) else { return };
        let ipv4: Option<Ipv4Addr> = self.address(of, kind.ipv4);
        let ipv6: Option<Ipv6Addr> = self.address(of, kind.ipv6);
        let other = || kind.otherwise.iter().find_map(|field| of.words(field).into_iter().next());
        let host = ipv4.map(|ip| ip.to_string()).or_else(|| Some(ipv6?.to_string())).or_else(other);
        let Some(host) = host else {
            let reason = "it has no address in the state";
            self.reading.left.push(Left::at(&spot, of.address, reason));
            return;
        };
        let host = match host.parse() {
            Ok(host) => Some(host),
            Err(error) => {
                let error: capsule_api::InvalidHost = error;
                self.faults.add(of.node.line, of.field("address"), error.to_string());
                None
            }
        };
        let region = region(kind, of);
        let plan = of.word(kind.plan).unwrap_or_default().to_owned();
        let tags = self.tags(kind, of, &spot);
        if before < self.faults.found.len() {
            return;
        }
        let placement = self.placement(kind.provider, reference.clone(), plan);
        let mut record = Record::at(spot);
        record.id = Some(format!("terraform/{}/{reference}", kind.provider));
        record.name = name(kind, of).and_then(|name| host_name(&name)).or_else(|| host_name(&fallback));
        record.name_needs_address = true;
        record.provider = Some(kind.provider.as_str().parse().ok());
        record.status = status(of.word(kind.status));
        record.status_if_new = true;
        record.address = host;
        record.region = region.and_then(|region| region.parse::<Label>().ok()).map(Some);
        record.placement = placement;
        record.hourly_cost = price(of).map(Some);
        record.tags = (!tags.is_empty()).then_some(tags);
        record.ipv4 = ipv4.map(Some);
        record.ipv6 = ipv6.map(Some);
        self.reading.records.push(record);
    }

    /// How the provider's API knows it. A Scaleway id in a state is `fr-par-1/UUID`, as ours is when written.
    fn reference(&mut self, kind: &Kind, of: &Attributes<'_>) -> Option<InstanceRef> {
        let Some(id) = of.word("id").filter(|id| !id.is_empty()) else {
            self.faults.add(of.node.line, of.field("id"), "it is missing");
            return None;
        };
        let line = of.node.get("id").map_or(of.node.line, |node| node.line);
        let (place, id) = match kind.provider {
            ProviderName::Scaleway => {
                let (zone, id) = id.split_once('/').unwrap_or((of.word("zone").unwrap_or_default(), id));
                (zone.to_owned(), id)
            }
            ProviderName::Aws => (region(kind, of).unwrap_or_default(), id),
            _ => (kind.place.to_owned(), id),
        };
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        if 128 < id.len() || !plain(id) || !plain(&place) || 64 < place.len() {
            self.faults.add(line, of.field("id"), format!("`{}` is no id of {}", clip(id), kind.provider));
            return None;
        }
        if place.is_empty() && matches!(kind.provider, ProviderName::Scaleway | ProviderName::Aws) {
            self.faults.add(line, of.field("id"), "the state does not say in which region or zone it is");
            return None;
        }
        Some(InstanceRef { id: id.to_owned(), place })
    }

    /// The first usable address of a family. `0.0.0.0` is Vultr's for none yet, and a prefix length is Linode's.
    fn address<T: std::str::FromStr + Into<IpAddr> + Copy>(
        &mut self,
        of: &Attributes<'_>,
        fields: &[&str],
    ) -> Option<T> {
        for field in fields {
            for word in of.words(field) {
                let ip = word.split('/').next().unwrap_or_default().to_owned();
                let Ok(any) = ip.parse::<IpAddr>() else {
                    let line = of.node.get(field).map_or(of.node.line, |node| node.line);
                    self.faults.add(line, of.field(field), format!("`{}` is no IP address", clip(&word)));
                    continue;
                };
                // Linode lists private addresses among the others.
                let private = matches!(any, IpAddr::V4(ip) if ip.is_private());
                if let Some(ip) = ip.parse::<T>().ok().filter(|_| !any.is_unspecified() && !private) {
                    return Some(ip);
                }
            }
        }
        None
    }

    fn tags(&mut self, kind: &Kind, of: &Attributes<'_>, spot: &Spot) -> Vec<Tag> {
        let field = if kind.provider == ProviderName::Hetzner { "labels" } else { "tags" };
        let Some(node) = of.get(field) else { return Vec::new() };
        let words: Vec<String> = match &node.value {
            Value::List(items) => items.iter().filter_map(|item| item.word().map(str::to_owned)).collect(),
            Value::Map(fields) => {
                let pairs = fields.iter().filter(|(key, _)| key != "Name");
                let text = |(key, value): &(String, Node)| match value.word().unwrap_or_default() {
                    "" => key.clone(),
                    value => format!("{key}={value}"),
                };
                pairs.map(text).collect()
            }
            _ => {
                self.faults.add(node.line, of.field(field), "it must be a list or a mapping");
                Vec::new()
            }
        };
        let mut tags = BTreeSet::new();
        for word in words {
            match word.parse::<Tag>() {
                Ok(tag) if tags.len() < MOST_TAGS => _ = tags.insert(tag),
                Ok(_) => self.leave_tag(spot, of, &word, "an xNode has at most 32"),
                Err(_) => self.leave_tag(spot, of, &word, "it cannot be a tag here"),
            }
        }
        tags.into_iter().collect()
    }

    fn leave_tag(&mut self, spot: &Spot, of: &Attributes<'_>, word: &str, reason: &str) {
        self.reading.left.push(Left::at(spot, format!("tag `{}` of {}", clip(word), of.address), reason));
    }

    fn placement(
        &mut self,
        provider: ProviderName,
        instance: InstanceRef,
        plan: String,
    ) -> Option<Placement> {
        let mut there = self.accounts.iter().filter(|(_, at)| *at == provider).map(|(name, _)| name);
        let account = match self.chosen {
            Some(chosen) => there.find(|name| *name == chosen),
            None => there.next().filter(|_| there.next().is_none()),
        };
        if account.is_none() {
            *self.unplaced.entry(provider).or_default() += 1;
        }
        Some(Placement { account: account?.clone(), instance, plan, template: None, expiry: None })
    }

    fn finish(mut self) -> Result<Reading, Vec<Fault>> {
        if !self.faults.found.is_empty() {
            return Err(self.faults.found);
        }
        tell_apart(&mut self.reading.records);
        for (provider, count) in self.unplaced {
            let there = self.accounts.iter().filter(|(_, at)| *at == provider).count();
            let way_out = match there {
                0 => format!("`provider configure {provider}`, then import again"),
                1 => "the account given is another provider's".to_owned(),
                _ => format!("{there} accounts are there: say which with `--account`"),
            };
            let reason = format!(
                "taken, but not known at an account, so it cannot be stopped or deleted from here; {way_out}"
            );
            let what = format!("account of {count} {provider} {}", plural(count, "server"));
            self.reading.left.push(Left { spot: None, what, reason });
        }
        let count: usize = self.foreign.values().sum();
        if 0 < count {
            let mut names: Vec<&str> = self.foreign.keys().map(String::as_str).take(NAMED_TYPES).collect();
            if NAMED_TYPES < self.foreign.len() {
                names.push("…");
            }
            let reason = format!("no servers of a provider known here: {}", names.join(", "));
            let what = format!("{count} other {}", plural(count, "resource"));
            self.reading.left.push(Left { spot: None, what, reason });
        }
        Ok(self.reading)
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// The attributes of one instance.
struct Attributes<'a> {
    node: &'a Node,
    /// Names of attributes that Terraform marks sensitive.
    sensitive: BTreeSet<&'a str>,
    address: &'a str,
}

impl<'a> Attributes<'a> {
    fn get(&self, field: &str) -> Option<&'a Node> {
        self.node.get(field).filter(|_| !self.sensitive.contains(field))
    }

    fn word(&self, field: &str) -> Option<&'a str> {
        self.get(field).and_then(Node::word)
    }

    /// The texts of an attribute: one, a list, or a list of objects with an `address`.
    fn words(&self, field: &str) -> Vec<String> {
        let Some(node) = self.get(field) else { return Vec::new() };
        let items =
            if let Value::List(items) = &node.value { &items[..] } else { std::slice::from_ref(node) };
        let word = |item: &Node| item.word().or_else(|| item.get("address")?.word()).map(str::to_owned);
        items.iter().filter_map(word).filter(|word| !word.is_empty()).collect()
    }

    /// The full name of an attribute, for a fault.
    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.address)
    }
}

/// The attributes an instance marks sensitive: each a path that begins with `{"type": "get_attr", "value": NAME}`.
fn sensitive(instance: &Node) -> BTreeSet<&str> {
    let paths = instance.get("sensitive_attributes").map(Node::items).unwrap_or_default();
    paths.iter().filter_map(|path| path.items().first()?.get("value")?.word()).collect()
}

fn region(kind: &Kind, of: &Attributes<'_>) -> Option<String> {
    let said = kind.region.iter().find_map(|field| of.word(field)).filter(|region| !region.is_empty());
    // An ARN is `arn:aws:ec2:REGION:ACCOUNT:instance/ID`; a zone is its region and a letter.
    let arn = || of.word("arn")?.split(':').nth(3).filter(|region| !region.is_empty());
    let zone = || Some(of.word("availability_zone")?.trim_end_matches(|c: char| c.is_ascii_lowercase()));
    said.or_else(|| if kind.provider == ProviderName::Aws { arn().or_else(zone) } else { None })
        .map(str::to_owned)
}

fn name(kind: &Kind, of: &Attributes<'_>) -> Option<String> {
    let tagged = || of.get("tags")?.get("Name")?.word();
    let found = kind.name.iter().find_map(|field| of.word(field)).filter(|name| !name.is_empty());
    found.or_else(|| if kind.provider == ProviderName::Aws { tagged() } else { None }).map(str::to_owned)
}

/// A name that xNodes may have, made from one that clouds allow; `None`: nothing of it is left.
fn host_name(name: &str) -> Option<XNodeName> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    name.chars().take(63).collect::<String>().parse().ok()
}

fn fallback_name(name: &str, index: Option<&str>) -> String {
    index.map_or_else(|| name.to_owned(), |index| format!("{name}-{index}"))
}

/// Clouds allow a name twice and the inventory does not: those who share one get the end of their id.
fn tell_apart(records: &mut [Record]) {
    let mut count: HashMap<String, usize> = HashMap::new();
    let lower = |name: &XNodeName| name.as_str().to_ascii_lowercase();
    for name in records.iter().filter_map(|record| record.name.as_ref()) {
        *count.entry(lower(name)).or_default() += 1;
    }
    for record in records {
        let Some(name) = record.name.as_ref().filter(|name| 1 < count[&lower(name)]) else { continue };
        let id = record.id.as_deref().unwrap_or_default();
        let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
        let end = &id[id.len().saturating_sub(8)..];
        record.name = host_name(&format!("{:.54}-{end}", name.as_str()));
    }
}

/// The power state where the state names one for certain; absent otherwise.
fn status(word: Option<&str>) -> Option<XNodeStatus> {
    match word?.to_ascii_lowercase().as_str() {
        "running" | "active" | "started" | "on" => Some(XNodeStatus::Running),
        "off" | "offline" | "stopped" | "inactive" => Some(XNodeStatus::Stopped),
        _ => None,
    }
}

/// What it costs an hour, where the attributes say so: in US dollars, as DigitalOcean bills.
fn price(of: &Attributes<'_>) -> Option<UsdMicros> {
    let Value::Number(text) = &of.get("price_hourly")?.value else { return None };
    let dollars: f64 = text.parse().ok().filter(|dollars| (0.0..1_000_000.0).contains(dollars))?;
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 10^12")]
    Some(UsdMicros((dollars * 1_000_000.0).round() as i64))
}
