//! Time as the daemon sees it: the one place that reads the system's clocks.
//!
//! Schedules, backoffs, staleness and look-up windows ask a [`Clock`]; I/O deadlines are real tokio time.
//! Debug builds can move time by hand ([`Clock::advance`]), which wakes every sleeper whose moment has
//! come, so a test lets two hours pass in no time. Release builds cannot: the function is not there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Wall time, monotonic time and sleeping, all moved together in tests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock {
    started: Instant,
    offset_ms: Arc<AtomicI64>,
    moved: watch::Sender<()>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self { started: Instant::now(), offset_ms: Arc::default(), moved: watch::Sender::new(()) }
    }

    /// Now, in wall time, to the millisecond: what is told at once and what is read back from the database
    /// are then the same.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now() + SignedDuration::from_millis(self.offset_ms.load(Ordering::Acquire));
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// The wall time `wait` from now, to the millisecond like [`Clock::now`].
    pub fn after(&self, wait: Duration) -> Timestamp {
        let wait = SignedDuration::from_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self.now().saturating_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// Time since the daemon started; never goes back.
    pub fn elapsed(&self) -> Duration {
        let offset = self.offset_ms.load(Ordering::Acquire).unsigned_abs();
        self.started.elapsed() + Duration::from_millis(offset)
    }

    /// Returns once [`Clock::elapsed`] has reached `moment`. Cancel-safe.
    pub async fn sleep_until(&self, moment: Duration) {
        let mut moved = self.moved.subscribe();
        loop {
            let Some(left) = moment.checked_sub(self.elapsed()).filter(|left| !left.is_zero()) else {
                return;
            };
            tokio::select! {
                () = sleep_until(Instant::now() + left) => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// Returns after `duration`. Cancel-safe.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.elapsed() + duration).await;
    }

    /// Moves wall and monotonic time forward and wakes whoever waits for a moment that has come.
    #[cfg(debug_assertions)]
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.offset_ms.fetch_add(by, Ordering::AcqRel);
        self.moved.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_to_come_is_told_to_the_millisecond() {
        let at = Clock::system().after(Duration::new(1, 234_567_891));
        assert_eq!(at.as_nanosecond() % 1_000_000, 0);
        assert_eq!(Clock::system().after(Duration::MAX), Timestamp::MAX);
    }

    #[tokio::test]
    async fn advancing_wakes_sleepers_whose_moment_has_come() {
        let clock = Clock::system();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(7200)).await }
        });
        tokio::task::yield_now().await;
        let before = clock.now();
        clock.advance(Duration::from_secs(7200));
        tokio::time::timeout(Duration::from_secs(5), sleeper).await.expect("woken").expect("no panic");
        assert!(clock.now().duration_since(before) >= SignedDuration::from_hours(2));
    }
}
