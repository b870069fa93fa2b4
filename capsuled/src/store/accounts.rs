//! Provider accounts, their secret fields sealed.

use capsule_api::{Account, AccountName, AccountState};
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, at_opt, json, ms, parse, to_json};

/// An account with what never leaves the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    /// The account as the API shows it.
    pub account: Account,
    /// Its secret fields, a JSON object sealed for `accounts/NAME/credential`. `None`: it has none.
    pub sealed: Option<Vec<u8>>,
}

/// What a provider said of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The new state.
    pub state: AccountState,
    /// Why it is refused; empty otherwise.
    pub reason: String,
    /// When it was said.
    pub at: Timestamp,
}

struct Row {
    name: String,
    provider: String,
    fields: String,
    secret_fields: String,
    sealed: Option<Vec<u8>>,
    settings: String,
    owner: String,
    state: String,
    state_at: Option<i64>,
    reason: String,
    proved_at: Option<i64>,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    xnodes: i64,
}

impl Row {
    fn into_stored(self) -> Result<StoredAccount, StoreError> {
        let account = Account {
            name: parse("account name", &self.name)?,
            provider: parse("provider", &self.provider)?,
            fields: json("account fields", &self.fields)?,
            secret_fields: json("account fields", &self.secret_fields)?,
            settings: json("account settings", &self.settings)?,
            state: parse("account state", &self.state)?,
            state_at: at_opt(self.state_at)?,
            reason: self.reason,
            proved_at: at_opt(self.proved_at)?,
            owner: self.owner,
            xnodes: u32::try_from(self.xnodes).unwrap_or(u32::MAX),
            revision: self.revision,
            created_at: at(self.created_at)?,
            updated_at: at(self.updated_at)?,
        };
        Ok(StoredAccount { account, sealed: self.sealed })
    }
}

/// Every account, by name. There are few.
pub async fn list(connection: &mut SqliteConnection) -> Result<Vec<StoredAccount>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT name, provider, fields, secret_fields, sealed, settings, owner, state, state_at, reason,
            proved_at, revision, created_at, updated_at,
            (SELECT COUNT(*) FROM xnodes WHERE accounts.name = xnodes.account) AS "xnodes!: i64"
         FROM accounts
         ORDER BY name"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::into_stored).collect()
}

/// The account with this name, in either case.
pub async fn find(
    connection: &mut SqliteConnection,
    name: &AccountName,
) -> Result<Option<StoredAccount>, StoreError> {
    let name = name.as_str();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT name, provider, fields, secret_fields, sealed, settings, owner, state, state_at, reason,
            proved_at, revision, created_at, updated_at,
            (SELECT COUNT(*) FROM xnodes WHERE accounts.name = xnodes.account) AS "xnodes!: i64"
         FROM accounts
         WHERE name = ?1"#,
        name
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::into_stored).transpose()
}

/// The account inside a transaction, so that what is decided on it still holds when it is written.
pub async fn find_in(tx: &mut Tx, name: &AccountName) -> Result<Option<StoredAccount>, StoreError> {
    find(tx.connection(), name).await
}

/// Adds an account at revision 1. `false`: the name is taken.
pub async fn insert(tx: &mut Tx, new: &StoredAccount) -> Result<bool, StoreError> {
    let a = &new.account;
    let (name, provider, state) = (a.name.as_str(), a.provider.as_str(), a.state.as_str());
    let (fields, secret_fields, settings) =
        (to_json(&a.fields), to_json(&a.secret_fields), to_json(&a.settings));
    let (state_at, proved_at) = (a.state_at.map(ms), a.proved_at.map(ms));
    let (created, updated) = (ms(a.created_at), ms(a.updated_at));
    let done = sqlx::query!(
        "INSERT INTO accounts (name, provider, fields, secret_fields, sealed, settings, owner, state, state_at,
            reason, proved_at, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, ?12, ?13)
         ON CONFLICT (name) DO NOTHING",
        name,
        provider,
        fields,
        secret_fields,
        new.sealed,
        settings,
        a.owner,
        state,
        state_at,
        a.reason,
        proved_at,
        created,
        updated
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes credential, settings and state and raises the revision; `new.account.revision` is the one the change
/// was made from. `false`: it is no longer that one, nothing changed.
pub async fn update(tx: &mut Tx, new: &StoredAccount) -> Result<bool, StoreError> {
    let a = &new.account;
    let (name, state) = (a.name.as_str(), a.state.as_str());
    let (fields, secret_fields, settings) =
        (to_json(&a.fields), to_json(&a.secret_fields), to_json(&a.settings));
    let (state_at, proved_at, updated) = (a.state_at.map(ms), a.proved_at.map(ms), ms(a.updated_at));
    let done = sqlx::query!(
        "UPDATE accounts
         SET fields = ?2, secret_fields = ?3, sealed = ?4, settings = ?5, owner = ?6, state = ?7, state_at = ?8,
            reason = ?9, proved_at = ?10, updated_at = ?11, revision = revision + 1
         WHERE name = ?1 AND revision = ?12",
        name,
        fields,
        secret_fields,
        new.sealed,
        settings,
        a.owner,
        state,
        state_at,
        a.reason,
        proved_at,
        updated,
        a.revision
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what a provider said of the credential of this revision; the revision stays. `false`: the
/// credential is another one by now, or the account is gone.
pub async fn set_state(
    tx: &mut Tx,
    name: &AccountName,
    revision: i64,
    verdict: &Verdict,
) -> Result<bool, StoreError> {
    let (name, state, at) = (name.as_str(), verdict.state.as_str(), ms(verdict.at));
    let proved_at = (verdict.state == AccountState::Proved).then_some(at);
    let done = sqlx::query!(
        "UPDATE accounts
         SET state_at = CASE WHEN state = ?3 THEN state_at ELSE ?4 END, state = ?3, reason = ?5,
            proved_at = ifnull(?6, proved_at)
         WHERE name = ?1 AND revision = ?2",
        name,
        revision,
        state,
        at,
        verdict.reason,
        proved_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes an account. `false`: there is none.
///
/// # Errors
/// A violated constraint while xNodes or unfinished intents belong to it.
pub async fn delete(tx: &mut Tx, name: &AccountName) -> Result<bool, StoreError> {
    let name = name.as_str();
    let done = sqlx::query!("DELETE FROM accounts WHERE name = ?1", name).execute(tx.connection()).await?;
    Ok(done.rows_affected() == 1)
}
