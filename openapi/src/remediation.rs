//! Remediations: what is done by itself when an alert stays open, and what came of it each time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AlertId, AlertKind, OperationId, RemediationId, RemediationName, RemediationRunId, Severity, Tag,
    XNodeId, XNodeName, words,
};

words! {
    /// The kind of action.
    RemediationActionKind("kind of action") {
        /// A program on the xNode, over SSH.
        Command = "command",
        /// Off and on again at its provider.
        PowerCycle = "power_cycle",
        /// A word about another server that could be deployed; nothing is made.
        ProposeDeployment = "propose_deployment",
    }
}

words! {
    /// Whether a remediation acts.
    RemediationMode("mode") {
        /// Say what would be done and do nothing.
        DryRun = "dry_run",
        /// Do it.
        Act = "act",
    }
}

words! {
    /// Where a run stands.
    RunState("run state") {
        /// Decided, not begun.
        Planned = "planned",
        /// Under way.
        Running = "running",
        /// Done, and it ended well.
        Succeeded = "succeeded",
        /// Not done, or it ended badly; `reason` says which.
        Failed = "failed",
        /// It may have been done and nobody knows: the connection or the daemon ended meanwhile.
        Unknown = "unknown",
        /// Held back; `held` and `reason` say why.
        Skipped = "skipped",
        /// It would have been done.
        DryRun = "dry_run",
        /// Put into words for somebody to decide.
        Proposed = "proposed",
    }
}

impl RunState {
    /// Whether it will change no more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Planned | Self::Running)
    }

    /// Whether something was done, or may have been.
    pub const fn has_acted(self) -> bool {
        !matches!(self, Self::Skipped | Self::DryRun)
    }
}

words! {
    /// What holds a remediation back.
    HeldBack("reason to hold back") {
        /// More than 20 % of the fleet is down: that is no matter of one server.
        FleetDown = "fleet_down",
        /// More than 20 % of the fleet is not seen: the trouble may be our own.
        Blind = "blind",
        /// Nothing recent is known of this xNode, or the daemon has only just started.
        Unseen = "unseen",
        /// Somebody has acknowledged the alert and looks at it.
        Acknowledged = "acknowledged",
        /// The alert has not been open for long enough.
        TooEarly = "too_early",
        /// An operation works on the xNode.
        Busy = "busy",
        /// Another remediation works on the xNode.
        Occupied = "occupied",
        /// The last run on this xNode is not long enough ago.
        Cooldown = "cooldown",
        /// As many runs as an hour may have.
        HourlyLimit = "hourly_limit",
        /// An earlier run for this alert may have been done: somebody has to look.
        UnknownOutcome = "unknown_outcome",
        /// It was proposed for this alert already.
        Proposed = "proposed",
        /// There is no way to do it: no SSH user, no pinned host key, not known at a provider.
        NoWay = "no_way",
        /// The alert or the remediation changed between decision and act.
        Overtaken = "overtaken",
    }
}

/// What is done, tagged by `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RemediationAction {
    /// A program on the xNode, over SSH.
    Command(CommandAction),
    /// Off and on again at its provider.
    PowerCycle(PowerCycleAction),
    /// A word about another server that could be deployed.
    ProposeDeployment(ProposeAction),
}

impl RemediationAction {
    /// The kind without its settings.
    pub const fn kind(&self) -> RemediationActionKind {
        match self {
            Self::Command(_) => RemediationActionKind::Command,
            Self::PowerCycle(_) => RemediationActionKind::PowerCycle,
            Self::ProposeDeployment(_) => RemediationActionKind::ProposeDeployment,
        }
    }
}

/// A program and its arguments, run as the xNode's SSH user. Never a line for a shell: every argument arrives
/// as it is. Not the place for secrets; whoever may log in there sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandAction {
    /// Looked up in the xNode's PATH unless it is an absolute path.
    pub program: String,
    /// At most 64, together at most 16 KiB.
    #[serde(default)]
    pub args: Vec<String>,
    /// How long it may take in milliseconds, 1 s to 15 min, default 60 s.
    #[serde(default = "minute")]
    pub timeout_ms: u64,
}

/// Off and on again at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerCycleAction {
    /// By power instead of through its system, default false.
    #[serde(default)]
    pub force: bool,
}

/// A proposal has nothing to set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeAction {}

/// Which alerts a remediation is for; every given field must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemediationTrigger {
    /// These kinds of alert, at least one: those a server can have that an action can end.
    pub kinds: Vec<AlertKind>,
    /// This severity and worse; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// xNodes with at least one of these tags; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// These xNodes, by name, id or a unique end of an id when given, by id when shown; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xnodes: Vec<String>,
    /// How long the alert must have been open, in milliseconds, up to 7 days; default 5 min.
    #[serde(default = "five_minutes")]
    pub after_ms: u64,
}

