//! One writer for each database file.
//!
//! Jobs queue up (bounded: beyond that the caller is told to come back), a lane for alerts goes before the
//! rest, and up to 64 jobs or 2 ms of them share one commit: one fsync then pays for all of them. Each job
//! runs under a savepoint, so one that fails takes nothing of the others with it. Answers and events go
//! out after the commit, in order. A job never calls a port: the network must not hold the file.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use capsule_api::{Event, EventKind};
use serde::Serialize;
use sqlx::{Executor, SqliteConnection};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{StoreError, events};
use crate::clock::Clock;

/// A future that can be sent and named.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

const QUEUE: usize = 1_024;
const JOBS_PER_COMMIT: usize = 64;
const TIME_PER_COMMIT: Duration = Duration::from_millis(2);

/// Which jobs go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Alerts and deliveries.
    Alerts,
    /// Everything else.
    Normal,
}

/// The transaction a job runs in.
pub struct Tx {
    connection: SqliteConnection,
    clock: Clock,
    epoch: Arc<str>,
    events: Vec<Arc<Event>>,
}

impl Tx {
    /// The connection, for the functions of this module's siblings.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The moment that stamps this job's rows.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Writes an event; subscribers see it after the commit.
    pub async fn emit<T: Serialize + Sync>(
        &mut self,
        kind: EventKind,
        subject: &str,
        data: &T,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let event = events::insert(&mut self.connection, &self.epoch, now, kind, subject, data).await?;
        self.events.push(Arc::new(event));
        Ok(())
    }
}

trait Job: Send {
    /// Runs the job; `false` means its savepoint must be rolled back.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool>;
    /// Answers the caller; `failed` is why the commit did not happen.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

struct Pending<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Pending<F, T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let work = self.work.take().expect("a job runs once");
            let outcome = work(tx).await;
            let kept = outcome.is_ok();
            self.outcome = Some(outcome);
            kept
        })
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let outcome = match failed {
            Some(error) => Err(error.into()),
            None => self.outcome.unwrap_or_else(|| Err(StoreError::Closed.into())),
        };
        // A caller that went away does not undo what was committed.
        let _ = self.reply.send(outcome);
    }
}

/// The way to a database file's writer. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    alerts: mpsc::Sender<Box<dyn Job>>,
    normal: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        clock: Clock,
        epoch: Arc<str>,
        events: broadcast::Sender<Arc<Event>>,
        stop: CancellationToken,
    ) -> (Self, BoxFuture<'static, ()>) {
        let (alerts, alerts_queue) = mpsc::channel(QUEUE);
        let (normal, normal_queue) = mpsc::channel(QUEUE);
        let tx = Tx { connection, clock, epoch, events: Vec::new() };
        let writer_loop = WriterLoop { tx, alerts: alerts_queue, normal: normal_queue, events };
        (Self { alerts, normal }, Box::pin(writer_loop.run(stop)))
    }

    pub(super) async fn run<T, E>(
        &self,
        lane: Lane,
        job: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { work: Some(job), outcome: None, reply });
        let queue = match lane {
            Lane::Alerts => &self.alerts,
            Lane::Normal => &self.normal,
        };
        queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

struct WriterLoop {
    tx: Tx,
    alerts: mpsc::Receiver<Box<dyn Job>>,
    normal: mpsc::Receiver<Box<dyn Job>>,
    events: broadcast::Sender<Arc<Event>>,
}

impl WriterLoop {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                Some(job) = self.alerts.recv() => job,
                Some(job) = self.normal.recv() => job,
                () = stop.cancelled() => break,
            };
            self.commit(first).await;
        }
        self.alerts.close();
        self.normal.close();
        while let Some(job) = self.next_queued() {
            self.commit(job).await;
        }
        // Closing folds the write-ahead log into the file; failing to leaves it for the next start.
        if let Err(error) = sqlx::Connection::close(self.tx.connection).await {
            tracing::warn!(error = %error, "could not close the database cleanly");
        }
    }

    fn next_queued(&mut self) -> Option<Box<dyn Job>> {
        self.alerts.try_recv().or_else(|_| self.normal.try_recv()).ok()
    }

    /// Runs `first` and what else is queued in one transaction, commits, then answers.
    async fn commit(&mut self, first: Box<dyn Job>) {
        let mut done = Vec::new();
        let mut failed = self.tx.connection.execute("BEGIN IMMEDIATE").await.err();
        let begun = Instant::now();
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            if failed.is_none() {
                failed = self.run_job(job.as_mut()).await.err();
            }
            done.push(job);
            let more = failed.is_none() && done.len() < JOBS_PER_COMMIT && begun.elapsed() < TIME_PER_COMMIT;
            next = if more { self.next_queued() } else { None };
        }
        if failed.is_none() {
            failed = self.tx.connection.execute("COMMIT").await.err();
        }
        let events = std::mem::take(&mut self.tx.events);
        if let Some(error) = failed {
            // SQLite may have rolled back by itself already; then this has nothing to do.
            let _ = self.tx.connection.execute("ROLLBACK").await;
            return answer_failed(done, error);
        }
        for event in events {
            // Nobody listening is fine: the event is in its table.
            let _ = self.events.send(event);
        }
        done.into_iter().for_each(|job| job.answer(None));
    }

    /// One job under its savepoint. An error here is the transaction's, not the job's.
    async fn run_job(&mut self, job: &mut dyn Job) -> Result<(), sqlx::Error> {
        let events_before = self.tx.events.len();
        self.tx.connection.execute("SAVEPOINT job").await?;
        if !job.run(&mut self.tx).await {
            self.tx.connection.execute("ROLLBACK TO job").await?;
            self.tx.events.truncate(events_before);
        }
        self.tx.connection.execute("RELEASE job").await?;
        Ok(())
    }
}

/// Tells every caller of a commit that did not happen why.
fn answer_failed(jobs: Vec<Box<dyn Job>>, error: sqlx::Error) {
    let shared = StoreError::from(error);
    tracing::error!(error = %crate::logging::Chain(&shared), jobs = jobs.len(), "could not commit");
    let full = matches!(shared, StoreError::Full(_));
    for job in jobs {
        let copy = sqlx::Error::Protocol("the shared commit failed".to_owned());
        job.answer(Some(if full { StoreError::Full(copy) } else { StoreError::Database(copy) }));
    }
}
