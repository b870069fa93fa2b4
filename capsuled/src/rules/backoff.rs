//! How long to wait before trying again. Randomness comes in as a value, so the sequences are testable.

use std::time::Duration;

use jiff::Timestamp;

/// Longest wait between two tries of a delivery, before jitter.
const DELIVERY_CAP: Duration = Duration::from_secs(300);
/// Longest wait between two attempts to connect, before jitter.
const RECONNECT_CAP: Duration = Duration::from_secs(60);
/// First and longest wait before an end of a time to live is asked for again.
const FIRST_END: Duration = Duration::from_secs(300);
const END_CAP: Duration = Duration::from_secs(6 * 3600);
/// Longest jitter, as a share of the wait.
const JITTER_SHARE: f64 = 0.25;
/// How long a delivery is kept before it is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Wait before try `attempt` (0-based) is repeated: 1 s, 2 s, 4 s … capped at 5 min, then up to +25 % by
/// `jitter`, which is clamped into 0–1.
pub fn delay(attempt: u32, jitter: f64) -> Duration {
    doubling(attempt, DELIVERY_CAP, jitter)
}

/// Wait before connecting again after `attempt` (0-based) failed: 1 s, 2 s, 4 s … capped at 1 min, then up
/// to +25 % by `jitter`.
pub fn reconnect(attempt: u32, jitter: f64) -> Duration {
    doubling(attempt, RECONNECT_CAP, jitter)
}

/// Wait before the end of a time to live, which came to nothing `tries` times (at least 1), is asked for again:
/// 5 min, 10 min, 20 min … capped at 6 h. Each try is an operation that people are told of.
pub fn end_again(tries: u32) -> Duration {
    let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_END.saturating_mul(doubled).min(END_CAP)
}

/// A receiver's `Retry-After`, clamped into 1 s to 1 h: zero would hammer it, a day would hide an alert.
pub fn clamp_retry_after(asked: Duration) -> Duration {
    asked.clamp(Duration::from_secs(1), Duration::from_secs(3600))
}

/// When a delivery made at `created_at` is tried next, after `attempts` tries have failed (at least 1);
/// `None`: give up. A receiver's `Retry-After` lengthens the wait, it never shortens it. The last try falls
/// on the end of the 24 hours, so none is given up early.
pub fn next_try(
    created_at: Timestamp,
    now: Timestamp,
    attempts: u32,
    retry_after: Option<Duration>,
    jitter: f64,
) -> Option<Timestamp> {
    let deadline = created_at + GIVE_UP_AFTER;
    if deadline <= now {
        return None;
    }
    let own = delay(attempts.saturating_sub(1), jitter);
    let wait = retry_after.map_or(own, |asked| clamp_retry_after(asked).max(own));
    Some((now + wait).min(deadline))
}

fn doubling(attempt: u32, cap: Duration, jitter: f64) -> Duration {
    let seconds = 1_u64.checked_shl(attempt).unwrap_or(u64::MAX);
    let wait = Duration::from_secs(seconds).min(cap);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    wait.mul_f64(1.0 + JITTER_SHARE * jitter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<u64> = (0..11).map(|attempt| delay(attempt, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(delay(u32::MAX, 0.0), seconds(300));
        assert_eq!(reconnect(9, 0.0), seconds(60));
        assert_eq!(delay(2, 1.0), seconds(5));
        assert_eq!(delay(2, f64::NAN), seconds(4));
    }

    #[test]
    fn an_end_that_is_refused_is_asked_for_less_and_less_often() {
        let minutes: Vec<u64> = (0..9).map(|tries| end_again(tries).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 5, 10, 20, 40, 80, 160, 320, 360]);
        assert_eq!(end_again(u32::MAX), END_CAP);
    }

    #[test]
    fn retry_after_lengthens_the_wait_within_reason() {
        let now = Timestamp::UNIX_EPOCH;
        let next = |attempts, asked: Option<u64>| {
            let next = next_try(now, now, attempts, asked.map(seconds), 0.0).expect("not given up");
            next.duration_since(now).as_secs()
        };
        assert_eq!(next(1, None), 1);
        assert_eq!(next(1, Some(0)), 1);
        assert_eq!(next(1, Some(90)), 90);
        assert_eq!(next(1, Some(1_000_000)), 3_600);
        assert_eq!(next(9, Some(1)), 256);
    }

    #[test]
    fn a_delivery_is_tried_for_a_whole_day_and_then_given_up() {
        let created = Timestamp::UNIX_EPOCH;
        let deadline = created + GIVE_UP_AFTER;
        let shortly_before = deadline - seconds(10);
        assert_eq!(next_try(created, shortly_before, 300, None, 1.0), Some(deadline));
        assert_eq!(next_try(created, deadline, 301, None, 0.0), None);
    }

    proptest! {
        #[test]
        fn waits_never_shrink_and_never_leave_their_bounds(attempt in 0_u32..80, jitter in 0.0_f64..1.0) {
            prop_assert!(delay(attempt, 0.0) <= delay(attempt + 1, 0.0));
            prop_assert!(delay(attempt, 0.0) <= delay(attempt, jitter));
            prop_assert!(delay(attempt, jitter) <= DELIVERY_CAP.mul_f64(1.25));
            prop_assert!(reconnect(attempt, jitter) <= RECONNECT_CAP.mul_f64(1.25));
        }
    }
}
