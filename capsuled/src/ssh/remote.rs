//! What a person does over a session: a shell or command with live input and output, connections to what the
//! node reaches, and connections that the node takes for us.
//!
//! Nothing here is bounded in bytes or time, because a person is; what bounds it is back-pressure. russh hands
//! a channel's data on through a short queue and stops reading the connection while that is full, so a reader
//! that does not read holds up its whole session: whoever needs connections to be independent gives each a
//! session of its own.

use bytes::Bytes;
use capsule_api::{Host, Terminal};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelStream, ChannelWriteHalf, client::Msg};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::Instant,
};

use super::{Session, SshError, Stage, connect::within, text::printable};

/// Connections that the node took and nobody has fetched yet.
const WAITING_VISITORS: usize = 64;

/// A connection through a node.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl Connection for ChannelStream<Msg> {}

/// What to run on the node.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// A line for the user's login shell, as the person typed it; `None`: the login shell itself.
    pub command: Option<&'a str>,
    /// The terminal it gets.
    pub terminal: Option<&'a Terminal>,
}

/// A shell or command that runs on the node. Dropping it hangs up.
#[derive(Debug)]
pub struct Shell {
    output: ShellOutput,
    input: ShellInput,
}

/// What comes out of a [`Shell`].
#[derive(Debug)]
pub struct ShellOutput {
    channel: ChannelReadHalf,
    ended: Option<Seen>,
}

/// What goes into a [`Shell`].
#[derive(Debug)]
pub struct ShellInput(ChannelWriteHalf<Msg>);

/// What a shell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Standard output.
    Output(Bytes),
    /// Standard error.
    ErrorOutput(Bytes),
    /// It ended with this status.
    Exit(u32),
    /// A signal ended it.
    Signal(String),
    /// The connection ended before the command did, as far as we know.
    Lost,
}

impl Session {
    /// Starts a shell or a command.
    ///
    /// # Errors
    /// The server refuses: no more channels, no terminal, no shell for this user; or the connection ended.
    pub async fn shell(&self, asked: Asked<'_>) -> Result<Shell, SshError> {
        let channel = self.open(Instant::now() + self.limits.connect).await?;
        let (mut output, input) = channel.split();
        let failed = |error| SshError::from_russh(error, Stage::Command);
        if let Some(Terminal { kind, columns, rows }) = asked.terminal {
            let (columns, rows) = ((*columns).into(), (*rows).into());
            input.request_pty(true, kind, columns, rows, 0, 0, &[]).await.map_err(failed)?;
            self.granted(&mut output, "the server gives this user no terminal").await?;
        }
        match asked.command {
            Some(line) => input.exec(true, line).await.map_err(failed)?,
            None => input.request_shell(true).await.map_err(failed)?,
        }
        self.granted(&mut output, "the server does not run commands for this user").await?;
        Ok(Shell { output: ShellOutput { channel: output, ended: None }, input: ShellInput(input) })
    }

    async fn granted(&self, channel: &mut ChannelReadHalf, refused: &str) -> Result<(), SshError> {
        let answer = async {
            while let Some(message) = channel.wait().await {
                match message {
                    ChannelMsg::Success => return Ok(()),
                    ChannelMsg::Failure | ChannelMsg::Close => {
                        return Err(SshError::protocol(Stage::Command, refused));
                    }
                    // A server may speak before it answers only in ways that do not matter here.
                    _ => {}
                }
            }
            Err(SshError::Disconnected { stage: Stage::Command, source: None })
        };
        within(self.limits.connect, Stage::Command, answer).await?
    }

    /// A connection from the node to `host`, a name that is looked up there.
    ///
    /// # Errors
    /// [`SshError::Unreachable`] when the node gets none, else as for a channel.
    pub async fn connection(&self, host: &Host, port: u16) -> Result<impl Connection + use<>, SshError> {
        self.tunnel(host, port, self.limits.connect).await
    }

