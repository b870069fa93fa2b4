//! What a channel hears of deployments, deletions and times to live, with the daemon killed in between.

use std::time::Duration;

use capsule_tests::{
    cloud::{FakeCloud, Vendor},
    daemon::Daemon,
    fleet::{outbox_empty, told},
    sink::Sink,
    wait::{LONG, until},
};

struct World {
    daemon: Daemon,
    cloud: FakeCloud,
    hook: Sink,
}

impl World {
    /// With a webhook that is told of `topics`.
    async fn start(topics: &str) -> Self {
        let (cloud, hook) = (FakeCloud::start(Vendor::Vultr).await, Sink::start().await);
        let world = Self { daemon: Daemon::start().await, cloud, hook };
        world.run(&format!("channel add webhook ci --url {} --tell {topics}", world.hook.url()));
        world.run(&format!(
            "provider configure vultr --field api_key=canary --endpoint {}",
            world.cloud.url()
        ));
        world.run("templates refresh");
        world
    }

    /// Runs one command line, which must succeed; returns what it printed.
    fn run(&self, line: &str) -> String {
        self.daemon.ctl(&line.split_whitespace().collect::<Vec<_>>()).trim().to_owned()
    }

    fn deploy(&self, more: &str) {
        let (plan, region) = (self.cloud.plans()[0], self.cloud.places()[0]);
        let line = format!("deploy --name api --template {plan} --provider vultr --region {region}");
        self.run(&format!("{line} --yes --no-wait {more}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_deployment_is_told_once_though_the_daemon_dies_before_it_is_sent() {
    let mut world = World::start("operations").await;
    world.cloud.switches().out_of_stock(true);
    world.daemon.terminate();
    world.daemon.set_variables(&[("CAPSULED_FAULT", "outbox.before_send:1")]);
    world.daemon.restart().await;
    world.deploy("");
    assert!(!world.daemon.ended().await.success(), "the planned fault aborts");
    assert_eq!(world.hook.accepted().len(), 0);

    world.daemon.set_variables(&[]);
    world.daemon.restart().await;
    told(&world.hook, &["operation.failed"]).await;
    outbox_empty(&world.daemon).await;
    let message = &world.hook.accepted()[0];
    assert_eq!(message.body["data"]["name"], "api");
    assert_eq!(message.body["data"]["operation"]["kind"], "deploy");
    let summary = message.body["data"]["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("[failed] api: the deployment failed: "), "{summary}");

    let deliveries = world.daemon.get("/v1/deliveries").await;
    assert_eq!(deliveries["items"][0]["id"], message.headers["webhook-id"].as_str());
    assert_eq!(deliveries["items"][0]["operation_id"], message.body["data"]["operation"]["id"]);
    world.daemon.kill();
    world.daemon.restart().await;
    world.run("channel test ci");
    told(&world.hook, &["operation.failed", "alert.test"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_to_live_is_announced_and_ends_though_the_daemon_is_killed_in_between() {
    let mut world = World::start("alerts,operations --kinds expires_soon").await;
    world.deploy("--ttl 8h");
    until("the server in the inventory", LONG, || async {
        let output = world.daemon.ctl_output(&["inventory", "show", "api"]);
        output.status.success().then_some(()).ok_or("not yet")
    })
    .await;
    // Nothing answers SSH there, so it would be waited for until the deadline.
    let running = world.run("operations -o name");
    world.run(&format!("operations cancel {}", running.lines().next().expect("an operation")));
    told(&world.hook, &["operation.cancelled"]).await;

    world.daemon.advance(Duration::from_secs(7 * 3_600 + 45 * 60));
    told(&world.hook, &["operation.cancelled", "alert.opened"]).await;
    outbox_empty(&world.daemon).await;
    assert_eq!(world.cloud.instances().len(), 1, "announced and not done");

    world.daemon.kill();
    // Time as the daemon sees it begins again with the process.
    world.daemon.restart().await;
    world.daemon.advance(Duration::from_secs(8 * 3_600 + 60));
    until("the server being gone", LONG, || async {
        world.daemon.advance(Duration::from_secs(5));
        let left = world.cloud.instances().len();
        (left == 0).then_some(()).ok_or(left)
    })
    .await;
    until("the end being told", LONG, || async {
        world.daemon.advance(Duration::from_secs(5));
        let seen = world.hook.types();
        // The notice and the deletion are told apart, so the last two come in either order.
        let done = seen.len() == 4 && seen[2..].contains(&"alert.resolved".to_owned());
        (done && seen[2..].contains(&"operation.succeeded".to_owned())).then_some(()).ok_or(seen)
    })
    .await;
    let gone = world.daemon.ctl_output(&["inventory", "show", "api"]);
    assert!(!gone.status.success());
}
