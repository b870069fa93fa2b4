//! Reconciling: every account is compared with the inventory for ever, so that no server is billed unseen and none is
//! believed to be there that is gone.
//!
//! A comparison finds and tells; it changes neither the provider nor the inventory, but for the id of a server that its
//! provider has replaced. What is done about a finding is for
//! a person to say: `adopt` an orphan, `accept` what a provider says, `forget` or `ignore`.

mod accept;
mod adopt;
mod sweep;
mod tell;

use capsule_api::{
    AccountName, AccountSweep, Finding, FindingFilter, FindingId, FindingState, IntentId, Operation,
    OperationKind, ProviderName, ReconcileRequest,
};
use capsule_providers::MARK_PREFIX;

use super::{Listing, Slice, UseCaseError, accounts, find_named, operations, templates::Prices};
use crate::{
    context::Context,
    model::{Caller, SeenInstance},
    rules::selection,
    store::{Tx, findings},
};

pub use accept::accept;
pub use adopt::adopt;
pub use sweep::{Sweeps, start, sweep_due};
pub(super) use tell::{end_findings, judge_orphans};

const WHAT: &str = "finding";
/// What the operation's resource is called when it is about every account.
const ALL: &str = "all";
/// What stands before a provider or an account in an operation's resource: both may have the same name.
const PROVIDER: &str = "provider/";
const ACCOUNT: &str = "account/";

/// Asks for accounts to be compared with the inventory now.
///
/// # Errors
/// [`UseCaseError::NotFound`] for an unknown account; [`UseCaseError::NoAccount`].
pub async fn begin(
    context: &Context,
    by: &Caller,
    request: &ReconcileRequest,
) -> Result<Operation, UseCaseError> {
    let account = match &request.account {
        Some(given) => Some(accounts::get(context, given.as_str()).await?),
        None => None,
    };
    if let (Some(account), Some(provider)) = (&account, request.provider)
        && account.provider != provider
    {
        let reason = format!("account {} is at {}", account.name, account.provider);
        return Err(UseCaseError::invalid("account", reason));
    }
    let known = sweeps(context).await?;
    if !known.iter().any(|sweep| request.provider.is_none_or(|provider| provider == sweep.provider)) {
        return Err(UseCaseError::NoAccount(request.provider));
    }
    let resource = match (account, request.provider) {
        (Some(account), _) => format!("{ACCOUNT}{}", account.name),
        (None, Some(provider)) => format!("{PROVIDER}{provider}"),
        (None, None) => ALL.to_owned(),
    };
    operations::begin(context, by, "reconcile_accounts", OperationKind::Reconcile, resource).await
}

/// Every account with how its last comparison went.
pub async fn sweeps(context: &Context) -> Result<Vec<AccountSweep>, UseCaseError> {
    Ok(findings::sweeps(&mut *context.store.reader().await?).await?)
}

/// The findings that match, newest first.
///
/// # Errors
/// [`UseCaseError::NotFound`] for an unknown account.
pub async fn list(
    context: &Context,
    filter: &FindingFilter,
    listing: &Listing,
) -> Result<Slice<Finding>, UseCaseError> {
    if let Some(given) = &filter.account {
        accounts::get(context, given).await?;
    }
    let mut reader = context.store.reader().await?;
    let rows = findings::list(&mut reader, filter, listing.after()?, listing.limit_plus_one()).await?;
    Ok(listing.slice(rows, |finding| finding.id.to_string()))
}

/// One finding, by id or a unique beginning or end of it.
///
/// # Errors
/// [`UseCaseError::NotFound`], [`UseCaseError::Ambiguous`].
pub async fn get(context: &Context, given: &str) -> Result<Finding, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let id: FindingId = match given.parse() {
        Ok(id) => id,
        Err(_) => {
            let ids = findings::ids(&mut reader).await?;
            find_named(WHAT, given, ids.into_iter().map(|id| (id, "")))?
        }
    };
    let found = findings::find(&mut reader, id).await?;
    found.ok_or_else(|| UseCaseError::not_found(WHAT, given))
}

/// Lets a finding stay as it is, or tells of it again.
///
/// # Errors
/// [`UseCaseError::NotFound`]; [`UseCaseError::WrongState`] when it is over.
pub async fn ignore(
    context: &Context,
    by: &Caller,
    given: &str,
    ignored: bool,
) -> Result<Finding, UseCaseError> {
    let id = get(context, given).await?.id;
    let changed = context
        .store
        .change(by, "ignore_finding", id.to_string(), move |tx| {
            Box::pin(async move {
                let mut finding = lasting_in(tx, id).await?;
                finding.state = if ignored { FindingState::Ignored } else { FindingState::Open };
                tell::change(tx, &finding).await?;
                tell::judge(tx, &finding).await?;
                Ok::<_, UseCaseError>(finding)
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(changed)
}

/// The finding, unless it is over: somebody else was first.
fn lasting(finding: Finding) -> Result<Finding, UseCaseError> {
    match finding.state {
        FindingState::Ended => {
            Err(UseCaseError::WrongState(format!("the finding is over: {}", finding.ended_because)))
        }
        FindingState::Open | FindingState::Ignored => Ok(finding),
    }
}

/// The finding as it is inside a transaction, unless it is over.
async fn lasting_in(tx: &mut Tx, id: FindingId) -> Result<Finding, UseCaseError> {
    let found = findings::find_in(tx, id).await?;
    lasting(found.ok_or_else(|| UseCaseError::not_found(WHAT, id))?)
}

/// The accounts that an operation's resource means, with their providers.
async fn scope(context: &Context, resource: &str) -> Result<Vec<(AccountName, ProviderName)>, UseCaseError> {
    let mut known: Vec<_> =
        accounts::list(context).await?.into_iter().map(|account| (account.name, account.provider)).collect();
    if let Some(provider) = resource.strip_prefix(PROVIDER) {
        known.retain(|(_, of)| of.as_str() == provider);
    } else if let Some(name) = resource.strip_prefix(ACCOUNT) {
        let suggestion = selection::suggestion(name, known.iter().map(|(name, _)| name.as_str()));
        known.retain(|(known, _)| known.as_str() == name);
        if known.is_empty() {
            return Err(UseCaseError::NotFound { what: "account", given: name.to_owned(), suggestion });
        }
    }
    Ok(known)
}

/// A provider's record as it is compared: its marks apart from its tags, and its price beside it.
fn seen(instance: capsule_api::Instance, prices: &Prices) -> SeenInstance {
    let of_mark = |text: &str| -> Option<IntentId> { text.strip_prefix(MARK_PREFIX)?.parse().ok() };
    // Where a label must be unique it is the mark itself.
    let mark = instance.tags.iter().find_map(|tag| of_mark(tag)).or_else(|| of_mark(&instance.name));
    let mut tags: Vec<String> = instance.tags.iter().filter(|tag| of_mark(tag).is_none()).cloned().collect();
    tags.sort();
    tags.dedup();
    let price = prices.of(&instance.plan, &instance.region);
    SeenInstance { mark, tags, price, instance }
}
