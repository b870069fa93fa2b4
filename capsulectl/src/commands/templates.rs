//! What providers sell: templates, regions, refreshing, and the rate by which prices are compared.

use capsule_api::{
    Currency, ExchangeRate, ExchangeRateSet, OperationKind, Price, RefreshRequest, RefreshResult, Region,
    RegionFilter, Template, TemplateFilter, TemplateRegion, UsdMicros,
};
use serde_json::value::RawValue;

use super::{Session, operations, plans};
use crate::{
    args::templates::{BrowseArgs, EquivalentsArgs, RateArgs, RefreshArgs, TemplatesAction, TemplatesArgs},
    client::encode,
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View, parse_rows, text},
};

/// Columns of templates.
pub const VIEW: View<Template> = View {
    columns: &[
        Column { title: "ID", fit: Fit::Keep, cell: |t, _| Cell::toned(Tone::Name, t.id.clone()) },
        Column { title: "PROVIDER", fit: Fit::Drop(6), cell: |t, _| t.provider.as_str().into() },
        Column { title: "CPU", fit: Fit::Number, cell: |t, _| t.vcpus.to_string().into() },
        Column {
            title: "GB",
            fit: Fit::Number,
            cell: |t, _| Cell::from(gigabytes(t.memory_mib)).exactly(gigabytes(t.memory_mib)),
        },
        Column { title: "DISK", fit: Fit::Drop(5), cell: |t, look| disk(t.disk_gb, look) },
        Column { title: "GPU", fit: Fit::Drop(4), cell: |t, look| gpu(t, look) },
        Column { title: "HOUR", fit: Fit::Number, cell: |t, look| hourly(t.price.as_ref(), look) },
        Column { title: "MONTH", fit: Fit::Number, cell: |t, look| monthly(t.price.as_ref(), look) },
        Column { title: "CUR", fit: Fit::Keep, cell: |t, look| currency(t.price.as_ref(), look) },
        Column { title: "USD/H", fit: Fit::Number, cell: |t, look| Cell::maybe(t.usd_hourly_micros, look) },
        Column { title: "OF", fit: Fit::Keep, cell: |t, look| price_date(t, look) },
        Column { title: "REGIONS", fit: Fit::Drop(7), cell: |t, _| regions(t) },
        Column { title: "PLAN", fit: Fit::Wide, cell: |t, look| Cell::maybe(t.plan.as_ref(), look) },
        Column { title: "ARCH", fit: Fit::Wide, cell: |t, _| t.arch.as_str().into() },
        Column { title: "SOURCE", fit: Fit::Wide, cell: |t, _| t.source.as_str().into() },
        Column { title: "NAME", fit: Fit::Wide, cell: |t, _| t.name.clone().into() },
        Column { title: "NOTE", fit: Fit::Wide, cell: |t, _| t.note.clone().into() },
    ],
    name: |template| template.id.clone(),
    empty: "no template fits; `capsulectl templates` lists all of them",
};

const REGIONS: View<Region> = View {
    columns: &[
        Column { title: "PROVIDER", fit: Fit::Keep, cell: |r, _| r.provider.as_str().into() },
        Column { title: "NAME", fit: Fit::Keep, cell: |r, _| Cell::toned(Tone::Name, r.name.clone()) },
        Column { title: "THERE", fit: Fit::Keep, cell: |r, look| Cell::maybe(r.region.as_ref(), look) },
        Column { title: "PLACE", fit: Fit::Drop(1), cell: |r, _| r.title.clone().into() },
        Column { title: "NOTE", fit: Fit::Cut, cell: |r, _| r.note.clone().into() },
    ],
    name: |region| region.name.clone(),
    empty: "no regions",
};

const PLACES: View<TemplateRegion> = View {
    columns: &[
        Column { title: "REGION", fit: Fit::Keep, cell: |r, _| Cell::toned(Tone::Name, r.name.clone()) },
        Column { title: "THERE", fit: Fit::Keep, cell: |r, look| Cell::maybe(r.region.as_ref(), look) },
        Column { title: "HOUR", fit: Fit::Number, cell: |r, look| hourly(r.price.as_ref(), look) },
        Column { title: "MONTH", fit: Fit::Number, cell: |r, look| monthly(r.price.as_ref(), look) },
        Column { title: "CUR", fit: Fit::Keep, cell: |r, look| currency(r.price.as_ref(), look) },
        Column { title: "USD/H", fit: Fit::Number, cell: |r, look| Cell::maybe(r.usd_hourly_micros, look) },
        Column { title: "STOCK", fit: Fit::Keep, cell: |r, _| stock(r.available) },
    ],
    name: |place| place.name.clone(),
    empty: "nowhere",
};

