//! A directory of the earlier Capsule: which file says what, and what of it has a place here.
//!
//! Each file is read by itself, and a fault in any of them is a fault of the whole: half a fleet is worse than
//! none. What has no place yet is named with the reason, so that nothing is lost without a word.

mod accounts;
mod inventory;
mod monitoring;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use capsule_api::{ChannelCreate, SettingsPatch, Tag, UsdMicros};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

pub use self::accounts::FormerAccount;
use super::records::{
    document::{self, Faults, Node},
    faults::{Fault, Left, Spot},
    record::Record,
};

/// Profiles and NixOS sets come with later work.
const NO_PROFILES: &str =
    "this version has no profiles: keep the directory and migrate again with one that has";

/// What a directory says.
#[derive(Debug, Default)]
pub struct Former {
    /// The servers, their file's name in their spot.
    pub records: Vec<Record>,
    /// Servers that were.
    pub lives: Vec<FormerLife>,
    /// What was spent on servers that are, by the id in the file.
    pub spent: BTreeMap<String, UsdMicros>,
    /// Intervals, deadlines and thresholds, with their spot.
    pub settings: Option<(Spot, SettingsPatch)>,
    /// Ways to tell people, with their spot.
    pub channels: Vec<(Spot, ChannelCreate)>,
    /// Credentials.
    pub accounts: Vec<FormerAccount>,
    /// The region that was the default.
    pub region: Option<String>,
    /// What is not taken, by file.
    pub left: Vec<(String, Left)>,
}

/// A server that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerLife {
    /// The id in the file.
    pub id: String,
    /// Its name, or its id where none is written.
    pub name: String,
    /// Provider label.
    pub provider: Option<String>,
    /// Region label.
    pub region: Option<String>,
    /// The template it was made from.
    pub template: Option<String>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// When it was made.
    pub deployed_at: Timestamp,
    /// When it ended.
    pub terminated_at: Timestamp,
    /// What it cost in all.
    pub cost: UsdMicros,
}

/// Reads a directory: files by path relative to it, those that were only seen without text. Times without a zone
/// are in `zone`.
///
/// # Errors
/// Everything that is wrong in any file, by file, line and field; then nothing of it should be used.
pub fn read(files: &BTreeMap<String, Option<String>>, zone: &TimeZone) -> Result<Former, Vec<Fault>> {
    let mut reader = Reader { former: Former::default(), zone, faults: Vec::new() };
    for (path, text) in files {
        reader.file(path, text.as_deref());
    }
    if reader.faults.is_empty() { Ok(reader.former) } else { Err(reader.faults) }
}

struct Reader<'a> {
    former: Former,
    zone: &'a TimeZone,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, text: Option<&str>) {
        let Some(text) = text else {
            let reason = match path {
                "inventory.json.backup" => "the version before the last change of `inventory.json`",
                _ if path.starts_with("nixos/") => NO_PROFILES,
                _ if path.starts_with("monitoring_data/") => "too large to be read along",
                _ if path.ends_with(".csv") => "`capsulectl import FILE.csv` reads an inventory as CSV",
                _ => "no file of the earlier Capsule",
            };
            return self.leave(path, None, "the file", reason);
        };
        match path {
            "inventory.json" => self.document(path, text, document::json, Self::inventory),
            "monitoring.yml" => self.document(path, text, document::yaml, Self::monitoring),
            "providers.yml" => self.document(path, text, document::yaml, Self::providers),
            "openmesh.yml" => self.document(path, text, document::yaml, Self::openmesh),
            "monitoring_data/health_history.json" => {
                self.document(path, text, document::json, Self::health_history);
            }
            "monitoring_data/metrics_history.json" => {
                self.document(path, text, document::json, Self::metrics_history);
            }
            "monitoring_data/active_alerts.json" => {
                self.document(path, text, document::json, Self::active_alerts);
            }
            "active.txt" => self.leave(path, None, "the active profile", NO_PROFILES),
            _ if path.starts_with("configs/") => {
                self.document(path, text, document::yaml, |reader, file, _, _| {
                    reader.leave(file, None, "the profile", NO_PROFILES);
                });
            }
            _ => self.leave(path, None, "the file", "no file of the earlier Capsule"),
        }
    }

    /// Reads a document that is a mapping, and hands it to whoever knows its fields.
    fn document(
        &mut self,
        path: &str,
        text: &str,
        parse: impl Fn(&str) -> Result<Node, (usize, String)>,
        take: impl FnOnce(&mut Self, &str, &Node, &mut Faults),
    ) {
        let file: Arc<str> = Arc::from(path);
        let mut faults = Faults::of(Some(Arc::clone(&file)));
        match parse(text.strip_prefix('\u{feff}').unwrap_or(text)) {
            Err((line, reason)) => self.faults.push(Fault::new(Spot::In(file, line), "", reason)),
            Ok(node) if faults.is_map(&node, "") => take(self, path, &node, &mut faults),
            Ok(_) => {}
        }
        self.faults.append(&mut faults.found);
    }

    fn leave(&mut self, file: &str, line: Option<usize>, what: impl Into<String>, reason: impl Into<String>) {
        let spot = line.map(Spot::Line);
        self.former.left.push((file.to_owned(), Left { spot, what: what.into(), reason: reason.into() }));
    }

    /// Names the fields of a mapping that nobody asks for.
    fn leave_unknown(&mut self, file: &str, of: &Node, known: &[&str]) {
        for (name, node) in of.fields().iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let what = super::records::faults::clip(name);
            self.leave(file, Some(node.line), what, "it has no meaning here");
        }
    }

    /// A moment; one without a zone is in the zone of whoever migrates.
    fn moment(&self, of: &Node, field: &str, faults: &mut Faults) -> Option<Timestamp> {
        let text = faults.text(of, field).filter(|text| !text.is_empty())?;
        let local = |at: DateTime| at.to_zoned(self.zone.clone()).ok().map(|at| at.timestamp());
        let spaced = text.replacen(' ', "T", 1);
        let found = spaced.parse().ok().or_else(|| local(spaced.parse().ok()?));
        if found.is_none() {
            let line = of.get(field).map_or(of.line, |node| node.line);
            let shown = super::records::faults::clip(text);
            faults.add(line, field, format!("`{shown}` is no moment such as 2026-11-21T12:00:00Z"));
        }
        found
    }
}

/// A word of a closed set, which Python may have written as `HealthStatus.HEALTHY`.
fn word(text: &str) -> String {
    text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase()
}
