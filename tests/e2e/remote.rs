//! Shells and tunnels through the real daemon and client to real SSH servers: bytes arrive whole, statuses are passed
//! on, tunnels come back after whatever broke them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, routing::get};
use capsule_tests::{
    daemon::{Daemon, binary, have},
    fleet,
    sshd::{Sshd, free_port},
    wait::{LONG, until},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// A daemon and one server, `node-1`.
struct World {
    daemon: Daemon,
    server: Sshd,
}

impl World {
    /// `None` without sshd.
    async fn start() -> Option<Self> {
        if !have("sshd") {
            return None;
        }
        let daemon = Daemon::start().await;
        let server = fleet::add_servers(&daemon, 1).await.remove(0);
        Some(Self { daemon, server })
    }

    /// The client, with its directories inside the test's own.
    fn client(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary("capsulectl"));
        command.arg("--socket").arg(self.daemon.socket()).args(words);
        command.env("HOME", self.daemon.path("home")).env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
        command.env_remove("XDG_CONFIG_HOME");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.client(words).output().expect("the client runs")
    }

    /// Runs a line that must succeed; returns what it printed.
    fn ok(&self, line: &str) -> String {
        let output = self.run(&line.split_whitespace().collect::<Vec<_>>());
        assert!(output.status.success(), "`{line}`: {output:?}\n{}", self.daemon.log());
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn tunnels(&self) -> Vec<Value> {
        let listed = self.ok("xnode tunnel list -o json");
        serde_json::from_str(&listed).expect("a list")
    }

    async fn tunnel_is(&self, state: &str) {
        until(&format!("the tunnel being {state}"), LONG, || async {
            let tunnels = self.tunnels();
            let is = tunnels.iter().all(|tunnel| tunnel["state"] == state) && !tunnels.is_empty();
            if is { Ok(()) } else { Err(tunnels) }
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What a failed test left open.
        let _ = self.run(&["xnode", "tunnel", "close", "--all"]);
    }
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Bytes of every value that repeat only after a long time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// A web server that counts who asks.
async fn web(address: Ipv4Addr, big: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, big) = (Arc::clone(&asked), Bytes::from(big));
    let big = move || {
        count.fetch_add(1, Ordering::Relaxed);
        let big = big.clone();
        async move { big }
    };
    let routes = Router::new().route("/", get(|| async { "here" })).route("/big", get(big));
    let listener = tokio::net::TcpListener::bind((address, 0)).await.expect("a port");
    let bound = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (bound, asked)
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client")
}

async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let reply = http().get(url).send().await.map_err(|error| error.to_string())?;
    reply.bytes().await.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_as_if_it_ran_here() {
    let Some(world) = World::start().await else { return };
    let sent = noise(10 << 20);
    let input = world.daemon.path("input");
    fs::write(&input, &sent).expect("written");
    let mut piped = world.client(&["ssh", "node-1", "--", "sh", "-c", "'cat; echo oops >&2; exit 7'"]);
    let output = piped.stdin(File::open(&input).expect("there")).output().expect("the client runs");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == sent, "{} of {} bytes came back", output.stdout.len(), sent.len());
    assert_eq!(output.stderr, b"oops\n");

    assert_eq!(told(&world.run(&["ssh", "node-1", "true"])), (Some(0), String::new(), String::new()));
    let missing = told(&world.run(&["ssh", "node-1", "--", "no-such-program"]));
    assert_eq!(missing.0, Some(127), "{missing:?}");
    // A reader that goes away is no failure, and nothing is left behind.
    let mut endless =
        world.client(&["ssh", "node-1", "--", "yes"]).stdout(Stdio::piped()).spawn().expect("runs");
    let mut line = String::new();
    BufReader::new(endless.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert_eq!((line.as_str(), endless.wait().expect("it ends").code()), ("y\n", Some(0)));

    let own = world.ok("xnodes -o name").lines().find(|name| *name != "node-1").expect("own").to_owned();
    let refused = told(&world.run(&["ssh", &own, "true"]));
    assert_eq!(refused.0, Some(4), "{refused:?}");
    assert!(refused.2.contains("there is no SSH to it"), "{refused:?}");
    assert_eq!(world.run(&["ssh", "node-7", "true"]).status.code(), Some(3));

    let audit = world.ok("audit -o json");
    assert!(audit.contains("open_xnode_shell") && !audit.contains("oops"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_go_both_ways_through_a_jump_host() {
    let Some(world) = World::start().await else { return };
    let behind = Sshd::start(Ipv4Addr::new(127, 0, 11, 9)).await;
    world.ok(&format!(
        "inventory add behind --address {} --ssh-port {} --ssh-user {} --ssh-key {} --jump node-1",
        behind.address(),
        behind.port(),
        behind.user(),
        behind.user_key().display()
    ));
    let sent = noise(10 << 20);
    let input = world.daemon.path("input");
    fs::write(&input, &sent).expect("written");
    let mut piped = world.client(&["ssh", "behind", "--", "cat; exit 9"]);
    let output = piped.stdin(File::open(&input).expect("there")).output().expect("the client runs");
    assert_eq!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == sent, "{} of {} bytes came back", output.stdout.len(), sent.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_became_another_gets_nothing() {
    let Some(mut world) = World::start().await else { return };
    world.ok("ssh node-1 true");
    until("the first host key being pinned", LONG, || async {
        let xnode = world.daemon.get("/v1/xnodes/node-1").await;
        if xnode["ssh"]["host_key_fingerprint"].is_string() { Ok(()) } else { Err(xnode) }
    })
    .await;
    world.server.change_host_key().await;
    for words in [&["ssh", "node-1", "true"][..], &["xnode", "tunnel", "node-1", "--background"]] {
        let refused = told(&world.run(words));
        assert_eq!(refused.0, Some(4), "{words:?}: {refused:?}");
        assert!(refused.2.contains("the host key changed") && refused.2.contains("ssh trust"), "{refused:?}");
    }
}

/// A terminal to type into.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start(world: &World) -> Self {
        let tmux = Self { socket: format!("capsule-{}", world.daemon.pid()) };
        let home = world.daemon.path("home");
        fs::create_dir_all(&home).expect("made");
        tmux.run(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "91",
            "-y",
            "27",
            "env",
            "PS1=here$ ",
            "sh",
        ]);
        tmux.line(&format!(
            "export HOME={} CAPSULE_SOCKET={}",
            home.display(),
            world.daemon.socket().display()
        ));
        tmux.line("unset XDG_RUNTIME_DIR");
        tmux
    }

    fn run(&self, words: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(words).output().expect("tmux runs");
        assert!(output.status.success(), "tmux {words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn line(&self, text: &str) {
        self.run(&["send-keys", "-l", text]);
        self.run(&["send-keys", "Enter"]);
    }

    /// Waits until lines are edited and echoed here again; `mark` tells one asking from another.
    async fn is_cooked(&self, mark: u32) {
        self.line(&format!("stty -a | grep -q ' icanon.* echo ' && echo cooked-$(({mark}+1))"));
        self.shows(&format!("cooked-{}", mark + 1)).await;
    }

    async fn shows(&self, wanted: &str) {
        until(&format!("the terminal showing `{wanted}`"), LONG, || async {
            let screen = self.run(&["capture-pane", "-p"]);
            if screen.contains(wanted) { Ok(()) } else { Err(screen) }
        })
        .await;
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_has_the_whole_terminal_and_gives_it_back() {
    let Some(world) = World::start().await else { return };
    if !have("tmux") {
        return;
    }
    let tmux = Tmux::start(&world);
    let client = binary("capsulectl");
    let client = client.display();
    tmux.line(&format!("{client} ssh node-1"));
    tmux.line("PS1='there> '; stty size; echo size-$?");
    tmux.shows("27 91").await;
    tmux.run(&["resize-window", "-x", "103", "-y", "33"]);
    until("the new size being told", LONG, || async {
        tmux.line("stty size");
        let screen = tmux.run(&["capture-pane", "-p"]);
        if screen.contains("33 103") { Ok(()) } else { Err(screen) }
    })
    .await;
    // Ctrl-C is for the program there, and not for the client. Before the program runs, it is for nobody.
    tmux.line("sleep 600 || echo cut-$((1+1))");
    until("the program there being cut short", LONG, || async {
        tmux.run(&["send-keys", "C-c"]);
        tmux.line("echo alive-$((1+2))");
        let screen = tmux.run(&["capture-pane", "-p"]);
        if screen.contains("alive-3") { Ok(()) } else { Err(screen) }
    })
    .await;
    tmux.line("exit 5");
    tmux.line("echo left-with-$?");
    tmux.shows("left-with-5").await;
    tmux.is_cooked(20).await;

    // `~.` hangs up, and a client that is told to end gives the terminal back as well.
    tmux.line(&format!("clear; {client} ssh node-1"));
    tmux.line("echo again-$((2+2))");
    tmux.shows("again-4").await;
    tmux.run(&["send-keys", "Enter"]);
    tmux.run(&["send-keys", "-l", "~."]);
    tmux.line("echo hung-up-with-$?");
    tmux.shows("hung-up-with-255").await;
    tmux.is_cooked(30).await;
    tmux.line(&format!("clear; sh -c 'echo $$ > $HOME/pid; exec {client} ssh node-1'"));
    tmux.line("echo third-$((3+3))");
    tmux.shows("third-6").await;
    let pid = fs::read_to_string(world.daemon.path("home").join("pid")).expect("the client's id");
    kill(Pid::from_raw(pid.trim().parse().expect("a number")), Signal::SIGTERM).expect("sent");
    tmux.line("echo told-$?");
    tmux.shows("told-143").await;
    tmux.is_cooked(40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_carries_many_connections_and_a_stuck_one_holds_up_none() {
    let Some(world) = World::start().await else { return };
    let big = noise(4 << 20);
    let (web, _) = web(Ipv4Addr::new(127, 0, 11, 1), big.clone()).await;
    let opened = world.ok(&format!(
        "xnode tunnel node-1 --remote-host {} --remote-port {} --background",
        web.ip(),
        web.port()
    ));
    let url = format!("http://{opened}");
    assert_eq!(fetch(&url).await, Ok(b"here".to_vec()));
    // More than the buffers on the way hold, and never read.
    let mut stuck = tokio::net::TcpStream::connect(&opened).await.expect("connected");
    for _ in 0..64 {
        let asked =
            tokio::io::AsyncWriteExt::write_all(&mut stuck, b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
        asked.expect("asked");
    }
    let all = (0..12).map(|_| {
        let (url, big) = (format!("{url}/big"), big.clone());
        tokio::spawn(async move { assert!(fetch(&url).await == Ok(big), "another answer") })
    });
    for done in all.collect::<Vec<_>>() {
        done.await.expect("every answer is whole");
    }
    let connections = world.tunnels()[0]["connections"].as_u64();
    assert!(connections.is_some_and(|count| 1 <= count), "the stuck one is counted: {connections:?}");
    drop(stuck);

    let id = world.tunnels()[0]["id"].as_str().expect("an id").to_owned();
    let told_of = world.ok("xnode tunnel list");
    assert!(told_of.contains(&id) && told_of.contains(&web.to_string()), "{told_of}");
    world.ok(&format!("xnode tunnel close {}", &id[..5]));
    assert!(world.tunnels().is_empty());
    assert!(fetch(&url).await.is_err(), "the port is closed");
    assert_eq!(world.run(&["xnode", "tunnel", "close", &id]).status.code(), Some(3));
    let left =
        fs::read_dir(world.daemon.path("home").join(".local/state/capsule/tunnels")).expect("a directory");
    assert_eq!(left.count(), 0, "nothing is left of it");
    let audit = world.ok("audit -o json");
    assert!(audit.contains("open_xnode_tunnel") && audit.contains(&format!("local {web}")), "{audit}");
}

/// A tunnel in the foreground.
struct Foreground(Child);

impl Foreground {
    fn open(world: &World, words: &[&str]) -> (Self, String) {
        let log = File::create(world.daemon.path("tunnel.log")).expect("a log");
        let mut command = world.client(&["xnode", "tunnel", "node-1"]);
        let mut child = command.args(words).stdout(Stdio::piped()).stderr(log).spawn().expect("it runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut address = String::new();
        stdout.read_line(&mut address).expect("the address");
        (Self(child), address.trim().to_owned())
    }

    /// Ctrl-C, and how it ended.
    fn interrupt(mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("a process id"));
        kill(pid, Signal::SIGINT).expect("sent");
        self.0.wait().expect("it ends").code()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_comes_back_after_the_server_and_after_the_daemon() {
    let Some(mut world) = World::start().await else { return };
    let (web, asked) = web(Ipv4Addr::new(127, 0, 11, 2), b"big".to_vec()).await;
    let host = web.ip().to_string();
    let port = web.port().to_string();
    let (tunnel, address) = Foreground::open(&world, &["--remote-host", &host, "--remote-port", &port]);
    let url = format!("http://{address}/big");
    assert_eq!(fetch(&url).await, Ok(b"big".to_vec()));

    // The server goes away with all its connections, and comes back after a while.
    world.server.hang_up();
    world.server.stop();
    world.tunnel_is("reconnecting").await;
    world.server.run().await;
    // A connection that comes meanwhile waits.
    assert_eq!(fetch(&url).await, Ok(b"big".to_vec()));
    world.tunnel_is("open").await;

    assert!(world.daemon.terminate().success());
    world.tunnel_is("reconnecting").await;
    world.daemon.restart().await;
    assert_eq!(fetch(&url).await, Ok(b"big".to_vec()));
    world.daemon.kill();
    world.daemon.restart().await;
    world.tunnel_is("open").await;
    until("an answer after a kill", LONG, || fetch(&url)).await;
    assert!(4 <= asked.load(Ordering::Relaxed));

    let said = fs::read_to_string(world.daemon.path("tunnel.log")).expect("its words");
    assert!(said.contains("the SSH connection ended; opening it again"), "{said}");
    assert!(said.contains("the daemon is stopping") && said.contains("is open again"), "{said}");
    assert_eq!(tunnel.interrupt(), Some(130));
    assert!(world.tunnels().is_empty(), "it is not listed any more");

    // What needs a person ends it, with the reason.
    let (mut tunnel, _) = Foreground::open(&world, &["--remote-port", &port]);
    world.server.change_host_key().await;
    world.server.hang_up();
    let restarted = world.daemon.terminate();
    assert!(restarted.success());
    world.daemon.restart().await;
    until("the tunnel ending", LONG, || {
        let ended = tunnel.0.try_wait().expect("a status").and_then(|status| status.code());
        async move { ended.filter(|code| *code == 4).ok_or(ended) }
    })
    .await;
    let said = fs::read_to_string(world.daemon.path("tunnel.log")).expect("its words");
    assert!(said.contains("the host key changed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reverse_tunnel_brings_connections_here() {
    let Some(world) = World::start().await else { return };
    let big = noise(3 << 20);
    let (web, _) = web(Ipv4Addr::LOCALHOST, big.clone()).await;
    let there = free_port(Ipv4Addr::new(127, 0, 11, 3));
    let opened = world.ok(&format!(
        "xnode tunnel node-1 --reverse --local-port {} --remote-host 127.0.0.1 --remote-port {there} --background",
        web.port()
    ));
    assert_eq!(opened, format!("127.0.0.1:{there}"));
    let url = format!("http://{opened}/big");
    let all = (0..8).map(|_| {
        let (url, big) = (url.clone(), big.clone());
        tokio::spawn(async move { assert!(fetch(&url).await == Ok(big), "another answer") })
    });
    for done in all.collect::<Vec<_>>() {
        done.await.expect("every answer is whole");
    }
    // The port is taken now: a second tunnel is refused, with the reason.
    let line = format!("xnode tunnel node-1 --reverse --local-port 9 --remote-port {there} --background");
    let refused = told(&world.run(&line.split(' ').collect::<Vec<_>>()));
    assert_eq!(refused.0, Some(8), "{refused:?}");
    assert!(refused.2.contains("does not listen on"), "{refused:?}");
    world.server.hang_up();
    until("the tunnel listening again", LONG, || fetch(&url)).await;
    world.ok("xnode tunnel close --all");
    until("the server having closed the port", LONG, || async {
        fetch(&url).await.map_or(Ok(()), |answer| Err(answer.len()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managing_shows_a_server_and_runs_commands() {
    let Some(world) = World::start().await else { return };
    let refused = told(&world.run(&["xnode", "manage", "node-1"]));
    assert_eq!(refused.0, Some(2), "{refused:?}");
    assert!(refused.2.contains("needs a terminal") && refused.2.contains("hint:"), "{refused:?}");
    if !have("tmux") {
        return;
    }
    let tmux = Tmux::start(&world);
    let client: PathBuf = binary("capsulectl");
    tmux.run(&["resize-window", "-x", "100", "-y", "60"]);
    tmux.line(&format!("{} xnode manage node-1; echo managed-$?", client.display()));
    tmux.shows("What about node-1?").await;
    tmux.run(&["send-keys", "Enter"]);
    tmux.shows("capsulectl monitor health node-1 --run-check").await;
    // A shell from the list, and back to it.
    until("the list coming back", LONG, || async {
        let screen = tmux.run(&["capture-pane", "-p"]);
        if 2 <= screen.matches("What about node-1?").count() { Ok(()) } else { Err(screen) }
    })
    .await;
    for _ in 0..3 {
        tmux.run(&["send-keys", "Down"]);
    }
    tmux.run(&["send-keys", "Enter"]);
    tmux.shows("capsulectl ssh node-1").await;
    tmux.line("echo inside-$((4+4)); exit 3");
    tmux.shows("inside-8").await;
    tmux.shows("it ended with the exit code 3").await;
    until("leaving", LONG, || async {
        tmux.run(&["send-keys", "Escape"]);
        let screen = tmux.run(&["capture-pane", "-p"]);
        if screen.contains("managed-0") { Ok(()) } else { Err(screen) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hostile_client_sends_ends_its_shell_and_nothing_else() {
    let Some(world) = World::start().await else { return };
    let mut stream = std::os::unix::net::UnixStream::connect(world.daemon.socket()).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("set");
    let body = r#"{"command":"cat"}"#;
    write!(
        stream,
        "POST /v1/xnodes/node-1/shell HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: capsule-shell\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(0 < reader.read_line(&mut head).expect("a line"), "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream.write_all(&[3, 0xff, 0xff, 0xff, 0xff]).expect("sent");
    let mut rest = Vec::new();
    // Cut or ended, it is over.
    let _ = std::io::Read::read_to_end(&mut reader, &mut rest);
    assert!(rest.is_empty(), "{rest:?}");
    world.ok("ssh node-1 true");
}
