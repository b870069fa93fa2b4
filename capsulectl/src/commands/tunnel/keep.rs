//! One tunnel from its opening to its end: opened again whenever it broke.

use std::{path::Path, sync::Arc};

use capsule_api::{TUNNEL_PROTOCOL, TunnelId, TunnelNews, TunnelRequest};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Take},
    net::UnixStream,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Duration, Instant, sleep, timeout_at},
};

use super::{
    Here, Plan, State, Tunnel, address,
    carry::Carrier,
    control::{Control, Told, tell},
    detach, explain, page,
};
use crate::{
    args::remote::TunnelArgs,
    client::Client,
    clock,
    commands::{Session, inventory},
    error::{Error, Outcome, Result},
    stream::{jitter, reconnect_delay},
};

/// The daemon says something every 15 seconds; three missing words mean that it is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// Longer than any line of news.
const LONGEST_LINE: u64 = 4 << 10;

/// The tunnel's own stream.
struct News {
    stream: BufReader<Take<TokioIo<Upgraded>>>,
    /// What has come of the next line; kept here because a caller that selects drops and renews its wait.
    line: Vec<u8>,
    /// When the last line came.
    alive: Instant,
}

impl News {
    /// Asks the daemon for the tunnel; returns its id there, the port, and what comes next.
    async fn open(session: &Session, xnode: &str, request: &TunnelRequest) -> Result<(TunnelId, u16, Self)> {
        let path = format!("{}/tunnels", inventory::path(xnode));
        let stream = session.client.upgrade(&path, TUNNEL_PROTOCOL, request).await?;
        let stream = BufReader::new(stream.take(LONGEST_LINE));
        let mut news = Self { stream, line: Vec::new(), alive: Instant::now() };
        match news.next().await? {
            TunnelNews::Open { tunnel, port } => Ok((tunnel, port, news)),
            TunnelNews::Closed { reason } => Err(Error::Failed { message: reason, hint: None }),
            _ => Err(Error::Malformed("a tunnel does not begin like this")),
        }
    }

    /// What happens next. Cancel-safe: no byte is lost.
    async fn next(&mut self) -> Result<TunnelNews> {
        let read = self.stream.read_until(b'\n', &mut self.line);
        match timeout_at(self.alive + SILENCE, read).await {
            Err(_) => {
                Err(Error::TimedOut { what: "a sign of life of the tunnel".to_owned(), after: SILENCE })
            }
            Ok(Err(_) | Ok(0)) => Err(Error::Ended),
            Ok(Ok(_)) => {
                self.alive = Instant::now();
                self.stream.get_mut().set_limit(LONGEST_LINE);
                serde_json::from_slice(&std::mem::take(&mut self.line)).map_err(Error::Answer)
            }
        }
    }
}

/// Opens a tunnel and keeps it open until somebody ends it.
pub async fn open(session: &Session, args: &TunnelArgs, directory: &Path) -> Result<Outcome> {
    let xnode = args.xnode.clone().unwrap_or_default();
    if args.detached {
        detach::leave_terminal()?;
    }
    let plan = Plan::of(args).await?;
    let (id, port, news) = News::open(session, &xnode, &plan.request).await?;
    let tunnel = described(args, &xnode, &plan, port)?;
    let control = Control::listen(directory, &tunnel.id)?;
    if args.detached {
        detach::report(&tunnel)?;
    } else {
        session.out.typed_one(&tunnel, &super::VIEW, page)?;
        explain(session, &tunnel);
    }
    let told: Told = Arc::new(tunnel.into());
    let (open, is_open) = watch::channel(Some(id));
    let client = Client::new(session.settings.socket.value.clone(), session.settings.timeout.value);
    let carrier = Carrier::new(client, Arc::clone(&told), session.out.clone(), is_open);
    let ended = {
        let kept = keep(session, &xnode, plan, news, open, &carrier);
        tokio::select! {
            error = kept => Err(error),
            caller = control.closed(&told) => Ok(Some(caller)),
            done = told_to_stop() => done.map(|()| None),
        }
    };
    // Every connection has ended by now; the one who closed it hears so by the end of its own.
    drop(control);
    let _: Option<UnixStream> = ended?;
    Ok(Outcome::Done)
}

