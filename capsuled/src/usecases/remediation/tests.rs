//! Remediations on a real store, with a real sshd, a cloud in memory and a clock moved by hand. "Killed" means
//! that what had begun is dropped and the next process looks at the rows.

use std::{collections::HashSet, sync::Arc, time::Duration};

use capsule_api::{
    AlertKind, AlertNote, CheckStatus, CommandAction, HeldBack, Instance, InstanceState, Label,
    OperationKind, OperationState, Placement, PowerCycleAction, ProposeAction, ProviderName,
    RemediationLimits, RemediationMode, RemediationTrigger, RemediationTry, Severity, SshKeySource, XNodeId,
};
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock,
    context::{Clouds, Live, LiveCheck, TaskBoard, Wakes, scripted::ScriptedProvider},
    faults::Faults,
    model::{CheckKey, CheckState, XNodeKey},
    notify::{Deadlines, Notifier},
    secret::Seal,
    ssh::testing::Sshd,
    store::{self, Store, audit, operations, xnodes::StoredKey},
    usecases::{accounts, alerts, deployments::drive::Ended, own_host, power, problems, reaching},
};

struct World {
    context: Context,
    _directory: TempDir,
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Clock::system();
        let opened = Store::open(directory.path(), clock.clone(), CancellationToken::new()).await;
        let (store, loops) = opened.expect("a fresh store");
        tokio::spawn(loops.capsule);
        tokio::spawn(loops.telemetry);
        let context = Context {
            started_at: clock.now() - SignedDuration::from_hours(1),
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
        Self { context, _directory: directory }
    }

    /// An xNode with one check that is up.
    async fn add(&self, name: &str, set: impl FnOnce(&mut store::xnodes::StoredXNode)) -> XNodeId {
        let now = self.context.clock.now();
        let id = XNodeId(Uuid::now_v7());
        let probe = serde_json::from_value(serde_json::json!({"kind": "ping"})).expect("a probe");
        let check = capsule_api::CheckId(Uuid::now_v7());
        let mut row = own_host::own_host(id, check, name.parse().ok(), now, probe);
        row.xnode.own_host = false;
        row.xnode.tags = vec!["web".parse().expect("a tag")];
        set(&mut row);
        let inserted = self.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move { store::xnodes::insert(tx, &row).await })
        });
        let key = inserted.await.expect("written").expect("a free name");
        self.sees(check, key, CheckStatus::Up);
        id
    }

    fn sees(&self, check: capsule_api::CheckId, xnode: XNodeKey, status: CheckStatus) {
        let state = CheckState { status, last_at: Some(self.context.clock.now()), ..CheckState::default() };
        let live = LiveCheck {
            id: check,
            xnode,
            state,
            last: None,
            next_at: None,
            // Long enough that moving the clock makes nothing stale.
            interval: Duration::from_secs(86_400),
            timeout: Duration::from_secs(1),
            day: Default::default(),
        };
        self.context.live.put_check(CheckKey(xnode.0), live);
    }

    async fn raise(&self, xnode: XNodeId, kind: AlertKind) {
        let written = self.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                let stored = store::xnodes::find_in(tx, xnode).await?.expect("an xNode");
                problems::raise(tx, &stored.xnode, kind, Severity::Critical, "it is down").await
            })
        });
        written.await.expect("written");
    }

    /// What somebody does to an alert.
    async fn say(&self, alert: &str, deed: alerts::Deed) {
        let by = Caller { name: "alice".to_owned(), ..Caller::daemon() };
        alerts::handle(&self.context, &by, alert, deed, AlertNote::default()).await.expect("done");
    }

    async fn remediate(&self, kind: AlertKind, action: RemediationAction, mode: RemediationMode) {
        let new = RemediationCreate {
            name: "mend".parse().expect("a name"),
            enabled: true,
            mode,
            trigger: RemediationTrigger { kinds: vec![kind], after_ms: 0, ..RemediationTrigger::default() },
            action,
            limits: RemediationLimits { max_per_hour: 60, cooldown_ms: 60_000 },
        };
        create(&self.context, &Caller::daemon(), new).await.expect("made");
    }

    async fn decide(&self) {
        deciding::decide(&self.context, 8).await.expect("decided");
    }

    async fn follow(&self) -> Vec<acting::Begun> {
        acting::follow(&self.context, &HashSet::new()).await.expect("followed")
    }

    /// The runs, the oldest first.
    async fn runs(&self) -> Vec<RemediationRun> {
        let mut reader = self.context.store.reader().await.expect("a reader");
        let mut runs = remediations::runs(&mut reader, &Filter::default(), 100).await.expect("readable");
        runs.reverse();
        runs
    }

    async fn states(&self) -> Vec<(RunState, Option<HeldBack>)> {
        self.runs().await.into_iter().map(|run| (run.state, run.held)).collect()
    }

    /// What the alert's timeline says after its opening.
    async fn timeline(&self) -> Vec<String> {
        let run = self.runs().await.pop().expect("a run");
        let detail = alerts::get(&self.context, &run.alert_id.to_string()).await.expect("an alert");
        let said = detail.timeline.into_iter().skip(1);
        said.map(|entry| format!("{}: {}", entry.actor.unwrap_or_default(), entry.text)).collect()
    }
}

