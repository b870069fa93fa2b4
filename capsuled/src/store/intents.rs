//! Intents with their attempts, and the key pair that every server we make lets in.

use capsule_api::{
    AccountName, DeploymentAttempt, DeploymentState, InstanceRef, IntentId, IntentKind, OperationId, XNodeId,
    XNodeName,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, json, ms, parse, to_json};
use crate::model::{Intent, IntentOutline};

struct Row {
    id: String,
    kind: String,
    operation_id: String,
    name: String,
    request: String,
    user_data: Option<Vec<u8>>,
    offers: String,
    offer: i64,
    state: String,
    state_at: i64,
    account: String,
    region: String,
    prepared: Option<String>,
    instance_id: Option<String>,
    instance_place: Option<String>,
    sends: i64,
    sent_at: Option<i64>,
    looked_until: Option<i64>,
    xnode_id: Option<String>,
    reason: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_intent(self) -> Result<Intent, StoreError> {
        let instance = self.instance_id.zip(self.instance_place);
        Ok(Intent {
            id: parse("id", &self.id)?,
            kind: parse("intent kind", &self.kind)?,
            operation: parse("id", &self.operation_id)?,
            name: parse("xNode name", &self.name)?,
            spec: json("server specification", &self.request)?,
            user_data: self.user_data,
            offers: json("offers", &self.offers)?,
            offer: usize::try_from(self.offer).unwrap_or(usize::MAX),
            state: parse("deployment state", &self.state)?,
            state_at: at(self.state_at)?,
            account: parse("account name", &self.account)?,
            region: self.region,
            prepared: self
                .prepared
                .as_deref()
                .map(|text| json("preparation", text))
                .transpose()?
                .unwrap_or_default(),
            instance: instance.map(|(id, place)| InstanceRef { id, place }),
            sends: u32::try_from(self.sends).unwrap_or(u32::MAX),
            sent_at: at_opt(self.sent_at)?,
            looked_until: at_opt(self.looked_until)?,
            xnode: self.xnode_id.as_deref().map(|id| parse("id", id)).transpose()?,
            reason: self.reason,
            created_at: at(self.created_at)?,
            updated_at: at(self.updated_at)?,
        })
    }
}

