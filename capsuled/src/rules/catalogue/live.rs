//! What ships, put together with the providers' own lists: where a provider was asked, its answer counts.
//!
//! A shipped size takes over figures and prices by the provider's name of it. Where a provider names its
//! sizes apart in each place (Hivelocity's products) a shipped size is a description: in each region it
//! stands for the cheapest product that fits. Sizes that do not ship get an id of their own.

use std::collections::{BTreeMap, HashMap};

use capsule_api::{PriceSource, ProviderName, Region, Template, TemplateRegion};
use jiff::Timestamp;

use super::{Moment, Shipped};
use crate::{
    model::{LiveCatalogue, Offer},
    rules::rate,
};

/// One size as a provider lists it, by region.
type Places<'a> = BTreeMap<&'a str, (&'a Offer, Timestamp)>;
/// A provider's sizes by its name of them.
type Plans<'a> = BTreeMap<&'a str, Places<'a>>;

/// Every template: those that ship in their order, then what else the providers list, by provider and plan.
pub fn templates(shipped: &Shipped, live: &[LiveCatalogue], moment: &Moment) -> Vec<Template> {
    let names = RegionNames::new(shipped, live);
    let mut providers = by_provider(live);
    let mut templates = Vec::with_capacity(shipped.templates.len());
    for known in &shipped.templates {
        let mut template = known.clone();
        if let Some(plans) = providers.get_mut(&known.provider) {
            take_over(&mut template, plans, &names, moment);
        }
        moment.complete(&mut template);
        templates.push(template);
    }
    let shipped_plans = |provider: ProviderName, plan: &str| {
        shipped.templates.iter().any(|t| t.provider == provider && t.plan.as_deref() == Some(plan))
    };
    for (provider, plans) in &providers {
        for (plan, places) in plans {
            if !shipped_plans(*provider, plan) {
                let mut template = unshipped(*provider, plan, places, &names);
                moment.complete(&mut template);
                templates.push(template);
            }
        }
    }
    templates
}

/// Every region: those that ship, then what else the providers list.
pub fn regions(shipped: &Shipped, live: &[LiveCatalogue], moment: &Moment) -> Vec<Region> {
    let names = RegionNames::new(shipped, live);
    let mut found: BTreeMap<(ProviderName, &str), Region> = BTreeMap::new();
    for (provider, region) in live.iter().flat_map(|l| l.regions.iter().map(|r| (l.provider, r))) {
        found.entry((provider, &region.name)).or_insert_with(|| Region {
            provider,
            name: names.of(provider, &region.name).to_owned(),
            region: Some(region.name.clone()),
            title: region.title.clone(),
            ended: None,
            note: String::new(),
        });
    }
    let mut regions = Vec::with_capacity(shipped.regions.len() + found.len());
    for known in &shipped.regions {
        match &known.region {
            Some(region) => _ = found.remove(&(known.provider, region.as_str())),
            // Its facilities stand in its place once they are known.
            None if found.values().any(|f| f.provider == known.provider && f.name == known.name) => continue,
            None => {}
        }
        regions.push(known.clone());
    }
    regions.extend(found.into_values());
    for region in &mut regions {
        region.ended = (moment.ended)(region.provider);
    }
    regions
}

/// The newest word on each size in each region.
fn by_provider(live: &[LiveCatalogue]) -> BTreeMap<ProviderName, Plans<'_>> {
    let mut providers: BTreeMap<ProviderName, Plans<'_>> = BTreeMap::new();
    for catalogue in live {
        let plans = providers.entry(catalogue.provider).or_default();
        for offer in &catalogue.offers {
            let place = plans.entry(&offer.plan).or_default().entry(&offer.region);
            let seen = (offer, catalogue.observed_at);
            place
                .and_modify(|known| {
                    if known.1 < seen.1 {
                        *known = seen
                    }
                })
                .or_insert(seen);
        }
    }
    providers
}

fn take_over(template: &mut Template, plans: &Plans<'_>, names: &RegionNames<'_>, moment: &Moment) {
    let places = match &template.plan {
        Some(plan) => {
            let Some(places) = plans.get(plan.as_str()) else {
                template.regions.iter_mut().for_each(|region| region.available = false);
                return;
            };
            if let Some((offer, _)) = places.values().next() {
                take_figures(template, offer);
            }
            places.values().map(|(offer, at)| place(template.provider, offer, *at, names)).collect()
        }
        None => fitting(template, plans, names, moment),
    };
    replace_regions(template, places);
}

