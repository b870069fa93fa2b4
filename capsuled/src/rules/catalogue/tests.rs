//! The files that ship, what a provider's list changes, and how people choose.

use capsule_api::{Arch, Currency, PriceSource, TemplateFilter, TemplateSort, UsdMicros};

use super::*;
use crate::model::{LiveCatalogue, LiveRegion, Offer};

/// When the tests are.
pub(crate) const NOW: &str = "2026-11-21T12:00:00Z";

pub(crate) fn now() -> Timestamp {
    NOW.parse().expect("a moment")
}

pub(crate) fn moment() -> Moment {
    let ended = |provider| (provider == ProviderName::Equinix).then(|| jiff::civil::date(2026, 6, 30));
    Moment { now: now(), rate: ExchangeRate::DEFAULT, ended }
}

/// The shipped templates alone.
pub(crate) fn listed() -> Vec<Template> {
    templates(shipped(), &[], &moment())
}

pub(crate) fn offer(plan: &str, region: &str, hourly_micros: i64) -> Offer {
    Offer {
        plan: plan.to_owned(),
        region: region.to_owned(),
        vcpus: 2,
        memory_mib: 4_096,
        disk_gb: 40,
        transfer_gb: Some(1_000),
        gpus: 0,
        gpu_model: None,
        arch: Arch::X86_64,
        bare_metal: false,
        price: Price { currency: Currency::Usd, hourly_micros, monthly_micros: None },
        available: true,
    }
}

pub(crate) fn live(account: &str, provider: ProviderName, offers: Vec<Offer>) -> LiveCatalogue {
    let account = account.parse().expect("an account name");
    LiveCatalogue { account, provider, observed_at: now(), offers, regions: Vec::new() }
}

fn find<'a>(templates: &'a [Template], id: &str) -> &'a Template {
    templates.iter().find(|template| template.id == id).expect(id)
}

#[test]
fn all_31_templates_and_50_regions_ship_with_their_first_figures() {
    let shipped = parse(shipped::TEMPLATES, shipped::REGIONS).expect("well-formed");
    let ours = shipped.templates.iter().filter(|t| t.original.is_some()).count();
    let hetzner = ProviderName::Hetzner;
    assert_eq!(ours, 31);
    assert_eq!(shipped.regions.iter().filter(|region| region.provider != hetzner).count(), 50);
    for provider in ProviderName::ALL {
        assert!(shipped.templates.iter().any(|t| t.provider == *provider), "{provider}");
    }
    for template in &shipped.templates {
        assert!(!template.regions.is_empty(), "{}", template.id);
        for region in &template.regions {
            // Only the facilities of Hivelocity have no name before a refresh.
            let named = region.region.is_some() || template.provider == ProviderName::Hivelocity;
            assert!(named, "{} in {}", template.id, region.name);
        }
        let corrected = template.original.as_ref().is_some_and(|original| {
            let price = template.price.filter(|price| price.currency == Currency::Usd);
            original.vcpus != template.vcpus
                || original.memory_mib != template.memory_mib
                || price.is_none_or(|p| p.hourly_micros != original.hourly_micros.0)
        });
        // To the cent: the same price written with more digits needs no explanation.
        let explained = !template.note.is_empty() || template.id == "do-standard-4";
        assert!(!corrected || explained, "{} differs and does not say why", template.id);
    }
}

#[test]
fn figures_are_the_providers_and_the_first_ones_stand_beside_them() {
    let all = listed();
    let hf = find(&all, "vultr-hf-4");
    assert_eq!((hf.plan.as_deref(), hf.vcpus, hf.disk_gb), (Some("vhf-3c-8gb"), 3, 256));
    assert_eq!(hf.original.as_ref().map(|o| (o.vcpus, o.hourly_micros)), Some((4, UsdMicros(60_000))));
    let dev = find(&all, "scaleway-dev1-s");
    let price = dev.price.expect("a price");
    assert_eq!((price.currency, price.hourly_micros), (Currency::Eur, 8_976));
    // 0.008976 EUR at 1.0389 USD.
    assert_eq!(dev.usd_hourly_micros, Some(UsdMicros(9_325)));
    assert_eq!(dev.observed_at.map(|at| at.to_string()).as_deref(), Some("2026-08-06T00:00:00Z"));
    assert_eq!((dev.source, dev.stale), (PriceSource::Listed, true));
    assert_eq!(dev.regions[0].region.as_deref(), Some("fr-par-1"));
    let hive = find(&all, "hive-small");
    assert_eq!((hive.source, hive.observed_at, &hive.plan), (PriceSource::Unchecked, None, &None));
    assert_eq!(find(&all, "equinix-c3-small").ended, Some(jiff::civil::date(2026, 6, 30)));
    assert_eq!(find(&all, "hetzner-cx22").price, None);
    // Only the region whose price is known has one.
    let priced = |t: &Template| t.regions.iter().filter(|region| region.price.is_some()).count();
    assert_eq!(priced(find(&all, "aws-t3-micro")), 1);
}

