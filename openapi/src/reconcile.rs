//! Reconciling: what providers have and the inventory does not say, and what is done about it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AccountName, FindingId, InstanceRef, ProviderName, SshAccessCreate, Tag, UsdMicros, XNodeId, XNodeName,
    words,
};

words! {
    /// How a provider and the inventory differ.
    FindingKind("finding kind") {
        /// The provider has a server that carries our mark, and the inventory does not.
        Orphan = "orphan",
        /// The inventory has a server that its provider no longer has.
        Ghost = "ghost",
        /// Both have it and say different things of it.
        Drift = "drift",
    }
}

words! {
    /// Where a finding stands.
    FindingState("finding state") {
        /// The difference is there.
        Open = "open",
        /// The difference is there and somebody said that it may stay, until it becomes another one.
        Ignored = "ignored",
        /// The difference is gone.
        Ended = "ended",
    }
}

words! {
    /// What differs.
    DriftField("drift field") {
        /// The provider's name of the size.
        Size = "size",
        /// The region or zone.
        Region = "region",
        /// The public address.
        Address = "address",
        /// Whether it is switched on.
        Power = "power",
        /// The tags, our mark left out.
        Tags = "tags",
        /// The price per hour in US dollars.
        Price = "price",
    }
}

/// One thing of which the inventory and the provider say different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// What differs.
    pub field: DriftField,
    /// What the inventory says; absent: nothing.
    pub expected: Option<String>,
    /// What the provider says.
    pub seen: String,
}

/// A difference between a provider and the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The finding's id.
    pub id: FindingId,
    /// The account in which it was found.
    pub account: AccountName,
    /// Its provider.
    pub provider: ProviderName,
    /// How they differ.
    pub kind: FindingKind,
    /// Where it stands.
    pub state: FindingState,
    /// The server at the provider.
    pub instance: InstanceRef,
    /// The xNode; absent for an orphan.
    pub xnode: Option<XNodeId>,
    /// The xNode's name; for an orphan the server's name at the provider.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// What differs; of a drift at least one entry, otherwise none.
    pub drift: Vec<Drift>,
    /// The provider's name of its size.
    pub plan: String,
    /// The provider's name of its region or zone.
    pub region: String,
    /// What an orphan costs per hour in micro-dollars, where its price is known.
    pub hourly_cost_micros: Option<UsdMicros>,
    /// When it was found.
    pub first_seen: Timestamp,
    /// When it was last seen to be so.
    pub last_seen: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Why it is over; empty until then.
    pub ended_because: String,
}

/// A query over findings; every given field must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindingFilter {
    /// Only this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// Only this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FindingKind>,
    /// Include those that are ignored or ended, default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    /// Rows per page, 1 to 1,000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How comparing an account with the inventory went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountSweep {
    /// The account.
    pub account: AccountName,
    /// Its provider.
    pub provider: ProviderName,
    /// When its provider was last asked; absent: never.
    pub attempted_at: Option<Timestamp>,
    /// When its whole list was last read. Findings are as of then.
    pub completed_at: Option<Timestamp>,
    /// Why the last attempt failed; absent: it did not. Nothing was concluded from it.
    pub error: Option<String>,
    /// Servers in the last whole list, ours or not.
    pub instances: u32,
    /// Open findings.
    pub open_findings: u32,
}

/// Which accounts to compare with the inventory; nothing given: all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {
    /// Only accounts at this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// Only this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
}

/// Whether a finding may stay as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingIgnore {
    /// `false`: tell of it again.
    pub ignored: bool,
}

/// Servers to be taken into the inventory: those of an account by id or tag, those of findings, or every
/// orphan. All of them or, when one cannot be, none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptRequest {
    /// The account that `instances` and `tag` are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// The provider's ids, `PLACE/ID` where an id alone is not enough. At most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// Every server of the account with this tag there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The servers of these orphans: ids, or unique beginnings or ends of ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// Every open orphan, of the account where one is given.
    #[serde(default)]
    pub all_orphans: bool,
    /// The name of the xNode, where one server is adopted; default its name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<XNodeName>,
    /// Tags beside those it has there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// How to log in. Without a user, servers that this daemon deployed are logged in to with its own key, and
    /// others not at all.
    #[serde(default)]
    pub ssh: SshAccessCreate,
    /// Say what would be adopted and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

words! {
    /// What became of a server that was to be adopted.
    AdoptOutcome("adopt outcome") {
        /// It is in the inventory now.
        Adopted = "adopted",
        /// It was in the inventory already; nothing was changed.
        AlreadyThere = "already_there",
        /// It could be adopted; nothing was changed.
        WouldAdopt = "would_adopt",
    }
}

/// A server that was to be adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Adopted {
    /// What became of it.
    pub outcome: AdoptOutcome,
    /// The account.
    pub account: AccountName,
    /// The server at the provider.
    pub instance: InstanceRef,
    /// The xNode's name.
    pub name: XNodeName,
    /// The xNode, where there is one.
    pub xnode: Option<XNodeId>,
    /// What it costs per hour in micro-dollars, where its price is known.
    pub hourly_cost_micros: Option<UsdMicros>,
}
