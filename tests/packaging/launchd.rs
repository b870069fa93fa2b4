//! The property lists for macOS, read by Python's parser. Nobody has loaded them on a Mac yet; what is
//! checked is that they parse and say what install.sh and the daemon rely on.

use capsule_tests::daemon::have;
use serde_json::Value;

use crate::programs::{command, repository, run};

fn plist(file: &str) -> Value {
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let mut python = command("python3", &["-c", script, file]);
    python.current_dir(repository());
    serde_json::from_str(&run(python).succeeded().stdout).expect("python prints JSON")
}

#[test]
fn both_plists_start_the_daemon_again_after_a_crash_only() {
    if !have("python3") {
        return;
    }
    for file in ["launchd/dev.capsule.capsuled.plist", "launchd/dev.capsule.capsuled.agent.plist"] {
        let plist = plist(file);
        assert_eq!(plist["Label"], "dev.capsule.capsuled", "{file}");
        assert_eq!(plist["ProgramArguments"][0], "/usr/local/bin/capsuled", "{file}");
        assert_eq!(plist["RunAtLoad"], true, "{file}");
        assert_eq!(plist["KeepAlive"]["SuccessfulExit"], false, "{file}");
        assert_eq!(plist["Umask"], 0o077, "{file}");
        assert_eq!(plist["SoftResourceLimits"]["NumberOfFiles"], 65536, "{file}");
    }
}

#[test]
fn only_the_daemon_for_the_whole_mac_changes_its_user() {
    if !have("python3") {
        return;
    }
    let daemon = plist("launchd/dev.capsule.capsuled.plist");
    let agent = plist("launchd/dev.capsule.capsuled.agent.plist");
    assert_eq!(daemon["UserName"], "_capsuled");
    assert_eq!(agent.get("UserName"), None);
    assert_eq!(agent["ProgramArguments"].as_array().map(Vec::len), Some(1));
}
