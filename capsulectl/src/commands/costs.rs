//! `cost-report`: the present rate, the month, and where the money goes.

use capsule_api::{CostGroup, CostGrouping, CostQuery, CostReport, CostXNode, UsdMicros};

use super::Session;
use crate::{
    args::{Format, costs::CostReportArgs},
    client::{query_pairs, with_query},
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Sheet, Tone, View},
};

const GROUPS: View<CostGroup> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |g, look| Cell::maybe(g.name.clone(), look) },
        Column { title: "XNODES", fit: Fit::Number, cell: |g, _| g.xnodes.to_string().into() },
        Column {
            title: "USD/H",
            fit: Fit::Number,
            cell: |g, _| exactly(g.rate.hourly_micros, g.rate.hourly_micros.to_string()),
        },
        Column { title: "USD/DAY", fit: Fit::Drop(3), cell: |g, _| cents(g.rate.daily_micros) },
        Column { title: "USD/MONTH", fit: Fit::Number, cell: |g, _| cents(g.rate.monthly_micros) },
        Column { title: "USD/YEAR", fit: Fit::Drop(2), cell: |g, _| cents(g.rate.annual_micros) },
        Column { title: "THIS MONTH", fit: Fit::Number, cell: |g, _| cents(g.month_micros) },
        Column { title: "FORECAST", fit: Fit::Drop(1), cell: |g, _| cents(g.forecast_micros) },
    ],
    name: |group| group.name.clone().unwrap_or_default(),
    empty: "nothing costs anything; `capsulectl inventory edit NAME --hourly-cost USD` says what a server costs",
};

const XNODES: View<CostXNode> = View {
    columns: &[
        Column { title: "XNODE", fit: Fit::Keep, cell: |x, _| x.name.clone().into() },
        Column {
            title: "PROVIDER",
            fit: Fit::Drop(1),
            cell: |x, look| Cell::maybe(x.provider.clone(), look),
        },
        Column {
            title: "USD/H",
            fit: Fit::Number,
            cell: |x, _| exactly(x.hourly_micros, x.hourly_micros.to_string()),
        },
        Column { title: "USD/DAY", fit: Fit::Number, cell: |x, _| cents(x.daily_micros) },
        Column { title: "THIS MONTH", fit: Fit::Number, cell: |x, _| cents(x.month_micros) },
    ],
    name: |xnode| xnode.name.clone(),
    empty: "none",
};

/// An amount rounded to cents for people and exact in CSV. Integer arithmetic: money is never a float.
pub fn cents(amount: UsdMicros) -> Cell {
    let cents = (i128::from(amount.0) + 5_000).div_euclid(10_000);
    exactly(amount, format!("{}.{:02}", cents / 100, cents % 100))
}

fn exactly(amount: UsdMicros, text: String) -> Cell {
    Cell::from(text).exactly(amount.to_string())
}

/// `cost-report`.
pub async fn report(session: &Session, args: &CostReportArgs) -> Result<Outcome> {
    let query = CostQuery { by: Some(args.by), month: args.month.clone() };
    let answer = session.client.get(&with_query("/v1/costs", &query_pairs(&query))).await?;
    match session.out.format {
        Format::Csv | Format::Name => {
            let report: CostReport = answer.parse()?;
            session.out.typed_list(&report.groups, &GROUPS)?;
        }
        _ => session.out.one(&answer, &WHOLE, page)?,
    }
    Ok(Outcome::Done)
}

/// The report as one row; CSV and names show its groups instead.
const WHOLE: View<CostReport> = View {
    columns: &[Column { title: "MONTH", fit: Fit::Keep, cell: |r, _| r.month.clone().into() }],
    name: |report| report.month.clone(),
    empty: "nothing",
};

fn page(report: &CostReport, sheet: &mut Sheet<'_>) {
    let usd = |amount: UsdMicros| format!("${}", cents(amount).text);
    sheet.title("Costs", &report.month);
    sheet.field("xnodes", &format!("{} billed", report.xnodes));
    sheet.field("per hour", &format!("${}", report.rate.hourly_micros));
    sheet.field("per day", &usd(report.rate.daily_micros));
    sheet.field("per month", &format!("{} (730 hours)", usd(report.rate.monthly_micros)));
    sheet.field("per year", &usd(report.rate.annual_micros));
    sheet.field("in this month", &usd(report.month_micros));
    sheet.field("forecast", &format!("{} by the month's end", usd(report.forecast_micros)));
    if UsdMicros(0) < report.discount_micros {
        sheet.toned_field(
            "discounts",
            Tone::Good,
            &format!("{} taken off this month", usd(report.discount_micros)),
        );
    }
    sheet.section(match report.by {
        CostGrouping::Provider => "By provider",
        CostGrouping::Region => "By region",
        CostGrouping::Tag => "By tag",
        CostGrouping::XNode => "By xNode",
    });
    if report.groups.is_empty() {
        sheet.line(&format!("  {}", GROUPS.empty));
    } else {
        sheet.table(&GROUPS, &report.groups);
    }
    for (title, rows) in [
        ("Most expensive", &report.most_expensive),
        ("Stopped and billed", &report.stopped),
        ("Dead and billed", &report.dead),
    ] {
        if !rows.is_empty() {
            sheet.section(title);
            sheet.table(&XNODES, rows);
        }
    }
}