#[test]
fn a_broken_file_is_refused_with_its_row() {
    let swap = |from: &str, to: &str| parse(&shipped::TEMPLATES.replacen(from, to, 1), shipped::REGIONS);
    for (from, to, reason) in [
        ("nyc1;nyc3", "nyc1;nyc9", "regions: digitalocean has no region `nyc9`"),
        ("x86_64,no", "x86_64,maybe", "bare_metal: `maybe` is neither yes nor no"),
        ("do-basic-2", "do-basic-1", "id: `do-basic-1` stands twice"),
    ] {
        let error = swap(from, to).expect_err(to);
        assert_eq!((error.file, error.reason.as_str()), ("templates.csv", reason));
    }
    assert!(swap(",1,1024,25", ",one,1024,25").is_err());
    assert!(parse("", "provider,name,region,title,note\nacme,a,b,c,\n").is_err());
}

#[test]
fn a_providers_own_list_replaces_prices_and_adds_what_does_not_ship() {
    let mut sold_out = offer("s-1vcpu-1gb", "fra1", 9_000);
    sold_out.available = false;
    let offers = vec![
        offer("s-1vcpu-1gb", "nyc1", 10_000),
        sold_out,
        offer("s-1vcpu-1gb", "blr1", 9_500),
        offer("G-New", "nyc1", 20_000),
    ];
    let all = templates(shipped(), &[live("a", ProviderName::DigitalOcean, offers)], &moment());
    let basic = find(&all, "do-basic-1");
    assert_eq!((basic.source, basic.stale, basic.vcpus), (PriceSource::Live, false, 2));
    // The cheapest that can be had.
    assert_eq!(basic.usd_hourly_micros, Some(UsdMicros(9_500)));
    let at = |name: &str| basic.regions.iter().find(|region| region.name == name).expect(name);
    assert_eq!(at("nyc1").price.map(|price| price.hourly_micros), Some(10_000));
    assert!(!at("fra1").available && !at("lon1").available && at("blr1").available);
    assert_eq!((at("nyc1").observed_at, at("lon1").observed_at == Some(now())), (Some(now()), false));
    let new = find(&all, "digitalocean-g-new");
    assert_eq!((new.plan.as_deref(), new.source), (Some("G-New"), PriceSource::Live));
    // Listed no more: what ships is kept with its date, and cannot be had.
    let gone = find(&all, "do-cpu-8");
    assert!(gone.source == PriceSource::Listed && gone.regions.iter().all(|region| !region.available));
    // Others are as they were.
    assert_eq!(find(&all, "linode-2gb"), find(&listed(), "linode-2gb"));
}

#[test]
fn of_two_accounts_the_newer_copy_counts_and_old_ones_are_marked() {
    let old = offer("g6-standard-1", "us-east", 1);
    let mut older = live("a", ProviderName::Linode, vec![old]);
    older.observed_at = now() - SignedDuration::from_hours(49);
    let only = templates(shipped(), std::slice::from_ref(&older), &moment());
    assert!(find(&only, "linode-2gb").stale);
    let newer = live("b", ProviderName::Linode, vec![offer("g6-standard-1", "us-east", 2)]);
    for both in [[older.clone(), newer.clone()], [newer, older]] {
        let all = templates(shipped(), &both, &moment());
        assert_eq!(find(&all, "linode-2gb").usd_hourly_micros, Some(UsdMicros(2)));
        assert!(!find(&all, "linode-2gb").stale);
    }
}