/// Writes a new intent.
///
/// # Errors
/// A unique violation when another one is making a server of this name or deleting this xNode; see
/// [`is_under_way`].
pub async fn insert(tx: &mut Tx, intent: &Intent) -> Result<(), StoreError> {
    let (id, kind, operation) = (intent.id.to_string(), intent.kind.as_str(), intent.operation.to_string());
    let (name, request, offers) = (intent.name.as_str(), to_json(&intent.spec), to_json(&intent.offers));
    let offer = i64::try_from(intent.offer).unwrap_or(i64::MAX);
    let (state, account) = (intent.state.as_str(), intent.account.as_str());
    let prepared = to_json(&intent.prepared);
    let instance_id = intent.instance.as_ref().map(|instance| instance.id.as_str());
    let instance_place = intent.instance.as_ref().map(|instance| instance.place.as_str());
    let xnode = intent.xnode.map(|id| id.to_string());
    let (state_at, created_at, updated_at) =
        (ms(intent.state_at), ms(intent.created_at), ms(intent.updated_at));
    sqlx::query!(
        "INSERT INTO intents (id, kind, operation_id, name, request, user_data, offers, offer, state, state_at,
            account, region, prepared, instance_id, instance_place, sends, xnode_id, reason, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, ?16, ?17, ?18, ?19)",
        id,
        kind,
        operation,
        name,
        request,
        intent.user_data,
        offers,
        offer,
        state,
        state_at,
        account,
        intent.region,
        prepared,
        instance_id,
        instance_place,
        xnode,
        intent.reason,
        created_at,
        updated_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether an error of [`insert`] means that the same is being done already.
pub fn is_under_way(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    error.as_database_error().is_some_and(|e| e.is_unique_violation() && e.message().contains("intents."))
}

/// Writes what moved, if the intent still is in `from`. `false`: it is not, nothing changed.
pub async fn update(tx: &mut Tx, intent: &Intent, from: DeploymentState) -> Result<bool, StoreError> {
    let (id, from, state) = (intent.id.to_string(), from.as_str(), intent.state.as_str());
    let offer = i64::try_from(intent.offer).unwrap_or(i64::MAX);
    let (account, prepared) = (intent.account.as_str(), to_json(&intent.prepared));
    let instance_id = intent.instance.as_ref().map(|instance| instance.id.as_str());
    let instance_place = intent.instance.as_ref().map(|instance| instance.place.as_str());
    let (state_at, sent_at, looked_until) =
        (ms(intent.state_at), intent.sent_at.map(ms), intent.looked_until.map(ms));
    let (xnode, updated_at) = (intent.xnode.map(|id| id.to_string()), ms(tx.now()));
    let done = sqlx::query!(
        "UPDATE intents
         SET state = ?3, state_at = ?4, offer = ?5, account = ?6, region = ?7, prepared = ?8, instance_id = ?9,
            instance_place = ?10, sends = ?11, sent_at = ?12, looked_until = ?13, xnode_id = ?14, reason = ?15,
            updated_at = ?16
         WHERE id = ?1 AND state = ?2",
        id,
        from,
        state,
        state_at,
        offer,
        account,
        intent.region,
        prepared,
        instance_id,
        instance_place,
        intent.sends,
        sent_at,
        looked_until,
        xnode,
        intent.reason,
        updated_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The intent with this id.
pub async fn find(connection: &mut SqliteConnection, id: IntentId) -> Result<Option<Intent>, StoreError> {
    let id = id.to_string();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", kind, operation_id, name, request, user_data, offers, offer, state, state_at, account,
            region, prepared, instance_id, instance_place, sends, sent_at, looked_until, xnode_id, reason,
            created_at, updated_at
         FROM intents
         WHERE id = ?1"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::into_intent).transpose()
}

/// At most `limit` intents, newest first; only those made before `before` where given.
pub async fn list(
    connection: &mut SqliteConnection,
    before: Option<IntentId>,
    limit: i64,
) -> Result<Vec<Intent>, StoreError> {
    let before = before.map(|id| id.to_string());
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", kind, operation_id, name, request, user_data, offers, offer, state, state_at, account,
            region, prepared, instance_id, instance_place, sends, sent_at, looked_until, xnode_id, reason,
            created_at, updated_at
         FROM intents
         WHERE ?1 IS NULL OR id < ?1
         ORDER BY id DESC
         LIMIT ?2"#,
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_intent).collect()
}

/// Id, name and state of every intent, newest first, by which commands find what people type.
pub async fn names(connection: &mut SqliteConnection) -> Result<Vec<(IntentId, String)>, StoreError> {
    let rows = sqlx::query!(r#"SELECT id AS "id!", name FROM intents ORDER BY id DESC"#)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok((parse("id", &row.id)?, row.name))).collect()
}

/// Id and state of an operation's intents, in the order in which they were written.
pub async fn of_operation(
    connection: &mut SqliteConnection,
    operation: OperationId,
) -> Result<Vec<(IntentId, DeploymentState)>, StoreError> {
    let operation = operation.to_string();
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", state FROM intents WHERE operation_id = ?1 ORDER BY id"#,
        operation
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((parse("id", &row.id)?, parse("deployment state", &row.state)?))).collect()
}

/// As [`of_operation`], inside a transaction.
pub async fn of_operation_in(
    tx: &mut Tx,
    operation: OperationId,
) -> Result<Vec<(IntentId, DeploymentState)>, StoreError> {
    of_operation(tx.connection(), operation).await
}

/// The intent inside a transaction.
pub async fn find_in(tx: &mut Tx, id: IntentId) -> Result<Option<Intent>, StoreError> {
    find(tx.connection(), id).await
}

/// The operation that is at present making or deleting this xNode, and which of the two.
pub async fn under_way_in(
    tx: &mut Tx,
    xnode: XNodeId,
) -> Result<Option<(OperationId, IntentKind)>, StoreError> {
    let xnode = xnode.to_string();
    let row = sqlx::query!(
        "SELECT operation_id, kind
         FROM intents
         WHERE xnode_id = ?1 AND state NOT IN ('succeeded', 'failed', 'cancelled')
         LIMIT 1",
        xnode
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| Ok((parse("id", &row.operation_id)?, parse("intent kind", &row.kind)?))).transpose()
}

/// Intents that have not ended or did so after `since`, and those of `ids`.
pub async fn outlines(
    connection: &mut SqliteConnection,
    since: Timestamp,
    ids: &[IntentId],
) -> Result<Vec<IntentOutline>, StoreError> {
    let (since, ids) = (ms(since), to_json(ids));
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", kind, name, state, state_at, instance_id, instance_place, xnode_id
         FROM intents
         WHERE state NOT IN ('succeeded', 'failed', 'cancelled')
            OR state_at > ?1
            OR id IN (SELECT value FROM json_each(?2))
         ORDER BY id"#,
        since,
        ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let instance = row.instance_id.zip(row.instance_place);
            Ok(IntentOutline {
                id: parse("id", &row.id)?,
                kind: parse("intent kind", &row.kind)?,
                name: parse("xNode name", &row.name)?,
                state: parse("deployment state", &row.state)?,
                state_at: at(row.state_at)?,
                instance: instance.map(|(id, place)| InstanceRef { id, place }),
                xnode: row.xnode_id.as_deref().map(|id| parse("id", id)).transpose()?,
            })
        })
        .collect()
}

