//! `xnode tunnel`: ports here and there, joined over the daemon's SSH connections.
//!
//! A tunnel is a process of the client, in the foreground or detached, and not a part of the daemon: the port is on
//! the machine and among the rights of the person who asked, also when the daemon is elsewhere, and it outlives a
//! restart of the daemon because it connects again. Each tunnel answers on a control socket of its own in a
//! directory only its user can enter: who lists or closes tunnels asks the tunnel itself, so nothing can be stale
//! and no process is killed by a number that another one may have by now.

mod carry;
mod control;
mod detach;
mod keep;

use std::net::{Ipv4Addr, SocketAddr};

use capsule_api::{Host, TunnelDirection, TunnelRequest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::{Session, names};
use crate::{
    args::remote::{TunnelAction, TunnelArgs},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Sheet, Tone, View, text},
};

/// A tunnel as its process tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// Eight characters.
    pub id: String,
    /// The server, as it was named.
    pub xnode: String,
    /// Which way connections go.
    pub direction: TunnelDirection,
    /// Address here: it listens, or connections end there.
    pub local: String,
    /// Address as the server sees it.
    pub remote: String,
    /// Whether it is open at the moment, or connects again.
    pub state: State,
    /// Connections through it at the moment.
    pub connections: usize,
    /// Whether it is detached from its terminal.
    pub background: bool,
    /// When it was first open.
    pub since: Timestamp,
}

/// Whether connections get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// They do.
    Open,
    /// They wait.
    Reconnecting,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reconnecting => "reconnecting",
        }
    }
}

const VIEW: View<Tunnel> = View {
    columns: &[
        Column { title: "ID", fit: Fit::Keep, cell: |t, _| Cell::toned(Tone::Name, t.id.as_str()) },
        Column { title: "XNODE", fit: Fit::Keep, cell: |t, _| t.xnode.as_str().into() },
        Column { title: "LOCAL", fit: Fit::Keep, cell: |t, _| t.local.as_str().into() },
        Column { title: "DIRECTION", fit: Fit::Keep, cell: |t, _| t.direction.as_str().into() },
        Column { title: "REMOTE", fit: Fit::Keep, cell: |t, _| t.remote.as_str().into() },
        Column { title: "STATE", fit: Fit::Keep, cell: |t, _| t.state.as_str().into() },
        Column { title: "CONNECTIONS", fit: Fit::Number, cell: |t, _| t.connections.to_string().into() },
        Column { title: "SINCE", fit: Fit::Number, cell: |t, look| text::age(t.since, look.now).into() },
    ],
    name: |tunnel| tunnel.id.clone(),
    empty: "no tunnels are open; `capsulectl xnode tunnel ID` opens one",
};

/// For people, the address to use; the rest is talk.
fn page(tunnel: &Tunnel, sheet: &mut Sheet<'_>) {
    sheet.line(match tunnel.direction {
        TunnelDirection::Local => &tunnel.local,
        TunnelDirection::Remote => &tunnel.remote,
    });
}

fn explain(session: &Session, tunnel: &Tunnel) {
    let Tunnel { id, xnode, local, remote, .. } = tunnel;
    session.out.note(&match tunnel.direction {
        TunnelDirection::Local => format!("{local} here leads to {remote} as {xnode} sees it"),
        TunnelDirection::Remote => format!("{remote} on {xnode} leads to {local} here"),
    });
    session.out.note(&if tunnel.background {
        format!("`capsulectl xnode tunnel close {id}` ends it")
    } else {
        "Ctrl-C ends it".to_owned()
    });
}

