//! Which remediation acts on which open alert now, and what holds the others back.
//!
//! Everything here prefers doing nothing. A remediation acts only on what is seen at this moment, alone on its
//! xNode, within its limits, and never while a large part of the fleet is down: then the trouble is a network, a
//! provider or ourselves, and restarting servers one by one makes it worse. The own host is not counted: that
//! it is up says nothing. In a fleet of fewer than five, one server that is wholly down is more than 20 %.
//!
//! A run whose outcome nobody knows ends the automation for that alert. Whoever resolves the alert by hand lets
//! it begin again.

#[cfg(test)]
mod tests;

use capsule_api::{
    AlertId, AlertKind, HeldBack, Remediation, RemediationActionKind, RemediationId, RemediationMode,
    RunState, Severity, Tag, XNodeId,
};
use jiff::{SignedDuration, Timestamp};

/// More than this share of the fleet down, or not seen, and nothing is done. In percent.
const BRAKE_PERCENT: u64 = 20;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Kinds of alert that a server has and that an action on it can end.
const ACTIONABLE: &[AlertKind] = &[
    AlertKind::HighCpu,
    AlertKind::HighMemory,
    AlertKind::LowDisk,
    AlertKind::ServiceDown,
    AlertKind::SshUnreachable,
    AlertKind::HttpError,
];

/// Whether an action of a kind can be an answer to a kind of alert. More servers help against load, and a
/// command does not get to a server that SSH does not reach.
pub fn fits(action: RemediationActionKind, alert: AlertKind) -> bool {
    ACTIONABLE.contains(&alert)
        && match action {
            RemediationActionKind::Command => alert != AlertKind::SshUnreachable,
            RemediationActionKind::PowerCycle => true,
            RemediationActionKind::ProposeDeployment => {
                matches!(alert, AlertKind::HighCpu | AlertKind::HighMemory)
            }
        }
}

/// The xNodes that are watched and have checks, the own host not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fleet {
    /// How many there are.
    pub counted: u32,
    /// How many are down: no check passes.
    pub down: u32,
    /// How many we do not see: no fresh result, or only blind ones.
    pub unseen: u32,
}

impl Fleet {
    /// What stops every action.
    pub fn brake(&self) -> Option<HeldBack> {
        let too_many = |part: u32| u64::from(self.counted) * BRAKE_PERCENT < u64::from(part) * 100;
        if too_many(self.down) {
            return Some(HeldBack::FleetDown);
        }
        too_many(self.unseen).then_some(HeldBack::Blind)
    }
}

/// An open alert of an xNode, with what is known of the xNode.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The alert.
    pub alert: AlertId,
    /// Its kind.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// Whether somebody looks at it.
    pub acknowledged: bool,
    /// Since when it is open.
    pub opened_at: Timestamp,
    /// Its xNode.
    pub xnode: XNodeId,
    /// The xNode's tags.
    pub tags: Vec<Tag>,
    /// Whether something recent is known of the xNode.
    pub seen: bool,
    /// Whether an operation works on it.
    pub busy: bool,
    /// Why no command gets there.
    pub no_ssh: Option<&'static str>,
    /// Why it cannot be switched at its provider.
    pub no_power: Option<&'static str>,
}

impl Case {
    /// Why an action of this kind cannot be done there.
    pub fn obstacle(&self, action: RemediationActionKind) -> Option<&'static str> {
        match action {
            RemediationActionKind::Command => self.no_ssh,
            RemediationActionKind::PowerCycle => self.no_power,
            RemediationActionKind::ProposeDeployment => None,
        }
    }
}

/// A run there was, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Of which remediation.
    pub remediation: RemediationId,
    /// For which alert.
    pub alert: AlertId,
    /// Where.
    pub xnode: XNodeId,
    /// Where it stands.
    pub state: RunState,
    /// What held it back.
    pub held: Option<HeldBack>,
    /// When it was decided.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What is known beside the alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The fleet.
    pub fleet: Fleet,
    /// Before this, what was stored by an earlier process may no longer be true.
    pub settled_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What follows for one remediation and one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done, or said, by the remediation's mode.
    Act,
    /// Not now.
    Held {
        /// Why.
        why: HeldBack,
        /// When that is over, where it is known.
        until: Option<Timestamp>,
    },
}

