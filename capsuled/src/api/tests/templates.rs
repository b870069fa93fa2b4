//! Templates, regions, plans and the rate by way of HTTP.

use serde_json::{Value, json};

use crate::api::testing::TestApi;

fn ids(reply: &Value) -> Vec<&str> {
    let items = reply["items"].as_array().expect("a page");
    items.iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn templates_are_listed_before_any_account_is_there() {
    let api = TestApi::start().await;
    let all = api.get("/v1/templates").send().await;
    assert_eq!(all.status, 200, "{}", all.text);
    let ours = all.json["items"].as_array().expect("a page").iter();
    assert_eq!(ours.filter(|template| !template["original"].is_null()).count(), 31);
    let large = api
        .get("/v1/templates?min_cpu=4&min_memory=8&max_price=100000&gpu=false&arch=x86_64&sort=memory")
        .send()
        .await;
    assert_eq!(ids(&large.json), ["do-standard-4", "scaleway-gp1-xs"], "{}", large.text);
    let there = api.get("/v1/templates?region=waw1&provider=Scaleway").send().await;
    let items = there.json["items"].as_array().expect("a page");
    assert!(items.iter().all(|item| item["regions"][0]["region"] == "pl-waw-1"), "{}", there.text);
    // A price in euros stays one.
    assert_eq!(items[0]["price"]["currency"], "EUR");
}

#[tokio::test]
async fn what_nobody_has_is_not_found_and_slips_get_a_suggestion() {
    let api = TestApi::start().await;
    for (path, hint) in [
        ("/v1/templates/do-basik-1", "do-basic-1"),
        ("/v1/templates/do-basik-1/equivalents", "do-basic-1"),
        ("/v1/templates?provider=vulter", "vultr"),
        ("/v1/templates?region=nyc11", "nyc1"),
        ("/v1/regions?provider=vulter", "vultr"),
    ] {
        let reply = api.get(path).send().await;
        reply.is_problem(404, "not_found");
        assert_eq!(reply.json["hint"], format!("did you mean `{hint}`?"), "{path}");
    }
    for (part, given, hint) in [
        ("provider", "vulter", json!("did you mean `vultr`?")),
        ("template", "do-basik-1", json!("did you mean `do-basic-1`?")),
        ("region", "nyc11", json!("did you mean `nyc1`?")),
        ("account", "nobody", Value::Null),
    ] {
        let mut request = json!({});
        request[part] = json!(given);
        let reply = api.post("/v1/plans").json(request).send().await;
        reply.is_problem(404, "not_found");
        assert_eq!(reply.json["hint"], hint, "{part}");
    }
    api.get("/v1/templates?sort=colour").send().await.is_problem(400, "unfit_query");
    api.get("/v1/templates?colour=red").send().await.is_problem(400, "unfit_query");
}

#[tokio::test]
async fn a_template_goes_by_our_name_and_the_providers() {
    let api = TestApi::start().await;
    let ours = api.get("/v1/templates/vultr-hf-4").send().await;
    assert_eq!(ours.json, api.get("/v1/templates/vhf-3c-8gb").send().await.json);
    assert_eq!((&ours.json["vcpus"], &ours.json["original"]["vcpus"]), (&json!(3), &json!(4)));
    let regions = api.get("/v1/regions?provider=linode").send().await;
    let named = |name: &str| {
        let items = regions.json["items"].as_array().expect("a page");
        items.iter().find(|item| item["name"] == name).expect("a region").clone()
    };
    assert_eq!(named("au-sydney")["region"], "ap-southeast");
    let near = api.get("/v1/templates/equinix-c3-small/equivalents").send().await;
    assert_eq!(ids(&near.json)[0], "hive-medium", "{}", near.text);
}

#[tokio::test]
async fn plans_without_accounts_say_what_is_missing_and_are_the_same_every_time() {
    let api = TestApi::start().await;
    let ask = || api.post("/v1/plans").json(json!({"min_cpu": 2, "max_hourly": 50_000}));
    let plan = ask().send().await;
    assert_eq!((plan.status, &plan.json["offers"]), (200, &json!([])), "{}", plan.text);
    assert_eq!(plan.text, ask().send().await.text);
    assert_eq!(plan.json["request"], json!({"min_cpu": 2, "max_hourly": 50_000, "gpu": false}));
    assert_eq!(plan.json["rejected"][0]["reasons"].as_array().map(Vec::len), Some(1), "{}", plan.text);
    for (field, value) in [
        ("min_cpu", json!(0)),
        ("min_memory_gb", json!(65_537)),
        ("max_hourly", json!(-1)),
        ("max_hourly", json!(0)),
        ("max_hourly", json!(10_000_000_001_i64)),
        ("count", json!(1_001)),
    ] {
        let mut request = json!({});
        request[field] = value;
        let reply = api.post("/v1/plans").json(request).send().await;
        reply.is_problem(422, "invalid");
        assert!(reply.json["detail"].as_str().is_some_and(|text| text.starts_with(field)), "{}", reply.text);
    }
    let contradiction = json!({"provider": "vultr", "template": "do-basic-1"});
    api.post("/v1/plans").json(contradiction).send().await.is_problem(422, "invalid");
    api.post("/v1/plans").json(json!({"colour": "red"})).send().await.is_problem(422, "unfit_body");
}

#[tokio::test]
async fn what_ended_is_refused_with_the_nearest_elsewhere() {
    let api = TestApi::start().await;
    for template in ["equinix-c3-small", "c3.small.x86"] {
        let reply = api.post("/v1/plans").json(json!({"template": template})).send().await;
        reply.is_problem(409, "service_ended");
        let detail = reply.json["detail"].as_str().expect("a detail");
        assert!(detail.contains("ended its service on 2026-06-30"), "{detail}");
        assert!(detail.contains("nearest to `equinix-c3-small` elsewhere: `hive-medium`"), "{detail}");
    }
    api.post("/v1/plans").json(json!({"provider": "equinix"})).send().await.is_problem(409, "service_ended");
}

#[tokio::test]
async fn the_rate_is_dated_and_changes_what_is_compared() {
    let api = TestApi::start().await;
    let first = api.get("/v1/exchange-rate").send().await;
    assert_eq!(first.json, json!({"usd_per_eur_micros": 1_038_900, "date": "2024-12-31"}));
    let set = json!({"usd_per_eur_micros": 2_000_000, "date": "2026-01-02"});
    let reply = api.put("/v1/exchange-rate").json(set.clone()).send().await;
    assert_eq!((reply.status, &reply.json), (200, &set), "{}", reply.text);
    assert_eq!(api.get("/v1/exchange-rate").send().await.json, set);
    let dev = api.get("/v1/templates/scaleway-dev1-s").send().await;
    assert_eq!(dev.json["usd_hourly_micros"], 17_952);
    assert_eq!(api.post("/v1/plans").json(json!({})).send().await.json["rate"], set);
    for wrong in [
        json!({"usd_per_eur_micros": 99_999}),
        json!({"usd_per_eur_micros": 10_000_001}),
        json!({"usd_per_eur_micros": 1_000_000, "date": "9999-12-31"}),
    ] {
        api.put("/v1/exchange-rate").json(wrong).send().await.is_problem(422, "invalid");
    }
}

#[tokio::test]
async fn without_an_account_there_is_nobody_to_ask_for_prices() {
    let api = TestApi::start().await;
    let reply = api.post("/v1/templates/refresh").send().await;
    reply.is_problem(409, "wrong_state");
    let reply = api.post("/v1/templates/refresh").json(json!({"provider": "vultr"})).send().await;
    assert!(reply.text.contains("no account at vultr"), "{}", reply.text);
    api.post("/v1/templates/refresh")
        .json(json!({"provider": "x"}))
        .send()
        .await
        .is_problem(404, "not_found");
}
