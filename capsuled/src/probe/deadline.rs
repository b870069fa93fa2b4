//! The deadline of a probe, and whether it was we who missed it.
//!
//! A probe that ran out of time says "the node is down" only if we were there to hear the answer. Two things
//! tell that we were not: the probe was still waiting for something of ours (the resolver, its turn to send;
//! [`Progress`]), or our thread stood still while it ran ([`Watched::stalled`]). The second is measured with
//! timers: they are set at a fifth of the time allowed, so a standstill of three tenths of it always shows,
//! a shorter one left the node at least seven tenths, and a probe that is answered at once costs one timer.

use std::{
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::seen::{Seen, Verdict, span};

/// Lateness of a timer that is normal for a timer wheel of 1 ms and a thread with other work to do.
const NORMAL_LATENESS: Duration = Duration::from_millis(20);

/// How a probe under watch ended.
#[derive(Debug)]
pub(super) struct Watched<T> {
    /// What it returned; `None` when the time was over first.
    pub output: Option<T>,
    /// How long our own thread is known to have stood still meanwhile.
    pub stalled: Duration,
}

/// Runs `probe` for at most `timeout`. Standing still is measured more finely for the first `patience`, where
/// the probe has a limit below its deadline.
pub(super) async fn watch<F: Future>(
    timeout: Duration,
    patience: Duration,
    mut probe: Pin<&mut F>,
) -> Watched<F::Output> {
    let started = Instant::now();
    let deadline = started + timeout;
    let mut stalled = Duration::ZERO;
    let mut timer = pin!(sleep_until(started + patience.min(timeout) / 5));
    loop {
        // Biased: an answer that is there counts, even if we come late to read it.
        let output = tokio::select! {
            biased;
            output = probe.as_mut() => Some(output),
            () = &mut timer => None,
        };
        let now = Instant::now();
        let late = now.saturating_duration_since(timer.deadline());
        if late > NORMAL_LATENESS {
            stalled += late;
        }
        if output.is_some() || now >= deadline {
            return Watched { output, stalled };
        }
        let tick = if now < started + patience { patience.min(timeout) / 5 } else { timeout / 5 };
        timer.as_mut().reset((now + tick).min(deadline));
    }
}

/// What `seen` means given how long we stood still: a failure for lack of time is not the node's when at
/// least a tenth of the time allowed was lost on our side.
pub(super) fn judge(seen: Seen, stalled: Duration) -> Seen {
    match seen.verdict {
        Verdict::Slow(allowed) if stalled >= (allowed / 10).max(NORMAL_LATENESS) => Seen::blind(format!(
            "we were overloaded: our own thread stood still for {} of the {} allowed",
            span(stalled),
            span(allowed)
        )),
        _ => seen,
    }
}

/// What a probe is waiting for at the moment, so that a deadline that passes while it is something of ours is
/// told as our trouble. Outlives the probe's future, which is dropped at the deadline.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Waits>);

#[derive(Debug, Default)]
struct Waits {
    /// How many parts of the probe wait for something of ours, and what the newest of them misses.
    own: u32,
    trouble: &'static str,
    /// What is missing when the node does not answer; empty: an answer.
    miss: &'static str,
}

impl Progress {
    /// Awaits something of ours; `trouble` says what to report if it does not come in time.
    pub async fn own<F: Future>(&self, trouble: &'static str, awaited: F) -> F::Output {
        self.change(|waits| {
            waits.own += 1;
            waits.trouble = trouble;
        });
        let output = awaited.await;
        self.change(|waits| waits.own -= 1);
        output
    }

    /// What to report if the node does not answer in time, instead of "no answer".
    pub fn miss(&self, miss: &'static str) {
        self.change(|waits| waits.miss = miss);
    }

    /// What to report when the deadline has passed.
    pub fn expired(&self, timeout: Duration) -> Seen {
        let shown = span(timeout);
        self.change(|waits| match (waits.own, waits.miss) {
            (0, "") => Seen::slow(format!("no answer within {shown}"), timeout),
            (0, miss) => Seen::slow(format!("{miss} within {shown}"), timeout),
            (_, _) => Seen::blind(format!("{} within {shown}", waits.trouble)),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waits) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(200);

    /// Holds the thread the way an overload would.
    fn stand_still(duration: Duration) {
        let until = std::time::Instant::now() + duration;
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn a_deadline_we_were_there_for_is_the_nodes() {
        assert!(watch(TIMEOUT, TIMEOUT, pin!(pending::<()>())).await.output.is_none());
        let seen = judge(Progress::default().expired(TIMEOUT), Duration::ZERO);
        assert_eq!(seen.detail, "no answer within 200 ms");
        assert_eq!(seen.verdict, Verdict::Slow(TIMEOUT));
    }

    #[tokio::test]
    async fn a_deadline_that_passed_while_we_stood_still_is_ours() {
        let blocker = tokio::spawn(async { stand_still(TIMEOUT * 2) });
        let watched = watch(TIMEOUT, TIMEOUT, pin!(pending::<()>())).await;
        blocker.await.expect("no panic");
        assert!(watched.stalled >= TIMEOUT, "{:?}", watched.stalled);
        let seen = judge(Progress::default().expired(TIMEOUT), watched.stalled);
        assert_eq!(seen.verdict, Verdict::Blind);
        assert!(seen.detail.contains("overloaded"), "{}", seen.detail);
    }

    #[tokio::test]
    async fn a_standstill_inside_the_time_allowed_is_seen_too() {
        let blocker = tokio::spawn(async { stand_still(TIMEOUT / 2) });
        let watched = watch(TIMEOUT, TIMEOUT, pin!(pending::<()>())).await;
        blocker.await.expect("no panic");
        assert!(watched.stalled >= TIMEOUT / 10, "{:?}", watched.stalled);
    }

    #[tokio::test]
    async fn an_answer_that_is_there_counts_however_late_we_are() {
        let probe = pin!(async {
            tokio::task::yield_now().await;
            stand_still(TIMEOUT * 2);
            "answer"
        });
        let watched = watch(TIMEOUT, TIMEOUT, probe).await;
        assert_eq!(watched.output, Some("answer"));
        assert!(watched.stalled >= TIMEOUT, "{:?}", watched.stalled);
    }

    #[tokio::test]
    async fn waiting_for_something_of_ours_is_told_as_ours() {
        let progress = Progress::default();
        let probe = pin!(progress.own("our resolver did not answer", pending::<()>()));
        let watched = watch(TIMEOUT, TIMEOUT, probe).await;
        assert!(watched.output.is_none());
        let seen = progress.expired(TIMEOUT);
        assert_eq!(seen.verdict, Verdict::Blind);
        assert_eq!(seen.detail, "our resolver did not answer within 200 ms");
    }

    #[test]
    fn a_refusal_stays_a_refusal_however_late_we_are() {
        let seen = judge(Seen::down("connection refused"), TIMEOUT);
        assert_eq!(seen.verdict, Verdict::Down);
    }
}
