//! Vultr's words in ours, and the client against a fake of a few lines.

use serde_json::json;

use super::*;
use crate::fake::{Fake, order, reference};

const ID: &str = "cb676a46-66fd-4dfb-b839-443f2e6c0b60";

fn server(id: &str, tags: &[&str]) -> Value {
    json!({
        "id": id, "label": "web-1", "status": "active", "power_status": "running", "server_status": "ok",
        "main_ip": "192.0.2.9", "region": "ewr", "plan": "vc2-1c-1gb", "tags": tags,
        "date_created": "2026-10-10 01:56:20+00:00", "default_password": "hunter2", "kvm": "https://x/?data=1",
    })
}

#[test]
fn states_are_ours() {
    use InstanceState::{Error, Provisioning, Running, Stopped, Unknown};
    for (status, power, server, expected) in [
        ("pending", Some("running"), Some("none"), Provisioning),
        ("resizing", Some("running"), Some("ok"), Provisioning),
        ("active", Some("running"), Some("none"), Provisioning),
        ("active", Some("running"), Some("locked"), Provisioning),
        ("active", Some("running"), Some("installingbooting"), Provisioning),
        ("active", Some("running"), Some("ok"), Running),
        ("active", Some("stopped"), Some("ok"), Stopped),
        ("active", None, None, Running),
        ("suspended", Some("stopped"), Some("ok"), Error),
        ("active", Some("dreaming"), Some("ok"), Unknown),
        ("", None, None, Unknown),
    ] {
        assert_eq!(records::state(status, power, server), expected, "{status} {power:?} {server:?}");
    }
}

#[test]
fn an_unspecified_address_is_none_yet() {
    for (main, v6, expected) in [
        ("192.0.2.9", "2001:db8::1", Some("192.0.2.9")),
        ("0.0.0.0", "", None),
        ("0.0.0.0", "2001:db8::1", Some("2001:db8::1")),
        ("", "2001:db8::1", Some("2001:db8::1")),
        ("", "::", None),
    ] {
        let found = records::address(main, v6).map(|ip| ip.to_string());
        assert_eq!(found.as_deref(), expected, "{main} {v6}");
    }
}

#[test]
fn a_record_is_kept_without_its_password() {
    let instance = instance(server(ID, &[]), "").expect("a record");
    assert!(instance.metadata.get("main_ip").is_some());
    assert!(instance.metadata.get("default_password").is_none() && instance.metadata.get("kvm").is_none());
    assert!(instance.created_at.is_some());
}

#[test]
fn refusals_are_told_apart() {
    for (status, message, expected) in [
        (400, "Plan is not available in the selected region.", Some("out_of_stock")),
        (400, "Server is sold out", Some("out_of_stock")),
        (403, "You have reached the maximum monthly fee limit for this account.", Some("quota")),
        (400, "Server is currently locked", Some("conflict")),
        (400, "Invalid plan.", None),
        (401, "Unauthorized IP address: 192.0.2.1", None),
        (404, "limit of nothing", None),
        (500, "locked", None),
    ] {
        let error = classify(
            StatusCode::from_u16(status).expect("a status"),
            &json!({"error": message, "status": status}),
        );
        assert_eq!(error.map(|error| error.code()), expected, "{message}");
    }
}

#[tokio::test]
async fn a_key_bound_to_other_addresses_is_unauthorised() {
    let fake =
        Fake::start(|_| (401, json!({"error": "Unauthorized IP address: 192.0.2.1", "status": 401}))).await;
    let error = fake.client(NAME).check_credential().await.expect_err("401");
    assert_eq!(error.code(), "unauthorised");
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
}

#[tokio::test]
async fn three_pages_of_each_tree_are_read() {
    let fake = Fake::start(|asked| {
        let (number, next) = match asked.query.get("cursor").map(String::as_str) {
            None => (1, "bmV4dA=="),
            Some("bmV4dA==") => (2, "bGFzdA=="),
            Some(_) => (3, ""),
        };
        let id = format!("00000000-0000-4000-8000-00000000000{number}");
        let key = if asked.line.contains("bare") { "bare_metals" } else { "instances" };
        (200, json!({key: [server(&id, &[])], "meta": {"total": 3, "links": {"next": next, "prev": ""}}}))
    })
    .await;
    let all = fake.client(NAME).instances().await.expect("all pages");
    let places: Vec<_> = all.iter().map(|one| one.place.as_str()).collect();
    assert_eq!(places, ["", "", "", METAL, METAL, METAL]);
    assert_eq!(fake.asked().len(), 6);
}

#[tokio::test]
async fn a_list_that_goes_in_circles_is_no_list() {
    let fake = Fake::start(|_| (200, json!({"instances": [], "meta": {"links": {"next": "again"}}}))).await;
    let error = fake.client(NAME).instances().await.expect_err("no end");
    assert_eq!((error.code(), fake.asked().len()), ("unreadable", 2));
}