fn take_figures(template: &mut Template, offer: &Offer) {
    template.vcpus = offer.vcpus;
    template.memory_mib = offer.memory_mib;
    template.disk_gb = offer.disk_gb;
    template.transfer_gb = offer.transfer_gb;
    template.gpus = offer.gpus;
    template.arch = offer.arch;
    template.bare_metal = offer.bare_metal;
    // Our name of the model stays where the provider gives none.
    template.gpu_model = match offer.gpus {
        0 => None,
        _ => offer.gpu_model.clone().or_else(|| template.gpu_model.take()),
    };
}

/// In each region the cheapest product that is at least what the template describes.
fn fitting(
    template: &Template,
    plans: &Plans<'_>,
    names: &RegionNames<'_>,
    moment: &Moment,
) -> Vec<TemplateRegion> {
    let mut cheapest: Places<'_> = BTreeMap::new();
    for (offer, at) in plans.values().flat_map(BTreeMap::values) {
        let fits = template.vcpus <= offer.vcpus
            && template.memory_mib <= offer.memory_mib
            && template.gpus <= offer.gpus
            && template.arch == offer.arch
            && offer.available;
        let cost = |offer: &Offer| rate::usd_hourly(&offer.price, &moment.rate);
        if fits && cheapest.get(offer.region.as_str()).is_none_or(|(best, _)| cost(offer) < cost(best)) {
            cheapest.insert(&offer.region, (offer, *at));
        }
    }
    let place = |(offer, at): &(&Offer, Timestamp)| TemplateRegion {
        plan: Some(offer.plan.clone()),
        ..place(template.provider, offer, *at, names)
    };
    cheapest.values().map(place).collect()
}

/// The provider's list counts; where it does not name a region of ours, the size is not sold there.
fn replace_regions(template: &mut Template, mut places: Vec<TemplateRegion>) {
    if !places.is_empty() {
        template.source = PriceSource::Live;
    }
    for mut old in std::mem::take(&mut template.regions) {
        let same =
            |new: &TemplateRegion| new.name == old.name || (new.region.is_some() && new.region == old.region);
        if !places.iter().any(same) {
            old.available = false;
            places.push(old);
        }
    }
    places.sort_by(|a, b| (&a.name, &a.region).cmp(&(&b.name, &b.region)));
    template.regions = places;
}

fn unshipped(provider: ProviderName, plan: &str, places: &Places<'_>, names: &RegionNames<'_>) -> Template {
    let (offer, _) = places.values().next().expect("a plan is listed because it has an offer");
    let mut regions: Vec<_> = places.values().map(|(offer, at)| place(provider, offer, *at, names)).collect();
    regions.sort_by(|a, b| (&a.name, &a.region).cmp(&(&b.name, &b.region)));
    Template {
        id: format!("{provider}-{}", plan.to_lowercase()),
        provider,
        name: plan.to_owned(),
        plan: Some(plan.to_owned()),
        vcpus: offer.vcpus,
        memory_mib: offer.memory_mib,
        disk_gb: offer.disk_gb,
        transfer_gb: offer.transfer_gb,
        gpus: offer.gpus,
        gpu_model: offer.gpu_model.clone(),
        arch: offer.arch,
        bare_metal: offer.bare_metal,
        features: Vec::new(),
        regions,
        price: None,
        usd_hourly_micros: None,
        source: PriceSource::Live,
        observed_at: None,
        stale: false,
        ended: None,
        original: None,
        note: String::new(),
    }
}

fn place(provider: ProviderName, offer: &Offer, at: Timestamp, names: &RegionNames<'_>) -> TemplateRegion {
    TemplateRegion {
        region: Some(offer.region.clone()),
        name: names.of(provider, &offer.region).to_owned(),
        plan: None,
        price: Some(offer.price),
        usd_hourly_micros: None,
        available: offer.available,
        observed_at: Some(at),
        stale: false,
    }
}

/// Our names of the providers' regions.
struct RegionNames<'a>(HashMap<(ProviderName, &'a str), &'a str>);

impl<'a> RegionNames<'a> {
    fn new(shipped: &'a Shipped, live: &'a [LiveCatalogue]) -> Self {
        let mut names = HashMap::new();
        for known in &shipped.regions {
            if let Some(region) = &known.region {
                names.entry((known.provider, region.as_str())).or_insert(known.name.as_str());
            }
        }
        for (provider, region) in live.iter().flat_map(|l| l.regions.iter().map(|r| (l.provider, r))) {
            let title = region.title.to_lowercase();
            let by_city = shipped.regions.iter().find(|known| {
                let in_city = || title.contains(&known.title.to_lowercase());
                known.provider == provider && known.region.is_none() && in_city()
            });
            if let Some(known) = by_city {
                names.entry((provider, region.name.as_str())).or_insert(known.name.as_str());
            }
        }
        Self(names)
    }

    /// Ours, or the provider's where we have none.
    fn of<'b>(&self, provider: ProviderName, region: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.0.get(&(provider, region)).copied().unwrap_or(region)
    }
}
