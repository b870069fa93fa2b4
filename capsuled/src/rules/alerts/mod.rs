//! Which problems an xNode has, from everything that is known of it, and what that changes about the alerts
//! that are open.
//!
//! [`judge`] looks only at facts: it says which alerts there should be now, in full, every time. [`reconcile`]
//! compares that with what is open. So nothing depends on having seen every moment: after a restart, a lost
//! wake or an hour of silence the next look finds the same truth.
//!
//! Three rules keep it honest:
//! - Unknown is not well. No reading, a check without a confirmed state, a host that cannot be reached: the
//!   alerts that are open stay as they are.
//! - One dead host is one message. While a host is down, what follows from that is not told; but it is held
//!   back, not dropped: once the host is back, whatever is still wrong is told.
//! - Better a moment late than twice. When an SSH or HTTP check is down and it is not clear yet whether the
//!   host is, the host is asked first, for at most [`HOLD_AT_MOST`].

mod budgets;
mod checks;
mod measures;
mod reconcile;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use capsule_api::{Alert, AlertKind, AlertState, Cause};
use jiff::Timestamp;

pub use budgets::{BudgetVerdict, Mark, judge_budgets};
pub use reconcile::{AlertAction, change, reconcile};

use crate::model::{AlertDraft, CheckKey, Condition, XNodeFacts};

/// How long an alert is held back at most until it is clear whether the host is down, or until its services
/// have come up after it.
pub const HOLD_AT_MOST: Duration = Duration::from_secs(30);

/// What the facts call for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The alerts there should be, at most one of each kind.
    pub drafts: Vec<AlertDraft>,
    /// The whole new set of timers, to be stored in place of the old one.
    pub conditions: Vec<Condition>,
    /// Checks to be probed right now, because an alert waits for what they say. Judge again as soon as one
    /// of them has a result, whether or not it moved its state machine.
    pub hold: Vec<CheckKey>,
    /// When to judge again even if nothing new comes in; `None`: only something new can change the verdict.
    pub reconsider_at: Option<Timestamp>,
    /// Kinds of alert that are held back because the host is down.
    pub suppressed: Vec<AlertKind>,
}

impl Verdict {
    fn reconsider(&mut self, at: Timestamp) {
        self.reconsider_at = Some(self.reconsider_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// What is wrong with an xNode. `open` are its alerts that are not resolved; `now` is never before what the
/// facts were seen.
pub fn judge(facts: &XNodeFacts, open: &[Alert], now: Timestamp) -> Verdict {
    let mut verdict = Verdict::default();
    if !facts.watched {
        return verdict;
    }
    let look = Look { facts, open, now };
    let host = checks::host(&look);
    checks::judge(&look, &host, &mut verdict);
    measures::judge(&look, host.is_down, &mut verdict);
    verdict.drafts.sort_by_key(|draft| draft.kind);
    verdict.suppressed.sort_unstable();
    verdict.hold.sort_unstable();
    verdict.hold.dedup();
    verdict
}

/// One look at an xNode.
struct Look<'a> {
    facts: &'a XNodeFacts,
    open: &'a [Alert],
    now: Timestamp,
}

impl Look<'_> {
    /// The alert of a kind that is not resolved.
    fn open(&self, kind: AlertKind) -> Option<&Alert> {
        open_of(self.open, kind)
    }

    /// A cause of the open alert of a kind.
    fn open_cause(&self, kind: AlertKind, key: &str) -> Option<&Cause> {
        self.open(kind)?.causes.iter().find(|cause| cause.key == key)
    }

    /// The timer of a kind and cause.
    fn condition(&self, kind: AlertKind, key: &str) -> Option<&Condition> {
        self.facts.conditions.iter().find(|condition| condition.kind == kind && condition.key == key)
    }
}

fn open_of(open: &[Alert], kind: AlertKind) -> Option<&Alert> {
    open.iter().find(|alert| alert.kind == kind && alert.state != AlertState::Resolved)
}

/// The draft that leaves an open alert as it is.
fn as_it_is(alert: &Alert) -> AlertDraft {
    AlertDraft {
        kind: alert.kind,
        severity: alert.severity,
        since: alert.since,
        summary: alert.summary.clone(),
        causes: alert.causes.clone(),
    }
}

/// A draft from its causes; `None` without any.
fn draft(
    kind: AlertKind,
    mut causes: Vec<Cause>,
    summary: impl FnOnce(&[Cause]) -> String,
) -> Option<AlertDraft> {
    causes.sort_by(|one, other| one.key.cmp(&other.key));
    let severity = causes.iter().map(|cause| cause.severity).max()?;
    let since = causes.iter().map(|cause| cause.since).min()?;
    let summary = summary(&causes);
    Some(AlertDraft { kind, severity, since, summary, causes })
}
