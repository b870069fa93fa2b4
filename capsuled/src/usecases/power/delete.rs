//! Deleting a server: the intent first, then the provider, and the inventory last, once the provider says that
//! it is gone.

use capsule_api::{
    AlertKind, DeploymentState as State, InstanceState, IntentId, IntentKind, Leftover, Operation, Placement,
    ServerSpec, Severity, TerminateRequest, XNode, XNodeStatus,
};
use capsule_providers::ProviderError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Ended, LONGEST_SWITCH, Steered, Waited, accounts, failed};
use crate::{
    context::Context,
    model::{Caller, Intent},
    rules::deployments::{POLL, look_until, pause},
    store::{self, StoreError, intents},
    usecases::{UseCaseError, problems, xnodes::placed},
};

/// What an intent to delete remembers: afterwards nobody could tell what belonged to the server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Remembered {
    with_volumes: bool,
    leftovers: Vec<Leftover>,
}

/// The intent's row.
pub(super) fn intent(
    operation: &Operation,
    xnode: &XNode,
    placement: &Placement,
    request: TerminateRequest,
) -> Intent {
    let remembered = Remembered { with_volumes: request.with_volumes, leftovers: Vec::new() };
    Intent {
        id: IntentId(Uuid::now_v7()),
        kind: IntentKind::Delete,
        operation: operation.id,
        name: xnode.name.clone(),
        spec: ServerSpec { tags: xnode.tags.clone(), ..ServerSpec::default() },
        user_data: None,
        offers: Vec::new(),
        offer: 0,
        state: State::Planned,
        state_at: operation.created_at,
        account: placement.account.clone(),
        region: xnode.region.as_ref().map(ToString::to_string).unwrap_or_default(),
        prepared: serde_json::to_value(remembered).unwrap_or_default(),
        instance: Some(placement.instance.clone()),
        sends: 0,
        sent_at: None,
        looked_until: None,
        xnode: Some(xnode.id),
        reason: String::new(),
        created_at: operation.created_at,
        updated_at: operation.created_at,
    }
}

pub(super) async fn carry_out(context: &Context, operation: &Operation) -> Result<Ended, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let Some((id, _)) = intents::of_operation(&mut reader, operation.id).await?.into_iter().next() else {
        return Ok(failed("failed", "the operation has no intent"));
    };
    let found = intents::find(&mut reader, id).await?;
    let stop = store::operations::is_cancel_requested(&mut reader, operation.id).await?;
    drop(reader);
    let Some((intent, instance)) = found.and_then(|intent| {
        let instance = intent.instance.clone()?;
        Some((intent, instance))
    }) else {
        return Ok(failed("failed", "the intent names no server"));
    };
    match intent.state {
        State::Succeeded => return Ok(done(&intent)),
        State::Failed => return Ok(failed("failed", intent.reason)),
        State::Cancelled => return Ok(Ended::Cancelled(intent.reason)),
        State::Planned if stop => {
            let why = "stopped on request; nothing was deleted".to_owned();
            end(context, intent, State::Cancelled, why.clone()).await?;
            return Ok(Ended::Cancelled(why));
        }
        _ => {}
    }
    let provider = match accounts::client(context, &intent.account).await {
        Ok(provider) => provider,
        Err(UseCaseError::Store(error)) => return Err(error.into()),
        Err(error) => return give_up(context, intent, error.to_string()).await,
    };
    let until = context.clock.elapsed() + LONGEST_SWITCH;
    let steered = Steered { context, operation, provider, instance, until };
    match delete(&steered, intent).await? {
        Ok(ended) => Ok(ended),
        Err((intent, why)) => give_up(context, intent, why).await,
    }
}

type GaveUp = (Intent, String);

async fn delete(steered: &Steered<'_>, mut intent: Intent) -> Result<Result<Ended, GaveUp>, UseCaseError> {
    let context = steered.context;
    let mut remembered: Remembered = serde_json::from_value(intent.prepared.clone()).unwrap_or_default();
    if intent.state == State::Planned {
        if let Err(why) = until_seen(steered, &intent).await? {
            return Ok(Err((intent, why)));
        }
        if remembered.with_volumes {
            match until_answered(steered, Ask::Leftovers).await? {
                Ok(leftovers) => remembered.leftovers = leftovers,
                Err(why) => return Ok(Err((intent, why))),
            }
        }
        intent.prepared = serde_json::to_value(&remembered).unwrap_or_default();
        intent = move_to(context, intent, State::Sending, String::new()).await?;
    }
    context.faults.point("delete:sent");
    if let Err(why) = until_answered(steered, Ask::Delete).await? {
        return Ok(Err((intent, why)));
    }
    context.faults.point("delete:asked");
    if let Err(why) = until_gone(steered).await? {
        return Ok(Err((intent, why)));
    }
    context.faults.point("delete:gone");
    let mut kept = Vec::new();
    for leftover in &remembered.leftovers {
        if let Err(why) = until_answered(steered, Ask::DeleteLeftover(leftover)).await? {
            kept.push(format!("{} {}: {why}", leftover.kind, leftover.label));
        }
    }
    take_out(context, intent.clone(), &steered.operation.created_by, &kept).await?;
    if !kept.is_empty() {
        let said = format!("it is deleted, and this still costs: {}", kept.join("; "));
        return Ok(Ok(failed("leftovers_remain", said)));
    }
    Ok(Ok(done(&intent)))
}

/// What the provider is asked.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Leftovers,
    Delete,
    DeleteLeftover(&'a Leftover),
}

