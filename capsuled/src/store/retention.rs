//! Deleting what is older than its owner wants to keep, in chunks small enough not to hold a writer.

use jiff::Timestamp;

use super::{StoreError, Tx, ms};

/// Rows deleted by one job at most.
const CHUNK: i64 = 20_000;

/// Deletes unpacked results before `until_ms` up to a position, so that one which was appended since the
/// packing stays for the next round. `true`: call again, there may be more.
pub async fn delete_unpacked(tx: &mut Tx, until_ms: i64, position: i64) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM probe_head
         WHERE rowid IN (SELECT rowid FROM probe_head WHERE at < ?1 AND rowid <= ?2 ORDER BY rowid LIMIT ?3)",
        until_ms,
        position,
        CHUNK
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == CHUNK as u64)
}

/// Deletes packed hours and readings before `until_ms`. `true`: call again, there may be more.
pub async fn delete_raw(tx: &mut Tx, until_ms: i64) -> Result<bool, StoreError> {
    let hours = sqlx::query!(
        "DELETE FROM probe_hours
         WHERE (check_key, hour) IN (SELECT check_key, hour FROM probe_hours WHERE hour < ?1 LIMIT ?2)",
        until_ms,
        CHUNK
    )
    .execute(tx.connection())
    .await?;
    let readings = sqlx::query!(
        "DELETE FROM sample_head
         WHERE rowid IN (SELECT rowid FROM sample_head WHERE at < ?1 ORDER BY rowid LIMIT ?2)",
        until_ms,
        CHUNK
    )
    .execute(tx.connection())
    .await?;
    Ok(hours.rows_affected().max(readings.rows_affected()) == CHUNK as u64)
}

/// Deletes roll-ups of one step before `until_ms`. `true`: call again, there may be more.
pub async fn delete_rollups(tx: &mut Tx, step_ms: i64, until_ms: i64) -> Result<bool, StoreError> {
    let probes = sqlx::query!(
        "DELETE FROM probe_rollups
         WHERE (check_key, step_ms, at) IN
            (SELECT check_key, step_ms, at FROM probe_rollups WHERE step_ms = ?1 AND at < ?2 LIMIT ?3)",
        step_ms,
        until_ms,
        CHUNK
    )
    .execute(tx.connection())
    .await?;
    let samples = sqlx::query!(
        "DELETE FROM sample_rollups
         WHERE (xnode_key, step_ms, at, series) IN
            (SELECT xnode_key, step_ms, at, series FROM sample_rollups WHERE step_ms = ?1 AND at < ?2 LIMIT ?3)",
        step_ms,
        until_ms,
        CHUNK
    )
    .execute(tx.connection())
    .await?;
    Ok(probes.rows_affected().max(samples.rows_affected()) == CHUNK as u64)
}

/// Deletes resolved alerts (with timelines and deliveries), events, audit rows, finished operations and findings
/// that are over from before `records_until`, and idempotent replies from before `replies_until`. `true`: call
/// again, there may be more. An alert or operation with a waiting delivery stays.
pub async fn delete_records(
    tx: &mut Tx,
    records_until: Timestamp,
    replies_until: Timestamp,
) -> Result<bool, StoreError> {
    let (until, replies_until) = (ms(records_until), ms(replies_until));
    let mut largest = 0;
    largest = largest.max(
        sqlx::query!(
            "DELETE FROM alerts
             WHERE id IN (SELECT id FROM alerts AS a
                          WHERE a.resolved_at < ?1
                             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE alert_id = a.id AND state = 'waiting')
                          LIMIT ?2)",
            until,
            CHUNK
        )
        .execute(tx.connection())
        .await?
        .rows_affected(),
    );
    largest = largest.max(
        sqlx::query!(
            "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE at < ?1 ORDER BY seq LIMIT ?2)",
            until,
            CHUNK
        )
        .execute(tx.connection())
        .await?
        .rows_affected(),
    );
    largest = largest.max(
        sqlx::query!(
            "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE at < ?1 ORDER BY seq LIMIT ?2)",
            until,
            CHUNK
        )
        .execute(tx.connection())
        .await?
        .rows_affected(),
    );
    sqlx::query!(
        "DELETE FROM operations
         WHERE updated_at < ?1 AND state NOT IN ('pending', 'running')
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE operation_id = operations.id AND state = 'waiting')",
        until
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!("DELETE FROM findings WHERE ended_at < ?1", until).execute(tx.connection()).await?;
    sqlx::query!("DELETE FROM idempotency WHERE created_at < ?1", replies_until)
        .execute(tx.connection())
        .await?;
    Ok(largest == CHUNK as u64)
}
