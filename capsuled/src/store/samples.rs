//! Resource readings: the newest whole one, and the series people look back at.

use std::collections::BTreeMap;

use capsule_api::{Sample, Series};
use sqlx::SqliteConnection;

use super::{StoreError, Tx, json, ms, parse, to_json};
use crate::model::XNodeKey;

/// One value of every series; what a machine cannot say is absent.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRow {
    /// When it was read.
    pub at_ms: i64,
    /// Values in the order of [`Series::ALL`].
    pub values: [Option<f64>; 9],
}

/// A roll-up of one series as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRollup {
    /// Beginning of the stretch.
    pub at_ms: i64,
    /// Which series.
    pub series: Series,
    /// Readings in it.
    pub count: u32,
    /// Smallest value.
    pub min: f64,
    /// Mean value.
    pub avg: f64,
    /// Largest value.
    pub max: f64,
}

/// Appends a reading to the series and makes it the newest.
pub async fn append(
    tx: &mut Tx,
    xnode: XNodeKey,
    sample: &Sample,
    row: &SeriesRow,
) -> Result<(), StoreError> {
    let [cpu, memory, swap, disk, load, received, sent, read, written] = row.values;
    sqlx::query!(
        "INSERT INTO sample_head
            (xnode_key, at, cpu, memory, swap, disk, load, network_received, network_sent, disk_read, disk_written)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        xnode.0,
        row.at_ms,
        cpu,
        memory,
        swap,
        disk,
        load,
        received,
        sent,
        read,
        written
    )
    .execute(tx.connection())
    .await?;
    let (at, data) = (ms(sample.at), to_json(sample));
    sqlx::query!(
        "INSERT INTO sample_latest (xnode_key, at, data) VALUES (?1, ?2, ?3)
         ON CONFLICT (xnode_key) DO UPDATE SET at = excluded.at, data = excluded.data",
        xnode.0,
        at,
        data
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The newest reading of every xNode.
pub async fn newest(connection: &mut SqliteConnection) -> Result<BTreeMap<XNodeKey, Sample>, StoreError> {
    let rows = sqlx::query!(r#"SELECT xnode_key AS "xnode_key!", data FROM sample_latest"#)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok((XNodeKey(row.xnode_key), json("sample", &row.data)?))).collect()
}

/// Readings of one xNode in `since_ms <= at < until_ms`, oldest first.
pub async fn raw_history(
    connection: &mut SqliteConnection,
    xnode: XNodeKey,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<SeriesRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT at, cpu, memory, swap, disk, load, network_received, network_sent, disk_read, disk_written
         FROM sample_head
         WHERE xnode_key = ?1 AND at >= ?2 AND at < ?3
         ORDER BY at",
        xnode.0,
        since_ms,
        until_ms
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| SeriesRow {
            at_ms: r.at,
            values: [
                r.cpu,
                r.memory,
                r.swap,
                r.disk,
                r.load,
                r.network_received,
                r.network_sent,
                r.disk_read,
                r.disk_written,
            ],
        })
        .collect())
}

/// The xNodes with readings in `since_ms <= at < until_ms`.
pub async fn xnodes_between(
    connection: &mut SqliteConnection,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<XNodeKey>, StoreError> {
    let keys = sqlx::query_scalar!(
        "SELECT DISTINCT xnode_key FROM sample_head WHERE at >= ?1 AND at < ?2",
        since_ms,
        until_ms
    )
    .fetch_all(connection)
    .await?;
    Ok(keys.into_iter().map(XNodeKey).collect())
}

/// Roll-ups of one xNode in `since_ms <= at < until_ms`, oldest first.
pub async fn rollups(
    connection: &mut SqliteConnection,
    xnode: XNodeKey,
    step_ms: i64,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<SampleRollup>, StoreError> {
    let rows = sqlx::query!(
        "SELECT at, series, count, min, avg, max
         FROM sample_rollups
         WHERE xnode_key = ?1 AND step_ms = ?2 AND at >= ?3 AND at < ?4
         ORDER BY at",
        xnode.0,
        step_ms,
        since_ms,
        until_ms
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SampleRollup {
                at_ms: row.at,
                series: parse("series", &row.series)?,
                count: u32::try_from(row.count).unwrap_or(u32::MAX),
                min: row.min,
                avg: row.avg,
                max: row.max,
            })
        })
        .collect()
}

/// Writes one roll-up; writing it again overwrites it.
pub async fn put_rollup(
    tx: &mut Tx,
    xnode: XNodeKey,
    step_ms: i64,
    rollup: &SampleRollup,
) -> Result<(), StoreError> {
    let series = rollup.series.as_str();
    sqlx::query!(
        "INSERT INTO sample_rollups (xnode_key, step_ms, at, series, count, min, avg, max)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (xnode_key, step_ms, at, series) DO UPDATE SET
            count = excluded.count, min = excluded.min, avg = excluded.avg, max = excluded.max",
        xnode.0,
        step_ms,
        rollup.at_ms,
        series,
        rollup.count,
        rollup.min,
        rollup.avg,
        rollup.max
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
