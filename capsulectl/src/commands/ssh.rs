//! `ssh`: a shell or command on a server, with the key that the daemon keeps; and `ssh trust`: accepting a changed
//! host key is a decision of a person, never of a program.

use std::os::fd::AsFd;

use capsule_api::{
    SHELL_PROTOCOL, ShellRequest, XNode, XNodePatch,
    frames::{Decoder, Frame, MAX_PAYLOAD},
};
use tokio::{
    fs::File,
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    signal::unix::{SignalKind, signal},
};

use super::{Session, ask, inventory};
use crate::{
    args::remote::{SshAction, SshArgs},
    client::Precondition,
    error::{Error, Outcome, Result},
    settings::ProcessEnvironment,
    terminal::{self, Escapes, Raw},
};

/// `ssh`.
pub async fn run(session: &Session, args: SshArgs) -> Result<Outcome> {
    match (args.action, args.xnode) {
        (Some(SshAction::Trust { xnode, host_key }), _) => trust(session, &xnode, host_key).await,
        (None, Some(xnode)) => open(session, &xnode, args.command, args.tty).await,
        (None, None) => Err(Error::usage("no server is named", "`capsulectl xnodes` lists them")),
    }
}

async fn trust(session: &Session, xnode: &str, host_key: Option<String>) -> Result<Outcome> {
    let current = session.client.get(&inventory::path(xnode)).await?;
    let xnode: XNode = current.parse()?;
    let pinned = xnode.ssh.host_key_fingerprint.as_deref().unwrap_or("none");
    let what = match &host_key {
        Some(_) => "pin the given host key",
        None => "pin whatever host key the server shows next",
    };
    ask::confirm(session, &format!("{what} for {}? The pinned one is {pinned}.", xnode.name))?;
    let patch = XNodePatch { ssh_host_key: Some(host_key), ..XNodePatch::default() };
    let etag = inventory::etag(&current, xnode.revision);
    let path = inventory::path(&xnode.id.to_string());
    let answer = session.client.patch(&path, Precondition::Unchanged(&etag), &patch).await?;
    if session.out.is_for_people() {
        session.out.done(&format!(
            "{} will be trusted with {}",
            xnode.name,
            match patch.ssh_host_key {
                Some(Some(_)) => "the given key",
                _ => "the key it shows next",
            }
        ));
    } else {
        session.out.one(&answer, &inventory::VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

async fn open(session: &Session, xnode: &str, command: Vec<String>, tty: bool) -> Result<Outcome> {
    let wanted = tty || command.is_empty();
    if tty && !terminal::is_here() {
        let hint = "leave --tty out to pass input and output on as they are";
        return Err(Error::usage("--tty needs a terminal", hint));
    }
    let terminal = (wanted && terminal::is_here()).then(|| terminal::describe(&ProcessEnvironment));
    let is_terminal = terminal.is_some();
    // One line for the shell there, as OpenSSH makes it: whoever wants a word quoted quotes it.
    let command = (!command.is_empty()).then(|| command.join(" "));
    let request = ShellRequest { command, terminal };
    let path = format!("{}/shell", inventory::path(xnode));
    let stream = session.client.upgrade(&path, SHELL_PROTOCOL, &request).await?;
    let (from_daemon, to_daemon) = io::split(stream);
    let raw = is_terminal.then(Raw::enter).transpose()?;
    let ended = tokio::select! {
        ended = receive(from_daemon) => ended,
        ended = send(to_daemon, is_terminal) => ended,
        ended = killed() => ended,
    };
    drop(raw);
    if is_terminal {
        session.out.note(&format!("The connection to {xnode} is closed."));
    }
    ended
}

/// Ends as the signal asks; dropping everything else gives the terminal back.
async fn killed() -> Result<Outcome> {
    let listen = |kind| signal(kind).map_err(|source| local("listen for signals", source));
    let (mut term, mut hup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    tokio::select! {
        _ = term.recv() => Ok(Outcome::Status(128 + 15)),
        _ = hup.recv() => Ok(Outcome::Status(128 + 1)),
    }
}

/// Writes what comes out until it has ended.
async fn receive(mut from_daemon: impl AsyncRead + Unpin) -> Result<Outcome> {
    let (mut stdout, mut stderr) = (stream(std::io::stdout())?, stream(std::io::stderr())?);
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; MAX_PAYLOAD]);
    loop {
        let length = from_daemon.read(&mut buffer).await.map_err(|_| Error::Ended)?;
        if length == 0 {
            return Err(Error::Ended);
        }
        decoder.feed(buffer.get(..length).unwrap_or_default());
        while let Some(frame) = decoder.next().map_err(|_| Error::Malformed("it is no frame of a shell"))? {
            match frame {
                Frame::Output(bytes) => print(&mut stdout, &bytes).await?,
                Frame::ErrorOutput(bytes) => print(&mut stderr, &bytes).await?,
                Frame::Exit(status) => return Ok(Outcome::Status(exit_code(status))),
                Frame::Failed(message) => return Err(Error::Failed { message, hint: None }),
                Frame::Input(_) | Frame::InputEnd | Frame::Resize { .. } => {
                    return Err(Error::Malformed("it is a frame of ours"));
                }
            }
        }
    }
}

/// The status as this system has them; more than 8 bits come from no Unix, and must not become a success.
fn exit_code(status: u32) -> u8 {
    u8::try_from(status).unwrap_or(255)
}

/// One of the three standard streams, as bytes and without a buffer of its own.
fn stream(standard: impl AsFd) -> Result<File> {
    let owned = standard.as_fd().try_clone_to_owned();
    owned.map(|fd| File::from_std(fd.into())).map_err(|source| local("use the standard streams", source))
}

async fn print(out: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).await.map_err(Error::Output)?;
    out.flush().await.map_err(Error::Output)
}

/// Sends what is typed or piped in, and the terminal's size when it changes. Ends only when the person hangs up.
async fn send(mut to_daemon: impl AsyncWrite + Unpin, is_terminal: bool) -> Result<Outcome> {
    let mut resized =
        signal(SignalKind::window_change()).map_err(|source| local("listen for signals", source))?;
    let (mut stdin, mut buffer) = (stream(std::io::stdin())?, vec![0; MAX_PAYLOAD]);
    let (mut escapes, mut open) = (Escapes::default(), true);
    loop {
        let (frame, hung_up) = tokio::select! {
            length = stdin.read(&mut buffer), if open => {
                let length = length.map_err(|source| local("read standard input", source))?;
                let typed = buffer.get(..length).unwrap_or_default();
                match (length, is_terminal) {
                    (0, _) => {
                        open = false;
                        (Frame::InputEnd, false)
                    }
                    (_, false) => (Frame::Input(typed.to_vec()), false),
                    (_, true) => {
                        let (passed, hung_up) = escapes.filter(typed);
                        (Frame::Input(passed), hung_up)
                    }
                }
            }
            Some(()) = resized.recv(), if is_terminal => {
                let (columns, rows) = terminal::size();
                (Frame::Resize { columns, rows }, false)
            }
            else => return std::future::pending().await,
        };
        let mut bytes = Vec::with_capacity(MAX_PAYLOAD);
        frame.encode(&mut bytes);
        let sent = async {
            to_daemon.write_all(&bytes).await?;
            to_daemon.flush().await
        };
        if sent.await.is_err() {
            // What still comes out says why.
            return std::future::pending().await;
        }
        if hung_up {
            return Ok(Outcome::Status(255));
        }
    }
}

fn local(action: &str, source: io::Error) -> Error {
    Error::Local { action: action.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_does_not_fit_is_no_success() {
        assert_eq!((exit_code(0), exit_code(7), exit_code(256)), (0, 7, 255));
    }
}
