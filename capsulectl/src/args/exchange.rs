//! `export`, `import`, `migrate`, `ssh-config`.

use std::path::PathBuf;

use capsule_api::{AccountName, ExportFormat, ImportFormat};
use clap::{Args, Subcommand};

use super::styles::examples;

/// `export`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl export fleet.csv" => "as CSV that `import` reads back",
    "capsulectl export --format ansible --list" => "what Ansible asks a dynamic inventory for",
    "capsulectl export targets.json --format prometheus" => "for file_sd_configs",
    "capsulectl export --format ssh-config > ~/.ssh/fleet" => "for `Include fleet` in ~/.ssh/config",
))]
pub struct ExportArgs {
    /// Where to write; `-` or absent: standard output
    pub file: Option<PathBuf>,
    /// The form: csv, json, ansible, ssh-config, prometheus [default: csv]
    #[arg(long)]
    pub format: Option<ExportFormat>,
    /// Everything; Ansible calls its inventories with this. A script that does `exec capsulectl export "$@"` is
    /// one: `ansible-inventory -i SCRIPT --list`
    #[arg(long, conflicts_with = "host")]
    pub list: bool,
    /// The variables of one host; Ansible calls its inventories with this
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
}

impl ExportArgs {
    /// The form: `--list` and `--host` alone mean Ansible.
    pub fn format(&self) -> ExportFormat {
        let asked_by_ansible = self.list || self.host.is_some();
        self.format.unwrap_or(if asked_by_ansible { ExportFormat::Ansible } else { ExportFormat::Csv })
    }
}

/// `import`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl import fleet.csv" => "add and change servers; a second time changes nothing",
    "capsulectl import fleet.csv --dry-run" => "what would change",
    "capsulectl import ~/.ssh/config --with-keys" => "every host of it, with its private key",
    "terraform state pull | capsulectl import - --format terraform" => "the servers that Terraform made",
))]
pub struct ImportArgs {
    /// The file to read; `-`: standard input
    pub file: PathBuf,
    /// The form: csv, terraform, ssh-config [default: as the file looks]
    #[arg(long)]
    pub format: Option<ImportFormat>,
    /// With terraform: the account of the servers, where their provider has more than one
    #[arg(long, value_name = "NAME")]
    pub account: Option<AccountName>,
    /// With ssh-config: read the private keys too, for servers that have none
    #[arg(long)]
    pub with_keys: bool,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `migrate`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl migrate --dry-run" => "what would be taken of ~/.capsule, and what not",
    "capsulectl migrate" => "take it; the files stay as they are",
    "capsulectl migrate /mnt/old/.capsule -o json" => "another directory, the report for a script",
))]
pub struct MigrateArgs {
    /// The directory [default: ~/.capsule]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Only say what would be taken
    #[arg(long)]
    pub dry_run: bool,
}

/// `ssh-config`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl ssh-config export ~/.ssh/fleet" => "for `Include fleet` in ~/.ssh/config",
))]
pub struct SshConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: SshConfigAction,
}

/// What can be done with an OpenSSH configuration.
#[derive(Debug, Subcommand)]
pub enum SshConfigAction {
    /// Write the servers as hosts that `ssh NAME` knows
    #[command(after_help = examples!("capsulectl ssh-config export ~/.ssh/fleet" => "for `Include fleet` in ~/.ssh/config"))]
    Export {
        /// Where to write; `-` or absent: standard output
        file: Option<PathBuf>,
    },
}
