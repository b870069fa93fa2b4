//! Bells: who changes something rings, the task reads from the database what should be true. A bell rung
//! twice before the task looks is one run; a bell rung during a run is one more.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use capsule_api::{CheckId, XNodeId};
use tokio::sync::{Notify, oneshot};

/// One task's bell.
#[derive(Debug, Default)]
pub struct Wake(Notify);

impl Wake {
    /// Rings.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Returns when it rang. Cancel-safe.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Checks somebody wants probed at once, and where to say that it is done.
#[derive(Debug)]
pub struct RunNow {
    /// Which checks.
    pub checks: Vec<CheckId>,
    /// Told once every one has a fresh result in [`super::Live`].
    pub done: oneshot::Sender<()>,
}

/// An xNode whose resources somebody wants read at once, and where to say that it is done.
#[derive(Debug)]
pub struct CollectNow {
    /// Which xNode.
    pub xnode: XNodeId,
    /// Told once its entry in [`super::Live`] is fresh: a new reading, or why there is none.
    pub done: oneshot::Sender<()>,
}

/// Every bell.
#[derive(Debug, Default)]
pub struct Wakes {
    /// The prober re-reads what to probe: ring after a change to xNodes, checks or settings.
    pub prober: Wake,
    /// The collector re-reads whose resources to read: ring after the same changes.
    pub collector: Wake,
    /// The evaluator judges what is new. After a change to the inventory, settings, thresholds or budgets use
    /// [`Wakes::inventory_changed`], which makes it judge everything.
    pub evaluator: Wake,
    /// The outbox looks for deliveries: ring after a commit that queued or released one.
    pub outbox: Wake,
    /// The operations task looks for pending operations: ring after a commit that made or cancelled one.
    pub operations: Wake,
    /// The expiry task looks whose time to live ends next; [`Wakes::inventory_changed`] rings it.
    pub expiry: Wake,
    /// The templates task looks whose prices are due: ring after a commit that made an account.
    pub templates: Wake,
    /// The reconcile task looks whose account is due: ring after a commit that made an account or changed the
    /// settings.
    pub reconcile: Wake,
    /// The remediation task looks what is to be done: ring after a change to remediations. Alerts and
    /// operations it hears of by their events.
    pub remediation: Wake,
    /// Probes asked for out of turn; the prober is rung with it.
    run_now: Mutex<Vec<RunNow>>,
    /// Readings asked for out of turn; the collector is rung with it.
    collect_now: Mutex<Vec<CollectNow>>,
    /// Who waits for the evaluator to have judged what is known by now; it is rung with it.
    judge_now: Mutex<Vec<oneshot::Sender<()>>>,
    inventory_changed: AtomicBool,
}

fn lock<T>(queue: &Mutex<T>) -> MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wakes {
    /// Rings everybody who reads the inventory, the settings, thresholds or budgets.
    pub fn inventory_changed(&self) {
        self.inventory_changed.store(true, Ordering::Release);
        self.prober.ring();
        self.collector.ring();
        self.evaluator.ring();
        self.expiry.ring();
    }

    /// Whether the inventory changed since the evaluator last asked.
    pub fn take_inventory_changed(&self) -> bool {
        self.inventory_changed.swap(false, Ordering::AcqRel)
    }

    /// Asks the prober for probes out of turn.
    pub fn run_now(&self, request: RunNow) {
        lock(&self.run_now).push(request);
        self.prober.ring();
    }

    /// Takes what was asked of the prober.
    pub fn take_run_now(&self) -> Vec<RunNow> {
        std::mem::take(&mut lock(&self.run_now))
    }

    /// Returns once everything known at the time of the call is judged and on disk.
    pub async fn judged(&self) {
        let (done, wait) = oneshot::channel();
        lock(&self.judge_now).push(done);
        self.evaluator.ring();
        // A dropped sender means that the daemon stops.
        let _ = wait.await;
    }

    /// Takes who waits for a judgement.
    pub fn take_judge_now(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut lock(&self.judge_now))
    }

    /// Asks the collector for a reading out of turn.
    pub fn collect_now(&self, request: CollectNow) {
        lock(&self.collect_now).push(request);
        self.collector.ring();
    }

    /// Takes what was asked of the collector.
    pub fn take_collect_now(&self) -> Vec<CollectNow> {
        std::mem::take(&mut lock(&self.collect_now))
    }
}
