//! Hivelocity against a server that behaves like it.

use capsule_api::{Arch, InstanceState};
use reqwest::StatusCode;

use super::*;
use crate::fake::{Answer, Asked, Fake};

fn mark() -> Mark {
    Mark::of(uuid::Uuid::now_v7())
}

fn new(mark: &Mark) -> NewInstance {
    NewInstance {
        mark: mark.clone(),
        name: "api".to_owned(),
        plan: "504".to_owned(),
        region: "TPA1".to_owned(),
        image: "ubuntu-22.04".to_owned(),
        arch: Arch::X86_64,
        bare_metal: true,
        ssh_keys: vec!["ssh-ed25519 AAAA me".to_owned()],
        user_data: Some("#cloud-config\n".into()),
        open_ports: vec![22],
        tags: vec!["web".to_owned()],
    }
}

fn reference(id: &str) -> InstanceRef {
    InstanceRef { id: id.to_owned(), place: String::new() }
}

async fn hivelocity(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Fake, Arc<dyn Provider>) {
    let server = Fake::start(script).await;
    let client = server.connect(PROVIDER, &[("api_key", "canary")]);
    (server, client)
}

#[test]
fn every_stage_and_power_has_its_state() {
    use InstanceState::{Deleted, Error, Provisioning, Running, Stopped, Unknown};
    for (device, wanted) in [
        (json!({"spsStatus": "IN_USE", "powerStatus": "ON"}), Running),
        (json!({"spsStatus": "IN_USE", "powerStatus": "OFF"}), Stopped),
        (json!({"metadata": {"sps_status": "InUse"}, "powerStatus": "ON"}), Running),
        (json!({"powerStatus": "ON"}), Running),
        (json!({"spsStatus": "IN_USE", "powerStatus": null}), Unknown),
        (json!({"spsStatus": "BUILDING", "powerStatus": "ON"}), Provisioning),
        (json!({"spsStatus": "WAIT_FOR_PXE"}), Provisioning),
        (json!({"spsStatus": "PROVISION_STARTED"}), Provisioning),
        (json!({"spsStatus": "IN_USE", "powerStatus": "ON", "isReload": true}), Provisioning),
        (json!({"spsStatus": "FAILED"}), Error),
        (json!({"spsStatus": "CLEANUP_MOVE_TO_FAILED"}), Error),
        (json!({"spsStatus": "IN_REVIEW"}), Error),
        (json!({"spsStatus": "IN_USE", "powerStatus": "ON", "hasCancellation": true}), Deleted),
        (json!({"spsStatus": "LEVITATING"}), Unknown),
    ] {
        let mut raw = device.clone();
        raw["deviceId"] = 7.into();
        let one = instance(Kind::Metal, None, Some(raw)).expect("readable");
        assert_eq!(one.status, wanted, "{device}");
    }
    let ordered = instance(Kind::Metal, Some(json!({"deviceId": 7, "powerStatus": "OFF"})), None);
    assert_eq!(ordered.expect("readable").status, Provisioning, "no device so far");
}

#[test]
fn a_machine_is_read_from_both_of_its_records() {
    let mark = mark();
    let host = format!("api.{mark}.internal");
    let deployment = json!({
        "deviceId": 14731, "orderId": 250321, "hostname": host, "locationName": "TPA1", "productId": 504,
        "tags": [mark.as_str(), "web"], "primaryIp": "203.0.113.30", "script": "#cloud-config",
    });
    let device =
        json!({"deviceId": 14731, "spsStatus": "IN_USE", "powerStatus": "ON", "initialPassword": "x"});
    let one = instance(Kind::Compute, Some(deployment), Some(device)).expect("readable");
    assert_eq!((one.id.as_str(), one.place.as_str(), one.name.as_str()), ("14731", "compute", "api"));
    assert_eq!((one.plan.as_str(), one.region.as_str()), ("504", "TPA1"));
    assert_eq!(one.ip_address, Some([203, 0, 113, 30].into()));
    assert_eq!(one.tags, [mark.as_str(), "web"]);
    let kept = one.metadata.to_string();
    assert!(!kept.contains("cloud-config") && !kept.contains("Password"), "{kept}");
    let foreign = json!({"deviceId": 1, "hostname": "www.example.net"});
    assert_eq!(instance(Kind::Metal, Some(foreign), None).expect("readable").name, "www.example.net");
}

