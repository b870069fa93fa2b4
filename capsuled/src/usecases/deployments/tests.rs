//! Deployments and deletions on a real store, with a cloud in memory, a real sshd and a clock moved by hand.
//! "Killed" means that the future is dropped inside a provider's call and everything begins again from the rows.

mod expiry;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use capsule_api::{
    AccountName, Arch, Currency, Instance, InstanceRef, InstanceState, Leftover, Price, ProviderName,
    TerminateRequest, XNode, XNodeStatus,
};
use capsule_providers::{
    Catalogue, Created, Identity, Mark, NewInstance, Prepared, PreparedFor, Provider,
    Result as ProviderResult,
};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    drive::{Ended, Next, step},
    *,
};
use crate::{
    clock::Clock,
    context::{Clouds, Live, TaskBoard, Wakes, scripted::ScriptedProvider},
    faults::Faults,
    notify::{Deadlines, Notifier},
    rules::deployments as rules,
    secret::Seal,
    ssh::testing::Sshd,
    store::{Lane, Store, StoreError},
    usecases::{accounts, power, reconcile},
};

/// A cloud in whose calls the daemon can be killed.
#[derive(Debug)]
struct Deadly {
    cloud: ScriptedProvider,
    /// The call to die in, and whether after the cloud did it.
    plan: Mutex<Option<(&'static str, bool)>>,
    died: Notify,
    /// What new servers get as their address.
    address: IpAddr,
}

impl Deadly {
    async fn pass(&self, method: &'static str, after: bool) {
        let dies = {
            let mut plan = self.plan.lock().expect("not poisoned");
            let dies = *plan == Some((method, after));
            if dies {
                *plan = None;
            }
            dies
        };
        if dies {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn call<T>(&self, method: &'static str, answer: impl Future<Output = T>) -> T {
        self.pass(method, false).await;
        let answer = answer.await;
        self.pass(method, true).await;
        answer
    }

    /// Lets every server that was made come up where the sshd listens.
    fn bring_up(&self) {
        for instance in self.cloud.all() {
            self.cloud.change_instance(&instance.id, |instance| {
                if instance.status == InstanceState::Provisioning {
                    (instance.status, instance.ip_address) = (InstanceState::Running, Some(self.address));
                }
            });
        }
    }
}

#[async_trait]
impl Provider for Deadly {
    fn name(&self) -> ProviderName {
        self.cloud.name()
    }
    fn login_user(&self, image: &str) -> &'static str {
        self.cloud.login_user(image)
    }
    fn visibility_lag(&self) -> Duration {
        self.cloud.visibility_lag()
    }
    fn bills_stopped(&self) -> bool {
        true
    }
    async fn check_credential(&self) -> ProviderResult<Identity> {
        self.cloud.check_credential().await
    }
    async fn catalogue(&self) -> ProviderResult<Catalogue> {
        self.cloud.catalogue().await
    }
    async fn instances(&self) -> ProviderResult<Vec<Instance>> {
        self.cloud.instances().await
    }
    async fn instance(&self, reference: &InstanceRef) -> ProviderResult<Option<Instance>> {
        self.call("instance", self.cloud.instance(reference)).await
    }
    async fn find_marked(&self, mark: &Mark, region: &str) -> ProviderResult<Vec<Instance>> {
        self.call("find_marked", self.cloud.find_marked(mark, region)).await
    }
    async fn prepare(&self, new: &NewInstance) -> ProviderResult<Prepared> {
        self.call("prepare", self.cloud.prepare(new)).await
    }
    fn prepared_for(&self) -> PreparedFor {
        self.cloud.prepared_for()
    }
    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> ProviderResult<Created> {
        self.call("create", self.cloud.create(new, prepared)).await
    }
    async fn finish(&self, at: &InstanceRef, new: &NewInstance, prepared: &Prepared) -> ProviderResult<()> {
        self.call("finish", self.cloud.finish(at, new, prepared)).await
    }
    async fn start(&self, reference: &InstanceRef) -> ProviderResult<()> {
        self.cloud.start(reference).await
    }
    async fn stop(&self, reference: &InstanceRef, force: bool) -> ProviderResult<()> {
        self.cloud.stop(reference, force).await
    }
    async fn restart(&self, reference: &InstanceRef, force: bool) -> ProviderResult<()> {
        self.cloud.restart(reference, force).await
    }
    async fn delete(&self, reference: &InstanceRef) -> ProviderResult<()> {
        self.call("delete", self.cloud.delete(reference)).await
    }
    async fn leftovers(&self, reference: &InstanceRef) -> ProviderResult<Vec<Leftover>> {
        self.call("leftovers", self.cloud.leftovers(reference)).await
    }
    async fn delete_leftover(&self, leftover: &Leftover) -> ProviderResult<()> {
        self.call("delete_leftover", self.cloud.delete_leftover(leftover)).await
    }
    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> ProviderResult<()> {
        self.cloud.set_tags(reference, tags).await
    }
}

struct World {
    context: Context,
    cloud: Arc<Deadly>,
    account: AccountName,
    ssh_port: u16,
    _sshd: Option<Sshd>,
    _directory: TempDir,
}

impl World {
    /// With a server that lets us in at every address the cloud gives; `None` where there is no sshd or we are
    /// not the user that images let in.
    async fn start() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("NOT RUN: this test logs in as root and has to be run as root");
            return None;
        }
        let sshd = Sshd::start()?;
        Some(Self::with(sshd.address(), Some(sshd)).await)
    }

