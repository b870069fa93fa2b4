//! A machine's whole life against moto, which keeps the state of an EC2 of its own.
//!
//! Where moto cannot be started, the suite says so; see the file it is started by. Moto's differences that
//! matter here: it changes states at once, checks no signatures, and stores a client token without honouring
//! it.

#![cfg(feature = "aws")]

#[path = "../../tests/src/cloud/moto.rs"]
mod moto;

use std::{sync::Arc, time::Duration};

use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use capsule_api::{Arch, InstanceRef, InstanceState, ProviderName};
use capsule_providers::{CallSettings, Credential, Mark, NewInstance, Provider, connect};
use moto::Moto;
use secrecy::SecretString;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f capsule";
const NEWEST_UBUNTU: &str = "ami-0ca5000000002404b";

/// The vendor's own client, for what ours never makes.
fn sdk(moto: &Moto) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIATEST", "x", None, None, "test"))
        .endpoint_url(moto.endpoint());
    aws_sdk_ec2::Client::from_conf(config.build())
}

fn client(moto: &Moto, region: &str) -> Arc<dyn Provider> {
    let fields = [("access_key_id", "AKIATEST"), ("secret_access_key", "x"), ("region", region)];
    let fields = fields.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
    let endpoint = moto.endpoint().parse().ok();
    let backoff = Duration::from_millis(10);
    let settings = CallSettings { endpoint, backoff, ..CallSettings::default() };
    connect(ProviderName::Aws, &Credential { fields: fields.into() }, settings).expect("a client")
}

fn new_instance(name: &str, image: &str) -> NewInstance {
    NewInstance {
        mark: Mark::of(uuid::Uuid::now_v7()),
        name: name.to_owned(),
        plan: "t3.micro".to_owned(),
        region: "us-east-1".to_owned(),
        image: image.to_owned(),
        arch: Arch::X86_64,
        bare_metal: false,
        ssh_keys: vec![KEY.to_owned()],
        user_data: Some(SecretString::from("#cloud-config\n")),
        open_ports: vec![22, 80],
        tags: vec!["web".to_owned(), "env:prod".to_owned()],
    }
}

async fn state(provider: &dyn Provider, reference: &InstanceRef) -> Option<InstanceState> {
    provider.instance(reference).await.expect("an answer").map(|instance| instance.status)
}

/// A second disk and an address of its own: shown while the machine lives, deleted after it.
async fn outlived(provider: &dyn Provider, sdk: &aws_sdk_ec2::Client, reference: &InstanceRef) {
    let zone = provider.instance(reference).await.expect("an answer").expect("it lives").metadata;
    let zone = zone["availability_zone"].as_str().expect("a zone");
    let disk = sdk.create_volume().availability_zone(zone).size(20).send().await.expect("a disk");
    let disk = disk.volume_id().expect("an id");
    let attach = sdk.attach_volume().volume_id(disk).instance_id(&reference.id).device("/dev/sdf");
    attach.send().await.expect("attached");
    let address = sdk.allocate_address().send().await.expect("an address");
    let address = address.allocation_id().expect("an id");
    let associate = sdk.associate_address().allocation_id(address).instance_id(&reference.id);
    let association = associate.send().await.expect("associated");

    let leftovers = provider.leftovers(reference).await.expect("looked");
    let seen: Vec<_> =
        leftovers.iter().map(|leftover| (leftover.kind.as_str(), leftover.id.as_str())).collect();
    assert_eq!(seen, [("volume", disk), ("address", address)]);
    assert!(leftovers[0].label.starts_with("20 GiB"), "{}", leftovers[0].label);
    let error = provider.delete_leftover(&leftovers[0]).await.expect_err("it is in use");
    assert_eq!(error.code(), "conflict", "{error}");

    // EC2 needs the disk's id alone; moto all three.
    let detach = sdk.detach_volume().volume_id(disk).instance_id(&reference.id).device("/dev/sdf");
    detach.send().await.expect("detached");
    let association = association.association_id().expect("an id");
    sdk.disassociate_address().association_id(association).send().await.expect("disassociated");
    for leftover in &leftovers {
        provider.delete_leftover(leftover).await.expect("deleted");
        provider.delete_leftover(leftover).await.expect("deleted again");
    }
    assert_eq!(provider.leftovers(reference).await.expect("looked"), [], "its first disk goes with it");
}

/// One test, because each start of moto costs seconds; what it asserts is in the functions it calls.
#[tokio::test]
async fn a_machine_lives_and_dies() {
    let Some(moto) = Moto::start() else { return };
    let provider = client(&moto, "us-east-1");
    let identity = provider.check_credential().await.expect("moto takes every key");
    assert!(identity.account.starts_with("arn:aws:"), "{}", identity.account);

    catalogue(&*provider).await;
    refusals(&*provider).await;
    let new = new_instance("api", "ubuntu-24.04");
    let reference = created(&*provider, &new).await;
    found_everywhere(&moto, &reference, &new).await;
    switched(&*provider, &reference).await;
    retagged(&*provider, &reference, &new.mark).await;
    outlived(&*provider, &sdk(&moto), &reference).await;
    deleted(&*provider, &reference, &new.mark).await;
}

