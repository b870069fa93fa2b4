//! Reconciling, with clouds in memory: what is found, told, adopted, accepted and ignored.

use std::{sync::Arc, time::Duration};

use capsule_api::{AccountName, Currency, Instance, InstanceState, Price, ProviderName, Role, Settings};
use capsule_providers::Mark;
use serde_json::{Value, json};

use crate::{
    api::testing::{TestApi, peer},
    context::scripted::ScriptedProvider,
    model::{LiveCatalogue, Offer},
    store::{self, Lane, StoreError},
    usecases::{accounts::testing, reconcile},
};

const MINUTE: Duration = Duration::from_secs(60);

/// An API with accounts at clouds in memory, whose servers cost ten euro cents an hour.
struct World {
    api: TestApi,
}

impl World {
    async fn start() -> Self {
        Self { api: TestApi::start().await }
    }

    async fn add(&self, name: &str, provider: ProviderName) -> (AccountName, Arc<ScriptedProvider>) {
        let cloud = Arc::new(ScriptedProvider::new(provider));
        let account = testing::add(&self.api.context, name, cloud.clone()).await;
        self.price(&account, provider, 100_000).await;
        (account, cloud)
    }

    async fn price(&self, account: &AccountName, provider: ProviderName, hourly_micros: i64) {
        let offer = |plan: &str, hourly_micros| Offer {
            plan: plan.to_owned(),
            region: "ams".to_owned(),
            vcpus: 1,
            memory_mib: 1_024,
            disk_gb: 10,
            transfer_gb: None,
            gpus: 0,
            gpu_model: None,
            arch: capsule_api::Arch::X86_64,
            bare_metal: false,
            price: Price { currency: Currency::Usd, hourly_micros, monthly_micros: None },
            available: true,
        };
        let live = LiveCatalogue {
            account: account.clone(),
            provider,
            observed_at: self.api.context.clock.now(),
            offers: vec![offer("small", hourly_micros), offer("large", 4 * hourly_micros)],
            regions: Vec::new(),
        };
        let kept = self.api.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move { store::templates::replace(tx, live).await })
        });
        kept.await.expect("kept");
    }

    /// Compares every account once.
    async fn sweep(&self) {
        let mut sweeps = reconcile::start(&self.api.context, "all").await.expect("begun");
        while let Some(outcome) = sweeps.next().await {
            outcome.expect("written");
        }
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        let reply = self.api.get(path).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json["items"].as_array().expect("a page").clone()
    }

    async fn findings(&self) -> Vec<Value> {
        self.items("/v1/findings").await
    }

    /// Kind and name of every open finding, oldest first.
    async fn found(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let mut found: Vec<_> =
            self.findings().await.iter().map(|one| (text(&one["kind"]), text(&one["name"]))).collect();
        found.sort();
        found
    }

    /// Open alerts as subject and severity.
    async fn alerts(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let alerts = self.items("/v1/alerts?kind=reconcile_drift").await;
        alerts.iter().map(|one| (text(&one["subject_name"]), text(&one["severity"]))).collect()
    }

    async fn adopt(&self, body: Value) -> Vec<Value> {
        let reply = self.api.post("/v1/adopt").json(body).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json["items"].as_array().expect("a page").clone()
    }

    /// Adopts every server of the account that has the tag `fleet`, and lets what follows from it pass.
    async fn adopt_fleet(&self, account: &AccountName) {
        self.adopt(json!({"account": account, "tag": "fleet"})).await;
        self.api.context.clock.advance(MINUTE);
    }
}