    /// Without anything that answers.
    async fn deaf() -> Self {
        Self::with(([127, 0, 0, 1], 1).into(), None).await
    }

    async fn with(address: std::net::SocketAddr, sshd: Option<Sshd>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Clock::system();
        let opened = Store::open(directory.path(), clock.clone(), CancellationToken::new()).await;
        let (store, loops) = opened.expect("a fresh store");
        tokio::spawn(loops.capsule);
        tokio::spawn(loops.telemetry);
        let context = Context {
            started_at: clock.now(),
            store,
            clock,
            faults: Faults::default(),
            seal: Arc::new(Seal::create(&directory.path().join("seal.key")).expect("a seal")),
            live: Arc::new(Live::default()),
            wakes: Arc::new(Wakes::default()),
            tasks: Arc::new(TaskBoard::default()),
            notifier: Arc::new(Notifier::new(Deadlines::default())),
            clouds: Arc::new(Clouds::default()),
            metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
            state_dir: Arc::new(directory.path().to_owned()),
            agent_socket: None,
            own_uid: nix::unistd::geteuid().as_raw(),
        };
        if let Some(sshd) = &sshd {
            let sealed = context.seal.seal(&sshd.client_key().private(), "deployment_key/1/private");
            let public = sshd.client_key().public();
            let stored = context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
                Box::pin(async move { intents::set_deployment_key(tx, &public, &sealed).await })
            });
            stored.await.expect("stored");
        }
        let (cloud, account) = add_cloud(&context, "work", address.ip()).await;
        Self { context, cloud, account, ssh_port: address.port(), _sshd: sshd, _directory: directory }
    }

    fn wanted(&self, name: &str, accounts: &[&AccountName]) -> Wanted {
        let spec = ServerSpec { ssh_port: Some(self.ssh_port), ..ServerSpec::default() };
        Wanted {
            name: name.parse().expect("a name"),
            count: 1,
            confirmed: false,
            spec,
            user_data: None,
            offers: accounts.iter().map(|account| offer(account)).collect(),
        }
    }

    async fn begin(&self, name: &str) -> Operation {
        let wanted = self.wanted(name, &[&self.account]);
        begin(&self.context, &Caller::daemon(), wanted).await.expect("begun")
    }

    /// Moves every intent of the operation on until it ended; `false`: killed on the way.
    async fn drive(&self, operation: &Operation) -> bool {
        for intent in of_operation(&self.context, operation.id).await.expect("readable") {
            for _ in 0..2_000 {
                self.cloud.bring_up();
                let next = tokio::select! {
                    next = step(&self.context, operation.id, intent.id) => next.expect("a step"),
                    () = self.cloud.died.notified() => return false,
                };
                match next {
                    None => break,
                    Some(Next::Now) => {}
                    Some(Next::After(pause)) => self.context.clock.advance(pause),
                    Some(Next::AfterError) => self.context.clock.advance(rules::pause(5)),
                }
            }
        }
        true
    }

    async fn deployment(&self, name: &str) -> Deployment {
        get(&self.context, name).await.expect("a deployment")
    }

    async fn xnodes(&self) -> Vec<XNode> {
        let mut reader = self.context.store.reader().await.expect("a reader");
        let filter = store::xnodes::Filter::default();
        let rows = store::xnodes::list(&mut reader, &filter, i64::MAX).await.expect("readable");
        rows.into_iter().map(|stored| stored.xnode).collect()
    }

    /// Carries out an operation at a server while time passes; `None`: killed on the way.
    async fn power(&self, operation: &Operation) -> Option<Ended> {
        let time = async {
            for _ in 0..2_000 {
                // Real work between two moves of the clock: the store answers in its own time.
                let now = self.context.clock.now();
                let write = self.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
                    Box::pin(async move { tx.emit(EventKind::SettingsChanged, "time", &now).await })
                });
                write.await.expect("written");
                self.context.clock.advance(Duration::from_secs(1));
            }
            panic!("it never ended");
        };
        tokio::select! {
            ended = power::carry_out(&self.context, operation) => Some(ended.expect("a store")),
            () = self.cloud.died.notified() => None,
            () = time => None,
        }
    }
}

