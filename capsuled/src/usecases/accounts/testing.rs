//! Accounts for tests of whatever needs one.

use std::{collections::BTreeMap, sync::Arc};

use capsule_api::{Account, AccountName, AccountSettings, AccountState};
use capsule_providers::Provider;

use super::credential;
use crate::{
    context::Context,
    secret::SecretString,
    store::{
        Lane, StoreError,
        accounts::{self, StoredAccount},
    },
};

/// Stores an account named `name` whose client is `client`, and returns its name. Its `api_key` is `canary`.
///
/// # Panics
/// When the name is none or taken.
pub async fn add(context: &Context, name: &str, client: Arc<dyn Provider>) -> AccountName {
    let name: AccountName = name.parse().expect("an account name");
    let now = context.clock.now();
    let secrets = BTreeMap::from([("api_key".to_owned(), SecretString::from("canary"))]);
    let account = Account {
        name: name.clone(),
        provider: client.name(),
        fields: BTreeMap::new(),
        secret_fields: vec!["api_key".to_owned()],
        settings: AccountSettings::default(),
        state: AccountState::Unknown,
        state_at: None,
        reason: String::new(),
        proved_at: None,
        owner: String::new(),
        xnodes: 0,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    context.clouds.put(&name, client);
    let sealed = credential::sealed(&context.seal, &name, &secrets);
    let stored = StoredAccount { account, sealed };
    let insert = context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
        Box::pin(async move { accounts::insert(tx, &stored).await })
    });
    assert!(insert.await.expect("a store"), "the name is free");
    name
}