const RATE: View<ExchangeRate> = View {
    columns: &[
        Column {
            title: "USD PER EUR",
            fit: Fit::Keep,
            cell: |r, _| UsdMicros(r.usd_per_eur_micros).to_string().into(),
        },
        Column { title: "OF", fit: Fit::Keep, cell: |r, _| r.date.to_string().into() },
    ],
    name: |rate| UsdMicros(rate.usd_per_eur_micros).to_string(),
    empty: "no rate",
};

const REFRESHED: View<RefreshResult> = View {
    columns: &[
        Column { title: "ACCOUNT", fit: Fit::Keep, cell: |r, _| Cell::toned(Tone::Name, r.account.as_str()) },
        Column { title: "PROVIDER", fit: Fit::Keep, cell: |r, _| r.provider.as_str().into() },
        Column { title: "OFFERS", fit: Fit::Number, cell: |r, _| r.offers.to_string().into() },
        Column { title: "PRICES OF", fit: Fit::Keep, cell: |r, look| moment(r, look) },
        Column {
            title: "ERROR",
            fit: Fit::Cut,
            cell: |r, look| match &r.error {
                Some(error) => Cell::toned(Tone::Bad, error.clone()),
                None => Cell::maybe(None::<String>, look),
            },
        },
    ],
    name: |result| result.account.to_string(),
    empty: "no account was asked",
};

fn gigabytes(mib: u64) -> String {
    match (mib / 1_024, mib % 1_024 * 10 / 1_024) {
        (whole, 0) => whole.to_string(),
        (whole, tenths) => format!("{whole}.{tenths}"),
    }
}

fn disk(gb: u64, look: &Look) -> Cell {
    Cell::maybe((gb != 0).then(|| format!("{gb} GB")), look).exactly(gb.to_string())
}

fn gpu(template: &Template, look: &Look) -> Cell {
    let shown = match (template.gpus, &template.gpu_model) {
        (0, _) => None,
        (1, Some(model)) => Some(model.clone()),
        (count, Some(model)) => Some(format!("{count} × {model}")),
        (count, None) => Some(count.to_string()),
    };
    Cell::maybe(shown, look)
}

/// Amounts of any currency are written alike.
fn amount(micros: i64) -> UsdMicros {
    UsdMicros(micros)
}

fn hourly(price: Option<&Price>, look: &Look) -> Cell {
    Cell::maybe(price.map(|price| amount(price.hourly_micros)), look)
}

fn monthly(price: Option<&Price>, look: &Look) -> Cell {
    let month = price.and_then(|price| price.monthly_micros);
    let shown = month.map(|micros| amount((micros + 5_000).div_euclid(10_000) * 10_000));
    Cell::maybe(shown, look).exactly(month.map(|micros| amount(micros).to_string()).unwrap_or_default())
}

fn currency(price: Option<&Price>, look: &Look) -> Cell {
    Cell::maybe(price.map(|price| price.currency.as_str()), look)
}

fn price_date(template: &Template, look: &Look) -> Cell {
    if let Some(day) = template.ended {
        return Cell::toned(Tone::Bad, format!("ended {day}"));
    }
    let tone = if template.stale { Tone::Warn } else { Tone::Plain };
    match (template.price, template.observed_at) {
        (None, _) => Cell::maybe(None::<String>, look),
        (Some(_), None) => Cell::toned(tone, "unchecked"),
        (Some(_), Some(at)) => Cell::toned(tone, at.strftime("%Y-%m-%d").to_string()).exactly(at.to_string()),
    }
}

fn regions(template: &Template) -> Cell {
    let names = |t: &Template| t.regions.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
    let shown = match template.regions.as_slice() {
        [only] => only.name.clone(),
        more => more.len().to_string(),
    };
    Cell::from(shown).exactly(names(template).join(";"))
}

fn stock(available: bool) -> Cell {
    if available { Cell::toned(Tone::Good, "yes") } else { Cell::toned(Tone::Dim, "no") }
}

fn moment(result: &RefreshResult, look: &Look) -> Cell {
    Cell::maybe(result.observed_at.map(text::moment), look)
}

