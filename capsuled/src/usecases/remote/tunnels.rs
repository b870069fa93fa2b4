//! Tunnels: their own stream, which tells what happens and whose end is theirs, and the connections through
//! them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capsule_api::{Host, TunnelConnectionRequest, TunnelDirection, TunnelId, TunnelNews, TunnelRequest};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Place, Remote, UseCaseError, lanes::Lanes, lanes::Ride, log_in, note, unreached, way_to};
use crate::{
    context::Context,
    model::Caller,
    ssh::{Connection, Destination, Listener, Session},
};

/// Connections through one tunnel at the same time.
const CONNECTIONS: usize = 128;
/// Connections through all tunnels at the same time; each is a descriptor.
const ALL_CONNECTIONS: usize = 1_024;
/// How often a silent tunnel says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a connection that the xNode took waits for being fetched.
const FETCHED_WITHIN: Duration = Duration::from_secs(15);
/// How long a client may leave the news unread.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// What is kept of a connection's bytes in each direction.
const BUFFER: usize = 64 * 1024;

/// The open tunnels.
#[derive(Debug, Clone)]
pub(super) struct Tunnels {
    open: Arc<Mutex<HashMap<TunnelId, Arc<Tunnel>>>>,
    slots: Arc<Semaphore>,
}

impl Default for Tunnels {
    fn default() -> Self {
        Self { open: Arc::default(), slots: Arc::new(Semaphore::new(ALL_CONNECTIONS)) }
    }
}

impl Tunnels {
    fn lock(&self) -> MutexGuard<'_, HashMap<TunnelId, Arc<Tunnel>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Tunnel {
    owner: u32,
    name: String,
    slots: Arc<Semaphore>,
    ends: Ends,
    ended: CancellationToken,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where connections through a tunnel go to, or come from.
enum Ends {
    Local { host: Host, port: u16, lanes: Arc<Lanes> },
    Remote { session: Arc<Session>, visitors: Mutex<BTreeMap<u64, Visitor>> },
}

/// A connection that the xNode took and nobody has fetched yet.
struct Visitor {
    came: Instant,
    connection: Box<dyn Connection>,
}

/// A tunnel that waits for its client.
pub struct OpenTunnel {
    id: TunnelId,
    port: u16,
    tunnel: Arc<Tunnel>,
    first: Arc<Session>,
    listener: Option<Listener>,
    tunnels: Tunnels,
    _place: Place,
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.tunnels.lock().remove(&self.id);
        self.tunnel.ended.cancel();
    }
}

/// Opens a tunnel to an xNode.
///
/// # Errors
/// [`UseCaseError::OwnHost`], [`UseCaseError::NoWay`], [`UseCaseError::Unreached`], and
/// [`UseCaseError::WrongState`] when too many are open.
pub async fn open(
    context: &Context,
    remote: &Remote,
    by: &Caller,
    given: &str,
    request: TunnelRequest,
) -> Result<OpenTunnel, UseCaseError> {
    let TunnelRequest { direction, host, port } = request;
    if direction == TunnelDirection::Local && port == 0 {
        return Err(UseCaseError::invalid("port", "nothing can be reached on port 0"));
    }
    let (stored, destination) = way_to(context, given).await?;
    let place = remote.places.take(by.uid, stored.xnode.id)?;
    let target = format!("{} {direction} {host}:{port}", stored.xnode.id);
    note(context, by, "open_xnode_tunnel", target).await?;
    let first = Arc::new(log_in(context, &stored, &destination).await?);
    let name = stored.xnode.name.to_string();
    let (ends, listener, port) = match direction {
        TunnelDirection::Local => {
            let pinned = Some(first.host_key().to_owned());
            let lanes = Lanes::new(Destination { pinned, ..destination }, Arc::clone(&first));
            (Ends::Local { host, port, lanes }, None, port)
        }
        TunnelDirection::Remote => {
            let listening = first.listen(&host, port).await;
            let listener = listening.map_err(|error| unreached(&name, &error))?;
            let (session, port) = (Arc::clone(&first), listener.port());
            (Ends::Remote { session, visitors: Mutex::default() }, Some(listener), port)
        }
    };
    tracing::info!(xnode.id = %stored.xnode.id, user = by.name, "opened a {direction} tunnel to `{name}`");
    let id = TunnelId(Uuid::now_v7());
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let tunnel = Arc::new(Tunnel { owner: by.uid, name, slots, ends, ended: CancellationToken::new() });
    let tunnels = remote.tunnels.clone();
    tunnels.lock().insert(id, Arc::clone(&tunnel));
    Ok(OpenTunnel { id, port, tunnel, first, listener, tunnels, _place: place })
}

