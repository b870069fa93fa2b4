//! Deployments: servers being made at and removed from a provider, with every attempt.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AccountName, Arch, CheckCreate, ExpiryAction, InstanceRef, IntentId, OperationId, PlanRequest, Price,
    ProviderName, Tag, UsdMicros, XNodeId, XNodeName, words,
};

words! {
    /// What an intent wants.
    IntentKind("intent kind") {
        /// A server at a provider, and in the inventory.
        Create = "create",
        /// No server any more, and none in the inventory.
        Delete = "delete",
    }
}

words! {
    /// How far a deployment or deletion has come.
    DeploymentState("deployment state") {
        /// Written down; nobody was asked for anything.
        Planned = "planned",
        /// Keys, images and firewall rules are being put in place; nothing is billed.
        Preparing = "preparing",
        /// The provider is being asked.
        Sending = "sending",
        /// The answer was lost; the server is being looked for.
        Unknown = "unknown",
        /// The provider has made it: it is billed, and in the inventory.
        Made = "made",
        /// It is coming up; its address is awaited.
        Starting = "starting",
        /// It is up; SSH is awaited.
        Reaching = "reaching",
        /// Done.
        Succeeded = "succeeded",
        /// Not done; `reason` says why. A server that was made is in the inventory all the same.
        Failed = "failed",
        /// Stopped on request. A server that was made is in the inventory all the same.
        Cancelled = "cancelled",
    }
}

impl DeploymentState {
    /// Whether it will change no more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// One thing that can be bought: a size in a place on an account's bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentOffer {
    /// The account that pays.
    pub account: AccountName,
    /// Its provider.
    pub provider: ProviderName,
    /// The template it came from, where it is one of ours.
    pub template: Option<String>,
    /// The provider's name of the size.
    pub plan: String,
    /// The provider's name of the region or zone.
    pub region: String,
    /// Processor architecture.
    pub arch: Arch,
    /// Whether it is a machine of one's own.
    pub bare_metal: bool,
    /// What it costs, in the provider's currency.
    pub price: Price,
    /// What it costs an hour in micro-dollars, when it was planned.
    pub hourly_cost_micros: Option<UsdMicros>,
}

/// One try at one offer, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentAttempt {
    /// Its number, from 1.
    pub seq: u32,
    /// Which offer, counted from 0.
    pub offer: u32,
    /// What came of it: `made`, `out_of_stock`, `quota`, `unauthorised`, `unknown_outcome`, `never_made`,
    /// `found`, `double`, …
    pub outcome: String,
    /// The provider's words, or what was found.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// A deployment or a deletion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its id; the provider's record carries it as the tag `capsule-…`.
    pub id: IntentId,
    /// Whether a server is made or removed.
    pub kind: IntentKind,
    /// The server's name.
    pub name: XNodeName,
    /// The operation that carries it out.
    pub operation: OperationId,
    /// How far it has come.
    pub state: DeploymentState,
    /// Why it failed or was cancelled, or what it waits for.
    pub reason: Option<String>,
    /// The account in hand.
    pub account: AccountName,
    /// The provider's name of the region in hand.
    pub region: String,
    /// The provider's record, once it is made.
    pub instance: Option<InstanceRef>,
    /// The server in the inventory, once it is made.
    pub xnode: Option<XNodeId>,
    /// The configuration profile to be put on it; stored for later.
    pub profile: Option<String>,
    /// Every offer that fits, the best first.
    pub offers: Vec<DeploymentOffer>,
    /// The offer in hand, counted from 0.
    pub offer: u32,
    /// What was tried.
    pub attempts: Vec<DeploymentAttempt>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

/// What a server is to be like, beside what it costs and where it stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSpec {
    /// What to install: `ubuntu-24.04`, `ubuntu-22.04`, `debian-12`, `debian-13`, or the provider's own name.
    /// Default `ubuntu-24.04`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Public keys that may log in beside the daemon's own, in OpenSSH form; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// TCP ports to let in beside 22; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_ports: Vec<u16>,
    /// TCP port that SSH will answer on, default 22; another one for an image or user data that moves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_port: Option<u16>,
    /// Tags, in the inventory and at the provider; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The configuration profile to be put on it; stored for later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Checks beside ping and SSH; at most 62.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckCreate>,
    /// Time to live in milliseconds from when it was made, 600,000 (10 min) to a year; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// What happens then; default `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_action: Option<ExpiryAction>,
}

/// cloud-init or a script; users put passwords into it, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct UserData(pub String);

impl std::fmt::Debug for UserData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserData(***)")
    }
}

/// Servers to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentCreate {
    /// The server's name, a host name label; of several the stem: `NAME-1`, `NAME-2`, ….
    pub name: XNodeName,
    /// What was planned: the same request again.
    pub plan: PlanRequest,
    /// The fingerprint of the plan that was seen. 409 `plan_changed` when it is another one now.
    pub fingerprint: String,
    /// Whether somebody said yes to more than 10 servers at once.
    #[serde(default)]
    pub confirmed: bool,
    /// What they are to be like.
    #[serde(default)]
    pub spec: ServerSpec,
    /// cloud-init or a script, at most 16 KiB; sealed at rest, never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
}

/// How to switch a server off, or restart it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerRequest {
    /// By power instead of through its system.
    #[serde(default)]
    pub force: bool,
}

/// How to delete a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminateRequest {
    /// With the disks and addresses that would go on costing.
    #[serde(default)]
    pub with_volumes: bool,
}
