//! Questions on a real terminal: what is secret is not shown, Ctrl-C means it, and the terminal stays as it was.

use std::{path::Path, process::Command};

use capsule_tests::{
    cloud::{FakeCloud, Vendor},
    daemon::{Daemon, binary},
};
use serde_json::Value;

/// Runs a program on a terminal of its own, types the keys once it asks, and says what was shown, how it ended
/// and whether the terminal still echoes.
const TERMINAL: &str = r#"
import json, os, pty, select, subprocess, sys, termios, time
keys = sys.argv[1].encode().decode("unicode_escape").encode()
outer, inner = pty.openpty()
program = subprocess.Popen(sys.argv[2:], stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
shown, typed, deadline = b"", False, time.monotonic() + 60
while time.monotonic() < deadline:
    ended = program.poll() is not None
    while select.select([outer], [], [], 0.05)[0]:
        shown += os.read(outer, 4096)
    if shown.endswith(b": ") and not typed:
        typed = True
        os.write(outer, keys)
    if ended:
        break
program.kill()
echoes = bool(termios.tcgetattr(inner)[3] & termios.ECHO)
print(json.dumps({"shown": shown.decode(), "status": program.wait(), "echoes": echoes}))
"#;

fn configure(daemon: &Daemon, endpoint: &str, keys: &str) -> Value {
    let output = Command::new("python3")
        .args(["-c", TERMINAL, keys])
        .arg(binary("capsulectl"))
        .arg("--socket")
        .arg(daemon.socket())
        .args(["provider", "configure", "vultr", "--endpoint", endpoint])
        .current_dir(Path::new("/"))
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_typed_unseen_and_ctrl_c_stops_before_anything_is_sent() {
    let (cloud, daemon) = (FakeCloud::start(Vendor::Vultr).await, Daemon::start().await);

    let stopped = configure(&daemon, &cloud.url(), "canary\\x03");
    assert_eq!((&stopped["status"], &stopped["echoes"]), (&130.into(), &true.into()), "{stopped}");
    assert!(cloud.requests().is_empty(), "nobody was asked");

    let done = configure(&daemon, &cloud.url(), "wrong\\x15canarx\\x7fy\\r");
    assert_eq!((&done["status"], &done["echoes"]), (&0.into(), &true.into()), "{done}");
    let used = cloud.requests().pop().and_then(|request| request.credential);
    assert!(used.is_some_and(|key| key.ends_with("canary") && !key.contains("wrong")));
    for run in [stopped, done] {
        let shown = run["shown"].as_str().expect("text");
        assert!(shown.contains("key") && !shown.contains("canar") && !shown.contains("wrong"), "{shown}");
    }
}
