//! Replies kept for a day, so that a request sent twice is carried out once.

use sqlx::SqliteConnection;

use super::{StoreError, Tx, ms, to_json};

/// What is known of a request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Hash over method, path and body.
    pub fingerprint: String,
    /// The reply's JSON body; `None` while the change is not committed.
    pub body: Option<String>,
    /// The reply's status; `None` when we were killed between the commit and the answer.
    pub status: Option<u16>,
    /// The reply's `Location`.
    pub location: Option<String>,
}

/// What is stored for `name`, if anything.
pub async fn find(
    connection: &mut SqliteConnection,
    uid: u32,
    name: &str,
) -> Result<Option<Stored>, StoreError> {
    let row = sqlx::query!(
        "SELECT fingerprint, body, status, location FROM idempotency WHERE uid = ?1 AND name = ?2",
        uid,
        name
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Stored {
        fingerprint: row.fingerprint,
        body: row.body,
        status: row.status.and_then(|status| u16::try_from(status).ok()),
        location: row.location,
    }))
}

/// Writes the reply's body with the change. The fingerprint travels in the key's value: see [`Key`].
pub(super) async fn set_body<T: serde::Serialize>(
    tx: &mut Tx,
    uid: u32,
    key: &Key,
    body: &T,
) -> Result<(), StoreError> {
    let (now, body) = (ms(tx.now()), to_json(body));
    sqlx::query!(
        "INSERT INTO idempotency (uid, name, fingerprint, body, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (uid, name) DO UPDATE SET body = excluded.body, fingerprint = excluded.fingerprint",
        uid,
        key.name,
        key.fingerprint,
        body,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Adds what only the HTTP layer knows, once the reply is made.
pub async fn set_status(
    tx: &mut Tx,
    uid: u32,
    name: &str,
    status: u16,
    location: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE idempotency SET status = ?3, location = ?4 WHERE uid = ?1 AND name = ?2",
        uid,
        name,
        status,
        location
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub use crate::model::IdempotencyKey as Key;
