//! What the README of this directory quotes: `cargo build --release && cargo run --release -p capsule-tests --bin capsule-bench [NAME …]`.
//!
//! Drives the real release binaries. The servers that are probed run in this process, so the daemon's
//! processor time, read from `/proc/PID/stat`, is its own alone. Linux only. Never part of the tests: a
//! loaded machine is no failure.

mod client;
mod clouds;
mod load;
mod process;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if runs("idle") {
        load::idle().await;
    }
    if runs("probes") {
        load::probes().await;
    }
    if runs("collect") {
        load::collections().await;
    }
    if runs("latency") {
        load::alert_latency().await;
    }
    if runs("writes") {
        load::writes().await;
    }
    if runs("client") {
        client::client().await;
    }
    if runs("clouds") {
        clouds::clouds().await;
    }
}
