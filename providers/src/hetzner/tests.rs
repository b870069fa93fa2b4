//! Hetzner's words in ours, and the client against a fake of a few lines.

use serde_json::json;

use super::*;
use crate::fake::{Fake, order, reference};

fn server(id: u64, labels: Value) -> Value {
    json!({
        "id": id, "name": "box", "status": "running", "created": "2026-10-15T13:52:35Z", "labels": labels,
        "public_net": {"ipv4": {"ip": "192.0.2.9"}, "ipv6": {"ip": "2001:db8::/64"}},
        "datacenter": {"location": {"name": "fsn1"}}, "server_type": {"id": 1, "name": "cx22"},
    })
}

#[test]
fn states_are_ours() {
    use InstanceState::{Deleted, Provisioning, Running, Stopped, Unknown};
    for (word, expected) in [
        ("initializing", Provisioning),
        ("starting", Provisioning),
        ("migrating", Provisioning),
        ("rebuilding", Provisioning),
        ("running", Running),
        ("stopping", Stopped),
        ("off", Stopped),
        ("deleting", Deleted),
        ("unknown", Unknown),
        ("", Unknown),
    ] {
        assert_eq!(records::state(word), expected, "{word}");
    }
}

#[test]
fn the_address_is_ipv4_or_the_first_of_the_network() {
    let read = |net: Value| {
        let mut record = server(1, json!({}));
        record["public_net"] = net;
        instance(record).expect("a record").ip_address.map(|ip| ip.to_string())
    };
    assert_eq!(
        read(json!({"ipv4": {"ip": "192.0.2.9"}, "ipv6": {"ip": "2001:db8::/64"}})).as_deref(),
        Some("192.0.2.9")
    );
    assert_eq!(read(json!({"ipv4": null, "ipv6": {"ip": "2001:db8::/64"}})).as_deref(), Some("2001:db8::1"));
    assert_eq!(read(json!({"ipv4": null, "ipv6": null})), None);
}

#[test]
fn the_code_decides_whatever_the_status() {
    for (code, expected) in [
        ("unauthorized", Some("unauthorised")),
        ("token_readonly", Some("unauthorised")),
        ("resource_unavailable", Some("out_of_stock")),
        ("placement_error", Some("out_of_stock")),
        ("resource_limit_exceeded", Some("quota")),
        ("rate_limit_exceeded", Some("rate_limited")),
        ("uniqueness_error", Some("conflict")),
        ("locked", Some("conflict")),
        ("protected", Some("conflict")),
        ("not_found", Some("not_found")),
        ("invalid_input", Some("invalid")),
        ("service_error", None),
    ] {
        let error = classify(StatusCode::IM_A_TEAPOT, &json!({"error": {"code": code, "message": "so"}}));
        assert_eq!(error.map(|error| error.code()), expected, "{code}");
    }
}

#[test]
fn tags_survive_as_labels() {
    let mark = order().mark.to_string();
    let tags = vec![mark.clone(), "env:prod".to_owned(), "web".to_owned()];
    let labels = labels(&tags, "web-1");
    assert_eq!(json!(labels), json!({"capsule": mark, "capsule-name": "web-1", "env": "prod", "web": ""}));
    let instance = instance(server(1, json!(labels))).expect("a record");
    assert_eq!((instance.tags, instance.name.as_str()), (tags, "web-1"));
}

#[tokio::test]
async fn three_pages_are_read() {
    let fake = Fake::start(|asked| {
        let page: u64 = asked.query["page"].parse().expect("a number");
        let next = (page < 3).then_some(page + 1);
        let meta = json!({"pagination": {"page": page, "next_page": next, "last_page": 3}});
        (200, json!({"servers": [server(page, json!({}))], "meta": meta}))
    })
    .await;
    let all = fake.client(NAME).instances().await.expect("all pages");
    assert_eq!(all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn only_what_carries_the_mark_is_found() {
    let mark = order().mark;
    let marked = mark.to_string();
    let fake = Fake::start(move |_| {
        (200, json!({"servers": [server(1, json!({"web": ""})), server(2, json!({"capsule": marked}))]}))
    })
    .await;
    let found = fake.client(NAME).find_marked(&mark, "fsn1").await.expect("an answer");
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["2"]);
    assert_eq!(fake.asked()[0].query["label_selector"], format!("capsule=={mark}"));
}

#[tokio::test]
async fn a_second_creation_is_unknown_because_the_first_one_worked() {
    let fake =
        Fake::start(|_| (409, json!({"error": {"code": "uniqueness_error", "message": "name is used"}})))
            .await;
    let error = fake.client(NAME).create(&order(), &json!({"ssh_keys": []})).await.expect_err("409");
    assert_eq!((error.code(), fake.asked().len()), ("unknown_outcome", 1));
    assert_eq!(fake.asked()[0].body["name"], order().mark.as_str());
}

#[tokio::test]
async fn a_size_that_is_sold_out_is_out_of_stock() {
    let fake =
        Fake::start(|_| (412, json!({"error": {"code": "resource_unavailable", "message": "sold out"}})))
            .await;
    let error = fake.client(NAME).create(&order(), &json!({"ssh_keys": []})).await.expect_err("412");
    assert_eq!(error.code(), "out_of_stock");
}

#[tokio::test]
async fn a_key_that_somebody_else_uploaded_meanwhile_is_used() {
    let fake = Fake::start({
        let lists = std::sync::atomic::AtomicU32::new(0);
        move |asked| match asked.line.as_str() {
            "POST /v1/ssh_keys" => {
                (409, json!({"error": {"code": "uniqueness_error", "message": "is there"}}))
            }
            _ if lists.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
                (200, json!({"ssh_keys": []}))
            }
            _ => (200, json!({"ssh_keys": [{"name": "ann", "public_key": "ssh-ed25519 AAAAC3Nza"}]})),
        }
    })
    .await;
    assert_eq!(fake.client(NAME).prepare(&order()).await.expect("a key"), json!({"ssh_keys": ["ann"]}));
}

