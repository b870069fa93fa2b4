//! Every field, every reason to hold back, and a fleet in which somebody meddles.

use capsule_api::{
    AccountName, Currency, DeploymentState, DriftField, Finding, FindingId, FindingState, Instance, Price,
    ProviderName, UsdMicros, XNodeStatus,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const NOW: &str = "2026-11-20T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a moment")
}

fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn euros(hourly_micros: i64) -> Option<(Price, UsdMicros)> {
    let price = Price { currency: Currency::Eur, hourly_micros, monthly_micros: None };
    Some((price, UsdMicros(hourly_micros * 11 / 10)))
}

/// A server as its provider lists it, marked by the intent with the same number.
fn seen(number: u128) -> SeenInstance {
    let instance = Instance {
        id: number.to_string(),
        name: format!("web-{number}"),
        provider: ProviderName::Hetzner,
        status: InstanceState::Running,
        ip_address: Some([192, 0, 2, u8::try_from(number % 250).expect("small")].into()),
        region: "fsn1".to_owned(),
        created_at: None,
        metadata: serde_json::Value::Null,
        plan: "cx22".to_owned(),
        tags: Vec::new(),
        place: String::new(),
    };
    SeenInstance {
        instance,
        mark: Some(IntentId(id(number))),
        tags: vec!["web".to_owned()],
        price: euros(10_000),
    }
}

/// The xNode that stands for [`seen`], both of one mind.
fn placed(number: u128) -> PlacedXNode {
    let there = seen(number);
    let Some(std::net::IpAddr::V4(ip)) = there.instance.ip_address else { panic!("an IPv4 address") };
    PlacedXNode {
        id: XNodeId(id(number)),
        name: there.instance.name.parse().expect("a name"),
        revision: 1,
        instance: there.instance.reference(),
        plan: there.instance.plan.clone(),
        region: there.instance.region.parse().ok(),
        address: ip.to_string().parse().expect("an address"),
        ipv4: Some(ip),
        ipv6: None,
        status: XNodeStatus::Running,
        tags: vec!["web".parse().expect("a tag")],
        hourly_cost: Some(UsdMicros(11_000)),
        updated_at: ago(600),
        known: ProviderFacts::default(),
    }
}

fn intent(number: u128, kind: IntentKind, state: DeploymentState, state_at: Timestamp) -> IntentOutline {
    IntentOutline {
        id: IntentId(id(number)),
        kind,
        name: format!("web-{number}").parse().expect("a name"),
        state,
        state_at,
        instance: Some(seen(number).instance.reference()),
        xnode: Some(XNodeId(id(number))),
    }
}

/// An account, changed by each test.
struct Account {
    seen: Vec<SeenInstance>,
    placed: Vec<PlacedXNode>,
    unread: HashSet<InstanceRef>,
    elsewhere: HashSet<InstanceRef>,
    intents: Vec<IntentOutline>,
    switched: HashSet<XNodeId>,
}

impl Account {
    fn of(count: u128) -> Self {
        Self {
            seen: (0..count).map(seen).collect(),
            placed: (0..count).map(placed).collect(),
            unread: HashSet::new(),
            elsewhere: HashSet::new(),
            intents: Vec::new(),
            switched: HashSet::new(),
        }
    }

    fn compare(&self) -> Comparison {
        compare(&Look {
            seen: &self.seen,
            unread: &self.unread,
            placed: &self.placed,
            elsewhere: &self.elsewhere,
            intents: &self.intents,
            switched: &self.switched,
            listed_at: now(),
            now: now(),
        })
    }

    fn kinds(&self) -> Vec<FindingKind> {
        self.compare().findings.iter().map(|draft| draft.kind).collect()
    }

    /// What is learned is known from then on.
    fn learn(&mut self) {
        for (id, known) in self.compare().learned {
            let xnode = self.placed.iter_mut().find(|xnode| xnode.id == id).expect("placed");
            xnode.known = known;
        }
    }
}

