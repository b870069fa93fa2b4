//! Five servers, three channels and the words to set them up: what most suites begin with.

use std::{fs, net::Ipv4Addr, time::Duration};

use serde_json::{Value, json};

use crate::{
    daemon::Daemon,
    mail::MailServer,
    sink::Sink,
    sshd::Sshd,
    wait::{LONG, until},
};

/// The webhook's signing secret.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request for a server with one quick SSH check.
pub fn xnode(name: &str, sshd: &Sshd) -> Value {
    let key = fs::read_to_string(sshd.user_key()).expect("the user's key");
    json!({
        "name": name,
        "address": sshd.address().to_string(),
        "ssh": { "port": sshd.port(), "user": sshd.user(), "key": { "pem": key } },
        "tags": ["fleet"],
        "checks": [
            { "name": "ping", "probe": { "kind": "ping" }, "interval_ms": 1_000, "timeout_ms": 900 },
            { "name": "ssh", "probe": { "kind": "ssh" }, "interval_ms": 1_000, "timeout_ms": 900 },
        ],
    })
}

/// Starts `count` servers on loopback addresses and adds them as `node-1`, `node-2` …
pub async fn add_servers(daemon: &Daemon, count: u8) -> Vec<Sshd> {
    let (status, body) =
        daemon.request("PATCH", "/v1/settings", Some(json!({ "confirm_interval_ms": 100 }))).await;
    assert_eq!(status, 200, "{body}");
    let mut servers = Vec::new();
    for n in 1..=count {
        let sshd = Sshd::start(Ipv4Addr::new(127, 0, 10, n)).await;
        let (status, body) =
            daemon.request("POST", "/v1/xnodes", Some(xnode(&format!("node-{n}"), &sshd))).await;
        assert_eq!(status, 201, "{body}");
        servers.push(sshd);
    }
    servers
}

/// Waits until an xNode has this health.
pub async fn health_is(daemon: &Daemon, name: &str, health: &str) {
    let path = format!("/v1/xnodes/{name}");
    until(&format!("{name} being {health}"), LONG, || async {
        let body = daemon.get(&path).await;
        if body["health"] == health { Ok(()) } else { Err(body["health"].clone()) }
    })
    .await;
}

/// Adds a webhook channel that sends to `sink`, signed.
pub async fn add_webhook(daemon: &Daemon, sink: &Sink) {
    let body = json!({
        "name": "hook",
        "target": { "kind": "webhook", "url": sink.url(), "headers": { "X-Team": "ops" } },
        "secret": SECRET,
    });
    let (status, body) = daemon.request("POST", "/v1/channels", Some(body)).await;
    assert_eq!(status, 201, "{body}");
}

/// Adds a Slack channel that sends to `sink`.
pub async fn add_slack(daemon: &Daemon, sink: &Sink) {
    let body = json!({ "name": "slack", "target": { "kind": "slack" }, "secret": sink.url() });
    let (status, body) = daemon.request("POST", "/v1/channels", Some(body)).await;
    assert_eq!(status, 201, "{body}");
}

/// Adds a mail channel that sends through `server`.
pub async fn add_mail(daemon: &Daemon, server: &MailServer) {
    let certificate = fs::read_to_string(server.certificate()).expect("the certificate");
    let body = json!({
        "name": "mail",
        "target": {
            "kind": "email",
            "host": "localhost",
            "port": server.port(),
            "security": "starttls",
            "username": "capsule",
            "from": "capsule@example.org",
            "to": ["ops@example.org"],
            "ca_pem": certificate,
        },
        "secret": "hunter2",
    });
    let (status, body) = daemon.request("POST", "/v1/channels", Some(body)).await;
    assert_eq!(status, 201, "{body}");
}

/// Waits until the sink has accepted messages of exactly these types, in this order.
pub async fn told(sink: &Sink, types: &[&str]) {
    until(&format!("the sink having {types:?}"), LONG, || async {
        let seen = sink.types();
        if seen == types { Ok(()) } else { Err(seen) }
    })
    .await;
}

/// Waits until nothing is left in the outbox.
pub async fn outbox_empty(daemon: &Daemon) {
    until("an empty outbox", LONG, || async {
        let waiting = daemon.get("/v1/deliveries?state=waiting").await;
        if waiting["items"] == json!([]) { Ok(()) } else { Err(waiting) }
    })
    .await;
}

/// Lets an hour pass in steps short enough that every check and every retry gets its turn.
pub fn pass_an_hour(daemon: &Daemon) {
    for _ in 0..12 {
        daemon.advance(Duration::from_secs(300));
    }
}
