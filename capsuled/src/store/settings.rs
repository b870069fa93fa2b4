//! Settings, thresholds by tag, budgets.

use capsule_api::{Budget, BudgetScope, BudgetSet, Settings, Tag, ThresholdOverrides, UsdMicros};
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

/// Every budget, without what it covers costing.
pub async fn budgets(connection: &mut SqliteConnection) -> Result<Vec<Budget>, StoreError> {
    let rows = sqlx::query!(
        "SELECT scope, name, hourly_limit_micros, monthly_limit_micros, block FROM budgets ORDER BY scope, name"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Budget {
                scope: parse("budget scope", &row.scope)?,
                name: row.name,
                hourly_limit_micros: row.hourly_limit_micros.map(UsdMicros),
                monthly_limit_micros: row.monthly_limit_micros.map(UsdMicros),
                block: row.block == 1,
                hourly_cost_micros: UsdMicros(0),
                month_cost_micros: UsdMicros(0),
                month_forecast_micros: UsdMicros(0),
            })
        })
        .collect()
}

/// Every budget inside a transaction.
pub async fn budgets_in(tx: &mut Tx) -> Result<Vec<Budget>, StoreError> {
    budgets(tx.connection()).await
}

/// Sets a budget's limits. With another monthly limit its shares are told anew.
pub async fn set_budget(
    tx: &mut Tx,
    scope: BudgetScope,
    name: &str,
    set: BudgetSet,
) -> Result<(), StoreError> {
    let scope = scope.as_str();
    let hourly = set.hourly_limit_micros.map(|limit| limit.0);
    let monthly = set.monthly_limit_micros.map(|limit| limit.0);
    sqlx::query!(
        "DELETE FROM budget_marks WHERE scope = ?1 AND name = ?2
            AND EXISTS (SELECT 1 FROM budgets WHERE scope = ?1 AND name = ?2 AND monthly_limit_micros IS NOT ?3)",
        scope,
        name,
        monthly
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "INSERT INTO budgets (scope, name, hourly_limit_micros, monthly_limit_micros, block)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (scope, name) DO UPDATE SET
            hourly_limit_micros = excluded.hourly_limit_micros,
            monthly_limit_micros = excluded.monthly_limit_micros, block = excluded.block",
        scope,
        name,
        hourly,
        monthly,
        set.block
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The shares of monthly limits that were told in a month: scope, name, percent.
pub async fn budget_marks(tx: &mut Tx, month: &str) -> Result<Vec<(BudgetScope, String, u8)>, StoreError> {
    let rows = sqlx::query!("SELECT scope, name, percent FROM budget_marks WHERE month = ?1", month)
        .fetch_all(tx.connection())
        .await?;
    rows.into_iter()
        .map(|row| Ok((parse("budget scope", &row.scope)?, row.name, u8::try_from(row.percent).unwrap_or(0))))
        .collect()
}

/// Notes that a share of a monthly limit is told, and forgets the months before. A budget that is gone has none.
pub async fn set_budget_mark(
    tx: &mut Tx,
    scope: BudgetScope,
    name: &str,
    month: &str,
    percent: u8,
) -> Result<(), StoreError> {
    let scope = scope.as_str();
    sqlx::query!(
        "DELETE FROM budget_marks WHERE scope = ?1 AND name = ?2 AND month < ?3",
        scope,
        name,
        month
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "INSERT INTO budget_marks (scope, name, month, percent)
         SELECT scope, name, ?3, ?4 FROM budgets WHERE scope = ?1 AND name = ?2
         ON CONFLICT (scope, name, month) DO UPDATE SET percent = excluded.percent",
        scope,
        name,
        month,
        percent
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
