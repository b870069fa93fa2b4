//! Alerts: open problems, one for each subject and kind, and what happened to them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AlertId, words};

words! {
    /// How bad it is. Ordered: `info` < `warning` < `critical`.
    Severity("severity") {
        /// Worth knowing.
        Info = "info",
        /// Look soon.
        Warning = "warning",
        /// Look now.
        Critical = "critical",
    }
}

words! {
    /// The kind of problem.
    AlertKind("alert kind") {
        /// Processor use over its threshold.
        HighCpu = "high_cpu",
        /// Memory use over its threshold.
        HighMemory = "high_memory",
        /// A file system (or its inodes) over its threshold.
        LowDisk = "low_disk",
        /// A ping or TCP check is down.
        ServiceDown = "service_down",
        /// An SSH check is down.
        SshUnreachable = "ssh_unreachable",
        /// An HTTP check is down.
        HttpError = "http_error",
        /// Hourly cost over a budget.
        CostThreshold = "cost_threshold",
        /// The SSH host key is not the pinned one.
        HostKeyChanged = "host_key_changed",
        /// What a provider has and what the inventory says differ: orphans, ghosts, drift.
        ReconcileDrift = "reconcile_drift",
        /// A provider refuses an account's credential.
        CredentialRefused = "credential_refused",
        /// A deployment or a deletion did not come to its end.
        DeploymentFailed = "deployment_failed",
        /// An xNode's time to live is nearly over.
        ExpiresSoon = "expires_soon",
    }
}

words! {
    /// Where an alert stands.
    AlertState("alert state") {
        /// The problem is there.
        Open = "open",
        /// The problem is there and somebody has seen it.
        Acknowledged = "acknowledged",
        /// The problem is over.
        Resolved = "resolved",
    }
}

words! {
    /// What an alert is about.
    SubjectKind("subject kind") {
        /// An xNode, by id.
        XNode = "xnode",
        /// All xNodes with a tag, by tag.
        Tag = "tag",
        /// All xNodes at a provider, by label.
        Provider = "provider",
        /// A provider account, by name.
        Account = "account",
        /// The whole installation.
        Daemon = "daemon",
    }
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Subject {
    /// The kind of thing.
    pub kind: SubjectKind,
    /// Its id, tag, label or name; `daemon` for the whole installation.
    pub id: String,
}

/// One reason for an alert: a failing check, a full file system, a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// What it is, stable while the alert is open: `check:http`, `mount:/var`, `budget`.
    pub key: String,
    /// How bad this one is.
    pub severity: Severity,
    /// What is wrong, with its last values.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
    /// The measured value, where it is a number.
    pub value: Option<f64>,
}

/// A problem, open or over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// The alert's id.
    pub id: AlertId,
    /// What it is about.
    pub subject: Subject,
    /// Name of the subject when the alert last changed.
    pub subject_name: String,
    /// The kind of problem.
    pub kind: AlertKind,
    /// The worst of its causes.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// One line for people.
    pub summary: String,
    /// Why, one entry for each cause; the last known ones after it is over.
    pub causes: Vec<Cause>,
    /// When the problem began.
    pub since: Timestamp,
    /// When the alert was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// When and by whom it was acknowledged.
    pub acknowledged_at: Option<Timestamp>,
    /// User name of who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// User name of who resolved it; absent when the problem went away by itself.
    pub resolved_by: Option<String>,
}

words! {
    /// What happened to an alert.
    AlertChangeKind("alert change") {
        /// It was opened.
        Opened = "opened",
        /// It got worse.
        Escalated = "escalated",
        /// It got better but is not over.
        Eased = "eased",
        /// Its causes changed, not its severity.
        Updated = "updated",
        /// Somebody has seen it.
        Acknowledged = "acknowledged",
        /// Somebody said something.
        Commented = "commented",
        /// It is over.
        Resolved = "resolved",
    }
}

/// One entry of an alert's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertChange {
    /// Position in the alert's timeline, from 1.
    pub seq: u32,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub kind: AlertChangeKind,
    /// Severity after the change.
    pub severity: Severity,
    /// User name of who did it; absent when it was us.
    pub actor: Option<String>,
    /// What was said or seen.
    pub text: String,
}

/// An alert with its timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertDetail {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// What happened to it, oldest first.
    pub timeline: Vec<AlertChange>,
}

/// Words to go with an acknowledgement, a resolution or on their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertNote {
    /// At most 2,000 characters; required for a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A query over alerts; every given field must match.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertFilter {
    /// `open`, `acknowledged`, `resolved`; absent: all that are not resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
    /// Include resolved ones, default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    /// Only this severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Only this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AlertKind>,
    /// Only this xNode, by id or unique name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xnode: Option<String>,
    /// Rows per page, 1 to 1,000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
