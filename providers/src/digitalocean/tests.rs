//! DigitalOcean's words in ours, and the client against a fake of a few lines.

use serde_json::json;

use super::*;
use crate::fake::{Fake, order, reference};

fn droplet(id: u64, tags: &[&str]) -> Value {
    json!({
        "id": id, "name": "web-1", "status": "active", "size_slug": "s-1vcpu-1gb", "tags": tags,
        "created_at": "2026-07-21T18:37:44Z", "region": {"slug": "nyc3"}, "networks": {"v4": [
            {"ip_address": "10.0.0.2", "type": "private"}, {"ip_address": "192.0.2.9", "type": "public"},
        ]},
    })
}

#[test]
fn states_are_ours() {
    for (word, expected) in [
        ("new", InstanceState::Provisioning),
        ("active", InstanceState::Running),
        ("off", InstanceState::Stopped),
        ("archive", InstanceState::Deleted),
        ("meditating", InstanceState::Unknown),
        ("", InstanceState::Unknown),
    ] {
        assert_eq!(records::state(word), expected, "{word}");
    }
}

#[test]
fn the_address_is_the_public_one() {
    let read = |networks: Value| {
        let mut record = droplet(1, &[]);
        record["networks"] = networks;
        instance(record).expect("a record").ip_address.map(|ip| ip.to_string())
    };
    let private = json!({"ip_address": "10.0.0.2", "type": "private"});
    let (v4, v6) = (
        json!({"ip_address": "192.0.2.9", "type": "public"}),
        json!({"ip_address": "2001:db8::1", "type": "public"}),
    );
    assert_eq!(read(json!({"v4": [private, v4], "v6": [v6]})).as_deref(), Some("192.0.2.9"));
    assert_eq!(read(json!({"v4": [private], "v6": [v6]})).as_deref(), Some("2001:db8::1"));
    assert_eq!(read(json!({"v4": [private]})), None);
    assert_eq!(read(json!(null)), None);
}

#[test]
fn refusals_are_told_apart() {
    for (status, message, expected) in [
        (422, "Size is not available in this region.", Some("out_of_stock")),
        (422, "The specified size is currently unavailable.", Some("out_of_stock")),
        (422, "creating this/these droplet(s) will exceed your droplet limit", Some("quota")),
        (422, "Droplet already has a pending event.", Some("conflict")),
        (422, "size is required.", None),
        (401, "Unable to authenticate you", None),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let error = classify(status, &json!({"id": "unprocessable_entity", "message": message}));
        assert_eq!(error.map(|error| error.code()), expected, "{message}");
    }
    assert!(classify(StatusCode::BAD_GATEWAY, &json!("<html>")).is_none());
}

#[tokio::test]
async fn three_pages_are_counted_to_their_end() {
    let fake = Fake::start(|asked| {
        if asked.query.contains_key("type") {
            // The end of the last page, which moved on when somebody made a Droplet, and one with GPUs.
            return (200, json!({"droplets": [droplet(5, &[]), droplet(6, &[])], "meta": {"total": 2}}));
        }
        let page: u64 = asked.query["page"].parse().expect("a number");
        let of_page = (page - 1) * 2 + 1..=(page * 2).min(5);
        let droplets: Vec<Value> = of_page.map(|id| droplet(id, &[])).collect();
        // A link that must not be followed.
        (200, json!({"droplets": droplets, "meta": {"total": 5}, "links": {"pages": {"next": "http://192.0.2.1/"}}}))
    })
    .await;
    let all = fake.client(NAME).instances().await.expect("all pages");
    assert_eq!(all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(fake.asked().len(), 4);
}

#[tokio::test]
async fn a_list_that_shrinks_while_it_is_read_comes_to_an_end() {
    let fake = Fake::start(|_| (200, json!({"droplets": [], "meta": {"total": 5}}))).await;
    assert_eq!(fake.client(NAME).instances().await.expect("an end"), []);
}

#[tokio::test]
async fn only_what_carries_the_mark_is_found() {
    let mark = order().mark;
    let marked = mark.to_string();
    let fake = Fake::start(move |_| {
        (200, json!({"droplets": [droplet(1, &["web"]), droplet(2, &[&marked])], "meta": {"total": 2}}))
    })
    .await;
    let found = fake.client(NAME).find_marked(&mark, "nyc3").await.expect("an answer");
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["2"]);
    assert_eq!(fake.asked()[0].query["tag_name"], mark.as_str());
}

