//! What other programs make of the inventory's forms: Ansible's own reading of it as a dynamic inventory, and the
//! shape that Prometheus' HTTP service discovery asks for.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use capsule_tests::daemon::{Daemon, binary};
use serde_json::{Value, json};

/// The program that `tests/run` put beside its Python, else the system's. Where everything must run, a missing one
/// is a failure.
fn ansible_inventory() -> Option<PathBuf> {
    let prepared = env::var_os("CAPSULE_TEST_PYTHON").map(PathBuf::from);
    let beside = prepared.and_then(|python| Some(python.parent()?.join("ansible-inventory")));
    let program = beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("ansible-inventory"));
    let found = Command::new(&program).arg("--version").output().is_ok_and(|done| done.status.success());
    let all = env::var_os("CI").is_some() || env::var_os("CAPSULE_TEST_ALL").is_some();
    assert!(found || !all, "the Python package ansible-core is needed; `tests/run` installs it");
    if !found {
        eprintln!("NOT RUN: the Python package ansible-core is not installed; `tests/run` installs it");
    }
    found.then_some(program)
}

/// What Ansible prints when it reads the inventory that `script` is.
fn read(ansible: &Path, daemon: &Daemon, script: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(ansible)
        .env("HOME", daemon.path("."))
        .env("LC_ALL", "C.UTF-8")
        .arg("-i")
        .arg(script)
        .args(arguments)
        .output()
        .expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ansible_and_prometheus_read_the_inventory() {
    let Some(ansible) = ansible_inventory() else { return };
    let daemon = Daemon::start().await;
    daemon.ctl(&["inventory", "add", "gate", "--address", "192.0.2.1"]);
    for (name, address) in [("web-1", "192.0.2.2"), ("all", "192.0.2.3"), ("tag_eu", "2001:db8::4")] {
        let line = ["inventory", "add", name, "--address", address, "--ssh-port", "2222", "--tags", "eu,a=b"];
        daemon.ctl(&line);
    }
    let script = daemon.path("fleet");
    let lines = format!(
        "#!/bin/sh\nexec {} --socket {} export \"$@\"\n",
        binary("capsulectl").display(),
        daemon.socket().display()
    );
    fs::write(&script, lines).expect("the script is written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it may be run");

    let list = read(&ansible, &daemon, &script, &["--list"]);
    let web = &list["_meta"]["hostvars"]["web-1"];
    assert_eq!((&web["ansible_host"], &web["ansible_port"]), (&json!("192.0.2.2"), &json!(2222)));
    // A group may not have the name of a host, and no host that of a group that Ansible makes itself.
    let eu = list.as_object().expect("groups").iter().find(|(name, group)| {
        name.starts_with("tag_eu")
            && group["hosts"].as_array().is_some_and(|hosts| hosts.contains(&json!("web-1")))
    });
    assert!(eu.is_some_and(|(name, _)| name != "tag_eu"), "{list:#}");
    assert_eq!(list["_meta"]["hostvars"]["all.xnode"]["capsule_name"], "all");
    let host = read(&ansible, &daemon, &script, &["--host", "tag_eu"]);
    assert_eq!(host["ansible_host"], "2001:db8::4");

    let targets = daemon.get("/v1/sd/prometheus").await;
    let groups = targets.as_array().expect("a list of groups");
    assert!(groups.iter().any(|group| group["targets"] == json!(["[2001:db8::4]:9100"])), "{targets:#}");
    for group in groups {
        let labels = group["labels"].as_object().expect("labels");
        assert!(labels.values().all(Value::is_string), "{group}");
    }
}
