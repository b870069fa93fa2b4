//! What an owner may rely on: told once, told in time, nothing lost behind a dead host.

use capsule_api::{
    AlertChangeKind, AlertId, CheckId, CheckKind, CheckStatus, CpuUse, DiskUse, MemoryUse, Outcome, Sample,
    Severity, Subject, SubjectKind, Thresholds,
};
use jiff::SignedDuration;
use proptest::prelude::*;
use uuid::Uuid;

use super::{reconcile::is_judged, *};
use crate::{
    model::{CheckFact, CheckLimits, CheckState, Finding},
    rules::health,
};

const PING: usize = 0;
const TCP: usize = 1;
const SSH: usize = 2;
const WEB: usize = 3;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

/// An xNode with a ping, a TCP, an SSH and an HTTP check, and everything that is remembered of it.
struct World {
    facts: XNodeFacts,
    open: Vec<Alert>,
    /// What happened to alerts, oldest first.
    told: Vec<(AlertKind, AlertChangeKind)>,
    verdict: Verdict,
}

impl World {
    fn new() -> Self {
        let kinds = [
            (CheckKind::Ping, "ping"),
            (CheckKind::Tcp, "tcp"),
            (CheckKind::Ssh, "ssh"),
            (CheckKind::Http, "web"),
        ];
        let checks = (0..).zip(kinds).map(|(key, (kind, name))| CheckFact {
            key: CheckKey(key),
            id: CheckId(Uuid::from_u128(u128::try_from(key).expect("positive"))),
            name: name.parse().expect("a name"),
            kind,
            state: CheckState::default(),
        });
        let facts = XNodeFacts {
            subject: Subject { kind: SubjectKind::XNode, id: "x".to_owned() },
            checks: checks.collect(),
            sample: None,
            thresholds: Thresholds::default(),
            conditions: Vec::new(),
            foreign_host_key: None,
            watched: true,
        };
        Self { facts, open: Vec::new(), told: Vec::new(), verdict: Verdict::default() }
    }

    /// One whose checks all passed at second 0.
    fn well() -> Self {
        let mut world = Self::new();
        (PING..=WEB).for_each(|check| world.pass(check, 0));
        world.look(0);
        world
    }

    /// One with only these checks.
    fn only(mut self, kept: &[usize]) -> Self {
        let keys: Vec<CheckKey> = kept.iter().map(|place| self.facts.checks[*place].key).collect();
        self.facts.checks.retain(|check| keys.contains(&check.key));
        self
    }

    fn probe(&mut self, check: usize, second: i64, outcome: Outcome, detail: &str) {
        let key = CheckKey(i64::try_from(check).expect("small"));
        let check = self.facts.checks.iter_mut().find(|check| check.key == key).expect("such a check");
        let finding =
            Finding { at: at(second), outcome, latency: None, detail: detail.to_owned(), host_key: None };
        let limits = CheckLimits { down_after: 2, up_after: 1 };
        check.state = health::step(&check.state, &finding, limits).state;
    }

    fn pass(&mut self, check: usize, second: i64) {
        self.probe(check, second, Outcome::Up, "");
    }

    fn fail(&mut self, check: usize, second: i64) {
        self.probe(check, second, Outcome::Down, "no answer");
    }

    /// Two failures, the second a second later: confirmed.
    fn down(&mut self, check: usize, second: i64) {
        self.fail(check, second);
        self.fail(check, second + 1);
    }

    fn reading(&mut self, second: i64, cpu: f64) {
        self.facts.sample = Some(sample(second, cpu, 10.0));
    }

    /// Judges and carries out what follows, as the evaluator does.
    fn look(&mut self, second: i64) {
        let now = at(second);
        self.verdict = judge(&self.facts, &self.open, now);
        self.facts.conditions.clone_from(&self.verdict.conditions);
        for action in reconcile(&self.open, &self.verdict.drafts) {
            self.carry_out(action, now);
        }
        assert!(self.verdict.reconsider_at.is_none_or(|again| now < again), "a look that would never end");
    }

