//! A directory of the earlier Capsule on its way into this one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ImportLeft, words};

/// A directory of the earlier Capsule.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrationRequest {
    /// The files by their path relative to the directory, at most 1,000, with the rest of the body at most 64 MiB.
    /// `null`: the file is there and was not read.
    pub files: BTreeMap<String, Option<String>>,
    /// The time zone of times that name none: `Europe/Berlin`, or a POSIX one such as `CET-1CEST`; default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Only say what would be taken.
    #[serde(default)]
    pub dry_run: bool,
}

impl std::fmt::Debug for MigrationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MigrationRequest")
            .field("files", &self.files.keys())
            .field("time_zone", &self.time_zone)
            .field("dry_run", &self.dry_run)
            .finish()
    }
}

words! {
    /// What a migration can take.
    MigrationItem("kind of thing") {
        /// Servers.
        XNodes = "xnodes",
        /// Servers that were, with what they cost.
        Lifetimes = "lifetimes",
        /// Provider accounts.
        Accounts = "accounts",
        /// Channels.
        Channels = "channels",
        /// Intervals, deadlines and thresholds: all of them are one thing.
        Settings = "settings",
    }
}

/// What a migration did; all of it in one transaction. What is there already is never overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct MigrationReport {
    /// Every file, by name.
    pub files: Vec<MigratedFile>,
    /// The files that hold a key or a secret address in clear and are not needed any more.
    pub secrets_in: Vec<String>,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MigratedFile {
    /// Its path relative to the directory.
    pub file: String,
    /// What was taken, or would be.
    pub taken: Vec<MigrationCount>,
    /// What was not, and why; at most 1,000.
    pub left: Vec<ImportLeft>,
}

/// How much of one kind a file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MigrationCount {
    /// What.
    pub what: MigrationItem,
    /// Those that were added, or would be.
    pub created: u32,
    /// Those that were there already.
    pub present: u32,
}
