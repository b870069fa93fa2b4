//! Scaleway against answers it really gave and against a server that behaves like it.

use std::sync::Mutex;

use capsule_api::{Arch, InstanceState};
use reqwest::StatusCode;

use super::{record::Record, *};
use crate::fake::{Answer, Asked, Fake, recorded};

const SERVER: &str = "/instance/v1/zones/fr-par-1/servers/11111111-2222-4333-8444-555555555555";

fn reference() -> InstanceRef {
    InstanceRef { id: "11111111-2222-4333-8444-555555555555".to_owned(), place: "fr-par-1".to_owned() }
}

fn mark() -> Mark {
    Mark::of(uuid::Uuid::now_v7())
}

fn new(mark: &Mark) -> NewInstance {
    NewInstance {
        mark: mark.clone(),
        name: "api".to_owned(),
        plan: "DEV1-S".to_owned(),
        region: "fr-par-1".to_owned(),
        image: "ubuntu-24.04".to_owned(),
        arch: Arch::X86_64,
        bare_metal: false,
        ssh_keys: vec!["ssh-ed25519 AAAA me".to_owned()],
        user_data: Some("#cloud-config\n".into()),
        open_ports: vec![22],
        tags: vec!["web".to_owned()],
    }
}

async fn scaleway(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Fake, Arc<dyn Provider>) {
    client_of(Fake::start(script).await)
}

fn client_of(server: Fake) -> (Fake, Arc<dyn Provider>) {
    let client = server.connect(PROVIDER, &[("api_key", "canary"), ("access_key", "SCWX")]);
    (server, client)
}

fn server(state: &str) -> Value {
    json!({"server": {"id": reference().id, "name": "api", "state": state, "commercial_type": "DEV1-S"}})
}

fn refusal(kind: &str) -> Value {
    json!({"type": kind, "message": "no"})
}

#[test]
fn every_state_has_its_word() {
    use InstanceState::{Error, Provisioning, Running, Stopped, Unknown};
    for (word, wanted) in [
        ("starting", Provisioning),
        ("running", Running),
        ("stopped", Stopped),
        ("stopped in place", Stopped),
        ("stopping", Stopped),
        ("locked", Error),
        ("levitating", Unknown),
    ] {
        let one = instance(json!({"id": "a", "state": word}), "fr-par-1").expect("readable");
        assert_eq!(one.status, wanted, "{word}");
    }
}

#[test]
fn addresses_come_from_either_field_and_only_flexible_ones_stay() {
    let v6 = json!({"id": "6", "address": "2001:db8::1", "dynamic": true});
    let v4 = json!({"id": "4", "address": "203.0.113.9", "dynamic": false});
    for (fields, wanted, staying) in [
        (json!({"public_ips": [v6, v4], "public_ip": v4}), Some("203.0.113.9"), 1),
        (json!({"public_ips": [], "public_ip": v4}), Some("203.0.113.9"), 1),
        (json!({"public_ips": [v6]}), Some("2001:db8::1"), 0),
        (json!({"public_ips": null, "public_ip": null}), None, 0),
    ] {
        let mut raw = fields;
        raw["id"] = "a".into();
        let record = Record::read(&raw).expect("readable");
        assert_eq!(record.flexible_addresses().count(), staying);
        let one = instance(raw, "fr-par-1").expect("readable");
        assert_eq!(one.ip_address.map(|ip| ip.to_string()).as_deref(), wanted);
    }
}

#[test]
fn refusals_are_told_apart_by_their_type_whatever_the_status() {
    for (kind, code) in [
        ("denied_authentication", Some("unauthorised")),
        ("permissions_denied", Some("unauthorised")),
        ("not_found", Some("not_found")),
        ("invalid_arguments", Some("invalid")),
        ("quotas_exceeded", Some("quota")),
        ("out_of_stock", Some("out_of_stock")),
        ("transient_state", Some("conflict")),
        ("something_new", None),
    ] {
        let error = classify(StatusCode::FORBIDDEN, &refusal(kind));
        assert_eq!(error.map(|error| error.code()), code, "{kind}");
    }
}