/// `templates`.
pub async fn run(session: &Session, args: TemplatesArgs) -> Result<Outcome> {
    match args.action {
        None => list(session, &args.filter.filter()).await,
        Some(TemplatesAction::Show { template }) => show(session, &template).await,
        Some(TemplatesAction::Equivalents(args)) => equivalents(session, &args).await,
        Some(TemplatesAction::Plan(args)) => plans::run(session, &args).await,
        Some(TemplatesAction::Refresh(args)) => refresh(session, args).await,
        Some(TemplatesAction::Regions(args)) => {
            let filter = RegionFilter { provider: args.provider };
            let rows = session.client.list_all("/v1/regions", &filter).await?;
            session.out.list(&rows, &REGIONS)?;
            Ok(Outcome::Done)
        }
        Some(TemplatesAction::Rate(args)) => rate(session, &args).await,
    }
}

/// The templates that fit.
pub async fn list(session: &Session, filter: &TemplateFilter) -> Result<Outcome> {
    let rows = session.client.list_all("/v1/templates", filter).await?;
    session.out.list(&rows, &VIEW)?;
    if session.out.is_for_people() {
        note_rate(session, &rows).await?;
    }
    Ok(Outcome::Done)
}

/// Says by which rate euros were compared, where there are any.
async fn note_rate(session: &Session, rows: &[Box<RawValue>]) -> Result<()> {
    let templates: Vec<Template> = parse_rows(rows)?;
    let euros = templates.iter().any(|t| t.price.is_some_and(|price| price.currency == Currency::Eur));
    if euros {
        let rate: ExchangeRate = session.client.get("/v1/exchange-rate").await?.parse()?;
        session.out.note(&said(&rate));
    }
    Ok(())
}

fn said(rate: &ExchangeRate) -> String {
    let worth = amount(rate.usd_per_eur_micros);
    format!("prices in EUR compared at {worth} USD for a euro, the rate of {}", rate.date)
}

async fn show(session: &Session, template: &str) -> Result<Outcome> {
    let answer = session.client.get(&format!("/v1/templates/{}", encode(template))).await?;
    session.out.one(&answer, &VIEW, page)?;
    Ok(Outcome::Done)
}

fn page(template: &Template, sheet: &mut Sheet<'_>) {
    let look = sheet.look;
    sheet.title(&template.name, template.provider.as_str());
    sheet.field("id", &template.id);
    sheet.field("plan there", template.plan.as_deref().unwrap_or("known after a refresh"));
    sheet.field("processors", &format!("{} ({})", template.vcpus, template.arch));
    sheet.field("memory", &format!("{} GB", gigabytes(template.memory_mib)));
    sheet.field("disk", &disk(template.disk_gb, look).text);
    if 0 < template.gpus {
        sheet.field("gpu", &gpu(template, look).text);
    }
    let date = price_date(template, look);
    sheet.toned_field("prices of", date.tone, &date.text);
    sheet.field("source", template.source.as_str());
    if !template.features.is_empty() {
        sheet.field("features", &template.features.join(", "));
    }
    if !template.note.is_empty() {
        sheet.field("note", &template.note);
    }
    if let Some(first) = &template.original {
        let gpu = first.gpu_model.as_ref().map(|model| format!(", {model}")).unwrap_or_default();
        let size = format!(
            "{} processors, {} GB, {} GB disk",
            first.vcpus,
            gigabytes(first.memory_mib),
            first.disk_gb
        );
        let price = format!("{} USD/h, {} USD/month", first.hourly_micros, first.monthly_micros);
        sheet.section("In the first version");
        sheet.field("size", &format!("{size}{gpu}"));
        sheet.field("price", &price);
    }
    sheet.section("Regions");
    sheet.table(&PLACES, &template.regions);
}

async fn refresh(session: &Session, args: RefreshArgs) -> Result<Outcome> {
    let body = RefreshRequest { provider: args.provider };
    let started = session.client.post("/v1/templates/refresh", &body).await?;
    let Some(done) = operations::follow(session, &started, &args.wait).await? else {
        return Ok(Outcome::Done);
    };
    debug_assert_eq!(done.kind, OperationKind::RefreshTemplates);
    let items = done.result.and_then(|mut result| result.get_mut("items").map(serde_json::Value::take));
    let results: Vec<RefreshResult> = items
        .and_then(|items| serde_json::from_value(items).ok())
        .ok_or_else(|| Error::Failed { message: "the operation has no result".into(), hint: None })?;
    session.out.typed_list(&results, &REFRESHED)?;
    Ok(Outcome::Done)
}

