//! Provider accounts: what is stored, the clients made from it, and what providers say of it.
//!
//! A client is made from the stored row and kept in [`crate::context::Clouds`] under the row's revision. What
//! a provider answers is noted at every call (`noting`), so that a credential that expires is seen at the first
//! call that meets it and not at the next verification.

mod change;
mod credential;
pub mod instances;
mod noting;
mod providers;
#[cfg(test)]
pub mod testing;
mod untried;

use std::sync::Arc;

use capsule_api::{Account, AccountName, ProviderName};
use capsule_providers::Provider;

pub use change::{create, delete, prove, update};
pub use instances::{instance, instances};
pub use providers::{parse_provider, provider, providers};
pub(super) use untried::{Untried, insert, untried};

use self::noting::Noting;
use super::UseCaseError;
use crate::{
    context::Context,
    rules::selection,
    store::accounts::{self, StoredAccount},
};

const WHAT: &str = "account";

/// The client of an account. It notes itself what the provider says of the credential.
///
/// # Errors
/// [`UseCaseError::NotFound`]; [`UseCaseError::WrongState`] when its credential does not open;
/// [`UseCaseError::Provider`] when its credential does not fit.
pub async fn client(context: &Context, account: &AccountName) -> Result<Arc<dyn Provider>, UseCaseError> {
    client_of(context, &stored(context, account.as_str()).await?)
}

/// The client of an account that was read already.
fn client_of(context: &Context, stored: &StoredAccount) -> Result<Arc<dyn Provider>, UseCaseError> {
    Ok(Arc::new(Noting::new(context, &stored.account, kept_client(context, stored)?)))
}

fn kept_client(context: &Context, stored: &StoredAccount) -> Result<Arc<dyn Provider>, UseCaseError> {
    let account = &stored.account;
    if let Some(client) = context.clouds.get(&account.name, account.revision) {
        return Ok(client);
    }
    let credential = credential::opened(&context.seal, stored)?;
    let settings = credential::call_settings(&account.settings)?;
    let client = context.clouds.connect(&account.name, account.provider, &credential, settings)?;
    Ok(context.clouds.keep(&account.name, account.revision, client))
}

/// Every account, by name.
pub async fn list(context: &Context) -> Result<Vec<Account>, UseCaseError> {
    let stored = accounts::list(&mut *context.store.reader().await?).await?;
    Ok(stored.into_iter().map(|stored| stored.account).collect())
}

/// The accounts at a provider, by name.
pub async fn of_provider(
    context: &Context,
    provider: ProviderName,
) -> Result<Vec<AccountName>, UseCaseError> {
    let accounts = list(context).await?.into_iter().filter(|account| account.provider == provider);
    Ok(accounts.map(|account| account.name).collect())
}

/// One account.
///
/// # Errors
/// [`UseCaseError::NotFound`].
pub async fn get(context: &Context, given: &str) -> Result<Account, UseCaseError> {
    Ok(stored(context, given).await?.account)
}

async fn stored(context: &Context, given: &str) -> Result<StoredAccount, UseCaseError> {
    let mut reader = context.store.reader().await?;
    if let Ok(name) = given.parse()
        && let Some(stored) = accounts::find(&mut reader, &name).await?
    {
        return Ok(stored);
    }
    let known = accounts::list(&mut reader).await?;
    let suggestion = selection::suggestion(given, known.iter().map(|stored| stored.account.name.as_str()));
    let given = given.chars().take(64).collect();
    Err(UseCaseError::NotFound { what: WHAT, given, suggestion })
}
