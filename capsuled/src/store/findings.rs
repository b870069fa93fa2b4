//! Findings, how each account's last comparison went, and what a comparison reads of the inventory.

use std::collections::HashSet;

use capsule_api::{
    AccountName, AccountSweep, Finding, FindingFilter, FindingId, FindingKind, InstanceRef, ProviderName,
    UsdMicros, XNodeId, XNodeName,
};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, json, ms, parse, to_json};
use crate::model::{FindingDetail, PlacedXNode, ProviderFacts};

struct Row {
    id: String,
    account: String,
    provider: String,
    kind: String,
    instance_id: String,
    instance_place: String,
    xnode_id: Option<String>,
    detail: String,
    state: String,
    first_seen: i64,
    last_seen: i64,
    ended_at: Option<i64>,
    ended_because: String,
}

impl Row {
    fn into_finding(self) -> Result<Finding, StoreError> {
        let detail: FindingDetail = json("finding", &self.detail)?;
        Ok(Finding {
            id: parse("id", &self.id)?,
            account: parse("account name", &self.account)?,
            provider: parse("provider", &self.provider)?,
            kind: parse("finding kind", &self.kind)?,
            state: parse("finding state", &self.state)?,
            instance: InstanceRef { id: self.instance_id, place: self.instance_place },
            xnode: self.xnode_id.as_deref().map(|id| parse("id", id)).transpose()?,
            name: detail.name,
            summary: detail.summary,
            drift: detail.drift,
            plan: detail.plan,
            region: detail.region,
            hourly_cost_micros: detail.hourly_cost,
            first_seen: at(self.first_seen)?,
            last_seen: at(self.last_seen)?,
            ended_at: at_opt(self.ended_at)?,
            ended_because: self.ended_because,
        })
    }
}

fn detail_of(finding: &Finding) -> String {
    to_json(&FindingDetail {
        name: finding.name.clone(),
        summary: finding.summary.clone(),
        drift: finding.drift.clone(),
        plan: finding.plan.clone(),
        region: finding.region.clone(),
        hourly_cost: finding.hourly_cost_micros,
    })
}

/// At most `limit` findings that match, newest first; only those found before `before` where given.
pub async fn list(
    connection: &mut SqliteConnection,
    filter: &FindingFilter,
    before: Option<FindingId>,
    limit: i64,
) -> Result<Vec<Finding>, StoreError> {
    let before = before.map(|id| id.to_string());
    let (provider, kind) = (filter.provider.map(ProviderName::as_str), filter.kind.map(FindingKind::as_str));
    let all = filter.all.unwrap_or(false);
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT findings.id AS "id!", findings.account, accounts.provider, kind, instance_id, instance_place, xnode_id,
            detail, findings.state, first_seen, last_seen, ended_at, ended_because
         FROM findings JOIN accounts ON accounts.name = findings.account
         WHERE (?1 IS NULL OR findings.account = ?1)
            AND (?2 IS NULL OR accounts.provider = ?2)
            AND (?3 IS NULL OR kind = ?3)
            AND (?4 OR findings.state = 'open')
            AND (?5 IS NULL OR findings.id < ?5)
         ORDER BY findings.id DESC
         LIMIT ?6"#,
        filter.account,
        provider,
        kind,
        all,
        before,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_finding).collect()
}

/// The same inside a transaction, all of them.
pub async fn list_in(tx: &mut Tx, filter: &FindingFilter) -> Result<Vec<Finding>, StoreError> {
    list(tx.connection(), filter, None, i64::MAX).await
}

