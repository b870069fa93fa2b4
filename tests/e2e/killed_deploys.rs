//! The daemon dies at every step of a deployment and of a deletion, at every cloud: afterwards there is one
//! machine for each intent, every machine is in the inventory once, and none that is still there was taken out.
//!
//! EC2's images let in a user whom this host does not know, so the step after the login is not shown there.
//! Equinix is not among the clouds: its service ended, and a deployment there is refused before any call.

use std::time::Duration;

use capsule_tests::{
    cloud::{Cloud, FakeCloud, Vendor},
    daemon::Daemon,
    deploying::{Site, add_account, can_log_in, side_by_side},
    wait::{LONG, until},
};

/// Where the daemon can be killed while it makes a server; `true`: only when the answer was lost.
const DEPLOYING: [(&str, bool); 10] = [
    ("planned", false),
    ("prepared", false),
    ("sent", false),
    ("created", false),
    ("made", false),
    ("doubted", true),
    ("looked", true),
    ("finished", false),
    ("running", false),
    ("reached", false),
];
/// And while it deletes one.
const DELETING: [&str; 5] = ["planned", "sent", "asked", "gone", "removed"];

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn wherever_the_daemon_dies_there_is_one_machine_for_each_intent_and_none_after_its_deletion() {
    if !can_log_in() {
        return;
    }
    side_by_side(&Cloud::OPEN, |provider| async move {
        let Some(mut site) = Site::start(provider).await else { return };
        let deletions = DELETING.iter().map(|point| Some(format!("delete:{point}:1")));
        let mut deletions = deletions.chain(std::iter::repeat(None));
        for (point, answer_is_lost) in DEPLOYING {
            if (provider, point) == ("aws", "reached") {
                continue;
            }
            let name = format!("at-{point}");
            if answer_is_lost {
                site.cloud.commit_then_cut(1);
            }
            let fault = format!("deploy:{point}:1");
            site.restart_with(&[("CAPSULED_FAULT", &fault)]).await;
            site.attempt(&site.order(&name));
            site.dies().await;
            site.restart_with(&[]).await;
            let deployment = site.ended(&name).await;
            assert_eq!(deployment["state"], "succeeded", "{provider}, {point}: {deployment}");
            site.tracks(1, &format!("made, killed at {fault}")).await;

            let fault = deletions.next().flatten();
            if let Some(fault) = &fault {
                site.restart_with(&[("CAPSULED_FAULT", fault)]).await;
            }
            site.attempt(&["xnode", "delete", &name, "--yes", "--no-wait"]);
            if fault.is_some() {
                site.dies().await;
                site.restart_with(&[]).await;
            }
            let deletion = site.ended(&name).await;
            let ended = (&deletion["kind"], &deletion["state"]);
            assert_eq!(ended, (&"delete".into(), &"succeeded".into()), "{provider}, {fault:?}: {deletion}");
            site.tracks(0, &format!("deleted, killed at {fault:?}")).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_daemon_killed_after_it_asked_for_a_switch_ends_it_and_restarts_no_machine_twice() {
    if !can_log_in() {
        return;
    }
    side_by_side(&["vultr", "linode", "hetzner", "hivelocity"], |provider| async move {
        let Some(mut site) = Site::start(provider).await else { return };
        site.run(&site.order("api"));
        assert_eq!(site.ended("api").await["state"], "succeeded", "{provider}");
        for (verb, kind, status) in [
            ("stop", "stop_xnode", "stopped"),
            ("launch", "start_xnode", "running"),
            ("restart", "restart_xnode", "running"),
        ] {
            site.restart_with(&[("CAPSULED_FAULT", "power:asked:1")]).await;
            let before = site.cloud.requests().len();
            site.attempt(&["xnode", verb, "api", "--no-wait"]);
            site.dies().await;
            site.restart_with(&[]).await;
            site.settles(Duration::from_secs(2), LONG).await;
            let operations = site.daemon.get("/v1/operations?limit=1").await;
            let newest = &operations["items"][0];
            let ended = (&newest["kind"], &newest["state"]);
            assert_eq!(ended, (&kind.into(), &"succeeded".into()), "{provider}, {verb}: {newest}");
            let xnode = site.daemon.get("/v1/xnodes/api").await;
            assert_eq!(xnode["status"], status, "{provider}, {verb}");
            let requests = site.cloud.requests();
            let asked = requests[before..].iter().filter(|request| request.is_write()).count();
            // On or off may be asked for twice; off and on would take it away from whoever just got it back.
            assert!(
                asked == 1 || verb != "restart",
                "{provider}: {asked} restarts: {:?}",
                &requests[before..]
            );
            site.tracks(1, &format!("{verb}, killed after it was asked")).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_daemon_killed_after_a_refusal_makes_nothing() {
    if !can_log_in() {
        return;
    }
    let fakes: Vec<_> = Cloud::OPEN.into_iter().filter(|provider| *provider != "aws").collect();
    side_by_side(&fakes, |provider| async move {
        let Some(mut site) = Site::start(provider).await else { return };
        for outcome in ["out_of_stock", "quota"] {
            let Cloud::Fake(cloud) = &site.cloud else { return };
            cloud.switches().out_of_stock(outcome == "out_of_stock");
            cloud.switches().quota(outcome == "quota");
            site.restart_with(&[("CAPSULED_FAULT", "deploy:refused:1")]).await;
            site.attempt(&site.order(&outcome.replace('_', "-")));
            site.dies().await;
            site.restart_with(&[]).await;
            let deployment = site.ended(&outcome.replace('_', "-")).await;
            assert_eq!(deployment["state"], "failed", "{provider}: {deployment}");
            assert_eq!(deployment["attempts"][0]["outcome"], outcome, "{provider}: {deployment}");
            site.tracks(0, "refused").await;
        }
    })
    .await;
}

/// The moments are given in requests that the cloud has seen since the order, which come at other times in
/// every run; the numbers themselves are always the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_kill_at_any_moment_changes_nothing_of_that() {
    if !can_log_in() {
        return;
    }
    let fakes: Vec<_> = Cloud::OPEN.into_iter().filter(|provider| *provider != "aws").collect();
    side_by_side(&fakes, |provider| async move {
        let Some(mut site) = Site::start(provider).await else { return };
        for (n, moment) in moments(provider.len() as u64).enumerate() {
            let name = format!("any-{n}");
            let before = site.cloud.requests().len();
            site.run(&site.order(&name));
            until("the cloud being asked", LONG, || async {
                site.daemon.advance(Duration::from_secs(1));
                let seen = site.cloud.requests().len() - before;
                if moment <= seen { Ok(()) } else { Err(seen) }
            })
            .await;
            site.restart_with(&[]).await;
            let deployment = site.ended(&name).await;
            assert_eq!(deployment["state"], "succeeded", "{provider}, {moment}: {deployment}");
            site.tracks(n + 1, &format!("killed after {moment} requests")).await;
        }
    })
    .await;
}

/// Four numbers from 1 to 4, fewer than any order takes requests, by a small generator (Knuth's MMIX constants).
fn moments(mut seed: u64) -> impl Iterator<Item = usize> {
    let next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((seed >> 33) as usize % 4 + 1)
    };
    std::iter::from_fn(next).take(4)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_service_ended_nothing_is_made_and_nothing_is_asked() {
    let cloud = Cloud::Fake(FakeCloud::start(Vendor::Equinix).await);
    let daemon = Daemon::start().await;
    add_account(&daemon, &cloud, "equinix", "canary");
    let before = cloud.requests().len();
    let refused = daemon.ctl_output(&["deploy", "--name", "late", "--template", "equinix-c3-small", "--yes"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("ended its service on 2026-06-30"), "{told}");
    assert!(told.contains("nearest to `equinix-c3-small` elsewhere"), "{told}");
    assert_eq!(cloud.requests().len(), before, "nothing was asked");
}
