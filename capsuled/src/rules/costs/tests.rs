//! Costs against a sum that counts every millisecond.

use capsule_api::{Budget, BudgetScope, CostGrouping, Discount, DiscountScope, Health, UsdMicros, XNodeId};
use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::{Attribution, BillingReason, PriceInterval, Rate};

fn ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("within range")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn interval(xnode: u128, hourly: i64, began: Timestamp, ended: Option<Timestamp>) -> PriceInterval {
    PriceInterval {
        xnode: XNodeId(Uuid::from_u128(xnode)),
        attribution: Attribution {
            name: format!("web-{xnode}"),
            provider: Some("hetzner".to_owned()),
            region: Some("fsn1".to_owned()),
            tags: vec!["web".to_owned()],
            ..Attribution::default()
        },
        began_at: began,
        ended_at: ended,
        rate: Rate { hourly_micros: UsdMicros(hourly), reason: BillingReason::Running },
        health: Some(Health::Healthy),
    }
}

fn discount(basis_points: u32, from: Option<i64>, until: Option<i64>) -> Discount {
    Discount {
        scope: DiscountScope::Provider,
        name: "hetzner".to_owned(),
        basis_points,
        valid_from: from.map(ms),
        valid_until: until.map(ms),
    }
}

/// The same sum, one millisecond after the other.
fn by_the_millisecond(intervals: &[PriceInterval], from: i64, to: i64, discounts: &[Discount]) -> i64 {
    let mut sum: i128 = 0;
    for moment in from..to {
        let best = discounts
            .iter()
            .filter(|d| d.valid_from.is_none_or(|from| from <= ms(moment)))
            .filter(|d| d.valid_until.is_none_or(|until| ms(moment) < until))
            .map(|d| d.basis_points)
            .max()
            .unwrap_or(0);
        for interval in intervals {
            let on =
                interval.began_at <= ms(moment) && interval.ended_at.is_none_or(|ended| ms(moment) < ended);
            if on {
                sum += i128::from(interval.rate.hourly_micros.0) * i128::from(10_000 - best);
            }
        }
    }
    let unit: i128 = 3_600_000 * 10_000;
    i64::try_from((sum + unit / 2) / unit).expect("small")
}

fn moments() -> impl Strategy<Value = (i64, Option<i64>)> {
    (0_i64..2_000, prop::option::of(1_i64..2_000))
        .prop_map(|(began, lasted)| (began, lasted.map(|l| began + l)))
}