/// The name and kind of the oldest intent that has not ended at an account.
pub async fn unfinished_at(
    tx: &mut Tx,
    account: &AccountName,
) -> Result<Option<(XNodeName, IntentKind)>, StoreError> {
    let account = account.as_str();
    let row = sqlx::query!(
        "SELECT name, kind
         FROM intents
         WHERE account = ?1 AND state NOT IN ('succeeded', 'failed', 'cancelled')
         ORDER BY id
         LIMIT 1",
        account
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| Ok((parse("xNode name", &row.name)?, parse("intent kind", &row.kind)?))).transpose()
}

/// Adds an attempt with the next number.
pub async fn add_attempt(
    tx: &mut Tx,
    id: IntentId,
    offer: usize,
    outcome: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let (id, now) = (id.to_string(), ms(tx.now()));
    let offer = i64::try_from(offer).unwrap_or(i64::MAX);
    sqlx::query!(
        "INSERT INTO attempts (intent_id, seq, offer, outcome, detail, at)
         SELECT ?1, ifnull(MAX(seq), 0) + 1, ?2, ?3, ?4, ?5 FROM attempts WHERE intent_id = ?1",
        id,
        offer,
        outcome,
        detail,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// An intent's attempts, in order.
pub async fn attempts(
    connection: &mut SqliteConnection,
    id: IntentId,
) -> Result<Vec<DeploymentAttempt>, StoreError> {
    let id = id.to_string();
    let rows = sqlx::query!(
        "SELECT seq, offer, outcome, detail, at FROM attempts WHERE intent_id = ?1 ORDER BY seq",
        id
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(DeploymentAttempt {
                seq: u32::try_from(row.seq).unwrap_or(u32::MAX),
                offer: u32::try_from(row.offer).unwrap_or(u32::MAX),
                outcome: row.outcome,
                detail: row.detail,
                at: at(row.at)?,
            })
        })
        .collect()
}

/// How many attempts at this offer ended so that it was not had.
pub async fn tries_at(
    connection: &mut SqliteConnection,
    id: IntentId,
    offer: usize,
) -> Result<u32, StoreError> {
    let id = id.to_string();
    let offer = i64::try_from(offer).unwrap_or(i64::MAX);
    let count = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "count!: i64" FROM attempts WHERE intent_id = ?1 AND offer = ?2"#,
        id,
        offer
    )
    .fetch_one(connection)
    .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Ids of xNodes whose time to live is over at `until` or before, with when that is.
pub async fn expiring(
    connection: &mut SqliteConnection,
    until: Timestamp,
) -> Result<Vec<(XNodeId, Timestamp)>, StoreError> {
    let until = ms(until);
    let rows = sqlx::query!(
        r#"SELECT id, expires_at AS "expires_at!: i64"
         FROM xnodes
         WHERE expires_at IS NOT NULL AND expires_at <= ?1
         ORDER BY expires_at"#,
        until
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((parse("id", &row.id)?, at(row.expires_at)?))).collect()
}

/// The earliest end of a time to live after `now`.
pub async fn next_expiry(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let now = ms(now);
    let next = sqlx::query_scalar!(
        r#"SELECT MIN(expires_at) AS "at: i64" FROM xnodes WHERE expires_at IS NOT NULL AND expires_at > ?1"#,
        now
    )
    .fetch_one(connection)
    .await?;
    at_opt(next)
}

/// The daemon's own key pair: its public half, and the private one sealed for `deployment_key/1/private`.
pub async fn deployment_key(
    connection: &mut SqliteConnection,
) -> Result<Option<(String, Vec<u8>)>, StoreError> {
    let row = sqlx::query!("SELECT public, sealed FROM deployment_key WHERE id = 1")
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| (row.public, row.sealed)))
}

/// Stores the daemon's key pair unless there is one.
pub async fn set_deployment_key(tx: &mut Tx, public: &str, sealed: &[u8]) -> Result<(), StoreError> {
    let now = ms(tx.now());
    sqlx::query!(
        "INSERT INTO deployment_key (id, public, sealed, created_at) VALUES (1, ?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
        public,
        sealed,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether a server of this name is being made.
pub async fn is_being_made_in(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "count!: i64" FROM intents
         WHERE name = ?1 AND kind = 'create' AND state NOT IN ('succeeded', 'failed', 'cancelled')"#,
        name
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(0 < count)
}
