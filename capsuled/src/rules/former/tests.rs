//! Directories as both predecessors left them.

use capsule_api::{ChannelTarget, XNodeStatus};

use super::*;
use crate::secret::ExposeSecret;

fn files(of: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
    of.iter().map(|(name, text)| ((*name).to_owned(), Some((*text).to_owned()))).collect()
}

fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone")
}

fn faults(of: &[(&str, &str)]) -> Vec<String> {
    read(&files(of), &TimeZone::UTC).expect_err("faults").iter().map(ToString::to_string).collect()
}

fn left(former: &Former) -> Vec<String> {
    former.left.iter().map(|(file, left)| format!("{file}: {}", left.what)).collect()
}

/// The same two servers as each of the two wrote them.
const PYTHON: &str = include_str!("fixtures/python/inventory.json");
const RUST: &str = include_str!("fixtures/rust/inventory.json");

#[test]
fn a_mapping_and_a_list_of_servers_say_the_same() {
    let [python, rust] = [PYTHON, RUST].map(|text| {
        let former = read(&files(&[("inventory.json", text)]), &berlin()).expect("fine");
        former.records.into_iter().map(|record| Record { spot: Spot::Line(0), ..record }).collect::<Vec<_>>()
    });
    assert_eq!(python, rust);
    let web = &python[0];
    assert_eq!(web.id.as_deref(), Some("xnode-1714557600"));
    assert_eq!(web.name.as_ref().map(|name| name.as_str()), Some("web-1"));
    assert_eq!(web.hourly_cost, Some(Some(UsdMicros(71_430))));
    // No zone is written, and it was summer in Berlin.
    assert_eq!(web.deployed_at.map(|at| at.to_string()).as_deref(), Some("2024-05-01T10:00:00.123456Z"));
    assert_eq!((python[1].status, python[1].ssh_port), (Some(XNodeStatus::Stopped), Some(2222)));
}

#[test]
fn history_becomes_lives_that_ended_and_what_was_spent_on_those_that_did_not() {
    let former = read(&files(&[("inventory.json", PYTHON)]), &berlin()).expect("fine");
    assert_eq!(former.spent, BTreeMap::from([("xnode-1714557600".to_owned(), UsdMicros(12_345_679))]));
    let lives: Vec<_> = former
        .lives
        .iter()
        .map(|life| (life.name.as_str(), life.terminated_at.to_string(), life.cost, life.template.clone()))
        .collect();
    assert_eq!(
        lives,
        [
            (
                "old-api",
                "2024-03-02T11:00:00Z".to_owned(),
                UsdMicros(3_600_000),
                Some("do-standard-4".to_owned())
            ),
            ("xnode-7", "2024-01-01T01:30:00Z".to_owned(), UsdMicros(10_500), None),
        ]
    );
}

#[test]
fn monitoring_becomes_settings_and_channels() {
    let text = include_str!("fixtures/python/monitoring.yml");
    let former = read(&files(&[("monitoring.yml", text)]), &TimeZone::UTC).expect("fine");
    let (_, patch) = former.settings.as_ref().expect("settings");
    assert_eq!((patch.check_interval_ms, patch.ping_timeout_ms), (Some(120_000), Some(2_500)));
    let cpu = patch.thresholds.expect("thresholds").cpu;
    assert_eq!((cpu.warning, cpu.critical), (Some(70.0), Some(92.5)));
    let channels: Vec<_> = former
        .channels
        .iter()
        .map(|(spot, channel)| {
            (channel.name.as_str(), channel.enabled, channel.secret.is_some(), spot.to_string())
        })
        .collect();
    assert_eq!(
        channels,
        [
            ("console", true, false, "monitoring.yml line 12".to_owned()),
            ("webhook", false, false, "monitoring.yml line 18".to_owned()),
            ("slack", true, true, "monitoring.yml line 19".to_owned()),
            ("email", false, false, "monitoring.yml line 16".to_owned()),
        ]
    );
    assert!(
        matches!(&former.channels[3].1.target, ChannelTarget::Email(mail) if mail.to == ["ops@example.org"])
    );
    assert_eq!(
        left(&former),
        ["monitoring.yml: email_alerts", "monitoring.yml: auto_restart_on_failure", "monitoring.yml: colour"]
    );
}

