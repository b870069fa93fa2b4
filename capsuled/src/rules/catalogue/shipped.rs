//! Reads the two files that ship with Capsule. A fault is told with file, line and column.
//!
//! In the column `regions` a name may end in `?` (sold there, price not known) or `!` (not sold there now).

use std::str::FromStr;

use capsule_api::{
    Arch, Currency, OriginalFigures, Price, PriceSource, ProviderName, Region, Template, TemplateRegion,
    UsdMicros,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;

use super::Shipped;

/// The sizes.
pub(super) const TEMPLATES: &str = include_str!("../../../data/templates.csv");
/// The regions.
pub(super) const REGIONS: &str = include_str!("../../../data/regions.csv");

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, row {row}: {reason}")]
pub struct InvalidCatalogue {
    /// `templates.csv` or `regions.csv`.
    pub file: &'static str,
    /// Which row after the header, from 1.
    pub row: usize,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Debug, Deserialize)]
struct TemplateRow {
    id: String,
    provider: String,
    name: String,
    plan: String,
    vcpus: u32,
    memory_mib: u64,
    disk_gb: u64,
    transfer_gb: Option<u64>,
    gpus: u32,
    gpu_model: String,
    arch: String,
    bare_metal: String,
    currency: String,
    hourly: String,
    monthly: String,
    observed: String,
    regions: String,
    features: String,
    note: String,
    original_vcpus: Option<u32>,
    original_memory_mib: Option<u64>,
    original_disk_gb: Option<u64>,
    original_transfer_gb: Option<u64>,
    original_hourly: String,
    original_monthly: String,
    original_gpu: String,
}

#[derive(Debug, Deserialize)]
struct RegionRow {
    provider: String,
    name: String,
    region: String,
    title: String,
    note: String,
}

/// The catalogue in two CSV texts.
///
/// # Errors
/// [`InvalidCatalogue`] for the first row that cannot be used.
pub fn parse(templates: &str, regions: &str) -> Result<Shipped, InvalidCatalogue> {
    let mut shipped = Shipped::default();
    for (row, record) in csv::Reader::from_reader(regions.as_bytes()).deserialize().enumerate() {
        let at = |reason: String| InvalidCatalogue { file: "regions.csv", row: row + 1, reason };
        let region: RegionRow = record.map_err(|error: csv::Error| at(error.to_string()))?;
        shipped.regions.push(region_of(region).map_err(at)?);
    }
    for (row, record) in csv::Reader::from_reader(templates.as_bytes()).deserialize().enumerate() {
        let at = |reason: String| InvalidCatalogue { file: "templates.csv", row: row + 1, reason };
        let template: TemplateRow = record.map_err(|error: csv::Error| at(error.to_string()))?;
        let template = template_of(template, &shipped.regions).map_err(at)?;
        if shipped.templates.iter().any(|other| other.id == template.id) {
            return Err(at(format!("id: `{}` stands twice", template.id)));
        }
        shipped.templates.push(template);
    }
    Ok(shipped)
}

fn region_of(row: RegionRow) -> Result<Region, String> {
    Ok(Region {
        provider: word("provider", &row.provider)?,
        name: named("name", row.name)?,
        region: optional(row.region),
        title: row.title,
        ended: None,
        note: row.note,
    })
}

fn template_of(row: TemplateRow, regions: &[Region]) -> Result<Template, String> {
    let provider: ProviderName = word("provider", &row.provider)?;
    let observed_at = observed(&row.observed)?;
    let price = price(&row)?;
    let places = row.regions.split(';').map(|place| place_of(provider, place, price, observed_at, regions));
    let source = if observed_at.is_some() { PriceSource::Listed } else { PriceSource::Unchecked };
    let original = original(&row)?;
    Ok(Template {
        regions: places.collect::<Result<_, _>>()?,
        id: named("id", row.id)?,
        provider,
        name: named("name", row.name)?,
        plan: optional(row.plan),
        vcpus: row.vcpus,
        memory_mib: row.memory_mib,
        disk_gb: row.disk_gb,
        transfer_gb: row.transfer_gb,
        gpus: row.gpus,
        gpu_model: optional(row.gpu_model),
        arch: word::<Arch>("arch", &row.arch)?,
        bare_metal: yes_or_no("bare_metal", &row.bare_metal)?,
        features: row.features.split(';').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        price,
        usd_hourly_micros: None,
        source,
        observed_at,
        stale: true,
        ended: None,
        original,
        note: row.note,
    })
}

fn place_of(
    provider: ProviderName,
    place: &str,
    price: Option<Price>,
    observed_at: Option<Timestamp>,
    regions: &[Region],
) -> Result<TemplateRegion, String> {
    let name = place.trim_end_matches(['?', '!']);
    let region = regions.iter().find(|region| region.provider == provider && region.name == name);
    let region = region.ok_or_else(|| format!("regions: {provider} has no region `{name}`"))?;
    let unknown = place.ends_with('?');
    Ok(TemplateRegion {
        region: region.region.clone(),
        name: name.to_owned(),
        plan: None,
        price: price.filter(|_| !unknown),
        usd_hourly_micros: None,
        available: !place.ends_with('!'),
        observed_at: observed_at.filter(|_| !unknown),
        stale: true,
    })
}

fn price(row: &TemplateRow) -> Result<Option<Price>, String> {
    if row.hourly.is_empty() {
        return Ok(None);
    }
    let monthly = if row.monthly.is_empty() { None } else { Some(money("monthly", &row.monthly)?.0) };
    Ok(Some(Price {
        currency: word::<Currency>("currency", &row.currency)?,
        hourly_micros: money("hourly", &row.hourly)?.0,
        monthly_micros: monthly,
    }))
}

fn original(row: &TemplateRow) -> Result<Option<OriginalFigures>, String> {
    let Some(vcpus) = row.original_vcpus else { return Ok(None) };
    let missing = |field: &str| format!("original_{field}: it is missing");
    Ok(Some(OriginalFigures {
        vcpus,
        memory_mib: row.original_memory_mib.ok_or_else(|| missing("memory_mib"))?,
        disk_gb: row.original_disk_gb.ok_or_else(|| missing("disk_gb"))?,
        transfer_gb: row.original_transfer_gb.ok_or_else(|| missing("transfer_gb"))?,
        hourly_micros: money("original_hourly", &row.original_hourly)?,
        monthly_micros: money("original_monthly", &row.original_monthly)?,
        gpu_model: optional(row.original_gpu.clone()),
    }))
}

fn observed(text: &str) -> Result<Option<Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let date: Date = text.parse().map_err(|error| format!("observed: {error}"))?;
    let midnight = date.to_zoned(TimeZone::UTC).map_err(|error| format!("observed: {error}"))?;
    Ok(Some(midnight.timestamp()))
}

fn money(field: &str, text: &str) -> Result<UsdMicros, String> {
    text.parse().map_err(|error| format!("{field}: {error}"))
}

fn word<T: FromStr>(field: &str, text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("{field}: {error}"))
}

fn named(field: &str, text: String) -> Result<String, String> {
    if text.is_empty() { Err(format!("{field}: it is empty")) } else { Ok(text) }
}

fn optional(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn yes_or_no(field: &str, text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(format!("{field}: `{other}` is neither yes nor no")),
    }
}
