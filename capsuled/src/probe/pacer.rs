//! How fast pings may leave.
//!
//! Answers arrive in the burst in which the questions left, and what does not fit into the socket's receive
//! buffer is gone: unpaced, one sweep over healthy targets made up to half of them look dead. So no rolling
//! window of 50 ms sees more than 128 sends. The times recorded are those at which a turn was really given,
//! because a timer that fires late would otherwise let a whole window's worth leave at once.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// Length of the rolling window.
const WINDOW: Duration = Duration::from_millis(50);
/// Most sends in it: 128 answers fit into the receive buffer that Linux gives without privileges (208 KiB,
/// of which every small packet takes about 1.3 KiB), and 2,560 pings a second are 25,600 checks at 10 s.
const SENDS: usize = 128;

/// Gives turns to send, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    recent: Mutex<Sends>,
}

impl Pacer {
    /// Returns when the caller may send, with the moment. Cancel-safe: a caller that goes away gives its turn
    /// to the next.
    pub async fn turn(&self) -> Instant {
        let mut recent = self.recent.lock().await;
        if let Some(moment) = recent.next_turn()
            && moment > Instant::now()
        {
            sleep_until(moment).await;
        }
        let now = Instant::now();
        recent.record(now);
        now
    }
}

/// When the last 128 sends were, as a ring.
#[derive(Debug, Default)]
struct Sends {
    times: Vec<Instant>,
    oldest: usize,
}

impl Sends {
    /// The moment from which one more is within the limit; `None` before the first 128.
    fn next_turn(&self) -> Option<Instant> {
        if self.times.len() < SENDS {
            return None;
        }
        self.times.get(self.oldest).map(|sent| *sent + WINDOW)
    }

    fn record(&mut self, sent: Instant) {
        if self.times.len() < SENDS {
            self.times.push(sent);
            return;
        }
        if let Some(slot) = self.times.get_mut(self.oldest) {
            *slot = sent;
        }
        self.oldest = (self.oldest + 1) % SENDS;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn no_rolling_window_sees_more_than_the_limit() {
        let pacer = Arc::new(Pacer::default());
        let turns: Vec<_> = (0..600)
            .map(|_| {
                let pacer = Arc::clone(&pacer);
                tokio::spawn(async move { pacer.turn().await })
            })
            .collect();
        let mut times = Vec::new();
        for turn in turns {
            times.push(turn.await.expect("no panic"));
        }
        times.sort();
        let closest = times.windows(SENDS + 1).map(|window| window[SENDS] - window[0]).min();
        assert!(closest.expect("600 turns") >= WINDOW, "{closest:?}");
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_hold_up_the_next() {
        let pacer = Pacer::default();
        for _ in 0..SENDS {
            pacer.turn().await;
        }
        assert!(tokio::time::timeout(Duration::from_millis(1), pacer.turn()).await.is_err());
        tokio::time::timeout(WINDOW * 20, pacer.turn()).await.expect("the next turn comes");
    }
}
