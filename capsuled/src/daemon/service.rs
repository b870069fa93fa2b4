//! Life as a service: what the service manager and whoever looks on are told, signals, reload, the watchdog.

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Flags, Origin},
    context::Context,
    logging::{Chain, FilterHandle},
    store::{Lane, StoreError},
    tasks::supervisor,
};

/// Says on standard output where the daemon listens and what to type next, when somebody is looking.
pub(super) fn announce(config: &Config) {
    use std::io::IsTerminal;
    notify_systemd(&[sd_notify::NotifyState::Ready]);
    let socket = config.socket.value.display();
    tracing::info!(socket = %socket, version = env!("CARGO_PKG_VERSION"), "listening");
    let mut out = io::stdout();
    // The client finds a default path by itself; any other has to be said.
    let client = match config.socket.origin {
        Origin::Default => "capsulectl".to_owned(),
        _ => format!("capsulectl --socket {socket}"),
    };
    let lines = format!(
        "capsuled {} is watching this machine\n  socket  {socket}\n  state   {}\n\nNext, in another terminal:\n  {client}\n  {client} monitor watch\n  {client} inventory add web-1 --address 192.0.2.10\n",
        env!("CARGO_PKG_VERSION"),
        config.state_dir.value.display(),
    );
    if out.is_terminal() || !config.supervised {
        // A closed standard output is no reason not to watch.
        let _ = out.write_all(lines.as_bytes());
    }
}

pub(super) fn notify_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "no service manager to tell");
    }
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns at the next signal to stop.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for a signal to stop, reloading on SIGHUP and feeding the watchdog meanwhile. Returns the crash that
/// ended the wait, if one did.
pub(super) async fn watch(
    context: &Context,
    tasks: &mut supervisor::Supervisor,
    writers: &mut supervisor::Supervisor,
    signals: &mut Signals,
    flags: &Flags,
    filter: &FilterHandle,
) -> Option<supervisor::Crash> {
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 3);
    loop {
        let feed = async {
            match watchdog {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = signals.terminate.recv() => return None,
            _ = signals.interrupt.recv() => return None,
            _ = signals.hangup.recv() => reload(context, flags, filter),
            crash = tasks.crashed() => return Some(crash),
            crash = writers.crashed() => return Some(crash),
            () = feed => feed_watchdog(context).await,
        }
    }
}

/// Silence of the prober's thread after which the watchdog is not fed.
const PROBER_SILENT: Duration = Duration::from_secs(30);

/// Tells the service manager that we live, if a job can pass the writer and come back and the prober moves.
async fn feed_watchdog(context: &Context) {
    let silence = context.clock.elapsed().saturating_sub(context.live.prober_seen());
    if silence > PROBER_SILENT {
        tracing::error!(?silence, "the prober does not move; not feeding the watchdog");
        return;
    }
    let passes = context.store.write::<(), StoreError>(Lane::Alerts, |_| Box::pin(async { Ok(()) }));
    match tokio::time::timeout(Duration::from_secs(5), passes).await {
        Ok(Ok(()) | Err(StoreError::Full(_) | StoreError::Busy)) => {
            notify_systemd(&[sd_notify::NotifyState::Watchdog]);
        }
        Ok(Err(error)) => {
            tracing::error!(error = %Chain(&error), "the store does not answer; not feeding the watchdog");
        }
        Err(_) => tracing::error!("the store hangs; not feeding the watchdog"),
    }
}

/// Reads the configuration again. The log filter changes at once; what cannot change while running is said.
fn reload(context: &Context, flags: &Flags, filter: &FilterHandle) {
    notify_systemd(&sd_notify_reloading());
    match Config::load(flags) {
        Ok(config) => {
            if let Err(error) = filter.set(&config.log.value) {
                tracing::warn!(error = %Chain(&error), "keeping the log filter");
            }
            context.wakes.inventory_changed();
            context.wakes.outbox.ring();
            tracing::info!("reloaded; socket, state directory and limits change with a restart");
        }
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the configuration is not valid; going on with the old one")
        }
    }
    notify_systemd(&[sd_notify::NotifyState::Ready]);
}

fn sd_notify_reloading() -> Vec<sd_notify::NotifyState<'static>> {
    let mut states = vec![sd_notify::NotifyState::Reloading];
    states.extend(sd_notify::NotifyState::monotonic_usec_now().ok());
    states
}

/// In debug builds: lines `advance MILLISECONDS` on a socket move time.
#[cfg(debug_assertions)]
pub(super) fn test_control(
    config: &Config,
    context: &Context,
    tasks: &mut supervisor::Supervisor,
    stop: &CancellationToken,
) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let Some(path) = config.test_control.clone() else { return };
    let (clock, stop) = (context.clock.clone(), stop.clone());
    let serve = async move {
        let Ok(listener) = tokio::net::UnixListener::bind(&path) else { return };
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let by = line.strip_prefix("advance ").and_then(|ms| ms.parse().ok());
                if let Some(by) = by {
                    clock.advance(Duration::from_millis(by));
                }
                let answer: &[u8] = if by.is_some() { b"ok\n" } else { b"what?\n" };
                if write.write_all(answer).await.is_err() {
                    break;
                }
            }
        }
    };
    tasks.spawn("test control", async move { _ = stop.run_until_cancelled(serve).await });
}

#[cfg(not(debug_assertions))]
pub(super) fn test_control(_: &Config, _: &Context, _: &mut supervisor::Supervisor, _: &CancellationToken) {}