#[tokio::test]
async fn a_system_of_long_standing_is_known_without_the_list() {
    let fake = Fake::start(|_| (200, json!({"os": []}))).await;
    let mut order = order();
    order.ssh_keys.clear();
    assert_eq!(fake.client(NAME).prepare(&order).await.expect("a number")["os_id"], 2284);
}

#[tokio::test]
async fn the_mark_is_found_among_machines_of_both_kinds() {
    let mark = order().mark;
    let marked = mark.to_string();
    let fake = Fake::start(move |asked| match asked.line.as_str() {
        "GET /v2/instances" => (200, json!({"instances": [server(ID, &["web"])]})),
        _ => (200, json!({"bare_metals": [server(ID, &[&marked])]})),
    })
    .await;
    let found = fake.client(NAME).find_marked(&mark, "ewr").await.expect("an answer");
    assert_eq!(found.iter().map(|one| one.reference().place).collect::<Vec<_>>(), [METAL]);
}

#[tokio::test]
async fn an_order_carries_number_keys_and_mark() {
    let fake = Fake::start(|asked| match asked.line.as_str() {
        "GET /v2/ssh-keys" => (200, json!({"ssh_keys": [{"id": "k", "ssh_key": "ssh-ed25519 AAAAC3Nza"}]})),
        "GET /v2/os" => (
            200,
            json!({"os": [
                {"id": 1, "name": "Ubuntu 24.04 LTS arm64", "arch": "arm64"},
                {"id": 2284, "name": "Ubuntu 24.04 LTS x64", "arch": "x64"},
            ]}),
        ),
        "POST /v2/bare-metals" => (202, json!({"bare_metal": server(ID, &[])})),
        _ => (202, json!({"instance": server(ID, &[])})),
    })
    .await;
    let (client, mut order) = (fake.client(NAME), order());
    order.user_data = Some("#cloud-config\n".into());
    let prepared = client.prepare(&order).await.expect("known");
    assert_eq!(client.create(&order, &prepared).await.expect("made").instance.place, "");
    let sent = fake.asked().pop().expect("the order").body;
    assert_eq!((&sent["os_id"], &sent["sshkey_id"]), (&json!(2284), &json!(["k"])));
    assert_eq!(sent["tags"], json!([order.mark.as_str(), "web"]));
    assert_eq!(sent["user_data"], "I2Nsb3VkLWNvbmZpZwo=");
    order.bare_metal = true;
    assert_eq!(client.create(&order, &prepared).await.expect("made").instance.place, METAL);
    order.image = "plan9".to_owned();
    assert_eq!(client.prepare(&order).await.expect_err("no such image").code(), "invalid");
}

#[tokio::test]
async fn a_400_means_gone_only_when_the_list_says_so() {
    let refused = || (400, json!({"error": "Invalid instance.", "status": 400}));
    let gone = Fake::start(move |asked| match asked.line.as_str() {
        "GET /v2/instances" => (200, json!({"instances": []})),
        _ => refused(),
    })
    .await;
    let client = gone.client(NAME);
    assert_eq!(client.instance(&reference(ID)).await.expect("an answer"), None);
    client.delete(&reference(ID)).await.expect("gone");

    let there = Fake::start(move |asked| match asked.line.as_str() {
        "GET /v2/instances" => (200, json!({"instances": [server(ID, &[])]})),
        _ => refused(),
    })
    .await;
    let client = there.client(NAME);
    assert!(client.instance(&reference(ID)).await.expect("an answer").is_some());
    assert_eq!(client.delete(&reference(ID)).await.expect_err("it is there").code(), "conflict");
}

#[test]
fn a_plan_costs_what_its_region_says() {
    let plan: Plan = serde_json::from_value(json!({
        "id": "vc2", "vcpu_count": 2, "ram": 4096, "disk": 80, "disk_count": 2, "bandwidth": 3072,
        "monthly_cost": 20, "hourly_cost": 0.027, "locations": ["ewr", "sao"], "deploy_ondemand": true,
        "location_cost": {"sao": {"monthly_cost": 30, "hourly_cost": 0.045}},
    }))
    .expect("a plan");
    let prices: Vec<_> =
        offers(&plan, false).iter().map(|one| (one.price.hourly_micros, one.disk_gb)).collect();
    assert_eq!(prices, [(27_000, 160), (45_000, 160)]);

    let metal: Plan = serde_json::from_value(json!({
        "id": "vbm", "cpu_count": 4, "ram": 32768, "monthly_cost": 336, "locations": ["ewr"], "location_cost": [],
    }))
    .expect("a plan");
    let offers = offers(&metal, true);
    assert_eq!((offers[0].price.hourly_micros, offers[0].vcpus, offers[0].bare_metal), (500_000, 4, true));
}
