//! `providers` and `provider`: the clouds, and what to log in with there.

use std::path::PathBuf;

use capsule_api::AccountName;
use clap::{Args, Subcommand};

use super::templates::EquivalentsArgs;
use super::{styles::examples, values::duration_ms};

/// `providers`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl providers" => "what each sells, and whether its credential works",
    "capsulectl providers --detailed" => "with every account",
))]
pub struct ProvidersArgs {
    /// Show every account too
    #[arg(long)]
    pub detailed: bool,
}

/// `provider`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl provider configure vultr" => "asks for the API key",
    "capsulectl provider instances vultr" => "what the account really has",
    "capsulectl provider accounts" => "every account",
))]
pub struct ProviderArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: ProviderAction,
}

/// What can be done with providers.
#[derive(Debug, Subcommand)]
pub enum ProviderAction {
    /// Store what to log in with at a provider, or replace it; tried before it is stored
    Configure(Box<ConfigureArgs>),
    /// List the accounts
    #[command(after_help = examples!("capsulectl provider accounts -o wide" => "with how each is called"))]
    Accounts,
    /// Show an account
    #[command(after_help = examples!("capsulectl provider show vultr" => "by the account's name"))]
    Show {
        /// The account's name
        account: String,
    },
    /// Ask whether a credential still works
    #[command(after_help = examples!("capsulectl provider verify vultr" => "exit code 1 when it is refused"))]
    Verify {
        /// The account's name
        account: String,
    },
    /// Remove an account with its credential
    #[command(after_help = examples!("capsulectl provider remove work" => "asks first; refused while servers are billed to it"))]
    Remove {
        /// The account's name
        account: String,
        /// Say what would be removed and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// What a provider sells
    #[command(after_help = examples!("capsulectl provider templates linode" => "cheapest first"))]
    Templates {
        /// The provider
        provider: String,
    },
    /// What comes nearest to a template at other providers
    Equivalents(EquivalentsArgs),
    /// What a provider really has, whether we know it or not
    #[command(after_help = examples!(
        "capsulectl provider instances vultr" => "every instance of every account",
        "capsulectl provider instances scaleway fr-par-1/11111111-2222 -o json" => "one, with the provider's own record",
    ))]
    Instances {
        /// The provider
        provider: String,
        /// Only the instance with this id, or PLACE/ID
        id: Option<String>,
        /// Only this account
        #[arg(long, value_name = "NAME")]
        account: Option<AccountName>,
    },
}

/// `provider configure`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl provider configure digitalocean" => "asks for what is needed",
    "capsulectl provider configure vultr --account work --api-key-stdin < key" => "a second account",
    "capsulectl provider configure scaleway --from-env" => "SCALEWAY_API_KEY and its like",
    "capsulectl provider configure aws --field region=eu-central-1 --field profile=work" => "the daemon's own AWS files",
    "capsulectl provider configure vultr --retries 1 --timeout 10s" => "an account that is there: only how it is called",
))]
pub struct ConfigureArgs {
    /// The provider
    pub provider: String,
    /// The account's name [default: the provider's]
    #[arg(long, value_name = "NAME")]
    pub account: Option<AccountName>,
    /// Where the credential comes from.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Longest wait for one answer
    #[arg(long, value_name = "DURATION", value_parser = duration_ms, help_heading = "Calls")]
    pub timeout: Option<u64>,
    /// Repeats of a call that is safe to repeat
    #[arg(long, value_name = "N", help_heading = "Calls")]
    pub retries: Option<u32>,
    /// First pause before a repeat
    #[arg(long, value_name = "DURATION", value_parser = duration_ms, help_heading = "Calls")]
    pub backoff: Option<u64>,
    /// Address to call instead of the provider's own; `default` for its own again
    #[arg(long, value_name = "URL", help_heading = "Calls")]
    pub endpoint: Option<String>,
    /// Print what would be sent, without secrets, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Where a credential comes from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Credential")]
pub struct CredentialArgs {
    /// A field, repeatable; an empty value removes it
    #[arg(long, value_name = "NAME=VALUE", value_parser = field)]
    pub field: Vec<(String, String)>,
    /// Read the API key (for AWS: the secret access key) from standard input
    #[arg(long, conflicts_with_all = ["file", "api_key"])]
    pub api_key_stdin: bool,
    /// Read fields from a file: lines NAME=VALUE, or the API key alone
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    pub file: Option<PathBuf>,
    /// Read fields from this client's environment, such as VULTR_API_KEY
    #[arg(long)]
    pub from_env: bool,
    /// The API key itself; other users can see it while this runs, so better use one of the others
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
}

fn field(text: &str) -> Result<(String, String), String> {
    // The text may be a secret, so it is not repeated.
    let (name, value) = text.split_once('=').ok_or_else(|| "it is not NAME=VALUE".to_owned())?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
