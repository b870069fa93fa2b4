//! Ping, TCP and SSH probes against real sockets.

use std::{net::Ipv4Addr, process::Command, time::Duration};

use capsule_api::Outcome;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    IcmpAccess, Prober, ProberOptions,
    testing::{AMPLE, SHORT, find, now, plan},
};
use crate::ssh::testing::{Sshd, speaks};

/// Set in the process in which a test runs alone.
const ALONE: &str = "CAPSULE_TEST_ALONE";

/// Whether this is the process in which `test` runs alone. If not, starts one, behind the program and
/// arguments in `behind`, and fails as it does.
fn runs_alone(test: &str, behind: &[&str]) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let own = std::env::current_exe().expect("the test program");
    let own = own.to_str().expect("a plain path");
    let test = format!("probe::tests::{test}");
    let line = [behind, &[own, "--exact", &test, "--nocapture"]].concat();
    let done = Command::new(line[0]).args(&line[1..]).env(ALONE, "1").output().expect("it starts");
    let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{said}{complained}");
    false
}

/// As [`runs_alone`], in a network namespace in which even the loopback interface is down.
fn runs_in_own_network(test: &str) -> bool {
    let may_unshare =
        || Command::new("unshare").args(["-n", "true"]).status().is_ok_and(|done| done.success());
    if std::env::var_os(ALONE).is_none() && !may_unshare() {
        eprintln!("NOT RUN: needs a network namespace of its own (unshare -n)");
        return false;
    }
    runs_alone(test, &["unshare", "-n"])
}

/// Probes of every kind but ping, of a host that is not asked at all if this machine is in trouble.
fn specs(address: &str) -> [serde_json::Value; 3] {
    let url = format!("http://{address}:9/");
    [json!({"kind": "tcp", "port": 9}), json!({"kind": "ssh"}), json!({"kind": "http", "url": url})]
}

#[tokio::test]
async fn a_full_file_table_is_not_the_nodes_outage() {
    if !runs_alone("a_full_file_table_is_not_the_nodes_outage", &[]) {
        return;
    }
    let prober = Prober::new(ProberOptions::default());
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).expect("a lower limit");
    for address in ["127.0.0.1", "localhost"] {
        for spec in specs(address) {
            let finding = prober.probe(&plan(address, spec, AMPLE), now()).await;
            assert_eq!(finding.outcome, Outcome::Blind, "{address}: {}", finding.detail);
        }
    }
}

#[tokio::test]
async fn a_missing_route_is_not_the_nodes_outage() {
    if !runs_in_own_network("a_missing_route_is_not_the_nodes_outage") {
        return;
    }
    let prober = Prober::new(ProberOptions::default());
    for address in ["192.0.2.1", "2001:db8::1", "web.example"] {
        let url_host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        for spec in specs(&url_host).into_iter().chain([json!({"kind": "ping"})]) {
            let finding = prober.probe(&plan(address, spec, AMPLE), now()).await;
            assert_eq!(finding.outcome, Outcome::Blind, "{address}: {}", finding.detail);
        }
    }
}

