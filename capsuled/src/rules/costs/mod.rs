//! What things cost, exactly.
//!
//! A cost is rate × time summed over price intervals, in integers all the way: micro-dollars per hour times
//! milliseconds times the basis points that discounts leave. Only [`Spend::rounded`] divides, once for each
//! sum, so a sum of parts and the whole never disagree by more than that one rounding.

mod budgets;
mod month;
mod report;
#[cfg(test)]
mod tests;

use capsule_api::{Discount, DiscountScope, UsdMicros, XNode, XNodeStatus};
use jiff::Timestamp;

pub use budgets::{covers, fill, refusal};
pub use month::{InvalidMonth, Month};
pub use report::{Look, report};

use crate::model::{Attribution, BillingReason, PriceInterval, Rate};

/// Providers that bill a stopped server for its disks and addresses alone, which we list apart
/// (AWS: EC2 instance lifecycle; Scaleway: a `poweroff` frees the host). All others bill it until it is deleted.
const FREE_WHEN_STOPPED: &[&str] = &["aws", "scaleway"];
/// One hour.
const HOUR_MS: i128 = 3_600_000;
/// The whole price.
const WHOLE: u32 = 10_000;

/// Whether this provider bills a server that is switched off.
pub fn bills_when_stopped(provider: Option<&str>) -> bool {
    provider.is_none_or(|provider| !FREE_WHEN_STOPPED.contains(&provider))
}

/// What an xNode is billed at now; `None`: nothing. One that is being made is billed as soon as its provider
/// knows it.
pub fn rate(xnode: &XNode) -> Option<Rate> {
    let hourly_micros = xnode.hourly_cost_micros.filter(|cost| UsdMicros(0) < *cost)?;
    let provider = xnode.provider.as_ref().map(|label| label.as_str());
    let reason = match xnode.status {
        XNodeStatus::Running | XNodeStatus::Error => BillingReason::Running,
        XNodeStatus::Deploying if xnode.placement.is_some() => BillingReason::Running,
        XNodeStatus::Stopped if bills_when_stopped(provider) => BillingReason::Stopped,
        XNodeStatus::Deploying | XNodeStatus::Stopped => return None,
    };
    Some(Rate { hourly_micros, reason })
}

/// To what and whom an xNode's cost is put down.
pub fn attribution(xnode: &XNode) -> Attribution {
    let placement = xnode.placement.as_ref();
    Attribution {
        name: xnode.name.to_string(),
        provider: xnode.provider.as_ref().map(ToString::to_string),
        region: xnode.region.as_ref().map(ToString::to_string),
        template: placement.and_then(|placement| placement.template.clone()),
        account: placement.map(|placement| placement.account.to_string()),
        tags: xnode.tags.iter().map(ToString::to_string).collect(),
    }
}

/// An exact amount: micro-dollars per hour × milliseconds × basis points of the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Spend(i128);

impl Spend {
    /// A rate for a time, of which `basis_points` are paid.
    fn of(hourly: UsdMicros, ms: i64, basis_points: u32) -> Self {
        // At most 10^15 × 10^14 × 10^4, of which an i128 holds a hundred thousand.
        Self(i128::from(hourly.0) * i128::from(ms) * i128::from(basis_points))
    }

    /// The same rate for this many times as long.
    fn times(self, hours: i128) -> Self {
        Self(self.0.saturating_mul(hours))
    }

    /// Whole micro-dollars, the half rounded up. The only division there is.
    pub fn rounded(self) -> UsdMicros {
        let unit = HOUR_MS * i128::from(WHOLE);
        let micros = (self.0 + unit / 2).div_euclid(unit);
        UsdMicros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

impl std::ops::Add for Spend {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::AddAssign for Spend {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::Sub for Spend {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Spend {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), std::ops::Add::add)
    }
}

/// From the one moment up to, and without, the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

/// What an interval costs within a window, the highest discount of each moment taken off. An interval that
/// goes on is taken to go on to the window's end.
pub fn spend(interval: &PriceInterval, window: Window, discounts: &[Discount]) -> Spend {
    let from = interval.began_at.max(window.from).as_millisecond();
    let to = interval.ended_at.map_or(window.to, |ended| ended.min(window.to)).as_millisecond();
    if to <= from {
        return Spend::default();
    }
    let hourly = interval.rate.hourly_micros;
    let own: Vec<&Discount> =
        discounts.iter().filter(|discount| applies(discount, &interval.attribution)).collect();
    if own.is_empty() {
        return Spend::of(hourly, to - from, WHOLE);
    }
    let mut cuts: Vec<i64> = own
        .iter()
        .flat_map(|discount| [discount.valid_from, discount.valid_until])
        .flatten()
        .map(Timestamp::as_millisecond)
        .filter(|cut| from < *cut && *cut < to)
        .chain([from, to])
        .collect();
    cuts.sort_unstable();
    let part = |pair: &[i64]| Spend::of(hourly, pair[1] - pair[0], WHOLE - best(&own, pair[0]));
    cuts.windows(2).map(part).sum()
}

/// What an interval that goes on costs in an hour at this moment.
fn hourly(interval: &PriceInterval, now: Timestamp, discounts: &[Discount]) -> Spend {
    let own: Vec<&Discount> =
        discounts.iter().filter(|discount| applies(discount, &interval.attribution)).collect();
    let paid = WHOLE - best(&own, now.as_millisecond());
    Spend::of(interval.rate.hourly_micros, 3_600_000, paid)
}

/// What the intervals that go on cost in an hour at this moment.
pub fn hourly_total(intervals: &[PriceInterval], now: Timestamp, discounts: &[Discount]) -> UsdMicros {
    let present = intervals.iter().filter(|interval| interval.ended_at.is_none());
    present.map(|interval| hourly(interval, now, discounts)).sum::<Spend>().rounded()
}

fn applies(discount: &Discount, to: &Attribution) -> bool {
    let is =
        |label: &Option<String>| label.as_deref().is_some_and(|l| l.eq_ignore_ascii_case(&discount.name));
    match discount.scope {
        DiscountScope::Provider => is(&to.provider),
        DiscountScope::Account => is(&to.account),
        DiscountScope::Tag => to.tags.contains(&discount.name),
    }
}

/// The highest discount at a moment, in basis points.
fn best(discounts: &[&Discount], at_ms: i64) -> u32 {
    let valid = |discount: &&&Discount| {
        discount.valid_from.is_none_or(|from| from.as_millisecond() <= at_ms)
            && discount.valid_until.is_none_or(|until| at_ms < until.as_millisecond())
    };
    discounts.iter().filter(valid).map(|discount| discount.basis_points.min(WHOLE)).max().unwrap_or(0)
}
