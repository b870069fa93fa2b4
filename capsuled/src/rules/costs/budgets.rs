//! What budgets cover, what that costs, and what they do not let anybody add.

use capsule_api::{Budget, BudgetScope, Discount, UsdMicros};
use jiff::Timestamp;

use super::{Month, Spend, WHOLE, Window, hourly, spend};
use crate::model::PriceInterval;

/// Whether a budget covers an xNode with these tags and this provider label.
pub fn covers(budget: &Budget, tags: &[String], provider: Option<&str>) -> bool {
    match budget.scope {
        BudgetScope::Global => true,
        BudgetScope::Tag => tags.contains(&budget.name),
        BudgetScope::Provider => provider == Some(budget.name.as_str()),
    }
}

/// Writes into each budget what it covers costs now, has cost in this month, and will have. `intervals` are
/// those that go on and those that were in the month.
pub fn fill(budgets: &mut [Budget], intervals: &[PriceInterval], discounts: &[Discount], now: Timestamp) {
    let month = Month::of(now).window();
    let so_far = Window { to: now, ..month };
    let mut sums = vec![[Spend::default(); 3]; budgets.len()];
    for interval in intervals {
        let mut parts = None;
        for (budget, sums) in budgets.iter().zip(&mut sums) {
            let own = &interval.attribution;
            if !covers(budget, &own.tags, own.provider.as_deref()) {
                continue;
            }
            let goes_on = interval.ended_at.is_none();
            let parts = parts.get_or_insert_with(|| {
                let rate = if goes_on { hourly(interval, now, discounts) } else { Spend::default() };
                [rate, spend(interval, so_far, discounts), spend(interval, month, discounts)]
            });
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += *part);
        }
    }
    for (budget, [hourly, month, forecast]) in budgets.iter_mut().zip(sums) {
        budget.hourly_cost_micros = hourly.rounded();
        budget.month_cost_micros = month.rounded();
        budget.month_forecast_micros = forecast.rounded();
    }
}

/// Why one of the blocking budgets forbids another `added` per hour; `None`: none does. The month counts to
/// its end with the addition.
pub fn refusal(
    budgets: &[Budget],
    added: UsdMicros,
    tags: &[String],
    provider: Option<&str>,
    now: Timestamp,
) -> Option<String> {
    let left_ms = Month::of(now).window().to.as_millisecond() - now.as_millisecond();
    let rest = Spend::of(added, left_ms, WHOLE).rounded();
    let blocking = budgets.iter().filter(|budget| budget.block && covers(budget, tags, provider));
    blocking.into_iter().find_map(|budget| {
        let what = match budget.scope {
            BudgetScope::Global => "the budget for everything".to_owned(),
            BudgetScope::Tag | BudgetScope::Provider => {
                format!("the budget of {} {}", budget.scope, budget.name)
            }
        };
        let (hour, month) = (budget.hourly_cost_micros + added, budget.month_forecast_micros + rest);
        if let Some(limit) = budget.hourly_limit_micros.filter(|limit| *limit < hour) {
            return Some(format!("{what} is ${limit} per hour, and with ${added} more it would be ${hour}"));
        }
        let limit = budget.monthly_limit_micros.filter(|limit| *limit < month)?;
        Some(format!(
            "{what} is ${limit} a month, and with ${added} more per hour this month would cost ${month}"
        ))
    })
}
