//! `deploy`, `xnode deploy` and `deployments`: making servers at providers.

use std::{path::PathBuf, time::Duration};

use capsule_api::{AccountName, Arch, ExpiryAction, PlanRequest, Tag, UsdMicros, XNodeName};
use clap::Args;

use super::{
    styles::examples,
    values::{WaitArgs, duration, duration_ms},
};

/// What the server must be like and what it is to be called.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerArgs {
    /// Its name, a host name label; with --count the stem [default: made up]
    #[arg(long)]
    pub name: Option<XNodeName>,
    /// At least this many virtual processors
    #[arg(long, value_name = "N", help_heading = "Choice")]
    pub min_cpu: Option<u32>,
    /// At least this much memory, in GB
    #[arg(long, value_name = "GB", help_heading = "Choice")]
    pub min_memory: Option<u32>,
    /// At most this price per hour in US dollars, such as 0.10
    #[arg(long, visible_alias = "budget", value_name = "USD_PER_H", help_heading = "Choice")]
    pub max_price: Option<UsdMicros>,
    /// Only with a GPU
    #[arg(long, help_heading = "Choice")]
    pub gpu: bool,
    /// Only this processor architecture: x86_64, aarch64
    #[arg(long, help_heading = "Choice")]
    pub arch: Option<Arch>,
    /// Only this provider
    #[arg(long, value_name = "NAME", help_heading = "Choice")]
    pub provider: Option<String>,
    /// Only this template, by our id or the provider's name of the size
    #[arg(long, value_name = "TEMPLATE", help_heading = "Choice")]
    pub template: Option<String>,
    /// Only this region, by our name or the provider's
    #[arg(long, value_name = "REGION", help_heading = "Choice")]
    pub region: Option<String>,
    /// Only on this account's bill
    #[arg(long, value_name = "ACCOUNT", help_heading = "Choice")]
    pub account: Option<AccountName>,
    /// How many servers
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
    /// Configuration profile; stored with the deployment, put on the server by later work
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Tags
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tags: Vec<Tag>,
    /// Time to live, such as 8h; a notice comes before
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub ttl: Option<u64>,
    /// What happens then: stop, delete
    #[arg(long, value_name = "ACTION", requires = "ttl")]
    pub ttl_action: Option<ExpiryAction>,
    /// File with a public key that may log in, beside the daemon's own
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Vec<PathBuf>,
    /// TCP port that SSH will answer on, when the image or user data moves it
    #[arg(long, value_name = "PORT")]
    pub ssh_port: Option<u16>,
    /// File with cloud-init or a script, at most 16 KiB
    #[arg(long, value_name = "FILE")]
    pub user_data: Option<PathBuf>,
    /// What to install: ubuntu-24.04, ubuntu-22.04, debian-12, debian-13, or the provider's own name
    #[arg(long)]
    pub image: Option<String>,
    /// TCP port to let in beside 22
    #[arg(long, value_name = "PORT")]
    pub open_port: Vec<u16>,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: DeployWaitArgs,
}

impl ServerArgs {
    /// What the plan is asked for.
    pub fn request(&self) -> PlanRequest {
        PlanRequest {
            min_cpu: self.min_cpu,
            min_memory_gb: self.min_memory,
            max_hourly: self.max_price,
            gpu: self.gpu,
            arch: self.arch,
            provider: self.provider.clone(),
            template: self.template.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
            image: self.image.clone(),
            count: self.count,
        }
    }
}

/// Whether to wait for a server.
#[derive(Debug, Clone, Args)]
pub struct DeployWaitArgs {
    /// Wait until the work is done (the default)
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Return at once and print the operation
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait at most; the work goes on all the same
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub timeout: Duration,
}

impl Default for DeployWaitArgs {
    fn default() -> Self {
        Self { wait: true, no_wait: false, timeout: Duration::from_secs(1_800) }
    }
}

impl DeployWaitArgs {
    /// The same, as every other command has it.
    pub const fn usual(&self) -> WaitArgs {
        WaitArgs { wait: self.wait, no_wait: self.no_wait, timeout: self.timeout }
    }
}

/// `deploy`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl deploy --name api --min-cpu 4 --min-memory 8 --budget 0.10 --tags web" => "the cheapest that fits; shows the plan and asks",
    "capsulectl deploy --name api --provider vultr --dry-run -o json" => "the plan alone",
    "capsulectl deploy --name worker --count 3 --ttl 8h --yes" => "three for a day's work",
))]
pub struct DeployArgs {
    /// Directory of an app; comes with later work
    pub path: Option<PathBuf>,
    /// The app to deploy; comes with later work
    #[arg(long)]
    pub app: Option<String>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `deployments`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl deployments" => "what was made and deleted, and what is under way",
    "capsulectl deployments api" => "every attempt of one",
))]
pub struct DeploymentsArgs {
    /// The server's name, or the deployment's id; absent: list
    pub deployment: Option<String>,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}