/// How often a remediation may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemediationLimits {
    /// Runs in any hour, on all xNodes together, 1 to 60; default 3.
    #[serde(default = "three")]
    pub max_per_hour: u32,
    /// Time between the end of a run on an xNode and the next one there, in milliseconds, 1 min to 7 days;
    /// default 30 min.
    #[serde(default = "half_an_hour")]
    pub cooldown_ms: u64,
}

impl Default for RemediationLimits {
    fn default() -> Self {
        Self { max_per_hour: three(), cooldown_ms: half_an_hour() }
    }
}

/// A remediation as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Remediation {
    /// The remediation's id.
    pub id: RemediationId,
    /// Unique name.
    pub name: RemediationName,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Whether it acts or only says what it would do.
    pub mode: RemediationMode,
    /// Which alerts it is for.
    pub trigger: RemediationTrigger,
    /// What is done.
    pub action: RemediationAction,
    /// How often.
    pub limits: RemediationLimits,
    /// Rises with every change; the `ETag`.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A remediation to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemediationCreate {
    /// Unique name.
    pub name: RemediationName,
    /// Whether it is looked at, default false.
    #[serde(default)]
    pub enabled: bool,
    /// Whether it acts; default `dry_run`.
    #[serde(default = "dry_run")]
    pub mode: RemediationMode,
    /// Which alerts it is for.
    pub trigger: RemediationTrigger,
    /// What is done.
    pub action: RemediationAction,
    /// How often.
    #[serde(default)]
    pub limits: RemediationLimits,
}

/// Changes to a remediation; an absent field stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemediationPatch {
    /// Whether it is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RemediationMode>,
    /// New trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<RemediationTrigger>,
    /// New action, of the same kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<RemediationAction>,
    /// New limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RemediationLimits>,
}

/// One time that a remediation did something, or was held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemediationRun {
    /// The run's id.
    pub id: RemediationRunId,
    /// Which remediation.
    pub remediation_id: RemediationId,
    /// Its name then.
    pub remediation: RemediationName,
    /// What it does.
    pub action: RemediationActionKind,
    /// The alert it is for.
    pub alert_id: AlertId,
    /// The alert's kind.
    pub alert_kind: AlertKind,
    /// Where.
    pub xnode_id: XNodeId,
    /// The xNode's name then.
    pub xnode: XNodeName,
    /// Where it stands.
    pub state: RunState,
    /// What held it back, where something did.
    pub held: Option<HeldBack>,
    /// What happened, in one line.
    pub reason: String,
    /// When it was decided.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The operation at the provider that does it.
    pub operation_id: Option<OperationId>,
    /// Exit status of the command.
    pub exit_status: Option<u32>,
    /// The last lines the command printed, at most 20 and 4 KiB; not shown to readers.
    pub output: Option<String>,
}

/// What to try a remediation on; with neither, every open alert it is for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemediationTry {
    /// An open alert, by id or a unique end of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// An xNode: as if an alert of the remediation's first kind had been open there for long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xnode: Option<String>,
}

/// What a remediation would do now. Nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemediationVerdict {
    /// The alert; absent when it was made up for the question.
    pub alert_id: Option<AlertId>,
    /// Its kind.
    pub alert_kind: AlertKind,
    /// Where.
    pub xnode_id: XNodeId,
    /// Its name.
    pub xnode: XNodeName,
    /// Whether it would be done now, if the remediation were enabled and in the mode `act`.
    pub would_act: bool,
    /// What would hold it back.
    pub held: Option<HeldBack>,
    /// What would be done, or why not, in one line.
    pub text: String,
}

/// What a remediation would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemediationTest {
    /// The remediation.
    pub remediation: RemediationName,
    /// Whether it is looked at at all.
    pub enabled: bool,
    /// Whether it would act or only say so.
    pub mode: RemediationMode,
    /// xNodes with checks that are watched, this host not counted.
    pub fleet: u32,
    /// How many of them are down.
    pub down: u32,
    /// How many of them we do not see.
    pub unseen: u32,
    /// One for every alert in question, at most 100.
    pub verdicts: Vec<RemediationVerdict>,
}

/// A query over runs; every given field must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemediationRunFilter {
    /// Only this remediation, by name, also of one that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// Only this xNode, by name, id or unique end of an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xnode: Option<String>,
    /// Only this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// Rows per page, 1 to 1,000, default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

const fn minute() -> u64 {
    60_000
}

const fn five_minutes() -> u64 {
    300_000
}

const fn half_an_hour() -> u64 {
    1_800_000
}

const fn three() -> u32 {
    3
}

const fn dry_run() -> RemediationMode {
    RemediationMode::DryRun
}