#[tokio::test]
async fn stock_is_what_a_datacentre_has_or_what_the_size_says() {
    let sizes = json!({"server_types": [{
        "id": 1, "name": "cx22", "cores": 2, "memory": 4.0, "disk": 40, "architecture": "x86", "deprecated": false,
        "prices": [
            {"location": "fsn1", "price_hourly": {"net": "0.0060000000"}, "price_monthly": {"net": "3.7900000000"}, "included_traffic": 20_000_000_000_000_u64},
            {"location": "hel1", "price_hourly": {"net": "0.0070000000"}, "price_monthly": {"net": "4.0000000000"}},
        ],
        "locations": [{"name": "hel1", "available": false}],
    }]});
    let locations = json!({"locations": [{"name": "fsn1", "city": "Falkenstein", "country": "DE"}]});
    for (datacenters, fsn1) in [
        (
            (
                200,
                json!({"datacenters": [{"location": {"name": "fsn1"}, "server_types": {"available": [1]}}]}),
            ),
            true,
        ),
        (
            (
                200,
                json!({"datacenters": [{"location": {"name": "fsn1"}, "server_types": {"available": [2]}}]}),
            ),
            false,
        ),
        ((410, json!({"error": {"code": "deprecated_api_endpoint", "message": "over"}})), true),
    ] {
        let (sizes, locations) = (sizes.clone(), locations.clone());
        let fake = Fake::start(move |asked| match asked.line.as_str() {
            "GET /v1/server_types" => (200, sizes.clone()),
            "GET /v1/locations" => (200, locations.clone()),
            _ => datacenters.clone(),
        })
        .await;
        let catalogue = fake.client(NAME).catalogue().await.expect("a catalogue");
        let had: Vec<_> = catalogue.offers.iter().map(|one| (one.region.as_str(), one.available)).collect();
        assert_eq!(had, [("fsn1", fsn1), ("hel1", false)]);
        let offer = &catalogue.offers[0];
        assert_eq!((offer.price.hourly_micros, offer.price.monthly_micros), (6000, Some(3_790_000)));
        assert_eq!((offer.memory_mib, offer.transfer_gb), (4096, Some(20_000)));
        assert_eq!(catalogue.regions[0].title, "Falkenstein, DE");
    }
}

#[tokio::test]
async fn what_outlives_a_server_is_told_and_deleted() {
    let fake = Fake::start(|asked| match asked.line.as_str() {
        "GET /v1/servers/5" => {
            let mut record = server(5, json!({}));
            record["volumes"] = json!([7]);
            record["public_net"]["floating_ips"] = json!([8]);
            record["public_net"]["ipv4"]["id"] = json!(9);
            record["public_net"]["ipv6"]["id"] = json!(10);
            (200, json!({"server": record}))
        }
        "GET /v1/volumes/7" => (200, json!({"volume": {"id": 7, "name": "data", "size": 10}})),
        "GET /v1/floating_ips/8" => (200, json!({"floating_ip": {"id": 8, "ip": "192.0.2.8"}})),
        "GET /v1/primary_ips/9" => {
            (200, json!({"primary_ip": {"id": 9, "ip": "192.0.2.9", "auto_delete": false}}))
        }
        "GET /v1/primary_ips/10" => {
            (200, json!({"primary_ip": {"id": 10, "ip": "2001:db8::", "auto_delete": true}}))
        }
        _ => (404, json!({"error": {"code": "not_found", "message": "gone"}})),
    })
    .await;
    let client = fake.client(NAME);
    let leftovers = client.leftovers(&reference("5")).await.expect("three");
    let labels: Vec<_> = leftovers.iter().map(|one| (one.kind.as_str(), one.label.as_str())).collect();
    assert_eq!(labels, [("volume", "data (10 GB)"), ("address", "192.0.2.8"), ("address", "192.0.2.9")]);
    for leftover in &leftovers {
        client.delete_leftover(leftover).await.expect("gone");
    }
    let deleted = fake.lines().split_off(5);
    assert_eq!(deleted, ["DELETE /v1/volumes/7", "DELETE /v1/floating_ips/8", "DELETE /v1/primary_ips/9"]);
}