async fn rate(session: &Session, args: &RateArgs) -> Result<Outcome> {
    let answer = match args.rate {
        None => session.client.get("/v1/exchange-rate").await?,
        Some(rate) => {
            let set = ExchangeRateSet { usd_per_eur_micros: rate.0, date: args.date };
            session.client.put("/v1/exchange-rate", &set).await?
        }
    };
    session.out.one(&answer, &RATE, |rate, sheet| {
        sheet.field("a euro is", &format!("{} USD", amount(rate.usd_per_eur_micros)));
        sheet.field("as of", &rate.date.to_string());
    })?;
    Ok(Outcome::Done)
}

/// `templates equivalents` and `provider equivalents`.
pub async fn equivalents(session: &Session, args: &EquivalentsArgs) -> Result<Outcome> {
    let path = format!("/v1/templates/{}/equivalents", encode(&args.template));
    let rows = session.client.list_all(&path, &()).await?;
    session.out.list(&rows, &VIEW)?;
    Ok(Outcome::Done)
}

/// `xnode browse`: the sizes are words for processors, as earlier scripts used them; anything else is a
/// template.
pub async fn browse(session: &Session, args: &BrowseArgs) -> Result<Outcome> {
    let filter = TemplateFilter { region: args.region.clone(), ..TemplateFilter::default() };
    let size = args.size.as_deref();
    let processors = match size.map(str::to_ascii_lowercase).as_deref() {
        None => 0..=u32::MAX,
        Some("small") => 0..=2,
        Some("medium") => 3..=8,
        Some("large") => 9..=u32::MAX,
        Some(_) => return show(session, size.unwrap_or_default()).await,
    };
    let rows = session.client.list_all("/v1/templates", &filter).await?;
    let templates: Vec<Template> = parse_rows(&rows)?;
    let kept: Vec<Box<RawValue>> = rows
        .into_iter()
        .zip(&templates)
        .filter(|(_, template)| template.ended.is_none() && processors.contains(&template.vcpus))
        .map(|(row, _)| row)
        .collect();
    session.out.list(&kept, &VIEW)?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use capsule_api::{Arch, OriginalFigures, PriceSource, ProviderName};
    use jiff::civil::date;

    use super::*;
    use crate::output::{look::tests::look, table::table};

    fn template() -> Template {
        let price = Price { currency: Currency::Eur, hourly_micros: 8_976, monthly_micros: Some(6_552_480) };
        let region = |name: &str, available| TemplateRegion {
            region: Some(format!("fr-{name}")),
            name: name.to_owned(),
            plan: None,
            price: Some(price),
            usd_hourly_micros: Some(UsdMicros(9_325)),
            available,
            observed_at: Some("2026-08-06T00:00:00Z".parse().expect("a moment")),
            stale: true,
        };
        Template {
            id: "scaleway-dev1-s".to_owned(),
            provider: ProviderName::Scaleway,
            name: "DEV1-S".to_owned(),
            plan: Some("DEV1-S".to_owned()),
            vcpus: 2,
            memory_mib: 2_048,
            disk_gb: 20,
            transfer_gb: None,
            gpus: 0,
            gpu_model: None,
            arch: Arch::X86_64,
            bare_metal: false,
            features: vec!["ssd".to_owned()],
            regions: vec![region("par1", true), region("waw1", false)],
            price: Some(price),
            usd_hourly_micros: Some(UsdMicros(9_325)),
            source: PriceSource::Listed,
            observed_at: Some("2026-08-06T00:00:00Z".parse().expect("a moment")),
            stale: true,
            ended: None,
            original: Some(OriginalFigures {
                vcpus: 2,
                memory_mib: 2_048,
                disk_gb: 20,
                transfer_gb: 200,
                hourly_micros: UsdMicros(4_500),
                monthly_micros: UsdMicros(3_000_000),
                gpu_model: None,
            }),
            note: "billed in euros".to_owned(),
        }
    }

    fn ended() -> Template {
        Template {
            id: "equinix-c3-small".to_owned(),
            provider: ProviderName::Equinix,
            memory_mib: 1_536,
            gpus: 2,
            gpu_model: Some("NVIDIA T4".to_owned()),
            price: None,
            usd_hourly_micros: None,
            ended: Some(date(2026, 6, 30)),
            ..template()
        }
    }

    #[test]
    fn templates_as_a_table() {
        let look = Look { width: Some(120), ..look() };
        insta::assert_snapshot!(table(&VIEW, &[template(), ended()], false, &look));
    }

    #[test]
    fn a_template_shows_its_regions_and_its_first_figures() {
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&template(), &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }

    #[test]
    fn the_rate_is_told_with_its_day() {
        assert_eq!(
            said(&ExchangeRate::DEFAULT),
            "prices in EUR compared at 1.0389 USD for a euro, the rate of 2024-12-31"
        );
    }
}
