//! The daemon's own key pair, which every server we make lets in: made once, sealed in the database.

use crate::{
    context::Context,
    secret::SecretString,
    ssh,
    store::{self, Lane, StoreError, xnodes::StoredKey},
    usecases::UseCaseError,
};

const PLACE: &str = "deployment_key/1/private";

/// The key pair, made if this is the first time: its public half and the private one.
pub(in crate::usecases) async fn pair(context: &Context) -> Result<(String, SecretString), UseCaseError> {
    if let Some(known) = known(context).await? {
        return Ok(known);
    }
    let (private, public) = ssh::generate();
    let sealed = context.seal.seal(&private, PLACE);
    context
        .store
        .write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move { store::intents::set_deployment_key(tx, &public, &sealed).await })
        })
        .await?;
    // Somebody else may have been first: theirs is the one.
    known(context).await?.ok_or_else(|| UseCaseError::not_found("deployment key", "1"))
}

async fn known(context: &Context) -> Result<Option<(String, SecretString)>, UseCaseError> {
    let stored = store::intents::deployment_key(&mut *context.store.reader().await?).await?;
    let Some((public, sealed)) = stored else { return Ok(None) };
    let private = context.seal.unseal(&sealed, PLACE).map_err(|error| {
        let detail = error.to_string();
        UseCaseError::Store(StoreError::Unreadable { what: "deployment key", detail })
    })?;
    Ok(Some((public, private)))
}

/// The private key as an xNode's row holds it.
pub(in crate::usecases) fn for_xnode(
    context: &Context,
    private: &SecretString,
    id: capsule_api::XNodeId,
) -> StoredKey {
    StoredKey::Sealed(context.seal.seal(private, &format!("xnodes/{id}/ssh_key")))
}
