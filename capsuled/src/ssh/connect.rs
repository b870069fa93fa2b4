//! From a destination to an authenticated session: resolve, connect, banner, key exchange, authentication,
//! each within its deadline, through as many jump hosts as the destination names.

use std::{
    borrow::Cow,
    future::Future,
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use russh::{
    Channel, ChannelOpenFailure, ChannelStream, Preferred, SshId,
    client::{self, AuthResult},
    keys::{
        HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
        agent::{AgentIdentity, client::AgentClient},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, copy_bidirectional, duplex},
    net::{TcpStream, lookup_host},
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Auth, Destination, Limits, MAX_HOPS, Session, SshError, Stage,
    greet::read_banner,
    keys::{fingerprint_of, openssh_form, parse_private_key, parse_public_key, preferred_host_keys},
    stream::{Guarded, Leash},
};

/// Bytes a server may send before it has let us in; OpenSSH needs 3 KiB, and a certificate or a long
/// authentication banner a little more. What is left of it serves keepalives of the idle session.
const HANDSHAKE_BYTES: u64 = 256 * 1024;

/// How much a node may send on a channel before it hears that more is welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// 64 KiB, for commands with little output.
    Command,
    /// 2 MiB, as OpenSSH has it, so that distance alone does not slow a stream down.
    Stream,
}

impl Window {
    const fn bytes(self) -> u32 {
        match self {
            Self::Command => 64 * 1024,
            Self::Stream => 2 * 1024 * 1024,
        }
    }
}

/// The largest packet a node may send.
const PACKET_BYTES: u32 = 32 * 1024;

/// What may be under way each way between a session and its jump host's; used only as needed. Several times what
/// OpenSSH lets a channel send ahead (2 MiB).
const BETWEEN_SESSIONS: usize = 16 * 1024 * 1024;

/// A keepalive follows this much silence of the server; the connection is given up after three of them.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// OpenSSH hangs up after six keys (`MaxAuthTries`).
const MAX_AGENT_KEYS: usize = 6;

/// Connects and authenticates, through the jump hosts if there are any. Dropping the future ends every
/// connection it had opened.
///
/// # Errors
/// Every [`SshError`] that is not about a command; [`SshError::Jump`] when a host before the node failed.
pub async fn connect(destination: &Destination, limits: Limits) -> Result<Session, SshError> {
    connect_with(destination, limits, Window::Command).await
}

/// As [`connect`], for shells and tunnels: their channels carry as much as they like, so what a command may
/// cause does not bound them.
///
/// # Errors
/// As [`connect`].
pub async fn connect_for_streams(destination: &Destination, limits: Limits) -> Result<Session, SshError> {
    let session = connect_with(destination, limits, Window::Stream).await?;
    session.allow(u64::MAX);
    Ok(session)
}

async fn connect_with(
    destination: &Destination,
    limits: Limits,
    window: Window,
) -> Result<Session, SshError> {
    let hops = destination.hops();
    if hops.len() > MAX_HOPS {
        return Err(SshError::TooManyHops);
    }
    let (node, jumps) = hops.split_last().ok_or(SshError::TooManyHops)?;
    let mut via = None;
    for jump in jumps {
        let session = connect_hop(jump, via, limits, window).await;
        via = Some(session.map_err(|source| match source {
            already @ SshError::Jump { .. } => already,
            source => SshError::Jump { host: jump.host.clone(), source: Box::new(source) },
        })?);
    }
    connect_hop(node, via, limits, window).await
}

async fn connect_hop(
    hop: &Destination,
    via: Option<Session>,
    limits: Limits,
    window: Window,
) -> Result<Session, SshError> {
    let key = match &hop.auth {
        Auth::Key(pem) => Some(parse_private_key(pem)?),
        Auth::Agent(_) => None,
    };
    let mut greeted = match &via {
        None => {
            let stream = connect_tcp(hop, limits).await?;
            shake_hands(stream, hop.pinned.as_deref(), window, limits.handshake).await?
        }
        Some(jump) => {
            let tunnel = apart(jump.tunnel(&hop.host, hop.port, limits.connect).await?);
            shake_hands(tunnel, hop.pinned.as_deref(), window, limits.handshake).await?
        }
    };
    let login = async {
        match (&hop.auth, key) {
            (Auth::Agent(socket), _) => login_with_agent(&mut greeted.handle, &hop.user, socket).await,
            (Auth::Key(_), Some(key)) => login_with_key(&mut greeted.handle, &hop.user, key).await,
            (Auth::Key(_), None) => Ok(false),
        }
    };
    let accepted = within(limits.auth, Stage::Authentication, login).await??;
    if !accepted {
        return Err(SshError::AuthRefused { user: hop.user.clone() });
    }
    Ok(Session::new(greeted, hop.login_digest(), limits, via))
}

