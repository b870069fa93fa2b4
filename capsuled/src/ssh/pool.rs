//! Sessions that are kept between uses, within a budget.
//!
//! A collection over a kept session costs a fifth of one over a fresh one, but a session costs about
//! 62 KiB here and a process on the node. So the number is bounded, unused ones end after ten minutes, and
//! when the budget is full the least recently used one makes room. A session that was used only a moment
//! ago is protected: with more nodes than budget, visited in turn, plain "least recently used" would evict
//! each session just before its next use and keep nothing of value.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{Command, Destination, Limits, Output, Remote, Session, SshError, Stage, connect};

/// The pool's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections kept at most, jump hosts included; about 62 KiB each.
    pub max_sessions: usize,
    /// A session unused for this long ends.
    pub idle: Duration,
    /// A session used within this time is not evicted for another node.
    pub protect: Duration,
    /// Deadlines of connecting.
    pub connect: Limits,
}

impl Default for PoolLimits {
    /// 512 sessions (32 MiB), ten minutes, protected for two: twice the default interval of readings.
    fn default() -> Self {
        Self {
            max_sessions: 512,
            idle: Duration::from_secs(600),
            protect: Duration::from_secs(120),
            connect: Limits::default(),
        }
    }
}

/// Kept sessions, by a key of the caller's (an xNode's number). Cheap to clone; clones share the sessions.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: PoolLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<i64, Kept>,
    /// One lock per key that is being connected, so that two callers make one connection.
    turns: HashMap<i64, Arc<tokio::sync::Mutex<()>>>,
    closed: bool,
}

#[derive(Debug)]
struct Kept {
    session: Arc<Session>,
    used: Instant,
}

impl Kept {
    fn in_use(&self) -> bool {
        Arc::strong_count(&self.session) > 1
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        Self { shared: Arc::new(Shared { limits, state: Mutex::default() }) }
    }

    /// The kept session for `key`, or a new one. One whose destination has changed (address, user, key,
    /// pinned host key, jump host) is replaced. Callers with the same key wait for one connection.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn session(&self, key: i64, destination: &Destination) -> Result<Pooled, SshError> {
        self.sweep();
        if let Some(session) = self.kept(key, destination) {
            return Ok(self.pooled(session, key, destination, true));
        }
        let session = self.connect_in_turn(key, destination).await?;
        Ok(self.pooled(session, key, destination, false))
    }

    /// Ends the session for `key`; whoever uses it at the moment finishes first.
    pub fn forget(&self, key: i64) {
        self.state().kept.remove(&key);
    }

    /// Number of sessions kept at present.
    pub fn len(&self) -> usize {
        self.state().kept.len()
    }

    /// Whether no session is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends sessions that died or were not used for too long. Called by every use of the pool; a caller that
    /// may go silent calls it from time to time.
    pub fn sweep(&self) {
        let now = Instant::now();
        let idle = self.shared.limits.idle;
        let stale = |kept: &Kept| !kept.session.is_usable() || (!kept.in_use() && now - kept.used >= idle);
        self.state().kept.retain(|_, kept| !stale(kept));
    }

    /// Says good-bye on every session and keeps none from now on. Sessions in use end with their use.
    pub async fn close(&self) {
        let kept = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.kept)
        };
        let free = kept.into_values().filter_map(|kept| Arc::into_inner(kept.session));
        join_all(free.map(Session::close)).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The lock is held for map operations only; a panic inside leaves the map usable.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pooled(&self, session: Arc<Session>, key: i64, destination: &Destination, reused: bool) -> Pooled {
        Pooled { pool: self.clone(), session, key, destination: destination.clone(), reused }
    }

    fn kept(&self, key: i64, destination: &Destination) -> Option<Arc<Session>> {
        let mut state = self.state();
        let kept = state.kept.get_mut(&key)?;
        if kept.session.is_usable() && kept.session.serves(destination) {
            kept.used = Instant::now();
            return Some(Arc::clone(&kept.session));
        }
        state.kept.remove(&key);
        None
    }

    async fn connect_in_turn(&self, key: i64, destination: &Destination) -> Result<Arc<Session>, SshError> {
        let limits = self.shared.limits.connect;
        let turn = Turn::take(self, key);
        let waited = timeout(limits.total(destination.hops().len()), turn.lock.lock()).await;
        let _connecting = waited.map_err(|_| SshError::TimedOut { stage: Stage::Connect })?;
        if let Some(session) = self.kept(key, destination) {
            return Ok(session);
        }
        let session = Arc::new(connect(destination, limits).await?);
        self.keep(key, &session);
        Ok(session)
    }

    /// Keeps `session` if the budget allows, or if an older one may go for it.
    fn keep(&self, key: i64, session: &Arc<Session>) {
        let now = Instant::now();
        let limits = self.shared.limits;
        let mut state = self.state();
        state.kept.remove(&key);
        let mut used: usize = state.kept.values().map(|kept| kept.session.hops()).sum();
        while used + session.hops() > limits.max_sessions {
            let free =
                state.kept.iter().filter(|(_, kept)| !kept.in_use() && now - kept.used >= limits.protect);
            let Some(oldest) = free.min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key) else {
                return;
            };
            used -= state.kept.remove(&oldest).map_or(0, |kept| kept.session.hops());
        }
        if !state.closed {
            state.kept.insert(key, Kept { session: Arc::clone(session), used: now });
        }
    }
}

/// A caller's place in the queue of those who connect for one key; the queue goes when the last has left.
struct Turn<'a> {
    pool: &'a Pool,
    key: i64,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> Turn<'a> {
    fn take(pool: &'a Pool, key: i64) -> Self {
        let lock = Arc::clone(pool.state().turns.entry(key).or_default());
        Self { pool, key, lock }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        // Two holders: the map and this turn.
        if Arc::strong_count(&self.lock) <= 2 {
            state.turns.remove(&self.key);
        }
    }
}

/// A session from a pool. When it was a kept one and turns out to have died meanwhile, the first command
/// runs over a fresh one instead; a command that had begun is never repeated. Connecting anew has its own
/// deadlines, and the command then has its whole deadline again.
#[derive(Debug)]
pub struct Pooled {
    pool: Pool,
    session: Arc<Session>,
    key: i64,
    destination: Destination,
    reused: bool,
}

impl Pooled {
    /// The session itself.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The host key the node proved to have, in OpenSSH form: to be pinned at the first contact.
    pub fn host_key(&self) -> &str {
        self.session.host_key()
    }

    /// Whether the session had been kept from an earlier use.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// A fresh session in place of the dead one, with the very same host key.
    async fn replacement(&self) -> Result<Arc<Session>, SshError> {
        let pinned = Some(self.host_key().to_owned());
        let destination = Destination { pinned, ..self.destination.clone() };
        // The dead session may not have noticed its death, so it has to be taken out by hand.
        let dead = |kept: &Kept| Arc::ptr_eq(&kept.session, &self.session);
        self.pool.state().kept.retain(|_, kept| !dead(kept));
        self.pool.connect_in_turn(self.key, &destination).await
    }
}

impl Remote for Pooled {
    async fn run(&self, command: impl Into<Command> + Send, deadline: Duration) -> Result<Output, SshError> {
        let command = command.into();
        match self.session.run(command.clone(), deadline).await {
            Err(error) if self.reused && error.is_stale() => {
                self.replacement().await?.run(command, deadline).await
            }
            done => done,
        }
    }
}
