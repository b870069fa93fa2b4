//! The inventory's rows.

use capsule_api::{
    AccountName, Expiry, Health, InstanceRef, Placement, SshAccess, SshKeySource, XNode, XNodeId, XNodeStatus,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, checks, json, ms, parse, to_json};
use crate::model::{XNodeKey, fingerprint};

/// A private key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// Sealed for `xnodes/ID/ssh_key`.
    Sealed(Vec<u8>),
    /// A file the daemon reads.
    Path(String),
    /// The daemon's SSH agent.
    Agent,
}

/// An xNode with what never leaves the daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredXNode {
    /// The xNode in telemetry.
    pub key: XNodeKey,
    /// The xNode as the API shows it, its checks included.
    pub xnode: XNode,
    /// How to log in.
    pub ssh_key: Option<StoredKey>,
    /// The pinned host key in OpenSSH form.
    pub host_key: Option<String>,
    /// A host key that is not the pinned one, and since when it has been offered.
    pub foreign_host_key: Option<(String, Timestamp)>,
}

/// Which xNodes to list; every given field must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Provider label.
    pub provider: Option<String>,
    /// Region label.
    pub region: Option<String>,
    /// Inventory status.
    pub status: Option<XNodeStatus>,
    /// Health.
    pub health: Option<Health>,
    /// Tags that must all be there.
    pub tags: Vec<String>,
    /// Text in name, address, provider, region or a tag, ignoring case.
    pub text: Option<String>,
    /// Only names after this one.
    pub after: Option<String>,
}

struct Row {
    key: i64,
    id: String,
    name: String,
    address: String,
    ipv4: Option<String>,
    ipv6: Option<String>,
    ssh_port: i64,
    ssh_user: Option<String>,
    ssh_jump: Option<String>,
    ssh_key_source: Option<String>,
    ssh_key_path: Option<String>,
    ssh_key_sealed: Option<Vec<u8>>,
    host_key: Option<String>,
    foreign_host_key: Option<String>,
    foreign_host_key_at: Option<i64>,
    provider: Option<String>,
    region: Option<String>,
    account: Option<String>,
    instance_id: Option<String>,
    instance_place: Option<String>,
    plan: Option<String>,
    template: Option<String>,
    expires_at: Option<i64>,
    expiry_action: Option<String>,
    status: String,
    tags: String,
    hourly_cost_micros: Option<i64>,
    thresholds: String,
    metrics_interval_ms: Option<i64>,
    own_host: i64,
    health: String,
    health_since: Option<i64>,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    open_alerts: i64,
}

impl Row {
    fn placement(&self) -> Result<Option<Placement>, StoreError> {
        let (Some(account), Some(id), Some(place)) = (&self.account, &self.instance_id, &self.instance_place)
        else {
            return Ok(None);
        };
        let expiry = match (at_opt(self.expires_at)?, &self.expiry_action) {
            (Some(at), Some(action)) => Some(Expiry { at, action: parse("expiry action", action)? }),
            _ => None,
        };
        Ok(Some(Placement {
            account: parse("account name", account)?,
            instance: InstanceRef { id: id.clone(), place: place.clone() },
            plan: self.plan.clone().unwrap_or_default(),
            template: self.template.clone(),
            expiry,
        }))
    }

