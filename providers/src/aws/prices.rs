//! What EC2 sells, and what it costs.
//!
//! EC2 lists sizes but no prices: those are in another service with a permission of its own
//! (`pricing:GetProducts`). An account that has it gets every size of its default region. What ships with us is a
//! table of a few sizes in one region, for accounts without that permission; sizes elsewhere are left to the
//! offline catalogue instead of being given a price of another region. Disks are apart (EBS) and traffic is
//! metered; neither is in these figures.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{InstanceTypeInfo, LocationType};
use aws_sdk_pricing::types::{Filter as PriceFilter, FilterType};
use capsule_api::{Arch, Currency, Price};
use serde::Deserialize;
use serde_json::Value;

use super::{Aws, pages};
use crate::{Catalogue, Offer, ProviderError, Region, Result, micros};

/// The region that [`HOURLY_MICROS`] is for.
const PRICED_REGION: &str = "us-east-1";

/// Linux, on demand, shared hardware, in millionths of a US dollar per hour. The well-known list
/// prices, not fetched from anywhere.
const HOURLY_MICROS: &[(&str, i64)] =
    &[("t3.micro", 10_400), ("t3.medium", 41_600), ("m5.large", 96_000), ("c5.2xlarge", 340_000)];

/// Sizes or prices a page, the most that the two services give.
const PAGE: i32 = 100;

/// One size as we order it: Linux without licences, on shared hardware, on demand.
const ORDERED_AS: [(&str, &str); 6] = [
    ("operatingSystem", "Linux"),
    ("preInstalledSw", "NA"),
    ("licenseModel", "No License required"),
    ("tenancy", "Shared"),
    ("capacitystatus", "Used"),
    ("marketoption", "OnDemand"),
];

/// Where regions are, for people. One that is missing here is shown by its name.
const TITLES: &[(&str, &str)] = &[
    ("us-east-1", "N. Virginia"),
    ("us-east-2", "Ohio"),
    ("us-west-1", "N. California"),
    ("us-west-2", "Oregon"),
    ("ca-central-1", "Canada (Central)"),
    ("sa-east-1", "São Paulo"),
    ("eu-central-1", "Frankfurt"),
    ("eu-north-1", "Stockholm"),
    ("eu-south-1", "Milan"),
    ("eu-west-1", "Ireland"),
    ("eu-west-2", "London"),
    ("eu-west-3", "Paris"),
    ("ap-northeast-1", "Tokyo"),
    ("ap-northeast-2", "Seoul"),
    ("ap-northeast-3", "Osaka"),
    ("ap-south-1", "Mumbai"),
    ("ap-southeast-1", "Singapore"),
    ("ap-southeast-2", "Sydney"),
    ("af-south-1", "Cape Town"),
    ("me-south-1", "Bahrain"),
];

/// Millionths of a US dollar per hour, by size.
type Prices = BTreeMap<String, i64>;

impl Aws {
    /// The regions that are enabled for the account, and the sizes whose price is known.
    pub(super) async fn sold(&self) -> Result<Catalogue> {
        let names = self.enabled_regions().await?;
        let mut offers = Vec::new();
        // Another partition (China, GovCloud) has neither these prices nor this price list.
        if names.iter().any(|name| name == PRICED_REGION) {
            let home = self.calls.home();
            let listed = self.listed_prices(home).await?;
            if home != PRICED_REGION || listed.is_none() {
                let shipped = HOURLY_MICROS.iter().map(|&(plan, micros)| (plan.to_owned(), micros)).collect();
                offers = self.offers(PRICED_REGION, &shipped).await?;
            }
            if let Some(prices) = listed {
                offers.extend(self.offers(home, &prices).await?);
            }
        }
        let regions = names.into_iter().map(|name| Region { title: title(&name).to_owned(), name }).collect();
        Ok(Catalogue { offers, regions })
    }

    /// The regions an instance of the account can be in.
    pub(super) async fn enabled_regions(&self) -> Result<Vec<String>> {
        let asked = self.calls.region("").describe_regions().all_regions(false);
        let found = self.calls.call("regions", asked.send()).await?;
        Ok(found.regions().iter().filter_map(|region| region.region_name().map(ToOwned::to_owned)).collect())
    }

    /// The prices of a region; `None` where the account may not ask, or is at an address that has no price list.
    /// An outage at Amazon is an error, so that the prices of yesterday stay.
    async fn listed_prices(&self, region: &str) -> Result<Option<Prices>> {
        let wanted = ORDERED_AS.into_iter().chain([("regionCode", region)]);
        let filter = |(field, value): (&str, &str)| {
            let filter = PriceFilter::builder().r#type(FilterType::TermMatch).field(field).value(value);
            filter.build().expect("a filter with its three parts")
        };
        let filters: &Vec<PriceFilter> = &wanted.map(filter).collect();
        let listed = pages("prices", |next| async move {
            let asked = self.calls.pricing().get_products().service_code("AmazonEC2").max_results(PAGE);
            let asked = asked.set_filters(Some(filters.clone())).set_next_token(next);
            let page = self.calls.call("price list", asked.send()).await?;
            Ok((page.price_list().iter().filter_map(|product| price(product)).collect(), page.next_token))
        });
        match listed.await {
            Ok(prices) => Ok(Some(prices.into_iter().collect()).filter(|prices: &Prices| !prices.is_empty())),
            Err(error) if is_outage(&error) && !self.calls.elsewhere() => Err(error),
            Err(error) => {
                tracing::info!(%error, "no price list for this account: a few sizes are listed, at shipped prices");
                Ok(None)
            }
        }
    }