    fn carry_out(&mut self, action: AlertAction, now: Timestamp) {
        match action {
            AlertAction::Open(draft) => {
                self.told.push((draft.kind, AlertChangeKind::Opened));
                self.open.push(opened(draft, now));
            }
            AlertAction::Change { id, kind, draft } => {
                self.told.push((draft.kind, kind));
                let alert = self.open.iter_mut().find(|alert| alert.id == id).expect("open");
                (alert.severity, alert.summary, alert.causes) = (draft.severity, draft.summary, draft.causes);
            }
            AlertAction::Resolve { id } => {
                let alert = self.open.iter().find(|alert| alert.id == id).expect("open");
                self.told.push((alert.kind, AlertChangeKind::Resolved));
                self.open.retain(|alert| alert.id != id);
            }
        }
    }

    fn alert(&self, kind: AlertKind) -> &Alert {
        open_of(&self.open, kind).unwrap_or_else(|| panic!("no {kind} among {:?}", self.kinds()))
    }

    fn kinds(&self) -> Vec<AlertKind> {
        let mut kinds: Vec<AlertKind> = self.open.iter().map(|alert| alert.kind).collect();
        kinds.sort_unstable();
        kinds
    }
}

fn opened(draft: AlertDraft, now: Timestamp) -> Alert {
    Alert {
        id: AlertId(Uuid::now_v7()),
        subject: Subject { kind: SubjectKind::XNode, id: "x".to_owned() },
        subject_name: "web-1".to_owned(),
        kind: draft.kind,
        severity: draft.severity,
        state: AlertState::Open,
        summary: draft.summary,
        causes: draft.causes,
        since: draft.since,
        opened_at: now,
        changed_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
    }
}

fn sample(second: i64, cpu: f64, root: f64) -> Sample {
    let memory = MemoryUse { total_bytes: 100, used_bytes: 10, used_percent: 10.0 };
    Sample {
        at: at(second),
        uptime_seconds: None,
        cpu: Some(CpuUse { total_percent: cpu, iowait_percent: 0.0, steal_percent: 0.0, cores: 2 }),
        memory: Some(memory),
        swap: None,
        load: None,
        disks: vec![disk("/", root, Some(1.0))],
        network: Vec::new(),
        disk_io: Vec::new(),
        processes: None,
        pressure: None,
    }
}

fn disk(mount: &str, used_percent: f64, inodes_used_percent: Option<f64>) -> DiskUse {
    DiskUse {
        mount: mount.to_owned(),
        device: "/dev/vda1".to_owned(),
        total_bytes: 100,
        used_bytes: 10,
        used_percent,
        inodes_used_percent,
    }
}

use AlertChangeKind::{Eased, Escalated, Opened, Resolved, Updated};
use AlertKind::{HighCpu, HostKeyChanged, HttpError, LowDisk, ServiceDown, SshUnreachable};

#[test]
fn a_web_server_that_fails_on_a_live_host_is_told_with_its_reason() {
    let mut world = World::well();
    world.probe(WEB, 10, Outcome::Down, "status 503");
    world.probe(WEB, 11, Outcome::Down, "status 503");
    world.pass(PING, 12);
    world.look(13);
    let alert = world.alert(HttpError);
    assert_eq!((alert.severity, alert.since), (Severity::Critical, at(10)));
    assert_eq!(alert.summary, "http web: status 503");
    assert_eq!(alert.causes[0].key, "check:web");
    world.pass(WEB, 20);
    world.look(20);
    assert_eq!(world.told, [(HttpError, Opened), (HttpError, Resolved)]);
}

#[test]
fn a_dead_host_is_one_message_whichever_check_notices_first() {
    let mut world = World::well();
    world.down(SSH, 10);
    world.look(12);
    assert_eq!(world.kinds(), []);
    assert_eq!(world.verdict.hold, [CheckKey(0), CheckKey(1)], "both are asked before anything is told");
    world.down(WEB, 12);
    world.fail(PING, 13);
    world.look(13);
    world.fail(PING, 14);
    world.down(TCP, 13);
    world.look(14);
    assert_eq!(world.told, [(ServiceDown, Opened)]);
    assert_eq!(world.verdict.suppressed, [SshUnreachable, HttpError]);
    let alert = world.alert(ServiceDown);
    assert_eq!((alert.severity, alert.since), (Severity::Critical, at(13)));
    assert_eq!(alert.summary, "host is down: ping: no answer; tcp: no answer");
}