fn instance(provider: ProviderName, number: u32, mark: bool) -> Instance {
    let mut tags = vec!["fleet".to_owned()];
    if mark {
        tags.push(Mark::of(uuid::Uuid::from_u128(number.into())).to_string());
    }
    Instance {
        id: number.to_string(),
        name: format!("web-{number}"),
        provider,
        status: InstanceState::Running,
        ip_address: Some([192, 0, 2, u8::try_from(number % 250).expect("small")].into()),
        region: "ams".to_owned(),
        created_at: Some("2026-01-02T03:04:05Z".parse().expect("a moment")),
        metadata: Value::Null,
        plan: "small".to_owned(),
        tags,
        place: String::new(),
    }
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn an_orphan_is_told_once_and_ends_when_it_is_adopted() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    cloud.put_instance(instance(ProviderName::Vultr, 2, false));
    for _ in 0..3 {
        world.sweep().await;
    }
    assert_eq!(
        world.found().await,
        [pair("orphan", "web-1")],
        "a server without our mark is somebody else's"
    );
    assert_eq!(world.alerts().await, [pair("vultr", "warning")]);
    let alerts = world.items("/v1/alerts?all=true").await;
    let id = alerts[0]["id"].as_str().expect("an id");
    let told = world.api.get(&format!("/v1/alerts/{id}")).send().await;
    assert_eq!(told.json["timeline"].as_array().map(Vec::len), Some(1), "told once: {}", told.text);

    let adopted = world.adopt(json!({"all_orphans": true, "tags": ["mine"]})).await;
    assert_eq!(adopted.len(), 1);
    assert_eq!((&adopted[0]["outcome"], &adopted[0]["name"]), (&json!("adopted"), &json!("web-1")));
    assert_eq!((world.found().await, world.alerts().await), (vec![], vec![]));
    let xnode = world.api.get("/v1/xnodes/web-1").send().await.json;
    assert_eq!((&xnode["status"], &xnode["tags"]), (&json!("running"), &json!(["fleet", "mine"])));
    assert_eq!((&xnode["hourly_cost_micros"], &xnode["address"]), (&json!(100_000), &json!("192.0.2.1")));
    assert_eq!(
        (&xnode["placement"]["account"], &xnode["placement"]["plan"]),
        (&json!(account), &json!("small"))
    );
    let report = world.api.get("/v1/costs").send().await;
    assert_eq!(report.json["hourly_micros"], 100_000, "a price interval has begun: {}", report.text);
    let ended = world.items("/v1/findings?all=true").await;
    assert_eq!(
        (&ended[0]["state"], &ended[0]["ended_because"]),
        (&json!("ended"), &json!("adopted as `web-1`"))
    );

    world.api.context.clock.advance(MINUTE);
    world.sweep().await;
    assert_eq!(world.found().await, [], "what was adopted is no difference");
    let again = world.adopt(json!({"account": "work", "instances": ["1"]})).await;
    assert_eq!(again[0]["outcome"], "already_there");
    assert_eq!(world.api.names().await, ["web-1"]);
}

#[tokio::test]
async fn adopting_is_all_or_nothing_and_says_what_it_cannot() {
    let world = World::start().await;
    let (_, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, false));
    cloud.put_instance(instance(ProviderName::Vultr, 2, false));
    let adopt = |body: Value| world.api.post("/v1/adopt").json(body).send();
    adopt(json!({})).await.is_problem(422, "invalid");
    adopt(json!({"instances": ["1"]})).await.is_problem(422, "invalid");
    adopt(json!({"account": "none", "tag": "fleet"})).await.is_problem(404, "not_found");
    adopt(json!({"account": "work", "instances": ["1", "3"]})).await.is_problem(404, "not_found");
    adopt(json!({"account": "work", "tag": "fleet", "name": "web"})).await.is_problem(422, "invalid");
    adopt(json!({"account": "work", "tag": "fleet", "ssh": {"user": "a b"}}))
        .await
        .is_problem(422, "invalid");
    adopt(json!({"account": "work", "tag": "fleet", "ssh": {"jump": "nobody"}}))
        .await
        .is_problem(422, "invalid");
    adopt(json!({"findings": ["ffffffff"]})).await.is_problem(404, "not_found");
    cloud.fail("instances", cloud.unavailable());
    adopt(json!({"account": "work", "tag": "fleet"})).await.is_problem(502, "unavailable");
    assert_eq!(world.api.names().await, Vec::<String>::new(), "nothing came in");

    let tried = world.adopt(json!({"account": "work", "tag": "fleet", "dry_run": true})).await;
    assert_eq!(tried.len(), 2);
    assert_eq!((&tried[0]["outcome"], world.api.names().await.len()), (&json!("would_adopt"), 0));

    world.api.add_xnode("web-1").await;
    adopt(json!({"account": "work", "instances": ["1"], "name": "web-1"}))
        .await
        .is_problem(409, "name_taken");
    let named = world.adopt(json!({"account": "work", "tag": "fleet"})).await;
    let name = named[0]["name"].as_str().expect("a name");
    assert!(name.starts_with("web-1-"), "a name that nobody chose gives way: {name}");
}

