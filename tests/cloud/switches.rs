//! The fake clouds themselves: how instances come to life, and that each switch does what it says, for every
//! vendor. What a client makes of it is tested where the clients are.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use capsule_tests::cloud::{FakeCloud, Fault, Pace, Phase, Vendor};
use reqwest::{Client, Response};
use serde_json::{Value, json};

/// How one vendor is spoken to in this suite.
struct Script {
    credential: (&'static str, &'static str),
    list: &'static str,
    create: &'static str,
    body: Value,
    /// How many of the listed instances there are.
    count: fn(&Value) -> usize,
}

fn count_in(body: &Value, name: &str) -> usize {
    body[name].as_array().expect("a list").len()
}

fn script(vendor: Vendor) -> Script {
    let bearer = ("authorization", "Bearer t");
    match vendor {
        Vendor::DigitalOcean => Script {
            credential: bearer,
            list: "/v2/droplets",
            create: "/v2/droplets",
            body: json!({"name": "x1", "size": "s-1vcpu-1gb", "region": "nyc3", "image": "debian-12-x64"}),
            count: |body| count_in(body, "droplets"),
        },
        Vendor::Linode => Script {
            credential: bearer,
            list: "/v4/linode/instances",
            create: "/v4/linode/instances",
            body: json!({"type": "g6-nanode-1", "region": "us-east", "image": "linode/debian12", "root_pass": "x"}),
            count: |body| count_in(body, "data"),
        },
        Vendor::Vultr => Script {
            credential: bearer,
            list: "/v2/instances",
            create: "/v2/instances",
            body: json!({"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2284}),
            count: |body| count_in(body, "instances"),
        },
        Vendor::Equinix => Script {
            credential: ("x-auth-token", "t"),
            list: "/metal/v1/projects/p/devices",
            create: "/metal/v1/projects/p/devices",
            body: json!({"metro": "da", "plan": "c3.small.x86", "operating_system": "debian_12"}),
            count: |body| count_in(body, "devices"),
        },
        Vendor::Scaleway => Script {
            credential: ("x-auth-token", "t"),
            list: "/instance/v1/zones/fr-par-1/servers",
            create: "/instance/v1/zones/fr-par-1/servers",
            body: json!({"name": "x1", "commercial_type": "DEV1-S", "image": "c0ffee00-0000-4000-8000-0000000aae60"}),
            count: |body| count_in(body, "servers"),
        },
        Vendor::Hivelocity => Script {
            credential: ("x-api-key", "t"),
            list: "/api/v2/bare-metal-devices/",
            create: "/api/v2/bare-metal-devices/",
            body: json!({"hostname": "x.example.net", "productId": 504, "osName": "Debian 12.x", "locationName": "TPA1"}),
            count: |body| body.as_array().expect("a list").len(),
        },
        Vendor::Hetzner => Script {
            credential: bearer,
            list: "/v1/servers",
            create: "/v1/servers",
            body: json!({"name": "x1", "server_type": "cx22", "location": "fsn1", "image": "debian-12"}),
            count: |body| count_in(body, "servers"),
        },
    }
}

/// One vendor's cloud, and how to speak to it.
struct Caller {
    cloud: FakeCloud,
    script: Script,
    client: Client,
}

impl Caller {
    async fn of(vendor: Vendor) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { cloud: FakeCloud::start(vendor).await, script: script(vendor), client }
    }

    async fn list(&self) -> reqwest::Result<Response> {
        let (name, value) = self.script.credential;
        self.client.get(format!("{}{}", self.cloud.url(), self.script.list)).header(name, value).send().await
    }

    async fn listed(&self) -> usize {
        (self.script.count)(&self.list().await.expect("an answer").json().await.expect("JSON"))
    }

    async fn create(&self) -> reqwest::Result<Response> {
        let (name, value) = self.script.credential;
        let url = format!("{}{}", self.cloud.url(), self.script.create);
        self.client.post(url).header(name, value).json(&self.script.body).send().await
    }

    async fn get(&self, path: &str) -> Value {
        let (name, value) = self.script.credential;
        let request = self.client.get(format!("{}{path}", self.cloud.url())).header(name, value);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }
}

#[tokio::test]
async fn a_cut_after_the_commit_leaves_an_instance_and_a_cut_before_it_none() {
    for vendor in Vendor::ALL {
        let caller = Caller::of(vendor).await;
        caller.cloud.switches().cut_before_commit(1);
        assert!(caller.create().await.is_err(), "{vendor:?}: an answer in spite of the cut");
        assert_eq!((caller.cloud.creates(), caller.cloud.instances().len()), (0, 0), "{vendor:?}");
        caller.cloud.switches().commit_then_cut(1);
        assert!(caller.create().await.is_err(), "{vendor:?}: an answer in spite of the cut");
        assert_eq!((caller.cloud.creates(), caller.cloud.instances().len()), (1, 1), "{vendor:?}");
        let seen: Vec<Option<u16>> = caller.cloud.requests().iter().map(|request| request.status).collect();
        assert_eq!(seen, [None, None], "{vendor:?}");
        assert_eq!(caller.listed().await, 1, "{vendor:?}");
        caller.cloud.delete_behind_our_back(&caller.cloud.instances()[0].id);
        caller.cloud.switches().commit_then_fail(1, 502);
        assert_eq!(caller.create().await.expect("an answer").status(), 502, "{vendor:?}");
        assert_eq!(caller.cloud.creates(), 2, "{vendor:?}");
    }
}

#[tokio::test]
async fn a_new_instance_is_listed_late_but_found_by_then() {
    for vendor in Vendor::ALL {
        let caller = Caller::of(vendor).await;
        caller.cloud.switches().hide_from_lists(2);
        let status = caller.create().await.expect("an answer").status();
        assert!(status.is_success(), "{vendor:?}: {status}");
        let seen = [caller.listed().await, caller.listed().await, caller.listed().await];
        assert_eq!(seen, [0, 0, 1], "{vendor:?}");
    }
}

#[tokio::test]
async fn a_storm_answers_with_its_status_and_carries_nothing_out() {
    for vendor in Vendor::ALL {
        let caller = Caller::of(vendor).await;
        caller.cloud.switches().storm(1, 429, Some(7));
        caller.cloud.switches().storm(1, 503, None);
        let first = caller.create().await.expect("an answer");
        assert_eq!(first.headers()["retry-after"], "7", "{vendor:?}");
        assert_eq!(first.status(), 429, "{vendor:?}");
        let second = caller.create().await.expect("an answer");
        assert!(second.headers().get("retry-after").is_none(), "{vendor:?}");
        assert_eq!((second.status().as_u16(), caller.cloud.creates()), (503, 0), "{vendor:?}");
        assert!(
            caller.list().await.expect("an answer").status().is_success(),
            "{vendor:?}: the storm is over"
        );
    }
}

#[tokio::test]
async fn spoiled_answers_are_spoiled_as_they_should_be() {
    let caller = Caller::of(Vendor::DigitalOcean).await;
    let switches = caller.cloud.switches();
    switches.next(1, Fault::Truncated);
    assert!(caller.list().await.expect("headers").bytes().await.is_err(), "a whole body");
    switches.next(1, Fault::Garbage);
    let garbage = caller.list().await.expect("an answer").bytes().await.expect("a body");
    assert!(serde_json::from_slice::<Value>(&garbage).is_err());
    switches.redirect(1);
    let redirect = caller.list().await.expect("an answer");
    assert!(redirect.headers()["location"].to_str().expect("a text").contains("169.254.169.254"));
    assert_eq!(redirect.status(), 307);
    switches.next(1, Fault::Enormous);
    let enormous = caller.list().await.expect("headers");
    assert_eq!(enormous.content_length(), Some(10_000_000_000));
    drop(enormous);
    switches.next(1, Fault::Endless);
    let mut endless = caller.list().await.expect("headers");
    let mut read = 0;
    while read < 50_000_000 {
        read += endless.chunk().await.expect("more").expect("no end").len();
    }
    drop(endless);
    switches.next(1, Fault::Dripping);
    let mut dripping = caller.list().await.expect("headers");
    assert_eq!(dripping.chunk().await.expect("a drop").expect("a drop").len(), 1);
    drop(dripping);
    switches.next(1, Fault::Hang);
    let held = tokio::time::timeout(Duration::from_millis(50), caller.list()).await;
    assert!(held.is_err(), "an answer in spite of the hold");
    assert_eq!(caller.listed().await, 0, "all switches are used up");
}

#[tokio::test]
async fn latency_holds_every_answer() {
    let caller = Caller::of(Vendor::Linode).await;
    caller.cloud.switches().latency(Duration::from_millis(60));
    let begun = Instant::now();
    assert_eq!(caller.listed().await, 0);
    assert!(Duration::from_millis(60) <= begun.elapsed());
}

#[tokio::test]
async fn credentials_stock_and_quota_are_refused_by_every_vendor() {
    for vendor in Vendor::ALL {
        let caller = Caller::of(vendor).await;
        let switches = caller.cloud.switches();
        switches.unauthorised(true);
        assert_eq!(caller.list().await.expect("an answer").status(), 401, "{vendor:?}");
        switches.unauthorised(false);
        switches.accept_only("other");
        assert_eq!(caller.list().await.expect("an answer").status(), 401, "{vendor:?}");
        switches.accept_only("t");
        assert_eq!(caller.list().await.expect("an answer").status(), 200, "{vendor:?}");
        switches.quota(true);
        assert!(caller.create().await.expect("an answer").status().is_client_error(), "{vendor:?}");
        switches.quota(false);
        switches.out_of_stock(true);
        assert!(caller.create().await.expect("an answer").status().is_client_error(), "{vendor:?}");
        switches.clear();
        assert_eq!(caller.cloud.creates(), 0, "{vendor:?}");
        assert!(caller.create().await.expect("an answer").status().is_success(), "{vendor:?}");
        let credential = caller.cloud.requests().pop().and_then(|request| request.credential);
        assert_eq!(credential.as_deref(), Some("t"), "{vendor:?}");
    }
}

#[tokio::test]
async fn an_address_comes_after_the_state_and_is_the_one_given() {
    let caller = Caller::of(Vendor::DigitalOcean).await;
    let address: IpAddr = "127.0.0.9".parse().expect("an address");
    caller.cloud.serve_at(address);
    caller.cloud.switches().pace(Pace { provisioning: 2, address: 1, ..Pace::default() });
    caller.create().await.expect("an answer");
    let path = format!("/v2/droplets/{}", caller.cloud.instances()[0].id);
    let mut seen = Vec::new();
    for _ in 0..5 {
        let droplet = &caller.get(&path).await["droplet"];
        let networks = droplet["networks"]["v4"].as_array().expect("a list").clone();
        let public = networks.iter().find(|network| network["type"] == "public");
        let public = public.map(|network| network["ip_address"].as_str().expect("a text").to_owned());
        seen.push((droplet["status"].as_str().expect("a text").to_owned(), public));
    }
    let shown = Some(address.to_string());
    let wanted =
        [("new", None), ("new", None), ("active", None), ("active", shown.clone()), ("active", shown)];
    assert_eq!(seen, wanted.map(|(status, address)| (status.to_owned(), address)));
    caller.cloud.switches().pace(Pace::INSTANT);
    caller.create().await.expect("an answer");
    let path = format!("/v2/droplets/{}", caller.cloud.instances()[1].id);
    assert_eq!(caller.get(&path).await["droplet"]["networks"]["v4"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_happens_behind_our_back_shows_in_the_next_list() {
    for vendor in Vendor::ALL {
        let caller = Caller::of(vendor).await;
        let places = caller.cloud.places();
        let id = caller.cloud.add_orphan("lost", &["capsule-1"]);
        assert_eq!(
            caller.listed().await,
            usize::from(vendor != Vendor::Vultr || !caller.cloud.instance(&id).bare_metal)
        );
        caller.cloud.change_size(&id, caller.cloud.plans()[1]);
        caller.cloud.change_tags(&id, &["other"]);
        caller.cloud.set_phase(&id, Phase::Stopped);
        let truth = caller.cloud.instance(&id);
        assert_eq!((truth.plan.as_str(), truth.place.as_str()), (caller.cloud.plans()[1], places[0]));
        assert!(truth.has_tag("other") && truth.phase == Phase::Stopped);
        caller.cloud.delete_behind_our_back(&id);
        assert_eq!(caller.listed().await, 0, "{vendor:?}");
        assert_eq!((caller.cloud.all_instances().len(), caller.cloud.creates()), (1, 0), "{vendor:?}");
    }
}

#[tokio::test]
async fn prices_and_stock_of_the_catalogue_can_be_changed() {
    let caller = Caller::of(Vendor::DigitalOcean).await;
    caller.cloud.set_price("c-8", 0.5, 336.0);
    caller.cloud.set_stock("s-1vcpu-1gb", false);
    let sizes = caller.get("/v2/sizes?per_page=200").await;
    let size = |slug: &str| {
        sizes["sizes"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|size| size["slug"] == slug)
            .expect("a size")
            .clone()
    };
    assert_eq!(size("c-8")["price_hourly"], 0.5);
    assert_eq!(size("s-1vcpu-1gb")["available"], false);
    assert_eq!(caller.create().await.expect("an answer").status(), 422);
}

#[tokio::test]
async fn lists_come_in_pages_of_the_vendors_size() {
    let caller = Caller::of(Vendor::Vultr).await;
    for number in 0..7 {
        caller.cloud.add_orphan(&format!("x{number}"), &[]);
    }
    let (mut cursor, mut pages) = (String::new(), Vec::new());
    loop {
        let page = caller.get(&format!("/v2/instances?per_page=3&cursor={cursor}")).await;
        pages.push(count_in(&page, "instances"));
        cursor = page["meta"]["links"]["next"].as_str().expect("a text").to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [3, 3, 1]);
    let caller = Caller::of(Vendor::DigitalOcean).await;
    for number in 0..201 {
        caller.cloud.add_orphan(&format!("x{number}"), &[]);
    }
    let page = caller.get("/v2/droplets?per_page=500&page=2").await;
    assert_eq!((count_in(&page, "droplets"), &page["meta"]["total"]), (1, &json!(201)));
}

#[tokio::test]
async fn a_stopped_cloud_refuses_connections_and_comes_back_as_it_was() {
    let caller = Caller::of(Vendor::Hetzner).await;
    caller.cloud.add_orphan("x", &["capsule=1"]);
    caller.cloud.stop();
    assert!(caller.list().await.is_err());
    caller.cloud.resume().await;
    assert_eq!(caller.listed().await, 1);
}

#[tokio::test]
async fn a_failing_provisioning_ends_in_the_error_state() {
    let caller = Caller::of(Vendor::Equinix).await;
    caller.cloud.switches().fail_provisioning(1);
    caller.create().await.expect("an answer");
    let path = format!("/metal/v1/devices/{}", caller.cloud.instances()[0].id);
    let mut states = Vec::new();
    for _ in 0..3 {
        states.push(caller.get(&path).await["state"].as_str().expect("a text").to_owned());
    }
    assert_eq!(states, ["provisioning", "provisioning", "failed"]);
}
