//! The fleet at a glance.

use capsule_api::{Overview, UsdMicros};
use jiff::SignedDuration;

use super::UseCaseError;
use crate::{
    context::Context,
    store::{alerts, channels, checks, costs, deliveries, xnodes},
};

/// Everything counted.
pub async fn get(context: &Context) -> Result<Overview, UseCaseError> {
    let day_ago = context.clock.now() - SignedDuration::from_hours(24);
    let mut reader = context.store.reader().await?;
    let [critical_alerts, warning_alerts, info_alerts] = alerts::open_counts(&mut reader).await?;
    let channels = channels::list(&mut reader).await?;
    let enabled = channels.iter().filter(|stored| stored.channel.enabled).count();
    let (waiting_deliveries, failed_deliveries) = deliveries::counts(&mut reader, day_ago).await?;
    Ok(Overview {
        health: xnodes::health_counts(&mut reader).await?,
        checks: checks::count_enabled(&mut reader).await?,
        critical_alerts,
        warning_alerts,
        info_alerts,
        channels: u32::try_from(enabled).unwrap_or(u32::MAX),
        waiting_deliveries,
        failed_deliveries,
        hourly_cost_micros: UsdMicros(costs::hourly(&mut reader).await?),
        probing: context.live.probing(),
        icmp: context.live.icmp(),
        started_at: context.started_at,
    })
}

/// Whether the state can be read, which is what being ready means.
pub async fn is_ready(context: &Context) -> bool {
    let looked = async {
        let mut reader = context.store.reader().await?;
        costs::hourly(&mut reader).await
    };
    looked.await.is_ok()
}