/// What drifts when a provider changes one server, before and after it was compared for the first time.
fn drifts_of(change: impl Fn(&mut SeenInstance)) -> Vec<(DriftField, Option<String>, String)> {
    let mut fresh = Account::of(1);
    let mut known = Account::of(1);
    known.learn();
    change(&mut fresh.seen[0]);
    change(&mut known.seen[0]);
    let told = |account: &Account| {
        let findings = account.compare().findings;
        findings.into_iter().flat_map(|draft| draft.detail.drift).collect::<Vec<_>>()
    };
    assert_eq!(told(&fresh), told(&known));
    told(&fresh).into_iter().map(|one| (one.field, one.expected, one.seen)).collect()
}

#[test]
fn what_both_say_is_no_finding() {
    let mut account = Account::of(5);
    let first = account.compare();
    assert_eq!(first.findings, []);
    assert_eq!(first.learned.len(), 5);
    account.learn();
    assert_eq!(account.compare(), Comparison::default(), "nothing is learned twice");
}

#[test]
fn each_field_that_the_provider_changes_drifts() {
    let drift = |field, expected: &str, seen: &str| vec![(field, Some(expected.to_owned()), seen.to_owned())];
    let size = drifts_of(|seen| seen.instance.plan = "cx32".to_owned());
    assert_eq!(size, drift(DriftField::Size, "cx22", "cx32"));
    let region = drifts_of(|seen| seen.instance.region = "nbg1".to_owned());
    assert_eq!(region, drift(DriftField::Region, "fsn1", "nbg1"));
    let address = drifts_of(|seen| seen.instance.ip_address = Some([198, 51, 100, 7].into()));
    assert_eq!(address, drift(DriftField::Address, "192.0.2.0", "198.51.100.7"));
    let power = drifts_of(|seen| seen.instance.status = InstanceState::Stopped);
    assert_eq!(power, drift(DriftField::Power, "running", "stopped"));
    let failed = drifts_of(|seen| seen.instance.status = InstanceState::Error);
    assert_eq!(failed, drift(DriftField::Power, "running", "error"));
    let tags = drifts_of(|seen| seen.tags = vec!["db".to_owned(), "eu".to_owned()]);
    assert_eq!(tags, drift(DriftField::Tags, "web", "db,eu"));
    let untagged = drifts_of(|seen| seen.tags.clear());
    assert_eq!(untagged, drift(DriftField::Tags, "web", "none"));
    let price = drifts_of(|seen| seen.price = euros(20_000));
    assert_eq!(price, drift(DriftField::Price, "0.011", "0.022"));
}

#[test]
fn several_fields_are_one_finding() {
    let mut account = Account::of(1);
    account.seen[0].instance.plan = "cx32".to_owned();
    account.seen[0].instance.status = InstanceState::Stopped;
    let findings = account.compare().findings;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].detail.summary, "size cx22 → cx32, power running → stopped");
}

#[test]
fn what_a_provider_does_not_say_is_no_drift() {
    let silent: [fn(&mut SeenInstance); 7] = [
        |seen| seen.instance.plan.clear(),
        |seen| seen.instance.region.clear(),
        |seen| seen.instance.ip_address = None,
        |seen| seen.instance.ip_address = Some([0, 0, 0, 0].into()),
        |seen| seen.instance.status = InstanceState::Provisioning,
        |seen| seen.instance.status = InstanceState::Unknown,
        |seen| seen.price = None,
    ];
    for (case, change) in silent.into_iter().enumerate() {
        assert_eq!(drifts_of(change), [], "case {case}");
    }
    // Another family's address beside the one that is known.
    let mut both = Account::of(1);
    both.placed[0].ipv6 = Some("2001:db8::1".parse().expect("an address"));
    both.seen[0].instance.ip_address = Some("2001:db8::1".parse().expect("an address"));
    assert_eq!(both.kinds(), []);
}

#[test]
fn what_is_changed_here_on_purpose_is_no_drift() {
    let changes: [fn(&mut PlacedXNode); 4] = [
        |xnode| xnode.tags.push("mine".parse().expect("a tag")),
        |xnode| xnode.region = "eu".parse().ok(),
        |xnode| xnode.hourly_cost = Some(UsdMicros(9_000)),
        |xnode| xnode.address = "web.example.org".parse().expect("a host"),
    ];
    for (case, change) in changes.into_iter().enumerate() {
        let mut account = Account::of(1);
        account.learn();
        change(&mut account.placed[0]);
        assert_eq!(account.kinds(), [], "case {case}");
    }
    // A euro that is worth another number of dollars is no price change.
    let mut rate = Account::of(1);
    rate.learn();
    rate.seen[0].price = rate.seen[0].price.map(|(price, _)| (price, UsdMicros(12_000)));
    assert_eq!(rate.kinds(), []);
}

