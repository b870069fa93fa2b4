//! Refreshing: every account's provider is asked for its list, side by side. One that fails keeps its last
//! good copy and stops nobody.

use std::time::Duration;

use capsule_api::{
    AccountName, EventKind, Operation, OperationKind, ProviderName, RefreshRequest, RefreshResult,
};
use capsule_providers::Catalogue;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use super::{UseCaseError, find_provider, store};
use crate::{
    context::Context,
    logging::Chain,
    model::{Caller, LiveCatalogue, LiveRegion, Offer},
    store::{Lane, StoreError, templates::RefreshState},
    usecases::{accounts, operations},
};

/// A list is asked for again after this.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// And after this when that failed.
const AFTER_FAILURE: SignedDuration = SignedDuration::from_hours(1);
/// Longest wait for one provider's whole list, all pages.
const LONGEST: Duration = Duration::from_secs(100);
/// More than any provider sells; what is longer is not a price list.
const MOST_OFFERS: usize = 100_000;
/// Longest error kept.
const ERROR_CHARS: usize = 500;

/// What the operation's resource is called when it is about every account.
const ALL: &str = "all";

/// Asks for prices, stock and plans to be replaced from the providers' own lists.
///
/// # Errors
/// [`UseCaseError::NotFound`] for an unknown provider, [`UseCaseError::NoAccount`].
pub async fn begin_refresh(
    context: &Context,
    by: &Caller,
    request: &RefreshRequest,
) -> Result<Operation, UseCaseError> {
    let provider = request.provider.as_deref().map(find_provider).transpose()?;
    let states = store::refresh_states(&mut *context.store.reader().await?).await?;
    if !states.iter().any(|state| provider.is_none_or(|provider| provider == state.provider)) {
        return Err(UseCaseError::NoAccount(provider));
    }
    let resource = provider.map_or(ALL, ProviderName::as_str).to_owned();
    operations::begin(context, by, "refresh_templates", OperationKind::RefreshTemplates, resource).await
}

/// Asks the provider of every account, or of those at one provider, all at once. `resource` is the
/// operation's. What came of each, by account.
///
/// # Errors
/// [`UseCaseError::NotFound`] for a resource that is no provider.
pub async fn refresh(context: &Context, resource: &str) -> Result<Vec<RefreshResult>, UseCaseError> {
    let provider = if resource == ALL { None } else { Some(find_provider(resource)?) };
    let mut states = store::refresh_states(&mut *context.store.reader().await?).await?;
    states.retain(|state| provider.is_none_or(|provider| provider == state.provider));
    Ok(refresh_each(context, states).await?)
}

/// Refreshes what is due; returns when the next will be. `None`: there is nothing to refresh.
pub async fn refresh_due(context: &Context) -> Result<Option<Timestamp>, StoreError> {
    let now = context.clock.now();
    let states = store::refresh_states(&mut *context.store.reader().await?).await?;
    let due: Vec<_> = states.into_iter().filter(|state| due_at(state, now) <= now).collect();
    if !due.is_empty() {
        refresh_each(context, due).await?;
    }
    let now = context.clock.now();
    let states = store::refresh_states(&mut *context.store.reader().await?).await?;
    Ok(states.iter().map(|state| due_at(state, now)).min())
}

/// When an account's list should be asked for; a provider that ended is asked only on request.
fn due_at(state: &RefreshState, now: Timestamp) -> Timestamp {
    if super::ended(state.provider).is_some() {
        return now.saturating_add(FRESH).unwrap_or(Timestamp::MAX);
    }
    let pause = if state.failed { AFTER_FAILURE } else { FRESH };
    match state.attempted_at {
        // A clock that was set back must not stop it for ever.
        Some(at) if at <= now => at.saturating_add(pause).unwrap_or(Timestamp::MAX),
        _ => now,
    }
}

async fn refresh_each(
    context: &Context,
    states: Vec<RefreshState>,
) -> Result<Vec<RefreshResult>, StoreError> {
    let mut asked = JoinSet::new();
    for state in states {
        let context = context.clone();
        asked.spawn(async move { refresh_one(&context, state).await });
    }
    let mut results = Vec::new();
    while let Some(result) = asked.join_next().await {
        match result {
            Ok(result) => results.push(result?),
            Err(error) => tracing::error!(%error, "a refresh panicked"),
        }
    }
    results.sort_by(|one, other| one.account.cmp(&other.account));
    Ok(results)
}

