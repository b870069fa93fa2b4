//! A receiver that is down for an hour gets everything when it returns: in order, once by id, also when the
//! problem was over before that and the daemon was killed meanwhile.

use std::collections::BTreeSet;

use capsule_tests::{
    daemon::{Daemon, have},
    fleet::{self, health_is, outbox_empty, pass_an_hour, told},
    sink::{Mood, Sink},
    wait::{LONG, until},
};

/// How the receiver is away.
#[derive(Clone, Copy)]
enum Outage {
    /// It is there, and in this mood.
    Mood(Mood),
    /// Its port refuses.
    Gone,
}

/// Breaks and repairs a server while the receiver is away, kills the daemon, lets an hour pass, and lets the
/// receiver return.
async fn an_hour_of(outage: Outage) {
    if !have("sshd") {
        return;
    }
    let hook = Sink::start().await;
    let mut daemon = Daemon::start().await;
    fleet::add_webhook(&daemon, &hook).await;
    let mut servers = fleet::add_servers(&daemon, 1).await;
    health_is(&daemon, "node-1", "healthy").await;

    match outage {
        Outage::Mood(mood) => hook.set(mood),
        Outage::Gone => hook.stop(),
    }
    servers[0].stop();
    until("the alert being tried", LONG, || async {
        let waiting = daemon.get("/v1/deliveries?state=waiting&channel=hook").await;
        if waiting["items"][0]["attempts"].as_u64().is_some_and(|attempts| attempts > 0) {
            Ok(())
        } else {
            Err(waiting)
        }
    })
    .await;
    servers[0].run().await;
    health_is(&daemon, "node-1", "healthy").await;
    until("the alert being over", LONG, || async {
        let alerts = daemon.get("/v1/alerts").await;
        if alerts["items"].as_array().is_some_and(Vec::is_empty) { Ok(()) } else { Err(alerts) }
    })
    .await;
    daemon.kill();
    daemon.restart().await;
    pass_an_hour(&daemon);
    assert_eq!(hook.accepted().len(), 0, "nothing was accepted yet");

    match outage {
        Outage::Mood(_) => hook.set(Mood::Accepting),
        Outage::Gone => hook.resume().await,
    }
    pass_an_hour(&daemon);
    told(&hook, &["alert.opened", "alert.resolved"]).await;
    outbox_empty(&daemon).await;
    let ids: BTreeSet<_> =
        hook.accepted().iter().map(|received| received.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 2, "once by id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_an_hour_of_500() {
    an_hour_of(Outage::Mood(Mood::Refusing(500))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_an_hour_of_429_with_retry_after() {
    an_hour_of(Outage::Mood(Mood::Busy(120))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_an_hour_of_silence() {
    an_hour_of(Outage::Mood(Mood::Hanging)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_an_hour_of_refused_connections() {
    an_hour_of(Outage::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_refused_for_good_is_shown_with_its_reason_and_can_be_tried_again() {
    if !have("sshd") {
        return;
    }
    let hook = Sink::start().await;
    let daemon = Daemon::start().await;
    fleet::add_webhook(&daemon, &hook).await;
    let mut servers = fleet::add_servers(&daemon, 1).await;
    health_is(&daemon, "node-1", "healthy").await;
    hook.set(Mood::Refusing(404));
    servers[0].stop();
    let failed = until("the delivery being given up", LONG, || async {
        let failed = daemon.get("/v1/deliveries?state=failed").await;
        if failed["items"].as_array().is_some_and(|items| items.len() == 1) {
            Ok(failed["items"][0].clone())
        } else {
            Err(failed)
        }
    })
    .await;
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("404")), "{failed}");

    hook.set(Mood::Accepting);
    let id = failed["id"].as_str().expect("an id");
    let (status, body) = daemon.request("POST", &format!("/v1/deliveries/{id}/retry"), None).await;
    assert_eq!(status, 200, "{body}");
    told(&hook, &["alert.opened"]).await;
}
