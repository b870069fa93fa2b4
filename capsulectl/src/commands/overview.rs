//! The overview: what `capsulectl` alone shows.

use capsule_api::{Alert, AlertFilter, Overview, Profile, ServerInfo};

use super::{Session, alerts, profiles};
use crate::{
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Icon, Look, Sheet, Tone, View, parse_rows, text},
};

/// How many alerts the overview lists.
const ALERTS: usize = 5;

/// Columns of the overview, for CSV.
pub const VIEW: View<Overview> = View {
    columns: &[
        Column { title: "HEALTHY", fit: Fit::Number, cell: |o, _| o.health.healthy.to_string().into() },
        Column { title: "DEGRADED", fit: Fit::Number, cell: |o, _| o.health.degraded.to_string().into() },
        Column { title: "UNHEALTHY", fit: Fit::Number, cell: |o, _| o.health.unhealthy.to_string().into() },
        Column { title: "UNKNOWN", fit: Fit::Number, cell: |o, _| o.health.unknown.to_string().into() },
        Column { title: "CHECKS", fit: Fit::Number, cell: |o, _| o.checks.to_string().into() },
        Column { title: "CRITICAL", fit: Fit::Number, cell: |o, _| o.critical_alerts.to_string().into() },
        Column { title: "WARNING", fit: Fit::Number, cell: |o, _| o.warning_alerts.to_string().into() },
        Column { title: "INFO", fit: Fit::Number, cell: |o, _| o.info_alerts.to_string().into() },
        Column {
            title: "COST PER HOUR",
            fit: Fit::Number,
            cell: |o, _| Cell::from(o.hourly_cost_micros.to_string()),
        },
    ],
    name: |overview| overview.health.total().to_string(),
    empty: "nothing",
};

/// `capsulectl` without a command.
pub async fn show(session: &Session) -> Result<Outcome> {
    let overview = session.client.get("/v1/overview").await?;
    if !session.out.is_for_people() {
        session.out.one(&overview, &VIEW, |_, _| {})?;
        return Ok(Outcome::Done);
    }
    let info: ServerInfo = session.client.get("/v1").await?.parse()?;
    let open = session.client.list_first("/v1/alerts", &AlertFilter::default(), ALERTS).await?;
    let open: Vec<Alert> = parse_rows(&open)?;
    // The fleet is worth showing also where the profile cannot be read.
    let profile: Option<Profile> = match profiles::fetch(session, None).await {
        Ok(answer) => Some(answer.parse()?),
        Err(_) => None,
    };
    session.out.one(&overview, &VIEW, |overview, sheet| {
        let up = text::age(info.started_at, sheet.look.now);
        let right = format!("up {up}{}{} ({})", sheet.look.dot(), info.user, info.role);
        sheet.title(&format!("Capsule {}", info.server_version), &right);
        fleet(overview, sheet);
        if let Some(profile) = &profile {
            sheet.field("profile", &profile.name);
        }
        open_alerts(overview, &open, sheet);
        next_steps(overview, sheet);
    })?;
    Ok(Outcome::Done)
}

/// Counts, cost and how probing goes, in a frame.
pub fn fleet(overview: &Overview, sheet: &mut Sheet<'_>) {
    let look = sheet.look;
    let counts = &overview.health;
    let tone = match (counts.unhealthy, counts.degraded, counts.healthy) {
        (1.., _, _) => Tone::Bad,
        (0, 1.., _) => Tone::Warn,
        (0, 0, 1..) => Tone::Good,
        _ => Tone::Dim,
    };
    let mut lines = vec![(tone, health_line(overview, look))];
    lines.push((Tone::Plain, size_line(overview, look)));
    lines.push((Tone::Plain, telling_line(overview, look)));
    lines.extend(troubles(overview, look).into_iter().map(|text| (Tone::Warn, text)));
    sheet.block("Fleet", &lines);
}

fn health_line(overview: &Overview, look: &Look) -> String {
    let counts = &overview.health;
    let part = |icon: Icon, count: u32, word: &str| format!("{} {count} {word}", look.icon(icon));
    [
        part(Icon::Full, counts.healthy, "healthy"),
        part(Icon::Diamond, counts.degraded, "degraded"),
        part(Icon::Cross, counts.unhealthy, "unhealthy"),
        part(Icon::Empty, counts.unknown, "unknown"),
    ]
    .join("  ")
}

