//! An authenticated session: commands run over it, other sessions are tunnelled through it.

use std::{
    future::{self, Future},
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use capsule_api::Host;
use russh::{
    Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelStream, Disconnect,
    client::{Handle, Msg},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Command, Destination, Limits, Output, SshError, Stage,
    connect::{Gatekeeper, Greeted, Visitors, within},
    keys::same_public_key,
    stream::Leash,
};

/// The most that a command may print, both streams together.
const MAX_OUTPUT: usize = 1024 * 1024;

/// Bytes on the wire that one command may cause: its output, doubled for a server that sends it in tiny
/// packets, and room for key re-exchanges and keepalives.
const COMMAND_BYTES: u64 = 2 * MAX_OUTPUT as u64 + 256 * 1024;

/// Pauses before a channel that was refused is asked for again.
const REFUSED_PAUSES: &[Duration] =
    &[Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// How long a regular good-bye may take.
const CLOSE: Duration = Duration::from_secs(2);

/// Anything that runs commands on a node: a [`Session`], or a [`super::Pooled`] one that replaces itself.
pub trait Remote {
    /// Runs `command` and returns what it printed, at most 1 MiB, within `deadline`.
    ///
    /// # Errors
    /// [`SshError::OutputTooLarge`], [`SshError::TimedOut`], [`SshError::Disconnected`],
    /// [`SshError::Protocol`], [`SshError::BadCommand`]. A command that was started may go on running on the
    /// node after any of them but the last.
    fn run(
        &self,
        command: impl Into<Command> + Send,
        deadline: Duration,
    ) -> impl Future<Output = Result<Output, SshError>> + Send;
}

/// An authenticated connection to a node. Dropping it ends the connection at once; several commands may run
/// over it at the same time.
pub struct Session {
    pub(super) handle: Handle<Gatekeeper>,
    leash: Leash,
    host_key: String,
    login: [u8; 32],
    pub(super) visitors: Visitors,
    pub(super) limits: Limits,
    retired: AtomicBool,
    running: AtomicU64,
    via: Option<Box<Session>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leash.cut();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("host_key", &self.host_key)
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(greeted: Greeted, login: [u8; 32], limits: Limits, via: Option<Session>) -> Self {
        let Greeted { handle, leash, host_key, visitors } = greeted;
        let (retired, running) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { handle, leash, host_key, login, visitors, limits, retired, running, via: via.map(Box::new) }
    }

    /// The host key the node proved to have, in OpenSSH form: to be pinned at the first contact.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The session with the jump host that this one goes through.
    pub fn via(&self) -> Option<&Session> {
        self.via.as_deref()
    }

    /// Whether it can still be used. A session that timed out or printed too much is not used again, for
    /// nobody knows what would still come out of it.
    pub fn is_usable(&self) -> bool {
        !self.handle.is_closed()
            && !self.retired.load(Ordering::Relaxed)
            && self.via().is_none_or(Session::is_usable)
    }

    /// Waits until the connection has ended, whoever ended it.
    pub async fn ended(&self) {
        self.leash.ended().await;
    }

    /// Says good-bye and waits until the connection has ended, at most two seconds per hop.
    pub async fn close(mut self) {
        let farewell = async {
            // When this fails the connection has ended already, which is what we want.
            let _ = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
            let _ = (&mut self.handle).await;
        };
        let _ = timeout(CLOSE, farewell).await;
        if let Some(via) = self.via.take() {
            Box::pin(via.close()).await;
        }
    }

    /// Whether this session is what connecting to `destination` would give.
    pub(super) fn serves(&self, destination: &Destination) -> bool {
        let pinned = destination.pinned.as_deref();
        let via = match (self.via(), destination.jump.as_deref()) {
            (None, None) => true,
            (Some(session), Some(jump)) => session.serves(jump),
            _ => false,
        };
        via && self.login == destination.login_digest()
            && pinned.is_none_or(|pinned| same_public_key(pinned, &self.host_key))
    }

    /// Number of connections: one, and one per jump host.
    pub(super) fn hops(&self) -> usize {
        1 + self.via().map_or(0, Session::hops)
    }

    /// A connection from this host to another one.
    pub(super) async fn tunnel(
        &self,
        host: &Host,
        port: u16,
        limit: Duration,
    ) -> Result<ChannelStream<Msg>, SshError> {
        let address = format!("{host}:{port}");
        let opened = self.handle.channel_open_direct_tcpip(host.as_str(), port.into(), "127.0.0.1", 0);
        match within(limit, Stage::Connect, opened).await? {
            Ok(channel) => Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => {
                let source =
                    io::Error::new(io::ErrorKind::HostUnreachable, "the server before it gets no connection");
                Err(SshError::Unreachable { address, source })
            }
            Err(russh::Error::ChannelOpenFailure(_)) => {
                Err(SshError::protocol(Stage::Connect, "the server before it does not forward connections"))
            }
            Err(other) => Err(SshError::from_russh(other, Stage::Connect)),
        }
    }

    /// Lets in what `commands` running commands may cause, here and on every hop under it.
    pub(super) fn allow(&self, bytes: u64) {
        self.leash.allow(bytes);
        if let Some(via) = self.via() {
            via.allow(bytes.saturating_mul(2));
        }
    }

    /// A channel for a command. sshd counts a command against `MaxSessions` until it has cleaned up behind
    /// it, a moment after it told us of its end, so a refusal is believed only when it persists.
    pub(super) async fn open(&self, until: Instant) -> Result<Channel<Msg>, SshError> {
        let until = until.min(Instant::now() + self.limits.connect);
        let opened = timeout_at(until, async {
            for pause in REFUSED_PAUSES {
                match self.handle.channel_open_session().await {
                    Err(russh::Error::ChannelOpenFailure(_)) => tokio::time::sleep(*pause).await,
                    done => return done,
                }
            }
            self.handle.channel_open_session().await
        });
        opened.await.map_err(|_| SshError::TimedOut { stage: Stage::Channel })?.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(_) => {
                SshError::protocol(Stage::Channel, "the server allows no (more) commands on this connection")
            }
            other => SshError::from_russh(other, Stage::Channel),
        })
    }
}

