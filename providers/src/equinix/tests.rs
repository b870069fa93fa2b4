//! Equinix Metal against a server that behaves as it did, and against none.

use capsule_api::Arch;
use reqwest::StatusCode;

use super::*;
use crate::fake::{Answer, Asked, Fake};

fn mark() -> Mark {
    Mark::of(uuid::Uuid::now_v7())
}

fn reference() -> InstanceRef {
    InstanceRef { id: "d-1".to_owned(), place: String::new() }
}

fn new(mark: &Mark) -> NewInstance {
    NewInstance {
        mark: mark.clone(),
        name: "api".to_owned(),
        plan: "c3.small.x86".to_owned(),
        region: "da".to_owned(),
        image: "ubuntu-22.04".to_owned(),
        arch: Arch::X86_64,
        bare_metal: true,
        ssh_keys: vec!["ssh-ed25519 AAAA me".to_owned(), "ssh-ed25519 BBBB you".to_owned()],
        user_data: Some("#cloud-config\n".into()),
        open_ports: vec![22],
        tags: vec!["web".to_owned()],
    }
}

const FIELDS: &[(&str, &str)] = &[("api_key", "canary"), ("project_id", "p-1")];

async fn equinix(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Fake, Arc<dyn Provider>) {
    let server = Fake::start(script).await;
    let client = server.connect(PROVIDER, FIELDS);
    (server, client)
}

#[test]
fn every_state_has_its_word() {
    use InstanceState::{Deleted, Error, Provisioning, Running, Stopped, Unknown};
    for (words, wanted) in [
        ("queued provisioning reinstalling powering_on", Provisioning),
        ("active", Running),
        ("inactive powering_off", Stopped),
        ("failed", Error),
        ("deprovisioning deleted", Deleted),
        ("levitating", Unknown),
    ] {
        for word in words.split(' ') {
            assert_eq!(record::state(word), wanted, "{word}");
        }
    }
}

#[test]
fn the_public_ipv4_address_is_picked_and_secrets_are_left_out() {
    let one = instance(json!({
        "id": "d-1", "state": "active", "root_password": "x", "userdata": "y", "customdata": {"k": "z"},
        "metro": {"code": "da"}, "plan": {"slug": "c3.small.x86"}, "tags": null,
        "ip_addresses": [
            {"address": "10.0.0.5", "address_family": 4, "public": false},
            {"address": "2001:db8::1", "address_family": 6, "public": true},
            {"address": "203.0.113.9", "address_family": 4, "public": true},
        ],
    }))
    .expect("readable");
    assert_eq!(one.ip_address, Some([203, 0, 113, 9].into()));
    assert_eq!((one.region.as_str(), one.plan.as_str()), ("da", "c3.small.x86"));
    for gone in ["root_password", "userdata", "customdata"] {
        assert_eq!(one.metadata.get(gone), None, "{gone}");
    }
}

#[test]
fn refusals_are_told_apart_by_their_words() {
    for (body, code) in [
        (
            json!({"errors": ["c3.small.x86 is not available in da: not enough capacity"]}),
            Some("out_of_stock"),
        ),
        (json!({"errors": ["You have exceeded your device quota"]}), Some("quota")),
        (json!({"error": "Cannot delete a locked device"}), Some("conflict")),
        (json!({"errors": ["The operating_system field is invalid"]}), None),
    ] {
        let error = classify(StatusCode::UNPROCESSABLE_ENTITY, &body);
        assert_eq!(error.map(|error| error.code()), code, "{body}");
    }
}