fn program(program: &str, args: &[&str]) -> RemediationAction {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    RemediationAction::Command(CommandAction { program: program.to_owned(), args, timeout_ms: 30_000 })
}

/// An xNode that `sshd` lets us into.
fn behind<'a>(world: &'a World, sshd: &'a Sshd) -> impl FnOnce(&mut store::xnodes::StoredXNode) + use<'a> {
    move |row| {
        let destination = sshd.destination();
        row.xnode.address = destination.host;
        row.xnode.ssh.port = destination.port;
        row.xnode.ssh.user = Some(destination.user);
        row.xnode.ssh.key = Some(SshKeySource::Stored);
        row.host_key = Some(sshd.host_key());
        let place = reaching::key_place(row);
        row.ssh_key = Some(StoredKey::Sealed(world.context.seal.seal(&sshd.client_key().private(), &place)));
    }
}

#[tokio::test]
async fn a_command_runs_over_ssh_and_its_end_stands_in_the_alerts_timeline() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::start().await;
    let xnode = world.add("web-1", behind(&world, &sshd)).await;
    let told = "; echo never";
    world
        .remediate(
            AlertKind::ServiceDown,
            program("printf", &["one\\n%s\\n\\033[31m", told]),
            RemediationMode::Act,
        )
        .await;
    world.decide().await;
    assert_eq!(world.states().await, [], "there is no alert yet");

    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    assert_eq!(world.states().await, [(RunState::Planned, None)]);
    for begun in world.follow().await {
        acting::command(&world.context, begun).await.expect("written");
    }
    let run = world.runs().await.remove(0);
    assert_eq!((run.state, run.exit_status), (RunState::Succeeded, Some(0)), "{run:?}");
    assert_eq!(run.output.as_deref(), Some("one\n; echo never\n\u{fffd}[31m"), "no shell read the argument");
    let timeline = world.timeline().await;
    assert_eq!(timeline.len(), 1, "{timeline:?}");
    assert!(timeline[0].starts_with("remediation:mend: ran `printf` over SSH: done after "), "{timeline:?}");
    let audit = audit::list(&mut world.context.store.reader().await.expect("a reader"), i64::MAX, 10).await;
    let audit = audit.expect("readable");
    let entry = audit.iter().find(|entry| entry.action == "run_remediation").expect("an audit row");
    assert_eq!((entry.actor.as_str(), &entry.target), ("remediation:mend", &xnode.to_string()));

    let reader = Caller { role: Role::Reader, ..Caller::daemon() };
    let listing = Listing { limit: 10, after: None };
    let seen = runs(&world.context, &reader, &RemediationRunFilter::default(), &listing).await.expect("runs");
    assert_eq!(seen.items[0].output, None, "what a command printed is not for readers");
}

#[tokio::test]
async fn a_command_that_fails_or_cannot_be_begun_says_which() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::start().await;
    let xnode = world.add("web-1", behind(&world, &sshd)).await;
    world
        .remediate(
            AlertKind::ServiceDown,
            program("sh", &["-c", "echo broken >&2; exit 7"]),
            RemediationMode::Act,
        )
        .await;
    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    for begun in world.follow().await {
        acting::command(&world.context, begun).await.expect("written");
    }
    drop(sshd);
    world.context.clock.advance(Duration::from_secs(61));
    world.decide().await;
    for begun in world.follow().await {
        acting::command(&world.context, begun).await.expect("written");
    }
    let runs = world.runs().await;
    assert_eq!((runs[0].state, runs[0].exit_status), (RunState::Failed, Some(7)));
    assert_eq!(runs[0].output.as_deref(), Some("broken"));
    assert_eq!(runs[1].state, RunState::Failed);
    assert!(runs[1].reason.starts_with("`sh` was not run: no connection to "), "{}", runs[1].reason);
}