#[test]
fn recorded_answers_are_read() {
    let Some(answers) = recorded("scaleway") else { return };
    for (name, status, _, mut body) in answers {
        let status = StatusCode::from_u16(status).expect("a status");
        match name.as_str() {
            "create" | "get-running" | "get-starting" | "get-stopped" => {
                let one = instance(body["server"].take(), "fr-par-1").expect(&name);
                let (state, ip) = match name.as_str() {
                    "create" => (InstanceState::Stopped, None),
                    "get-running" => (InstanceState::Running, Some("203.0.113.247")),
                    "get-starting" => (InstanceState::Provisioning, Some("203.0.113.247")),
                    _ => (InstanceState::Stopped, Some("203.0.113.22")),
                };
                assert_eq!(one.status, state, "{name}");
                assert_eq!(one.ip_address.map(|ip| ip.to_string()).as_deref(), ip, "{name}");
                assert_eq!((one.plan.as_str(), one.place.as_str()), ("DEV1-S", "fr-par-1"));
                assert!(one.created_at.is_some(), "{name}");
            }
            "list" => {
                let one = instance(body["servers"][0].take(), "fr-par-1").expect(&name);
                assert_eq!(one.status, InstanceState::Stopped);
            }
            "products-servers-some" => {
                let offers = catalogue::offers("fr-par-1", &[body["servers"].take()], &[]).expect(&name);
                let find = |plan: &str| offers.iter().find(|offer| offer.plan == plan).expect("an offer");
                let small = find("DEV1-S");
                assert_eq!((small.price.hourly_micros, small.price.monthly_micros), (8_976, Some(6_552_480)));
                assert_eq!(small.price.currency, capsule_api::Currency::Eur);
                assert_eq!((small.vcpus, small.memory_mib, small.disk_gb), (2, 2048, 20));
                assert_eq!(find("BASIC2-A2C-4G").arch, Arch::Aarch64);
                assert_eq!(find("L4-1-24G").gpu_model.as_deref(), Some("NVIDIA L4"));
            }
            "products-availability" => {
                let priced = |plan: &str| {
                    (
                        plan.to_owned(),
                        json!({"arch": "x86_64", "ncpus": 1, "ram": 1 << 30, "hourly_price": 0.1}),
                    )
                };
                let products = Value::Object(
                    ["DEV1-S", "COMPUTE3-X4C-8G", "L4-1-24G", "GONE"].map(priced).into_iter().collect(),
                );
                let offers =
                    catalogue::offers("fr-par-1", &[products], &[body["servers"].take()]).expect(&name);
                let had: Vec<_> =
                    offers.iter().filter(|offer| offer.available).map(|offer| &*offer.plan).collect();
                assert_eq!(had, ["COMPUTE3-X4C-8G", "DEV1-S"], "scarce can be had, a shortage cannot");
            }
            "error-400-create" => assert_eq!(classify(status, &body).map(|e| e.code()), Some("invalid")),
            "error-401" | "error-403" => {
                assert_eq!(classify(status, &body).map(|e| e.code()), Some("unauthorised"))
            }
            "error-404" => {
                let error = classify(status, &body).expect("classified").to_string();
                assert!(error.contains("instance_server 9e858e94-9b0f-4a2e-9f54-40437bd3ff05"), "{error}");
            }
            "iam-api-key-get" => assert!(body["default_project_id"].is_string()),
            "marketplace-local-images" => {
                assert!(body["local_images"][0]["compatible_commercial_types"].is_array())
            }
            "block-volume-get" => assert_eq!(body["size"], 10_000_000_000_u64),
            // Answers whose body means nothing here.
            "action-poweroff"
            | "action-poweron"
            | "action-terminate"
            | "block-volume-delete"
            | "delete"
            | "iam-sshkey-create"
            | "iam-sshkey-list"
            | "image-get"
            | "user-data-set" => {
                assert!(status.is_success(), "{name}");
            }
            other => panic!("a recorded answer that no test reads: {other}"),
        }
    }
}

#[tokio::test]
async fn the_project_is_learnt_from_the_access_key() {
    let (server, client) =
        scaleway(|_| (200, json!({"default_project_id": "p-1", "description": "mine"}))).await;
    let identity = client.check_credential().await.expect("a good key");
    assert_eq!(identity.learned, [("project_id".to_owned(), "p-1".to_owned())].into());
    assert_eq!(server.lines(), ["GET /iam/v1alpha1/api-keys/SCWX"]);
    assert_eq!(server.asked()[0].headers["x-auth-token"], "canary");
}

#[tokio::test]
async fn a_narrow_key_is_proved_by_a_list_and_a_wrong_one_is_not() {
    let narrow = |asked: &Asked| match asked.path.starts_with("/iam") {
        true => (403, refusal("permissions_denied")),
        false => (200, json!({"servers": []})),
    };
    let (server, client) = scaleway(narrow).await;
    client.check_credential().await.expect("good for servers");
    assert_eq!(server.lines()[1], "GET /instance/v1/zones/fr-par-1/servers");
    let (_server, client) = scaleway(|_| (401, refusal("denied_authentication"))).await;
    assert_eq!(client.check_credential().await.expect_err("wrong").code(), "unauthorised");
}

