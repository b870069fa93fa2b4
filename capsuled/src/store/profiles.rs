//! Profiles with their versions, which one is active, and users' own stacks. Everything has an owner, by user id, and
//! what an owner has is bounded (the use cases see to that), so it is read as a whole.

use capsule_api::ProfileVersion;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, Tx, at, ms};
use crate::model::Caller;

/// A user's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProfile {
    /// Its name.
    pub name: String,
    /// Its revision, from 1.
    pub revision: i64,
    /// Its contents as JSON.
    pub document: String,
    /// When it got this revision.
    pub updated_at: Timestamp,
}

/// A stack of a user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStack {
    /// Its id.
    pub id: String,
    /// The stack as JSON.
    pub document: String,
}

/// What one user has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned {
    /// Profiles, by name.
    pub profiles: Vec<StoredProfile>,
    /// Stacks, in the order they were added.
    pub stacks: Vec<StoredStack>,
    /// The name of the active profile, when one was chosen.
    pub active: Option<String>,
}

/// What this user has.
pub async fn of_owner(connection: &mut SqliteConnection, owner: u32) -> Result<Owned, StoreError> {
    let profiles = sqlx::query!(
        "SELECT name, revision, document, updated_at FROM profiles WHERE owner = ?1 ORDER BY name",
        owner
    )
    .fetch_all(&mut *connection)
    .await?;
    let stacks =
        sqlx::query!("SELECT id, document FROM own_stacks WHERE owner = ?1 ORDER BY added_at, id", owner)
            .fetch_all(&mut *connection)
            .await?;
    let active = sqlx::query_scalar!("SELECT name FROM active_profiles WHERE owner = ?1", owner)
        .fetch_optional(connection)
        .await?;
    let profiles = profiles.into_iter().map(|row| {
        let updated_at = at(row.updated_at)?;
        Ok(StoredProfile { name: row.name, revision: row.revision, document: row.document, updated_at })
    });
    let stacks = stacks.into_iter().map(|row| StoredStack { id: row.id, document: row.document });
    Ok(Owned { profiles: profiles.collect::<Result<_, StoreError>>()?, stacks: stacks.collect(), active })
}

/// What this user has, inside a transaction.
pub async fn of_owner_in(tx: &mut Tx, owner: u32) -> Result<Owned, StoreError> {
    of_owner(tx.connection(), owner).await
}

/// Writes a profile as its next revision, the first of a new one, and keeps that as a version; returns the
/// revision. `change` says what was done, for people.
pub async fn write(
    tx: &mut Tx,
    by: &Caller,
    name: &str,
    document: &str,
    change: &str,
) -> Result<i64, StoreError> {
    let now = ms(tx.now());
    let revision = sqlx::query_scalar!(
        r#"INSERT INTO profiles (owner, name, revision, document, updated_at)
           VALUES (?1, ?2, 1, ?3, ?4)
           ON CONFLICT (owner, name) DO UPDATE
           SET revision = revision + 1, document = excluded.document, updated_at = excluded.updated_at
           RETURNING revision AS "revision!: i64""#,
        by.uid,
        name,
        document,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    sqlx::query!(
        "INSERT INTO profile_versions (owner, name, revision, document, change, actor, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        by.uid,
        name,
        revision,
        document,
        change,
        by.name,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(revision)
}

/// Forgets the versions of a profile before the newest `keep`, but never the first, to which a reset goes.
pub async fn forget_versions(tx: &mut Tx, owner: u32, name: &str, keep: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM profile_versions
         WHERE owner = ?1 AND name = ?2 AND revision > 1
             AND revision <= (SELECT revision FROM profiles WHERE owner = ?1 AND name = ?2) - ?3",
        owner,
        name,
        keep
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a profile with its versions.
pub async fn delete(tx: &mut Tx, owner: u32, name: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM profiles WHERE owner = ?1 AND name = ?2", owner, name)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The versions of a profile, newest first.
pub async fn versions(
    connection: &mut SqliteConnection,
    owner: u32,
    name: &str,
) -> Result<Vec<ProfileVersion>, StoreError> {
    let rows = sqlx::query!(
        "SELECT revision, change, actor, at
         FROM profile_versions
         WHERE owner = ?1 AND name = ?2
         ORDER BY revision DESC",
        owner,
        name
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ProfileVersion { revision: row.revision, change: row.change, by: row.actor, at: at(row.at)? })
        })
        .collect()
}

/// The contents of one version, as JSON.
pub async fn version(
    connection: &mut SqliteConnection,
    owner: u32,
    name: &str,
    revision: i64,
) -> Result<Option<String>, StoreError> {
    let document = sqlx::query_scalar!(
        "SELECT document FROM profile_versions WHERE owner = ?1 AND name = ?2 AND revision = ?3",
        owner,
        name,
        revision
    )
    .fetch_optional(connection)
    .await?;
    Ok(document)
}

/// The contents of one version inside a transaction.
pub async fn version_in(
    tx: &mut Tx,
    owner: u32,
    name: &str,
    revision: i64,
) -> Result<Option<String>, StoreError> {
    version(tx.connection(), owner, name, revision).await
}

/// Makes a profile the active one.
pub async fn set_active(tx: &mut Tx, owner: u32, name: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO active_profiles (owner, name) VALUES (?1, ?2)
         ON CONFLICT (owner) DO UPDATE SET name = excluded.name",
        owner,
        name
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes a stack of a user's own over the one of its id.
pub async fn put_stack(tx: &mut Tx, owner: u32, id: &str, document: &str) -> Result<(), StoreError> {
    let now = ms(tx.now());
    sqlx::query!(
        "INSERT INTO own_stacks (owner, id, document, added_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (owner, id) DO UPDATE SET document = excluded.document",
        owner,
        id,
        document,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a stack of a user's own.
pub async fn delete_stack(tx: &mut Tx, owner: u32, id: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM own_stacks WHERE owner = ?1 AND id = ?2", owner, id)
        .execute(tx.connection())
        .await?;
    Ok(())
}
