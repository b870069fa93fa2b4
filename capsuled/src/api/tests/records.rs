//! The inventory as CSV and for other programs, by way of HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::testing::{Reply, TestApi};

const HEADING: &str = "id,name,provider,status,ip_address,region,deployed_at,cost_hourly,tags";

async fn import(api: &TestApi, csv: &str) -> Reply {
    api.post("/v1/inventory/import").json(json!({"text": csv})).send().await
}

async fn export(api: &TestApi, format: &str) -> String {
    let reply = api.get(&format!("/v1/inventory/export?format={format}")).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.text
}

fn counts(reply: &Reply) -> [i64; 3] {
    ["created", "changed", "unchanged"].map(|field| reply.json[field].as_i64().unwrap_or(-1))
}

#[tokio::test]
async fn an_import_can_be_repeated_and_an_export_imported() {
    let api = TestApi::start().await;
    let file = format!(
        "{HEADING}\nxnode-17,web-1,hetzner,running,192.0.2.1,fsn1,2024-05-01T10:00:00,0.015,\"web,eu\"\n\
         ,db-1,,stopped,db.example.org,,,,\n"
    );
    assert_eq!(counts(&import(&api, &file).await), [2, 0, 0]);
    assert_eq!(counts(&import(&api, &file).await), [0, 0, 2]);
    let revision = api.get("/v1/xnodes/web-1").send().await.json["revision"].clone();
    let exported = export(&api, "csv").await;
    assert!(
        exported.contains(",web-1,hetzner,running,192.0.2.1,fsn1,2024-05-01T10:00:00Z,0.015,\"eu,web\","),
        "{exported}"
    );
    assert_eq!(counts(&import(&api, &exported).await), [0, 0, 2]);
    assert_eq!(api.get("/v1/xnodes/web-1").send().await.json["revision"], revision);
    // Renamed meanwhile: the other tool's id still finds it. A missing column says nothing.
    assert_eq!(counts(&import(&api, "id,name,region\nxnode-17,web-9,\n").await), [0, 1, 0]);
    let web = api.get("/v1/xnodes/web-9").send().await.json;
    assert_eq!((&web["region"], &web["provider"]), (&Value::Null, &json!("hetzner")));
    let elsewhere = TestApi::start().await;
    let exported = export(&api, "csv").await;
    assert_eq!(counts(&import(&elsewhere, &exported).await), [2, 0, 0]);
    assert_eq!(export(&elsewhere, "csv").await, exported);
}

#[tokio::test]
async fn a_file_with_a_fault_changes_nothing_and_every_fault_is_named() {
    let api = TestApi::start().await;
    api.add_xnode("web-1").await;
    let file = "name,ip_address,ssh_user,ssh_jump,cost_hourly\n\
        web-1,192.0.2.7,,,\n\
        web-2,192.0.2.2,a b,,\n\
        web-3,192.0.2.3,,nobody,\n\
        web-4,192.0.2.4,,,\n\
        WEB-4,192.0.2.5,,,\n\
        web-1,192.0.2.8,,,\n";
    let reply = import(&api, file).await;
    reply.is_problem(422, "invalid");
    let detail = reply.json["detail"].as_str().unwrap_or_default();
    for part in [
        "row 3, ssh_user: ",
        "row 4, ssh_jump: ",
        "row 5, name: ",
        "row 6, name: ",
        "row 7, id: row 2 is about",
    ] {
        assert!(detail.contains(part), "`{part}` is not in {detail}");
    }
    assert_eq!(api.names().await, ["web-1"]);
    assert_eq!(api.get("/v1/xnodes/web-1").send().await.json["address"], "192.0.2.10");
    let many: String = (0..50).map(|n| format!("bad {n},x\n")).collect();
    let reply = import(&api, &format!("name,ip_address\n{many}")).await;
    let detail = reply.json["detail"].as_str().unwrap_or_default();
    let named = detail.matches("row ").count();
    assert!(3 < named && detail.ends_with(&format!("; and {} more", 50 - named)), "{detail}");
    let dry = api
        .post("/v1/inventory/import")
        .json(json!({"text": "name,ip_address\nnew,192.0.2.1\n", "dry_run": true}));
    assert_eq!(counts(&dry.send().await), [1, 0, 0]);
    assert_eq!(api.names().await, ["web-1"]);
}

#[tokio::test]
async fn ten_thousand_rows_are_one_transaction_in_seconds() {
    let api = TestApi::start().await;
    let rows: String = (0..10_000)
        .map(|n| {
            format!(
                ",web-{n},hetzner,running,10.{}.{}.{},fsn1,,0.015,web\n",
                n / 65_536,
                n / 256 % 256,
                n % 256
            )
        })
        .collect();
    let file = format!("{HEADING}\n{rows}");
    assert_eq!(counts(&import(&api, &file).await), [10_000, 0, 0]);
    assert_eq!(counts(&import(&api, &file).await), [0, 0, 10_000]);
    for path in
        ["/v1/costs?by=xnode", "/v1/inventory/export", "/v1/inventory/export?format=ansible", "/v1/stats"]
    {
        let began = Instant::now();
        assert_eq!(api.get(path).send().await.status, 200);
        let took = began.elapsed();
        eprintln!("{path}: {} ms", took.as_millis());
        assert!(took < Duration::from_secs(20), "{path} took {took:?}");
    }
}

#[tokio::test]
async fn other_programs_get_their_form() {
    let api = TestApi::start().await;
    let node = json!({"name": "web-1", "address": "192.0.2.1", "tags": ["eu"], "ssh": {"user": "ops", "port": 2222}});
    assert_eq!(api.post("/v1/xnodes").json(node).send().await.status, 201);
    let list: Value = serde_json::from_str(&export(&api, "ansible").await).expect("JSON");
    assert_eq!(list["tag_eu"]["hosts"], json!(["web-1"]));
    let host = api.get("/v1/inventory/export?format=ansible&host=web-1").send().await.json;
    assert_eq!(host, list["_meta"]["hostvars"]["web-1"]);
    api.get("/v1/inventory/export?format=ansible&host=nobody").send().await.is_problem(404, "not_found");
    api.get("/v1/inventory/export?host=web-1").send().await.is_problem(422, "invalid");
    assert!(
        export(&api, "ssh-config")
            .await
            .contains("Host web-1\n    HostName 192.0.2.1\n    Port 2222\n    User ops\n")
    );
    let targets: Value = serde_json::from_str(&export(&api, "prometheus").await).expect("JSON");
    assert_eq!(targets[0]["targets"], json!(["192.0.2.1:9100"]));
    let all: Value = serde_json::from_str(&export(&api, "json").await).expect("JSON");
    assert_eq!(all[0]["name"], "web-1");
}

#[tokio::test]
async fn only_an_import_may_be_large() {
    let api = TestApi::start().await;
    let padding = " ".repeat(2 << 20);
    assert_eq!(
        counts(&import(&api, &format!("name,ip_address\nweb-1,192.0.2.1{padding}\n")).await),
        [1, 0, 0]
    );
    import(&api, &" ".repeat(17 << 20)).await.is_problem(413, "body_too_large");
    let large = api.post("/v1/xnodes").json(json!({"name": padding}));
    large.send().await.is_problem(413, "body_too_large");
}