#[test]
fn a_vendors_spelling_of_a_tag_is_the_same_tag() {
    let mut account = Account::of(1);
    account.placed[0].tags = vec!["Team.A".parse().expect("a tag"), "env:prod".parse().expect("a tag")];
    account.seen[0].tags = vec!["env-prod".to_owned(), "team-a".to_owned()];
    assert_eq!(account.kinds(), []);
}

#[test]
fn an_xnode_in_error_claims_no_power_and_one_without_an_address_has_none() {
    let mut account = Account::of(1);
    account.placed[0].status = XNodeStatus::Error;
    assert_eq!(account.kinds(), []);
    account.placed[0].address = "web-0.invalid".parse().expect("a host");
    account.placed[0].ipv4 = None;
    let drift = account.compare().findings.remove(0).detail.drift.remove(0);
    assert_eq!((drift.field, drift.expected), (DriftField::Address, None));
}

#[test]
fn a_server_of_ours_that_is_not_in_the_inventory_is_an_orphan() {
    let mut account = Account::of(2);
    account.placed.remove(1);
    let unknown = account.compare().findings.remove(0);
    assert_eq!((unknown.kind, unknown.xnode), (FindingKind::Orphan, None));
    assert_eq!(
        unknown.detail.summary,
        "not in the inventory and running, $0.011 per hour; its mark is of no deployment known here"
    );
    account.intents = vec![intent(1, IntentKind::Create, DeploymentState::Cancelled, ago(30))];
    let left = account.compare().findings.remove(0);
    assert!(left.detail.summary.ends_with("left over from the deployment of `web-1` (cancelled)"));
}

#[test]
fn servers_of_others_and_servers_that_are_known_elsewhere_are_no_orphans() {
    let mut account = Account::of(3);
    account.placed.clear();
    account.seen[0].mark = None;
    account.seen[1].instance.status = InstanceState::Deleted;
    account.elsewhere.insert(account.seen[2].instance.reference());
    assert_eq!(account.compare(), Comparison::default());
}

#[test]
fn a_server_that_is_gone_or_said_to_be_deleted_is_a_ghost() {
    let mut account = Account::of(3);
    account.seen[1].instance.status = InstanceState::Deleted;
    account.seen.remove(2);
    let found = account.compare();
    let told: Vec<_> = found.findings.iter().map(|one| (one.kind, one.instance.id.as_str())).collect();
    assert_eq!(told, [(FindingKind::Ghost, "1"), (FindingKind::Ghost, "2")]);
}

#[test]
fn what_is_under_way_is_neither_orphan_nor_ghost_nor_drift() {
    let states = [DeploymentState::Unknown, DeploymentState::Made, DeploymentState::Reaching];
    for state in states {
        let mut account = Account::of(1);
        account.intents = vec![intent(0, IntentKind::Create, state, ago(60))];
        account.placed.clear();
        assert_eq!(account.kinds(), [], "no orphan while {state}");
        let mut account = Account::of(1);
        account.intents = vec![intent(0, IntentKind::Create, state, ago(60))];
        account.seen.clear();
        assert_eq!(account.kinds(), [], "no ghost while {state}");
        account.seen = vec![seen(0)];
        account.seen[0].instance.plan = "cx32".to_owned();
        assert_eq!(account.kinds(), [], "no drift while {state}");
        assert_eq!(account.compare().undecided.len(), 1);
    }
    let mut deleting = Account::of(1);
    deleting.intents = vec![intent(0, IntentKind::Delete, DeploymentState::Starting, ago(60))];
    deleting.intents[0].id = IntentId(id(99));
    deleting.placed.clear();
    assert_eq!(deleting.kinds(), [], "a deletion that the provider has not carried out");
    let mut switching = Account::of(1);
    switching.switched.insert(XNodeId(id(0)));
    switching.seen[0].instance.status = InstanceState::Stopped;
    assert_eq!(switching.kinds(), []);
}

