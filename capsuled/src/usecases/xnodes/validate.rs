//! What an xNode may look like. Pure: values in, a refusal or nothing out.

use std::collections::BTreeSet;

use capsule_api::{Check, CheckCreate, CheckId, CheckKind, CheckName, Settings, Tag, UsdMicros, XNode};
use uuid::Uuid;

use super::super::{UseCaseError, settings};
use crate::probe;

const MOST_TAGS: usize = 32;
const MOST_CHECKS: usize = 64;
/// A server at a billion dollars an hour is a mistyped one.
const HIGHEST_COST: UsdMicros = UsdMicros(1_000_000_000_000_000);
const CHECK_INTERVAL_MS: std::ops::RangeInclusive<u64> = 1_000..=86_400_000;
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=60_000;
const METRICS_INTERVAL_MS: std::ops::RangeInclusive<u64> = 5_000..=86_400_000;
const COUNT: std::ops::RangeInclusive<u32> = 1..=20;

/// Refuses an xNode with an impossible value. Names, addresses and labels are valid by their types.
pub(super) fn xnode(xnode: &XNode) -> Result<(), UseCaseError> {
    login(xnode.ssh.port, xnode.ssh.user.as_deref())?;
    if xnode.hourly_cost_micros.is_some_and(|cost| !(UsdMicros(0)..=HIGHEST_COST).contains(&cost)) {
        return Err(UseCaseError::invalid("hourly_cost_micros", "it must be 0 to 1,000,000,000 dollars"));
    }
    if xnode.metrics_interval_ms.is_some_and(|ms| ms != 0 && !METRICS_INTERVAL_MS.contains(&ms)) {
        return Err(UseCaseError::invalid("metrics_interval_ms", "it must be 0, or 5,000 to 86,400,000"));
    }
    settings::refuse_unusable(&xnode.thresholds)
}

/// Refuses a port or a user that no SSH server has.
pub(super) fn login(port: u16, user: Option<&str>) -> Result<(), UseCaseError> {
    if port == 0 {
        return Err(UseCaseError::invalid("ssh.port", "it must be 1 to 65535"));
    }
    match user {
        Some(user) if !is_user_name(user) => Err(UseCaseError::invalid(
            "ssh.user",
            "it must be 1 to 32 letters, digits, `_`, `-` and `.`, beginning with a letter or `_`",
        )),
        _ => Ok(()),
    }
}

/// What `useradd` accepts, with capitals and dots as directories have them.
pub(super) fn is_user_name(user: &str) -> bool {
    let stem = user.strip_suffix('$').unwrap_or(user);
    user.len() <= 32
        && stem.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && stem.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// The tags, sorted and each once.
pub(super) fn tags(given: Vec<Tag>) -> Result<Vec<Tag>, UseCaseError> {
    let tags: BTreeSet<Tag> = given.into_iter().collect();
    if MOST_TAGS < tags.len() {
        return Err(UseCaseError::invalid("tags", "there may be at most 32"));
    }
    Ok(tags.into_iter().collect())
}

/// The checks as they will be stored. One that has the name of a check in `present` keeps that check's id,
/// and with it state and history.
pub(super) fn checks(
    given: Vec<CheckCreate>,
    present: &[Check],
    global: &Settings,
) -> Result<Vec<Check>, UseCaseError> {
    if MOST_CHECKS < given.len() {
        return Err(UseCaseError::invalid("checks", "there may be at most 64"));
    }
    let mut taken: BTreeSet<CheckName> = given.iter().filter_map(|check| check.name.clone()).collect();
    let named = given.iter().filter(|check| check.name.is_some()).count();
    if taken.len() < named {
        return Err(UseCaseError::invalid("checks", "each check needs a name of its own"));
    }
    let mut checks = Vec::with_capacity(given.len());
    for (place, new) in given.into_iter().enumerate() {
        let kind = new.probe.kind();
        let name = new.name.clone().unwrap_or_else(|| free_name(kind, &mut taken));
        let kept = present.iter().find(|check| check.name == name);
        let id = kept.map_or_else(|| CheckId(Uuid::now_v7()), |check| check.id);
        let check = check(id, name, new);
        refuse_check(&format!("checks[{place}]"), &check, global)?;
        checks.push(check);
    }
    Ok(checks)
}

fn check(id: CheckId, name: CheckName, new: CheckCreate) -> Check {
    let CheckCreate { name: _, probe, interval_ms, timeout_ms, down_after, up_after, enabled } = new;
    Check { id, name, probe, interval_ms, timeout_ms, down_after, up_after, enabled }
}

/// `http`, then `http-2`, `http-3` ….
fn free_name(kind: CheckKind, taken: &mut BTreeSet<CheckName>) -> CheckName {
    let mut names = std::iter::once(kind.to_string()).chain((2..).map(|n| format!("{kind}-{n}")));
    let free = names.find_map(|name| name.parse().ok().filter(|name| taken.insert(CheckName::clone(name))));
    free.expect("there are more names than checks")
}

fn refuse_check(field: &str, check: &Check, global: &Settings) -> Result<(), UseCaseError> {
    let invalid = |name: &str, reason: &str| Err(UseCaseError::invalid(format!("{field}.{name}"), reason));
    probe::validate(&check.probe)
        .map_err(|error| UseCaseError::invalid(format!("{field}.probe.{}", error.field), error.problem))?;
    if check.interval_ms.is_some_and(|ms| !CHECK_INTERVAL_MS.contains(&ms)) {
        return invalid("interval_ms", "it must be 1,000 to 86,400,000");
    }
    if check.timeout_ms.is_some_and(|ms| !TIMEOUT_MS.contains(&ms)) {
        return invalid("timeout_ms", "it must be 100 to 60,000");
    }
    let interval = check.interval_ms.unwrap_or(global.check_interval_ms);
    if check.timeout_ms.is_some_and(|timeout| interval < timeout) {
        return invalid("timeout_ms", "it must not be above the interval");
    }
    if check.down_after.is_some_and(|count| !COUNT.contains(&count)) {
        return invalid("down_after", "it must be 1 to 20");
    }
    if check.up_after.is_some_and(|count| !COUNT.contains(&count)) {
        return invalid("up_after", "it must be 1 to 20");
    }
    Ok(())
}
