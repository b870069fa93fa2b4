//! `inventory.json`: the servers that are and were. Python wrote a mapping of them, Rust a list.

use std::collections::BTreeSet;

use capsule_api::{Host, Label, Tag, UsdMicros, XNodeName, XNodeStatus};
use jiff::SignedDuration;

use super::{FormerLife, Reader, word};
use crate::rules::records::{
    document::{Faults, Node, Value},
    record::Record,
};

/// What an entry may say; anything else is named as left.
const FIELDS: &[&str] = &[
    "id",
    "name",
    "provider",
    "template",
    "status",
    "ip_address",
    "ssh_port",
    "region",
    "deployed_at",
    "cost_hourly",
    "tags",
    "metadata",
];
/// A server at more than a million dollars an hour is a mistyped one.
const HIGHEST_HOURLY: f64 = 1_000_000.0;
const HIGHEST_TOTAL: f64 = 1_000_000_000.0;
const LONGEST_HOURS: f64 = 1_000_000.0;

impl Reader<'_> {
    pub(super) fn inventory(&mut self, file: &str, of: &Node, faults: &mut Faults) {
        self.leave_unknown(file, of, &["version", "last_updated", "xnodes", "history", "metadata"]);
        let mut ids = BTreeSet::new();
        let entries: Vec<(Option<&str>, &Node)> = match of.get("xnodes").map(|node| &node.value) {
            Some(Value::Map(fields)) => fields.iter().map(|(id, node)| (Some(id.as_str()), node)).collect(),
            Some(Value::List(items)) => items.iter().map(|node| (None, node)).collect(),
            Some(_) => {
                faults.add(
                    of.get("xnodes").map_or(1, |node| node.line),
                    "xnodes",
                    "it must be a mapping or a list",
                );
                Vec::new()
            }
            None => Vec::new(),
        };
        for (at, (key, entry)) in entries.into_iter().enumerate() {
            let place = key.map_or_else(|| format!("xnodes[{at}]"), |key| format!("xnodes.{key}"));
            if faults.is_map(entry, &place) {
                ids.extend(self.entry(file, key, entry, faults));
            }
        }
        for (at, entry) in faults.list(of, "history").iter().enumerate() {
            if faults.is_map(entry, &format!("history[{at}]")) {
                self.life(entry, &ids, faults);
            }
        }
        if let Some(metadata) = of.get("metadata") {
            self.leave(file, Some(metadata.line), "metadata", "`stats` counts anew from what was taken");
        }
    }

    /// One server; gives its id.
    fn entry(&mut self, file: &str, key: Option<&str>, of: &Node, faults: &mut Faults) -> Option<String> {
        let before = faults.found.len();
        let id = match (faults.text(of, "id").filter(|id| !id.is_empty()), key) {
            (Some(id), _) | (None, Some(id)) => Some(id.to_owned()),
            (None, None) => {
                faults.add(of.line, "id", "it is missing");
                None
            }
        };
        let name = faults.needed(of, "name").map(|_| faults.parsed::<XNodeName>(of, "name"));
        let address = faults.needed(of, "ip_address").map(|_| faults.parsed::<Host>(of, "ip_address"));
        let mut record = Record::at(faults.spot(of.line));
        record.provider = Some(label(of, "provider", faults));
        record.region = Some(label(of, "region", faults));
        record.status = status(of, faults);
        record.status_if_new = true;
        record.deployed_at = self.moment(of, "deployed_at", faults);
        let hourly = faults.number(of, "cost_hourly", 0.0, HIGHEST_HOURLY).map(dollars);
        record.hourly_cost = Some(hourly);
        let port = faults.number(of, "ssh_port", 1.0, 65_535.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within 1 to 65,535"
        )]
        let port = port.map(|port| port as u16);
        record.ssh_port = port;
        record.tags = Some(faults.words::<Tag>(of, "tags"));
        if before < faults.found.len() {
            return None;
        }
        record.name = name.flatten();
        record.address = address.flatten();
        record.id.clone_from(&id);
        let shown = record.name.as_ref().map(ToString::to_string).unwrap_or_default();
        if faults.text(of, "status").is_some_and(|text| word(text) == "deploying") {
            let reason = "taken as running; whether it came up is for its checks to say";
            self.leave(file, Some(of.line), format!("status deploying of {shown}"), reason);
        }
        if let Some(template) = faults.text(of, "template").filter(|template| !template.is_empty()) {
            let reason = "a template belongs to a server that is known at a provider account";
            self.leave(file, Some(of.line), format!("template {template} of {shown}"), reason);
        }
        if of.get("metadata").is_some_and(|metadata| !metadata.fields().is_empty()) {
            self.leave(file, Some(of.line), format!("metadata of {shown}"), "it has no meaning here");
        }
        self.leave_unknown(file, of, FIELDS);
        self.former.records.push(record);
        id
    }

    /// A server that was, or what one that is has cost so far.
    fn life(&mut self, of: &Node, present: &BTreeSet<String>, faults: &mut Faults) {
        let before = faults.found.len();
        let id = faults.needed(of, "xnode_id").map(str::to_owned);
        let deployed_at =
            faults.needed(of, "deployed_at").and_then(|_| self.moment(of, "deployed_at", faults));
        let terminated_at = self.moment(of, "terminated_at", faults);
        let hours = faults.number(of, "uptime_hours", 0.0, LONGEST_HOURS);
        let cost = faults.number(of, "total_cost", 0.0, HIGHEST_TOTAL).map(dollars).unwrap_or_default();
        let provider = label(of, "provider", faults).map(String::from);
        let region = label(of, "region", faults).map(String::from);
        let tags = faults.words::<Tag>(of, "tags");
        let template = faults.text(of, "template").filter(|text| !text.is_empty()).map(str::to_owned);
        let name = faults.text(of, "name").filter(|text| !text.is_empty()).map(str::to_owned);
        let (Some(id), Some(deployed_at)) = (id, deployed_at) else { return };
        if terminated_at.is_none() && present.contains(&id) {
            self.former.spent.insert(id, cost);
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a million hours are few seconds")]
        let lasted = hours.map(|hours| SignedDuration::from_secs((hours * 3_600.0) as i64));
        let ended = terminated_at.or_else(|| deployed_at.checked_add(lasted?).ok());
        let Some(terminated_at) = ended else {
            faults.add(of.line, "terminated_at", "it is missing, and `uptime_hours` too");
            return;
        };
        if terminated_at < deployed_at {
            faults.add(of.line, "terminated_at", "it is before `deployed_at`");
        }
        if before < faults.found.len() {
            return;
        }
        let name = name.unwrap_or_else(|| id.clone());
        self.former.lives.push(FormerLife {
            id,
            name: crate::rules::records::faults::clip(&name),
            provider,
            region,
            template,
            tags,
            deployed_at,
            terminated_at,
            cost,
        });
    }
}

fn label(of: &Node, field: &str, faults: &mut Faults) -> Option<Label> {
    let text = faults.text(of, field)?;
    // Python wrote enums by their names.
    if text.contains('.') && text.starts_with(|c: char| c.is_ascii_uppercase()) {
        return word(text).parse().ok();
    }
    faults.parsed(of, field)
}

fn status(of: &Node, faults: &mut Faults) -> Option<XNodeStatus> {
    let text = faults.text(of, "status")?;
    match word(text).as_str() {
        "running" | "deploying" => Some(XNodeStatus::Running),
        "stopped" => Some(XNodeStatus::Stopped),
        "error" => Some(XNodeStatus::Error),
        _ => {
            faults.unknown(of, "status", text);
            None
        }
    }
}

/// Floating dollars to the micro-dollar.
#[expect(clippy::cast_possible_truncation, reason = "the bounds of the fields keep it below 2^53")]
fn dollars(value: f64) -> UsdMicros {
    UsdMicros((value * 1_000_000.0).round() as i64)
}