async fn add_cloud(context: &Context, name: &str, address: IpAddr) -> (Arc<Deadly>, AccountName) {
    let cloud = ScriptedProvider::new(ProviderName::Vultr);
    cloud.set_slow_start(true);
    let cloud = Arc::new(Deadly { cloud, plan: Mutex::default(), died: Notify::new(), address });
    let account = accounts::testing::add(context, name, cloud.clone()).await;
    (cloud, account)
}

fn offer(account: &AccountName) -> DeploymentOffer {
    DeploymentOffer {
        account: account.clone(),
        provider: ProviderName::Vultr,
        template: None,
        plan: "vc2-1c-1gb".to_owned(),
        region: "ewr".to_owned(),
        arch: Arch::X86_64,
        bare_metal: false,
        price: Price { currency: Currency::Usd, hourly_micros: 7_000, monthly_micros: None },
        hourly_cost_micros: Some(capsule_api::UsdMicros(7_000)),
    }
}

fn outcomes(deployment: &Deployment) -> Vec<&str> {
    deployment.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect()
}

#[tokio::test]
async fn a_server_is_made_reached_pinned_and_watched() {
    let Some(world) = World::start().await else { return };
    let operation = world.begin("web").await;
    assert!(world.drive(&operation).await);
    let deployment = world.deployment("web").await;
    assert_eq!(deployment.state, DeploymentState::Succeeded, "{deployment:?}");
    assert_eq!(outcomes(&deployment), ["made"]);
    let xnodes = world.xnodes().await;
    assert_eq!(xnodes.len(), 1);
    let xnode = &xnodes[0];
    assert_eq!((xnode.status, xnode.checks.len()), (XNodeStatus::Running, 2));
    assert_eq!(xnode.hourly_cost_micros, Some(capsule_api::UsdMicros(7_000)));
    assert!(xnode.ssh.host_key_fingerprint.is_some(), "the host key is pinned");
    assert_eq!(xnode.placement.as_ref().map(|p| Some(&p.instance)), Some(deployment.instance.as_ref()));
    assert!(matches!(drive::carry_out(&world.context, operation.id).await, Ok(Ended::Done(_))));
}

#[tokio::test]
async fn wherever_it_is_killed_there_is_one_server_afterwards() {
    let Some(world) = World::start().await else { return };
    let calls = ["prepare", "create", "find_marked", "finish", "instance"];
    for (n, method) in calls.into_iter().enumerate() {
        for after in [false, true] {
            let name = format!("web-{n}-{after}");
            if method == "find_marked" {
                world.cloud.cloud.cut_next_create();
            }
            let operation = world.begin(&name).await;
            *world.cloud.plan.lock().expect("not poisoned") = Some((method, after));
            assert!(!world.drive(&operation).await, "killed at {method}");
            assert!(world.drive(&operation).await);
            let deployment = world.deployment(&name).await;
            assert_eq!(deployment.state, DeploymentState::Succeeded, "{deployment:?}");
            let mark = Mark::of(deployment.id.0).to_string();
            let marked = world.cloud.cloud.all().into_iter().filter(|i| i.tags.contains(&mark)).count();
            assert_eq!(marked, 1, "killed at {method}, after: {after}");
        }
    }
    assert_eq!(world.xnodes().await.len(), world.cloud.cloud.all().len(), "every server is in the inventory");
}

