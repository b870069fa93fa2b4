//! The command line: which words exist and what they take. No command does anything here.
//!
//! The tree is derived for what works today; [`later`] adds every command that comes with later work from a
//! table of usage lines, so that old scripts parse and get an honest answer instead of "unrecognized".

pub mod channels;
pub mod check;
pub mod costs;
pub mod deploy;
pub mod exchange;
pub mod inventory;
pub mod later;
pub mod monitor;
pub mod profiles;
pub mod providers;
pub mod reconcile;
pub mod records;
pub mod remediation;
pub mod remote;
pub mod styles;
pub mod templates;
pub mod values;
pub mod xnode;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

pub use self::values::duration;

/// Words that older tools put before a command; they mean nothing here.
const GROUP_WORDS: &[&str] = &["openmesh"];
/// Global options that take a value, which is not the command.
const VALUE_OPTIONS: &[&str] = &["-o", "--output", "--socket", "--context"];

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Table,
    /// For people, with every column.
    Wide,
    /// JSON, all fields.
    Json,
    /// YAML, all fields.
    Yaml,
    /// Comma separated, every column.
    Csv,
    /// Only names that commands accept, one on each line.
    Name,
    /// One JSON object on each line.
    Ndjson,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How to print data [default: table]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    #[arg(help = "Print data as table, wide, json, yaml, csv, name or ndjson")]
    pub output: Option<Format>,
    /// Print data and errors only, no notes
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print without colour, as NO_COLOR does
    #[arg(long, global = true)]
    pub no_color: bool,
    /// The daemon's socket [env: CAPSULE_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The installation to speak to; only `default` in this version
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Never ask; fail where a question would be asked
    #[arg(long, global = true)]
    pub no_input: bool,
}

/// The client of capsuled, the daemon that watches servers.
#[derive(Debug, Parser)]
#[command(
    name = "capsulectl",
    version,
    about = "See and steer capsuled, the daemon that watches your servers",
    long_about = "See and steer capsuled, the daemon that watches your servers.\n\nWithout a command: the overview.",
    styles = styles::STYLES,
    after_help = styles::examples!(
        "capsulectl" => "the fleet at a glance",
        "capsulectl inventory add web-1 --address 192.0.2.10 --ssh-user ops --ssh-key ~/.ssh/id_ed25519" => "watch a server",
        "capsulectl monitor watch" => "live view",
        "capsulectl monitor alerts -o json" => "open alerts for a script",
    ),
    disable_help_subcommand = false,
    max_term_width = 100
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command; absent: the overview.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands that work.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The servers that are watched: list, add, show, edit, remove
    Inventory(inventory::InventoryArgs),
    /// List xNodes with health and cost
    #[command(name = "xnodes")]
    XNodes(inventory::XNodesArgs),
    /// Health, metrics, alerts and how they are watched
    Monitor(monitor::MonitorArgs),
    /// What providers sell and for how much
    Templates(templates::TemplatesArgs),
    /// What the fleet costs, where the money goes, and own discounts
    #[command(name = "cost-report")]
    CostReport(costs::CostReportArgs),
    /// Own discounts, taken off in cost reports
    Discount(costs::DiscountArgs),
    /// The servers that are and were, with what each has cost
    History(costs::HistoryArgs),
    /// Numbers about the inventory
    Stats(costs::StatsArgs),
    /// Forget servers that are long gone
    #[command(name = "cleanup")]
    CleanUp(costs::CleanUpArgs),
    /// Write the inventory for other programs
    Export(exchange::ExportArgs),
    /// Read servers from CSV, Terraform or an SSH configuration: all of it or nothing
    Import(exchange::ImportArgs),
    /// Take over a directory of the earlier Capsule
    Migrate(exchange::MigrateArgs),
    /// The inventory as an OpenSSH client configuration
    #[command(name = "ssh-config")]
    SshConfig(exchange::SshConfigArgs),
    /// The clouds: what they sell, and whether their credentials work
    Providers(providers::ProvidersArgs),
    /// A cloud's accounts, and what it really has
    Provider(providers::ProviderArgs),
    /// Deploy a server: the cheapest that fits
    Deploy(Box<deploy::DeployArgs>),
    /// What was deployed and deleted, with every attempt
    Deployments(deploy::DeploymentsArgs),
    /// Servers at their providers
    #[command(name = "xnode")]
    XNode(xnode::XNodeArgs),
    /// Compare providers with the inventory, and accept what they say
    Reconcile(reconcile::ReconcileArgs),
    /// What providers have and the inventory does not say
    Findings(reconcile::FindingsArgs),
    /// Take servers into the inventory that a provider has already
    Adopt(Box<reconcile::AdoptArgs>),
    /// Take a server out of the inventory and leave it at its provider
    Forget(reconcile::ForgetArgs),
    /// The active profile: its stacks with what they need, its packages
    Show(profiles::ShowArgs),
    /// The technology stacks, and which are active
    Stacks(profiles::StacksArgs),
    /// A stack, and stacks of your own
    #[command(name = "stack")]
    Stack(profiles::StackArgs),
    /// Add stacks to the active profile; what they need comes along
    #[command(
        long_about = "Add stacks to the active profile; what they need comes along.\n\nA built-in profile never changes: \
            the first change makes a copy of your own under the same name, and `capsulectl profile delete NAME` \
            brings the built-in one back.",
        after_help = styles::examples!(
            "capsulectl add docker" => "one stack",
            "capsulectl add python machine-learning" => "several, all of them or none",
        )
    )]
    Add(profiles::StackNames),
    /// Remove stacks from the active profile
    #[command(after_help = styles::examples!("capsulectl remove docker" => "refused with the list when others need it"))]
    Remove(profiles::StackNames),
    /// Add and remove packages of the active profile
    Pkg(profiles::PkgArgs),
    /// Edit a profile as YAML
    Edit(profiles::EditProfileArgs),
    /// Set the active profile back to what it was when it was made
    Reset(profiles::ResetArgs),
    /// The profiles, built-in and your own
    Profiles(profiles::ProfilesArgs),
    /// Choose, make, copy, compare and delete profiles
    Profile(profiles::ProfileArgs),
    /// The quick installs
    Sprouts(profiles::SproutsArgs),
    /// The Nix expression of the active profile
    Preview(profiles::PreviewArgs),
    /// How people are told: email, webhook, Slack
    Channel(channels::ChannelArgs),
    /// What is done by itself when an alert stays open
    Remediation(remediation::RemediationArgs),
    /// What was sent, what waits and why
    Deliveries(records::DeliveriesArgs),
    /// Long-running work
    Operations(records::OperationsArgs),
    /// What changes, as it changes
    Events(records::EventsArgs),
    /// Who changed what
    Audit(records::AuditArgs),
    /// The daemon's background tasks
    Tasks(records::TasksArgs),
    /// A shell or command on a server, and its host key
    Ssh(remote::SshArgs),
    /// Join a port here with one on a server, as `xnode tunnel`
    Tunnel(remote::TunnelArgs),
    /// Look at the daemon, the connection and this account's rights
    Doctor(records::DoctorArgs),
    /// This client's own settings
    Config(records::ConfigArgs),
    /// Print the completion script of a shell
    Completions(records::CompletionsArgs),
    /// Write man pages
    Man(records::ManArgs),
    /// Print the reference of every command as Markdown
    #[command(hide = true, after_help = styles::examples!("capsulectl reference > reference.md" => "for the documentation"))]
    Reference,
}

