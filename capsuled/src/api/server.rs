//! Serves HTTP/1.1 on the Unix socket.
//!
//! `axum::serve` gives a client that sends half a request all the time in the world, so the connections are
//! driven here with hyper: a deadline for request heads (which also closes connections that stay silent), a
//! bound on connections in total and for each user (beyond it a connection is closed at once, so that one
//! user cannot lock out another), the peer's credentials taken when the connection is accepted, upgrades,
//! and an orderly end: no new requests, those in flight get `GRACE` to finish.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    pin, select,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::peer::{self, Credentials, Names, Peer};
use crate::rules::access::{self, RoleGroups};

/// How long requests in flight get once the daemon stops.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the system has no descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest request head.
const LARGEST_HEAD: usize = 64 * 1024;

/// What bounds connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many may be open in total.
    pub total: usize,
    /// How many may be open by one user.
    pub per_user: usize,
    /// How long a request head may take, and how long a connection may be silent between requests.
    pub header_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: 2_048, per_user: 512, header_deadline: Duration::from_secs(10) }
    }
}

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct Server {
    /// The routes, as `super::router` makes them.
    pub router: Router,
    /// Which groups give which role; `None` on a user's own daemon.
    pub groups: Option<RoleGroups>,
    /// The user the daemon runs as.
    pub own_uid: u32,
    /// What bounds connections.
    pub limits: Limits,
}

impl Server {
    /// Accepts connections until `stop`, then finishes those in flight for at most [`GRACE`].
    pub async fn run(self, listener: UnixListener, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let (open, names) = (Open::default(), Names::default());
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => self.admit(stream, &connections, &open, &names, &stop),
                Err(error) => {
                    warn!(%error, "could not accept a connection");
                    stop.run_until_cancelled(sleep(ACCEPT_PAUSE)).await;
                }
            }
        }
        drop(listener);
        connections.close();
        if timeout(GRACE + ACCEPT_PAUSE, connections.wait()).await.is_err() {
            warn!(connections = connections.len(), "some connections did not end in time");
        }
    }

    fn admit(
        &self,
        stream: UnixStream,
        tasks: &TaskTracker,
        open: &Open,
        names: &Names,
        stop: &CancellationToken,
    ) {
        let credentials = match peer::credentials(&stream) {
            Ok(credentials) => credentials,
            Err(error) => return debug!(%error, "a peer was gone before it could be asked who it is"),
        };
        let Some(place) = open.take(credentials.uid, self.limits) else { return };
        let (server, names, stop) = (self.clone(), names.clone(), stop.clone());
        tasks.spawn(async move {
            let peer = server.introduce(credentials, &names).await;
            if let Err(error) = server.serve(stream, peer, stop).await {
                debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }

    async fn introduce(&self, credentials: Credentials, names: &Names) -> Peer {
        let Credentials { uid, gid, pid, groups } = credentials;
        let name = names.of(uid).await;
        let all_groups = [groups.as_slice(), &[gid]].concat();
        let role = access::role_of(uid, &all_groups, self.own_uid, self.groups.as_ref());
        Peer { uid, gid, pid, groups, name, role }
    }

    async fn serve(
        self,
        stream: UnixStream,
        peer: Peer,
        stop: CancellationToken,
    ) -> Result<(), hyper::Error> {
        let Self { router, limits, .. } = self;
        let service = service_fn(move |request| answer(router.clone(), peer.clone(), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_deadline)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        pin!(connection);
        select! {
            done = connection.as_mut() => return done,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        timeout(GRACE, connection).await.unwrap_or(Ok(()))
    }
}

async fn answer(router: Router, peer: Peer, request: Request<Incoming>) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    router.oneshot(request).await
}

/// Open connections, counted.
#[derive(Debug, Clone, Default)]
struct Open {
    by_user: Arc<Mutex<HashMap<u32, Count>>>,
}

/// One user's connections.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    open: usize,
    /// Closed for want of a place since the last one that got one.
    refused: usize,
}

impl Open {
    /// A place for one more connection of this user; `None` when there is none.
    fn take(&self, uid: u32, limits: Limits) -> Option<Place> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = by_user.values().map(|count| count.open).sum();
        let mine = by_user.entry(uid).or_default();
        if limits.total <= total || limits.per_user <= mine.open {
            // Said once, and counted: whoever opens thousands must not fill the log as well.
            if mine.refused == 0 {
                warn!(uid, open = mine.open, total, "closing new connections: too many are open");
            }
            mine.refused += 1;
            return None;
        }
        if mine.refused != 0 {
            warn!(uid, refused = mine.refused, "taking connections again");
            mine.refused = 0;
        }
        mine.open += 1;
        Some(Place { uid, open: self.clone() })
    }
}

/// One open connection; its end makes room for another.
#[derive(Debug)]
struct Place {
    uid: u32,
    open: Open,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_user = self.open.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_user.get_mut(&self.uid) {
            count.open -= 1;
            if count.open == 0 && count.refused == 0 {
                by_user.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_the_places_of_another() {
        let open = Open::default();
        let limits = Limits { total: 3, per_user: 2, ..Limits::default() };
        let first = open.take(1, limits).expect("room");
        let _second = open.take(1, limits).expect("room");
        assert!(open.take(1, limits).is_none());
        let _third = open.take(2, limits).expect("room for another user");
        assert!(open.take(3, limits).is_none());
        drop(first);
        assert!(open.take(3, limits).is_some());
    }
}