#[test]
fn an_answer_from_the_host_ends_the_hold_at_once() {
    let mut world = World::well();
    world.down(SSH, 10);
    world.look(12);
    assert!(world.verdict.reconsider_at.is_some());
    // The SSH check fails again in the meantime; the ping was asked and has answered.
    world.pass(PING, 13);
    world.fail(SSH, 14);
    world.look(14);
    assert_eq!(world.kinds(), [SshUnreachable]);
    assert!(world.verdict.hold.is_empty());
}

#[test]
fn a_hold_without_an_answer_ends_after_half_a_minute() {
    let mut world = World::well();
    world.down(SSH, 10);
    world.look(12);
    world.look(41);
    assert_eq!(world.kinds(), []);
    world.fail(SSH, 42);
    world.look(42);
    assert_eq!(world.kinds(), [SshUnreachable]);
    assert_eq!(world.verdict.reconsider_at, None);
}

#[test]
fn without_reachability_checks_nothing_is_held_or_suppressed() {
    let mut world = World::well().only(&[SSH, WEB]);
    world.down(SSH, 10);
    world.down(WEB, 10);
    world.look(11);
    assert_eq!(world.kinds(), [SshUnreachable, HttpError]);
}

#[test]
fn what_is_still_down_when_the_host_is_back_is_told_after_a_moment() {
    let mut world = World::well();
    (PING..=WEB).for_each(|check| world.down(check, 10));
    world.look(12);
    assert_eq!(world.kinds(), [ServiceDown]);
    world.pass(PING, 100);
    world.pass(TCP, 100);
    world.look(100);
    assert_eq!(world.kinds(), [], "services get time to start");
    assert_eq!(world.verdict.hold, [CheckKey(2), CheckKey(3)]);
    world.pass(SSH, 101);
    world.fail(WEB, 110);
    world.look(110);
    assert!(world.verdict.hold.is_empty(), "asked a moment ago");
    world.look(131);
    assert_eq!(world.kinds(), [HttpError]);
    assert!(!world.told.contains(&(SshUnreachable, Opened)));
}

#[test]
fn an_alert_that_was_open_before_the_host_died_stays_as_it_is() {
    let mut world = World::well();
    world.down(WEB, 10);
    world.pass(PING, 12);
    world.look(12);
    let before = world.alert(HttpError).clone();
    (PING..=SSH).for_each(|check| world.down(check, 20));
    world.pass(WEB, 21);
    world.look(22);
    assert_eq!(world.alert(HttpError), &before, "suppression is a view, never an end");
    world.pass(PING, 90);
    world.look(90);
    assert!(world.told.contains(&(HttpError, Resolved)), "{:?}", world.told);
}

#[test]
fn a_blocked_ping_is_a_warning_and_hides_nothing() {
    let mut world = World::well().only(&[PING, SSH]);
    world.down(PING, 10);
    world.look(12);
    assert_eq!(world.alert(ServiceDown).severity, Severity::Critical, "nothing else has answered since");
    world.pass(SSH, 60);
    world.reading(60, 99.0);
    world.look(60);
    world.reading(180, 99.0);
    world.pass(SSH, 180);
    world.look(180);
    assert_eq!(world.alert(ServiceDown).severity, Severity::Warning);
    assert_eq!(world.kinds(), [HighCpu, ServiceDown]);
    assert_eq!(world.told, [(ServiceDown, Opened), (ServiceDown, Eased), (HighCpu, Opened)]);
}

#[test]
fn a_ping_that_fails_while_a_port_answers_is_a_warning_and_a_closed_port_is_critical() {
    let mut world = World::well();
    world.down(PING, 10);
    world.look(12);
    assert_eq!(world.alert(ServiceDown).severity, Severity::Warning);
    assert_eq!(world.alert(ServiceDown).summary, "1 of 2 reachability checks down: ping: no answer");
    world.pass(PING, 20);
    world.down(TCP, 20);
    world.look(22);
    assert_eq!(world.told, [(ServiceDown, Opened), (ServiceDown, Escalated)]);
}

#[test]
fn a_changed_host_key_is_told_as_that_and_not_as_unreachable() {
    let mut world = World::well();
    for second in [10, 11] {
        world.probe(
            SSH,
            second,
            Outcome::Down,
            "the host key changed: SHA256:b was offered, SHA256:a is pinned",
        );
    }
    world.facts.foreign_host_key = Some((at(10), "SHA256:b".to_owned()));
    world.pass(PING, 12);
    world.look(12);
    assert_eq!(world.kinds(), [HostKeyChanged]);
    assert!(world.alert(HostKeyChanged).summary.contains("SHA256:b"));
    world.fail(SSH, 20);
    world.pass(PING, 21);
    world.look(21);
    assert_eq!(world.kinds(), [SshUnreachable, HostKeyChanged], "now it does not answer either");
}

