//! Carries runs out: the row says so first, then it is done, then the row says how it ended.

use std::{collections::HashSet, time::Duration};

use capsule_api::{
    AlertState, CommandAction, HeldBack, OperationKind, OperationState, Remediation, RemediationAction,
    RemediationActionKind, RemediationMode, RemediationRun, RemediationRunId, RunState,
};

use super::{caller, emit, finish};
use crate::{
    context::Context,
    logging::Chain,
    ssh::{self, Command, Limits, Output, Remote, SshError, Stage},
    store::{self, StoreError, Tx, alerts, remediations, xnodes::StoredXNode},
    usecases::{
        UseCaseError, power,
        reaching::{self, Keys},
    },
};

/// The most lines, and characters of a line, that are kept of what a command printed.
const LINES: usize = 20;
const LINE_CHARS: usize = 200;

/// A command that is to be run now.
#[derive(Debug)]
pub struct Begun {
    run: RemediationRun,
    stored: StoredXNode,
    action: CommandAction,
}

impl Begun {
    /// The run.
    pub fn id(&self) -> RemediationRunId {
        self.run.id
    }
}

/// Ends what an earlier process had planned and not begun: nothing was done, and what was true then may not be
/// now, so it is decided again. Called once, before anything else; moments cannot tell processes apart, because
/// clocks are set back.
pub async fn take_over(context: &Context) -> Result<(), StoreError> {
    let unfinished = remediations::unfinished(&mut *context.store.reader().await?).await?;
    for run in unfinished.into_iter().filter(|run| run.state == RunState::Planned) {
        overtaken(context, run, "the daemon ended before it began".to_owned()).await?;
    }
    Ok(())
}

/// Looks after every run that has not ended: begins what is planned, follows what is an operation, and ends as
/// `unknown` what an earlier process had begun, which is every running command that is not among `ours`.
/// Returns the commands to be run, each by [`command`].
pub async fn follow(context: &Context, ours: &HashSet<RemediationRunId>) -> Result<Vec<Begun>, StoreError> {
    let unfinished = remediations::unfinished(&mut *context.store.reader().await?).await?;
    let mut begun = Vec::new();
    for run in unfinished.into_iter().filter(|run| !ours.contains(&run.id)) {
        match (run.state, run.operation_id) {
            (RunState::Planned, _) => begun.extend(begin(context, run).await?),
            (_, Some(_)) => follow_operation(context, run).await?,
            (_, None) => {
                let reason = "the daemon ended while the command ran; it may have done its work".to_owned();
                let run = RemediationRun { state: RunState::Unknown, reason, ..run };
                finish(context, run, RunState::Running).await?;
            }
        }
    }
    Ok(begun)
}

/// Begins a planned run, unless things changed since it was planned.
async fn begin(context: &Context, run: RemediationRun) -> Result<Option<Begun>, StoreError> {
    let (target, by, planned) = (run.xnode_id.to_string(), caller(&run), run.clone());
    let action = match run.action {
        RemediationActionKind::PowerCycle => "restart_xnode",
        _ => "run_remediation",
    };
    let begun = context
        .store
        .change(&by.clone(), action, target, move |tx| {
            Box::pin(async move {
                let remediation = still_wanted(tx, &planned).await?;
                let mut run = RemediationRun { state: RunState::Running, began_at: tx.now(), ..planned };
                if let RemediationAction::PowerCycle(power) = &remediation.action {
                    let given = run.xnode.to_string();
                    let kind = OperationKind::RestartXNode;
                    let operation = power::begin_in(tx, &by, run.xnode_id, &given, kind, power.force).await?;
                    run.operation_id = Some(operation.id);
                }
                remediations::update_run(tx, &run, RunState::Planned).await?;
                emit(tx, &run).await?;
                Ok::<_, UseCaseError>((run, remediation.action))
            })
        })
        .await;
    let (run, action) = match begun {
        Ok(begun) => begun,
        Err(UseCaseError::Store(error)) => return Err(error),
        Err(error) => {
            overtaken(context, run, error.to_string()).await?;
            return Ok(None);
        }
    };
    context.faults.point("remediation:started");
    let RemediationAction::Command(action) = action else {
        context.wakes.operations.ring();
        return Ok(None);
    };
    let found = store::xnodes::find(&mut *context.store.reader().await?, run.xnode_id).await?;
    let Some(stored) = found else {
        let reason = "the xNode was removed meanwhile".to_owned();
        finish(context, RemediationRun { state: RunState::Failed, reason, ..run }, RunState::Running).await?;
        return Ok(None);
    };
    Ok(Some(Begun { run, stored, action }))
}

async fn overtaken(context: &Context, run: RemediationRun, reason: String) -> Result<(), StoreError> {
    let run = RemediationRun { state: RunState::Skipped, held: Some(HeldBack::Overtaken), reason, ..run };
    finish(context, run, RunState::Planned).await
}

/// The remediation of a planned run, when the alert is still there and nobody looks at it.
async fn still_wanted(tx: &mut Tx, run: &RemediationRun) -> Result<Remediation, UseCaseError> {
    let no = |why: &str| UseCaseError::WrongState(why.to_owned());
    let found = remediations::by_id_in(tx, run.remediation_id).await?;
    let remediation = found
        .filter(|one| one.enabled && one.mode == RemediationMode::Act)
        .ok_or_else(|| no("the remediation was switched off before it began"))?;
    match alerts::find_in(tx, run.alert_id).await?.map(|alert| alert.state) {
        Some(AlertState::Open) => {}
        Some(AlertState::Acknowledged) => return Err(no("the alert was acknowledged before it began")),
        Some(AlertState::Resolved) | None => return Err(no("the alert was over before it began")),
    }
    if power::at_work(tx, run.xnode_id).await?.is_some() {
        return Err(no("an operation began to work on the xNode before"));
    }
    Ok(remediation)
}