/// `xnode tunnel`.
pub async fn run(session: &Session, args: TunnelArgs) -> Result<Outcome> {
    let directory = control::directory()?;
    match &args.action {
        Some(TunnelAction::List) => {
            session.out.typed_list(&control::list(&directory).await?, &VIEW)?;
            Ok(Outcome::Done)
        }
        Some(TunnelAction::Close { tunnel, all }) => {
            close(session, &directory, tunnel.as_deref().filter(|_| !all)).await
        }
        None if args.background => {
            let tunnel = match detach::start(session, &args, &directory).await? {
                Ok(tunnel) => tunnel,
                Err(outcome) => return Ok(outcome),
            };
            session.out.typed_one(&tunnel, &VIEW, page)?;
            explain(session, &tunnel);
            Ok(Outcome::Done)
        }
        None => keep::open(session, &args, &directory).await,
    }
}

/// Closes the tunnel that `given` means, or all.
async fn close(session: &Session, directory: &std::path::Path, given: Option<&str>) -> Result<Outcome> {
    let all = control::list(directory).await?;
    let fits =
        |tunnel: &&Tunnel| given.is_none_or(|given| tunnel.xnode == given || tunnel.id.starts_with(given));
    let chosen: Vec<&Tunnel> = all.iter().filter(fits).collect();
    match (given, chosen.len()) {
        (Some(given), 0) => {
            return Err(names::refused(404, "not_found", format!("there is no tunnel `{given}`")));
        }
        (Some(given), 2..) => {
            return Err(names::refused(409, "ambiguous", format!("`{given}` means more than one tunnel")));
        }
        _ => {}
    }
    for tunnel in chosen {
        control::close(directory, &tunnel.id).await?;
        session.out.done(&format!("closed the tunnel {} to {}", tunnel.id, tunnel.xnode));
    }
    Ok(Outcome::Done)
}

/// What to ask the daemon for, and what is here.
#[derive(Debug)]
struct Plan {
    request: TunnelRequest,
    here: Here,
}

/// This end of a tunnel.
#[derive(Debug)]
enum Here {
    /// Connections begin here.
    Listener(TcpListener),
    /// Connections end here.
    Target(SocketAddr),
}

impl Plan {
    /// Takes the local port first, so that one that is taken costs nothing.
    async fn of(args: &TunnelArgs) -> Result<Self> {
        let host = args.remote_host.clone();
        let host = host.unwrap_or_else(|| Host::try_from("127.0.0.1".to_owned()).expect("an address"));
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if let (true, Some(local)) = (args.reverse, args.local_port) {
            let port = args.remote_port.unwrap_or(local);
            let request = TunnelRequest { direction: TunnelDirection::Remote, host, port };
            return Ok(Self { request, here: Here::Target(here(local)) });
        }
        let port = args.remote_port.unwrap_or(80);
        let request = TunnelRequest { direction: TunnelDirection::Local, host, port };
        let listener = match args.local_port {
            Some(local) => TcpListener::bind(here(local)).await,
            None => match TcpListener::bind(here(usual_port(port))).await {
                Ok(listener) => Ok(listener),
                Err(_) => TcpListener::bind(here(0)).await,
            },
        };
        let listener = listener.map_err(|source| Error::Local {
            action: format!("listen on port {}", args.local_port.unwrap_or(0)),
            source,
        })?;
        Ok(Self { request, here: Here::Listener(listener) })
    }
}

/// The port here for one there: the same, unless it takes a privilege.
const fn usual_port(remote: u16) -> u16 {
    if remote < 1024 { 8000 + remote } else { remote }
}

/// An address as people write it.
fn address(host: &Host, port: u16) -> String {
    match host.ip() {
        Some(ip) => SocketAddr::new(ip, port).to_string(),
        None => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_port_needs_no_privilege() {
        assert_eq!((usual_port(80), usual_port(443), usual_port(5432)), (8080, 8443, 5432));
    }

    #[test]
    fn addresses_are_written_so_that_they_can_be_used() {
        let shown = |host: &str| address(&host.parse().expect("a host"), 80);
        assert_eq!((shown("::1"), shown("db.internal")), ("[::1]:80".into(), "db.internal:80".into()));
    }
}
