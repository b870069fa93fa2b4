//! The newest reading of every check and xNode, in memory: written by the prober and the collector, read by
//! everybody. Rebuilt from the databases at start.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capsule_api::{CheckId, Health, ProbeResult, ProbingStatus, Sample};
use jiff::Timestamp;

use crate::model::{CheckKey, CheckState, XNodeKey};

/// A check as it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveCheck {
    /// The check.
    pub id: CheckId,
    /// Its xNode.
    pub xnode: XNodeKey,
    /// Where its state machine stands.
    pub state: CheckState,
    /// The newest result.
    pub last: Option<ProbeResult>,
    /// When the next probe is due; `None` while it is not probed.
    pub next_at: Option<Timestamp>,
    /// Time between probes; results older than a few of these say nothing any more.
    pub interval: Duration,
    /// Deadline of one probe.
    pub timeout: Duration,
    /// Results of the last day, hour by hour.
    pub day: DayOfResults,
}

/// Probes and passes of the last 24 hours, one bucket an hour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayOfResults {
    /// Hour since the epoch, probes, passes.
    buckets: [(i64, u32, u32); 24],
}

impl DayOfResults {
    /// Counts results of the hour that `at_ms` is in.
    pub fn add(&mut self, at_ms: i64, probes: u32, passed: u32) {
        let hour = at_ms.div_euclid(3_600_000);
        let bucket = &mut self.buckets[usize::try_from(hour.rem_euclid(24)).unwrap_or(0)];
        if bucket.0 < hour {
            *bucket = (hour, 0, 0);
        }
        if bucket.0 == hour {
            bucket.1 += probes;
            bucket.2 += passed;
        }
    }

    /// Share of passes in the 24 hours up to `now_ms`, 0–100; `None` without results.
    pub fn uptime_percent(&self, now_ms: i64) -> Option<f64> {
        let oldest = now_ms.div_euclid(3_600_000) - 23;
        let recent = self.buckets.iter().filter(|bucket| bucket.0 >= oldest);
        let (probes, passed) =
            recent.fold((0_u64, 0_u64), |sum, b| (sum.0 + u64::from(b.1), sum.1 + u64::from(b.2)));
        (probes > 0).then(|| 100.0 * passed as f64 / probes as f64)
    }
}

/// An xNode's resources as they stand now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LiveXNode {
    /// The health as last written.
    pub health: Option<Health>,
    /// The newest reading.
    pub sample: Option<Sample>,
    /// Why the newest attempt failed.
    pub error: Option<String>,
    /// When the next reading is due; `None` when none is collected.
    pub next_at: Option<Timestamp>,
}

#[derive(Default)]
struct State {
    checks: HashMap<CheckKey, LiveCheck>,
    keys: HashMap<CheckId, CheckKey>,
    xnodes: HashMap<XNodeKey, LiveXNode>,
    probing: ProbingStatus,
    icmp: bool,
    changed_xnodes: HashSet<XNodeKey>,
    changed_checks: HashSet<CheckKey>,
    offered_host_keys: HashMap<XNodeKey, String>,
    awaited: HashSet<CheckKey>,
    prober_seen: Duration,
}

/// What the evaluator has to look at.
#[derive(Debug, Default)]
pub struct Changes {
    /// xNodes of which something is new.
    pub xnodes: HashSet<XNodeKey>,
    /// Checks whose state machine moved.
    pub checks: HashSet<CheckKey>,
}

/// The newest readings.
#[derive(Default)]
pub struct Live {
    state: Mutex<State>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// The values are whole after every statement, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A check as it stands now; `None` before the prober knows it.
    pub fn check(&self, id: CheckId) -> Option<LiveCheck> {
        let state = self.lock();
        state.checks.get(state.keys.get(&id)?).cloned()
    }

    /// Changes a check's entry; nothing happens when there is none.
    pub fn update_check(&self, key: CheckKey, change: impl FnOnce(&mut LiveCheck)) {
        if let Some(check) = self.lock().checks.get_mut(&key) {
            change(check);
        }
    }

    /// Adds a check's entry, or replaces it.
    pub fn put_check(&self, key: CheckKey, check: LiveCheck) {
        let mut state = self.lock();
        state.keys.insert(check.id, key);
        state.checks.insert(key, check);
    }

    /// The check's entry by its key.
    pub fn check_by_key(&self, key: CheckKey) -> Option<LiveCheck> {
        self.lock().checks.get(&key).cloned()
    }

    /// Forgets every check that `keep` does not hold for.
    pub fn retain_checks(&self, keep: impl Fn(CheckKey) -> bool) {
        let mut state = self.lock();
        state.checks.retain(|key, _| keep(*key));
        state.keys.retain(|_, key| keep(*key));
    }