/// A command line that means something.
#[derive(Debug)]
pub enum Parsed {
    /// A command that works.
    Run(Box<Cli>),
    /// A command that comes with later work; its words.
    NotYet(String),
}

/// The whole tree, later commands included.
pub fn command() -> clap::Command {
    later::add_to(Cli::command())
}

/// Reads a command line.
///
/// # Errors
/// Whatever clap says, help and version included.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, clap::Error> {
    let matches = command().try_get_matches_from(without_group_word(args.into_iter().collect()))?;
    if let Some(words) = later::words(&matches) {
        return Ok(Parsed::NotYet(words));
    }
    Cli::from_arg_matches(&matches).map(|cli| Parsed::Run(Box::new(cli)))
}

/// The arguments without a leading group word. Options before it stay.
fn without_group_word(mut args: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(arg) = args.get(at).map(|arg| arg.to_string_lossy().into_owned()) {
        if VALUE_OPTIONS.contains(&arg.as_str()) {
            at += 2;
        } else if arg.starts_with('-') && arg != "--" {
            at += 1;
        } else {
            break;
        }
    }
    if args.get(at).is_some_and(|arg| GROUP_WORDS.iter().any(|word| arg == word)) {
        args.remove(at);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_line_of_the_command_reference_parses() {
        let mut seen = 0;
        for line in include_str!("../../tests/commands.txt").lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            seen += 1;
            if let Err(error) = parsed(line) {
                panic!("`{line}` should parse: {error}");
            }
            if line.contains("openmesh") {
                continue;
            }
            let grouped = line.replacen("capsulectl", "capsulectl openmesh", 1);
            assert!(parsed(&grouped).is_ok(), "`{grouped}` should parse");
        }
        assert!(seen > 150, "the list of lines is too short to be the whole reference: {seen}");
    }

    #[test]
    fn a_group_word_is_skipped_wherever_options_stand() {
        for line in [
            "capsulectl openmesh xnodes",
            "capsulectl -o json openmesh xnodes",
            "capsulectl --quiet openmesh",
        ] {
            assert!(matches!(parsed(line), Ok(Parsed::Run(_))), "{line}");
        }
    }

    #[test]
    fn every_help_has_examples() {
        fn visit(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                let help = sub.clone().render_long_help().to_string();
                assert!(help.contains("Examples:"), "`{path} --help` has no examples");
                visit(sub, &path);
            }
        }
        visit(&command(), "capsulectl");
    }
}
