//! Operations: rows that outlive the process that works on them.

use capsule_api::{Operation, OperationId, OperationState, Problem};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, json, ms, parse, to_json};

struct Row {
    id: String,
    kind: String,
    state: String,
    resource: String,
    stage: String,
    progress_percent: i64,
    result: Option<String>,
    error: Option<String>,
    cancel_requested: i64,
    created_by: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_operation(self) -> Result<Operation, StoreError> {
        let state: OperationState = parse("operation state", &self.state)?;
        Ok(Operation {
            id: parse("id", &self.id)?,
            kind: parse("operation kind", &self.kind)?,
            state,
            resource: self.resource,
            stage: self.stage,
            progress_percent: u8::try_from(self.progress_percent).unwrap_or(100),
            result: self.result.as_deref().map(|text| json("operation result", text)).transpose()?,
            error: self.error.as_deref().map(|text| json("operation error", text)).transpose()?,
            cancellable: !state.is_final() && self.cancel_requested == 0,
            created_by: self.created_by,
            created_at: at(self.created_at)?,
            updated_at: at(self.updated_at)?,
        })
    }
}

/// Writes a new operation.
pub async fn insert(tx: &mut Tx, operation: &Operation) -> Result<(), StoreError> {
    let (id, kind, state) = (operation.id.to_string(), operation.kind.as_str(), operation.state.as_str());
    let (created_at, updated_at) = (ms(operation.created_at), ms(operation.updated_at));
    sqlx::query!(
        "INSERT INTO operations (id, kind, state, resource, stage, progress_percent, created_by, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        id,
        kind,
        state,
        operation.resource,
        operation.stage,
        operation.progress_percent,
        operation.created_by,
        created_at,
        updated_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The operation with this id.
pub async fn find(
    connection: &mut SqliteConnection,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    let id = id.to_string();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", kind, state, resource, stage, progress_percent, result, error, cancel_requested, created_by,
            created_at, updated_at
         FROM operations
         WHERE id = ?1"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::into_operation).transpose()
}

/// The operation inside a transaction.
pub async fn find_in(tx: &mut Tx, id: OperationId) -> Result<Option<Operation>, StoreError> {
    find(tx.connection(), id).await
}

/// At most `limit` operations, newest first; only those made before `before` where given, only unfinished
/// ones where asked.
pub async fn list(
    connection: &mut SqliteConnection,
    unfinished_only: bool,
    before: Option<OperationId>,
    limit: i64,
) -> Result<Vec<Operation>, StoreError> {
    let before = before.map(|id| id.to_string());
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", kind, state, resource, stage, progress_percent, result, error, cancel_requested, created_by,
            created_at, updated_at
         FROM operations
         WHERE (?1 = 0 OR state IN ('pending', 'running')) AND (?2 IS NULL OR id < ?2)
         ORDER BY id DESC
         LIMIT ?3"#,
        unfinished_only,
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_operation).collect()
}

/// The unfinished operation that works on `resource`, if there is one, among the kinds that change a server at
/// its provider.
pub async fn steering_in(tx: &mut Tx, resource: &str) -> Result<Option<Operation>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", kind, state, resource, stage, progress_percent, result, error, cancel_requested, created_by,
            created_at, updated_at
         FROM operations
         WHERE resource = ?1 AND state IN ('pending', 'running')
            AND kind IN ('start_xnode', 'stop_xnode', 'restart_xnode', 'terminate_xnode')
         LIMIT 1"#,
        resource
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(Row::into_operation).transpose()
}

