//! Adding, rotating, proving and removing accounts.
//!
//! A credential is tried before it is stored, so that what is stored worked once: a typing mistake is told to
//! the one who made it, and a rotation that fails leaves the working credential in its place. The trial comes
//! first and the transaction after it; what changed in between is noticed by the revision.

use std::{collections::BTreeMap, time::Duration};

use capsule_api::{
    Account, AccountCreate, AccountName, AccountPatch, AccountSettings, AccountState, AlertKind, EventKind,
    IntentKind, ProviderName, Role,
};
use capsule_providers::{Identity, ProviderError};
use tokio::time::timeout;

use super::{
    WHAT, client_of,
    credential::{self, Parts},
    noting, stored,
};
use crate::{
    context::Context,
    model::Caller,
    rules::access,
    secret::SecretString,
    store::{
        Tx,
        accounts::{self, StoredAccount},
        intents,
    },
    usecases::{Expected, UseCaseError, problems, reconcile},
};

/// Longest wait for a provider to say whether it accepts a credential, repeats included.
const TRIAL: Duration = Duration::from_secs(60);
/// The most fields a request may hold.
const MOST_FIELDS: usize = 16;

/// Adds an account after the provider accepted its credential.
///
/// # Errors
/// [`UseCaseError::RoleTooLow`]; [`UseCaseError::NameTaken`]; [`UseCaseError::Invalid`];
/// [`UseCaseError::OtherUser`] for an AWS account without a key; [`UseCaseError::Provider`] when the credential
/// was refused or could not be tried. In each case nothing is stored.
pub async fn create(context: &Context, by: &Caller, new: AccountCreate) -> Result<Account, UseCaseError> {
    refuse_others(by)?;
    let AccountCreate { name, provider, fields, settings } = new;
    let name = match name {
        Some(name) => name,
        None => provider.as_str().parse().expect("providers are named like accounts"),
    };
    let given = secret_values(fields.into_iter().map(|(name, value)| (name, Some(value))))?;
    if accounts::find(&mut *context.store.reader().await?, &name).await?.is_some() {
        return Err(UseCaseError::NameTaken { what: WHAT, name: name.to_string() });
    }
    let target = name.to_string();
    let trial = Trial { name, provider, parts: Parts::default(), given, settings };
    let new = trial.run(context, by).await?;
    let created = context
        .store
        .change(by, "create_account", target, move |tx| {
            Box::pin(async move {
                if !accounts::insert(tx, &new).await? {
                    return Err(UseCaseError::NameTaken { what: WHAT, name: new.account.name.to_string() });
                }
                announce(tx, &new.account.name).await
            })
        })
        .await?;
    context.wakes.templates.ring();
    context.wakes.reconcile.ring();
    Ok(created)
}

