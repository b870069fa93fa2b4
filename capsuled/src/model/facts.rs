//! What the alert rules are told and what they answer.

use capsule_api::{AlertKind, Cause, CheckId, CheckKind, CheckName, Sample, Severity, Subject, Thresholds};
use jiff::Timestamp;

use super::{CheckKey, CheckState};

/// One check of an xNode, as the alert rules see it.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckFact {
    /// The check in the prober.
    pub key: CheckKey,
    /// The check's id.
    pub id: CheckId,
    /// Its name.
    pub name: CheckName,
    /// Its kind.
    pub kind: CheckKind,
    /// Where its state machine stands.
    pub state: CheckState,
}

/// A threshold that is being exceeded, or was until its hysteresis is satisfied: the timer behind "for at
/// least", kept so that it survives a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The kind of alert it would raise.
    pub kind: AlertKind,
    /// Which cause: `cpu`, `memory`, `mount:/var`, `inodes:/var`.
    pub key: String,
    /// Since when the value has been at or above the warning threshold.
    pub warning_since: Option<Timestamp>,
    /// Since when it has been at or above the critical threshold.
    pub critical_since: Option<Timestamp>,
    /// The severity that is being told at present, if any.
    pub told: Option<Severity>,
}

/// Everything the alert rules know of one xNode.
#[derive(Debug, Clone, PartialEq)]
pub struct XNodeFacts {
    /// The xNode as an alert's subject.
    pub subject: Subject,
    /// Its enabled checks.
    pub checks: Vec<CheckFact>,
    /// The newest reading; `None` when there is none or it is older than three intervals.
    pub sample: Option<Sample>,
    /// The thresholds that apply.
    pub thresholds: Thresholds,
    /// The timers behind "for at least".
    pub conditions: Vec<Condition>,
    /// Since when the offered host key has differed from the pinned one, and the offered fingerprint.
    pub foreign_host_key: Option<(Timestamp, String)>,
    /// Whether the inventory says it should be running; a stopped xNode has no problems.
    pub watched: bool,
}

/// An alert as the facts call for it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertDraft {
    /// The kind of problem.
    pub kind: AlertKind,
    /// The worst of the causes.
    pub severity: Severity,
    /// When the problem began: the earliest cause.
    pub since: Timestamp,
    /// One line for people, without the subject's name.
    pub summary: String,
    /// Why, at least one, ordered by key.
    pub causes: Vec<Cause>,
}
