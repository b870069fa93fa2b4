//! What the fleet costs: intervals that follow the inventory, the report, and what budgets allow.
//!
//! Whoever adds, changes or removes an xNode calls [`follow`] in the same transaction. Nothing else begins or
//! ends an interval, so the history says exactly what the inventory said at each moment.

mod discounts;
mod history;

use capsule_api::{Budget, CostGrouping, CostQuery, CostReport, Price, UsdMicros, XNode};
use jiff::Timestamp;

pub use discounts::{delete_discount, discounts, set_discount};
pub use history::{clean_up_history, history, stats};

use super::UseCaseError;
use crate::{
    context::Context,
    model::PriceInterval,
    rules::costs::{self as rules, Look, Month},
    store::{self, StoreError, Tx},
};

/// Keeps an xNode's life and price interval right: `before` is `None` for a new one, `after` for one that goes.
/// May be called when nothing about the rate has changed; then it writes nothing about it.
pub async fn follow(
    tx: &mut Tx,
    before: Option<&XNode>,
    after: Option<&XNode>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(xnode) = after else {
        if let Some(gone) = before {
            store::costs::end(tx, gone.id, at).await?;
            store::costs::end_lifetime(tx, gone.id, at).await?;
        }
        return Ok(());
    };
    let attribution = rules::attribution(xnode);
    let same_attribution = before.is_some_and(|before| rules::attribution(before) == attribution);
    if !same_attribution {
        store::costs::set_lifetime(tx, xnode.id, &attribution, xnode.created_at).await?;
    }
    let rate = rules::rate(xnode);
    let present = store::costs::present(tx, xnode.id).await?;
    let same = |interval: &PriceInterval| Some(interval.rate) == rate && interval.attribution == attribution;
    if present.as_ref().map_or(rate.is_none(), same) {
        return Ok(());
    }
    // A clock that was set back must not make two intervals overlap.
    let at = present.as_ref().map_or(at, |interval| interval.began_at.max(at));
    let original = store::costs::original(tx, xnode.id).await?;
    store::costs::end(tx, xnode.id, at).await?;
    let Some(rate) = rate else { return Ok(()) };
    store::costs::begin(tx, xnode.id, &attribution, rate, at).await?;
    let same_price = present.is_some_and(|interval| interval.rate.hourly_micros == rate.hourly_micros);
    if let Some((currency, micros)) = original.filter(|_| same_price) {
        store::costs::set_original(tx, xnode.id, currency, micros).await?;
    }
    Ok(())
}

/// Notes the provider's own price beside the dollars that were computed from it. Call it after [`follow`], in
/// the same transaction.
pub async fn note_price(tx: &mut Tx, xnode: &XNode, price: Price) -> Result<(), StoreError> {
    store::costs::set_original(tx, xnode.id, price.currency, price.hourly_micros).await
}

/// The cost report.
///
/// # Errors
/// [`UseCaseError::Invalid`] for a month that is none, or has not begun.
pub async fn report(context: &Context, query: &CostQuery) -> Result<CostReport, UseCaseError> {
    let now = context.clock.now();
    let month = match &query.month {
        None => Month::of(now),
        Some(text) => text
            .parse()
            .map_err(|error: rules::InvalidMonth| UseCaseError::invalid("month", error.to_string()))?,
    };
    if Month::of(now) < month {
        return Err(UseCaseError::invalid("month", "it has not begun"));
    }
    let window = month.window();
    let mut reader = context.store.reader().await?;
    let discounts = store::costs::discounts(&mut reader).await?;
    let intervals = store::costs::overlapping(&mut reader, window.from, window.to).await?;
    drop(reader);
    let by = query.by.unwrap_or(CostGrouping::Provider);
    Ok(rules::report(&intervals, Look { month, by, discounts: &discounts, now }))
}

/// Every budget with what it covers costing.
pub async fn budgets(context: &Context) -> Result<Vec<Budget>, StoreError> {
    let now = context.clock.now();
    let month = Month::of(now).window();
    let mut reader = context.store.reader().await?;
    let mut budgets = store::settings::budgets(&mut reader).await?;
    if budgets.is_empty() {
        return Ok(budgets);
    }
    let discounts = store::costs::discounts(&mut reader).await?;
    let intervals = store::costs::overlapping(&mut reader, month.from, month.to).await?;
    rules::fill(&mut budgets, &intervals, &discounts, now);
    Ok(budgets)
}

/// Every budget with what it covers costing, inside a transaction.
pub(super) async fn budgets_in(tx: &mut Tx) -> Result<Vec<Budget>, StoreError> {
    let now = tx.now();
    let month = Month::of(now).window();
    let mut budgets = store::settings::budgets_in(tx).await?;
    let discounts = store::costs::discounts_in(tx).await?;
    let intervals = store::costs::overlapping_in(tx, month.from, month.to).await?;
    rules::fill(&mut budgets, &intervals, &discounts, now);
    Ok(budgets)
}

/// Those of `offers` that no blocking budget forbids. `of` gives what an offer adds per hour and its provider;
/// `tags` are those that the new xNodes will carry.
///
/// # Errors
/// [`UseCaseError::Policy`] with the code `over_budget` when none is left, with the reason of the first.
pub async fn within_budgets<T>(
    context: &Context,
    offers: Vec<T>,
    tags: &[String],
    of: impl Fn(&T) -> (UsdMicros, String),
) -> Result<Vec<T>, UseCaseError> {
    let budgets = budgets(context).await?;
    let now = context.clock.now();
    let mut first_refusal = None;
    let mut kept = Vec::with_capacity(offers.len());
    for offer in offers {
        let (added, provider) = of(&offer);
        match rules::refusal(&budgets, added, tags, Some(&provider), now) {
            Some(reason) => _ = first_refusal.get_or_insert(reason),
            None => kept.push(offer),
        }
    }
    match first_refusal {
        Some(reason) if kept.is_empty() => Err(UseCaseError::Policy { code: "over_budget", reason }),
        _ => Ok(kept),
    }
}
