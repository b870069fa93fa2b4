//! Checks and the state machines behind them.

use std::collections::HashMap;

use capsule_api::{Check, CheckId};
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at_opt, json, ms, parse, to_json, xnodes::StoredXNode};
use crate::model::{CheckKey, CheckState, Condition, XNodeKey};

struct Row {
    xnode_key: i64,
    id: String,
    name: String,
    probe: String,
    interval_ms: Option<i64>,
    timeout_ms: Option<i64>,
    down_after: Option<i64>,
    up_after: Option<i64>,
    enabled: i64,
}

impl Row {
    fn into_check(self) -> Result<Check, StoreError> {
        Ok(Check {
            id: parse("id", &self.id)?,
            name: parse("check name", &self.name)?,
            probe: json("probe", &self.probe)?,
            interval_ms: self.interval_ms.and_then(|n| u64::try_from(n).ok()),
            timeout_ms: self.timeout_ms.and_then(|n| u64::try_from(n).ok()),
            down_after: self.down_after.and_then(|n| u32::try_from(n).ok()),
            up_after: self.up_after.and_then(|n| u32::try_from(n).ok()),
            enabled: self.enabled == 1,
        })
    }
}

/// The checks of one xNode, by name.
pub(super) async fn of_xnode(
    connection: &mut SqliteConnection,
    key: XNodeKey,
) -> Result<Vec<Check>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT xnode_key, id, name, probe, interval_ms, timeout_ms, down_after, up_after, enabled
         FROM checks
         WHERE xnode_key = ?1
         ORDER BY name"#,
        key.0
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_check).collect()
}

/// Fills in the checks of a page of xNodes with one query.
pub(super) async fn attach(
    connection: &mut SqliteConnection,
    xnodes: &mut [StoredXNode],
) -> Result<(), StoreError> {
    let keys = to_json(&xnodes.iter().map(|x| x.key.0).collect::<Vec<_>>());
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT xnode_key, id, name, probe, interval_ms, timeout_ms, down_after, up_after, enabled
         FROM checks
         WHERE xnode_key IN (SELECT value FROM json_each(?1))
         ORDER BY name"#,
        keys
    )
    .fetch_all(connection)
    .await?;
    let mut by_xnode: HashMap<i64, Vec<Check>> = HashMap::new();
    for row in rows {
        by_xnode.entry(row.xnode_key).or_default().push(row.into_check()?);
    }
    for stored in xnodes {
        stored.xnode.checks = by_xnode.remove(&stored.key.0).unwrap_or_default();
    }
    Ok(())
}

/// Makes `checks` the checks of an xNode. One that keeps its id keeps its key, state and history; a changed
/// probe starts its state anew.
pub(super) async fn replace(tx: &mut Tx, key: XNodeKey, checks: &[Check]) -> Result<(), StoreError> {
    let kept = to_json(&checks.iter().map(|check| check.id.to_string()).collect::<Vec<_>>());
    sqlx::query!(
        "DELETE FROM checks WHERE xnode_key = ?1 AND id NOT IN (SELECT value FROM json_each(?2))",
        key.0,
        kept
    )
    .execute(tx.connection())
    .await?;
    for check in checks {
        upsert(tx, key, check).await?;
    }
    Ok(())
}