#[test]
fn a_check_that_is_not_confirmed_any_more_keeps_its_alert() {
    let mut world = World::well().only(&[PING]);
    world.down(PING, 10);
    world.look(11);
    world.facts.checks[0].state = CheckState::default();
    world.look(12);
    assert_eq!(world.told, [(ServiceDown, Opened)]);
    world.pass(PING, 13);
    world.look(13);
    assert_eq!(world.told, [(ServiceDown, Opened), (ServiceDown, Resolved)]);
}

#[test]
fn a_stopped_server_has_no_problems() {
    let mut world = World::well();
    (PING..=WEB).for_each(|check| world.down(check, 10));
    world.reading(12, 100.0);
    world.look(12);
    world.facts.watched = false;
    world.look(13);
    assert_eq!(world.kinds(), []);
    assert_eq!(world.verdict, Verdict::default());
}

#[test]
fn a_threshold_is_told_after_its_time_and_eases_only_clearly_below() {
    let mut world = World::well();
    for (second, cpu, told) in [
        (0, 80.0, None),
        (60, 92.0, None),
        (119, 92.0, None),
        (120, 92.0, Some(Severity::Warning)),
        (180, 92.0, Some(Severity::Critical)),
        (240, 85.0, Some(Severity::Critical)),
        (300, 84.9, Some(Severity::Warning)),
        (360, 70.0, Some(Severity::Warning)),
        (420, 69.9, None),
    ] {
        world.reading(second, cpu);
        world.look(second);
        assert_eq!(open_of(&world.open, HighCpu).map(|alert| alert.severity), told, "at {second}");
    }
    assert_eq!(world.told, [(HighCpu, Opened), (HighCpu, Escalated), (HighCpu, Eased), (HighCpu, Resolved)]);
}

#[test]
fn a_timer_ends_without_a_new_reading_and_says_when_to_look() {
    let mut world = World::well();
    world.reading(0, 97.2);
    world.look(0);
    assert_eq!(world.verdict.reconsider_at, Some(at(125)), "a reading that is due then comes first");
    world.look(125);
    let alert = world.alert(HighCpu);
    assert_eq!((alert.severity, alert.since), (Severity::Critical, at(0)));
    assert_eq!(alert.summary, "CPU at 97.2 % (critical at 90 %)");
    assert_eq!(alert.causes[0].value, Some(97.2));
    assert_eq!(world.verdict.reconsider_at, None);
}

#[test]
fn a_peak_that_passes_starts_the_wait_again() {
    let mut world = World::well();
    for (second, cpu) in [(0, 80.0), (60, 80.0), (119, 74.0), (130, 80.0), (240, 80.0)] {
        world.reading(second, cpu);
        world.look(second);
    }
    assert_eq!(world.kinds(), []);
    world.look(250);
    assert_eq!(world.kinds(), [HighCpu]);
}

#[test]
fn without_a_reading_nothing_ends() {
    let mut world = World::well();
    world.facts.sample = Some(sample(0, 10.0, 96.0));
    world.look(0);
    assert_eq!(world.alert(LowDisk).summary, "disk / at 96 % (critical at 95 %)");
    let conditions = world.facts.conditions.clone();
    world.facts.sample = None;
    world.look(1_000);
    world.facts.sample = Some(Sample { disks: Vec::new(), ..sample(1_001, 10.0, 0.0) });
    world.look(1_001);
    assert_eq!((world.kinds(), &world.facts.conditions), (vec![LowDisk], &conditions));
    world.facts.sample = Some(sample(1_060, 10.0, 50.0));
    world.look(1_060);
    assert_eq!(world.told, [(LowDisk, Opened), (LowDisk, Resolved)]);
}

