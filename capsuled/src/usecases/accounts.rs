//! Provider accounts: credentials, whether they work, and the clients made from them.

use std::sync::Arc;

use capsule_api::AccountName;
use capsule_providers::Provider;

use super::UseCaseError;
use crate::context::Context;

/// The client of an account.
///
/// # Errors
/// [`UseCaseError::NotFound`], [`UseCaseError::Provider`] when its credential does not fit.
pub async fn client(context: &Context, account: &AccountName) -> Result<Arc<dyn Provider>, UseCaseError> {
    let _ = context;
    Err(UseCaseError::not_found("account", account))
}
