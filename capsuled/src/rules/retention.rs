//! What telemetry is kept and at which resolution: which rows are too old, how results become roll-ups, and
//! which of the three resolutions answers a question about the past.
//!
//! All times are UTC milliseconds, as the telemetry database has them.

use std::collections::BTreeMap;

use capsule_api::{Outcome, Settings};
use jiff::{SignedDuration, Timestamp};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How long after its end a stretch may still get results: the longest probe deadline (a result carries the
/// time its probe started) and half of that again for the writer.
const SETTLE_MS: i64 = 90_000;
/// How long idempotent replies are kept.
const REPLIES_MS: i64 = DAY_MS;
/// Widths a person can read off an axis, for merging raw results.
const ROUND_WIDTHS_MS: [i64; 12] =
    [1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, HOUR_MS];

/// A resolution of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// Single results and readings.
    Raw,
    /// Roll-ups of five minutes.
    FiveMinutes,
    /// Roll-ups of an hour.
    Hour,
}

impl Resolution {
    /// The two that are made from a finer one.
    pub const ROLLED_UP: [Self; 2] = [Self::FiveMinutes, Self::Hour];

    /// Length of a stretch in milliseconds; 0 for single results.
    pub const fn step_ms(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::FiveMinutes => 300_000,
            Self::Hour => HOUR_MS,
        }
    }
}

/// Where the stretch that `at_ms` is in begins. `step_ms` must be positive.
pub const fn bucket_start(at_ms: i64, step_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(step_ms)
}

/// Up to where stretches of `step_ms` are complete at `now_ms`: nothing before it can still get a result.
pub const fn complete_until(now_ms: i64, step_ms: i64) -> i64 {
    bucket_start(now_ms - SETTLE_MS, step_ms)
}

/// Everything from before these moments is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// Raw results and readings; the beginning of an hour.
    pub raw_ms: i64,
    /// 5-minute roll-ups.
    pub five_minutes_ms: i64,
    /// Hourly roll-ups.
    pub hours_ms: i64,
    /// Resolved alerts, finished deliveries, events, audit rows, finished operations.
    pub records: Timestamp,
    /// Idempotent replies.
    pub replies: Timestamp,
}

/// What is too old at `now`. `rolled_up_ms` is up to where raw results are in the roll-ups; nothing after
/// it is deleted, however old, so a roll-up that fell behind loses no history.
pub fn cutoffs(settings: &Settings, now: Timestamp, rolled_up_ms: i64) -> Cutoffs {
    let now_ms = now.as_millisecond();
    let raw = now_ms - i64::from(settings.raw_retention_hours) * HOUR_MS;
    let days = |count: u32| i64::from(count) * DAY_MS;
    Cutoffs {
        raw_ms: bucket_start(raw.min(rolled_up_ms), HOUR_MS),
        five_minutes_ms: bucket_start(now_ms - days(settings.five_minute_retention_days), HOUR_MS),
        hours_ms: bucket_start(now_ms - days(settings.hourly_retention_days), HOUR_MS),
        records: now - SignedDuration::from_millis(days(settings.record_retention_days)),
        replies: now - SignedDuration::from_millis(REPLIES_MS),
    }
}

/// Results of a check added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbeSum {
    /// Probes that were not blind.
    pub probes: u32,
    /// Probes that passed.
    pub passed: u32,
    latency: Option<LatencySum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LatencySum {
    min: u64,
    max: u64,
    total: u128,
    count: u64,
}

impl ProbeSum {
    /// A roll-up as stored: latency is minimum, mean and maximum in microseconds.
    pub fn from_rollup(probes: u32, passed: u32, latency_us: Option<[u64; 3]>) -> Self {
        let latency = latency_us.map(|[min, avg, max]| {
            let count = u64::from(passed).max(1);
            LatencySum { min, max, total: u128::from(avg) * u128::from(count), count }
        });
        Self { probes, passed, latency }
    }

    /// Adds one result. Only a passing probe's latency counts: a refusal is quick and a timeout is the
    /// deadline, and neither says how fast the service is. A blind result is no result.
    pub fn add(&mut self, outcome: Outcome, latency_us: Option<u64>) {
        let (probes, passed, latency_us) = match outcome {
            Outcome::Blind => return,
            Outcome::Down => (1, 0, None),
            Outcome::Up => (1, 1, latency_us.map(|us| [us; 3])),
        };
        self.merge(&Self::from_rollup(probes, passed, latency_us));
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.probes = self.probes.saturating_add(other.probes);
        self.passed = self.passed.saturating_add(other.passed);
        self.latency = match (self.latency, other.latency) {
            (Some(one), Some(two)) => Some(LatencySum {
                min: one.min.min(two.min),
                max: one.max.max(two.max),
                total: one.total + two.total,
                count: one.count + two.count,
            }),
            (one, two) => one.or(two),
        };
    }

