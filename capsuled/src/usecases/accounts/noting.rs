//! A client that notes what every answer says of its account's credential.
//!
//! A refusal may come with any call, months after the last one that worked. So noting it is not left to
//! callers: nobody gets a client without this around it. A refused credential is an alert about the account,
//! raised once and over with the first call that is accepted again.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use capsule_api::{
    Account, AccountName, AccountState, AlertKind, EventKind, Instance, InstanceRef, Leftover, ProviderName,
    Severity,
};
use capsule_providers::{
    Catalogue, Created, Identity, Mark, NewInstance, Prepared, PreparedFor, Provider, ProviderError, Result,
};
use jiff::SignedDuration;

use crate::{
    context::Context,
    logging::Chain,
    store::{
        Lane, StoreError,
        accounts::{self, StoredAccount, Verdict},
    },
    usecases::problems,
};

/// A proof is written again when the last one is older, so that not every call is a write.
const PROOF_KEEPS: SignedDuration = SignedDuration::from_mins(10);

/// The client of one revision of an account.
pub(super) struct Noting {
    context: Context,
    account: AccountName,
    revision: i64,
    client: Arc<dyn Provider>,
}

impl Noting {
    pub(super) fn new(context: &Context, account: &Account, client: Arc<dyn Provider>) -> Self {
        Self { context: context.clone(), account: account.name.clone(), revision: account.revision, client }
    }

    /// An accepted call proves the credential, a refusal of the credential marks it refused, and any other
    /// failure says nothing about it.
    async fn noted<T: Send + Sync>(&self, answer: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let answer = self.refusal_noted(answer).await;
        if answer.is_ok() {
            self.note(AccountState::Proved, String::new()).await;
        }
        answer
    }

    /// As [`Self::noted`], for a question that is answered by some vendors to anybody, or by their file without
    /// asking: success proves nothing.
    async fn refusal_noted<T: Send + Sync>(
        &self,
        answer: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let answer = answer.await;
        if let Err(error @ ProviderError::Unauthorized { .. }) = &answer {
            self.note(AccountState::Refused, error.to_string()).await;
        }
        answer
    }

    /// A failure to write is logged: what the caller was doing matters more.
    async fn note(&self, state: AccountState, reason: String) {
        if let Err(error) = self.try_note(state, reason).await {
            let account = &self.account;
            tracing::warn!(%account, error = %Chain(&error), "could not note the state of account `{account}`");
        }
    }

    async fn try_note(&self, state: AccountState, reason: String) -> std::result::Result<(), StoreError> {
        let context = &self.context;
        let verdict = Verdict { state, reason, at: context.clock.now() };
        let present = accounts::find(&mut *context.store.reader().await?, &self.account).await?;
        let says_something_new = present.is_some_and(|present| {
            let StoredAccount { account, .. } = present;
            let is_fresh = |at| verdict.at.duration_since(at) < PROOF_KEEPS;
            let is_known = account.state == state
                && (state == AccountState::Refused || account.proved_at.is_some_and(is_fresh));
            // A credential that was rotated meanwhile keeps its own state.
            account.revision == self.revision && !is_known
        });
        if !says_something_new {
            return Ok(());
        }
        let (name, revision) = (self.account.clone(), self.revision);
        let moved = context
            .store
            .write::<_, StoreError>(Lane::Alerts, move |tx| {
                Box::pin(async move {
                    let before = accounts::find_in(tx, &name).await?.map(|stored| stored.account.state);
                    let written = accounts::set_state(tx, &name, revision, &verdict).await?;
                    if !written || before == Some(verdict.state) {
                        return Ok(false);
                    }
                    let Some(StoredAccount { account, .. }) = accounts::find_in(tx, &name).await? else {
                        return Ok(false);
                    };
                    tx.emit(EventKind::AccountChanged, name.as_str(), &account).await?;
                    match verdict.state {
                        AccountState::Refused => {
                            let (kind, severity) = (AlertKind::CredentialRefused, Severity::Warning);
                            problems::raise(tx, &account, kind, severity, &verdict.reason).await?;
                        }
                        AccountState::Proved | AccountState::Unknown => accepted(tx, &account).await?,
                    }
                    Ok(true)
                })
            })
            .await?;
        if moved {
            context.wakes.outbox.ring();
        }
        Ok(())
    }
}

/// Ends the alert of an account whose credential works again.
pub(super) async fn accepted(
    tx: &mut crate::store::Tx,
    account: &Account,
) -> std::result::Result<(), StoreError> {
    let why = format!("{} accepts the credential again", account.provider);
    problems::end(tx, account, AlertKind::CredentialRefused, &why).await
}

impl fmt::Debug for Noting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noting").field("client", &self.client).finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for Noting {
    fn name(&self) -> ProviderName {
        self.client.name()
    }

    fn login_user(&self, image: &str) -> &'static str {
        self.client.login_user(image)
    }

    fn visibility_lag(&self) -> Duration {
        self.client.visibility_lag()
    }

    fn bills_stopped(&self) -> bool {
        self.client.bills_stopped()
    }

    async fn check_credential(&self) -> Result<Identity> {
        self.noted(self.client.check_credential()).await
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        self.refusal_noted(self.client.catalogue()).await
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        self.noted(self.client.instances()).await
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        self.noted(self.client.instance(reference)).await
    }

    async fn find_marked(&self, mark: &Mark, region: &str) -> Result<Vec<Instance>> {
        self.noted(self.client.find_marked(mark, region)).await
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        self.refusal_noted(self.client.prepare(new)).await
    }

    fn prepared_for(&self) -> PreparedFor {
        self.client.prepared_for()
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        self.noted(self.client.create(new, prepared)).await
    }

    async fn finish(&self, reference: &InstanceRef, new: &NewInstance, prepared: &Prepared) -> Result<()> {
        self.refusal_noted(self.client.finish(reference, new, prepared)).await
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.noted(self.client.start(reference)).await
    }

    async fn stop(&self, reference: &InstanceRef, force: bool) -> Result<()> {
        self.noted(self.client.stop(reference, force)).await
    }

    async fn restart(&self, reference: &InstanceRef, force: bool) -> Result<()> {
        self.noted(self.client.restart(reference, force)).await
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        self.noted(self.client.delete(reference)).await
    }

    async fn leftovers(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        self.refusal_noted(self.client.leftovers(reference)).await
    }

    async fn delete_leftover(&self, leftover: &Leftover) -> Result<()> {
        self.refusal_noted(self.client.delete_leftover(leftover)).await
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        self.noted(self.client.set_tags(reference, tags)).await
    }
}
