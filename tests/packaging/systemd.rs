//! The units, judged by systemd's own tools. They need no running systemd.

use std::{fs, path::Path};

use capsule_tests::daemon::have;
use tempfile::TempDir;

use crate::programs::{Finished, command, repository, run, text_of};

/// The rating the service must not exceed, in tenths.
const EXPOSURE: &str = "--threshold=16";

/// A directory with the system's units in it, whose program exists.
fn units() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    for unit in ["capsuled.service", "capsuled.socket"] {
        write_unit(&dir, unit, &text_of(&format!("systemd/{unit}")));
    }
    dir
}

fn write_unit(dir: &TempDir, unit: &str, text: &str) {
    // `verify` asks whether the program can be run.
    fs::write(dir.path().join(unit), text.replace("/usr/local/bin/capsuled", "/bin/true")).expect("written");
}

fn add_drop_in(dir: &TempDir, example: &str) {
    let drop_ins = dir.path().join("capsuled.service.d");
    fs::create_dir_all(&drop_ins).expect("created");
    fs::copy(repository().join("systemd/examples").join(example), drop_ins.join(example)).expect("copied");
}

fn analyze(dir: &Path, arguments: &[&str]) -> Finished {
    let mut analyze = command("systemd-analyze", arguments);
    analyze.current_dir(dir).env("XDG_RUNTIME_DIR", dir).env("SYSTEMD_LOG_LEVEL", "notice");
    run(analyze)
}

fn assert_valid(finished: Finished) {
    // A misspelt setting is only a warning to systemd, and would be lost.
    assert_eq!(finished.succeeded().stderr, "");
}

#[test]
fn the_system_units_are_valid() {
    if !have("systemd-analyze") {
        return;
    }
    let dir = units();
    assert_valid(analyze(dir.path(), &["verify", "--man=no", "./capsuled.service", "./capsuled.socket"]));
}

#[test]
fn the_user_unit_is_valid() {
    if !have("systemd-analyze") {
        return;
    }
    let dir = TempDir::new().expect("a directory");
    write_unit(&dir, "capsuled.service", &text_of("systemd/user/capsuled.service"));
    assert_valid(analyze(dir.path(), &["--user", "verify", "--man=no", "./capsuled.service"]));
}

#[test]
fn the_example_drop_ins_are_valid() {
    if !have("systemd-analyze") {
        return;
    }
    for example in ["seal-key.conf", "without-raw-sockets.conf"] {
        let dir = units();
        add_drop_in(&dir, example);
        assert_valid(analyze(dir.path(), &["verify", "--man=no", "./capsuled.service"]));
    }
}

#[test]
fn verification_catches_a_misspelt_setting() {
    if !have("systemd-analyze") {
        return;
    }
    let dir = units();
    write_unit(
        &dir,
        "capsuled.service",
        &text_of("systemd/capsuled.service").replace("WatchdogSec", "WatchDogSec"),
    );
    let finished = analyze(dir.path(), &["verify", "--man=no", "./capsuled.service"]);
    assert!(finished.stderr.contains("WatchDogSec"), "{}", finished.stderr);
}

#[test]
fn the_service_is_exposed_no_more_than_it_has_to_be() {
    if !have("systemd-analyze") {
        return;
    }
    let dir = units();
    let rated =
        analyze(dir.path(), &["security", "--offline=yes", EXPOSURE, "./capsuled.service"]).succeeded();
    assert!(rated.stdout.contains("Overall exposure level"), "{}", rated.stdout);
    // One protection less is noticed: the threshold is a gate and not a decoration.
    write_unit(
        &dir,
        "capsuled.service",
        &text_of("systemd/capsuled.service").replace("ProtectSystem=strict", ""),
    );
    let rated = analyze(dir.path(), &["security", "--offline=yes", EXPOSURE, "./capsuled.service"]);
    assert_ne!(rated.code, Some(0), "{}", rated.stdout);
}

#[test]
fn sysusers_makes_the_account_and_the_groups_of_the_socket() {
    if !have("systemd-sysusers") {
        return;
    }
    let root = TempDir::new().expect("a directory");
    let conf = root.path().join("usr/local/lib/sysusers.d");
    fs::create_dir_all(&conf).expect("created");
    fs::create_dir(root.path().join("etc")).expect("created");
    fs::write(conf.join("capsule.conf"), text_of("systemd/sysusers.d/capsule.conf")).expect("written");
    let mut sysusers = command("systemd-sysusers", &["--root"]);
    sysusers.arg(root.path());
    run(sysusers).succeeded();

    let file =
        |name: &str| fs::read_to_string(root.path().join("etc").join(name)).expect("sysusers wrote it");
    let groups = file("group");
    for group in ["capsuled", "capsule", "capsule-operator", "capsule-admin"] {
        let member_list = groups.lines().find_map(|line| line.strip_prefix(&format!("{group}:x:")));
        assert!(
            member_list.is_some_and(|rest| rest.ends_with(':')),
            "{group} is missing or has members: {groups}"
        );
    }
    let users = file("passwd");
    assert!(users.starts_with("capsuled:") && users.trim_end().ends_with(":/usr/sbin/nologin"), "{users}");
}

#[test]
fn the_service_does_not_own_the_directory_of_its_socket() {
    let socket = setting("systemd/capsuled.socket", "ListenStream");
    let directory = Path::new(&socket).parent().expect("absolute").to_owned();
    let own = Path::new("/run").join(setting("systemd/capsuled.service", "RuntimeDirectory"));
    assert_ne!(directory, own, "systemd would give the socket to the service's user, and delete it on stop");
    assert_eq!(
        setting("systemd/capsuled.socket", "DirectoryMode"),
        "0755",
        "the group has to get to the socket"
    );
}

#[test]
fn the_socket_belongs_to_a_group_that_sysusers_makes() {
    let group = setting("systemd/capsuled.socket", "SocketGroup");
    let made = text_of("systemd/sysusers.d/capsule.conf");
    assert!(made.lines().any(|line| line.starts_with(&format!("g {group} "))), "{group}");
    assert_eq!(setting("systemd/capsuled.socket", "SocketMode"), "0660");
}

/// The value of the one line `name=value` in a unit.
fn setting(unit: &str, name: &str) -> String {
    let text = text_of(unit);
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("{unit} does not set {name}")).to_owned();
    assert_eq!(values.next(), None, "{unit} sets {name} twice");
    value
}
