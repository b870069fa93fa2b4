//! Plans: names looked up, limits checked, then the pure decision over every account's offers.

use capsule_api::{AccountName, Plan, PlanRequest, ProviderName, Template, UsdMicros};

use super::{Known, UseCaseError, find_provider, find_region, find_template, nearest};
use crate::{
    context::Context,
    rules::{
        catalogue,
        planning::{self, Candidate, Wanted},
        selection,
    },
};

/// Highest price per hour that can be meant: 10,000 dollars.
const HIGHEST_PRICE: UsdMicros = UsdMicros(10_000_000_000);

/// What a deployment would choose. Changes nothing and asks no provider.
///
/// # Errors
/// [`UseCaseError::NotFound`] for an unknown provider, template, region or account; [`UseCaseError::Invalid`]
/// for a limit that cannot be meant; [`UseCaseError::Policy`] with `service_ended` when what is asked for is
/// sold no more.
pub async fn plan(context: &Context, request: &PlanRequest) -> Result<Plan, UseCaseError> {
    refuse_impossible(request)?;
    let known = Known::read(context).await?;
    let templates = known.templates();
    let provider = request.provider.as_deref().map(find_provider).transpose()?;
    let template = request.template.as_deref().map(|given| find_template(given, &templates)).transpose()?;
    let region = request.region.as_deref().map(|given| find_region(given, &known.regions())).transpose()?;
    let account = request.account.as_ref().map(|given| find_account(given, &known.accounts)).transpose()?;
    refuse_contradiction(provider, template, account)?;
    refuse_ended(provider, template, &templates)?;

    let offered: Vec<_> = Offered::all(&known);
    let mut request = request.clone();
    // As it is spelt where it is stored.
    request.account = account.map(|(name, _)| name.clone());
    let wanted = Wanted {
        request: &request,
        provider,
        template: template.map(|template| template.id.as_str()),
        region: region.as_ref(),
    };
    Ok(planning::plan(offered.iter().flat_map(Offered::candidates), &wanted, known.moment.rate))
}

/// What one account, or nobody's account at a provider, can choose from.
struct Offered<'a> {
    account: Option<&'a AccountName>,
    provider: ProviderName,
    templates: Vec<Template>,
}

impl<'a> Offered<'a> {
    fn all(known: &'a Known) -> Vec<Self> {
        let own = known.accounts.iter().map(|(account, provider)| (Some(account), *provider));
        let without = |provider: &&ProviderName| known.accounts.iter().all(|(_, other)| other != *provider);
        let nobodys = ProviderName::ALL.iter().filter(without).map(|provider| (None, *provider));
        own.chain(nobodys).map(|(account, provider)| Self::of(known, account, provider)).collect()
    }

    /// An account's own list counts for it, not what another one was told.
    fn of(known: &'a Known, account: Option<&'a AccountName>, provider: ProviderName) -> Self {
        let own = known.live.iter().find(|live| Some(&live.account) == account);
        let own = own.map_or(&[][..], std::slice::from_ref);
        let mut templates = catalogue::templates(catalogue::shipped(), own, &known.moment);
        templates.retain(|template| template.provider == provider);
        Self { account, provider, templates }
    }

    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        debug_assert!(self.templates.iter().all(|template| template.provider == self.provider));
        self.templates.iter().flat_map(|template| {
            template.regions.iter().map(|region| Candidate { account: self.account, template, region })
        })
    }
}

fn refuse_impossible(request: &PlanRequest) -> Result<(), UseCaseError> {
    let bounds = [
        ("min_cpu", request.min_cpu, 4_096),
        ("min_memory_gb", request.min_memory_gb, 65_536),
        ("count", request.count, 1_000),
    ];
    for (field, value, highest) in bounds {
        if value.is_some_and(|value| !(1..=highest).contains(&value)) {
            return Err(UseCaseError::invalid(field, format!("it must be 1 to {highest}")));
        }
    }
    let possible = UsdMicros(1)..=HIGHEST_PRICE;
    if request.max_hourly.is_some_and(|limit| !possible.contains(&limit)) {
        let reason = format!("it must be above 0 and at most {HIGHEST_PRICE} dollars an hour");
        return Err(UseCaseError::invalid("max_hourly", reason));
    }
    Ok(())
}

type Account = (AccountName, ProviderName);

fn find_account<'a>(given: &AccountName, accounts: &'a [Account]) -> Result<&'a Account, UseCaseError> {
    let found = accounts.iter().find(|(name, _)| name.as_str().eq_ignore_ascii_case(given.as_str()));
    found.ok_or_else(|| {
        let names = accounts.iter().map(|(name, _)| name.as_str());
        super::unknown("account", given.as_str(), selection::suggestion(given.as_str(), names))
    })
}

/// Parts that exclude each other would give an empty plan without a reason.
fn refuse_contradiction(
    provider: Option<ProviderName>,
    template: Option<&Template>,
    account: Option<&Account>,
) -> Result<(), UseCaseError> {
    let sold_by = provider.or(template.map(|template| template.provider));
    if let (Some(provider), Some(template)) = (provider, template)
        && provider != template.provider
    {
        let reason = format!("`{}` is sold by {}, not {provider}", template.id, template.provider);
        return Err(UseCaseError::invalid("template", reason));
    }
    if let (Some(sold_by), Some((name, at))) = (sold_by, account)
        && sold_by != *at
    {
        return Err(UseCaseError::invalid("account", format!("`{name}` is at {at}, not {sold_by}")));
    }
    Ok(())
}

fn refuse_ended(
    provider: Option<ProviderName>,
    template: Option<&Template>,
    templates: &[Template],
) -> Result<(), UseCaseError> {
    let provider = provider.or(template.map(|template| template.provider));
    let Some((provider, day)) = provider.and_then(|provider| Some((provider, super::ended(provider)?)))
    else {
        return Ok(());
    };
    let mut reason = format!("{provider} ended its service on {day}");
    if let Some(template) = template {
        let near: Vec<String> = nearest::equivalents(template, templates).iter().map(shown).collect();
        reason.push_str(&format!("; nearest to `{}` elsewhere: {}", template.id, near.join(", ")));
    }
    Err(UseCaseError::Policy { code: "service_ended", reason })
}

fn shown(template: &Template) -> String {
    match template.usd_hourly_micros {
        Some(hourly) => format!("`{}` ({hourly} USD an hour)", template.id),
        None => format!("`{}`", template.id),
    }
}
