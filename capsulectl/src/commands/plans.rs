//! Plans: what a deployment would choose, and why the rest lost.

use capsule_api::{Plan, PlannedOffer, Rejection, UsdMicros};

use super::Session;
use crate::{
    args::templates::PlanArgs,
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Sheet, Tone, View},
};

/// Columns of offers.
pub const OFFERS: View<PlannedOffer> = View {
    columns: &[
        Column { title: "#", fit: Fit::Number, cell: |o, _| o.rank.to_string().into() },
        Column {
            title: "TEMPLATE",
            fit: Fit::Keep,
            cell: |o, _| Cell::toned(Tone::Name, o.template.clone()),
        },
        Column { title: "ACCOUNT", fit: Fit::Keep, cell: |o, _| o.account.as_str().into() },
        Column { title: "REGION", fit: Fit::Keep, cell: |o, _| o.region.clone().into() },
        Column { title: "CPU", fit: Fit::Number, cell: |o, _| o.vcpus.to_string().into() },
        Column { title: "MIB", fit: Fit::Number, cell: |o, _| o.memory_mib.to_string().into() },
        Column {
            title: "HOUR",
            fit: Fit::Number,
            cell: |o, _| UsdMicros(o.price.hourly_micros).to_string().into(),
        },
        Column { title: "CUR", fit: Fit::Keep, cell: |o, _| o.price.currency.as_str().into() },
        Column { title: "USD/H", fit: Fit::Number, cell: |o, _| price(o) },
        Column { title: "USD/MONTH", fit: Fit::Number, cell: |o, _| cents(o.usd_monthly).into() },
        Column { title: "PLAN", fit: Fit::Wide, cell: |o, _| o.plan.clone().into() },
    ],
    name: |offer| offer.template.clone(),
    empty: "nothing fits",
};

const REJECTED: View<Rejection> = View {
    columns: &[
        Column { title: "TEMPLATE", fit: Fit::Keep, cell: |r, _| r.template.clone().into() },
        Column { title: "REGION", fit: Fit::Keep, cell: |r, look| Cell::maybe(r.region.as_ref(), look) },
        Column { title: "WHY NOT", fit: Fit::Cut, cell: |r, _| r.reasons.join("; ").into() },
    ],
    name: |rejection| rejection.template.clone(),
    empty: "",
};

/// Offers and rejections shown to people; JSON has all.
const SHOWN: usize = 10;

fn price(offer: &PlannedOffer) -> Cell {
    let tone = if offer.stale { Tone::Warn } else { Tone::Plain };
    Cell::toned(tone, offer.usd_hourly.to_string())
}

fn cents(amount: UsdMicros) -> String {
    UsdMicros((amount.0 + 5_000).div_euclid(10_000) * 10_000).to_string()
}

/// `templates plan`.
pub async fn run(session: &Session, args: &PlanArgs) -> Result<Outcome> {
    let answer = session.client.post("/v1/plans", &args.request()).await?;
    let view = View::<Plan> { columns: &[], name: |plan| plan.fingerprint.clone(), empty: "" };
    session.out.one(&answer, &view, page)?;
    Ok(Outcome::Done)
}

/// A plan for people: the best offers, and what came closest of the rest.
pub fn page(plan: &Plan, sheet: &mut Sheet<'_>) {
    let rest = |shown: usize, all: usize, more: u64| (all - shown) as u64 + more;
    sheet.section("What fits, cheapest first");
    let offers = plan.offers.get(..SHOWN).unwrap_or(&plan.offers);
    if offers.is_empty() {
        sheet.line("  nothing");
    } else {
        sheet.table(&OFFERS, offers);
    }
    let more = rest(offers.len(), plan.offers.len(), plan.more_offers);
    if 0 < more {
        sheet.line(&format!("  and {more} more"));
    }
    let rejected = plan.rejected.get(..SHOWN).unwrap_or(&plan.rejected);
    if !rejected.is_empty() {
        sheet.section("Why not the others");
        sheet.table(&REJECTED, rejected);
        let more = rest(rejected.len(), plan.rejected.len(), plan.more_rejected);
        if 0 < more {
            sheet.line(&format!("  and {more} more"));
        }
    }
    let worth = UsdMicros(plan.rate.usd_per_eur_micros);
    sheet.line("");
    sheet.line(&format!("  euros compared at {worth} USD, the rate of {}", plan.rate.date));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Look, look::tests::look};

    #[test]
    fn a_plan_shows_its_offers_and_why_the_rest_lost() {
        let plan: Plan = serde_json::from_value(serde_json::json!({
            "request": {"min_cpu": 2},
            "offers": [{
                "rank": 1, "account": "work", "provider": "scaleway", "template": "scaleway-dev1-s",
                "plan": "DEV1-S", "region": "fr-par-1", "vcpus": 2, "memory_mib": 2_048, "disk_gb": 20,
                "gpus": 0, "arch": "x86_64", "bare_metal": false,
                "price": {"currency": "EUR", "hourly_micros": 8_976, "monthly_micros": 6_552_480},
                "usd_hourly": 9_325, "usd_monthly": 6_807_372, "stale": false
            }],
            "more_offers": 3,
            "rejected": [
                {"template": "linode-2gb", "provider": "linode", "region": null,
                    "reasons": ["1 CPUs, at least 2 wanted", "sold out"]}
            ],
            "more_rejected": 12,
            "fingerprint": "00",
            "rate": {"usd_per_eur_micros": 1_038_900, "date": "2024-12-31"}
        }))
        .expect("a plan");
        let look = Look { width: Some(100), ..look() };
        let mut sheet = Sheet::new(&look);
        page(&plan, &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}
