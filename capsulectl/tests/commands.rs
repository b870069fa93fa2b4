//! The real binary against a daemon that is not there: exit codes, what is sent, what is printed where.

mod support;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Fake, Seen, event};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks at a condition that is waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// A fake daemon with a runtime of its own, so that dropping it cuts every connection, as a kill does.
struct Daemon {
    fake: Fake,
    runtime: Option<Runtime>,
}

impl Daemon {
    fn start(socket: &Path) -> Self {
        // Left behind by a daemon before this one; that there is none is fine.
        let _ = std::fs::remove_file(socket);
        let runtime = Runtime::new().expect("a runtime");
        let (fake, _) = runtime.block_on(async { Fake::serve(socket) });
        Self { fake, runtime: Some(runtime) }
    }

    fn wait_for(&self, what: &str, found: impl Fn(&Seen) -> bool) -> Seen {
        let began = Instant::now();
        loop {
            let seen = self.fake.seen.lock().expect("no test panics while it holds the lock").clone();
            if let Some(seen) = seen.iter().find(|seen| found(seen)) {
                return seen.clone();
            }
            assert!(began.elapsed() < DEADLINE, "waited for {what}; seen: {seen:#?}");
            std::thread::park_timeout(BETWEEN_LOOKS);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A directory with a daemon's socket, and the client run there with nothing else in its environment.
struct World {
    dir: tempfile::TempDir,
    daemon: Daemon,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let daemon = Daemon::start(&dir.path().join("capsuled.sock"));
        Self { dir, daemon }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("capsuled.sock")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capsulectl"));
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("LANG", "C.UTF-8")
            .env("CAPSULE_SOCKET", self.socket())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("capsulectl runs")
    }

    fn stdout(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "`{line}` failed: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn sent(&self, line: &str) -> Seen {
        self.stdout(line);
        self.daemon.fake.changes().pop().expect("a change was sent")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let world = World::new();
    for (line, code) in [
        ("xnodes", 0),
        ("setup", 1),
        ("network show web", 1),
        ("--context far xnodes", 1),
        ("channel test refusing", 1),
        ("xnodes --what", 2),
        ("xnodez", 2),
        ("monitor", 2),
        ("inventory show status-422", 2),
        ("inventory remove web-1 --no-input", 2),
        ("inventory show nothing-like-it", 3),
        ("inventory show status-410", 3),
        ("inventory show status-409", 4),
        ("inventory show status-412", 4),
        ("inventory show status-403", 5),
        ("--socket /nonexistent/capsuled.sock xnodes", 6),
        ("operations wait 01939c3e-0000-7000-8000-0000000000ff --timeout 1ms", 7),
        ("inventory show status-502", 8),
        ("monitor status --exit-code", 10),
        ("monitor alerts --exit-code", 10),
        ("monitor status", 0),
        ("--help", 0),
        ("monitor config --help", 0),
        ("--version", 0),
    ] {
        let output = world.run(line);
        assert_eq!(output.status.code(), Some(code), "`{line}`: {}", text(&output.stderr));
    }
}

#[test]
fn every_command_that_reads_prints_in_every_format() {
    let world = World::new();
    for line in [
        "",
        "xnodes",
        "inventory show web-1",
        "monitor status",
        "monitor status --detailed",
        "monitor health web-1",
        "monitor health web-1 --run-check",
        "monitor health web-1 --run-check --no-wait",
        "monitor health web-1 --history",
        "monitor metrics web-1",
        "monitor metrics web-1 --collect",
        "monitor metrics web-1 --history",
        "monitor alerts",
        "monitor alert show 1a2b3c4d",
        "monitor ack 1a2b3c4d",
        "monitor config",
        "monitor budget list",
        "cost-report --by tag",
        "cost-report --discounts",
        "discount",
        "history",
        "stats",
        "channel list",
        "channel show email",
        "channel test email",
        "deliveries",
        "deliveries retry feedf00d",
        "operations",
        "operations show 000000e1",
        "operations cancel 000000e1",
        "audit",
        "tasks",
        "doctor",
        "config show --origin",
    ] {
        for format in ["table", "wide", "csv", "name", "yaml"] {
            world.stdout(&format!("{line} -o {format}"));
        }
        let json = world.stdout(&format!("{line} -o json"));
        serde_json::from_str::<Value>(&json)
            .unwrap_or_else(|error| panic!("`{line} -o json`: {error}: {json}"));
        for row in world.stdout(&format!("{line} -o ndjson")).lines() {
            serde_json::from_str::<Value>(row).unwrap_or_else(|error| panic!("`{line}`: {error}: {row}"));
        }
    }
}

#[test]
fn lists_have_the_rows_of_every_page() {
    let world = World::new();
    assert_eq!(world.stdout("xnodes -o name"), "web-1\ndb-1\ncache-1\n");
    let rows: Value = serde_json::from_str(&world.stdout("xnodes -o json")).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(3));
}

#[test]
fn a_change_carries_the_revision_it_was_made_on() {
    let world = World::new();
    let sent = world.sent("inventory edit web-1 --region ams --remove-tag eu");
    assert_eq!(sent.line, "PATCH /v1/xnodes/01939c3e-0000-7000-8000-000000000001");
    assert_eq!(sent.if_match.as_deref(), Some("\"4\""));
    assert_eq!(sent.body, json!({"region": "ams", "tags": ["web"]}));
    let sent = world.sent("monitor config --cpu-warning 60 --check-interval 30s");
    assert_eq!((sent.line.as_str(), sent.if_match.as_deref()), ("PATCH /v1/settings", Some("\"7\"")));
    assert_eq!(sent.body["check_interval_ms"], 30_000);
    assert_eq!(sent.body["thresholds"]["cpu"], json!({"warning": 60.0}));
}

#[test]
fn the_client_reads_the_key_and_sends_it() {
    let world = World::new();
    std::fs::write(world.dir.path().join("key"), "PRIVATE KEY\n").expect("written");
    let sent =
        world.sent("inventory add new --address 192.0.2.9 --ssh-user ops --ssh-key key --check tcp=5432");
    assert_eq!(sent.body["ssh"]["key"], json!({"pem": "PRIVATE KEY\n"}));
    let kinds: Vec<&str> = sent.body["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter_map(|check| check["probe"]["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["ping", "ssh", "tcp"]);
    let dry = world.stdout("inventory add new --address 192.0.2.9 --ssh-user ops --ssh-key key --dry-run");
    assert!(!dry.contains("PRIVATE") && dry.contains("***"), "{dry}");
}

#[test]
fn removing_asks_unless_told_not_to() {
    let world = World::new();
    let output = world.run("inventory remove web-1");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("hint: add --yes"), "{}", text(&output.stderr));
    assert!(world.daemon.fake.changes().is_empty());
    let sent = world.sent("inventory remove web-1 --yes");
    assert_eq!(sent.line, "DELETE /v1/xnodes/01939c3e-0000-7000-8000-000000000001");
    assert_eq!(sent.if_match.as_deref(), Some("\"4\""));
}

#[test]
fn what_costs_what_reads_like_this() {
    let world = World::new();
    for (line, parts) in [
        (
            "cost-report",
            &["2026-11", "$0.045", "(730 hours)", "hetzner", "Most expensive", "Dead and billed", "cache-1"]
                [..],
        ),
        ("cost-report -o csv", &["name,xnodes,usd/h", "hetzner,2,0.03"]),
        ("history", &["web-1", "old-1", "2026-11-13 00:00:00Z", "12d", "4.33"]),
        ("history -o csv", &["1036800,4.325678"]),
        ("stats", &["ever deployed", "25.93", "By provider", "hetzner"]),
        ("discount list", &["provider", "hetzner", "12.5"]),
        ("monitor budget list -o wide", &["300.00", "21.60", "7 %", "32.40", "yes"]),
    ] {
        let shown = world.stdout(line);
        for part in parts {
            assert!(shown.contains(part), "`{part}` is not in `{line}`:\n{shown}");
        }
    }
    assert!(!world.stdout("cost-report").contains("Stopped and billed"));
}

#[test]
fn a_budget_limits_the_hour_the_month_or_both() {
    let world = World::new();
    let sent = world.sent("monitor budget set --monthly 500 --block --tag shop");
    assert_eq!(sent.line, "PUT /v1/budgets/tag/shop");
    assert_eq!(sent.body, json!({"monthly_limit_micros": 500_000_000, "block": true}));
    let sent = world.sent("monitor budget set 0.5 --monthly 500");
    assert_eq!(sent.body["hourly_limit_micros"], 500_000);
    assert_eq!(world.run("monitor budget set").status.code(), Some(2));
}

#[test]
fn discounts_are_sent_as_exact_shares() {
    let world = World::new();
    let sent = world.sent("discount set 12.5 --provider hetzner --until 2027-01-01");
    assert_eq!(sent.line, "PUT /v1/discounts/provider/hetzner");
    assert_eq!(sent.body["basis_points"], 1_250);
    assert_eq!(sent.body["valid_until"], "2027-01-01T00:00:00Z");
    for wrong in ["discount set 12.5", "discount set 0 --tag a", "discount set 1 --tag a --provider b"] {
        assert_eq!(world.run(wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn cleaning_up_says_how_many_before_it_asks() {
    let world = World::new();
    let refused = world.run("cleanup 30");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("2 servers removed more than 30 days ago"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(world.sent("cleanup --yes").body, json!({"days": 90, "dry_run": false}));
}

#[test]
fn the_inventory_goes_to_a_file_or_to_standard_output() {
    let world = World::new();
    assert_eq!(world.stdout("export"), "exported format=csv\n");
    assert_eq!(world.stdout("export - --format prometheus"), "exported format=prometheus\n");
    assert_eq!(world.stdout("export --format ansible --list"), "exported format=ansible\n");
    assert_eq!(world.stdout("export --host web-1"), "exported format=ansible&host=web-1\n");
    assert_eq!(world.stdout("ssh-config export"), "exported format=ssh-config\n");
    assert_eq!(world.stdout("export fleet.csv"), "");
    let written = std::fs::read_to_string(world.dir.path().join("fleet.csv")).expect("written");
    assert_eq!(written, "exported format=csv\n");
    assert_eq!(world.run("export --format csv --list").status.code(), Some(2));
    assert_eq!(world.run("export no/such/directory/x").status.code(), Some(1));
}

#[test]
fn an_import_is_read_here_and_sent_whole() {
    let world = World::new();
    std::fs::write(world.dir.path().join("fleet.csv"), "name\nweb-1\n").expect("written");
    let output = world.run("import fleet.csv");
    assert!(text(&output.stderr).contains("1 added, 1 changed, 1 as before"), "{}", text(&output.stderr));
    let sent = world.daemon.fake.changes().pop().expect("sent");
    assert_eq!(
        (sent.line.as_str(), &sent.body),
        ("POST /v1/inventory/import", &json!({"format": "csv", "text": "name\nweb-1\n", "dry_run": false}))
    );
    assert_eq!(world.sent("import fleet.csv --dry-run").body["dry_run"], true);
    assert_eq!(world.run("import nothing.csv").status.code(), Some(1));
    std::fs::write(world.dir.path().join("bytes.csv"), [0xff, 0xfe]).expect("written");
    assert_eq!(world.run("import bytes.csv").status.code(), Some(2));
}

#[test]
fn secrets_come_from_files_and_flags_with_them_are_warned_about() {
    let world = World::new();
    std::fs::write(world.dir.path().join("url"), "https://hooks.example.org/x\n").expect("written");
    let sent = world.sent("channel add slack --secret-file url");
    assert_eq!(sent.body["secret"], "https://hooks.example.org/x");
    let output = world.run("channel add slack --secret https://hooks.example.org/y");
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("can be seen by other users"), "{}", text(&output.stderr));
    let dry = world.stdout("channel add slack --secret-file url --dry-run");
    assert!(!dry.contains("hooks.example.org"), "{dry}");
}

#[test]
fn errors_are_one_line_with_a_way_out() {
    let world = World::new();
    for (line, error, hint) in [
        ("inventory show wbe-1", "capsulectl: there is no xNode `wbe-1`", "hint: did you mean `web-1`?"),
        ("setup", "capsulectl: `setup` is not available yet in this version", "hint: "),
        (
            "monitor statsu",
            "capsulectl: `monitor statsu` is not available yet in this version",
            "hint: networks come with later work; did you mean `monitor status`?",
        ),
        (
            "inventroy",
            "capsulectl: unrecognized subcommand 'inventroy'",
            "hint: a similar subcommand exists: 'inventory'",
        ),
        (
            "inventory add a --address b --check icmp",
            "capsulectl: invalid value 'icmp' for '--check <CHECK>'",
            "hint: ",
        ),
        (
            "--socket /nonexistent/s.sock xnodes",
            "capsulectl: capsuled is not reachable at /nonexistent/s.sock",
            "hint: start it with `capsuled`",
        ),
    ] {
        let output = world.run(line);
        let stderr = text(&output.stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "`{line}`: {stderr}");
        assert!(lines[0].starts_with(error), "`{line}`: {stderr}");
        assert!(lines[1].starts_with(hint), "`{line}`: {stderr}");
        assert!(output.stdout.is_empty(), "`{line}` printed data");
    }
}

#[test]
fn notes_go_to_standard_error_and_colour_only_to_terminals() {
    let world = World::new();
    let output = world.run("monitor ack 1a2b3c4d");
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("✓ acknowledged 1a2b3c4d web-1"), "{}", text(&output.stderr));
    assert!(text(&world.run("monitor ack 1a2b3c4d --quiet").stderr).is_empty());
    assert!(!world.stdout("xnodes").contains('\u{1b}'));
    let forced = world.command("xnodes").env("CLICOLOR_FORCE", "1").output().expect("runs");
    assert!(text(&forced.stdout).contains('\u{1b}'));
    let refused = world.command("xnodes --no-color").env("CLICOLOR_FORCE", "1").output().expect("runs");
    assert!(!text(&refused.stdout).contains('\u{1b}'));
    let ascii = world.command("xnodes").env("LANG", "C").output().expect("runs");
    assert!(ascii.stdout.is_ascii());
}

/// A running client whose lines are read as they come.
struct Following {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Following {
    fn start(world: &World, line: &str) -> Self {
        let mut child = world
            .command(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("capsulectl runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("text")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Already gone is what most tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn opened(seen: &Seen) -> bool {
    seen.line.starts_with("GET /v1/events")
}

/// Sends until somebody listens: the stream is subscribed to only after the request was seen.
fn send(daemon: &Daemon, event: &Value) {
    let began = Instant::now();
    while daemon.fake.events.send(event.clone()).is_err() {
        assert!(began.elapsed() < DEADLINE, "nobody listens");
        std::thread::park_timeout(BETWEEN_LOOKS);
    }
}

#[test]
fn following_survives_a_restart_and_resumes_where_it_was() {
    let mut world = World::new();
    let mut following = Following::start(&world, "events --follow -o ndjson");
    world.daemon.wait_for("the stream", opened);
    send(&world.daemon, &event(1, "xnode_created", &json!({"name": "web-9"})));
    assert!(following.line().contains("\"1-1\""));
    let socket = world.socket();
    drop(std::mem::replace(&mut world.daemon, Daemon::start(&socket)));
    let seen = world.daemon.wait_for("the stream again", opened);
    assert_eq!(seen.last_event_id.as_deref(), Some("1-1"));
    assert!(following.line().contains("\"1-2\""));
}

#[test]
fn ctrl_c_ends_with_130() {
    let world = World::new();
    let mut following = Following::start(&world, "monitor watch");
    world.daemon.wait_for("the stream", opened);
    let status =
        Command::new("kill").args(["-INT", &following.child.id().to_string()]).status().expect("kill runs");
    assert!(status.success());
    assert_eq!(following.child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn the_live_view_without_a_terminal_is_one_line_for_each_change() {
    let world = World::new();
    let mut following = Following::start(&world, "monitor watch");
    assert_eq!(following.line(), "3 xnodes: 1 healthy, 1 degraded, 1 unhealthy, 0 unknown");
    assert!(following.line().starts_with("open: critical web-1 http_error:"));
    assert!(following.line().starts_with("open: warning db-1 low_disk:"));
    world.daemon.wait_for("the stream", opened);
    send(&world.daemon, &event(1, "health_changed", &json!({"name": "web-1", "health": "healthy"})));
    assert_eq!(following.line(), "12:00:00  health_changed      web-1 ● healthy");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let world = World::new();
    let mut child =
        world.command("reference").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn documents_can_be_made_without_a_daemon() {
    let world = World::new();
    for line in ["completions bash", "completions zsh", "completions fish", "man", "reference"] {
        let output = world.command(line).env("CAPSULE_SOCKET", "/nonexistent").output().expect("runs");
        assert!(output.status.success() && output.stdout.len() > 1000, "{line}");
    }
}
