//! What a fresh installation begins with: the machine the daemon runs on, and the console to tell of it.

use capsule_api::{
    Channel, ChannelId, ChannelRoute, ChannelTarget, Check, CheckId, ConsoleTarget, Health, ProbeSpec,
    SshAccess, ThresholdOverrides, XNode, XNodeId, XNodeName, XNodeStatus,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{model::XNodeKey, store::xnodes::StoredXNode};

/// The own host as an xNode: measured without SSH, with one ping so that its health is known.
pub fn own_host(
    id: XNodeId,
    check: CheckId,
    name: Option<XNodeName>,
    now: Timestamp,
    probe: ProbeSpec,
) -> StoredXNode {
    let fallback = || "localhost".parse().expect("`localhost` is a valid xNode name");
    let ping = Check {
        id: check,
        name: "ping".parse().expect("`ping` is a valid check name"),
        probe,
        interval_ms: None,
        timeout_ms: None,
        down_after: None,
        up_after: None,
        enabled: true,
    };
    let xnode = XNode {
        id,
        name: name.unwrap_or_else(fallback),
        address: "127.0.0.1".parse().expect("a loopback address is a valid address"),
        ipv4: None,
        ipv6: None,
        ssh: SshAccess { port: 22, user: None, jump: None, key: None, host_key_fingerprint: None },
        provider: None,
        region: None,
        placement: None,
        status: XNodeStatus::Running,
        tags: Vec::new(),
        hourly_cost_micros: None,
        health: Health::Unknown,
        health_since: None,
        checks: vec![ping],
        thresholds: ThresholdOverrides::default(),
        metrics_interval_ms: None,
        own_host: true,
        open_alerts: 0,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    StoredXNode { key: XNodeKey(0), xnode, ssh_key: None, host_key: None, foreign_host_key: None }
}

/// The channel that needs no account: the daemon's own log.
pub fn console_channel() -> Channel {
    Channel {
        id: ChannelId(Uuid::now_v7()),
        name: "console".parse().expect("`console` is a valid channel name"),
        enabled: true,
        target: ChannelTarget::Console(ConsoleTarget {}),
        has_secret: false,
        route: ChannelRoute::default(),
        waiting: 0,
        revision: 1,
    }
}
