//! Probe results: appended as they come, packed hour by hour, rolled up.

use capsule_api::Outcome;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, packed, to_json};
use crate::model::CheckKey;

/// Length of a packed stretch.
pub const HOUR_MS: i64 = 3_600_000;

/// A result as history keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResult {
    /// When the probe started.
    pub at_ms: i64,
    /// What it found.
    pub outcome: Outcome,
    /// How long the answer took.
    pub latency_us: Option<u64>,
    /// What it said, where that differs from the result before.
    pub detail: Option<String>,
}

/// A roll-up as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRollup {
    /// The check.
    pub check: CheckKey,
    /// Length of the stretch.
    pub step_ms: i64,
    /// Its beginning.
    pub at_ms: i64,
    /// Probes that were not blind.
    pub probes: u32,
    /// Probes that passed.
    pub passed: u32,
    /// Smallest, mean and largest latency in microseconds, where any was measured.
    pub latency_us: Option<[u64; 3]>,
}

/// Appends results. One statement for the whole batch: a statement per row would cost five times as much.
pub async fn append(tx: &mut Tx, results: &[(CheckKey, RawResult)]) -> Result<(), StoreError> {
    let rows: Vec<_> = results
        .iter()
        .map(|(key, r)| (key.0, r.at_ms, packed::outcome_code(r.outcome), r.latency_us, r.detail.as_deref()))
        .collect();
    let rows = to_json(&rows);
    sqlx::query!(
        "INSERT INTO probe_head (check_key, at, outcome, latency_us, detail)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)",
        rows
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The newest result of every check that has one among the unpacked.
pub async fn newest(connection: &mut SqliteConnection) -> Result<Vec<(CheckKey, RawResult)>, StoreError> {
    // SQLite takes the other columns of a MAX() row from the row that has the maximum.
    let rows = sqlx::query!(
        r#"SELECT check_key AS "check_key!", MAX(at) AS "at!: i64", outcome AS "outcome!", latency_us, detail FROM probe_head GROUP BY check_key"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok((CheckKey(row.check_key), raw(row.at, row.outcome, row.latency_us, row.detail)?)))
        .collect()
}

/// Probes and passes of every check by hour since `since_ms`, blind ones left out: packed hours from their
/// roll-ups, the rest counted.
pub async fn hourly_counts(
    connection: &mut SqliteConnection,
    since_ms: i64,
) -> Result<Vec<(CheckKey, i64, u32, u32)>, StoreError> {
    let packed_upto = progress(connection, "probe_hours").await?;
    let rows = sqlx::query!(
        r#"SELECT check_key AS "check_key!: i64", at AS "at!: i64", probes AS "probes!: i64", passed AS "passed!: i64"
         FROM probe_rollups
         WHERE step_ms = 3600000 AND at >= ?1
         UNION ALL
         SELECT check_key, at / 3600000 * 3600000, SUM(outcome <> 2), SUM(outcome = 0)
         FROM probe_head
         WHERE at >= ?1 AND at >= ?2
         GROUP BY 1, 2"#,
        since_ms,
        packed_upto
    )
    .fetch_all(connection)
    .await?;
    let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(rows.into_iter().map(|r| (CheckKey(r.check_key), r.at, count(r.probes), count(r.passed))).collect())
}

/// Results of one check in `since_ms <= at < until_ms`, oldest first.
pub async fn raw_history(
    connection: &mut SqliteConnection,
    check: CheckKey,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<RawResult>, StoreError> {
    let first_hour = since_ms - since_ms.rem_euclid(HOUR_MS);
    let blobs = sqlx::query!(
        "SELECT hour, packed FROM probe_hours WHERE check_key = ?1 AND hour >= ?2 AND hour < ?3 ORDER BY hour",
        check.0,
        first_hour,
        until_ms
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut results: Vec<RawResult> =
        blobs.iter().flat_map(|blob| packed::unpack(blob.hour, &blob.packed)).collect();
    let head = sqlx::query!(
        "SELECT at, outcome, latency_us, detail FROM probe_head WHERE check_key = ?1 AND at >= ?2 AND at < ?3",
        check.0,
        since_ms,
        until_ms
    )
    .fetch_all(connection)
    .await?;
    for row in head {
        results.push(raw(row.at, row.outcome, row.latency_us, row.detail)?);
    }
    results.retain(|result| since_ms <= result.at_ms && result.at_ms < until_ms);
    // The head may still hold what is packed already, and what came too late to be.
    results.sort_by_key(|result| result.at_ms);
    results.dedup_by_key(|result| result.at_ms);
    Ok(results)
}

/// Roll-ups of one check in `since_ms <= at < until_ms`, oldest first.
pub async fn rollups(
    connection: &mut SqliteConnection,
    check: CheckKey,
    step_ms: i64,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<ProbeRollup>, StoreError> {
    let rows = sqlx::query!(
        "SELECT at, probes, passed, latency_min_us, latency_avg_us, latency_max_us
         FROM probe_rollups
         WHERE check_key = ?1 AND step_ms = ?2 AND at >= ?3 AND at < ?4
         ORDER BY at",
        check.0,
        step_ms,
        since_ms,
        until_ms
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let us = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
            let latency = us(row.latency_min_us).zip(us(row.latency_avg_us)).zip(us(row.latency_max_us));
            ProbeRollup {
                check,
                step_ms,
                at_ms: row.at,
                probes: u32::try_from(row.probes).unwrap_or(u32::MAX),
                passed: u32::try_from(row.passed).unwrap_or(u32::MAX),
                latency_us: latency.map(|((min, avg), max)| [min, avg, max]),
            }
        })
        .collect())
}

/// Unpacked results before `until_ms` of the checks `first..=last`, by check and time.
pub async fn unpacked(
    connection: &mut SqliteConnection,
    first: CheckKey,
    last: CheckKey,
    until_ms: i64,
) -> Result<Vec<(CheckKey, RawResult)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT check_key, at, outcome, latency_us, detail FROM probe_head
         WHERE check_key BETWEEN ?1 AND ?2 AND at < ?3
         ORDER BY check_key, at",
        first.0,
        last.0,
        until_ms
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok((CheckKey(row.check_key), raw(row.at, row.outcome, row.latency_us, row.detail)?)))
        .collect()
}

/// Smallest and largest check key with unpacked results before `until_ms`.
pub async fn unpacked_range(
    connection: &mut SqliteConnection,
    until_ms: i64,
) -> Result<Option<(CheckKey, CheckKey)>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT MIN(check_key) AS "first: i64", MAX(check_key) AS "last: i64" FROM probe_head WHERE at < ?1"#,
        until_ms
    )
    .fetch_one(connection)
    .await?;
    Ok(row.first.zip(row.last).map(|(first, last)| (CheckKey(first), CheckKey(last))))
}

