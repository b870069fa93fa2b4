//! EC2's records in our words: states, addresses, times and tags.
//!
//! EC2 tags are pairs, ours are words. `Name` holds the name; `capsule:deployment` the mark; `capsule:tags`
//! all words with blanks between, so that one call replaces them. An instance without that last tag was made
//! by others: its pairs are shown as `key=value`. Tags of Amazon's own (`aws:…`) are left out.

use aws_sdk_ec2::{
    primitives::DateTime,
    types::{self, ResourceType, TagSpecification},
};
use capsule_api::{Instance, InstanceState, ProviderName};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::client::invalid;
use crate::{Mark, Result};

/// The tag that holds the mark.
pub(super) const MARK_TAG: &str = "capsule:deployment";
const WORDS_TAG: &str = "capsule:tags";
const NAME_TAG: &str = "Name";
/// EC2's limit on the value of a tag, in characters.
const LONGEST_VALUE: usize = 256;

/// An instance's state in our words.
///
/// `terminated` is [`InstanceState::Deleted`] even where the launch failed: the machine is gone and costs
/// nothing, and whoever waits for a deletion must see its end. Why it ended is in the record's `state_reason`.
pub(super) fn state(name: &str) -> InstanceState {
    match name {
        "pending" => InstanceState::Provisioning,
        "running" => InstanceState::Running,
        "stopping" | "stopped" => InstanceState::Stopped,
        "shutting-down" | "terminated" => InstanceState::Deleted,
        _ => InstanceState::Unknown,
    }
}

/// An instance as EC2 describes it, found in the region `place`.
pub(super) fn instance(record: &types::Instance, place: &str) -> Instance {
    let id = record.instance_id().unwrap_or_default();
    let state_name = record.state().and_then(|state| state.name()).map_or("", |name| name.as_str());
    Instance {
        id: id.to_owned(),
        name: tag(record, NAME_TAG).unwrap_or(id).to_owned(),
        provider: ProviderName::Aws,
        status: state(state_name),
        ip_address: record.public_ip_address().or(record.ipv6_address()).and_then(|ip| ip.parse().ok()),
        region: place.to_owned(),
        created_at: made_at(record),
        metadata: raw(record, state_name),
        plan: record.instance_type().map(|plan| plan.as_str().to_owned()).unwrap_or_default(),
        tags: words(record),
        place: place.to_owned(),
    }
}

/// The launch time moves with every start; the first network interface stays as long as the instance does.
fn made_at(record: &types::Instance) -> Option<Timestamp> {
    let attached = record.network_interfaces().iter().filter_map(|interface| interface.attachment());
    let first =
        attached.filter(|attachment| attachment.device_index() == Some(0)).find_map(|a| a.attach_time());
    first.or(record.launch_time()).and_then(timestamp)
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}

fn tag<'a>(record: &'a types::Instance, key: &str) -> Option<&'a str> {
    record.tags().iter().find(|tag| tag.key() == Some(key))?.value().filter(|value| !value.is_empty())
}

fn words(record: &types::Instance) -> Vec<String> {
    let mark = tag(record, MARK_TAG).map(ToOwned::to_owned);
    let ours = record.tags().iter().find(|tag| tag.key() == Some(WORDS_TAG));
    let words: Vec<String> = match ours {
        Some(tag) => tag.value().unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect(),
        None => record.tags().iter().filter_map(foreign).collect(),
    };
    mark.into_iter().chain(words).collect()
}

fn foreign(tag: &types::Tag) -> Option<String> {
    let key = tag.key()?;
    if key.starts_with("aws:") || [NAME_TAG, MARK_TAG].contains(&key) {
        return None;
    }
    let value = tag.value().unwrap_or_default();
    Some(if value.is_empty() { key.to_owned() } else { format!("{key}={value}") })
}

/// The tag that holds our words. Marks among them are left out: they have a tag of their own.
///
/// # Errors
/// [`crate::ProviderError::Invalid`] for a word with a blank in it, or more text than a tag can hold.
pub(super) fn words_tag(words: &[String]) -> Result<types::Tag> {
    if words.iter().any(|word| word.is_empty() || word.contains(char::is_whitespace)) {
        return Err(invalid("a tag is empty or has a blank in it"));
    }
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| word.parse::<Mark>().is_err()).collect();
    let value = words.join(" ");
    if LONGEST_VALUE < value.chars().count() {
        return Err(invalid(format!("its tags take more than {LONGEST_VALUE} characters together")));
    }
    Ok(pair(WORDS_TAG, value))
}

/// The tags of a new instance and of the disks made with it.
///
/// # Errors
/// As [`words_tag`].
pub(super) fn new_tags(mark: &Mark, name: &str, words: &[String]) -> Result<Vec<TagSpecification>> {
    let tags = [pair(MARK_TAG, mark.as_str()), pair(NAME_TAG, name), words_tag(words)?];
    let on = |resource: ResourceType| {
        TagSpecification::builder().resource_type(resource).set_tags(Some(tags.to_vec())).build()
    };
    Ok(vec![on(ResourceType::Instance), on(ResourceType::Volume)])
}

fn pair(key: &str, value: impl Into<String>) -> types::Tag {
    types::Tag::builder().key(key).value(value).build()
}

