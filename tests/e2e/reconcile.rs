//! The real daemon against fake clouds: what somebody does in a vendor's console is found, told and put right.

use std::{net::Ipv4Addr, time::Duration};

use capsule_tests::{
    cloud::{FakeCloud, Fault, Phase, Vendor},
    daemon::Daemon,
    sink::Sink,
    wait::{LONG, until},
};
use serde_json::Value;

const MARK: &str = "capsule-0190a0b0c0d0700080000000000000aa";

fn configure(daemon: &Daemon, cloud: &FakeCloud) {
    let name = cloud.vendor().name();
    let mut line = vec!["provider".to_owned(), "configure".to_owned(), name.to_owned()];
    line.extend(["--field".to_owned(), "api_key=canary".to_owned()]);
    line.extend(["--endpoint".to_owned(), cloud.url()]);
    daemon.ctl(&line.iter().map(String::as_str).collect::<Vec<_>>());
}

fn json(daemon: &Daemon, line: &str) -> Value {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    words.extend(["-o", "json"]);
    serde_json::from_str(&daemon.ctl(&words)).expect("JSON")
}

/// Compares now; kind and name of every finding, in order.
fn found(daemon: &Daemon) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let findings = json(daemon, "reconcile");
    let mut found: Vec<_> = findings
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (text(&one["kind"]), text(&one["name"])))
        .collect();
    found.sort();
    found
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

fn exit_code(daemon: &Daemon, line: &str) -> Option<i32> {
    daemon.ctl_output(&line.split_whitespace().collect::<Vec<_>>()).status.code()
}

