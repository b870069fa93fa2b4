//! `docs/templates.md`, made from the files that ship, so that no difference goes unexplained.
//! `UPDATE_TEMPLATES=1` writes it again.

use std::fmt::Write;

use capsule_api::{Currency, OriginalFigures, Price, PriceSource, Template, UsdMicros};

use super::shipped;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/templates.md");

const INTRODUCTION: &str = "\
# Templates and regions that ship with Capsule

Written by a test from `capsuled/data/templates.csv` and `capsuled/data/regions.csv`.

The ids are those of Capsule's first version and stay as they are. Where its figures were not the provider's, the \
provider's are used and the first ones are kept beside them (`original` in the API, *In the first version* in \
`capsulectl templates show`). A price has the day on which it was seen. *Unchecked* is a figure of the first version \
that nobody could compare with the provider's. These figures serve until an account is configured: then \
`capsulectl templates refresh`, and the daemon once a day, replace prices, stock and plans by the provider's own list.

Prices in EUR stay in EUR. To compare them Capsule uses one dated rate, which ships as 1.0389 USD for a euro (the \
European Central Bank's reference rate of 2024-12-31); `capsulectl templates rate 1.0845 --date 2026-11-20` sets \
another one. Nothing is billed through it.

A region without a name at the provider is found by a refresh: Hivelocity names facilities (`TPA1`), the first version \
named cities.
";

fn money(price: &Price) -> String {
    let amount = |micros: i64| UsdMicros(micros).to_string();
    let month = price.monthly_micros.map(|micros| format!(", {} a month", amount(micros)));
    format!("{} {} an hour{}", amount(price.hourly_micros), price.currency, month.unwrap_or_default())
}

fn size(vcpus: u32, memory_mib: u64, disk_gb: u64, gpu: Option<&String>) -> String {
    let gpu = gpu.map(|model| format!(", {model}")).unwrap_or_default();
    let disk = if disk_gb == 0 { "no disk of its own".to_owned() } else { format!("{disk_gb} GB disk") };
    format!("{vcpus} CPU, {} GB, {disk}{gpu}", memory_mib / 1_024)
}

fn first(original: &OriginalFigures) -> (String, String) {
    let price = Price {
        currency: Currency::Usd,
        hourly_micros: original.hourly_micros.0,
        monthly_micros: Some(original.monthly_micros.0),
    };
    let size = size(original.vcpus, original.memory_mib, original.disk_gb, original.gpu_model.as_ref());
    (size, money(&price))
}

fn seen(template: &Template) -> String {
    match (template.source, template.observed_at) {
        (PriceSource::Listed, Some(at)) => at.strftime("%Y-%m-%d").to_string(),
        _ if template.price.is_none() => "no price".to_owned(),
        _ => "unchecked".to_owned(),
    }
}

fn row(template: &Template) -> String {
    let figures = size(template.vcpus, template.memory_mib, template.disk_gb, template.gpu_model.as_ref());
    let price = template.price.as_ref().map_or_else(|| "known after a refresh".to_owned(), money);
    let (first_size, first_price) = template.original.as_ref().map(first).unwrap_or_default();
    let same = |now: &str, then: String| if then == now { "same".to_owned() } else { then };
    let plan = template.plan.as_deref().map_or_else(|| "by size".to_owned(), |plan| format!("`{plan}`"));
    format!(
        "| `{}` | {plan} | {figures} | {price} | {} | {} | {} | {} |\n",
        template.id,
        seen(template),
        same(&figures, first_size),
        same(&price, first_price),
        template.note,
    )
}

fn document() -> String {
    let shipped = super::parse(shipped::TEMPLATES, shipped::REGIONS).expect("well-formed");
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n## Templates\n\n");
    text.push_str(
        "| id | plan there | size | price | seen | first version: size | price | what is to be known |\n",
    );
    text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    text.extend(shipped.templates.iter().map(row));
    text.push_str("\n## Regions\n\n| provider | name | name there | place | what is to be known |\n");
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for region in &shipped.regions {
        let there = region.region.as_deref().map_or_else(String::new, |name| format!("`{name}`"));
        let (provider, name) = (region.provider, &region.name);
        writeln!(text, "| {provider} | `{name}` | {there} | {} | {} |", region.title, region.note)
            .expect("a string takes everything");
    }
    text
}

#[test]
fn the_page_about_templates_says_what_ships() {
    let made = document();
    if std::env::var_os("UPDATE_TEMPLATES").is_some() {
        std::fs::write(FILE, &made).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        committed == made,
        "docs/templates.md is stale: run `UPDATE_TEMPLATES=1 cargo test -p capsuled catalogue`"
    );
}
