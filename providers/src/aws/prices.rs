//! What EC2 sells of the sizes we offer, and what it costs.
//!
//! EC2 lists sizes but no prices: those are in another service with a permission of its own. So a table ships
//! with us, for one region, and sizes elsewhere are left to the offline catalogue instead of being given a
//! price of another region. Disks are apart (EBS) and traffic is metered; neither is in these figures.

use aws_sdk_ec2::types::{Filter, InstanceTypeInfo, LocationType};
use capsule_api::{Arch, Currency, Price};

use super::Aws;
use crate::{Catalogue, Offer, Region, Result};

/// The region that [`HOURLY_MICROS`] is for.
const PRICED_REGION: &str = "us-east-1";

/// Linux, on demand, shared hardware, in millionths of a US dollar per hour. The well-known list
/// prices, not fetched from anywhere.
const HOURLY_MICROS: &[(&str, i64)] =
    &[("t3.micro", 10_400), ("t3.medium", 41_600), ("m5.large", 96_000), ("c5.2xlarge", 340_000)];

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

impl Aws {
    /// The regions that are enabled for the account, and our sizes where their price is known.
    pub(super) async fn sold(&self) -> Result<Catalogue> {
        let names = self.enabled_regions().await?;
        let offers = if names.iter().any(|name| name == PRICED_REGION) {
            self.offers().await?
        } else {
            // Another partition (China, GovCloud), with prices of its own.
            Vec::new()
        };
        let regions = names.into_iter().map(|name| Region { title: title(&name).to_owned(), name }).collect();
        Ok(Catalogue { offers, regions })
    }

    /// The regions an instance of the account can be in.
    pub(super) async fn enabled_regions(&self) -> Result<Vec<String>> {
        let asked = self.calls.region("").describe_regions().all_regions(false);
        let found = self.calls.call("regions", asked.send()).await?;
        Ok(found.regions().iter().filter_map(|region| region.region_name().map(ToOwned::to_owned)).collect())
    }

    async fn offers(&self) -> Result<Vec<Offer>> {
        let client = self.calls.region(PRICED_REGION);
        let sizes = HOURLY_MICROS.iter().map(|(plan, _)| (*plan).to_owned()).collect();
        let sizes = Filter::builder().name("instance-type").set_values(Some(sizes)).build();
        let offered = client.describe_instance_type_offerings().location_type(LocationType::Region);
        let offered = self.calls.call("sizes", offered.filters(sizes.clone()).send()).await?;
        let offered: Vec<&str> = offered
            .instance_type_offerings()
            .iter()
            .filter_map(|offering| offering.instance_type().map(|plan| plan.as_str()))
            .collect();
        let known = self.calls.call("sizes", client.describe_instance_types().filters(sizes).send()).await?;
        Ok(known.instance_types().iter().filter_map(|size| offer(size, &offered)).collect())
    }
}

fn offer(size: &InstanceTypeInfo, offered: &[&str]) -> Option<Offer> {
    let plan = size.instance_type()?.as_str();
    let &(_, hourly_micros) = HOURLY_MICROS.iter().find(|(priced, _)| *priced == plan)?;
    let gpus = size.gpu_info().map(|info| info.gpus()).unwrap_or_default();
    let is_arm = size.processor_info().is_some_and(|processor| {
        processor.supported_architectures().iter().any(|architecture| architecture.as_str() == "arm64")
    });
    let disk_gb = size.instance_storage_info().and_then(|storage| storage.total_size_in_gb());
    Some(Offer {
        plan: plan.to_owned(),
        region: PRICED_REGION.to_owned(),
        vcpus: u32::try_from(size.v_cpu_info()?.default_v_cpus()?).ok()?,
        memory_mib: u64::try_from(size.memory_info()?.size_in_mib()?).ok()?,
        disk_gb: disk_gb.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        transfer_gb: None,
        gpus: gpus.iter().filter_map(|gpu| u32::try_from(gpu.count()?).ok()).sum(),
        gpu_model: gpus.first().and_then(|gpu| gpu.name()).map(ToOwned::to_owned),
        arch: if is_arm { Arch::Aarch64 } else { Arch::X86_64 },
        bare_metal: size.bare_metal().unwrap_or_default(),
        price: Price { currency: Currency::Usd, hourly_micros, monthly_micros: None },
        available: offered.contains(&plan),
    })
}

fn title(region: &str) -> &str {
    TITLES.iter().find(|(name, _)| *name == region).map_or(region, |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{MemoryInfo, VCpuInfo};

    use super::*;

    fn size(plan: &str) -> InstanceTypeInfo {
        InstanceTypeInfo::builder()
            .instance_type(plan.into())
            .v_cpu_info(VCpuInfo::builder().default_v_cpus(2).build())
            .memory_info(MemoryInfo::builder().size_in_mib(8192).build())
            .build()
    }

    #[test]
    fn a_size_without_a_known_price_is_no_offer() {
        assert_eq!(offer(&size("p5.48xlarge"), &["p5.48xlarge"]), None);
        let large = offer(&size("m5.large"), &["m5.large"]).expect("priced");
        assert_eq!((large.vcpus, large.memory_mib, large.price.hourly_micros), (2, 8192, 96_000));
        assert!(large.available);
        assert!(!offer(&size("m5.large"), &[]).expect("priced").available);
    }
}