#[tokio::test]
async fn two_who_adopt_the_same_server_get_one_xnode() {
    let world = World::start().await;
    let (_, cloud) = world.add("work", ProviderName::Vultr).await;
    // The same servers, seen with another key.
    let (_, other) = world.add("home", ProviderName::Vultr).await;
    for cloud in [&cloud, &other] {
        cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    }
    world.sweep().await;
    assert_eq!(world.found().await.len(), 2);
    let (one, two) = tokio::join!(
        world.adopt(json!({"account": "work", "instances": ["1"]})),
        world.adopt(json!({"account": "home", "instances": ["1"]})),
    );
    let mut outcomes = [one[0]["outcome"].clone(), two[0]["outcome"].clone()].map(|value| value.to_string());
    outcomes.sort();
    assert_eq!(outcomes, ["\"adopted\"", "\"already_there\""]);
    assert_eq!((world.api.names().await.len(), world.found().await.len()), (1, 0));
    world.api.context.clock.advance(MINUTE);
    world.sweep().await;
    assert_eq!(world.found().await, [], "it is no orphan of the other account");
}

#[tokio::test]
async fn a_ghost_is_told_and_leaves_the_inventory_when_accepted() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    world.adopt_fleet(&account).await;
    cloud.remove_instance("1");
    world.sweep().await;
    assert_eq!(world.found().await, [pair("ghost", "web-1")]);
    assert_eq!(world.alerts().await, [pair("web-1", "critical")]);
    let id = world.findings().await[0]["id"].as_str().expect("an id").to_owned();
    let accept = |id: &str| world.api.post(&format!("/v1/findings/{id}/accept")).json(json!({})).send();

    cloud.fail("instance", cloud.unavailable());
    accept(&id).await.is_problem(502, "unavailable");
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    accept(&id).await.is_problem(409, "wrong_state");
    assert_eq!(world.api.names().await, ["web-1"], "it is there after all");
    cloud.remove_instance("1");

    let short = &id[id.len() - 8..];
    let (one, two) = tokio::join!(accept(short), accept(&id));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "one wins and the other is told: {} {}", one.text, two.text);
    assert_eq!(world.api.names().await, Vec::<String>::new());
    assert_eq!((world.found().await, world.alerts().await), (vec![], vec![]));
}

