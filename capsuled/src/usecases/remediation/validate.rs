//! What a remediation may be, before it is stored.

use std::{collections::BTreeSet, ops::RangeInclusive};

use capsule_api::{CommandAction, Remediation, RemediationAction};

use super::super::{UseCaseError, xnodes};
use crate::{rules::remediation as rules, store::Store};

const MOST_ARGS: usize = 64;
const LONGEST_COMMAND: usize = 16 * 1024;
const MOST_TAGS: usize = 32;
const MOST_XNODES: usize = 1_000;
const WEEK_MS: u64 = 7 * 86_400_000;

/// Refuses what cannot work, and puts ids in place of the names of xNodes.
pub(super) async fn complete(store: &Store, remediation: &mut Remediation) -> Result<(), UseCaseError> {
    kinds(remediation)?;
    within("trigger.after_ms", remediation.trigger.after_ms, 0..=WEEK_MS)?;
    within("limits.max_per_hour", remediation.limits.max_per_hour.into(), 1..=60)?;
    within("limits.cooldown_ms", remediation.limits.cooldown_ms, 60_000..=WEEK_MS)?;
    if let RemediationAction::Command(command) = &remediation.action {
        check_command(command)?;
    }
    let trigger = &mut remediation.trigger;
    if MOST_TAGS < trigger.tags.len() || MOST_XNODES < trigger.xnodes.len() {
        let reason = format!("at most {MOST_TAGS} tags and {MOST_XNODES} xNodes");
        return Err(UseCaseError::invalid("trigger", reason));
    }
    trigger.tags =
        std::mem::take(&mut trigger.tags).into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut ids = BTreeSet::new();
    for given in &trigger.xnodes {
        ids.insert(xnodes::resolve(store, given).await?.to_string());
    }
    trigger.xnodes = ids.into_iter().collect();
    Ok(())
}

fn kinds(remediation: &mut Remediation) -> Result<(), UseCaseError> {
    let action = remediation.action.kind();
    let kinds: BTreeSet<_> = remediation.trigger.kinds.iter().copied().collect();
    if kinds.is_empty() {
        return Err(UseCaseError::invalid("trigger.kinds", "name at least one kind of alert"));
    }
    if let Some(unfit) = kinds.iter().find(|kind| !rules::fits(action, **kind)) {
        let fit = capsule_api::AlertKind::ALL.iter().filter(|kind| rules::fits(action, **kind));
        let fit: Vec<&str> = fit.map(|kind| kind.as_str()).collect();
        let reason = format!("{action} is no answer to {unfit}; it is one to {}", fit.join(", "));
        return Err(UseCaseError::invalid("trigger.kinds", reason));
    }
    remediation.trigger.kinds = kinds.into_iter().collect();
    Ok(())
}

fn check_command(command: &CommandAction) -> Result<(), UseCaseError> {
    within("action.timeout_ms", command.timeout_ms, 1_000..=900_000)?;
    if command.program.trim().is_empty() || command.program.chars().any(char::is_control) {
        let reason = "it must be the name or path of a program";
        return Err(UseCaseError::invalid("action.program", reason));
    }
    if MOST_ARGS < command.args.len() {
        return Err(UseCaseError::invalid("action.args", format!("at most {MOST_ARGS}")));
    }
    let length: usize = command.args.iter().map(String::len).sum::<usize>() + command.program.len();
    if LONGEST_COMMAND < length {
        return Err(UseCaseError::invalid("action.args", "at most 16 KiB together"));
    }
    if command.args.iter().any(|arg| arg.contains('\0')) {
        return Err(UseCaseError::invalid("action.args", "no program can receive a NUL byte"));
    }
    Ok(())
}

fn within(field: &str, value: u64, possible: RangeInclusive<u64>) -> Result<(), UseCaseError> {
    if possible.contains(&value) {
        return Ok(());
    }
    let reason = format!("it must be {} to {}", possible.start(), possible.end());
    Err(UseCaseError::invalid(field, reason))
}