#[tokio::test]
async fn a_host_that_answers_no_ping_is_asked_twice_and_is_down() {
    if !runs_in_own_network("a_host_that_answers_no_ping_is_asked_twice_and_is_down") {
        return;
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip runs");
    assert!(up.success());
    std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").expect("this namespace's own setting");
    let finding = find(&plan("127.0.0.1", json!({"kind": "ping"}), SHORT)).await;
    assert_eq!(finding.outcome, Outcome::Down);
    assert_eq!(finding.detail, "no answer to two pings within 300 ms");
    // The kernel counts the echo requests that came in: a column of the second line that begins so.
    let counters = std::fs::read_to_string("/proc/net/snmp").expect("counters");
    let mut lines = counters.lines().filter(|line| line.starts_with("Icmp:")).map(str::split_whitespace);
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let echoes = names.zip(values).find(|(name, _)| *name == "InEchos").expect("counted").1;
    // Two for each time it was asked.
    let echoes: u32 = echoes.parse().expect("a number");
    assert!(0 < echoes && echoes.is_multiple_of(2), "{echoes}");
}

#[tokio::test]
async fn ten_thousand_pings_that_wait_take_little_memory() {
    let prober = Prober::new(ProberOptions::default());
    let plan = plan("127.0.0.1", json!({"kind": "ping"}), AMPLE);
    let size_bytes = size_of_val(&prober.probe(&plan, now()));
    assert!(size_bytes <= 3072, "{size_bytes} bytes each, before what surge-ping keeps");
}

#[tokio::test]
async fn a_ping_that_finds_no_place_in_time_is_not_the_nodes_outage() {
    let prober = Prober::new(ProberOptions { outstanding_pings: 0, ..ProberOptions::default() });
    if matches!(prober.icmp().v4, IcmpAccess::Unavailable(_)) {
        eprintln!("NOT RUN: needs ICMP, has {:?}", prober.icmp().v4);
        return;
    }
    let finding = prober.probe(&plan("127.0.0.1", json!({"kind": "ping"}), SHORT), now()).await;
    assert_eq!(finding.outcome, Outcome::Blind, "{}", finding.detail);
}

fn without_icmp() -> Prober {
    Prober::new(ProberOptions { icmp: false, ..ProberOptions::default() })
}

#[tokio::test]
async fn none_of_1500_healthy_hosts_looks_dead_when_all_are_pinged_at_once() {
    let prober = std::sync::Arc::new(Prober::new(ProberOptions::default()));
    if matches!(prober.icmp().v4, IcmpAccess::Unavailable(_)) || !cfg!(target_os = "linux") {
        eprintln!("NOT RUN: needs ICMP and all of 127.0.0.0/8, has {:?}", prober.icmp().v4);
        return;
    }
    let mut probes = JoinSet::new();
    for number in 0..1500_u16 {
        let [high, low] = number.to_be_bytes();
        let prober = std::sync::Arc::clone(&prober);
        let plan = plan(&Ipv4Addr::new(127, 200, high, low).to_string(), json!({"kind": "ping"}), AMPLE);
        probes.spawn(async move { (prober.probe(&plan, now()).await, plan.address) });
    }
    for (finding, address) in probes.join_all().await {
        assert_eq!(finding.outcome, Outcome::Up, "{address}: {}", finding.detail);
        let latency = finding.latency.expect("it answered");
        assert!(latency < AMPLE / 2, "{address} was answered by the second ping only: {latency:?}");
    }
}

#[tokio::test]
async fn ping_over_ipv6_is_answered_by_the_own_host() {
    let prober = Prober::new(ProberOptions::default());
    let has_ipv6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if matches!(prober.icmp().v6, IcmpAccess::Unavailable(_)) || !has_ipv6 {
        eprintln!("NOT RUN: needs IPv6 and ICMP, has {:?}", prober.icmp().v6);
        return;
    }
    let finding = prober.probe(&plan("::1", json!({"kind": "ping", "family": "v6"}), AMPLE), now()).await;
    assert_eq!(finding.outcome, Outcome::Up, "{}", finding.detail);
}

#[tokio::test]
async fn without_icmp_a_ping_connects_to_the_ssh_port_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut plan = plan("127.0.0.1", json!({"kind": "ping"}), AMPLE);
    plan.ssh_port = listener.local_addr().expect("bound").port();
    let open = without_icmp().probe(&plan, now()).await;
    assert_eq!(open.outcome, Outcome::Up);
    assert!(open.detail.starts_with("tcp fallback: connected"), "{}", open.detail);
    drop(listener);
    let closed = without_icmp().probe(&plan, now()).await;
    assert_eq!(closed.outcome, Outcome::Up, "a refusal is an answer");
    assert!(closed.detail.starts_with("tcp fallback: the host refused"), "{}", closed.detail);
    assert!(!without_icmp().icmp().is_available());
}

#[tokio::test]
async fn a_tcp_probe_is_up_while_the_port_is_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let plan = plan("127.0.0.1", json!({"kind": "tcp", "port": port}), AMPLE);
    let open = find(&plan).await;
    assert_eq!(open.outcome, Outcome::Up, "{}", open.detail);
    assert!(open.latency.expect("connected") < AMPLE);
    drop(listener);
    let closed = find(&plan).await;
    assert_eq!(closed.outcome, Outcome::Down);
    assert_eq!(closed.detail, format!("connecting to 127.0.0.1:{port}: connection refused"));
}

