//! Linode against answers it really gave and against a server that behaves like it.

use super::*;
use crate::fake::{Answer, Asked, Fake, recorded};

fn new(mark: &Mark) -> NewInstance {
    NewInstance {
        mark: mark.clone(),
        name: "api".to_owned(),
        plan: "g6-nanode-1".to_owned(),
        region: "us-east".to_owned(),
        image: "ubuntu-24.04".to_owned(),
        arch: capsule_api::Arch::X86_64,
        bare_metal: false,
        ssh_keys: vec!["ssh-ed25519 AAAA me\n".to_owned()],
        user_data: Some("#cloud-config\n".into()),
        open_ports: vec![22],
        tags: vec!["web".to_owned()],
    }
}

fn mark() -> Mark {
    Mark::of(uuid::Uuid::now_v7())
}

async fn linode(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Fake, Arc<dyn Provider>) {
    let server = Fake::start(script).await;
    let client = server.connect(PROVIDER, &[("api_key", "canary")]);
    (server, client)
}

fn reference() -> InstanceRef {
    InstanceRef { id: "7".to_owned(), place: String::new() }
}

#[test]
fn every_status_has_its_state() {
    use InstanceState::{Deleted, Error, Provisioning, Running, Stopped, Unknown};
    for (words, wanted) in [
        ("provisioning booting busy rebuilding cloning restoring migrating", Provisioning),
        ("running rebooting", Running),
        ("offline stopped shutting_down", Stopped),
        ("billing_suspension", Error),
        ("deleting", Deleted),
        ("levitating", Unknown),
    ] {
        for word in words.split(' ') {
            assert_eq!(state(word), wanted, "{word}");
        }
    }
}

#[test]
fn the_public_address_is_the_one_outside_the_private_network() {
    for (ipv4, ipv6, wanted) in [
        (json!(["192.168.130.4", "203.0.113.9"]), "2001:db8::1/128", Some("203.0.113.9")),
        (json!(["192.168.130.4"]), "2001:db8::1/128", Some("2001:db8::1")),
        (json!([]), "", None),
    ] {
        let one = instance(json!({"id": 1, "ipv4": ipv4, "ipv6": ipv6})).expect("readable");
        assert_eq!(one.ip_address.map(|ip| ip.to_string()).as_deref(), wanted);
    }
}

#[test]
fn refusals_are_told_apart_by_their_words() {
    let refusal = |status: u16, reason: &str| {
        let status = StatusCode::from_u16(status).expect("a status");
        classify(status, &json!({"errors": [{"reason": reason}]})).map(|error| error.code())
    };
    assert_eq!(refusal(400, "Linode busy."), Some("conflict"));
    assert_eq!(refusal(400, "Label must be unique among your linodes"), Some("unknown_outcome"));
    assert_eq!(refusal(400, "Account Limit reached. Please open a support ticket."), Some("quota"));
    assert_eq!(refusal(400, "Plan not available in this region"), Some("out_of_stock"));
    assert_eq!(refusal(400, "type is not valid"), None);
    assert_eq!(refusal(503, "no capacity to answer"), None, "a 5xx says nothing about what happened");
}

#[test]
fn images_get_linodes_names() {
    for (ours, theirs) in [
        ("ubuntu-24.04", "linode/ubuntu24.04"),
        ("debian-12", "linode/debian12"),
        ("private/17", "private/17"),
    ] {
        assert_eq!(image(ours), theirs);
    }
}

#[test]
fn recorded_answers_are_read() {
    let Some(answers) = recorded("linode") else { return };
    for (name, status, _, body) in answers {
        if let Some(errors) = name.strip_prefix("error-") {
            let class =
                classify(StatusCode::from_u16(status).expect("a status"), &body).map(|error| error.code());
            assert_eq!(class, (errors == "400-busy").then_some("conflict"), "{name}");
            continue;
        }
        match name.as_str() {
            "create-no-image" | "create-with-image" | "get-offline" | "get-running" => {
                let one = instance(body).expect(&name);
                let wanted = match name.as_str() {
                    "get-offline" => InstanceState::Stopped,
                    "get-running" => InstanceState::Running,
                    _ => InstanceState::Provisioning,
                };
                assert_eq!(one.status, wanted, "{name}");
                assert_eq!(one.ip_address, Some([192, 0, 2, 0].into()), "{name}");
                assert!(one.created_at.is_some() && !one.plan.is_empty(), "{name}");
            }
            "list" => {
                let page: Page<Value> = serde_json::from_value(body).expect(&name);
                assert_eq!((page.data.len(), page.pages), (1, 1));
                let one = instance(page.data[0].clone()).expect(&name);
                assert_eq!(one.reference().to_string(), "82372946");
            }
            "types" => {
                let page: Page<catalogue::TypeRecord> = serde_json::from_value(body).expect(&name);
                let region = json!([{"id": "br-gru", "capabilities": ["Linodes"], "status": "ok"}]);
                let regions: Vec<_> = serde_json::from_value(region).expect("a region");
                let offers = catalogue::catalogue(&regions, &page.data, &[]).offers;
                let nanode = offers.iter().find(|offer| offer.plan == "g6-nanode-1").expect("the nanode");
                assert_eq!(nanode.price.hourly_micros, 10_500);
                assert_eq!(nanode.price.monthly_micros, Some(7_000_000));
            }
            "regions-some" => {
                let page: Page<catalogue::RegionRecord> = serde_json::from_value(body).expect(&name);
                assert!(!page.data.is_empty());
            }
            // Answers whose body means nothing here.
            "boot" | "shutdown" | "delete" | "images-some" | "sshkey-create" | "sshkey-list" => {
                assert_eq!(status, 200, "{name}");
            }
            other => panic!("a recorded answer that no test reads: {other}"),
        }
    }
}

