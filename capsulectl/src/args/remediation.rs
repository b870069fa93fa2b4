//! `remediation`: what is done by itself when an alert stays open.

use capsule_api::{
    AlertKind, RemediationLimits, RemediationMode, RemediationName, RemediationTrigger, RunState, Severity,
    Tag,
};
use clap::{Args, Subcommand};

use super::{styles::examples, values::duration_ms};

/// `remediation`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl remediation add command restart-nginx --kinds service_down --tags web -- systemctl restart nginx" => "off, and a dry run, until you say otherwise",
    "capsulectl remediation test restart-nginx --xnode web-1" => "what it would do there now",
    "capsulectl remediation enable restart-nginx" => "look at alerts, and say what it would do",
    "capsulectl remediation edit restart-nginx --mode act" => "do it",
    "capsulectl remediation runs" => "what was done, and what was held back",
))]
pub struct RemediationArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<RemediationVerb>,
}

/// What can be done with remediations.
#[derive(Debug, Subcommand)]
pub enum RemediationVerb {
    /// List the remediations
    #[command(after_help = examples!("capsulectl remediation list -o wide" => "with their limits"))]
    List,
    /// Show a remediation
    #[command(after_help = examples!("capsulectl remediation show restart-nginx" => "by name"))]
    Show {
        /// The remediation's name
        name: String,
    },
    /// Make a remediation; it is off until it is enabled
    #[command(arg_required_else_help = true, after_help = examples!(
        "capsulectl remediation add command restart-nginx --kinds service_down,http_error -- systemctl restart nginx" => "a program on the server",
        "capsulectl remediation add power-cycle revive --kinds ssh_unreachable --after 15m --max-per-hour 1" => "off and on at its provider",
        "capsulectl remediation add proposal grow --kinds high_cpu --after 1h" => "name a server that could be added",
    ))]
    Add(Box<AddRemediationArgs>),
    /// Change a remediation
    Edit(Box<EditRemediationArgs>),
    /// Look at alerts from now on
    #[command(after_help = examples!("capsulectl remediation enable restart-nginx" => "a dry run unless its mode is act"))]
    Enable {
        /// The remediation's name
        name: String,
    },
    /// Look at no alerts; what runs comes to its end
    #[command(after_help = examples!("capsulectl remediation disable restart-nginx" => "at once"))]
    Disable {
        /// The remediation's name
        name: String,
    },
    /// Remove a remediation; its runs stay known
    #[command(after_help = examples!("capsulectl remediation remove restart-nginx" => "asks first"))]
    Remove {
        /// The remediation's name
        name: String,
        /// Say what would be removed and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// What was done and what was held back, newest first
    #[command(after_help = examples!(
        "capsulectl remediation runs --remediation restart-nginx" => "of one remediation",
        "capsulectl remediation runs --xnode web-1 --state unknown" => "what somebody has to look at",
        "capsulectl remediation runs -o wide" => "with what the commands printed last",
    ))]
    Runs(RunsArgs),
    /// Say what a remediation would do now, and do nothing
    #[command(after_help = examples!(
        "capsulectl remediation test restart-nginx" => "on every open alert it is for",
        "capsulectl remediation test restart-nginx --xnode web-1" => "as if an alert had been open there for long enough",
        "capsulectl remediation test restart-nginx --alert 1a2b3c4d" => "on one alert",
    ))]
    Test(TestArgs),
}

/// `remediation add`.
#[derive(Debug, Args)]
pub struct AddRemediationArgs {
    /// What it does.
    #[command(subcommand)]
    pub kind: AddRemediation,
}

/// The kinds of actions.
#[derive(Debug, Subcommand)]
pub enum AddRemediation {
    /// Run a program on the server, as its SSH user
    #[command(after_help = examples!(
        "capsulectl remediation add command restart-nginx --kinds service_down --tags web -- systemctl restart nginx" => "on servers with the tag web",
        "capsulectl remediation add command tidy --kinds low_disk --min-severity critical --timeout 5m -- sudo journalctl --vacuum-size=200M" => "no shell: every word arrives as it is",
    ))]
    Command {
        /// The remediation's name
        name: RemediationName,
        /// How long the program may take, 1s to 15m
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration_ms)]
        timeout: u64,
        /// The program and its arguments; no secrets, and no shell: `sh -c '…'` where one is wanted
        #[arg(last = true, required = true, value_name = "PROGRAM")]
        command: Vec<String>,
        /// Alerts, limits and mode.
        #[command(flatten)]
        common: Common,
    },
    /// Switch the server off and on again at its provider
    #[command(after_help = examples!(
        "capsulectl remediation add power-cycle revive --kinds ssh_unreachable,service_down --after 15m --force" => "by power",
    ))]
    PowerCycle {
        /// The remediation's name
        name: RemediationName,
        /// By power instead of through its system
        #[arg(long)]
        force: bool,
        /// Alerts, limits and mode.
        #[command(flatten)]
        common: Common,
    },
    /// Name a server that could be deployed beside the one under load; nothing is made
    #[command(after_help = examples!(
        "capsulectl remediation add proposal grow --kinds high_cpu,high_memory --after 1h --enable --mode act" => "one message for each alert, with the command and the price",
    ))]
    Proposal {
        /// The remediation's name
        name: RemediationName,
        /// Alerts, limits and mode.
        #[command(flatten)]
        common: Common,
    },
}

