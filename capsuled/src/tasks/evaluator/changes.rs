//! From what the rules call for to alerts that are opened, changed and ended; and the budgets, whose alerts
//! have subjects of their own.

use capsule_api::{
    Alert, AlertChangeKind, AlertKind, AlertState, Budget, BudgetScope, Subject, SubjectKind, Tag,
};

use crate::{
    rules::{
        alerts::{self as rules, AlertAction, Mark},
        costs::Month,
    },
    store::{StoreError, Tx, alerts, settings},
    usecases::telling::{Happening, opened, tell},
};

/// Judges `budgets` as they were read, with what they cover costing; `true` when an alert changed. One that
/// was removed meanwhile rings the evaluator again.
pub(super) async fn judge_budgets(tx: &mut Tx, budgets: &[Budget]) -> Result<bool, StoreError> {
    let now = tx.now();
    let month = Month::of(now).to_string();
    let told = settings::budget_marks(tx, &month).await?;
    let told: Vec<Mark> =
        told.into_iter().map(|(scope, name, percent)| Mark { scope, name, percent }).collect();
    let open: Vec<Alert> = alerts::list_open_in(tx)
        .await?
        .into_iter()
        .filter(|alert| alert.kind == AlertKind::CostThreshold)
        .collect();
    let mut changed = false;
    for verdict in rules::judge_budgets(budgets, &open, &told, now) {
        if let Some(mark) = &verdict.mark {
            settings::set_budget_mark(tx, mark.scope, &mark.name, &month, mark.percent).await?;
        }
        let own: Vec<Alert> = open.iter().filter(|alert| alert.subject == verdict.subject).cloned().collect();
        let tags: Vec<Tag> = match verdict.subject.kind {
            SubjectKind::Tag => verdict.subject.id.parse().into_iter().collect(),
            _ => Vec::new(),
        };
        let name = budget_name(&verdict.subject);
        for action in rules::reconcile(&own, &verdict.drafts) {
            carry_out(tx, action, &own, &verdict.subject, &name, &tags).await?;
            changed = true;
        }
    }
    Ok(changed)
}

fn budget_name(subject: &Subject) -> String {
    match subject.kind {
        SubjectKind::Tag => format!("{} {}", BudgetScope::Tag, subject.id),
        SubjectKind::Provider => format!("{} {}", BudgetScope::Provider, subject.id),
        SubjectKind::Daemon | SubjectKind::XNode | SubjectKind::Account => "all xNodes".to_owned(),
    }
}

pub(super) async fn carry_out(
    tx: &mut Tx,
    action: AlertAction,
    open: &[Alert],
    subject: &Subject,
    name: &str,
    tags: &[Tag],
) -> Result<(), StoreError> {
    let now = tx.now();
    match action {
        AlertAction::Open(draft) => {
            let alert = opened(subject.clone(), name.to_owned(), draft, now);
            let text = alert.summary.clone();
            tell(
                tx,
                &alert,
                tags,
                Happening { kind: AlertChangeKind::Opened, actor: None, text, comment: None },
            )
            .await
        }
        AlertAction::Change { id, kind, draft } => {
            let Some(alert) = open.iter().find(|alert| alert.id == id) else { return Ok(()) };
            let alert = Alert {
                subject_name: name.to_owned(),
                severity: draft.severity,
                summary: draft.summary,
                causes: draft.causes,
                changed_at: now,
                ..alert.clone()
            };
            let text = alert.summary.clone();
            tell(tx, &alert, tags, Happening { kind, actor: None, text, comment: None }).await
        }
        AlertAction::Resolve { id } => {
            let Some(alert) = open.iter().find(|alert| alert.id == id) else { return Ok(()) };
            let text = format!("over: {}", alert.summary);
            resolve(tx, alert.clone(), tags, &text).await
        }
    }
}

pub(super) async fn resolve(tx: &mut Tx, alert: Alert, tags: &[Tag], text: &str) -> Result<(), StoreError> {
    let now = tx.now();
    let alert = Alert { state: AlertState::Resolved, resolved_at: Some(now), changed_at: now, ..alert };
    let happening =
        Happening { kind: AlertChangeKind::Resolved, actor: None, text: text.to_owned(), comment: None };
    tell(tx, &alert, tags, happening).await
}
