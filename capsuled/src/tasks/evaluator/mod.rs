//! Turns what the prober and the collector saw into confirmed health and alerts.
//!
//! Both only note which xNodes are news. For each of those the evaluator reads the inventory and the open
//! alerts inside one transaction, asks `rules/alerts` what should be open, and writes the difference with
//! its timeline, its event and the deliveries it owes. What could not be written is news again. A check's
//! state and the alert it leads to are thus on disk together or not at all.

mod changes;
mod judge;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use capsule_api::{Settings, SubjectKind, Tag, ThresholdOverrides, XNodeId};
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::{
    changes::{judge_budgets, resolve},
    judge::{Judged, judge},
};
use crate::{
    context::{Changes, Context, RunNow, TaskHandle},
    logging::Chain,
    model::{CheckKey, Condition, XNodeKey},
    rules::alerts::Verdict,
    store::{
        Lane, StoreError, alerts, checks, settings,
        xnodes::{self, StoredXNode},
    },
    usecases::{costs, watching},
};

/// xNodes judged in one transaction.
const AT_ONCE: usize = 50;
/// How often health is looked at without news: a prober that fell silent shows as `unknown`.
const SWEEP: Duration = Duration::from_secs(30);
/// How often budgets are judged without news.
const BETWEEN_BUDGETS: Duration = Duration::from_secs(300);

struct Evaluator {
    context: Context,
    /// Everything with a name: read again when the bell rings for a change of the inventory.
    inventory: Arc<Inventory>,
    conditions: HashMap<XNodeKey, Vec<Condition>>,
    /// xNodes whose "for at least" may be over without news.
    reconsider: BTreeMap<Timestamp, HashSet<XNodeKey>>,
    /// Whether the inventory changed since it was read, and when that was.
    outdated: bool,
    read_at: Option<Duration>,
    /// When the budgets were judged last.
    budgets_at: Duration,
    /// Who waits until what was known when they asked is on disk.
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Default)]
struct Inventory {
    /// Id and revision.
    xnodes: HashMap<XNodeKey, (XNodeId, i64)>,
    settings: Settings,
    tag_thresholds: Vec<(Tag, ThresholdOverrides)>,
}

/// Evaluates until `stop`.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let mut evaluator = Evaluator {
        context: context.clone(),
        inventory: Arc::default(),
        conditions: HashMap::new(),
        reconsider: BTreeMap::new(),
        outdated: true,
        read_at: None,
        budgets_at: Duration::ZERO,
        waiting: Vec::new(),
    };
    let mut swept = context.clock.elapsed();
    loop {
        let (at, began) = (context.clock.now(), context.clock.elapsed());
        let sweep_due = swept + SWEEP <= began;
        let outcome = evaluator.run_once(began, sweep_due).await;
        if sweep_due {
            swept = began;
        }
        let error = outcome.err().map(|error| Chain(&error).to_string());
        if let Some(error) = &error {
            tracing::error!(error, "could not evaluate; trying again");
        }
        let pause = if error.is_some() { super::AFTER_FAILURE } else { evaluator.pause() };
        handle.ran(at, context.clock.elapsed().saturating_sub(began), error);
        tokio::select! {
            () = stop.cancelled() => return,
            () = context.wakes.evaluator.rung() => {}
            () = context.clock.sleep(pause) => {}
        }
    }
}

impl Evaluator {
    fn pause(&self) -> Duration {
        let now = self.context.clock.now();
        let soonest =
            self.reconsider.keys().next().map(|at| at.duration_since(now).try_into().unwrap_or_default());
        let longest = if self.outdated { super::BETWEEN_RELOADS } else { SWEEP };
        soonest.map_or(longest, |soonest: Duration| soonest.min(longest))
    }

    async fn run_once(&mut self, now: Duration, sweep: bool) -> Result<(), StoreError> {
        self.outdated |= self.context.wakes.take_inventory_changed();
        let rested = self.read_at.is_none_or(|read_at| read_at + super::BETWEEN_RELOADS <= now);
        if self.outdated && rested {
            self.read_inventory().await?;
            self.judge_budgets().await?;
            (self.outdated, self.read_at, self.budgets_at) = (false, Some(now), now);
        }
        // A month's cost grows while nobody changes anything.
        if self.budgets_at + BETWEEN_BUDGETS <= now {
            self.judge_budgets().await?;
            self.budgets_at = now;
        }
        // Before the changes, so that whatever those who wait have seen is among them.
        self.waiting.extend(self.context.wakes.take_judge_now());
        let mut changes = self.context.live.take_changes();
        self.take_reconsidered(&mut changes);
        if sweep {
            changes.xnodes.extend(self.context.live.stale_xnodes(|checks| {
                let views: Vec<_> = checks.iter().map(|check| watching::view(check)).collect();
                crate::rules::health::overall(&views, self.context.clock.now())
            }));
        }
        self.set_aside_unknown(&mut changes);
        while !changes.xnodes.is_empty() {
            let batch: Vec<XNodeKey> = changes.xnodes.iter().copied().take(AT_ONCE).collect();
            if let Err(error) = self.judge_batch(&batch, &changes.checks).await {
                self.context.live.put_back(changes);
                return Err(error);
            }
            batch.iter().for_each(|key| _ = changes.xnodes.remove(key));
        }
        for done in self.waiting.drain(..) {
            // Nobody waiting any more is fine.
            let _ = done.send(());
        }
        Ok(())
    }

