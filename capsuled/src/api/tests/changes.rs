//! Revisions, idempotency keys, audit and operations.

use capsule_api::{EventKind, OperationId, Role};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    api::testing::{TestApi, peer},
    store::{Lane, StoreError, operations},
};

#[tokio::test]
async fn a_change_says_which_revision_it_was_made_from() {
    let api = TestApi::start().await;
    let added = api.post("/v1/xnodes").json(json!({"name": "web-1", "address": "192.0.2.1"})).send().await;
    assert_eq!((added.status, added.header("etag")), (201, "\"1\""));
    let path = added.header("location").to_owned();
    let region = |to: &str| api.patch(&path).json(json!({"region": to}));

    region("a").send().await.is_problem(428, "if_match_missing");
    region("a").header("if-match", "\"7\"").send().await.is_problem(412, "stale");
    region("a").header("if-match", "\"foreign\"").send().await.is_problem(412, "stale");
    let changed = region("a").header("if-match", "\"1\"").send().await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""));
    region("b").header("if-match", "\"1\"").send().await.is_problem(412, "stale");
    assert_eq!(region("c").header("if-match", "\"1\", \"2\"").send().await.status, 200);
    assert_eq!(region("d").header("if-match", "*").send().await.json["region"], "d");

    api.delete(&path).send().await.is_problem(428, "if_match_missing");
    api.delete(&path).header("if-match", "\"1\"").send().await.is_problem(412, "stale");
    assert_eq!(api.delete(&path).header("if-match", "\"4\"").send().await.status, 204);
    api.get(&path).send().await.is_problem(404, "not_found");
}

#[tokio::test]
async fn settings_have_revisions_too() {
    let api = TestApi::start().await;
    let tag = api.get("/v1/settings").send().await.header("etag").to_owned();
    let patch = |body| api.patch("/v1/settings").json(body);
    patch(json!({"down_after": 3})).send().await.is_problem(428, "if_match_missing");
    patch(json!({"down_after": 0})).header("if-match", &tag).send().await.is_problem(422, "invalid");
    let changed = patch(json!({"down_after": 3, "thresholds": {"cpu": {"warning": 60.0}}}))
        .header("if-match", &tag)
        .send()
        .await;
    assert_eq!((changed.status, &changed.json["down_after"]), (200, &json!(3)));
    assert_eq!(
        changed.json["thresholds"]["cpu"],
        json!({"warning": 60.0, "critical": 90.0, "hysteresis": 5.0, "for_ms": 120_000})
    );
    patch(json!({"down_after": 4})).header("if-match", &tag).send().await.is_problem(412, "stale");
}

#[tokio::test]
async fn a_request_sent_twice_with_a_key_is_carried_out_once() {
    let api = TestApi::start().await;
    let post = |name: &str| {
        api.post("/v1/xnodes")
            .json(json!({"name": name, "address": "192.0.2.1"}))
            .header("idempotency-key", "once")
    };
    let first = post("web-1").send().await;
    let again = post("web-1").send().await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""));
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
    assert_eq!(again.json, first.json);
    for header in ["location", "etag", "content-type"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    post("web-2").send().await.is_problem(422, "idempotency_mismatch");
    // Another user's key of the same name is another key.
    let other = post("web-3").by(peer(4_001, Some(Role::Admin))).send().await;
    assert_eq!(other.status, 201, "{}", other.text);
    assert_eq!(api.names().await, ["web-1", "web-3"]);
}

#[tokio::test]
async fn a_request_that_failed_may_be_repeated_with_its_key() {
    let api = TestApi::start().await;
    let post = || {
        api.post("/v1/xnodes")
            .json(json!({"name": "web-1", "address": "192.0.2.1"}))
            .header("idempotency-key", "try")
    };
    let taken = api.add_xnode("web-1").await;
    post().send().await.is_problem(409, "name_taken");
    api.delete(&format!("/v1/xnodes/{}", taken.id)).header("if-match", "*").send().await;
    let added = post().send().await;
    assert_eq!((added.status, added.header("idempotent-replayed")), (201, ""));
}

