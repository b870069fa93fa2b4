//! One xNode's judgement and what follows from it, inside the transaction that writes it.

use std::{collections::HashSet, time::Duration};

use capsule_api::{EventKind, Subject, SubjectKind};
use jiff::Timestamp;

use super::{Inventory, changes::carry_out};
use crate::{
    context::Context,
    model::{CheckFact, CheckKey, Condition, XNodeFacts},
    rules::{
        alerts::{self as rules, Verdict},
        thresholds,
    },
    store::{
        StoreError, Tx, alerts, checks,
        xnodes::{self, StoredXNode},
    },
    usecases::watching,
};

pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) health: capsule_api::Health,
    /// Whether the first host key was pinned.
    pub(super) pinned: bool,
}

/// Judges one xNode and writes what follows.
pub(super) async fn judge(
    tx: &mut Tx,
    context: &Context,
    inventory: &Inventory,
    stored: &StoredXNode,
    conditions: Vec<Condition>,
    moved: &HashSet<CheckKey>,
) -> Result<Judged, StoreError> {
    let now = tx.now();
    let own = stored
        .xnode
        .checks
        .iter()
        .filter_map(|check| context.live.check_key(check.id).zip(context.live.check(check.id)));
    let own_moved: Vec<_> = own.filter(|(key, _)| moved.contains(key)).collect();
    for (key, check) in &own_moved {
        checks::set_state(tx, *key, &check.state).await?;
    }
    let (pinned, foreign_host_key) = note_host_key(tx, context, stored, now).await?;
    let facts = XNodeFacts {
        subject: Subject { kind: SubjectKind::XNode, id: stored.xnode.id.to_string() },
        checks: check_facts(context, stored),
        sample: fresh_sample(context, inventory, stored, now),
        thresholds: effective_thresholds(inventory, stored),
        conditions,
        foreign_host_key,
        watched: watching::is_watched(stored.xnode.status),
    };
    let open = alerts::open_of(tx, &facts.subject).await?;
    let verdict = rules::judge(&facts, &open, now);
    if verdict.conditions != facts.conditions {
        checks::set_conditions(tx, stored.key, &verdict.conditions).await?;
    }
    let name = stored.xnode.name.as_str();
    for action in rules::reconcile(&open, &verdict.drafts) {
        carry_out(tx, action, &open, &facts.subject, name, &stored.xnode.tags).await?;
    }
    let health = watching::current_health(context, stored);
    if health != stored.xnode.health {
        xnodes::set_health(tx, stored.key, health, now).await?;
    }
    if health != stored.xnode.health || !own_moved.is_empty() {
        emit_health(tx, context, stored, health, now).await?;
    }
    Ok(Judged { verdict, health, pinned })
}

async fn emit_health(
    tx: &mut Tx,
    context: &Context,
    stored: &StoredXNode,
    health: capsule_api::Health,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut told = watching::xnode_health(context, stored);
    if health != told.health {
        (told.health, told.since) = (health, Some(now));
    }
    tx.emit(EventKind::HealthChanged, &stored.xnode.id.to_string(), &told).await
}

fn check_facts(context: &Context, stored: &StoredXNode) -> Vec<CheckFact> {
    let enabled = stored.xnode.checks.iter().filter(|check| check.enabled);
    enabled
        .filter_map(|check| {
            let key = context.live.check_key(check.id)?;
            let state = context.live.check(check.id)?.state;
            Some(CheckFact { key, id: check.id, name: check.name.clone(), kind: check.probe.kind(), state })
        })
        .collect()
}

/// The newest reading, unless it is older than three intervals.
fn fresh_sample(
    context: &Context,
    inventory: &Inventory,
    stored: &StoredXNode,
    now: Timestamp,
) -> Option<capsule_api::Sample> {
    let interval = watching::metrics_interval(&stored.xnode, &inventory.settings)?;
    let sample = context.live.xnode(stored.key).sample?;
    let age: Duration = now.duration_since(sample.at).try_into().unwrap_or_default();
    (age <= interval * 3 + Duration::from_secs(30)).then_some(sample)
}

fn effective_thresholds(inventory: &Inventory, stored: &StoredXNode) -> capsule_api::Thresholds {
    let own: Vec<_> =
        inventory.tag_thresholds.iter().filter(|(tag, _)| stored.xnode.tags.contains(tag)).cloned().collect();
    thresholds::effective(&inventory.settings.thresholds, &own, &stored.xnode.thresholds)
}

/// Pins the first host key seen, notes one that differs, forgets it when the pinned one is back.
async fn note_host_key(
    tx: &mut Tx,
    context: &Context,
    stored: &StoredXNode,
    now: Timestamp,
) -> Result<(bool, Option<(Timestamp, String)>), StoreError> {
    let fingerprint =
        |key: &str| crate::ssh::fingerprint(key).unwrap_or_else(|_| "an unreadable key".to_owned());
    let known = stored.foreign_host_key.as_ref();
    let Some(offered) = context.live.offered_host_key(stored.key) else {
        return Ok((false, known.map(|(key, at)| (*at, fingerprint(key)))));
    };
    match &stored.host_key {
        None => Ok((xnodes::pin_host_key(tx, stored.key, &offered).await?, None)),
        Some(pinned) if *pinned == offered => {
            if known.is_some() {
                xnodes::set_foreign_host_key(tx, stored.key, None).await?;
            }
            Ok((false, None))
        }
        Some(_) => match known.filter(|(key, _)| *key == offered) {
            Some((_, at)) => Ok((false, Some((*at, fingerprint(&offered))))),
            None => {
                xnodes::set_foreign_host_key(tx, stored.key, Some((&offered, now))).await?;
                Ok((false, Some((now, fingerprint(&offered)))))
            }
        },
    }
}