impl Remote for Session {
    async fn run(&self, command: impl Into<Command> + Send, deadline: Duration) -> Result<Output, SshError> {
        let command = command.into();
        let line = command.line()?;
        let until = Instant::now() + deadline;
        let running = Running::begin(self);
        let channel = self.open(until).await?;
        let output = timeout_at(until, converse(channel, line, command.input())).await;
        let output = output.map_err(|_| SshError::TimedOut { stage: Stage::Command })??;
        running.finished();
        Ok(output)
    }
}

/// Counts a command while it runs. One that does not come to a regular end, for whatever reason (a
/// deadline, a flood, a caller who went away), retires its session.
struct Running<'a> {
    session: &'a Session,
    finished: bool,
}

impl<'a> Running<'a> {
    fn begin(session: &'a Session) -> Self {
        let running = session.running.fetch_add(1, Ordering::Relaxed) + 1;
        session.allow(running.saturating_mul(COMMAND_BYTES));
        Self { session, finished: false }
    }

    fn finished(mut self) {
        self.finished = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.session.running.fetch_sub(1, Ordering::Relaxed);
        if !self.finished {
            self.session.retired.store(true, Ordering::Relaxed);
        }
    }
}

/// Starts `line`, sends its input and collects its output, all at the same time: a program that prints
/// before it has read everything must not block us.
async fn converse(channel: Channel<Msg>, line: String, input: Option<Bytes>) -> Result<Output, SshError> {
    let (read, write) = channel.split();
    let send = async {
        write.exec(true, line).await?;
        if let Some(input) = input {
            write.data_bytes(input).await?;
        }
        write.eof().await
    };
    let send_then_wait = async {
        // A program may end without reading its input, and a dead session is noticed by the reading side:
        // either way it is the output that decides.
        let _: Result<(), russh::Error> = send.await;
        future::pending().await
    };
    tokio::select! {
        output = collect(read) => output,
        output = send_then_wait => output,
    }
}

async fn collect(mut channel: ChannelReadHalf) -> Result<Output, SshError> {
    let mut output = Output { status: None, stdout: Vec::new(), stderr: Vec::new() };
    let mut ended = false;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, ext: 1 } => output.stderr.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => {
                output.status = Some(exit_status);
                ended = true;
            }
            ChannelMsg::ExitSignal { .. } => ended = true,
            ChannelMsg::Failure => {
                return Err(SshError::protocol(
                    Stage::Command,
                    "the server does not run commands for this user",
                ));
            }
            ChannelMsg::Close => return Ok(output),
            _ => {}
        }
        if output.stdout.len() + output.stderr.len() > MAX_OUTPUT {
            return Err(SshError::OutputTooLarge { limit: MAX_OUTPUT });
        }
    }
    // No closing message: the connection has ended, before or after the command did.
    if ended { Ok(output) } else { Err(SshError::Disconnected { stage: Stage::Command, source: None }) }
}
