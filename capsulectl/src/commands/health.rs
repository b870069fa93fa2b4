//! `monitor health`: the checks of one server, their newest results and their history.

use capsule_api::{CheckHealth, HistoryFilter, ProbePoint, XNodeHealth};
use jiff::{SignedDuration, Timestamp};

use super::{Session, inventory, operations};
use crate::{
    args::monitor::HealthArgs,
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View, parse_rows, text, words},
};

/// Characters of a graph.
const GRAPH: usize = 40;

const VIEW: View<XNodeHealth> = super::status::HEALTH;

const CHECKS: View<CheckHealth> = View {
    columns: &[
        Column { title: "CHECK", fit: Fit::Keep, cell: |c, _| Cell::toned(Tone::Name, c.name.as_str()) },
        Column { title: "KIND", fit: Fit::Drop(4), cell: |c, _| c.kind.as_str().into() },
        Column { title: "STATUS", fit: Fit::Keep, cell: |c, look| words::check(c.status, look) },
        Column {
            title: "SINCE",
            fit: Fit::Number,
            cell: |c, look| text::age_or_absent(c.since, look).into(),
        },
        Column {
            title: "LATENCY",
            fit: Fit::Number,
            cell: |c, look| {
                Cell::maybe(c.last.as_ref().and_then(|last| last.latency_us).map(text::latency), look)
            },
        },
        Column {
            title: "UPTIME 24H",
            fit: Fit::Drop(2),
            cell: |c, look| Cell::maybe(c.uptime_percent.map(|share| format!("{share:.2} %")), look),
        },
        Column {
            title: "NEXT",
            fit: Fit::Drop(3),
            cell: |c, look| Cell::maybe(c.next_at.map(|at| text::until(at, look.now)), look),
        },
        Column {
            title: "LAST RESULT",
            fit: Fit::Cut,
            cell: |c, look| Cell::maybe(c.last.as_ref().map(|last| last.detail.clone()), look),
        },
    ],
    name: |check| check.name.to_string(),
    empty: "no checks",
};

const POINTS: View<ProbePoint> = View {
    columns: &[
        Column { title: "CHECK", fit: Fit::Keep, cell: |p, _| p.check.as_str().into() },
        Column {
            title: "AT",
            fit: Fit::Keep,
            cell: |p, _| Cell::from(text::moment(p.at)).exactly(p.at.to_string()),
        },
        Column {
            title: "SPAN",
            fit: Fit::Drop(1),
            cell: |p, look| {
                let span = (p.span_ms > 0).then(|| text::span_ms(p.span_ms.unsigned_abs()));
                Cell::maybe(span, look).exactly(p.span_ms.to_string())
            },
        },
        Column {
            title: "PASSED",
            fit: Fit::Number,
            cell: |p, _| {
                let tone = if p.passed < p.probes { Tone::Bad } else { Tone::Good };
                Cell::toned(tone, format!("{}/{}", p.passed, p.probes))
            },
        },
        Column { title: "MIN", fit: Fit::Drop(2), cell: |p, look| latency_cell(p.latency_min_us, look) },
        Column { title: "AVG", fit: Fit::Number, cell: |p, look| latency_cell(p.latency_avg_us, look) },
        Column { title: "MAX", fit: Fit::Drop(3), cell: |p, look| latency_cell(p.latency_max_us, look) },
        Column { title: "DETAIL", fit: Fit::Cut, cell: |p, look| Cell::maybe(p.detail.as_ref(), look) },
    ],
    name: |point| point.at.to_string(),
    empty: "no results in that time",
};

fn latency_cell(us: Option<u64>, look: &Look) -> Cell {
    let exact = us.map(|us| us.to_string()).unwrap_or_default();
    Cell::maybe(us.map(text::latency), look).exactly(exact)
}

/// `monitor health`.
pub async fn run(session: &Session, args: &HealthArgs) -> Result<Outcome> {
    let path = inventory::path(&args.xnode);
    if args.run_check {
        let started = session.client.post(&format!("{path}/health/run"), &serde_json::json!({})).await?;
        if operations::follow(session, &started, &args.wait).await?.is_none() {
            return Ok(Outcome::Done);
        }
    }
    let filter = HistoryFilter {
        since: Some(since(session.out.look.now, args.since)),
        check: args.check.clone(),
        ..HistoryFilter::default()
    };
    if args.history {
        let points = session.client.list_all(&format!("{path}/health/history"), &filter).await?;
        session.out.list(&points, &POINTS)?;
        return Ok(Outcome::Done);
    }
    let answer = session.client.get(&format!("{path}/health")).await?;
    let mut points: Vec<ProbePoint> = Vec::new();
    if session.out.is_for_people() {
        let rows = session.client.list_all(&format!("{path}/health/history"), &filter).await?;
        points = parse_rows(&rows)?;
    }
    session.out.one(&answer, &VIEW, |health, sheet| page(health, &points, args.since, sheet))?;
    Ok(Outcome::Done)
}

