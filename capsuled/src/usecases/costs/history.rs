//! The xNodes that are and were: their lives, numbers about them, and forgetting.

use std::collections::{BTreeMap, HashMap};

use capsule_api::{
    EventKind, Health, HealthCount, HistoryCleanUp, HistoryCleaned, InventoryStats, LabelCount, Lifetime,
    LifetimeFilter, StatusCount, UsdMicros, XNodeId, XNodeStatus,
};
use jiff::{SignedDuration, Timestamp};

use super::rules::{self, Spend, Window};
use crate::{
    context::Context,
    model::Caller,
    store::{
        self,
        costs::{LifeFilter, StoredLifetime},
        xnodes::Filter,
    },
    usecases::{Listing, Slice, UseCaseError, find_named},
};

/// A century.
const MOST_DAYS: u32 = 36_500;

/// The lives that match, newest first.
///
/// # Errors
/// [`UseCaseError::NotFound`] or [`UseCaseError::Ambiguous`] for an xNode that never was.
pub async fn history(
    context: &Context,
    filter: &LifetimeFilter,
    listing: &Listing,
) -> Result<Slice<Lifetime>, UseCaseError> {
    let now = context.clock.now();
    let mut reader = context.store.reader().await?;
    let xnode = match &filter.xnode {
        Some(given) => Some(resolve(given, store::costs::names(&mut reader).await?)?),
        None => None,
    };
    let before = listing.after.as_deref().map(read_key).transpose()?;
    let filter = LifeFilter { xnode, provider: filter.provider.clone(), before };
    let rows = store::costs::lifetimes(&mut reader, &filter, listing.limit_plus_one()).await?;
    let rows = listing.slice(rows, |life| format!("{}/{}", life.deployed_at.as_millisecond(), life.xnode));
    let ids: Vec<XNodeId> = rows.items.iter().map(|life| life.xnode).collect();
    let intervals = store::costs::of_xnodes(&mut reader, &ids).await?;
    let discounts = store::costs::discounts(&mut reader).await?;
    let window = Window { from: Timestamp::MIN, to: now };
    let mut spent: HashMap<XNodeId, Spend> = HashMap::new();
    for interval in &intervals {
        *spent.entry(interval.xnode).or_default() += rules::spend(interval, window, &discounts);
    }
    let shown = |life: StoredLifetime| {
        let spent = spent.get(&life.xnode).copied().unwrap_or_default().rounded();
        lifetime(life, spent, now)
    };
    Ok(Slice { items: rows.items.into_iter().map(shown).collect(), next: rows.next })
}

/// The newest life of a name, or the one an id means. A name may have been given again.
fn resolve(given: &str, mut names: Vec<(XNodeId, String)>) -> Result<XNodeId, UseCaseError> {
    if let Some((id, _)) = names.iter().find(|(_, name)| name.eq_ignore_ascii_case(given)) {
        return Ok(*id);
    }
    names.dedup_by(|a, b| a.1 == b.1);
    find_named("xNode", given, names.iter().map(|(id, name)| (*id, name.as_str())))
}

fn read_key(key: &str) -> Result<(i64, String), UseCaseError> {
    let parts = key.split_once('/').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| UseCaseError::invalid("cursor", "it is not from this list"))
}

fn lifetime(life: StoredLifetime, spent: UsdMicros, now: Timestamp) -> Lifetime {
    let lasted = life.terminated_at.unwrap_or(now).duration_since(life.deployed_at);
    Lifetime {
        xnode_id: life.xnode,
        name: life.attribution.name,
        provider: life.attribution.provider,
        region: life.attribution.region,
        template: life.attribution.template,
        account: life.attribution.account,
        tags: life.attribution.tags,
        deployed_at: life.deployed_at,
        terminated_at: life.terminated_at,
        lifetime_seconds: lasted.as_secs().max(0).unsigned_abs(),
        total_cost_micros: life.earlier_cost + spent,
    }
}

