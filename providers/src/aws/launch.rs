//! What a new instance needs, and the one call that starts its bill.
//!
//! Image, key pair and security group are looked up or made first and may be asked for again at any time. The
//! launch is sent once: no repeats by the SDK, and the mark as its client token, so that even a request that
//! went out twice makes one instance. The disk is as large as the image asks for and dies with its instance.

use aws_sdk_ec2::{
    primitives::Blob,
    types::{
        BlockDeviceMapping, EbsBlockDevice, Filter, HttpTokensState, Image, InstanceMetadataOptionsRequest,
        InstanceType,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use capsule_api::{Arch, ProviderName};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Aws,
    client::{invalid, sent_once},
    records,
};
use crate::{Created, Mark, NewInstance, Prepared, ProviderError, Result, http::Repeat};

const CANONICAL: &str = "099720109477";
const DEBIAN: &str = "136693071363";

/// What [`Aws::find_or_make`] found or made, for the launch.
#[derive(Debug, Serialize, Deserialize)]
struct Needs {
    image_id: String,
    root_disk: RootDisk,
    key_name: String,
    security_group_id: String,
}

/// The image's own root disk, which the launch repeats to say that it goes with the instance.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RootDisk {
    device_name: String,
    size_gib: Option<i32>,
}

/// Owner and name pattern of one of [`crate::IMAGES`]; what is newest under it is taken.
fn published(image: &str, arch: Arch) -> Option<(&'static str, String)> {
    let arch = match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    };
    Some(match image {
        "ubuntu-24.04" => {
            (CANONICAL, format!("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-*"))
        }
        "ubuntu-22.04" => (CANONICAL, format!("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-{arch}-server-*")),
        "debian-12" => (DEBIAN, format!("debian-12-{arch}-*")),
        "debian-13" => (DEBIAN, format!("debian-13-{arch}-*")),
        _ => return None,
    })
}

/// A key pair's name: the same key is always found under the same name.
///
/// # Errors
/// [`ProviderError::Invalid`] for text that is no public key in OpenSSH form.
fn key_name(key: &str) -> Result<String> {
    let blob = key.split_whitespace().nth(1).and_then(|text| STANDARD.decode(text).ok());
    let blob = blob.ok_or_else(|| invalid("an SSH key is not in OpenSSH form"))?;
    let digest = Sha256::digest(&blob);
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("capsule-{hex}"))
}

pub(super) fn filter(name: &str, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}

impl Aws {
    /// Image, key pair and security group for `new`.
    pub(super) async fn find_or_make(&self, new: &NewInstance) -> Result<Prepared> {
        let (image_id, root_disk) = self.image(new).await?;
        let needs = Needs {
            image_id,
            root_disk,
            key_name: self.import_key(new).await?,
            security_group_id: self.open_group(&new.region, &new.open_ports).await?,
        };
        Ok(serde_json::to_value(needs).expect("texts under fixed names"))
    }

    /// The newest image's id and its root disk.
    async fn image(&self, new: &NewInstance) -> Result<(String, RootDisk)> {
        let asked = self.calls.region(&new.region).describe_images();
        let asked = match published(&new.image, new.arch) {
            Some((owner, pattern)) => {
                asked.owners(owner).filters(filter("name", pattern)).filters(filter("state", "available"))
            }
            None if new.image.starts_with("ami-") => asked.image_ids(&new.image),
            None => return Err(no_image(&new.image, &new.region)),
        };
        let found = self.calls.call(&format!("image {}", new.image), asked.send()).await?;
        // The dates are of one shape, RFC 3339 in UTC, and sort as text.
        let newest = found.images().iter().max_by_key(|image| image.creation_date().unwrap_or_default());
        let usable = newest.and_then(|image| Some((image.image_id()?.to_owned(), root_disk(image))));
        usable.ok_or_else(|| no_image(&new.image, &new.region))
    }

    async fn import_key(&self, new: &NewInstance) -> Result<String> {
        let key = new.ssh_keys.first().ok_or_else(|| invalid("a server needs an SSH key"))?;
        let name = key_name(key)?;
        let import = self.calls.region(&new.region).import_key_pair();
        let import = import.key_name(&name).public_key_material(Blob::new(key.trim()));
        match self.calls.limited("import key pair", import.send()).await {
            Ok(_) => Ok(name),
            // The name is the key's digest, so what is there is this key.
            Err(error) if code(&error) == Some("InvalidKeyPair.Duplicate") => Ok(name),
            Err(error) => Err(self.calls.translated(Repeat::Safe, "key pair", error)),
        }
    }

