//! How everything is watched: settings, thresholds by tag, budgets.

use capsule_api::{
    Budget, BudgetScope, BudgetSet, EventKind, Label, Settings, SettingsPatch, Tag, TagThresholds,
    ThresholdOverrides, UsdMicros,
};
use serde_json::json;

use super::{Expected, UseCaseError, costs};
use crate::{
    context::Context,
    model::Caller,
    rules::thresholds::{self, InvalidThreshold},
    store::{Tx, settings},
};

const WHAT: &str = "settings";

/// The settings and their revision.
pub async fn get(context: &Context) -> Result<(Settings, i64), UseCaseError> {
    Ok(settings::find(&mut *context.store.reader().await?).await?)
}

/// Changes the settings; returns them with their new revision.
///
/// # Errors
/// [`UseCaseError::Stale`], [`UseCaseError::Invalid`].
pub async fn update(
    context: &Context,
    by: &Caller,
    expected: Expected,
    patch: SettingsPatch,
) -> Result<(Settings, i64), UseCaseError> {
    let changed = context
        .store
        .change(by, "update_settings", WHAT, move |tx| {
            Box::pin(async move {
                let (present, revision) = settings::find_in(tx).await?;
                expected.check(WHAT, revision)?;
                write(tx, &patched(&present, &patch)?, revision).await
            })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.reconcile.ring();
    Ok(changed)
}

/// Writes the settings made from `revision` and emits them as they are now stored.
pub(super) async fn write(
    tx: &mut Tx,
    settings: &Settings,
    revision: i64,
) -> Result<(Settings, i64), UseCaseError> {
    if !settings::update(tx, settings, revision).await? {
        return Err(UseCaseError::Stale { what: WHAT, current: revision });
    }
    let (present, revision) = settings::find_in(tx).await?;
    tx.emit(EventKind::SettingsChanged, WHAT, &present).await?;
    Ok((present, revision))
}

/// The settings with a change made.
///
/// # Errors
/// [`UseCaseError::Invalid`] for what they cannot be.
pub(super) fn patched(present: &Settings, patch: &SettingsPatch) -> Result<Settings, UseCaseError> {
    let mut settings = present.clone();
    apply(&mut settings, patch);
    refuse_impossible(&settings).map(|()| settings)
}

fn apply(settings: &mut Settings, patch: &SettingsPatch) {
    fn set<T: Copy>(place: &mut T, new: Option<T>) {
        *place = new.unwrap_or(*place);
    }
    set(&mut settings.check_interval_ms, patch.check_interval_ms);
    set(&mut settings.confirm_interval_ms, patch.confirm_interval_ms);
    set(&mut settings.ping_timeout_ms, patch.ping_timeout_ms);
    set(&mut settings.tcp_timeout_ms, patch.tcp_timeout_ms);
    set(&mut settings.ssh_timeout_ms, patch.ssh_timeout_ms);
    set(&mut settings.http_timeout_ms, patch.http_timeout_ms);
    set(&mut settings.down_after, patch.down_after);
    set(&mut settings.up_after, patch.up_after);
    set(&mut settings.metrics_interval_ms, patch.metrics_interval_ms);
    set(&mut settings.reconcile_interval_ms, patch.reconcile_interval_ms);
    set(&mut settings.raw_retention_hours, patch.raw_retention_hours);
    set(&mut settings.five_minute_retention_days, patch.five_minute_retention_days);
    set(&mut settings.hourly_retention_days, patch.hourly_retention_days);
    set(&mut settings.record_retention_days, patch.record_retention_days);
    if let Some(overrides) = &patch.thresholds {
        settings.thresholds = thresholds::patch(&settings.thresholds, overrides);
    }
}

/// Refuses settings outside the limits that the wire type documents.
fn refuse_impossible(settings: &Settings) -> Result<(), UseCaseError> {
    let bounds = [
        ("check_interval_ms", settings.check_interval_ms, 1_000, 86_400_000),
        ("confirm_interval_ms", settings.confirm_interval_ms, 100, 60_000),
        ("ping_timeout_ms", settings.ping_timeout_ms, 100, 60_000),
        ("tcp_timeout_ms", settings.tcp_timeout_ms, 100, 60_000),
        ("ssh_timeout_ms", settings.ssh_timeout_ms, 100, 60_000),
        ("http_timeout_ms", settings.http_timeout_ms, 100, 60_000),
        ("down_after", settings.down_after.into(), 1, 20),
        ("up_after", settings.up_after.into(), 1, 20),
        ("metrics_interval_ms", settings.metrics_interval_ms, 5_000, 86_400_000),
        ("reconcile_interval_ms", settings.reconcile_interval_ms, 60_000, 604_800_000),
        ("raw_retention_hours", settings.raw_retention_hours.into(), 1, 720),
        ("five_minute_retention_days", settings.five_minute_retention_days.into(), 1, 3_650),
        ("hourly_retention_days", settings.hourly_retention_days.into(), 1, 3_650),
        ("record_retention_days", settings.record_retention_days.into(), 1, 3_650),
    ];
    for (field, value, lowest, highest) in bounds {
        if value < lowest || highest < value {
            return Err(UseCaseError::invalid(field, format!("it must be {lowest} to {highest}")));
        }
    }
    thresholds::validate(&settings.thresholds).map_err(unusable)
}

/// Refuses overrides that can never work, for a tag or an xNode.
pub(super) fn refuse_unusable(overrides: &ThresholdOverrides) -> Result<(), UseCaseError> {
    thresholds::validate_overrides(overrides).map_err(unusable)
}

fn unusable(error: InvalidThreshold) -> UseCaseError {
    UseCaseError::invalid(format!("thresholds.{}", error.resource), error.rule)
}

/// The thresholds of every tag that has some, in alphabetical order.
pub async fn tag_thresholds(context: &Context) -> Result<Vec<TagThresholds>, UseCaseError> {
    let rows = settings::tag_thresholds(&mut *context.store.reader().await?).await?;
    Ok(rows.into_iter().map(|(tag, thresholds)| TagThresholds { tag, thresholds }).collect())
}

/// Sets the thresholds of a tag.
pub async fn set_tag_thresholds(
    context: &Context,
    by: &Caller,
    tag: Tag,
    overrides: ThresholdOverrides,
) -> Result<TagThresholds, UseCaseError> {
    refuse_unusable(&overrides)?;
    let set = context
        .store
        .change(by, "set_tag_thresholds", tag.to_string(), move |tx| {
            Box::pin(async move {
                settings::set_tag_thresholds(tx, &tag, &overrides).await?;
                let set = TagThresholds { tag, thresholds: overrides };
                tx.emit(EventKind::SettingsChanged, set.tag.as_str(), &set).await?;
                Ok::<_, UseCaseError>(set)
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(set)
}

/// Removes the thresholds of a tag.
pub async fn delete_tag_thresholds(context: &Context, by: &Caller, tag: Tag) -> Result<(), UseCaseError> {
    context
        .store
        .change(by, "delete_tag_thresholds", tag.to_string(), move |tx| {
            Box::pin(async move {
                if !settings::delete_tag_thresholds(tx, &tag).await? {
                    return Err(UseCaseError::not_found("tag with thresholds", &tag));
                }
                let gone = json!({"tag": tag, "thresholds": null});
                tx.emit(EventKind::SettingsChanged, tag.as_str(), &gone).await?;
                Ok(())
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(())
}

/// Every budget with what it covers costing now.
pub async fn budgets(context: &Context) -> Result<Vec<Budget>, UseCaseError> {
    Ok(costs::budgets(context).await?)
}

/// Sets a budget.
///
/// # Errors
/// [`UseCaseError::Invalid`] for a limit that is not positive or a name that the scope cannot have.
pub async fn set_budget(
    context: &Context,
    by: &Caller,
    scope: BudgetScope,
    name: String,
    set: BudgetSet,
) -> Result<Budget, UseCaseError> {
    refuse_limits(&set)?;
    refuse_name(scope, &name)?;
    let budget = context
        .store
        .change(by, "set_budget", format!("{scope} {name}"), move |tx| {
            Box::pin(async move {
                settings::set_budget(tx, scope, &name, set).await?;
                let budget = find_budget(tx, scope, &name).await?;
                tx.emit(EventKind::SettingsChanged, &format!("{scope}/{name}"), &budget).await?;
                Ok::<_, UseCaseError>(budget)
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(budget)
}

fn refuse_limits(set: &BudgetSet) -> Result<(), UseCaseError> {
    let limits = [
        ("hourly_limit_micros", set.hourly_limit_micros),
        ("monthly_limit_micros", set.monthly_limit_micros),
    ];
    for (field, limit) in limits {
        if limit.is_some_and(|limit| limit <= UsdMicros(0)) {
            return Err(UseCaseError::invalid(field, "it must be positive"));
        }
    }
    if limits.iter().all(|(_, limit)| limit.is_none()) {
        return Err(UseCaseError::invalid(
            "hourly_limit_micros",
            "a budget needs an hourly or a monthly limit",
        ));
    }
    Ok(())
}

fn refuse_name(scope: BudgetScope, name: &str) -> Result<(), UseCaseError> {
    let reason = match scope {
        BudgetScope::Global if name == "global" => return Ok(()),
        BudgetScope::Global => "the global budget is named `global`".to_owned(),
        BudgetScope::Tag => match name.parse::<Tag>() {
            Ok(_) => return Ok(()),
            Err(error) => error.to_string(),
        },
        BudgetScope::Provider => match name.parse::<Label>() {
            Ok(_) => return Ok(()),
            Err(error) => error.to_string(),
        },
    };
    Err(UseCaseError::invalid("name", reason))
}

async fn find_budget(tx: &mut Tx, scope: BudgetScope, name: &str) -> Result<Budget, UseCaseError> {
    let all = costs::budgets_in(tx).await?;
    let found = all.into_iter().find(|budget| budget.scope == scope && budget.name == name);
    found.ok_or_else(|| no_budget(scope, name))
}

fn no_budget(scope: BudgetScope, name: &str) -> UseCaseError {
    UseCaseError::not_found("budget", format!("{scope}/{name}"))
}

/// Removes a budget; an alert about it ends.
pub async fn delete_budget(
    context: &Context,
    by: &Caller,
    scope: BudgetScope,
    name: String,
) -> Result<(), UseCaseError> {
    context
        .store
        .change(by, "delete_budget", format!("{scope} {name}"), move |tx| {
            Box::pin(async move {
                if !settings::delete_budget(tx, scope, &name).await? {
                    return Err(no_budget(scope, &name));
                }
                let gone = json!({"scope": scope, "name": name, "hourly_limit_micros": null, "monthly_limit_micros": null});
                tx.emit(EventKind::SettingsChanged, &format!("{scope}/{name}"), &gone).await?;
                Ok(())
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_possible_and_the_documented_limits_hold() {
        assert!(refuse_impossible(&Settings::default()).is_ok());
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            refuse_impossible(&settings).is_err()
        };
        assert!(refused(|s| s.check_interval_ms = 999));
        assert!(refused(|s| s.http_timeout_ms = 60_001));
        assert!(refused(|s| s.down_after = 0));
        assert!(refused(|s| s.raw_retention_hours = 721));
        assert!(refused(|s| s.thresholds.disk.critical = 80.0));
        assert!(refused(|s| s.thresholds.cpu.warning = 101.0));
    }

    #[test]
    fn a_budget_is_named_as_its_scope_wants() {
        assert!(refuse_name(BudgetScope::Global, "global").is_ok());
        assert!(refuse_name(BudgetScope::Global, "all").is_err());
        assert!(refuse_name(BudgetScope::Tag, "env=prod").is_ok());
        assert!(refuse_name(BudgetScope::Provider, "env=prod").is_err());
    }
}
