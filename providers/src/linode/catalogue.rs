//! Linode's price list: types × regions, with the dearer regions' own prices.

use std::collections::BTreeMap;

use capsule_api::{Arch, Currency, Price};
use serde::Deserialize;
use serde_json::Value;

use crate::{Catalogue, Offer, Region, micros, values::is_positive};

/// A region as `/regions` lists it.
#[derive(Debug, Deserialize)]
pub(super) struct RegionRecord {
    id: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    status: String,
}

/// A size as `/linode/types` lists it.
#[derive(Debug, Deserialize)]
pub(super) struct TypeRecord {
    id: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    class: String,
    vcpus: u32,
    /// MB of 1024² bytes, as its disk.
    memory: u64,
    disk: u64,
    #[serde(default)]
    gpus: u32,
    /// GB a month.
    #[serde(default)]
    transfer: Option<u64>,
    price: PriceRecord,
    #[serde(default)]
    region_prices: Vec<PriceRecord>,
}

#[derive(Debug, Deserialize)]
struct PriceRecord {
    /// The region it is for; absent in a type's own price.
    #[serde(default)]
    id: String,
    #[serde(default)]
    hourly: Value,
    #[serde(default)]
    monthly: Value,
}

/// A row of `/regions/availability`, which lists scarce types only.
#[derive(Debug, Deserialize)]
pub(super) struct AvailabilityRecord {
    region: String,
    plan: String,
    available: bool,
}

/// Everything that is sold, from the three lists.
pub(super) fn catalogue(
    regions: &[RegionRecord],
    types: &[TypeRecord],
    availability: &[AvailabilityRecord],
) -> Catalogue {
    let stock: BTreeMap<(&str, &str), bool> =
        availability.iter().map(|row| ((row.region.as_str(), row.plan.as_str()), row.available)).collect();
    let offers =
        types.iter().flat_map(|size| regions.iter().filter_map(|region| offer(size, region, &stock)));
    let title = |region: &RegionRecord| Region { name: region.id.clone(), title: region.label.clone() };
    Catalogue { offers: offers.collect(), regions: regions.iter().map(title).collect() }
}

fn offer(size: &TypeRecord, region: &RegionRecord, stock: &BTreeMap<(&str, &str), bool>) -> Option<Offer> {
    let own = size.region_prices.iter().find(|price| price.id == region.id);
    let price = price(own.unwrap_or(&size.price)).filter(is_positive)?;
    let in_stock = stock.get(&(region.id.as_str(), size.id.as_str())).copied().unwrap_or(true);
    let served = region.capabilities.iter().any(|word| word == needed(&size.class));
    Some(Offer {
        plan: size.id.clone(),
        region: region.id.clone(),
        vcpus: size.vcpus,
        memory_mib: size.memory,
        disk_gb: size.disk / 1024,
        transfer_gb: size.transfer.filter(|gb| 0 < *gb),
        gpus: size.gpus,
        gpu_model: gpu_model(&size.label).filter(|_| 0 < size.gpus),
        arch: Arch::X86_64,
        bare_metal: size.class == "metal",
        price,
        available: region.status == "ok" && in_stock && served,
    })
}

fn price(record: &PriceRecord) -> Option<Price> {
    let hourly_micros = micros(&record.hourly)?;
    Some(Price { currency: Currency::Usd, hourly_micros, monthly_micros: micros(&record.monthly) })
}

/// The capability that a region must have for a class of types.
fn needed(class: &str) -> &'static str {
    match class {
        "gpu" => "GPU Linodes",
        "premium" => "Premium Plans",
        "metal" => "Bare Metal",
        _ => "Linodes",
    }
}

