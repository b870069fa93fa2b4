//! The due-queue: which check (or xNode) is to be asked now, and when the next one is due.
//!
//! Fixed-rate: a slot comes every interval at the check's own phase, whatever the last probe took, so a
//! slow target never drifts and never delays another. Phases are a hash of the id and count from the epoch,
//! so load is spread evenly and a restart neither bunches probes nor moves them.
//!
//! Late is better than never, and never is counted: a slot that cannot be served before the next one comes,
//! because the probe before it is still under way, limits are reached or the machine was asleep, is missed.
//! Missed slots are counted and never made up for, since a burst of late probes would be the next overload.
//!
//! Every key has at most one place in one ordered set, so a step costs O(log n) whatever the number of
//! checks, and there is no scan per tick. Time is a `Duration` since some start; pure otherwise.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry as Slot},
    hash::Hash,
    time::Duration,
};

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::XNodeKey;

/// How much may be under way at once; both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub in_flight: usize,
    /// On one xNode.
    pub per_host: usize,
}

/// When a key is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whose per-host limit it counts against.
    pub host: XNodeKey,
    /// Time between slots; at least a millisecond.
    pub interval: Duration,
    /// Where in the interval its slots lie; see [`phase`].
    pub phase: Duration,
}

/// A key to be started now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start<K> {
    /// Which one.
    pub key: K,
    /// How late it is.
    pub lag: Duration,
}

/// Where in its interval the slots of `id` lie: the same for ever, different for different ids.
pub fn phase(id: Uuid, interval: Duration) -> Duration {
    // FNV-1a (its parameters are public domain), finished with MurmurHash3's mixer because UUIDv7s made
    // together differ only in their last bytes. `std`'s hasher may change with the compiler.
    let fnv = id.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    Duration::from_micros((mixed ^ (mixed >> 33)) % micros(interval).max(1))
}

/// What is due when. See the module's documentation.
#[derive(Debug)]
pub struct Schedule<K> {
    /// Microseconds from the epoch to the start that `now` counts from.
    origin_us: u64,
    limits: Limits,
    entries: HashMap<K, Entry>,
    /// Everything that waits for its moment or for a free place, by moment.
    queue: BTreeSet<(Duration, K)>,
    hosts: HashMap<XNodeKey, Host<K>>,
    in_flight: usize,
    missed: u64,
}

#[derive(Debug)]
struct Entry {
    plan: Plan,
    next_slot: Duration,
    /// A probe out of turn: the confirmation of a failure, or somebody asked.
    extra_at: Option<Duration>,
    place: Place,
    /// Forgotten as soon as the probe under way is over.
    removed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the queue, under this moment.
    Queued(Duration),
    /// Its host is busy: in the host's line, under this moment.
    InLine(Duration),
    /// Under way, counted on this host; `for_slot`: it serves a slot.
    InFlight { host: XNodeKey, for_slot: bool },
}

#[derive(Debug)]
struct Host<K> {
    in_flight: usize,
    line: BTreeSet<(Duration, K)>,
}

impl<K> Default for Host<K> {
    fn default() -> Self {
        Self { in_flight: 0, line: BTreeSet::new() }
    }
}

impl<K: Copy + Ord + Hash> Schedule<K> {
    /// An empty schedule; `started_at` is the wall time at the moment that `now` counts from.
    pub fn new(started_at: Timestamp, limits: Limits) -> Self {
        Self {
            origin_us: u64::try_from(started_at.as_microsecond()).unwrap_or(0),
            limits: Limits { in_flight: limits.in_flight.max(1), per_host: limits.per_host.max(1) },
            entries: HashMap::new(),
            queue: BTreeSet::new(),
            hosts: HashMap::new(),
            in_flight: 0,
            missed: 0,
        }
    }

