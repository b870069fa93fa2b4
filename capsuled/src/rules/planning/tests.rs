//! Plans against a brute-force one, their bytes, and their words.

use capsule_api::Arch;
use proptest::prelude::*;

use super::*;
use crate::{
    model::Offer,
    rules::catalogue::{self, Moment, find_region, tests as world},
};

fn request() -> PlanRequest {
    PlanRequest::default()
}

fn wanted(request: &PlanRequest) -> Wanted<'_> {
    Wanted { request, provider: None, template: None, region: None }
}

fn account(name: &str) -> AccountName {
    name.parse().expect("an account name")
}

/// Every template in every region for every account; `None` where nobody has one.
fn candidates<'a>(
    templates: &'a [Template],
    accounts: &'a [(AccountName, ProviderName)],
) -> Vec<Candidate<'a>> {
    let mut all = Vec::new();
    for template in templates {
        let of: Vec<_> =
            accounts.iter().filter(|(_, p)| *p == template.provider).map(|(a, _)| Some(a)).collect();
        for account in if of.is_empty() { vec![None] } else { of } {
            all.extend(template.regions.iter().map(|region| Candidate { account, template, region }));
        }
    }
    all
}

fn everywhere() -> Vec<(AccountName, ProviderName)> {
    ProviderName::ALL.iter().map(|provider| (account(provider.as_str()), *provider)).collect()
}

fn reasons<'a>(plan: &'a Plan, template: &str) -> Vec<&'a str> {
    let of = plan.rejected.iter().find(|rejection| rejection.template == template);
    of.map(|rejection| rejection.reasons.iter().map(String::as_str).collect()).unwrap_or_default()
}

#[test]
fn the_cheapest_that_fits_wins_and_the_others_are_told_why() {
    let (templates, accounts) = (world::listed(), everywhere());
    let request = PlanRequest {
        min_cpu: Some(4),
        min_memory_gb: Some(8),
        max_hourly: Some(UsdMicros(100_000)),
        ..request()
    };
    let plan = plan(candidates(&templates, &accounts), &wanted(&request), ExchangeRate::DEFAULT);
    let best = &plan.offers[0];
    assert_eq!((best.rank, best.template.as_str(), best.region.as_str()), (1, "do-standard-4", "fra1"));
    assert!(plan.offers.iter().all(|offer| offer.usd_hourly <= UsdMicros(100_000) && 4 <= offer.vcpus));
    // EUR stays EUR, and is compared in dollars.
    let gp1 = plan.offers.iter().find(|offer| offer.template == "scaleway-gp1-xs").expect("fits");
    assert_eq!((gp1.price.hourly_micros, gp1.usd_hourly), (92_820, UsdMicros(96_431)));
    assert_eq!(reasons(&plan, "vultr-hf-4"), ["3 CPUs, at least 4 wanted"]);
    assert_eq!(reasons(&plan, "linode-dedicated-8gb"), ["0.108 USD an hour, at most 0.10 wanted"]);
    assert_eq!(reasons(&plan, "hetzner-cx32"), ["its price is not known until `templates refresh`"]);
    assert_eq!(
        reasons(&plan, "equinix-c3-small"),
        ["equinix ended its service on 2026-06-30", "0.50 USD an hour, at most 0.10 wanted"]
    );
}

#[test]
fn a_region_and_an_account_narrow_the_choice() {
    let (templates, mut accounts) = (world::listed(), everywhere());
    accounts.push((account("second"), ProviderName::Scaleway));
    let regions = catalogue::regions(catalogue::shipped(), &[], &world::moment());
    let region = find_region("waw1", &regions).expect("a region");
    let request = PlanRequest { region: Some("waw1".to_owned()), ..request() };
    let only = Wanted { region: Some(&region), ..wanted(&request) };
    let there = plan(candidates(&templates, &accounts), &only, ExchangeRate::DEFAULT);
    assert!(there.offers.iter().all(|offer| offer.region == "pl-waw-1"));
    let accounts_tried: Vec<_> = there.offers.iter().take(2).map(|o| o.account.as_str()).collect();
    assert_eq!(accounts_tried, ["scaleway", "second"]);
    assert_eq!(reasons(&there, "do-basic-1"), ["not sold in waw1"]);
    // A size that is sold there is not rejected for its other regions.
    assert!(reasons(&there, "scaleway-dev1-s").is_empty());
    let second = PlanRequest { account: Some(account("second")), ..request };
    let plan = plan(candidates(&templates, &accounts), &wanted(&second), ExchangeRate::DEFAULT);
    assert!(!plan.offers.is_empty() && plan.offers.iter().all(|offer| offer.account.as_str() == "second"));
}

