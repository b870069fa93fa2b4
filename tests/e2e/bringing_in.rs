//! Servers that were there before: an old directory, a Terraform state, an SSH configuration, by the real client.

use std::{fs, path::Path, process::Output};

use capsule_tests::daemon::{Daemon, binary};
use serde_json::Value;

/// The directory as Python left it; Rust's inventory stands beside it.
const PYTHON: &str = include_str!("../../capsuled/src/rules/former/fixtures/python/inventory.json");
const RUST: &str = include_str!("../../capsuled/src/rules/former/fixtures/rust/inventory.json");
const MONITORING: &str = include_str!("../../capsuled/src/rules/former/fixtures/python/monitoring.yml");
const STATE: &str = include_str!("../../capsuled/src/rules/records/terraform/fixtures/digitalocean.tfstate");

fn old_directory(inventory: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in [
        ("inventory.json", inventory),
        ("inventory.json.backup", "{}"),
        ("monitoring.yml", MONITORING),
        ("providers.yml", "digitalocean:\n  api_key: canary-key\naws:\n  api_key: canary-aws\n"),
        ("openmesh.yml", "api_key: canary-mesh\nregion: eu-central-1\ntimeout: 30\n"),
        ("active.txt", "dev\n"),
        ("configs/dev.yml", "description: mine\npresets: [base, python]\ncustom_packages: [htop]\n"),
        ("nixos/configuration.nix", "{ }\n"),
        (
            "monitoring_data/health_history.json",
            r#"{"xnode-1714557600": [{"timestamp": "2024-05-01T12:00:00", "status": "HealthStatus.HEALTHY"}]}"#,
        ),
        ("monitoring_data/active_alerts.json", "{}"),
    ] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    dir
}

/// The client with a home directory and a time zone of its own.
fn ctl(daemon: &Daemon, home: &Path, arguments: &[&str]) -> Output {
    std::process::Command::new(binary("capsulectl"))
        .arg("--socket")
        .arg(daemon.socket())
        .args(arguments)
        .env("HOME", home)
        .env("TZ", "Europe/Berlin")
        .output()
        .expect("the client runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn state(daemon: &Daemon) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["/v1/history", "/v1/channels", "/v1/accounts", "/v1/settings"] {
        all.push(daemon.get(path).await);
    }
    // What changes by itself is not looked at.
    let xnodes = daemon.get("/v1/xnodes").await;
    for xnode in xnodes["items"].as_array().expect("a list") {
        all.push(serde_json::json!([
            xnode["id"],
            xnode["name"],
            xnode["address"],
            xnode["tags"],
            xnode["revision"]
        ]));
    }
    all
}

fn costs(state: &[Value]) -> Vec<(String, i64)> {
    let lives = state[0]["items"].as_array().expect("a list").iter();
    let ended = lives.filter(|life| life["terminated_at"].is_string());
    ended
        .map(|life| {
            let name = life["name"].as_str().unwrap_or_default().to_owned();
            (name, life["total_cost_micros"].as_i64().unwrap_or(-1))
        })
        .collect()
}

#[tokio::test]
async fn an_old_directory_is_migrated_whole_once_and_left_as_it_is() {
    let daemon = Daemon::start().await;
    let old = old_directory(PYTHON);
    let directory = old.path().to_str().expect("text");
    let before = state(&daemon).await;
    let trial = ctl(&daemon, old.path(), &["migrate", directory, "--dry-run"]);
    assert!(trial.status.success(), "{}", text(&trial));
    assert_eq!(state(&daemon).await, before, "a trial changes nothing");

    let output = ctl(&daemon, old.path(), &["migrate", directory]);
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    for part in [
        "2 servers taken",
        "2 former servers taken",
        "3 channels taken, 1 there already",
        "intervals and thresholds taken",
        "1 account taken",
        "the active profile",
        "remove them",
    ] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    assert!(!said.contains("canary") && !daemon.log().contains("canary"), "a secret was told: {said}");
    assert!(old.path().join("providers.yml").is_file(), "the files are left alone");

    let after = state(&daemon).await;
    assert_eq!(costs(&after), [("old-api".to_owned(), 3_600_000), ("xnode-7".to_owned(), 10_500)]);
    let web = daemon.get("/v1/xnodes/web-1").await;
    assert_eq!(web["hourly_cost_micros"], 71_430);
    let history = daemon.get("/v1/history?xnode=web-1").await;
    assert_eq!(history["items"][0]["deployed_at"], "2024-05-01T10:00:00.123Z", "12:00 in Berlin");

    let again = ctl(&daemon, old.path(), &["migrate", directory]);
    assert!(text(&again).contains("nothing was taken"), "{}", text(&again));
    assert_eq!(costs(&state(&daemon).await), costs(&after));
    assert_eq!(state(&daemon).await[1..], after[1..], "a second run changes nothing");
}