async fn ask(steered: &Steered<'_>, what: Ask<'_>) -> capsule_providers::Result<Vec<Leftover>> {
    let done = match what {
        Ask::Leftovers => return steered.provider.leftovers(&steered.instance).await,
        Ask::Delete => steered.provider.delete(&steered.instance).await,
        Ask::DeleteLeftover(leftover) => steered.provider.delete_leftover(leftover).await,
    };
    match done {
        // Whether a deletion happened, the provider's record says.
        Ok(()) | Err(ProviderError::UnknownOutcome { .. } | ProviderError::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Asks until there is an answer, or why there is none.
async fn until_answered(
    steered: &Steered<'_>,
    what: Ask<'_>,
) -> Result<Result<Vec<Leftover>, String>, UseCaseError> {
    let mut errors = 0;
    loop {
        match ask(steered, what).await {
            Ok(answer) => return Ok(Ok(answer)),
            Err(error) if error.is_transient() => {
                errors += 1;
                if steered.pause(pause(errors), false).await?.is_err() {
                    return Ok(Err(error.to_string()));
                }
            }
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
}

/// A server that was made a moment ago may be unknown to its own provider, whose "gone" means nothing then and
/// would leave it billed unseen: waits until it was seen once, or cannot merely be late.
async fn until_seen(steered: &Steered<'_>, intent: &Intent) -> Result<Result<(), String>, UseCaseError> {
    let context = steered.context;
    let stored = match intent.xnode {
        Some(id) => store::xnodes::find(&mut *context.store.reader().await?, id).await?,
        None => None,
    };
    let Some(stored) = stored else { return Ok(Ok(())) };
    let visible_by = look_until(stored.xnode.created_at, steered.provider.visibility_lag());
    let mut errors = 0;
    loop {
        let (last, rest) = match steered.provider.instance(&steered.instance).await {
            Ok(Some(_)) => return Ok(Ok(())),
            Ok(None) if visible_by <= context.clock.now() => return Ok(Ok(())),
            Ok(None) => ("the provider does not show it yet".to_owned(), POLL),
            Err(error) if error.is_transient() => {
                errors += 1;
                (error.to_string(), pause(errors))
            }
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Err(Waited::Stopped | Waited::TooLong) = steered.pause(rest, false).await? {
            return Ok(Err(last));
        }
    }
}

/// Waits until the provider says that it is gone.
async fn until_gone(steered: &Steered<'_>) -> Result<Result<(), String>, UseCaseError> {
    let mut errors = 0;
    loop {
        let (last, rest) = match steered.provider.instance(&steered.instance).await {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(seen)) if seen.status == InstanceState::Deleted => return Ok(Ok(())),
            Ok(Some(seen)) => (format!("it is still {} at the provider", seen.status), POLL),
            Err(error) if error.is_transient() => {
                errors += 1;
                (error.to_string(), pause(errors))
            }
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Err(Waited::Stopped | Waited::TooLong) = steered.pause(rest, false).await? {
            return Ok(Err(last));
        }
    }
}

fn done(intent: &Intent) -> Ended {
    Ended::Done(serde_json::json!({ "deployment": intent.id, "xnode": intent.xnode, "name": intent.name }))
}

fn entered(context: &Context, mut intent: Intent, state: State, reason: String) -> Intent {
    intent.state = state;
    intent.state_at = context.clock.now();
    intent.reason = reason;
    intent
}

async fn move_to(
    context: &Context,
    intent: Intent,
    state: State,
    reason: String,
) -> Result<Intent, UseCaseError> {
    let from = intent.state;
    let mut intent = entered(context, intent, state, reason);
    if state == State::Sending {
        intent.sends += 1;
        intent.sent_at = Some(intent.state_at);
    }
    let row = intent.clone();
    context
        .store
        .write::<_, StoreError>(store::Lane::Normal, move |tx| {
            Box::pin(async move { intents::update(tx, &row, from).await.map(drop) })
        })
        .await?;
    Ok(intent)
}

async fn end(context: &Context, intent: Intent, state: State, why: String) -> Result<(), UseCaseError> {
    move_to(context, intent, state, why).await.map(drop)
}

/// The xNode stays: nobody said that its server is gone.
async fn give_up(context: &Context, intent: Intent, why: String) -> Result<Ended, UseCaseError> {
    let from = intent.state;
    let row = entered(context, intent, State::Failed, why.clone());
    context
        .store
        .change(&Caller::daemon(), "update_xnode", row.name.to_string(), move |tx| {
            Box::pin(async move {
                intents::update(tx, &row, from).await?;
                let Some(id) = row.xnode else { return Ok(()) };
                let set = |stored: &mut store::xnodes::StoredXNode| stored.xnode.status = XNodeStatus::Error;
                if let Some(xnode) = placed::amend(tx, id, set).await? {
                    let said = format!("the deletion failed: {}", row.reason);
                    problems::raise(tx, &xnode, AlertKind::DeploymentFailed, Severity::Critical, &said)
                        .await?;
                }
                Ok::<_, UseCaseError>(())
            })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(failed("deletion_failed", why))
}

/// Out of the inventory, in one transaction with the intent's end.
async fn take_out(
    context: &Context,
    intent: Intent,
    actor: &str,
    kept: &[String],
) -> Result<(), UseCaseError> {
    let from = intent.state;
    let row = entered(context, intent, State::Succeeded, kept.join("; "));
    let actor = actor.to_owned();
    context
        .store
        .change(&Caller::daemon(), "delete_xnode", row.name.to_string(), move |tx| {
            Box::pin(async move {
                intents::update(tx, &row, from).await?;
                match row.xnode {
                    Some(id) => placed::remove(tx, id, &actor).await,
                    None => Ok(()),
                }
            })
        })
        .await?;
    context.faults.point("delete:removed");
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(())
}
