//! The daemon under loads.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use capsule_tests::{
    daemon::Daemon,
    fleet,
    sink::Sink,
    sshd::Sshd,
    wait::{LONG, until},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::sleep,
};

use crate::process::{cpu, descendants, memory_kib, percentile};

/// How long a load lasts.
const WINDOW: Duration = Duration::from_secs(60);

/// A daemon with nothing but its own host.
pub async fn idle() {
    let daemon = Daemon::start().await;
    sleep(Duration::from_secs(5)).await;
    let before = cpu(daemon.pid());
    sleep(WINDOW).await;
    let used = cpu(daemon.pid()) - before;
    println!(
        "idle: {:.2} % of a core, RSS {} KiB (peak {} KiB)",
        100.0 * used.as_secs_f64() / WINDOW.as_secs_f64(),
        memory_kib(daemon.pid()).0,
        memory_kib(daemon.pid()).1
    );
}

/// Answers every connection with `answer`, after reading a request when `reads` is set.
async fn serve(answer: &'static [u8], reads: bool) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1_024];
                if reads {
                    let _ = stream.read(&mut request).await;
                }
                let _ = stream.write_all(answer).await;
                if !reads {
                    let _ = stream.read(&mut request).await;
                }
            });
        }
    });
    port
}

/// A loopback address for the `n`-th server.
fn address(n: u32) -> String {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 64, 0, 1)) + n).to_string()
}