/// The id of every finding, newest first, by which commands find what people type.
pub async fn ids(connection: &mut SqliteConnection) -> Result<Vec<FindingId>, StoreError> {
    let rows =
        sqlx::query!(r#"SELECT id AS "id!" FROM findings ORDER BY id DESC"#).fetch_all(connection).await?;
    rows.into_iter().map(|row| parse("id", &row.id)).collect()
}

/// The finding with this id.
pub async fn find(connection: &mut SqliteConnection, id: FindingId) -> Result<Option<Finding>, StoreError> {
    let id = id.to_string();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT findings.id AS "id!", findings.account, accounts.provider, kind, instance_id, instance_place, xnode_id,
            detail, findings.state, first_seen, last_seen, ended_at, ended_because
         FROM findings JOIN accounts ON accounts.name = findings.account
         WHERE findings.id = ?1"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::into_finding).transpose()
}

/// The finding inside a transaction, so that what is decided on it still holds when it is written.
pub async fn find_in(tx: &mut Tx, id: FindingId) -> Result<Option<Finding>, StoreError> {
    find(tx.connection(), id).await
}

/// An account's findings that last, ignored ones among them.
pub async fn lasting(
    connection: &mut SqliteConnection,
    account: &AccountName,
) -> Result<Vec<Finding>, StoreError> {
    let account = account.as_str();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT findings.id AS "id!", findings.account, accounts.provider, kind, instance_id, instance_place, xnode_id,
            detail, findings.state, first_seen, last_seen, ended_at, ended_because
         FROM findings JOIN accounts ON accounts.name = findings.account
         WHERE findings.account = ?1 AND findings.state <> 'ended'
         ORDER BY findings.id"#,
        account
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_finding).collect()
}

/// An xNode's findings that last.
pub async fn lasting_of(tx: &mut Tx, xnode: XNodeId) -> Result<Vec<Finding>, StoreError> {
    let xnode = xnode.to_string();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT findings.id AS "id!", findings.account, accounts.provider, kind, instance_id, instance_place, xnode_id,
            detail, findings.state, first_seen, last_seen, ended_at, ended_because
         FROM findings JOIN accounts ON accounts.name = findings.account
         WHERE xnode_id = ?1 AND findings.state <> 'ended'
         ORDER BY findings.id"#,
        xnode
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter().map(Row::into_finding).collect()
}

/// The findings that last and say that this server is an orphan, in any account of the provider.
pub async fn orphans_of(
    tx: &mut Tx,
    provider: ProviderName,
    instance: &InstanceRef,
) -> Result<Vec<Finding>, StoreError> {
    let provider = provider.as_str();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT findings.id AS "id!", findings.account, accounts.provider, kind, instance_id, instance_place, xnode_id,
            detail, findings.state, first_seen, last_seen, ended_at, ended_because
         FROM findings JOIN accounts ON accounts.name = findings.account
         WHERE accounts.provider = ?1 AND kind = 'orphan' AND findings.state <> 'ended'
            AND instance_place = ?2 AND instance_id = ?3"#,
        provider,
        instance.place,
        instance.id
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter().map(Row::into_finding).collect()
}

/// The xNode that stands for a server, through whichever account of the provider.
pub async fn at_provider(
    connection: &mut SqliteConnection,
    provider: ProviderName,
    instance: &InstanceRef,
) -> Result<Option<(XNodeId, XNodeName)>, StoreError> {
    let provider = provider.as_str();
    let row = sqlx::query!(
        "SELECT id, xnodes.name
         FROM xnodes JOIN accounts ON accounts.name = xnodes.account
         WHERE accounts.provider = ?1 AND instance_place = ?2 AND instance_id = ?3
         LIMIT 1",
        provider,
        instance.place,
        instance.id
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((parse("id", &row.id)?, parse("xNode name", &row.name)?))).transpose()
}

/// As [`at_provider`], inside a transaction.
pub async fn at_provider_in(
    tx: &mut Tx,
    provider: ProviderName,
    instance: &InstanceRef,
) -> Result<Option<(XNodeId, XNodeName)>, StoreError> {
    at_provider(tx.connection(), provider, instance).await
}