#[test]
fn the_fitting_system_is_picked_by_name() {
    let systems = json!([
        {"name": "Ubuntu 22.x Minimal"}, {"name": "Ubuntu 22.x"}, {"name": "Ubuntu 24.04 LTS"},
        {"name": "Debian 12.x"}, {"name": "Windows Server 2022"},
    ]);
    let systems = systems.as_array().expect("a list");
    for (image, wanted) in [
        ("ubuntu-22.04", "Ubuntu 22.x"),
        ("ubuntu-24.04", "Ubuntu 24.04 LTS"),
        ("debian-12", "Debian 12.x"),
        ("windows server 2022", "Windows Server 2022"),
    ] {
        assert_eq!(os_name(systems, image).expect("there"), wanted);
    }
    let error = os_name(systems, "debian-13").expect_err("missing");
    assert!(error.to_string().contains("Debian 12.x"), "{error}");
}

#[test]
fn refusals_are_told_apart_by_their_words() {
    for (status, body, code) in [
        (400, json!({"code": 400, "message": "Product 504 is out of stock"}), Some("out_of_stock")),
        (400, json!({"message": "Product is not in stock at this location."}), Some("out_of_stock")),
        (400, json!("Device quota exceeded"), Some("quota")),
        (403, json!({"message": "You have reached your device limit."}), Some("quota")),
        (403, json!({"message": "Can't do this while server is powered off."}), Some("conflict")),
        (400, json!({"message": "Invalid device parameters."}), None),
        (401, json!({"message": "Invalid credentials"}), None),
        (503, json!("temporarily unavailable"), None),
    ] {
        let error = classify(StatusCode::from_u16(status).expect("a status"), &body);
        assert_eq!(error.map(|error| error.code()), code, "{body}");
    }
}

#[tokio::test]
async fn a_creation_names_the_system_and_a_key_uploaded_once() {
    let mark = mark();
    let (server, client) = hivelocity(|asked| match asked.line.as_str() {
        "GET /api/v2/product/504/operating-systems" => (200, json!([{"name": "Ubuntu 22.x"}])),
        "GET /api/v2/ssh_key/" => (200, json!([{"sshKeyId": 1, "publicKey": "ssh-ed25519 BBBB other"}])),
        "POST /api/v2/ssh_key/" => (201, json!({"sshKeyId": 861})),
        // The order is made, its device is not.
        _ => (200, json!({"orderId": 250_321, "deviceId": 0, "hostname": "x", "powerStatus": null})),
    })
    .await;
    let new = new(&mark);
    let prepared = client.prepare(&new).await.expect("prepared");
    assert_eq!(prepared, json!({"os_name": "Ubuntu 22.x", "ssh_key_id": 861}));
    let created = client.create(&new, &prepared).await.expect("created").instance;
    assert_eq!((created.id.as_str(), created.status), ("order-250321", InstanceState::Provisioning));
    let sent = server.asked().pop().expect("a call");
    assert_eq!(
        (sent.line.as_str(), &sent.headers["x-api-key"]),
        ("POST /api/v2/bare-metal-devices/", &"canary".parse().expect("a value"))
    );
    let wanted = json!({
        "hostname": format!("api.{mark}.internal"), "productId": 504, "osName": "Ubuntu 22.x",
        "locationName": "TPA1", "period": "hourly", "publicSshKeyId": 861, "tags": [mark.as_str(), "web"],
        "script": "#cloud-config\n",
    });
    assert_eq!(sent.body, wanted);
}

/// The answer to a creation was lost: its order is found first, then the device that came of it, never both.
#[tokio::test]
async fn a_lost_creation_is_found_as_order_and_then_as_device() {
    let mark = mark();
    for (has_device, wanted) in [(false, "order-5"), (true, "7")] {
        let host = format!("api.{mark}.internal");
        let (_server, client) = hivelocity(move |asked| match asked.line.as_str() {
            "GET /api/v2/bare-metal-devices/" if has_device => {
                (200, json!([{"deviceId": 7, "orderId": 5, "hostname": host, "tags": []}, {"deviceId": 8}]))
            }
            "GET /api/v2/bare-metal-devices/" | "GET /api/v2/compute/" => (200, json!([])),
            _ => (
                200,
                json!([
                    {"orderId": 5, "status": "provisioning", "info": {"items": [{"hostname": host}]}},
                    {"orderId": 4, "status": "cancelled", "info": {"hostname": host}},
                    {"orderId": 3, "status": "provisioning", "info": {"hostname": "www.example.net"}},
                ]),
            ),
        })
        .await;
        let found = client.find_marked(&mark, "TPA1").await.expect("found");
        assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [wanted]);
    }
}

