//! From what a comparison found to what has to change on record, so that a difference is told once.

use std::collections::HashMap;

use capsule_api::{Finding, FindingKind, FindingState, InstanceRef};
use jiff::Timestamp;

use super::{Comparison, Draft};

/// One change to the record.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A new difference.
    Begin(Draft),
    /// One that is still there and not the same.
    Change(Finding),
    /// One that is gone.
    End(Finding),
}

/// What has to change so that the findings that last are those of the comparison. One that was ignored is told of
/// again when something else drifts, and not for a new price of an orphan. What is undecided stays as it is.
pub fn steps(lasting: &[Finding], comparison: &Comparison, now: Timestamp) -> Vec<Step> {
    let mut before: HashMap<(FindingKind, &InstanceRef), &Finding> =
        lasting.iter().map(|finding| ((finding.kind, &finding.instance), finding)).collect();
    let mut steps = Vec::new();
    for draft in &comparison.findings {
        match before.remove(&(draft.kind, &draft.instance)) {
            None => steps.push(Step::Begin(draft.clone())),
            Some(present) => steps.extend(changed(present, draft, now).map(Step::Change)),
        }
    }
    let over = lasting.iter().filter(|finding| {
        before.contains_key(&(finding.kind, &finding.instance))
            && !comparison.undecided.contains(&finding.instance)
    });
    steps.extend(over.map(|finding| {
        let because = "the provider and the inventory agree again".to_owned();
        Step::End(ended(finding.clone(), because, now))
    }));
    steps
}

/// The finding when it is over.
pub fn ended(finding: Finding, because: String, now: Timestamp) -> Finding {
    Finding { state: FindingState::Ended, ended_at: Some(now), ended_because: because, ..finding }
}

fn changed(present: &Finding, draft: &Draft, now: Timestamp) -> Option<Finding> {
    let detail = draft.detail.clone();
    let is_other = present.drift != detail.drift || present.xnode != draft.xnode.map(|(id, _)| id);
    let new = Finding {
        state: if is_other { FindingState::Open } else { present.state },
        xnode: draft.xnode.map(|(id, _)| id),
        name: detail.name,
        summary: detail.summary,
        drift: detail.drift,
        plan: detail.plan,
        region: detail.region,
        hourly_cost_micros: detail.hourly_cost,
        ..present.clone()
    };
    (new != *present).then_some(Finding { last_seen: now, ..new })
}