    /// Smallest, mean and largest latency in microseconds, where any was measured.
    pub fn latency_us(&self) -> Option<[u64; 3]> {
        let LatencySum { min, max, total, count } = self.latency?;
        let avg = u64::try_from(total / u128::from(count)).unwrap_or(max);
        Some([min, avg, max])
    }
}

/// Values of a series added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesSum {
    /// Readings in it.
    pub count: u32,
    /// Smallest value.
    pub min: f64,
    /// Mean value.
    pub avg: f64,
    /// Largest value.
    pub max: f64,
}

impl SeriesSum {
    /// One reading.
    pub const fn of(value: f64) -> Self {
        Self { count: 1, min: value, avg: value, max: value }
    }

    /// Adds another sum; means are weighted by their counts.
    pub fn merge(&mut self, other: &Self) {
        let (own, others) = (f64::from(self.count), f64::from(other.count));
        if 0.0 < own + others {
            self.avg += (other.avg - self.avg) * others / (own + others);
        }
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// Adds results up by stretches of `step_ms`, oldest first. The input may be in any order.
pub fn sum_probes(items: impl IntoIterator<Item = (i64, ProbeSum)>, step_ms: i64) -> Vec<(i64, ProbeSum)> {
    by_stretch(items, step_ms, ProbeSum::merge)
}

/// Adds readings up by stretches of `step_ms`, oldest first. The input may be in any order.
pub fn sum_series(items: impl IntoIterator<Item = (i64, SeriesSum)>, step_ms: i64) -> Vec<(i64, SeriesSum)> {
    by_stretch(items, step_ms, SeriesSum::merge)
}

fn by_stretch<T>(
    items: impl IntoIterator<Item = (i64, T)>,
    step_ms: i64,
    merge: fn(&mut T, &T),
) -> Vec<(i64, T)> {
    let mut stretches: BTreeMap<i64, T> = BTreeMap::new();
    for (at_ms, item) in items {
        stretches.entry(bucket_start(at_ms, step_ms)).and_modify(|sum| merge(sum, &item)).or_insert(item);
    }
    stretches.into_iter().collect()
}

/// How a question about the past is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Which rows to read.
    pub source: Resolution,
    /// When there are more rows than were asked for: merge them into stretches of this many milliseconds,
    /// which gives at most as many points as were asked for.
    pub width_ms: i64,
}

/// The coarsest rows that still give `limit` points between `since` and `until`, but none that are already
/// deleted at `since`, as far as anything that old is kept at all.
pub fn choose(
    settings: &Settings,
    since: Timestamp,
    until: Timestamp,
    limit: u32,
    now: Timestamp,
) -> Reading {
    let span_ms = (until.as_millisecond() - since.as_millisecond()).max(1);
    // One stretch less than the limit, because a span that begins inside a stretch touches one more.
    let points = i64::from(limit.max(2)) - 1;
    let ideal_ms = (span_ms + points - 1) / points;
    let kept = cutoffs(settings, now, i64::MAX);
    let since_ms = since.as_millisecond();
    let source = if since_ms < kept.five_minutes_ms || Resolution::Hour.step_ms() <= ideal_ms {
        Resolution::Hour
    } else if since_ms < kept.raw_ms || Resolution::FiveMinutes.step_ms() <= ideal_ms {
        Resolution::FiveMinutes
    } else {
        Resolution::Raw
    };
    Reading { source, width_ms: round_width(ideal_ms, source) }
}

/// The next round width that is at least `ideal_ms` and a multiple of the source's step.
fn round_width(ideal_ms: i64, source: Resolution) -> i64 {
    let step = source.step_ms().max(1);
    let fits = |width: &&i64| ideal_ms <= **width && **width % step == 0;
    let hours = (ideal_ms + HOUR_MS - 1) / HOUR_MS * HOUR_MS;
    ROUND_WIDTHS_MS.iter().find(fits).copied().unwrap_or(hours)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = DAY_MS;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("in range")
    }

