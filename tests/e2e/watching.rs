//! What is told and what is held back: hosts that are down, budgets, thresholds, history.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use capsule_tests::{
    daemon::Daemon,
    fleet::health_is,
    sshd::free_port,
    wait::{LONG, until},
};
use serde_json::{Value, json};

/// A web server that answers every request with one status, until it is dropped.
struct Web {
    port: u16,
    status: Arc<AtomicU16>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Web {
    fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("bound");
        listener.set_nonblocking(true).expect("non-blocking");
        let status = Arc::new(AtomicU16::new(200));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (shared, ended) = (Arc::clone(&status), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::park_timeout(Duration::from_millis(5));
                    continue;
                };
                let _ = stream.set_nonblocking(false);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let _ = stream.read(&mut [0; 1_024]);
                let status = shared.load(Ordering::Relaxed);
                let _ =
                    write!(stream, "HTTP/1.1 {status} It\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { port, status, stop }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn open_kinds(daemon: &Daemon) -> Vec<String> {
    let alerts = daemon.get("/v1/alerts").await;
    let items = alerts["items"].as_array().cloned().unwrap_or_default();
    let mut kinds: Vec<String> =
        items.iter().map(|alert| alert["kind"].as_str().unwrap_or_default().to_owned()).collect();
    kinds.sort();
    kinds
}

async fn kinds_are(daemon: &Daemon, wanted: &[&str]) {
    until(&format!("open alerts being {wanted:?}"), LONG, || async {
        let kinds = open_kinds(daemon).await;
        if kinds == wanted { Ok(()) } else { Err(kinds) }
    })
    .await;
}

async fn ok(daemon: &Daemon, method: &str, path: &str, body: Value) {
    let (status, reply) = daemon.request(method, path, Some(body)).await;
    assert!((200..300).contains(&status), "{method} {path}: {status} {reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_down_raises_one_alert_and_what_is_left_afterwards_is_told() {
    let daemon = Daemon::start().await;
    ok(&daemon, "PATCH", "/v1/settings", json!({ "confirm_interval_ms": 100 })).await;
    let port = free_port(Ipv4Addr::LOCALHOST);
    let web = Web::start(port);
    let check = |name: &str, probe: Value| json!({ "name": name, "probe": probe, "interval_ms": 1_000, "timeout_ms": 900 });
    let body = json!({
        "name": "web", "address": "127.0.0.1",
        "checks": [
            check("port", json!({ "kind": "tcp", "port": port })),
            check("http", json!({ "kind": "http", "url": format!("http://127.0.0.1:{port}/") })),
        ],
    });
    ok(&daemon, "POST", "/v1/xnodes", body).await;
    health_is(&daemon, "web", "healthy").await;

    drop(web);
    health_is(&daemon, "web", "unhealthy").await;
    kinds_are(&daemon, &["service_down"]).await;
    let all = daemon.get("/v1/alerts?all=true").await;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "nothing else was ever raised: {all}");

    until("the port being free again", LONG, || async {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => {
                drop(listener);
                Ok(())
            }
            Err(error) => Err(error),
        }
    })
    .await;
    let web = Web::start(port);
    web.status.store(503, Ordering::Relaxed);
    assert_eq!(web.port, port);
    kinds_are(&daemon, &["http_error"]).await;
    web.status.store(200, Ordering::Relaxed);
    kinds_are(&daemon, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_over_its_budget_is_an_alert_until_the_budget_or_the_fleet_changes() {
    let daemon = Daemon::start().await;
    ok(&daemon, "PUT", "/v1/budgets/tag/dev", json!({ "hourly_limit_micros": 10_000 })).await;
    // Scaleway is one of the few that take nothing for a stopped server.
    let body = json!({
        "name": "big", "address": "127.0.0.1", "provider": "scaleway", "tags": ["dev"],
        "hourly_cost_micros": 12_000, "checks": [],
    });
    ok(&daemon, "POST", "/v1/xnodes", body).await;
    kinds_are(&daemon, &["cost_threshold"]).await;
    let alert = daemon.get("/v1/alerts").await["items"][0].clone();
    assert_eq!(alert["subject"], json!({ "kind": "tag", "id": "dev" }));
    ok(&daemon, "PATCH", "/v1/xnodes/big", json!({ "status": "stopped" })).await;
    kinds_are(&daemon, &[]).await;
    ok(&daemon, "PATCH", "/v1/xnodes/big", json!({ "status": "running" })).await;
    kinds_are(&daemon, &["cost_threshold"]).await;
    // The budget alone changes: nothing else makes anybody look.
    ok(&daemon, "PUT", "/v1/budgets/tag/dev", json!({ "hourly_limit_micros": 90_000 })).await;
    kinds_are(&daemon, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_is_overridden_for_one_xnode_and_the_timeline_keeps_every_change() {
    let daemon = Daemon::start().await;
    let name = daemon.get("/v1/xnodes").await["items"][0]["name"].as_str().expect("a name").to_owned();
    until("a reading", LONG, || async {
        let metrics = daemon.get(&format!("/v1/xnodes/{name}/metrics")).await;
        if metrics["latest"].is_object() { Ok(()) } else { Err(metrics) }
    })
    .await;
    let low = json!({ "thresholds": { "memory": { "warning": 0.1, "critical": 100.0, "for_ms": 0 } } });
    ok(&daemon, "PATCH", &format!("/v1/xnodes/{name}"), low).await;
    ok(&daemon, "POST", &format!("/v1/xnodes/{name}/metrics/collect"), json!(null)).await;
    kinds_are(&daemon, &["high_memory"]).await;
    let alert = daemon.get("/v1/alerts").await["items"][0].clone();
    assert_eq!(alert["severity"], "warning");
    let id = alert["id"].as_str().expect("an id");
    ok(&daemon, "POST", &format!("/v1/alerts/{id}/acknowledge"), json!({ "comment": "on it" })).await;
    ok(
        &daemon,
        "POST",
        &format!("/v1/alerts/{id}/comments"),
        json!({ "comment": "more memory is on its way" }),
    )
    .await;

    ok(&daemon, "PATCH", &format!("/v1/xnodes/{name}"), json!({ "thresholds": {} })).await;
    ok(&daemon, "POST", &format!("/v1/xnodes/{name}/metrics/collect"), json!(null)).await;
    kinds_are(&daemon, &[]).await;
    let detail = daemon.get(&format!("/v1/alerts/{id}")).await;
    let kinds: Vec<_> = detail["timeline"]
        .as_array()
        .expect("a timeline")
        .iter()
        .map(|change| change["kind"].clone())
        .collect();
    assert_eq!(kinds, ["opened", "acknowledged", "commented", "resolved"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_outlives_its_raw_results() {
    let daemon = Daemon::start().await;
    let name = daemon.get("/v1/xnodes").await["items"][0]["name"].as_str().expect("a name").to_owned();
    for _ in 0..36 {
        let before = daemon.get("/v1/overview").await["probing"]["probes"].as_u64().unwrap_or(0);
        daemon.advance(Duration::from_secs(600));
        until("a probe of this step", LONG, || async {
            let probes = daemon.get("/v1/overview").await["probing"]["probes"].as_u64().unwrap_or(0);
            if probes > before { Ok(()) } else { Err(probes) }
        })
        .await;
    }
    until("every result being written", LONG, || async {
        let daemon = daemon.get("/v1/overview").await;
        if daemon["probing"]["unwritten"] == 0 { Ok(()) } else { Err(daemon) }
    })
    .await;
    for hours in [1, 26] {
        let before = retention_runs(&daemon).await;
        daemon.advance(Duration::from_secs(hours * 3_600));
        until("a round of retention", LONG, || async {
            let runs = retention_runs(&daemon).await;
            if runs > before { Ok(()) } else { Err(runs) }
        })
        .await;
    }
    let point = until("hourly roll-ups", LONG, || async {
        let history = daemon
            .get(&format!("/v1/xnodes/{name}/health/history?since=2020-01-01T00:00:00Z&limit=5000"))
            .await;
        let points = history["items"].as_array().cloned().unwrap_or_default();
        let hour = points
            .iter()
            .find(|point| point["span_ms"].as_i64().is_some_and(|span| span >= 3_600_000))
            .cloned();
        hour.ok_or(history)
    })
    .await;
    assert!(point["probes"].as_u64().is_some_and(|probes| probes >= 4), "{point}");
    assert_eq!(point["probes"], point["passed"]);
}

async fn retention_runs(daemon: &Daemon) -> u64 {
    let tasks = daemon.get("/v1/tasks").await;
    let tasks = tasks["items"].as_array().cloned().unwrap_or_default();
    let retention = tasks.iter().find(|task| task["name"] == "retention");
    retention.and_then(|task| task["runs"].as_u64()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_are_run_now_answer_with_the_health_they_led_to() {
    let daemon = Daemon::start().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let port = listener.local_addr().expect("bound").port();
    // Probed once when it is added, then not before an hour is over.
    let check = json!({
        "name": "port", "probe": { "kind": "tcp", "port": port }, "interval_ms": 3_600_000, "down_after": 1,
    });
    let body = json!({ "name": "web", "address": "127.0.0.1", "checks": [check] });
    ok(&daemon, "POST", "/v1/xnodes", body).await;
    health_is(&daemon, "web", "healthy").await;

    drop(listener);
    let (_, operation) = daemon.request("POST", "/v1/xnodes/web/health/run", Some(json!({}))).await;
    let id = operation["id"].as_str().expect("an id");
    let ended = daemon.get(&format!("/v1/operations/{id}?wait=30s")).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["result"]["health"], "unhealthy", "{ended}");
    assert_eq!(ended["result"]["checks"][0]["status"], "down", "{ended}");
    assert_eq!(open_kinds(&daemon).await, ["service_down"]);
}