#[test]
fn disks_are_causes_of_one_alert_and_a_mount_that_is_gone_is_none() {
    let mut world = World::well();
    let disks = |disks: Vec<DiskUse>, second| Some(Sample { disks, ..sample(second, 10.0, 0.0) });
    world.facts.sample = disks(vec![disk("/", 90.0, Some(99.0)), disk("/var", 86.0, None)], 0);
    world.look(0);
    let keys = |world: &World| -> Vec<String> {
        world.alert(LowDisk).causes.iter().map(|cause| cause.key.clone()).collect()
    };
    assert_eq!(keys(&world), ["inodes:/", "mount:/", "mount:/var"]);
    assert_eq!(world.alert(LowDisk).severity, Severity::Critical);
    world.facts.sample = disks(vec![disk("/", 90.0, None)], 60);
    world.look(60);
    assert_eq!(keys(&world), ["inodes:/", "mount:/"], "this reading says nothing of inodes");
    world.facts.sample = disks(vec![disk("/", 90.0, Some(10.0))], 120);
    world.look(120);
    assert_eq!(keys(&world), ["mount:/"]);
    assert_eq!(world.told, [(LowDisk, Opened), (LowDisk, Updated), (LowDisk, Eased)]);
}

#[test]
fn new_values_are_no_news_and_an_acknowledged_alert_stays_so() {
    let mut world = World::well();
    world.facts.sample = Some(sample(0, 10.0, 90.0));
    world.look(0);
    world.open[0].state = AlertState::Acknowledged;
    for (second, root) in [(60, 91.0), (120, 94.9), (180, 84.0)] {
        world.facts.sample = Some(sample(second, 10.0, root));
        world.look(second);
    }
    assert_eq!(world.told, [(LowDisk, Opened)]);
    world.facts.sample = Some(sample(240, 10.0, 99.0));
    world.look(240);
    assert_eq!(world.told, [(LowDisk, Opened), (LowDisk, Escalated)]);
    assert_eq!(world.open[0].state, AlertState::Acknowledged);
}

#[test]
fn readings_of_a_dead_host_open_nothing_and_end_nothing() {
    let mut world = World::well();
    world.facts.sample = Some(sample(0, 99.0, 96.0));
    world.look(0);
    assert_eq!(world.kinds(), [LowDisk]);
    (PING..=SSH).for_each(|check| world.down(check, 10));
    world.look(130);
    assert_eq!(world.kinds(), [LowDisk, ServiceDown]);
    assert_eq!(world.verdict.suppressed, [HighCpu, SshUnreachable]);
    (PING..=SSH).for_each(|check| world.pass(check, 200));
    world.reading(200, 99.0);
    world.look(200);
    assert_eq!(world.kinds(), [], "the wait for the processor starts again");
    world.look(320);
    assert_eq!(world.kinds(), [HighCpu]);
}

#[test]
fn long_lists_are_cut_and_counted() {
    let cause = |key: usize| Cause {
        key: format!("check:{key}"),
        severity: Severity::Critical,
        text: "x".repeat(500),
        since: at(0),
        value: None,
    };
    let listing = words::listing(&(0..5).map(cause).collect::<Vec<_>>());
    assert!(listing.ends_with(" and 2 more"), "{listing}");
    assert!(listing.chars().count() < 400);
    let label = |kind, name: &str| words::check_label(kind, &name.parse().expect("a name"));
    assert_eq!(label(CheckKind::Http, "http-2"), "http-2");
    assert_eq!(label(CheckKind::Http, "https"), "http https");
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![4 => Just(Outcome::Down), 3 => Just(Outcome::Up), 1 => Just(Outcome::Blind)]
}

#[derive(Debug, Clone)]
enum News {
    Probe(usize, Outcome),
    Reading(f64, f64),
    NoReading,
    Nothing,
}

fn news() -> impl Strategy<Value = Vec<(i64, News)>> {
    let one = prop_oneof![
        6 => (PING..=WEB, outcome()).prop_map(|(check, outcome)| News::Probe(check, outcome)),
        2 => (0.0_f64..100.0, 0.0_f64..100.0).prop_map(|(cpu, disk)| News::Reading(cpu, disk)),
        1 => Just(News::NoReading),
        1 => Just(News::Nothing),
    ];
    proptest::collection::vec((0_i64..40, one), 0..80)
}

impl World {
    /// Lets it all happen; gives the second after it.
    fn live(&mut self, news: Vec<(i64, News)>) -> i64 {
        let mut second = 0;
        for (wait, news) in news {
            second += wait;
            match news {
                News::Probe(check, outcome) => self.probe(check, second, outcome, "no answer"),
                News::Reading(cpu, disk) => self.facts.sample = Some(sample(second, cpu, disk)),
                News::NoReading => self.facts.sample = None,
                News::Nothing => {}
            }
            self.look(second);
        }
        second + 1
    }
}

