//! SSH connections for the connections through one tunnel: one each while there are not too many.
//!
//! Over one SSH connection, a download that nobody reads holds up every other connection beside it (see
//! [`crate::ssh`]); apart, each has its own back-pressure. A lane that is free again serves the next
//! connection, so a browser's eighty requests over six connections log in six times.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

use crate::ssh::{self, Destination, Limits, Session, SshError};

/// Lanes of one tunnel, about 62 KiB each; beyond, connections share them.
const MOST: usize = 16;
/// A lane that nobody used for this long ends; the first stays.
const IDLE: Duration = Duration::from_secs(60);
/// Log-ins at the same time; OpenSSH drops some beyond ten (`MaxStartups`).
const LOGGING_IN: usize = 4;

/// The lanes of a tunnel.
#[derive(Debug)]
pub(super) struct Lanes {
    /// With the host key that the first connection showed.
    destination: Destination,
    logging_in: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lanes: Vec<Lane>,
    /// Lanes that log in.
    coming: usize,
}

#[derive(Debug)]
struct Lane {
    session: Arc<Session>,
    riders: usize,
    used: Instant,
}

/// A connection's place on a lane.
#[derive(Debug)]
pub(super) struct Ride {
    pub(super) session: Arc<Session>,
    lanes: Arc<Lanes>,
}

impl Drop for Ride {
    fn drop(&mut self) {
        let mut state = self.lanes.state();
        if let Some(lane) = state.lanes.iter_mut().find(|lane| Arc::ptr_eq(&lane.session, &self.session)) {
            lane.riders -= 1;
            lane.used = Instant::now();
        }
    }
}

/// Where the next connection goes.
enum Next {
    Ride(Ride),
    NewLane(Coming),
}

/// A lane that is logging in; counted until it has or has not.
struct Coming(Arc<Lanes>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.state().coming -= 1;
    }
}

impl Lanes {
    /// The lanes of a tunnel, of which the first is there.
    pub(super) fn new(destination: Destination, first: Arc<Session>) -> Arc<Self> {
        let lanes = vec![Lane { session: first, riders: 0, used: Instant::now() }];
        let state = Mutex::new(State { lanes, coming: 0 });
        Arc::new(Self { destination, logging_in: Semaphore::new(LOGGING_IN), state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one connection: on a free lane, on a new one, or shared when there are too many.
    pub(super) async fn ride(self: &Arc<Self>) -> Result<Ride, SshError> {
        let coming = match self.next() {
            Next::Ride(ride) => return Ok(ride),
            Next::NewLane(coming) => coming,
        };
        let _turn = self.logging_in.acquire().await;
        let session = Arc::new(ssh::connect_for_streams(&self.destination, Limits::default()).await?);
        let lane = Lane { session: Arc::clone(&session), riders: 1, used: Instant::now() };
        self.state().lanes.push(lane);
        drop(coming);
        Ok(Ride { session, lanes: Arc::clone(self) })
    }

    fn next(self: &Arc<Self>) -> Next {
        let now = Instant::now();
        let mut state = self.state();
        let mut place = 0;
        state.lanes.retain(|lane| {
            place += 1;
            let idle = lane.riders == 0 && IDLE <= now - lane.used && 1 < place;
            lane.session.is_usable() && !idle
        });
        let full = MOST <= state.lanes.len() + state.coming;
        match state.lanes.iter_mut().min_by_key(|lane| lane.riders) {
            Some(lane) if lane.riders == 0 || full => {
                lane.riders += 1;
                Next::Ride(Ride { session: Arc::clone(&lane.session), lanes: Arc::clone(self) })
            }
            _ => {
                state.coming += 1;
                Next::NewLane(Coming(Arc::clone(self)))
            }
        }
    }
}
