//! Operations: the visible envelope over long-running work.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{OperationId, Problem, words};

words! {
    /// What an operation does.
    OperationKind("operation kind") {
        /// Probe every check of an xNode now.
        RunChecks = "run_checks",
        /// Read an xNode's resources now.
        CollectMetrics = "collect_metrics",
        /// Make a server at a provider and take it into the inventory.
        Deploy = "deploy",
        /// Switch an xNode on at its provider.
        StartXNode = "start_xnode",
        /// Switch an xNode off at its provider.
        StopXNode = "stop_xnode",
        /// Restart an xNode at its provider.
        RestartXNode = "restart_xnode",
        /// Delete an xNode at its provider.
        TerminateXNode = "terminate_xnode",
        /// Replace prices, stock and plans from the providers' own lists.
        RefreshTemplates = "refresh_templates",
        /// Compare the providers' accounts with the inventory.
        Reconcile = "reconcile",
    }
}

words! {
    /// Where an operation stands.
    OperationState("operation state") {
        /// Not begun.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Done.
        Succeeded = "succeeded",
        /// Not done; `error` says why.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }
}

impl OperationState {
    /// Whether it will change no more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A long-running piece of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// The operation's id.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// Where it stands.
    pub state: OperationState,
    /// What it works on, such as an xNode's id.
    pub resource: String,
    /// What it is doing now, for people.
    pub stage: String,
    /// Share done, 0–100.
    pub progress_percent: u8,
    /// What came of it, by kind; absent until it succeeded.
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<Problem>,
    /// Whether `cancel` works.
    pub cancellable: bool,
    /// User name of who asked for it.
    pub created_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

/// A wait for an operation to end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitParams {
    /// Hold the answer until the operation ends or this time is over, such as `30s`; at most 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}

/// Which page to read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Rows per page, 1 to 1,000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
