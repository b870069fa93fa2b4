//! The client: how quickly it starts and answers, how large it is.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use capsule_tests::daemon::{Daemon, binary};
use serde_json::json;

use crate::process::percentile;

const RUNS: usize = 101;

/// Median wall time of a command in milliseconds.
fn median_ms(program: &Path, arguments: &[&str]) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            let status = Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("runs");
            assert!(status.success(), "{} {arguments:?}", program.display());
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    percentile(&mut times, 0.5)
}

/// Peak memory of a command in KiB, by GNU time.
fn peak_kib(program: &Path, arguments: &[&str]) -> Option<u64> {
    let output =
        Command::new("/usr/bin/time").arg("-f").arg("%M").arg(program).args(arguments).output().ok()?;
    String::from_utf8_lossy(&output.stderr).lines().last()?.trim().parse().ok()
}

/// Start, answer beside curl, size, memory.
pub async fn client() {
    let ctl = binary("capsulectl");
    let daemon = Daemon::start_with(&[("RUST_LOG", "warn")]).await;
    for n in 0..50 {
        let body = json!({ "name": format!("n-{n}"), "address": "127.0.0.1", "checks": [] });
        assert_eq!(daemon.request("POST", "/v1/xnodes", Some(body)).await.0, 201);
    }
    let socket = daemon.socket();
    let socket = socket.to_str().expect("utf-8");
    let start = median_ms(&ctl, &["--version"]);
    let list = ["--socket", socket, "xnodes", "-o", "json"];
    let curl = ["-s", "--unix-socket", socket, "http://localhost/v1/xnodes?limit=1000"];
    let (mine, theirs) = (median_ms(&ctl, &list), median_ms(Path::new("curl"), &curl));
    println!(
        "client: start {start:.2} ms, `xnodes -o json` {mine:.2} ms against curl's {theirs:.2} ms (ratio {:.2}), binary {:.1} MB, peak RSS {} KiB",
        mine / theirs,
        fs::metadata(&ctl).map_or(0.0, |metadata| metadata.len() as f64 / 1e6),
        peak_kib(&ctl, &list).map_or_else(|| "unknown".to_owned(), |kib| kib.to_string()),
    );
}