async fn upsert(tx: &mut Tx, key: XNodeKey, check: &Check) -> Result<(), StoreError> {
    let (id, name, probe) = (check.id.to_string(), check.name.as_str(), to_json(&check.probe));
    let interval = check.interval_ms.and_then(|n| i64::try_from(n).ok());
    let timeout = check.timeout_ms.and_then(|n| i64::try_from(n).ok());
    sqlx::query!(
        "INSERT INTO checks (id, xnode_key, name, probe, interval_ms, timeout_ms, down_after, up_after, enabled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET
            name = excluded.name,
            status = CASE WHEN probe = excluded.probe THEN status ELSE 'unknown' END,
            since = CASE WHEN probe = excluded.probe THEN since END,
            failures = CASE WHEN probe = excluded.probe THEN failures ELSE 0 END,
            passes = CASE WHEN probe = excluded.probe THEN passes ELSE 0 END,
            failing_since = CASE WHEN probe = excluded.probe THEN failing_since END,
            last_at = CASE WHEN probe = excluded.probe THEN last_at END,
            reason = CASE WHEN probe = excluded.probe THEN reason ELSE '' END,
            probe = excluded.probe,
            interval_ms = excluded.interval_ms,
            timeout_ms = excluded.timeout_ms,
            down_after = excluded.down_after,
            up_after = excluded.up_after,
            enabled = excluded.enabled",
        id,
        key.0,
        name,
        probe,
        interval,
        timeout,
        check.down_after,
        check.up_after,
        check.enabled
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Key, xNode and state of every check.
pub async fn states(
    connection: &mut SqliteConnection,
) -> Result<HashMap<CheckId, (CheckKey, XNodeKey, CheckState)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT key AS "key!", id, xnode_key, status, since, failures, passes, failing_since, last_at, reason FROM checks"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = CheckState {
                status: parse("check status", &row.status)?,
                since: at_opt(row.since)?,
                failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
                passes: u32::try_from(row.passes).unwrap_or(u32::MAX),
                failing_since: at_opt(row.failing_since)?,
                last_at: at_opt(row.last_at)?,
                reason: row.reason,
            };
            Ok((parse("id", &row.id)?, (CheckKey(row.key), XNodeKey(row.xnode_key), state)))
        })
        .collect()
}

/// Writes where a state machine stands. A check that is gone meanwhile is no error.
pub async fn set_state(tx: &mut Tx, key: CheckKey, state: &CheckState) -> Result<(), StoreError> {
    let (status, since) = (state.status.as_str(), state.since.map(ms));
    let (failing_since, last_at) = (state.failing_since.map(ms), state.last_at.map(ms));
    sqlx::query!(
        "UPDATE checks
         SET status = ?2, since = ?3, failures = ?4, passes = ?5, failing_since = ?6, last_at = ?7, reason = ?8
         WHERE key = ?1",
        key.0,
        status,
        since,
        state.failures,
        state.passes,
        failing_since,
        last_at,
        state.reason
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The number of enabled checks.
pub async fn count_enabled(connection: &mut SqliteConnection) -> Result<u32, StoreError> {
    let count = sqlx::query_scalar!(r#"SELECT COUNT(*) AS "count!: i64" FROM checks WHERE enabled = 1"#)
        .fetch_one(connection)
        .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The timers of every xNode.
pub async fn conditions(
    connection: &mut SqliteConnection,
) -> Result<HashMap<XNodeKey, Vec<Condition>>, StoreError> {
    let rows =
        sqlx::query!("SELECT xnode_key, kind, cause, warning_since, critical_since, told FROM conditions")
            .fetch_all(connection)
            .await?;
    let mut conditions: HashMap<XNodeKey, Vec<Condition>> = HashMap::new();
    for row in rows {
        let condition = Condition {
            kind: parse("alert kind", &row.kind)?,
            key: row.cause,
            warning_since: at_opt(row.warning_since)?,
            critical_since: at_opt(row.critical_since)?,
            told: row.told.as_deref().map(|word| parse("severity", word)).transpose()?,
        };
        conditions.entry(XNodeKey(row.xnode_key)).or_default().push(condition);
    }
    Ok(conditions)
}

/// Makes `conditions` the timers of an xNode; nothing happens when the xNode is gone meanwhile.
pub async fn set_conditions(tx: &mut Tx, key: XNodeKey, conditions: &[Condition]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM conditions WHERE xnode_key = ?1", key.0).execute(tx.connection()).await?;
    for condition in conditions {
        let (kind, told) = (condition.kind.as_str(), condition.told.map(capsule_api::Severity::as_str));
        let (warning, critical) = (condition.warning_since.map(ms), condition.critical_since.map(ms));
        sqlx::query!(
            "INSERT INTO conditions (xnode_key, kind, cause, warning_since, critical_since, told)
             SELECT key, ?2, ?3, ?4, ?5, ?6 FROM xnodes WHERE key = ?1",
            key.0,
            kind,
            condition.key,
            warning,
            critical,
            told
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}