#[tokio::test]
async fn a_drift_is_told_accepted_and_ends() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    world.adopt_fleet(&account).await;
    cloud.change_instance("1", |there| {
        "large".clone_into(&mut there.plan);
        there.status = InstanceState::Stopped;
        there.ip_address = Some([198, 51, 100, 7].into());
        there.tags.push("blue".to_owned());
    });
    world.sweep().await;
    let finding = world.findings().await.remove(0);
    let fields: Vec<_> =
        finding["drift"].as_array().expect("drift").iter().map(|one| &one["field"]).collect();
    assert_eq!(fields, ["size", "address", "power", "tags", "price"]);
    assert_eq!(world.alerts().await, [pair("web-1", "warning")]);

    let path = format!("/v1/findings/{}/accept", finding["id"].as_str().expect("an id"));
    let accepted = world.api.post(&path).json(json!({})).send().await;
    assert_eq!((accepted.status, &accepted.json["state"]), (200, &json!("ended")), "{}", accepted.text);
    let xnode = world.api.get("/v1/xnodes/web-1").send().await.json;
    assert_eq!((&xnode["placement"]["plan"], &xnode["status"]), (&json!("large"), &json!("stopped")));
    assert_eq!((&xnode["address"], &xnode["tags"]), (&json!("198.51.100.7"), &json!(["blue", "fleet"])));
    assert_eq!(xnode["hourly_cost_micros"], 400_000);
    assert_eq!((world.found().await, world.alerts().await), (vec![], vec![]));
    assert_eq!(
        cloud.calls().iter().filter(|(call, _)| ["delete", "stop", "set_tags"].contains(call)).count(),
        0
    );
    world.api.context.clock.advance(MINUTE);
    world.sweep().await;
    assert_eq!(world.found().await, []);

    // What goes back by itself ends by itself.
    cloud.change_instance("1", |there| there.status = InstanceState::Running);
    world.sweep().await;
    assert_eq!(world.found().await, [pair("drift", "web-1")]);
    cloud.change_instance("1", |there| there.status = InstanceState::Stopped);
    world.sweep().await;
    assert_eq!((world.found().await, world.alerts().await), (vec![], vec![]));
}

#[tokio::test]
async fn an_ignored_finding_raises_no_alert_until_something_else_drifts() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    world.adopt_fleet(&account).await;
    cloud.change_instance("1", |there| there.status = InstanceState::Stopped);
    world.sweep().await;
    let id = world.findings().await[0]["id"].as_str().expect("an id").to_owned();
    let ignored =
        world.api.post(&format!("/v1/findings/{id}/ignore")).json(json!({"ignored": true})).send().await;
    assert_eq!((ignored.status, world.alerts().await), (200, vec![]), "{}", ignored.text);
    world.sweep().await;
    assert_eq!((world.found().await, world.alerts().await), (vec![], vec![]));
    cloud.change_instance("1", |there| there.tags.clear());
    world.sweep().await;
    assert_eq!(world.found().await, [pair("drift", "web-1")]);
    assert_eq!(world.alerts().await, [pair("web-1", "warning")]);
    let seen =
        world.api.post(&format!("/v1/findings/{id}/accept")).json(json!({})).by(peer(7, Some(Role::Reader)));
    seen.send().await.is_problem(403, "role_too_low");
}

#[tokio::test]
async fn an_account_that_cannot_be_read_says_nothing_and_stops_nobody() {
    let world = World::start().await;
    let (account, broken) = world.add("work", ProviderName::Vultr).await;
    let (_, fine) = world.add("home", ProviderName::Linode).await;
    broken.put_instance(instance(ProviderName::Vultr, 1, true));
    world.adopt_fleet(&account).await;
    world.sweep().await;
    fine.put_instance(instance(ProviderName::Linode, 5, true));
    broken.remove_instance("1");
    for error in [broken.unauthorised(), broken.unavailable()] {
        broken.fail_always("instances", error.clone());
        world.sweep().await;
        assert_eq!(
            world.found().await,
            [pair("orphan", "web-5")],
            "no ghost of an account that was not read"
        );
        let sweeps = world.items("/v1/sweeps").await;
        let of = |name: &str| sweeps.iter().find(|sweep| sweep["account"] == name).expect("a sweep").clone();
        assert_eq!(of("home")["error"], Value::Null);
        assert!(of("work")["error"].as_str().is_some_and(|said| said.contains("vultr")), "{:?}", of("work"));
        let at = |field: &str| {
            let text = of("work")[field].as_str().expect("a moment").to_owned();
            text.parse::<jiff::Timestamp>().expect("a moment")
        };
        assert!(at("completed_at") < at("attempted_at"), "the last whole list is the older one");
    }
    assert_eq!(world.api.get("/v1/accounts/work").send().await.json["state"], "refused");
    // A server that the list leaves out and that nobody will tell about is no ghost either.
    broken.recover();
    broken.fail("instance", broken.unavailable());
    world.sweep().await;
    assert_eq!(world.found().await, [pair("orphan", "web-5")]);
    world.sweep().await;
    assert_eq!(world.found().await, [pair("ghost", "web-1"), pair("orphan", "web-5")]);
    assert_eq!(
        world.items("/v1/sweeps").await.iter().filter(|sweep| sweep["error"] == Value::Null).count(),
        2
    );
}

