//! The state machine of one check, and the health of an xNode from the states of its checks.
//!
//! A single lost packet is not an outage: a check is down only after as many failures in a row as it asks
//! for, probed quickly one after the other. A probe that could not be carried out for reasons of our own
//! (blind) says nothing about the xNode and moves nothing.

use std::time::Duration;

use capsule_api::{CheckStatus, Health, Outcome};
use jiff::Timestamp;

use crate::model::{CheckLimits, CheckState, Finding};

/// Intervals without a result that count before a check's state is too old to mean anything.
const STALE_AFTER_INTERVALS: u32 = 3;

/// A change of a check's confirmed state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It is down, confirmed.
    WentDown,
    /// It is up, for the first time or again.
    CameUp,
}

/// What one finding does to a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The state afterwards.
    pub state: CheckState,
    /// The change of the confirmed state, if there was one.
    pub transition: Option<Transition>,
    /// Whether to probe again soon: failing and not yet down, or passing and not yet up.
    pub confirm: bool,
    /// Whether something moved that must survive a restart. False while a check that is up passes and while
    /// one that is down fails for the same reason: then only `last_at` and the count of failures move.
    pub changed: bool,
}

/// The state of a check after `finding`.
///
/// The first pass of a check that has no confirmed state makes it up at once: there is nothing to come back
/// from. `since` of a check that is down is when the run of failures began, not when it was confirmed.
pub fn step(state: &CheckState, finding: &Finding, limits: CheckLimits) -> Step {
    let next = match finding.outcome {
        Outcome::Blind => state.clone(),
        Outcome::Up => pass(state, finding, limits),
        Outcome::Down => fail(state, finding, limits),
    };
    let transition = match next.status {
        CheckStatus::Up if state.status != CheckStatus::Up => Some(Transition::CameUp),
        CheckStatus::Down if state.status != CheckStatus::Down => Some(Transition::WentDown),
        _ => None,
    };
    let confirm = match finding.outcome {
        Outcome::Blind => false,
        Outcome::Up => next.status != CheckStatus::Up,
        Outcome::Down => next.status != CheckStatus::Down,
    };
    let changed = must_persist(state, &next);
    Step { state: next, transition, confirm, changed }
}

fn pass(state: &CheckState, finding: &Finding, limits: CheckLimits) -> CheckState {
    let passes = state.passes.saturating_add(1);
    let needed = if state.status == CheckStatus::Down { limits.up_after.max(1) } else { 1 };
    let next = CheckState { failures: 0, failing_since: None, last_at: Some(finding.at), ..state.clone() };
    if passes < needed {
        return CheckState { passes, ..next };
    }
    let since = if state.status == CheckStatus::Up { state.since } else { Some(finding.at) };
    CheckState { status: CheckStatus::Up, since, passes: 0, reason: String::new(), ..next }
}

fn fail(state: &CheckState, finding: &Finding, limits: CheckLimits) -> CheckState {
    let failing_since = state.failing_since.or(Some(finding.at));
    let next = CheckState {
        status: state.status,
        since: state.since,
        failures: state.failures.saturating_add(1),
        passes: 0,
        failing_since,
        last_at: Some(finding.at),
        reason: finding.detail.clone(),
    };
    if state.status == CheckStatus::Down || next.failures < limits.down_after.max(1) {
        return next;
    }
    CheckState { status: CheckStatus::Down, since: failing_since, ..next }
}

fn must_persist(before: &CheckState, after: &CheckState) -> bool {
    let both_down = before.status == CheckStatus::Down && after.status == CheckStatus::Down;
    let failures_moved = before.failures != after.failures && !both_down;
    failures_moved
        || before.status != after.status
        || before.passes != after.passes
        || before.failing_since != after.failing_since
        || !same_reason(&before.reason, &after.reason)
}

/// Whether two reasons say the same apart from measured times, which differ with every probe.
fn same_reason(one: &str, other: &str) -> bool {
    one == other || timeless(one) == timeless(other)
}

