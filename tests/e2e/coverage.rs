//! Every operation of the API is reached by a command and called here, or it is on a short list of those that
//! only machines ask for.
//!
//! What was reached is read from the daemon's own log, so neither the client nor this file can claim a call
//! that did not happen, and an answer that is no success does not count.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use capsule_tests::{
    cloud::{FakeCloud, Vendor},
    daemon::{Daemon, binary},
    sink::{Mood, Sink},
    sshd::Sshd,
    wait::{LONG, until},
};
use serde_json::Value;

/// The committed description of the API; another test holds it to the code.
const DOCUMENT: &str = include_str!("../../openapi/openapi.json");

/// What no command asks for: path, and who does.
const FOR_MACHINES: &[(&str, &str)] = &[
    ("/docs", "a browser shows it"),
    ("/docs/scalar.js", "the page above loads it"),
    ("/healthz", "service managers and load balancers ask it"),
    ("/metrics", "Prometheus scrapes it"),
    ("/readyz", "service managers and load balancers ask it"),
    ("/v1/openapi.json", "generators of clients read it"),
    ("/v1/sd/prometheus", "Prometheus finds its targets by it"),
];

/// Method and path template.
type Call = (String, String);

fn documented() -> BTreeSet<Call> {
    let document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
    let mut calls = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let operations = item.as_object().expect("operations").iter();
        let described = operations.filter(|(_, operation)| operation.get("operationId").is_some());
        calls.extend(described.map(|(method, _)| (method.to_uppercase(), path.clone())));
    }
    calls
}

/// The calls that the daemon says it answered with success, or with a stream: `answered GET /v1/xnodes with 200`.
fn succeeded(log: &str) -> BTreeSet<Call> {
    let mut calls = BTreeSet::new();
    for (_, said) in log.lines().filter_map(|line| line.split_once("answered ")) {
        let mut words = said.split_whitespace();
        if let (Some(method), Some(path), Some("with"), Some(status)) =
            (words.next(), words.next(), words.next(), words.next())
            && (status.starts_with('2') || status == "101")
        {
            calls.insert((method.to_owned(), path.to_owned()));
        }
    }
    calls
}

fn is_for_machines(path: &str) -> bool {
    FOR_MACHINES.iter().any(|(machine, _)| *machine == path)
}

/// A daemon, its own host's name and a receiver that refuses.
struct World {
    daemon: Daemon,
    own: String,
    sink: Sink,
}

impl World {
    async fn start() -> Self {
        let sink = Sink::start().await;
        sink.set(Mood::Refusing(404));
        let daemon = Daemon::start().await;
        let own = daemon.ctl(&["xnodes", "-o", "name"]).trim().to_owned();
        Self { daemon, own, sink }
    }

    /// Runs one command line, which must succeed; returns what it printed.
    fn run(&self, line: &str) -> String {
        self.daemon.ctl(&line.split_whitespace().collect::<Vec<_>>()).trim().to_owned()
    }

    fn run_all(&self, lines: &[&str]) {
        for line in lines {
            self.run(line);
        }
    }

    /// The first line of a list as soon as it has one.
    async fn first(&self, line: &str) -> String {
        until(&format!("`{line}` listing something"), LONG, || async {
            let listed = self.run(line);
            listed.lines().next().map(str::to_owned).ok_or("nothing")
        })
        .await
    }

    /// Runs one command line until it succeeds.
    async fn run_in_the_end(&self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        until(&format!("`{line}` succeeding"), LONG, || async {
            let output = self.daemon.ctl_output(&words);
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            output.status.success().then_some(()).ok_or(complaint)
        })
        .await;
    }

