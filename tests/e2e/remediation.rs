//! Remediations with the real daemon, real SSH servers and a clock that is moved: what is mended, what is left
//! alone, and what a kill in the middle leaves behind.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use capsule_tests::{
    daemon::Daemon,
    fleet::{add_webhook, xnode},
    sink::Sink,
    sshd::{Sshd, free_port},
    wait::{LONG, until},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Something that a server serves beside SSH: another sshd, because it is there, goes into the background by
/// itself and can be started by one command.
struct Service {
    directory: TempDir,
    port: u16,
}

impl Service {
    fn new(server: &Sshd) -> Self {
        let directory = TempDir::with_prefix("capsule-service-").expect("a temporary directory");
        let key = directory.path().join("host_key");
        fs::copy(server.user_key(), &key).expect("copied");
        fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("chmod");
        let port = free_port(server.address());
        let configuration = format!(
            "ListenAddress {}:{port}\nHostKey {}\nPidFile {}\nUsePAM no\n",
            server.address(),
            key.display(),
            directory.path().join("pid").display(),
        );
        fs::write(directory.path().join("config"), configuration).expect("written");
        Self { directory, port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Notes that it ran, and starts the service.
    fn start_script(&self) -> String {
        let (runs, config) = (self.path("runs"), self.path("config"));
        format!("echo run >> {}; exec /usr/sbin/sshd -f {}", runs.display(), config.display())
    }

    /// Notes that it ran, and mends nothing.
    fn idle_script(&self) -> String {
        format!("echo run >> {}", self.path("runs").display())
    }

    /// How often a script ran.
    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).unwrap_or_default().lines().count()
    }

