//! The clients of provider accounts, one for each account and revision.
//!
//! They are kept because each has its own rate limit and connections: two clients of one account would ask
//! twice as fast as the vendor allows. What is stored of an account is for the use cases; here it is only
//! known by name and revision, so that a rotated credential is never used again.

#[cfg(test)]
pub mod scripted;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capsule_api::{AccountName, ProviderName};
use capsule_providers::{CallSettings, Credential, Provider, Result};

/// A client, and the account's revision it was made from.
type AtRevision = (i64, Arc<dyn Provider>);

/// The clients.
#[derive(Default)]
pub struct Clouds {
    clients: Mutex<HashMap<String, AtRevision>>,
    #[cfg(test)]
    placed: Mutex<HashMap<String, Connect>>,
}

#[cfg(test)]
type Connect = Arc<dyn Fn(&Credential) -> Result<Arc<dyn Provider>> + Send + Sync>;

impl std::fmt::Debug for Clouds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clouds").finish_non_exhaustive()
    }
}

/// Account names are one name in either case.
fn key(account: &AccountName) -> String {
    account.as_str().to_ascii_lowercase()
}

/// The values are whole after every statement, so a panic elsewhere does not spoil them.
fn lock<T>(values: &Mutex<T>) -> MutexGuard<'_, T> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clouds {
    /// The client of an account's revision, where there is one already.
    pub fn get(&self, account: &AccountName, revision: i64) -> Option<Arc<dyn Provider>> {
        let clients = lock(&self.clients);
        let (kept, client) = clients.get(&key(account))?;
        (*kept == revision).then(|| Arc::clone(client))
    }

    /// Keeps a client for an account's revision and returns the one to use: another caller may have been
    /// first. A client of an earlier revision is forgotten, one of a later revision stays.
    pub fn keep(&self, account: &AccountName, revision: i64, client: Arc<dyn Provider>) -> Arc<dyn Provider> {
        let mut clients = lock(&self.clients);
        match clients.get(&key(account)) {
            Some((kept, present)) if *kept == revision => return Arc::clone(present),
            Some((kept, _)) if revision < *kept => return client,
            _ => {}
        }
        clients.insert(key(account), (revision, Arc::clone(&client)));
        client
    }

    /// Forgets the client of a removed account.
    pub fn forget(&self, account: &AccountName) {
        lock(&self.clients).remove(&key(account));
    }

    /// A new client, which is not kept yet.
    ///
    /// # Errors
    /// As [`capsule_providers::connect`].
    pub fn connect(
        &self,
        account: &AccountName,
        provider: ProviderName,
        credential: &Credential,
        settings: CallSettings,
    ) -> Result<Arc<dyn Provider>> {
        #[cfg(test)]
        if let Some(connect) = lock(&self.placed).get(&key(account)).cloned() {
            return connect(credential);
        }
        #[cfg(not(test))]
        let _ = account;
        capsule_providers::connect(provider, credential, settings)
    }

    /// Lets every client of the account be `client`, whatever its credential.
    #[cfg(test)]
    pub fn put(&self, account: &AccountName, client: Arc<dyn Provider>) {
        self.put_with(account, move |_| Ok(Arc::clone(&client)));
    }

    /// Lets `connect` make the clients of the account.
    #[cfg(test)]
    pub fn put_with(
        &self,
        account: &AccountName,
        connect: impl Fn(&Credential) -> Result<Arc<dyn Provider>> + Send + Sync + 'static,
    ) {
        self.forget(account);
        lock(&self.placed).insert(key(account), Arc::new(connect));
    }
}

#[cfg(test)]
mod tests {
    use super::{scripted::ScriptedProvider, *};

    fn client() -> Arc<dyn Provider> {
        Arc::new(ScriptedProvider::new(ProviderName::Vultr))
    }

    #[test]
    fn a_rotated_credentials_client_is_never_used_again() {
        let clouds = Clouds::default();
        let name: AccountName = "work".parse().expect("a name");
        let first = clouds.keep(&name, 1, client());
        assert!(Arc::ptr_eq(&clouds.keep(&name, 1, client()), &first), "one client for each revision");
        let second = clouds.keep(&name, 2, client());
        let late = client();
        assert!(Arc::ptr_eq(&clouds.keep(&name, 1, Arc::clone(&late)), &late), "used once, not kept");
        assert!(clouds.get(&name, 1).is_none());
        let other_case = "WORK".parse().expect("a name");
        assert!(clouds.get(&other_case, 2).is_some_and(|kept| Arc::ptr_eq(&kept, &second)));
        clouds.forget(&name);
        assert!(clouds.get(&name, 2).is_none());
    }
}
