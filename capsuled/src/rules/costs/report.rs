//! The cost report: one pass over the intervals of a month.

use std::collections::HashMap;

use capsule_api::{
    CostGroup, CostGrouping, CostRate, CostReport, CostXNode, Discount, Health, UsdMicros, XNodeId,
};
use jiff::Timestamp;

use super::{Month, Spend, Window, hourly, spend};
use crate::model::{BillingReason, PriceInterval};

/// How many of the most expensive xNodes are named.
const MOST_EXPENSIVE: usize = 5;

/// What a report is about.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The month.
    pub month: Month,
    /// By what its groups add up.
    pub by: CostGrouping,
    /// Own discounts.
    pub discounts: &'a [Discount],
    /// The present.
    pub now: Timestamp,
}

/// Sums of some intervals.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    xnodes: u32,
    hourly: Spend,
    month: Spend,
    forecast: Spend,
}

impl Sums {
    fn add(&mut self, part: &Self) {
        self.xnodes += part.xnodes;
        self.hourly += part.hourly;
        self.month += part.month;
        self.forecast += part.forecast;
    }

    fn rate(&self) -> CostRate {
        CostRate {
            hourly_micros: self.hourly.rounded(),
            daily_micros: self.hourly.times(24).rounded(),
            monthly_micros: self.hourly.times(730).rounded(),
            annual_micros: self.hourly.times(8_760).rounded(),
        }
    }

    fn group(&self, name: Option<&str>) -> CostGroup {
        CostGroup {
            name: name.map(str::to_owned),
            xnodes: self.xnodes,
            rate: self.rate(),
            month_micros: self.month.rounded(),
            forecast_micros: self.forecast.rounded(),
        }
    }
}

/// One xNode's sums and the interval it is in now.
struct Own<'a> {
    present: Option<&'a PriceInterval>,
    newest: &'a PriceInterval,
    sums: Sums,
}

/// The report of `intervals`: those that go on and those that were in the month.
pub fn report(intervals: &[PriceInterval], look: Look<'_>) -> CostReport {
    let window = look.month.window();
    let so_far = Window { to: window.to.min(look.now).max(window.from), ..window };
    let mut groups: HashMap<Option<&str>, Sums> = HashMap::new();
    let mut xnodes: HashMap<XNodeId, Own<'_>> = HashMap::new();
    let mut total = Sums::default();
    let mut listed = Spend::default();
    for interval in intervals {
        let goes_on = interval.ended_at.is_none();
        let sums = Sums {
            xnodes: u32::from(goes_on),
            hourly: if goes_on { hourly(interval, look.now, look.discounts) } else { Spend::default() },
            month: spend(interval, so_far, look.discounts),
            forecast: spend(interval, window, look.discounts),
        };
        listed += spend(interval, so_far, &[]);
        total.add(&sums);
        if look.by != CostGrouping::XNode {
            for name in names(interval, look.by) {
                groups.entry(name).or_default().add(&sums);
            }
        }
        let own = xnodes.entry(interval.xnode).or_insert_with(|| Own {
            present: None,
            newest: interval,
            sums: Sums::default(),
        });
        own.sums.add(&sums);
        if own.newest.began_at < interval.began_at {
            own.newest = interval;
        }
        if goes_on {
            own.present = Some(interval);
        }
    }
    let mut groups: Vec<CostGroup> = match look.by {
        CostGrouping::XNode => {
            xnodes.values().map(|own| own.sums.group(Some(&own.newest.attribution.name))).collect()
        }
        _ => groups.into_iter().map(|(name, sums)| sums.group(name)).collect(),
    };
    groups.retain(|group| 0 < group.xnodes || UsdMicros(0) < group.month_micros);
    groups.sort_by(|a, b| {
        (b.month_micros, b.rate.hourly_micros)
            .cmp(&(a.month_micros, a.rate.hourly_micros))
            .then_with(|| a.name.cmp(&b.name))
    });
    let mut most_expensive = present(&xnodes, |_| true);
    most_expensive.truncate(MOST_EXPENSIVE);
    CostReport {
        at: look.now,
        month: look.month.to_string(),
        xnodes: total.xnodes,
        rate: total.rate(),
        month_micros: total.month.rounded(),
        forecast_micros: total.forecast.rounded(),
        discount_micros: (listed - total.month).rounded(),
        by: look.by,
        groups,
        most_expensive,
        stopped: present(&xnodes, |interval| interval.rate.reason == BillingReason::Stopped),
        dead: present(&xnodes, |interval| {
            interval.rate.reason == BillingReason::Running && interval.health == Some(Health::Unhealthy)
        }),
    }
}

/// Under which names an interval counts.
fn names(interval: &PriceInterval, by: CostGrouping) -> Vec<Option<&str>> {
    let own = &interval.attribution;
    match by {
        CostGrouping::Provider => vec![own.provider.as_deref()],
        CostGrouping::Region => vec![own.region.as_deref()],
        CostGrouping::XNode => vec![Some(&own.name)],
        CostGrouping::Tag if own.tags.is_empty() => vec![None],
        CostGrouping::Tag => own.tags.iter().map(|tag| Some(tag.as_str())).collect(),
    }
}

/// The xNodes that are billed now and for which `wanted` holds, the dearest first.
fn present(xnodes: &HashMap<XNodeId, Own<'_>>, wanted: impl Fn(&PriceInterval) -> bool) -> Vec<CostXNode> {
    let row = |id: &XNodeId, own: &Own<'_>| {
        let present = own.present.filter(|interval| wanted(interval))?;
        Some(CostXNode {
            xnode_id: *id,
            name: present.attribution.name.clone(),
            provider: present.attribution.provider.clone(),
            hourly_micros: own.sums.hourly.rounded(),
            daily_micros: own.sums.hourly.times(24).rounded(),
            month_micros: own.sums.month.rounded(),
        })
    };
    let mut rows: Vec<CostXNode> = xnodes.iter().filter_map(|(id, own)| row(id, own)).collect();
    rows.sort_by(|a, b| b.hourly_micros.cmp(&a.hourly_micros).then_with(|| a.name.cmp(&b.name)));
    rows
}