    /// Lets the node listen on `host` and `port` (0: of its choice) and take connections for us. Once a session.
    ///
    /// # Errors
    /// The node refuses: the port is taken, or forwarding is not allowed.
    pub async fn listen(&self, host: &Host, port: u16) -> Result<Listener, SshError> {
        let (sender, visitors) = mpsc::channel(WAITING_VISITORS);
        if self.visitors.set(sender).is_err() {
            return Err(SshError::protocol(Stage::Channel, "this session listens already"));
        }
        let asked = self.handle.tcpip_forward(host.as_str(), port.into());
        let given =
            within(self.limits.connect, Stage::Channel, asked).await?.map_err(|error| match error {
                russh::Error::RequestDenied => SshError::protocol(
                    Stage::Channel,
                    format!(
                        "the server does not listen on {host}:{port}: the port is taken or forwarding is off"
                    ),
                ),
                other => SshError::from_russh(other, Stage::Channel),
            })?;
        // The answer names the port only when it was for the node to choose.
        let port = u16::try_from(given).ok().filter(|given| *given != 0).unwrap_or(port);
        Ok(Listener { port, visitors })
    }
}

/// A port on the node on which it takes connections for us, while the session lives.
#[derive(Debug)]
pub struct Listener {
    port: u16,
    visitors: mpsc::Receiver<Channel<Msg>>,
}

impl Listener {
    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The next connection; `None` when the session has ended.
    pub async fn accept(&mut self) -> Option<impl Connection + use<>> {
        self.visitors.recv().await.map(Channel::into_stream)
    }
}

impl Shell {
    /// Both halves, to be used at the same time: a program that prints before it has read everything must not
    /// block us.
    pub fn split(self) -> (ShellOutput, ShellInput) {
        (self.output, self.input)
    }
}

impl ShellOutput {
    /// What it says next. After [`Seen::Exit`], [`Seen::Signal`] or [`Seen::Lost`] nothing comes.
    pub async fn next(&mut self) -> Seen {
        // The status may overtake the last output, so it is told when the channel closes.
        while let Some(message) = self.channel.wait().await {
            match message {
                ChannelMsg::Data { data } => return Seen::Output(data),
                ChannelMsg::ExtendedData { data, ext: 1 } => return Seen::ErrorOutput(data),
                ChannelMsg::ExitStatus { exit_status } => self.ended = Some(Seen::Exit(exit_status)),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    let name = format!("{signal_name:?}");
                    self.ended = Some(Seen::Signal(printable(name.as_bytes(), 40)));
                }
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        self.ended.take().unwrap_or(Seen::Lost)
    }
}

impl ShellInput {
    /// Sends bytes to standard input, as fast as the node takes them.
    ///
    /// # Errors
    /// The session has ended.
    pub async fn send(&self, bytes: Vec<u8>) -> Result<(), SshError> {
        self.0.data_bytes(bytes).await.map_err(failed)
    }

    /// Ends standard input.
    ///
    /// # Errors
    /// The session has ended.
    pub async fn end(&self) -> Result<(), SshError> {
        self.0.eof().await.map_err(failed)
    }

    /// Tells the terminal's new size.
    ///
    /// # Errors
    /// The session has ended.
    pub async fn resize(&self, columns: u16, rows: u16) -> Result<(), SshError> {
        self.0.window_change(columns.into(), rows.into(), 0, 0).await.map_err(failed)
    }
}

fn failed(error: russh::Error) -> SshError {
    SshError::from_russh(error, Stage::Command)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use super::*;
    use crate::ssh::{Limits, connect_for_streams, testing::Sshd};

    const WAIT: Duration = Duration::from_secs(20);

    async fn session(sshd: &Sshd) -> Session {
        connect_for_streams(&sshd.destination(), Limits::default()).await.expect("a session")
    }

    fn here() -> Host {
        "127.0.0.1".parse().expect("an address")
    }

    /// Everything a shell says, and how it ended.
    async fn heard(output: &mut ShellOutput) -> (Vec<u8>, Vec<u8>, Seen) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        loop {
            match timeout(WAIT, output.next()).await.expect("in time") {
                Seen::Output(bytes) => out.extend_from_slice(&bytes),
                Seen::ErrorOutput(bytes) => err.extend_from_slice(&bytes),
                end => return (out, err, end),
            }
        }
    }

