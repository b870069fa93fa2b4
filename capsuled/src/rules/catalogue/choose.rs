//! Which templates somebody means: filters, order, and names that may be ours or the provider's.

use std::cmp::Ordering;

use capsule_api::{ProviderName, Region, Template, TemplateFilter, TemplateRegion, TemplateSort};

use crate::rules::selection;

/// MiB in what people call a GB of memory.
pub const MIB_PER_GB: u64 = 1_024;

/// A region as somebody gave it: at each provider that has one of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionChoice {
    given: String,
    /// Where our name differs from the provider's.
    places: Vec<(ProviderName, String)>,
}

impl RegionChoice {
    /// Whether a template's region is meant.
    pub fn is(&self, provider: ProviderName, place: &TemplateRegion) -> bool {
        let region = place.region.as_deref();
        place.name.eq_ignore_ascii_case(&self.given)
            || region.is_some_and(|region| region.eq_ignore_ascii_case(&self.given))
            || self.places.iter().any(|(of, name)| *of == provider && region == Some(name))
    }
}

/// The region with this name, ours or the provider's, in any case.
///
/// # Errors
/// A name that looks much like it, where there is one.
pub fn find_region(given: &str, regions: &[Region]) -> Result<RegionChoice, Option<String>> {
    let meant = |region: &&Region| {
        let theirs = region.region.as_deref();
        region.name.eq_ignore_ascii_case(given) || theirs.is_some_and(|name| name.eq_ignore_ascii_case(given))
    };
    let mut found = regions.iter().filter(meant).peekable();
    if found.peek().is_none() {
        let names = regions.iter().flat_map(|r| [Some(r.name.as_str()), r.region.as_deref()]).flatten();
        return Err(selection::suggestion(given, names));
    }
    let places = found.filter_map(|region| Some((region.provider, region.region.clone()?)));
    Ok(RegionChoice { given: given.to_owned(), places: places.collect() })
}

/// The provider with this name, in any case.
///
/// # Errors
/// A name that looks much like it, where there is one.
pub fn find_provider(given: &str) -> Result<ProviderName, Option<String>> {
    given
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| selection::suggestion(given, ProviderName::ALL.iter().map(|provider| provider.as_str())))
}

/// The template with this id, or with this name at its provider, in any case.
///
/// # Errors
/// An id that looks much like it, where there is one.
pub fn find_template<'a>(given: &str, templates: &'a [Template]) -> Result<&'a Template, Option<String>> {
    let by_id = || templates.iter().find(|template| template.id.eq_ignore_ascii_case(given));
    let is_plan = |plan: &Option<String>| plan.as_deref().is_some_and(|p| p.eq_ignore_ascii_case(given));
    let by_plan = || {
        templates.iter().find(|t| is_plan(&t.plan) || t.regions.iter().any(|region| is_plan(&region.plan)))
    };
    by_id().or_else(by_plan).ok_or_else(|| {
        let plans = templates.iter().filter_map(|template| template.plan.as_deref());
        let ids = templates.iter().map(|template| template.id.as_str());
        selection::suggestion(given, ids).or_else(|| selection::suggestion(given, plans))
    })
}

/// The templates that fit, in the order asked for. With a region, only that region of each is kept and the
/// price is the one there.
pub fn choose(
    templates: Vec<Template>,
    filter: &TemplateFilter,
    provider: Option<ProviderName>,
    region: Option<&RegionChoice>,
) -> Vec<Template> {
    let mut chosen: Vec<Template> = templates
        .into_iter()
        .filter(|template| provider.is_none_or(|provider| template.provider == provider))
        .filter_map(|template| match region {
            Some(region) => only_in(template, region),
            None => Some(template),
        })
        .filter(|template| fits(template, filter))
        .collect();
    let sort = filter.sort.unwrap_or(TemplateSort::Price);
    chosen.sort_by(|one, other| order(one, other, sort));
    chosen
}

fn only_in(mut template: Template, region: &RegionChoice) -> Option<Template> {
    template.regions.retain(|place| region.is(template.provider, place));
    let cheapest = template
        .regions
        .iter()
        .min_by_key(|place| (!place.available, place.usd_hourly_micros.is_none(), place.usd_hourly_micros))?;
    template.price = cheapest.price;
    template.usd_hourly_micros = cheapest.usd_hourly_micros;
    template.observed_at = cheapest.observed_at;
    template.stale = cheapest.stale;
    Some(template)
}

fn fits(template: &Template, filter: &TemplateFilter) -> bool {
    let memory_mib = filter.min_memory.map(|gb| u64::from(gb) * MIB_PER_GB);
    let affordable =
        |limit| template.usd_hourly_micros.is_some_and(|hourly: capsule_api::UsdMicros| hourly <= limit);
    filter.min_cpu.is_none_or(|least| least <= template.vcpus)
        && memory_mib.is_none_or(|least| least <= template.memory_mib)
        && filter.max_price.is_none_or(affordable)
        && filter.gpu.is_none_or(|wanted| wanted == (0 < template.gpus))
        && filter.arch.is_none_or(|arch| arch == template.arch)
}

fn order(one: &Template, other: &Template, sort: TemplateSort) -> Ordering {
    let by_name = || (one.provider.as_str(), &one.id).cmp(&(other.provider.as_str(), &other.id));
    let key = |t: &Template| (t.usd_hourly_micros.is_none(), t.usd_hourly_micros);
    match sort {
        TemplateSort::Price => key(one).cmp(&key(other)).then_with(by_name),
        TemplateSort::Cpu => one.vcpus.cmp(&other.vcpus).then_with(by_name),
        TemplateSort::Memory => one.memory_mib.cmp(&other.memory_mib).then_with(by_name),
        TemplateSort::Provider => by_name(),
        TemplateSort::Name => one.id.cmp(&other.id),
    }
}
