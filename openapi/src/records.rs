//! The inventory on its way to and from other programs.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::words;

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

/// An inventory to be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// CSV with a heading, at most 16 MiB with the rest of the body. Columns: id, name, provider, status,
    /// ip_address, region, deployed_at, cost_hourly, tags, ssh_user, ssh_port, ssh_jump, ipv4, ipv6; `name` is
    /// required. An xNode is found by its id, otherwise by its name, and added when it is not there. A missing
    /// column keeps what is there, an empty cell clears it.
    pub csv: String,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an import did; all of it in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Rows that were read.
    pub rows: u32,
    /// xNodes that were added, or would be.
    pub created: u32,
    /// xNodes that were changed, or would be.
    pub changed: u32,
    /// xNodes that were so already.
    pub unchanged: u32,
}