    fn follow_events(&self) -> Following {
        let child = Command::new(binary("capsulectl"))
            .arg("--socket")
            .arg(self.daemon.socket())
            .args(["events", "--follow", "-o", "ndjson"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client runs");
        Following(child)
    }
}

/// A client that prints events until it is dropped.
struct Following(Child);

impl Following {
    /// The id of the next event.
    fn next_id(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
        let event: Value = serde_json::from_str(&line).expect("an event");
        event["id"].as_str().expect("an id").to_owned()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn only_an_answer_with_success_counts() {
    let log = "DEBUG answered GET /v1 with 200 status=200\nDEBUG answered POST /v1/xnodes with 422 status=422\n\
         DEBUG answered POST /v1/shell with 101 status=101\n";
    let call = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    assert_eq!(succeeded(log), BTreeSet::from([call("GET", "/v1"), call("POST", "/v1/shell")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_reached_by_a_command() {
    let world = World::start().await;
    inventory(&world).await;
    let alert = alerts(&world).await;
    telling(&world, &alert).await;
    settings(&world);
    remediations(&world);
    templates(&world);
    costs(&world);
    profiles(&world);
    clouds(&world).await;
    operations(&world);
    remote(&world).await;
    world.run_all(&["", "doctor", "audit", "tasks", "config show --origin"]);

    let reached = succeeded(&world.daemon.log());
    let wanted: BTreeSet<Call> =
        documented().into_iter().filter(|(_, path)| !is_for_machines(path)).collect();
    let missing: Vec<_> = wanted.difference(&reached).collect();
    assert!(missing.is_empty(), "no command line of this test reached {missing:#?}");

    for (path, who) in FOR_MACHINES {
        let (status, body) = world.daemon.request("GET", path, None).await;
        assert_eq!(status, 200, "{path} ({who}): {body}");
    }
    let missing: Vec<_> = documented().difference(&succeeded(&world.daemon.log())).cloned().collect();
    assert!(missing.is_empty(), "never called with success: {missing:#?}");
}

/// Adds, shows, changes and removes a server, and reads the events of it.
async fn inventory(world: &World) {
    let mut following = world.follow_events();
    until("the stream being open", LONG, || async {
        let open = succeeded(&world.daemon.log()).contains(&("GET".to_owned(), "/v1/events".to_owned()));
        open.then_some(()).ok_or("not yet")
    })
    .await;
    world.run("inventory add spare --address 127.0.0.1 --tags web --hourly-cost 0.01");
    let event = following.next_id();
    world.run_all(&[
        "inventory",
        "inventory show spare",
        "inventory edit spare --region here --add-tag eu",
        "inventory remove spare --yes",
    ]);
    let removed = world.run(&format!("events --since {event} --kinds xnode_deleted -o ndjson"));
    assert!(removed.contains("xnode_deleted"), "{removed}");
}

/// Makes the own host's memory an alert and handles it; returns the alert's id.
async fn alerts(world: &World) -> String {
    let own = &world.own;
    world.run(&format!("channel add webhook hook --url {} --kinds high_memory", world.sink.url()));
    world.run(
        "monitor config --memory-warning 0.1 --memory-critical 100 --memory-hysteresis 0 --memory-for 0",
    );
    world.run(&format!("monitor metrics {own} --collect"));
    let alert = world.first("monitor alerts --kind high_memory -o name").await;
    world.run_all(&[
        "monitor status --detailed",
        &format!("monitor metrics {own}"),
        &format!("monitor metrics {own} --history"),
        &format!("monitor health {own} --run-check"),
        &format!("monitor health {own}"),
        &format!("monitor health {own} --history"),
        &format!("monitor ack {alert} --comment looking"),
        &format!("monitor comment {alert} ordered"),
        &format!("monitor alert show {alert}"),
    ]);
    alert
}

/// Lets the alert's delivery fail, sends it again, and changes and removes the channel.
async fn telling(world: &World, alert: &str) {
    let delivery = world.first(&format!("deliveries --state failed --alert {alert} -o name")).await;
    world.sink.set(Mood::Accepting);
    world.run(&format!("deliveries retry {delivery}"));
    assert_eq!(world.first("deliveries --state sent --channel hook -o name").await, delivery);
    assert_eq!(world.sink.types(), ["alert.opened"]);
    world.run_all(&[
        &format!("monitor resolve {alert} --comment bought"),
        "channel list",
        "channel show hook",
        "channel test hook",
        "channel edit hook --disable",
        "channel remove hook --yes",
    ]);
}

fn settings(world: &World) {
    world.run_all(&[
        "monitor config --tag web --disk-warning 70",
        "monitor config",
        "monitor config --tag web --clear",
        "monitor budget set 0.50 --tag web",
        "monitor budget list",
        "monitor budget remove --tag web --yes",
    ]);
}

fn remediations(world: &World) {
    world.run_all(&[
        "remediation add command mend --kinds service_down -- true",
        "remediation",
        "remediation show mend",
        "remediation edit mend --max-per-hour 2",
        "remediation enable mend",
        "remediation test mend",
        "remediation runs",
        "remediation disable mend",
        "remediation remove mend --yes",
    ]);
}

/// Refreshing needs an account and stands with those.
fn templates(world: &World) {
    world.run_all(&[
        "templates --min-cpu 2 --sort cpu",
        "templates show do-basic-1",
        "templates equivalents equinix-c3-small",
        "templates regions --provider linode",
        "templates plan --min-cpu 2",
        "templates rate 1.05 --date 2026-01-02",
        "templates rate",
        "xnode browse --size small",
        "provider templates linode",
        "provider equivalents equinix-c3-small",
    ]);
}

/// An account, and a server's whole life there. Nothing answers SSH at its address, so the deployment is stopped
/// once the server is in the inventory, where it stays.
async fn clouds(world: &World) {
    let cloud = FakeCloud::start(Vendor::Vultr).await;
    let plan = cloud.plans()[0];
    let stray = cloud.add_running("stray", plan, cloud.places()[0], &[]);
    world.run(&format!("provider configure vultr --field api_key=canary --endpoint {}", cloud.url()));
    world.run_all(&[
        "provider configure vultr --field api_key=rotated",
        "providers --detailed",
        "provider accounts",
        "provider show vultr",
        "provider verify vultr",
        "provider instances vultr",
        &format!("provider instances vultr {stray}"),
        "templates refresh",
    ]);
    reconciling(world, &cloud, &stray);
    let region = cloud.places()[0];
    world.run(&format!(
        "deploy --name api --template {plan} --provider vultr --region {region} --yes --no-wait"
    ));
    world.run_in_the_end("inventory show api").await;
    world.run_all(&["deployments", "deployments api"]);
    // The fake cloud's time passes when it is looked at.
    for _ in 0..12 {
        world.run("provider instances vultr");
    }
    let running = world.first("operations -o name").await;
    world.run(&format!("operations cancel {running}"));
    // Each is refused while the one before works on the server.
    for line in [
        "xnode stop api --force --no-wait",
        "xnode launch api --no-wait",
        "xnode restart api --force --no-wait",
        "xnode delete api --with-volumes --yes --no-wait",
        "provider remove vultr --yes",
    ] {
        world.run_in_the_end(line).await;
    }
}

/// A server that is adopted, drifts, is accepted and forgotten.
fn reconciling(world: &World, cloud: &FakeCloud, stray: &str) {
    world.run_all(&["reconcile", "findings --sweeps", &format!("adopt vultr {stray}")]);
    cloud.change_tags(stray, &["new"]);
    world.daemon.advance(Duration::from_secs(60));
    world.run("reconcile");
    let finding = world.run("findings -o name");
    world.run_all(&[
        &format!("findings {finding}"),
        &format!("reconcile --ignore {finding}"),
        &format!("reconcile --accept {finding}"),
        "forget stray --yes",
    ]);
}

/// What things cost, and the inventory to a file and back.
fn costs(world: &World) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("fleet.csv");
    let old = tempfile::tempdir().expect("a directory");
    std::fs::write(old.path().join("inventory.json"), "{}").expect("written");
    world.run_all(&[
        "cost-report --by tag",
        "discount set 12.5 --tag web",
        "discount list",
        "discount remove --tag web --yes",
        "history",
        "stats",
        "cleanup 0 --yes",
        &format!("export {}", file.display()),
        &format!("import {}", file.display()),
        &format!("migrate {}", old.path().display()),
    ]);
}

/// A profile's life, and a stack of one's own.
fn profiles(world: &World) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("own.yaml");
    let stack = "stacks: [{id: own, title: Own, category: Own, packages: [hello]}]";
    std::fs::write(&file, stack).expect("written");
    world.run_all(&[
        &format!("stack add {}", file.display()),
        "stacks",
        "stack show own",
        "sprouts",
        "profile copy dev work",
        "profile use work",
        "add own",
        "remove own",
        "profiles",
        "show",
        "show dev",
        "profile history",
        "profile diff",
        "preview",
        "stack remove own --yes",
        "profile use dev",
        "profile delete work --yes",
    ]);
}

/// A command on a server, and a connection through a tunnel to its own SSH port.
async fn remote(world: &World) {
    let sshd = Sshd::start(Ipv4Addr::new(127, 0, 12, 1)).await;
    let (address, port) = (sshd.address(), sshd.port());
    world.run(&format!(
        "inventory add reached --address {address} --ssh-port {port} --ssh-user {} --ssh-key {}",
        sshd.user(),
        sshd.user_key().display()
    ));
    world.run("ssh reached true");
    let line = format!("xnode tunnel reached --remote-host {address} --remote-port {port} --background");
    let opened = world.run(&line);
    let mut banner = String::new();
    let through = TcpStream::connect(&opened).expect("the tunnel listens");
    BufReader::new(through).read_line(&mut banner).expect("a line");
    assert!(banner.starts_with("SSH-2.0-"), "{banner}");
    world.run_all(&["xnode tunnel list", "xnode tunnel close reached"]);
}

/// Waits for an operation that ends, and stops one that would not: its check asks a port that accepts and then
/// says nothing.
fn operations(world: &World) {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let quick = world.run(&format!("monitor health {} --run-check --no-wait -o name", world.own));
    world.run_all(&["operations", &format!("operations wait {quick}"), &format!("operations show {quick}")]);
    world.run(&format!(
        "inventory add silent --address 127.0.0.1 --no-default-checks --check ssh={port},timeout=30s"
    ));
    let slow = world.run("monitor health silent --run-check --no-wait -o name");
    world.run(&format!("operations cancel {slow}"));
}
