//! What is being watched, and what is known of it now: plans for the prober, and the answers that join the
//! inventory with the newest readings.

use std::{collections::HashMap, time::Duration};

use capsule_api::{
    Check, CheckHealth, CheckId, CheckKind, CheckStatus, Settings, XNode, XNodeHealth, XNodeMetrics,
    XNodeStatus,
};
use jiff::Timestamp;

use crate::{
    context::{Context, LiveCheck},
    model::{CheckKey, CheckLimits, CheckPlan, CheckState},
    rules::health::{self, CheckView},
    store::xnodes::StoredXNode,
};

/// Whether the checks of an xNode are probed and its resources read.
pub const fn is_watched(status: XNodeStatus) -> bool {
    match status {
        XNodeStatus::Running | XNodeStatus::Error => true,
        XNodeStatus::Stopped | XNodeStatus::Deploying => false,
    }
}

/// A check with every setting resolved.
pub fn plan(stored: &StoredXNode, check: &Check, key: CheckKey, settings: &Settings) -> CheckPlan {
    let timeout_ms = check.timeout_ms.unwrap_or(match check.probe.kind() {
        CheckKind::Ping => settings.ping_timeout_ms,
        CheckKind::Tcp => settings.tcp_timeout_ms,
        CheckKind::Ssh => settings.ssh_timeout_ms,
        CheckKind::Http => settings.http_timeout_ms,
    });
    CheckPlan {
        key,
        id: check.id,
        xnode: stored.key,
        name: check.name.clone(),
        address: stored.xnode.address.clone(),
        ssh_port: stored.xnode.ssh.port,
        host_key: stored.host_key.clone(),
        probe: check.probe.clone(),
        interval: Duration::from_millis(check.interval_ms.unwrap_or(settings.check_interval_ms)),
        timeout: Duration::from_millis(timeout_ms),
        confirm_interval: Duration::from_millis(settings.confirm_interval_ms),
        limits: CheckLimits {
            down_after: check.down_after.unwrap_or(settings.down_after),
            up_after: check.up_after.unwrap_or(settings.up_after),
        },
    }
}

/// Plans for every enabled check of every watched xNode.
pub fn plans(
    xnodes: &[StoredXNode],
    states: &HashMap<CheckId, (CheckKey, crate::model::XNodeKey, CheckState)>,
    settings: &Settings,
) -> Vec<(CheckPlan, CheckState)> {
    let watched = xnodes.iter().filter(|stored| is_watched(stored.xnode.status));
    watched
        .flat_map(|stored| {
            stored.xnode.checks.iter().filter(|check| check.enabled).filter_map(|check| {
                let (key, _, state) = states.get(&check.id)?;
                Some((plan(stored, check, *key, settings), state.clone()))
            })
        })
        .collect()
}

/// Time between readings of an xNode's resources; `None`: none are taken.
pub fn metrics_interval(xnode: &XNode, settings: &Settings) -> Option<Duration> {
    let interval_ms = xnode.metrics_interval_ms.unwrap_or(settings.metrics_interval_ms);
    let reachable = xnode.own_host || xnode.ssh.user.is_some();
    (reachable && is_watched(xnode.status) && interval_ms > 0).then(|| Duration::from_millis(interval_ms))
}

/// A check as the health rule sees it.
pub fn view(check: &LiveCheck) -> CheckView {
    CheckView {
        status: check.state.status,
        last_at: check.state.last_at,
        interval: check.interval,
        timeout: check.timeout,
    }
}

/// The health of an xNode: its confirmed one, and check by check.
pub fn xnode_health(context: &Context, stored: &StoredXNode) -> XNodeHealth {
    let now = context.clock.now();
    let checks =
        stored.xnode.checks.iter().map(|check| check_health(check, context.live.check(check.id), now));
    XNodeHealth {
        xnode_id: stored.xnode.id,
        name: stored.xnode.name.clone(),
        health: stored.xnode.health,
        since: stored.xnode.health_since,
        checks: checks.collect(),
    }
}

fn check_health(check: &Check, live: Option<LiveCheck>, now: Timestamp) -> CheckHealth {
    let live = live.as_ref();
    CheckHealth {
        id: check.id,
        name: check.name.clone(),
        kind: check.probe.kind(),
        status: live.map_or(CheckStatus::Unknown, |live| live.state.status),
        since: live.and_then(|live| live.state.since),
        failures: live.map_or(0, |live| live.state.failures),
        last: live.and_then(|live| live.last.clone()),
        next_at: live.and_then(|live| live.next_at),
        uptime_percent: live.and_then(|live| live.day.uptime_percent(now.as_millisecond())),
    }
}

/// The newest reading of an xNode.
pub fn xnode_metrics(context: &Context, stored: &StoredXNode) -> XNodeMetrics {
    let live = context.live.xnode(stored.key);
    XNodeMetrics {
        xnode_id: stored.xnode.id,
        name: stored.xnode.name.clone(),
        latest: live.sample,
        error: live.error,
        next_at: live.next_at,
    }
}

/// The health an xNode's checks add up to now.
pub fn current_health(context: &Context, stored: &StoredXNode) -> capsule_api::Health {
    let live = stored.xnode.checks.iter().filter(|check| check.enabled);
    let views: Vec<_> =
        live.filter_map(|check| context.live.check(check.id)).map(|check| view(&check)).collect();
    if is_watched(stored.xnode.status) {
        health::overall(&views, context.clock.now())
    } else {
        capsule_api::Health::Unknown
    }
}
