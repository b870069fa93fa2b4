//! Settings, thresholds by tag, budgets.

use capsule_api::{Budget, BudgetScope, Settings, Tag, ThresholdOverrides, UsdMicros};
use sqlx::SqliteConnection;

use super::{StoreError, Tx, json, parse, to_json};

/// The settings and their revision; the defaults with revision 0 where none were ever written.
pub async fn find(connection: &mut SqliteConnection) -> Result<(Settings, i64), StoreError> {
    let row =
        sqlx::query!("SELECT data, revision FROM settings WHERE id = 1").fetch_optional(connection).await?;
    match row {
        Some(row) => Ok((json("settings", &row.data)?, row.revision)),
        None => Ok((Settings::default(), 0)),
    }
}

/// The settings inside a transaction.
pub async fn find_in(tx: &mut Tx) -> Result<(Settings, i64), StoreError> {
    find(tx.connection()).await
}

/// Writes the settings made from `revision`. `false`: it is no longer that one, nothing changed.
pub async fn update(tx: &mut Tx, settings: &Settings, revision: i64) -> Result<bool, StoreError> {
    let data = to_json(settings);
    let done = sqlx::query!(
        "INSERT INTO settings (id, data, revision)
         SELECT 1, ?1, 1 WHERE ?2 = 0
         ON CONFLICT (id) DO UPDATE SET data = ?1, revision = revision + 1 WHERE revision = ?2",
        data,
        revision
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 1 {
        return Ok(true);
    }
    let done = sqlx::query!(
        "UPDATE settings SET data = ?1, revision = revision + 1 WHERE id = 1 AND revision = ?2",
        data,
        revision
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Thresholds by tag, in alphabetical order.
pub async fn tag_thresholds(
    connection: &mut SqliteConnection,
) -> Result<Vec<(Tag, ThresholdOverrides)>, StoreError> {
    let rows =
        sqlx::query!("SELECT tag, thresholds FROM tag_thresholds ORDER BY tag").fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((parse("tag", &row.tag)?, json("thresholds", &row.thresholds)?))).collect()
}

/// Sets the thresholds of a tag.
pub async fn set_tag_thresholds(
    tx: &mut Tx,
    tag: &Tag,
    thresholds: &ThresholdOverrides,
) -> Result<(), StoreError> {
    let (tag, thresholds) = (tag.as_str(), to_json(thresholds));
    sqlx::query!(
        "INSERT INTO tag_thresholds (tag, thresholds) VALUES (?1, ?2)
         ON CONFLICT (tag) DO UPDATE SET thresholds = excluded.thresholds",
        tag,
        thresholds
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes the thresholds of a tag. `false`: there were none.
pub async fn delete_tag_thresholds(tx: &mut Tx, tag: &Tag) -> Result<bool, StoreError> {
    let tag = tag.as_str();
    let done =
        sqlx::query!("DELETE FROM tag_thresholds WHERE tag = ?1", tag).execute(tx.connection()).await?;
    Ok(done.rows_affected() == 1)
}

/// Every budget with its present cost.
pub async fn budgets(connection: &mut SqliteConnection) -> Result<Vec<Budget>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT b.scope, b.name, b.hourly_limit_micros,
            (SELECT ifnull(SUM(x.hourly_cost_micros), 0) FROM xnodes AS x
             WHERE x.status = 'running'
                AND (b.scope = 'global'
                     OR (b.scope = 'provider' AND x.provider = b.name)
                     OR (b.scope = 'tag' AND b.name IN (SELECT value FROM json_each(x.tags))))) AS "cost!: i64"
         FROM budgets AS b
         ORDER BY b.scope, b.name"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Budget {
                scope: parse("budget scope", &row.scope)?,
                name: row.name,
                hourly_limit_micros: UsdMicros(row.hourly_limit_micros),
                hourly_cost_micros: UsdMicros(row.cost),
            })
        })
        .collect()
}

/// Every budget inside a transaction.
pub async fn budgets_in(tx: &mut Tx) -> Result<Vec<Budget>, StoreError> {
    budgets(tx.connection()).await
}

/// Sets a budget's limit.
pub async fn set_budget(
    tx: &mut Tx,
    scope: BudgetScope,
    name: &str,
    limit: UsdMicros,
) -> Result<(), StoreError> {
    let scope = scope.as_str();
    sqlx::query!(
        "INSERT INTO budgets (scope, name, hourly_limit_micros) VALUES (?1, ?2, ?3)
         ON CONFLICT (scope, name) DO UPDATE SET hourly_limit_micros = excluded.hourly_limit_micros",
        scope,
        name,
        limit.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a budget. `false`: there was none.
pub async fn delete_budget(tx: &mut Tx, scope: BudgetScope, name: &str) -> Result<bool, StoreError> {
    let scope = scope.as_str();
    let done = sqlx::query!("DELETE FROM budgets WHERE scope = ?1 AND name = ?2", scope, name)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that this database has been started on. `true`: it was the first time.
pub async fn mark_first_start(tx: &mut Tx) -> Result<bool, StoreError> {
    let now = super::ms(tx.now()).to_string();
    let done =
        sqlx::query!("INSERT INTO meta (name, value) VALUES ('first_start', ?1) ON CONFLICT DO NOTHING", now)
            .execute(tx.connection())
            .await?;
    Ok(done.rows_affected() == 1)
}