#[tokio::test]
async fn a_repeat_while_the_first_is_being_carried_out_is_told_to_wait() {
    let api = TestApi::start().await;
    let sink = TcpListener::bind("127.0.0.1:0").await.expect("listening");
    let url = format!("http://{}/", sink.local_addr().expect("an address"));
    let channel = json!({"name": "hook", "target": {"kind": "webhook", "url": url}});
    assert_eq!(api.post("/v1/channels").json(channel).send().await.status, 201);
    let test = || api.post("/v1/channels/hook/test").header("idempotency-key", "slow");
    let repeat = async {
        let (silent, _) = sink.accept().await.expect("the first test message arrives");
        test().send().await.is_problem(409, "idempotency_running");
        drop((silent, sink));
    };
    let (first, ()) = tokio::join!(test().send(), repeat);
    assert_eq!((first.status, &first.json["accepted"]), (200, &json!(false)), "{}", first.text);
    assert_eq!(test().send().await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn keys_are_short_and_visible() {
    let api = TestApi::start().await;
    for key in [String::new(), "a b".to_owned(), "x".repeat(256)] {
        let call = api.post("/v1/xnodes").json(json!({})).header("idempotency-key", key);
        call.send().await.is_problem(400, "unfit_header");
    }
}

#[tokio::test]
async fn every_change_leaves_an_audit_row_with_its_request() {
    let api = TestApi::start().await;
    let added = api.post("/v1/xnodes").json(json!({"name": "web-1", "address": "192.0.2.1"})).send().await;
    let audit = api.get("/v1/audit").send().await;
    let entry = &audit.json["items"][0];
    assert_eq!(entry["action"], "create_xnode");
    assert_eq!(entry["request_id"], added.header("x-request-id"));
    assert!(entry["target"].as_str().is_some_and(|target| target.starts_with("web-1 ")));
    api.post("/v1/xnodes").json(json!({"name": "web-1", "address": "192.0.2.1"})).send().await;
    assert_eq!(api.get("/v1/audit").send().await.json, audit.json, "a refused change is no change");
}

#[tokio::test]
async fn long_work_is_an_operation_to_wait_for() {
    let api = TestApi::start().await;
    let xnode = api.add_xnode("web-1").await;
    let begun = api.post("/v1/xnodes/web-1/health/run").send().await;
    assert_eq!((begun.status, &begun.json["state"]), (202, &json!("pending")));
    let path = begun.header("location").to_owned();
    assert_eq!(begun.json["resource"], xnode.id.to_string());
    assert_eq!(api.get(&format!("{path}?wait=10ms")).send().await.json["state"], "pending");

    let id: OperationId = begun.json["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let waiting = format!("{path}?wait=20s");
    let (waited, ()) = tokio::join!(api.get(&waiting).send(), finish(&api, id));
    assert_eq!((&waited.json["state"], &waited.json["result"]), (&json!("succeeded"), &json!("all well")));
    api.post(&format!("{path}/cancel")).send().await.is_problem(409, "wrong_state");
    assert_eq!(api.get("/v1/operations").send().await.json["items"].as_array().map(Vec::len), Some(1));
}

/// What the operations task does in the end.
async fn finish(api: &TestApi, id: OperationId) {
    let done: Result<(), StoreError> = api
        .context
        .store
        .write(Lane::Normal, move |tx| {
            Box::pin(async move {
                operations::finish(tx, id, Ok(&json!("all well"))).await?;
                tx.emit(EventKind::OperationChanged, &id.to_string(), &json!({})).await
            })
        })
        .await;
    done.expect("finished");
}

#[tokio::test]
async fn a_node_that_cannot_be_asked_is_not_asked() {
    let api = TestApi::start().await;
    api.add_xnode("web-1").await;
    api.post("/v1/xnodes/web-1/metrics/collect").send().await.is_problem(409, "wrong_state");
    api.patch("/v1/xnodes/web-1").json(json!({"status": "stopped"})).header("if-match", "*").send().await;
    api.post("/v1/xnodes/web-1/health/run").send().await.is_problem(409, "wrong_state");
}