    fn into_stored(self) -> Result<StoredXNode, StoreError> {
        let placement = self.placement()?;
        let key_source = self.ssh_key_source.as_deref().map(|word| parse("key source", word)).transpose()?;
        let ssh_key = match (key_source, self.ssh_key_sealed, self.ssh_key_path) {
            (Some(SshKeySource::Stored), Some(sealed), _) => Some(StoredKey::Sealed(sealed)),
            (Some(SshKeySource::Path), _, Some(path)) => Some(StoredKey::Path(path)),
            (Some(SshKeySource::Agent), ..) => Some(StoredKey::Agent),
            _ => None,
        };
        let optional = |what, text: Option<&str>| text.map(|text| parse(what, text)).transpose();
        let xnode = XNode {
            id: parse("id", &self.id)?,
            name: parse("xNode name", &self.name)?,
            address: parse("address", &self.address)?,
            ipv4: self.ipv4.as_deref().map(|ip| parse("IPv4 address", ip)).transpose()?,
            ipv6: self.ipv6.as_deref().map(|ip| parse("IPv6 address", ip)).transpose()?,
            ssh: SshAccess {
                port: u16::try_from(self.ssh_port).unwrap_or(22),
                user: self.ssh_user,
                jump: self.ssh_jump,
                key: key_source,
                host_key_fingerprint: self.host_key.as_deref().and_then(fingerprint),
            },
            provider: optional("provider", self.provider.as_deref())?,
            region: optional("region", self.region.as_deref())?,
            placement,
            status: parse("xNode status", &self.status)?,
            tags: json("tags", &self.tags)?,
            hourly_cost_micros: self.hourly_cost_micros.map(capsule_api::UsdMicros),
            health: parse("health", &self.health)?,
            health_since: at_opt(self.health_since)?,
            checks: Vec::new(),
            thresholds: json("thresholds", &self.thresholds)?,
            metrics_interval_ms: self.metrics_interval_ms.and_then(|ms| u64::try_from(ms).ok()),
            own_host: self.own_host == 1,
            open_alerts: u32::try_from(self.open_alerts).unwrap_or(u32::MAX),
            revision: self.revision,
            created_at: at(self.created_at)?,
            updated_at: at(self.updated_at)?,
        };
        let foreign = self.foreign_host_key.zip(at_opt(self.foreign_host_key_at)?);
        let key = XNodeKey(self.key);
        Ok(StoredXNode { key, xnode, ssh_key, host_key: self.host_key, foreign_host_key: foreign })
    }
}

/// The columns of [`StoredKey`]: source, path, sealed.
fn key_columns(key: Option<&StoredKey>) -> (Option<&'static str>, Option<&str>, Option<&[u8]>) {
    match key {
        None => (None, None, None),
        Some(StoredKey::Sealed(sealed)) => (Some(SshKeySource::Stored.as_str()), None, Some(sealed)),
        Some(StoredKey::Path(path)) => (Some(SshKeySource::Path.as_str()), Some(path), None),
        Some(StoredKey::Agent) => (Some(SshKeySource::Agent.as_str()), None, None),
    }
}

