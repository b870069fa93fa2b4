//! Who may do what, by the peer of the connection.

use capsule_api::Role;
use serde_json::json;

use crate::api::testing::{TestApi, peer};

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nnot a key\n-----END OPENSSH PRIVATE KEY-----";

#[tokio::test]
async fn readers_read_operators_act_and_strangers_do_neither() {
    let api = TestApi::start().await;
    let body = || json!({"name": "web-1", "address": "192.0.2.1"});
    let by = |role| peer(4_000, role);

    api.get("/v1/xnodes").by(by(None)).send().await.is_problem(403, "no_role");
    assert_eq!(api.get("/v1/xnodes").by(by(Some(Role::Reader))).send().await.status, 200);
    let refused = api.post("/v1/xnodes").json(body()).by(by(Some(Role::Reader))).send().await;
    refused.is_problem(403, "role_too_low");
    assert!(refused.json["hint"].as_str().is_some_and(|hint| hint.contains("usermod -aG capsule-operator")));
    assert!(api.names().await.is_empty());
    let added = api.post("/v1/xnodes").json(body()).by(by(Some(Role::Operator))).send().await;
    assert_eq!(added.status, 201);
    let audit = api.get("/v1/audit");
    audit.by(by(Some(Role::Operator))).send().await.is_problem(403, "role_too_low");
    assert_eq!(api.get("/v1/audit").send().await.json["items"][0]["actor"], "user-4000");
}

#[tokio::test]
async fn credentials_are_for_administrators_and_paths_for_the_daemons_own_user() {
    let api = TestApi::start().await;
    let add = |key| {
        let ssh = json!({"user": "ops", "key": key});
        api.post("/v1/xnodes").json(json!({"name": "web-1", "address": "192.0.2.1", "ssh": ssh}))
    };
    let operator = || peer(4_000, Some(Role::Operator));
    let admin = || peer(4_000, Some(Role::Admin));
    add(json!({"pem": KEY})).by(operator()).send().await.is_problem(403, "role_too_low");
    add(json!({"path": "/home/x/id"})).by(admin()).send().await.is_problem(403, "other_user");
    add(json!({"agent": {}})).by(admin()).send().await.is_problem(403, "other_user");
    let refused = add(json!({"pem": KEY})).by(admin()).send().await;
    refused.is_problem(422, "invalid");
    assert!(refused.text.contains("ssh.key.pem") && !refused.text.contains("not a key\\n"));
    let own = add(json!({"path": "/home/x/id"})).send().await;
    assert_eq!((own.status, &own.json["ssh"]["key"]), (201, &json!("path")));
}

#[tokio::test]
async fn readers_do_not_see_the_values_of_headers() {
    let api = TestApi::start().await;
    let probe =
        json!({"kind": "http", "url": "https://192.0.2.1/", "headers": {"authorization": "Bearer s3cret"}});
    let body = json!({"name": "web-1", "address": "192.0.2.1", "checks": [{"probe": probe}]});
    assert_eq!(api.post("/v1/xnodes").json(body).send().await.status, 201);
    let target =
        json!({"kind": "webhook", "url": "https://192.0.2.1/hook", "headers": {"x-token": "s3cret"}});
    let channel = api.post("/v1/channels").json(json!({"name": "hook", "target": target})).send().await;
    assert_eq!(channel.status, 201, "{}", channel.text);
    for path in ["/v1/xnodes", "/v1/xnodes/web-1", "/v1/channels", "/v1/channels/hook"] {
        let seen = api.get(path).by(peer(4_000, Some(Role::Reader))).send().await;
        assert!(seen.text.contains("***") && !seen.text.contains("s3cret"), "{path}: {}", seen.text);
        assert!(api.get(path).send().await.text.contains("s3cret"), "{path}");
    }
}

#[tokio::test]
async fn web_pages_are_refused_whoever_shows_them() {
    let api = TestApi::start().await;
    api.get("/v1").header("origin", "https://evil.example").send().await.is_problem(403, "foreign_origin");
    api.get("/v1").header("referer", "http://localhost/").send().await.is_problem(403, "foreign_origin");
    api.get("http://evil.example/v1").send().await.is_problem(403, "foreign_origin");
}

#[tokio::test]
async fn a_channels_secret_goes_in_and_never_comes_out() {
    let api = TestApi::start().await;
    let secret = "https://hooks.slack.com/services/T0/B0/s3cret";
    let body = json!({"name": "ops", "target": {"kind": "slack"}, "secret": secret});
    let added = api.post("/v1/channels").json(body).send().await;
    assert_eq!((added.status, &added.json["has_secret"]), (201, &json!(true)), "{}", added.text);
    for path in ["/v1/channels", "/v1/channels/ops", "/v1/audit"] {
        assert!(!api.get(path).send().await.text.contains("s3cret"), "{path}");
    }
    let patch = |body| api.patch("/v1/channels/ops").json(body).header("if-match", "*");
    assert_eq!(patch(json!({"enabled": false})).send().await.json["has_secret"], true);
    let other = json!({"target": {"kind": "console"}});
    patch(other).send().await.is_problem(422, "invalid");
    let none = json!({"name": "ops-2", "target": {"kind": "slack"}});
    api.post("/v1/channels").json(none).send().await.is_problem(422, "invalid");
}
