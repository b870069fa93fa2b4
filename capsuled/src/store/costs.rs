//! Price intervals, the lives they belong to, and discounts.

use capsule_api::{Currency, Discount, DiscountScope, DiscountSet, UsdMicros, XNodeId};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, json, ms, parse, to_json};
use crate::model::{Attribution, PriceInterval, Rate};

struct Row {
    xnode_id: String,
    name: String,
    provider: Option<String>,
    region: Option<String>,
    template: Option<String>,
    account: Option<String>,
    tags: String,
    began_at: i64,
    ended_at: Option<i64>,
    hourly_micros: i64,
    reason: String,
    health: Option<String>,
}

impl Row {
    fn into_interval(self) -> Result<PriceInterval, StoreError> {
        Ok(PriceInterval {
            xnode: parse("id", &self.xnode_id)?,
            attribution: Attribution {
                name: self.name,
                provider: self.provider,
                region: self.region,
                template: self.template,
                account: self.account,
                // Most have none, and there are many.
                tags: if self.tags == "[]" { Vec::new() } else { json("tags", &self.tags)? },
            },
            began_at: at(self.began_at)?,
            ended_at: at_opt(self.ended_at)?,
            rate: Rate {
                hourly_micros: UsdMicros(self.hourly_micros),
                reason: parse("billing reason", &self.reason)?,
            },
            health: self.health.as_deref().map(|health| parse("health", health)).transpose()?,
        })
    }
}

/// The intervals that go on, and those with a moment between `from` and `to`.
pub async fn overlapping(
    connection: &mut SqliteConnection,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<PriceInterval>, StoreError> {
    let (from, to) = (ms(from), ms(to));
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT i.xnode_id AS "xnode_id!", i.name AS "name!", i.provider, i.region, i.template, i.account,
            i.tags AS "tags!", i.began_at AS "began_at!", i.ended_at, i.hourly_micros AS "hourly_micros!",
            i.reason AS "reason!", x.health
         FROM price_intervals AS i LEFT JOIN xnodes AS x ON x.id = i.xnode_id
         WHERE i.ended_at IS NULL
         UNION ALL
         SELECT i.xnode_id, i.name, i.provider, i.region, i.template, i.account, i.tags, i.began_at, i.ended_at,
            i.hourly_micros, i.reason, x.health
         FROM price_intervals AS i LEFT JOIN xnodes AS x ON x.id = i.xnode_id
         WHERE i.ended_at > ?1 AND i.began_at < ?2"#,
        from,
        to
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_interval).collect()
}

/// The same inside a transaction.
pub async fn overlapping_in(
    tx: &mut Tx,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<PriceInterval>, StoreError> {
    overlapping(tx.connection(), from, to).await
}

/// Every interval of these xNodes, oldest first.
pub async fn of_xnodes(
    connection: &mut SqliteConnection,
    xnodes: &[XNodeId],
) -> Result<Vec<PriceInterval>, StoreError> {
    let ids = to_json(xnodes);
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT xnode_id, name, provider, region, template, account, tags, began_at, ended_at, hourly_micros,
            reason, NULL AS "health: String"
         FROM price_intervals
         WHERE xnode_id IN (SELECT value FROM json_each(?1))
         ORDER BY key"#,
        ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_interval).collect()
}

/// What everything that is billed now costs per hour, in micro-dollars, discounts not taken off.
pub async fn hourly(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let total = sqlx::query_scalar!(
        r#"SELECT ifnull(SUM(hourly_micros), 0) AS "total!: i64" FROM price_intervals WHERE ended_at IS NULL"#
    )
    .fetch_one(connection)
    .await?;
    Ok(total)
}

/// The interval an xNode is in.
pub async fn present(tx: &mut Tx, xnode: XNodeId) -> Result<Option<PriceInterval>, StoreError> {
    let id = xnode.to_string();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT xnode_id, name, provider, region, template, account, tags, began_at, ended_at, hourly_micros,
            reason, NULL AS "health: String"
         FROM price_intervals
         WHERE xnode_id = ?1 AND ended_at IS NULL"#,
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(Row::into_interval).transpose()
}

