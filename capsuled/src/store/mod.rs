//! SQL, and nothing that knows what it means: one file per table family, static text, checked against the
//! migrations at compile time.
//!
//! Two database files. `capsule.db` holds what may never be lost (`synchronous=FULL`), `telemetry.db` what
//! may lose its last moments in a power cut (`NORMAL`); no transaction spans both. Each file has one
//! writer task ([`writer`]) that everybody sends jobs to, and a pool of readers beside it. A writing
//! transaction therefore never lives in a future that a disconnecting client can drop.
//!
//! How to use it:
//!
//! ```ignore
//! // read
//! let xnode = xnodes::find(&mut store.reader().await?, &id).await?;
//! // change: row, event, audit and the idempotent reply are one transaction, on disk when this returns
//! store.change(by, "create_xnode", target, move |tx| Box::pin(async move {
//!     xnodes::insert(tx, &row).await?;
//!     tx.emit(EventKind::XNodeCreated, row.id.to_string(), &wire).await?;
//!     Ok(wire)
//! })).await?
//! ```

pub mod accounts;
pub mod alerts;
pub mod audit;
pub mod channels;
pub mod checks;
pub mod costs;
pub mod deliveries;
pub mod events;
pub mod findings;
pub mod idempotency;
pub mod intents;
pub mod operations;
mod packed;
pub mod probes;
pub mod profiles;
pub mod remediations;
pub mod retention;
pub mod samples;
pub mod settings;
pub mod templates;
pub mod writer;
pub mod xnodes;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrades;

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use capsule_api::Event;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use writer::{BoxFuture, Lane, Tx, Writer};

use crate::clock::Clock;

/// First SQLite release without the WAL-reset bug.
const OLDEST_SQLITE: &str = "3.51.3";
const READERS: u32 = 4;
/// Events a slow subscriber may be behind before it is told that it missed some.
const EVENT_BUFFER: usize = 4_096;

/// A database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The writer's queue is full; the same job may succeed in a moment.
    #[error("the database has more changes waiting than it takes")]
    Busy,
    /// The disk is full; reads go on.
    #[error("there is no room left on the disk that holds the state")]
    Full(#[source] sqlx::Error),
    /// The daemon is stopping.
    #[error("the database is closed")]
    Closed,
    /// A row holds something this version does not know.
    #[error("the database holds a {what} this version cannot read: {detail}")]
    Unreadable {
        /// What it should have been.
        what: &'static str,
        /// What it is.
        detail: String,
    },
    /// The bundled SQLite is one that can lose data.
    #[error("SQLite {0} is too old: {OLDEST_SQLITE} is the first without the WAL-reset bug")]
    OldSqlite(String),
    /// The schema could not be brought up to date.
    #[error("could not bring the schema up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Anything else SQLite says.
    #[error("the database refused")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|e| e.code()).map(|c| c.into_owned());
        // SQLITE_FULL, and SQLITE_IOERR_WRITE which some file systems answer instead.
        match code.as_deref() {
            Some("13" | "778") => Self::Full(error),
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Whether the same call may succeed later. Exhaustive on purpose: a new variant must choose.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy | Self::Full(_) | Self::Database(_) => true,
            Self::Closed | Self::Unreadable { .. } | Self::OldSqlite(_) | Self::Migrate(_) => false,
        }
    }
}

/// Both databases. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    capsule: Writer,
    telemetry: Writer,
    readers: SqlitePool,
    telemetry_readers: SqlitePool,
    events: broadcast::Sender<Arc<Event>>,
    epoch: Arc<str>,
    clock: Clock,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// The two writers' loops, to be run by the supervisor until `stop`; each finishes what is queued first.
#[must_use = "without its loops the store answers nothing"]
pub struct WriterLoops {
    /// The loop of `capsule.db`.
    pub capsule: BoxFuture<'static, ()>,
    /// The loop of `telemetry.db`.
    pub telemetry: BoxFuture<'static, ()>,
}

