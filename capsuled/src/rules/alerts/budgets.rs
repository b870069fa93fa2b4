//! Budgets: what the covered xNodes cost against a limit, per hour and per calendar month.
//!
//! Per hour, above the limit is a warning, half as much again is critical. Costs are exact integers that
//! change when somebody changes the fleet, so the limit itself needs no band: a cost equal to the limit is
//! within it, always. Critical eases only below 140 %, because a fleet that grows and shrinks by a server
//! around that line would otherwise be told at each step.
//!
//! Per month, what is spent only grows: 50 % is worth knowing, 80 % a warning, 100 % critical, each told once
//! a month. Which share was told is remembered, so an alert that somebody has resolved comes back only with
//! the next share.

use std::collections::{BTreeMap, BTreeSet};

use capsule_api::{Alert, AlertKind, AlertState, Budget, BudgetScope, Cause, Severity, Subject, SubjectKind};
use jiff::Timestamp;

use super::{draft, words};
use crate::{model::AlertDraft, rules::costs};

const CRITICAL_AT_PERCENT: i128 = 150;
const CRITICAL_UNTIL_PERCENT: i128 = 140;
const HOURLY: &str = "budget";
/// What the key of a monthly cause begins with; the share follows.
const MONTHLY: &str = "budget:month:";
/// The shares of a monthly limit that are told, in percent, the highest first.
const SHARES: [(u8, Severity); 3] =
    [(100, Severity::Critical), (80, Severity::Warning), (50, Severity::Info)];

/// A share of a budget's monthly limit that was told in the present month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The budget's scope.
    pub scope: BudgetScope,
    /// The budget's name.
    pub name: String,
    /// 50, 80 or 100.
    pub percent: u8,
}

/// What a subject's budget calls for.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetVerdict {
    /// The installation, a tag or a provider.
    pub subject: Subject,
    /// The alert there should be, if any: pass it to [`super::reconcile`] with the subject's open alerts of
    /// this kind.
    pub drafts: Vec<AlertDraft>,
    /// A share that is told with it for the first time in this month, to be remembered.
    pub mark: Option<Mark>,
}