/// The words of a reason without its durations, such as `5.003 s` or `12ms`.
fn timeless(reason: &str) -> Vec<&str> {
    const UNITS: [&str; 4] = ["ms", "s", "µs", "us"];
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_duration = |word: &str| UNITS.iter().any(|unit| word.strip_suffix(unit).is_some_and(is_number));
    let mut words =
        reason.split_whitespace().map(|word| word.trim_matches(['(', ')', ',', ';', ':'])).peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let with_unit = is_number(word) && words.next_if(|next| UNITS.contains(next)).is_some();
        if !with_unit && !is_duration(word) {
            kept.push(word);
        }
    }
    kept
}

/// One enabled check, as far as the health of its xNode goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckView {
    /// The confirmed state.
    pub status: CheckStatus,
    /// When the newest probe that was not blind started.
    pub last_at: Option<Timestamp>,
    /// Time between probes.
    pub interval: Duration,
    /// Deadline of one probe.
    pub timeout: Duration,
}

impl CheckView {
    /// Whether the newest result is too old to mean anything: older than three intervals and a deadline.
    /// That is also how a check ends up that has only been blind for so long.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let allowed = self.interval.saturating_mul(STALE_AFTER_INTERVALS).saturating_add(self.timeout);
        self.last_at
            .is_none_or(|at| Duration::try_from(now.duration_since(at)).is_ok_and(|age| allowed < age))
    }
}