proptest! {
    #[test]
    fn a_cost_equals_the_sum_of_its_milliseconds(
        histories in prop::collection::vec((1_i64..90_000_000_000, moments()), 0..6),
        discounts in prop::collection::vec((1_u32..=10_000, prop::option::of(0_i64..2_500), prop::option::of(0_i64..2_500)), 0..4),
        (from, lasts) in (0_i64..2_000, 0_i64..2_000),
    ) {
        let intervals: Vec<PriceInterval> = histories
            .iter()
            .enumerate()
            .map(|(n, (hourly, (began, ended)))| interval(n as u128, *hourly, ms(*began), ended.map(ms)))
            .collect();
        let discounts: Vec<Discount> = discounts.iter().map(|(bp, from, until)| discount(*bp, *from, *until)).collect();
        let window = Window { from: ms(from), to: ms(from + lasts) };
        let sum: Spend = intervals.iter().map(|interval| spend(interval, window, &discounts)).sum();
        prop_assert_eq!(sum.rounded().0, by_the_millisecond(&intervals, from, from + lasts, &discounts));
    }

    #[test]
    fn cutting_an_interval_anywhere_changes_nothing(hourly in 1_i64..1_000_000_000_000, cuts in prop::collection::vec(1_i64..2_592_000_000, 0..20)) {
        let (begin, end) = (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        let window = Window { from: begin, to: end };
        let whole = spend(&interval(1, hourly, begin, Some(end)), window, &[]);
        let mut cuts: Vec<i64> = cuts.iter().map(|cut| begin.as_millisecond() + cut).collect();
        cuts.extend([begin.as_millisecond(), end.as_millisecond()]);
        cuts.sort_unstable();
        let parts: Spend = cuts.windows(2).map(|pair| spend(&interval(1, hourly, ms(pair[0]), Some(ms(pair[1]))), window, &[])).sum();
        prop_assert_eq!(whole, parts);
        prop_assert_eq!(whole.rounded().0, hourly * 720);
    }
}

#[test]
fn months_are_calendar_months_in_utc() {
    for (text, from, to) in [
        ("2026-11", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
    ] {
        let month: Month = text.parse().expect(text);
        assert_eq!(month.window(), Window { from: at(from), to: at(to) });
        assert_eq!(month.to_string(), text);
        assert_eq!(Month::of(at(from)), month);
        assert!(month < Month::of(at(to)));
    }
    for bad in ["", "2026", "2026-13", "2026-1", "26-11", "2026-11-01", "+026-11"] {
        assert!(bad.parse::<Month>().is_err(), "{bad}");
    }
}

#[test]
fn what_is_billed_when_switched_off_depends_on_the_provider() {
    for provider in ["aws", "scaleway"] {
        assert!(!bills_when_stopped(Some(provider)));
    }
    for provider in [Some("hetzner"), Some("digitalocean"), Some("equinix"), Some("my-rack"), None] {
        assert!(bills_when_stopped(provider));
    }
}

fn look(by: CostGrouping, discounts: &[Discount]) -> Look<'_> {
    Look { month: "2026-11".parse().expect("a month"), by, discounts, now: at("2026-11-16T00:00:00Z") }
}

/// One that was replaced by a dearer one, one switched off and billed, one dead, one that is gone.
fn fleet() -> Vec<PriceInterval> {
    let (october, tenth) = (at("2026-10-01T00:00:00Z"), at("2026-11-11T00:00:00Z"));
    let mut stopped = interval(2, 500_000, october, None);
    stopped.rate.reason = BillingReason::Stopped;
    stopped.attribution.tags = Vec::new();
    let mut dead = interval(3, 100_000, tenth, None);
    dead.health = Some(Health::Unhealthy);
    dead.attribution.provider = None;
    dead.attribution.tags.push("eu".to_owned());
    let mut gone = interval(4, 10_000, october, Some(tenth));
    gone.health = None;
    vec![
        interval(1, 1_000_000, october, Some(tenth)),
        interval(1, 2_000_000, tenth, None),
        stopped,
        dead,
        gone,
    ]
}

#[test]
fn a_report_adds_up() {
    let report = report(&fleet(), look(CostGrouping::Tag, &[]));
    assert_eq!(report.xnodes, 3);
    assert_eq!(report.rate.hourly_micros, UsdMicros(2_600_000));
    assert_eq!(report.rate.daily_micros, UsdMicros(2_600_000 * 24));
    assert_eq!(report.rate.monthly_micros, UsdMicros(2_600_000 * 730));
    assert_eq!(report.rate.annual_micros, UsdMicros(2_600_000 * 8_760));
    // Ten days and five: 240 h and 120 h.
    let month = 240 * 1_000_000 + 120 * 2_000_000 + 360 * 500_000 + 120 * 100_000 + 240 * 10_000;
    assert_eq!(report.month_micros, UsdMicros(month));
    assert_eq!(report.forecast_micros, UsdMicros(month + 360 * 2_600_000));
    let names: Vec<Option<&str>> = report.groups.iter().map(|group| group.name.as_deref()).collect();
    assert_eq!(names, [Some("web"), None, Some("eu")]);
    assert_eq!(report.most_expensive[0].name, "web-1");
    assert_eq!(report.most_expensive[0].month_micros, UsdMicros(240 * 1_000_000 + 120 * 2_000_000));
    let stopped: Vec<&str> = report.stopped.iter().map(|xnode| xnode.name.as_str()).collect();
    assert_eq!(stopped, ["web-2"]);
    assert_eq!(report.dead.len(), 1);
    assert_eq!(report.dead[0].daily_micros, UsdMicros(2_400_000));
    let by_provider = super::report(&fleet(), look(CostGrouping::Provider, &[]));
    let parts: i64 = by_provider.groups.iter().map(|group| group.month_micros.0).sum();
    assert_eq!(parts, month);
    let by_xnode = super::report(&fleet(), look(CostGrouping::XNode, &[]));
    assert_eq!(by_xnode.groups.len(), 4);
}

#[test]
fn a_month_that_is_over_has_no_forecast_beyond_itself() {
    let october = Look { month: "2026-10".parse().expect("a month"), ..look(CostGrouping::Provider, &[]) };
    let report = report(&fleet(), october);
    assert_eq!(report.month_micros, report.forecast_micros);
    assert_eq!(report.month_micros, UsdMicros(31 * 24 * 1_510_000));
}

#[test]
fn the_highest_discount_of_each_moment_is_taken_off() {
    let whole = super::report(&fleet(), look(CostGrouping::Provider, &[])).month_micros;
    let tag = Discount { scope: DiscountScope::Tag, name: "web".to_owned(), ..discount(1_000, None, None) };
    let later = Discount { valid_from: Some(at("2026-11-11T00:00:00Z")), ..discount(2_500, None, None) };
    let discounts = [tag, later];
    let report = report(&fleet(), look(CostGrouping::Provider, &discounts));
    // web-1 and web-4 until the 11th at 10 %, then web-1 and web-2 at 25 %, web-3 (no provider) at 10 %.
    let off = (240 * 1_010_000) / 10 + 120 * 2_500_000 / 4 + 120 * 100_000 / 10;
    assert_eq!(report.discount_micros, UsdMicros(off));
    assert_eq!(report.month_micros, UsdMicros(whole.0 - off));
    assert_eq!(report.rate.hourly_micros, UsdMicros(2_500_000 * 3 / 4 + 90_000));
}

fn budget(scope: BudgetScope, name: &str, hourly: Option<i64>, monthly: Option<i64>) -> Budget {
    Budget {
        scope,
        name: name.to_owned(),
        hourly_limit_micros: hourly.map(UsdMicros),
        monthly_limit_micros: monthly.map(UsdMicros),
        block: true,
        hourly_cost_micros: UsdMicros(0),
        month_cost_micros: UsdMicros(0),
        month_forecast_micros: UsdMicros(0),
    }
}

#[test]
fn a_budget_that_blocks_counts_what_would_be_added() {
    let now = at("2026-11-16T00:00:00Z");
    let mut budgets = [
        budget(BudgetScope::Tag, "web", Some(2_500_000), None),
        budget(BudgetScope::Provider, "hetzner", None, Some(2_000_000_000)),
    ];
    fill(&mut budgets, &fleet(), &[], now);
    assert_eq!(budgets[0].hourly_cost_micros, UsdMicros(2_100_000));
    assert_eq!(budgets[1].hourly_cost_micros, UsdMicros(2_500_000));
    assert_eq!(budgets[1].month_forecast_micros, UsdMicros(662_400_000 + 360 * 2_500_000));
    let refused = |added: i64, tag: &str, provider: Option<&str>| {
        refusal(&budgets, UsdMicros(added), &[tag.to_owned()], provider, now)
    };
    assert_eq!(refused(400_000, "web", None), None);
    let reason = refused(400_001, "web", None).expect("over the hour");
    assert_eq!(
        reason,
        "the budget of tag web is $2.50 per hour, and with $0.400001 more it would be $2.500001"
    );
    assert_eq!(refused(9_000_000, "db", Some("vultr")), None);
    let reason = refused(2_000_000, "db", Some("hetzner")).expect("over the month");
    assert!(reason.contains("this month would cost $2282.40"), "{reason}");
    budgets.iter_mut().for_each(|budget| budget.block = false);
    assert_eq!(refusal(&budgets, UsdMicros(i64::MAX / 2), &["web".to_owned()], Some("hetzner"), now), None);
}

#[test]
fn ten_thousand_xnodes_are_one_pass() {
    let began = at("2026-11-01T00:00:00Z");
    let intervals: Vec<PriceInterval> = (0..10_000).map(|n| interval(n, 10_000, began, None)).collect();
    let report = report(&intervals, look(CostGrouping::XNode, &[]));
    assert_eq!((report.xnodes, report.groups.len()), (10_000, 10_000));
    assert_eq!(report.month_micros, UsdMicros(10_000 * 10_000 * 360));
}
