//! How a server comes to be: the states of an intent, which may follow which, and what every answer of a
//! provider means. Pure: the driver asks, does, writes.
//!
//! One rule stands above the others: **between the moment the creation may have been sent and the moment its
//! outcome is known, nothing is sent again.** `sending` is written before the call; whoever finds it in the
//! row (after a crash, or because the answer was lost) looks for the mark. Only an empty look-up that began
//! after the whole window proves that nothing was made.

use std::time::Duration;

use capsule_api::{DeploymentState as State, Instance, InstanceState};
use jiff::{SignedDuration, Timestamp};

/// The least time that a lost creation is looked for.
pub const LOOK_AT_LEAST: Duration = Duration::from_secs(120);
/// What is added to a provider's own lag, whose figures are observations and no promises.
const LAG_MARGIN: Duration = Duration::from_secs(30);
/// How often the creation is sent for one offer when it was proved each time that nothing was made.
const MOST_SENDS: u32 = 3;
/// How often the only offer left is tried when the provider says "not now".
const MOST_TRIES: u32 = 3;

/// Pause between two look-ups, and between two looks at a server that is coming up.
pub const POLL: Duration = Duration::from_secs(5);
/// Longest pause after answers that were errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What to do next with an intent, as its row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write that it is being prepared.
    Begin,
    /// Prepare, write that it is sent, send.
    PrepareAndSend,
    /// The process ended between "sent" and the answer: write that the outcome is unknown.
    Doubt,
    /// Look for the mark.
    LookUp,
    /// Do what the provider wants after a creation.
    Finish,
    /// Ask whether it runs and where.
    Await,
    /// Log in.
    Reach,
    /// End it: nothing was made.
    Cancel,
    /// End it: something was made, which stays.
    Abandon,
    /// It has ended.
    Rest,
}

/// The next step. A request to stop counts wherever nothing can be lost by it: never while the outcome of a
/// creation is unknown.
pub const fn next(state: State, stop_requested: bool) -> Step {
    match (state, stop_requested) {
        (State::Planned | State::Preparing, true) => Step::Cancel,
        (State::Made | State::Starting | State::Reaching, true) => Step::Abandon,
        (State::Planned, false) => Step::Begin,
        (State::Preparing, false) => Step::PrepareAndSend,
        (State::Sending, _) => Step::Doubt,
        (State::Unknown, _) => Step::LookUp,
        (State::Made, false) => Step::Finish,
        (State::Starting, false) => Step::Await,
        (State::Reaching, false) => Step::Reach,
        (State::Succeeded | State::Failed | State::Cancelled, _) => Step::Rest,
    }
}

/// Whether an intent may go from one state to another.
pub const fn may_follow(from: State, to: State) -> bool {
    use State::{
        Cancelled, Failed, Made, Planned, Preparing, Reaching, Sending, Starting, Succeeded, Unknown,
    };
    matches!(
        (from, to),
        (Planned, Preparing | Cancelled)
            | (Preparing, Preparing | Sending | Failed | Cancelled)
            | (Sending, Preparing | Unknown | Made | Failed | Cancelled)
            | (Unknown, Unknown | Preparing | Made | Failed | Cancelled)
            | (Made, Starting | Failed | Cancelled)
            | (Starting, Reaching | Failed | Cancelled)
            | (Reaching, Succeeded | Failed | Cancelled)
    )
}

/// The moment before which an empty look-up proves nothing, when the answer was lost at `lost_at`.
pub fn look_until(lost_at: Timestamp, visibility_lag: Duration) -> Timestamp {
    let window = LOOK_AT_LEAST.max(visibility_lag.saturating_add(LAG_MARGIN));
    let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
    lost_at.saturating_add(window).unwrap_or(Timestamp::MAX)
}

/// What a look-up says.
#[derive(Debug, Clone, PartialEq)]
pub enum LookUp {
    /// It was made.
    Found {
        /// The one to keep: the first that was made.
        keep: Box<Instance>,
        /// Others with the same mark, to be reported and never deleted by us.
        doubles: Vec<Instance>,
    },
    /// It was made, and is gone again.
    Gone,
    /// It was not made.
    NeverMade,
    /// Too early to say.
    NotYet,
}