fn described(args: &TunnelArgs, xnode: &str, plan: &Plan, port: u16) -> Result<Tunnel> {
    let local = match &plan.here {
        Here::Listener(listener) => listener.local_addr(),
        Here::Target(target) => Ok(*target),
    };
    let local = local.map_err(|source| Error::Local { action: "listen".to_owned(), source })?;
    let random = uuid::Uuid::now_v7().simple().to_string();
    Ok(Tunnel {
        id: random.get(24..).unwrap_or_default().to_owned(),
        xnode: xnode.to_owned(),
        direction: plan.request.direction,
        local: local.to_string(),
        remote: address(&plan.request.host, port),
        state: State::Open,
        connections: 0,
        background: args.detached,
        since: clock::now(),
    })
}

async fn told_to_stop() -> Result<()> {
    let listen = |kind| {
        signal(kind).map_err(|source| Error::Local { action: "listen for signals".to_owned(), source })
    };
    let (mut term, mut hup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    tokio::select! {
        _ = term.recv() => Ok(()),
        _ = hup.recv() => Ok(()),
    }
}

/// Follows the tunnel and opens it again whenever it ended; returns only when it cannot be opened any more.
async fn keep(
    session: &Session,
    xnode: &str,
    plan: Plan,
    mut news: News,
    open: watch::Sender<Option<TunnelId>>,
    carrier: &Carrier,
) -> Error {
    let mut tasks = JoinSet::new();
    let Plan { mut request, here } = plan;
    let target = match here {
        Here::Target(target) => Some(target),
        Here::Listener(listener) => {
            tasks.spawn(carrier.clone().serve(listener));
            None
        }
    };
    loop {
        let id = *open.borrow();
        let why = loop {
            tokio::select! {
                said = news.next() => match said {
                    Ok(TunnelNews::Connection { number }) => {
                        if let (Some(id), Some(target)) = (id, target) {
                            tasks.spawn(carrier.clone().inward(id, number, target));
                        }
                    }
                    Ok(TunnelNews::Alive | TunnelNews::Open { .. }) => {}
                    Ok(TunnelNews::Closed { reason }) => break reason,
                    Err(error) => break error.line(),
                },
                Some(_) = tasks.join_next() => {}
            }
        };
        let _ = open.send(None);
        tell(&carrier.told, |tunnel| tunnel.state = State::Reconnecting);
        session.out.note(&format!("the tunnel to {xnode} broke: {why}; opening it again"));
        let (id, port, more) = match reopen(session, xnode, &request).await {
            Ok(opened) => opened,
            Err(error) => return error,
        };
        news = more;
        // The port that the xNode chose the first time is the one people know.
        request.port = port;
        let _ = open.send(Some(id));
        tell(&carrier.told, |tunnel| tunnel.state = State::Open);
        session.out.note(&format!("the tunnel to {xnode} is open again"));
    }
}

/// Tries until it works, with growing pauses, or until trying again cannot help.
async fn reopen(session: &Session, xnode: &str, request: &TunnelRequest) -> Result<(TunnelId, u16, News)> {
    let mut failures = 0;
    loop {
        sleep(reconnect_delay(failures, jitter())).await;
        match News::open(session, xnode, request).await {
            Err(error) if may_pass(&error) => tracing::debug!(error = error.line(), "not yet"),
            done => return done,
        }
        failures += 1;
    }
}

/// Whether the same may work later: the daemon or the server is away. Not found, not allowed, another host key:
/// those wait for a person.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Refused(problem) => 500 <= problem.status || problem.status == 408,
        Error::Unreachable { source, .. } => source.kind() != std::io::ErrorKind::PermissionDenied,
        Error::Broken(_) | Error::TimedOut { .. } | Error::Ended | Error::Failed { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use capsule_api::Problem;

    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| {
            Error::Refused(Box::new(Problem {
                kind: "about:blank".into(),
                title: String::new(),
                status,
                detail: String::new(),
                code: String::new(),
                hint: None,
                request_id: String::new(),
            }))
        };
        for (status, passes) in [(403, false), (404, false), (409, false), (502, true), (503, true)] {
            assert_eq!(may_pass(&refused(status)), passes, "{status}");
        }
        let gone = std::io::ErrorKind::ConnectionRefused.into();
        assert!(may_pass(&Error::Unreachable { socket: "/x".into(), source: gone }));
        assert!(!may_pass(&Error::Interrupted));
    }
}