/// The channel through a jump host, with room between it and the session over it. Without, the two wait for each
/// other: a session that writes does not read meanwhile; then the jump host's session cannot hand on what came,
/// stops, and never sees the word that the writing may go on. The copying ends with either end.
fn apart(mut channel: ChannelStream<client::Msg>) -> DuplexStream {
    let (ours, mut theirs) = duplex(BETWEEN_SESSIONS);
    tokio::spawn(async move {
        // How it ended is seen by the session.
        let _ = copy_bidirectional(&mut theirs, &mut channel).await;
    });
    ours
}

/// A transport after the key exchange; the connection ends when this is dropped.
pub(super) struct Greeted {
    pub(super) handle: client::Handle<Gatekeeper>,
    pub(super) leash: Leash,
    pub(super) host_key: String,
    pub(super) visitors: Visitors,
}

/// Exchanges banners and keys, and checks the host key.
pub(super) async fn shake_hands<S>(
    stream: S,
    pinned: Option<&str>,
    window: Window,
    limit: Duration,
) -> Result<Greeted, SshError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let until = Instant::now() + limit;
    let mut stream = stream;
    let heard = timeout_at(until, read_banner(&mut stream)).await;
    let heard = heard.map_err(|_| SshError::TimedOut { stage: Stage::Banner })??;
    exchange_keys(stream, heard.replay, pinned, window, until).await
}

/// Exchanges keys on a transport whose banner has been read already and is replayed.
pub(super) async fn exchange_keys<S>(
    stream: S,
    replay: Vec<u8>,
    pinned: Option<&str>,
    window: Window,
    until: Instant,
) -> Result<Greeted, SshError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let pinned = pinned.map(parse_public_key).transpose()?;
    let config = client_config(pinned.as_ref(), window);
    let leash = Leash::new(HANDSHAKE_BYTES);
    let unless_done = leash.cut_on_drop();
    let guarded = Guarded::new(stream, replay, leash.clone());
    let (seen, host_key) = tokio::sync::oneshot::channel();
    let visitors = Visitors::default();
    let gatekeeper = Gatekeeper { trusted: pinned, seen: Some(seen), visitors: visitors.clone() };
    let shaken = timeout_at(until, client::connect_stream(Arc::new(config), guarded, gatekeeper)).await;
    let handle = match shaken {
        Err(_) => return Err(SshError::TimedOut { stage: Stage::KeyExchange }),
        Ok(Err(Refusal::Ssh(error))) => return Err(SshError::from_russh(error, Stage::KeyExchange)),
        Ok(Err(Refusal::HostKey(error))) => return Err(*error),
        Ok(Ok(handle)) => handle,
    };
    let host_key =
        host_key.await.map_err(|_| SshError::protocol(Stage::KeyExchange, "no host key was offered"))?;
    unless_done.disarm();
    Ok(Greeted { handle, leash, host_key, visitors })
}

fn client_config(pinned: Option<&PublicKey>, window: Window) -> client::Config {
    let preferred = Preferred {
        key: Cow::Owned(preferred_host_keys(pinned)),
        compression: Cow::Borrowed(&[russh::compression::NONE]),
        ..Preferred::DEFAULT
    };
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-Capsule_", env!("CARGO_PKG_VERSION")))),
        window_size: window.bytes(),
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: 32,
        preferred,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}

/// Decides whether the server is who it should be, at the first key exchange and at every later one.
pub(super) struct Gatekeeper {
    trusted: Option<PublicKey>,
    seen: Option<tokio::sync::oneshot::Sender<String>>,
    visitors: Visitors,
}

/// Where connections go that the node takes for us; nowhere until somebody asked it to listen.
pub(super) type Visitors = Arc<OnceLock<mpsc::Sender<Channel<client::Msg>>>>;

/// Why the key exchange ended early.
#[derive(Debug)]
pub(super) enum Refusal {
    Ssh(russh::Error),
    HostKey(Box<SshError>),
}

impl From<russh::Error> for Refusal {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl client::Handler for Gatekeeper {
    type Error = Refusal;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, Refusal> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = offered else {
            return Ok(false); // We never ask for certificates.
        };
        let offered = openssh_form(key).map_err(|error| Refusal::HostKey(Box::new(error.into())))?;
        if let Some(trusted) = self.trusted.as_ref().filter(|trusted| trusted.key_data() != key.key_data()) {
            let pinned = openssh_form(trusted).unwrap_or_default();
            let changed =
                SshError::HostKeyChanged { offered, offered_fingerprint: fingerprint_of(key), pinned };
            return Err(Refusal::HostKey(Box::new(changed)));
        }
        // From now on this is the key, pinned or not: a re-exchange must not bring another one.
        self.trusted = Some(key.clone());
        if let Some(seen) = self.seen.take() {
            // The receiver is gone only when nobody waits for this connection any more.
            let _ = seen.send(offered);
        }
        Ok(true)
    }