    #[test]
    fn nothing_is_deleted_before_it_is_old_and_rolled_up() {
        let now = at(100 * DAY + 1_234_567);
        let cutoffs = |rolled_up_ms| cutoffs(&Settings::default(), now, rolled_up_ms);
        let on_time = cutoffs(100 * DAY);
        assert_eq!(on_time.raw_ms, 99 * DAY);
        assert_eq!(on_time.five_minutes_ms, 70 * DAY);
        assert_eq!(on_time.hours_ms, -300 * DAY);
        assert_eq!(on_time.records, now - SignedDuration::from_hours(400 * 24));
        assert_eq!(on_time.replies, now - SignedDuration::from_hours(24));
        assert_eq!(cutoffs(50 * DAY + 1).raw_ms, 50 * DAY);
    }

    #[test]
    fn a_stretch_is_complete_when_no_probe_of_it_can_be_under_way() {
        assert_eq!(bucket_start(-1, HOUR_MS), -HOUR_MS);
        assert_eq!(complete_until(HOUR_MS, HOUR_MS), 0);
        assert_eq!(complete_until(HOUR_MS + SETTLE_MS, HOUR_MS), HOUR_MS);
    }

    #[test]
    fn latency_is_of_passing_probes_and_blind_ones_are_not_probes() {
        let mut sum = ProbeSum::default();
        for (outcome, latency) in [
            (Outcome::Up, Some(100)),
            (Outcome::Up, Some(300)),
            (Outcome::Down, Some(9_999)),
            (Outcome::Blind, None),
        ] {
            sum.add(outcome, latency);
        }
        assert_eq!((sum.probes, sum.passed, sum.latency_us()), (3, 2, Some([100, 200, 300])));
    }

    #[test]
    fn a_history_is_read_from_the_coarsest_rows_that_answer_it() {
        let now = at(1_000 * DAY);
        let read = |back: i64, limit| choose(&Settings::default(), at(1_000 * DAY - back), now, limit, now);
        for (back, limit, source, width_ms) in [
            (HOUR_MS, 300, Resolution::Raw, 15_000),
            (DAY, 300, Resolution::Raw, 300_000),
            (2 * DAY, 5_000, Resolution::FiveMinutes, 300_000),
            (7 * DAY, 300, Resolution::FiveMinutes, HOUR_MS),
            (20 * DAY, 300, Resolution::Hour, 2 * HOUR_MS),
            (31 * DAY, 5_000, Resolution::Hour, HOUR_MS),
            (500 * DAY, 300, Resolution::Hour, 41 * HOUR_MS),
        ] {
            assert_eq!(read(back, limit), Reading { source, width_ms }, "{back} {limit}");
        }
    }

    fn outcome() -> impl Strategy<Value = (Outcome, Option<u64>)> {
        let one = prop_oneof![Just(Outcome::Up), Just(Outcome::Down), Just(Outcome::Blind)];
        (one, proptest::option::of(0_u64..10_000_000))
    }

    proptest! {
        #[test]
        fn rolling_up_in_steps_is_rolling_up_at_once(
            results in proptest::collection::vec((0_i64..2 * HOUR_MS, outcome()), 0..200),
        ) {
            let single = results.iter().map(|(at_ms, (outcome, latency))| {
                let mut sum = ProbeSum::default();
                sum.add(*outcome, *latency);
                (*at_ms, sum)
            });
            let five = sum_probes(single.clone(), Resolution::FiveMinutes.step_ms());
            prop_assert!(five.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert_eq!(sum_probes(five, HOUR_MS), sum_probes(single, HOUR_MS));
        }

        #[test]
        fn a_merged_mean_lies_between_the_extremes(values in proptest::collection::vec(0.0_f64..1e9, 1..100)) {
            let sums = sum_series(values.iter().map(|value| (0, SeriesSum::of(*value))), HOUR_MS);
            let (_, sum) = sums[0];
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            prop_assert_eq!(sum.count as usize, values.len());
            prop_assert!((sum.avg - mean).abs() <= 1e-6 * mean.max(1.0));
            prop_assert!(sum.min <= sum.avg * (1.0 + 1e-9) && sum.avg <= sum.max * (1.0 + 1e-9));
        }

        #[test]
        fn a_merged_history_never_has_more_points_than_asked_for(
            back in 1_i64..500 * DAY, limit in 2_u32..5_000, offset in 0_i64..DAY,
        ) {
            let now = at(1_000 * DAY + offset);
            let since = at(1_000 * DAY + offset - back);
            let Reading { source, width_ms } = choose(&Settings::default(), since, now, limit, now);
            let first = bucket_start(since.as_millisecond(), width_ms);
            let points = (now.as_millisecond() - 1 - first) / width_ms + 1;
            prop_assert!(points <= i64::from(limit), "{points} points of {width_ms} ms");
            prop_assert_eq!(width_ms % source.step_ms().max(1), 0);
        }
    }
}
