//! The channels against real servers on loopback: what they send, and what each answer is taken for.

mod python;
mod sink;
mod smtp;
mod webhooks;

use std::time::Duration;

use capsule_api::{ChannelTarget, ConsoleTarget};

use super::{Deadlines, Notifier, samples};

/// Short enough that a test of a silent server is quick, long enough for a busy machine to answer.
fn impatient() -> Deadlines {
    Deadlines { connect: Duration::from_secs(1), http: Duration::from_secs(2), smtp: Duration::from_secs(2) }
}

#[tokio::test]
async fn sending_can_be_a_task_of_its_own() {
    let sending = tokio::spawn(async {
        let target = ChannelTarget::Console(ConsoleTarget {});
        let message = samples::opened();
        Notifier::default().send(&target, None, &message, message.at).await
    });
    assert!(sending.await.expect("no panic").is_ok());
}
