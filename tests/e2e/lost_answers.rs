//! A hundred creations at every cloud whose answers are lost after the cloud carried them out, and whose
//! machines show up late: a hundred machines, each found by its mark, none ordered twice. What comes after that,
//! `killed_deploys` shows.

use std::time::Duration;

use capsule_tests::{
    cloud::{Cloud, Pace},
    deploying::{Site, add_account, can_log_in, side_by_side},
    wait::until,
};
use serde_json::{Value, json};

/// Every account has a rate limit of its own, which real time obeys: twenty are twenty times as fast.
const ACCOUNTS: usize = 20;
/// Servers ordered at each cloud.
const TOTAL: usize = 100;
/// Servers of one order, made at the same time.
const AT_ONCE: usize = 5;
/// List calls in which a new machine is missing.
const HIDDEN_LISTS: u32 = 3;
/// The rate limits are what takes the time: one to two minutes on a machine with nothing else to do.
const DEADLINE: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_hundred_lost_answers_at_every_cloud_make_a_hundred_machines() {
    if !can_log_in() {
        return;
    }
    side_by_side(&Cloud::OPEN, |provider| async move {
        let Some(site) = Site::start(provider).await else { return };
        // EC2's limit is high, and its list of sizes long for moto.
        let accounts: Vec<String> =
            (1..=if provider == "aws" { 1 } else { ACCOUNTS }).map(|n| format!("a{n}")).collect();
        site.cloud.commit_then_cut(TOTAL);
        if let Cloud::Fake(cloud) = &site.cloud {
            cloud.switches().hide_from_lists(HIDDEN_LISTS);
            // They never come up: what this is about is over by then.
            cloud.switches().pace(Pace { provisioning: u32::MAX, ..Pace::default() });
        }
        for account in &accounts {
            add_account(&site.daemon, &site.cloud, account, &format!("canary-{account}"));
        }
        site.run(&["templates", "refresh"]);
        let mut left = TOTAL;
        for (n, account) in (0..).zip(accounts.iter().cycle()) {
            let count = left.min(AT_ONCE);
            if count == 0 {
                break;
            }
            let (name, count) = (format!("run-{n}"), count.to_string());
            let mut words = site.order(&name);
            words.extend(["--account", account, "--count", &count].map(str::to_owned));
            site.run(&words);
            left -= AT_ONCE.min(left);
        }
        // Nobody moves the clock: were it faster than the calls, which obey the vendor's rate limit, a whole window
        // would go by between two look-ups, and an empty one after it rightly counts as proof.
        let deployments = until(&format!("every machine at {provider} being found"), DEADLINE, || async {
            let made = site.cloud.creates();
            let listed = if made < TOTAL { json!([]) } else { list(&site).await };
            let rows = listed.as_array().expect("a list").clone();
            let is_done = rows.len() == TOTAL && rows.iter().all(|row| !row["instance"].is_null());
            if is_done { Ok(rows) } else { Err(format!("{made} made; {listed:.600}")) }
        })
        .await;
        for deployment in deployments {
            let outcomes = deployment["attempts"].as_array().expect("a list").iter();
            let outcomes: Vec<&Value> = outcomes.map(|attempt| &attempt["outcome"]).collect();
            assert_eq!(outcomes, ["unknown_outcome", "found"], "{provider}: {deployment}");
        }
        assert_eq!(site.cloud.creates(), TOTAL, "{provider}: no creation was carried out twice");
        site.tracks(TOTAL, "after a hundred lost answers").await;
    })
    .await;
}

async fn list(site: &Site) -> Value {
    site.daemon.get("/v1/deployments?limit=1000").await["items"].take()
}
