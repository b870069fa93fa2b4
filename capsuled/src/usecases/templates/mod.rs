//! Templates and regions: what ships, put together with what the providers' own lists said last.

mod planning;
mod prices;
mod refreshing;

use capsule_api::{
    AccountName, EventKind, ExchangeRate, ExchangeRateSet, ProviderName, Region, RegionFilter, Template,
    TemplateFilter,
};
use jiff::{civil::Date, tz::TimeZone};

use super::UseCaseError;
use crate::{
    context::Context,
    model::{Caller, LiveCatalogue},
    rules::{
        catalogue::{self, Moment},
        equivalents as nearest,
    },
    store::templates as store,
};

pub use planning::plan;
pub use prices::Prices;
pub use refreshing::{begin_refresh, refresh, refresh_due};

/// Everything that is known when a question about templates is asked.
struct Known {
    accounts: Vec<(AccountName, ProviderName)>,
    live: Vec<LiveCatalogue>,
    moment: Moment,
}

impl Known {
    async fn read(context: &Context) -> Result<Self, UseCaseError> {
        let mut reader = context.store.reader().await?;
        let states = store::refresh_states(&mut reader).await?;
        Ok(Self {
            accounts: states.into_iter().map(|state| (state.account, state.provider)).collect(),
            live: store::live(&mut reader).await?,
            moment: Moment {
                now: context.clock.now(),
                rate: store::rate(&mut reader).await?.unwrap_or(ExchangeRate::DEFAULT),
                ended,
            },
        })
    }

    fn templates(&self) -> Vec<Template> {
        catalogue::templates(catalogue::shipped(), &self.live, &self.moment)
    }

    fn regions(&self) -> Vec<Region> {
        catalogue::regions(catalogue::shipped(), &self.live, &self.moment)
    }
}

fn ended(provider: ProviderName) -> Option<Date> {
    capsule_providers::ended(provider)?.parse().ok()
}

fn unknown(what: &'static str, given: &str, suggestion: Option<String>) -> UseCaseError {
    UseCaseError::NotFound { what, given: given.chars().take(64).collect(), suggestion }
}

fn find_provider(given: &str) -> Result<ProviderName, UseCaseError> {
    catalogue::find_provider(given).map_err(|suggestion| unknown("provider", given, suggestion))
}

fn find_region(given: &str, regions: &[Region]) -> Result<catalogue::RegionChoice, UseCaseError> {
    catalogue::find_region(given, regions).map_err(|suggestion| unknown("region", given, suggestion))
}

fn find_template<'a>(given: &str, templates: &'a [Template]) -> Result<&'a Template, UseCaseError> {
    catalogue::find_template(given, templates).map_err(|suggestion| unknown("template", given, suggestion))
}

/// The templates that fit, in the order asked for.
///
/// # Errors
/// [`UseCaseError::NotFound`] for a provider or region that nobody has.
pub async fn list(context: &Context, filter: &TemplateFilter) -> Result<Vec<Template>, UseCaseError> {
    let provider = filter.provider.as_deref().map(find_provider).transpose()?;
    let known = Known::read(context).await?;
    let region = filter.region.as_deref().map(|given| find_region(given, &known.regions())).transpose()?;
    Ok(catalogue::choose(known.templates(), filter, provider, region.as_ref()))
}

/// One template, by our id or the provider's name of it.
///
/// # Errors
/// [`UseCaseError::NotFound`].
pub async fn get(context: &Context, given: &str) -> Result<Template, UseCaseError> {
    let templates = Known::read(context).await?.templates();
    find_template(given, &templates).cloned()
}

/// The nearest templates of other providers, nearest first.
///
/// # Errors
/// [`UseCaseError::NotFound`].
pub async fn equivalents(context: &Context, given: &str) -> Result<Vec<Template>, UseCaseError> {
    let templates = Known::read(context).await?.templates();
    Ok(nearest::equivalents(find_template(given, &templates)?, &templates))
}

/// The regions, of all providers or one.
///
/// # Errors
/// [`UseCaseError::NotFound`] for an unknown provider.
pub async fn regions(context: &Context, filter: &RegionFilter) -> Result<Vec<Region>, UseCaseError> {
    let provider = filter.provider.as_deref().map(find_provider).transpose()?;
    let mut regions = Known::read(context).await?.regions();
    regions.retain(|region| provider.is_none_or(|provider| provider == region.provider));
    Ok(regions)
}

/// The rate by which prices in euros are compared.
pub async fn rate(context: &Context) -> Result<ExchangeRate, UseCaseError> {
    let set = store::rate(&mut *context.store.reader().await?).await?;
    Ok(set.unwrap_or(ExchangeRate::DEFAULT))
}

/// Sets the rate.
///
/// # Errors
/// [`UseCaseError::Invalid`] for a rate that no euro has had or a day that has not come.
pub async fn set_rate(
    context: &Context,
    by: &Caller,
    set: ExchangeRateSet,
) -> Result<ExchangeRate, UseCaseError> {
    if !(100_000..=10_000_000).contains(&set.usd_per_eur_micros) {
        return Err(UseCaseError::invalid("usd_per_eur_micros", "it must be 100000 to 10000000"));
    }
    let today = context.clock.now().to_zoned(TimeZone::UTC).date();
    let date = set.date.unwrap_or(today);
    // A day more: it is tomorrow already east of Greenwich.
    if today.tomorrow().is_ok_and(|tomorrow| tomorrow < date) {
        return Err(UseCaseError::invalid("date", "it has not come yet"));
    }
    let rate = ExchangeRate { usd_per_eur_micros: set.usd_per_eur_micros, date };
    context
        .store
        .change(by, "set_exchange_rate", "EUR/USD", move |tx| {
            Box::pin(async move {
                store::set_rate(tx, &rate).await?;
                tx.emit(EventKind::SettingsChanged, "exchange_rate", &rate).await?;
                Ok(rate)
            })
        })
        .await
}