    /// An xNode's resources as they stand now.
    pub fn xnode(&self, key: XNodeKey) -> LiveXNode {
        self.lock().xnodes.get(&key).cloned().unwrap_or_default()
    }

    /// Changes an xNode's entry, which is made when there is none.
    pub fn update_xnode(&self, key: XNodeKey, change: impl FnOnce(&mut LiveXNode)) {
        change(self.lock().xnodes.entry(key).or_default());
    }

    /// Forgets every xNode that `keep` does not hold for.
    pub fn retain_xnodes(&self, keep: impl Fn(XNodeKey) -> bool) {
        self.lock().xnodes.retain(|key, _| keep(*key));
    }

    /// The check's key; `None` before the prober knows it.
    pub fn check_key(&self, id: CheckId) -> Option<CheckKey> {
        self.lock().keys.get(&id).copied()
    }

    /// The xNodes whose health, as `judge` sees it now, is not the one last written.
    pub fn stale_xnodes(&self, judge: impl Fn(&[&LiveCheck]) -> Health) -> Vec<XNodeKey> {
        let state = self.lock();
        let by_xnode = by_xnode(&state);
        let written = |key: &XNodeKey| state.xnodes.get(key).and_then(|xnode| xnode.health);
        let stale = by_xnode.iter().filter(|(key, checks)| written(key) != Some(judge(checks)));
        stale.map(|(key, _)| *key).collect()
    }

    /// What `judge` makes of the checks of every xNode that is probed.
    pub fn survey<T>(&self, judge: impl Fn(&[&LiveCheck]) -> T) -> HashMap<XNodeKey, T> {
        let state = self.lock();
        by_xnode(&state).into_iter().map(|(key, checks)| (key, judge(&checks))).collect()
    }

    /// Notes that something about an xNode is new, and about a check where it was its state machine. Ring
    /// `wakes.evaluator` afterwards.
    pub fn mark_changed(&self, xnode: XNodeKey, check: Option<CheckKey>) {
        let mut state = self.lock();
        state.changed_xnodes.insert(xnode);
        state.changed_checks.extend(check);
    }

    /// Takes what is new since the last call.
    pub fn take_changes(&self) -> Changes {
        let mut state = self.lock();
        Changes {
            xnodes: std::mem::take(&mut state.changed_xnodes),
            checks: std::mem::take(&mut state.changed_checks),
        }
    }

    /// Puts back what could not be written.
    pub fn put_back(&self, changes: Changes) {
        let mut state = self.lock();
        state.changed_xnodes.extend(changes.xnodes);
        state.changed_checks.extend(changes.checks);
    }

    /// Notes that an alert waits for the next result of these checks, whatever it says.
    pub fn await_result(&self, checks: &[CheckKey]) {
        self.lock().awaited.extend(checks);
    }

    /// Whether an alert waited for this check's result; it does no more.
    pub fn take_awaited(&self, check: CheckKey) -> bool {
        self.lock().awaited.remove(&check)
    }

    /// Notes the host key an xNode offered; `true` when it is another than the time before.
    pub fn note_host_key(&self, xnode: XNodeKey, host_key: &str) -> bool {
        let mut state = self.lock();
        let before = state.offered_host_keys.insert(xnode, host_key.to_owned());
        before.as_deref() != Some(host_key)
    }

    /// The host key an xNode offered last.
    pub fn offered_host_key(&self, xnode: XNodeKey) -> Option<String> {
        self.lock().offered_host_keys.get(&xnode).cloned()
    }

    /// How probing goes.
    pub fn probing(&self) -> ProbingStatus {
        self.lock().probing
    }

    /// Changes how probing goes.
    pub fn update_probing(&self, change: impl FnOnce(&mut ProbingStatus)) {
        change(&mut self.lock().probing);
    }

    /// Notes that the prober's thread is alive, at a moment of the clock's `elapsed`.
    pub fn note_prober(&self, elapsed: Duration) {
        self.lock().prober_seen = elapsed;
    }

    /// When the prober's thread was last alive.
    pub fn prober_seen(&self) -> Duration {
        self.lock().prober_seen
    }

    /// Whether ICMP can be sent.
    pub fn icmp(&self) -> bool {
        self.lock().icmp
    }

    /// Notes whether ICMP can be sent.
    pub fn set_icmp(&self, icmp: bool) {
        self.lock().icmp = icmp;
    }
}

fn by_xnode(state: &State) -> HashMap<XNodeKey, Vec<&LiveCheck>> {
    let mut by_xnode: HashMap<XNodeKey, Vec<&LiveCheck>> = HashMap::new();
    for check in state.checks.values() {
        by_xnode.entry(check.xnode).or_default().push(check);
    }
    by_xnode
}