/// The health of an xNode from its enabled checks. A check without a confirmed state, or with one that is
/// too old, is left out; when none is left the health is unknown.
pub fn overall(checks: &[CheckView], now: Timestamp) -> Health {
    let telling = checks.iter().filter(|check| !check.is_stale(now));
    let (up, down) = telling.fold((0_usize, 0_usize), |(up, down), check| match check.status {
        CheckStatus::Up => (up + 1, down),
        CheckStatus::Down => (up, down + 1),
        CheckStatus::Unknown => (up, down),
    });
    match (up, down) {
        (0, 0) => Health::Unknown,
        (_, 0) => Health::Healthy,
        (0, _) => Health::Unhealthy,
        _ => Health::Degraded,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: CheckLimits = CheckLimits { down_after: 2, up_after: 2 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn finding(second: i64, outcome: Outcome) -> Finding {
        Finding { at: at(second), outcome, latency: None, detail: "timed out".to_owned(), host_key: None }
    }

    /// Steps through outcomes, one a second from second 1 on.
    fn run(outcomes: &[Outcome]) -> Step {
        let first = Step { state: CheckState::default(), transition: None, confirm: false, changed: false };
        outcomes
            .iter()
            .zip(1..)
            .fold(first, |before, (outcome, second)| step(&before.state, &finding(second, *outcome), LIMITS))
    }

    use Outcome::{Blind, Down, Up};

    #[test]
    fn the_first_pass_is_enough_and_the_first_failure_is_not() {
        let up = run(&[Up]);
        assert_eq!((up.state.status, up.state.since), (CheckStatus::Up, Some(at(1))));
        assert_eq!(up.transition, Some(Transition::CameUp));
        let failing = run(&[Down]);
        assert_eq!((failing.state.status, failing.state.since), (CheckStatus::Unknown, None));
        assert!(failing.confirm && failing.changed);
    }

    #[test]
    fn down_counts_from_when_it_began_and_ends_when_confirmed() {
        let down = run(&[Up, Down, Down]);
        assert_eq!((down.state.status, down.state.since), (CheckStatus::Down, Some(at(2))));
        assert_eq!(down.transition, Some(Transition::WentDown));
        assert!(!down.confirm);
        let passing = run(&[Up, Down, Down, Up]);
        assert_eq!((passing.state.status, passing.state.since), (CheckStatus::Down, Some(at(2))));
        assert_eq!((passing.transition, passing.confirm, passing.changed), (None, true, true));
        assert_eq!(passing.state.reason, "timed out");
        let up = run(&[Up, Down, Down, Up, Up]);
        assert_eq!((up.state.status, up.state.since), (CheckStatus::Up, Some(at(5))));
        assert_eq!((up.state.passes, up.state.reason.as_str()), (0, ""));
        let relapsed = run(&[Up, Down, Down, Up, Down]);
        assert_eq!((relapsed.state.status, relapsed.state.since), (CheckStatus::Down, Some(at(2))));
    }

    #[test]
    fn blindness_moves_nothing() {
        for before in [&[][..], &[Up][..], &[Down][..], &[Up, Down, Down, Up][..]] {
            let state = run(before).state;
            let blind = step(&state, &finding(99, Blind), LIMITS);
            assert_eq!(blind, Step { state, transition: None, confirm: false, changed: false });
        }
    }

    #[test]
    fn only_news_is_persisted() {
        for (outcomes, changed) in [
            (&[Up, Up][..], false),
            (&[Up, Down][..], true),
            (&[Up, Down, Up][..], true),
            (&[Down, Down, Down][..], false),
            (&[Down, Down, Up][..], true),
        ] {
            assert_eq!(run(outcomes).changed, changed, "{outcomes:?}");
        }
        let down = run(&[Down, Down]).state;
        let says = |detail: &str| {
            let finding = Finding { detail: detail.to_owned(), ..finding(9, Down) };
            step(
                &CheckState { reason: "no answer within 5.002 s".to_owned(), ..down.clone() },
                &finding,
                LIMITS,
            )
        };
        assert!(!says("no answer within 5.1 s").changed);
        assert!(!says("no answer within 5001ms").changed);
        assert!(says("connection refused").changed);
        assert_ne!(timeless("status 502"), timeless("status 503"));
    }

    fn view(status: CheckStatus, last_at: Option<i64>) -> CheckView {
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(5));
        CheckView { status, last_at: last_at.map(at), interval, timeout }
    }

    #[test]
    fn health_is_what_fresh_confirmed_checks_say() {
        let (up, down) = (view(CheckStatus::Up, Some(100)), view(CheckStatus::Down, Some(100)));
        let (new, old) = (view(CheckStatus::Unknown, Some(100)), view(CheckStatus::Down, Some(64)));
        for (checks, health) in [
            (&[][..], Health::Unknown),
            (&[new][..], Health::Unknown),
            (&[old][..], Health::Unknown),
            (&[view(CheckStatus::Up, None)][..], Health::Unknown),
            (&[up, up][..], Health::Healthy),
            (&[up, new, old][..], Health::Healthy),
            (&[up, down][..], Health::Degraded),
            (&[down, new][..], Health::Unhealthy),
        ] {
            assert_eq!(overall(checks, at(100)), health, "{checks:?}");
        }
        assert!(
            !view(CheckStatus::Up, Some(65)).is_stale(at(100)),
            "three intervals and a deadline are allowed"
        );
        assert!(!view(CheckStatus::Up, Some(200)).is_stale(at(100)), "the clock was set back");
    }

    fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
        proptest::collection::vec(prop_oneof![Just(Up), Just(Down), Just(Blind)], 0..60)
    }

    proptest! {
        #[test]
        fn nothing_is_confirmed_without_enough_results_in_a_row(
            outcomes in outcomes(), down_after in 1_u32..5, up_after in 1_u32..5,
        ) {
            let limits = CheckLimits { down_after, up_after };
            let mut state = CheckState::default();
            let (mut failures, mut passes) = (0, 0);
            for (outcome, second) in outcomes.into_iter().zip(1..) {
                match outcome {
                    Up => (failures, passes) = (0, passes + 1),
                    Down => (failures, passes) = (failures + 1, 0),
                    Blind => {}
                }
                let was_unknown = state.status == CheckStatus::Unknown;
                let next = step(&state, &finding(second, outcome), limits);
                match next.transition {
                    Some(Transition::WentDown) => prop_assert_eq!(failures, down_after),
                    Some(Transition::CameUp) => prop_assert!(was_unknown || passes == up_after),
                    None => prop_assert_eq!(next.state.status, state.status),
                }
                prop_assert_eq!(next.state.failures, failures);
                prop_assert_eq!(next.state.failing_since.is_some(), 0 < failures);
                prop_assert!(next.transition.is_none() || (next.changed && !next.confirm));
                state = next.state;
            }
        }
    }
}
