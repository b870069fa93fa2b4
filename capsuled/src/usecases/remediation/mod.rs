//! Remediations: what is done by itself when an alert stays open.
//!
//! Here they are made, changed and read. `deciding` turns open alerts into runs by `rules/remediation`,
//! `acting` carries a run out: its row first, the side effect second, the outcome last. A command that was
//! begun and whose end we did not see is `unknown` and not run again for that alert; a power-cycle is an
//! operation like any other and goes on as one.

pub mod acting;
pub mod deciding;
mod proposing;
mod situation;
mod trying;
mod validate;

#[cfg(test)]
mod tests;

use capsule_api::{
    AlertChangeKind, EventKind, Remediation, RemediationAction, RemediationActionKind, RemediationCreate,
    RemediationId, RemediationName, RemediationPatch, RemediationRun, RemediationRunFilter, Role, RunState,
};
use uuid::Uuid;

pub use trying::test;

use super::{
    Expected, Listing, Slice, UseCaseError, alerts as alert_cases,
    telling::{self, Happening},
    xnodes::{self, HIDDEN},
};
use crate::{
    context::Context,
    model::Caller,
    rules::access,
    store::{
        Lane, StoreError, Tx, alerts,
        remediations::{self, Filter},
    },
};

const WHAT: &str = "remediation";

/// Every remediation, by name.
pub async fn list(context: &Context, by: &Caller) -> Result<Vec<Remediation>, UseCaseError> {
    let stored = remediations::list(&mut *context.store.reader().await?).await?;
    Ok(stored.into_iter().map(|one| shown(by.role, one)).collect())
}

/// One remediation.
pub async fn get(context: &Context, by: &Caller, given: &str) -> Result<Remediation, UseCaseError> {
    Ok(shown(by.role, stored(context, given).await?))
}

async fn stored(context: &Context, given: &str) -> Result<Remediation, UseCaseError> {
    let name: RemediationName = given.parse().map_err(|_| UseCaseError::not_found(WHAT, given))?;
    let found = remediations::find(&mut *context.store.reader().await?, &name).await?;
    found.ok_or_else(|| UseCaseError::not_found(WHAT, given))
}

/// The remediation as somebody with this role may see it: people put what they should not into arguments.
fn shown(role: Role, mut remediation: Remediation) -> Remediation {
    if let (Role::Reader, RemediationAction::Command(command)) = (role, &mut remediation.action) {
        command.args.iter_mut().for_each(|arg| HIDDEN.clone_into(arg));
    }
    remediation
}

