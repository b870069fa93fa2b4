//! Tunnels in the background: the client once more, detached from its terminal, with a log of its own.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::{Tunnel, control};
use crate::{
    args::remote::TunnelArgs,
    commands::{Session, again},
    error::{Error, Outcome, Result},
    output::talk,
};

/// How long the process may take to open the tunnel: three jump hosts that answer slowly.
const DEADLINE: Duration = Duration::from_secs(150);

fn failed(action: &str) -> impl FnOnce(io::Error) -> Error {
    let action = action.to_owned();
    move |source| Error::Local { action, source }
}

/// Starts the process and waits until the tunnel is open, or for how the process ended after it said why.
pub async fn start(
    session: &Session,
    args: &TunnelArgs,
    directory: &Path,
) -> Result<std::result::Result<Tunnel, Outcome>> {
    let starting = directory.join(format!("starting-{}.log", std::process::id()));
    let log = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&starting);
    let log = log.map_err(failed("make the tunnel's log"))?;
    let mut child = Command::from(again(session)?)
        .args(words(args))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(failed("start the tunnel"))?;
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or(Error::Malformed("there is no pipe"))?;
    let read = timeout(DEADLINE, BufReader::new(stdout).read_line(&mut line)).await;
    match read {
        Err(_) => {
            let _ = child.kill().await;
            let _ = fs::remove_file(&starting);
            Err(Error::TimedOut { what: "opening the tunnel".to_owned(), after: DEADLINE })
        }
        Ok(Ok(length)) if 0 < length => {
            let tunnel: Tunnel = serde_json::from_str(&line).map_err(Error::Answer)?;
            // Only its name changes; the process goes on writing to it.
            fs::rename(&starting, control::log(directory, &tunnel.id))
                .map_err(failed("keep the tunnel's log"))?;
            Ok(Ok(tunnel))
        }
        Ok(_) => {
            let status = child.wait().await.map_err(failed("wait for the tunnel"))?;
            let said = fs::read_to_string(&starting).unwrap_or_default();
            let _ = fs::remove_file(&starting);
            said.lines().for_each(talk);
            let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
            Ok(Err(Outcome::Status(code.unwrap_or(1))))
        }
    }
}

fn words(args: &TunnelArgs) -> Vec<String> {
    let mut words = vec!["xnode".to_owned(), "tunnel".to_owned(), "--detached".to_owned()];
    let mut flag = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().map(|value| format!("--{name}={value}")));
    };
    flag("local-port", args.local_port.map(|port| port.to_string()));
    flag("remote-port", args.remote_port.map(|port| port.to_string()));
    flag("remote-host", args.remote_host.as_ref().map(ToString::to_string));
    words.extend(args.reverse.then(|| "--reverse".to_owned()));
    words.push("--".to_owned());
    words.extend(args.xnode.clone());
    words
}

/// Leaves the terminal's session: neither its end nor a Ctrl-C in it reaches this process any more.
pub fn leave_terminal() -> Result<()> {
    nix::unistd::setsid().map(drop).map_err(|error| failed("leave the terminal")(error.into()))
}

/// Tells the process that started this one that the tunnel is open.
pub fn report(tunnel: &Tunnel) -> Result<()> {
    let line = serde_json::to_string(tunnel).map_err(Error::Answer)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(Error::Output)
}
