//! Servers from other programs and from the earlier Capsule, by way of HTTP.

use serde_json::{Value, json};

use crate::api::testing::{Reply, TestApi};

const PYTHON: &str = include_str!("../../rules/former/fixtures/python/inventory.json");
const MONITORING: &str = include_str!("../../rules/former/fixtures/python/monitoring.yml");
const PROVIDERS: &str = "digitalocean:\n  api_key: canary-key\nscaleway:\n  api_key: canary-scw\n\
    aws:\n  access_key_id: AKIA\n  secret_access_key: canary-aws\nmoon:\n  api_key: x\n";

async fn import(api: &TestApi, body: Value) -> Reply {
    api.post("/v1/inventory/import").json(body).send().await
}

fn counts(reply: &Reply) -> [i64; 3] {
    ["created", "changed", "unchanged"].map(|field| reply.json[field].as_i64().unwrap_or(-1))
}

async fn migrate(api: &TestApi, inventory: &str, providers: &str, dry_run: bool) -> Reply {
    let files = json!({
        "inventory.json": inventory, "monitoring.yml": MONITORING, "providers.yml": providers,
        "openmesh.yml": "default_region: eu-central-1\n", "nixos/flake.nix": null,
    });
    let body = json!({"files": files, "time_zone": "CET-1CEST,M3.5.0,M10.5.0/3", "dry_run": dry_run});
    api.post("/v1/migrations").json(body).send().await
}

/// `file what created present` of everything that was taken.
fn taken(reply: &Reply) -> Vec<String> {
    let files = reply.json["files"].as_array().cloned().unwrap_or_default();
    let line = |file: &Value, count: &Value| {
        format!("{} {} {} {}", file["file"], count["what"], count["created"], count["present"])
            .replace('"', "")
    };
    files
        .iter()
        .flat_map(|file| file["taken"].as_array().into_iter().flatten().map(|count| line(file, count)))
        .collect()
}

/// Everything that a migration could change. What a server costs while it runs changes by itself.
async fn state(api: &TestApi) -> Vec<Value> {
    let mut all = vec![json!(lives(api).await)];
    for path in ["/v1/xnodes", "/v1/channels", "/v1/accounts", "/v1/settings"] {
        all.push(api.get(path).send().await.json);
    }
    all
}

/// `name deployed terminated` of every life, with the cost of those that ended.
async fn lives(api: &TestApi) -> Vec<String> {
    let history = api.get("/v1/history").send().await.json;
    let line = |life: &Value| {
        let cost = if life["terminated_at"].is_null() { &Value::Null } else { &life["total_cost_micros"] };
        format!("{} {} {} {cost}", life["name"], life["deployed_at"], life["terminated_at"]).replace('"', "")
    };
    history["items"].as_array().into_iter().flatten().map(line).collect()
}

#[tokio::test]
async fn a_whole_directory_is_taken_once_and_a_trial_takes_nothing() {
    let api = TestApi::start().await;
    let empty = state(&api).await;
    let trial = migrate(&api, PYTHON, PROVIDERS, true).await;
    assert_eq!(trial.status, 200, "{}", trial.text);
    assert_eq!(state(&api).await, empty);
    let reply = migrate(&api, PYTHON, PROVIDERS, false).await;
    assert_eq!(reply.json, trial.json, "the trial said what happens");
    assert_eq!(
        taken(&reply),
        [
            "inventory.json xnodes 2 0",
            "inventory.json lifetimes 2 0",
            "monitoring.yml channels 4 0",
            "monitoring.yml settings 1 0",
            "providers.yml accounts 3 0",
        ]
    );
    assert_eq!(reply.json["secrets_in"], json!(["providers.yml", "monitoring.yml"]));
    assert!(reply.text.contains("there is no such provider here"), "{}", reply.text);

    let full = state(&api).await;
    let again = migrate(&api, PYTHON, PROVIDERS, false).await;
    assert!(taken(&again).iter().all(|line| line.contains(" 0 ")), "{:?}", taken(&again));
    assert_eq!(state(&api).await, full, "a second run changes nothing");
    assert!(!format!("{full:?}{}", reply.text).contains("canary"), "a secret came out");

    assert_eq!(
        lives(&api).await,
        [
            "db-1 2024-05-02T00:00:00Z null null",
            "web-1 2024-05-01T10:00:00.123Z null null",
            "old-api 2024-03-01T11:00:00Z 2024-03-02T11:00:00Z 3600000",
            "xnode-7 2024-01-01T00:00:00Z 2024-01-01T01:30:00Z 10500",
        ]
    );
    let web = api.get("/v1/history?xnode=web-1").send().await.json;
    let cost = web["items"][0]["total_cost_micros"].as_i64().unwrap_or_default();
    assert!((12_345_679..12_400_000).contains(&cost), "what was spent before counts: {cost}");
    let states = full[3]["items"].as_array().into_iter().flatten();
    assert!(states.into_iter().all(|account| account["state"] == "unknown"), "{}", full[3]);
    assert_eq!(full[4]["check_interval_ms"], 120_000);
}

