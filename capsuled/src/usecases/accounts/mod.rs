//! Provider accounts: what is stored, the clients made from it, and what providers say of it.
//!
//! A client is made from the stored row and kept in [`crate::context::Clouds`] under the row's revision. What
//! a provider answers is noted by whoever asked ([`note_outcome`]), so that a credential that expires is seen
//! at the first call that meets it and not at the next verification.

mod change;
mod credential;
mod instances;
mod providers;
#[cfg(test)]
pub mod testing;
mod untried;

use std::sync::Arc;

use capsule_api::{Account, AccountName, AccountState, EventKind, ProviderName};
use capsule_providers::{Provider, ProviderError};
use jiff::SignedDuration;

pub use change::{create, delete, prove, update};
pub use instances::{instance, instances};
pub use providers::{parse_provider, provider, providers};
pub(super) use untried::{Untried, insert, untried};

use super::UseCaseError;
use crate::{
    context::Context,
    logging::Chain,
    rules::selection,
    store::{
        Lane, StoreError,
        accounts::{self, StoredAccount, Verdict},
    },
};

const WHAT: &str = "account";
/// A proof is written again when the last one is older, so that not every call is a write.
const PROOF_KEEPS: SignedDuration = SignedDuration::from_mins(10);

/// The client of an account. Whoever uses it hands every outcome to [`note_outcome`].
///
/// # Errors
/// [`UseCaseError::NotFound`]; [`UseCaseError::WrongState`] when its credential does not open;
/// [`UseCaseError::Provider`] when its credential does not fit.
pub async fn client(context: &Context, account: &AccountName) -> Result<Arc<dyn Provider>, UseCaseError> {
    client_of(context, &stored(context, account.as_str()).await?)
}

/// The client of an account that was read already.
fn client_of(context: &Context, stored: &StoredAccount) -> Result<Arc<dyn Provider>, UseCaseError> {
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

/// Notes what a call with an account's client said of its credential: an accepted call proves it, a refusal
/// of the credential marks it refused. Any other failure says nothing about it. A failure to write is logged:
/// what the caller was doing matters more.
pub async fn note_outcome<T: Sync>(
    context: &Context,
    account: &AccountName,
    outcome: &Result<T, ProviderError>,
) {
    if let Some((state, reason)) = verdict(outcome) {
        let present = stored(context, account.as_str()).await;
        let noted = match present {
            Ok(present) => note(context, present.account, state, reason).await,
            Err(error) => Err(error),
        };
        log_failure(account, noted);
    }
}

/// As [`note_outcome`], for a client made from this very row: a credential that was rotated meanwhile keeps its
/// own state.
async fn note_outcome_of<T: Sync>(context: &Context, row: &Account, outcome: &Result<T, ProviderError>) {
    if let Some((state, reason)) = verdict(outcome) {
        log_failure(&row.name, note(context, row.clone(), state, reason).await);
    }
}

fn verdict<T>(outcome: &Result<T, ProviderError>) -> Option<(AccountState, String)> {
    match outcome {
        Ok(_) => Some((AccountState::Proved, String::new())),
        Err(error @ ProviderError::Unauthorized { .. }) => Some((AccountState::Refused, error.to_string())),
        Err(_) => None,
    }
}

fn log_failure(account: &AccountName, noted: Result<(), UseCaseError>) {
    if let Err(error) = noted {
        tracing::warn!(%account, error = %Chain(&error), "could not note the state of an account");
    }
}

async fn note(
    context: &Context,
    present: Account,
    state: AccountState,
    reason: String,
) -> Result<(), UseCaseError> {
    let verdict = Verdict { state, reason, at: context.clock.now() };
    let is_fresh = |at| verdict.at.duration_since(at) < PROOF_KEEPS;
    let says_nothing_new =
        present.state == state && (state == AccountState::Refused || present.proved_at.is_some_and(is_fresh));
    if says_nothing_new {
        return Ok(());
    }
    let moved = present.state != state;
    context
        .store
        .write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                let written = accounts::set_state(tx, &present.name, present.revision, &verdict).await?;
                if written
                    && moved
                    && let Some(now) = accounts::find_in(tx, &present.name).await?
                {
                    tx.emit(EventKind::AccountChanged, present.name.as_str(), &now.account).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}