#[test]
fn late_visibility_is_waited_for_and_no_longer() {
    for (minutes, wanted) in [(9, vec![]), (11, vec![FindingKind::Ghost])] {
        let mut account = Account::of(1);
        account.intents = vec![intent(0, IntentKind::Create, DeploymentState::Succeeded, ago(minutes))];
        account.seen.clear();
        assert_eq!(account.kinds(), wanted, "{minutes} minutes after the deployment");
    }
    for (minutes, wanted) in [(9, vec![]), (11, vec![FindingKind::Orphan])] {
        let mut account = Account::of(1);
        account.intents = vec![
            intent(0, IntentKind::Create, DeploymentState::Succeeded, ago(600)),
            IntentOutline {
                id: IntentId(id(99)),
                ..intent(0, IntentKind::Delete, DeploymentState::Succeeded, ago(minutes))
            },
        ];
        account.placed.clear();
        assert_eq!(account.kinds(), wanted, "{minutes} minutes after the deletion");
    }
}

#[test]
fn what_changed_while_the_list_was_on_its_way_or_could_not_be_asked_is_undecided() {
    let mut account = Account::of(2);
    account.placed[0].updated_at = now();
    account.unread.insert(account.placed[1].instance.clone());
    account.seen.clear();
    let found = account.compare();
    assert_eq!((found.findings.len(), found.undecided.len()), (0, 2));
}

fn finding(draft: Draft, state: FindingState) -> Finding {
    Finding {
        id: FindingId(Uuid::now_v7()),
        account: "work".parse::<AccountName>().expect("a name"),
        provider: ProviderName::Hetzner,
        kind: draft.kind,
        state,
        instance: draft.instance,
        xnode: draft.xnode.map(|(id, _)| id),
        name: draft.detail.name,
        summary: draft.detail.summary,
        drift: draft.detail.drift,
        plan: draft.detail.plan,
        region: draft.detail.region,
        hourly_cost_micros: draft.detail.hourly_cost,
        first_seen: ago(120),
        last_seen: ago(60),
        ended_at: None,
        ended_because: String::new(),
    }
}

#[test]
fn a_difference_is_put_on_record_once_kept_while_it_lasts_and_ended() {
    let mut account = Account::of(2);
    account.seen[0].instance.plan = "cx32".to_owned();
    let first = account.compare();
    let Step::Begin(draft) = steps(&[], &first, now()).remove(0) else { panic!("it begins") };
    let lasting = vec![finding(draft, FindingState::Open)];
    assert_eq!(steps(&lasting, &first, now()), []);

    account.seen[0].instance.plan = "cx42".to_owned();
    let changed = steps(&lasting, &account.compare(), now());
    assert!(matches!(&changed[..], [Step::Change(one)] if one.drift[0].seen == "cx42"), "{changed:?}");

    account.unread.insert(account.placed[0].instance.clone());
    let gone = account.seen.remove(0);
    assert_eq!(steps(&lasting, &account.compare(), now()), [], "undecided: it stays as it is");

    account.seen.push(SeenInstance { instance: seen(0).instance, ..gone });
    let over = steps(&lasting, &account.compare(), now());
    assert!(matches!(&over[..], [Step::End(one)] if one.ended_at == Some(now())), "{over:?}");
}

#[test]
fn an_ignored_finding_is_told_again_only_when_something_else_drifts() {
    let mut account = Account::of(2);
    account.seen[0].instance.plan = "cx32".to_owned();
    account.placed.remove(1);
    let drafts = account.compare().findings;
    let ignored: Vec<_> = drafts.into_iter().map(|draft| finding(draft, FindingState::Ignored)).collect();
    account.seen[1].price = euros(20_000);
    let dearer = steps(&ignored, &account.compare(), now());
    assert!(matches!(&dearer[..], [Step::Change(one)] if one.state == FindingState::Ignored), "{dearer:?}");
    account.seen[0].instance.status = InstanceState::Stopped;
    let other = steps(&ignored, &account.compare(), now());
    let opened = |step: &Step| matches!(step, Step::Change(one) if one.state == FindingState::Open);
    assert_eq!(other.iter().filter(|step| opened(step)).count(), 1, "{other:?}");
}