    /// Adds a key or changes its plan; `true`: it is new, and its first slot may be a whole interval away
    /// ([`Schedule::run_now`] if that is too long). A probe under way goes on and counts as this key's; an
    /// unchanged plan changes nothing.
    pub fn put(&mut self, key: K, plan: Plan, now: Duration) -> bool {
        let next_slot = self.slot_from(&plan, now);
        match self.entries.entry(key) {
            Slot::Vacant(vacant) => {
                vacant.insert(Entry {
                    plan,
                    next_slot,
                    extra_at: None,
                    place: Place::Queued(next_slot),
                    removed: false,
                });
                self.queue.insert((next_slot, key));
                true
            }
            Slot::Occupied(mut occupied) => {
                let entry = occupied.get_mut();
                let revived = std::mem::take(&mut entry.removed);
                if entry.plan != plan {
                    self.take_out(key);
                    if let Some(entry) = self.entries.get_mut(&key) {
                        (entry.plan, entry.next_slot) = (plan, next_slot);
                    }
                    self.enqueue(key);
                }
                revived
            }
        }
    }

    /// Removes a key; a probe under way keeps its place until [`Schedule::finish`].
    pub fn remove(&mut self, key: K) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if let Place::InFlight { .. } = entry.place {
            entry.removed = true;
            entry.extra_at = None;
            return;
        }
        self.take_out(key);
        self.entries.remove(&key);
    }

    /// Makes a key due at once, beside its slots; when a probe of it is under way, as soon as that is over,
    /// because it may have begun before whatever the caller wants to see. `false`: there is no such key.
    pub fn run_now(&mut self, key: K, now: Duration) -> bool {
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| !entry.removed) else { return false };
        entry.extra_at = Some(entry.extra_at.map_or(now, |at| at.min(now)));
        // One that stands in its host's line has its turn as soon as there is room.
        if let Place::Queued(_) = entry.place {
            self.take_out(key);
            self.enqueue(key);
        }
        true
    }

    /// What is to be started now, most overdue first, at most `capacity`. Each is under way from here on,
    /// until [`Schedule::finish`]. Slots that have passed for good are counted as missed.
    pub fn due(&mut self, now: Duration, capacity: usize) -> Vec<Start<K>> {
        let mut starts = Vec::new();
        while starts.len() < capacity && self.in_flight < self.limits.in_flight {
            let Some(&(at, key)) = self.queue.first().filter(|(at, _)| *at <= now) else { break };
            self.queue.pop_first();
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let host = self.hosts.entry(entry.plan.host).or_default();
            if self.limits.per_host <= host.in_flight {
                entry.place = Place::InLine(at);
                host.line.insert((at, key));
                continue;
            }
            host.in_flight += 1;
            self.in_flight += 1;
            let (lag, missed) = entry.start(now);
            self.missed += missed;
            starts.push(Start { key, lag });
        }
        starts
    }

    /// When [`Schedule::due`] has something next, possibly in the past; `None`: only [`Schedule::finish`]
    /// or a new plan can bring something, so wait for that.
    pub fn next_due(&self) -> Option<Duration> {
        let has_room = self.in_flight < self.limits.in_flight;
        self.queue.first().map(|(at, _)| *at).filter(|_| has_room)
    }

    /// Ends the probe of a key that is under way; `confirm_in`: probe again out of turn after this time.
    /// Slots that came while it was under way to serve a slot are missed. Harmless for anything else.
    pub fn finish(&mut self, key: K, now: Duration, confirm_in: Option<Duration>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let Place::InFlight { host, for_slot } = entry.place else { return };
        if for_slot {
            self.missed += entry.skip_past(now);
        }
        let confirm_at = confirm_in.map(|wait| now + wait);
        entry.extra_at = [entry.extra_at, confirm_at].into_iter().flatten().min();
        let (removed, wake) = (entry.removed, entry.wake());
        entry.place = Place::Queued(wake);
        if removed {
            self.entries.remove(&key);
        } else {
            self.queue.insert((wake, key));
        }
        self.in_flight -= 1;
        if let Some(host) = self.hosts.get_mut(&host) {
            host.in_flight -= 1;
        }
        self.call_next(host);
    }

    /// Slots that were not served, since the beginning.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// Probes under way.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When a key is due next: its next slot, or the probe out of turn that comes before it.
    pub fn next_of(&self, key: K) -> Option<Duration> {
        self.entries.get(&key).filter(|entry| !entry.removed).map(Entry::wake)
    }

    /// The first slot of `plan` at or after `now`.
    fn slot_from(&self, plan: &Plan, now: Duration) -> Duration {
        let interval = micros(plan.interval).max(1);
        let phase = micros(plan.phase) % interval;
        let into = (self.origin_us + micros(now)) % interval;
        let wait = if into <= phase { phase - into } else { interval - into + phase };
        Duration::from_micros(micros(now) + wait)
    }

    /// Takes a key that is not under way out of the queue or its host's line.
    fn take_out(&mut self, key: K) {
        let Some(entry) = self.entries.get(&key) else { return };
        let host = entry.plan.host;
        match entry.place {
            Place::Queued(at) => {
                self.queue.remove(&(at, key));
                self.call_next(host);
            }
            Place::InLine(at) => {
                if let Some(host) = self.hosts.get_mut(&host) {
                    host.line.remove(&(at, key));
                }
            }
            Place::InFlight { .. } => {}
        }
    }

    /// Queues a key that is not under way.
    fn enqueue(&mut self, key: K) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if let Place::InFlight { .. } = entry.place {
            return;
        }
        let at = entry.wake();
        entry.place = Place::Queued(at);
        self.queue.insert((at, key));
    }

    /// Puts the first in a host's line back into the queue, under its old moment. Every place that becomes
    /// free calls one, and so does everyone who was called and does not come, so nobody waits for nothing.
    fn call_next(&mut self, key: XNodeKey) {
        let Slot::Occupied(mut host) = self.hosts.entry(key) else { return };
        if let Some((at, next)) = host.get_mut().line.pop_first() {
            if let Some(entry) = self.entries.get_mut(&next) {
                entry.place = Place::Queued(at);
            }
            self.queue.insert((at, next));
        } else if host.get().in_flight == 0 {
            host.remove();
        }
    }
}