fn judged() -> Vec<AlertKind> {
    AlertKind::ALL.iter().copied().filter(|kind| is_judged(*kind)).collect()
}

proptest! {
    #[test]
    fn exactly_what_is_drafted_is_open_and_a_second_look_changes_nothing(news in news()) {
        let mut world = World::well();
        let mut second = 0;
        for step in news {
            let wait = step.0;
            world.live(vec![(second + wait, step.1)]);
            second += wait;
            let drafted: Vec<AlertKind> = world.verdict.drafts.iter().map(|draft| draft.kind).collect();
            prop_assert_eq!(&drafted, &world.kinds());
            prop_assert!(drafted.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(world.verdict.drafts.iter().all(|draft| !draft.causes.is_empty()));
            let told = world.told.len();
            world.look(second);
            prop_assert_eq!(told, world.told.len());
            // The timer of a hold goes once its alert is open, which is the look after.
            let conditions = world.facts.conditions.clone();
            world.look(second);
            prop_assert_eq!(&conditions, &world.facts.conditions);
        }
    }

    #[test]
    fn whatever_is_still_wrong_when_the_host_is_back_is_told(news in news()) {
        let mut world = World::well();
        let mut second = world.live(news);
        world.pass(PING, second);
        world.pass(TCP, second);
        world.look(second);
        second += 31;
        world.pass(PING, second);
        world.look(second);
        for (check, kind) in [(SSH, SshUnreachable), (WEB, HttpError)] {
            let is_down = world.facts.checks[check].state.status == CheckStatus::Down;
            prop_assert_eq!(is_down, world.kinds().contains(&kind), "{} after {:?}", kind, world.told);
        }
        prop_assert!(world.verdict.suppressed.is_empty());
        prop_assert!(!world.kinds().contains(&ServiceDown));
    }

    #[test]
    fn a_value_inside_the_band_never_changes_anything(
        high in 90.0_f64..100.0, inside in proptest::collection::vec(85.0_f64..90.0, 1..50),
    ) {
        let mut world = World::well();
        world.reading(0, high);
        world.look(0);
        world.look(200);
        prop_assert_eq!(world.alert(HighCpu).severity, Severity::Critical);
        let told = world.told.len();
        for (minute, cpu) in (4..).zip(inside) {
            world.reading(minute * 60, cpu);
            world.look(minute * 60);
        }
        prop_assert_eq!(told, world.told.len());
    }

    #[test]
    fn nothing_is_told_before_its_time(values in proptest::collection::vec((0.0_f64..100.0, 1_i64..60), 0..60)) {
        let mut world = World::well();
        let (mut second, mut high_since) = (0, None);
        for (cpu, wait) in values {
            world.reading(second, cpu);
            high_since = if cpu < 75.0 { None } else { high_since.or(Some(second)) };
            let before = world.told.len();
            world.look(second);
            let opened = world.told[before..].contains(&(HighCpu, Opened));
            let high_for = high_since.map_or(0, |since| second - since);
            prop_assert!(!opened || SignedDuration::from_mins(2) <= SignedDuration::from_secs(high_for));
            second += wait;
        }
    }

    #[test]
    fn reconciling_twice_changes_nothing_the_second_time(
        open in proptest::sample::subsequence(AlertKind::ALL.to_vec(), 0..8),
        wanted in proptest::sample::subsequence(judged(), 0..8),
    ) {
        let drafted = |kind: &AlertKind| AlertDraft {
            kind: *kind,
            severity: Severity::Warning,
            since: at(0),
            summary: String::new(),
            causes: Vec::new(),
        };
        let mut world = World::new();
        world.open = open.iter().map(|kind| opened(drafted(kind), at(0))).collect();
        let drafts: Vec<AlertDraft> = wanted.iter().map(drafted).collect();
        for action in reconcile(&world.open.clone(), &drafts) {
            world.carry_out(action, at(1));
        }
        // Alerts of other kinds stay as they are.
        let others = open.into_iter().filter(|kind| !is_judged(*kind));
        let mut expected: Vec<AlertKind> = wanted.into_iter().chain(others).collect();
        expected.sort_unstable();
        prop_assert_eq!(world.kinds(), expected);
        prop_assert!(reconcile(&world.open, &drafts).is_empty());
    }
}
