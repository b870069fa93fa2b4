//! The wiring: opens, starts, watches and stops every part.
//!
//! Order matters at both ends. At the start: configuration, log, the state directory's lock, seal, store,
//! own host, tasks, socket, and only then `READY=1`. At the stop: `STOPPING=1`, tasks and API finish what they
//! are at, then the writers commit what is queued. The first signal does that; a second one, or the grace
//! period, drops everything, which costs no more than a kill would.

mod service;
mod socket;
mod state_dir;

use std::{io, path::PathBuf, sync::Arc};

use capsule_api::{CheckId, ProbeSpec, XNodeId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{
    service::{Signals, announce, notify_systemd, test_control, watch},
    socket::listen,
    state_dir::{lock, prepare_directory},
};
use crate::{
    api,
    clock::Clock,
    config::{Config, ConfigError, Flags},
    context::{Clouds, Context, Live, TaskBoard, Wakes},
    faults::Faults,
    logging::{self, FilterHandle},
    notify::{Deadlines, Notifier},
    probe::{Prober, ProberOptions},
    secret::{Seal, SealKeyError},
    ssh,
    store::{Lane, Store, StoreError, channels, xnodes},
    tasks::{
        collector, evaluator, expiry, operations, outbox, prober, reconcile, recorder, remediation,
        retention, supervisor, templates,
    },
};

/// Why the daemon did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No configuration.
    #[error("could not put the configuration together")]
    Config(#[from] ConfigError),
    /// The log filter.
    #[error("could not start logging")]
    Log(#[from] logging::InvalidFilter),
    /// The state directory.
    #[error("could not use the state directory {}", path.display())]
    StateDir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another daemon has it.
    #[error("the state directory {} is in use by {holder}", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
        /// Who, as they wrote it down.
        holder: String,
    },
    /// The seal's key.
    #[error("could not open the seal")]
    Seal(#[from] SealKeyError),
    /// There are sealed secrets and no key.
    #[error("{count} secrets are sealed and the key to them, {}, is not there", path.display())]
    SealKeyMissing {
        /// Where it should be.
        path: PathBuf,
        /// How many secrets.
        count: i64,
    },
    /// The databases.
    #[error("could not open the store")]
    Store(#[from] StoreError),
    /// The socket.
    #[error("could not listen on {}", path.display())]
    Listen {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody answers on the socket.
    #[error("another daemon listens on {}", path.display())]
    SocketInUse {
        /// Which.
        path: PathBuf,
    },
    /// The system.
    #[error("the operating system refused")]
    System(#[source] io::Error),
    /// The metrics recorder.
    #[error("could not install the metrics recorder")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// A part of the daemon gave up.
    #[error("the daemon stopped because a part of it did")]
    Crash(#[from] supervisor::Crash),
}

impl StartError {
    /// The way out, when we know it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InUse { .. } => {
                Some("stop the other daemon, or give this one its own --state-dir and --socket")
            }
            Self::SealKeyMissing { .. } => Some(
                "put seal.key back from where it was kept, or set the secrets again in a fresh state directory",
            ),
            Self::StateDir { .. } => Some("choose a directory you can write with --state-dir"),
            Self::Listen { .. } => Some("choose a path you can write with --socket"),
            Self::SocketInUse { .. } => Some("stop the other daemon, or give this one its own --socket"),
            Self::Config(_) => Some("`capsuled check-config` says where each setting comes from"),
            _ => None,
        }
    }
}

/// Runs the daemon until a signal stops it.
pub fn run(flags: &Flags) -> Result<(), StartError> {
    let config = Config::load(flags)?;
    let filter = logging::start(&config.log.value, config.log_format)?;
    // Files and sockets of ours are ours alone unless said otherwise.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(StartError::System)?;
    runtime.block_on(serve(config, flags.clone(), filter))
}

/// Every probe and connection is a descriptor; the usual soft limit of 1,024 is a relic of select(2).
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard.min(1 << 20), hard)
    {
        tracing::warn!(%error, "could not raise the limit on open files");
    }
}

async fn serve(config: Config, flags: Flags, filter: FilterHandle) -> Result<(), StartError> {
    let mut signals = Signals::new().map_err(StartError::System)?;
    let state_dir = config.state_dir.value.clone();
    prepare_directory(&state_dir)?;
    let _lock = lock(&state_dir)?;
    let clock = Clock::system();

    let close = CancellationToken::new();
    let stop = CancellationToken::new();
    let (store, loops) = Store::open(&state_dir, clock.clone(), close.clone()).await?;
    let mut writers = supervisor::Supervisor::new(close.clone());
    writers.spawn("writer of capsule.db", loops.capsule);
    writers.spawn("writer of telemetry.db", loops.telemetry);

    let context = context(&config, store, clock).await?;
    first_start(&context).await?;
    // Before any task: what cannot listen must end, and a running prober would hold it back.
    let listener = listen(&config).await?;
    let mut tasks = supervisor::Supervisor::new(stop.clone());
    spawn_tasks(&mut tasks, &context, &config, &stop);
    let api_context = context.clone();
    let api_stop = stop.clone();
    tasks.spawn("api", async move { api::serve(api_context, listener, api_stop).await });
    test_control(&config, &context, &mut tasks, &stop);
    announce(&config);

    let crash = watch(&context, &mut tasks, &mut writers, &mut signals, &flags, &filter).await;
    notify_systemd(&[sd_notify::NotifyState::Stopping]);
    if let Some(crash) = &crash {
        tracing::error!(error = %crash, "stopping because a part of the daemon ended");
    }
    let stopped = tasks.stop(signals.stop()).await;
    writers.stop(signals.stop()).await?;
    stopped?;
    tracing::info!("stopped");
    crash.map_or(Ok(()), |crash| Err(crash.into()))
}

async fn context(config: &Config, store: Store, clock: Clock) -> Result<Context, StartError> {
    let seal = seal(config, &store).await?;
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .map_err(StartError::Metrics)?;
    #[cfg(debug_assertions)]
    let faults = config.fault.as_deref().map(Faults::parse).unwrap_or_default();
    #[cfg(not(debug_assertions))]
    let faults = Faults::default();
    Ok(Context {
        started_at: clock.now(),
        store,
        clock,
        faults,
        seal: Arc::new(seal),
        live: Arc::new(Live::default()),
        wakes: Arc::new(Wakes::default()),
        tasks: Arc::new(TaskBoard::default()),
        notifier: Arc::new(Notifier::new(Deadlines::default())),
        clouds: Arc::new(Clouds::default()),
        metrics,
        state_dir: Arc::new(config.state_dir.value.clone()),
        agent_socket: config.agent_socket.clone().map(Arc::new),
        own_uid: nix::unistd::geteuid().as_raw(),
    })
}

fn spawn_tasks(
    tasks: &mut supervisor::Supervisor,
    context: &Context,
    config: &Config,
    stop: &CancellationToken,
) {
    let waiting = Arc::new(recorder::Waiting::default());
    let board = &context.tasks;
    let (c, s, w) = (context.clone(), stop.clone(), Arc::clone(&waiting));
    tasks.spawn("recorder", recorder::run(c, w, board.register("recorder"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("evaluator", evaluator::run(c, board.register("evaluator"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("outbox", outbox::run(c, board.register("outbox"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("operations", operations::run(c, board.register("operations"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("retention", retention::run(c, board.register("retention"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("templates", templates::run(c, board.register("templates"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("expiry", expiry::run(c, board.register("expiry"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("reconcile", reconcile::run(c, board.register("reconcile"), s));
    let (c, s) = (context.clone(), stop.clone());
    tasks.spawn("remediation", remediation::run(c, board.register("remediation"), s));
    let pool =
        ssh::Pool::new(ssh::PoolLimits { max_sessions: config.ssh_sessions.value, ..Default::default() });
    let (c, s, at_once) = (context.clone(), stop.clone(), config.collections_at_once.value);
    tasks.spawn("collector", collector::run(c, pool, at_once, board.register("collector"), s));
    let (c, s, handle, at_once) =
        (context.clone(), stop.clone(), board.register("prober"), config.probes_at_once.value);
    tasks.spawn_thread("prober", move || async move {
        let prober = Prober::new(ProberOptions::default());
        c.live.set_icmp(prober.icmp().is_available());
        prober::run(c, prober, waiting, at_once, handle, s).await;
    });
}

/// The seal: a systemd credential, else the state directory's own key, made when nothing was ever sealed.
async fn seal(config: &Config, store: &Store) -> Result<Seal, StartError> {
    if let Some(directory) = &config.credentials_dir
        && let Some(seal) = Seal::open(&directory.join("seal.key"))?
    {
        return Ok(seal);
    }
    let path = config.state_dir.value.join("seal.key");
    if let Some(seal) = Seal::open(&path)? {
        return Ok(seal);
    }
    let count = xnodes::count_sealed(&mut *store.reader().await?).await?;
    if count > 0 {
        return Err(StartError::SealKeyMissing { path, count });
    }
    Ok(Seal::create(&path)?)
}

/// On a fresh state directory: the own host becomes the first xNode and the console the first channel. What
/// its owner removes later stays removed.
async fn first_start(context: &Context) -> Result<(), StoreError> {
    let hostname =
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let name = hostname.split('.').next().and_then(|name| name.parse().ok());
    let now = context.clock.now();
    let own_host = crate::usecases::own_host::own_host(
        XNodeId(Uuid::now_v7()),
        CheckId(Uuid::now_v7()),
        name,
        now,
        ProbeSpec::Ping(capsule_api::PingProbe { family: capsule_api::IpFamily::Any }),
    );
    context
        .store
        .write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                if !crate::store::settings::mark_first_start(tx).await? {
                    return Ok(());
                }
                xnodes::insert(tx, &own_host).await?;
                channels::insert(tx, &crate::usecases::own_host::console_channel(), None).await?;
                Ok(())
            })
        })
        .await
}
