//! A shell or command on an xNode, between its SSH channel and the client's stream of frames.

use capsule_api::{
    ShellRequest, Terminal,
    frames::{Decoder, Frame, MAX_PAYLOAD},
};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;

use super::{Place, Remote, UseCaseError, log_in, note, unreached, way_to};
use crate::{
    context::Context,
    model::Caller,
    ssh::{Asked, Seen, Session, Shell, ShellInput, ShellOutput},
};

/// The longest command line; the server's largest packet is not much larger.
const LONGEST_COMMAND: usize = 128 * 1024;

/// A shell that runs and waits for its client.
pub struct OpenShell {
    name: String,
    shell: Shell,
    /// Held for as long as the shell lives.
    session: Session,
    _place: Place,
}

/// Starts a shell or command on an xNode.
///
/// # Errors
/// [`UseCaseError::OwnHost`], [`UseCaseError::NoWay`], [`UseCaseError::Unreached`], and
/// [`UseCaseError::WrongState`] when too many are open.
pub async fn open(
    context: &Context,
    remote: &Remote,
    by: &Caller,
    given: &str,
    request: &ShellRequest,
) -> Result<OpenShell, UseCaseError> {
    validate(request)?;
    let (stored, destination) = way_to(context, given).await?;
    let place = remote.places.take(by.uid, stored.xnode.id)?;
    note(context, by, "open_xnode_shell", stored.xnode.id.to_string()).await?;
    let session = log_in(context, &stored, &destination).await?;
    let name = stored.xnode.name.to_string();
    let asked = Asked { command: request.command.as_deref(), terminal: request.terminal.as_ref() };
    let shell = session.shell(asked).await.map_err(|error| unreached(&name, &error))?;
    tracing::info!(xnode.id = %stored.xnode.id, user = by.name, "opened a shell on `{name}`");
    Ok(OpenShell { name, shell, session, _place: place })
}

fn validate(request: &ShellRequest) -> Result<(), UseCaseError> {
    let runs = |line: &String| !line.is_empty() && line.len() <= LONGEST_COMMAND && !line.contains('\0');
    if !request.command.as_ref().is_none_or(runs) {
        return Err(UseCaseError::invalid("command", "1 byte to 128 KiB, without a NUL byte"));
    }
    if let Some(Terminal { kind, columns, rows }) = &request.terminal {
        if kind.is_empty() || 64 < kind.len() || !kind.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UseCaseError::invalid("terminal.kind", "1 to 64 visible ASCII characters"));
        }
        if *columns == 0 || *rows == 0 {
            return Err(UseCaseError::invalid("terminal", "it must have columns and rows"));
        }
    }
    Ok(())
}

impl OpenShell {
    /// Carries frames until the command ends, the client hangs up, or `stop`.
    pub async fn run(self, stream: impl AsyncRead + AsyncWrite, stop: CancellationToken) {
        let Self { name, shell, session, _place } = self;
        let (from_client, mut to_client) = io::split(stream);
        let (output, input) = shell.split();
        // Only what comes out may end it in good order; frames that do not fit and hanging up end it too.
        let end = tokio::select! {
            end = tell(output, &mut to_client, &name, &stop) => end,
            () = hear(from_client, &input) => return,
        };
        if let Some(end) = end {
            // A client that went away hears nothing.
            let _ = send(&mut to_client, &end).await;
            let _ = to_client.shutdown().await;
        }
        session.close().await;
    }
}

/// Hands output on; returns the last frame, or nothing when nobody reads any more.
async fn tell<S: AsyncRead + AsyncWrite>(
    mut output: ShellOutput,
    to_client: &mut WriteHalf<S>,
    name: &str,
    stop: &CancellationToken,
) -> Option<Frame> {
    loop {
        let seen = tokio::select! {
            () = stop.cancelled() => return Some(Frame::Failed("the daemon is stopping".to_owned())),
            seen = output.next() => seen,
        };
        let frame = match seen {
            Seen::Output(bytes) => Frame::Output(bytes.into()),
            Seen::ErrorOutput(bytes) => Frame::ErrorOutput(bytes.into()),
            Seen::Exit(status) => return Some(Frame::Exit(status)),
            Seen::Signal(signal) => {
                return Some(Frame::Failed(format!("the command was ended by the signal {signal}")));
            }
            Seen::Lost => return Some(Frame::Failed(format!("the SSH connection to `{name}` ended"))),
        };
        tokio::select! {
            () = stop.cancelled() => return None,
            sent = send(to_client, &frame) => sent.ok()?,
        }
    }
}

async fn send<S: AsyncRead + AsyncWrite>(to_client: &mut WriteHalf<S>, frame: &Frame) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(MAX_PAYLOAD);
    frame.encode(&mut bytes);
    to_client.write_all(&bytes).await?;
    to_client.flush().await
}

/// Hands input on until the client hangs up or sends what is no frame for us.
async fn hear<S: AsyncRead + AsyncWrite>(mut from_client: ReadHalf<S>, input: &ShellInput) {
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; MAX_PAYLOAD]);
    loop {
        match from_client.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => decoder.feed(buffer.get(..length).unwrap_or_default()),
        }
        loop {
            let done = match decoder.next() {
                Ok(None) => break,
                Ok(Some(Frame::Input(bytes))) => input.send(bytes).await,
                Ok(Some(Frame::InputEnd)) => input.end().await,
                Ok(Some(Frame::Resize { columns, rows })) => input.resize(columns, rows).await,
                Ok(Some(other)) => {
                    tracing::debug!(frame = ?std::mem::discriminant(&other), "a client sent our own frame");
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "a client sent what is no frame");
                    return;
                }
            };
            if done.is_err() {
                // The output tells how the session ended.
                return std::future::pending().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_or_terminal_that_no_server_takes_is_refused() {
        let terminal = |kind: &str, columns| Some(Terminal { kind: kind.to_owned(), columns, rows: 24 });
        let asks = |command: Option<&str>, terminal| {
            validate(&ShellRequest { command: command.map(str::to_owned), terminal }).is_ok()
        };
        assert!(asks(None, terminal("xterm-256color", 80)) && asks(Some("ls; id"), None));
        assert!(!asks(Some(""), None) && !asks(Some("a\0b"), None));
        assert!(!asks(Some(&"x".repeat(LONGEST_COMMAND + 1)), None));
        assert!(!asks(None, terminal("a b", 80)) && !asks(None, terminal("", 80)));
        assert!(!asks(None, terminal("xterm", 0)));
    }
}
