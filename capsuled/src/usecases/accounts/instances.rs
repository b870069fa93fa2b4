//! What providers really have: every account of a provider is asked, side by side, and one that does not
//! answer hides nothing of the others.

use std::time::Duration;

use capsule_api::{
    AccountFailure, AccountInstance, AccountName, Instance, InstanceFilter, InstanceList, InstanceRef,
    ProviderName, Role,
};
use capsule_providers::{Provider, ProviderError};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{WHAT, client_of};
use crate::{
    context::Context,
    logging::Chain,
    model::Caller,
    rules::selection,
    store::accounts::{self, StoredAccount},
    usecases::UseCaseError,
};

/// Longest wait for one account's instances, all pages.
const LISTING: Duration = Duration::from_secs(100);

/// Every instance at a provider.
///
/// # Errors
/// [`UseCaseError::NotFound`] when the provider has no account, or not that one. A provider that fails is part
/// of the answer.
pub async fn instances(
    context: &Context,
    by: &Caller,
    provider: ProviderName,
    filter: &InstanceFilter,
) -> Result<InstanceList, UseCaseError> {
    let accounts = asked(context, provider, filter).await?;
    let mut list = InstanceList::default();
    let answers = join_all(accounts.iter().map(|stored| all_of(context, stored))).await;
    for (stored, answer) in accounts.iter().zip(answers) {
        let account = &stored.account.name;
        match answer {
            Ok(found) => list.items.extend(found.into_iter().map(|instance| shown(by, account, instance))),
            Err(error) => list.failures.push(failure(account, &error)),
        }
    }
    list.items.sort_by(|a, b| {
        (&a.account, &a.instance.name, &a.instance.id).cmp(&(&b.account, &b.instance.name, &b.instance.id))
    });
    Ok(list)
}

/// One instance, by the provider's id, with its place before it where ids belong to one (`fr-par-1/ID`).
///
/// # Errors
/// [`UseCaseError::NotFound`]; the failure of an account that could not be asked, when no other has it.
pub async fn instance(
    context: &Context,
    by: &Caller,
    provider: ProviderName,
    filter: &InstanceFilter,
    given: &str,
) -> Result<AccountInstance, UseCaseError> {
    let reference: InstanceRef = given.parse().expect("any text is a reference");
    let accounts = asked(context, provider, filter).await?;
    let mut failed = None;
    let answers = join_all(accounts.iter().map(|stored| one_of(context, stored, &reference))).await;
    for (stored, answer) in accounts.iter().zip(answers) {
        match answer {
            Ok(Some(found)) => return Ok(shown(by, &stored.account.name, found)),
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| UseCaseError::not_found("instance", given)))
}

/// The accounts to be asked.
async fn asked(
    context: &Context,
    provider: ProviderName,
    filter: &InstanceFilter,
) -> Result<Vec<StoredAccount>, UseCaseError> {
    let mut stored = accounts::list(&mut *context.store.reader().await?).await?;
    stored.retain(|stored| stored.account.provider == provider);
    let Some(wanted) = &filter.account else {
        return match stored.is_empty() {
            true => Err(UseCaseError::not_found("account at", provider)),
            false => Ok(stored),
        };
    };
    let is_wanted =
        |stored: &StoredAccount| stored.account.name.as_str().eq_ignore_ascii_case(wanted.as_str());
    if stored.iter().any(is_wanted) {
        stored.retain(is_wanted);
        return Ok(stored);
    }
    let suggestion =
        selection::suggestion(wanted.as_str(), stored.iter().map(|stored| stored.account.name.as_str()));
    Err(UseCaseError::NotFound { what: WHAT, given: wanted.to_string(), suggestion })
}

/// Every instance of one account, in bounded time.
///
/// # Errors
/// [`UseCaseError::Provider`] when the list could not be read to its end.
pub async fn all(context: &Context, account: &AccountName) -> Result<Vec<Instance>, UseCaseError> {
    all_of(context, &super::stored(context, account.as_str()).await?).await
}

/// One instance of one account; `None`: its provider says that there is none.
///
/// # Errors
/// As [`all`].
pub async fn one(
    context: &Context,
    account: &AccountName,
    reference: &InstanceRef,
) -> Result<Option<Instance>, UseCaseError> {
    let stored = super::stored(context, account.as_str()).await?;
    let client = client_of(context, &stored)?;
    Ok(client.instance(reference).await?)
}

async fn all_of(context: &Context, stored: &StoredAccount) -> Result<Vec<Instance>, UseCaseError> {
    let client = client_of(context, stored)?;
    bounded(stored, client.instances()).await
}

async fn one_of(
    context: &Context,
    stored: &StoredAccount,
    reference: &InstanceRef,
) -> Result<Option<Instance>, UseCaseError> {
    let client = client_of(context, stored)?;
    bounded(stored, find(&*client, reference)).await
}

/// The instance itself, or, as an id without its place can only be found among all, the one in the list.
async fn find(client: &dyn Provider, reference: &InstanceRef) -> Result<Option<Instance>, ProviderError> {
    if !reference.place.is_empty() {
        return client.instance(reference).await;
    }
    let all = client.instances().await?;
    Ok(all.into_iter().find(|instance| instance.id == reference.id))
}

/// What a question came to, in bounded time.
async fn bounded<T>(
    stored: &StoredAccount,
    question: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, UseCaseError> {
    let provider = stored.account.provider;
    let outcome = timeout(LISTING, question).await.unwrap_or_else(|_| {
        let detail = format!("it had not listed everything within {} s", LISTING.as_secs());
        Err(ProviderError::Unavailable { provider, detail })
    });
    Ok(outcome?)
}

fn failure(account: &AccountName, error: &UseCaseError) -> AccountFailure {
    let code = match error {
        UseCaseError::Provider(error) => error.code(),
        _ => "unusable",
    };
    AccountFailure { account: account.clone(), code: code.to_owned(), detail: Chain(error).to_string() }
}

/// The instance as this caller may see it.
fn shown(by: &Caller, account: &AccountName, mut instance: Instance) -> AccountInstance {
    if by.role == Role::Reader {
        instance.metadata = serde_json::Value::Null;
    }
    AccountInstance { instance, account: account.clone() }
}
