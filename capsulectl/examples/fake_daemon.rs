//! Serves canned answers on a socket, to look at the client without a daemon:
//! `cargo run -p capsulectl --example fake_daemon -- /tmp/fake.sock`, then
//! `capsulectl --socket /tmp/fake.sock monitor watch`. An event comes every other second; what the client
//! changes is printed.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{path::PathBuf, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let socket = std::env::args().nth(1).map_or_else(|| PathBuf::from("/tmp/fake.sock"), PathBuf::from);
    // A socket of an earlier run is in the way; that there is none is fine.
    let _ = std::fs::remove_file(&socket);
    let (fake, task) = support::Fake::serve(&socket);
    let mut seq = 10;
    let mut shown = 0;
    while !task.is_finished() {
        tokio::time::sleep(Duration::from_secs(2)).await;
        seq += 1;
        let at = usize::try_from(seq % 2).unwrap_or(0);
        let event = match seq % 3 {
            0 => support::event(
                seq,
                "health_changed",
                &serde_json::json!({"name": "web-1", "health": "degraded"}),
            ),
            _ => support::event(seq, "alert_changed", &support::alerts()[at]),
        };
        for seen in fake.changes().into_iter().skip(shown) {
            shown += 1;
            println!(
                "{} if-match={:?} resume={:?} {}",
                seen.line, seen.if_match, seen.last_event_id, seen.body
            );
        }
        // Nobody listens: nothing to do.
        let _ = fake.events.send(event);
    }
}
