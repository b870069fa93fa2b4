//! `monitor status`: how the fleet is, briefly or server by server.

use capsule_api::{Alert, AlertFilter, CheckStatus, Overview, XNodeHealth};
use serde::Serialize;

use super::{Session, alerts, overview};
use crate::{
    args::monitor::StatusArgs,
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View, parse_rows, text, words},
};

/// What programs get.
#[derive(Serialize)]
struct Status {
    overview: Overview,
    alerts: Vec<Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xnodes: Option<Vec<XNodeHealth>>,
}

const VIEW: View<Status> = View {
    columns: &[
        Column {
            title: "HEALTHY",
            fit: Fit::Number,
            cell: |s, _| s.overview.health.healthy.to_string().into(),
        },
        Column {
            title: "DEGRADED",
            fit: Fit::Number,
            cell: |s, _| s.overview.health.degraded.to_string().into(),
        },
        Column {
            title: "UNHEALTHY",
            fit: Fit::Number,
            cell: |s, _| s.overview.health.unhealthy.to_string().into(),
        },
        Column {
            title: "UNKNOWN",
            fit: Fit::Number,
            cell: |s, _| s.overview.health.unknown.to_string().into(),
        },
        Column { title: "ALERTS", fit: Fit::Number, cell: |s, _| s.alerts.len().to_string().into() },
    ],
    name: |status| status.overview.health.total().to_string(),
    empty: "nothing",
};

/// Columns of the health of servers.
pub const HEALTH: View<XNodeHealth> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |x, _| Cell::toned(Tone::Name, x.name.as_str()) },
        Column { title: "HEALTH", fit: Fit::Keep, cell: |x, look| words::health(x.health, look) },
        Column {
            title: "SINCE",
            fit: Fit::Number,
            cell: |x, look| text::age_or_absent(x.since, look).into(),
        },
        Column { title: "CHECKS", fit: Fit::Cut, cell: checks_cell },
        Column { title: "UPTIME 24H", fit: Fit::Drop(1), cell: |x, look| uptime_cell(x, look) },
    ],
    name: |health| health.name.to_string(),
    empty: "no xnodes",
};

/// `monitor status`.
pub async fn run(session: &Session, args: &StatusArgs) -> Result<Outcome> {
    let overview: Overview = session.client.get("/v1/overview").await?.parse()?;
    let open = session.client.list("/v1/alerts", &AlertFilter::default()).await?;
    let xnodes = match args.detailed {
        true => Some(parse_rows(&session.client.list("/v1/health", &()).await?)?),
        false => None,
    };
    let status = Status { overview, alerts: parse_rows(&open)?, xnodes };
    session.out.typed_one(&status, &VIEW, |status, sheet| {
        let total = text::count(status.overview.health.total().into(), "xnode");
        sheet.title("Monitoring", &total);
        overview::fleet(&status.overview, sheet);
        if !status.alerts.is_empty() {
            sheet.section(&format!("Open alerts ({})", status.alerts.len()));
            sheet.table(&alerts::VIEW, &status.alerts);
        }
        if let Some(xnodes) = &status.xnodes {
            detailed(xnodes, sheet);
        }
    })?;
    let found = args.exit_code && !status.alerts.is_empty();
    Ok(if found { Outcome::Found } else { Outcome::Done })
}

fn detailed(xnodes: &[XNodeHealth], sheet: &mut Sheet<'_>) {
    sheet.section("xNodes");
    sheet.table(&HEALTH, xnodes);
    for xnode in
        xnodes.iter().filter(|xnode| xnode.checks.iter().any(|check| check.status == CheckStatus::Down))
    {
        sheet.section(&format!("Failing on {}", xnode.name));
        for check in xnode.checks.iter().filter(|check| check.status == CheckStatus::Down) {
            let why = check.last.as_ref().map_or("", |last| last.detail.as_str());
            let since = text::age_or_absent(check.since, sheet.look);
            sheet.toned_field(check.name.as_str(), Tone::Bad, &format!("for {since}: {why}"));
        }
    }
}

fn checks_cell(xnode: &XNodeHealth, look: &Look) -> Cell {
    let mark = |status: CheckStatus| words::check(status, look).text.chars().next().unwrap_or('?');
    let parts: Vec<String> =
        xnode.checks.iter().map(|check| format!("{}{}", mark(check.status), check.name)).collect();
    Cell::maybe((!parts.is_empty()).then(|| parts.join(" ")), look)
}

/// The worst check's uptime: an average would hide the one that is down.
fn uptime_cell(xnode: &XNodeHealth, look: &Look) -> Cell {
    let worst = xnode.checks.iter().filter_map(|check| check.uptime_percent).min_by(f64::total_cmp);
    Cell::maybe(worst.map(|share| format!("{share:.2} %")), look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commands::health::tests::health, output::look::tests::look};

    #[test]
    fn the_detailed_status_names_each_failing_check() {
        let look = look();
        let mut sheet = Sheet::new(&look);
        detailed(&[health()], &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}