#[test]
fn a_described_size_stands_for_the_cheapest_product_that_fits_in_each_facility() {
    let product = |plan: &str, region: &str, vcpus, hourly| Offer {
        vcpus,
        memory_mib: 32_768,
        bare_metal: true,
        ..offer(plan, region, hourly)
    };
    let mut catalogue = live(
        "a",
        ProviderName::Hivelocity,
        vec![
            product("525", "ATL1", 4, 300_000),
            product("526", "ATL1", 6, 250_000),
            product("527", "ATL1", 2, 100_000),
            product("528", "TPA1", 8, 280_000),
        ],
    );
    let region = |name: &str, title: &str| LiveRegion { name: name.to_owned(), title: title.to_owned() };
    catalogue.regions =
        vec![region("ATL1", "Atlanta, GA"), region("TPA1", "Tampa"), region("AMS1", "Amsterdam")];
    let live = [catalogue];
    let all = templates(shipped(), &live, &moment());
    let hive = find(&all, "hive-small");
    let places: Vec<_> = hive
        .regions
        .iter()
        .filter(|region| region.available)
        .map(|region| (region.name.as_str(), region.region.as_deref(), region.plan.as_deref()))
        .collect();
    assert_eq!(places, [("atlanta", Some("ATL1"), Some("526")), ("tampa", Some("TPA1"), Some("528"))]);
    let regions = regions(shipped(), &live, &moment());
    let named: Vec<_> = regions
        .iter()
        .filter(|region| region.provider == ProviderName::Hivelocity)
        .map(|region| (region.name.as_str(), region.region.as_deref()))
        .collect();
    for expected in
        [("atlanta", Some("ATL1")), ("tampa", Some("TPA1")), ("AMS1", Some("AMS1")), ("miami", None)]
    {
        assert!(named.contains(&expected), "{expected:?} in {named:?}");
    }
    assert!(!named.contains(&("atlanta", None)));
}

#[test]
fn filters_all_have_to_fit() {
    let ids = |filter: TemplateFilter, region: Option<&str>| -> Vec<String> {
        let regions = regions(shipped(), &[], &moment());
        let region = region.map(|given| find_region(given, &regions).expect("a region"));
        choose(listed(), &filter, None, region.as_ref()).into_iter().map(|t| t.id).collect()
    };
    let gpu = ids(
        TemplateFilter { gpu: Some(true), max_price: Some(UsdMicros(1_400_000)), ..Default::default() },
        None,
    );
    assert_eq!(gpu, ["hive-gpu", "scaleway-render-s"]);
    let large = TemplateFilter { min_cpu: Some(16), min_memory: Some(64), ..Default::default() };
    assert!(ids(large, None).contains(&"hive-large".to_owned()));
    let arm = ids(TemplateFilter { arch: Some(Arch::Aarch64), ..Default::default() }, None);
    assert_eq!(arm, ["hetzner-cax11"]);
    assert_eq!(
        ids(TemplateFilter::default(), Some("waw1")),
        ids(TemplateFilter::default(), Some("pl-waw-1"))
    );
    assert_eq!(
        ids(TemplateFilter::default(), Some("au-sydney")),
        ids(TemplateFilter::default(), Some("AP-SOUTHEAST"))
    );
    assert!(!ids(TemplateFilter::default(), Some("au-sydney")).is_empty());
}

#[test]
fn every_order_is_total_and_what_has_no_price_comes_last() {
    for sort in TemplateSort::ALL {
        let filter = TemplateFilter { sort: Some(*sort), ..Default::default() };
        let mut reversed = listed();
        reversed.reverse();
        assert_eq!(choose(listed(), &filter, None, None), choose(reversed, &filter, None, None), "{sort}");
    }
    let by_price = choose(listed(), &TemplateFilter::default(), None, None);
    let first_without = by_price.iter().position(|t| t.usd_hourly_micros.is_none()).expect("some have none");
    assert!(by_price[first_without..].iter().all(|t| t.usd_hourly_micros.is_none()));
    assert!(by_price[..first_without].is_sorted_by_key(|t| t.usd_hourly_micros));
}

#[test]
fn names_are_ours_or_the_providers_and_slips_get_a_suggestion() {
    let all = listed();
    let regions = regions(shipped(), &[], &moment());
    assert_eq!(find_template("S-1VCPU-1GB", &all).map(|t| t.id.as_str()), Ok("do-basic-1"));
    assert_eq!(find_template("DO-basic-1", &all).map(|t| t.id.as_str()), Ok("do-basic-1"));
    assert_eq!(find_template("do-basik-1", &all), Err(Some("do-basic-1".to_owned())));
    assert_eq!(find_template("zzz", &all), Err(None));
    assert_eq!(find_region("nyc11", &regions), Err(Some("nyc1".to_owned())));
    assert_eq!(find_provider("Vultr"), Ok(ProviderName::Vultr));
    assert_eq!(find_provider("linod"), Err(Some("linode".to_owned())));
}
