//! Hivelocity's inventory: products by facility, whose sizes are written out as words.

use std::collections::BTreeMap;

use capsule_api::{Arch, Currency, Price};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Catalogue, Offer, Region, micros,
    values::{gigabytes, is_positive},
};

/// A facility.
#[derive(Debug, Deserialize)]
pub(super) struct Location {
    code: String,
    #[serde(default)]
    title: Option<String>,
}

/// A product at one facility. Every text may be absent.
#[derive(Debug, Deserialize)]
pub(super) struct Product {
    product_id: u64,
    #[serde(default)]
    is_vps: bool,
    #[serde(default)]
    product_cpu: Option<String>,
    /// `4 cores / 8 threads`.
    #[serde(default)]
    product_cpu_cores: Option<String>,
    /// `16GB`.
    #[serde(default)]
    product_memory: Option<String>,
    /// `2 x 960GB SSD`.
    #[serde(default)]
    product_drive: Option<String>,
    /// `20TB / 1Gbps`.
    #[serde(default)]
    product_bandwidth: Option<String>,
    #[serde(default)]
    product_gpu: Option<String>,
    #[serde(default)]
    product_hourly_price: Value,
    #[serde(default)]
    hourly_location_premium: Value,
    #[serde(default)]
    product_monthly_price: Value,
    #[serde(default)]
    monthly_location_premium: Value,
    #[serde(default)]
    product_disabled_billing_periods: Option<Vec<String>>,
    /// A word, or how many.
    #[serde(default)]
    stock: Value,
    #[serde(default)]
    processor_info: Value,
}

/// Everything that is sold by the hour.
pub(super) fn catalogue(products: BTreeMap<String, Vec<Product>>, locations: Vec<Location>) -> Catalogue {
    let at = |(facility, products): (String, Vec<Product>)| {
        products.into_iter().filter_map(move |product| offer(&facility, &product))
    };
    let region = |location: Location| Region {
        title: location.title.unwrap_or_else(|| location.code.clone()),
        name: location.code,
    };
    Catalogue {
        offers: products.into_iter().flat_map(at).collect(),
        regions: locations.into_iter().map(region).collect(),
    }
}

/// `None` for what cannot be rented by the hour or whose size cannot be read.
fn offer(facility: &str, product: &Product) -> Option<Offer> {
    let without_hours = product.product_disabled_billing_periods.iter().flatten();
    if without_hours.into_iter().any(|period| period.eq_ignore_ascii_case("hourly")) {
        return None;
    }
    let price = Price {
        currency: Currency::Usd,
        hourly_micros: with_premium(&product.product_hourly_price, &product.hourly_location_premium)?,
        monthly_micros: with_premium(&product.product_monthly_price, &product.monthly_location_premium),
    };
    let (gpus, gpu_model) = gpus(product.product_gpu.as_deref().unwrap_or_default());
    let gb = |text: &Option<String>| text.as_deref().and_then(gigabytes);
    is_positive(&price).then_some(Offer {
        plan: product.product_id.to_string(),
        region: facility.to_owned(),
        vcpus: processors(product)?,
        memory_mib: gb(&product.product_memory)? * 1024,
        disk_gb: gb(&product.product_drive).unwrap_or_default(),
        transfer_gb: gb(&product.product_bandwidth),
        gpus,
        gpu_model,
        arch: arch(product.product_cpu.as_deref().unwrap_or_default()),
        bare_metal: !product.is_vps,
        price,
        available: in_stock(&product.stock),
    })
}

fn with_premium(price: &Value, premium: &Value) -> Option<i64> {
    Some(micros(price)? + micros(premium).unwrap_or_default())
}

/// Cores of bare metal, virtual processors of the rest.
fn processors(product: &Product) -> Option<u32> {
    let number =
        |name: &str| product.processor_info[name].as_u64().and_then(|number| u32::try_from(number).ok());
    let cores = number("cores");
    let counted = if product.is_vps { number("vcpus").or(cores) } else { cores };
    let text = || product.product_cpu_cores.as_deref()?.split_whitespace().next()?.parse().ok();
    counted.filter(|count| 0 < *count).or_else(text)
}