/// Changes an account. A changed credential or endpoint is tried first and replaces the present one only when
/// the provider accepts it.
///
/// # Errors
/// As [`create`]; [`UseCaseError::NotFound`]; [`UseCaseError::Stale`].
pub async fn update(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
    patch: AccountPatch,
) -> Result<Account, UseCaseError> {
    refuse_others(by)?;
    let present = stored(context, given).await?;
    expected.check(WHAT, present.account.revision)?;
    let fields = secret_values(patch.fields)?;
    let settings = patch.settings.unwrap_or_else(|| present.account.settings.clone());
    let Account { name, provider, revision, created_at, .. } = present.account.clone();
    // What does not open any more can still be replaced as a whole.
    let parts = match credential::opened(&context.seal, &present) {
        Ok(credential) => Parts::of(provider, credential),
        Err(_) if !fields.is_empty() => Parts { plain: present.account.fields.clone(), ..Parts::default() },
        Err(error) => return Err(error),
    };
    let trial = Trial { name: name.clone(), provider, parts, given: fields, settings };
    let mut new = trial.run(context, by).await?;
    new.account.revision = revision;
    new.account.created_at = created_at;
    let changed = context
        .store
        .change(by, "update_account", name.to_string(), move |tx| {
            Box::pin(async move {
                let current = accounts::find_in(tx, &name).await?;
                let current = current.ok_or_else(|| UseCaseError::not_found(WHAT, &name))?.account.revision;
                if !accounts::update(tx, &new).await? {
                    return Err(UseCaseError::Stale { what: WHAT, current });
                }
                noting::accepted(tx, &new.account).await?;
                announce(tx, &name).await
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(changed)
}

/// Removes an account with its credential.
///
/// # Errors
/// [`UseCaseError::InUse`] while xNodes are billed to it or a deployment or deletion there has not ended: they
/// would be lost from sight.
pub async fn delete(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
) -> Result<(), UseCaseError> {
    refuse_others(by)?;
    let name = stored(context, given).await?.account.name;
    let removed = name.clone();
    context
        .store
        .change(by, "delete_account", name.to_string(), move |tx| {
            Box::pin(async move {
                let found = accounts::find_in(tx, &name).await?;
                let account = found.ok_or_else(|| UseCaseError::not_found(WHAT, &name))?.account;
                expected.check(WHAT, account.revision)?;
                refuse_in_use(tx, &account).await?;
                let why = "the account was removed";
                problems::end(tx, &account, AlertKind::CredentialRefused, why).await?;
                accounts::delete(tx, &name).await?;
                reconcile::judge_orphans(tx, account.provider).await?;
                let gone = serde_json::json!({
                    "name": account.name, "provider": account.provider, "deleted": true
                });
                tx.emit(EventKind::AccountChanged, account.name.as_str(), &gone).await?;
                Ok::<_, UseCaseError>(())
            })
        })
        .await?;
    context.clouds.forget(&removed);
    context.wakes.outbox.ring();
    Ok(())
}

async fn refuse_in_use(tx: &mut Tx, account: &Account) -> Result<(), UseCaseError> {
    let refused = |by: String, hint: String| {
        Err(UseCaseError::InUse { what: WHAT, name: account.name.to_string(), by, hint })
    };
    let delete = format!("`capsulectl inventory --provider {}` shows what is there", account.provider);
    match account.xnodes {
        0 => {}
        1 => return refused("1 xnode is billed to it".to_owned(), delete),
        count => return refused(format!("{count} xnodes are billed to it"), delete),
    }
    let Some((name, kind)) = intents::unfinished_at(tx, &account.name).await? else { return Ok(()) };
    let doing = match kind {
        IntentKind::Create => "deployment",
        IntentKind::Delete => "deletion",
    };
    refused(
        format!("the {doing} of `{name}` there has not ended"),
        format!("`capsulectl deployments {name}` says how far it is"),
    )
}

/// Asks the provider whether it still accepts the credential. That it does not is the result and no error.
///
/// # Errors
/// [`UseCaseError::NotFound`]; [`UseCaseError::Provider`] when the provider could not be asked.
pub async fn prove(context: &Context, by: &Caller, given: &str) -> Result<Account, UseCaseError> {
    let stored = stored(context, given).await?;
    let Account { name, provider, .. } = stored.account.clone();
    let client = client_of(context, &stored)?;
    let outcome = within(provider, client.check_credential()).await;
    if let Err(error) = outcome
        && !matches!(error, ProviderError::Unauthorized { .. })
    {
        return Err(error.into());
    }
    context
        .store
        .change(by, "prove_account", name.to_string(), move |tx| {
            Box::pin(async move {
                let found = accounts::find_in(tx, &name).await?;
                Ok(found.ok_or_else(|| UseCaseError::not_found(WHAT, &name))?.account)
            })
        })
        .await
}

fn refuse_others(by: &Caller) -> Result<(), UseCaseError> {
    match access::may_set_credentials(by.role) {
        true => Ok(()),
        false => Err(UseCaseError::RoleTooLow { action: "changing an account", needed: Role::Admin }),
    }
}

fn secret_values(
    fields: impl IntoIterator<Item = (String, Option<String>)>,
) -> Result<BTreeMap<String, Option<SecretString>>, UseCaseError> {
    let fields: BTreeMap<_, _> =
        fields.into_iter().map(|(name, value)| (name, value.map(SecretString::from))).collect();
    if MOST_FIELDS < fields.len() {
        return Err(UseCaseError::invalid("fields", format!("more than {MOST_FIELDS}")));
    }
    Ok(fields)
}

/// Emits the account as it is now stored, and returns it.
pub(super) async fn announce(tx: &mut Tx, name: &AccountName) -> Result<Account, UseCaseError> {
    let found = accounts::find_in(tx, name).await?;
    let account = found.ok_or_else(|| UseCaseError::not_found(WHAT, name))?.account;
    tx.emit(EventKind::AccountChanged, account.name.as_str(), &account).await?;
    Ok(account)
}

async fn within<T>(
    provider: ProviderName,
    call: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    timeout(TRIAL, call).await.unwrap_or_else(|_| {
        let detail = format!("it said nothing within {} s", TRIAL.as_secs());
        Err(ProviderError::Unavailable { provider, detail })
    })
}

/// A credential that is to be stored if the provider accepts it.
struct Trial {
    name: AccountName,
    provider: ProviderName,
    /// What is stored by now.
    parts: Parts,
    /// What replaces or removes parts of it.
    given: BTreeMap<String, Option<SecretString>>,
    settings: AccountSettings,
}

impl Trial {
    /// The account as it is to be stored, once the provider accepted it.
    async fn run(self, context: &Context, by: &Caller) -> Result<StoredAccount, UseCaseError> {
        let Self { name, provider, mut parts, given, settings } = self;
        let names: Vec<String> =
            given.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name.clone()).collect();
        parts.change(provider, given)?;
        parts.refuse_incomplete(provider)?;
        if parts.reads_own_files(provider) && by.uid != context.own_uid {
            return Err(UseCaseError::OtherUser {
                action: "logging in with files or a role of the daemon's",
            });
        }
        let call_settings = credential::call_settings(&settings)?;
        let client = context.clouds.connect(&name, provider, &parts.credential(), call_settings)?;
        let Identity { account: owner, learned } = within(provider, client.check_credential()).await?;
        parts.learn(provider, learned, |name| names.iter().any(|given| given == name));
        let now = context.clock.now();
        let sealed = credential::sealed(&context.seal, &name, &parts.secret);
        let account = Account {
            name,
            provider,
            secret_fields: parts.secret_names(),
            fields: parts.plain,
            settings,
            state: AccountState::Proved,
            state_at: Some(now),
            reason: String::new(),
            proved_at: Some(now),
            owner,
            xnodes: 0,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        Ok(StoredAccount { account, sealed })
    }
}