async fn catalogue(provider: &dyn Provider) {
    let catalogue = provider.catalogue().await.expect("lists");
    let offers = catalogue.offers.iter();
    let mut sizes: Vec<_> =
        offers.map(|offer| (offer.plan.as_str(), offer.vcpus, offer.memory_mib)).collect();
    sizes.sort_unstable();
    let expected =
        [("c5.2xlarge", 8, 16_384), ("m5.large", 2, 8_192), ("t3.medium", 2, 4_096), ("t3.micro", 2, 1_024)];
    assert_eq!(sizes, expected);
    assert!(catalogue.offers.iter().all(|offer| offer.available && offer.arch == Arch::X86_64));
    assert!(catalogue.regions.iter().any(|region| region.name == "eu-west-1" && region.title == "Ireland"));
}

async fn refusals(provider: &dyn Provider) {
    let missing = InstanceRef { id: "i-0123456789abcdef0".to_owned(), place: "us-east-1".to_owned() };
    assert_eq!(provider.instance(&missing).await.expect("an answer"), None);
    provider.delete(&missing).await.expect("what is gone is deleted");
    for image in ["windows", "ami-00000000000000000"] {
        let error = provider.prepare(&new_instance("no", image)).await.expect_err("no such image");
        assert_eq!(error.code(), "not_found", "{image}: {error}");
    }
    let new = NewInstance { plan: "t9.nano".to_owned(), ..new_instance("no", "debian-12") };
    let prepared = provider.prepare(&new).await.expect("the image is there");
    let error = provider.create(&new, &prepared).await.expect_err("no such size");
    assert_eq!(error.code(), "not_found", "{error}");
}

async fn created(provider: &dyn Provider, new: &NewInstance) -> InstanceRef {
    let prepared = provider.prepare(new).await.expect("prepared");
    assert_eq!(prepared["image_id"], NEWEST_UBUNTU, "the newest of the right architecture");
    assert_eq!(provider.prepare(new).await.expect("prepared again"), prepared, "nothing is made twice");
    let others = NewInstance { open_ports: vec![443], ..new.clone() };
    let others = provider.prepare(&others).await.expect("prepared");
    assert_ne!(others["security_group_id"], prepared["security_group_id"]);

    let made = provider.create(new, &prepared).await.expect("created").instance;
    assert_eq!((made.name.as_str(), made.plan.as_str()), ("api", "t3.micro"));
    assert_eq!((made.region.as_str(), made.place.as_str()), ("us-east-1", "us-east-1"));
    assert_eq!(made.metadata["security_groups"][0]["name"], "capsule-22-80");
    assert_eq!(made.tags, [new.mark.as_str(), "web", "env:prod"]);
    provider.finish(&made.reference(), new, &prepared).await.expect("it shows");
    made.reference()
}

async fn found_everywhere(moto: &Moto, reference: &InstanceRef, new: &NewInstance) {
    // An account whose default region is another one must find it too.
    for home in ["us-east-1", "eu-west-1"] {
        let provider = client(moto, home);
        let marked = provider.find_marked(&new.mark, "us-east-1").await.expect("looked");
        assert_eq!(
            marked.iter().map(|instance| instance.reference()).collect::<Vec<_>>(),
            std::slice::from_ref(reference)
        );
        assert!(provider.find_marked(&new.mark, "eu-west-1").await.expect("looked").is_empty());
        let all = provider.instances().await.expect("listed");
        let ours: Vec<_> = all.iter().filter(|instance| instance.reference() == *reference).collect();
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0].status, InstanceState::Running);
        assert!(ours[0].ip_address.is_some() && ours[0].created_at.is_some());
    }
}

async fn switched(provider: &dyn Provider, reference: &InstanceRef) {
    for force in [false, true] {
        provider.stop(reference, force).await.expect("stopped");
        assert_eq!(state(provider, reference).await, Some(InstanceState::Stopped));
    }
    for _ in 0..2 {
        provider.start(reference).await.expect("started");
        assert_eq!(state(provider, reference).await, Some(InstanceState::Running));
    }
    provider.restart(reference, false).await.expect("restarted");
    assert_eq!(state(provider, reference).await, Some(InstanceState::Running));
}

async fn retagged(provider: &dyn Provider, reference: &InstanceRef, mark: &Mark) {
    provider.set_tags(reference, &["db".to_owned()]).await.expect("tagged");
    let seen = provider.instance(reference).await.expect("an answer").expect("it lives");
    assert_eq!((seen.name.as_str(), seen.tags.as_slice()), ("api", &[mark.to_string(), "db".to_owned()][..]));
}

async fn deleted(provider: &dyn Provider, reference: &InstanceRef, mark: &Mark) {
    provider.delete(reference).await.expect("deleted");
    provider.delete(reference).await.expect("deleted again");
    assert!(matches!(state(provider, reference).await, None | Some(InstanceState::Deleted)));
    assert!(provider.find_marked(mark, "us-east-1").await.expect("looked").is_empty());
    assert!(provider.instances().await.expect("listed").iter().all(|instance| instance.id != reference.id));
}