/// Writes a new finding. `false`: the same difference is on record and lasts, nothing changed.
pub async fn insert(tx: &mut Tx, new: &Finding) -> Result<bool, StoreError> {
    let (id, account, kind) = (new.id.to_string(), new.account.as_str(), new.kind.as_str());
    let xnode = new.xnode.map(|id| id.to_string());
    let (detail, state) = (detail_of(new), new.state.as_str());
    let (first_seen, last_seen) = (ms(new.first_seen), ms(new.last_seen));
    let done = sqlx::query!(
        "INSERT INTO findings (id, account, kind, instance_id, instance_place, xnode_id, detail, state, first_seen,
            last_seen, ended_because)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '')
         ON CONFLICT DO NOTHING",
        id,
        account,
        kind,
        new.instance.id,
        new.instance.place,
        xnode,
        detail,
        state,
        first_seen,
        last_seen
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes how a finding is now. `false`: it was over, nothing changed.
pub async fn update(tx: &mut Tx, finding: &Finding) -> Result<bool, StoreError> {
    let (id, state, detail) = (finding.id.to_string(), finding.state.as_str(), detail_of(finding));
    let (last_seen, ended_at) = (ms(finding.last_seen), finding.ended_at.map(ms));
    let done = sqlx::query!(
        "UPDATE findings SET detail = ?2, state = ?3, last_seen = ?4, ended_at = ?5, ended_because = ?6
         WHERE id = ?1 AND state <> 'ended'",
        id,
        detail,
        state,
        last_seen,
        ended_at,
        finding.ended_because
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that an account's findings still last.
pub async fn note_lasting(tx: &mut Tx, account: &AccountName, seen: Timestamp) -> Result<(), StoreError> {
    let (account, seen) = (account.as_str(), ms(seen));
    sqlx::query!("UPDATE findings SET last_seen = ?2 WHERE account = ?1 AND state <> 'ended'", account, seen)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The xNodes placed at an account, or that one of them.
pub async fn placed(
    connection: &mut SqliteConnection,
    account: &AccountName,
    xnode: Option<XNodeId>,
) -> Result<Vec<PlacedXNode>, StoreError> {
    let (account, xnode) = (account.as_str(), xnode.map(|id| id.to_string()));
    let rows = sqlx::query!(
        r#"SELECT id, name, revision, instance_id AS "instance_id!", instance_place AS "instance_place!", plan, region,
            address, ipv4, ipv6, status, tags, hourly_cost_micros, updated_at, provider_facts
         FROM xnodes
         WHERE account = ?1 AND (?2 IS NULL OR id = ?2)
         ORDER BY name"#,
        account,
        xnode
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(PlacedXNode {
                id: parse("id", &row.id)?,
                name: parse("xNode name", &row.name)?,
                revision: row.revision,
                instance: InstanceRef { id: row.instance_id, place: row.instance_place },
                plan: row.plan.unwrap_or_default(),
                region: row.region.as_deref().map(|region| parse("region", region)).transpose()?,
                address: parse("address", &row.address)?,
                ipv4: row.ipv4.as_deref().map(|ip| parse("IPv4 address", ip)).transpose()?,
                ipv6: row.ipv6.as_deref().map(|ip| parse("IPv6 address", ip)).transpose()?,
                status: parse("xNode status", &row.status)?,
                tags: json("tags", &row.tags)?,
                hourly_cost: row.hourly_cost_micros.map(UsdMicros),
                updated_at: at(row.updated_at)?,
                known: match row.provider_facts.as_deref() {
                    Some(known) => json("provider facts", known)?,
                    None => ProviderFacts::default(),
                },
            })
        })
        .collect()
}

/// One xNode placed at an account, inside a transaction.
pub async fn placed_in(
    tx: &mut Tx,
    account: &AccountName,
    xnode: XNodeId,
) -> Result<Option<PlacedXNode>, StoreError> {
    Ok(placed(tx.connection(), account, Some(xnode)).await?.pop())
}

/// The servers that are in the inventory through other accounts of a provider.
pub async fn placed_elsewhere(
    connection: &mut SqliteConnection,
    account: &AccountName,
    provider: ProviderName,
) -> Result<HashSet<InstanceRef>, StoreError> {
    let (account, provider) = (account.as_str(), provider.as_str());
    let rows = sqlx::query!(
        r#"SELECT instance_id AS "id!", instance_place AS "place!"
         FROM xnodes JOIN accounts ON accounts.name = xnodes.account
         WHERE accounts.provider = ?2 AND accounts.name <> ?1"#,
        account,
        provider
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| InstanceRef { id: row.id, place: row.place }).collect())
}

/// Writes what an xNode's provider is known to say. The xNode's revision stays: nothing that is shown changed.
pub async fn set_known(tx: &mut Tx, xnode: XNodeId, known: &ProviderFacts) -> Result<(), StoreError> {
    let (id, known) = (xnode.to_string(), to_json(known));
    sqlx::query!("UPDATE xnodes SET provider_facts = ?2 WHERE id = ?1", id, known)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// xNodes that are being switched at their provider, or were since `since`.
pub async fn switched(
    connection: &mut SqliteConnection,
    since: Timestamp,
) -> Result<HashSet<XNodeId>, StoreError> {
    let since = ms(since);
    let rows = sqlx::query_scalar!(
        "SELECT resource FROM operations
         WHERE kind IN ('start_xnode', 'stop_xnode', 'restart_xnode', 'terminate_xnode')
            AND (state IN ('pending', 'running') OR updated_at > ?1)",
        since
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|id| parse("id", id)).collect()
}

/// Every account with how its last comparison went, by name.
pub async fn sweeps(connection: &mut SqliteConnection) -> Result<Vec<AccountSweep>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT accounts.name, accounts.provider, sweeps.attempted_at AS "attempted_at?", sweeps.completed_at,
            sweeps.error AS "error?", sweeps.instances AS "instances?",
            (SELECT COUNT(*) FROM findings WHERE account = accounts.name AND findings.state = 'open') AS "open!: i64"
         FROM accounts LEFT JOIN sweeps ON sweeps.account = accounts.name
         ORDER BY accounts.name"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AccountSweep {
                account: parse("account name", &row.name)?,
                provider: parse("provider", &row.provider)?,
                attempted_at: at_opt(row.attempted_at)?,
                completed_at: at_opt(row.completed_at)?,
                error: row.error.filter(|error| !error.is_empty()),
                instances: u32::try_from(row.instances.unwrap_or_default()).unwrap_or(u32::MAX),
                open_findings: u32::try_from(row.open).unwrap_or(u32::MAX),
            })
        })
        .collect()
}