async fn refresh_one(context: &Context, state: RefreshState) -> Result<RefreshResult, StoreError> {
    let RefreshState { account, provider, observed_at, .. } = state;
    let outcome = ask(context, &account).await;
    let now = context.clock.now();
    match outcome {
        Ok(catalogue) => {
            let live = live_of(&account, provider, now, catalogue);
            let offers = live.offers.len() as u64;
            keep(context, live).await?;
            tracing::info!(account = %account, offers, "refreshed the templates of account `{account}`");
            Ok(RefreshResult { account, provider, offers, error: None, observed_at: Some(now) })
        }
        Err(error) => {
            tracing::warn!(account = %account, %error, "could not refresh the templates of `{account}`");
            let (name, text) = (account.clone(), error.clone());
            context
                .store
                .write::<(), StoreError>(Lane::Normal, move |tx| {
                    Box::pin(async move { store::note_failure(tx, &name, now, &text).await })
                })
                .await?;
            Ok(RefreshResult { account, provider, offers: 0, error: Some(error), observed_at })
        }
    }
}

/// The provider's list, or why there is none, in a sentence.
async fn ask(context: &Context, account: &AccountName) -> Result<Catalogue, String> {
    let asked = async {
        let client = accounts::client(context, account).await?;
        client.catalogue().await.map_err(UseCaseError::from)
    };
    let said = |error: UseCaseError| Chain(&error).to_string().chars().take(ERROR_CHARS).collect::<String>();
    let catalogue = match timeout(LONGEST, asked).await {
        Ok(outcome) => outcome.map_err(said)?,
        Err(_) => return Err(format!("no whole answer within {} seconds", LONGEST.as_secs())),
    };
    match catalogue.offers.len() {
        // A provider that sells nothing is one that did not answer properly.
        0 => Err("the list is empty".to_owned()),
        count if MOST_OFFERS < count => Err(format!("the list has {count} rows, more than {MOST_OFFERS}")),
        _ => Ok(catalogue),
    }
}

/// The same list is the same bytes, in whatever order it came.
fn live_of(account: &AccountName, provider: ProviderName, now: Timestamp, list: Catalogue) -> LiveCatalogue {
    let mut offers: Vec<Offer> = list.offers.into_iter().map(offer_of).collect();
    offers.sort_by(|a, b| (&a.plan, &a.region).cmp(&(&b.plan, &b.region)));
    offers.dedup_by(|a, b| a.plan == b.plan && a.region == b.region);
    let mut regions: Vec<LiveRegion> = list
        .regions
        .into_iter()
        .map(|region| LiveRegion { name: region.name, title: region.title })
        .collect();
    regions.sort_by(|a, b| a.name.cmp(&b.name));
    regions.dedup_by(|a, b| a.name == b.name);
    LiveCatalogue { account: account.clone(), provider, observed_at: now, offers, regions }
}

fn offer_of(offer: capsule_providers::Offer) -> Offer {
    Offer {
        plan: offer.plan,
        region: offer.region,
        vcpus: offer.vcpus,
        memory_mib: offer.memory_mib,
        disk_gb: offer.disk_gb,
        transfer_gb: offer.transfer_gb,
        gpus: offer.gpus,
        gpu_model: offer.gpu_model,
        arch: offer.arch,
        bare_metal: offer.bare_metal,
        price: offer.price,
        available: offer.available,
    }
}

async fn keep(context: &Context, live: LiveCatalogue) -> Result<(), StoreError> {
    let (provider, account, at) = (live.provider, live.account.clone(), live.observed_at);
    let offers = live.offers.len();
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                if store::replace(tx, live).await? == Some(true) {
                    let told = json!({"account": account, "offers": offers, "observed_at": at});
                    tx.emit(EventKind::TemplatesChanged, provider.as_str(), &told).await?;
                }
                Ok(())
            })
        })
        .await
}
