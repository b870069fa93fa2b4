//! Remediations and their runs.

use capsule_api::{
    Remediation, RemediationId, RemediationName, RemediationRun, RemediationRunId, RunState, XNodeId,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, json, ms, parse, to_json};
use crate::model::XNodeKey;

struct Row {
    id: String,
    name: String,
    enabled: i64,
    mode: String,
    alerts: String,
    action: String,
    limits: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_remediation(self) -> Result<Remediation, StoreError> {
        Ok(Remediation {
            id: parse("id", &self.id)?,
            name: parse("remediation name", &self.name)?,
            enabled: self.enabled == 1,
            mode: parse("mode", &self.mode)?,
            trigger: json("remediation trigger", &self.alerts)?,
            action: json("remediation action", &self.action)?,
            limits: json("remediation limits", &self.limits)?,
            revision: self.revision,
            created_at: at(self.created_at)?,
            updated_at: at(self.updated_at)?,
        })
    }
}

/// Every remediation, by name. There are few.
pub async fn list(connection: &mut SqliteConnection) -> Result<Vec<Remediation>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", name, enabled, mode, alerts, action, limits, revision, created_at, updated_at
         FROM remediations
         ORDER BY name"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_remediation).collect()
}

/// The remediation with this name.
pub async fn find(
    connection: &mut SqliteConnection,
    name: &RemediationName,
) -> Result<Option<Remediation>, StoreError> {
    let all = list(connection).await?;
    Ok(all.into_iter().find(|one| one.name.as_str().eq_ignore_ascii_case(name.as_str())))
}

/// The remediation inside a transaction.
pub async fn find_in(tx: &mut Tx, name: &RemediationName) -> Result<Option<Remediation>, StoreError> {
    find(tx.connection(), name).await
}

/// The remediation with this id, inside a transaction.
pub async fn by_id_in(tx: &mut Tx, id: RemediationId) -> Result<Option<Remediation>, StoreError> {
    Ok(list(tx.connection()).await?.into_iter().find(|one| one.id == id))
}