#[tokio::test]
async fn a_server_that_a_list_leaves_out_is_no_ghost_when_its_provider_has_it() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    world.adopt_fleet(&account).await;
    cloud.set_lag(1);
    world.sweep().await;
    assert_eq!((world.found().await, cloud.count("instance")), (vec![], 1));
}

#[tokio::test]
async fn a_thousand_sweeps_without_change_find_nothing_and_each_change_is_found_by_the_next() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    for number in 1..=20 {
        cloud.put_instance(instance(ProviderName::Vultr, number, true));
    }
    world.adopt_fleet(&account).await;
    let events = |world: &World| world.api.context.store.subscribe();
    let mut watched = events(&world);
    for _ in 0..1_000 {
        world.sweep().await;
    }
    assert_eq!(world.found().await, []);
    let mut told = 0;
    while let Ok(event) = watched.try_recv() {
        told += usize::from(event.kind == capsule_api::EventKind::FindingChanged);
    }
    assert_eq!((told, world.items("/v1/findings?all=true").await.len()), (0, 0));

    type Change = (&'static str, fn(&mut Instance));
    let changes: [Change; 5] = [
        ("size", |there| "large".clone_into(&mut there.plan)),
        ("region", |there| "fra".clone_into(&mut there.region)),
        ("address", |there| there.ip_address = Some([203, 0, 113, 9].into())),
        ("power", |there| there.status = InstanceState::Stopped),
        ("tags", |there| there.tags.push("new".to_owned())),
    ];
    for (number, (field, change)) in changes.into_iter().enumerate() {
        let id = (number + 1).to_string();
        let before = cloud.all().into_iter().find(|there| there.id == id).expect("there");
        cloud.change_instance(&id, change);
        world.sweep().await;
        let found = world.findings().await;
        assert_eq!(found.len(), 1, "{field}");
        assert_eq!(found[0]["drift"][0]["field"], field);
        cloud.put_instance(before);
        world.sweep().await;
        assert_eq!(world.found().await, [], "{field} is back");
    }
    world.price(&account, ProviderName::Vultr, 110_000).await;
    world.sweep().await;
    assert_eq!(world.found().await.len(), 20, "everything became dearer");
    world.price(&account, ProviderName::Vultr, 100_000).await;
    cloud.remove_instance("7");
    cloud.put_instance(instance(ProviderName::Vultr, 70, true));
    world.sweep().await;
    assert_eq!(world.found().await, [pair("ghost", "web-7"), pair("orphan", "web-70")]);
}

#[tokio::test]
async fn an_operation_compares_and_says_who_did_not_answer() {
    let world = World::start().await;
    world.api.post("/v1/reconcile").json(json!({})).send().await.is_problem(409, "wrong_state");
    world.add("work", ProviderName::Vultr).await;
    let asked = world.api.post("/v1/reconcile").json(json!({"account": "work"})).send().await;
    assert_eq!(
        (asked.status, &asked.json["kind"], &asked.json["resource"]),
        (202, &json!("reconcile"), &json!("account/work"))
    );
    world
        .api
        .post("/v1/reconcile")
        .json(json!({"provider": "linode"}))
        .send()
        .await
        .is_problem(409, "wrong_state");
    world
        .api
        .post("/v1/reconcile")
        .json(json!({"provider": "linode", "account": "work"}))
        .send()
        .await
        .is_problem(422, "invalid");
    world
        .api
        .post("/v1/reconcile")
        .json(json!({"account": "wrok"}))
        .send()
        .await
        .is_problem(404, "not_found");
}

