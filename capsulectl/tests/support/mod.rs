//! A daemon that is not there: canned answers on a real Unix socket, in the shapes the API promises.
//!
//! It keeps no rules. A name such as `status-409` is refused with that status, so that every exit code can be
//! reached; changes are remembered only as "the last request", which is what a test of a client looks at.

use std::{
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path as Segment, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response, Sse, sse},
    routing::{any, get, post},
};
use serde_json::{Value, json};
use tokio::{net::UnixListener, sync::broadcast};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and path with query.
    pub line: String,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    /// The `Last-Event-ID` header.
    pub last_event_id: Option<String>,
    /// The body.
    pub body: Value,
}

/// What the fake daemon remembers, and the events it sends.
#[derive(Clone)]
pub struct Fake {
    /// Every request, oldest first.
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// Events go to every open stream.
    pub events: broadcast::Sender<Value>,
}

impl Fake {
    /// Serves on the socket until the process or the task ends.
    pub fn serve(socket: &Path) -> (Self, tokio::task::JoinHandle<()>) {
        let fake = Self { seen: Arc::default(), events: broadcast::channel(64).0 };
        let listener = UnixListener::bind(socket).expect("the socket can be bound");
        let router = router(fake.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        (fake, task)
    }

    /// The requests that change something, as `METHOD path`.
    pub fn changes(&self) -> Vec<Seen> {
        let seen = self.seen.lock().expect("no test panics while it holds the lock");
        seen.iter().filter(|seen| !seen.line.starts_with("GET")).cloned().collect()
    }
}

fn router(fake: Fake) -> Router {
    let wait = async |Segment(id): Segment<String>| match id.ends_with("ff") {
        true => {
            let mut endless = operation("running");
            endless["id"] = id.into();
            Json(endless)
        }
        false => Json(operation("succeeded")),
    };
    Router::new()
        .route("/v1", get(async || Json(info())))
        .route("/v1/overview", get(async || Json(overview())))
        .route("/v1/xnodes", get(async |uri: Uri| xnode_page(&uri)).post(created))
        .route("/v1/xnodes/{xnode}", any(xnode))
        .route("/v1/xnodes/{xnode}/health", get(async || Json(health())))
        .route("/v1/xnodes/{xnode}/health/history", get(async || Json(page(points()))))
        .route(
            "/v1/xnodes/{xnode}/health/run",
            post(async || (StatusCode::ACCEPTED, Json(operation("pending")))),
        )
        .route(
            "/v1/xnodes/{xnode}/metrics",
            get(async |Segment(xnode): Segment<String>| Json(metrics(&xnode))),
        )
        .route("/v1/xnodes/{xnode}/metrics/history", get(async || Json(page(series()))))
        .route(
            "/v1/xnodes/{xnode}/metrics/collect",
            post(async || (StatusCode::ACCEPTED, Json(operation("pending")))),
        )
        .route("/v1/health", get(async || Json(page(vec![health()]))))
        .route("/v1/alerts", get(async || Json(page(alerts()))))
        .route("/v1/alerts/{alert}", get(async || Json(alert_detail())))
        .route("/v1/alerts/{alert}/{step}", post(async || Json(alerts().remove(0))))
        .route("/v1/channels", get(async || Json(page(channels()))).post(async || Json(channels().remove(0))))
        .route(
            "/v1/channels/{channel}",
            any(async || ([(header::ETAG, "\"1\"")], Json(channels().remove(0)))),
        )
        .route("/v1/channels/{channel}/test", post(tested))
        .route("/v1/deliveries", get(async || Json(page(deliveries()))))
        .route("/v1/deliveries/{delivery}/retry", post(async || Json(deliveries().remove(0))))
        .route("/v1/settings", any(async || ([(header::ETAG, "\"7\"")], Json(json!({})))))
        .route("/v1/thresholds", get(async || Json(page(vec![]))))
        .route("/v1/thresholds/{tag}", any(async || StatusCode::NO_CONTENT))
        .route("/v1/budgets", get(async || Json(page(budgets()))))
        .route("/v1/budgets/{scope}/{name}", any(async || Json(budgets().remove(0))))
        .route("/v1/costs", get(async || Json(costs())))
        .route(
            "/v1/inventory/export",
            get(async |uri: Uri| format!("exported {}\n", uri.query().unwrap_or("plain"))),
        )
        .route(
            "/v1/inventory/import",
            post(async || Json(json!({"rows": 3, "created": 1, "changed": 1, "unchanged": 1}))),
        )
        .route("/v1/history", get(async || Json(page(lives()))))
        .route(
            "/v1/history/clean-up",
            post(async || Json(json!({"forgotten": 2, "before": "2026-08-23T12:00:00Z"}))),
        )
        .route("/v1/stats", get(async || Json(stats())))
        .route("/v1/discounts", get(async || Json(page(discounts()))))
        .route("/v1/discounts/{scope}/{name}", any(async || Json(discounts().remove(0))))
        .route("/v1/operations", get(async || Json(page(vec![operation("running")]))))
        .route("/v1/operations/{id}", get(wait))
        .route("/v1/operations/{id}/cancel", post(async || Json(operation("cancelled"))))
        .route("/v1/events", get(events))
        .route("/v1/audit", get(async || Json(page(audit()))))
        .route("/v1/tasks", get(async || Json(page(tasks()))))
        .layer(axum::middleware::from_fn_with_state(fake.clone(), remember))
        .with_state(fake)
}

async fn remember(
    State(fake): State<Fake>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_else(|_| Bytes::new());
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let seen = Seen {
        line: format!("{} {}", parts.method, parts.uri),
        if_match: text("if-match"),
        last_event_id: text("last-event-id"),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    fake.seen.lock().expect("no handler panics while it holds the lock").push(seen);
    next.run(axum::extract::Request::from_parts(parts, bytes.into())).await
}

/// Two pages, so that a client that reads only the first is found out.
fn xnode_page(uri: &Uri) -> Response {
    let mut all = xnodes();
    let second = uri.query().is_some_and(|query| query.contains("cursor=second"));
    let body = match second {
        false => json!({"items": [all.remove(0)], "next_cursor": "second"}),
        true => page(all.split_off(1)),
    };
    Json(body).into_response()
}

async fn created(body: Json<Value>) -> Response {
    let mut xnode = xnodes().remove(0);
    xnode["name"] = body["name"].clone();
    (StatusCode::CREATED, [(header::ETAG, "\"1\"")], Json(xnode)).into_response()
}

async fn xnode(Segment(name): Segment<String>, method: Method) -> Response {
    if let Some(status) = name.strip_prefix("status-") {
        return refuse(status.parse().unwrap_or(500), "refused", &format!("Refused with {status}."));
    }
    let id_or_name = |xnode: &Value| xnode["name"] == name || xnode["id"] == name;
    match xnodes().into_iter().find(id_or_name) {
        Some(_) if method == Method::DELETE => StatusCode::NO_CONTENT.into_response(),
        Some(xnode) => ([(header::ETAG, "\"4\"")], Json(xnode)).into_response(),
        None => refuse(404, "not_found", &format!("There is no xNode `{name}`.")),
    }
}

async fn tested(Segment(name): Segment<String>) -> Json<Value> {
    let accepted = name != "refusing";
    Json(
        json!({"accepted": accepted, "detail": if accepted { "250 OK" } else { "550 no" }, "elapsed_ms": 12}),
    )
}

fn refuse(status: u16, code: &str, detail: &str) -> Response {
    let body = json!({"type": "about:blank", "title": "Refused", "status": status, "detail": detail,
        "code": code, "request_id": "01939c3e-0000-7000-8000-000000000009"});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

async fn events(
    State(fake): State<Fake>,
    headers: HeaderMap,
) -> Sse<impl futures_util::Stream<Item = Result<sse::Event, Infallible>>> {
    let resumed = headers.contains_key("last-event-id");
    let first = resumed.then(|| event(2, "xnode_updated", &json!({"name": "web-1"})));
    let receiver = fake.events.subscribe();
    let stream = futures_util::stream::unfold((first, receiver), async |(first, mut receiver)| {
        let event = match first {
            Some(event) => event,
            None => receiver.recv().await.ok()?,
        };
        let kind = event["kind"].as_str().unwrap_or_default().to_owned();
        let sent = sse::Event::default().event(kind).data(event.to_string());
        Some((Ok(sent), (None, receiver)))
    });
    Sse::new(stream).keep_alive(sse::KeepAlive::default())
}

/// An event of the given kind.
pub fn event(seq: u64, kind: &str, data: &Value) -> Value {
    json!({"id": format!("1-{seq}"), "at": "2026-11-21T12:00:00Z", "kind": kind, "subject": ID, "data": data})
}

const ID: &str = "01939c3e-0000-7000-8000-000000000001";

fn page(items: Vec<Value>) -> Value {
    json!({"items": items})
}

fn info() -> Value {
    json!({"api_version": "v1", "server_version": env!("CARGO_PKG_VERSION"), "role": "admin", "user": "root",
        "state_dir": "/var/lib/capsule", "started_at": "2026-11-18T08:00:00Z"})
}

fn overview() -> Value {
    json!({"health": {"healthy": 1, "degraded": 1, "unhealthy": 1, "unknown": 0}, "checks": 5,
        "critical_alerts": 1, "warning_alerts": 1, "info_alerts": 0, "channels": 2, "waiting_deliveries": 1,
        "failed_deliveries": 0, "hourly_cost_micros": 45_000,
        "probing": {"probes": 48_213, "missed": 0, "blind": 0, "start_lag_p99_ms": 1.4, "unwritten": 0},
        "icmp": true, "started_at": "2026-11-18T08:00:00Z"})
}

fn xnode_value(last: u32, name: &str, health: &str, alerts: u32) -> Value {
    json!({"id": format!("01939c3e-0000-7000-8000-{last:012}"), "name": name,
        "address": format!("192.0.2.{last}"), "ipv4": null, "ipv6": null,
        "ssh": {"port": 22, "user": "ops", "jump": null, "key": "stored", "host_key_fingerprint": "SHA256:abc"},
        "provider": "hetzner", "region": "fsn1", "status": "running", "tags": ["eu", "web"],
        "hourly_cost_micros": 15_000, "health": health, "health_since": "2026-11-20T11:55:00Z",
        "checks": [{"id": "01939c3e-0000-7000-8000-0000000000c1", "name": "ping",
            "probe": {"kind": "ping"}, "interval_ms": null, "timeout_ms": null, "down_after": null,
            "up_after": null, "enabled": true}],
        "thresholds": {}, "metrics_interval_ms": null, "own_host": false, "open_alerts": alerts, "revision": 4,
        "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-20T00:00:00Z"})
}

fn xnodes() -> Vec<Value> {
    vec![
        xnode_value(1, "web-1", "degraded", 1),
        xnode_value(2, "db-1", "healthy", 1),
        xnode_value(3, "cache-1", "unhealthy", 0),
    ]
}

fn health() -> Value {
    let check = |name: &str, kind: &str, status: &str, detail: &str| {
        json!({"id": "01939c3e-0000-7000-8000-0000000000c1", "name": name, "kind": kind, "status": status,
            "since": "2026-11-20T00:00:00Z", "failures": 0, "next_at": "2026-11-21T12:04:00Z",
            "last": {"at": "2026-11-20T11:59:00Z", "outcome": status, "latency_us": 1234, "detail": detail},
            "uptime_percent": 99.86})
    };
    json!({"xnode_id": ID, "name": "web-1", "health": "degraded", "since": "2026-11-20T11:55:00Z",
        "checks": [check("ping", "ping", "up", "reply"), check("front", "http", "down", "503 Service Unavailable")]})
}

fn points() -> Vec<Value> {
    let point = |at: u64| {
        json!({"check": if at.is_multiple_of(2) { "ping" } else { "front" }, "at": "2026-11-20T11:00:00Z",
            "span_ms": 300_000, "probes": 1, "passed": u8::from(at % 17 != 5), "latency_min_us": 900 + at,
            "latency_avg_us": 1000 + at * 31 % 700, "latency_max_us": 9_000})
    };
    (0..120).map(point).collect()
}

fn metrics(xnode: &str) -> Value {
    let seed = xnode.bytes().map(u32::from).sum::<u32>() % 60;
    let memory = f64::from(seed + 35);
    json!({"xnode_id": ID, "name": "web-1", "error": null, "next_at": "2026-11-21T12:00:48Z",
        "latest": {"at": "2026-11-20T11:59:48Z", "uptime_seconds": 1_036_800.0,
            "cpu": {"total_percent": seed, "iowait_percent": 0.1, "steal_percent": 0.0, "cores": 4},
            "memory": {"total_bytes": 16_750_372_454_u64, "used_bytes": 10_200_547_328_u64, "used_percent": memory},
            "swap": null, "load": [0.42, 0.38, 0.3],
            "disks": [{"mount": "/", "device": "/dev/sda1", "total_bytes": 42_949_672_960_u64,
                "used_bytes": 30_064_771_072_u64, "used_percent": 73.0, "inodes_used_percent": 12.0}],
            "network": [{"interface": "eth0", "received_bytes_per_second": 123_456.0,
                "sent_bytes_per_second": 6_543.0}],
            "disk_io": [], "processes": 212, "pressure": null}})
}

fn series() -> Vec<Value> {
    let points: Vec<Value> = (0..100)
        .map(|at: i32| json!({"at": "2026-11-20T11:00:00Z", "min": at % 40, "avg": at % 40 + 5, "max": at % 40 + 9}))
        .collect();
    ["cpu", "memory", "load", "network_received"]
        .map(|series| json!({"series": series, "step_ms": 0, "points": points}))
        .into()
}

fn alert(last: &str, subject: &str, kind: &str, severity: &str, summary: &str) -> Value {
    json!({"id": format!("01939c3e-0000-7000-8000-0000{last}"), "subject": {"kind": "xnode", "id": ID},
        "subject_name": subject, "kind": kind, "severity": severity, "state": "open", "summary": summary,
        "causes": [{"key": "check:ping", "severity": severity, "text": summary,
            "since": "2026-11-20T11:55:00Z", "value": null}],
        "since": "2026-11-20T11:55:00Z", "opened_at": "2026-11-20T11:55:02Z",
        "changed_at": "2026-11-20T11:55:02Z", "acknowledged_at": null, "acknowledged_by": null,
        "resolved_at": null, "resolved_by": null})
}

/// The open alerts.
pub fn alerts() -> Vec<Value> {
    vec![
        alert("1a2b3c4d", "web-1", "http_error", "critical", "front: 503 Service Unavailable (3 in a row)"),
        alert("deadbeef", "db-1", "low_disk", "warning", "/var is 91 % full (warning at 85 %)"),
    ]
}

fn alert_detail() -> Value {
    let mut detail = alerts().remove(0);
    detail["timeline"] = json!([{"seq": 1, "at": "2026-11-20T11:55:02Z", "kind": "opened",
        "severity": "critical", "actor": null, "text": "front: 503 Service Unavailable"}]);
    detail
}

fn channels() -> Vec<Value> {
    vec![
        json!({"id": "01939c3e-0000-7000-8000-0000000000a1", "name": "email", "enabled": true, "has_secret": true,
        "target": {"kind": "email", "host": "mail.example.org", "security": "starttls",
            "from": "capsule@example.org", "to": ["ops@example.org"]},
        "route": {}, "waiting": 0, "revision": 1}),
    ]
}

fn deliveries() -> Vec<Value> {
    vec![
        json!({"id": "01939c3e-0000-7000-8000-0000feedf00d", "alert_id": "01939c3e-0000-7000-8000-00001a2b3c4d",
        "change_seq": 1, "change": "opened", "summary": "front: 503 Service Unavailable", "channel": "email",
        "state": "waiting", "attempts": 3, "next_at": "2026-11-20T12:04:00Z", "reason": "connection refused",
        "created_at": "2026-11-20T11:55:02Z", "finished_at": null}),
    ]
}

fn budgets() -> Vec<Value> {
    vec![json!({"scope": "global", "name": "global", "hourly_limit_micros": 500_000,
            "monthly_limit_micros": 300_000_000, "block": true, "hourly_cost_micros": 45_000,
            "month_cost_micros": 21_600_000, "month_forecast_micros": 32_400_000})]
}

fn costs() -> Value {
    let xnode = |name: &str, hourly: u64| {
        json!({"xnode_id": ID, "name": name, "provider": "hetzner", "hourly_micros": hourly,
            "daily_micros": hourly * 24, "month_micros": hourly * 480})
    };
    let group = |name: Option<&str>, xnodes: u64| {
        let hourly = xnodes * 15_000;
        json!({"name": name, "xnodes": xnodes, "hourly_micros": hourly, "daily_micros": hourly * 24,
            "monthly_micros": hourly * 730, "annual_micros": hourly * 8_760, "month_micros": hourly * 480,
            "forecast_micros": hourly * 720})
    };
    let mut report = group(None, 3);
    report.as_object_mut().expect("an object").remove("name");
    for (field, value) in [
        ("at", json!("2026-11-21T00:00:00Z")),
        ("month", json!("2026-11")),
        ("discount_micros", json!(1_234_567)),
        ("by", json!("provider")),
        ("groups", json!([group(Some("hetzner"), 2), group(None, 1)])),
        ("most_expensive", json!([xnode("web-1", 15_000)])),
        ("stopped", json!([])),
        ("dead", json!([xnode("cache-1", 15_000)])),
    ] {
        report[field] = value;
    }
    report
}

fn lives() -> Vec<Value> {
    let life = |name: &str, terminated: Option<&str>| {
        json!({"xnode_id": ID, "name": name, "provider": "hetzner", "region": "fsn1", "template": null,
            "account": null, "tags": ["web"], "deployed_at": "2026-11-01T00:00:00Z",
            "terminated_at": terminated, "lifetime_seconds": 1_036_800, "total_cost_micros": 4_325_678})
    };
    vec![life("web-1", None), life("old-1", Some("2026-11-13T00:00:00Z"))]
}

fn stats() -> Value {
    json!({"xnodes": 3, "total_deployed": 4, "total_running": 3, "total_terminated": 1,
        "total_lifetime_cost_micros": 25_925_678, "hourly_micros": 45_000,
        "by_status": [{"status": "running", "xnodes": 3}, {"status": "stopped", "xnodes": 0}],
        "by_health": [{"health": "healthy", "xnodes": 2}, {"health": "unhealthy", "xnodes": 1}],
        "by_provider": [{"name": "hetzner", "xnodes": 2}, {"name": null, "xnodes": 1}],
        "by_region": [{"name": "fsn1", "xnodes": 3}], "by_tag": []})
}

fn discounts() -> Vec<Value> {
    vec![
        json!({"scope": "provider", "name": "hetzner", "basis_points": 1_250, "valid_from": "2026-01-01T00:00:00Z",
            "valid_until": null}),
    ]
}

fn operation(state: &str) -> Value {
    json!({"id": "01939c3e-0000-7000-8000-0000000000e1", "kind": "run_checks", "state": state, "resource": ID,
        "stage": "probing", "progress_percent": 50, "result": null, "error": null, "cancellable": true,
        "created_by": "root", "created_at": "2026-11-20T11:55:02Z", "updated_at": "2026-11-20T11:55:02Z"})
}

fn audit() -> Vec<Value> {
    vec![json!({"seq": 1, "at": "2026-11-20T11:55:02Z", "actor": "root", "action": "create_xnode",
        "target": "web-1", "request_id": null})]
}

fn tasks() -> Vec<Value> {
    vec![json!({"name": "deliveries", "runs": 12, "last_run_at": "2026-11-20T11:55:02Z", "last_run_ms": 1.5,
        "last_error": null})]
}
