//! The inventory on its way to and from other programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{AccountName, words};

words! {
    /// In which form the inventory is exported.
    ExportFormat("export format") {
        /// CSV that `import` reads back.
        Csv = "csv",
        /// The xNodes as the API shows them.
        Json = "json",
        /// An Ansible dynamic inventory.
        Ansible = "ansible",
        /// An OpenSSH client configuration.
        SshConfig = "ssh-config",
        /// Targets of Prometheus' HTTP service discovery.
        Prometheus = "prometheus",
    }
}

/// What to export.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// In which form, default `csv`.
    pub format: Option<ExportFormat>,
    /// With `ansible`: only the variables of this host.
    pub host: Option<String>,
}

words! {
    /// In which form an inventory is imported.
    ImportFormat("import format") {
        /// CSV with a heading.
        Csv = "csv",
        /// A Terraform or OpenTofu state, version 4.
        Terraform = "terraform",
        /// An OpenSSH client configuration.
        SshConfig = "ssh-config",
    }
}

/// A file that another one includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncludedFile {
    /// Its name, for messages.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// An inventory to be taken over.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// In which form, default `csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ImportFormat>,
    /// The file's text, at most 16 MiB with the rest of the body.
    ///
    /// CSV has a heading; columns: id, name, provider, status, ip_address, region, deployed_at, cost_hourly, tags,
    /// ssh_user, ssh_port, ssh_jump, ipv4, ipv6; `name` is required. An xNode is found by its id, otherwise by its
    /// name, and added when it is not there. A missing column keeps what is there, an empty cell clears it.
    ///
    /// Of a Terraform state the managed servers of the providers known here are taken. Of an OpenSSH configuration
    /// every name on a `Host` line that is no pattern is taken.
    pub text: String,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// With `terraform`: the account that the servers belong to, where their provider has more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// With `ssh-config`: the files that `Include` lines name, by each pattern as it is written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub includes: BTreeMap<String, Vec<IncludedFile>>,
    /// With `ssh-config`: private keys by the path that `IdentityFile` lines name, as it is written. Each goes to the
    /// xNodes that name it and have none; sealed at rest, never shown again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identity_files: BTreeMap<String, String>,
}

impl std::fmt::Debug for ImportRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportRequest")
            .field("format", &self.format)
            .field("dry_run", &self.dry_run)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What an import did; all of it in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Rows or servers that were read.
    pub rows: u32,
    /// xNodes that were added, or would be.
    pub created: u32,
    /// xNodes that were changed, or would be.
    pub changed: u32,
    /// xNodes that were so already.
    pub unchanged: u32,
    /// What was not taken over, at most 1,000.
    #[serde(default)]
    pub left: Vec<ImportLeft>,
    /// The private keys that an OpenSSH configuration names and the request does not hold, as paths.
    #[serde(default)]
    pub identity_files: Vec<String>,
}

/// Something that an import did not take over although nothing is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportLeft {
    /// Where it stands, such as `line 12`; absent for more than one place.
    pub place: Option<String>,
    /// What.
    pub what: String,
    /// Why, and what helps.
    pub reason: String,
}