#[tokio::test]
async fn a_hundred_lost_answers_make_a_hundred_servers() {
    let Some(world) = World::start().await else { return };
    for n in 0..100_u32 {
        world.cloud.cloud.cut_next_create();
        world.cloud.cloud.set_lag(n % 24);
        let name = format!("web-{n}");
        let operation = world.begin(&name).await;
        assert!(world.drive(&operation).await);
        let deployment = world.deployment(&name).await;
        assert_eq!(outcomes(&deployment), ["unknown_outcome", "found"]);
        assert_eq!(deployment.state, DeploymentState::Succeeded);
    }
    assert_eq!(world.cloud.cloud.count("create"), 100);
    assert_eq!(world.xnodes().await.len(), 100);
}

#[tokio::test]
async fn only_a_whole_empty_look_up_allows_a_second_sending() {
    let Some(world) = World::start().await else { return };
    world.cloud.cloud.fail("create", world.cloud.cloud.unknown_outcome());
    let operation = world.begin("web").await;
    let before = world.context.clock.now();
    assert!(world.drive(&operation).await);
    let deployment = world.deployment("web").await;
    assert_eq!(outcomes(&deployment), ["unknown_outcome", "never_made", "made"]);
    let looked = deployment.attempts[1].at.duration_since(before);
    assert!(looked >= jiff::SignedDuration::from_secs(150), "longer than the lag: {looked}");
    assert_eq!(world.cloud.cloud.all().len(), 1);
}

#[tokio::test]
async fn six_that_have_none_lead_to_the_seventh_and_every_attempt_is_told() {
    let Some(world) = World::start().await else { return };
    let mut accounts = Vec::new();
    for n in 0..6 {
        let (cloud, account) = add_cloud(&world.context, &format!("full-{n}"), world.cloud.address).await;
        let error = if n == 2 { cloud.cloud.unauthorised() } else { cloud.cloud.out_of_stock() };
        cloud.cloud.fail_always("create", error);
        accounts.push(account);
    }
    accounts.push(world.account.clone());
    let wanted = world.wanted("web", &accounts.iter().collect::<Vec<_>>());
    let operation = begin(&world.context, &Caller::daemon(), wanted).await.expect("begun");
    assert!(world.drive(&operation).await);
    let deployment = world.deployment("web").await;
    let (out, none) = ("out_of_stock", "unauthorised");
    assert_eq!(outcomes(&deployment), [out, out, none, out, out, out, "made"]);
    assert_eq!((deployment.state, deployment.offer), (DeploymentState::Succeeded, 6));
    assert_eq!(deployment.account, world.account);
}

#[tokio::test]
async fn what_an_order_needs_is_asked_for_once_however_many_offers_are_sold_out() {
    let Some(world) = World::start().await else { return };
    let cloud = &world.cloud.cloud;
    for error in [cloud.out_of_stock(), cloud.out_of_stock(), cloud.unauthorised(), cloud.out_of_stock()] {
        cloud.fail("create", error);
    }
    let wanted = world.wanted("web", &[&world.account; 5]);
    let operation = begin(&world.context, &Caller::daemon(), wanted).await.expect("begun");
    assert!(world.drive(&operation).await);
    let deployment = world.deployment("web").await;
    let tried = ["out_of_stock", "out_of_stock", "unauthorised", "out_of_stock", "made"];
    assert_eq!(outcomes(&deployment), tried);
    assert_eq!(cloud.count("create"), 5);
    // Again after the refusal that may have been about what was prepared.
    assert_eq!(cloud.count("prepare"), 2);
}

/// The id by which the only xNode is known at its provider.
async fn known_as(world: &World) -> String {
    let xnodes = world.xnodes().await;
    xnodes[0].placement.as_ref().expect("placed").instance.id.clone()
}

#[tokio::test]
async fn a_server_known_by_its_order_is_known_by_its_own_id_once_it_runs() {
    let world = World::deaf().await;
    world.cloud.cloud.set_orders_first(true);
    let operation = world.begin("web").await;
    assert!(world.drive(&operation).await);
    let deployment = world.deployment("web").await;
    let made = &world.cloud.cloud.all()[0];
    assert!(deployment.attempts[0].detail.contains("order-"), "{deployment:?}");
    assert_eq!(deployment.instance, Some(made.reference()));
    assert_eq!(known_as(&world).await, made.id);
}