impl Store {
    /// Opens both files in `directory`, brings their schemas up to date and returns the store with its
    /// writers' loops.
    pub async fn open(
        directory: &Path,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<(Self, WriterLoops), StoreError> {
        let mut capsule = connect(&directory.join("capsule.db"), SqliteSynchronous::Full).await?;
        check_version(&mut capsule).await?;
        sqlx::migrate!("../migrations/capsule").run(&mut capsule).await?;
        let mut telemetry = connect(&directory.join("telemetry.db"), SqliteSynchronous::Normal).await?;
        sqlx::migrate!("../migrations/telemetry").run(&mut telemetry).await?;

        let epoch: Arc<str> = events::epoch(&mut capsule).await?.into();
        let (events, _) = broadcast::channel(EVENT_BUFFER);
        let (capsule, capsule_loop) =
            Writer::new(capsule, clock.clone(), epoch.clone(), events.clone(), stop.clone());
        let (telemetry, telemetry_loop) =
            Writer::new(telemetry, clock.clone(), epoch.clone(), events.clone(), stop);
        let store = Self {
            capsule,
            telemetry,
            readers: read_pool(&directory.join("capsule.db")).await?,
            telemetry_readers: read_pool(&directory.join("telemetry.db")).await?,
            events,
            epoch,
            clock,
        };
        Ok((store, WriterLoops { capsule: capsule_loop, telemetry: telemetry_loop }))
    }

    /// A connection that reads `capsule.db`.
    pub async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// A connection that reads `telemetry.db`.
    pub async fn telemetry_reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, StoreError> {
        Ok(self.telemetry_readers.acquire().await?)
    }

    /// Runs `job` in a transaction on `capsule.db`; it is on disk when this returns `Ok`. A job that
    /// returns an error leaves nothing behind.
    pub async fn write<T, E>(
        &self,
        lane: Lane,
        job: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.capsule.run(lane, job).await
    }

    /// Runs `job` in a transaction on `telemetry.db`.
    pub async fn write_telemetry<T, E>(
        &self,
        job: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.telemetry.run(Lane::Normal, job).await
    }

    /// A change somebody asked for: `job`, its audit row and, where the caller sent an idempotency key, the
    /// reply's body, in one transaction. `action` is the operation id.
    pub async fn change<T, E>(
        &self,
        by: &crate::model::Caller,
        action: &'static str,
        target: impl Into<String>,
        job: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: serde::Serialize + Send + Sync + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let by = by.clone();
        let target = target.into();
        self.write(Lane::Normal, move |tx| {
            Box::pin(async move {
                let reply = job(tx).await?;
                audit::insert(tx, &by, action, &target).await?;
                if let Some(key) = &by.idempotency {
                    idempotency::set_body(tx, by.uid, key, &reply).await?;
                }
                Ok(reply)
            })
        })
        .await
    }

    /// Every event committed from now on, in order.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// The epoch that event ids begin with; a restore starts a new one.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The clock that stamps rows.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

async fn connect(path: &Path, synchronous: SqliteSynchronous) -> Result<SqliteConnection, StoreError> {
    Ok(options(path).synchronous(synchronous).connect().await?)
}

async fn read_pool(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = options(path).create_if_missing(false).pragma("query_only", "ON");
    Ok(SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .connect_with(options)
        .await?)
}

async fn check_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    connection.ping().await?;
    let version =
        sqlx::query_scalar!(r#"SELECT sqlite_version() AS "version!: String""#).fetch_one(connection).await?;
    let parts = |text: &str| text.split('.').map(|n| n.parse().unwrap_or(0)).collect::<Vec<u32>>();
    if parts(&version) < parts(OLDEST_SQLITE) {
        return Err(StoreError::OldSqlite(version));
    }
    Ok(())
}

/// Milliseconds since the epoch, as stored.
pub(crate) fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A stored moment.
pub(crate) fn at(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms)
        .map_err(|error| StoreError::Unreadable { what: "moment", detail: error.to_string() })
}

/// A stored moment that may be absent.
pub(crate) fn at_opt(ms: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    ms.map(at).transpose()
}

/// A stored word, name, id or address.
pub(crate) fn parse<T: FromStr>(what: &'static str, text: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StoreError::Unreadable { what, detail: error.to_string() })
}

/// A stored JSON value.
pub(crate) fn json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable { what, detail: error.to_string() })
}

/// A value as JSON text. Our own types have string keys and finite numbers, so this cannot fail.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("wire types serialise")
}
