//! The daemon as a service manager sees it: readiness, watchdog, reload, an inherited socket, one at a time.

use std::{
    fs,
    os::unix::net::{UnixDatagram, UnixStream},
    process::{Command, Stdio},
    time::Duration,
};

use capsule_tests::{
    daemon::{Daemon, binary, have},
    wait::{LONG, until},
};
use tempfile::TempDir;

/// The other end of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    heard: String,
}

impl Manager {
    fn new(path: &std::path::Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("bound");
        socket.set_nonblocking(true).expect("non-blocking");
        Self { socket, heard: String::new() }
    }

    async fn hears(&mut self, word: &str) {
        let Self { socket, heard } = self;
        until(&format!("the service manager hearing {word}"), LONG, || {
            let mut buffer = [0; 4_096];
            while let Ok(length) = socket.recv(&mut buffer) {
                heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
                heard.push('\n');
            }
            let found = heard.contains(word);
            let last = heard.clone();
            async move { if found { Ok(()) } else { Err(last) } }
        })
        .await;
        self.heard.clear();
    }
}

#[tokio::test]
async fn the_service_manager_hears_of_readiness_life_reload_and_stop() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("notify");
    let mut manager = Manager::new(&path);
    let mut daemon =
        Daemon::start_with(&[("NOTIFY_SOCKET", path.to_str().expect("utf-8")), ("WATCHDOG_USEC", "900000")])
            .await;
    manager.hears("READY=1").await;
    manager.hears("WATCHDOG=1").await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.pid()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::SIGHUP).expect("sent");
    manager.hears("RELOADING=1").await;
    assert!(daemon.terminate().success());
    manager.hears("STOPPING=1").await;
}

#[tokio::test]
async fn a_second_daemon_on_the_same_state_is_refused_and_told_who_has_it() {
    let daemon = Daemon::start().await;
    let second = Command::new(binary("capsuled"))
        .arg("--state-dir")
        .arg(daemon.path("state"))
        .arg("--socket")
        .arg(daemon.path("second.sock"))
        .output()
        .expect("runs");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&format!("process {}", daemon.pid())), "{said}");
    assert!(said.contains("hint:"), "{said}");
}

#[tokio::test]
async fn a_socket_that_somebody_uses_and_a_file_that_is_no_socket_are_left_alone() {
    let daemon = Daemon::start().await;
    let notes = daemon.path("notes.txt");
    fs::write(&notes, "mine").expect("written");
    for (path, word) in [(daemon.socket(), "another daemon listens"), (notes.clone(), "not a socket")] {
        let second = Command::new(binary("capsuled"))
            .arg("--state-dir")
            .arg(daemon.path("second"))
            .arg("--socket")
            .arg(&path)
            .output()
            .expect("runs");
        assert_eq!(second.status.code(), Some(1));
        let said = String::from_utf8_lossy(&second.stderr);
        assert!(said.contains(word) && said.contains("hint:"), "{said}");
    }
    assert_eq!(fs::read_to_string(&notes).expect("still there"), "mine");
    daemon.ctl(&["xnodes"]);
}

#[tokio::test]
async fn an_inherited_socket_is_used() {
    if !have("systemd-socket-activate") {
        return;
    }
    let dir = TempDir::new().expect("a directory");
    let socket = dir.path().join("inherited.sock");
    let mut child = Command::new("systemd-socket-activate")
        .arg("--listen")
        .arg(&socket)
        .arg(binary("capsuled"))
        .arg("--state-dir")
        .arg(dir.path().join("state"))
        .arg("--socket")
        .arg(dir.path().join("unused.sock"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    until("the inherited socket answering", LONG, || async {
        let reply = reqwest::Client::builder()
            .unix_socket(socket.clone())
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .expect("a client")
            .get("http://localhost/v1")
            .send()
            .await;
        reply.map(drop).map_err(|error| error.to_string())
    })
    .await;
    assert!(!dir.path().join("unused.sock").exists());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).expect("sent");
    child.wait().expect("ends");
}

#[tokio::test]
async fn the_own_host_is_there_at_once_with_health_and_readings() {
    let daemon = Daemon::start().await;
    let item = until("the own host being measured", LONG, || async {
        let page = daemon.get("/v1/xnodes").await;
        let item = page["items"][0].clone();
        if item["health"] == "healthy" { Ok(item) } else { Err(page) }
    })
    .await;
    assert_eq!(item["own_host"], true);
    let name = item["name"].as_str().expect("a name");
    let metrics = until("a reading", LONG, || async {
        let metrics = daemon.get(&format!("/v1/xnodes/{name}/metrics")).await;
        if metrics["latest"].is_object() { Ok(metrics) } else { Err(metrics) }
    })
    .await;
    assert!(metrics["latest"]["memory"]["total_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{metrics}");
}

#[tokio::test]
async fn the_state_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = Daemon::start().await;
    for name in ["state", "state/capsule.db", "state/telemetry.db", "state/seal.key", "capsuled.sock"] {
        let mode = fs::metadata(daemon.path(name)).expect(name).permissions().mode();
        let group = nix::unistd::Group::from_name("capsule").ok().flatten().is_some();
        let shared = name == "capsuled.sock" && group && nix::unistd::geteuid().is_root();
        let allowed = if shared { 0o007 } else { 0o077 };
        assert_eq!(mode & allowed, 0, "{name} has mode {mode:o}");
    }
    UnixStream::connect(daemon.socket()).expect("its owner connects");
}