    /// The sizes of a region that have a price.
    async fn offers(&self, region: &str, prices: &Prices) -> Result<Vec<Offer>> {
        let client = &self.calls.region(region);
        let offered = pages("sizes on sale", |next| async move {
            let asked = client.describe_instance_type_offerings().location_type(LocationType::Region);
            let page = self.calls.call("sizes on sale", asked.set_next_token(next).send()).await?;
            let names = page.instance_type_offerings().iter().filter_map(|offering| offering.instance_type());
            Ok((names.map(|name| name.as_str().to_owned()).collect(), page.next_token))
        });
        let offered: &BTreeSet<String> = &offered.await?.into_iter().collect();
        pages("sizes", |next| async move {
            let asked = client.describe_instance_types().max_results(PAGE).set_next_token(next);
            let page = self.calls.call("sizes", asked.send()).await?;
            let offers = page.instance_types().iter().filter_map(|size| {
                let plan = size.instance_type()?.as_str();
                offer(size, region, *prices.get(plan)?, offered.contains(plan))
            });
            Ok((offers.collect(), page.next_token))
        })
        .await
    }
}

const fn is_outage(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Unavailable { .. } | ProviderError::RateLimited { .. })
}

/// A product of the price list: its size, and what an hour of it costs.
fn price(product: &str) -> Option<(String, i64)> {
    let product: Product = serde_json::from_str(product).ok()?;
    let mut dimensions = product.terms.on_demand.into_values().flat_map(|term| term.dimensions.into_values());
    let hourly = dimensions.find(|dimension| dimension.unit == "Hrs")?;
    let micros = micros(hourly.per_unit.get("USD")?).filter(|micros| 0 < *micros)?;
    Some((product.product.attributes.instance_type, micros))
}

/// A product as the price list writes it: a JSON document in a text, with keys that are made of its numbers.
#[derive(Deserialize)]
struct Product {
    product: Described,
    terms: Terms,
}

#[derive(Deserialize)]
struct Described {
    attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    instance_type: String,
}

#[derive(Deserialize)]
struct Terms {
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, Term>,
}

#[derive(Deserialize)]
struct Term {
    #[serde(rename = "priceDimensions")]
    dimensions: BTreeMap<String, Dimension>,
}

#[derive(Deserialize)]
struct Dimension {
    unit: String,
    #[serde(rename = "pricePerUnit")]
    per_unit: BTreeMap<String, Value>,
}

fn offer(size: &InstanceTypeInfo, region: &str, hourly_micros: i64, available: bool) -> Option<Offer> {
    let gpus = size.gpu_info().map(|info| info.gpus()).unwrap_or_default();
    let is_arm = size.processor_info().is_some_and(|processor| {
        processor.supported_architectures().iter().any(|architecture| architecture.as_str() == "arm64")
    });
    let disk_gb = size.instance_storage_info().and_then(|storage| storage.total_size_in_gb());
    Some(Offer {
        plan: size.instance_type()?.as_str().to_owned(),
        region: region.to_owned(),
        vcpus: u32::try_from(size.v_cpu_info()?.default_v_cpus()?).ok()?,
        memory_mib: u64::try_from(size.memory_info()?.size_in_mib()?).ok()?,
        disk_gb: disk_gb.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        transfer_gb: None,
        gpus: gpus.iter().filter_map(|gpu| u32::try_from(gpu.count()?).ok()).sum(),
        gpu_model: gpus.first().and_then(|gpu| gpu.name()).map(ToOwned::to_owned),
        arch: if is_arm { Arch::Aarch64 } else { Arch::X86_64 },
        bare_metal: size.bare_metal().unwrap_or_default(),
        price: Price { currency: Currency::Usd, hourly_micros, monthly_micros: None },
        available,
    })
}

fn title(region: &str) -> &str {
    TITLES.iter().find(|(name, _)| *name == region).map_or(region, |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{MemoryInfo, VCpuInfo};
    use serde_json::json;

    use super::*;

    fn size(plan: &str) -> InstanceTypeInfo {
        InstanceTypeInfo::builder()
            .instance_type(plan.into())
            .v_cpu_info(VCpuInfo::builder().default_v_cpus(2).build())
            .memory_info(MemoryInfo::builder().size_in_mib(8192).build())
            .build()
    }

    #[test]
    fn a_size_has_the_price_of_its_region() {
        let large = offer(&size("m5.large"), "eu-west-1", 107_000, true).expect("an offer");
        assert_eq!((large.vcpus, large.memory_mib, large.price.hourly_micros), (2, 8192, 107_000));
        assert_eq!((large.region.as_str(), large.available), ("eu-west-1", true));
    }

    #[test]
    fn the_hour_on_demand_is_the_price_of_a_product() {
        let product = |unit: &str, usd: &str| {
            json!({
                "product": { "sku": "2223B6PCG6QAUYY6", "attributes": { "instanceType": "t3.micro", "vcpu": "2" } },
                "terms": {
                    "OnDemand": { "2223B6PCG6QAUYY6.JRTCKXETXF": {
                        "priceDimensions": { "2223B6PCG6QAUYY6.JRTCKXETXF.6YS6EN2CT7": {
                            "unit": unit, "pricePerUnit": { "USD": usd }, "description": "per Linux t3.micro" } },
                        "offerTermCode": "JRTCKXETXF" } },
                    "Reserved": { "2223B6PCG6QAUYY6.38NPMPTW36": { "priceDimensions": {} } },
                },
            })
            .to_string()
        };
        assert_eq!(price(&product("Hrs", "0.0114000000")), Some(("t3.micro".to_owned(), 11_400)));
        assert_eq!(price(&product("Quantity", "1.0000000000")), None);
        // What is not sold any more is listed at nothing.
        assert_eq!(price(&product("Hrs", "0.0000000000")), None);
        assert_eq!(price("{}"), None);
    }
}