#[tokio::test]
async fn a_key_is_uploaded_once_and_the_order_carries_it() {
    let fake = Fake::start(|asked| match asked.line.as_str() {
        "GET /v2/account/keys" => (200, json!({"ssh_keys": [], "meta": {"total": 0}})),
        "POST /v2/account/keys" => {
            (201, json!({"ssh_key": {"id": 77, "public_key": asked.body["public_key"]}}))
        }
        "POST /v2/droplets" => (202, json!({"droplet": droplet(5, &[])})),
        _ => (404, json!({"id": "not_found", "message": "?"})),
    })
    .await;
    let (client, order) = (fake.client(NAME), order());
    let prepared = client.prepare(&order).await.expect("a key");
    client.create(&order, &prepared).await.expect("a Droplet");
    let sent = fake.asked().pop().expect("the order").body;
    assert_eq!(sent["ssh_keys"], json!([77]));
    assert_eq!(sent["tags"], json!([order.mark.as_str(), "web"]));
    assert_eq!(sent["image"], "ubuntu-24-04-x64");

    let fake = Fake::start(|_| {
        (200, json!({"ssh_keys": [{"id": 78, "public_key": "ssh-ed25519 AAAAC3Nza other"}], "meta": {"total": 1}}))
    })
    .await;
    assert_eq!(fake.client(NAME).prepare(&order).await.expect("known"), json!({"ssh_keys": [78]}));
    assert_eq!(fake.lines(), ["GET /v2/account/keys"]);
}

#[tokio::test]
async fn a_creation_whose_answer_holds_no_droplet_is_unknown() {
    for answer in [json!({"droplet": {"name": "web-1"}}), json!({"message": "accepted"}), json!([])] {
        let fake = Fake::start(move |_| (202, answer.clone())).await;
        let error = fake.client(NAME).create(&order(), &json!({"ssh_keys": []})).await.expect_err("no id");
        assert_eq!((error.code(), fake.asked().len()), ("unknown_outcome", 1));
    }
}

#[tokio::test]
async fn what_is_on_already_was_started() {
    let fake = Fake::start(|asked| match asked.line.as_str() {
        "POST /v2/droplets/5/actions" => {
            (422, json!({"id": "unprocessable_entity", "message": "already on"}))
        }
        _ => (200, json!({"droplet": droplet(5, &[])})),
    })
    .await;
    let client = fake.client(NAME);
    client.start(&reference("5")).await.expect("it runs");
    assert_eq!(client.stop(&reference("5"), true).await.expect_err("it runs").code(), "invalid");
}

#[tokio::test]
async fn what_is_gone_is_deleted_and_no_instance() {
    let fake = Fake::start(|_| (404, json!({"id": "not_found", "message": "gone"}))).await;
    let client = fake.client(NAME);
    client.delete(&reference("5")).await.expect("gone");
    assert_eq!(client.instance(&reference("5")).await.expect("an answer"), None);
    let astray = client.delete(&reference("5/../../account/keys/1")).await.expect_err("no id");
    assert_eq!((astray.code(), fake.asked().len()), ("invalid", 2));
}

#[tokio::test]
async fn tags_are_replaced_and_the_mark_stays() {
    let mark = order().mark.to_string();
    let (kept, fake) = (
        mark.clone(),
        Fake::start(move |asked| match asked.line.as_str() {
            "GET /v2/droplets/5" => (200, json!({"droplet": droplet(5, &[&mark, "old", "web"])})),
            _ => (204, Value::Null),
        })
        .await,
    );
    fake.client(NAME)
        .set_tags(&reference("5"), &["web".to_owned(), "new one".to_owned()])
        .await
        .expect("done");
    assert_eq!(
        fake.lines()[1..],
        ["POST /v2/tags", "POST /v2/tags/new-one/resources", "DELETE /v2/tags/old/resources"]
    );
    assert!(!fake.lines().iter().any(|line| line.contains(&kept)));
}

#[tokio::test]
async fn a_size_can_be_had_where_its_region_has_it() {
    let fake = Fake::start(|asked| match asked.line.as_str() {
        "GET /v2/regions" => (
            200,
            json!({"meta": {"total": 2}, "regions": [
                {"slug": "nyc3", "name": "New York 3", "available": true, "sizes": ["a"]},
                {"slug": "fra1", "name": "Frankfurt 1", "available": true, "sizes": []},
            ]}),
        ),
        _ => (
            200,
            json!({"meta": {"total": 1}, "sizes": [{
                "slug": "a", "memory": 1024, "vcpus": 1, "disk": 25, "transfer": 0.5, "available": true,
                "price_monthly": 5, "price_hourly": 0.00743999984115362, "regions": ["nyc3", "fra1"],
            }]}),
        ),
    })
    .await;
    let catalogue = fake.client(NAME).catalogue().await.expect("a catalogue");
    let had: Vec<_> = catalogue.offers.iter().map(|one| (one.region.as_str(), one.available)).collect();
    assert_eq!(had, [("nyc3", true), ("fra1", false)]);
    let offer = &catalogue.offers[0];
    assert_eq!((offer.price.hourly_micros, offer.price.monthly_micros), (7440, Some(5_000_000)));
    assert_eq!((offer.transfer_gb, offer.memory_mib, offer.gpus), (Some(500), 1024, 0));
    assert_eq!(catalogue.regions[1].title, "Frankfurt 1");
}
