//! The table of what holds a remediation back, and what holds for every sequence of alerts and runs.

use capsule_api::{
    CommandAction, PowerCycleAction, ProposeAction, RemediationAction, RemediationLimits, RemediationTrigger,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn remediation(mode: RemediationMode) -> Remediation {
    Remediation {
        id: RemediationId(Uuid::from_u128(1)),
        name: "restart".parse().expect("a name"),
        enabled: true,
        mode,
        trigger: RemediationTrigger {
            kinds: vec![AlertKind::ServiceDown],
            min_severity: Some(Severity::Warning),
            after_ms: 300_000,
            ..RemediationTrigger::default()
        },
        action: RemediationAction::Command(CommandAction {
            program: "systemctl".to_owned(),
            args: vec!["restart".to_owned(), "nginx".to_owned()],
            timeout_ms: 60_000,
        }),
        limits: RemediationLimits { max_per_hour: 2, cooldown_ms: 600_000 },
        revision: 1,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn case(number: u128) -> Case {
    Case {
        alert: AlertId(Uuid::from_u128(number)),
        kind: AlertKind::ServiceDown,
        severity: Severity::Critical,
        acknowledged: false,
        opened_at: at(1_000),
        xnode: XNodeId(Uuid::from_u128(100 + number)),
        tags: vec!["web".parse().expect("a tag")],
        seen: true,
        busy: false,
        no_ssh: None,
        no_power: Some("it is not known at a provider"),
    }
}

fn moment(second: i64) -> Moment {
    let fleet = Fleet { counted: 10, down: 2, unseen: 2 };
    Moment { fleet, settled_at: at(60), now: at(second) }
}

fn run(case: &Case, state: RunState, began: i64, ended: Option<i64>) -> Past {
    Past {
        remediation: RemediationId(Uuid::from_u128(1)),
        alert: case.alert,
        xnode: case.xnode,
        state,
        held: None,
        began_at: at(began),
        ended_at: ended.map(at),
    }
}

fn why(verdict: Verdict) -> Option<(HeldBack, Option<i64>)> {
    match verdict {
        Verdict::Act => None,
        Verdict::Held { why, until } => Some((why, until.map(Timestamp::as_second))),
    }
}

#[test]
fn an_alert_that_stays_open_is_acted_on_and_each_doubt_holds_it_back() {
    let acts = remediation(RemediationMode::Act);
    let open = case(1);
    let held = |case: &Case, past: &[Past], moment: &Moment| why(judge(&acts, case, past, moment));
    assert_eq!(held(&open, &[], &moment(1_300)), None);

    assert_eq!(held(&open, &[], &moment(1_299)), Some((HeldBack::TooEarly, Some(1_300))));
    let seen_by_somebody = Case { acknowledged: true, ..open.clone() };
    assert_eq!(held(&seen_by_somebody, &[], &moment(1_300)), Some((HeldBack::Acknowledged, None)));
    let just_started = Moment { settled_at: at(1_360), ..moment(1_300) };
    assert_eq!(held(&open, &[], &just_started), Some((HeldBack::Unseen, Some(1_360))));
    assert_eq!(
        held(&Case { seen: false, ..open.clone() }, &[], &moment(1_300)),
        Some((HeldBack::Unseen, None))
    );
    let in_the_dark = Moment { fleet: Fleet { counted: 10, down: 0, unseen: 3 }, ..moment(1_300) };
    assert_eq!(held(&open, &[], &in_the_dark), Some((HeldBack::Blind, None)));
    let all_over = Moment { fleet: Fleet { counted: 10, down: 3, unseen: 3 }, ..moment(1_300) };
    assert_eq!(held(&open, &[], &all_over), Some((HeldBack::FleetDown, None)));
    let no_user = Case { no_ssh: Some("no SSH user is set for it"), ..open.clone() };
    assert_eq!(held(&no_user, &[], &moment(1_300)), Some((HeldBack::NoWay, None)));
    assert_eq!(held(&Case { busy: true, ..open.clone() }, &[], &moment(1_300)), Some((HeldBack::Busy, None)));

    let under_way =
        Past { remediation: RemediationId(Uuid::from_u128(2)), ..run(&open, RunState::Running, 1_200, None) };
    assert_eq!(held(&open, &[under_way], &moment(1_300)), Some((HeldBack::Occupied, None)));
    let lost = run(&open, RunState::Unknown, 10, Some(20));
    assert_eq!(held(&open, &[lost], &moment(99_999)), Some((HeldBack::UnknownOutcome, None)));
    let said = run(&open, RunState::Proposed, 10, Some(10));
    assert_eq!(held(&open, &[said], &moment(99_999)), Some((HeldBack::Proposed, None)));
    let failed = run(&open, RunState::Failed, 1_000, Some(1_060));
    assert_eq!(held(&open, &[failed], &moment(1_659)), Some((HeldBack::Cooldown, Some(1_660))));
    assert_eq!(held(&open, &[failed], &moment(1_660)), None);
}

#[test]
fn the_limit_of_an_hour_is_for_all_xnodes_together_and_slides() {
    let acts = remediation(RemediationMode::Act);
    let (first, second) = (case(7), case(8));
    let past = [
        run(&first, RunState::Succeeded, 1_000, Some(1_001)),
        run(&second, RunState::Failed, 2_000, Some(2_001)),
    ];
    let judged = |second| why(judge(&acts, &case(1), &past, &moment(second)));
    assert_eq!(judged(4_599), Some((HeldBack::HourlyLimit, Some(4_600))));
    assert_eq!(judged(4_600), None);
}

#[test]
fn what_was_only_said_does_not_hold_back_what_is_done() {
    let open = case(1);
    let said = run(&open, RunState::DryRun, 1_300, Some(1_300));
    let judged = |mode| why(judge(&remediation(mode), &open, &[said], &moment(1_400)));
    assert_eq!(judged(RemediationMode::Act), None);
    assert_eq!(judged(RemediationMode::DryRun), Some((HeldBack::Cooldown, Some(1_900))));
    let skipped = Past { held: Some(HeldBack::Busy), ..run(&open, RunState::Skipped, 1_300, Some(1_300)) };
    let judged = why(judge(&remediation(RemediationMode::Act), &open, &[skipped], &moment(1_400)));
    assert_eq!(judged, None);
}

#[test]
fn the_brake_is_on_above_a_fifth_and_not_at_it() {
    let brake = |counted, down, unseen| Fleet { counted, down, unseen }.brake();
    assert_eq!(brake(5, 1, 1), None);
    assert_eq!(brake(4, 1, 0), Some(HeldBack::FleetDown));
    assert_eq!(brake(10_000, 2_001, 0), Some(HeldBack::FleetDown));
    assert_eq!(brake(10_000, 2_000, 2_001), Some(HeldBack::Blind));
    assert_eq!(brake(0, 0, 0), None);
}

#[test]
fn a_trigger_names_kinds_severity_tags_and_xnodes() {
    let mut chosen = remediation(RemediationMode::Act);
    let open = case(1);
    assert!(is_for(&chosen, &open));
    assert!(!is_for(&chosen, &Case { severity: Severity::Info, ..open.clone() }));
    assert!(!is_for(&chosen, &Case { kind: AlertKind::HttpError, ..open.clone() }));
    chosen.trigger.tags = vec!["db".parse().expect("a tag"), "web".parse().expect("a tag")];
    assert!(is_for(&chosen, &open));
    chosen.trigger.xnodes = vec![case(2).xnode.to_string()];
    assert!(!is_for(&chosen, &open));
    chosen.trigger.xnodes.push(open.xnode.to_string());
    assert!(is_for(&chosen, &open));
}

#[test]
fn actions_are_answers_to_what_they_can_end() {
    use RemediationActionKind::{Command, PowerCycle, ProposeDeployment};
    for (action, alert, fit) in [
        (Command, AlertKind::ServiceDown, true),
        (Command, AlertKind::SshUnreachable, false),
        (PowerCycle, AlertKind::SshUnreachable, true),
        (PowerCycle, AlertKind::HostKeyChanged, false),
        (PowerCycle, AlertKind::CostThreshold, false),
        (ProposeDeployment, AlertKind::HighCpu, true),
        (ProposeDeployment, AlertKind::LowDisk, false),
    ] {
        assert_eq!(fits(action, alert), fit, "{action} for {alert}");
    }
}

#[test]
fn the_fleets_trouble_is_said_once_an_hour_and_an_alerts_own_once() {
    let (first, second) = (case(1), case(2));
    let id = RemediationId(Uuid::from_u128(1));
    let skipped = |why| Past { held: Some(why), ..run(&first, RunState::Skipped, 1_000, Some(1_000)) };
    let news = |why, case: &Case, second| is_news(why, id, case.alert, &[skipped(why)], at(second));
    assert!(!news(HeldBack::FleetDown, &second, 4_599));
    assert!(news(HeldBack::FleetDown, &second, 4_600));
    assert!(!news(HeldBack::FleetDown, &first, 99_999));
    assert!(news(HeldBack::Busy, &second, 1_001));
    assert!(!news(HeldBack::Busy, &first, 99_999));
    let acted = run(&first, RunState::Succeeded, 1_000, Some(1_000));
    assert!(!is_news(HeldBack::Cooldown, id, first.alert, &[acted], at(1_001)));
    assert!(is_news(HeldBack::Cooldown, id, second.alert, &[acted], at(1_001)));
    assert!(!is_news(HeldBack::TooEarly, id, first.alert, &[], at(1_000)));
}

#[test]
fn one_xnode_is_acted_on_by_one_remediation_at_a_time() {
    let one = remediation(RemediationMode::Act);
    let other = Remediation { id: RemediationId(Uuid::from_u128(2)), ..one.clone() };
    let both = [case(1), Case { alert: AlertId(Uuid::from_u128(50)), ..case(1) }];
    let decisions = decide(&[one, other], &both, &[], &moment(1_300), 8);
    let acting = decisions.iter().filter(|decision| decision.verdict == Verdict::Act).count();
    assert_eq!((decisions.len(), acting), (4, 1));
}

fn any_action() -> impl Strategy<Value = RemediationAction> {
    prop_oneof![
        Just(remediation(RemediationMode::Act).action),
        Just(RemediationAction::PowerCycle(PowerCycleAction::default())),
        Just(RemediationAction::ProposeDeployment(ProposeAction {})),
    ]
}

/// What happens next: time passes, the fleet changes, runs end, an alert is looked at, the daemon dies.
#[derive(Debug, Clone)]
enum Turn {
    Wait(i64),
    Fleet(u32, u32),
    End(usize, RunState),
    Acknowledge(usize, bool),
    Busy(usize, bool),
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let ends = prop_oneof![Just(RunState::Succeeded), Just(RunState::Failed), Just(RunState::Unknown)];
    prop_oneof![
        4 => (1_i64..2_000).prop_map(Turn::Wait),
        1 => (0_u32..12, 0_u32..12).prop_map(|(down, unseen)| Turn::Fleet(down, unseen)),
        3 => (0_usize..6, ends).prop_map(|(which, state)| Turn::End(which, state)),
        1 => (0_usize..6, any::<bool>()).prop_map(|(which, on)| Turn::Acknowledge(which, on)),
        1 => (0_usize..6, any::<bool>()).prop_map(|(which, on)| Turn::Busy(which, on)),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_events_breaks_a_limit(
        most in 1_u32..4,
        cooldown_s in 60_u64..4_000,
        action in any_action(),
        turns in prop::collection::vec(any_turn(), 1..120),
    ) {
        let mut acts = remediation(RemediationMode::Act);
        acts.limits = RemediationLimits { max_per_hour: most, cooldown_ms: cooldown_s * 1_000 };
        acts.action = action;
        let mut cases: Vec<Case> = (1..=6).map(|n| Case { no_power: None, ..case(n) }).collect();
        // Two alerts share one xNode.
        cases[5].xnode = cases[4].xnode;
        let mut fleet = Fleet { counted: 20, down: 0, unseen: 0 };
        let (mut now, mut past): (i64, Vec<Past>) = (1_000, Vec::new());
        for turn in turns {
            match turn {
                Turn::Wait(seconds) => now += seconds,
                Turn::Fleet(down, unseen) => (fleet.down, fleet.unseen) = (down, unseen),
                Turn::End(which, state) => {
                    let mut open = past.iter_mut().filter(|run| !run.state.is_final());
                    if let Some(run) = open.nth(which % 2) {
                        (run.state, run.ended_at) = (state, Some(at(now)));
                    }
                }
                Turn::Acknowledge(which, on) => cases[which].acknowledged = on,
                Turn::Busy(which, on) => cases[which].busy = on,
            }
            let moment = Moment { fleet, settled_at: at(60), now: at(now) };
            for decision in decide(std::slice::from_ref(&acts), &cases, &past, &moment, 3) {
                if decision.verdict != Verdict::Act {
                    continue;
                }
                let case = &cases[decision.case];
                prop_assert!(fleet.down <= 4 && fleet.unseen <= 4, "nothing while the brake is on");
                prop_assert!(!case.acknowledged && !case.busy);
                prop_assert!(case.opened_at + SignedDuration::from_millis(300_000) <= at(now));
                for before in past.iter().filter(|run| run.xnode == case.xnode) {
                    prop_assert!(before.state.is_final(), "one at a time on an xNode");
                    let ended = before.ended_at.expect("it is final").as_second();
                    prop_assert!(i64::try_from(cooldown_s).expect("small") <= now - ended, "it has cooled down");
                }
                let unknown = past.iter().any(|run| run.alert == case.alert && run.state == RunState::Unknown);
                prop_assert!(!unknown, "what may have been done is not done again");
                past.push(begun(&acts, case, at(now)));
                let hour: Vec<_> = past.iter().filter(|run| now - 3_600 < run.began_at.as_second()).collect();
                prop_assert!(hour.len() <= most as usize, "{} runs within an hour", hour.len());
            }
        }
    }
}