    /// Keeps news of xNodes that the inventory, as it was read last, does not have: they are new, and judged
    /// once it is read again, or gone.
    fn set_aside_unknown(&self, changes: &mut Changes) {
        let known = |key: &XNodeKey| self.inventory.xnodes.contains_key(key);
        let unknown: HashSet<XNodeKey> = changes.xnodes.iter().copied().filter(|key| !known(key)).collect();
        changes.xnodes.retain(known);
        if self.outdated && !unknown.is_empty() {
            self.context.live.put_back(Changes { xnodes: unknown, checks: changes.checks.clone() });
        }
    }

    /// Reads names and settings again; what changed with them is news.
    async fn read_inventory(&mut self) -> Result<(), StoreError> {
        let mut reader = self.context.store.reader().await?;
        let all = xnodes::revisions(&mut reader).await?;
        let inventory = Inventory {
            xnodes: all.into_iter().map(|(key, id, revision)| (key, (id, revision))).collect(),
            settings: settings::find(&mut reader).await?.0,
            tag_thresholds: settings::tag_thresholds(&mut reader).await?,
        };
        self.conditions = checks::conditions(&mut reader).await?;
        drop(reader);
        let before = std::mem::replace(&mut self.inventory, Arc::new(inventory));
        let now = &self.inventory;
        let same_rules = before.settings == now.settings && before.tag_thresholds == now.tag_thresholds;
        for (key, entry) in &now.xnodes {
            if !same_rules || before.xnodes.get(key) != Some(entry) {
                self.context.live.mark_changed(*key, None);
            }
        }
        self.context.live.retain_xnodes(|key| now.xnodes.contains_key(&key));
        self.resolve_orphans().await
    }

    fn take_reconsidered(&mut self, changes: &mut Changes) {
        let now = self.context.clock.now();
        while let Some(entry) = self.reconsider.first_entry().filter(|entry| *entry.key() <= now) {
            changes.xnodes.extend(entry.remove());
        }
    }

    /// Judges some xNodes in one transaction.
    async fn judge_batch(&mut self, batch: &[XNodeKey], moved: &HashSet<CheckKey>) -> Result<(), StoreError> {
        let subjects: Vec<_> = batch
            .iter()
            .filter_map(|key| {
                let conditions = self.conditions.get(key).cloned().unwrap_or_default();
                Some((self.inventory.xnodes.get(key)?.0, conditions))
            })
            .collect();
        let moved: HashSet<CheckKey> = moved.clone();
        let (context, inventory) = (self.context.clone(), Arc::clone(&self.inventory));
        let judged = self
            .context
            .store
            .write::<_, StoreError>(Lane::Alerts, move |tx| {
                Box::pin(async move {
                    let mut judged = Vec::new();
                    for (id, conditions) in subjects {
                        if let Some(stored) = xnodes::find_in(tx, id).await? {
                            let verdict =
                                judge(tx, &context, &inventory, &stored, conditions, &moved).await?;
                            judged.push((stored, verdict));
                        }
                    }
                    Ok(judged)
                })
            })
            .await?;
        self.context.faults.point("evaluator.after_commit");
        self.context.wakes.outbox.ring();
        for (stored, verdict) in judged {
            self.note(&stored, verdict);
        }
        Ok(())
    }

    /// Remembers what the next judgement needs.
    fn note(&mut self, stored: &StoredXNode, verdict: Judged) {
        self.context.live.update_xnode(stored.key, |live| live.health = Some(verdict.health));
        if verdict.pinned {
            self.context.wakes.inventory_changed();
        }
        let Verdict { conditions, hold, reconsider_at, .. } = verdict.verdict;
        self.conditions.insert(stored.key, conditions);
        if let Some(at) = reconsider_at {
            self.reconsider.entry(at).or_default().insert(stored.key);
        }
        if !hold.is_empty() {
            let held = stored.xnode.checks.iter().map(|check| check.id);
            let checks =
                held.filter(|id| self.context.live.check_key(*id).is_some_and(|key| hold.contains(&key)));
            self.context.live.await_result(&hold);
            let (done, _) = oneshot::channel();
            self.context.wakes.run_now(RunNow { checks: checks.collect(), done });
        }
    }

    /// Ends the alerts of xNodes that are not there any more.
    async fn resolve_orphans(&self) -> Result<(), StoreError> {
        let inventory = Arc::clone(&self.inventory);
        self.context
            .store
            .write::<_, StoreError>(Lane::Alerts, move |tx| {
                Box::pin(async move {
                    let present: HashSet<String> =
                        inventory.xnodes.values().map(|(id, _)| id.to_string()).collect();
                    for alert in alerts::list_open_in(tx).await? {
                        let gone =
                            alert.subject.kind == SubjectKind::XNode && !present.contains(&alert.subject.id);
                        // The inventory was read before this transaction began: an xNode added since is present.
                        let gone = gone && !xnodes::exists_in(tx, &alert.subject.id).await?;
                        if gone {
                            resolve(tx, alert, &[], "the xNode was removed from the inventory").await?;
                        }
                    }
                    Ok(())
                })
            })
            .await?;
        self.context.wakes.outbox.ring();
        Ok(())
    }

    async fn judge_budgets(&self) -> Result<(), StoreError> {
        let budgets = costs::budgets(&self.context).await?;
        let changed = self
            .context
            .store
            .write::<_, StoreError>(Lane::Alerts, move |tx| {
                Box::pin(async move { judge_budgets(tx, &budgets).await })
            })
            .await?;
        if changed {
            self.context.wakes.outbox.ring();
        }
        Ok(())
    }
}