#[tokio::test]
async fn a_command_that_was_begun_by_a_process_that_died_is_unknown_and_not_run_again() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::start().await;
    let xnode = world.add("web-1", behind(&world, &sshd)).await;
    world.remediate(AlertKind::ServiceDown, program("true", &[]), RemediationMode::Act).await;
    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    assert_eq!(world.follow().await.len(), 1, "begun, and dropped with its process");
    assert_eq!(world.follow().await.len(), 0, "the next process begins nothing");
    assert_eq!(world.states().await, [(RunState::Unknown, None)]);
    for _ in 0..5 {
        world.context.clock.advance(Duration::from_secs(3_600));
        world.decide().await;
    }
    assert_eq!(world.states().await, [(RunState::Unknown, None)]);

    // Somebody looked and resolved it; when the problem is still there, the new alert is acted on.
    let alert = world.runs().await[0].alert_id.to_string();
    world.say(&alert, alerts::Deed::Resolve).await;
    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    assert_eq!(world.states().await, [(RunState::Unknown, None), (RunState::Planned, None)]);
}

#[tokio::test]
async fn what_was_only_planned_is_decided_again_by_the_next_process() {
    let Some(sshd) = Sshd::start() else { return };
    let mut world = World::start().await;
    let xnode = world.add("web-1", behind(&world, &sshd)).await;
    world.remediate(AlertKind::ServiceDown, program("true", &[]), RemediationMode::Act).await;
    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    world.context.clock.advance(Duration::from_secs(10));
    world.context.started_at = world.context.clock.now();
    acting::take_over(&world.context).await.expect("taken over");
    assert_eq!(world.follow().await.len(), 0);
    world.decide().await;
    let skipped = (RunState::Skipped, Some(HeldBack::Overtaken));
    assert_eq!(world.states().await, [skipped], "nothing is done in the first minute");
    world.context.clock.advance(Duration::from_secs(61));
    world.decide().await;
    assert_eq!(world.states().await, [skipped, (RunState::Planned, None)]);
}

#[tokio::test]
async fn an_alert_that_somebody_took_over_between_decision_and_act_is_left_to_them() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::start().await;
    let xnode = world.add("web-1", behind(&world, &sshd)).await;
    world.remediate(AlertKind::ServiceDown, program("true", &[]), RemediationMode::Act).await;
    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    let alert = world.runs().await[0].alert_id.to_string();
    world.say(&alert, alerts::Deed::Acknowledge).await;
    assert_eq!(world.follow().await.len(), 0);
    world.decide().await;
    world.decide().await;
    let skipped = |why| (RunState::Skipped, Some(why));
    assert_eq!(
        world.states().await,
        [skipped(HeldBack::Overtaken), skipped(HeldBack::Acknowledged)],
        "said once"
    );
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::start().await;
    let xnode = world.add("web-1", behind(&world, &sshd)).await;
    world.remediate(AlertKind::ServiceDown, program("true", &[]), RemediationMode::DryRun).await;
    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    world.decide().await;
    assert_eq!(world.follow().await.len(), 0);
    assert_eq!(world.states().await, [(RunState::DryRun, None)]);
    assert_eq!(world.timeline().await[0], "remediation:mend: dry run: would run `true` over SSH");
}

