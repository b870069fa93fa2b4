//! What outlives an instance: disks that are kept on termination, and elastic addresses.
//!
//! To be asked before the deletion, because EC2 forgets afterwards which disk belonged to what.

use aws_sdk_ec2::types::{Address, Filter, Instance, Volume};
use capsule_api::{Currency, InstanceRef, Leftover, Price, ProviderName};

use super::{Aws, launch::filter};
use crate::{ProviderError, Result};

const VOLUME: &str = "volume";
const ADDRESS: &str = "address";
/// A public IPv4 address, the same in every region since 2024-02.
const ADDRESS_PRICE: Price = Price { currency: Currency::Usd, hourly_micros: 5_000, monthly_micros: None };

impl Aws {
    /// Disks and addresses that a deletion would leave behind.
    pub(super) async fn kept(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        let place = self.calls.place(&reference.place);
        let client = self.calls.region(place);
        let kept = match self.record(reference).await? {
            Some(record) => kept_disks(&record),
            None => Vec::new(),
        };
        let volumes = if kept.is_empty() {
            Vec::new()
        } else {
            // By filter: asking by id fails as a whole when one of them is gone.
            let among = Filter::builder().name("volume-id").set_values(Some(kept)).build();
            let found = self.calls.call("volumes", client.describe_volumes().filters(among).send()).await?;
            found.volumes.unwrap_or_default()
        };
        let associated = filter("instance-id", &reference.id);
        let addresses = client.describe_addresses().filters(associated);
        let addresses = self.calls.call("addresses", addresses.send()).await?;
        let volumes = volumes.iter().filter_map(|volume| kept_volume(volume, place));
        let addresses = addresses.addresses().iter().filter_map(|address| kept_address(address, place));
        Ok(volumes.chain(addresses).collect())
    }

    /// Deletes a disk or gives an address back.
    pub(super) async fn delete_kept(&self, leftover: &Leftover) -> Result<()> {
        let client = self.calls.region(&leftover.place);
        let what = format!("{} {}", leftover.kind, leftover.id);
        let outcome = match leftover.kind.as_str() {
            VOLUME => {
                let call = client.delete_volume().volume_id(&leftover.id);
                self.calls.call(&what, call.send()).await.map(drop)
            }
            ADDRESS => {
                let call = client.release_address().allocation_id(&leftover.id);
                self.calls.call(&what, call.send()).await.map(drop)
            }
            _ => Err(ProviderError::NotFound { provider: ProviderName::Aws, what: what.clone() }),
        };
        let known = [VOLUME, ADDRESS].contains(&leftover.kind.as_str());
        match outcome {
            Err(ProviderError::NotFound { .. }) if known => Ok(()),
            outcome => outcome,
        }
    }
}

/// The disks that EC2 does not say it deletes.
fn kept_disks(record: &Instance) -> Vec<String> {
    let disks = record.block_device_mappings().iter().filter_map(|mapping| mapping.ebs());
    let kept = disks.filter(|disk| disk.delete_on_termination() != Some(true));
    kept.filter_map(|disk| disk.volume_id().map(ToOwned::to_owned)).collect()
}

fn kept_volume(volume: &Volume, place: &str) -> Option<Leftover> {
    let kind = volume.volume_type().map_or("", |kind| kind.as_str());
    Some(Leftover {
        kind: VOLUME.to_owned(),
        id: volume.volume_id()?.to_owned(),
        place: place.to_owned(),
        label: format!("{} GiB {kind}", volume.size().unwrap_or_default()).trim_end().to_owned(),
        // Disk prices differ by region and kind, and EC2 does not tell them.
        price: None,
    })
}

fn kept_address(address: &Address, place: &str) -> Option<Leftover> {
    Some(Leftover {
        kind: ADDRESS.to_owned(),
        id: address.allocation_id()?.to_owned(),
        place: place.to_owned(),
        label: address.public_ip().unwrap_or_default().to_owned(),
        price: Some(ADDRESS_PRICE),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{EbsInstanceBlockDevice, InstanceBlockDeviceMapping};

    use super::*;

    #[test]
    fn a_disk_is_a_leftover_unless_it_goes_with_its_instance() {
        let disk = |id: &str, goes: Option<bool>| {
            let disk =
                EbsInstanceBlockDevice::builder().volume_id(id).set_delete_on_termination(goes).build();
            InstanceBlockDeviceMapping::builder().ebs(disk).build()
        };
        let record = Instance::builder()
            .block_device_mappings(disk("vol-root", Some(true)))
            .block_device_mappings(disk("vol-data", Some(false)))
            .block_device_mappings(disk("vol-unclear", None))
            .build();
        assert_eq!(kept_disks(&record), ["vol-data", "vol-unclear"]);
        let volume = Volume::builder().volume_id("vol-data").size(8).volume_type("gp3".into()).build();
        assert_eq!(kept_volume(&volume, "us-east-1").expect("named").label, "8 GiB gp3");
    }
}