#[test]
fn credentials_are_taken_and_never_printed() {
    let text = "digitalocean:\n  api_key: canary-1\nvultr: canary-2\naws:\n  access_key_id: AKIA\n  \
                secret_access_key: canary-3\nlinode:\n";
    let openmesh =
        "api_key: canary-4\ndefault_region: eu-central-1\ndefault_ssh_key: ~/.ssh/id\ntimeout: 30\n";
    let former =
        read(&files(&[("providers.yml", text), ("openmesh.yml", openmesh)]), &TimeZone::UTC).expect("fine");
    assert!(!format!("{former:?}").contains("canary"), "{former:?}");
    let found: Vec<_> = former
        .accounts
        .iter()
        .map(|account| {
            (account.provider.as_str(), account.fields.keys().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("digitalocean", vec!["api_key"]),
            ("vultr", vec!["api_key"]),
            ("aws", vec!["access_key_id", "secret_access_key"]),
            ("linode", vec![]),
        ]
    );
    assert_eq!(former.accounts[1].fields["api_key"].expose_secret(), "canary-2");
    assert_eq!(former.region.as_deref(), Some("eu-central-1"));
}

#[test]
fn what_the_monitor_remembered_is_counted_and_words_of_python_are_known() {
    let health = r#"{"xnode-1": [{"xnode_id": "xnode-1", "timestamp": "2024-05-01T12:00:00", "status":
        "HealthStatus.HEALTHY", "checks": {"ping": true}, "error_messages": []}, {"status": "degraded"}]}"#;
    let metrics = r#"{"xnode-1": [{"timestamp": "2024-05-01T12:00:00", "cpu_percent": 12.5}]}"#;
    let alerts = r#"{"a_cpu_1": {"id": "a_cpu_1", "resolved": false, "timestamp": "2024-05-01T12:00:00"}}"#;
    let all = files(&[
        ("monitoring_data/health_history.json", health),
        ("monitoring_data/metrics_history.json", metrics),
        ("monitoring_data/active_alerts.json", alerts),
        ("active.txt", "dev\n"),
        ("configs/dev.yml", "description: mine\npresets: [base]\n"),
    ]);
    let former = read(&all, &TimeZone::UTC).expect("fine");
    assert_eq!(
        left(&former),
        [
            "active.txt: the active profile",
            "configs/dev.yml: the profile",
            "monitoring_data/active_alerts.json: 1 open alert",
            "monitoring_data/health_history.json: 2 results",
            "monitoring_data/metrics_history.json: 1 reading",
        ]
    );
}

#[test]
fn every_fault_of_every_file_is_named_with_line_and_field() {
    let inventory = r#"{
  "xnodes": {
    "x1": {"name": "web 1", "ip_address": "192.0.2.1"},
    "x2": {"name": "web-2", "status": "asleep",
           "deployed_at": "soon", "ip_address": "",
           "cost_hourly": -1, "tags": "web"}
  },
  "history": [
    {"xnode_id": "x9", "deployed_at": "2024-01-01"},
    5
  ]
}"#;
    let found = faults(&[
        ("inventory.json", inventory),
        ("monitoring.yml", "cpu_warning_threshold: 95\ncpu_critical_threshold: 80\nping_timeout: fast\n"),
        ("monitoring_data/health_history.json", "{\"a\": [{\"status\": \"odd\"}]}"),
        ("openmesh.yml", "just text"),
        ("providers.yml", "vultr:\n  api_key: [canary]\nlinode: [\n"),
    ]);
    let starts = [
        "inventory.json line 3, name: ",
        "inventory.json line 5, ip_address: it must not be empty",
        "inventory.json line 4, status: ",
        "inventory.json line 5, deployed_at: ",
        "inventory.json line 6, cost_hourly: ",
        "inventory.json line 6, tags: ",
        "inventory.json line 9, terminated_at: ",
        "inventory.json line 10, history[1]: ",
        "monitoring.yml line 1, cpu_warning_threshold: ",
        "monitoring.yml line 3, ping_timeout: it must be a number",
        "monitoring_data/health_history.json line 1, status: ",
        "openmesh.yml line 1: it must be a mapping",
        "providers.yml line ",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (fault, start) in found.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault} should start with {start}");
        assert!(!fault.contains("canary"), "{fault}");
    }
}