#[tokio::test]
async fn a_creation_names_its_own_keys_and_no_others() {
    let mark = mark();
    let (server, client) = equinix(|asked| match asked.line.as_str() {
        "GET /metal/v1/projects/p-1/ssh-keys" => {
            (200, json!({"ssh_keys": [{"id": "k-1", "key": "ssh-ed25519 AAAA old-comment"}]}))
        }
        "POST /metal/v1/projects/p-1/ssh-keys" => (201, json!({"id": "k-2"})),
        _ => (201, json!({"id": "d-1", "state": "queued"})),
    })
    .await;
    let mut new = new(&mark);
    let prepared = client.prepare(&new).await.expect("prepared");
    assert_eq!(prepared, json!({"ssh_key_ids": ["k-1", "k-2"]}));
    client.create(&new, &prepared).await.expect("created");
    let sent = server.asked().pop().expect("a call");
    assert_eq!(sent.headers["x-auth-token"], "canary");
    let wanted = json!({
        "metro": "da", "plan": "c3.small.x86", "operating_system": "ubuntu_22_04", "hostname": "api",
        "billing_cycle": "hourly", "tags": [mark.as_str(), "web"], "project_ssh_keys": ["k-1", "k-2"],
        "userdata": "#cloud-config\n",
    });
    assert_eq!(sent.body, wanted);
    new.user_data = None;
    client.create(&new, &json!({"ssh_key_ids": []})).await.expect("created");
    let sent = server.asked().pop().expect("a call").body;
    assert_eq!((&sent["no_ssh_keys"], &sent["project_ssh_keys"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn marked_devices_are_found_on_all_pages() {
    let mark = mark();
    let tag = mark.to_string();
    let (server, client) = equinix(move |asked| {
        let page = if asked.query["page"] == "1" { 1 } else { 2 };
        let devices = json!([{"id": format!("d-{page}"), "tags": [tag]}, {"id": "other", "tags": ["web"]}]);
        (200, json!({"devices": devices, "meta": {"current_page": page, "last_page": 2}}))
    })
    .await;
    let found = client.find_marked(&mark, "da").await.expect("found");
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["d-1", "d-2"]);
    assert!(server.asked().iter().all(|asked| asked.query["tag"] == mark.as_str()));
}

#[tokio::test]
async fn where_nothing_answers_the_service_is_over() {
    // A port that was free a moment ago and that nobody listens on.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("an address");
    drop(listener);
    let settings = CallSettings { max_retries: 0, endpoint: Some(endpoint), ..CallSettings::default() };
    let fields = FIELDS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let client = connect(&Credential { fields }, settings).expect("a client");
    assert_eq!(client.check_credential().await.expect_err("nobody there").code(), "ended");
    assert_eq!(client.delete(&reference()).await.expect_err("nobody there").code(), "ended");
    let error = client.create(&new(&mark()), &Prepared::Null).await.expect_err("nobody there");
    assert_eq!(error.to_string(), "equinix ended its service on 2026-06-30");
}

#[tokio::test]
async fn a_service_that_answers_with_a_fault_is_not_over() {
    let (_server, client) = equinix(|_| (503, json!({"error": "busy"}))).await;
    assert_eq!(client.instances().await.expect_err("a fault").code(), "unavailable");
}

#[tokio::test]
async fn a_projects_key_is_proved_by_its_projects() {
    let (_server, client) = equinix(|asked| match asked.path.as_str() {
        "/metal/v1/user" => (403, json!({"errors": ["You are not authorized to view this resource"]})),
        _ => (200, json!({"projects": [{"name": "capsule"}]})),
    })
    .await;
    assert_eq!(client.check_credential().await.expect("good").account, "capsule");
    let (_server, client) = equinix(|_| (401, json!({"errors": ["Invalid authentication token"]}))).await;
    assert_eq!(client.check_credential().await.expect_err("wrong").code(), "unauthorised");
}

#[tokio::test]
async fn power_and_deletion_may_be_repeated_and_the_mark_stays() {
    let mark = mark();
    let tag = mark.to_string();
    let (server, client) = equinix(move |asked| match asked.method.as_str() {
        "POST" => (422, json!({"errors": ["The device is already in that state"]})),
        "DELETE" => (404, json!({"errors": ["Not found"]})),
        _ => (200, json!({"id": "d-1", "state": "inactive", "tags": ["old", tag]})),
    })
    .await;
    client.stop(&reference(), false).await.expect("off already");
    assert_eq!(client.start(&reference()).await.expect_err("refused").code(), "invalid");
    client.delete(&reference()).await.expect("gone already");
    client.set_tags(&reference(), &["new".to_owned()]).await.expect("set");
    let put = server.asked().pop().expect("a call");
    assert_eq!(
        (put.line.as_str(), put.body),
        ("PUT /metal/v1/devices/d-1", json!({"tags": [mark.as_str(), "new"]}))
    );
}