fn size_line(overview: &Overview, look: &Look) -> String {
    [
        text::count(overview.health.total().into(), "xnode"),
        text::count(overview.checks.into(), "check"),
        format!("${} per hour", overview.hourly_cost_micros),
    ]
    .join(look.dot())
}

fn telling_line(overview: &Overview, look: &Look) -> String {
    let mut parts = vec![text::count(overview.channels.into(), "channel")];
    if overview.waiting_deliveries > 0 {
        parts.push(format!("{} waiting", overview.waiting_deliveries));
    }
    if overview.failed_deliveries > 0 {
        parts.push(format!("{} failed in 24h", overview.failed_deliveries));
    }
    let probing = &overview.probing;
    parts.push(format!(
        "{} (p99 lag {:.0} ms)",
        text::count(probing.probes, "probe"),
        probing.start_lag_p99_ms
    ));
    parts.join(look.dot())
}

/// What keeps us from watching well, so that silence is not taken for health.
fn troubles(overview: &Overview, look: &Look) -> Vec<String> {
    let probing = &overview.probing;
    let mut lines = Vec::new();
    let mut add = |text: String| lines.push(format!("{} {text}", look.icon(Icon::Warning)));
    if probing.missed > 0 {
        add(format!("{} not started in time", text::count(probing.missed, "probe")));
    }
    if probing.blind > 0 {
        add(format!("{} could not be carried out", text::count(probing.blind, "probe")));
    }
    if !overview.icmp {
        add("ICMP is not permitted: ping checks use TCP".to_owned());
    }
    lines
}

fn open_alerts(overview: &Overview, open: &[Alert], sheet: &mut Sheet<'_>) {
    let total = overview.critical_alerts + overview.warning_alerts + overview.info_alerts;
    if total == 0 {
        let tick = format!("  {} no open alerts", sheet.look.icon(Icon::Tick));
        sheet.section("Alerts");
        sheet.line(&sheet.look.paint(Tone::Good, &tick));
        return;
    }
    sheet.section(&format!(
        "Alerts: {} critical, {} warning, {} info",
        overview.critical_alerts, overview.warning_alerts, overview.info_alerts
    ));
    sheet.table(&alerts::VIEW, open);
    if (total as usize) > open.len() {
        sheet.line(&format!("  and {} more: capsulectl monitor alerts", total as usize - open.len()));
    }
}

fn next_steps(overview: &Overview, sheet: &mut Sheet<'_>) {
    let alerts = overview.critical_alerts + overview.warning_alerts + overview.info_alerts;
    let mut steps = Vec::new();
    if alerts > 0 {
        steps.push(("capsulectl monitor ack ALERT", "say that you look at it"));
    }
    if overview.health.total() <= 1 {
        steps.push(("capsulectl inventory add NAME --address ADDRESS", "watch a server"));
    }
    if overview.channels == 0 {
        steps.push(("capsulectl channel add email --help", "get told by mail"));
    }
    if overview.failed_deliveries > 0 {
        steps.push(("capsulectl deliveries --state failed", "see why messages were given up"));
    }
    steps.push(("capsulectl monitor watch", "live view"));
    sheet.section("Next");
    for (command, what) in steps.into_iter().take(4) {
        let padded = format!("{command:<48}");
        sheet.line(&format!("  {}{what}", sheet.look.paint(Tone::Good, &padded)));
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::output::look::tests::look;

    /// An overview with a bit of everything.
    pub fn overview() -> Overview {
        serde_json::from_value(serde_json::json!({
            "health": {"healthy": 12, "degraded": 1, "unhealthy": 1, "unknown": 0},
            "checks": 31, "critical_alerts": 1, "warning_alerts": 1, "info_alerts": 0, "channels": 2,
            "waiting_deliveries": 3, "failed_deliveries": 0, "hourly_cost_micros": 215_000,
            "probing": {"probes": 48_213, "missed": 0, "blind": 2, "start_lag_p99_ms": 1.4, "unwritten": 0},
            "icmp": false, "started_at": "2026-11-18T08:00:00Z"
        }))
        .expect("an overview")
    }

    #[test]
    fn the_overview_says_what_is_wrong_and_what_to_type() {
        let look = look();
        let mut sheet = Sheet::new(&look);
        fleet(&overview(), &mut sheet);
        open_alerts(&overview(), &alerts::tests::alerts(), &mut sheet);
        next_steps(&overview(), &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}
