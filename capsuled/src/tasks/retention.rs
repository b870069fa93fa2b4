//! Keeps history small: packs finished hours, rolls them up, and deletes what nobody asked to keep.
//!
//! Runs shortly after every hour. Each step can be repeated: packing a result twice keeps it once, roll-ups
//! overwrite the same rows, and only then is progress noted and the raw head deleted.

use std::{collections::BTreeMap, time::Duration};

use capsule_api::Series;
use tokio_util::sync::CancellationToken;

use crate::{
    context::{Context, TaskHandle, Wake},
    model::{CheckKey, XNodeKey},
    rules::retention::{self as rules, ProbeSum, Resolution, SeriesSum},
    store::{
        Lane, StoreError,
        probes::{self, ProbeRollup, RawResult},
        retention,
        samples::{self, SampleRollup, SeriesRow},
        settings,
    },
};

/// Checks packed by one job.
const CHECKS_AT_ONCE: i64 = 100;
const HOUR_MS: i64 = Resolution::Hour.step_ms();

/// Packs and deletes until `stop`.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let never_rung = Wake::default();
    let step = || async {
        run_once(&context).await?;
        Ok(Some(pause(context.clock.now().as_millisecond())))
    };
    super::run_when_woken(&context.clock, &never_rung, &handle, &stop, step).await;
}

/// Time until the next hour is complete.
fn pause(now_ms: i64) -> Duration {
    let complete = rules::complete_until(now_ms, HOUR_MS);
    let since_end = now_ms - (complete + HOUR_MS);
    // `complete_until` moves on a little after each full hour; looking every minute from then on finds it.
    let wait_ms = if since_end < 0 { -since_end } else { 60_000 };
    Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0).max(1_000))
}

/// One round over everything.
pub async fn run_once(context: &Context) -> Result<(), StoreError> {
    let until = rules::complete_until(context.clock.now().as_millisecond(), HOUR_MS);
    pack_probes(context, until).await?;
    roll_up_samples(context, until).await?;
    delete_old(context, until).await
}

async fn pack_probes(context: &Context, until: i64) -> Result<(), StoreError> {
    let (position, range) = {
        let mut reader = context.store.telemetry_reader().await?;
        (probes::last_position(&mut reader).await?, probes::unpacked_range(&mut reader, until).await?)
    };
    if let Some((first, last)) = range {
        for start in (first.0..=last.0).step_by(CHECKS_AT_ONCE as usize) {
            let rows = {
                let mut reader = context.store.telemetry_reader().await?;
                let end = CheckKey(start + CHECKS_AT_ONCE - 1);
                probes::unpacked(&mut reader, CheckKey(start), end, until).await?
            };
            write_packed(context, rows).await?;
        }
    }
    write_progress(context, "probe_hours", until).await?;
    repeat(context, Chunk::Unpacked(until, position)).await
}

async fn write_packed(context: &Context, rows: Vec<(CheckKey, RawResult)>) -> Result<(), StoreError> {
    let mut hours: BTreeMap<(CheckKey, i64), Vec<RawResult>> = BTreeMap::new();
    for (check, result) in rows {
        hours.entry((check, rules::bucket_start(result.at_ms, HOUR_MS))).or_default().push(result);
    }
    if hours.is_empty() {
        return Ok(());
    }
    context
        .store
        .write_telemetry::<(), StoreError>(move |tx| {
            Box::pin(async move {
                for ((check, hour), results) in hours {
                    let results = probes::add_to_hour(tx, check, hour, results).await?;
                    for resolution in Resolution::ROLLED_UP {
                        for rollup in probe_rollups(check, resolution.step_ms(), &results) {
                            probes::put_rollup(tx, &rollup).await?;
                        }
                    }
                }
                Ok(())
            })
        })
        .await
}

/// Roll-ups of one check's results.
fn probe_rollups(check: CheckKey, step_ms: i64, results: &[RawResult]) -> Vec<ProbeRollup> {
    let one = |result: &RawResult| {
        let mut sum = ProbeSum::default();
        sum.add(result.outcome, result.latency_us);
        (result.at_ms, sum)
    };
    let sums = rules::sum_probes(results.iter().map(one), step_ms).into_iter();
    sums.map(|(at_ms, sum)| ProbeRollup {
        check,
        step_ms,
        at_ms,
        probes: sum.probes,
        passed: sum.passed,
        latency_us: sum.latency_us(),
    })
    .collect()
}

