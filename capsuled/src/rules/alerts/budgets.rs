//! Budgets: what the covered xNodes cost per hour against a limit.
//!
//! Above the limit is a warning, half as much again is critical. Costs are exact integers that change when
//! somebody changes the fleet, so the limit itself needs no band: a cost equal to the limit is within it,
//! always. Critical eases only below 140 %, because a fleet that grows and shrinks by a server around that
//! line would otherwise be told at each step.

use std::collections::{BTreeMap, BTreeSet};

use capsule_api::{Alert, AlertKind, AlertState, Budget, BudgetScope, Cause, Severity, Subject, SubjectKind};
use jiff::Timestamp;

use super::{draft, words};
use crate::model::AlertDraft;

const CRITICAL_AT_PERCENT: i128 = 150;
const CRITICAL_UNTIL_PERCENT: i128 = 140;
const CAUSE: &str = "budget";

/// What a subject's budget calls for.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetVerdict {
    /// The installation, a tag or a provider.
    pub subject: Subject,
    /// The alert there should be, if any: pass it to [`super::reconcile`] with the subject's open alerts of
    /// this kind.
    pub drafts: Vec<AlertDraft>,
}

/// What the budgets call for, for every subject that has one or has an open alert. `open` are the open
/// `cost_threshold` alerts of all subjects; others are left alone. A budget that is gone ends its alert.
pub fn judge_budgets(budgets: &[Budget], open: &[Alert], now: Timestamp) -> Vec<BudgetVerdict> {
    let about_cost =
        |alert: &&Alert| alert.kind == AlertKind::CostThreshold && alert.state != AlertState::Resolved;
    let open: BTreeMap<&Subject, &Alert> =
        open.iter().filter(about_cost).map(|alert| (&alert.subject, alert)).collect();
    let budgets: BTreeMap<Subject, &Budget> =
        budgets.iter().map(|budget| (subject(budget), budget)).collect();
    let subjects: BTreeSet<&Subject> = budgets.keys().chain(open.keys().copied()).collect();
    subjects
        .into_iter()
        .map(|subject| {
            let alert = open.get(subject).copied();
            let draft = budgets.get(subject).and_then(|budget| judge_budget(budget, alert, now));
            BudgetVerdict { subject: subject.clone(), drafts: draft.into_iter().collect() }
        })
        .collect()
}

/// What an alert about a budget is about.
fn subject(budget: &Budget) -> Subject {
    let (kind, id) = match budget.scope {
        BudgetScope::Global => (SubjectKind::Daemon, "daemon"),
        BudgetScope::Tag => (SubjectKind::Tag, budget.name.as_str()),
        BudgetScope::Provider => (SubjectKind::Provider, budget.name.as_str()),
    };
    Subject { kind, id: id.to_owned() }
}

fn judge_budget(budget: &Budget, open: Option<&Alert>, now: Timestamp) -> Option<AlertDraft> {
    let (cost, limit) = (budget.hourly_cost_micros, budget.hourly_limit_micros);
    if cost <= limit {
        return None;
    }
    let was_critical = open.is_some_and(|alert| alert.severity == Severity::Critical);
    let line = if was_critical { CRITICAL_UNTIL_PERCENT } else { CRITICAL_AT_PERCENT };
    let is_critical = i128::from(limit.0) * line <= i128::from(cost.0) * 100;
    let severity = if is_critical { Severity::Critical } else { Severity::Warning };
    let cause = Cause {
        key: CAUSE.to_owned(),
        severity,
        text: format!("${cost} per hour, budget ${limit}"),
        since: open.map_or(now, |alert| alert.since),
        value: Some(cost.0 as f64 / 1_000_000.0),
    };
    draft(AlertKind::CostThreshold, vec![cause], words::listing)
}

#[cfg(test)]
mod tests {
    use capsule_api::{AlertChangeKind, AlertId, UsdMicros};
    use uuid::Uuid;

    use super::*;
    use crate::rules::alerts::{AlertAction, reconcile};

    fn budget(scope: BudgetScope, name: &str, limit: i64, cost: i64) -> Budget {
        Budget {
            scope,
            name: name.to_owned(),
            hourly_limit_micros: UsdMicros(limit),
            hourly_cost_micros: UsdMicros(cost),
        }
    }

    fn alert(severity: Severity) -> Alert {
        Alert {
            id: AlertId(Uuid::nil()),
            subject: Subject { kind: SubjectKind::Tag, id: "shop".to_owned() },
            subject_name: "shop".to_owned(),
            kind: AlertKind::CostThreshold,
            severity,
            state: AlertState::Open,
            summary: String::new(),
            causes: Vec::new(),
            since: Timestamp::UNIX_EPOCH,
            opened_at: Timestamp::UNIX_EPOCH,
            changed_at: Timestamp::UNIX_EPOCH,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
        }
    }

    #[test]
    fn severity_follows_the_share_of_the_limit() {
        for (cost, open, severity) in [
            (0, None, None),
            (1_000_000, None, None),
            (1_000_000, Some(Severity::Critical), None),
            (1_000_001, None, Some(Severity::Warning)),
            (1_499_999, None, Some(Severity::Warning)),
            (1_500_000, None, Some(Severity::Critical)),
            (1_450_000, Some(Severity::Critical), Some(Severity::Critical)),
            (1_399_999, Some(Severity::Critical), Some(Severity::Warning)),
            (i64::MAX, None, Some(Severity::Critical)),
        ] {
            let open: Vec<Alert> = open.map(alert).into_iter().collect();
            let budgets = [budget(BudgetScope::Tag, "shop", 1_000_000, cost)];
            let verdicts = judge_budgets(&budgets, &open, Timestamp::UNIX_EPOCH);
            assert_eq!(verdicts[0].drafts.first().map(|draft| draft.severity), severity, "{cost}");
        }
    }

    #[test]
    fn each_scope_is_a_subject_of_its_own() {
        let budgets = [
            budget(BudgetScope::Global, "global", 1, 2_000_000),
            budget(BudgetScope::Provider, "hetzner", 1_000_000, 1_100_000),
        ];
        let verdicts = judge_budgets(&budgets, &[], Timestamp::UNIX_EPOCH);
        let told: Vec<(&str, &str)> = verdicts
            .iter()
            .map(|verdict| (verdict.subject.id.as_str(), verdict.drafts[0].summary.as_str()))
            .collect();
        assert_eq!(
            told,
            [("hetzner", "$1.10 per hour, budget $1.00"), ("daemon", "$2.00 per hour, budget $0.000001")]
        );
    }

    #[test]
    fn a_budget_that_is_gone_ends_its_alert() {
        let open = [alert(Severity::Warning)];
        let verdicts = judge_budgets(&[], &open, Timestamp::UNIX_EPOCH);
        assert_eq!(reconcile(&open, &verdicts[0].drafts), [AlertAction::Resolve { id: open[0].id }]);
        let worse = [budget(BudgetScope::Tag, "shop", 1_000_000, 9_000_000)];
        let verdicts = judge_budgets(&worse, &open, Timestamp::UNIX_EPOCH);
        let actions = reconcile(&open, &verdicts[0].drafts);
        assert!(matches!(actions[..], [AlertAction::Change { kind: AlertChangeKind::Escalated, .. }]));
    }
}
