//! The outbox: what must be told to whom, in order for each alert or operation and channel, kept until it is
//! accepted.

use capsule_api::{AlertChangeKind, AlertId, Delivery, DeliveryId, DeliveryState, OperationId};
use jiff::Timestamp;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{StoreError, Tx, at, at_opt, channels::ChannelKey, ms, parse, to_json};

/// A delivery whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The delivery.
    pub id: DeliveryId,
    /// The alert's or the operation's id; one delivery about the same is under way at a time on a channel.
    pub about: Uuid,
    /// The channel.
    pub channel: ChannelKey,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it may be tried.
    pub next_at: Timestamp,
    /// The message as JSON, as things were when it was queued.
    pub message: String,
}

/// What a delivery tells.
#[derive(Debug, Clone, Copy)]
pub enum News {
    /// A change of an alert.
    Change {
        /// The alert.
        alert: AlertId,
        /// Position in its timeline.
        seq: u32,
        /// What happened to it.
        kind: AlertChangeKind,
    },
    /// The end of an operation.
    End(OperationId),
}

/// A delivery to be queued.
#[derive(Debug, Clone)]
pub struct New<'a, M> {
    /// The delivery's id.
    pub id: DeliveryId,
    /// What it tells.
    pub news: News,
    /// The channel.
    pub channel: ChannelKey,
    /// The message; stored as JSON.
    pub message: &'a M,
    /// One line for lists.
    pub summary: &'a str,
}

/// Queues a delivery for at once.
pub async fn insert<M: serde::Serialize + Sync>(tx: &mut Tx, new: New<'_, M>) -> Result<(), StoreError> {
    let (alert, seq, change, operation) = match new.news {
        News::Change { alert, seq, kind } => (Some(alert.to_string()), Some(seq), Some(kind.as_str()), None),
        News::End(operation) => (None, None, None, Some(operation.to_string())),
    };
    let (id, message, now) = (new.id.to_string(), to_json(new.message), ms(tx.now()));
    sqlx::query!(
        "INSERT INTO deliveries (id, alert_id, change_seq, change, operation_id, channel_key, message, summary,
            state, next_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting', ?9, ?9)",
        id,
        alert,
        seq,
        change,
        operation,
        new.channel.0,
        message,
        new.summary,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The channels that were told of an alert, or are about to be.
pub async fn told_channels(tx: &mut Tx, alert: AlertId) -> Result<Vec<ChannelKey>, StoreError> {
    let alert = alert.to_string();
    let rows = sqlx::query_scalar!(
        "SELECT DISTINCT channel_key FROM deliveries WHERE alert_id = ?1 AND state <> 'failed'",
        alert
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(ChannelKey).collect())
}

/// The first waiting delivery about every alert and operation on one channel, soonest first: at most `limit`.
/// Later ones about the same wait for it, so an alert is told in order.
pub async fn heads(
    connection: &mut SqliteConnection,
    channel: ChannelKey,
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT d.id AS "id!", ifnull(d.alert_id, d.operation_id) AS "about!: String", d.attempts, d.created_at, d.next_at, d.message
         FROM deliveries AS d
         WHERE d.seq IN (SELECT MIN(e.seq) FROM deliveries AS e
                         WHERE e.state = 'waiting' AND e.channel_key = ?1
                         GROUP BY ifnull(e.alert_id, e.operation_id))
         ORDER BY d.next_at, d.seq
         LIMIT ?2"#,
        channel.0,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Due {
                id: parse("id", &row.id)?,
                about: parse("id", &row.about)?,
                channel,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                created_at: at(row.created_at)?,
                next_at: at(row.next_at)?,
                message: row.message,
            })
        })
        .collect()
}

