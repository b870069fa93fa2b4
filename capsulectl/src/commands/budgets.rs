//! `monitor budget`: limits on what an hour and a month may cost.

use capsule_api::{Budget, BudgetSet, UsdMicros};

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
            cell: |b, look| Cell::maybe(b.hourly_limit_micros, look),
        },
        Column {
            title: "COST USD/H",
            fit: Fit::Number,
            cell: |b, _| spent(b.hourly_cost_micros, b.hourly_limit_micros),
        },
        Column {
            title: "USED",
            fit: Fit::Number,
            cell: |b, look| Cell::maybe(used(b.hourly_cost_micros, b.hourly_limit_micros), look),
        },
        Column {
            title: "LIMIT USD/MONTH",
            fit: Fit::Number,
            cell: |b, look| Cell::maybe(b.monthly_limit_micros, look),
        },
        Column {
            title: "THIS MONTH",
            fit: Fit::Number,
            cell: |b, _| spent(b.month_cost_micros, b.monthly_limit_micros),
        },
        Column {
            title: "USED OF MONTH",
            fit: Fit::Number,
            cell: |b, look| Cell::maybe(used(b.month_cost_micros, b.monthly_limit_micros), look),
        },
        Column {
            title: "FORECAST",
            fit: Fit::Drop(2),
            cell: |b, _| b.month_forecast_micros.to_string().into(),
        },
        Column { title: "BLOCKS", fit: Fit::Drop(1), cell: |b, _| if b.block { "yes" } else { "no" }.into() },
    ],
    name: |budget| budget.name.clone(),
    empty: "no budgets; set one with `capsulectl monitor budget set USD`",
};

/// A cost in the tone of how it stands to its limit.
fn spent(cost: UsdMicros, limit: Option<UsdMicros>) -> Cell {
    let tone = match limit {
        Some(limit) if limit < cost => Tone::Bad,
        Some(_) => Tone::Good,
        None => Tone::Plain,
    };
    Cell::toned(tone, cost.to_string())
}

/// Integer arithmetic: money is never a float.
fn used(cost: UsdMicros, limit: Option<UsdMicros>) -> Option<String> {
    let limit = limit?.0.max(1);
    Some(format!("{} %", i128::from(cost.0) * 100 / i128::from(limit)))
}

fn in_words(set: &BudgetSet) -> String {
    let hourly = set.hourly_limit_micros.map(|limit| format!("${limit} per hour"));
    let monthly = set.monthly_limit_micros.map(|limit| format!("${limit} per month"));
    [hourly, monthly].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// `monitor budget`.
pub async fn run(session: &Session, action: Option<BudgetAction>) -> Result<Outcome> {
    match action {
        None | Some(BudgetAction::List) => {
            let rows = session.client.list_all("/v1/budgets", &()).await?;
            session.out.list(&rows, &VIEW)?;
        }
        Some(BudgetAction::Set { limit, monthly, block, scope }) => {
            let (kind, name) = scope.scope();
            let path = format!("/v1/budgets/{kind}/{}", encode(name));
            let set = BudgetSet { hourly_limit_micros: limit, monthly_limit_micros: monthly, block };
            let answer = session.client.put(&path, &set).await?;
            if session.out.is_for_people() {
                session.out.done(&format!("limited {kind} {name} to {}", in_words(&set)));
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