impl Entry {
    fn wake(&self) -> Duration {
        self.extra_at.map_or(self.next_slot, |at| at.min(self.next_slot))
    }

    /// Takes it under way: how late it is and how many slots have passed unserved.
    fn start(&mut self, now: Duration) -> (Duration, u64) {
        let extra_at = self.extra_at.take_if(|at| *at <= now);
        let for_slot = self.next_slot <= now;
        self.place = Place::InFlight { host: self.plan.host, for_slot };
        if !for_slot {
            return (now.saturating_sub(extra_at.unwrap_or(now)), 0);
        }
        let passed = self.skip_past(now);
        // The newest of the passed slots is served by this start.
        let served = self.next_slot.saturating_sub(self.plan.interval);
        (now.saturating_sub(served), passed - 1)
    }

    /// Moves the next slot beyond `now`; gives how many slots that left behind.
    fn skip_past(&mut self, now: Duration) -> u64 {
        if now < self.next_slot {
            return 0;
        }
        let interval = micros(self.plan.interval).max(1);
        let passed = micros(now - self.next_slot) / interval + 1;
        self.next_slot += Duration::from_micros(passed * interval);
        passed
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NO_LIMITS: Limits = Limits { in_flight: 100_000, per_host: 100_000 };

    fn schedule(limits: Limits) -> Schedule<u32> {
        Schedule::new(Timestamp::UNIX_EPOCH, limits)
    }

    fn plan(host: i64, interval: u64, phase: u64) -> Plan {
        Plan {
            host: XNodeKey(host),
            interval: Duration::from_secs(interval),
            phase: Duration::from_secs(phase),
        }
    }

    fn keys(starts: &[Start<u32>]) -> Vec<u32> {
        starts.iter().map(|start| start.key).collect()
    }

    #[test]
    fn phases_are_spread_and_stay_through_a_restart() {
        let interval = 10 * SECOND;
        let mut seconds = [0; 10];
        for _ in 0..2_000 {
            let id = Uuid::now_v7();
            seconds[usize::try_from(phase(id, interval).as_secs()).expect("small")] += 1;
            assert_eq!(phase(id, interval), phase(id, interval));
        }
        assert!(seconds.iter().all(|count| (130..=270).contains(count)), "{seconds:?}");

        let slot_after = |started_at: i64| {
            let started = Timestamp::from_second(started_at).expect("in range");
            let mut schedule = Schedule::new(started, NO_LIMITS);
            schedule.put(1, plan(1, 10, 7), Duration::ZERO);
            u64::try_from(started_at).expect("positive") + schedule.next_due().expect("queued").as_secs()
        };
        assert_eq!((slot_after(1_000), slot_after(1_007), slot_after(1_008)), (1_007, 1_007, 1_017));
    }

    #[test]
    fn slots_stay_where_they_are_however_long_a_probe_takes() {
        let mut schedule = schedule(NO_LIMITS);
        schedule.put(1, plan(1, 10, 3), Duration::ZERO);
        assert!(schedule.due(2 * SECOND, 9).is_empty());
        assert_eq!(schedule.due(4 * SECOND, 9), [Start { key: 1, lag: SECOND }]);
        assert!(schedule.due(15 * SECOND, 9).is_empty(), "the first is still under way");
        schedule.finish(1, 16 * SECOND, None);
        assert_eq!((schedule.missed(), schedule.next_due()), (1, Some(23 * SECOND)));
    }

    #[test]
    fn a_confirmation_comes_early_and_moves_no_slot() {
        let mut schedule = schedule(NO_LIMITS);
        schedule.put(1, plan(1, 300, 0), SECOND);
        schedule.due(300 * SECOND, 9);
        schedule.finish(1, 301 * SECOND, Some(SECOND));
        assert_eq!(schedule.next_of(1), Some(302 * SECOND));
        assert_eq!(schedule.due(302 * SECOND, 9).len(), 1);
        schedule.finish(1, 303 * SECOND, None);
        assert_eq!((schedule.next_of(1), schedule.missed()), (Some(600 * SECOND), 0));
    }

    #[test]
    fn a_slot_that_comes_during_a_probe_out_of_turn_is_late_and_not_missed() {
        let mut schedule = schedule(NO_LIMITS);
        schedule.put(1, plan(1, 10, 0), SECOND);
        assert!(schedule.run_now(1, 9 * SECOND));
        assert_eq!(schedule.due(9 * SECOND, 9).len(), 1);
        schedule.finish(1, 12 * SECOND, None);
        assert_eq!(schedule.due(12 * SECOND, 9), [Start { key: 1, lag: 2 * SECOND }]);
        assert_eq!(schedule.missed(), 0);
    }

    #[test]
    fn asking_during_a_probe_starts_another_after_it() {
        let mut schedule = schedule(NO_LIMITS);
        schedule.put(1, plan(1, 100, 0), SECOND);
        schedule.run_now(1, 2 * SECOND);
        assert_eq!(schedule.due(2 * SECOND, 9).len(), 1);
        assert!(schedule.run_now(1, 3 * SECOND));
        assert!(schedule.due(3 * SECOND, 9).is_empty());
        schedule.finish(1, 4 * SECOND, None);
        assert_eq!(schedule.due(4 * SECOND, 9).len(), 1);
        assert!(!schedule.run_now(99, SECOND), "nobody knows it");
    }

    #[test]
    fn a_machine_that_slept_counts_what_it_missed_and_makes_up_for_nothing() {
        let mut schedule = schedule(NO_LIMITS);
        schedule.put(1, plan(1, 10, 0), SECOND);
        assert_eq!(schedule.due(3_605 * SECOND, 9), [Start { key: 1, lag: 5 * SECOND }]);
        schedule.finish(1, 3_605 * SECOND, None);
        assert_eq!((schedule.missed(), schedule.next_due()), (359, Some(3_610 * SECOND)));
    }

    #[test]
    fn what_is_removed_under_way_keeps_its_place_until_it_ends() {
        let mut schedule = schedule(Limits { in_flight: 1, per_host: 1 });
        schedule.put(1, plan(1, 10, 0), SECOND);
        schedule.put(2, plan(2, 10, 1), 2 * SECOND);
        assert_eq!(keys(&schedule.due(10 * SECOND, 9)), [1]);
        schedule.remove(1);
        assert_eq!(schedule.next_of(1), None);
        assert!(schedule.due(11 * SECOND, 9).is_empty(), "the place is still taken");
        schedule.put(1, plan(1, 20, 0), 11 * SECOND);
        assert!(schedule.due(20 * SECOND, 9).is_empty(), "never two of one key");
        schedule.remove(1);
        schedule.finish(1, 20 * SECOND, Some(SECOND));
        assert_eq!(keys(&schedule.due(200 * SECOND, 9)), [2]);
    }

    #[test]
    fn a_busy_host_makes_nobody_else_wait() {
        let mut schedule = schedule(Limits { in_flight: 10, per_host: 2 });
        for key in 0..5 {
            schedule.put(key, plan(1, 10, 0), SECOND);
        }
        schedule.put(9, plan(2, 10, 1), 2 * SECOND);
        assert_eq!(keys(&schedule.due(11 * SECOND, 9)), [0, 1, 9]);
        assert_eq!(schedule.next_due(), None, "nothing to do until one ends");
        schedule.finish(0, 12 * SECOND, None);
        assert_eq!(keys(&schedule.due(12 * SECOND, 9)), [2]);
    }

    #[test]
    fn nobody_waits_for_a_place_that_nobody_takes() {
        let mut schedule = schedule(Limits { in_flight: 10, per_host: 1 });
        for key in 0..3 {
            schedule.put(key, plan(1, 10, 0), SECOND);
        }
        assert_eq!(keys(&schedule.due(10 * SECOND, 9)), [0]);
        // 1 is called and leaves for another host before it comes, 2 must be called in its place.
        schedule.finish(0, 11 * SECOND, None);
        schedule.put(1, plan(2, 1_000, 0), 11 * SECOND);
        assert_eq!(keys(&schedule.due(11 * SECOND, 9)), [2]);
    }

    #[test]
    fn a_changed_plan_counts_from_now_and_an_unchanged_one_changes_nothing() {
        let mut schedule = schedule(NO_LIMITS);
        assert!(schedule.put(1, plan(1, 10, 0), SECOND));
        assert!(!schedule.put(1, plan(1, 10, 0), 25 * SECOND));
        assert_eq!(schedule.next_due(), Some(10 * SECOND), "still overdue");
        schedule.put(1, plan(1, 60, 0), 25 * SECOND);
        assert_eq!(schedule.next_due(), Some(60 * SECOND));
    }

    #[derive(Debug, Clone)]
    enum Move {
        Wait(u64),
        Finish(usize, bool),
        RunNow(u32),
        Remove(u32),
        Put(u32, u64, i64),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            4 => (1_u64..8_000).prop_map(Move::Wait),
            6 => (0_usize..50, proptest::bool::weighted(0.2)).prop_map(|(n, confirm)| Move::Finish(n, confirm)),
            1 => (0_u32..12).prop_map(Move::RunNow),
            1 => (0_u32..12).prop_map(Move::Remove),
            1 => (0_u32..12, 1_u64..20, 0_i64..3).prop_map(|(key, interval, host)| Move::Put(key, interval, host)),
        ];
        proptest::collection::vec(one, 1..300)
    }

