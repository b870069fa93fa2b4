//! Scaleway's price list of one zone, in euros, with what is in stock there.

use std::collections::BTreeMap;

use capsule_api::{Arch, Currency, Price};
use serde::Deserialize;
use serde_json::Value;

use super::PROVIDER;
use crate::{
    Offer, Result, micros,
    values::{is_positive, read},
};

/// A size as `/products/servers` lists it, by its name.
#[derive(Debug, Deserialize)]
struct Product {
    #[serde(default)]
    arch: String,
    ncpus: u32,
    /// Bytes.
    ram: u64,
    #[serde(default)]
    gpu: Option<u32>,
    #[serde(default)]
    gpu_info: Option<Gpu>,
    #[serde(default)]
    volumes_constraint: Option<Disk>,
    #[serde(default)]
    hourly_price: Value,
    #[serde(default)]
    monthly_price: Value,
    #[serde(default)]
    end_of_service: bool,
}

#[derive(Debug, Deserialize)]
struct Gpu {
    #[serde(default)]
    gpu_manufacturer: String,
    #[serde(default)]
    gpu_name: String,
}

/// Decimal bytes of local disk.
#[derive(Debug, Deserialize)]
struct Disk {
    #[serde(default)]
    max_size: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Stock {
    availability: String,
}

/// What a zone sells, from all pages of its two lists.
pub(super) fn offers(zone: &str, products: &[Value], stock: &[Value]) -> Result<Vec<Offer>> {
    let mut available = BTreeMap::new();
    for page in stock {
        let rows: BTreeMap<String, Stock> = read(PROVIDER, page)?;
        // `scarce` can be had, `shortage` cannot.
        available.extend(rows.into_iter().map(|(plan, row)| (plan, row.availability != "shortage")));
    }
    let mut offers = Vec::new();
    for page in products {
        let rows: BTreeMap<String, Product> = read(PROVIDER, page)?;
        for (plan, product) in rows {
            let can_be_had = available.get(&plan).copied().unwrap_or(false);
            offers.extend(offer(zone, plan, product, can_be_had));
        }
    }
    Ok(offers)
}

/// `None` for what has no price, or an architecture that nothing here runs on.
fn offer(zone: &str, plan: String, product: Product, can_be_had: bool) -> Option<Offer> {
    let arch = match product.arch.as_str() {
        "x86_64" => Arch::X86_64,
        "arm64" => Arch::Aarch64,
        _ => return None,
    };
    let price = Price {
        currency: Currency::Eur,
        hourly_micros: micros(&product.hourly_price)?,
        monthly_micros: micros(&product.monthly_price),
    };
    let local_bytes = product.volumes_constraint.and_then(|disk| disk.max_size).unwrap_or_default();
    let model = |gpu: Gpu| format!("{} {}", gpu.gpu_manufacturer, gpu.gpu_name).trim().to_owned();
    is_positive(&price).then(|| Offer {
        plan,
        region: zone.to_owned(),
        vcpus: product.ncpus,
        memory_mib: product.ram >> 20,
        disk_gb: local_bytes / 1_000_000_000,
        transfer_gb: None,
        gpus: product.gpu.unwrap_or_default(),
        gpu_model: product.gpu_info.map(model).filter(|model| !model.is_empty()),
        arch,
        bare_metal: false,
        price,
        available: can_be_had && !product.end_of_service,
    })
}
