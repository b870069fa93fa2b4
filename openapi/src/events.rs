//! Events: what changed, in order, kept for a while so that a reader who was away can catch up.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

words! {
    /// What changed.
    EventKind("event kind") {
        /// An xNode was added.
        XNodeCreated = "xnode_created",
        /// An xNode was changed.
        XNodeUpdated = "xnode_updated",
        /// An xNode was removed.
        XNodeDeleted = "xnode_deleted",
        /// The health of an xNode or the confirmed state of one of its checks changed.
        HealthChanged = "health_changed",
        /// An alert was opened, changed or ended.
        AlertChanged = "alert_changed",
        /// A delivery was accepted or given up.
        DeliveryChanged = "delivery_changed",
        /// A channel was made, changed or removed.
        ChannelChanged = "channel_changed",
        /// Settings, tag thresholds or budgets changed.
        SettingsChanged = "settings_changed",
        /// An operation moved.
        OperationChanged = "operation_changed",
        /// A provider account was made, changed, proved, refused or removed.
        AccountChanged = "account_changed",
        /// A template's price, stock or plan changed, by provider.
        TemplatesChanged = "templates_changed",
        /// A comparison with a provider found something new, or something found before is gone.
        FindingChanged = "finding_changed",
        /// A remediation ran, or was held back.
        RemediationChanged = "remediation_changed",
        /// A user's profile was made, changed, removed or made the active one.
        ProfileChanged = "profile_changed",
        /// A user's own stack was added, changed or removed.
        StackChanged = "stack_changed",
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// `epoch-seq`, as in the SSE `id:`; pass it as `Last-Event-ID` to continue after it.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What changed.
    pub kind: EventKind,
    /// Id of the changed thing.
    pub subject: String,
    /// The changed thing after the change, by kind.
    pub data: serde_json::Value,
}

/// Where to begin reading events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    /// Continue after this id; the `Last-Event-ID` header wins. Absent: from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only these kinds, comma separated; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<String>,
}
