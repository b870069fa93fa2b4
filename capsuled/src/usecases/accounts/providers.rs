//! The providers: what each asks for, what it sells by our catalogue, and the accounts there.

use capsule_api::{Account, CredentialField, Price, ProviderName, ProviderSummary};

use super::list;
use crate::{context::Context, rules::selection, usecases::UseCaseError};

/// Every provider, in the order of [`ProviderName::ALL`].
pub async fn providers(context: &Context) -> Result<Vec<ProviderSummary>, UseCaseError> {
    let accounts = list(context).await?;
    let mut summaries = Vec::new();
    for name in ProviderName::ALL {
        summaries.push(summary(context, *name, &accounts).await?);
    }
    Ok(summaries)
}

/// One provider.
///
/// # Errors
/// [`UseCaseError::NotFound`] with the name that was probably meant.
pub async fn provider(context: &Context, given: &str) -> Result<ProviderSummary, UseCaseError> {
    summary(context, parse_provider(given)?, &list(context).await?).await
}

/// The provider that is meant, in any case.
///
/// # Errors
/// [`UseCaseError::NotFound`] with the name that was probably meant.
pub fn parse_provider(given: &str) -> Result<ProviderName, UseCaseError> {
    let lower = given.to_ascii_lowercase();
    lower.parse().map_err(|_| {
        let suggestion = selection::suggestion(&lower, ProviderName::ALL.iter().map(|name| name.as_str()));
        UseCaseError::NotFound { what: "provider", given: given.chars().take(64).collect(), suggestion }
    })
}

async fn summary(
    context: &Context,
    name: ProviderName,
    accounts: &[Account],
) -> Result<ProviderSummary, UseCaseError> {
    let sold = sold(context, name).await?;
    let credential = capsule_providers::fields(name).iter().map(|field| CredentialField {
        name: field.name.to_owned(),
        variable: field.variable.to_owned(),
        description: field.description.to_owned(),
        required: field.required,
        secret: field.secret,
    });
    Ok(ProviderSummary {
        name,
        credential: credential.collect(),
        templates: sold.templates,
        regions: sold.regions,
        cheapest: sold.cheapest,
        dearest: sold.dearest,
        gpu: sold.gpu,
        accounts: accounts.iter().filter(|account| account.provider == name).cloned().collect(),
        ended: capsule_providers::ended(name).map(str::to_owned),
    })
}

/// What the catalogue says of a provider.
#[derive(Debug, Default)]
struct Sold {
    templates: u32,
    regions: u32,
    cheapest: Option<Price>,
    dearest: Option<Price>,
    gpu: bool,
}

async fn sold(_context: &Context, _provider: ProviderName) -> Result<Sold, UseCaseError> {
    Ok(Sold::default())
}