/// `Dedicated 32GB + RTX6000 GPU x1` names its GPU between `RTX` and the next ` GPU` or ` x`.
fn gpu_model(label: &str) -> Option<String> {
    let model = &label[label.find("RTX")?..];
    let end = [" GPU", " x"].iter().filter_map(|mark| model.find(mark)).min().unwrap_or(model.len());
    Some(model[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lists() -> (Vec<RegionRecord>, Vec<TypeRecord>, Vec<AvailabilityRecord>) {
        let regions = json!([
            {"id": "us-east", "label": "Newark, NJ", "capabilities": ["Linodes", "GPU Linodes"], "status": "ok"},
            {"id": "br-gru", "label": "Sao Paulo, BR", "capabilities": ["Linodes"], "status": "ok"},
            {"id": "gb-lon", "label": "London 2, UK", "capabilities": ["Linodes"], "status": "outage"},
        ]);
        let types = json!([
            {"id": "g6-nanode-1", "label": "Nanode 1GB", "class": "nanode", "vcpus": 1, "memory": 1024,
             "disk": 25600, "transfer": 1000, "gpus": 0, "price": {"hourly": 0.0075, "monthly": 5.0},
             "region_prices": [{"id": "br-gru", "hourly": 0.0105, "monthly": 7.0}]},
            {"id": "g1-gpu-rtx6000-1", "label": "Dedicated 32GB + RTX6000 GPU x1", "class": "gpu", "vcpus": 8,
             "memory": 32768, "disk": 655360, "transfer": 16000, "gpus": 1,
             "price": {"hourly": 1.5, "monthly": 1000.0}, "region_prices": []},
            {"id": "unpriced", "vcpus": 1, "memory": 1, "disk": 1, "price": {"hourly": 0, "monthly": 0}},
        ]);
        let availability = json!([{"region": "br-gru", "plan": "g6-nanode-1", "available": false}]);
        let read = "the fixture fits";
        (
            serde_json::from_value(regions).expect(read),
            serde_json::from_value(types).expect(read),
            serde_json::from_value(availability).expect(read),
        )
    }

    fn find(plan: &str, region: &str) -> Offer {
        let (regions, types, availability) = lists();
        let offers = catalogue(&regions, &types, &availability).offers;
        let mut found = offers.into_iter().filter(|offer| offer.plan == plan && offer.region == region);
        found.next().expect("an offer")
    }

    #[test]
    fn a_dearer_region_has_its_own_price() {
        assert_eq!(find("g6-nanode-1", "us-east").price.hourly_micros, 7_500);
        let dear = find("g6-nanode-1", "br-gru");
        assert_eq!((dear.price.hourly_micros, dear.price.monthly_micros), (10_500, Some(7_000_000)));
        assert_eq!((dear.memory_mib, dear.disk_gb, dear.transfer_gb), (1024, 25, Some(1000)));
    }

    #[test]
    fn stock_outage_and_capability_decide_what_can_be_had() {
        assert!(find("g6-nanode-1", "us-east").available);
        assert!(!find("g6-nanode-1", "br-gru").available, "the list says sold out");
        assert!(!find("g6-nanode-1", "gb-lon").available, "the region is out");
        let gpu = find("g1-gpu-rtx6000-1", "us-east");
        assert!(gpu.available);
        assert_eq!((gpu.gpus, gpu.gpu_model.as_deref()), (1, Some("RTX6000")));
        assert!(!find("g1-gpu-rtx6000-1", "br-gru").available, "the region has no GPUs");
    }

    #[test]
    fn what_has_no_price_is_not_offered() {
        let (regions, types, availability) = lists();
        let catalogue = catalogue(&regions, &types, &availability);
        assert!(catalogue.offers.iter().all(|offer| offer.plan != "unpriced"));
        assert_eq!(catalogue.regions.len(), 3);
    }

    #[test]
    fn a_gpu_is_named_from_the_label() {
        for (label, model) in [
            ("Dedicated 32GB + RTX6000 GPU x1", Some("RTX6000")),
            ("RTX4000 Ada x1 Small", Some("RTX4000 Ada")),
            ("Linode 4GB", None),
        ] {
            assert_eq!(gpu_model(label).as_deref(), model, "{label}");
        }
    }
}