    /// Asks for the instance, once.
    pub(super) async fn launch(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        let needs: Needs = serde_json::from_value(prepared.clone())
            .map_err(|error| invalid(format!("what was prepared is incomplete: {error}")))?;
        let tags = records::new_tags(&new.mark, &new.name, &new.tags)?;
        let disk = EbsBlockDevice::builder().delete_on_termination(true);
        let disk = disk.set_volume_size(needs.root_disk.size_gib).build();
        let disk = BlockDeviceMapping::builder().device_name(needs.root_disk.device_name).ebs(disk).build();
        // Without tokens, anything on the machine that forwards a request reads its role's keys.
        let metadata =
            InstanceMetadataOptionsRequest::builder().http_tokens(HttpTokensState::Required).build();
        let user_data = new.user_data.as_ref().map(|text| STANDARD.encode(text.expose_secret()));
        let request = self.calls.region(&new.region).run_instances();
        let request = request
            .image_id(needs.image_id)
            .instance_type(InstanceType::from(new.plan.as_str()))
            .min_count(1)
            .max_count(1)
            .key_name(needs.key_name)
            .security_group_ids(needs.security_group_id)
            .set_user_data(user_data)
            .client_token(new.mark.as_str())
            .set_tag_specifications(Some(tags))
            .block_device_mappings(disk)
            .metadata_options(metadata)
            .customize()
            .config_override(sent_once());
        let what = format!("image, key, group or size of {}", new.name);
        let answer = self.calls.limited("run instances", request.send()).await;
        let answer = answer.map_err(|error| self.calls.translated(Repeat::Never, &what, error))?;
        let record = answer.instances().first().filter(|record| record.instance_id().is_some());
        let record = record.ok_or_else(|| ProviderError::UnknownOutcome {
            provider: ProviderName::Aws,
            detail: "the answer names no instance".to_owned(),
        })?;
        Ok(Created { instance: records::instance(record, self.calls.place(&new.region)) })
    }

    /// Instances of a region that carry the mark and are not gone.
    pub(super) async fn marked(&self, mark: &Mark, region: &str) -> Result<Vec<capsule_api::Instance>> {
        let by_tag = filter(&format!("tag:{}", records::MARK_TAG), mark.as_str());
        self.described(region, Some(by_tag)).await
    }
}

fn root_disk(image: &Image) -> RootDisk {
    let device_name = image.root_device_name().unwrap_or("/dev/sda1");
    let mut disks = image.block_device_mappings().iter();
    let root = disks.find(|disk| disk.device_name() == Some(device_name)).and_then(|disk| disk.ebs());
    RootDisk { device_name: device_name.to_owned(), size_gib: root.and_then(|disk| disk.volume_size()) }
}

fn no_image(image: &str, region: &str) -> ProviderError {
    ProviderError::NotFound { provider: ProviderName::Aws, what: format!("image `{image}` in {region}") }
}

/// EC2's own word for a refusal.
pub(super) fn code<E: aws_sdk_ec2::error::ProvideErrorMetadata>(error: &E) -> Option<&str> {
    error.code()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IMAGES;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f capsule";

    #[test]
    fn every_image_has_an_owner_and_a_name_for_both_architectures() {
        for image in IMAGES {
            for (arch, word) in [(Arch::X86_64, "amd64"), (Arch::Aarch64, "arm64")] {
                let (owner, pattern) = published(image, arch).expect("a known image");
                assert!(pattern.contains(word) && pattern.ends_with('*'), "{pattern}");
                assert_eq!(owner == CANONICAL, image.starts_with("ubuntu"));
            }
        }
        assert!(published("windows", Arch::X86_64).is_none());
    }

    #[test]
    fn the_root_disk_is_found_among_an_images_disks() {
        let disk = |device: &str, size| {
            let disk = EbsBlockDevice::builder().volume_size(size).build();
            BlockDeviceMapping::builder().device_name(device).ebs(disk).build()
        };
        let image =
            Image::builder().root_device_name("/dev/xvda").block_device_mappings(disk("/dev/sdb", 99));
        let found = root_disk(&image.clone().block_device_mappings(disk("/dev/xvda", 8)).build());
        assert_eq!(found, RootDisk { device_name: "/dev/xvda".to_owned(), size_gib: Some(8) });
        assert_eq!(root_disk(&image.build()).size_gib, None);
    }

    #[test]
    fn a_key_has_one_name_whatever_its_comment() {
        let name = key_name(KEY).expect("a key");
        assert_eq!(key_name(&KEY.replace("capsule", "me@home")).expect("a key"), name);
        assert_eq!(name.len(), "capsule-".len() + 24);
        assert_ne!(key_name(&KEY.replace("HR4f", "HR4e")).expect("a key"), name);
        for text in ["", "ssh-ed25519", "ssh-ed25519 %%%"] {
            assert_eq!(key_name(text).expect_err("no key").code(), "invalid");
        }
    }
}