/// How many operations that began at `since` or later to stop or delete `resource` have ended, and when the last did.
pub async fn ends_tried(
    connection: &mut SqliteConnection,
    resource: &str,
    since: Timestamp,
) -> Result<Option<(u32, Timestamp)>, StoreError> {
    let since = ms(since);
    let row = sqlx::query!(
        r#"SELECT COUNT(*) AS "count!: i64", MAX(updated_at) AS "last: i64"
         FROM operations
         WHERE resource = ?1 AND created_at >= ?2 AND kind IN ('stop_xnode', 'terminate_xnode')
            AND state NOT IN ('pending', 'running')"#,
        resource,
        since
    )
    .fetch_one(connection)
    .await?;
    Ok(at_opt(row.last)?.map(|last| (u32::try_from(row.count).unwrap_or(u32::MAX), last)))
}

/// Ends an operation that was stopped on request. `false`: it had ended already, nothing changed.
pub async fn finish_cancelled(tx: &mut Tx, id: OperationId, stage: &str) -> Result<bool, StoreError> {
    advance(tx, id, OperationState::Cancelled, stage, 100).await
}

/// Moves an unfinished operation on. `false`: it had ended already, nothing changed.
pub async fn advance(
    tx: &mut Tx,
    id: OperationId,
    state: OperationState,
    stage: &str,
    progress_percent: u8,
) -> Result<bool, StoreError> {
    let (id, state, now) = (id.to_string(), state.as_str(), ms(tx.now()));
    let done = sqlx::query!(
        "UPDATE operations
         SET state = ?2, stage = ?3, progress_percent = ?4, updated_at = ?5
         WHERE id = ?1 AND state IN ('pending', 'running')",
        id,
        state,
        stage,
        progress_percent,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an operation with its result or its error. `false`: it had ended already, nothing changed.
pub async fn finish(
    tx: &mut Tx,
    id: OperationId,
    outcome: Result<&serde_json::Value, &Problem>,
) -> Result<bool, StoreError> {
    let (state, stage, result, error) = match outcome {
        Ok(result) => (OperationState::Succeeded, "done", Some(to_json(result)), None),
        Err(problem) => (OperationState::Failed, "failed", None, Some(to_json(problem))),
    };
    let (id, state, now) = (id.to_string(), state.as_str(), ms(tx.now()));
    let done = sqlx::query!(
        "UPDATE operations
         SET state = ?2, stage = ?3, progress_percent = 100, result = ?4, error = ?5, updated_at = ?6
         WHERE id = ?1 AND state IN ('pending', 'running')",
        id,
        state,
        stage,
        result,
        error,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Asks an unfinished operation to stop. `false`: it had ended already.
pub async fn request_cancel(tx: &mut Tx, id: OperationId) -> Result<bool, StoreError> {
    let (id, now) = (id.to_string(), ms(tx.now()));
    let done = sqlx::query!(
        "UPDATE operations
         SET cancel_requested = 1, updated_at = ?2
         WHERE id = ?1 AND state IN ('pending', 'running')",
        id,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores what was asked for beside the kind and the resource.
pub async fn set_request(
    tx: &mut Tx,
    id: OperationId,
    request: &(impl serde::Serialize + Sync),
) -> Result<(), StoreError> {
    let (id, request) = (id.to_string(), to_json(request));
    sqlx::query!("UPDATE operations SET request = ?2 WHERE id = ?1", id, request)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// What [`set_request`] stored; the default when it stored nothing.
pub async fn request<T: serde::de::DeserializeOwned + Default>(
    connection: &mut SqliteConnection,
    id: OperationId,
) -> Result<T, StoreError> {
    let id = id.to_string();
    let stored = sqlx::query_scalar!("SELECT request FROM operations WHERE id = ?1", id)
        .fetch_optional(connection)
        .await?;
    stored.flatten().map_or_else(|| Ok(T::default()), |text| json("operation request", &text))
}

/// Whether somebody asked for it to stop.
pub async fn is_cancel_requested(
    connection: &mut SqliteConnection,
    id: OperationId,
) -> Result<bool, StoreError> {
    let id = id.to_string();
    let requested = sqlx::query_scalar!("SELECT cancel_requested FROM operations WHERE id = ?1", id)
        .fetch_optional(connection)
        .await?;
    Ok(requested == Some(1))
}
