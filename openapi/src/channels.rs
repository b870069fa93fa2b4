//! Channels and deliveries: how people are told, and what became of each message.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AlertChangeKind, AlertId, AlertKind, ChannelId, ChannelName, DeliveryId, OperationId, Severity, Tag,
    words,
};

words! {
    /// The kind of channel.
    ChannelKind("channel kind") {
        /// The daemon's structured log.
        Console = "console",
        /// Mail over SMTP.
        Email = "email",
        /// A signed HTTP POST (Standard Webhooks).
        Webhook = "webhook",
        /// A Slack incoming webhook.
        Slack = "slack",
    }
}

words! {
    /// How a mail server's connection is protected.
    SmtpSecurity("SMTP security") {
        /// TLS from the first byte (port 465).
        Tls = "tls",
        /// STARTTLS, refused when the server does not offer it (port 587).
        Starttls = "starttls",
        /// Nothing; for a relay on this machine (port 25).
        None = "none",
    }
}

/// Where a channel sends, tagged by `kind`. Secrets are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChannelTarget {
    /// The daemon's structured log.
    Console(ConsoleTarget),
    /// Mail.
    Email(EmailTarget),
    /// Signed HTTP POST.
    Webhook(WebhookTarget),
    /// Slack.
    Slack(SlackTarget),
}

impl ChannelTarget {
    /// The kind without its settings.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Console(_) => ChannelKind::Console,
            Self::Email(_) => ChannelKind::Email,
            Self::Webhook(_) => ChannelKind::Webhook,
            Self::Slack(_) => ChannelKind::Slack,
        }
    }
}

/// The console has nothing to set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleTarget {}

/// A mail server and who gets the mail. The password is the channel's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailTarget {
    /// Mail server's name or address.
    pub host: crate::Host,
    /// Port; default 465, 587 or 25 by `security`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Default `starttls`.
    #[serde(default = "starttls")]
    pub security: SmtpSecurity,
    /// User name, where the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Sender's address.
    pub from: String,
    /// Recipients, 1 to 50.
    pub to: Vec<String>,
    /// PEM certificates to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// A webhook. The signing secret (`whsec_…`) is the channel's secret; absent, messages are not signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookTarget {
    /// `https` URL, or `http` to a loopback or private address.
    pub url: String,
    /// Own headers; at most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// PEM certificates to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// A Slack incoming webhook. Its URL is the channel's secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackTarget {}

words! {
    /// What a channel is told of.
    Topic("topic") {
        /// Changes of alerts.
        Alerts = "alerts",
        /// The end of what was asked of a provider: deployments, deletions, starts, stops and restarts.
        Operations = "operations",
    }
}

/// What a channel gets; every given field must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelRoute {
    /// What it is told of; empty: alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<Topic>,
    /// Of alerts, this severity and worse; absent: all. An alert that was told is also told when it eases or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Of alerts, these kinds; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<AlertKind>,
    /// Alerts whose subject, and operations whose xNode, has at least one of these tags; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

impl ChannelRoute {
    /// Whether the channel is told of `topic` at all.
    pub fn tells(&self, topic: Topic) -> bool {
        self.tell.contains(&topic) || (self.tell.is_empty() && topic == Topic::Alerts)
    }
}

/// A channel as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    /// The channel's id.
    pub id: ChannelId,
    /// Unique name.
    pub name: ChannelName,
    /// Whether it is used.
    pub enabled: bool,
    /// Where it sends.
    pub target: ChannelTarget,
    /// Whether a secret is stored.
    pub has_secret: bool,
    /// What it gets.
    pub route: ChannelRoute,
    /// Deliveries that wait or are being tried.
    pub waiting: u32,
    /// Rises with every change; the `ETag`.
    pub revision: i64,
}

/// A channel to be made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelCreate {
    /// Unique name.
    pub name: ChannelName,
    /// Whether it is used, default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where it sends.
    pub target: ChannelTarget,
    /// SMTP password, webhook signing secret or Slack URL; sealed at rest, never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What it gets.
    #[serde(default)]
    pub route: ChannelRoute,
}

impl std::fmt::Debug for ChannelCreate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelCreate")
            .field("name", &self.name)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Changes to a channel; an absent field stays.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// Whether it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// New target, of the same kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ChannelTarget>,
    /// New secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// New route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<ChannelRoute>,
}

impl std::fmt::Debug for ChannelPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelPatch").field("target", &self.target).finish_non_exhaustive()
    }
}

/// How a test message went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelTest {
    /// Whether the other side accepted it.
    pub accepted: bool,
    /// What the other side said, or why it could not be asked.
    pub detail: String,
    /// How long it took in milliseconds.
    pub elapsed_ms: u64,
}

words! {
    /// Where a delivery stands.
    DeliveryState("delivery state") {
        /// Not accepted yet.
        Waiting = "waiting",
        /// The other side accepted it.
        Sent = "sent",
        /// Given up: refused for good, or not accepted within 24 hours.
        Failed = "failed",
    }
}

/// One alert change, or the end of one operation, going to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The delivery's id; the receiver sees it, a repeat carries the same.
    pub id: DeliveryId,
    /// The alert; absent: it tells of an operation.
    pub alert_id: Option<AlertId>,
    /// Position in the alert's timeline.
    pub change_seq: Option<u32>,
    /// What happened to the alert.
    pub change: Option<AlertChangeKind>,
    /// The operation that ended; absent: it tells of an alert.
    pub operation_id: Option<OperationId>,
    /// What it is about, for people.
    pub summary: String,
    /// The channel.
    pub channel: ChannelName,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; absent when it is not.
    pub next_at: Option<Timestamp>,
    /// Why the last try failed, or why it waits.
    pub reason: Option<String>,
    /// When the alert changed or the operation ended.
    pub created_at: Timestamp,
    /// When it was accepted or given up.
    pub finished_at: Option<Timestamp>,
}

/// A query over deliveries; every given field must match.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryFilter {
    /// Only this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Only this channel, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Only this alert, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertId>,
    /// Rows per page, 1 to 1,000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

const fn yes() -> bool {
    true
}
const fn starttls() -> SmtpSecurity {
    SmtpSecurity::Starttls
}