/// What the budgets call for, for every subject that has one or has an open alert. `open` are the open
/// `cost_threshold` alerts of all subjects; others are left alone. `told` are the marks of this month. A
/// budget that is gone ends its alert.
pub fn judge_budgets(
    budgets: &[Budget],
    open: &[Alert],
    told: &[Mark],
    now: Timestamp,
) -> Vec<BudgetVerdict> {
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
            let Some(budget) = budgets.get(subject) else {
                return BudgetVerdict { subject: subject.clone(), drafts: Vec::new(), mark: None };
            };
            let is_own = |mark: &&Mark| mark.scope == budget.scope && mark.name == budget.name;
            let told = told.iter().find(is_own).map(|mark| mark.percent);
            let monthly = judge_month(budget, alert, told, now);
            let new = monthly.as_ref().map(|(percent, _)| *percent).filter(|percent| told < Some(*percent));
            let mark = new.map(|percent| Mark { scope: budget.scope, name: budget.name.clone(), percent });
            let causes = judge_hour(budget, alert, now).into_iter().chain(monthly.map(|(_, cause)| cause));
            let draft = draft(AlertKind::CostThreshold, causes.collect(), words::listing);
            BudgetVerdict { subject: subject.clone(), drafts: draft.into_iter().collect(), mark }
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

fn judge_hour(budget: &Budget, open: Option<&Alert>, now: Timestamp) -> Option<Cause> {
    let (cost, limit) = (budget.hourly_cost_micros, budget.hourly_limit_micros?);
    if cost <= limit {
        return None;
    }
    let before = open.and_then(|alert| alert.causes.iter().find(|cause| cause.key == HOURLY));
    let was_critical = before.is_some_and(|cause| cause.severity == Severity::Critical);
    let line = if was_critical { CRITICAL_UNTIL_PERCENT } else { CRITICAL_AT_PERCENT };
    let is_critical = i128::from(limit.0) * line <= i128::from(cost.0) * 100;
    Some(Cause {
        key: HOURLY.to_owned(),
        severity: if is_critical { Severity::Critical } else { Severity::Warning },
        text: format!("${cost} per hour, budget ${limit}"),
        since: before.map_or(now, |cause| cause.since),
        value: Some(cost.0 as f64 / 1_000_000.0),
    })
}

/// The share of the monthly limit to be told, with its cause. `told` is the highest share of this month that
/// was told already.
fn judge_month(
    budget: &Budget,
    open: Option<&Alert>,
    told: Option<u8>,
    now: Timestamp,
) -> Option<(u8, Cause)> {
    let (cost, limit) = (budget.month_cost_micros, budget.monthly_limit_micros?);
    let reached = |percent: u8| i128::from(limit.0) * i128::from(percent) <= i128::from(cost.0) * 100;
    let share = SHARES.iter().map(|(percent, _)| *percent).find(|percent| reached(*percent))?;
    let month = costs::Month::of(now);
    let mut causes = open.into_iter().flat_map(|alert| &alert.causes);
    let before =
        causes.find(|cause| cause.key.starts_with(MONTHLY) && costs::Month::of(cause.since) == month);
    // A share that was told and resolved by hand stays so; one that is open does not fall back.
    let share = match (told, before) {
        (Some(told), None) if share <= told => return None,
        (Some(told), Some(_)) => share.max(told),
        _ => share,
    };
    let severity = SHARES.iter().find(|(percent, _)| *percent == share).map(|(_, severity)| *severity)?;
    let cause = Cause {
        key: format!("{MONTHLY}{share}"),
        severity,
        text: format!("${cost} in {month}, {share} % of the budget of ${limit} reached"),
        since: before.map_or(now, |cause| cause.since),
        value: Some(cost.0 as f64 / 1_000_000.0),
    };
    Some((share, cause))
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
            hourly_limit_micros: Some(UsdMicros(limit)),
            monthly_limit_micros: None,
            block: false,
            hourly_cost_micros: UsdMicros(cost),
            month_cost_micros: UsdMicros(0),
            month_forecast_micros: UsdMicros(0),
        }
    }

    fn monthly(limit: i64, cost: i64) -> Budget {
        Budget {
            hourly_limit_micros: None,
            monthly_limit_micros: Some(UsdMicros(limit)),
            month_cost_micros: UsdMicros(cost),
            ..budget(BudgetScope::Tag, "shop", 1, 0)
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
            causes: vec![Cause {
                key: HOURLY.to_owned(),
                severity,
                text: String::new(),
                since: Timestamp::UNIX_EPOCH,
                value: None,
            }],
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
            let verdicts = judge_budgets(&budgets, &open, &[], Timestamp::UNIX_EPOCH);
            assert_eq!(verdicts[0].drafts.first().map(|draft| draft.severity), severity, "{cost}");
        }
    }

    #[test]
    fn each_scope_is_a_subject_of_its_own() {
        let budgets = [
            budget(BudgetScope::Global, "global", 1, 2_000_000),
            budget(BudgetScope::Provider, "hetzner", 1_000_000, 1_100_000),
        ];
        let verdicts = judge_budgets(&budgets, &[], &[], Timestamp::UNIX_EPOCH);
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
        let verdicts = judge_budgets(&[], &open, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(reconcile(&open, &verdicts[0].drafts), [AlertAction::Resolve { id: open[0].id }]);
        let worse = [budget(BudgetScope::Tag, "shop", 1_000_000, 9_000_000)];
        let verdicts = judge_budgets(&worse, &open, &[], Timestamp::UNIX_EPOCH);
        let actions = reconcile(&open, &verdicts[0].drafts);
        assert!(matches!(actions[..], [AlertAction::Change { kind: AlertChangeKind::Escalated, .. }]));
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn each_share_of_a_month_is_told_once() {
        let now = at("2026-11-10T00:00:00Z");
        let mut told: Vec<Mark> = Vec::new();
        let mut open: Vec<Alert> = Vec::new();
        let mut heard = Vec::new();
        for (cost, resolved_by_hand) in [
            (40, false),
            (50, false),
            (60, true),
            (70, false),
            (80, false),
            (99, false),
            (100, true),
            (500, false),
        ] {
            let verdict = judge_budgets(&[monthly(100, cost)], &open, &told, now).remove(0);
            for action in reconcile(&open, &verdict.drafts) {
                match action {
                    AlertAction::Open(draft) | AlertAction::Change { draft, .. } => {
                        heard.push((cost, draft.severity, draft.causes[0].key.clone()));
                        open = vec![Alert { causes: draft.causes, ..alert(draft.severity) }];
                    }
                    AlertAction::Resolve { .. } => open.clear(),
                }
            }
            if let Some(mark) = verdict.mark {
                told = vec![mark];
            }
            if resolved_by_hand {
                open.clear();
            }
        }
        let month = |share: u8| format!("budget:month:{share}");
        assert_eq!(
            heard,
            [
                (50, Severity::Info, month(50)),
                (80, Severity::Warning, month(80)),
                (100, Severity::Critical, month(100))
            ]
        );
    }

    #[test]
    fn a_new_month_ends_the_alert_of_the_old_one_and_begins_anew() {
        let verdict = judge_budgets(&[monthly(100, 90)], &[], &[], at("2026-11-30T23:59:59Z")).remove(0);
        let causes = verdict.drafts[0].causes.clone();
        let open = [Alert { causes, ..alert(Severity::Warning) }];
        let next = at("2026-12-01T00:00:00Z");
        let verdict = judge_budgets(&[monthly(100, 0)], &open, &[], next).remove(0);
        assert_eq!(reconcile(&open, &verdict.drafts), [AlertAction::Resolve { id: open[0].id }]);
        // Half is spent before anybody looks: told for the new month, whatever the old one was at.
        let verdict = judge_budgets(&[monthly(100, 55)], &open, &[], next).remove(0);
        assert_eq!(verdict.drafts[0].causes[0].key, "budget:month:50");
        assert_eq!(verdict.mark.map(|mark| mark.percent), Some(50));
    }

    #[test]
    fn the_hour_and_the_month_are_two_causes_of_one_alert() {
        let both = Budget {
            hourly_limit_micros: Some(UsdMicros(1)),
            hourly_cost_micros: UsdMicros(9),
            ..monthly(100, 85)
        };
        let verdict = judge_budgets(&[both], &[], &[], at("2026-11-10T00:00:00Z")).remove(0);
        let keys: Vec<&str> = verdict.drafts[0].causes.iter().map(|cause| cause.key.as_str()).collect();
        assert_eq!(
            (keys, verdict.drafts[0].severity),
            (vec!["budget", "budget:month:80"], Severity::Critical)
        );
    }
}