/// Makes everything that waits on a channel due now: the other side answers again.
pub async fn release(tx: &mut Tx, channel: ChannelKey) -> Result<(), StoreError> {
    let now = ms(tx.now());
    sqlx::query!(
        "UPDATE deliveries SET next_at = ?2 WHERE channel_key = ?1 AND state = 'waiting' AND next_at > ?2",
        channel.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends a delivery: accepted or given up. `false`: it was not waiting any more, nothing changed.
pub async fn finish(
    tx: &mut Tx,
    id: DeliveryId,
    state: DeliveryState,
    reason: &str,
) -> Result<bool, StoreError> {
    let (id, state, now) = (id.to_string(), state.as_str(), ms(tx.now()));
    let done = sqlx::query!(
        "UPDATE deliveries
         SET state = ?2, reason = ?3, finished_at = ?4, attempts = attempts + 1
         WHERE id = ?1 AND state = 'waiting'",
        id,
        state,
        reason,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes a failed try and when the next one is. `false`: it was not waiting any more, nothing changed.
pub async fn postpone(
    tx: &mut Tx,
    id: DeliveryId,
    next_at: Timestamp,
    reason: &str,
) -> Result<bool, StoreError> {
    let (id, next_at) = (id.to_string(), ms(next_at));
    let done = sqlx::query!(
        "UPDATE deliveries
         SET attempts = attempts + 1, next_at = ?2, reason = ?3
         WHERE id = ?1 AND state = 'waiting'",
        id,
        next_at,
        reason
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes a waiting or failed delivery due now, with its 24 hours starting again. `false`: it was sent.
pub async fn retry(tx: &mut Tx, id: DeliveryId) -> Result<bool, StoreError> {
    let (id, now) = (id.to_string(), ms(tx.now()));
    let done = sqlx::query!(
        "UPDATE deliveries
         SET state = 'waiting', finished_at = NULL, next_at = ?2, created_at = ?2
         WHERE id = ?1 AND state <> 'sent'",
        id,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Which deliveries to list; every given field must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// This state only.
    pub state: Option<DeliveryState>,
    /// This channel only, by name.
    pub channel: Option<String>,
    /// This alert only.
    pub alert: Option<AlertId>,
    /// This delivery only.
    pub id: Option<DeliveryId>,
    /// Only those queued before this position.
    pub before: Option<i64>,
}

/// At most `limit` deliveries that match with their positions, newest first.
pub async fn list(
    connection: &mut SqliteConnection,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<(i64, Delivery)>, StoreError> {
    let state = filter.state.map(DeliveryState::as_str);
    let alert = filter.alert.map(|id| id.to_string());
    let id = filter.id.map(|id| id.to_string());
    let rows = sqlx::query!(
        r#"SELECT d.seq, d.id, d.alert_id, d.change_seq, d.change, d.operation_id, d.summary, c.name AS channel, d.state, d.attempts,
            d.next_at, d.reason, d.created_at, d.finished_at
         FROM deliveries AS d
         JOIN channels AS c ON c.key = d.channel_key
         WHERE (?1 IS NULL OR d.state = ?1)
            AND (?2 IS NULL OR c.name = ?2)
            AND (?3 IS NULL OR d.alert_id = ?3)
            AND (?4 IS NULL OR d.id = ?4)
            AND (?5 IS NULL OR d.seq < ?5)
         ORDER BY d.seq DESC
         LIMIT ?6"#,
        state,
        filter.channel,
        alert,
        id,
        filter.before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = parse("delivery state", &row.state)?;
            let delivery = Delivery {
                id: parse("id", &row.id)?,
                alert_id: row.alert_id.map(|id| parse("id", &id)).transpose()?,
                change_seq: row.change_seq.map(|seq| u32::try_from(seq).unwrap_or(u32::MAX)),
                change: row.change.map(|change| parse("alert change", &change)).transpose()?,
                operation_id: row.operation_id.map(|id| parse("id", &id)).transpose()?,
                summary: row.summary,
                channel: parse("channel name", &row.channel)?,
                state,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                next_at: (state == DeliveryState::Waiting).then_some(at(row.next_at)?),
                reason: row.reason,
                created_at: at(row.created_at)?,
                finished_at: at_opt(row.finished_at)?,
            };
            Ok((row.seq, delivery))
        })
        .collect()
}

/// One delivery inside a transaction.
pub async fn find_in(tx: &mut Tx, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let filter = Filter { id: Some(id), ..Filter::default() };
    Ok(list(tx.connection(), &filter, 1).await?.pop().map(|(_, delivery)| delivery))
}

/// How many wait, and how many were given up since `since`.
pub async fn counts(connection: &mut SqliteConnection, since: Timestamp) -> Result<(u32, u32), StoreError> {
    let since = ms(since);
    let row = sqlx::query!(
        r#"SELECT
            (SELECT COUNT(*) FROM deliveries WHERE state = 'waiting') AS "waiting!: i64",
            (SELECT COUNT(*) FROM deliveries WHERE state = 'failed' AND finished_at >= ?1) AS "failed!: i64""#,
        since
    )
    .fetch_one(connection)
    .await?;
    let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Ok((count(row.waiting), count(row.failed)))
}