/// Adds a remediation. `false`: the name is taken.
pub async fn insert(tx: &mut Tx, new: &Remediation) -> Result<bool, StoreError> {
    let (id, name, mode) = (new.id.to_string(), new.name.as_str(), new.mode.as_str());
    let (alerts, action, limits) = (to_json(&new.trigger), to_json(&new.action), to_json(&new.limits));
    let (created_at, updated_at) = (ms(new.created_at), ms(new.updated_at));
    let done = sqlx::query!(
        "INSERT INTO remediations (id, name, enabled, mode, alerts, action, limits, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9)
         ON CONFLICT (name) DO NOTHING",
        id,
        name,
        new.enabled,
        mode,
        alerts,
        action,
        limits,
        created_at,
        updated_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes a remediation and raises its revision; its `revision` is the one the change was made from. `false`: it
/// is no longer that one, nothing changed.
pub async fn update(tx: &mut Tx, new: &Remediation) -> Result<bool, StoreError> {
    let (id, mode, updated_at) = (new.id.to_string(), new.mode.as_str(), ms(new.updated_at));
    let (alerts, action, limits) = (to_json(&new.trigger), to_json(&new.action), to_json(&new.limits));
    let done = sqlx::query!(
        "UPDATE remediations
         SET enabled = ?2, mode = ?3, alerts = ?4, action = ?5, limits = ?6, updated_at = ?7, revision = revision + 1
         WHERE id = ?1 AND revision = ?8",
        id,
        new.enabled,
        mode,
        alerts,
        action,
        limits,
        updated_at,
        new.revision
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a remediation; its runs stay.
pub async fn delete(tx: &mut Tx, id: RemediationId) -> Result<(), StoreError> {
    let id = id.to_string();
    sqlx::query!("DELETE FROM remediations WHERE id = ?1", id).execute(tx.connection()).await?;
    Ok(())
}

struct RunRow {
    id: String,
    remediation_id: String,
    remediation: String,
    action: String,
    alert_id: String,
    alert_kind: String,
    xnode_id: String,
    xnode: String,
    state: String,
    held: Option<String>,
    reason: String,
    began_at: i64,
    ended_at: Option<i64>,
    operation_id: Option<String>,
    exit_status: Option<i64>,
    output: Option<String>,
}

impl RunRow {
    fn into_run(self) -> Result<RemediationRun, StoreError> {
        Ok(RemediationRun {
            id: parse("id", &self.id)?,
            remediation_id: parse("id", &self.remediation_id)?,
            remediation: parse("remediation name", &self.remediation)?,
            action: parse("kind of action", &self.action)?,
            alert_id: parse("id", &self.alert_id)?,
            alert_kind: parse("alert kind", &self.alert_kind)?,
            xnode_id: parse("id", &self.xnode_id)?,
            xnode: parse("xNode name", &self.xnode)?,
            state: parse("run state", &self.state)?,
            held: self.held.as_deref().map(|held| parse("reason to hold back", held)).transpose()?,
            reason: self.reason,
            began_at: at(self.began_at)?,
            ended_at: at_opt(self.ended_at)?,
            operation_id: self.operation_id.as_deref().map(|id| parse("id", id)).transpose()?,
            exit_status: self.exit_status.and_then(|status| u32::try_from(status).ok()),
            output: self.output,
        })
    }
}

/// Which runs to list; every given field must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of the remediation with this name.
    pub remediation: Option<String>,
    /// On this xNode.
    pub xnode: Option<XNodeId>,
    /// In this state.
    pub state: Option<RunState>,
    /// Only runs that began before the one with this id.
    pub before: Option<RemediationRunId>,
}

/// At most `limit` runs that match, newest first.
pub async fn runs(
    connection: &mut SqliteConnection,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<RemediationRun>, StoreError> {
    let xnode = filter.xnode.map(|id| id.to_string());
    let state = filter.state.map(RunState::as_str);
    let before = filter.before.map(|id| id.to_string());
    let rows = sqlx::query_as!(
        RunRow,
        r#"SELECT id AS "id!", remediation_id, remediation, action, alert_id, alert_kind, xnode_id, xnode, state, held,
            reason, began_at, ended_at, operation_id, exit_status, output
         FROM remediation_runs
         WHERE (?1 IS NULL OR remediation = ?1)
            AND (?2 IS NULL OR xnode_id = ?2)
            AND (?3 IS NULL OR state = ?3)
            AND (?4 IS NULL OR id < ?4)
         ORDER BY id DESC
         LIMIT ?5"#,
        filter.remediation,
        xnode,
        state,
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(RunRow::into_run).collect()
}

/// Every run that is unfinished, that belongs to an alert that is not resolved, or that ended after `since`.
pub async fn relevant(
    connection: &mut SqliteConnection,
    since: Timestamp,
) -> Result<Vec<RemediationRun>, StoreError> {
    let since = ms(since);
    let rows = sqlx::query_as!(
        RunRow,
        r#"SELECT id AS "id!", remediation_id, remediation, action, alert_id, alert_kind, xnode_id, xnode, state, held,
            reason, began_at, ended_at, operation_id, exit_status, output
         FROM remediation_runs
         WHERE state IN ('planned', 'running')
            OR ended_at >= ?1
            OR alert_id IN (SELECT id FROM alerts WHERE state <> 'resolved')
         ORDER BY id"#,
        since
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(RunRow::into_run).collect()
}

/// The runs that have not ended, the oldest first.
pub async fn unfinished(connection: &mut SqliteConnection) -> Result<Vec<RemediationRun>, StoreError> {
    let rows = sqlx::query_as!(
        RunRow,
        r#"SELECT id AS "id!", remediation_id, remediation, action, alert_id, alert_kind, xnode_id, xnode, state, held,
            reason, began_at, ended_at, operation_id, exit_status, output
         FROM remediation_runs
         WHERE state IN ('planned', 'running')
         ORDER BY id"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(RunRow::into_run).collect()
}

/// Writes a new run. `false`: another one has not ended on its xNode, nothing was written.
pub async fn insert_run(tx: &mut Tx, run: &RemediationRun) -> Result<bool, StoreError> {
    let (id, remediation_id) = (run.id.to_string(), run.remediation_id.to_string());
    let (remediation, action) = (run.remediation.as_str(), run.action.as_str());
    let (alert_id, alert_kind) = (run.alert_id.to_string(), run.alert_kind.as_str());
    let (xnode_id, xnode, state) = (run.xnode_id.to_string(), run.xnode.as_str(), run.state.as_str());
    let held = run.held.map(|held| held.as_str());
    let (began_at, ended_at) = (ms(run.began_at), run.ended_at.map(ms));
    let operation_id = run.operation_id.map(|id| id.to_string());
    let done = sqlx::query!(
        "INSERT INTO remediation_runs (id, remediation_id, remediation, action, alert_id, alert_kind, xnode_id, xnode,
            state, held, reason, began_at, ended_at, operation_id, exit_status, output)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT (xnode_id) WHERE state IN ('planned', 'running') DO NOTHING",
        id,
        remediation_id,
        remediation,
        action,
        alert_id,
        alert_kind,
        xnode_id,
        xnode,
        state,
        held,
        run.reason,
        began_at,
        ended_at,
        operation_id,
        run.exit_status,
        run.output
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes where a run stands. `false`: it is no longer in the state `from`, nothing changed.
pub async fn update_run(tx: &mut Tx, run: &RemediationRun, from: RunState) -> Result<bool, StoreError> {
    let (id, from, state) = (run.id.to_string(), from.as_str(), run.state.as_str());
    let held = run.held.map(|held| held.as_str());
    let (began_at, ended_at) = (ms(run.began_at), run.ended_at.map(ms));
    let operation_id = run.operation_id.map(|id| id.to_string());
    let done = sqlx::query!(
        "UPDATE remediation_runs
         SET state = ?3, held = ?4, reason = ?5, began_at = ?6, ended_at = ?7, operation_id = ?8, exit_status = ?9,
            output = ?10
         WHERE id = ?1 AND state = ?2",
        id,
        from,
        state,
        held,
        run.reason,
        began_at,
        ended_at,
        operation_id,
        run.exit_status,
        run.output
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Key of the daemon's own host, where it is in the inventory.
pub async fn own_host(connection: &mut SqliteConnection) -> Result<Option<XNodeKey>, StoreError> {
    let key = sqlx::query_scalar!(r#"SELECT key AS "key!" FROM xnodes WHERE own_host = 1 LIMIT 1"#)
        .fetch_optional(connection)
        .await?;
    Ok(key.map(XNodeKey))
}