#[test]
fn without_an_account_there_is_no_offer_but_a_reason() {
    let templates = world::listed();
    let plan = plan(candidates(&templates, &[]), &wanted(&request()), ExchangeRate::DEFAULT);
    assert!(plan.offers.is_empty());
    assert_eq!(reasons(&plan, "linode-2gb"), ["no account at linode: `provider configure linode`"]);
}

#[test]
fn the_fingerprint_changes_with_a_price_and_with_nothing_else() {
    let accounts = everywhere();
    let mut templates = world::listed();
    let print = |templates: &[Template]| {
        let mut all = candidates(templates, &accounts);
        all.reverse();
        plan(all, &wanted(&request()), ExchangeRate::DEFAULT).fingerprint
    };
    let before = print(&templates);
    templates.reverse();
    assert_eq!(print(&templates), before);
    let price = templates[5].regions[0].price.as_mut().expect("a price");
    price.hourly_micros += 1;
    assert_ne!(print(&templates), before);
}

#[test]
fn what_is_told_is_bounded_and_the_rest_counted() {
    let offers: Vec<Offer> =
        (0..400).map(|n| world::offer(&format!("plan-{n:03}"), "r1", 1_000 + n)).collect();
    let live = [
        world::live("big", ProviderName::Vultr, offers),
        world::live("small", ProviderName::Linode, vec![world::offer("g6-standard-1", "us-east", 900_000)]),
    ];
    let templates = catalogue::templates(catalogue::shipped(), &live, &world::moment());
    let accounts = [(account("big"), ProviderName::Vultr), (account("small"), ProviderName::Linode)];
    let plan_ = plan(candidates(&templates, &accounts), &wanted(&request()), ExchangeRate::DEFAULT);
    // The cheap provider's many do not push out the other's one.
    assert_eq!(plan_.offers.len(), 51);
    assert_eq!((plan_.more_offers, plan_.offers[50].account.as_str()), (350, "small"));
    let none = PlanRequest { min_cpu: Some(4_000), ..request() };
    let none = plan(candidates(&templates, &accounts), &wanted(&none), ExchangeRate::DEFAULT);
    assert_eq!(none.rejected.len(), REJECTIONS);
    // One line at least for each size.
    assert!(templates.len() as u64 <= 100 + none.more_rejected);
}

fn any_offer() -> impl Strategy<Value = Offer> {
    let size = (1u32..6, 1u64..6, 0u32..2, any::<bool>());
    (0..8u8, 0..3u8, size, 1i64..6, any::<bool>(), any::<bool>()).prop_map(
        |(plan, region, (vcpus, gb, gpus, arm), cents, eur, available)| {
            let currency = if eur { capsule_api::Currency::Eur } else { capsule_api::Currency::Usd };
            let mut offer = world::offer(&format!("p{plan}"), &format!("r{region}"), cents * 10_000);
            offer.price.currency = currency;
            let arch = if arm { Arch::Aarch64 } else { Arch::X86_64 };
            Offer { vcpus, memory_mib: gb * 1_024, gpus, arch, available, ..offer }
        },
    )
}

fn any_request() -> impl Strategy<Value = PlanRequest> {
    let least = (proptest::option::of(1u32..6), proptest::option::of(1u32..6));
    let limit = proptest::option::of((1i64..7).prop_map(|cents| UsdMicros(cents * 10_000)));
    (least, limit, any::<bool>(), proptest::option::of(Just(Arch::X86_64))).prop_map(
        |((min_cpu, min_memory_gb), max_hourly, gpu, arch)| PlanRequest {
            min_cpu,
            min_memory_gb,
            max_hourly,
            gpu,
            arch,
            ..PlanRequest::default()
        },
    )
}