async fn told(sink: &Sink, wanted: &[&str]) {
    until(&format!("the webhook hearing {wanted:?}"), LONG, || async {
        let types = sink.types();
        if types == wanted { Ok(()) } else { Err(types) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_ghosts_and_drift_are_found_told_and_put_right() {
    let daemon = Daemon::start().await;
    let sink = Sink::start().await;
    daemon.ctl(&["channel", "add", "webhook", "hook", "--url", &sink.url(), "--kinds", "reconcile_drift"]);
    let vultr = FakeCloud::start(Vendor::Vultr).await;
    let linode = FakeCloud::start(Vendor::Linode).await;
    vultr.serve_all_at(Ipv4Addr::LOCALHOST.into());
    let orphan = vultr.add_orphan("left-over", &[MARK, "web"]);
    configure(&daemon, &vultr);
    configure(&daemon, &linode);
    daemon.ctl(&["templates", "refresh"]);

    assert_eq!(found(&daemon), [pair("orphan", "left-over")]);
    told(&sink, &["alert.opened"]).await;
    assert_eq!(exit_code(&daemon, "findings --exit-code"), Some(10));

    let adopted = json(&daemon, "adopt --all-orphans --ssh-user root");
    assert_eq!(adopted[0]["outcome"], "adopted");
    assert!(adopted[0]["hourly_cost_micros"].as_i64().is_some_and(|cost| 0 < cost), "{adopted}");
    told(&sink, &["alert.opened", "alert.resolved"]).await;
    let again = json(&daemon, &format!("adopt vultr {orphan}"));
    assert_eq!(again[0]["outcome"], "already_there");
    daemon.advance(Duration::from_secs(60));
    assert_eq!(found(&daemon), []);

    vultr.set_phase(&orphan, Phase::Stopped);
    vultr.change_tags(&orphan, &[MARK, "web", "blue"]);
    assert_eq!(found(&daemon), [pair("drift", "left-over")]);
    told(&sink, &["alert.opened", "alert.resolved", "alert.opened"]).await;
    daemon.ctl(&["reconcile", "--accept", "--all"]);
    let xnode = json(&daemon, "inventory show left-over");
    assert_eq!(
        (&xnode["status"], xnode["tags"].to_string()),
        (&"stopped".into(), r#"["blue","web"]"#.to_owned())
    );
    assert_eq!(found(&daemon), []);

    let writes = vultr.requests().iter().filter(|request| request.is_write()).count();
    assert_eq!(writes, 0, "nothing was changed at the provider");

    daemon.advance(Duration::from_secs(60));
    vultr.delete_behind_our_back(&orphan);
    assert_eq!(found(&daemon), [pair("ghost", "left-over")]);
    assert_eq!(exit_code(&daemon, "reconcile --accept --all --no-input"), Some(2), "it asks first");
    daemon.ctl(&["reconcile", "--accept", "--all", "--yes"]);
    assert_eq!(found(&daemon), []);
    assert_eq!(exit_code(&daemon, "inventory show left-over"), Some(3));
    let all = ["alert.opened", "alert.resolved"].repeat(3);
    told(&sink, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_stays_at_its_provider_and_in_sight() {
    let daemon = Daemon::start().await;
    let cloud = FakeCloud::start(Vendor::DigitalOcean).await;
    let server = cloud.add_orphan("api", &[MARK]);
    configure(&daemon, &cloud);
    daemon.ctl(&["adopt", "digitalocean", &server]);
    assert_eq!(exit_code(&daemon, "forget api --no-input"), Some(2), "it asks first");
    let forgot = daemon.ctl_output(&["forget", "api", "--yes"]);
    let said = String::from_utf8_lossy(&forgot.stderr).into_owned();
    assert!(forgot.status.success() && said.contains("stays and goes on costing"), "{said}");
    assert!(cloud.instance(&server).exists());
    assert_eq!(found(&daemon), [pair("orphan", "api")]);
    let id = daemon.ctl(&["findings", "-o", "name"]);
    daemon.ctl(&["reconcile", "--ignore", id.trim()]);
    assert_eq!(found(&daemon), []);

    daemon.ctl(&["adopt", "--finding", id.trim(), "--name", "back"]);
    cloud.delete_behind_our_back(&server);
    let forgot = daemon.ctl_output(&["forget", "back", "--yes"]);
    let said = String::from_utf8_lossy(&forgot.stderr).into_owned();
    assert!(forgot.status.success() && said.contains("is gone already"), "{said}");
    assert_eq!(found(&daemon), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_fails_says_nothing_and_stops_nobody() {
    let daemon = Daemon::start().await;
    let broken = FakeCloud::start(Vendor::Vultr).await;
    let fine = FakeCloud::start(Vendor::Linode).await;
    let server = broken.add_orphan("web", &[MARK]);
    configure(&daemon, &broken);
    configure(&daemon, &fine);
    daemon.ctl(&["adopt", "vultr", &server]);
    daemon.advance(Duration::from_secs(60));
    assert_eq!(found(&daemon), []);
    broken.delete_behind_our_back(&server);
    fine.add_orphan("stray", &[MARK]);

    let faults = [Fault::Garbage, Fault::Truncated, Fault::Status { status: 503, retry_after: None }];
    for fault in faults {
        broken.switches().next(8, fault.clone());
        assert_eq!(exit_code(&daemon, "reconcile"), Some(1), "{fault:?}");
        let listed = json(&daemon, "findings");
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "the stray alone: {listed}");
        assert_eq!(listed[0]["name"], "stray");
        broken.switches().clear();
    }
    broken.switches().unauthorised(true);
    assert_eq!(exit_code(&daemon, "reconcile"), Some(1));
    let accounts = json(&daemon, "provider accounts");
    let account = accounts.as_array().expect("a list").iter().find(|one| one["name"] == "vultr");
    assert_eq!(account.expect("the account")["state"], "refused");
    let sweeps = json(&daemon, "findings --sweeps --account vultr");
    assert!(sweeps[0]["error"].as_str().is_some_and(|error| error.contains("credential")), "{sweeps}");
    broken.switches().clear();
    assert_eq!(found(&daemon), [pair("ghost", "web"), pair("orphan", "stray")]);
}
