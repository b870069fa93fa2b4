//! `inventory` and `xnodes`: filters, and everything that can be said about a server.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use capsule_api::{CheckName, Health, Host, Label, Tag, UsdMicros, XNodeFilter, XNodeName, XNodeStatus};
use clap::{Args, Subcommand, ValueEnum};

use super::{
    check::{CHECK_HELP, CheckArg, check},
    styles::examples,
    values::{ThresholdArgs, duration_ms},
};

/// Which servers to list.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only this provider label
    #[arg(long, value_name = "LABEL")]
    pub provider: Option<String>,
    /// Only this region label
    #[arg(long, value_name = "LABEL")]
    pub region: Option<String>,
    /// Only this status: running, stopped, deploying, error
    #[arg(long)]
    pub status: Option<XNodeStatus>,
    /// Only this health: healthy, degraded, unhealthy, unknown
    #[arg(long)]
    pub health: Option<Health>,
    /// Only with all of these tags
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Only with this text in name, address, provider, region or a tag
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
}

impl FilterArgs {
    /// The filter as the daemon takes it.
    pub fn filter(&self) -> XNodeFilter {
        XNodeFilter {
            provider: self.provider.clone(),
            region: self.region.clone(),
            status: self.status,
            health: self.health,
            tags: (!self.tags.is_empty()).then(|| self.tags.join(",")),
            q: self.search.clone(),
            limit: None,
            cursor: None,
        }
    }
}

/// `xnodes`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl xnodes" => "every server with its health",
    "capsulectl xnodes --health unhealthy -o name" => "the names of those that are down",
    "capsulectl xnodes --tags web,eu --search 192.0.2" => "by tags and text",
))]
pub struct XNodesArgs {
    /// Which servers.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `inventory`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl inventory" => "list the servers",
    "capsulectl inventory add web-1 --address 192.0.2.10" => "watch a server by ping",
    "capsulectl inventory show web-1" => "everything about one",
    "capsulectl inventory remove web-1" => "stop watching it",
))]
pub struct InventoryArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<InventoryAction>,
    /// Which servers.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// What can be done with the inventory.
#[derive(Debug, Subcommand)]
pub enum InventoryAction {
    /// List the servers
    List(XNodesArgs),
    /// Add a server and watch it
    Add(Box<AddArgs>),
    /// Show a server with its checks and thresholds
    Show(ShowArgs),
    /// Change a server
    Edit(Box<EditArgs>),
    /// Stop watching a server and forget it
    Remove(RemoveArgs),
}

/// How to log in to a server.
#[derive(Debug, Clone, Default, Args)]
pub struct SshFields {
    /// SSH user; metrics are read over SSH when it is given
    #[arg(long, value_name = "USER", help_heading = "SSH")]
    pub ssh_user: Option<String>,
    /// SSH port
    #[arg(long, value_name = "PORT", help_heading = "SSH")]
    pub ssh_port: Option<u16>,
    /// Private key: this client reads the file, the daemon stores it sealed
    #[arg(long, value_name = "PATH", help_heading = "SSH", group = "key")]
    pub ssh_key: Option<PathBuf>,
    /// Private key that the daemon reads at this path at each connection
    #[arg(long, value_name = "PATH", help_heading = "SSH", group = "key")]
    pub ssh_key_path_on_daemon: Option<String>,
    /// Use the daemon's SSH agent
    #[arg(long, help_heading = "SSH", group = "key")]
    pub ssh_agent: bool,
    /// Host key to pin now, such as `ssh-ed25519 AAAA...`, instead of on first contact
    #[arg(long, value_name = "KEY", help_heading = "SSH")]
    pub host_key: Option<String>,
    /// Server to go through: the name of an xNode or user@host:port
    #[arg(long, value_name = "XNODE", help_heading = "SSH")]
    pub jump: Option<String>,
}

/// What can be said about a server, when adding and when changing one.
#[derive(Debug, Clone, Default, Args)]
pub struct XNodeFields {
    /// How to log in.
    #[command(flatten)]
    pub ssh: SshFields,
    /// IPv4 address beside the address
    #[arg(long, value_name = "ADDRESS")]
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address beside the address
    #[arg(long, value_name = "ADDRESS")]
    pub ipv6: Option<Ipv6Addr>,
    /// Tags
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tags: Option<Vec<Tag>>,
    /// Cost per hour in US dollars, such as 0.015
    #[arg(long, value_name = "USD")]
    pub hourly_cost: Option<UsdMicros>,
    /// Provider label
    #[arg(long, value_name = "LABEL")]
    pub provider: Option<Label>,
    /// Region label
    #[arg(long, value_name = "LABEL")]
    pub region: Option<Label>,
    /// Power state: running, stopped, deploying, error
    #[arg(long)]
    pub status: Option<XNodeStatus>,
    /// Time between resource readings; 0 for none
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub metrics_interval: Option<u64>,
    /// Thresholds that differ for this server.
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
}