#[tokio::test]
async fn a_creation_names_the_zones_own_image_and_carries_mark_and_key() {
    let mark = mark();
    let (server, client) = scaleway(|asked| match asked.path.as_str() {
        "/iam/v1alpha1/api-keys/SCWX" => (200, json!({"default_project_id": "p-1"})),
        "/marketplace/v2/local-images" if asked.query.values().any(|kind| kind == "instance_local") => (
            200,
            json!({"local_images": [
                {"id": "arm", "arch": "arm64", "compatible_commercial_types": ["DEV1-S"]},
                {"id": "other", "arch": "x86_64", "compatible_commercial_types": ["GP1-S"]},
                {"id": "right", "arch": "x86_64", "compatible_commercial_types": ["DEV1-S"]},
            ]}),
        ),
        "/marketplace/v2/local-images" => (200, json!({"local_images": []})),
        _ => (201, server("stopped")),
    })
    .await;
    let new = new(&mark);
    let prepared = client.prepare(&new).await.expect("prepared");
    assert_eq!(prepared, json!({"project": "p-1", "image": "right"}));
    let created = client.create(&new, &prepared).await.expect("created").instance;
    assert_eq!((created.status, created.reference()), (InstanceState::Stopped, reference()));
    let wanted = json!({
        "name": "api", "commercial_type": "DEV1-S", "image": "right", "project": "p-1",
        "tags": [mark.as_str(), "web", "AUTHORIZED_KEY=ssh-ed25519_AAAA_me"], "dynamic_ip_required": true,
    });
    assert_eq!(server.asked().pop().expect("a call").body, wanted);
}

#[tokio::test]
async fn nothing_is_made_in_a_zone_that_no_list_looks_into() {
    let (server, client) = scaleway(|_| (200, json!({}))).await;
    let mut new = new(&mark());
    new.region = "fr-par-9".to_owned();
    assert_eq!(client.prepare(&new).await.expect_err("no such zone").code(), "invalid");
    assert!(server.lines().is_empty());
}

/// The server is made, then the daemon dies. After its restart the intent finds a server that is off, and
/// finishing it, once or twice, leaves one that starts with its user data.
#[tokio::test]
async fn a_server_left_off_by_a_crash_is_found_and_finished() {
    let mark = mark();
    let (tag, state) = (mark.to_string(), Arc::new(Mutex::new("stopped")));
    let fake = Fake::start_headed(move |asked| {
        let mut state = state.lock().expect("not poisoned");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/instance/v1/zones/fr-par-1/servers") => {
                let mut one = server(*state);
                one["server"]["tags"] = json!([tag]);
                (200, vec![("x-total-count", "1".to_owned())], json!({"servers": [one["server"].take()]}))
            }
            ("GET", SERVER) => (200, Vec::new(), server(*state)),
            ("GET", _) => (200, vec![("x-total-count", "0".to_owned())], json!({"servers": []})),
            ("POST", _) => {
                *state = "starting";
                (202, Vec::new(), json!({"task": {}}))
            }
            _ => (204, Vec::new(), Value::Null),
        }
    });
    let (server, client) = client_of(fake.await);
    let found = client.find_marked(&mark, "fr-par-1").await.expect("all zones answer");
    assert_eq!(found.len(), 1);
    assert_eq!(server.lines().len(), ZONES.len(), "every zone was asked");
    assert!(server.asked().iter().all(|asked| asked.query["tags"] == mark.as_str()));
    let new = new(&mark);
    for _ in 0..2 {
        client.finish(&found[0].reference(), &new, &Prepared::Null).await.expect("finished");
    }
    let calls: Vec<_> = server.asked().into_iter().skip(ZONES.len()).collect();
    let lines: Vec<_> = calls.iter().map(|asked| asked.line.replace(SERVER, "")).collect();
    assert_eq!(lines, ["GET ", "PATCH /user_data/cloud-init", "POST /action", "GET "]);
    assert_eq!(
        (calls[1].body.as_str(), &calls[1].headers["content-type"]),
        (Some("#cloud-config\n"), &"text/plain".parse().expect("a value"))
    );
    assert_eq!(calls[2].body, json!({"action": "poweron"}));
}

#[tokio::test]
async fn all_pages_of_all_zones_are_read_in_order() {
    let fake = Fake::start_headed(|asked| {
        let total = vec![("x-total-count", "2".to_owned())];
        let zone = asked.path.split('/').nth(4).expect("a zone");
        let page = if asked.query["page"] == "1" { 1 } else { 2 };
        (200, total, json!({"servers": [{"id": format!("{zone}-{page}"), "state": "running"}]}))
    });
    let (server, client) = client_of(fake.await);
    let all = client.instances().await.expect("a list");
    assert_eq!(all.len(), 2 * ZONES.len());
    assert_eq!(
        (all[0].id.as_str(), all[1].id.as_str(), all[0].place.as_str()),
        ("fr-par-1-1", "fr-par-1-2", "fr-par-1")
    );
    assert_eq!(server.lines().len(), 2 * ZONES.len());
}