#[tokio::test]
async fn a_comparison_finds_the_id_that_took_an_orders_place_and_neither_ghost_nor_orphan() {
    let world = World::deaf().await;
    world.cloud.cloud.set_orders_first(true);
    let operation = world.begin("web").await;
    let intent = of_operation(&world.context, operation.id).await.expect("readable")[0].id;
    while world.xnodes().await.is_empty() {
        step(&world.context, operation.id, intent).await.expect("a step");
    }
    operations::cancel(&world.context, &Caller::daemon(), operation.id).await.expect("asked");
    assert!(world.drive(&operation).await);
    assert!(known_as(&world).await.starts_with("order-"));
    for _ in 0..2 {
        world.context.clock.advance(Duration::from_secs(3_600));
        reconcile::sweep_due(&world.context).await.expect("compared");
        assert_eq!(known_as(&world).await, world.cloud.cloud.all()[0].id);
        let mut reader = world.context.store.reader().await.expect("a reader");
        let found = store::findings::lasting(&mut reader, &world.account).await.expect("readable");
        assert!(found.iter().all(|one| one.kind == capsule_api::FindingKind::Drift), "{found:?}");
    }
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_stays_in_sight() {
    let world = World::deaf().await;
    let operation = world.begin("web").await;
    assert!(world.drive(&operation).await);
    let deployment = world.deployment("web").await;
    assert_eq!(deployment.state, DeploymentState::Failed);
    assert_eq!(world.xnodes().await[0].status, XNodeStatus::Error);
    assert!(matches!(drive::carry_out(&world.context, operation.id).await, Ok(Ended::Failed(_))));
}

#[tokio::test]
async fn stopping_before_it_is_sent_is_clean_and_afterwards_keeps_the_server_in_sight() {
    let world = World::deaf().await;
    let early = world.begin("early").await;
    operations::cancel(&world.context, &Caller::daemon(), early.id).await.expect("asked");
    assert!(world.drive(&early).await);
    assert_eq!(world.deployment("early").await.state, DeploymentState::Cancelled);
    assert_eq!(world.cloud.cloud.count("create"), 0);

    world.cloud.cloud.cut_next_create();
    world.cloud.cloud.set_lag(5);
    let late = world.begin("late").await;
    *world.cloud.plan.lock().expect("not poisoned") = Some(("find_marked", true));
    assert!(!world.drive(&late).await);
    operations::cancel(&world.context, &Caller::daemon(), late.id).await.expect("asked");
    assert!(world.drive(&late).await);
    assert_eq!(world.deployment("late").await.state, DeploymentState::Cancelled);
    assert_eq!((world.cloud.cloud.all().len(), world.xnodes().await.len()), (1, 1), "made, and in sight");
}

#[tokio::test]
async fn what_can_never_be_is_refused_before_any_call() {
    let world = World::deaf().await;
    let refused = async |change: &dyn Fn(&mut Wanted)| {
        let mut wanted = world.wanted("web", &[&world.account]);
        change(&mut wanted);
        begin(&world.context, &Caller::daemon(), wanted).await.expect_err("refused")
    };
    let invalid = |error: UseCaseError| matches!(error, UseCaseError::Invalid { .. });
    assert!(invalid(refused(&|wanted| wanted.count = 0).await));
    assert!(invalid(refused(&|wanted| wanted.count = 1_001).await));
    assert!(matches!(refused(&|wanted| wanted.count = 1_000).await, UseCaseError::Policy { .. }));
    assert!(invalid(refused(&|wanted| wanted.name = "no_label".parse().expect("a name")).await));
    assert!(invalid(refused(&|wanted| wanted.spec.ttl_ms = Some(1)).await));
    assert!(invalid(refused(&|wanted| wanted.spec.ssh_keys = vec!["junk".to_owned()]).await));
    assert!(invalid(refused(&|wanted| wanted.offers.clear()).await));
    world.begin("web").await;
    let taken = refused(&|_| {}).await;
    assert!(matches!(taken, UseCaseError::NameTaken { .. }), "{taken}");
    assert!(world.cloud.cloud.calls().is_empty());
}

/// A server in the inventory of a world that nobody logs in to.
async fn placed(world: &World, name: &str) -> XNode {
    let operation = world.begin(name).await;
    assert!(world.drive(&operation).await);
    world.xnodes().await.into_iter().find(|xnode| xnode.name.as_str() == name).expect("in the inventory")
}

#[tokio::test]
async fn a_server_is_stopped_when_its_provider_says_so_and_one_client_at_a_time() {
    let world = World::deaf().await;
    placed(&world, "web").await;
    let by = Caller::daemon();
    let stop =
        power::begin(&world.context, &by, "web", OperationKind::StopXNode, false).await.expect("begun");
    let second = power::begin(&world.context, &by, "web", OperationKind::StartXNode, false).await;
    let told = second.expect_err("one at a time").to_string();
    assert!(told.contains(&stop.id.to_string()), "{told}");
    assert!(matches!(world.power(&stop).await, Some(Ended::Done(_))));
    assert_eq!(world.xnodes().await[0].status, XNodeStatus::Stopped);
    assert_eq!(world.cloud.cloud.all()[0].status, InstanceState::Stopped);
}

#[tokio::test]
async fn a_deletion_resumes_wherever_it_was_killed_and_is_believed_only_from_the_provider() {
    let world = World::deaf().await;
    let calls = [("delete", false), ("delete", true), ("instance", true), ("leftovers", true)];
    for (n, (method, after)) in calls.into_iter().enumerate() {
        let name = format!("web-{n}");
        let xnode = placed(&world, &name).await;
        let instance = xnode.placement.expect("placed").instance;
        let volume = Leftover {
            kind: "volume".to_owned(),
            id: format!("v{n}"),
            place: String::new(),
            label: "10 GB".to_owned(),
            price: None,
        };
        world.cloud.cloud.set_leftovers(&instance.id, vec![volume]);
        let request = TerminateRequest { with_volumes: true };
        let by = Caller::daemon();
        let operation = power::terminate(&world.context, &by, &name, request).await.expect("begun");
        assert!(power::terminate(&world.context, &by, &name, request).await.is_err(), "one at a time");
        *world.cloud.plan.lock().expect("not poisoned") = Some((method, after));
        assert!(world.power(&operation).await.is_none(), "killed at {method}");
        assert_eq!(world.xnodes().await.len(), 1, "nobody confirmed it yet");
        assert!(matches!(world.power(&operation).await, Some(Ended::Done(_))));
        assert!(world.xnodes().await.is_empty() && world.cloud.cloud.all().is_empty());
        assert_eq!(world.cloud.cloud.count("delete_leftover"), n + 1);
    }
}

#[tokio::test]
async fn a_server_that_is_not_shown_yet_is_not_taken_for_deleted() {
    let Some(world) = World::start().await else { return };
    placed(&world, "web").await;
    world.cloud.cloud.set_unknown(4);
    let request = TerminateRequest::default();
    let operation = power::terminate(&world.context, &Caller::daemon(), "web", request).await.expect("begun");
    assert!(matches!(world.power(&operation).await, Some(Ended::Done(_))));
    assert!(world.xnodes().await.is_empty() && world.cloud.cloud.all().is_empty());
}

#[tokio::test]
async fn a_stop_waits_until_the_server_is_made_and_can_be_given_up_meanwhile() {
    let world = World::deaf().await;
    let xnode = placed(&world, "web").await;
    let id = xnode.placement.expect("placed").instance.id;
    world.cloud.cloud.change_instance(&id, |instance| instance.status = InstanceState::Provisioning);
    let by = Caller::daemon();
    let stop =
        power::begin(&world.context, &by, "web", OperationKind::StopXNode, false).await.expect("begun");
    operations::cancel(&world.context, &by, stop.id).await.expect("asked");
    let Some(Ended::Cancelled(why)) = world.power(&stop).await else { panic!("cancelled") };
    assert_eq!(why, "the provider was not asked; it is provisioning at the provider");
    assert_eq!(world.cloud.cloud.count("stop"), 0);
}

#[tokio::test]
async fn an_xnode_that_was_added_by_hand_cannot_be_switched() {
    let world = World::deaf().await;
    let new = serde_json::from_value(serde_json::json!({"name": "own", "address": "192.0.2.1"}));
    xnodes::create(&world.context, &Caller::daemon(), new.expect("an xNode")).await.expect("added");
    let by = Caller::daemon();
    let refused = power::terminate(&world.context, &by, "own", TerminateRequest::default()).await;
    assert!(matches!(refused, Err(UseCaseError::WrongState(_))));
}

#[test]
fn several_servers_are_numbered_and_every_name_is_a_label() {
    let stem = |text: &str| text.parse::<XNodeName>().expect("a name");
    let named = |text, count| {
        names(&stem(text), count).map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(named("api", 1).expect("one"), ["api"]);
    assert_eq!(named("api", 3).expect("three"), ["api-1", "api-2", "api-3"]);
    for bad in ["api_1", "api.example", "api-"] {
        assert!(named(bad, 1).is_err(), "{bad}");
    }
    assert!(named(&"a".repeat(62), 10).is_err());
}
