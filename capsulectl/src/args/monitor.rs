//! `monitor`: status, health, metrics, alerts, settings, budgets and the live view.

use std::{ffi::OsString, time::Duration};

use capsule_api::{AlertKind, BudgetScope, Series, Severity, Tag, UsdMicros};
use clap::{Args, Subcommand};

use super::{
    styles::examples,
    values::{ThresholdArgs, WaitArgs, duration, duration_ms},
};

/// `monitor`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl monitor status" => "how the fleet is",
    "capsulectl monitor health web-1 --run-check" => "probe one server now",
    "capsulectl monitor alerts" => "what is wrong",
    "capsulectl monitor watch" => "live view",
    "capsulectl monitor config --cpu-warning 80" => "change a threshold",
))]
pub struct MonitorArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: MonitorAction,
}

/// What `monitor` can do.
#[derive(Debug, Subcommand)]
pub enum MonitorAction {
    /// How the fleet is
    Status(StatusArgs),
    /// The checks of a server and their history
    Health(HealthArgs),
    /// The resources of a server and their history
    Metrics(MetricsArgs),
    /// What is wrong
    Alerts(AlertsArgs),
    /// One alert with its timeline
    Alert(AlertArgs),
    /// Say that an alert is being looked at
    Ack(NoteArgs),
    /// Say that an alert is over
    Resolve(NoteArgs),
    /// Say something about an alert
    Comment(CommentArgs),
    /// Show and change intervals, thresholds and channels
    Config(Box<ConfigArgs>),
    /// Limits on the hourly cost
    Budget(BudgetArgs),
    /// Live view, full screen
    Watch(WatchArgs),
    /// A network, as `monitor NAME`; comes with later work
    #[command(hide = true, after_help = examples!("capsulectl monitor network shop" => "comes with later work"))]
    Network {
        /// The network's name
        name: String,
    },
    /// A network's name, or a mistyped word.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// `monitor status`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor status" => "counts and what is wrong",
    "capsulectl monitor status --detailed" => "with every server and its checks",
    "capsulectl monitor status --exit-code --quiet" => "exit code 10 while alerts are open",
))]
pub struct StatusArgs {
    /// Every server with its checks
    #[arg(long)]
    pub detailed: bool,
    /// Exit with 10 while alerts are open
    #[arg(long)]
    pub exit_code: bool,
}

/// `monitor health`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor health web-1" => "newest results and history",
    "capsulectl monitor health web-1 --run-check" => "probe now and wait for the results",
    "capsulectl monitor health web-1 --history --check http --since 2h" => "result by result",
))]
pub struct HealthArgs {
    /// Name, id, or unique beginning or end of an id
    pub xnode: String,
    /// Probe every check now
    #[arg(long)]
    pub run_check: bool,
    /// List the history instead of the newest results
    #[arg(long)]
    pub history: bool,
    /// Only this check's history
    #[arg(long, value_name = "NAME")]
    pub check: Option<String>,
    /// How far the history goes back
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub since: Duration,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `monitor metrics`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor metrics web-1" => "newest reading and history",
    "capsulectl monitor metrics web-1 --collect" => "read now",
    "capsulectl monitor metrics web-1 --history --series cpu --since 7d -o csv" => "for a spreadsheet",
))]
pub struct MetricsArgs {
    /// Name, id, or unique beginning or end of an id
    pub xnode: String,
    /// Read the resources now
    #[arg(long)]
    pub collect: bool,
    /// List the history instead of the newest reading
    #[arg(long)]
    pub history: bool,
    /// Only this series: cpu, memory, swap, disk, load, network_received, network_sent, disk_read, disk_written
    #[arg(long)]
    pub series: Option<Series>,
    /// How far the history goes back
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub since: Duration,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `monitor alerts`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor alerts" => "open alerts",
    "capsulectl monitor alerts --severity critical --xnode-id web-1" => "some of them",
    "capsulectl monitor alerts --all -o csv" => "also what is over",
    "capsulectl monitor alerts --follow" => "each change as it happens",
))]
pub struct AlertsArgs {
    /// Only this severity: info, warning, critical
    #[arg(long)]
    pub severity: Option<Severity>,
    /// Only this server
    #[arg(long, value_name = "XNODE", visible_alias = "xnode")]
    pub xnode_id: Option<String>,
    /// Only this kind, such as high_cpu or service_down
    #[arg(long)]
    pub kind: Option<AlertKind>,
    /// Also those that are over
    #[arg(long)]
    pub all: bool,
    /// Go on and print each change as it happens
    #[arg(long, short)]
    pub follow: bool,
    /// Exit with 10 when there are any
    #[arg(long)]
    pub exit_code: bool,
}

