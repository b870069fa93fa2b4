//! Costs, history and discounts by way of HTTP, on intervals that begin and end as the inventory changes.

use capsule_api::{XNodeId, XNodeStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    api::testing::TestApi,
    model::PriceInterval,
    store::{self, Lane},
    usecases::{UseCaseError, costs},
};

async fn add(api: &TestApi, name: &str, more: Value) -> XNodeId {
    let mut body = json!({"name": name, "address": "192.0.2.1"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let reply = api.post("/v1/xnodes").json(body).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    serde_json::from_value(reply.json["id"].clone()).expect("an id")
}

async fn edit(api: &TestApi, name: &str, patch: Value) {
    let reply = api.patch(&format!("/v1/xnodes/{name}")).json(patch).header("if-match", "*").send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

async fn intervals(api: &TestApi, id: XNodeId) -> Vec<PriceInterval> {
    let mut reader = api.context.store.reader().await.expect("a reader");
    store::costs::of_xnodes(&mut reader, &[id]).await.expect("read")
}

#[tokio::test]
async fn a_price_interval_ends_and_begins_with_what_changes_the_rate() {
    let api = TestApi::start().await;
    let id =
        add(&api, "web-1", json!({"hourly_cost_micros": 10_000, "provider": "aws", "tags": ["a"]})).await;
    edit(&api, "web-1", json!({"address": "192.0.2.9"})).await;
    assert_eq!(intervals(&api, id).await.len(), 1, "an address costs nothing");
    let open = |all: &[PriceInterval]| all.iter().filter(|interval| interval.ended_at.is_none()).count();
    for (patch, goes_on) in [
        (json!({"hourly_cost_micros": 20_000}), 1),
        (json!({"tags": ["b"]}), 1),
        (json!({"status": "stopped"}), 0),
        (json!({"provider": "hetzner"}), 1),
        (json!({"hourly_cost_micros": null}), 0),
        (json!({"hourly_cost_micros": 5_000, "status": "running"}), 1),
    ] {
        edit(&api, "web-1", patch.clone()).await;
        let all = intervals(&api, id).await;
        assert_eq!(open(&all), goes_on, "{patch}: {all:#?}");
        for pair in all.windows(2) {
            assert!(pair[0].ended_at.expect("only the last goes on") <= pair[1].began_at, "{pair:#?}");
        }
    }
    assert_eq!(api.delete("/v1/xnodes/web-1").header("if-match", "*").send().await.status, 204);
    assert_eq!(open(&intervals(&api, id).await), 0);
    let history = api.get("/v1/history?xnode=web-1").send().await.json;
    assert!(history["items"][0]["terminated_at"].is_string(), "{history}");
    assert_eq!(api.get("/v1/costs").send().await.json["xnodes"], 0);
}

/// Lets an xNode have cost something since a while ago.
async fn backdate(api: &TestApi, id: XNodeId, by: SignedDuration) -> Timestamp {
    let began = api.context.clock.now() - by;
    let written = api.context.store.write::<_, UseCaseError>(Lane::Normal, move |tx| {
        Box::pin(async move {
            let present = store::costs::present(tx, id).await?.expect("it is billed");
            store::costs::end(tx, id, present.began_at).await?;
            store::costs::begin(tx, id, &present.attribution, present.rate, began).await?;
            Ok(())
        })
    });
    written.await.expect("written");
    began
}

#[tokio::test]
async fn the_report_counts_what_was_and_discounts_take_off() {
    let api = TestApi::start().await;
    let id = add(&api, "web-1", json!({"hourly_cost_micros": 3_600_000, "provider": "hetzner"})).await;
    add(&api, "free", json!({})).await;
    backdate(&api, id, SignedDuration::from_hours(24 * 40)).await;
    let report = api.get("/v1/costs?by=xnode").send().await.json;
    assert_eq!((&report["xnodes"], &report["hourly_micros"]), (&json!(1), &json!(3_600_000)));
    assert_eq!(report["groups"][0]["name"], "web-1");
    assert_eq!(report["annual_micros"], 3_600_000_i64 * 8_760);
    let whole = report["month_micros"].as_i64().expect("a number");
    assert!(0 < whole && whole <= report["forecast_micros"].as_i64().expect("a number"));
    let put = api.put("/v1/discounts/provider/hetzner").json(json!({"basis_points": 2_500})).send().await;
    assert_eq!(put.status, 200, "{}", put.text);
    let report = api.get("/v1/costs").send().await.json;
    assert_eq!(report["hourly_micros"], 2_700_000);
    assert!(0 < report["discount_micros"].as_i64().expect("a number"));
    for (path, body) in [
        ("provider/hetzner", json!({"basis_points": 0})),
        ("provider/hetzner", json!({"basis_points": 10_001})),
        ("tag/a%20b", json!({"basis_points": 1})),
        (
            "tag/a",
            json!({"basis_points": 1, "valid_from": "2026-01-02T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"}),
        ),
    ] {
        api.put(&format!("/v1/discounts/{path}")).json(body).send().await.is_problem(422, "invalid");
    }
    assert_eq!(api.delete("/v1/discounts/provider/hetzner").send().await.status, 204);
    api.delete("/v1/discounts/provider/hetzner").send().await.is_problem(404, "not_found");
    api.get("/v1/costs?month=2999-01").send().await.is_problem(422, "invalid");
    api.get("/v1/costs?month=soon").send().await.is_problem(422, "invalid");
    let past = api.get("/v1/costs?month=2020-01").send().await.json;
    assert_eq!((&past["month_micros"], &past["forecast_micros"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_budget_that_blocks_refuses_what_would_go_over_it() {
    let api = TestApi::start().await;
    add(&api, "web-1", json!({"hourly_cost_micros": 400_000, "tags": ["shop"]})).await;
    api.put("/v1/budgets/tag/shop").json(json!({})).send().await.is_problem(422, "invalid");
    let set = json!({"hourly_limit_micros": 500_000, "monthly_limit_micros": 900_000_000, "block": true});
    let budget = api.put("/v1/budgets/tag/shop").json(set).send().await.json;
    assert_eq!((&budget["hourly_cost_micros"], &budget["block"]), (&json!(400_000), &json!(true)));
    let check = async |added: i64, tag: &str| {
        let of = |added: &i64| (capsule_api::UsdMicros(*added), "vultr".to_owned());
        costs::within_budgets(&api.context, vec![added], &[tag.to_owned()], of).await.map(drop)
    };
    assert!(check(100_000, "shop").await.is_ok());
    assert!(check(100_001, "other").await.is_ok());
    let refused = check(100_001, "shop").await;
    assert!(matches!(refused, Err(UseCaseError::Policy { code: "over_budget", .. })), "{refused:?}");
}

#[tokio::test]
async fn history_is_paged_and_forgotten_only_when_asked() {
    let api = TestApi::start().await;
    for n in 0..5 {
        add(&api, &format!("web-{n}"), json!({"hourly_cost_micros": 1_000})).await;
    }
    for n in 0..3 {
        api.delete(&format!("/v1/xnodes/web-{n}")).header("if-match", "*").send().await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/history?limit=2".to_owned();
    loop {
        let page = api.get(&path).send().await.json;
        seen.extend(page["items"].as_array().expect("items").iter().map(|life| life["name"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/history?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["web-4", "web-3", "web-2", "web-1", "web-0"]);
    let stats = api.get("/v1/stats").send().await.json;
    assert_eq!(
        (&stats["xnodes"], &stats["total_deployed"], &stats["total_terminated"]),
        (&json!(2), &json!(5), &json!(3))
    );
    let clean = async |body: Value| api.post("/v1/history/clean-up").json(body).send().await;
    assert_eq!(clean(json!({"days": 1})).await.json["forgotten"], 0);
    clean(json!({"days": 36_501})).await.is_problem(422, "invalid");
    assert_eq!(clean(json!({"days": 0, "dry_run": true})).await.json["forgotten"], 3);
    assert_eq!(clean(json!({"days": 0})).await.json["forgotten"], 3);
    assert_eq!(clean(json!({"days": 0})).await.json["forgotten"], 0);
    assert_eq!(api.get("/v1/stats").send().await.json["total_deployed"], 2);
    assert_eq!(api.names().await.len(), 2);
    assert_eq!(stats["by_status"][0]["status"], json!(XNodeStatus::Running));
}
