//! The providers: what each asks for, what it sells by our catalogue, and the accounts there.

use capsule_api::{
    Account, CredentialField, Price, ProviderName, ProviderSummary, Region, RegionFilter, Template,
    TemplateFilter,
};

use super::list;
use crate::{
    context::Context,
    rules::selection,
    usecases::{UseCaseError, templates},
};

/// Every provider, in the order of [`ProviderName::ALL`].
pub async fn providers(context: &Context) -> Result<Vec<ProviderSummary>, UseCaseError> {
    let accounts = list(context).await?;
    let catalogue = Catalogue::read(context).await?;
    Ok(ProviderName::ALL.iter().map(|name| summary(*name, &accounts, &catalogue)).collect())
}

/// One provider.
///
/// # Errors
/// [`UseCaseError::NotFound`] with the name that was probably meant.
pub async fn provider(context: &Context, given: &str) -> Result<ProviderSummary, UseCaseError> {
    let name = parse_provider(given)?;
    Ok(summary(name, &list(context).await?, &Catalogue::read(context).await?))
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

fn summary(name: ProviderName, accounts: &[Account], catalogue: &Catalogue) -> ProviderSummary {
    let sold = catalogue.of(name);
    let credential = capsule_providers::fields(name).iter().map(|field| CredentialField {
        name: field.name.to_owned(),
        variable: field.variable.to_owned(),
        description: field.description.to_owned(),
        required: field.required,
        secret: field.secret,
    });
    ProviderSummary {
        name,
        credential: credential.collect(),
        templates: sold.templates,
        regions: sold.regions,
        cheapest: sold.cheapest,
        dearest: sold.dearest,
        gpu: sold.gpu,
        accounts: accounts.iter().filter(|account| account.provider == name).cloned().collect(),
        ended: capsule_providers::ended(name).map(str::to_owned),
    }
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

/// Everything that is sold, read once for all providers.
struct Catalogue {
    templates: Vec<Template>,
    regions: Vec<Region>,
}

impl Catalogue {
    async fn read(context: &Context) -> Result<Self, UseCaseError> {
        Ok(Self {
            templates: templates::list(context, &TemplateFilter::default()).await?,
            regions: templates::regions(context, &RegionFilter::default()).await?,
        })
    }

    fn of(&self, provider: ProviderName) -> Sold {
        // Cheapest first, and those without a price last.
        let templates: Vec<_> = self.templates.iter().filter(|t| t.provider == provider).collect();
        let regions = self.regions.iter().filter(|region| region.provider == provider).count();
        let mut prices = templates.iter().filter_map(|template| template.price);
        Sold {
            templates: u32::try_from(templates.len()).unwrap_or(u32::MAX),
            regions: u32::try_from(regions).unwrap_or(u32::MAX),
            cheapest: prices.next(),
            dearest: templates.iter().rev().find_map(|template| template.price),
            gpu: templates.iter().any(|template| 0 < template.gpus),
        }
    }
}