/// The moment `back` before `now`.
pub fn since(now: Timestamp, back: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(back)
        .ok()
        .and_then(|back| now.checked_sub(back).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The checks of a server and their history, for people.
pub fn page(health: &XNodeHealth, points: &[ProbePoint], back: std::time::Duration, sheet: &mut Sheet<'_>) {
    let look = sheet.look;
    let cell = words::health(health.health, look);
    let since = text::age_or_absent(health.since, look);
    sheet.title(health.name.as_str(), &format!("{} for {since}", cell.text));
    sheet.section("Checks");
    sheet.table(&CHECKS, &health.checks);
    if points.is_empty() {
        return;
    }
    sheet.section(&format!("Latency, last {}", text::span(back)));
    let width = health.checks.iter().map(|check| check.name.as_str().len()).max().unwrap_or(0);
    for check in &health.checks {
        let own: Vec<&ProbePoint> = points.iter().filter(|point| point.check == check.name).collect();
        if own.is_empty() {
            continue;
        }
        let name = format!("{:<width$}", check.name.as_str());
        sheet.line(&format!("  {name}  {}  {}", graph(&own, look), numbers(&own, look)));
    }
}

/// Latency over time; a stretch with a failure shows as a cross, because a gap would look like calm.
fn graph(points: &[&ProbePoint], look: &Look) -> String {
    let cells = GRAPH.min(points.len());
    let latencies: Vec<f64> =
        points.iter().filter_map(|point| point.latency_avg_us).map(|us| us as f64).collect();
    let high = latencies.iter().copied().fold(0.0, f64::max);
    let mut out = String::new();
    for cell in 0..cells {
        let part = &points[cell * points.len() / cells..(cell + 1) * points.len() / cells];
        if part.iter().any(|point| point.passed < point.probes) {
            out.push_str(&look.paint(Tone::Bad, look.icon(crate::output::Icon::Cross)));
            continue;
        }
        let known: Vec<f64> =
            part.iter().filter_map(|point| point.latency_avg_us).map(|us| us as f64).collect();
        match known.is_empty() {
            true => out.push(' '),
            false => {
                let mean = known.iter().sum::<f64>() / known.len() as f64;
                out.push_str(&text::sparkline(&[mean], 1, 0.0, high, look));
            }
        }
    }
    let padding = " ".repeat(GRAPH - cells);
    out + &padding
}

fn numbers(points: &[&ProbePoint], look: &Look) -> String {
    let probes: u32 = points.iter().map(|point| point.probes).sum();
    let passed: u32 = points.iter().map(|point| point.passed).sum();
    let low = points.iter().filter_map(|point| point.latency_min_us).min();
    let high = points.iter().filter_map(|point| point.latency_max_us).max();
    let passed = format!("{passed}/{probes} passed");
    match (low, high) {
        (Some(low), Some(high)) => {
            [passed, format!("{} to {}", text::latency(low), text::latency(high))].join(look.dot())
        }
        _ => passed,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::output::look::tests::look;

    /// A server whose HTTP check fails.
    pub fn health() -> XNodeHealth {
        serde_json::from_value(serde_json::json!({
            "xnode_id": "01939c3e-0000-7000-8000-000000000001", "name": "web-1", "health": "degraded",
            "since": "2026-11-21T11:55:00Z",
            "checks": [
                {"id": "01939c3e-0000-7000-8000-0000000000c1", "name": "ping", "kind": "ping", "status": "up",
                    "since": "2026-11-20T00:00:00Z", "failures": 0,
                    "last": {"at": "2026-11-21T11:59:00Z", "outcome": "up", "latency_us": 1234, "detail": "reply"},
                    "next_at": "2026-11-21T12:04:00Z", "uptime_percent": 99.86},
                {"id": "01939c3e-0000-7000-8000-0000000000c2", "name": "front", "kind": "http", "status": "down",
                    "since": "2026-11-21T11:55:00Z", "failures": 10,
                    "last": {"at": "2026-11-21T11:59:30Z", "outcome": "down", "latency_us": null,
                        "detail": "503 Service Unavailable, wanted 200-399"},
                    "next_at": "2026-11-21T12:00:00Z", "uptime_percent": 97.1}
            ]
        }))
        .expect("health")
    }

    #[test]
    fn health_shows_checks_and_their_history() {
        let points: Vec<ProbePoint> = (0..60)
            .map(|minute| {
                let failed = u32::from(minute == 30);
                serde_json::from_value(serde_json::json!({
                    "check": "ping", "at": "2026-11-21T11:00:00Z", "span_ms": 60_000, "probes": 2,
                    "passed": 2 - failed, "latency_min_us": 900, "latency_avg_us": 1000 + minute * 50,
                    "latency_max_us": 9_000
                }))
                .expect("a point")
            })
            .collect();
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&health(), &points, std::time::Duration::from_secs(86_400), &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}