/// Notes that an account's whole list was read; `asked` is when its provider was asked. `false`: an answer to a
/// later question is there already, or the account is gone. A clock that was set back stops nothing.
pub async fn note_sweep(
    tx: &mut Tx,
    account: &AccountName,
    asked: Timestamp,
    instances: usize,
) -> Result<bool, StoreError> {
    let (account, asked, now) = (account.as_str(), ms(asked), ms(tx.now()));
    let instances = i64::try_from(instances).unwrap_or(i64::MAX);
    let done = sqlx::query!(
        "INSERT INTO sweeps (account, attempted_at, completed_at, error, instances)
         SELECT name, ?2, ?3, '', ?4 FROM accounts WHERE name = ?1
         ON CONFLICT (account) DO UPDATE
         SET attempted_at = excluded.attempted_at, completed_at = excluded.completed_at, error = '',
             instances = excluded.instances
         WHERE attempted_at <= excluded.attempted_at OR excluded.completed_at < attempted_at",
        account,
        asked,
        now,
        instances
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that an account's list could not be read; what was known of it stays.
pub async fn note_failed_sweep(
    tx: &mut Tx,
    account: &AccountName,
    asked: Timestamp,
    error: &str,
) -> Result<(), StoreError> {
    let (account, asked) = (account.as_str(), ms(asked));
    sqlx::query!(
        "INSERT INTO sweeps (account, attempted_at, error, instances)
         SELECT name, ?2, ?3, 0 FROM accounts WHERE name = ?1
         ON CONFLICT (account) DO UPDATE SET attempted_at = excluded.attempted_at, error = excluded.error
         WHERE attempted_at <= excluded.attempted_at",
        account,
        asked,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
