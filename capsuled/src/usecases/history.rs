//! Looking back: which stretch is asked for and where the rows that answer it are.

use capsule_api::{HistoryFilter, Settings};
use jiff::{SignedDuration, Timestamp};

use super::UseCaseError;
use crate::rules::retention::{self, Reading, Resolution};

const DEFAULT_POINTS: u32 = 300;
const MOST_POINTS: u32 = 5_000;

/// A stretch of time to read and how many points of it to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub since_ms: i64,
    /// Exclusive.
    pub until_ms: i64,
    pub limit: usize,
    pub reading: Reading,
}

impl Window {
    /// The window that `filter` asks for.
    pub(super) fn of(
        filter: &HistoryFilter,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self, UseCaseError> {
        let until = filter.until.unwrap_or(now);
        let since = match filter.since {
            Some(since) => since,
            None => until.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN),
        };
        if until <= since {
            return Err(UseCaseError::invalid("since", "it must be before until"));
        }
        let limit = filter.limit.unwrap_or(DEFAULT_POINTS);
        if !(1..=MOST_POINTS).contains(&limit) {
            return Err(UseCaseError::invalid("limit", "it must be 1 to 5,000"));
        }
        Ok(Self {
            since_ms: since.as_millisecond(),
            // The end is inclusive for people: a reading of this very millisecond belongs to it.
            until_ms: until.as_millisecond() + 1,
            limit: limit as usize,
            reading: retention::choose(settings, since, until, limit, now),
        })
    }

    /// Length of the roll-ups to read; `None` when single rows answer.
    pub(super) fn step_ms(&self) -> Option<i64> {
        let source = self.reading.source;
        (source != Resolution::Raw).then(|| source.step_ms())
    }

    /// Where the part that roll-ups do not cover yet begins: after the last of them.
    pub(super) fn raw_from(&self, last_rollup_ms: Option<i64>) -> i64 {
        match (self.step_ms(), last_rollup_ms) {
            (Some(step), Some(last)) => self.since_ms.max(last + step),
            _ => self.since_ms,
        }
    }

    /// The newest of `points`, as many as were asked for: a stretch that begins before the window may make
    /// one more.
    pub(super) fn newest<T>(&self, mut points: Vec<T>) -> Vec<T> {
        points.drain(..points.len().saturating_sub(self.limit));
        points
    }
}

/// A stored moment.
pub(super) fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn window(since_days_ago: i64) -> Result<Window, UseCaseError> {
        let now = moment(1_000 * DAY_MS);
        let since = Some(moment((1_000 - since_days_ago) * DAY_MS));
        Window::of(&HistoryFilter { since, ..HistoryFilter::default() }, &Settings::default(), now)
    }

    #[test]
    fn roll_ups_are_followed_by_what_is_not_rolled_up_yet() {
        let window = window(10).expect("valid");
        let step = window.step_ms().expect("ten days are not kept raw");
        assert_eq!(window.raw_from(None), window.since_ms);
        assert_eq!(window.raw_from(Some(999 * DAY_MS)), 999 * DAY_MS + step);
        assert_eq!(window.raw_from(Some(0)), window.since_ms);
    }

    #[test]
    fn a_window_has_a_beginning_before_its_end() {
        assert!(window(-1).is_err());
        let distant = HistoryFilter { until: Some(Timestamp::MIN), ..HistoryFilter::default() };
        assert!(Window::of(&distant, &Settings::default(), moment(0)).is_err());
    }

    #[test]
    fn never_more_points_than_asked_for() {
        let window = Window { limit: 2, ..window(1).expect("valid") };
        assert_eq!(window.newest(vec![1, 2, 3]), [2, 3]);
        assert_eq!(window.newest(vec![1]), [1]);
    }
}