#[tokio::test]
async fn an_order_leads_to_its_device_and_waits_until_there_is_one() {
    let (server, client) = hivelocity(|asked| match asked.line.as_str() {
        "GET /api/v2/bare-metal-devices/" => (200, json!([{"deviceId": 7, "orderId": 5}])),
        "GET /api/v2/compute/" => (200, json!([])),
        "GET /api/v2/order/6" => (200, json!({"orderId": 6, "status": "lead"})),
        "GET /api/v2/order/9" => (404, json!({"code": 404, "message": "Not found"})),
        "DELETE /api/v2/bare-metal-devices/7" => (201, Value::Null),
        _ => (200, json!({"deviceId": 7, "spsStatus": "IN_USE", "powerStatus": "ON"})),
    })
    .await;
    let one = client.instance(&reference("order-5")).await.expect("an answer").expect("there");
    assert_eq!((one.id.as_str(), one.status), ("7", InstanceState::Running));
    client.delete(&reference("order-5")).await.expect("its device");
    assert_eq!(server.lines().pop().as_deref(), Some("DELETE /api/v2/bare-metal-devices/7"));
    let waiting = client.instance(&reference("order-6")).await.expect("an answer").expect("ordered");
    assert_eq!(waiting.status, InstanceState::Provisioning);
    assert_eq!(client.delete(&reference("order-6")).await.expect_err("not yet").code(), "conflict");
    assert_eq!(client.instance(&reference("order-9")).await.expect("an answer"), None);
    client.delete(&reference("order-9")).await.expect("nothing there");
}

#[tokio::test]
async fn all_deployments_and_devices_are_listed_once() {
    let (_server, client) = hivelocity(|asked| match asked.line.as_str() {
        "GET /api/v2/bare-metal-devices/" => (200, json!([{"deviceId": 1}, {"deviceId": 2}])),
        "GET /api/v2/compute/" => (200, json!([{"deviceId": 2}, {"deviceId": 3}])),
        _ => (200, json!([{"deviceId": 1, "powerStatus": "ON"}, {"deviceId": 4, "powerStatus": "OFF"}])),
    })
    .await;
    let all = client.instances().await.expect("a list");
    let shown: Vec<_> =
        all.iter().map(|one| (one.id.as_str(), one.place.as_str(), one.status.as_str())).collect();
    let wanted = [
        ("1", "", "running"),
        ("2", "", "provisioning"),
        ("3", "compute", "provisioning"),
        ("4", "", "stopped"),
    ];
    assert_eq!(shown, wanted);
}

#[tokio::test]
async fn power_and_deletion_may_be_repeated() {
    let (server, client) = hivelocity(|asked| match asked.method.as_str() {
        "POST" => (403, json!({"message": "Can't do this while server is powered off."})),
        "DELETE" => (409, json!({"code": 409, "message": "Device Already Being Cancelled."})),
        _ => (200, json!({"powerStatus": "OFF"})),
    })
    .await;
    client.stop(&reference("7"), false).await.expect("off already");
    assert_eq!(server.asked()[0].query["action"], "shutdown");
    assert_eq!(client.restart(&reference("7"), false).await.expect_err("it is off").code(), "conflict");
    client.delete(&reference("7")).await.expect("being cancelled already");
}

#[tokio::test]
async fn only_a_machine_that_neither_record_knows_is_gone() {
    let (_server, client) = hivelocity(|asked| match asked.path.contains("/bare-metal-devices/") {
        true => (404, json!({"code": 404, "message": "Deployment Not Found"})),
        false => (200, json!({"deviceId": 7, "powerStatus": "ON"})),
    })
    .await;
    assert!(client.instance(&reference("7")).await.expect("an answer").is_some());
    assert_eq!(client.instance(&reference("../8")).await.expect("an answer"), None);
    let (_server, client) = hivelocity(|_| (404, json!({"message": "Not found"}))).await;
    assert_eq!(client.instance(&reference("7")).await.expect("an answer"), None);
}

#[tokio::test]
async fn tags_are_replaced_on_the_device_but_the_mark_stays() {
    let mark = mark();
    let tag = mark.to_string();
    let (server, client) = hivelocity(move |_| (200, json!({"tags": ["old", tag]}))).await;
    client.set_tags(&reference("7"), &["new".to_owned()]).await.expect("set");
    let put = server.asked().pop().expect("a call");
    assert_eq!(
        (put.line.as_str(), put.body),
        ("PUT /api/v2/device/7/tags", json!({"tags": [mark.as_str(), "new"]}))
    );
}