/// What every new remediation has.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Kinds of alert it answers
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    pub kinds: Vec<AlertKind>,
    /// Whether it acts: dry_run, act [default: dry_run]
    #[arg(long)]
    pub mode: Option<RemediationMode>,
    /// Enable it at once
    #[arg(long)]
    pub enable: bool,
    /// Print what would be sent and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Which of them.
    #[command(flatten)]
    pub trigger: TriggerArgs,
    /// How often.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Which alerts, beside their kinds.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Alerts")]
pub struct TriggerArgs {
    /// This severity and worse: info, warning, critical
    #[arg(long, value_name = "SEVERITY")]
    pub min_severity: Option<Severity>,
    /// Only servers with at least one of these tags
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tags: Option<Vec<Tag>>,
    /// Only these servers
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub xnodes: Option<Vec<String>>,
    /// How long the alert must have been open [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub after: Option<u64>,
}

impl TriggerArgs {
    /// `before` with what was given in its place.
    pub fn change(&self, before: &RemediationTrigger) -> RemediationTrigger {
        RemediationTrigger {
            kinds: before.kinds.clone(),
            min_severity: self.min_severity.or(before.min_severity),
            tags: self.tags.clone().unwrap_or_else(|| before.tags.clone()),
            xnodes: self.xnodes.clone().unwrap_or_else(|| before.xnodes.clone()),
            after_ms: self.after.unwrap_or(before.after_ms),
        }
    }
}

/// How often.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Runs in any hour, on all servers together, 1 to 60 [default: 3]
    #[arg(long, value_name = "N")]
    pub max_per_hour: Option<u32>,
    /// Time between two runs on one server [default: 30m]
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub cooldown: Option<u64>,
}

impl LimitArgs {
    /// `before` with what was given in its place.
    pub fn change(&self, before: RemediationLimits) -> RemediationLimits {
        RemediationLimits {
            max_per_hour: self.max_per_hour.unwrap_or(before.max_per_hour),
            cooldown_ms: self.cooldown.unwrap_or(before.cooldown_ms),
        }
    }
}

/// `remediation edit`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl remediation edit restart-nginx --mode act" => "from words to deeds",
    "capsulectl remediation edit restart-nginx --max-per-hour 1 --cooldown 2h" => "less often",
    "capsulectl remediation edit restart-nginx -- systemctl reload nginx" => "another command",
))]
pub struct EditRemediationArgs {
    /// The remediation's name
    pub name: String,
    /// Kinds of alert it answers
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub kinds: Option<Vec<AlertKind>>,
    /// Whether it acts: dry_run, act
    #[arg(long)]
    pub mode: Option<RemediationMode>,
    /// How long the program may take, 1s to 15m
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub timeout: Option<u64>,
    /// Power-cycle by power instead of through the system: true, false
    #[arg(long, value_name = "BOOL")]
    pub force: Option<bool>,
    /// Print what would be sent and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Another program with its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    pub command: Vec<String>,
    /// Which of them.
    #[command(flatten)]
    pub trigger: TriggerArgs,
    /// How often.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// `remediation runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Only this remediation, also one that was removed
    #[arg(long, value_name = "NAME")]
    pub remediation: Option<String>,
    /// Only this server: name, id, or unique beginning or end of an id
    #[arg(long, value_name = "ID")]
    pub xnode: Option<String>,
    /// Only this state, such as failed, unknown or skipped
    #[arg(long)]
    pub state: Option<RunState>,
    /// How many rows
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// `remediation test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The remediation's name
    pub name: String,
    /// An open alert
    #[arg(long, value_name = "ID", conflicts_with = "xnode")]
    pub alert: Option<String>,
    /// A server, as if an alert had been open there for long enough
    #[arg(long, value_name = "ID")]
    pub xnode: Option<String>,
}