/// `inventory add`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl inventory add web-1 --address 192.0.2.10" => "by ping alone",
    "capsulectl inventory add web-1 --address web-1.example.org --ssh-user ops --ssh-key ~/.ssh/id_ed25519" => "with SSH check and metrics",
    "capsulectl inventory add web-1 --address 192.0.2.10 --check http=https://web-1/healthz,tls-days=14" => "with an HTTP check",
    "capsulectl inventory add db-1 --address 192.0.2.11 --no-default-checks --check tcp=5432,interval=30s" => "with one check only",
))]
pub struct AddArgs {
    /// Unique name
    pub name: XNodeName,
    /// Address or DNS name
    #[arg(long)]
    pub address: Host,
    #[arg(long, value_name = "CHECK", value_parser = check, help = CHECK_HELP)]
    /// Checks beside the default ones.
    pub check: Vec<CheckArg>,
    /// No ping and SSH checks unless given with --check
    #[arg(long)]
    pub no_default_checks: bool,
    /// Print what would be sent and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The rest.
    #[command(flatten)]
    pub fields: XNodeFields,
}

/// `inventory show`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl inventory show web-1" => "by name",
    "capsulectl inventory show 9f3c21ab -o yaml" => "by the end of its id",
))]
pub struct ShowArgs {
    /// Name, id, or unique beginning or end of an id
    pub xnode: String,
}

/// What `inventory edit` can forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Clearable {
    /// IPv4 address.
    Ipv4,
    /// IPv6 address.
    Ipv6,
    /// SSH user, which stops metrics.
    SshUser,
    /// Private key.
    SshKey,
    /// Pinned host key.
    HostKey,
    /// Jump host.
    Jump,
    /// Provider label.
    Provider,
    /// Region label.
    Region,
    /// Hourly cost.
    HourlyCost,
    /// Own time between readings.
    MetricsInterval,
    /// All tags.
    Tags,
    /// All own thresholds.
    Thresholds,
}

/// `inventory edit`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl inventory edit web-1 --add-tag eu --hourly-cost 0.02" => "change some of it",
    "capsulectl inventory edit web-1 --check http=https://web-1/,name=front" => "add or replace the check `front`",
    "capsulectl inventory edit web-1 --remove-check ping --clear region" => "take things away",
    "capsulectl inventory edit web-1 --disk-warning 70 --dry-run" => "see what would be sent",
))]
pub struct EditArgs {
    /// Name, id, or unique beginning or end of an id
    pub xnode: String,
    /// New name
    #[arg(long, value_name = "NAME")]
    pub rename: Option<XNodeName>,
    /// New address or DNS name
    #[arg(long)]
    pub address: Option<Host>,
    /// Tag to add to those that are there
    #[arg(long, value_name = "TAG", conflicts_with = "tags")]
    pub add_tag: Vec<Tag>,
    /// Tag to take away
    #[arg(long, value_name = "TAG", conflicts_with = "tags")]
    pub remove_tag: Vec<Tag>,
    #[arg(long, value_name = "CHECK", value_parser = check, help = CHECK_HELP)]
    /// Checks to add, or to put in place of those of the same name.
    pub check: Vec<CheckArg>,
    /// Check to take away, by name
    #[arg(long, value_name = "NAME")]
    pub remove_check: Vec<CheckName>,
    /// What to forget
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub clear: Vec<Clearable>,
    /// Print what would be sent and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The rest.
    #[command(flatten)]
    pub fields: XNodeFields,
}

/// `inventory remove`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl inventory remove web-1" => "asks first",
    "capsulectl inventory remove web-1 web-2 --yes" => "does not ask",
))]
pub struct RemoveArgs {
    /// Names, ids, or unique beginnings or ends of ids
    #[arg(required = true)]
    pub xnode: Vec<String>,
    /// Say what would be removed and change nothing
    #[arg(long)]
    pub dry_run: bool,
}
