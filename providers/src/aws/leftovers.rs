//! What outlives an instance: disks that are kept on termination, and elastic addresses.
//!
//! To be asked before the deletion, because EC2 forgets afterwards which disk belonged to what.

use aws_sdk_ec2::types::{Address, Volume};
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
        let attached = filter("attachment.instance-id", &reference.id);
        let volumes = self.calls.call("volumes", client.describe_volumes().filters(attached).send()).await?;
        let associated = filter("instance-id", &reference.id);
        let addresses = client.describe_addresses().filters(associated);
        let addresses = self.calls.call("addresses", addresses.send()).await?;
        let volumes = volumes.volumes().iter().filter_map(|volume| kept_volume(volume, reference, place));
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

fn kept_volume(volume: &Volume, reference: &InstanceRef, place: &str) -> Option<Leftover> {
    let mut attachments = volume.attachments().iter();
    let attachment = attachments.find(|attachment| attachment.instance_id() == Some(&reference.id))?;
    if attachment.delete_on_termination() == Some(true) {
        return None;
    }
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
    use aws_sdk_ec2::types::VolumeAttachment;

    use super::*;

    #[test]
    fn only_a_disk_that_stays_is_a_leftover() {
        let reference = InstanceRef { id: "i-0abc".to_owned(), place: "us-east-1".to_owned() };
        let volume = |instance: &str, goes: bool| {
            let attachment = VolumeAttachment::builder().instance_id(instance).delete_on_termination(goes);
            let volume = Volume::builder().volume_id("vol-1").size(8).volume_type("gp3".into());
            volume.attachments(attachment.build()).build()
        };
        let kept = kept_volume(&volume("i-0abc", false), &reference, "us-east-1").expect("stays");
        assert_eq!((kept.kind.as_str(), kept.label.as_str()), ("volume", "8 GiB gp3"));
        assert_eq!(kept_volume(&volume("i-0abc", true), &reference, "us-east-1"), None);
        assert_eq!(kept_volume(&volume("i-0def", false), &reference, "us-east-1"), None);
    }
}