/// A listener whose queue is full: further connections are neither accepted nor refused.
fn deaf() -> (Socket, Vec<std::net::TcpStream>, u16) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("bound");
    listener.listen(0).expect("listens");
    let address = listener.local_addr().expect("bound").as_socket().expect("an IP address");
    let timeout = Duration::from_millis(500);
    let queued = std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&address, timeout).ok());
    (listener, queued.take(16).collect(), address.port())
}

#[tokio::test]
async fn a_host_that_does_not_answer_costs_one_deadline_and_is_down() {
    let (_listener, _queued, port) = deaf();
    let finding = find(&plan("127.0.0.1", json!({"kind": "tcp", "port": port}), SHORT)).await;
    assert_eq!(finding.outcome, Outcome::Down);
    assert_eq!(finding.detail, "no answer within 300 ms");
    assert_eq!(finding.latency, None);
}

#[tokio::test]
async fn a_deadline_that_we_slept_through_is_not_the_nodes_outage() {
    let (_listener, _queued, port) = deaf();
    let prober = Prober::new(ProberOptions::default());
    let plan = plan("127.0.0.1", json!({"kind": "tcp", "port": port}), SHORT);
    let blocker = tokio::spawn(async {
        let until = std::time::Instant::now() + SHORT * 2;
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
    });
    let finding = prober.probe(&plan, now()).await;
    blocker.await.expect("no panic");
    assert_eq!(finding.outcome, Outcome::Blind);
    assert!(finding.detail.starts_with("we were overloaded"), "{}", finding.detail);
}

#[tokio::test]
async fn an_ssh_probe_sees_banner_and_host_key() {
    let Some(sshd) = Sshd::start() else { return };
    let mut plan = plan(&sshd.address().ip().to_string(), json!({"kind": "ssh"}), AMPLE);
    plan.ssh_port = sshd.address().port();
    let first = find(&plan).await;
    assert_eq!(first.outcome, Outcome::Up, "{}", first.detail);
    assert!(first.detail.starts_with("SSH-2.0-OpenSSH"), "{}", first.detail);
    assert_eq!(first.host_key, Some(sshd.host_key()));
    plan.host_key = first.host_key;
    assert_eq!(find(&plan).await.outcome, Outcome::Up);
}

#[tokio::test]
async fn a_changed_host_key_is_down_and_names_both() {
    let (Some(old), Some(new)) = (Sshd::start(), Sshd::start()) else { return };
    let mut plan = plan(&new.address().ip().to_string(), json!({"kind": "ssh"}), AMPLE);
    plan.ssh_port = new.address().port();
    plan.host_key = Some(old.host_key());
    let finding = find(&plan).await;
    assert_eq!(finding.outcome, Outcome::Down);
    assert_eq!(finding.host_key, Some(new.host_key()));
    assert_eq!(finding.detail.matches("SHA256:").count(), 2, "{}", finding.detail);
}

#[tokio::test]
async fn the_key_of_another_port_is_not_taken_for_the_nodes() {
    let (Some(own), Some(other)) = (Sshd::start(), Sshd::start()) else { return };
    let spec = json!({"kind": "ssh", "port": other.address().port()});
    let mut plan = plan(&other.address().ip().to_string(), spec, AMPLE);
    plan.ssh_port = own.address().port();
    plan.host_key = Some(own.host_key());
    let finding = find(&plan).await;
    assert_eq!((finding.outcome, finding.host_key), (Outcome::Up, None), "{}", finding.detail);
}

#[tokio::test]
async fn what_does_not_greet_as_ssh_is_down_within_the_deadline() {
    for (first, again) in [(&b""[..], &b""[..]), (b"SSH-2.0-mute\r\n", b""), (b"", b"\x1b[2Jmore\r\n")] {
        let mut plan = plan("127.0.0.1", json!({"kind": "ssh"}), SHORT);
        plan.ssh_port = speaks(first, again).await.port();
        let finding = find(&plan).await;
        assert_eq!(finding.outcome, Outcome::Down, "{}", finding.detail);
        assert!(!finding.detail.chars().any(char::is_control), "{}", finding.detail);
    }
}

#[tokio::test]
async fn a_family_the_address_is_not_of_is_said_so() {
    let finding = find(&plan("127.0.0.1", json!({"kind": "tcp", "port": 1, "family": "v6"}), AMPLE)).await;
    assert_eq!(finding.detail, "127.0.0.1 is not an IPv6 address");
}