#[tokio::test]
async fn a_zone_that_fails_fails_the_list_by_its_name() {
    let (_server, client) = scaleway(|asked| match asked.path.contains("pl-waw-2") {
        true => (503, refusal("unavailable")),
        false => (200, json!({"servers": []})),
    })
    .await;
    let error = client.find_marked(&mark(), "fr-par-1").await.expect_err("a zone is out");
    assert!(error.is_transient());
    assert!(error.to_string().contains("pl-waw-2"), "{error}");
}

#[tokio::test]
async fn a_deletion_goes_the_way_the_state_allows() {
    for (state, wanted) in [
        ("running", Ok("POST /action")),
        ("stopped in place", Ok("POST /action")),
        ("stopped", Ok("DELETE ")),
        ("starting", Err("conflict")),
        ("stopping", Err("conflict")),
    ] {
        let (server, client) = scaleway(move |asked| match asked.method.as_str() {
            "GET" => (200, server(state)),
            "POST" => (202, json!({"task": {}})),
            _ => (204, Value::Null),
        })
        .await;
        let outcome = client.delete(&reference()).await.map_err(|error| error.code());
        let last = server.lines().pop().expect("a call").replace(SERVER, "");
        assert_eq!(outcome.map(|()| last.as_str()), wanted, "{state}");
    }
    let (_server, client) = scaleway(|_| (404, refusal("not_found"))).await;
    client.delete(&reference()).await.expect("it is gone already");
    assert_eq!(client.instance(&reference()).await.expect("an answer"), None);
}

#[tokio::test]
async fn power_that_is_so_already_is_success() {
    let (server, client) = scaleway(|asked| match asked.method.as_str() {
        "GET" => (200, server("stopping")),
        _ => (400, refusal("transient_state")),
    })
    .await;
    client.stop(&reference(), false).await.expect("on its way");
    assert_eq!(client.start(&reference()).await.expect_err("not yet").code(), "conflict");
    assert_eq!(server.lines(), [format!("GET {SERVER}"), format!("GET {SERVER}")]);
}

#[tokio::test]
async fn what_survives_is_listed_and_removed() {
    let (server, client) = scaleway(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", SERVER) => {
            let mut one = server("running");
            one["server"]["volumes"] = json!({
                "0": {"id": "block", "volume_type": "sbs_volume"},
                "1": {"id": "local", "volume_type": "l_ssd", "size": 20_000_000_000_u64, "name": "root"},
            });
            one["server"]["public_ips"] = json!([
                {"id": "kept", "address": "203.0.113.9", "dynamic": false},
                {"id": "lent", "address": "203.0.113.10", "dynamic": true},
            ]);
            (200, one)
        }
        ("GET", _) => (200, json!({"id": "block", "name": "root", "size": 10_000_000_000_u64})),
        (_, path) if path.starts_with("/block") => (404, refusal("not_found")),
        _ => (204, Value::Null),
    })
    .await;
    let left = client.leftovers(&reference()).await.expect("a list");
    let shown: Vec<_> = left.iter().map(|one| format!("{} {} {}", one.kind, one.id, one.label)).collect();
    assert_eq!(shown, ["volume block root, 10 GB", "address kept 203.0.113.9"]);
    for one in &left {
        client.delete_leftover(one).await.expect("removed");
    }
    let deleted: Vec<_> = server.lines().into_iter().filter(|line| line.starts_with("DELETE")).collect();
    let wanted = [
        "DELETE /block/v1/zones/fr-par-1/volumes/block",
        "DELETE /instance/v1/zones/fr-par-1/volumes/block",
        "DELETE /instance/v1/zones/fr-par-1/ips/kept",
    ];
    assert_eq!(deleted, wanted);
}

#[tokio::test]
async fn new_tags_keep_the_mark_and_the_keys() {
    let mark = mark();
    let tag = mark.to_string();
    let (server, client) = scaleway(move |_| {
        let mut one = server("running");
        one["server"]["tags"] = json!(["old", tag, "AUTHORIZED_KEY=ssh-ed25519_AAAA"]);
        (200, one)
    })
    .await;
    client.set_tags(&reference(), &["new".to_owned()]).await.expect("set");
    let sent = server.asked().pop().expect("a call").body;
    assert_eq!(sent, json!({"tags": [mark.as_str(), "new", "AUTHORIZED_KEY=ssh-ed25519_AAAA"]}));
    let shown = client.instance(&reference()).await.expect("an answer").expect("there").tags;
    assert_eq!(shown, ["old", mark.as_str()]);
}