/// 1,000 servers with three checks each, every 10 s.
pub async fn probes() {
    let ssh = serve(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", false).await;
    let http = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", true).await;
    let daemon = Daemon::start_with(&[("RUST_LOG", "warn")]).await;
    for n in 0..1_000 {
        let check = |name: &str, probe: Value| json!({ "name": name, "probe": probe, "interval_ms": 10_000 });
        let body = json!({
            "name": format!("n-{n}"),
            "address": address(n),
            "checks": [
                check("ping", json!({ "kind": "ping" })),
                check("ssh", json!({ "kind": "ssh", "port": ssh, "host_key": false })),
                check("http", json!({ "kind": "http", "url": format!("http://{}:{http}/", address(n)) })),
            ],
        });
        assert_eq!(daemon.request("POST", "/v1/xnodes", Some(body)).await.0, 201);
    }
    sleep(Duration::from_secs(15)).await;
    let probing = async || daemon.get("/v1/overview").await["probing"].clone();
    let count = |probing: &Value, name: &str| probing[name].as_u64().unwrap_or(0);
    let (before, used_before) = (probing().await, cpu(daemon.pid()));
    sleep(WINDOW).await;
    let (after, used) = (probing().await, cpu(daemon.pid()) - used_before);
    let probes = count(&after, "probes") - count(&before, "probes");
    let overview = daemon.get("/v1/overview").await;
    println!(
        "probes: {probes} in {} s, {:.1} µs CPU per probe, {:.2} % of a core, missed {}, blind {}, start lag p99 {:.2} ms, RSS {} KiB, health {}",
        WINDOW.as_secs(),
        used.as_secs_f64() * 1e6 / probes as f64,
        100.0 * used.as_secs_f64() / WINDOW.as_secs_f64(),
        count(&after, "missed") - count(&before, "missed"),
        count(&after, "blind") - count(&before, "blind"),
        after["start_lag_p99_ms"].as_f64().unwrap_or(f64::NAN),
        memory_kib(daemon.pid()).0,
        overview["health"],
    );
}

/// 100 servers, all one sshd, read every 5 s over kept sessions. Logs in as a user of its own with a plain
/// shell, because what root's shell does at start is not ours to measure; making one needs root.
pub async fn collections() {
    const WARM: u64 = 20;
    const SERVERS: u64 = 100;
    const USER: &str = "capsule-bench";
    let useradd = std::process::Command::new("useradd")
        .args(["--no-create-home", "--shell", "/bin/sh", "--password", "*", USER])
        .status();
    let made = useradd.is_ok_and(|status| status.success());
    let sshd = Sshd::start(Ipv4Addr::new(127, 0, 20, 1)).await;
    let daemon = Daemon::start_with(&[("RUST_LOG", "warn")]).await;
    let add = async |from: u64, to: u64| {
        for n in from..to {
            let mut body = fleet::xnode(&format!("n-{n}"), &sshd);
            body["checks"] = json!([]);
            body["metrics_interval_ms"] = json!(5_000);
            if made {
                body["ssh"]["user"] = json!(USER);
            }
            assert_eq!(daemon.request("POST", "/v1/xnodes", Some(body)).await.0, 201);
        }
    };
    add(0, WARM).await;
    sleep(Duration::from_secs(15)).await;
    let before_rss = memory_kib(daemon.pid()).0;
    add(WARM, WARM + SERVERS).await;
    sleep(Duration::from_secs(15)).await;
    let more_rss = memory_kib(daemon.pid()).0.saturating_sub(before_rss);
    let node_cpu = || descendants(sshd.pid()).into_iter().chain([sshd.pid()]).map(cpu).sum::<Duration>();
    let (here, there) = (cpu(daemon.pid()), node_cpu());
    sleep(WINDOW).await;
    let (here, there) = (cpu(daemon.pid()) - here, node_cpu().saturating_sub(there));
    let readings = (WARM + SERVERS) * WINDOW.as_secs() / 5;
    let metrics = daemon.get("/v1/xnodes/n-99/metrics").await;
    assert!(metrics["error"].is_null() && metrics["latest"].is_object(), "{metrics}");
    println!(
        "collect: {readings} readings, {:.2} ms CPU here each, {:.2} ms CPU on the node each{}, {} KiB RSS per kept connection",
        here.as_secs_f64() * 1e3 / readings as f64,
        there.as_secs_f64() * 1e3 / readings as f64,
        if made { "" } else { " (root's own shell start included)" },
        more_rss / SERVERS,
    );
    // The kept connections are processes of the user's, and end with the daemon.
    drop(daemon);
    drop(sshd);
    if made {
        let _ = std::process::Command::new("userdel").args(["--force", USER]).status();
    }
}

/// From the start of the probe that decides to the webhook's arrival, 40 servers down and up five times.
pub async fn alert_latency() {
    let sink = Sink::start().await;
    let daemon = Daemon::start_with(&[("RUST_LOG", "warn")]).await;
    fleet::add_webhook(&daemon, &sink).await;
    let accepting = Arc::new(AtomicBool::new(true));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let answers = Arc::clone(&accepting);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let up = answers.load(Ordering::Relaxed);
            tokio::spawn(async move {
                let answer: &[u8] = if up {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                } else {
                    b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
                };
                let mut request = [0; 1_024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
            });
        }
    });
    for n in 0..40 {
        let check = json!({
            "name": "http", "interval_ms": 1_000, "timeout_ms": 900, "down_after": 1,
            "probe": { "kind": "http", "url": format!("http://{}:{port}/", address(n)) },
        });
        let body = json!({ "name": format!("n-{n}"), "address": address(n), "checks": [check] });
        assert_eq!(daemon.request("POST", "/v1/xnodes", Some(body)).await.0, 201);
    }
    let mut wanted = 0;
    for round in 0..10 {
        accepting.store(round % 2 == 1, Ordering::Relaxed);
        wanted += 40;
        until("every message", LONG, || async {
            let got = sink.accepted().len();
            if got >= wanted { Ok(()) } else { Err(got) }
        })
        .await;
    }
    let mut latencies: Vec<f64> = sink
        .accepted()
        .iter()
        .filter(|received| received.body["type"] == "alert.opened")
        .filter_map(|received| {
            let since = received.body["data"]["alert"]["since"].as_str()?.parse::<jiff::Timestamp>().ok()?;
            Some(received.at.duration_since(since).as_secs_f64() * 1e3)
        })
        .collect();
    println!(
        "latency: probe that decides → webhook received, {} alerts: p50 {:.1} ms, p99 {:.1} ms",
        latencies.len(),
        percentile(&mut latencies, 0.5),
        percentile(&mut latencies, 0.99),
    );
}

/// Changes acknowledged per second with 50 clients.
pub async fn writes() {
    const CLIENTS: u32 = 50;
    let daemon = Daemon::start_with(&[("RUST_LOG", "warn")]).await;
    for n in 0..CLIENTS {
        let body =
            json!({ "name": format!("n-{n}"), "address": address(n), "status": "stopped", "checks": [] });
        assert_eq!(daemon.request("POST", "/v1/xnodes", Some(body)).await.0, 201);
    }
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let window = Duration::from_secs(15);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (http, done) = (daemon.http(), Arc::clone(&done));
            tokio::spawn(async move {
                for round in 0_u64.. {
                    if begun.elapsed() > window {
                        return;
                    }
                    let body = json!({ "hourly_cost_micros": round % 1_000 }).to_string();
                    let reply = http
                        .patch(format!("http://localhost/v1/xnodes/n-{n}"))
                        .header("If-Match", "*")
                        .header("Content-Type", "application/json")
                        .body(body)
                        .send()
                        .await
                        .expect("an answer");
                    assert_eq!(reply.status().as_u16(), 200);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("the client ends");
    }
    let changes = done.load(Ordering::Relaxed);
    println!(
        "writes: {:.0} changes acknowledged per second with {CLIENTS} clients",
        changes as f64 / begun.elapsed().as_secs_f64()
    );
}
