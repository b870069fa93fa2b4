//! Full disks, kills at any moment, counters that survive: nothing acknowledged is lost.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use capsule_tests::{
    daemon::Daemon,
    fleet::health_is,
    wait::{LONG, until},
};
use serde_json::json;

/// A small file system of its own, for filling up. Needs root; `None` elsewhere, said loudly.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).expect("made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"])
            .arg(&path)
            .status()
            .is_ok_and(|status| status.success());
        assert!(mounted || std::env::var_os("CI").is_none(), "mounting a small disk needs root, as CI has");
        if !mounted {
            eprintln!("NOT RUN: mounting a small disk needs root");
        }
        mounted.then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_answers_reads_and_needs_no_restart() {
    let home = tempfile::TempDir::new().expect("a directory");
    let Some(disk) = SmallDisk::mount(home.path().join("disk")) else { return };
    let state = disk.0.join("state");
    let daemon = Daemon::start_in(state).await;
    let filler = disk.0.join("filler");
    let fill = || {
        let mut size = 8 << 20;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&filler).expect("opened");
        while size > 512 {
            if std::io::Write::write_all(&mut file, &vec![0; size]).is_err() {
                size /= 2;
            }
        }
    };
    let add = |n: u32| json!({ "name": format!("n-{n}"), "address": "127.0.0.1", "checks": [] });
    let mut refused = None;
    for n in 0..200 {
        fill();
        let (status, body) = daemon.request("POST", "/v1/xnodes", Some(add(n))).await;
        if status != 201 {
            refused = Some((status, body));
            break;
        }
    }
    let (status, body) = refused.expect("a full disk refuses");
    assert_eq!((status, &body["code"]), (507, &json!("disk_full")), "{body}");
    daemon.get("/v1/xnodes").await;

    fs::remove_file(&filler).expect("removed");
    until("writes being accepted again", LONG, || async {
        let (status, body) = daemon.request("POST", "/v1/xnodes", Some(add(1_000))).await;
        if status == 201 || body["code"] == "name_taken" { Ok(()) } else { Err(body) }
    })
    .await;
}

#[tokio::test]
async fn whatever_was_acknowledged_is_there_after_a_kill_at_any_moment() {
    let mut daemon = Daemon::start().await;
    let mut acknowledged = Vec::new();
    for round in 0..8_u32 {
        let http = daemon.http();
        let writer = tokio::spawn(async move {
            let mut names = Vec::new();
            for n in 0.. {
                let name = format!("r{round}-n{n}");
                let body = json!({ "name": name, "address": "127.0.0.1", "checks": [] }).to_string();
                let request = http
                    .post("http://localhost/v1/xnodes")
                    .header("Content-Type", "application/json")
                    .body(body);
                match request.send().await {
                    Ok(reply) if reply.status().as_u16() == 201 => names.push(name),
                    _ => return names,
                }
            }
            names
        });
        let begun = Instant::now();
        let enough = Duration::from_millis(40 + u64::from(round) * 37);
        until("some time under load", LONG, || async {
            if begun.elapsed() > enough { Ok(()) } else { Err(()) }
        })
        .await;
        daemon.kill();
        acknowledged.extend(writer.await.expect("the writer ends"));
        daemon.restart().await;
    }
    assert!(acknowledged.len() > 8, "the writers got somewhere: {}", acknowledged.len());
    for name in &acknowledged {
        daemon.get(&format!("/v1/xnodes/{name}")).await;
    }
}

#[tokio::test]
async fn a_count_of_failures_goes_on_after_a_kill() {
    let mut daemon = Daemon::start().await;
    let port = capsule_tests::sshd::free_port(std::net::Ipv4Addr::LOCALHOST);
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("bound");
    let check = json!({
        "name": "port", "probe": { "kind": "tcp", "port": port },
        "interval_ms": 3_600_000, "timeout_ms": 1_000, "down_after": 3,
    });
    let settings = json!({ "confirm_interval_ms": 60_000 });
    assert_eq!(daemon.request("PATCH", "/v1/settings", Some(settings)).await.0, 200);
    let body = json!({ "name": "web", "address": "127.0.0.1", "checks": [check] });
    let (status, body) = daemon.request("POST", "/v1/xnodes", Some(body)).await;
    assert_eq!(status, 201, "{body}");
    health_is(&daemon, "web", "healthy").await;

    drop(listener);
    let (status, operation) = daemon.request("POST", "/v1/xnodes/web/health/run", None).await;
    assert_eq!(status, 202, "{operation}");
    // One that is cut off by the kill would begin again, and count a second failure.
    let id = operation["id"].as_str().expect("an id");
    let ended = daemon.get(&format!("/v1/operations/{id}?wait=30s")).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    failures_are(&daemon, 1).await;
    daemon.kill();
    daemon.restart().await;
    failures_are(&daemon, 1).await;
    daemon.advance(Duration::from_secs(3_700));
    failures_are(&daemon, 2).await;
    daemon.advance(Duration::from_secs(61));
    until("the third failure in a row being an alert", LONG, || async {
        let alerts = daemon.get("/v1/alerts").await;
        if alerts["items"][0]["kind"] == "service_down" { Ok(()) } else { Err(alerts) }
    })
    .await;
}

async fn failures_are(daemon: &Daemon, failures: u64) {
    until(&format!("{failures} failures in a row"), LONG, || async {
        let health = daemon.get("/v1/xnodes/web/health").await;
        if health["checks"][0]["failures"] == failures { Ok(()) } else { Err(health) }
    })
    .await;
}
