//! Shells and tunnels: who may have one, and what is refused before anything is opened. What they carry is shown by
//! the end-to-end suite, against real servers.

use capsule_api::Role;
use serde_json::json;

use crate::api::testing::{Call, TestApi, peer};

fn asking<'a>(call: Call<'a>, protocol: &'static str) -> Call<'a> {
    call.header("connection", "Upgrade").header("upgrade", protocol)
}

#[tokio::test]
async fn only_administrators_get_a_shell_or_a_tunnel() {
    let api = TestApi::start().await;
    api.add_xnode("web").await;
    let connections = "/v1/tunnels/01939c3e-0000-7000-8000-00001a2b3c4d/connections";
    for path in ["/v1/xnodes/web/shell", "/v1/xnodes/web/tunnels", connections] {
        for role in [Role::Reader, Role::Operator] {
            let refused = api.post(path).json(json!({})).by(peer(4_000, Some(role))).send().await;
            refused.is_problem(403, "role_too_low");
            assert!(refused.json["hint"].as_str().is_some_and(|hint| hint.contains("capsule-admin")));
        }
    }
}

#[tokio::test]
async fn a_stream_must_be_asked_for_by_its_name() {
    let api = TestApi::start().await;
    api.add_xnode("web").await;
    let plain = api.post("/v1/xnodes/web/shell").json(json!({})).send().await;
    plain.is_problem(426, "upgrade_missing");
    assert_eq!(plain.header("upgrade"), "capsule-shell");
    let other = asking(api.post("/v1/xnodes/web/shell").json(json!({})), "websocket").send().await;
    other.is_problem(426, "upgrade_missing");
}

#[tokio::test]
async fn what_cannot_be_opened_is_said_before_anything_is() {
    let api = TestApi::start().await;
    api.add_xnode("web").await;
    let shell = |path: &str, body| asking(api.post(path).json(body), "capsule-shell");
    shell("/v1/xnodes/nosuch/shell", json!({})).send().await.is_problem(404, "not_found");
    shell("/v1/xnodes/web/shell", json!({})).send().await.is_problem(409, "no_way");
    shell("/v1/xnodes/web/shell", json!({"command": ""})).send().await.is_problem(422, "invalid");
    shell("/v1/xnodes/web/shell", json!({"what": 1})).send().await.is_problem(422, "unfit_body");
    let tunnel = json!({"direction": "local", "host": "127.0.0.1", "port": 0});
    let tunnel = asking(api.post("/v1/xnodes/web/tunnels").json(tunnel), "capsule-tunnel");
    tunnel.send().await.is_problem(422, "invalid");
    let gone = api.post("/v1/tunnels/01939c3e-0000-7000-8000-00001a2b3c4d/connections").json(json!({}));
    asking(gone, "capsule-connection").send().await.is_problem(404, "not_found");
    let audit = api.get("/v1/audit").send().await;
    assert!(!audit.text.contains("open_xnode"), "nothing was opened: {}", audit.text);
}