    // russh lets in whatever a server opens unless it is told otherwise.
    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Refusal> {
        match self.visitors.get().map(mpsc::Sender::try_reserve) {
            None => reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await,
            Some(Err(_)) => reply.reject(ChannelOpenFailure::ResourceShortage).await,
            Some(Ok(place)) => {
                reply.accept().await;
                place.send(channel);
            }
        }
        Ok(())
    }
}

async fn login_with_key(
    handle: &mut client::Handle<Gatekeeper>,
    user: &str,
    key: PrivateKey,
) -> Result<bool, SshError> {
    let failed = |error| SshError::from_russh(error, Stage::Authentication);
    let hash = rsa_hash(handle, key.algorithm().is_rsa()).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    Ok(handle.authenticate_publickey(user, key).await.map_err(failed)?.success())
}

async fn login_with_agent(
    handle: &mut client::Handle<Gatekeeper>,
    user: &str,
    socket: &Path,
) -> Result<bool, SshError> {
    let broken = |error: russh::keys::Error| match error {
        russh::keys::Error::IO(source) => SshError::Agent(source),
        other => SshError::Agent(io::Error::other(other.to_string())),
    };
    let mut agent = AgentClient::connect_uds(socket).await.map_err(broken)?;
    let identities = agent.request_identities().await.map_err(broken)?;
    for identity in identities.into_iter().take(MAX_AGENT_KEYS) {
        let AgentIdentity::PublicKey { key, .. } = identity else {
            continue;
        };
        let hash = rsa_hash(handle, key.algorithm().is_rsa()).await?;
        match handle.authenticate_publickey_with(user, key, hash, &mut agent).await {
            Ok(AuthResult::Success) => return Ok(true),
            Ok(AuthResult::Failure { .. }) => {}
            Err(russh::AgentAuthError::Key(error)) => return Err(broken(error)),
            Err(russh::AgentAuthError::Send(_)) => {
                return Err(SshError::Disconnected { stage: Stage::Authentication, source: None });
            }
        }
    }
    Ok(false)
}

/// The signature hash for an RSA key: what the server announced, else SHA-512, which every OpenSSH since
/// 7.2 (2016) understands; never SHA-1.
async fn rsa_hash(handle: &client::Handle<Gatekeeper>, is_rsa: bool) -> Result<Option<HashAlg>, SshError> {
    if !is_rsa {
        return Ok(None);
    }
    let announced = handle.best_supported_rsa_hash().await;
    let announced = announced.map_err(|error| SshError::from_russh(error, Stage::Authentication))?;
    Ok(announced.flatten().or(Some(HashAlg::Sha512)))
}

/// Connects to the first address of the host that answers, in the resolver's order. The addresses share one
/// deadline, so that a dead IPv6 route leaves time for IPv4.
async fn connect_tcp(hop: &Destination, limits: Limits) -> Result<TcpStream, SshError> {
    let addresses = resolve(hop, limits.connect).await?;
    let until = Instant::now() + limits.connect;
    let mut last = SshError::TimedOut { stage: Stage::Connect };
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / untried;
        match connect_address(*address, share).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A TCP connection to `address` within `limit`.
pub(super) async fn connect_address(address: SocketAddr, limit: Duration) -> Result<TcpStream, SshError> {
    let connected = within(limit, Stage::Connect, TcpStream::connect(address)).await?;
    let stream =
        connected.map_err(|source| SshError::Unreachable { address: address.to_string(), source })?;
    // Small messages and their answers alternate; a failure here only costs latency.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn resolve(hop: &Destination, limit: Duration) -> Result<Vec<SocketAddr>, SshError> {
    if let Some(ip) = hop.host.ip() {
        return Ok(vec![SocketAddr::new(ip, hop.port)]);
    }
    let unresolved = |source| SshError::Unresolved { host: hop.host.clone(), source };
    let lookup = within(limit, Stage::Resolve, lookup_host((hop.host.as_str(), hop.port))).await?;
    let mut addresses: Vec<_> = lookup.map_err(unresolved)?.take(8).collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(unresolved(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}

/// What `work` gives, or that `stage` took too long.
pub(super) async fn within<T>(
    limit: Duration,
    stage: Stage,
    work: impl Future<Output = T>,
) -> Result<T, SshError> {
    timeout(limit, work).await.map_err(|_| SshError::TimedOut { stage })
}