    fn stop(&self) {
        if let Ok(pid) = fs::read_to_string(self.path("pid")) {
            // Gone already is as good.
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A daemon, five servers behind SSH, and a service on the first of them that is down.
struct World {
    daemon: Daemon,
    servers: Vec<Sshd>,
    service: Service,
}

impl World {
    async fn start() -> Self {
        let daemon = Daemon::start().await;
        let quick = json!({ "confirm_interval_ms": 100 });
        let (status, body) = daemon.request("PATCH", "/v1/settings", Some(quick)).await;
        assert_eq!(status, 200, "{body}");
        let mut servers = Vec::new();
        for n in 1..=5 {
            servers.push(Sshd::start(Ipv4Addr::new(127, 0, 11, n)).await);
        }
        let service = Service::new(&servers[0]);
        for (n, server) in servers.iter().enumerate() {
            let mut new = xnode(&format!("node-{}", n + 1), server);
            let ssh = json!({ "name": "ssh", "probe": { "kind": "ssh" }, "interval_ms": 60_000, "timeout_ms": 900 });
            new["checks"] = json!([ssh]);
            if n == 0 {
                let probe = json!({ "kind": "tcp", "port": service.port });
                new["checks"] = json!([ssh, { "name": "service", "probe": probe, "interval_ms": 60_000, "timeout_ms": 900 }]);
            }
            let (status, body) = daemon.request("POST", "/v1/xnodes", Some(new)).await;
            assert_eq!(status, 201, "{body}");
        }
        let world = Self { daemon, servers, service };
        until("the alert and a pinned host key", LONG, || async {
            let alerts = world.daemon.get("/v1/alerts?kind=service_down").await;
            let node = world.daemon.get("/v1/xnodes/node-1").await;
            let pinned = !node["ssh"]["host_key_fingerprint"].is_null();
            if alerts["items"].as_array().is_some_and(|items| items.len() == 1) && pinned {
                Ok(())
            } else {
                Err((alerts, pinned))
            }
        })
        .await;
        world
    }

    /// Adds a remediation of the command `script`.
    fn add(&self, script: &str, more: &[&str]) {
        let mut words = vec!["remediation", "add", "command", "mend", "--kinds", "service_down", "--enable"];
        words.extend_from_slice(more);
        words.extend_from_slice(&["--", "sh", "-c", script]);
        self.daemon.ctl(&words);
    }

    /// Lets the daemon's first minute pass, in which nothing is done.
    fn settle(&self) {
        self.daemon.advance(Duration::from_secs(61));
    }

    async fn runs(&self) -> Vec<Value> {
        self.daemon.get("/v1/remediation-runs").await["items"].as_array().expect("a page").clone()
    }

    /// State and what held it back, the oldest first.
    async fn states(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.runs().await.iter().rev().map(|run| (text(&run["state"]), text(&run["held"]))).collect()
    }

    async fn states_are(&self, wanted: &[(&str, &str)]) {
        until(&format!("the runs being {wanted:?}"), LONG, || async {
            let states = self.states().await;
            let same =
                states.iter().map(|(state, held)| (state.as_str(), held.as_str())).eq(wanted.iter().copied());
            if same { Ok(()) } else { Err(states) }
        })
        .await;
    }

    /// Waits until the remediation task has looked twice, each time half a minute later: the servers that the
    /// last move of the clock put out of sight have been probed by then.
    async fn looked(&self) {
        let count = || async {
            let tasks = self.daemon.get("/v1/tasks").await;
            let tasks = tasks["items"].as_array().expect("a list").clone();
            let task = tasks.into_iter().find(|task| task["name"] == "remediation").expect("the task");
            task["runs"].as_u64().expect("a number")
        };
        for _ in 0..2 {
            until("node-1 being seen", LONG, || async {
                let node = self.daemon.get("/v1/xnodes/node-1").await;
                if node["health"] == "unknown" { Err(node) } else { Ok(()) }
            })
            .await;
            let before = count().await;
            self.daemon.advance(Duration::from_secs(31));
            until("a look", LONG, || async { if before < count().await { Ok(()) } else { Err(before) } })
                .await;
        }
    }

    async fn serves(&self) {
        let target = (self.servers[0].address(), self.service.port);
        until("the service answering", LONG, || async { TcpStream::connect(target).map(drop) }).await;
    }

    /// The timeline of the newest alert of the service: kind, who and what.
    async fn timeline(&self) -> Vec<String> {
        let alerts = self.daemon.get("/v1/alerts?kind=service_down&all=true").await;
        let id = alerts["items"][0]["id"].as_str().expect("an alert").to_owned();
        let detail = self.daemon.get(&format!("/v1/alerts/{id}")).await;
        let entries = detail["timeline"].as_array().expect("a timeline").clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        entries
            .iter()
            .map(|e| format!("{} {} {}", text(&e["kind"]), text(&e["actor"]), text(&e["text"])))
            .collect()
    }
}

#[tokio::test]
async fn a_service_that_stays_down_is_started_and_its_alert_says_by_whom() {
    let world = World::start().await;
    let sink = Sink::start().await;
    add_webhook(&world.daemon, &sink).await;
    world.add(&world.service.start_script(), &["--mode", "act", "--after", "10m"]);
    world.settle();
    world.looked().await;
    world.states_are(&[]).await;
    assert_eq!(world.service.runs(), 0, "not before the alert has been open for ten minutes");

    world.daemon.advance(Duration::from_secs(600));
    world.states_are(&[("succeeded", "")]).await;
    world.serves().await;
    until("the alert being resolved", LONG, || async {
        world.daemon.advance(Duration::from_secs(20));
        let open = world.daemon.get("/v1/alerts?kind=service_down").await;
        if open["items"] == json!([]) { Ok(()) } else { Err(open) }
    })
    .await;
    assert_eq!(world.service.runs(), 1);
    let timeline = world.timeline().await;
    let mended = timeline.iter().find(|line| line.contains("remediation:mend")).expect("it stands there");
    assert!(mended.starts_with("commented remediation:mend ran `sh` over SSH: done after "), "{timeline:?}");
    assert!(timeline.iter().any(|line| line.starts_with("resolved")), "{timeline:?}");
    let audit = world.daemon.ctl(&["audit", "-o", "json"]);
    assert!(audit.contains("remediation:mend") && audit.contains("run_remediation"), "{audit}");
    let shown = world.daemon.ctl(&["remediation", "runs", "--xnode", "node-1"]);
    assert!(shown.contains("succeeded"), "{shown}");
    assert!(!world.daemon.log().contains("sshd -f"), "arguments are not logged");
}

#[tokio::test]
async fn what_does_not_help_is_tried_again_only_within_its_limits() {
    let world = World::start().await;
    let limits = ["--mode", "act", "--after", "0s", "--max-per-hour", "2", "--cooldown", "10m"];
    world.add(&world.service.idle_script(), &limits);
    world.settle();
    world.states_are(&[("succeeded", "")]).await;
    world.daemon.advance(Duration::from_secs(400));
    world.looked().await;
    assert_eq!(world.service.runs(), 1, "it cools down for ten minutes");
    world.daemon.advance(Duration::from_secs(200));
    until("the second run", LONG, || async {
        if world.service.runs() == 2 { Ok(()) } else { Err(world.states().await) }
    })
    .await;
    for _ in 0..4 {
        world.daemon.advance(Duration::from_secs(540));
        world.looked().await;
    }
    assert_eq!(world.service.runs(), 2, "two in an hour are enough");
    let held = world.states().await;
    assert_eq!(held.iter().filter(|(_, held)| held == "hourly_limit").count(), 1, "said once: {held:?}");
    world.daemon.advance(Duration::from_secs(1_200));
    until("the third run, in the next hour", LONG, || async {
        if world.service.runs() == 3 { Ok(()) } else { Err(world.states().await) }
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_touches_nothing() {
    let world = World::start().await;
    world.add(&world.service.start_script(), &["--after", "0s"]);
    let tried = world.daemon.ctl(&["remediation", "test", "mend", "--xnode", "node-1", "-o", "json"]);
    assert!(tried.contains("unseen"), "in the first minute nothing would be done: {tried}");
    world.settle();
    until("a dry run", LONG, || async {
        let states = world.states().await;
        if states.first() == Some(&("dry_run".to_owned(), String::new())) { Ok(()) } else { Err(states) }
    })
    .await;
    world.daemon.advance(Duration::from_secs(3_600));
    world.looked().await;
    assert_eq!(world.service.runs(), 0);
    let timeline = world.timeline().await;
    assert!(
        timeline.contains(&"commented remediation:mend dry run: would run `sh` over SSH".to_owned()),
        "{timeline:?}"
    );
}

#[tokio::test]
async fn nothing_is_done_while_more_than_a_fifth_of_the_fleet_is_down() {
    let mut world = World::start().await;
    for server in &mut world.servers[3..] {
        server.stop();
    }
    until("two servers being down", LONG, || async {
        world.daemon.advance(Duration::from_secs(20));
        let down = world.daemon.get("/v1/xnodes?health=unhealthy").await;
        if down["items"].as_array().is_some_and(|items| items.len() == 2) { Ok(()) } else { Err(down) }
    })
    .await;
    world.add(&world.service.start_script(), &["--mode", "act", "--after", "0s"]);
    world.settle();
    world.states_are(&[("skipped", "fleet_down")]).await;
    world.daemon.advance(Duration::from_secs(600));
    world.looked().await;
    assert_eq!(world.service.runs(), 0);
    world.states_are(&[("skipped", "fleet_down")]).await;

    for server in &mut world.servers[3..] {
        server.run().await;
    }
    until("the brake being off", LONG, || async {
        world.daemon.advance(Duration::from_secs(20));
        let states = world.states().await;
        if states.iter().any(|(state, _)| state == "succeeded") { Ok(()) } else { Err(states) }
    })
    .await;
    world.serves().await;
    assert_eq!(world.service.runs(), 1);
}

/// Kills the daemon at `point` and starts it again; returns the world with the first minute over.
async fn killed_at(point: &str) -> World {
    let mut world = World::start().await;
    world.daemon.kill();
    world.daemon.set_variables(&[("CAPSULED_FAULT", &format!("{point}:1"))]);
    world.daemon.restart().await;
    world.add(&world.service.idle_script(), &["--mode", "act", "--after", "0s", "--cooldown", "1m"]);
    world.settle();
    world.daemon.ended().await;
    world.daemon.set_variables(&[]);
    world.daemon.restart().await;
    world
}

#[tokio::test]
async fn killed_after_deciding_it_decides_again() {
    let world = killed_at("remediation:planned").await;
    assert_eq!(world.service.runs(), 0);
    world.states_are(&[("skipped", "overtaken")]).await;
    world.settle();
    until("one run", LONG, || async {
        let states = world.states().await;
        if states.contains(&("succeeded".to_owned(), String::new())) { Ok(()) } else { Err(states) }
    })
    .await;
    assert_eq!(world.service.runs(), 1);
}

#[tokio::test]
async fn killed_between_begin_and_end_it_is_unknown_and_not_run_twice() {
    for (point, ran) in [("remediation:started", 0), ("remediation:done", 1)] {
        let world = killed_at(point).await;
        assert_eq!(world.service.runs(), ran, "{point}");
        world.states_are(&[("unknown", "")]).await;
        world.settle();
        for _ in 0..3 {
            world.daemon.advance(Duration::from_secs(1_800));
            world.looked().await;
        }
        assert_eq!(world.service.runs(), ran, "{point}");
        world.states_are(&[("unknown", "")]).await;
        let timeline = world.timeline().await;
        let said = "commented remediation:mend outcome unknown: the daemon ended while the command ran; it may have done its work";
        assert!(timeline.contains(&said.to_owned()), "{timeline:?}");
    }
}