async fn roll_up_samples(context: &Context, until: i64) -> Result<(), StoreError> {
    let (since, xnodes) = {
        let mut reader = context.store.telemetry_reader().await?;
        let since = probes::progress(&mut reader, "samples").await?;
        (since, samples::xnodes_between(&mut reader, since, until).await?)
    };
    for xnode in xnodes {
        let rows = {
            let mut reader = context.store.telemetry_reader().await?;
            samples::raw_history(&mut reader, xnode, since, until).await?
        };
        write_sample_rollups(context, xnode, rows).await?;
    }
    write_progress(context, "samples", until).await
}

async fn write_sample_rollups(
    context: &Context,
    xnode: XNodeKey,
    rows: Vec<SeriesRow>,
) -> Result<(), StoreError> {
    context
        .store
        .write_telemetry::<(), StoreError>(move |tx| {
            Box::pin(async move {
                for step_ms in Resolution::ROLLED_UP.map(Resolution::step_ms) {
                    for rollup in sample_rollups(step_ms, &rows) {
                        samples::put_rollup(tx, xnode, step_ms, &rollup).await?;
                    }
                }
                Ok(())
            })
        })
        .await
}

/// Roll-ups of every series in some readings.
fn sample_rollups(step_ms: i64, rows: &[SeriesRow]) -> Vec<SampleRollup> {
    let of_series = |(place, series): (usize, &Series)| {
        let values = rows.iter().filter_map(|row| Some((row.at_ms, SeriesSum::of(row.values[place]?))));
        let sums = rules::sum_series(values, step_ms);
        let series = *series;
        sums.into_iter().map(move |(at_ms, sum)| SampleRollup {
            at_ms,
            series,
            count: sum.count,
            min: sum.min,
            avg: sum.avg,
            max: sum.max,
        })
    };
    Series::ALL.iter().enumerate().flat_map(of_series).collect()
}

/// Deletes what is older than its owner wants to keep; nothing that is not rolled up yet.
async fn delete_old(context: &Context, rolled_up_ms: i64) -> Result<(), StoreError> {
    let settings = settings::find(&mut *context.store.reader().await?).await?.0;
    let cutoffs = rules::cutoffs(&settings, context.clock.now(), rolled_up_ms);
    repeat(context, Chunk::Raw(cutoffs.raw_ms)).await?;
    repeat(context, Chunk::Rollups(Resolution::FiveMinutes, cutoffs.five_minutes_ms)).await?;
    repeat(context, Chunk::Rollups(Resolution::Hour, cutoffs.hours_ms)).await?;
    let (records, replies) = (cutoffs.records, cutoffs.replies);
    loop {
        let more = context
            .store
            .write::<bool, StoreError>(Lane::Normal, move |tx| {
                Box::pin(retention::delete_records(tx, records, replies))
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}

/// What one chunk of deletion is about, and up to when.
#[derive(Debug, Clone, Copy)]
enum Chunk {
    /// Up to a position, too.
    Unpacked(i64, i64),
    Raw(i64),
    Rollups(Resolution, i64),
}

/// Deletes chunk by chunk until nothing is left.
async fn repeat(context: &Context, chunk: Chunk) -> Result<(), StoreError> {
    loop {
        let more = context
            .store
            .write_telemetry::<bool, StoreError>(move |tx| {
                Box::pin(async move {
                    match chunk {
                        Chunk::Unpacked(until, position) => {
                            retention::delete_unpacked(tx, until, position).await
                        }
                        Chunk::Raw(until) => retention::delete_raw(tx, until).await,
                        Chunk::Rollups(resolution, until) => {
                            retention::delete_rollups(tx, resolution.step_ms(), until).await
                        }
                    }
                })
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}

async fn write_progress(context: &Context, what: &'static str, until: i64) -> Result<(), StoreError> {
    context
        .store
        .write_telemetry::<(), StoreError>(move |tx| Box::pin(probes::set_progress(tx, what, until)))
        .await
}