#[tokio::test]
async fn nothing_is_done_while_a_fifth_of_the_fleet_is_down_and_it_is_said_once() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::start().await;
    let mut ill = Vec::new();
    for n in 1..=4 {
        ill.push(world.add(&format!("web-{n}"), behind(&world, &sshd)).await);
    }
    let down = capsule_api::CheckId(Uuid::now_v7());
    world.sees(down, XNodeKey(9_999), CheckStatus::Down);
    world.sees(capsule_api::CheckId(Uuid::now_v7()), XNodeKey(9_998), CheckStatus::Down);
    world.remediate(AlertKind::ServiceDown, program("true", &[]), RemediationMode::Act).await;
    for xnode in &ill {
        world.raise(*xnode, AlertKind::ServiceDown).await;
    }
    for _ in 0..3 {
        world.decide().await;
    }
    assert_eq!(
        world.states().await,
        [(RunState::Skipped, Some(HeldBack::FleetDown))],
        "not once for each alert"
    );
    assert!(world.timeline().await[0].contains("2 of 6 xNodes are down"), "{:?}", world.timeline().await);

    let tried = RemediationTry { xnode: Some("web-3".to_owned()), alert: None };
    let verdict = test(&world.context, "mend", &tried).await.expect("an answer");
    assert_eq!((verdict.fleet, verdict.down, verdict.verdicts[0].held), (6, 2, Some(HeldBack::FleetDown)));

    world.sees(down, XNodeKey(9_999), CheckStatus::Up);
    world.decide().await;
    assert_eq!(world.states().await.iter().filter(|(state, _)| *state == RunState::Planned).count(), 4);
}

#[tokio::test]
async fn a_power_cycle_is_an_operation_and_is_asked_of_the_provider_once() {
    let world = World::start().await;
    let cloud = Arc::new(ScriptedProvider::new(ProviderName::Vultr));
    cloud.put_instance(instance("i-1"));
    let account = accounts::testing::add(&world.context, "work", cloud.clone()).await;
    let xnode = world.add("web-1", |row| {
        row.xnode.provider = "vultr".parse::<Label>().ok();
        row.xnode.placement = Some(Placement {
            account,
            instance: instance("i-1").reference(),
            plan: "vc2-1c-1gb".to_owned(),
            template: None,
            expiry: None,
        });
    });
    let xnode = xnode.await;
    let action = RemediationAction::PowerCycle(PowerCycleAction { force: true });
    world.remediate(AlertKind::SshUnreachable, action, RemediationMode::Act).await;
    world.raise(xnode, AlertKind::SshUnreachable).await;
    let by = Caller::daemon();
    let stop =
        power::begin(&world.context, &by, "web-1", OperationKind::StopXNode, false).await.expect("begun");
    world.decide().await;
    world.decide().await;
    assert_eq!(
        world.states().await,
        [(RunState::Skipped, Some(HeldBack::Busy))],
        "another operation comes first"
    );
    let cancelled = world.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
        Box::pin(async move { operations::finish_cancelled(tx, stop.id, "not after all").await })
    });
    assert!(cancelled.await.expect("written"));

    world.decide().await;
    assert_eq!(world.follow().await.len(), 0, "nothing runs over SSH");
    let run = world.runs().await.remove(1);
    let id = run.operation_id.expect("an operation");
    assert_eq!(world.follow().await.len(), 0, "the next process finds the operation and waits for it");

    let operation = operations::find(&mut world.context.store.reader().await.expect("a reader"), id).await;
    let operation = operation.expect("readable").expect("an operation");
    assert_eq!(
        (operation.state, operation.created_by.as_str()),
        (OperationState::Pending, "remediation:mend")
    );
    let ended = power::carry_out(&world.context, &operation).await.expect("a store");
    let Ended::Done(result) = ended else { panic!("{ended:?}") };
    let finished = world.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
        Box::pin(async move { operations::finish(tx, id, Ok(&result)).await })
    });
    assert!(finished.await.expect("written"));
    world.follow().await;
    let run = world.runs().await.remove(1);
    assert_eq!((run.state, cloud.count("restart")), (RunState::Succeeded, 1), "{run:?}");
    let timeline = world.timeline().await;
    assert_eq!(timeline[1], "remediation:mend: restarted it at its provider; it runs there again");
}

fn instance(id: &str) -> Instance {
    serde_json::from_value(serde_json::json!({
        "id": id, "name": "web-1", "status": InstanceState::Running, "ip_address": "192.0.2.10", "region": "ewr",
        "provider": "vultr", "plan": "vc2-1c-1gb", "place": "", "tags": [], "metadata": {},
    }))
    .expect("an instance")
}

