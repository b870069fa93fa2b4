//! `channel`: how people are told.

use std::path::PathBuf;

use capsule_api::{AlertKind, ChannelName, ChannelRoute, Host, Severity, SmtpSecurity, Tag, Topic};
use clap::{Args, Subcommand};

use super::styles::examples;

/// `channel`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl channel list" => "what there is",
    "capsulectl channel add email --host mail.example.org --from capsule@example.org --to ops@example.org" => "asks for the password when --username is given",
    "capsulectl channel add slack --secret-file slack-url" => "the URL is the secret",
    "capsulectl channel test email" => "sends one message now",
))]
pub struct ChannelArgs {
    /// What to do; absent: list.
    #[command(subcommand)]
    pub action: Option<ChannelAction>,
}

/// What can be done with channels.
#[derive(Debug, Subcommand)]
pub enum ChannelAction {
    /// List the channels
    #[command(after_help = examples!("capsulectl channel list -o wide" => "with routing"))]
    List,
    /// Show a channel
    #[command(after_help = examples!("capsulectl channel show email" => "by name"))]
    Show {
        /// The channel's name
        name: String,
    },
    /// Make a channel
    Add(Box<AddChannelArgs>),
    /// Change a channel
    Edit(Box<EditChannelArgs>),
    /// Remove a channel
    #[command(after_help = examples!("capsulectl channel remove email" => "asks first"))]
    Remove {
        /// The channel's name
        name: String,
        /// Say what would be removed and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Send one message through a channel now
    #[command(after_help = examples!("capsulectl channel test email" => "exit code 1 when it is not accepted"))]
    Test {
        /// The channel's name
        name: String,
    },
}

/// `channel add`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl channel add webhook hook --url https://example.org/hook --ask-secret" => "signed by the Standard Webhooks scheme",
))]
pub struct AddChannelArgs {
    /// The kind.
    #[command(subcommand)]
    pub kind: AddChannel,
}

/// The kinds of channels.
#[derive(Debug, Subcommand)]
pub enum AddChannel {
    /// Mail over SMTP
    #[command(after_help = examples!(
        "capsulectl channel add email --host mail.example.org --username capsule --from capsule@example.org --to ops@example.org,boss@example.org" => "asks for the password",
        "capsulectl channel add email local --host localhost --security none --from capsule@localhost --to root@localhost" => "a relay on this machine",
    ))]
    Email {
        /// The channel's name
        #[arg(default_value = "email")]
        name: ChannelName,
        /// Mail server
        #[arg(long)]
        host: Host,
        /// Sender's address
        #[arg(long)]
        from: String,
        /// Recipients
        #[arg(long, required = true, value_delimiter = ',')]
        to: Vec<String>,
        /// Port, security, user, CA.
        #[command(flatten)]
        smtp: SmtpArgs,
        /// Secret, route and the like.
        #[command(flatten)]
        common: Common,
    },
    /// A signed HTTP POST
    #[command(after_help = examples!(
        "capsulectl channel add webhook --url https://example.org/hook --ask-secret" => "asks for the signing secret",
        "capsulectl channel add webhook hook --url https://example.org/hook --header X-Team:ops --min-severity critical" => "unsigned, only what is critical",
        "capsulectl channel add webhook ci --url https://example.org/ci --tell operations" => "told when a deployment or deletion has ended",
    ))]
    Webhook {
        /// The channel's name
        #[arg(default_value = "webhook")]
        name: ChannelName,
        /// Where to send
        #[arg(long)]
        url: String,
        /// Own headers and CA.
        #[command(flatten)]
        http: WebhookArgs,
        /// Secret, route and the like.
        #[command(flatten)]
        common: Common,
    },
    /// A Slack incoming webhook
    #[command(after_help = examples!(
        "capsulectl channel add slack" => "asks for the webhook URL",
        "capsulectl channel add slack ops --secret-file slack-url --kinds service_down,http_error" => "only these kinds",
    ))]
    Slack {
        /// The channel's name
        #[arg(default_value = "slack")]
        name: ChannelName,
        /// Secret, route and the like.
        #[command(flatten)]
        common: Common,
    },
    /// The daemon's log
    #[command(after_help = examples!("capsulectl channel add console" => "alerts in the daemon's log"))]
    Console {
        /// The channel's name
        #[arg(default_value = "console")]
        name: ChannelName,
        /// Secret, route and the like.
        #[command(flatten)]
        common: Common,
    },
}