#[tokio::test]
async fn a_creation_carries_its_mark_and_all_that_makes_it_reachable() {
    let mark = mark();
    let label = mark.to_string();
    let (server, client) = linode(move |asked| match asked.line.as_str() {
        "GET /v4/regions" => {
            (200, json!({"pages": 1, "data": [{"id": "us-east", "capabilities": ["Metadata"]}]}))
        }
        "GET /v4/images" => {
            let row = json!({"id": "linode/ubuntu24.04", "capabilities": ["cloud-init"]});
            (200, json!({"pages": 1, "data": [row]}))
        }
        _ => (200, json!({"id": 7, "label": label, "status": "provisioning", "root_password": "x"})),
    })
    .await;
    let new = new(&mark);
    let prepared = client.prepare(&new).await.expect("prepared");
    let created = client.create(&new, &prepared).await.expect("created").instance;
    assert_eq!((created.id.as_str(), created.status), ("7", InstanceState::Provisioning));
    assert_eq!(created.metadata.get("root_password"), None);
    let sent = server.asked().pop().expect("a call");
    assert_eq!(sent.headers["authorization"], "Bearer canary");
    let wanted = json!({
        "type": "g6-nanode-1", "region": "us-east", "image": "linode/ubuntu24.04", "label": mark.as_str(),
        "tags": [mark.as_str(), "web"], "authorized_keys": ["ssh-ed25519 AAAA me"], "booted": true,
        "metadata": {"user_data": "I2Nsb3VkLWNvbmZpZwo="},
    });
    assert_eq!(sent.body, wanted);
}

#[tokio::test]
async fn user_data_is_refused_where_nobody_would_read_it() {
    let (server, client) =
        linode(|_| (200, json!({"pages": 1, "data": [{"id": "us-east", "capabilities": ["Linodes"]}]})))
            .await;
    let error = client.prepare(&new(&mark())).await.expect_err("no metadata service");
    assert_eq!(error.code(), "invalid");
    assert_eq!(server.lines(), ["GET /v4/regions"], "nothing was made");
}

#[tokio::test]
async fn a_taken_label_is_looked_up_and_found() {
    let mark = mark();
    let label = mark.to_string();
    let (server, client) = linode(move |asked| match asked.line.as_str() {
        "POST /v4/linode/instances" => {
            (400, json!({"errors": [{"field": "label", "reason": "Label must be unique among your linodes"}]}))
        }
        // One that a filter should have left out is left out here.
        _ => (200, json!({"page": 1, "pages": 1, "data": [
            {"id": 7, "label": label, "status": "running"}, {"id": 8, "label": "someone-else", "status": "running"},
        ]})),
    })
    .await;
    let error = client.create(&new(&mark), &Prepared::Null).await.expect_err("refused");
    assert_eq!(error.code(), "unknown_outcome");
    let found = client.find_marked(&mark, "us-east").await.expect("found");
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["7"]);
    let asked = server.asked();
    let filter: Value = serde_json::from_slice(asked[1].headers["x-filter"].as_bytes()).expect("JSON");
    assert_eq!(filter, json!({"label": mark.as_str()}));
    assert_eq!(asked.len(), 2, "the creation was sent once");
}

#[tokio::test]
async fn all_pages_are_read() {
    let (server, client) = linode(|asked| {
        let page: u32 = if asked.query["page"] == "1" { 1 } else { 2 };
        (200, json!({"page": page, "pages": 2, "data": [{"id": page, "status": "running"}]}))
    })
    .await;
    let ids: Vec<_> = client.instances().await.expect("a list").into_iter().map(|one| one.id).collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn power_and_deletion_may_be_repeated() {
    let (_server, client) = linode(|asked| match asked.line.as_str() {
        "POST /v4/linode/instances/7/boot" => {
            (400, json!({"errors": [{"reason": "Linode already booted."}]}))
        }
        "POST /v4/linode/instances/7/shutdown" => (400, json!({"errors": [{"reason": "Linode busy."}]})),
        "DELETE /v4/linode/instances/7" => (404, json!({"errors": [{"reason": "Not found"}]})),
        _ => (200, json!({"id": 7, "status": "running"})),
    })
    .await;
    client.start(&reference()).await.expect("it runs already");
    let busy = client.stop(&reference(), false).await.expect_err("it still runs");
    assert_eq!(busy.code(), "conflict");
    assert!(busy.is_transient());
    client.delete(&reference()).await.expect("it is gone already");
}

#[tokio::test]
async fn what_is_gone_is_none_and_a_strange_id_never_reaches_a_path() {
    let (server, client) = linode(|_| (404, json!({"errors": [{"reason": "Not found"}]}))).await;
    assert_eq!(client.instance(&reference()).await.expect("an answer"), None);
    let strange = InstanceRef { id: "7/../8".to_owned(), place: String::new() };
    assert_eq!(client.instance(&strange).await.expect("an answer"), None);
    client.delete(&strange).await.expect("nothing to delete");
    assert_eq!(server.lines(), ["GET /v4/linode/instances/7"]);
}

#[tokio::test]
async fn tags_are_replaced_but_the_mark_stays() {
    let mark = mark();
    let label = mark.to_string();
    let (server, client) =
        linode(move |_| (200, json!({"id": 7, "tags": ["old", label], "status": "running"}))).await;
    client.set_tags(&reference(), &["new".to_owned()]).await.expect("set");
    let put = server.asked().pop().expect("a call");
    assert_eq!(
        (put.line.as_str(), put.body),
        ("PUT /v4/linode/instances/7", json!({"tags": [mark.as_str(), "new"]}))
    );
}
