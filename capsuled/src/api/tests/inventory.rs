//! The inventory, settings, alerts and deliveries by way of HTTP.

use capsule_api::{
    Alert, AlertChangeKind, AlertId, AlertKind, AlertState, Outcome, Severity, Subject, SubjectKind, XNode,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    api::testing::TestApi,
    store::{
        Lane, StoreError, checks,
        probes::{self, RawResult},
    },
    usecases::telling::{self, Happening},
};

async fn add(api: &TestApi, more: Value) -> crate::api::testing::Reply {
    let mut body = json!({"name": "web-1", "address": "192.0.2.1"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    api.post("/v1/xnodes").json(body).send().await
}

#[tokio::test]
async fn impossible_values_are_refused_with_the_field_at_fault() {
    let api = TestApi::start().await;
    let ping = || json!({"probe": {"kind": "ping"}});
    let with = |field: &str, value: Value| {
        let mut check = ping();
        check[field] = value;
        json!({"checks": [check]})
    };
    let many = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    for (field, body) in [
        ("ssh.port", json!({"ssh": {"port": 0}})),
        ("ssh.user", json!({"ssh": {"user": "a b"}})),
        ("ssh.jump", json!({"ssh": {"jump": "nobody"}})),
        ("ssh.jump", json!({"ssh": {"jump": "web-1"}})),
        ("ssh.host_key", json!({"ssh": {"host_key": "ssh-ed25519 nonsense"}})),
        ("tags", json!({"tags": many(33)})),
        ("hourly_cost_micros", json!({"hourly_cost_micros": -1})),
        ("metrics_interval_ms", json!({"metrics_interval_ms": 4_999})),
        ("thresholds.cpu", json!({"thresholds": {"cpu": {"warning": 95.0, "critical": 90.0}}})),
        ("checks", json!({"checks": vec![ping(); 65]})),
        (
            "checks",
            json!({"checks": [{"name": "a", "probe": {"kind": "ping"}}, {"name": "a", "probe": {"kind": "ping"}}]}),
        ),
        ("checks[0].interval_ms", with("interval_ms", json!(999))),
        ("checks[0].timeout_ms", with("timeout_ms", json!(60_001))),
        ("checks[0].down_after", with("down_after", json!(21))),
        ("checks[0].up_after", with("up_after", json!(0))),
        ("checks[0].probe.port", json!({"checks": [{"probe": {"kind": "tcp", "port": 0}}]})),
        ("checks[0].probe.url", json!({"checks": [{"probe": {"kind": "http", "url": "ftp://x"}}]})),
    ] {
        let reply = add(&api, body.clone()).await;
        reply.is_problem(422, "invalid");
        let detail = reply.json["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with(&format!("{field}: ")), "{body}: {detail}");
    }
    let slow = json!({"checks": [{"probe": {"kind": "ping"}, "interval_ms": 1_000, "timeout_ms": 2_000}]});
    add(&api, slow).await.is_problem(422, "invalid");
    assert!(api.names().await.is_empty());
}

#[tokio::test]
async fn a_new_xnode_has_checks_and_checks_have_names() {
    let api = TestApi::start().await;
    let usual = add(&api, json!({"ssh": {"user": "ops"}, "tags": ["b", "a", "b"]})).await;
    let names = |reply: &Value| -> Vec<String> {
        let checks = reply["checks"].as_array().expect("checks");
        checks.iter().map(|check| check["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&usual.json), ["ping", "ssh"]);
    assert_eq!(usual.json["tags"], json!(["a", "b"]));
    add(&api, json!({})).await.is_problem(409, "name_taken");
    add(&api, json!({"name": "WEB-1"})).await.is_problem(409, "name_taken");
    let http = || json!({"probe": {"kind": "http", "url": "https://192.0.2.1/"}});
    let more = add(
        &api,
        json!({"name": "web-2", "checks": [http(), http(), {"name": "http-2", "probe": {"kind": "ping"}}]}),
    );
    assert_eq!(names(&more.await.json), ["http", "http-2", "http-3"]);
}

#[tokio::test]
async fn a_check_that_keeps_its_name_keeps_its_id() {
    let api = TestApi::start().await;
    let before: XNode = api.add_xnode("web-1").await;
    let checks =
        json!([{"probe": {"kind": "ping"}, "interval_ms": 60_000}, {"probe": {"kind": "tcp", "port": 80}}]);
    let patch = api.patch("/v1/xnodes/web-1").json(json!({"checks": checks, "tags": ["x"], "region": null}));
    let reply = patch.header("if-match", "*").send().await;
    let after: XNode = serde_json::from_value(reply.json).expect("an xNode");
    assert_eq!(after.checks.len(), 2);
    assert_eq!(after.checks[0].id, before.checks[0].id);
    assert_eq!(after.checks[0].interval_ms, Some(60_000));
    let health = api.get("/v1/xnodes/web-1/health").send().await;
    assert_eq!(health.json["checks"][1]["name"], "tcp");
    assert_eq!(api.get("/v1/health").send().await.json["items"][0]["health"], "unknown");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let api = TestApi::start().await;
    for n in 0..5 {
        let (name, region) = (format!("web-{n}"), if n % 2 == 0 { "eu" } else { "us" });
        assert_eq!(
            add(&api, json!({"name": name, "region": region, "tags": ["env=prod"]})).await.status,
            201
        );
    }
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = api.get(&format!("/v1/xnodes{query}")).send().await.json;
        seen.extend(page["items"].as_array().expect("items").iter().map(|item| item["name"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["web-0", "web-1", "web-2", "web-3", "web-4"]);
    let count = async |query: &str| {
        let reply = api.get(&format!("/v1/xnodes?{query}")).send().await;
        reply.json["items"].as_array().map(Vec::len)
    };
    assert_eq!(count("region=eu").await, Some(3));
    assert_eq!(count("tags=env%3Dprod&q=WEB-4").await, Some(1));
    assert_eq!(count("health=healthy").await, Some(0));
}

#[tokio::test]
async fn an_xnode_that_others_go_through_stays() {
    let api = TestApi::start().await;
    api.add_xnode("gate").await;
    assert_eq!(add(&api, json!({"ssh": {"user": "ops", "jump": "gate"}})).await.status, 201);
    let gate = || ("if-match", "*".to_owned());
    let (name, any) = gate();
    api.delete("/v1/xnodes/gate").header(name, any).send().await.is_problem(409, "wrong_state");
    let rename = api.patch("/v1/xnodes/gate").json(json!({"name": "door"})).header("if-match", "*");
    rename.send().await.is_problem(409, "wrong_state");
    let circle = api.patch("/v1/xnodes/gate").json(json!({"ssh_jump": "web-1"})).header("if-match", "*");
    circle.send().await.is_problem(422, "invalid");
}

/// Raises an alert about `xnode` as the evaluator does.
async fn raise(api: &TestApi, xnode: &XNode) -> AlertId {
    let now = api.context.clock.now();
    let alert = Alert {
        id: AlertId(Uuid::now_v7()),
        subject: Subject { kind: SubjectKind::XNode, id: xnode.id.to_string() },
        subject_name: xnode.name.to_string(),
        kind: AlertKind::ServiceDown,
        severity: Severity::Critical,
        state: AlertState::Open,
        summary: "ping does not answer".to_owned(),
        causes: Vec::new(),
        since: now,
        opened_at: now,
        changed_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
    };
    let id = alert.id;
    let told: Result<(), StoreError> = api
        .context
        .store
        .write(Lane::Alerts, move |tx| {
            Box::pin(async move {
                let happening = Happening {
                    kind: AlertChangeKind::Opened,
                    actor: None,
                    text: alert.summary.clone(),
                    comment: None,
                };
                telling::tell(tx, &alert, &[], happening).await
            })
        })
        .await;
    told.expect("told");
    id
}

#[tokio::test]
async fn what_people_do_to_an_alert_is_its_timeline_and_is_told() {
    let api = TestApi::start().await;
    let console = json!({"name": "log", "target": {"kind": "console"}});
    assert_eq!(api.post("/v1/channels").json(console).send().await.status, 201);
    let xnode = api.add_xnode("web-1").await;
    let id = raise(&api, &xnode).await;
    let path = format!("/v1/alerts/{}", id.short());
    let note = json!({"comment": "on it"});
    let acknowledged = api.post(&format!("{path}/acknowledge")).json(note).send().await;
    assert_eq!(acknowledged.json["state"], "acknowledged", "{}", acknowledged.text);
    api.post(&format!("{path}/acknowledge")).send().await.is_problem(409, "wrong_state");
    api.post(&format!("{path}/comments")).json(json!({})).send().await.is_problem(422, "invalid");
    let words = json!({"comment": "disk swapped"});
    assert_eq!(api.post(&format!("{path}/comments")).json(words).send().await.status, 200);
    assert_eq!(api.post(&format!("{path}/resolve")).send().await.json["state"], "resolved");
    api.post(&format!("{path}/resolve")).send().await.is_problem(409, "wrong_state");

    let detail = api.get(&path).send().await.json;
    let kinds: Vec<_> =
        detail["timeline"].as_array().expect("a timeline").iter().map(|c| c["kind"].clone()).collect();
    assert_eq!(kinds, ["opened", "acknowledged", "commented", "resolved"]);
    assert_eq!(detail["timeline"][1]["text"], "on it");
    let deliveries = api.get(&format!("/v1/deliveries?alert={id}&state=waiting")).send().await.json;
    let told = deliveries["items"].as_array().expect("deliveries");
    assert!(told.iter().any(|delivery| delivery["change"] == "acknowledged"), "{deliveries}");
    assert_eq!(api.get("/v1/alerts").send().await.json["items"], json!([]));
    assert_eq!(
        api.get("/v1/alerts?all=true&xnode=web-1").send().await.json["items"][0]["id"],
        id.to_string()
    );
    let delivery = told[0]["id"].as_str().expect("an id");
    assert_eq!(api.post(&format!("/v1/deliveries/{delivery}/retry")).send().await.json["state"], "waiting");
}

#[tokio::test]
async fn removing_an_xnode_ends_its_alerts() {
    let api = TestApi::start().await;
    let xnode = api.add_xnode("web-1").await;
    let id = raise(&api, &xnode).await;
    assert_eq!(api.get("/v1/overview").send().await.json["critical_alerts"], 1);
    assert_eq!(api.delete("/v1/xnodes/web-1").header("if-match", "*").send().await.status, 204);
    let detail = api.get(&format!("/v1/alerts/{id}")).send().await.json;
    assert_eq!(detail["state"], "resolved");
    assert_eq!(api.get("/v1/overview").send().await.json["critical_alerts"], 0);
}

#[tokio::test]
async fn thresholds_and_budgets_come_and_go() {
    let api = TestApi::start().await;
    add(&api, json!({"hourly_cost_micros": 15_000, "tags": ["team/web"]})).await;
    let set = |body| api.put("/v1/thresholds/team%2Fweb").json(body);
    set(json!({"cpu": {"warning": 101.0}})).send().await.is_problem(422, "invalid");
    assert_eq!(set(json!({"cpu": {"warning": 50.0}})).send().await.json["tag"], "team/web");
    assert_eq!(api.get("/v1/thresholds").send().await.json["items"][0]["thresholds"]["cpu"]["warning"], 50.0);
    assert_eq!(api.delete("/v1/thresholds/team%2Fweb").send().await.status, 204);
    api.delete("/v1/thresholds/team%2Fweb").send().await.is_problem(404, "not_found");

    let limit = |path: &str, micros: i64| api.put(path).json(json!({"hourly_limit_micros": micros}));
    limit("/v1/budgets/global/global", 0).send().await.is_problem(422, "invalid");
    limit("/v1/budgets/global/all", 1).send().await.is_problem(422, "invalid");
    let budget = limit("/v1/budgets/tag/team%2Fweb", 10_000).send().await;
    assert_eq!(budget.json["hourly_cost_micros"], 15_000, "{}", budget.text);
    assert_eq!(api.delete("/v1/budgets/tag/team%2Fweb").send().await.status, 204);
    assert_eq!(api.get("/v1/budgets").send().await.json["items"], json!([]));
}

#[tokio::test]
async fn a_test_message_says_what_the_other_side_said() {
    let api = TestApi::start().await;
    let console = json!({"name": "log", "target": {"kind": "console"}});
    api.post("/v1/channels").json(console).send().await;
    let tested = api.post("/v1/channels/log/test").send().await;
    assert_eq!((tested.status, &tested.json["accepted"]), (200, &json!(true)), "{}", tested.text);
    api.post("/v1/channels/none/test").send().await.is_problem(404, "not_found");
}

#[tokio::test]
async fn history_of_a_node_that_was_never_asked_is_empty_and_not_an_error() {
    let api = TestApi::start().await;
    api.add_xnode("web-1").await;
    for path in ["/v1/xnodes/web-1/health/history", "/v1/xnodes/web-1/metrics/history?series=cpu"] {
        assert_eq!(api.get(path).send().await.json, json!({"items": []}));
    }
    assert_eq!(api.get("/v1/xnodes/web-1/metrics").send().await.json["latest"], Value::Null);
    let backwards = "/v1/xnodes/web-1/health/history?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z";
    api.get(backwards).send().await.is_problem(422, "invalid");
    api.get("/v1/xnodes/web-1/health/history?check=http").send().await.is_problem(404, "not_found");
}

#[tokio::test]
async fn history_comes_one_by_one_or_merged_to_fit() {
    let api = TestApi::start().await;
    let xnode = api.add_xnode("web-1").await;
    let states = checks::states(&mut api.context.store.reader().await.expect("a reader")).await;
    let (key, ..) = states.expect("states")[&xnode.checks[0].id].clone();
    let now_ms = api.context.clock.now().as_millisecond();
    let written: Result<(), StoreError> = api
        .context
        .store
        .write_telemetry(move |tx| {
            Box::pin(async move {
                let result = |n: i64| RawResult {
                    at_ms: now_ms - n * 60_000,
                    outcome: if n % 10 == 0 { Outcome::Down } else { Outcome::Up },
                    latency_us: Some(n.unsigned_abs()),
                    detail: (n == 100).then(|| "answered".to_owned()),
                };
                let results: Vec<_> = (1..=100).rev().map(|n| (key, result(n))).collect();
                probes::append(tx, &results).await
            })
        })
        .await;
    written.expect("written");
    let read = async |query: &str| {
        let reply = api.get(&format!("/v1/xnodes/web-1/health/history?{query}")).send().await;
        reply.json["items"].as_array().expect("points").clone()
    };
    let single = read("check=ping").await;
    assert_eq!(
        (single.len(), &single[0]["span_ms"], &single[0]["detail"]),
        (100, &json!(0), &json!("answered"))
    );
    let merged = read("limit=7").await;
    assert!(merged.len() <= 7 && merged.iter().all(|point| point["span_ms"] != 0));
    let sum = |field: &str| merged.iter().filter_map(|point| point[field].as_u64()).sum::<u64>();
    assert_eq!((sum("probes"), sum("passed")), (100, 90));
}
