//! `monitor budget`: limits on the hourly cost.

use capsule_api::{Budget, BudgetSet};

use super::{Session, ask};
use crate::{
    args::monitor::BudgetAction,
    client::{Precondition, encode},
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Tone, View},
};

const VIEW: View<Budget> = View {
    columns: &[
        Column { title: "SCOPE", fit: Fit::Keep, cell: |b, _| b.scope.as_str().into() },
        Column { title: "NAME", fit: Fit::Keep, cell: |b, _| b.name.clone().into() },
        Column {
            title: "LIMIT USD/H",
            fit: Fit::Number,
            cell: |b, _| b.hourly_limit_micros.to_string().into(),
        },
        Column {
            title: "COST USD/H",
            fit: Fit::Number,
            cell: |b, _| {
                let over = b.hourly_cost_micros > b.hourly_limit_micros;
                Cell::toned(if over { Tone::Bad } else { Tone::Good }, b.hourly_cost_micros.to_string())
            },
        },
        Column { title: "USED", fit: Fit::Number, cell: |b, _| used(b).into() },
    ],
    name: |budget| budget.name.clone(),
    empty: "no budgets; set one with `capsulectl monitor budget set USD`",
};

/// Integer arithmetic: money is never a float.
fn used(budget: &Budget) -> String {
    let limit = budget.hourly_limit_micros.0.max(1);
    format!("{} %", budget.hourly_cost_micros.0.saturating_mul(100) / limit)
}

/// `monitor budget`.
pub async fn run(session: &Session, action: Option<BudgetAction>) -> Result<Outcome> {
    match action {
        None | Some(BudgetAction::List) => {
            let rows = session.client.list_all("/v1/budgets", &()).await?;
            session.out.list(&rows, &VIEW)?;
        }
        Some(BudgetAction::Set { limit, scope }) => {
            let (kind, name) = scope.scope();
            let path = format!("/v1/budgets/{kind}/{}", encode(name));
            let answer = session.client.put(&path, &BudgetSet { hourly_limit_micros: limit }).await?;
            if session.out.is_for_people() {
                session.out.done(&format!("limited {kind} {name} to ${limit} per hour"));
            } else {
                session.out.one(&answer, &VIEW, |_, _| {})?;
            }
        }
        Some(BudgetAction::Remove { scope }) => {
            let (kind, name) = scope.scope();
            ask::confirm(session, &format!("remove the limit of {kind} {name}?"))?;
            session.client.delete(&format!("/v1/budgets/{kind}/{}", encode(name)), Precondition::Any).await?;
            session.out.done(&format!("removed the limit of {kind} {name}"));
        }
    }
    Ok(Outcome::Done)
}