#[tokio::test]
async fn what_cannot_be_done_is_said_once() {
    let world = World::start().await;
    let xnode = world.add("web-1", |_| {}).await;
    world.remediate(AlertKind::ServiceDown, program("true", &[]), RemediationMode::Act).await;
    world.raise(xnode, AlertKind::ServiceDown).await;
    world.decide().await;
    world.decide().await;
    assert_eq!(world.states().await, [(RunState::Skipped, Some(HeldBack::NoWay))]);
    assert_eq!(world.timeline().await, ["remediation:mend: held back: no SSH user is set for it"]);
}

#[tokio::test]
async fn load_for_long_proposes_a_server_once_and_makes_none() {
    let world = World::start().await;
    let cloud = Arc::new(ScriptedProvider::new(ProviderName::Vultr));
    accounts::testing::add(&world.context, "work", cloud.clone()).await;
    let xnode = world.add("web-1", |_| {}).await;
    let action = RemediationAction::ProposeDeployment(ProposeAction {});
    world.remediate(AlertKind::HighCpu, action, RemediationMode::Act).await;
    world.raise(xnode, AlertKind::HighCpu).await;
    world.context.clock.advance(Duration::from_secs(1_800));
    world.decide().await;
    for _ in 0..3 {
        world.context.clock.advance(Duration::from_secs(3_600));
        world.decide().await;
    }
    assert_eq!(world.states().await, [(RunState::Proposed, None)]);
    let said = world.timeline().await.remove(0);
    assert!(
        said.starts_with("remediation:mend: high_cpu for 30 min: `capsulectl deploy --template "),
        "{said}"
    );
    assert!(said.contains("--account work --tags web` would add a server"), "{said}");
    assert_eq!(cloud.count("create"), 0);
}

#[tokio::test]
async fn an_operator_may_switch_a_command_off_and_not_say_what_runs() {
    let world = World::start().await;
    world.remediate(AlertKind::ServiceDown, program("true", &["hunter2"]), RemediationMode::Act).await;
    let operator = Caller { role: Role::Operator, ..Caller::daemon() };
    let patch = |patch| update(&world.context, &operator, "mend", Expected::Any, patch);
    let louder = RemediationPatch { mode: Some(RemediationMode::DryRun), ..RemediationPatch::default() };
    assert!(matches!(patch(louder).await, Err(UseCaseError::RoleTooLow { .. })));
    let off = RemediationPatch { enabled: Some(false), ..RemediationPatch::default() };
    assert!(!patch(off).await.expect("switched off").enabled);
    let on = RemediationPatch { enabled: Some(true), ..RemediationPatch::default() };
    assert!(matches!(patch(on).await, Err(UseCaseError::RoleTooLow { .. })));

    let reader = Caller { role: Role::Reader, ..Caller::daemon() };
    let seen = get(&world.context, &reader, "mend").await.expect("readable");
    assert!(!format!("{seen:?}").contains("hunter2"));
}

#[tokio::test]
async fn what_cannot_work_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let refused = async |kinds: &[AlertKind], action: RemediationAction, after_ms: u64| {
        let new = RemediationCreate {
            name: "mend".parse().expect("a name"),
            enabled: false,
            mode: RemediationMode::DryRun,
            trigger: RemediationTrigger { kinds: kinds.to_vec(), after_ms, ..RemediationTrigger::default() },
            action,
            limits: RemediationLimits::default(),
        };
        match create(&world.context, &Caller::daemon(), new).await {
            Err(UseCaseError::Invalid { field, .. }) => field,
            other => panic!("it should be refused: {other:?}"),
        }
    };
    let down = [AlertKind::ServiceDown];
    assert_eq!(refused(&[], program("true", &[]), 0).await, "trigger.kinds");
    assert_eq!(refused(&[AlertKind::SshUnreachable], program("true", &[]), 0).await, "trigger.kinds");
    assert_eq!(refused(&down, program(" ", &[]), 0).await, "action.program");
    assert_eq!(refused(&down, program("a\nb", &[]), 0).await, "action.program");
    assert_eq!(refused(&down, program("true", &["a\0b"]), 0).await, "action.args");
    assert_eq!(refused(&down, program("true", &["x"; 65]), 0).await, "action.args");
    assert_eq!(refused(&down, program("true", &[]), u64::MAX).await, "trigger.after_ms");
    assert_eq!(list(&world.context, &Caller::daemon()).await.expect("readable"), []);
}