/// Ends a run whose operation has ended.
async fn follow_operation(context: &Context, run: RemediationRun) -> Result<(), StoreError> {
    let Some(id) = run.operation_id else { return Ok(()) };
    let operation = store::operations::find(&mut *context.store.reader().await?, id).await?;
    let (state, reason) = match operation {
        None => (RunState::Unknown, "its operation is no longer known".to_owned()),
        Some(operation) => match operation.state {
            OperationState::Pending | OperationState::Running => return Ok(()),
            OperationState::Succeeded => {
                (RunState::Succeeded, "restarted it at its provider; it runs there again".to_owned())
            }
            OperationState::Failed => {
                let detail = operation.error.map(|problem| problem.detail).unwrap_or_default();
                (RunState::Failed, format!("the restart at its provider failed: {detail}"))
            }
            OperationState::Cancelled => {
                (RunState::Unknown, format!("the restart was cancelled: {}", operation.stage))
            }
        },
    };
    finish(context, RemediationRun { state, reason, ..run }, RunState::Running).await
}

/// Runs a command that has begun, to its end, and writes what came of it.
pub async fn command(context: &Context, begun: Begun) -> Result<(), StoreError> {
    let Begun { run, stored, action } = begun;
    let began = context.clock.elapsed();
    let outcome = over_ssh(context, &stored, &action).await;
    let took = context.clock.elapsed().saturating_sub(began);
    context.faults.point("remediation:done");
    let run = match outcome {
        Ok(output) => ended(run, &action.program, &output, took),
        Err(Trouble::Before(why)) => {
            let reason = format!("`{}` was not run: {why}", action.program);
            RemediationRun { state: RunState::Failed, reason, ..run }
        }
        Err(Trouble::Meanwhile(why)) => {
            let reason = format!("`{}` was begun, and then: {why}", action.program);
            RemediationRun { state: RunState::Unknown, reason, ..run }
        }
    };
    loop {
        match finish(context, run.clone(), RunState::Running).await {
            // What was seen must not be lost to a full disk.
            Err(error) if error.is_transient() => {
                tracing::warn!(run.id = %run.id, %error, "the end of a remediation waits for the database");
                context.clock.sleep(Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
}

/// Why a command did not come to an end that we saw.
enum Trouble {
    /// It was not begun.
    Before(String),
    /// It may have been.
    Meanwhile(String),
}

async fn over_ssh(
    context: &Context,
    stored: &StoredXNode,
    action: &CommandAction,
) -> Result<Output, Trouble> {
    let before = |error: &dyn std::error::Error| Trouble::Before(Chain(error).to_string());
    let others = jump_hosts(context, stored).await.map_err(|error| before(&error))?;
    let by_name = |name: &str| others.iter().find(|other| other.xnode.name.as_str() == name);
    let keys = Keys { seal: context.seal.clone(), agent_socket: context.agent_socket.clone() };
    let destination = reaching::destination(stored, &keys, &by_name).map_err(|error| before(&error))?;
    let session = ssh::connect(&destination, Limits::default()).await.map_err(|error| before(&error))?;
    let command = Command::new(action.program.clone()).args(action.args.clone());
    let output = session.run(command, Duration::from_millis(action.timeout_ms)).await;
    let output = output.map_err(|error| match error {
        error if error.is_stale() => before(&error),
        SshError::BadCommand => before(&error),
        SshError::TimedOut { stage: Stage::Command } => Trouble::Meanwhile(format!(
            "it did not end within {} s and may still run",
            action.timeout_ms / 1_000
        )),
        error => Trouble::Meanwhile(Chain(&error).to_string()),
    });
    if output.is_ok() {
        session.close().await;
    }
    output
}

/// Whoever may stand on the way.
async fn jump_hosts(context: &Context, stored: &StoredXNode) -> Result<Vec<StoredXNode>, StoreError> {
    if stored.xnode.ssh.jump.is_none() {
        return Ok(Vec::new());
    }
    let mut reader = context.store.reader().await?;
    store::xnodes::list(&mut reader, &store::xnodes::Filter::default(), i64::MAX).await
}

fn ended(run: RemediationRun, program: &str, output: &Output, took: Duration) -> RemediationRun {
    let seconds = took.as_secs_f64();
    let (state, reason) = match output.status {
        Some(0) => (RunState::Succeeded, format!("ran `{program}` over SSH: done after {seconds:.1} s")),
        Some(status) => {
            (RunState::Failed, format!("ran `{program}` over SSH: exit status {status} after {seconds:.1} s"))
        }
        None => {
            (RunState::Failed, format!("ran `{program}` over SSH: ended by a signal after {seconds:.1} s"))
        }
    };
    RemediationRun { state, reason, exit_status: output.status, output: last_lines(output), ..run }
}

/// The end of what a command printed, standard error last, safe to show.
fn last_lines(output: &Output) -> Option<String> {
    let lines = |bytes: &[u8]| -> Vec<String> {
        let lines = bytes.rsplit(|byte| *byte == b'\n').map(|line| ssh::printable(line, LINE_CHARS));
        lines.filter(|line| !line.is_empty()).take(LINES).collect()
    };
    let mut last: Vec<String> = lines(&output.stderr);
    last.extend(lines(&output.stdout));
    last.truncate(LINES);
    last.reverse();
    (!last.is_empty()).then(|| last.join("\n"))
}