/// `2x NVIDIA A40` is two of them; a text without a number is one.
fn gpus(text: &str) -> (u32, Option<String>) {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("none") {
        return (0, None);
    }
    let counted = text
        .split_once(['x', 'X'])
        .and_then(|(count, model)| Some((count.trim().parse().ok()?, model.trim().to_owned())));
    let (count, model) = counted.unwrap_or_else(|| (1, text.to_owned()));
    (count, Some(model))
}

fn arch(cpu: &str) -> Arch {
    let cpu = cpu.to_ascii_lowercase();
    let is_arm = ["ampere", "altra", "arm64", "aarch64"].iter().any(|word| cpu.contains(word));
    if is_arm { Arch::Aarch64 } else { Arch::X86_64 }
}

fn in_stock(stock: &Value) -> bool {
    match stock {
        Value::Number(count) => count.as_f64().is_some_and(|count| 0.0 < count),
        Value::String(word) => {
            let word = word.trim().to_ascii_lowercase();
            matches!(word.as_str(), "available" | "limited" | "low" | "in stock")
                || word.parse::<u32>().is_ok_and(|count| 0 < count)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offers(changes: Value) -> Vec<Offer> {
        let mut product = json!({
            "product_id": 504, "stock": "available", "product_cpu": "Intel Xeon E3-1230 v6",
            "product_cpu_cores": "4 cores / 8 threads", "product_memory": "16GB", "product_drive": "2 x 960GB SSD",
            "product_bandwidth": "20TB / 1Gbps", "product_gpu": "", "product_hourly_price": 0.17,
            "product_monthly_price": 109.0, "hourly_location_premium": 0.01, "monthly_location_premium": 5,
            "product_disabled_billing_periods": [], "processor_info": {"cores": 4, "vcpus": 8}, "is_vps": false,
        });
        for (name, value) in changes.as_object().expect("changes") {
            product[name] = value.clone();
        }
        let products = serde_json::from_value(json!({"TPA1": [product]})).expect("an inventory");
        let locations = serde_json::from_value(json!([{"code": "TPA1", "title": "Tampa"}])).expect("a list");
        catalogue(products, locations).offers
    }

    #[test]
    fn a_product_is_read_from_its_texts_with_its_places_premium() {
        let offer = &offers(json!({}))[0];
        assert_eq!((offer.plan.as_str(), offer.region.as_str()), ("504", "TPA1"));
        assert_eq!(
            (offer.vcpus, offer.memory_mib, offer.disk_gb, offer.transfer_gb),
            (4, 16_384, 1920, Some(20_000))
        );
        assert_eq!((offer.price.hourly_micros, offer.price.monthly_micros), (180_000, Some(114_000_000)));
        assert!(offer.available && offer.bare_metal);
    }

    #[test]
    fn a_virtual_machine_counts_its_virtual_processors() {
        let offer = &offers(json!({"is_vps": true}))[0];
        assert_eq!((offer.vcpus, offer.bare_metal), (8, false));
        assert_eq!(offers(json!({"processor_info": null}))[0].vcpus, 4, "from the text");
    }

    #[test]
    fn what_cannot_be_rented_by_the_hour_is_not_offered() {
        for changes in [
            json!({"product_disabled_billing_periods": ["hourly"]}),
            json!({"product_hourly_price": 0, "hourly_location_premium": 0}),
            json!({"product_hourly_price": null}),
            json!({"product_memory": "lots"}),
        ] {
            assert!(offers(changes.clone()).is_empty(), "{changes}");
        }
    }

    #[test]
    fn stock_is_a_word_or_a_number() {
        for (stock, wanted) in [
            (json!("available"), true),
            (json!("Limited"), true),
            (json!("3"), true),
            (json!("0"), false),
            (json!("unavailable"), false),
            (json!(0), false),
            (json!(null), false),
        ] {
            assert_eq!(offers(json!({"stock": stock}))[0].available, wanted, "{stock}");
        }
    }

    #[test]
    fn gpus_are_counted() {
        for (text, wanted) in [
            ("", (0, None)),
            ("NVIDIA RTX 4090", (1, Some("NVIDIA RTX 4090"))),
            ("2x NVIDIA A40", (2, Some("NVIDIA A40"))),
        ] {
            let offer = &offers(json!({"product_gpu": text}))[0];
            assert_eq!((offer.gpus, offer.gpu_model.as_deref()), wanted, "{text}");
        }
    }
}