impl OpenTunnel {
    /// Tells what happens until the client hangs up, the SSH connection ends, or `stop`.
    pub async fn run(mut self, stream: impl AsyncRead + AsyncWrite, stop: CancellationToken) {
        let (from_client, mut to_client) = io::split(stream);
        if tell(&mut to_client, &TunnelNews::Open { tunnel: self.id, port: self.port }).await.is_err() {
            return;
        }
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hung_up = hung_up(from_client);
        tokio::pin!(hung_up);
        let (mut listener, mut number) = (self.listener.take(), 0);
        loop {
            let news = tokio::select! {
                () = &mut hung_up => return,
                () = stop.cancelled() => closed("the daemon is stopping"),
                () = self.first.ended() => closed("the SSH connection ended"),
                Some(connection) = next_visitor(&mut listener) => {
                    number += 1;
                    if !self.tunnel.keep(number, connection) {
                        continue;
                    }
                    TunnelNews::Connection { number }
                }
                _ = beat.tick() => {
                    self.tunnel.forget_unfetched();
                    TunnelNews::Alive
                }
            };
            let last = matches!(news, TunnelNews::Closed { .. });
            if tell(&mut to_client, &news).await.is_err() || last {
                let _ = to_client.shutdown().await;
                return;
            }
        }
    }
}

fn closed(reason: &str) -> TunnelNews {
    TunnelNews::Closed { reason: reason.to_owned() }
}

async fn next_visitor(listener: &mut Option<Listener>) -> Option<Box<dyn Connection>> {
    match listener {
        Some(listener) => {
            listener.accept().await.map(|connection| Box::new(connection) as Box<dyn Connection>)
        }
        None => std::future::pending().await,
    }
}