/// What the mail server wants.
#[derive(Debug, Clone, Default, Args)]
pub struct SmtpArgs {
    /// Port [default: by security]
    #[arg(long)]
    pub port: Option<u16>,
    /// Protection of the connection: tls, starttls, none [default: starttls]
    #[arg(long)]
    pub security: Option<SmtpSecurity>,
    /// User name, where the server asks for one
    #[arg(long)]
    pub username: Option<String>,
    /// File with PEM certificates to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// What the webhook wants.
#[derive(Debug, Clone, Default, Args)]
pub struct WebhookArgs {
    /// Own header, repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// File with PEM certificates to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// What every channel has.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Make it, but do not use it yet
    #[arg(long)]
    pub disabled: bool,
    /// Print what would be sent, without the secret, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// What it gets.
    #[command(flatten)]
    pub route: RouteArgs,
}

/// Where a secret comes from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Secret")]
#[group(multiple = false)]
pub struct SecretArgs {
    /// Ask for the secret
    #[arg(long)]
    pub ask_secret: bool,
    /// Read the secret from standard input
    #[arg(long)]
    pub secret_stdin: bool,
    /// Read the secret from a file
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The secret itself; other users can see it while this runs, so better use one of the others
    #[arg(long, value_name = "SECRET", alias = "password", alias = "slack-webhook", alias = "webhook-url")]
    pub secret: Option<String>,
}

/// What a channel gets.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Routing")]
pub struct RouteArgs {
    /// What it is told of: alerts, operations (the end of deployments, deletions, starts, stops, restarts)
    /// [default: alerts]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tell: Option<Vec<Topic>>,
    /// This severity and worse: info, warning, critical
    #[arg(long, value_name = "SEVERITY")]
    pub min_severity: Option<Severity>,
    /// Only these kinds
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub kinds: Option<Vec<AlertKind>>,
    /// Only subjects with at least one of these tags
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub tags: Option<Vec<Tag>>,
    /// Every alert, whatever was set before
    #[arg(long)]
    pub all_alerts: bool,
}

impl RouteArgs {
    /// `before` with what was given in its place; `None` when nothing was.
    pub fn change(&self, before: &ChannelRoute) -> Option<ChannelRoute> {
        let mut base = if self.all_alerts { ChannelRoute::default() } else { before.clone() };
        if self.all_alerts && before.tells(Topic::Operations) {
            base.tell = vec![Topic::Alerts, Topic::Operations];
        }
        let after = ChannelRoute {
            tell: self.tell.clone().unwrap_or(base.tell),
            min_severity: self.min_severity.or(base.min_severity),
            kinds: self.kinds.clone().unwrap_or(base.kinds),
            tags: self.tags.clone().unwrap_or(base.tags),
        };
        (after != *before).then_some(after)
    }
}

/// `channel edit`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl channel edit email --to ops@example.org --min-severity warning" => "other recipients, fewer messages",
    "capsulectl channel edit slack --disable" => "quiet for now",
    "capsulectl channel edit hook --ask-secret" => "a new signing secret",
))]
pub struct EditChannelArgs {
    /// The channel's name
    pub name: String,
    /// Use it
    #[arg(long, conflicts_with = "disable")]
    pub enable: bool,
    /// Do not use it
    #[arg(long)]
    pub disable: bool,
    /// Mail server
    #[arg(long)]
    pub host: Option<Host>,
    /// Sender's address
    #[arg(long)]
    pub from: Option<String>,
    /// Recipients
    #[arg(long, value_delimiter = ',')]
    pub to: Option<Vec<String>>,
    /// Port (email)
    #[arg(long)]
    pub port: Option<u16>,
    /// Protection of the connection: tls, starttls, none (email)
    #[arg(long)]
    pub security: Option<SmtpSecurity>,
    /// User name (email)
    #[arg(long)]
    pub username: Option<String>,
    /// Where to send (webhook)
    #[arg(long)]
    pub url: Option<String>,
    /// Own header, repeatable; replaces those that are there (webhook)
    #[arg(long, value_name = "NAME:VALUE", value_parser = header)]
    pub header: Option<Vec<(String, String)>>,
    /// File with PEM certificates to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print what would be sent, without the secret, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// What it gets.
    #[command(flatten)]
    pub route: RouteArgs,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` is not NAME:VALUE"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