    proptest! {
        #[test]
        fn limits_hold_and_nothing_is_forgotten_whatever_happens(moves in moves()) {
            let limits = Limits { in_flight: 5, per_host: 2 };
            let mut schedule = schedule(limits);
            let mut plans: BTreeMap<u32, Plan> = BTreeMap::new();
            let mut under_way: Vec<(u32, XNodeKey)> = Vec::new();
            let mut now = Duration::ZERO;
            for step in moves {
                match step {
                    Move::Wait(ms) => now += Duration::from_millis(ms),
                    Move::Finish(n, confirm) if !under_way.is_empty() => {
                        let (key, _) = under_way.remove(n % under_way.len());
                        schedule.finish(key, now, confirm.then_some(SECOND));
                    }
                    Move::Finish(..) => {}
                    Move::RunNow(key) => prop_assert_eq!(schedule.run_now(key, now), plans.contains_key(&key)),
                    Move::Remove(key) => {
                        schedule.remove(key);
                        plans.remove(&key);
                    }
                    Move::Put(key, interval, host) => {
                        let new = plan(host, interval, u64::from(key) % interval);
                        prop_assert_eq!(schedule.put(key, new, now), plans.insert(key, new).is_none());
                    }
                }
                for start in schedule.due(now, 3) {
                    prop_assert!(under_way.iter().all(|(key, _)| *key != start.key), "two of one key");
                    under_way.push((start.key, plans[&start.key].host));
                }
                prop_assert!(under_way.len() <= limits.in_flight);
                for host in under_way.iter().map(|(_, host)| host).collect::<HashSet<_>>() {
                    prop_assert!(under_way.iter().filter(|(_, other)| other == host).count() <= limits.per_host);
                }
                prop_assert_eq!(schedule.in_flight(), under_way.len());
            }
            // With everything given back and time enough, every key has its turn.
            for (key, _) in under_way.drain(..) {
                schedule.finish(key, now, None);
            }
            now += Duration::from_secs(60);
            let mut seen = HashSet::new();
            while schedule.next_due().is_some_and(|due| due <= now) {
                let starts = schedule.due(now, usize::MAX);
                seen.extend(keys(&starts));
                starts.iter().for_each(|start| schedule.finish(start.key, now, None));
            }
            prop_assert_eq!(seen, plans.keys().copied().collect::<HashSet<_>>());
        }

        #[test]
        fn every_slot_is_served_or_missed_exactly_once(
            intervals in proptest::collection::vec(1_u64..20, 1..20),
            steps in proptest::collection::vec((1_u64..5_000, 0_usize..5), 1..200),
        ) {
            let mut schedule = schedule(NO_LIMITS);
            for (key, interval) in (0..).zip(&intervals) {
                schedule.put(key, plan(i64::from(key), *interval, u64::from(key) % interval), Duration::ZERO);
            }
            let first: Vec<Duration> = (0..).zip(&intervals).map(|(key, _)| schedule.next_of(key).expect("there")).collect();
            let (mut now, mut started, mut under_way) = (Duration::ZERO, 0_u64, Vec::new());
            for (wait, finished) in steps {
                now += Duration::from_millis(wait);
                let starts = schedule.due(now, usize::MAX);
                started += starts.len() as u64;
                under_way.extend(keys(&starts));
                let finished = finished.min(under_way.len());
                under_way.drain(..finished).for_each(|key| schedule.finish(key, now, None));
            }
            under_way.drain(..).for_each(|key| schedule.finish(key, now, None));
            started += schedule.due(now, usize::MAX).len() as u64;
            let slots: u64 = first
                .iter()
                .zip(&intervals)
                .filter_map(|(first, interval)| Some(now.checked_sub(*first)?.as_secs() / interval + 1))
                .sum();
            prop_assert_eq!(started + schedule.missed(), slots);
        }
    }
}