/// `monitor alert`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl monitor alert show 1a2b3c4d" => "an alert with its timeline",
))]
pub struct AlertArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: AlertAction,
}

/// What can be done with one alert.
#[derive(Debug, Subcommand)]
pub enum AlertAction {
    /// An alert with its timeline
    #[command(after_help = examples!("capsulectl monitor alert show 1a2b3c4d" => "by the end of its id"))]
    Show {
        /// Id, or unique beginning or end of one
        alert: String,
    },
    /// Say that an alert is being looked at
    Ack(NoteArgs),
    /// Say that an alert is over
    Resolve(NoteArgs),
    /// Say something about an alert
    Comment(CommentArgs),
}

/// `monitor ack` and `monitor resolve`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor ack 1a2b3c4d --comment 'looking at it'" => "by the end of its id",
    "capsulectl monitor resolve 1a2b3c4d" => "over",
))]
pub struct NoteArgs {
    /// Id, or unique beginning or end of one
    pub alert: String,
    /// What to say with it
    #[arg(long, short, value_name = "TEXT")]
    pub comment: Option<String>,
}

/// `monitor comment`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor comment 1a2b3c4d 'disk ordered'" => "stays in the alert's timeline",
))]
pub struct CommentArgs {
    /// Id, or unique beginning or end of one
    pub alert: String,
    /// What to say
    pub text: String,
}

/// `monitor config`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor config" => "show everything",
    "capsulectl monitor config --check-interval 60 --cpu-warning 80" => "change for all servers",
    "capsulectl monitor config --tag db --disk-warning 70" => "change for all servers with a tag",
    "capsulectl monitor config --xnode web-1 --cpu-for 10m" => "change for one server",
    "capsulectl monitor config --enable-slack --secret-file slack-url" => "tell people in Slack",
))]
pub struct ConfigArgs {
    /// Show the settings, also after changing some
    #[arg(long)]
    pub show: bool,
    /// Thresholds only for servers with this tag
    #[arg(long, conflicts_with = "xnode")]
    pub tag: Option<Tag>,
    /// Thresholds only for this server
    #[arg(long)]
    pub xnode: Option<String>,
    /// Take back the thresholds of --tag or --xnode
    #[arg(long)]
    pub clear: bool,
    /// Print what would be sent and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Thresholds.
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
    /// Intervals and the like.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Channels.
    #[command(flatten)]
    pub channels: ChannelSwitches,
}

/// Settings for all servers.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Intervals, deadlines, retention")]
pub struct SettingsArgs {
    /// Time between probes of a check
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub check_interval: Option<u64>,
    /// Time between the first failure and the probes that confirm it
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub confirm_interval: Option<u64>,
    /// Deadline of a ping
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub ping_timeout: Option<u64>,
    /// Deadline of a TCP probe
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub tcp_timeout: Option<u64>,
    /// Deadline of an SSH probe
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub ssh_timeout: Option<u64>,
    /// Deadline of an HTTP probe
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub http_timeout: Option<u64>,
    /// Failures in a row before a check is down
    #[arg(long, value_name = "N")]
    pub down_after: Option<u32>,
    /// Passes in a row before a check is up again
    #[arg(long, value_name = "N")]
    pub up_after: Option<u32>,
    /// Time between resource readings
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub metrics_interval: Option<u64>,
    /// Time between comparisons of a provider account with the inventory
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    pub reconcile_interval: Option<u64>,
    /// Hours to keep raw results and readings
    #[arg(long, value_name = "HOURS")]
    pub raw_retention: Option<u32>,
    /// Days to keep 5-minute roll-ups
    #[arg(long, value_name = "DAYS")]
    pub five_minute_retention: Option<u32>,
    /// Days to keep hourly roll-ups
    #[arg(long, value_name = "DAYS")]
    pub hourly_retention: Option<u32>,
    /// Days to keep resolved alerts, finished deliveries, events and audit rows
    #[arg(long, value_name = "DAYS")]
    pub record_retention: Option<u32>,
}

