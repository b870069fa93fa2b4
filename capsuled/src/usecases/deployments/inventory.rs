//! The moment from which a server is billed: it and its place in the inventory are one transaction. And the
//! end of a deployment that went no further: the server stays in sight.

use capsule_api::{
    AlertKind, DeploymentState as State, Expiry, ExpiryAction, Instance, Placement, Severity, XNodeId,
    XNodeStatus,
};
use capsule_providers::Provider;
use jiff::SignedDuration;
use uuid::Uuid;

use super::{
    drive::{Next, Tried, enter, write, write_in},
    key, send,
};
use crate::{
    context::Context,
    model::{Caller, Intent},
    store,
    usecases::{
        UseCaseError, problems,
        xnodes::placed::{self, NewlyKnown},
    },
};

/// Takes a server that was made into the inventory. `doubles` carry the same mark: they are told and left
/// alone, for only a person can say which of them is wanted.
pub(super) async fn take_in(
    context: &Context,
    mut intent: Intent,
    instance: &Instance,
    doubles: &[Instance],
    outcome: &str,
    provider: &dyn Provider,
) -> Result<Next, UseCaseError> {
    let (from, offer) = (intent.state, intent.offer);
    let (_, private) = key::pair(context).await?;
    let (global, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    let now = context.clock.now();
    let id = XNodeId(Uuid::now_v7());
    enter(&mut intent, State::Made, context);
    intent.instance = Some(instance.reference());
    let mut tried: Vec<(usize, Tried)> = vec![(offer, (outcome.to_owned(), send::told(instance)))];
    tried.extend(doubles.iter().map(|double| (offer, ("double".to_owned(), send::told(double)))));
    let doubles: Vec<String> = doubles.iter().map(send::told).collect();
    let bought = intent.offer_in_hand().cloned();
    let (instance, user) = (instance.clone(), provider.login_user(send::image(&intent)));
    let key = key::for_xnode(context, &private, id);
    context
        .store
        .change(&Caller::daemon(), "create_xnode", format!("{} {id}", intent.name), move |tx| {
            Box::pin(async move {
                let new = NewlyKnown {
                    id,
                    name: intent.name.clone(),
                    instance: &instance,
                    placement: Placement {
                        account: intent.account.clone(),
                        instance: instance.reference(),
                        plan: instance.plan.clone(),
                        template: bought.as_ref().and_then(|offer| offer.template.clone()),
                        expiry: expiry(&intent, now),
                    },
                    status: XNodeStatus::Deploying,
                    user: Some(user.to_owned()),
                    ssh_port: intent.spec.ssh_port.unwrap_or(22),
                    jump: None,
                    key: Some(key),
                    host_key: None,
                    tags: intent.spec.tags.clone(),
                    hourly_cost: bought.as_ref().and_then(|offer| offer.hourly_cost_micros),
                    checks: intent.spec.checks.clone(),
                };
                let xnode = placed::insert(tx, new, &global, now).await?;
                intent.xnode = Some(xnode.id);
                write_in(tx, &intent, from, &tried).await?;
                if !doubles.is_empty() {
                    let said = format!("made more than once; also billed: {}", doubles.join(", "));
                    problems::raise(tx, &xnode, AlertKind::DeploymentFailed, Severity::Critical, &said)
                        .await?;
                }
                Ok::<_, UseCaseError>(())
            })
        })
        .await?;
    context.faults.point("deploy:made");
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(Next::Now)
}

fn expiry(intent: &Intent, made: jiff::Timestamp) -> Option<Expiry> {
    let ttl = SignedDuration::from_millis(i64::try_from(intent.spec.ttl_ms?).ok()?);
    let at = made.checked_add(ttl).ok()?;
    Some(Expiry { at, action: intent.spec.ttl_action.unwrap_or(ExpiryAction::Delete) })
}

/// Ends a deployment whose server is there and not usable: it stays in the inventory with the status `error`.
pub(super) async fn leave(
    context: &Context,
    mut intent: Intent,
    state: State,
    reason: String,
) -> Result<Next, UseCaseError> {
    let from = intent.state;
    enter(&mut intent, state, context);
    intent.reason = reason;
    context
        .store
        .change(&Caller::daemon(), "update_xnode", intent.name.to_string(), move |tx| {
            Box::pin(async move {
                write_in(tx, &intent, from, &[]).await?;
                let Some(id) = intent.xnode else { return Ok(()) };
                let set = |row: &mut store::xnodes::StoredXNode| row.xnode.status = XNodeStatus::Error;
                if let Some(xnode) = placed::amend(tx, id, set).await?
                    && state == State::Failed
                {
                    let said = format!("the deployment failed: {}", intent.reason);
                    problems::raise(tx, &xnode, AlertKind::DeploymentFailed, Severity::Critical, &said)
                        .await?;
                }
                Ok::<_, UseCaseError>(())
            })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(Next::Now)
}

/// Writes what the provider says of the server, and the intent's next state, in one transaction.
pub(super) async fn move_with(
    context: &Context,
    mut intent: Intent,
    state: State,
    change: impl FnOnce(&mut store::xnodes::StoredXNode) + Send + 'static,
) -> Result<(), UseCaseError> {
    let from = intent.state;
    enter(&mut intent, state, context);
    let Some(id) = intent.xnode else { return write(context, intent, from, Vec::new()).await };
    context
        .store
        .write::<(), UseCaseError>(store::Lane::Normal, move |tx| {
            Box::pin(async move {
                placed::amend(tx, id, change).await?;
                write_in(tx, &intent, from, &[]).await
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(())
}