/// Judges a look-up that began at `began` and found these instances.
pub fn judge_look_up(mut found: Vec<Instance>, began: Timestamp, looked_until: Timestamp) -> LookUp {
    let any = !found.is_empty();
    found.retain(|instance| instance.status != InstanceState::Deleted);
    found.sort_by(|a, b| {
        let made = |instance: &Instance| instance.created_at.unwrap_or(Timestamp::MAX);
        made(a).cmp(&made(b)).then_with(|| a.id.cmp(&b.id))
    });
    let mut found = found.into_iter();
    match found.next() {
        Some(keep) => LookUp::Found { keep: Box::new(keep), doubles: found.collect() },
        None if began < looked_until => LookUp::NotYet,
        None if any => LookUp::Gone,
        None => LookUp::NeverMade,
    }
}

/// Where to go when an offer was not had and nothing was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// To this offer.
    Offer(usize),
    /// To the same one again, after this pause.
    Again(Duration),
    /// Nowhere.
    GiveUp,
}

/// After a refusal of offer `offer` of `offers`, the `tries`-th (from 1) at it: the next offer; the last one
/// again when the refusal was for the moment only, after `retry_after` or 5 s, 10 s.
pub fn after_refusal(
    offer: usize,
    offers: usize,
    tries: u32,
    is_transient: bool,
    retry_after: Option<Duration>,
) -> Onward {
    if offer + 1 < offers {
        return Onward::Offer(offer + 1);
    }
    if is_transient && tries < MOST_TRIES {
        return Onward::Again(retry_after.unwrap_or_else(|| pause(tries)).min(LONGEST_PAUSE));
    }
    Onward::GiveUp
}

/// After it was proved that the `sends`-th creation made nothing: the same offer again, then the next.
pub const fn after_nothing_made(offer: usize, offers: usize, sends: u32) -> Onward {
    if !sends.is_multiple_of(MOST_SENDS) {
        return Onward::Again(Duration::ZERO);
    }
    if offer + 1 < offers { Onward::Offer(offer + 1) } else { Onward::GiveUp }
}

/// What the provider says of a server that is coming up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coming {
    /// It runs, and is there.
    Up(std::net::IpAddr),
    /// Not yet.
    Wait,
    /// It will not come.
    Lost(String),
}

/// Judges a look at a server that was made at `made_at`. One that is not to be seen is only gone once it
/// cannot merely be late: `visible_by` as [`look_until`] gives it.
pub fn judge_coming(
    seen: Option<&Instance>,
    now: Timestamp,
    visible_by: Timestamp,
    deadline: Timestamp,
) -> Coming {
    match seen {
        Some(instance) => match (instance.status, instance.ip_address) {
            (InstanceState::Running, Some(address)) if !address.is_unspecified() => Coming::Up(address),
            (InstanceState::Error, _) => Coming::Lost("the provider says it failed".to_owned()),
            (InstanceState::Deleted, _) => Coming::Lost("the provider says it is deleted".to_owned()),
            _ if deadline <= now => Coming::Lost(format!("it is still {} at the provider", instance.status)),
            _ => Coming::Wait,
        },
        None if now < visible_by => Coming::Wait,
        None => Coming::Lost("the provider no longer knows it".to_owned()),
    }
}

/// How long a server may take to run and have an address: virtual ones minutes, bare metal an hour.
pub const fn start_deadline(bare_metal: bool) -> Duration {
    Duration::from_secs(if bare_metal { 5_400 } else { 1_200 })
}

/// How long SSH may take after that: first boot, cloud-init, on bare metal several restarts.
pub const fn reach_deadline(bare_metal: bool) -> Duration {
    Duration::from_secs(if bare_metal { 1_800 } else { 600 })
}

/// Pause after the `errors`-th error in a row: 5 s, 10 s, 20 s, 40 s, then 60 s each.
pub fn pause(errors: u32) -> Duration {
    POLL.saturating_mul(1_u32 << errors.saturating_sub(1).min(8)).min(LONGEST_PAUSE)
}

/// Share done in percent, and words for people.
pub const fn progress(state: State) -> (u8, &'static str) {
    match state {
        State::Planned => (0, "planned"),
        State::Preparing => (5, "preparing"),
        State::Sending => (15, "asking the provider"),
        State::Unknown => (20, "unknown outcome: looking for it at the provider"),
        State::Made => (35, "made"),
        State::Starting => (45, "starting"),
        State::Reaching => (75, "waiting for SSH"),
        State::Succeeded => (100, "ready"),
        State::Failed => (100, "failed"),
        State::Cancelled => (100, "cancelled"),
    }
}

