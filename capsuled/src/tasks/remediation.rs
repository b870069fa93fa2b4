//! Acts on alerts that stay open: decides, begins, follows. Woken by changes of alerts, operations and
//! remediations, and by the clock.
//!
//! A command runs beside the loop, which must go on deciding; everything else is a row.

use std::{collections::HashSet, sync::Arc, time::Duration};

use capsule_api::{Event, EventKind, RemediationRunId};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    context::{Context, TaskHandle},
    logging::Chain,
    store::StoreError,
    usecases::remediation::{acting, deciding},
};

/// Commands that run at the same time.
const AT_ONCE: usize = 8;

/// Works until `stop`; commands that run then are waited for as long as the supervisor waits for us.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let mut events = context.store.subscribe();
    let mut commands: JoinSet<RemediationRunId> = JoinSet::new();
    let mut ours: HashSet<RemediationRunId> = HashSet::new();
    let mut taken_over = false;
    loop {
        let (at, began) = (context.clock.now(), context.clock.elapsed());
        let outcome = run_once(&context, &mut taken_over, &mut commands, &mut ours).await;
        let error = outcome.as_ref().err().map(|error| Chain(error).to_string());
        if let Some(error) = &error {
            tracing::warn!(error, "could not look after remediations; trying again");
        }
        handle.ran(at, context.clock.elapsed().saturating_sub(began), error);
        let pause = outcome.unwrap_or(Some(super::AFTER_FAILURE));
        tokio::select! {
            () = stop.cancelled() => break,
            () = context.wakes.remediation.rung() => {}
            () = relevant(&mut events) => {
                // A storm of alerts is one look, not thousands.
                context.clock.sleep(super::BETWEEN_RELOADS).await;
                while events.try_recv().is_ok() {}
            }
            () = super::sleep_or_never(&context.clock, pause) => {}
            Some(done) = commands.join_next() => match done {
                Ok(id) => _ = ours.remove(&id),
                // Its row stays `running` and is ended as unknown by the next process.
                Err(error) => tracing::error!(%error, "a remediation's command panicked"),
            }
        }
    }
    while commands.join_next().await.is_some() {}
}

/// One look; returns how long until the next one without news.
async fn run_once(
    context: &Context,
    taken_over: &mut bool,
    commands: &mut JoinSet<RemediationRunId>,
    ours: &mut HashSet<RemediationRunId>,
) -> Result<Option<Duration>, StoreError> {
    if !*taken_over {
        acting::take_over(context).await?;
        *taken_over = true;
    }
    begin(context, commands, ours).await?;
    let pause = deciding::decide(context, AT_ONCE.saturating_sub(commands.len())).await?;
    begin(context, commands, ours).await?;
    Ok(pause)
}

async fn begin(
    context: &Context,
    commands: &mut JoinSet<RemediationRunId>,
    ours: &mut HashSet<RemediationRunId>,
) -> Result<(), StoreError> {
    for begun in acting::follow(context, ours).await? {
        let (id, context) = (begun.id(), context.clone());
        ours.insert(id);
        commands.spawn(async move {
            if let Err(error) = acting::command(&context, begun).await {
                tracing::error!(run.id = %id, error = %Chain(&error), "could not write the end of a remediation");
            }
            id
        });
    }
    Ok(())
}

/// Returns when something happened that may matter. Cancel-safe.
async fn relevant(events: &mut Receiver<Arc<Event>>) {
    loop {
        match events.recv().await {
            Ok(event) if matters(event.kind) => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

const fn matters(kind: EventKind) -> bool {
    matches!(kind, EventKind::AlertChanged | EventKind::OperationChanged | EventKind::XNodeUpdated)
}
