//! Channels, their secrets sealed.

use capsule_api::{Channel, ChannelName, ChannelRoute};
use sqlx::SqliteConnection;

use super::{StoreError, Tx, json, parse, to_json};

/// Small integer that stands for a channel in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey(pub i64);

/// A channel with what never leaves the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChannel {
    /// The channel in the outbox.
    pub key: ChannelKey,
    /// The channel as the API shows it.
    pub channel: Channel,
    /// Its secret, sealed for `channels/ID/secret`.
    pub sealed: Option<Vec<u8>>,
}

struct Row {
    key: i64,
    id: String,
    name: String,
    enabled: i64,
    target: String,
    route: String,
    sealed: Option<Vec<u8>>,
    revision: i64,
    waiting: i64,
}

impl Row {
    fn into_stored(self) -> Result<StoredChannel, StoreError> {
        let channel = Channel {
            id: parse("id", &self.id)?,
            name: parse("channel name", &self.name)?,
            enabled: self.enabled == 1,
            target: json("channel target", &self.target)?,
            has_secret: self.sealed.is_some(),
            route: json("channel route", &self.route)?,
            waiting: u32::try_from(self.waiting).unwrap_or(u32::MAX),
            revision: self.revision,
        };
        Ok(StoredChannel { key: ChannelKey(self.key), channel, sealed: self.sealed })
    }
}

/// Every channel, by name. There are few.
pub async fn list(connection: &mut SqliteConnection) -> Result<Vec<StoredChannel>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT key AS "key!", id, name, enabled, target, route, sealed, revision,
            (SELECT COUNT(*) FROM deliveries
             WHERE channel_key = channels.key AND state = 'waiting') AS "waiting!: i64"
         FROM channels
         ORDER BY name"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_stored).collect()
}

/// Key and route of every enabled channel: all that is needed to queue a message, without the counting that
/// [`list`] does.
pub async fn routes_in(tx: &mut Tx) -> Result<Vec<(ChannelKey, ChannelRoute)>, StoreError> {
    let rows = sqlx::query!(r#"SELECT key AS "key!", route FROM channels WHERE enabled = 1 ORDER BY key"#)
        .fetch_all(tx.connection())
        .await?;
    rows.into_iter().map(|row| Ok((ChannelKey(row.key), json("channel route", &row.route)?))).collect()
}

/// Every channel inside a transaction.
pub async fn list_in(tx: &mut Tx) -> Result<Vec<StoredChannel>, StoreError> {
    list(tx.connection()).await
}

/// The channel with this name.
pub async fn find(
    connection: &mut SqliteConnection,
    name: &ChannelName,
) -> Result<Option<StoredChannel>, StoreError> {
    let stored = list(connection).await?;
    Ok(stored.into_iter().find(|stored| stored.channel.name.as_str().eq_ignore_ascii_case(name.as_str())))
}

/// The channel inside a transaction.
pub async fn find_in(tx: &mut Tx, name: &ChannelName) -> Result<Option<StoredChannel>, StoreError> {
    find(tx.connection(), name).await
}

/// Adds a channel. `false`: the name is taken.
pub async fn insert(tx: &mut Tx, channel: &Channel, sealed: Option<&[u8]>) -> Result<bool, StoreError> {
    let (id, name) = (channel.id.to_string(), channel.name.as_str());
    let (target, route) = (to_json(&channel.target), to_json(&channel.route));
    let done = sqlx::query!(
        "INSERT INTO channels (id, name, enabled, target, route, sealed, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)
         ON CONFLICT (name) DO NOTHING",
        id,
        name,
        channel.enabled,
        target,
        route,
        sealed
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes a channel and raises its revision; `channel.revision` is the one the change was made from.
/// `false`: it is no longer that one, nothing changed.
pub async fn update(tx: &mut Tx, channel: &Channel, sealed: Option<&[u8]>) -> Result<bool, StoreError> {
    let id = channel.id.to_string();
    let (target, route) = (to_json(&channel.target), to_json(&channel.route));
    let done = sqlx::query!(
        "UPDATE channels
         SET enabled = ?2, target = ?3, route = ?4, sealed = ?5, revision = revision + 1
         WHERE id = ?1 AND revision = ?6",
        id,
        channel.enabled,
        target,
        route,
        sealed,
        channel.revision
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a channel with its deliveries. `revision` of `None` removes any. `false`: nothing was removed.
pub async fn delete(tx: &mut Tx, name: &ChannelName, revision: Option<i64>) -> Result<bool, StoreError> {
    let name = name.as_str();
    let done = sqlx::query!(
        "DELETE FROM channels WHERE name = ?1 AND (?2 IS NULL OR revision = ?2)",
        name,
        revision
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
