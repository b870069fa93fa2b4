//! The live view without a terminal: where things stand, then one line for each change.

use capsule_api::{Alert, AlertFilter, Overview};

use crate::{
    commands::{Session, events},
    error::{Outcome, Result},
    output::parse_rows,
};

/// Prints lines until interrupted.
pub async fn run(session: &Session) -> Result<Outcome> {
    if session.out.is_for_people() {
        let overview: Overview = session.client.get("/v1/overview").await?.parse()?;
        let counts = overview.health;
        session.out.print(&format!(
            "{} xnodes: {} healthy, {} degraded, {} unhealthy, {} unknown\n",
            counts.total(),
            counts.healthy,
            counts.degraded,
            counts.unhealthy,
            counts.unknown
        ))?;
        let open = session.client.list("/v1/alerts", &AlertFilter::default()).await?;
        for alert in parse_rows::<Alert>(&open)? {
            let line = format!(
                "open: {} {} {}: {}\n",
                alert.severity, alert.subject_name, alert.kind, alert.summary
            );
            session.out.print(&line)?;
        }
    }
    events::follow(session, &[], None, |_| true).await
}