/// Begins an interval in US dollars. The xNode's life must have begun, and no interval of it go on.
pub async fn begin(
    tx: &mut Tx,
    xnode: XNodeId,
    to: &Attribution,
    rate: Rate,
    began_at: Timestamp,
) -> Result<(), StoreError> {
    let (id, tags, began_at) = (xnode.to_string(), to_json(&to.tags), ms(began_at));
    let (hourly, reason) = (rate.hourly_micros.0, rate.reason.as_str());
    sqlx::query!(
        "INSERT INTO price_intervals (xnode_id, name, provider, region, template, account, tags, began_at,
            hourly_micros, currency, original_micros, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'USD', ?9, ?10)",
        id,
        to.name,
        to.provider,
        to.region,
        to.template,
        to.account,
        tags,
        began_at,
        hourly,
        reason
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends the interval an xNode is in. One that began at that moment is as if it had never been.
pub async fn end(tx: &mut Tx, xnode: XNodeId, ended_at: Timestamp) -> Result<(), StoreError> {
    let (id, ended_at) = (xnode.to_string(), ms(ended_at));
    sqlx::query!(
        "DELETE FROM price_intervals WHERE xnode_id = ?1 AND ended_at IS NULL AND began_at >= ?2",
        id,
        ended_at
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "UPDATE price_intervals SET ended_at = ?2 WHERE xnode_id = ?1 AND ended_at IS NULL",
        id,
        ended_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes the provider's own price of the interval an xNode is in.
pub async fn set_original(
    tx: &mut Tx,
    xnode: XNodeId,
    currency: Currency,
    hourly_micros: i64,
) -> Result<(), StoreError> {
    let (id, currency) = (xnode.to_string(), currency.as_str());
    sqlx::query!(
        "UPDATE price_intervals SET currency = ?2, original_micros = ?3
         WHERE xnode_id = ?1 AND ended_at IS NULL",
        id,
        currency,
        hourly_micros
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The provider's own price of the interval an xNode is in: currency and millionths per hour.
pub async fn original(tx: &mut Tx, xnode: XNodeId) -> Result<Option<(Currency, i64)>, StoreError> {
    let id = xnode.to_string();
    let row = sqlx::query!(
        "SELECT currency, original_micros FROM price_intervals WHERE xnode_id = ?1 AND ended_at IS NULL",
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| Ok((parse("currency", &row.currency)?, row.original_micros))).transpose()
}

/// Begins an xNode's life, or writes how it is put down now. One that was over goes on.
pub async fn set_lifetime(
    tx: &mut Tx,
    xnode: XNodeId,
    to: &Attribution,
    deployed_at: Timestamp,
) -> Result<(), StoreError> {
    let (id, tags, deployed_at) = (xnode.to_string(), to_json(&to.tags), ms(deployed_at));
    sqlx::query!(
        "INSERT INTO lifetimes (xnode_id, name, provider, region, template, account, tags, deployed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (xnode_id) DO UPDATE SET
            name = excluded.name, provider = excluded.provider, region = excluded.region,
            template = ifnull(excluded.template, template), account = ifnull(excluded.account, account),
            tags = excluded.tags, terminated_at = NULL",
        id,
        to.name,
        to.provider,
        to.region,
        to.template,
        to.account,
        tags,
        deployed_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes when an xNode was deployed.
pub async fn set_deployed_at(tx: &mut Tx, xnode: XNodeId, deployed_at: Timestamp) -> Result<(), StoreError> {
    let (id, deployed_at) = (xnode.to_string(), ms(deployed_at));
    sqlx::query!("UPDATE lifetimes SET deployed_at = ?2 WHERE xnode_id = ?1", id, deployed_at)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// When each xNode in the inventory was deployed.
pub async fn deployed(connection: &mut SqliteConnection) -> Result<Vec<(XNodeId, Timestamp)>, StoreError> {
    let rows = sqlx::query!("SELECT xnode_id, deployed_at FROM lifetimes WHERE terminated_at IS NULL")
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| Ok((parse("id", &row.xnode_id)?, at(row.deployed_at)?))).collect()
}

/// When each xNode in the inventory was deployed, inside a transaction.
pub async fn deployed_in(tx: &mut Tx) -> Result<Vec<(XNodeId, Timestamp)>, StoreError> {
    deployed(tx.connection()).await
}

/// Puts down a life that is over, as another tool recorded it. `false`: it is there already, nothing changed.
pub async fn insert_ended(tx: &mut Tx, life: &StoredLifetime) -> Result<bool, StoreError> {
    let (id, to) = (life.xnode.to_string(), &life.attribution);
    let (tags, cost) = (to_json(&to.tags), life.earlier_cost.0);
    let (deployed_at, terminated_at) = (ms(life.deployed_at), life.terminated_at.map(ms));
    let done = sqlx::query!(
        "INSERT INTO lifetimes (xnode_id, name, provider, region, template, account, tags, deployed_at,
            terminated_at, earlier_cost_micros)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (xnode_id) DO NOTHING",
        id,
        to.name,
        to.provider,
        to.region,
        to.template,
        to.account,
        tags,
        deployed_at,
        terminated_at,
        cost
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what was spent on an xNode before its first interval.
pub async fn set_earlier_cost(tx: &mut Tx, xnode: XNodeId, cost: UsdMicros) -> Result<(), StoreError> {
    let id = xnode.to_string();
    sqlx::query!("UPDATE lifetimes SET earlier_cost_micros = ?2 WHERE xnode_id = ?1", id, cost.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Ends an xNode's life.
pub async fn end_lifetime(tx: &mut Tx, xnode: XNodeId, ended_at: Timestamp) -> Result<(), StoreError> {
    let (id, ended_at) = (xnode.to_string(), ms(ended_at));
    sqlx::query!(
        "UPDATE lifetimes SET terminated_at = max(?2, deployed_at) WHERE xnode_id = ?1 AND terminated_at IS NULL",
        id,
        ended_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A life as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLifetime {
    /// The xNode.
    pub xnode: XNodeId,
    /// How it is put down.
    pub attribution: Attribution,
    /// When it began.
    pub deployed_at: Timestamp,
    /// When it ended.
    pub terminated_at: Option<Timestamp>,
    /// Spent before the first interval.
    pub earlier_cost: UsdMicros,
}

/// Which lives to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct LifeFilter {
    /// Only this xNode.
    pub xnode: Option<XNodeId>,
    /// Only this provider label.
    pub provider: Option<String>,
    /// Only before this one: when it was deployed, and its id.
    pub before: Option<(i64, String)>,
}

/// At most `limit` lives that match, newest first.
pub async fn lifetimes(
    connection: &mut SqliteConnection,
    filter: &LifeFilter,
    limit: i64,
) -> Result<Vec<StoredLifetime>, StoreError> {
    let xnode = filter.xnode.map(|id| id.to_string());
    let (before, before_id) = filter.before.clone().unzip();
    let rows = sqlx::query!(
        r#"SELECT xnode_id, name, provider, region, template, account, tags, deployed_at, terminated_at,
            earlier_cost_micros
         FROM lifetimes
         WHERE (?1 IS NULL OR xnode_id = ?1)
            AND (?2 IS NULL OR provider = ?2)
            AND (?3 IS NULL OR (deployed_at, xnode_id) < (?3, ?4))
         ORDER BY deployed_at DESC, xnode_id DESC
         LIMIT ?5"#,
        xnode,
        filter.provider,
        before,
        before_id,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredLifetime {
                xnode: parse("id", &row.xnode_id)?,
                attribution: Attribution {
                    name: row.name,
                    provider: row.provider,
                    region: row.region,
                    template: row.template,
                    account: row.account,
                    tags: json("tags", &row.tags)?,
                },
                deployed_at: at(row.deployed_at)?,
                terminated_at: at_opt(row.terminated_at)?,
                earlier_cost: UsdMicros(row.earlier_cost_micros),
            })
        })
        .collect()
}

/// Id and name of every xNode that is or was, those in the inventory first, then the newest.
pub async fn names(connection: &mut SqliteConnection) -> Result<Vec<(XNodeId, String)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT xnode_id, name FROM lifetimes ORDER BY terminated_at IS NOT NULL, deployed_at DESC"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((parse("id", &row.xnode_id)?, row.name))).collect()
}

/// How many lives ended by a moment.
pub async fn count_ended(connection: &mut SqliteConnection, before: Timestamp) -> Result<i64, StoreError> {
    let before = ms(before);
    let count = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "count!: i64" FROM lifetimes WHERE terminated_at <= ?1"#,
        before
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// Forgets the lives that ended by a moment, with their intervals; says how many.
pub async fn forget_ended(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    let before = ms(before);
    let done = sqlx::query!("DELETE FROM lifetimes WHERE terminated_at <= ?1", before)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected())
}

/// Every discount, by scope and name.
pub async fn discounts(connection: &mut SqliteConnection) -> Result<Vec<Discount>, StoreError> {
    let rows = sqlx::query!(
        "SELECT scope, name, basis_points, valid_from, valid_until FROM discounts ORDER BY scope, name"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Discount {
                scope: parse("discount scope", &row.scope)?,
                name: row.name,
                basis_points: u32::try_from(row.basis_points).unwrap_or(0),
                valid_from: at_opt(row.valid_from)?,
                valid_until: at_opt(row.valid_until)?,
            })
        })
        .collect()
}

/// Every discount inside a transaction.
pub async fn discounts_in(tx: &mut Tx) -> Result<Vec<Discount>, StoreError> {
    discounts(tx.connection()).await
}

/// Sets a discount.
pub async fn set_discount(
    tx: &mut Tx,
    scope: DiscountScope,
    name: &str,
    set: &DiscountSet,
) -> Result<(), StoreError> {
    let scope = scope.as_str();
    let (from, until) = (set.valid_from.map(ms), set.valid_until.map(ms));
    sqlx::query!(
        "INSERT INTO discounts (scope, name, basis_points, valid_from, valid_until)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (scope, name) DO UPDATE SET
            basis_points = excluded.basis_points, valid_from = excluded.valid_from,
            valid_until = excluded.valid_until",
        scope,
        name,
        set.basis_points,
        from,
        until
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a discount. `false`: there was none.
pub async fn delete_discount(tx: &mut Tx, scope: DiscountScope, name: &str) -> Result<bool, StoreError> {
    let scope = scope.as_str();
    let done = sqlx::query!("DELETE FROM discounts WHERE scope = ?1 AND name = ?2", scope, name)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}
