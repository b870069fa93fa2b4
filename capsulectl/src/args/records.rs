//! The rest: what was sent, done and changed; host keys; the client about itself.

use std::path::PathBuf;

use capsule_api::{AlertId, DeliveryState, EventKind};
use clap::{Args, Subcommand};

use super::{styles::examples, values::WaitArgs};

/// `deliveries`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl deliveries" => "the newest ones",
    "capsulectl deliveries --state waiting" => "what was not accepted yet, and why",
    "capsulectl deliveries retry 1a2b3c4d" => "try one again now",
))]
pub struct DeliveriesArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<DeliveriesAction>,
    /// Only this state: waiting, sent, failed
    #[arg(long)]
    pub state: Option<DeliveryState>,
    /// Only this channel
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// Only this alert, by full id
    #[arg(long, value_name = "ID")]
    pub alert: Option<AlertId>,
    /// How many rows
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// What can be done with deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveriesAction {
    /// Try a delivery again now
    #[command(after_help = examples!("capsulectl deliveries retry 1a2b3c4d" => "by the end of its id"))]
    Retry {
        /// Id, or unique beginning or end of one
        delivery: String,
    },
}

/// `operations`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl operations" => "the newest ones",
    "capsulectl operations show 1a2b3c4d" => "one of them",
    "capsulectl operations cancel 1a2b3c4d" => "stop it",
))]
pub struct OperationsArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<OperationsAction>,
    /// How many rows
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// What can be done with operations.
#[derive(Debug, Subcommand)]
pub enum OperationsAction {
    /// Show an operation
    #[command(after_help = examples!("capsulectl operations show 1a2b3c4d" => "by the end of its id"))]
    Show {
        /// Id, or unique beginning or end of one
        operation: String,
    },
    /// Wait until an operation has ended
    #[command(after_help = examples!("capsulectl operations wait 1a2b3c4d --timeout 5m" => "exit code 7 when it takes longer"))]
    Wait {
        /// Id, or unique beginning or end of one
        operation: String,
        /// Waiting.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Stop an operation
    #[command(after_help = examples!("capsulectl operations cancel 1a2b3c4d" => "by the end of its id"))]
    Cancel {
        /// Id, or unique beginning or end of one
        operation: String,
    },
}

/// `events`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl events --follow" => "each change as it happens",
    "capsulectl events --follow --kinds alert_changed -o ndjson" => "for a program",
    "capsulectl events --since 1-42" => "what happened after an event",
))]
pub struct EventsArgs {
    /// Go on and print each event as it happens; the default without --since
    #[arg(long, short)]
    pub follow: bool,
    /// Begin after this event
    #[arg(long, value_name = "ID")]
    pub since: Option<String>,
    /// Only these kinds
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub kinds: Vec<EventKind>,
}

/// `audit`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl audit" => "the newest changes",
    "capsulectl audit --limit 5000 -o csv" => "for a spreadsheet",
))]
pub struct AuditArgs {
    /// How many rows
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// `tasks`.
#[derive(Debug, Args)]
#[command(after_help = examples!("capsulectl tasks" => "when each ran, how long, and why it failed"))]
pub struct TasksArgs {}

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = examples!("capsulectl doctor" => "exit code 1 when something is wrong"))]
pub struct DoctorArgs {}

/// `config`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl config show --origin" => "values in force and where they come from",
))]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What can be done with the client's settings.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Show the values in force
    #[command(after_help = examples!("capsulectl config show --origin" => "and where each comes from"))]
    Show {
        /// Also where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl completions bash > ~/.local/share/bash-completion/completions/capsulectl" => "bash",
    "capsulectl completions zsh > ~/.zfunc/_capsulectl" => "zsh",
    "capsulectl completions fish > ~/.config/fish/completions/capsulectl.fish" => "fish",
))]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl man ~/.local/share/man/man1" => "one page for each command",
    "capsulectl man | man -l -" => "read the first page",
))]
pub struct ManArgs {
    /// Where to write; absent: the first page to standard output
    pub dir: Option<PathBuf>,
}