#[tokio::test]
async fn a_directory_that_is_broken_in_one_place_changes_nothing() {
    let api = TestApi::start().await;
    let empty = state(&api).await;
    let broken = PYTHON.replace("\"ssh_port\": 2222", "\"ssh_port\": 0");
    let reply = migrate(&api, &broken, PROVIDERS, false).await;
    reply.is_problem(422, "invalid");
    assert!(reply.text.contains("inventory.json line 29, ssh_port: "), "{}", reply.text);
    let reply = migrate(&api, PYTHON, "vultr:\n  api_key: \"a\\tcanary\"\n", false).await;
    reply.is_problem(422, "invalid");
    assert!(reply.text.contains("providers.yml line 1, vultr.api_key: "), "{}", reply.text);
    assert!(!reply.text.contains("canary"), "{}", reply.text);
    assert_eq!(state(&api).await, empty);
}

#[tokio::test]
async fn what_is_here_already_is_never_overwritten() {
    let api = TestApi::start().await;
    api.add_xnode("web-1").await;
    let patch = json!({"check_interval_ms": 60_000});
    let etag = api.get("/v1/settings").send().await.header("etag").to_owned();
    let set = api.patch("/v1/settings").header("if-match", etag).json(patch).send().await;
    assert_eq!(set.status, 200, "{}", set.text);
    let before = api.get("/v1/xnodes/web-1").send().await.json;
    let reply = migrate(&api, PYTHON, PROVIDERS, false).await;
    assert!(taken(&reply).contains(&"inventory.json xnodes 1 1".to_owned()), "{:?}", taken(&reply));
    assert!(reply.text.contains("they were set here already"), "{}", reply.text);
    assert_eq!(api.get("/v1/xnodes/web-1").send().await.json, before);
    assert_eq!(api.get("/v1/settings").send().await.json["check_interval_ms"], 60_000);
}

#[tokio::test]
async fn a_state_of_terraform_is_taken_once_and_an_account_gives_its_servers_their_place() {
    let api = TestApi::start().await;
    let state = include_str!("../../rules/records/terraform/fixtures/linode.tfstate");
    let body = json!({"format": "terraform", "text": state});
    let first = import(&api, body.clone()).await;
    assert_eq!(counts(&first), [1, 0, 0], "{}", first.text);
    assert!(
        first.json["left"][0]["reason"].as_str().unwrap_or_default().contains("provider configure linode")
    );
    assert_eq!(api.get("/v1/xnodes/db").send().await.json["placement"], Value::Null);
    assert_eq!(counts(&import(&api, body.clone()).await), [0, 0, 1]);
    // The account comes by a migration, which asks no provider.
    migrate(&api, "{}", "linode:\n  api_key: canary\n", false).await;
    assert_eq!(counts(&import(&api, body.clone()).await), [0, 1, 0]);
    let placement = api.get("/v1/xnodes/db").send().await.json["placement"].clone();
    assert_eq!((&placement["account"], &placement["instance"]["id"]), (&json!("linode"), &json!("61234567")));
    // Renamed here: the place finds it, and the file's name is the one that is wanted.
    assert_eq!(counts(&import(&api, body).await), [0, 0, 1]);
    let reply = import(&api, json!({"format": "terraform", "text": state, "account": "nobody"})).await;
    assert_eq!(reply.status, 404, "{}", reply.text);
    let reply =
        import(&api, json!({"format": "terraform", "text": "{\"version\": 4,\n\"resources\": 7}"})).await;
    reply.is_problem(422, "invalid");
    assert!(reply.text.contains("line 2, resources: "), "{}", reply.text);
}

#[tokio::test]
async fn an_ssh_configuration_is_taken_once_and_our_own_export_changes_nothing() {
    let api = TestApi::start().await;
    let text = "Host bastion\n HostName 192.0.2.1\nHost web-*\n ProxyJump bastion\nHost web-1\n \
        HostName 192.0.2.2\n IdentityFile ~/.ssh/id\nHost *\n User ops\n";
    let body = json!({"format": "ssh-config", "text": text});
    let reply = import(&api, body.clone()).await;
    assert_eq!(counts(&reply), [2, 0, 0], "{}", reply.text);
    assert_eq!(reply.json["identity_files"], json!(["~/.ssh/id"]));
    assert_eq!(api.get("/v1/xnodes/web-1").send().await.json["ssh"]["jump"], "bastion");
    assert_eq!(counts(&import(&api, body).await), [0, 0, 2]);
    let odd =
        json!({"name": "six", "address": "2001:db8::7", "ssh": {"jump": "me@2001:db8::2", "port": 2222}});
    assert_eq!(api.post("/v1/xnodes").json(odd).send().await.status, 201);
    let exported = api.get("/v1/inventory/export?format=ssh-config").send().await.text;
    let reply = import(&api, json!({"format": "ssh-config", "text": exported})).await;
    assert_eq!(counts(&reply), [0, 0, 3], "{}", reply.text);
}

#[tokio::test]
async fn ten_thousand_hosts_are_taken_in_seconds() {
    let api = TestApi::start().await;
    let text: String = (0..10_000)
        .map(|n| format!("Host h-{n}\n HostName 10.{}.{}.{}\n", n / 65_536, n / 256 % 256, n % 256))
        .collect();
    let body = json!({"format": "ssh-config", "text": text + "Host *\n User ops\n"});
    assert_eq!(counts(&import(&api, body.clone()).await), [10_000, 0, 0]);
    assert_eq!(counts(&import(&api, body).await), [0, 0, 10_000]);
}