/// Channels switched on and off.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Channels")]
pub struct ChannelSwitches {
    /// Use the email channels
    #[arg(long, conflicts_with = "disable_email")]
    pub enable_email: bool,
    /// Do not use the email channels
    #[arg(long)]
    pub disable_email: bool,
    /// Use the Slack channels; makes one when there is none
    #[arg(long, conflicts_with = "disable_slack")]
    pub enable_slack: bool,
    /// Do not use the Slack channels
    #[arg(long)]
    pub disable_slack: bool,
    /// Slack's webhook URL; it is a secret, so better give it with --secret-file or --secret-stdin
    #[arg(long, value_name = "URL")]
    pub slack_webhook: Option<String>,
    /// File with Slack's webhook URL
    #[arg(long, value_name = "FILE", conflicts_with_all = ["slack_webhook", "secret_stdin"])]
    pub secret_file: Option<std::path::PathBuf>,
    /// Read Slack's webhook URL from standard input
    #[arg(long, conflicts_with = "slack_webhook")]
    pub secret_stdin: bool,
}

impl ChannelSwitches {
    /// Whether any of them was given.
    pub const fn any(&self) -> bool {
        self.enable_email
            || self.disable_email
            || self.enable_slack
            || self.disable_slack
            || self.slack_webhook.is_some()
            || self.secret_file.is_some()
            || self.secret_stdin
    }
}

/// `monitor budget`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor budget" => "limits and what is spent",
    "capsulectl monitor budget set 0.50" => "for everything",
    "capsulectl monitor budget set 0.10 --tag staging" => "for servers with a tag",
    "capsulectl monitor budget set --monthly 500 --block" => "a month's money, and nothing deployed beyond it",
    "capsulectl monitor budget remove --tag staging" => "no limit any more",
))]
pub struct BudgetArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<BudgetAction>,
}

/// What can be done with budgets.
#[derive(Debug, Subcommand)]
pub enum BudgetAction {
    /// Limits and what is spent
    #[command(after_help = examples!("capsulectl monitor budget list -o csv" => "for a spreadsheet"))]
    List,
    /// Set a limit in US dollars per hour, per month, or both
    #[command(after_help = examples!(
        "capsulectl monitor budget set 0.50 --provider hetzner" => "for one provider's servers",
        "capsulectl monitor budget set --monthly 500 --block" => "told at 50, 80 and 100 %; no deployment goes over it",
    ))]
    Set {
        /// US dollars per hour, such as 0.50
        #[arg(value_name = "USD", required_unless_present = "monthly")]
        limit: Option<UsdMicros>,
        /// US dollars per calendar month (UTC); told at 50, 80 and 100 %, each once a month
        #[arg(long, value_name = "USD")]
        monthly: Option<UsdMicros>,
        /// Refuse deployments that would go over it
        #[arg(long)]
        block: bool,
        /// What it covers.
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Take a limit away
    #[command(after_help = examples!("capsulectl monitor budget remove --tag staging" => "asks first"))]
    Remove {
        /// What it covers.
        #[command(flatten)]
        scope: ScopeArgs,
    },
}

/// What a budget covers; without any: everything.
#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// Servers with this tag
    #[arg(long, conflicts_with = "provider")]
    pub tag: Option<String>,
    /// Servers with this provider label
    #[arg(long)]
    pub provider: Option<String>,
}

impl ScopeArgs {
    /// The scope and name as the daemon takes them.
    pub fn scope(&self) -> (BudgetScope, &str) {
        match (&self.tag, &self.provider) {
            (Some(tag), _) => (BudgetScope::Tag, tag),
            (None, Some(provider)) => (BudgetScope::Provider, provider),
            (None, None) => (BudgetScope::Global, "global"),
        }
    }
}

/// `monitor watch`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl monitor watch" => "q leaves, ? shows the keys",
    "capsulectl monitor watch --interval 2s" => "read the metrics more often",
    "capsulectl monitor watch | tee log" => "without a terminal: one line for each change",
))]
pub struct WatchArgs {
    /// Time between readings of the metrics; everything else is live
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub interval: Duration,
}
