//! What a server that is there costs, by its size and place.

use std::collections::HashMap;

use capsule_api::{AccountName, ExchangeRate, Price, ProviderName, UsdMicros};

use super::{Known, UseCaseError, store};
use crate::{
    context::Context,
    rules::{catalogue, rate},
};

/// Prices of one account, by the provider's names of size and region.
#[derive(Debug)]
pub struct Prices {
    of: HashMap<(String, String), Price>,
    rate: ExchangeRate,
}

impl Prices {
    /// As the provider's own list has them; empty until the account's list was read.
    pub async fn listed(context: &Context, account: &AccountName) -> Result<Self, UseCaseError> {
        let mut reader = context.store.reader().await?;
        let offers = store::live_of(&mut reader, account).await?.unwrap_or_default();
        let rate = store::rate(&mut reader).await?.unwrap_or(ExchangeRate::DEFAULT);
        let of = offers.into_iter().map(|offer| ((offer.plan, offer.region), offer.price)).collect();
        Ok(Self { of, rate })
    }

    /// The same, or while there is no list as the shipped catalogue has them.
    pub async fn known(
        context: &Context,
        account: &AccountName,
        provider: ProviderName,
    ) -> Result<Self, UseCaseError> {
        let listed = Self::listed(context, account).await?;
        if !listed.of.is_empty() {
            return Ok(listed);
        }
        let moment = Known::read(context).await?.moment;
        let templates = catalogue::templates(catalogue::shipped(), &[], &moment);
        let own = templates.iter().filter(|template| template.provider == provider);
        let places = own.flat_map(|template| {
            template.regions.iter().filter_map(|place| {
                let plan = place.plan.as_ref().or(template.plan.as_ref())?;
                Some(((plan.clone(), place.region.clone()?), place.price?))
            })
        });
        Ok(Self { of: places.collect(), rate: listed.rate })
    }

    /// The price as billed and in dollars; `None`: not known.
    pub fn of(&self, plan: &str, region: &str) -> Option<(Price, UsdMicros)> {
        let price = *self.of.get(&(plan.to_owned(), region.to_owned()))?;
        Some((price, rate::usd_hourly(&price, &self.rate)))
    }
}