/// Whether `remediation` is for this alert at all.
pub fn is_for(remediation: &Remediation, case: &Case) -> bool {
    let trigger = &remediation.trigger;
    let id = case.xnode.to_string();
    trigger.kinds.contains(&case.kind)
        && trigger.min_severity.is_none_or(|least| least <= case.severity)
        && (trigger.tags.is_empty() || trigger.tags.iter().any(|tag| case.tags.contains(tag)))
        && (trigger.xnodes.is_empty() || trigger.xnodes.contains(&id))
}

/// What follows for an alert that `remediation` is for. `past`: every run that is unfinished, that belongs to
/// an open alert, or that ended within the remediation's cool-down or the last hour.
pub fn judge(remediation: &Remediation, case: &Case, past: &[Past], moment: &Moment) -> Verdict {
    let now = moment.now;
    let held = |why| Verdict::Held { why, until: None };
    let until = |why, until| Verdict::Held { why, until: Some(until) };
    let ripe = after(case.opened_at, remediation.trigger.after_ms);
    let own = || past.iter().filter(|run| run.remediation == remediation.id);
    if case.acknowledged {
        return held(HeldBack::Acknowledged);
    }
    if now < ripe {
        return until(HeldBack::TooEarly, ripe);
    }
    if own().any(|run| run.alert == case.alert && run.state == RunState::Unknown) {
        return held(HeldBack::UnknownOutcome);
    }
    if own().any(|run| run.alert == case.alert && run.state == RunState::Proposed) {
        return held(HeldBack::Proposed);
    }
    if now < moment.settled_at {
        return until(HeldBack::Unseen, moment.settled_at);
    }
    if !case.seen {
        return held(HeldBack::Unseen);
    }
    if let Some(why) = moment.fleet.brake() {
        return held(why);
    }
    if case.obstacle(remediation.action.kind()).is_some() {
        return held(HeldBack::NoWay);
    }
    if case.busy {
        return held(HeldBack::Busy);
    }
    if past.iter().any(|run| run.xnode == case.xnode && !run.state.is_final()) {
        return held(HeldBack::Occupied);
    }
    let counted = || own().filter(|run| counts(run.state, remediation.mode));
    let rested = counted()
        .filter(|run| run.xnode == case.xnode)
        .map(|run| after(run.ended_at.unwrap_or(now), remediation.limits.cooldown_ms))
        .max();
    if let Some(rested) = rested.filter(|rested| now < *rested) {
        return until(HeldBack::Cooldown, rested);
    }
    match hour_is_free(counted().map(|run| run.began_at), remediation.limits.max_per_hour, now) {
        Some(free) => until(HeldBack::HourlyLimit, free),
        None => Verdict::Act,
    }
}

/// Whether a run counts against the limits: one that acted always does, one that was only said does for a
/// remediation that only says.
fn counts(state: RunState, mode: RemediationMode) -> bool {
    state.has_acted() || (state == RunState::DryRun && mode == RemediationMode::DryRun)
}

/// When the next run may begin; `None`: now.
fn hour_is_free(began: impl Iterator<Item = Timestamp>, most: u32, now: Timestamp) -> Option<Timestamp> {
    let mut within: Vec<Timestamp> = began.filter(|at| now < end_of_hour(*at)).collect();
    within.sort_unstable();
    let over = within.len().checked_sub(most.max(1) as usize)?;
    Some(end_of_hour(within[over]))
}

fn end_of_hour(at: Timestamp) -> Timestamp {
    at.saturating_add(HOUR).unwrap_or(Timestamp::MAX)
}

fn after(at: Timestamp, wait_ms: u64) -> Timestamp {
    let wait = SignedDuration::from_millis(i64::try_from(wait_ms).unwrap_or(i64::MAX));
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// One remediation and one alert it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Place of the remediation in what was given.
    pub remediation: usize,
    /// Place of the case in what was given.
    pub case: usize,
    /// What follows.
    pub verdict: Verdict,
}