/// Adds results to one check's hour and returns everything the hour now holds, oldest first. Adding a result
/// twice keeps one of them, so a round that was cut off can be repeated, and results that came late join
/// their hour.
pub async fn add_to_hour(
    tx: &mut Tx,
    check: CheckKey,
    hour_ms: i64,
    results: Vec<RawResult>,
) -> Result<Vec<RawResult>, StoreError> {
    let packed = sqlx::query_scalar!(
        "SELECT packed FROM probe_hours WHERE check_key = ?1 AND hour = ?2",
        check.0,
        hour_ms
    )
    .fetch_optional(tx.connection())
    .await?;
    let mut all = packed.map(|blob| packed::unpack(hour_ms, &blob)).unwrap_or_default();
    all.extend(results);
    all.sort_by_key(|result| result.at_ms);
    all.dedup_by_key(|result| result.at_ms);
    let blob = packed::pack(hour_ms, &all);
    sqlx::query!(
        "INSERT INTO probe_hours (check_key, hour, packed) VALUES (?1, ?2, ?3)
         ON CONFLICT (check_key, hour) DO UPDATE SET packed = excluded.packed",
        check.0,
        hour_ms,
        blob
    )
    .execute(tx.connection())
    .await?;
    Ok(all)
}

/// The position of the newest unpacked result; what is appended later has a higher one.
pub async fn last_position(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let last = sqlx::query_scalar!(r#"SELECT ifnull(MAX(rowid), 0) AS "last!: i64" FROM probe_head"#)
        .fetch_one(connection)
        .await?;
    Ok(last)
}

/// Writes one roll-up; writing it again overwrites it.
pub async fn put_rollup(tx: &mut Tx, rollup: &ProbeRollup) -> Result<(), StoreError> {
    let us = |place: usize| rollup.latency_us.and_then(|all| i64::try_from(all[place]).ok());
    let (min, avg, max) = (us(0), us(1), us(2));
    sqlx::query!(
        "INSERT INTO probe_rollups
            (check_key, step_ms, at, probes, passed, latency_min_us, latency_avg_us, latency_max_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (check_key, step_ms, at) DO UPDATE SET
            probes = excluded.probes, passed = excluded.passed, latency_min_us = excluded.latency_min_us,
            latency_avg_us = excluded.latency_avg_us, latency_max_us = excluded.latency_max_us",
        rollup.check.0,
        rollup.step_ms,
        rollup.at_ms,
        rollup.probes,
        rollup.passed,
        min,
        avg,
        max
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How far `what` has got; 0 when it never ran.
pub async fn progress(connection: &mut SqliteConnection, what: &str) -> Result<i64, StoreError> {
    let upto = sqlx::query_scalar!("SELECT upto FROM rollup_progress WHERE what = ?1", what)
        .fetch_optional(connection)
        .await?;
    Ok(upto.unwrap_or(0))
}

/// Notes how far `what` has got.
pub async fn set_progress(tx: &mut Tx, what: &str, upto_ms: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO rollup_progress (what, upto) VALUES (?1, ?2)
         ON CONFLICT (what) DO UPDATE SET upto = excluded.upto",
        what,
        upto_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

fn raw(
    at_ms: i64,
    outcome: i64,
    latency_us: Option<i64>,
    detail: Option<String>,
) -> Result<RawResult, StoreError> {
    let outcome = u8::try_from(outcome)
        .ok()
        .and_then(packed::outcome_from)
        .ok_or_else(|| StoreError::Unreadable { what: "outcome", detail: outcome.to_string() })?;
    Ok(RawResult { at_ms, outcome, latency_us: latency_us.and_then(|us| u64::try_from(us).ok()), detail })
}