/// Numbers about the inventory and its history.
pub async fn stats(context: &Context) -> Result<InventoryStats, UseCaseError> {
    let now = context.clock.now();
    let mut reader = context.store.reader().await?;
    let xnodes = store::xnodes::list(&mut reader, &Filter::default(), i64::MAX).await?;
    let lives = store::costs::lifetimes(&mut reader, &LifeFilter::default(), i64::MAX).await?;
    let intervals = store::costs::overlapping(&mut reader, Timestamp::MIN, Timestamp::MAX).await?;
    let discounts = store::costs::discounts(&mut reader).await?;
    drop(reader);
    let window = Window { from: Timestamp::MIN, to: now };
    let spent: Spend = intervals.iter().map(|interval| rules::spend(interval, window, &discounts)).sum();
    let earlier: UsdMicros = lives.iter().map(|life| life.earlier_cost).sum();
    let xnodes: Vec<_> = xnodes.into_iter().map(|stored| stored.xnode).collect();
    let count = |wanted: usize| u32::try_from(wanted).unwrap_or(u32::MAX);
    let with_status =
        |status: XNodeStatus| count(xnodes.iter().filter(|xnode| xnode.status == status).count());
    let with_health = |health: Health| count(xnodes.iter().filter(|xnode| xnode.health == health).count());
    let label = |label: Option<&capsule_api::Label>| label.map(ToString::to_string);
    let tags = xnodes.iter().flat_map(|xnode| xnode.tags.iter().map(|tag| Some(tag.to_string())));
    Ok(InventoryStats {
        xnodes: count(xnodes.len()),
        total_deployed: count(lives.len()),
        total_running: with_status(XNodeStatus::Running),
        total_terminated: count(lives.iter().filter(|life| life.terminated_at.is_some()).count()),
        total_lifetime_cost_micros: earlier + spent.rounded(),
        hourly_micros: rules::hourly_total(&intervals, now, &discounts),
        by_status: XNodeStatus::ALL
            .iter()
            .map(|status| StatusCount { status: *status, xnodes: with_status(*status) })
            .collect(),
        by_health: Health::ALL
            .iter()
            .map(|health| HealthCount { health: *health, xnodes: with_health(*health) })
            .collect(),
        by_provider: tally(xnodes.iter().map(|xnode| label(xnode.provider.as_ref()))),
        by_region: tally(xnodes.iter().map(|xnode| label(xnode.region.as_ref()))),
        by_tag: tally(tags),
    })
}

/// How often each name comes, the most often first.
fn tally(names: impl Iterator<Item = Option<String>>) -> Vec<LabelCount> {
    let mut counts: BTreeMap<Option<String>, u32> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(name, xnodes)| LabelCount { name, xnodes }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.xnodes));
    counts
}

/// Forgets xNodes that are long gone, with what they cost.
///
/// # Errors
/// [`UseCaseError::Invalid`] for more than a century.
pub async fn clean_up_history(
    context: &Context,
    by: &Caller,
    what: HistoryCleanUp,
) -> Result<HistoryCleaned, UseCaseError> {
    if MOST_DAYS < what.days {
        return Err(UseCaseError::invalid("days", "it must be 0 to 36,500"));
    }
    let age = SignedDuration::from_hours(i64::from(what.days) * 24);
    let before = context.clock.now().saturating_sub(age).unwrap_or(Timestamp::MIN);
    let rounded = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    if what.dry_run {
        let count = store::costs::count_ended(&mut *context.store.reader().await?, before).await?;
        return Ok(HistoryCleaned { forgotten: rounded(count.unsigned_abs()), before });
    }
    context
        .store
        .change(by, "clean_up_history", format!("before {before}"), move |tx| {
            Box::pin(async move {
                let forgotten = rounded(store::costs::forget_ended(tx, before).await?);
                let cleaned = HistoryCleaned { forgotten, before };
                tx.emit(EventKind::SettingsChanged, "history", &cleaned).await?;
                Ok(cleaned)
            })
        })
        .await
}
