//! Accounts that are taken from a file: no provider is asked, because many of them come in one transaction. The next
//! call with each says whether its credential works.

use std::collections::BTreeMap;

use capsule_api::{Account, AccountName, AccountSettings, AccountState, ProviderName};

use super::{
    WHAT,
    change::announce,
    credential::{self, Parts},
};
use crate::{
    context::Context,
    secret::{ExposeSecret, SecretString},
    store::{
        Tx,
        accounts::{self, StoredAccount},
    },
    usecases::UseCaseError,
};

/// What becomes of a credential from a file.
pub enum Untried {
    /// It can be stored.
    New(Box<StoredAccount>),
    /// The same one is stored already.
    Present,
    /// It cannot be taken, with the reason for people.
    Left(String),
}

/// Compares a credential with the account of the provider's name. `given` has the fields as a file calls them: what
/// the provider does not know is dropped, and `api_key` is whatever its one secret is called.
///
/// # Errors
/// [`UseCaseError::Invalid`] for a value that cannot be one; it is never part of it.
pub async fn untried(
    context: &Context,
    tx: &mut Tx,
    provider: ProviderName,
    given: &BTreeMap<String, SecretString>,
) -> Result<Untried, UseCaseError> {
    let name: AccountName = provider.as_str().parse().expect("providers are named like accounts");
    let known = capsule_providers::fields(provider);
    let mut fields: BTreeMap<String, Option<SecretString>> = BTreeMap::new();
    for (field, value) in
        given.iter().filter(|(field, _)| known.iter().any(|known| known.name == field.as_str()))
    {
        fields.insert(field.clone(), Some(value.clone()));
    }
    if let Some(key) = given.get("api_key").filter(|_| !fields.contains_key("api_key")) {
        let place = if provider == ProviderName::Aws { "access_key_id" } else { "secret_key" };
        let known = known.iter().any(|field| field.name == place) && !fields.contains_key(place);
        fields.extend(known.then(|| (place.to_owned(), Some(key.clone()))));
    }
    let mut parts = Parts::default();
    parts.change(provider, fields)?;
    if parts.secret.is_empty() {
        return Ok(Untried::Left(format!("it has no secret; `provider configure {provider}`")));
    }
    if let Err(UseCaseError::Invalid { field, .. }) = parts.refuse_incomplete(provider) {
        let field = field.trim_start_matches("fields.");
        return Ok(Untried::Left(format!("it has no {field}; `provider configure {provider}`")));
    }
    if let Some(stored) = accounts::find_in(tx, &name).await? {
        let there = Parts::of(stored.account.provider, credential::opened(&context.seal, &stored)?);
        return Ok(match same(&parts, &there) {
            true => Untried::Present,
            false => Untried::Left(format!(
                "the account {name} has another credential; `provider configure {name}` replaces it"
            )),
        });
    }
    let now = context.clock.now();
    let sealed = credential::sealed(&context.seal, &name, &parts.secret);
    let account = Account {
        name,
        provider,
        secret_fields: parts.secret_names(),
        fields: parts.plain,
        settings: AccountSettings::default(),
        state: AccountState::Unknown,
        state_at: Some(now),
        reason: String::new(),
        proved_at: None,
        owner: String::new(),
        xnodes: 0,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    Ok(Untried::New(Box::new(StoredAccount { account, sealed })))
}

/// Whether what was given is part of what is there; a provider may have filled in more.
fn same(given: &Parts, there: &Parts) -> bool {
    let plain = |(name, value): (&String, &String)| there.plain.get(name) == Some(value);
    let secret = |(name, value): (&String, &SecretString)| {
        there.secret.get(name).is_some_and(|there| there.expose_secret() == value.expose_secret())
    };
    given.plain.iter().all(plain) && given.secret.iter().all(secret)
}

/// Stores a new account and emits it.
pub async fn insert(tx: &mut Tx, new: &StoredAccount) -> Result<Account, UseCaseError> {
    if !accounts::insert(tx, new).await? {
        return Err(UseCaseError::NameTaken { what: WHAT, name: new.account.name.to_string() });
    }
    announce(tx, &new.account.name).await
}