/// Writes where an xNode is known at a provider, or that it no longer is.
async fn set_placement(tx: &mut Tx, key: XNodeKey, placement: Option<&Placement>) -> Result<(), StoreError> {
    let account = placement.map(|p| p.account.as_str());
    let instance_id = placement.map(|p| p.instance.id.as_str());
    let instance_place = placement.map(|p| p.instance.place.as_str());
    let plan = placement.map(|p| p.plan.as_str());
    let template = placement.and_then(|p| p.template.as_deref());
    let expiry = placement.and_then(|p| p.expiry);
    let (expires_at, action) = (expiry.map(|e| ms(e.at)), expiry.map(|e| e.action.as_str()));
    sqlx::query!(
        "UPDATE xnodes
         SET account = ?2, instance_id = ?3, instance_place = ?4, plan = ?5, template = ?6, expires_at = ?7,
            expiry_action = ?8
         WHERE key = ?1",
        key.0,
        account,
        instance_id,
        instance_place,
        plan,
        template,
        expires_at,
        action
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The xNode that stands for this instance of this account.
pub async fn find_placed(
    connection: &mut SqliteConnection,
    account: &AccountName,
    instance: &InstanceRef,
) -> Result<Option<StoredXNode>, StoreError> {
    let account = account.as_str();
    let id = sqlx::query_scalar!(
        "SELECT id FROM xnodes WHERE account = ?1 AND instance_place = ?2 AND instance_id = ?3",
        account,
        instance.place,
        instance.id
    )
    .fetch_optional(&mut *connection)
    .await?;
    match id {
        Some(id) => find(connection, parse("id", &id)?).await,
        None => Ok(None),
    }
}

/// As [`find_placed`], inside a transaction.
pub async fn find_placed_in(
    tx: &mut Tx,
    account: &AccountName,
    instance: &InstanceRef,
) -> Result<Option<StoredXNode>, StoreError> {
    find_placed(tx.connection(), account, instance).await
}

/// Adds an xNode with its checks and returns its key; `new.key` is ignored. `None`: the name is taken.
pub async fn insert(tx: &mut Tx, new: &StoredXNode) -> Result<Option<XNodeKey>, StoreError> {
    let x = &new.xnode;
    let (id, name, address) = (x.id.to_string(), x.name.as_str(), x.address.as_str());
    let (ipv4, ipv6) = (x.ipv4.map(|ip| ip.to_string()), x.ipv6.map(|ip| ip.to_string()));
    let (key_source, key_path, key_sealed) = key_columns(new.ssh_key.as_ref());
    let (provider, region) = (x.provider.as_ref().map(|l| l.as_str()), x.region.as_ref().map(|l| l.as_str()));
    let (status, tags, cost) = (x.status.as_str(), to_json(&x.tags), x.hourly_cost_micros.map(|c| c.0));
    let thresholds = to_json(&x.thresholds);
    let metrics_interval = x.metrics_interval_ms.and_then(|ms| i64::try_from(ms).ok());
    let (own_host, health, created, updated) =
        (x.own_host, x.health.as_str(), ms(x.created_at), ms(x.updated_at));
    let done = sqlx::query!(
        "INSERT INTO xnodes (id, name, address, ipv4, ipv6, ssh_port, ssh_user, ssh_jump, ssh_key_source,
            ssh_key_path, ssh_key_sealed, host_key, provider, region, status, tags, hourly_cost_micros,
            thresholds, metrics_interval_ms, own_host, health, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
            ?21, 1, ?22, ?23)
         ON CONFLICT (name) DO NOTHING",
        id,
        name,
        address,
        ipv4,
        ipv6,
        x.ssh.port,
        x.ssh.user,
        x.ssh.jump,
        key_source,
        key_path,
        key_sealed,
        new.host_key,
        provider,
        region,
        status,
        tags,
        cost,
        thresholds,
        metrics_interval,
        own_host,
        health,
        created,
        updated
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let key = XNodeKey(done.last_insert_rowid());
    if x.placement.is_some() {
        set_placement(tx, key, x.placement.as_ref()).await?;
    }
    checks::replace(tx, key, &x.checks).await?;
    Ok(Some(key))
}

/// Writes what an operator can change, checks included, and raises the revision. `new.xnode.revision` is the
/// revision the change was made from. `false`: it is no longer that one, nothing changed.
///
/// # Errors
/// A unique violation when the new name is taken; see [`is_name_taken`].
pub async fn update(tx: &mut Tx, new: &StoredXNode) -> Result<bool, StoreError> {
    let x = &new.xnode;
    let (name, address) = (x.name.as_str(), x.address.as_str());
    let (ipv4, ipv6) = (x.ipv4.map(|ip| ip.to_string()), x.ipv6.map(|ip| ip.to_string()));
    let (key_source, key_path, key_sealed) = key_columns(new.ssh_key.as_ref());
    let (provider, region) = (x.provider.as_ref().map(|l| l.as_str()), x.region.as_ref().map(|l| l.as_str()));
    let (status, tags, cost) = (x.status.as_str(), to_json(&x.tags), x.hourly_cost_micros.map(|c| c.0));
    let thresholds = to_json(&x.thresholds);
    let metrics_interval = x.metrics_interval_ms.and_then(|ms| i64::try_from(ms).ok());
    let foreign = new.foreign_host_key.as_ref().map(|(key, _)| key.as_str());
    let foreign_at = new.foreign_host_key.as_ref().map(|(_, at)| ms(*at));
    let (updated, key, revision) = (ms(x.updated_at), new.key.0, x.revision);
    let done = sqlx::query!(
        "UPDATE xnodes
         SET name = ?1, address = ?2, ipv4 = ?3, ipv6 = ?4, ssh_port = ?5, ssh_user = ?6, ssh_jump = ?7,
            ssh_key_source = ?8, ssh_key_path = ?9, ssh_key_sealed = ?10, host_key = ?11,
            foreign_host_key = ?12, foreign_host_key_at = ?13, provider = ?14, region = ?15, status = ?16,
            tags = ?17, hourly_cost_micros = ?18, thresholds = ?19, metrics_interval_ms = ?20,
            updated_at = ?21, revision = revision + 1
         WHERE key = ?22 AND revision = ?23",
        name,
        address,
        ipv4,
        ipv6,
        x.ssh.port,
        x.ssh.user,
        x.ssh.jump,
        key_source,
        key_path,
        key_sealed,
        new.host_key,
        foreign,
        foreign_at,
        provider,
        region,
        status,
        tags,
        cost,
        thresholds,
        metrics_interval,
        updated,
        key,
        revision
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    set_placement(tx, new.key, x.placement.as_ref()).await?;
    checks::replace(tx, new.key, &x.checks).await?;
    Ok(true)
}

/// Whether an error of [`update`] means that the new name is taken.
pub fn is_name_taken(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    error.as_database_error().is_some_and(|e| e.is_unique_violation() && e.message().contains("xnodes.name"))
}

/// Removes an xNode with its checks and timers. `revision` of `None` removes any. `false`: nothing was removed.
pub async fn delete(tx: &mut Tx, key: XNodeKey, revision: Option<i64>) -> Result<bool, StoreError> {
    let done =
        sqlx::query!("DELETE FROM xnodes WHERE key = ?1 AND (?2 IS NULL OR revision = ?2)", key.0, revision)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Id and name of every xNode, by which commands find what people type.
pub async fn names(connection: &mut SqliteConnection) -> Result<Vec<(XNodeId, String)>, StoreError> {
    let rows = sqlx::query!("SELECT id, name FROM xnodes ORDER BY name").fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((parse("id", &row.id)?, row.name))).collect()
}

/// Key, id and revision of every xNode.
pub async fn revisions(
    connection: &mut SqliteConnection,
) -> Result<Vec<(XNodeKey, XNodeId, i64)>, StoreError> {
    let rows =
        sqlx::query!(r#"SELECT key AS "key!", id, revision FROM xnodes"#).fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((XNodeKey(row.key), parse("id", &row.id)?, row.revision))).collect()
}

/// Whether an xNode has this name.
pub async fn is_named_in(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    let count = sqlx::query_scalar!(r#"SELECT COUNT(*) AS "count!: i64" FROM xnodes WHERE name = ?1"#, name)
        .fetch_one(tx.connection())
        .await?;
    Ok(0 < count)
}

/// Whether an xNode with this id is there.
pub async fn exists_in(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let count = sqlx::query_scalar!(r#"SELECT COUNT(*) AS "count!: i64" FROM xnodes WHERE id = ?1"#, id)
        .fetch_one(tx.connection())
        .await?;
    Ok(count > 0)
}

/// The xNode with this id, checks included.
pub async fn find(connection: &mut SqliteConnection, id: XNodeId) -> Result<Option<StoredXNode>, StoreError> {
    let id = id.to_string();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT key, id, name, address, ipv4, ipv6, ssh_port, ssh_user, ssh_jump, ssh_key_source, ssh_key_path,
            ssh_key_sealed, host_key, foreign_host_key, foreign_host_key_at, provider, region,
            account, instance_id, instance_place, plan, template, expires_at, expiry_action, status, tags,
            hourly_cost_micros, thresholds, metrics_interval_ms, own_host, health, health_since, revision,
            created_at, updated_at,
            (SELECT COUNT(*) FROM alerts
             WHERE subject_kind = 'xnode' AND subject_id = xnodes.id AND state <> 'resolved') AS "open_alerts!: i64"
         FROM xnodes
         WHERE id = ?1"#,
        id
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut stored = row.into_stored()?;
    stored.xnode.checks = checks::of_xnode(connection, stored.key).await?;
    Ok(Some(stored))
}

/// The xNode inside a transaction, so that what is decided on it still holds when it is written.
pub async fn find_in(tx: &mut Tx, id: XNodeId) -> Result<Option<StoredXNode>, StoreError> {
    find(tx.connection(), id).await
}

/// At most `limit` xNodes that match, by name, checks included.
pub async fn list(
    connection: &mut SqliteConnection,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<StoredXNode>, StoreError> {
    let status = filter.status.map(XNodeStatus::as_str);
    let health = filter.health.map(Health::as_str);
    let tags = to_json(&filter.tags);
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT key AS "key!", id, name, address, ipv4, ipv6, ssh_port, ssh_user, ssh_jump, ssh_key_source, ssh_key_path,
            ssh_key_sealed, host_key, foreign_host_key, foreign_host_key_at, provider, region,
            account, instance_id, instance_place, plan, template, expires_at, expiry_action, status, tags,
            hourly_cost_micros, thresholds, metrics_interval_ms, own_host, health, health_since, revision,
            created_at, updated_at,
            (SELECT COUNT(*) FROM alerts
             WHERE subject_kind = 'xnode' AND subject_id = xnodes.id AND state <> 'resolved') AS "open_alerts!: i64"
         FROM xnodes
         WHERE (?1 IS NULL OR provider = ?1)
            AND (?2 IS NULL OR region = ?2)
            AND (?3 IS NULL OR status = ?3)
            AND (?4 IS NULL OR health = ?4)
            AND NOT EXISTS (SELECT 1 FROM json_each(?5) AS wanted
                            WHERE wanted.value NOT IN (SELECT value FROM json_each(xnodes.tags)))
            AND (?6 IS NULL OR instr(lower(name || ' ' || address || ' ' || ifnull(provider, '') || ' '
                                           || ifnull(region, '') || ' ' || tags), lower(?6)) > 0)
            AND (?7 IS NULL OR name > ?7)
         ORDER BY name
         LIMIT ?8"#,
        filter.provider,
        filter.region,
        status,
        health,
        tags,
        filter.text,
        filter.after,
        limit
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut stored = rows.into_iter().map(Row::into_stored).collect::<Result<Vec<_>, _>>()?;
    checks::attach(connection, &mut stored).await?;
    Ok(stored)
}

/// Every xNode inside a transaction, by name, checks included.
pub async fn list_in(tx: &mut Tx) -> Result<Vec<StoredXNode>, StoreError> {
    list(tx.connection(), &Filter::default(), i64::MAX).await
}

/// Writes the confirmed health.
pub async fn set_health(
    tx: &mut Tx,
    key: XNodeKey,
    health: Health,
    since: Timestamp,
) -> Result<(), StoreError> {
    let (health, since) = (health.as_str(), ms(since));
    sqlx::query!("UPDATE xnodes SET health = ?2, health_since = ?3 WHERE key = ?1", key.0, health, since)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Pins the first host key seen. `false`: one is pinned already, nothing changed.
pub async fn pin_host_key(tx: &mut Tx, key: XNodeKey, host_key: &str) -> Result<bool, StoreError> {
    let done =
        sqlx::query!("UPDATE xnodes SET host_key = ?2 WHERE key = ?1 AND host_key IS NULL", key.0, host_key)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Remembers a host key that is not the pinned one, or `None` when the pinned one is back.
pub async fn set_foreign_host_key(
    tx: &mut Tx,
    key: XNodeKey,
    foreign: Option<(&str, Timestamp)>,
) -> Result<(), StoreError> {
    let (host_key, at) = (foreign.map(|(key, _)| key), foreign.map(|(_, at)| ms(at)));
    sqlx::query!(
        "UPDATE xnodes SET foreign_host_key = ?2, foreign_host_key_at = ?3 WHERE key = ?1",
        key.0,
        host_key,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// xNodes by health.
pub async fn health_counts(
    connection: &mut SqliteConnection,
) -> Result<capsule_api::HealthCounts, StoreError> {
    let rows = sqlx::query!(r#"SELECT health, COUNT(*) AS "count!: i64" FROM xnodes GROUP BY health"#)
        .fetch_all(connection)
        .await?;
    let mut counts = capsule_api::HealthCounts::default();
    for row in rows {
        let count = u32::try_from(row.count).unwrap_or(u32::MAX);
        match parse("health", &row.health)? {
            Health::Healthy => counts.healthy = count,
            Health::Degraded => counts.degraded = count,
            Health::Unhealthy => counts.unhealthy = count,
            Health::Unknown => counts.unknown = count,
        }
    }
    Ok(counts)
}

/// The number of sealed secrets, wherever they are.
pub async fn count_sealed(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT (SELECT COUNT(*) FROM xnodes WHERE ssh_key_sealed IS NOT NULL)
            + (SELECT COUNT(*) FROM channels WHERE sealed IS NOT NULL)
            + (SELECT COUNT(*) FROM accounts WHERE sealed IS NOT NULL)
            + (SELECT COUNT(*) FROM deployment_key)
            + (SELECT COUNT(*) FROM intents WHERE user_data IS NOT NULL) AS "count!: i64""#
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
}
