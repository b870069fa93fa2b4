//! The catalogue: the sizes and regions that ship with Capsule, put together with what the providers' own
//! lists said last.
//!
//! The shipped part is `data/templates.csv` and `data/regions.csv`: our ids, the provider's names, the figures
//! as they were last seen with their date, and what Capsule's first version said beside them. It answers
//! before any account is configured. A provider's own list wins wherever there is one.

mod choose;
mod live;
mod shipped;

use capsule_api::{ExchangeRate, Price, ProviderName, Region, Template};
use jiff::{SignedDuration, Timestamp, civil::Date};

pub use choose::{MIB_PER_GB, RegionChoice, choose, find_provider, find_region, find_template};
pub use live::{regions, templates};
pub use shipped::{InvalidCatalogue, parse};

use super::rate;

/// Prices older than this are marked.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_hours(48);

/// What ships with Capsule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shipped {
    /// The sizes, in the order of the file.
    pub templates: Vec<Template>,
    /// The regions, in the order of the file.
    pub regions: Vec<Region>,
}

/// What is shipped, read. A test holds the files to what `parse` asks for.
pub fn shipped() -> &'static Shipped {
    static SHIPPED: std::sync::LazyLock<Shipped> = std::sync::LazyLock::new(|| {
        parse(shipped::TEMPLATES, shipped::REGIONS).expect("the shipped catalogue is well-formed")
    });
    &SHIPPED
}

/// The circumstances under which figures are read.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// The rate by which euros are compared.
    pub rate: ExchangeRate,
    /// When a provider ended its service, if it did.
    pub ended: fn(ProviderName) -> Option<Date>,
}

impl Moment {
    /// Whether a price seen then is to be marked.
    fn is_stale(&self, observed_at: Option<Timestamp>) -> bool {
        observed_at.is_none_or(|at| STALE_AFTER < self.now.duration_since(at))
    }

    /// Fills in what follows from the prices of the regions: dollars, staleness, the cheapest.
    fn complete(&self, template: &mut Template) {
        template.ended = (self.ended)(template.provider);
        for region in &mut template.regions {
            region.usd_hourly_micros = region.price.map(|price: Price| rate::usd_hourly(&price, &self.rate));
            region.stale = self.is_stale(region.observed_at);
        }
        let priced = || template.regions.iter().filter(|region| region.price.is_some());
        let cheapest = priced()
            .filter(|region| region.available)
            .min_by_key(|region| region.usd_hourly_micros)
            .or_else(|| priced().min_by_key(|region| region.usd_hourly_micros));
        template.price = cheapest.and_then(|region| region.price);
        template.usd_hourly_micros = cheapest.and_then(|region| region.usd_hourly_micros);
        template.observed_at = cheapest.and_then(|region| region.observed_at);
        template.stale = self.is_stale(template.observed_at);
    }
}

#[cfg(test)]
pub(crate) mod tests;