#[tokio::test]
async fn the_rust_predecessors_list_is_migrated_from_the_home_directory() {
    let daemon = Daemon::start().await;
    let home = tempfile::tempdir().expect("a directory");
    fs::create_dir(home.path().join(".capsule")).expect("made");
    fs::write(home.path().join(".capsule/inventory.json"), RUST).expect("written");
    let output = ctl(&daemon, home.path(), &["migrate", "-o", "json"]);
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["files"][0]["taken"][0]["created"], 2);
    assert_eq!(daemon.get("/v1/xnodes/db-1").await["status"], "stopped");
}

#[tokio::test]
async fn a_directory_broken_in_one_place_changes_nothing_and_every_fault_is_named() {
    let daemon = Daemon::start().await;
    let old = old_directory(&PYTHON.replace("\"ssh_port\": 2222", "\"ssh_port\": \"many\""));
    fs::write(old.path().join("configs/dev.yml"), "presets: [base\n").expect("written");
    let before = state(&daemon).await;
    let output = ctl(&daemon, old.path(), &["migrate", old.path().to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let said = text(&output);
    assert!(
        said.contains("configs/dev.yml line ") && said.contains("inventory.json line 29, ssh_port"),
        "{said}"
    );
    assert_eq!(state(&daemon).await, before);
}

#[tokio::test]
async fn a_kill_during_a_migration_leaves_all_or_nothing() {
    let mut daemon = Daemon::start().await;
    let old = old_directory(PYTHON);
    let running = {
        let mut command = std::process::Command::new(binary("capsulectl"));
        command.arg("--socket").arg(daemon.socket()).arg("migrate").arg(old.path());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().expect("the client runs")
    };
    daemon.kill();
    let mut running = running;
    let _ = running.wait();
    daemon.restart().await;
    let xnodes = daemon.get("/v1/xnodes").await["items"].as_array().map_or(0, Vec::len);
    let accounts = daemon.get("/v1/accounts").await["items"].as_array().map_or(0, Vec::len);
    let lives = costs(&state(&daemon).await).len();
    // The own host is there from the beginning.
    assert!(matches!((xnodes, accounts, lives), (1, 0, 0) | (3, 1, 2)), "{xnodes} {accounts} {lives}");
    let output = ctl(&daemon, old.path(), &["migrate", old.path().to_str().expect("text")]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(costs(&state(&daemon).await).len(), 2);
}

#[tokio::test]
async fn a_terraform_state_and_an_ssh_configuration_are_imported_by_the_client() {
    let daemon = Daemon::start().await;
    let home = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let state = file("terraform.tfstate", STATE);
    let said = text(&ctl(&daemon, home.path(), &["import", &state]));
    assert!(
        said.contains("2 servers: 2 added") && said.contains("provider configure digitalocean"),
        "{said}"
    );
    let said = text(&ctl(&daemon, home.path(), &["import", &state]));
    assert!(said.contains("0 added, 0 changed, 2 as before"), "{said}");
    assert_eq!(daemon.get("/v1/xnodes/web-2").await["status"], "stopped");

    let key = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(home.path().join("id"))
        .status();
    let with_keys = key.is_ok_and(|status| status.success());
    if !with_keys {
        eprintln!("NOT RUN: reading a private key needs `ssh-keygen`");
    }
    file(".ssh/conf.d/more", "Host inner\n  HostName 192.0.2.31\n  IdentityFile ~/id\n");
    let config = file(".ssh/config", "Include conf.d/*\nHost github.com\n  User git\nHost *\n  User ops\n");
    let mut line = vec!["import", config.as_str()];
    if with_keys {
        line.push("--with-keys");
    }
    let said = text(&ctl(&daemon, home.path(), &line));
    assert!(said.contains("1 server: 1 added") && said.contains("host github.com"), "{said}");
    let ssh = daemon.get("/v1/xnodes/inner").await["ssh"].clone();
    assert_eq!(ssh["user"], "ops");
    assert_eq!(ssh["key"].as_str(), with_keys.then_some("stored"));
    let said = text(&ctl(&daemon, home.path(), &line));
    assert!(said.contains("0 added, 0 changed, 1 as before"), "{said}");
    let exported = home.path().join("fleet").to_str().expect("text").to_owned();
    daemon.ctl(&["ssh-config", "export", &exported]);
    let said = text(&ctl(&daemon, home.path(), &["import", &exported]));
    assert!(said.contains("0 added, 0 changed"), "{said}");

    let broken = file("broken.tfstate", "{\n\"version\": 3}");
    let output = ctl(&daemon, home.path(), &["import", &broken]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("line 2, version: version 4 is read"), "{}", text(&output));
}
