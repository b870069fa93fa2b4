//! Reads the resources of every xNode when it is due: the own host from its own `/proc`, the others over
//! kept SSH connections. A reading that fails leaves the last one where it is, says why, and raises no alert
//! of its own: that is what the SSH check is for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use capsule_api::{Sample, Series};
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    context::{CollectNow, Context, TaskHandle},
    logging::Chain,
    model::XNodeKey,
    rules::schedule::{self, Limits, Plan, Schedule},
    samples::{self, CollectError, Counters, OwnHost},
    ssh::{Pool, SshError},
    store::{
        StoreError,
        samples::{self as rows, SeriesRow},
        settings,
        xnodes::{self, StoredXNode},
    },
    usecases::{
        reaching::{self, Keys, NoWay},
        watching,
    },
};

/// Deadline of one reading, connection not counted.
const DEADLINE: Duration = Duration::from_secs(20);

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    NoWay(#[from] NoWay),
    #[error(transparent)]
    Ssh(#[from] SshError),
    #[error(transparent)]
    Collect(#[from] CollectError),
}

struct Collector {
    context: Context,
    pool: Pool,
    own_host: Arc<OwnHost>,
    keys: Keys,
    schedule: Schedule<XNodeKey>,
    xnodes: Arc<HashMap<String, StoredXNode>>,
    names: HashMap<XNodeKey, String>,
    counters: HashMap<XNodeKey, Counters>,
    asked: HashMap<XNodeKey, Vec<oneshot::Sender<()>>>,
}

struct Reading {
    key: XNodeKey,
    outcome: Result<(Sample, Counters), Failure>,
    host_key: Option<String>,
}

/// Collects until `stop`.
pub async fn run(context: Context, pool: Pool, at_once: usize, handle: TaskHandle, stop: CancellationToken) {
    let keys = Keys { seal: Arc::clone(&context.seal), agent_socket: context.agent_socket.clone() };
    let mut collector = Collector {
        pool,
        own_host: Arc::new(OwnHost::new()),
        keys,
        schedule: Schedule::new(context.started_at, Limits { in_flight: at_once, per_host: 1 }),
        xnodes: Arc::default(),
        names: HashMap::new(),
        counters: HashMap::new(),
        asked: HashMap::new(),
        context,
    };
    collector.restore().await;
    let mut under_way: JoinSet<Reading> = JoinSet::new();
    let mut reload_at = Some(Duration::ZERO);
    let mut reloaded = Duration::ZERO;
    loop {
        if reload_at.is_some_and(|moment| moment <= collector.context.clock.elapsed()) {
            let (at, began) = (collector.context.clock.now(), collector.context.clock.elapsed());
            let error = collector.reload().await.err().map(|error| Chain(&error).to_string());
            reload_at = error.as_ref().map(|_| began + super::AFTER_FAILURE);
            reloaded = began;
            handle.ran(at, collector.context.clock.elapsed().saturating_sub(began), error);
        }
        collector.start_due(&mut under_way);
        let next = [collector.schedule.next_due(), reload_at].into_iter().flatten().min();
        let pause = next.map(|moment| moment.saturating_sub(collector.context.clock.elapsed()));
        tokio::select! {
            () = stop.cancelled() => break,
            () = collector.context.wakes.collector.rung() => {
                reload_at = Some(reloaded + super::BETWEEN_RELOADS);
            }
            () = super::sleep_or_never(&collector.context.clock, pause) => {}
            Some(done) = under_way.join_next() => match done {
                Ok(reading) => collector.note(reading).await,
                Err(error) => tracing::error!(%error, "a reading panicked"),
            }
        }
    }
    under_way.abort_all();
    collector.pool.close().await;
}

impl Collector {
    /// Brings back the newest reading of every xNode, so that a restart shows no gap.
    async fn restore(&mut self) {
        let read = async {
            let mut reader = self.context.store.telemetry_reader().await?;
            rows::newest(&mut reader).await
        };
        match read.await {
            Ok(newest) => {
                for (key, sample) in newest {
                    self.context.live.update_xnode(key, |live| live.sample = Some(sample));
                }
            }
            Err(error) => tracing::warn!(error = %Chain(&error), "starting without the newest readings"),
        }
    }

    async fn reload(&mut self) -> Result<(), StoreError> {
        let mut reader = self.context.store.reader().await?;
        let settings = settings::find(&mut reader).await?.0;
        let all = xnodes::list(&mut reader, &xnodes::Filter::default(), i64::MAX).await?;
        drop(reader);
        let now = self.context.clock.elapsed();
        let mut names = HashMap::new();
        for stored in &all {
            let Some(interval) = watching::metrics_interval(&stored.xnode, &settings) else { continue };
            names.insert(stored.key, stored.xnode.name.to_string());
            let known = self.names.contains_key(&stored.key);
            let phase = schedule::phase(stored.xnode.id.0, interval);
            self.schedule.put(stored.key, Plan { host: stored.key, interval, phase }, now);
            if !known {
                self.schedule.run_now(stored.key, now);
            }
        }
        for key in self.names.keys().filter(|key| !names.contains_key(key)) {
            self.schedule.remove(*key);
            self.counters.remove(key);
            self.pool.forget(key.0);
            self.context.live.update_xnode(*key, |live| live.next_at = None);
        }
        self.names = names;
        self.xnodes =
            Arc::new(all.into_iter().map(|stored| (stored.xnode.name.to_string(), stored)).collect());
        self.take_asked();
        Ok(())
    }

    fn take_asked(&mut self) {
        let now = self.context.clock.elapsed();
        for CollectNow { xnode, done } in self.context.wakes.take_collect_now() {
            let stored = self.xnodes.values().find(|stored| stored.xnode.id == xnode);
            let Some(key) = stored.map(|stored| stored.key).filter(|key| self.names.contains_key(key)) else {
                continue;
            };
            self.schedule.run_now(key, now);
            self.asked.entry(key).or_default().push(done);
        }
    }

    fn start_due(&mut self, under_way: &mut JoinSet<Reading>) {
        for start in self.schedule.due(self.context.clock.elapsed(), usize::MAX) {
            let Some(name) = self.names.get(&start.key).cloned() else { continue };
            let (xnodes, keys, pool) = (Arc::clone(&self.xnodes), self.keys.clone(), self.pool.clone());
            let (own_host, clock) = (Arc::clone(&self.own_host), self.context.clock.clone());
            let counters = self.counters.get(&start.key).cloned();
            under_way.spawn(async move {
                let mut host_key = None;
                let outcome = async {
                    let stored = xnodes.get(&name).ok_or(NoWay::NoUser(name))?;
                    if stored.xnode.own_host {
                        return Ok(own_host.collect(counters.as_ref(), clock.now(), DEADLINE).await?);
                    }
                    let destination = reaching::destination(stored, &keys, &|name| xnodes.get(name))?;
                    let session = pool.session(start.key.0, &destination).await?;
                    host_key = Some(session.host_key().to_owned());
                    Ok(samples::collect(&session, counters.as_ref(), clock.now(), DEADLINE).await?)
                };
                let outcome = outcome.await;
                Reading { key: start.key, outcome, host_key }
            });
        }
    }

    async fn note(&mut self, reading: Reading) {
        let Reading { key, outcome, host_key } = reading;
        let elapsed = self.context.clock.elapsed();
        self.schedule.finish(key, elapsed, None);
        let left = self.schedule.next_of(key).map(|due| due.saturating_sub(elapsed));
        let next_at = left.map(|left| self.context.clock.after(left));
        match outcome {
            Ok((sample, counters)) => {
                self.counters.insert(key, counters);
                self.context.live.update_xnode(key, |live| {
                    (live.sample, live.error, live.next_at) = (Some(sample.clone()), None, next_at);
                });
                self.write(key, sample).await;
            }
            Err(failure) => {
                let error = Chain(&failure).to_string();
                tracing::debug!(xnode.key = key.0, error, "no reading");
                self.context
                    .live
                    .update_xnode(key, |live| (live.error, live.next_at) = (Some(error), next_at));
            }
        }
        if let Some(host_key) = host_key {
            self.context.live.note_host_key(key, &host_key);
        }
        self.context.live.mark_changed(key, None);
        self.context.wakes.evaluator.ring();
        for done in self.asked.remove(&key).unwrap_or_default() {
            // Nobody waiting any more is fine.
            let _ = done.send(());
        }
    }

    /// Keeps the reading. One that cannot be written is missing from history and nowhere else.
    async fn write(&self, key: XNodeKey, sample: Sample) {
        let row = series_row(&sample);
        let written = self
            .context
            .store
            .write_telemetry::<(), StoreError>(move |tx| {
                Box::pin(async move { rows::append(tx, key, &sample, &row).await })
            })
            .await;
        if let Err(error) = written {
            metrics::counter!("capsule_samples_dropped_total").increment(1);
            tracing::warn!(error = %Chain(&error), "could not keep a reading");
        }
    }
}

/// The series of a reading, in the order of [`Series::ALL`].
fn series_row(sample: &Sample) -> SeriesRow {
    let mut values = [None; 9];
    for (value, series) in values.iter_mut().zip(Series::ALL) {
        *value = value_of(sample, *series);
    }
    SeriesRow { at_ms: sample.at.as_millisecond(), values }
}

fn value_of(sample: &Sample, series: Series) -> Option<f64> {
    let sum = |rates: Vec<f64>| (!rates.is_empty()).then(|| rates.iter().sum());
    match series {
        Series::Cpu => sample.cpu.map(|cpu| cpu.total_percent),
        Series::Memory => sample.memory.map(|memory| memory.used_percent),
        Series::Swap => sample.swap.map(|swap| swap.used_percent),
        Series::Disk => sample.disks.iter().map(|disk| disk.used_percent).reduce(f64::max),
        Series::Load => sample.load.map(|load| load[0]),
        Series::NetworkReceived => {
            sum(sample.network.iter().map(|rate| rate.received_bytes_per_second).collect())
        }
        Series::NetworkSent => sum(sample.network.iter().map(|rate| rate.sent_bytes_per_second).collect()),
        Series::DiskRead => sum(sample.disk_io.iter().map(|rate| rate.read_bytes_per_second).collect()),
        Series::DiskWritten => sum(sample.disk_io.iter().map(|rate| rate.written_bytes_per_second).collect()),
    }
}
