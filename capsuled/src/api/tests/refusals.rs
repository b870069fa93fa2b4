//! Bad input: a clear 4xx, and nothing changed.

use axum::{Router, middleware::from_fn, routing::get};
use serde_json::json;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{observe, panicked, testing::TestApi};

#[tokio::test]
async fn bodies_that_do_not_fit_change_nothing() {
    let api = TestApi::start().await;
    let fits = json!({"name": "web-1", "address": "192.0.2.1"});
    let with = |field: &str, value: serde_json::Value| {
        let mut body = fits.clone();
        body[field] = value;
        body
    };
    for body in [
        with("colour", json!("red")),
        with("name", json!(7)),
        with("name", json!("web\n1")),
        with("name", json!("\u{1b}[31mweb")),
        with("name", json!("x".repeat(64))),
        with("address", json!("http://192.0.2.1")),
        with("tags", json!(["a b"])),
        with("ssh", json!({"port": 70_000})),
        with("checks", json!([{"probe": {"kind": "telnet"}}])),
        json!([]),
        json!(["web-1", "192.0.2.1"]),
        json!({"name": "web-1"}),
    ] {
        let reply = api.post("/v1/xnodes").json(body.clone()).send().await;
        assert_eq!(reply.status, 422, "{body}: {}", reply.text);
        reply.is_problem(422, "unfit_body");
        assert!(
            !reply.text.contains('\u{1b}')
                && !reply.json["detail"].as_str().unwrap_or("\u{1b}").contains('\u{1b}')
        );
    }
    assert!(api.names().await.is_empty());
}

#[tokio::test]
async fn what_is_not_json_or_does_not_say_so_is_refused() {
    let api = TestApi::start().await;
    let post = || api.post("/v1/xnodes");
    post().raw("application/json", "{\"name\": ").send().await.is_problem(400, "malformed_json");
    post().raw("application/json", "").send().await.is_problem(400, "malformed_json");
    post().raw("text/plain", "{}").send().await.is_problem(415, "unsupported_media_type");
    post().send().await.is_problem(415, "unsupported_media_type");
    assert!(api.names().await.is_empty());
}

#[tokio::test]
async fn queries_and_paths_that_do_not_fit_are_refused() {
    let api = TestApi::start().await;
    for path in [
        "/v1/xnodes?colour=red",
        "/v1/xnodes?limit=many",
        "/v1/xnodes?limit=0",
        "/v1/xnodes?limit=1001",
        "/v1/xnodes?cursor=***",
        "/v1/xnodes?health=fine",
        "/v1/events?kinds=everything",
        "/v1/operations/01934000-0000-7000-8000-000000000000?wait=forever",
    ] {
        api.get(path).send().await.is_problem(400, "unfit_query");
    }
    api.get("/v1/operations/x").send().await.is_problem(400, "unfit_path");
    api.get("/v1/xnodes/%ff").send().await.is_problem(400, "unfit_path");
    api.get("/v1/alerts?cursor=eA").send().await.is_problem(422, "invalid");
}

#[tokio::test]
async fn absent_things_and_methods_are_said_to_be_absent() {
    let api = TestApi::start().await;
    api.get("/v2").send().await.is_problem(404, "no_such_path");
    api.get("/v1/xnodes/nope").send().await.is_problem(404, "not_found");
    api.add_xnode("web-1").await;
    let close = api.get("/v1/xnodes/web-2").send().await;
    close.is_problem(404, "not_found");
    assert_eq!(close.json["hint"], "did you mean `web-1`?");
    let reply = api.put("/v1/xnodes").send().await;
    reply.is_problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = reply.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn every_reply_has_the_version_and_an_id_of_its_own() {
    let api = TestApi::start().await;
    let (first, second) = (api.get("/v1").send().await, api.get("/v1").send().await);
    assert_eq!(first.header("capsule-version"), env!("CARGO_PKG_VERSION"));
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.json["role"], "admin");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_not_a_dropped_connection() {
    async fn boom() -> &'static str {
        panic!("a bug")
    }
    let layers =
        ServiceBuilder::new().layer(from_fn(observe::observe)).layer(CatchPanicLayer::custom(panicked));
    let router: Router = Router::new().route("/boom", get(boom)).layer(layers);
    let request = axum::extract::Request::get("/boom").body(axum::body::Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.headers().contains_key("x-request-id"));
}