#[cfg(test)]
mod tests {
    use capsule_api::ProviderName;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("in range")
    }

    fn instance(id: &str, created: Option<i64>, status: InstanceState) -> Instance {
        Instance {
            id: id.to_owned(),
            name: "web".to_owned(),
            provider: ProviderName::Vultr,
            status,
            ip_address: None,
            region: "r".to_owned(),
            created_at: created.map(at),
            metadata: serde_json::Value::Null,
            plan: "p".to_owned(),
            tags: Vec::new(),
            place: String::new(),
        }
    }

    #[test]
    fn the_window_is_two_minutes_or_longer_than_the_lag() {
        assert_eq!(look_until(at(0), Duration::from_secs(10)), at(120));
        assert_eq!(look_until(at(0), Duration::from_secs(300)), at(330));
        assert_eq!(look_until(at(0), Duration::MAX), Timestamp::MAX);
    }

    #[test]
    fn an_empty_look_up_proves_something_only_after_the_window() {
        assert_eq!(judge_look_up(vec![], at(119), at(120)), LookUp::NotYet);
        assert_eq!(judge_look_up(vec![], at(120), at(120)), LookUp::NeverMade);
        let deleted = || vec![instance("1", None, InstanceState::Deleted)];
        assert_eq!(judge_look_up(deleted(), at(119), at(120)), LookUp::NotYet);
        assert_eq!(judge_look_up(deleted(), at(120), at(120)), LookUp::Gone);
    }

    #[test]
    fn of_doubles_the_first_is_kept_and_the_others_are_told() {
        let found = vec![
            instance("9", None, InstanceState::Running),
            instance("3", Some(20), InstanceState::Running),
            instance("5", Some(10), InstanceState::Provisioning),
        ];
        let LookUp::Found { keep, doubles } = judge_look_up(found, at(0), at(120)) else { panic!("found") };
        assert_eq!(keep.id, "5");
        assert_eq!(doubles.iter().map(|double| double.id.as_str()).collect::<Vec<_>>(), ["3", "9"]);
    }

    #[test]
    fn every_offer_is_tried_and_the_last_one_again_if_it_helps() {
        assert_eq!(after_refusal(0, 7, 1, false, None), Onward::Offer(1));
        assert_eq!(after_refusal(6, 7, 1, false, None), Onward::GiveUp);
        assert_eq!(after_refusal(6, 7, 1, true, None), Onward::Again(Duration::from_secs(5)));
        let hour = Some(Duration::from_secs(3_600));
        assert_eq!(after_refusal(6, 7, 2, true, hour), Onward::Again(LONGEST_PAUSE));
        assert_eq!(after_refusal(6, 7, 3, true, None), Onward::GiveUp);
        assert_eq!(after_nothing_made(0, 2, 1), Onward::Again(Duration::ZERO));
        assert_eq!(after_nothing_made(0, 2, 3), Onward::Offer(1));
        assert_eq!(after_nothing_made(1, 2, 3), Onward::GiveUp);
    }

    #[test]
    fn a_server_that_is_not_seen_may_be_late_and_one_in_error_is_lost() {
        let judge = |seen: Option<&Instance>, now| judge_coming(seen, at(now), at(120), at(600));
        assert_eq!(judge(None, 119), Coming::Wait);
        assert!(matches!(judge(None, 120), Coming::Lost(_)));
        let mut up = instance("1", None, InstanceState::Running);
        assert_eq!(judge(Some(&up), 10), Coming::Wait, "no address yet");
        up.ip_address = Some("0.0.0.0".parse().expect("an address"));
        assert_eq!(judge(Some(&up), 10), Coming::Wait, "vultr's way of saying not yet");
        assert!(matches!(judge(Some(&up), 600), Coming::Lost(_)));
        up.ip_address = Some("192.0.2.1".parse().expect("an address"));
        assert!(matches!(judge(Some(&up), 900), Coming::Up(_)));
        assert!(matches!(judge(Some(&instance("1", None, InstanceState::Error)), 10), Coming::Lost(_)));
    }

    #[test]
    fn every_state_but_the_last_ones_leads_on() {
        for from in State::ALL.iter().copied() {
            let leads_on = State::ALL.iter().any(|to| may_follow(from, *to));
            assert_eq!(leads_on, !from.is_final(), "{from}");
            assert_eq!(next(from, false) == Step::Rest, from.is_final());
        }
    }

    /// A world that does to one intent whatever the vendor, the network and `kill -9` can.
    #[derive(Debug, Default)]
    struct World {
        /// When each server becomes visible to a look-up.
        servers: Vec<i64>,
        now: i64,
    }

    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Answered,
        Refused,
        /// Made, and the answer lost; visible so many seconds later.
        MadeUnheard(i64),
        /// Not made, and the answer lost.
        NotMadeUnheard,
        /// Killed between "sent" and the call.
        KilledBefore,
        /// Killed between the call and the answer.
        KilledAfter(i64),
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            Just(Fate::Answered),
            Just(Fate::Refused),
            (0_i64..90).prop_map(Fate::MadeUnheard),
            Just(Fate::NotMadeUnheard),
            Just(Fate::KilledBefore),
            (0_i64..90).prop_map(Fate::KilledAfter),
        ]
    }

    impl World {
        fn send(&mut self, fate: Fate) -> State {
            match fate {
                Fate::Answered => self.servers.push(self.now),
                Fate::MadeUnheard(lag) | Fate::KilledAfter(lag) => self.servers.push(self.now + lag),
                Fate::Refused | Fate::NotMadeUnheard | Fate::KilledBefore => {}
            }
            match fate {
                Fate::Answered => State::Made,
                Fate::Refused => State::Preparing,
                Fate::MadeUnheard(_) | Fate::NotMadeUnheard => State::Unknown,
                Fate::KilledBefore | Fate::KilledAfter(_) => State::Sending,
            }
        }

        fn visible(&self) -> Vec<Instance> {
            let seen = self.servers.iter().filter(|at| **at <= self.now);
            seen.map(|_| instance("1", None, InstanceState::Running)).collect()
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_there_is_never_a_second_server(
            fates in prop::collection::vec(fate(), 1..12),
            stop_after in prop::option::of(0_usize..40),
        ) {
            let (mut world, mut state, mut until, mut sends) = (World::default(), State::Planned, 0, 0);
            let offers = fates.len();
            let (mut offer, mut fates) = (0, fates.into_iter());
            for round in 0..10_000 {
                let stop = stop_after.is_some_and(|after| after <= round);
                let before = state;
                state = match next(state, stop) {
                    Step::Begin => State::Preparing,
                    Step::PrepareAndSend => match fates.next() {
                        Some(fate) => {
                            sends += 1;
                            let after = world.send(fate);
                            until = look_until(at(world.now), Duration::from_secs(60)).as_second();
                            if matches!(fate, Fate::Refused) {
                                match after_refusal(offer, offers, 1, false, None) {
                                    Onward::Offer(next) => { offer = next; after }
                                    _ => State::Failed,
                                }
                            } else { after }
                        }
                        None => State::Failed,
                    },
                    Step::Doubt => {
                        until = look_until(at(world.now), Duration::from_secs(60)).as_second();
                        State::Unknown
                    }
                    Step::LookUp => {
                        match judge_look_up(world.visible(), at(world.now), at(until)) {
                            LookUp::Found { .. } => State::Made,
                            LookUp::NotYet => { world.now += 5; State::Unknown }
                            LookUp::NeverMade | LookUp::Gone => {
                                match after_nothing_made(offer, offers, sends) {
                                    Onward::Again(_) => State::Preparing,
                                    Onward::Offer(next) => { offer = next; State::Preparing }
                                    Onward::GiveUp => State::Failed,
                                }
                            }
                        }
                    }
                    Step::Finish => State::Starting,
                    Step::Await => State::Reaching,
                    Step::Reach => State::Succeeded,
                    Step::Cancel | Step::Abandon => State::Cancelled,
                    Step::Rest => break,
                };
                let killed = before == State::Preparing && matches!(state, State::Sending | State::Made | State::Unknown);
                prop_assert!(before == state || may_follow(before, state) || killed, "{before} -> {state}");
                prop_assert!(world.servers.len() <= 1, "a second server");
            }
            prop_assert!(state.is_final());
            if matches!(state, State::Succeeded) {
                prop_assert_eq!(world.servers.len(), 1);
            }
        }
    }
}
