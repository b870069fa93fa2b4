//! From the alerts there should be to what has to change about those there are.

use std::collections::BTreeMap;

use capsule_api::{Alert, AlertChangeKind, AlertId, AlertKind, AlertState, Cause, Severity};

use crate::model::AlertDraft;

/// One change to the alerts of a subject.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertAction {
    /// A new problem.
    Open(AlertDraft),
    /// A problem that is still there and not the same. An acknowledged alert stays acknowledged; that it
    /// escalated is told again nevertheless.
    Change {
        /// Which alert.
        id: AlertId,
        /// `Escalated`, `Eased` or `Updated`.
        kind: AlertChangeKind,
        /// How it is now; `since` and who acknowledged it stay as they were.
        draft: AlertDraft,
    },
    /// A problem that is over.
    Resolve {
        /// Which alert.
        id: AlertId,
    },
}

/// What has to happen so that exactly the drafted problems of a subject are open. `open` are the subject's
/// alerts; resolved ones are left alone. A new value or text is no reason to tell anybody: an alert is
/// updated when a cause comes, goes or changes its severity.
pub fn reconcile(open: &[Alert], drafts: &[AlertDraft]) -> Vec<AlertAction> {
    // The first of a kind counts; the database lets no second one be open.
    let mut wanted: BTreeMap<AlertKind, &AlertDraft> = BTreeMap::new();
    for draft in drafts {
        wanted.entry(draft.kind).or_insert(draft);
    }
    let mut actions = Vec::new();
    for alert in open.iter().filter(|alert| alert.state != AlertState::Resolved && is_judged(alert.kind)) {
        match wanted.remove(&alert.kind) {
            None => actions.push(AlertAction::Resolve { id: alert.id }),
            Some(draft) => actions.extend(change(alert, draft).map(|kind| AlertAction::Change {
                id: alert.id,
                kind,
                draft: draft.clone(),
            })),
        }
    }
    actions.extend(wanted.into_values().cloned().map(AlertAction::Open));
    actions
}

/// Whether an alert of this kind follows from the facts that are judged here. The others are raised where
/// something happened, and end where it is put right.
pub(super) const fn is_judged(kind: AlertKind) -> bool {
    match kind {
        AlertKind::HighCpu
        | AlertKind::HighMemory
        | AlertKind::LowDisk
        | AlertKind::ServiceDown
        | AlertKind::SshUnreachable
        | AlertKind::HttpError
        | AlertKind::CostThreshold
        | AlertKind::HostKeyChanged => true,
        AlertKind::ReconcileDrift
        | AlertKind::CredentialRefused
        | AlertKind::DeploymentFailed
        | AlertKind::ExpiresSoon => false,
    }
}

/// What there is to tell of an open alert whose problem is now as drafted; `None`: nothing.
pub fn change(alert: &Alert, draft: &AlertDraft) -> Option<AlertChangeKind> {
    if alert.severity < draft.severity {
        return Some(AlertChangeKind::Escalated);
    }
    if draft.severity < alert.severity {
        return Some(AlertChangeKind::Eased);
    }
    (told(&alert.causes) != told(&draft.causes)).then_some(AlertChangeKind::Updated)
}

/// The part of the causes that is worth a message.
fn told(causes: &[Cause]) -> BTreeMap<&str, Severity> {
    causes.iter().map(|cause| (cause.key.as_str(), cause.severity)).collect()
}