/// What follows for every alert and every remediation that is for it, the longest open alert first. What is
/// decided for one counts for those after it; at most `most` act.
pub fn decide(
    remediations: &[Remediation],
    cases: &[Case],
    past: &[Past],
    moment: &Moment,
    most: usize,
) -> Vec<Decision> {
    let mut past = past.to_vec();
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|place| (cases[*place].opened_at, cases[*place].alert));
    let mut decisions = Vec::new();
    let mut acting = 0;
    for place in order {
        let case = &cases[place];
        for (number, remediation) in remediations.iter().enumerate() {
            if !remediation.enabled || !is_for(remediation, case) {
                continue;
            }
            let verdict = judge(remediation, case, &past, moment);
            if verdict == Verdict::Act {
                if acting == most {
                    continue;
                }
                acting += 1;
                past.push(begun(remediation, case, moment.now));
            }
            decisions.push(Decision { remediation: number, case: place, verdict });
        }
    }
    decisions
}

/// The run that a decision to act becomes.
fn begun(remediation: &Remediation, case: &Case, now: Timestamp) -> Past {
    let state = state_of(remediation);
    Past {
        remediation: remediation.id,
        alert: case.alert,
        xnode: case.xnode,
        state,
        held: None,
        began_at: now,
        ended_at: state.is_final().then_some(now),
    }
}

/// The state in which a run of `remediation` begins.
pub fn state_of(remediation: &Remediation) -> RunState {
    match remediation.mode {
        RemediationMode::DryRun => RunState::DryRun,
        RemediationMode::Act => RunState::Planned,
    }
}

/// Whether that a remediation is held back is worth a word. What concerns the whole fleet is said once an hour
/// for each remediation, or 10,000 alerts would each get a message; the rest once for each alert. What passes
/// by itself, or was said by the run it comes from, is not said at all.
pub fn is_news(
    why: HeldBack,
    remediation: RemediationId,
    alert: AlertId,
    past: &[Past],
    now: Timestamp,
) -> bool {
    let mut same = past.iter().filter(|run| run.remediation == remediation && run.held == Some(why));
    match why {
        HeldBack::FleetDown | HeldBack::HourlyLimit => {
            !same.any(|run| run.alert == alert || now < end_of_hour(run.began_at))
        }
        // That an alert is not acted on again at once goes without saying.
        HeldBack::Cooldown => !past.iter().any(|run| run.remediation == remediation && run.alert == alert),
        HeldBack::Acknowledged | HeldBack::Busy | HeldBack::NoWay | HeldBack::Overtaken => {
            !same.any(|run| run.alert == alert)
        }
        HeldBack::TooEarly
        | HeldBack::Blind
        | HeldBack::Unseen
        | HeldBack::Occupied
        | HeldBack::UnknownOutcome
        | HeldBack::Proposed => false,
    }
}

/// Why it is held back, in words.
pub fn words(
    why: HeldBack,
    until: Option<Timestamp>,
    remediation: &Remediation,
    case: &Case,
    fleet: &Fleet,
) -> String {
    let of_fleet = |part: u32, what: &str| {
        format!("{part} of {} xNodes are {what}; nothing is done above {BRAKE_PERCENT} %", fleet.counted)
    };
    let till = until.map(|until| format!(" until {until:.0}")).unwrap_or_default();
    match why {
        HeldBack::FleetDown => of_fleet(fleet.down, "down"),
        HeldBack::Blind => of_fleet(fleet.unseen, "not seen, which may be trouble of our own"),
        HeldBack::Unseen if until.is_some() => format!("the daemon has only just started; it waits{till}"),
        HeldBack::Unseen => "nothing recent is known of this xNode".to_owned(),
        HeldBack::Acknowledged => "the alert is acknowledged: somebody looks at it".to_owned(),
        HeldBack::TooEarly => format!("the alert has to stay open{till}"),
        HeldBack::Busy => "an operation works on the xNode".to_owned(),
        HeldBack::Occupied => "another remediation works on the xNode".to_owned(),
        HeldBack::Cooldown => format!("it cools down{till}"),
        HeldBack::HourlyLimit => {
            format!(
                "it ran {} times within the hour, which is its limit{till}",
                remediation.limits.max_per_hour
            )
        }
        HeldBack::UnknownOutcome => {
            "an earlier run for this alert may have been done: look, then resolve the alert".to_owned()
        }
        HeldBack::Proposed => "it was proposed for this alert already".to_owned(),
        HeldBack::NoWay => {
            case.obstacle(remediation.action.kind()).unwrap_or("there is no way to it").to_owned()
        }
        HeldBack::Overtaken => "things changed before it began".to_owned(),
    }
}
