//! `history`, `stats` and `cleanup`: the servers that are and were.

use std::time::Duration;

use capsule_api::{HistoryCleanUp, HistoryCleaned, InventoryStats, LabelCount, Lifetime, LifetimeFilter};

use super::{Session, ask, costs::cents};
use crate::{
    args::costs::HistoryArgs,
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Sheet, View, text},
};

const LIFETIMES: View<Lifetime> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |l, _| l.name.clone().into() },
        Column { title: "PROVIDER", fit: Fit::Keep, cell: |l, look| Cell::maybe(l.provider.clone(), look) },
        Column {
            title: "TEMPLATE",
            fit: Fit::Drop(2),
            cell: |l, look| Cell::maybe(l.template.clone(), look),
        },
        Column { title: "REGION", fit: Fit::Drop(1), cell: |l, look| Cell::maybe(l.region.clone(), look) },
        Column {
            title: "DEPLOYED",
            fit: Fit::Keep,
            cell: |l, _| Cell::from(text::moment(l.deployed_at)).exactly(l.deployed_at.to_string()),
        },
        Column {
            title: "TERMINATED",
            fit: Fit::Keep,
            cell: |l, look| {
                let exact = l.terminated_at.map(|at| at.to_string()).unwrap_or_default();
                Cell::maybe(l.terminated_at.map(text::moment), look).exactly(exact)
            },
        },
        Column {
            title: "LASTED",
            fit: Fit::Number,
            cell: |l, _| {
                let lasted = text::span(Duration::from_secs(l.lifetime_seconds));
                Cell::from(lasted).exactly(l.lifetime_seconds.to_string())
            },
        },
        Column { title: "COST USD", fit: Fit::Number, cell: |l, _| cents(l.total_cost_micros) },
        Column { title: "ACCOUNT", fit: Fit::Wide, cell: |l, look| Cell::maybe(l.account.clone(), look) },
        Column { title: "TAGS", fit: Fit::Wide, cell: |l, _| l.tags.join(",").into() },
        Column { title: "ID", fit: Fit::Wide, cell: |l, _| l.xnode_id.to_string().into() },
    ],
    name: |life| life.name.clone(),
    empty: "no server was ever added",
};

const STATS: View<InventoryStats> = View {
    columns: &[
        Column { title: "XNODES", fit: Fit::Number, cell: |s, _| s.xnodes.to_string().into() },
        Column {
            title: "TOTAL DEPLOYED",
            fit: Fit::Number,
            cell: |s, _| s.total_deployed.to_string().into(),
        },
        Column { title: "TOTAL RUNNING", fit: Fit::Number, cell: |s, _| s.total_running.to_string().into() },
        Column {
            title: "TOTAL TERMINATED",
            fit: Fit::Number,
            cell: |s, _| s.total_terminated.to_string().into(),
        },
        Column {
            title: "TOTAL LIFETIME COST",
            fit: Fit::Number,
            cell: |s, _| s.total_lifetime_cost_micros.to_string().into(),
        },
        Column { title: "COST PER HOUR", fit: Fit::Number, cell: |s, _| s.hourly_micros.to_string().into() },
    ],
    name: |stats| stats.xnodes.to_string(),
    empty: "nothing",
};

const COUNTS: View<LabelCount> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |c, look| Cell::maybe(c.name.clone(), look) },
        Column { title: "XNODES", fit: Fit::Number, cell: |c, _| c.xnodes.to_string().into() },
    ],
    name: |count| count.name.clone().unwrap_or_default(),
    empty: "none",
};

/// `history`.
pub async fn list(session: &Session, args: &HistoryArgs) -> Result<Outcome> {
    let filter = LifetimeFilter {
        xnode: args.xnode_id.clone(),
        provider: args.provider.clone(),
        ..LifetimeFilter::default()
    };
    let rows = session.client.list_first("/v1/history", &filter, args.limit).await?;
    session.out.list(&rows, &LIFETIMES)?;
    Ok(Outcome::Done)
}

/// `stats`.
pub async fn stats(session: &Session) -> Result<Outcome> {
    let answer = session.client.get("/v1/stats").await?;
    session.out.one(&answer, &STATS, stats_page)?;
    Ok(Outcome::Done)
}

fn stats_page(stats: &InventoryStats, sheet: &mut Sheet<'_>) {
    sheet.title("Inventory", &format!("{} xnodes", stats.xnodes));
    sheet.field("ever deployed", &stats.total_deployed.to_string());
    sheet.field("running", &stats.total_running.to_string());
    sheet.field("removed", &stats.total_terminated.to_string());
    sheet.field("cost so far", &format!("${}", cents(stats.total_lifetime_cost_micros).text));
    sheet.field("cost per hour", &format!("${}", stats.hourly_micros));
    sheet.section("By status");
    for count in stats.by_status.iter().filter(|count| 0 < count.xnodes) {
        sheet.field(count.status.as_str(), &count.xnodes.to_string());
    }
    sheet.section("By health");
    for count in stats.by_health.iter().filter(|count| 0 < count.xnodes) {
        sheet.field(count.health.as_str(), &count.xnodes.to_string());
    }
    for (title, counts) in
        [("By provider", &stats.by_provider), ("By region", &stats.by_region), ("By tag", &stats.by_tag)]
    {
        if !counts.is_empty() {
            sheet.section(title);
            sheet.table(&COUNTS, counts);
        }
    }
}

/// `cleanup`: says how many, asks, forgets.
pub async fn clean_up(session: &Session, days: u32) -> Result<Outcome> {
    let found = cleaned(session, HistoryCleanUp { days, dry_run: true }).await?;
    let servers = |count: u32| if count == 1 { "1 server".to_owned() } else { format!("{count} servers") };
    if found.forgotten == 0 {
        session.out.note(&format!("no server was removed more than {days} days ago"));
        return Ok(Outcome::Done);
    }
    let what = servers(found.forgotten);
    ask::confirm(session, &format!("forget the history of {what} removed more than {days} days ago?"))?;
    let done = cleaned(session, HistoryCleanUp { days, dry_run: false }).await?;
    session.out.done(&format!("forgot the history of {}", servers(done.forgotten)));
    Ok(Outcome::Done)
}

async fn cleaned(session: &Session, what: HistoryCleanUp) -> Result<HistoryCleaned> {
    session.client.post("/v1/history/clean-up", &what).await?.parse()
}