    #[tokio::test]
    async fn a_command_takes_input_of_any_size_and_tells_its_status() {
        let Some(sshd) = Sshd::start() else { return };
        let session = session(&sshd).await;
        let command = Some("cat; echo done >&2; exit 7");
        let shell = session.shell(Asked { command, terminal: None }).await.expect("a command");
        let (mut output, input) = shell.split();
        let sent: Vec<u8> = (0..=255).cycle().take(5 << 20).collect();
        let feeding = async {
            for part in sent.chunks(50_000) {
                input.send(part.to_vec()).await.expect("it goes");
            }
            input.end().await.expect("it ends");
        };
        let ((), (out, err, end)) = tokio::join!(feeding, heard(&mut output));
        assert!(out == sent, "{} bytes of {} came back", out.len(), sent.len());
        assert_eq!((err.as_slice(), end), (&b"done\n"[..], Seen::Exit(7)));
    }

    #[tokio::test]
    async fn a_terminal_has_the_size_it_was_given() {
        let Some(sshd) = Sshd::start() else { return };
        let session = session(&sshd).await;
        let terminal = Terminal { kind: "vt100".to_owned(), columns: 97, rows: 31 };
        let command = Some("read go; stty size; echo $TERM");
        let asked = Asked { command, terminal: Some(&terminal) };
        let (mut output, input) = session.shell(asked).await.expect("a terminal").split();
        input.resize(101, 37).await.expect("resized");
        input.send(b"go\n".to_vec()).await.expect("typed");
        let (out, _, end) = heard(&mut output).await;
        let out = String::from_utf8_lossy(&out).into_owned();
        assert!(out.contains("37 101") && out.contains("vt100"), "{out}");
        assert_eq!(end, Seen::Exit(0));
    }

    #[tokio::test]
    async fn a_half_that_ends_leaves_the_other_half_open() {
        let Some(sshd) = Sshd::start() else { return };
        let session = session(&sshd).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut question = String::new();
            stream.read_to_string(&mut question).await.expect("until the half's end");
            stream.write_all(format!("you said {question}").as_bytes()).await.expect("answered");
        });
        let mut connection = session.connection(&here(), port).await.expect("a connection");
        connection.write_all(b"hello").await.expect("sent");
        connection.shutdown().await.expect("the half ends");
        let mut answer = String::new();
        timeout(WAIT, connection.read_to_string(&mut answer)).await.expect("in time").expect("read");
        assert_eq!(answer, "you said hello");
        answering.await.expect("no panic");
    }

    #[tokio::test]
    async fn a_port_there_brings_connections_here_until_the_session_ends() {
        let Some(sshd) = Sshd::start() else { return };
        let session = session(&sshd).await;
        let mut listener = session.listen(&here(), 0).await.expect("a port of its choice");
        assert_ne!(listener.port(), 0);
        let mut there = TcpStream::connect(("127.0.0.1", listener.port())).await.expect("it listens");
        there.write_all(b"knock").await.expect("sent");
        let mut visitor = timeout(WAIT, listener.accept()).await.expect("in time").expect("a visitor");
        let mut said = [0; 5];
        visitor.read_exact(&mut said).await.expect("read");
        assert_eq!(&said, b"knock");
        assert!(session.listen(&here(), 0).await.is_err(), "one listener a session");
        drop(session);
        assert!(timeout(WAIT, listener.accept()).await.expect("in time").is_none());
    }
}
