//! From open alerts to runs: what the rules decide is written down before anything is done.

use std::{collections::HashMap, time::Duration};

use capsule_api::{
    AlertState, HeldBack, Remediation, RemediationAction, RemediationMode, RemediationRun, RemediationRunId,
    RunState, XNodeId,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{emit, proposing, situation, tell};
use crate::{
    context::Context,
    rules::remediation::{self as rules, Case, Moment, Verdict},
    store::{Lane, StoreError, alerts, remediations, xnodes::StoredXNode},
    usecases::power,
};

/// How often open alerts are looked at without news: a fleet recovers, an operation ends.
const SWEEP: Duration = Duration::from_secs(30);
/// How soon is looked again at what is about to be probed: a host that slept sees nothing for a moment.
const SOON: Duration = Duration::from_secs(2);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Decides what is done about every open alert and writes it down; at most `most` runs begin. Returns how long
/// until there may be more to decide; `None`: not before something happens.
pub async fn decide(context: &Context, most: usize) -> Result<Option<Duration>, StoreError> {
    let mut all = remediations::list(&mut *context.store.reader().await?).await?;
    all.retain(|remediation| remediation.enabled);
    if all.is_empty() {
        return Ok(None);
    }
    let known = situation::read(context, &all).await?;
    let moment = known.moment;
    let mut past = known.past;
    let decisions = rules::decide(&all, &known.cases, &past, &moment, most);
    let mut pause = None;
    for decision in decisions {
        let (remediation, case) = (&all[decision.remediation], &known.cases[decision.case]);
        let wait = match decision.verdict {
            Verdict::Act => {
                act(context, remediation, case, &known.xnodes).await?;
                SWEEP
            }
            Verdict::Held { why, until } => {
                if rules::is_news(why, remediation.id, case.alert, &past, moment.now) {
                    let run = held(remediation, case, &known.xnodes, why, until, &moment);
                    past.extend(run.as_ref().map(situation::past_of));
                    if let Some(run) = run {
                        write(context, run, remediation).await?;
                    }
                }
                wait_for(why, until, moment.now)
            }
        };
        pause = Some(pause.unwrap_or(SWEEP).min(wait));
    }
    Ok(pause.map(|pause| pause.max(SHORTEST_PAUSE)))
}

fn wait_for(why: HeldBack, until: Option<Timestamp>, now: Timestamp) -> Duration {
    match until {
        Some(until) => Duration::try_from(until.duration_since(now)).unwrap_or_default(),
        None if matches!(why, HeldBack::Unseen | HeldBack::Blind) => SOON,
        None => SWEEP,
    }
}

/// A run that begins now.
fn run(
    remediation: &Remediation,
    case: &Case,
    xnodes: &HashMap<XNodeId, StoredXNode>,
    state: RunState,
    now: Timestamp,
) -> Option<RemediationRun> {
    let xnode = &xnodes.get(&case.xnode)?.xnode;
    Some(RemediationRun {
        id: RemediationRunId(Uuid::now_v7()),
        remediation_id: remediation.id,
        remediation: remediation.name.clone(),
        action: remediation.action.kind(),
        alert_id: case.alert,
        alert_kind: case.kind,
        xnode_id: case.xnode,
        xnode: xnode.name.clone(),
        state,
        held: None,
        reason: String::new(),
        began_at: now,
        ended_at: state.is_final().then_some(now),
        operation_id: None,
        exit_status: None,
        output: None,
    })
}

fn held(
    remediation: &Remediation,
    case: &Case,
    xnodes: &HashMap<XNodeId, StoredXNode>,
    why: HeldBack,
    until: Option<Timestamp>,
    moment: &Moment,
) -> Option<RemediationRun> {
    let run = run(remediation, case, xnodes, RunState::Skipped, moment.now)?;
    let reason = rules::words(why, until, remediation, case, &moment.fleet);
    Some(RemediationRun { held: Some(why), reason, ..run })
}

async fn act(
    context: &Context,
    remediation: &Remediation,
    case: &Case,
    xnodes: &HashMap<XNodeId, StoredXNode>,
) -> Result<(), StoreError> {
    let state = rules::state_of(remediation);
    let begun = run(remediation, case, xnodes, state, context.clock.now());
    let (Some(run), Some(stored)) = (begun, xnodes.get(&case.xnode)) else { return Ok(()) };
    let run = match (&remediation.action, remediation.mode) {
        (RemediationAction::ProposeDeployment(_), mode) => {
            let proposal = proposing::propose(context, stored, case, run.began_at).await?;
            let (state, reason) = match (proposal, mode) {
                (Ok(text), RemediationMode::Act) => (RunState::Proposed, text),
                (Ok(text), RemediationMode::DryRun) => (RunState::DryRun, format!("would propose: {text}")),
                (Err(why), _) => (RunState::Failed, why),
            };
            RemediationRun { state, reason, ended_at: Some(run.began_at), ..run }
        }
        (action, RemediationMode::DryRun) => {
            RemediationRun { reason: format!("would {}", deed(action)), ..run }
        }
        (action, RemediationMode::Act) => {
            RemediationRun { reason: format!("about to {}", deed(action)), ..run }
        }
    };
    write(context, run, remediation).await?;
    context.faults.point("remediation:planned");
    Ok(())
}

/// What an action does, after "would". Arguments are not named: this is sent to people.
pub(super) fn deed(action: &RemediationAction) -> String {
    match action {
        RemediationAction::Command(command) => format!("run `{}` over SSH", command.program),
        RemediationAction::PowerCycle(power) if power.force => "cut its power and restart it".to_owned(),
        RemediationAction::PowerCycle(_) => "restart it at its provider".to_owned(),
        RemediationAction::ProposeDeployment(_) => "propose another server like it".to_owned(),
    }
}

/// Writes a new run, unless what it was decided on is no longer so: the next look decides again.
async fn write(context: &Context, run: RemediationRun, decided_by: &Remediation) -> Result<(), StoreError> {
    let (id, revision) = (decided_by.id, decided_by.revision);
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                let same = remediations::by_id_in(tx, id).await?.is_some_and(|now| now.revision == revision);
                let alert = alerts::find_in(tx, run.alert_id).await?;
                let open = alert.is_some_and(|alert| match run.held {
                    Some(_) => alert.state != AlertState::Resolved,
                    None => alert.state == AlertState::Open,
                });
                let busy = run.held.is_none() && power::at_work(tx, run.xnode_id).await?.is_some();
                if !same || !open || busy || !remediations::insert_run(tx, &run).await? {
                    return Ok(());
                }
                if run.state.is_final() { tell(tx, &run).await } else { emit(tx, &run).await }
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(())
}
