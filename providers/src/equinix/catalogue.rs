//! Equinix Metal's plans by metro, with a metro's own price and capacity.

use std::collections::BTreeMap;

use capsule_api::{Arch, Currency, Price};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Catalogue, Offer, Region, micros,
    record::or_default,
    values::{gigabytes, is_positive},
};

#[derive(Debug, Deserialize)]
pub(super) struct Plans {
    plans: Vec<Plan>,
}

#[derive(Debug, Deserialize)]
struct Plan {
    slug: String,
    #[serde(default)]
    specs: Value,
    #[serde(default)]
    pricing: Value,
    #[serde(default, deserialize_with = "or_default")]
    available_in_metros: Vec<Place>,
}

/// A metro that has a plan, by its address, and its price where that is another.
#[derive(Debug, Deserialize)]
struct Place {
    href: String,
    #[serde(default)]
    price: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metros {
    metros: Vec<Metro>,
}

#[derive(Debug, Deserialize)]
struct Metro {
    id: String,
    code: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

/// Everything that is sold. `capacity` is an object of metros, each an object of plans with a `level`.
pub(super) fn catalogue(plans: Plans, metros: Metros, capacity: &Value) -> Catalogue {
    let codes: BTreeMap<&str, &str> =
        metros.metros.iter().map(|metro| (metro.id.as_str(), metro.code.as_str())).collect();
    let mut offers = Vec::new();
    for plan in &plans.plans {
        for place in &plan.available_in_metros {
            let id = place.href.rsplit('/').next().unwrap_or_default();
            if let Some(code) = codes.get(id) {
                offers.extend(offer(plan, place, code, &capacity[*code][&plan.slug]["level"]));
            }
        }
    }
    let region = |metro: Metro| Region { name: metro.code, title: metro.name };
    Catalogue { offers, regions: metros.metros.into_iter().map(region).collect() }
}

/// `None` for what has no price or whose memory cannot be read.
fn offer(plan: &Plan, place: &Place, metro: &str, level: &Value) -> Option<Offer> {
    let hourly_micros = micros(&place.price["hour"]).or_else(|| micros(&plan.pricing["hour"]))?;
    let price = Price { currency: Currency::Usd, hourly_micros, monthly_micros: None };
    let rows = |name: &str| plan.specs[name].as_array().into_iter().flatten();
    let count = |row: &Value| row["count"].as_u64().unwrap_or(1);
    let disks =
        rows("drives").map(|row| row["size"].as_str().and_then(gigabytes).unwrap_or_default() * count(row));
    let cpu = |row: &Value| row["type"].as_str().unwrap_or_default().to_owned();
    let cores = rows("cpus").map(|row| cores(&cpu(row)) * count(row)).sum::<u64>();
    let is_arm = rows("cpus").any(|row| is_arm(&cpu(row))) || plan.slug.ends_with(".arm");
    is_positive(&price).then_some(Offer {
        plan: plan.slug.clone(),
        region: metro.to_owned(),
        vcpus: u32::try_from(cores).ok()?,
        memory_mib: plan.specs["memory"]["total"].as_str().and_then(gigabytes)? * 1024,
        disk_gb: disks.sum(),
        transfer_gb: None,
        gpus: rows("gpu").map(count).sum::<u64>().try_into().ok()?,
        gpu_model: rows("gpu").next().map(cpu).filter(|model| !model.is_empty()),
        arch: if is_arm { Arch::Aarch64 } else { Arch::X86_64 },
        bare_metal: true,
        price,
        // What the capacity does not name can be had.
        available: level.as_str() != Some("unavailable"),
    })
}

/// The cores of one processor, out of `Intel Xeon E-2278G 8-Core Processor @ 3.40GHz`; 1 where it is not said.
fn cores(processor: &str) -> u64 {
    let before = processor.to_ascii_lowercase();
    let before = before.split("core").next().unwrap_or_default().trim_end_matches(['-', ' ']);
    let start = before.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    if before.len() == processor.len() { 1 } else { before[start..].parse().unwrap_or(1) }
}

fn is_arm(processor: &str) -> bool {
    ["Ampere", "Altra", "ThunderX", "ARM"].iter().any(|word| processor.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_metro_may_have_its_own_price_and_no_capacity() {
        let plans = json!({"plans": [{
            "slug": "c3.small.x86", "pricing": {"hour": 0.5},
            "specs": {
                "cpus": [{"count": 2, "type": "Intel Xeon E-2278G 8-Core Processor @ 3.40GHz"}],
                "memory": {"total": "32GB"},
                "drives": [{"count": 2, "size": "480GB"}, {"count": 1, "size": "3.84TB"}],
            },
            "available_in_metros": [
                {"href": "/metal/v1/locations/metros/1", "price": {"hour": 0.55}},
                {"href": "/metal/v1/locations/metros/2"},
                {"href": "/metal/v1/locations/metros/unknown"},
            ],
        }]});
        let metros =
            json!({"metros": [{"id": "1", "code": "da", "name": "Dallas"}, {"id": "2", "code": "sv"}]});
        let capacity = json!({"sv": {"c3.small.x86": {"level": "unavailable"}}});
        let read = "the fixture fits";
        let catalogue = catalogue(
            serde_json::from_value(plans).expect(read),
            serde_json::from_value(metros).expect(read),
            &capacity,
        );
        let shown: Vec<_> = catalogue
            .offers
            .iter()
            .map(|offer| (offer.region.as_str(), offer.price.hourly_micros, offer.available))
            .collect();
        assert_eq!(shown, [("da", 550_000, true), ("sv", 500_000, false)]);
        let one = &catalogue.offers[0];
        assert_eq!((one.vcpus, one.memory_mib, one.disk_gb), (16, 32_768, 4800));
        assert_eq!(catalogue.regions.len(), 2);
    }

    #[test]
    fn cores_are_read_from_a_processors_name() {
        for (name, wanted) in [
            ("Intel Xeon E-2278G 8-Core Processor @ 3.40GHz", 8),
            ("AMD EPYC 7402P 24-Core Processor", 24),
            ("Ampere Altra Q80-30 80 core", 80),
            ("Something else", 1),
        ] {
            assert_eq!(cores(name), wanted, "{name}");
        }
    }
}
