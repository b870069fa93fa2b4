//! The event log: one table, one order, ids that outlive a restart.

use capsule_api::{Event, EventKind};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{StoreError, at, json, ms, parse, to_json};

/// The epoch of this database, made at its first opening.
pub(super) async fn epoch(connection: &mut SqliteConnection) -> Result<String, StoreError> {
    let fresh = Uuid::now_v7().simple().to_string();
    let fresh = &fresh[20..];
    sqlx::query!("INSERT INTO meta (name, value) VALUES ('epoch', ?1) ON CONFLICT DO NOTHING", fresh)
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_scalar!("SELECT value FROM meta WHERE name = 'epoch'").fetch_one(connection).await?)
}

pub(super) async fn insert<T: Serialize>(
    connection: &mut SqliteConnection,
    epoch: &str,
    now: Timestamp,
    kind: EventKind,
    subject: &str,
    data: &T,
) -> Result<Event, StoreError> {
    let (at, word, text) = (ms(now), kind.as_str(), to_json(data));
    let seq = sqlx::query!(
        "INSERT INTO events (at, kind, subject, data) VALUES (?1, ?2, ?3, ?4)",
        at,
        word,
        subject,
        text
    )
    .execute(connection)
    .await?
    .last_insert_rowid();
    let data = json("event", &text)?;
    Ok(Event { id: format!("{epoch}-{seq}"), at: now, kind, subject: subject.to_owned(), data })
}

/// The oldest and newest sequence number kept; `None` when there are no events.
pub async fn bounds(connection: &mut SqliteConnection) -> Result<Option<(i64, i64)>, StoreError> {
    let row = sqlx::query!(r#"SELECT MIN(seq) AS "first: i64", MAX(seq) AS "last: i64" FROM events"#)
        .fetch_one(connection)
        .await?;
    Ok(row.first.zip(row.last))
}

/// At most `limit` events after `seq`, oldest first.
pub async fn after(
    connection: &mut SqliteConnection,
    epoch: &str,
    seq: i64,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    let rows = sqlx::query!(
        "SELECT seq, at, kind, subject, data FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        seq,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Event {
                id: format!("{epoch}-{}", row.seq),
                at: at(row.at)?,
                kind: parse("event kind", &row.kind)?,
                subject: row.subject,
                data: json("event", &row.data)?,
            })
        })
        .collect()
}