/// The first of an offer on the plan of `p` in the region of `r` is the one that counts, as in a list.
fn templates_of(one: Vec<Offer>, other: Vec<Offer>) -> Vec<Template> {
    let live =
        [world::live("one", ProviderName::Vultr, one), world::live("two", ProviderName::Linode, other)];
    let moment: Moment = world::moment();
    catalogue::templates(&catalogue::Shipped::default(), &live, &moment)
}

proptest! {
    #[test]
    fn ranks_are_those_of_a_brute_force_search(
        one in proptest::collection::vec(any_offer(), 0..20),
        other in proptest::collection::vec(any_offer(), 0..20),
        request in any_request(),
    ) {
        let templates = templates_of(one, other);
        let accounts = [(account("one"), ProviderName::Vultr), (account("two"), ProviderName::Linode)];
        let rate = ExchangeRate::DEFAULT;
        let plan_ = plan(candidates(&templates, &accounts), &wanted(&request), rate);

        let dollars = |price: &Price| match price.currency {
            capsule_api::Currency::Usd => price.hourly_micros,
            capsule_api::Currency::Eur => {
                (price.hourly_micros as f64 * rate.usd_per_eur_micros as f64 / 1e6).round() as i64
            }
        };
        let mut expected = Vec::new();
        for template in &templates {
            for region in &template.regions {
                let usd = dollars(&region.price.expect("listed"));
                let fits = region.available
                    && request.min_cpu.unwrap_or(0) <= template.vcpus
                    && u64::from(request.min_memory_gb.unwrap_or(0)) * 1_024 <= template.memory_mib
                    && usd <= request.max_hourly.map_or(i64::MAX, |limit| limit.0)
                    && (!request.gpu || 0 < template.gpus)
                    && request.arch.is_none_or(|arch| arch == template.arch);
                if fits {
                    expected.push((usd, template.provider.to_string(), template.id.clone(), region.name.clone()));
                }
            }
        }
        expected.sort();
        let found: Vec<_> = plan_.offers.iter().map(|offer| {
            (offer.usd_hourly.0, offer.provider.to_string(), offer.template.clone(), offer.region.clone())
        }).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert!(plan_.offers.iter().enumerate().all(|(n, offer)| offer.rank as usize == n + 1));

        // What is in neither list was not asked for; here everything was.
        let places: usize = templates.iter().map(|template| template.regions.len()).sum();
        let rejected: usize = plan_.rejected.iter().map(|rejection| {
            let template = templates.iter().find(|t| t.id == rejection.template).expect("ours");
            if rejection.region.is_some() { 1 } else { template.regions.len() }
        }).sum();
        prop_assert_eq!(places, found.len() + rejected);
        prop_assert!(plan_.rejected.iter().all(|rejection| !rejection.reasons.is_empty()));

        // Byte-stable, whatever the order in which offers are found.
        let mut shuffled = candidates(&templates, &accounts);
        shuffled.reverse();
        let again = plan(shuffled, &wanted(&request), rate);
        prop_assert_eq!(
            serde_json::to_vec(&plan_).expect("JSON"),
            serde_json::to_vec(&again).expect("JSON")
        );
    }
}

/// 10,000 offers: measured in release builds by `cargo test --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for release builds"]
fn ten_thousand_offers_are_planned_within_ten_milliseconds() {
    let offers: Vec<Offer> = (0..10_000)
        .map(|n| {
            world::offer(&format!("plan-{:03}", n / 20), &format!("region-{:02}", n % 20), 1_000 + n % 977)
        })
        .collect();
    let live = [world::live("one", ProviderName::Vultr, offers)];
    let templates = catalogue::templates(catalogue::shipped(), &live, &world::moment());
    let accounts = [(account("one"), ProviderName::Vultr)];
    for request in [request(), PlanRequest { min_cpu: Some(8), ..request() }] {
        let all = candidates(&templates, &accounts);
        let clock = crate::clock::Clock::system();
        let began = clock.elapsed();
        let plan = plan(all, &wanted(&request), ExchangeRate::DEFAULT);
        let took = clock.elapsed() - began;
        println!("{} offers, {} rejected: {took:?}", plan.offers.len(), plan.rejected.len());
        assert!(took.as_millis() < 10, "{took:?}");
    }
}
