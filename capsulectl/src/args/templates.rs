//! `templates` and `xnode browse`: what providers sell.

use capsule_api::{AccountName, Arch, PlanRequest, TemplateFilter, TemplateSort, UsdMicros};
use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::{styles::examples, values::WaitArgs};

/// Which templates to list, and in which order.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct TemplateFilterArgs {
    /// At least this many virtual processors
    #[arg(long, value_name = "N")]
    pub min_cpu: Option<u32>,
    /// At least this much memory, in GB
    #[arg(long, value_name = "GB")]
    pub min_memory: Option<u32>,
    /// At most this price per hour in US dollars, such as 0.10
    #[arg(long, value_name = "USD_PER_H")]
    pub max_price: Option<UsdMicros>,
    /// Only with a GPU
    #[arg(long)]
    pub gpu: bool,
    /// Only this processor architecture: x86_64, aarch64
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Only where it is sold in this region, by our name or the provider's
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Only this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// The order: price, cpu, memory, provider, name
    #[arg(long, value_name = "BY")]
    pub sort: Option<TemplateSort>,
}

impl TemplateFilterArgs {
    /// The filter as the daemon takes it.
    pub fn filter(&self) -> TemplateFilter {
        TemplateFilter {
            min_cpu: self.min_cpu,
            min_memory: self.min_memory,
            max_price: self.max_price,
            gpu: self.gpu.then_some(true),
            arch: self.arch,
            region: self.region.clone(),
            provider: self.provider.clone(),
            sort: self.sort,
        }
    }
}

/// `templates`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl templates" => "what can be had, cheapest first",
    "capsulectl templates --min-cpu 4 --min-memory 8 --max-price 0.10" => "what fits",
    "capsulectl templates show do-basic-1" => "one of them, with its regions",
    "capsulectl templates refresh" => "ask the providers for their prices now",
))]
pub struct TemplatesArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<TemplatesAction>,
    /// Which templates.
    #[command(flatten)]
    pub filter: TemplateFilterArgs,
}

/// What can be done with templates.
#[derive(Debug, Subcommand)]
pub enum TemplatesAction {
    /// Show a template with its regions and prices
    #[command(after_help = examples!("capsulectl templates show do-basic-1" => "by our id or the provider's name of it"))]
    Show {
        /// Our id, or the provider's name of the size
        template: String,
    },
    /// Replace prices, stock and plans from the providers' own lists
    Refresh(RefreshArgs),
    /// What a deployment would choose, and why not the others
    Plan(PlanArgs),
    /// What comes nearest to a template at other providers
    Equivalents(EquivalentsArgs),
    /// List the providers' regions with our names of them
    Regions(RegionsArgs),
    /// Show or set what a euro is worth, to compare prices
    Rate(RateArgs),
}

/// `templates plan`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl templates plan --min-cpu 4 --min-memory 8 --budget 0.10" => "the cheapest that fits, and the next ones",
    "capsulectl templates plan --template do-basic-1 -o json" => "where one of them would be made",
))]
pub struct PlanArgs {
    /// At least this many virtual processors
    #[arg(long, value_name = "N")]
    pub min_cpu: Option<u32>,
    /// At least this much memory, in GB
    #[arg(long, value_name = "GB")]
    pub min_memory: Option<u32>,
    /// At most this price per hour in US dollars, such as 0.10
    #[arg(long, value_name = "USD_PER_H", alias = "max-price")]
    pub budget: Option<UsdMicros>,
    /// Only with a GPU
    #[arg(long)]
    pub gpu: bool,
    /// Only this processor architecture: x86_64, aarch64
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Only this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Only this template, by our id or the provider's name of it
    #[arg(long, value_name = "ID")]
    pub template: Option<String>,
    /// Only this region, by our name or the provider's
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Only this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<AccountName>,
}

impl PlanArgs {
    /// The question as the daemon takes it.
    pub fn request(&self) -> PlanRequest {
        PlanRequest {
            min_cpu: self.min_cpu,
            min_memory_gb: self.min_memory,
            max_hourly: self.budget,
            gpu: self.gpu,
            arch: self.arch,
            provider: self.provider.clone(),
            template: self.template.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
            image: None,
            count: None,
        }
    }
}

/// `templates refresh`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl templates refresh" => "every account's provider, side by side",
    "capsulectl templates refresh --provider vultr" => "one provider",
))]
pub struct RefreshArgs {
    /// Only this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `templates regions`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl templates regions --provider linode" => "where a provider has machines",
))]
pub struct RegionsArgs {
    /// Only this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
}

/// `templates rate`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl templates rate" => "the rate in use and its day",
    "capsulectl templates rate 1.0845 --date 2026-11-20" => "compare by another one",
))]
pub struct RateArgs {
    /// US dollars for a euro, such as 1.0845
    #[arg(value_name = "EUR_USD")]
    pub rate: Option<UsdMicros>,
    /// The day of the rate; absent: today
    #[arg(long, value_name = "YYYY-MM-DD", requires = "rate")]
    pub date: Option<Date>,
}

/// `templates equivalents`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl templates equivalents equinix-c3-small" => "what comes nearest to it elsewhere",
))]
pub struct EquivalentsArgs {
    /// Our id, or the provider's name of the size
    pub template: String,
}

/// `xnode browse`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl xnode browse" => "what can be had, cheapest first",
    "capsulectl xnode browse --region fra1 --size medium" => "3 to 8 processors in one region",
))]
pub struct BrowseArgs {
    /// Only this region, by our name or the provider's
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Only this size: small (up to 2 processors), medium (3 to 8), large (9 and more), or a template
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
}
