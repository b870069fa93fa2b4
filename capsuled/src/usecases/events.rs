//! The feed of events: from a point in the past through the table and on into the live stream, without a
//! gap and without a repeat.
//!
//! The subscription is taken before the table is read, so what is committed meanwhile is in both, and the
//! sequence number tells which to drop. A reader that falls behind the live buffer is told so and ends; it
//! can come back with the last id it saw.

use std::{collections::VecDeque, sync::Arc};

use capsule_api::{Event, EventKind, Role};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{UseCaseError, xnodes};
use crate::{
    context::Context,
    store::{Store, events},
};

/// Events read from the table at once.
const BATCH: i64 = 500;

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// An event.
    Event(Arc<Event>),
    /// The reader was too slow: this many events were dropped. Nothing follows.
    Lagged(u64),
    /// The daemon is stopping. Nothing follows.
    Closed,
}

/// A reader's place in the event log.
#[derive(Debug)]
pub struct Feed {
    store: Store,
    live: broadcast::Receiver<Arc<Event>>,
    /// Read from the table, not handed out yet.
    backlog: VecDeque<Event>,
    caught_up: bool,
    last_seq: i64,
    kinds: Vec<EventKind>,
    role: Role,
}

impl Feed {
    /// A feed of the events after `since` (an event's id), or from now on. `kinds` of none means all.
    ///
    /// # Errors
    /// [`UseCaseError::EventsGone`] when what followed `since` is no longer known.
    pub async fn open(
        context: &Context,
        since: Option<&str>,
        kinds: Vec<EventKind>,
        role: Role,
    ) -> Result<Self, UseCaseError> {
        let store = context.store.clone();
        let live = store.subscribe();
        let bounds = events::bounds(&mut *store.reader().await?).await?;
        let newest = bounds.map_or(0, |(_, last)| last);
        let last_seq = match since {
            Some(since) => resume(store.epoch(), bounds, since)?,
            None => newest,
        };
        let caught_up = last_seq == newest;
        Ok(Self { store, live, backlog: VecDeque::new(), caught_up, last_seq, kinds, role })
    }

    /// The id of the newest event this reader has seen.
    pub fn position(&self) -> String {
        format!("{}-{}", self.store.epoch(), self.last_seq)
    }

    /// The next event that the reader asked for. Cancel-safe.
    ///
    /// # Errors
    /// The table cannot be read; the reader may call again.
    pub async fn next(&mut self) -> Result<Next, UseCaseError> {
        loop {
            let event = match self.next_of_any_kind().await? {
                Next::Event(event) => event,
                end => return Ok(end),
            };
            if self.kinds.is_empty() || self.kinds.contains(&event.kind) {
                return Ok(Next::Event(self.shown(event)));
            }
        }
    }

    async fn next_of_any_kind(&mut self) -> Result<Next, UseCaseError> {
        loop {
            if let Some(event) = self.backlog.pop_front() {
                self.last_seq = seq_of(&event);
                return Ok(Next::Event(Arc::new(event)));
            }
            if self.caught_up {
                break;
            }
            let mut reader = self.store.reader().await?;
            let batch = events::after(&mut reader, self.store.epoch(), self.last_seq, BATCH).await?;
            self.caught_up = batch.is_empty();
            self.backlog = batch.into();
        }
        loop {
            match self.live.recv().await {
                Ok(event) if seq_of(&event) <= self.last_seq => {}
                Ok(event) => {
                    self.last_seq = seq_of(&event);
                    return Ok(Next::Event(event));
                }
                Err(RecvError::Lagged(missed)) => return Ok(Next::Lagged(missed)),
                Err(RecvError::Closed) => return Ok(Next::Closed),
            }
        }
    }

    /// The event as this reader may see it.
    fn shown(&self, event: Arc<Event>) -> Arc<Event> {
        if self.role != Role::Reader {
            return event;
        }
        let mut event = Arc::unwrap_or_clone(event);
        xnodes::hide_header_values(&mut event.data);
        Arc::new(event)
    }
}

/// The sequence number in an event's id.
fn seq_of(event: &Event) -> i64 {
    event.id.rsplit_once('-').and_then(|(_, seq)| seq.parse().ok()).unwrap_or(0)
}

/// The sequence number to continue after.
fn resume(epoch: &str, bounds: Option<(i64, i64)>, since: &str) -> Result<i64, UseCaseError> {
    let gone = || UseCaseError::EventsGone { since: since.chars().take(64).collect() };
    let (given_epoch, seq) = since.rsplit_once('-').ok_or_else(gone)?;
    let seq: i64 = seq.parse().map_err(|_| gone())?;
    let (first, last) = bounds.unwrap_or((1, 0));
    let known = given_epoch == epoch && first - 1 <= seq && seq <= last;
    if known { Ok(seq) } else { Err(gone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_point_whose_successors_are_all_kept_can_be_resumed_from() {
        let kept = Some((10, 20));
        assert_eq!(resume("e", kept, "e-9").expect("10 is the next"), 9);
        assert_eq!(resume("e", kept, "e-20").expect("nothing missed"), 20);
        assert_eq!(resume("e", None, "e-0").expect("nothing ever happened"), 0);
        for gone in ["e-8", "e-21", "other-12", "e", "e-x", ""] {
            assert!(matches!(resume("e", kept, gone), Err(UseCaseError::EventsGone { .. })), "{gone}");
        }
    }
}
