//! What the accounts' providers sell, as they said last, and the exchange rate.

use capsule_api::{AccountName, ExchangeRate, ProviderName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at_opt, json, ms, parse, to_json};
use crate::model::{LiveCatalogue, LiveRegion, Offer};

/// How refreshing an account's list goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshState {
    /// The account.
    pub account: AccountName,
    /// Its provider.
    pub provider: ProviderName,
    /// When the copy in use was made.
    pub observed_at: Option<Timestamp>,
    /// When the provider was last asked.
    pub attempted_at: Option<Timestamp>,
    /// Whether that failed.
    pub failed: bool,
}

#[derive(Serialize, Deserialize)]
struct Data {
    offers: Vec<Offer>,
    regions: Vec<LiveRegion>,
}

/// Every account with how its refreshing goes, by name.
pub async fn refresh_states(connection: &mut SqliteConnection) -> Result<Vec<RefreshState>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT accounts.name, accounts.provider, catalogues.observed_at AS "observed_at?",
                  catalogues.attempted_at AS "attempted_at?", catalogues.error AS "error?"
           FROM accounts
           LEFT JOIN catalogues ON catalogues.account = accounts.name
           ORDER BY accounts.name"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RefreshState {
                account: parse("account name", &row.name)?,
                provider: parse("provider", &row.provider)?,
                observed_at: at_opt(row.observed_at)?,
                attempted_at: at_opt(row.attempted_at)?,
                failed: row.error.is_some_and(|error| !error.is_empty()),
            })
        })
        .collect()
}

/// The last good copy of every account that has one, by account.
pub async fn live(connection: &mut SqliteConnection) -> Result<Vec<LiveCatalogue>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT accounts.name, accounts.provider, catalogues.observed_at AS "observed_at!",
                  catalogues.data AS "data!"
           FROM catalogues
           JOIN accounts ON accounts.name = catalogues.account
           WHERE catalogues.data IS NOT NULL
           ORDER BY accounts.name"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let Data { offers, regions } = json("catalogue", &row.data)?;
            Ok(LiveCatalogue {
                account: parse("account name", &row.name)?,
                provider: parse("provider", &row.provider)?,
                observed_at: super::at(row.observed_at)?,
                offers,
                regions,
            })
        })
        .collect()
}

/// The last good copy of one account, if it has one.
pub async fn live_of(
    connection: &mut SqliteConnection,
    account: &AccountName,
) -> Result<Option<Vec<Offer>>, StoreError> {
    let account = account.as_str();
    let data = sqlx::query_scalar!(
        r#"SELECT data AS "data!" FROM catalogues WHERE account = ?1 AND data IS NOT NULL"#,
        account
    )
    .fetch_optional(connection)
    .await?;
    data.map(|data| Ok(json::<Data>("catalogue", &data)?.offers)).transpose()
}

/// Replaces an account's whole list. `None`: the account is gone, nothing was written; `Some(false)`: it is
/// the same as before, and newer.
pub async fn replace(tx: &mut Tx, new: LiveCatalogue) -> Result<Option<bool>, StoreError> {
    let (account, at) = (new.account.as_str(), ms(new.observed_at));
    let data = to_json(&Data { offers: new.offers, regions: new.regions });
    let same = sqlx::query_scalar!(
        r#"SELECT data IS ?2 AS "same!: bool" FROM catalogues WHERE account = ?1"#,
        account,
        data
    )
    .fetch_optional(tx.connection())
    .await?;
    let done = sqlx::query!(
        "INSERT INTO catalogues (account, data, observed_at, attempted_at, error)
         SELECT name, ?2, ?3, ?3, '' FROM accounts WHERE name = ?1
         ON CONFLICT (account) DO UPDATE
         SET data = excluded.data, observed_at = excluded.observed_at, attempted_at = excluded.attempted_at,
             error = ''",
        account,
        data,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok((done.rows_affected() == 1).then_some(same != Some(true)))
}

/// Notes that asking failed; the last good copy stays.
pub async fn note_failure(
    tx: &mut Tx,
    account: &AccountName,
    at: Timestamp,
    error: &str,
) -> Result<(), StoreError> {
    let (account, at) = (account.as_str(), ms(at));
    sqlx::query!(
        "INSERT INTO catalogues (account, attempted_at, error)
         SELECT name, ?2, ?3 FROM accounts WHERE name = ?1
         ON CONFLICT (account) DO UPDATE SET attempted_at = excluded.attempted_at, error = excluded.error",
        account,
        at,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The rate that the user set.
pub async fn rate(connection: &mut SqliteConnection) -> Result<Option<ExchangeRate>, StoreError> {
    let row = sqlx::query!("SELECT usd_per_eur_micros, date FROM exchange_rate WHERE id = 1")
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        Ok(ExchangeRate { usd_per_eur_micros: row.usd_per_eur_micros, date: parse("date", &row.date)? })
    })
    .transpose()
}

/// Sets the rate.
pub async fn set_rate(tx: &mut Tx, rate: &ExchangeRate) -> Result<(), StoreError> {
    let (micros, date) = (rate.usd_per_eur_micros, rate.date.to_string());
    sqlx::query!(
        "INSERT INTO exchange_rate (id, usd_per_eur_micros, date) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET usd_per_eur_micros = excluded.usd_per_eur_micros, date = excluded.date",
        micros,
        date
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
