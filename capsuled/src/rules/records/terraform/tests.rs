//! States as Terraform writes them, one of each provider, and what becomes of them.

use super::*;

const STATES: [(ProviderName, &str); 8] = [
    (ProviderName::Aws, include_str!("fixtures/aws.tfstate")),
    (ProviderName::DigitalOcean, include_str!("fixtures/digitalocean.tfstate")),
    (ProviderName::Equinix, include_str!("fixtures/equinix.tfstate")),
    (ProviderName::Hetzner, include_str!("fixtures/hetzner.tfstate")),
    (ProviderName::Hivelocity, include_str!("fixtures/hivelocity.tfstate")),
    (ProviderName::Linode, include_str!("fixtures/linode.tfstate")),
    (ProviderName::Scaleway, include_str!("fixtures/scaleway.tfstate")),
    (ProviderName::Vultr, include_str!("fixtures/vultr.tfstate")),
];

/// An account of each provider.
fn accounts() -> Vec<(AccountName, ProviderName)> {
    let name = |provider: &ProviderName| provider.as_str().parse().expect("a name");
    STATES.iter().map(|(provider, _)| (name(provider), *provider)).collect()
}

/// `name address ipv6 region instance plan status tags` of each server.
fn shown(reading: &Reading) -> Vec<String> {
    let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let line = |record: &Record| {
        let placement = record.placement.as_ref();
        let tags: Vec<String> = record.tags.iter().flatten().map(ToString::to_string).collect();
        [
            word(record.name.as_ref().map(ToString::to_string)),
            word(record.address.as_ref().map(ToString::to_string)),
            word(record.ipv6.flatten().map(|ip| ip.to_string())),
            word(record.region.clone().flatten().map(|region| region.to_string())),
            word(placement.map(|placement| placement.instance.to_string())),
            word(placement.map(|placement| placement.plan.clone())),
            word(record.status.map(|status| status.to_string())),
            tags.join(","),
        ]
        .join(" ")
    };
    reading.records.iter().map(line).collect()
}

fn faults(text: &str) -> Vec<String> {
    read(text, &[], None).expect_err("faults").iter().map(ToString::to_string).collect()
}

#[test]
fn the_servers_of_every_provider_are_found_as_its_api_knows_them() {
    let accounts = accounts();
    let mut lines = Vec::new();
    for (provider, state) in STATES {
        let reading = read(state, &accounts, None).expect("fine");
        lines.push(format!("# {provider}"));
        lines.extend(shown(&reading));
        lines.extend(reading.left.iter().map(|left| format!("left: {}: {}", left.what, left.reason)));
        for record in &reading.records {
            assert_eq!(record.placement.as_ref().map(|p| p.account.as_str()), Some(provider.as_str()));
            assert_eq!(
                record.provider.clone().flatten().map(|p| p.to_string()).as_deref(),
                Some(provider.as_str())
            );
            assert!(!format!("{record:?}").contains("canary"), "a secret was taken: {record:?}");
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_price_in_the_state_is_taken_to_the_micro_dollar() {
    let reading = read(STATES[1].1, &[], None).expect("fine");
    assert_eq!(reading.records[0].hourly_cost, Some(Some(UsdMicros(8_929))));
}

#[test]
fn the_account_is_the_only_one_or_the_one_that_was_named() {
    let account = |name: &str| (name.parse::<AccountName>().expect("a name"), ProviderName::Linode);
    let two = [account("one"), account("two")];
    let placed = |accounts: &[_], chosen: Option<&AccountName>| {
        let reading = read(STATES[5].1, accounts, chosen).expect("fine");
        let account = reading.records[0].placement.as_ref().map(|p| p.account.to_string());
        (account, reading.left.iter().map(|left| left.reason.clone()).collect::<String>())
    };
    assert_eq!(placed(&two[..1], None), (Some("one".to_owned()), String::new()));
    assert_eq!(placed(&two, Some(&two[1].0)), (Some("two".to_owned()), String::new()));
    let (account, reason) = placed(&two, None);
    assert!(account.is_none() && reason.contains("`--account`"), "{reason}");
    let (account, reason) = placed(&[], None);
    assert!(account.is_none() && reason.contains("`provider configure linode`"), "{reason}");
}

#[test]
fn another_version_or_another_file_is_refused_with_the_way_out() {
    let old = faults("{\n  \"version\": 3,\n  \"modules\": []\n}");
    assert_eq!(old.len(), 1);
    assert!(old[0].starts_with("line 2, version: ") && old[0].contains("terraform state pull"), "{old:?}");
    assert!(faults("{\"format_version\": \"1.0\"}")[0].contains("show -json"));
    assert!(faults("{}")[0].contains("no Terraform state"));
    assert!(faults("[1]")[0].starts_with("line 1: "));
    assert!(
        faults("{\n \"version\": 4,\n")[0].starts_with("line 2: it is not valid JSON")
            || faults("{\n \"version\": 4,\n")[0].starts_with("line 3: it is not valid JSON")
    );
}

#[test]
fn every_fault_is_named_with_line_and_field() {
    let broken = r#"{
  "version": 4,
  "resources": [
    {"mode": "managed", "type": "linode_instance", "name": "a", "instances": [
      {"attributes": {"id": "1", "label": "a",
        "ip_address": "not-an-ip"}},
      {"index_key": "k"},
      {"attributes": {"label": "b", "ip_address": "192.0.2.1"}}
    ]},
    {"mode": "managed", "type": "hcloud_server", "name": "c"},
    {"mode": "managed", "name": "d", "instances": []},
    {"mode": "odd", "type": "hcloud_server", "name": "e", "instances": []},
    7
  ]
}"#;
    let found = faults(broken);
    let starts = [
        "line 6, linode_instance.a.ip_address: ",
        "line 7, linode_instance.a[\"k\"].attributes: it is missing",
        "line 8, linode_instance.a.id: it is missing",
        "line 10, hcloud_server.c.instances: it is missing",
        "line 11, type: it is missing",
        "line 12, mode: ",
        "line 13, resources[4]: ",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (fault, start) in found.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault} should start with {start}");
    }
}
