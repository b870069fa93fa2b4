//! Who changed what, in the transaction of the change.

use capsule_api::{AuditEntry, RequestId};
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, ms, parse};
use crate::model::Caller;

pub(super) async fn insert(tx: &mut Tx, by: &Caller, action: &str, target: &str) -> Result<(), StoreError> {
    let now = ms(tx.now());
    let request_id = by.request_id.map(|id| id.to_string());
    sqlx::query!(
        "INSERT INTO audit (at, actor, action, target, request_id) VALUES (?1, ?2, ?3, ?4, ?5)",
        now,
        by.name,
        action,
        target,
        request_id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// At most `limit` entries before `before` (exclusive), newest first.
pub async fn list(
    connection: &mut SqliteConnection,
    before: i64,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows = sqlx::query!(
        "SELECT seq, at, actor, action, target, request_id
         FROM audit
         WHERE seq < ?1
         ORDER BY seq DESC
         LIMIT ?2",
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AuditEntry {
                seq: row.seq,
                at: at(row.at)?,
                actor: row.actor,
                action: row.action,
                target: row.target,
                request_id: row.request_id.map(|id| parse::<RequestId>("request id", &id)).transpose()?,
            })
        })
        .collect()
}