/// What matters of EC2's record. It has no secrets: user data and passwords are asked for by other calls.
fn raw(record: &types::Instance, state: &str) -> Value {
    let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
    let reason =
        record.state_reason().map(|reason| json!({"code": reason.code(), "message": reason.message()}));
    let disks = record.block_device_mappings().iter().map(|mapping| {
        let disk = mapping.ebs();
        json!({
            "device_name": mapping.device_name(),
            "volume_id": disk.and_then(|disk| disk.volume_id()),
            "delete_on_termination": disk.and_then(|disk| disk.delete_on_termination()),
        })
    });
    let groups = record.security_groups().iter();
    let tags = record.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), text(tag.value()))));
    json!({
        "instance_id": record.instance_id(),
        "instance_type": record.instance_type().map(|plan| plan.as_str()),
        "image_id": record.image_id(),
        "architecture": record.architecture().map(|architecture| architecture.as_str()),
        "state": state,
        "state_reason": reason,
        "state_transition_reason": record.state_transition_reason(),
        "launch_time": record.launch_time().and_then(timestamp),
        "availability_zone": record.placement().and_then(|placement| placement.availability_zone()),
        "lifecycle": record.instance_lifecycle().map(|lifecycle| lifecycle.as_str()),
        "vpc_id": record.vpc_id(),
        "subnet_id": record.subnet_id(),
        "private_ip_address": record.private_ip_address(),
        "public_ip_address": record.public_ip_address(),
        "ipv6_address": record.ipv6_address(),
        "public_dns_name": record.public_dns_name(),
        "key_name": record.key_name(),
        "root_device_name": record.root_device_name(),
        "security_groups": groups.map(|group| json!({"id": group.group_id(), "name": group.group_name()})).collect::<Vec<_>>(),
        "block_devices": disks.collect::<Vec<_>>(),
        "tags": tags.collect::<serde_json::Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{InstanceNetworkInterface, InstanceNetworkInterfaceAttachment};

    use super::*;

    fn tagged(tags: &[(&str, &str)]) -> types::Instance {
        let tags = tags.iter().map(|(key, value)| pair(key, *value)).collect();
        types::Instance::builder().instance_id("i-0abc").set_tags(Some(tags)).build()
    }

    #[test]
    fn every_state_has_a_word_and_a_new_one_is_unknown() {
        for (name, ours) in [
            ("pending", InstanceState::Provisioning),
            ("running", InstanceState::Running),
            ("stopping", InstanceState::Stopped),
            ("stopped", InstanceState::Stopped),
            ("shutting-down", InstanceState::Deleted),
            ("terminated", InstanceState::Deleted),
            ("hibernating", InstanceState::Unknown),
            ("", InstanceState::Unknown),
        ] {
            assert_eq!(state(name), ours, "{name}");
        }
    }

    #[test]
    fn our_own_tags_come_back_as_they_went() {
        let mark = Mark::of(uuid::Uuid::now_v7());
        let words = ["web".to_owned(), "env:prod".to_owned(), mark.to_string()];
        let tags = new_tags(&mark, "api", &words).expect("valid")[0].tags().to_vec();
        let record = types::Instance::builder().instance_id("i-0abc").set_tags(Some(tags)).build();
        let instance = instance(&record, "eu-west-1");
        assert_eq!(instance.tags, [mark.as_str(), "web", "env:prod"]);
        assert_eq!((instance.name.as_str(), instance.region.as_str()), ("api", "eu-west-1"));
        assert_eq!(instance.status, InstanceState::Unknown);
    }

    #[test]
    fn tags_of_others_are_shown_as_pairs_until_we_set_ours() {
        let others = tagged(&[("Env", "prod"), ("aws:cloudformation:stack-name", "s"), ("keep", "")]);
        let seen = instance(&others, "us-east-1");
        assert_eq!(seen.tags, ["Env=prod", "keep"]);
        assert_eq!(seen.name, "i-0abc");
        let adopted = tagged(&[("Env", "prod"), (WORDS_TAG, "")]);
        assert!(instance(&adopted, "us-east-1").tags.is_empty());
    }

    #[test]
    fn tags_that_do_not_fit_are_refused() {
        let many: Vec<String> = (0..100).map(|number| format!("tag{number}")).collect();
        for words in [vec!["two words".to_owned()], vec![String::new()], many] {
            assert_eq!(words_tag(&words).expect_err("does not fit").code(), "invalid");
        }
    }

    #[test]
    fn a_restart_does_not_make_an_instance_younger() {
        let attachment = InstanceNetworkInterfaceAttachment::builder()
            .device_index(0)
            .attach_time(DateTime::from_secs(1_000))
            .build();
        let interface = InstanceNetworkInterface::builder().attachment(attachment).build();
        let started = types::Instance::builder().launch_time(DateTime::from_secs(9_000));
        let made = |record: &types::Instance| instance(record, "").created_at.map(Timestamp::as_second);
        assert_eq!(made(&started.clone().build()), Some(9_000));
        assert_eq!(made(&started.network_interfaces(interface).build()), Some(1_000));
    }

    #[test]
    fn an_address_is_the_public_one_and_ipv4_before_ipv6() {
        let private = types::Instance::builder().private_ip_address("10.0.0.1");
        assert_eq!(instance(&private.clone().build(), "").ip_address, None);
        let six = private.ipv6_address("2001:db8::1");
        assert_eq!(instance(&six.clone().build(), "").ip_address, "2001:db8::1".parse().ok());
        let both = six.public_ip_address("203.0.113.7").build();
        assert_eq!(instance(&both, "").ip_address, "203.0.113.7".parse().ok());
    }
}