#[tokio::test]
async fn accounts_are_compared_when_they_are_due() {
    let world = World::start().await;
    let (_, cloud) = world.add("work", ProviderName::Vultr).await;
    let context = &world.api.context;
    let due = || reconcile::sweep_due(context);
    let next = due().await.expect("written").expect("an account");
    assert_eq!(cloud.count("instances"), 1);
    let hour = i64::try_from(Settings::default().reconcile_interval_ms).expect("small");
    assert!((next.duration_since(context.clock.now()).as_millis() - i128::from(hour)).abs() < 10_000);
    due().await.expect("written");
    assert_eq!(cloud.count("instances"), 1, "not again within the hour");
    context.clock.advance(61 * MINUTE);
    cloud.fail_always("instances", cloud.unavailable());
    due().await.expect("written");
    assert_eq!(cloud.count("instances"), 2);
    context.clock.advance(11 * MINUTE);
    due().await.expect("written");
    assert_eq!(cloud.count("instances"), 3, "sooner after a failure");
    let changed =
        world.api.patch("/v1/settings").header("if-match", "*").json(json!({"reconcile_interval_ms": 1}));
    changed.send().await.is_problem(422, "invalid");
}

#[tokio::test]
async fn removing_an_xnode_or_an_account_ends_what_was_told_of_it() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    world.adopt_fleet(&account).await;
    cloud.change_instance("1", |there| there.status = InstanceState::Stopped);
    cloud.put_instance(instance(ProviderName::Vultr, 2, true));
    world.sweep().await;
    assert_eq!(world.found().await.len(), 2);
    let gone = world.api.delete("/v1/xnodes/web-1").header("if-match", "*").send().await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    assert_eq!(world.found().await, [pair("orphan", "web-2")]);
    world.sweep().await;
    assert_eq!(
        world.found().await,
        [pair("orphan", "web-1"), pair("orphan", "web-2")],
        "it is billed unseen now"
    );
    let removed = world.api.delete("/v1/accounts/work").header("if-match", "*").send().await;
    assert_eq!(removed.status, 204, "{}", removed.text);
    assert_eq!((world.found().await, world.alerts().await), (vec![], vec![]));
}

#[tokio::test]
async fn an_xnode_is_not_removed_while_an_operation_works_on_it() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    cloud.put_instance(instance(ProviderName::Vultr, 1, true));
    world.adopt_fleet(&account).await;
    let begun = world.api.post("/v1/xnodes/web-1/terminate").json(json!({})).send().await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let operation = begun.json["id"].as_str().expect("an id").to_owned();
    let refused = world.api.delete("/v1/xnodes/web-1").header("if-match", "*").send().await;
    refused.is_problem(409, "wrong_state");
    let told = refused.json["detail"].as_str().expect("a detail");
    assert!(told.contains(&format!("operation {operation} (terminate_xnode) works on it")), "{told}");
    assert!(refused.json["hint"].as_str().is_some_and(|hint| hint.contains(&operation)), "{}", refused.text);
    assert_eq!(world.api.get("/v1/xnodes/web-1").send().await.status, 200, "it is still there");
}

/// `cargo test --release -- --ignored --nocapture sweep_of_ten_thousand`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_sweep_of_ten_thousand_xnodes_is_short() {
    let world = World::start().await;
    let (account, cloud) = world.add("work", ProviderName::Vultr).await;
    for number in 1..=10_000 {
        cloud.put_instance(instance(ProviderName::Vultr, number, true));
    }
    for from in (1..=10_000).step_by(1_000) {
        let ids: Vec<String> = (from..from + 1_000).map(|number: u32| number.to_string()).collect();
        world.adopt(json!({"account": account, "instances": ids})).await;
    }
    world.api.context.clock.advance(MINUTE);
    for wanted in [0, 0, 100] {
        if 0 < wanted {
            for number in 1..=100 {
                cloud.change_instance(&(number * 7).to_string(), |there| "large".clone_into(&mut there.plan));
            }
        }
        let began = std::time::Instant::now();
        world.sweep().await;
        println!("swept 10,000 xnodes with {wanted} changes in {:?}", began.elapsed());
    }
}
