//! `reconcile`, `findings`, `adopt` and `forget`: what providers have and the inventory does not say.

use capsule_api::{AccountName, FindingKind, ProviderName, Tag, XNodeName};
use clap::Args;

use super::{inventory::SshFields, styles::examples, values::WaitArgs};

/// Which accounts.
#[derive(Debug, Clone, Default, Args)]
pub struct ScopeArgs {
    /// Only accounts at this provider
    #[arg(long, value_name = "NAME")]
    pub provider: Option<ProviderName>,
    /// Only this account
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<AccountName>,
}

/// `reconcile`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl reconcile" => "ask every provider now and list what differs",
    "capsulectl reconcile --account work --exit-code" => "exit code 10 when something differs",
    "capsulectl reconcile --accept 9f3c21ab" => "write what the provider says into the inventory",
    "capsulectl reconcile --accept --all --dry-run" => "what would be accepted",
    "capsulectl reconcile --ignore 9f3c21ab" => "let it stay until something else differs",
))]
pub struct ReconcileArgs {
    /// Findings to accept or ignore: ids, or unique beginnings or ends of ids
    #[arg(value_name = "FINDING")]
    pub findings: Vec<String>,
    /// Which accounts.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Take the provider at its word: a drift is written into the inventory, a ghost leaves it
    #[arg(long, conflicts_with_all = ["ignore", "tell_again"])]
    pub accept: bool,
    /// Every open drift and ghost
    #[arg(long, requires = "accept", conflicts_with = "findings")]
    pub all: bool,
    /// Let a finding stay as it is, without an alert
    #[arg(long, requires = "findings")]
    pub ignore: bool,
    /// Tell of an ignored finding again
    #[arg(long, requires = "findings", conflicts_with = "ignore")]
    pub tell_again: bool,
    /// Say what would be accepted and change nothing
    #[arg(long, requires = "accept")]
    pub dry_run: bool,
    /// Exit with 10 when something differs
    #[arg(long)]
    pub exit_code: bool,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `findings`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl findings" => "what differed when each provider was asked last",
    "capsulectl findings 9f3c21ab" => "one of them, with every field",
    "capsulectl findings --sweeps" => "when each account was compared, and why it was not",
))]
pub struct FindingsArgs {
    /// Id, or a unique beginning or end of it; absent: list
    pub finding: Option<String>,
    /// Which accounts.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Only this kind: orphan, ghost, drift
    #[arg(long)]
    pub kind: Option<FindingKind>,
    /// Those that are ignored or over as well
    #[arg(long)]
    pub all: bool,
    /// How comparing each account went
    #[arg(long, conflicts_with_all = ["finding", "kind", "all"])]
    pub sweeps: bool,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Exit with 10 when something differs
    #[arg(long)]
    pub exit_code: bool,
}

/// `adopt`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl adopt work 4711 4712 --ssh-user root --ssh-key ~/.ssh/id_ed25519" => "servers of the account `work`, by the provider's ids",
    "capsulectl adopt work --tag web" => "every server with that tag there",
    "capsulectl adopt --all-orphans --dry-run" => "what was left over and could be taken in",
    "capsulectl adopt --finding 9f3c21ab --name api" => "one orphan, under this name",
))]
pub struct AdoptArgs {
    /// The account
    pub account: Option<AccountName>,
    /// The provider's ids, PLACE/ID where an id alone is not enough
    #[arg(value_name = "INSTANCE", requires = "account")]
    pub instances: Vec<String>,
    /// Every server of the account with this tag there
    #[arg(long, requires = "account")]
    pub tag: Option<String>,
    /// The server of this orphan, by id or a unique beginning or end of it
    #[arg(long, value_name = "FINDING")]
    pub finding: Vec<String>,
    /// Every open orphan
    #[arg(long)]
    pub all_orphans: bool,
    /// The name of the xNode, where one server is adopted [default: its name there]
    #[arg(long)]
    pub name: Option<XNodeName>,
    /// Tags beside those it has there
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tags: Vec<Tag>,
    /// Say what would be adopted and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How to log in.
    #[command(flatten)]
    pub ssh: SshFields,
}

/// `forget`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl forget web-1" => "says what goes on costing, and asks",
))]
pub struct ForgetArgs {
    /// Name, id, or unique beginning or end of an id
    pub xnode: String,
    /// Say what would be forgotten and change nothing
    #[arg(long)]
    pub dry_run: bool,
}
