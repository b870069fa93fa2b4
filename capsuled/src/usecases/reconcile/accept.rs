//! Taking a provider at its word: what it says *now*, and not what it said when the difference was found. Nothing
//! changes at the provider.

use capsule_api::{Finding, FindingKind, InstanceState, XNodeId};

use super::{Prices, get, lasting, lasting_in, seen, tell};
use crate::{
    context::Context,
    model::{Caller, SeenInstance},
    rules::reconcile::{self as rules, Accepted},
    store::{Tx, findings, xnodes::StoredXNode},
    usecases::{
        UseCaseError,
        accounts::instances,
        costs, power,
        xnodes::{self, placed},
    },
};

/// Accepts a finding: a drift is written into the inventory, a ghost leaves it.
///
/// # Errors
/// [`UseCaseError::NotFound`]; [`UseCaseError::WrongState`] for an orphan, for a finding that is over, while an
/// operation works on the xNode, for a ghost that others go through, and when the provider says something else by now;
/// [`UseCaseError::Provider`].
pub async fn accept(context: &Context, by: &Caller, given: &str) -> Result<Finding, UseCaseError> {
    let finding = lasting(get(context, given).await?)?;
    let Some(xnode) = finding.xnode else {
        return Err(UseCaseError::WrongState(format!(
            "an orphan has nothing to accept: `capsulectl adopt --finding {}` takes it into the inventory",
            finding.id.short()
        )));
    };
    let there = instances::one(context, &finding.account, &finding.instance).await?;
    let there = there.filter(|instance| instance.status != InstanceState::Deleted);
    let accepted = match (finding.kind, there) {
        (FindingKind::Ghost, None) => accept_end(context, by, finding, xnode).await?,
        (FindingKind::Ghost, Some(_)) => {
            return Err(UseCaseError::WrongState(format!("its provider has `{}` after all", finding.name)));
        }
        (_, None) => {
            return Err(UseCaseError::WrongState(format!("its provider no longer has `{}`", finding.name)));
        }
        (_, Some(instance)) => {
            let prices = Prices::listed(context, &finding.account).await?;
            accept_drift(context, by, finding, xnode, seen(instance, &prices)).await?
        }
    };
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(accepted)
}

async fn accept_end(
    context: &Context,
    by: &Caller,
    finding: Finding,
    xnode: XNodeId,
) -> Result<Finding, UseCaseError> {
    xnodes::refuse_if_jump(&context.store, xnode).await?;
    let actor = by.name.clone();
    context
        .store
        .change(by, "accept_finding", finding.id.to_string(), move |tx| {
            Box::pin(async move {
                let finding = lasting_in(tx, finding.id).await?;
                power::free(tx, xnode, &finding.name).await?;
                let because = format!("accepted by {actor}: removed from the inventory");
                let over = rules::ended(finding, because, tx.now());
                tell::change(tx, &over).await?;
                placed::remove(tx, xnode, &actor).await?;
                Ok::<_, UseCaseError>(over)
            })
        })
        .await
}

async fn accept_drift(
    context: &Context,
    by: &Caller,
    finding: Finding,
    xnode: XNodeId,
    seen: SeenInstance,
) -> Result<Finding, UseCaseError> {
    let actor = by.name.clone();
    context
        .store
        .change(by, "accept_finding", finding.id.to_string(), move |tx| {
            Box::pin(async move {
                let finding = lasting_in(tx, finding.id).await?;
                power::free(tx, xnode, &finding.name).await?;
                let row = findings::placed_in(tx, &finding.account, xnode).await?;
                let row = row.ok_or_else(|| UseCaseError::not_found("xNode", &finding.name))?;
                let accepted = rules::accept(&row, &seen);
                write(tx, xnode, &accepted, &seen).await?;
                let mut over = rules::ended(finding, format!("accepted by {actor}"), tx.now());
                over.drift.clone_from(&accepted.drift);
                tell::change(tx, &over).await?;
                tell::judge(tx, &over).await?;
                Ok::<_, UseCaseError>(over)
            })
        })
        .await
}

async fn write(
    tx: &mut Tx,
    xnode: XNodeId,
    accepted: &Accepted,
    seen: &SeenInstance,
) -> Result<(), UseCaseError> {
    let changed = placed::amend(tx, xnode, |row| apply(row, accepted, seen)).await?;
    findings::set_known(tx, xnode, &accepted.known).await?;
    if let (Some(xnode), Some((price, _))) = (changed, accepted.price) {
        costs::note_price(tx, &xnode, price).await?;
    }
    Ok(())
}

fn apply(row: &mut StoredXNode, accepted: &Accepted, seen: &SeenInstance) {
    let xnode = &mut row.xnode;
    if let (Some(placement), Some(plan)) = (&mut xnode.placement, &accepted.plan) {
        placement.plan.clone_from(plan);
        // The size it was deployed with is not the one it has.
        placement.template = None;
    }
    if let Some(region) = &accepted.region {
        xnode.region = Some(region.clone());
    }
    if accepted.address {
        placed::set_address(xnode, &seen.instance);
    }
    if let Some(status) = accepted.status {
        xnode.status = status;
    }
    if let Some(tags) = &accepted.tags {
        xnode.tags.clone_from(tags);
        xnode.tags.sort();
        xnode.tags.dedup();
    }
    if let Some((_, usd)) = accepted.price {
        xnode.hourly_cost_micros = Some(usd);
    }
}