#[test]
fn accepting_takes_what_drifted_and_keeps_what_was_changed_here() {
    let mut xnode = placed(0);
    let mut account = Account { placed: vec![xnode.clone()], ..Account::of(1) };
    account.learn();
    xnode.known = account.placed[0].known.clone();
    xnode.tags = vec!["mine".parse().expect("a tag"), "web".parse().expect("a tag")];
    xnode.region = "eu".parse().ok();
    let mut there = seen(0);
    there.tags = vec!["blue".to_owned()];
    there.instance.plan = "cx32".to_owned();
    there.instance.status = InstanceState::Stopped;
    there.price = euros(20_000);
    let accepted = accept(&xnode, &there);
    let tags = accepted.tags.expect("tags drifted");
    assert_eq!(
        tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(),
        ["blue", "mine"],
        "web was taken away there"
    );
    assert_eq!(accepted.plan.as_deref(), Some("cx32"));
    assert_eq!(accepted.status, Some(XNodeStatus::Stopped));
    assert_eq!(accepted.price, euros(20_000));
    assert_eq!((accepted.region, accepted.address), (None, false), "they did not drift");
    xnode.plan = "cx32".to_owned();
    xnode.status = XNodeStatus::Stopped;
    xnode.tags = tags;
    xnode.hourly_cost = Some(UsdMicros(22_000));
    xnode.known = accepted.known;
    assert_eq!(drift::compare(&xnode, &there).0, [], "what was accepted is no drift");
}

/// One thing that somebody does behind our back.
#[derive(Debug, Clone, Copy)]
enum Meddling {
    Resize,
    Move,
    Readdress,
    Stop,
    Retag,
    Reprice,
    Remove,
    Add,
}

fn meddle(account: &mut Account, at: usize, what: Meddling) -> (FindingKind, InstanceRef) {
    let there = &mut account.seen[at];
    let reference = there.instance.reference();
    match what {
        Meddling::Resize => there.instance.plan.push('x'),
        Meddling::Move => there.instance.region.push('x'),
        Meddling::Readdress => there.instance.ip_address = Some([203, 0, 113, 1].into()),
        Meddling::Stop => there.instance.status = InstanceState::Stopped,
        Meddling::Retag => there.tags.push("x".to_owned()),
        Meddling::Reprice => there.price = euros(1),
        Meddling::Remove => {
            account.seen.remove(at);
            return (FindingKind::Ghost, reference);
        }
        Meddling::Add => {
            let new = seen(10_000 + at as u128);
            let reference = new.instance.reference();
            account.seen.push(new);
            return (FindingKind::Orphan, reference);
        }
    }
    (FindingKind::Drift, reference)
}

fn meddlings() -> impl Strategy<Value = Meddling> {
    use Meddling::{Add, Move, Readdress, Remove, Reprice, Resize, Retag, Stop};
    proptest::sample::select(vec![Resize, Move, Readdress, Stop, Retag, Reprice, Remove, Add])
}

proptest! {
    #[test]
    fn whatever_is_done_behind_our_back_is_found_at_once_and_nothing_else(
        count in 1_usize..40,
        at in any::<prop::sample::Index>(),
        what in meddlings(),
        turn in any::<bool>(),
        compared_before in any::<bool>(),
    ) {
        let mut account = Account::of(count as u128);
        if compared_before {
            account.learn();
        }
        let wanted = meddle(&mut account, at.index(count), what);
        if turn {
            account.seen.reverse();
            account.placed.reverse();
        }
        let found = account.compare();
        let found: Vec<_> = found.findings.into_iter().map(|one| (one.kind, one.instance)).collect();
        prop_assert_eq!(found, vec![wanted]);
    }
}

/// `cargo test --release -- --ignored --nocapture ten_thousand`.
#[test]
#[ignore = "a measurement"]
fn ten_thousand_xnodes_are_compared_in_well_under_a_second() {
    let mut account = Account::of(10_000);
    account.learn();
    for at in 0..100 {
        meddle(&mut account, at * 50, Meddling::Resize);
    }
    let began = std::time::Instant::now();
    let found = account.compare();
    let took = began.elapsed();
    assert_eq!(found.findings.len(), 100);
    println!("10,000 xnodes compared in {took:?}");
}