/// Adds a remediation.
///
/// # Errors
/// [`UseCaseError::NameTaken`], [`UseCaseError::Invalid`], [`UseCaseError::RoleTooLow`] for a command.
pub async fn create(
    context: &Context,
    by: &Caller,
    new: RemediationCreate,
) -> Result<Remediation, UseCaseError> {
    let now = context.clock.now();
    let mut remediation = Remediation {
        id: RemediationId(Uuid::now_v7()),
        name: new.name,
        enabled: new.enabled,
        mode: new.mode,
        trigger: new.trigger,
        action: new.action,
        limits: new.limits,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    refuse_commands(by, &remediation)?;
    validate::complete(&context.store, &mut remediation).await?;
    let remediation = context
        .store
        .change(by, "create_remediation", remediation.name.to_string(), move |tx| {
            Box::pin(async move {
                if !remediations::insert(tx, &remediation).await? {
                    let name = remediation.name.to_string();
                    return Err(UseCaseError::NameTaken { what: WHAT, name });
                }
                announce(tx, &remediation.name).await
            })
        })
        .await?;
    context.wakes.remediation.ring();
    Ok(remediation)
}

fn refuse_commands(by: &Caller, remediation: &Remediation) -> Result<(), UseCaseError> {
    if remediation.action.kind() == RemediationActionKind::Command && !access::may_set_commands(by.role) {
        let action = "saying which command runs on xNodes";
        return Err(UseCaseError::RoleTooLow { action, needed: Role::Admin });
    }
    Ok(())
}

/// Emits the remediation as it is now stored, without what its command says, and returns it.
async fn announce(tx: &mut Tx, name: &RemediationName) -> Result<Remediation, UseCaseError> {
    let stored = remediations::find_in(tx, name).await?.ok_or_else(|| UseCaseError::not_found(WHAT, name))?;
    let told = shown(Role::Reader, stored.clone());
    tx.emit(EventKind::RemediationChanged, &stored.id.to_string(), &told).await?;
    Ok(stored)
}

/// Changes a remediation.
///
/// # Errors
/// As [`create`]; [`UseCaseError::Stale`]; [`UseCaseError::Invalid`] for an action of another kind. One with a
/// command may be switched off, and nothing else, by those who may not set commands.
pub async fn update(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
    patch: RemediationPatch,
) -> Result<Remediation, UseCaseError> {
    let present = stored(context, given).await?;
    if patch.action.as_ref().is_some_and(|action| action.kind() != present.action.kind()) {
        let reason = "a remediation keeps its kind of action; make another one";
        return Err(UseCaseError::invalid("action.kind", reason));
    }
    let only_off = RemediationPatch { enabled: Some(false), ..RemediationPatch::default() };
    let is_only_off = patch == only_off;
    if !is_only_off {
        refuse_commands(by, &present)?;
    }
    let mut changed = Remediation {
        enabled: patch.enabled.unwrap_or(present.enabled),
        mode: patch.mode.unwrap_or(present.mode),
        trigger: patch.trigger.unwrap_or(present.trigger),
        action: patch.action.unwrap_or(present.action),
        limits: patch.limits.unwrap_or(present.limits),
        updated_at: context.clock.now(),
        ..present
    };
    if !is_only_off {
        validate::complete(&context.store, &mut changed).await?;
    }
    let remediation = context
        .store
        .change(by, "update_remediation", changed.name.to_string(), move |tx| {
            Box::pin(async move {
                let found = remediations::by_id_in(tx, changed.id).await?;
                let current = found.ok_or_else(|| UseCaseError::not_found(WHAT, &changed.name))?.revision;
                expected.check(WHAT, current)?;
                // What was not in the patch was read before this transaction began.
                if !remediations::update(tx, &changed).await? {
                    return Err(UseCaseError::Stale { what: WHAT, current });
                }
                announce(tx, &changed.name).await
            })
        })
        .await?;
    context.wakes.remediation.ring();
    Ok(remediation)
}

/// Removes a remediation. A run that is under way comes to its end; runs stay known.
///
/// # Errors
/// [`UseCaseError::Stale`].
pub async fn delete(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
) -> Result<(), UseCaseError> {
    let name = stored(context, given).await?.name;
    context
        .store
        .change(by, "delete_remediation", name.to_string(), move |tx| {
            Box::pin(async move {
                let found = remediations::find_in(tx, &name).await?;
                let remediation = found.ok_or_else(|| UseCaseError::not_found(WHAT, &name))?;
                expected.check(WHAT, remediation.revision)?;
                remediations::delete(tx, remediation.id).await?;
                let gone = serde_json::json!({"id": remediation.id, "name": name, "deleted": true});
                tx.emit(EventKind::RemediationChanged, &remediation.id.to_string(), &gone).await?;
                Ok(())
            })
        })
        .await
}

/// The runs that match, newest first.
pub async fn runs(
    context: &Context,
    by: &Caller,
    filter: &RemediationRunFilter,
    listing: &Listing,
) -> Result<Slice<RemediationRun>, UseCaseError> {
    let xnode = match &filter.xnode {
        Some(given) => Some(xnodes::resolve(&context.store, given).await?),
        None => None,
    };
    let filter = Filter {
        remediation: filter.remediation.clone(),
        xnode,
        state: filter.state,
        before: listing.after()?,
    };
    let mut reader = context.store.reader().await?;
    let mut rows = remediations::runs(&mut reader, &filter, listing.limit_plus_one()).await?;
    if by.role == Role::Reader {
        rows.iter_mut().for_each(|run| run.output = None);
    }
    Ok(listing.slice(rows, |run| run.id.to_string()))
}

/// The remediation as the one who does something.
fn caller(run: &RemediationRun) -> Caller {
    Caller { name: actor(&run.remediation), ..Caller::daemon() }
}

fn actor(name: &RemediationName) -> String {
    format!("remediation:{name}")
}

/// Emits a run, without what its command printed.
async fn emit(tx: &mut Tx, run: &RemediationRun) -> Result<(), StoreError> {
    let told = RemediationRun { output: None, ..run.clone() };
    tx.emit(EventKind::RemediationChanged, &run.id.to_string(), &told).await
}

/// Emits a run that has ended, and says in its alert's timeline and to whoever was told of the alert what came of
/// it. Ring `wakes.outbox` after the commit.
async fn tell(tx: &mut Tx, run: &RemediationRun) -> Result<(), StoreError> {
    emit(tx, run).await?;
    let Some(mut alert) = alerts::find_in(tx, run.alert_id).await? else { return Ok(()) };
    alert.changed_at = tx.now();
    let tags = alert_cases::tags_of(tx, &alert).await?;
    let text = said(run);
    let happening = Happening {
        kind: AlertChangeKind::Commented,
        actor: Some(actor(&run.remediation)),
        text: text.clone(),
        comment: Some(text),
    };
    telling::tell(tx, &alert, &tags, happening).await
}

/// A run's line in the timeline.
fn said(run: &RemediationRun) -> String {
    match run.state {
        RunState::Skipped => format!("held back: {}", run.reason),
        RunState::DryRun => format!("dry run: {}", run.reason),
        RunState::Unknown => format!("outcome unknown: {}", run.reason),
        RunState::Failed => format!("failed: {}", run.reason),
        RunState::Planned | RunState::Running | RunState::Succeeded | RunState::Proposed => {
            run.reason.clone()
        }
    }
}

/// Writes the end of a run that is in the state `from`, and tells of it. Nothing happens when it is no longer in
/// that state.
async fn finish(context: &Context, run: RemediationRun, from: RunState) -> Result<(), StoreError> {
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                let run = RemediationRun { ended_at: Some(tx.now()), ..run };
                if remediations::update_run(tx, &run, from).await? {
                    tell(tx, &run).await?;
                }
                Ok(())
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(())
}