async fn tell<S: AsyncRead + AsyncWrite>(to_client: &mut WriteHalf<S>, news: &TunnelNews) -> io::Result<()> {
    let line = serde_json::to_string(news).map_err(io::Error::other)? + "\n";
    let sent = async {
        to_client.write_all(line.as_bytes()).await?;
        to_client.flush().await
    };
    timeout(READ_WITHIN, sent).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Waits until the client hangs up. What it sends means nothing.
async fn hung_up<S: AsyncRead + AsyncWrite>(mut from_client: ReadHalf<S>) {
    let mut ignored = [0; 256];
    while from_client.read(&mut ignored).await.is_ok_and(|length| 0 < length) {}
}

impl Tunnel {
    /// Keeps a connection until it is fetched; `false` when too many wait, and it ends.
    fn keep(&self, number: u64, connection: Box<dyn Connection>) -> bool {
        let Ends::Remote { visitors, .. } = &self.ends else { return false };
        let mut visitors = visitors.lock().unwrap_or_else(PoisonError::into_inner);
        let room = visitors.len() < CONNECTIONS;
        if room {
            visitors.insert(number, Visitor { came: Instant::now(), connection });
        }
        room
    }

    fn forget_unfetched(&self) {
        let Ends::Remote { visitors, .. } = &self.ends else { return };
        let mut visitors = visitors.lock().unwrap_or_else(PoisonError::into_inner);
        visitors.retain(|_, visitor| visitor.came.elapsed() < FETCHED_WITHIN);
    }
}

/// A connection through a tunnel that waits for its client.
pub struct Carried {
    connection: Box<dyn Connection>,
    session: Arc<Session>,
    tunnel_ended: CancellationToken,
    _ride: Option<Ride>,
    _slots: [OwnedSemaphorePermit; 2],
}

/// Makes a connection through a tunnel, or fetches one that came.
///
/// # Errors
/// [`UseCaseError::NotFound`] for a tunnel that has ended or is another user's, or a number that nobody waits
/// under; [`UseCaseError::Unreached`] when the xNode gets no connection; [`UseCaseError::WrongState`] when too
/// many are open.
pub async fn connect(
    remote: &Remote,
    by: &Caller,
    id: TunnelId,
    request: TunnelConnectionRequest,
) -> Result<Carried, UseCaseError> {
    let known = remote.tunnels.lock().get(&id).cloned();
    let tunnel =
        known.filter(|tunnel| tunnel.owner == by.uid).ok_or_else(|| UseCaseError::not_found("tunnel", id))?;
    let slot = |of: &Arc<Semaphore>, most: usize, through: &str| {
        let full = |_| UseCaseError::WrongState(format!("{most} connections go through {through} already"));
        Arc::clone(of).try_acquire_owned().map_err(full)
    };
    let slots = [
        slot(&tunnel.slots, CONNECTIONS, "this tunnel")?,
        slot(&remote.tunnels.slots, ALL_CONNECTIONS, "the daemon's tunnels")?,
    ];
    let (connection, session, ride) = match (&tunnel.ends, request.number) {
        (Ends::Local { host, port, lanes }, None) => {
            let (connection, ride) = through(lanes, host, *port, &tunnel.name).await?;
            (connection, Arc::clone(&ride.session), Some(ride))
        }
        (Ends::Remote { session, visitors }, Some(number)) => {
            let fetched = visitors.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            let visitor = fetched.ok_or_else(|| UseCaseError::not_found("connection", number))?;
            (visitor.connection, Arc::clone(session), None)
        }
        (Ends::Local { .. }, Some(_)) => {
            return Err(UseCaseError::invalid("number", "nobody connects to this side of a local tunnel"));
        }
        (Ends::Remote { .. }, None) => {
            return Err(UseCaseError::invalid("number", "say which connection of the remote tunnel"));
        }
    };
    let tunnel_ended = tunnel.ended.clone();
    Ok(Carried { connection, session, tunnel_ended, _ride: ride, _slots: slots })
}

/// A connection from the xNode to the tunnel's end; over another lane when the first turns out to have died.
async fn through(
    lanes: &Arc<Lanes>,
    host: &Host,
    port: u16,
    name: &str,
) -> Result<(Box<dyn Connection>, Ride), UseCaseError> {
    let mut again = true;
    loop {
        let ride = lanes.ride().await.map_err(|error| unreached(name, &error))?;
        let connected = ride.session.connection(host, port).await;
        match connected {
            Ok(connection) => return Ok((Box::new(connection), ride)),
            Err(_) if again && !ride.session.is_usable() => again = false,
            Err(error) => return Err(unreached(name, &error)),
        }
    }
}

impl Carried {
    /// Carries bytes both ways until both sides have ended, or one broke, or the tunnel ends, or `stop`. When one
    /// side ends its half, the other half goes on.
    pub async fn run(self, stream: impl AsyncRead + AsyncWrite + Unpin, stop: CancellationToken) {
        let Self { mut connection, session, tunnel_ended, _ride, _slots } = self;
        let mut stream = stream;
        tokio::select! {
            // A broken connection is over, like one that ended.
            _ = io::copy_bidirectional_with_sizes(&mut stream, &mut connection, BUFFER, BUFFER) => {}
            () = session.ended() => {}
            () = tunnel_ended.cancelled() => {}
            () = stop.cancelled() => {}
        }
    }
}
