//! Configurations as people have them, and what becomes of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rules::records::ssh_config;

fn beside_of<'a>(
    includes: &'a BTreeMap<String, Vec<IncludedFile>>,
    keys: &'a BTreeMap<String, String>,
    known: &'a BTreeSet<String>,
) -> Beside<'a> {
    Beside { includes, keys, known }
}

fn reading(text: &str) -> Result<Reading, Vec<String>> {
    let (includes, keys) = (BTreeMap::new(), BTreeMap::new());
    let known = BTreeSet::from(["known".to_owned()]);
    read(text, beside_of(&includes, &keys, &known))
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// `name address user port jump` of each server.
fn shown(reading: &Reading) -> Vec<String> {
    let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let line = |record: &Record| {
        [
            word(record.name.as_ref().map(ToString::to_string)),
            word(record.address.as_ref().map(ToString::to_string)),
            word(record.ssh_user.clone().flatten()),
            word(record.ssh_port.map(|port| port.to_string())),
            word(record.ssh_jump.clone().flatten()),
        ]
        .join(" ")
    };
    reading.records.iter().map(line).collect()
}

fn left(reading: &Reading) -> Vec<String> {
    reading.left.iter().map(|left| left.what.clone()).collect()
}

#[test]
fn the_first_value_wins_and_patterns_give_defaults() {
    let text = "\
# ours
Host web-* !web-3
    User deploy
Host web-1
    HostName 192.0.2.1
    User never
    port=2222
HOST web-3
    hostname = web-3.example.org
Host plain.example.org
Host *
    User ops
    ServerAliveInterval 30
";
    let found = reading(text).expect("fine");
    assert_eq!(
        shown(&found),
        [
            "web-1 192.0.2.1 deploy 2222 -",
            "web-3 web-3.example.org ops - -",
            "plain.example.org plain.example.org ops - -"
        ]
    );
    assert_eq!(found.records[0].spot, Spot::Line(4));
}

#[test]
fn jump_hosts_are_servers_of_the_file_known_ones_or_destinations() {
    let text = "\
Host bastion edge
    HostName 192.0.2.9
    User jump
Host a
    ProxyJump edge
Host b
    ProxyJump known
Host c
    ProxyJump ops@[2001:db8::1]:2222
Host d
    ProxyJump first,bastion
Host e
    ProxyJump stranger
Host f
    ProxyJump none
Host g
    ProxyJump gw.internal
Host gw.*
    User gate
    Port 2200
";
    let found = reading(text).expect("fine");
    let jumps: Vec<_> = found.records.iter().map(|record| record.ssh_jump.clone()).collect();
    let to = |text: &str| Some(Some(text.to_owned()));
    assert_eq!(
        jumps,
        [
            None,
            to("bastion"),
            to("known"),
            to("ops@[2001:db8::1]:2222"),
            to("bastion"),
            None,
            Some(None),
            to("gate@gw.internal:2200")
        ]
    );
    assert_eq!(left(&found), ["name edge", "ProxyJump of d", "jump host stranger"]);
}

#[test]
fn what_is_no_server_or_holds_only_sometimes_is_left_and_said() {
    let text = "\
Include conf.d/*
Match host x exec \"true\"
    User nobody
    Include never
Host github.com
    User git
Host ok
    ProxyCommand nc %h %p
Host b@d
Host token
    HostName %n.example.org
Host suffix
    HostName %h.example.org
";
    let found = reading(text).expect("fine");
    assert_eq!(shown(&found), ["ok ok - - -", "suffix suffix.example.org - - -"]);
    assert_eq!(
        left(&found),
        [
            "Include conf.d/*",
            "Match host x exec true",
            "host github.com",
            "ProxyCommand of ok",
            "host b@d",
            "host token"
        ]
    );
}

#[test]
fn included_files_stand_in_their_place_and_in_their_block() {
    let file = |name: &str, text: &str| IncludedFile { name: name.to_owned(), text: text.to_owned() };
    let includes = BTreeMap::from([
        ("first".to_owned(), vec![file("/h/first", "User early\nHost inner\n  Port 23\n")]),
        ("users".to_owned(), vec![file("/h/users", "User grouped\n")]),
        ("self".to_owned(), vec![file("/h/self", "Include self\n")]),
        ("bad".to_owned(), vec![file("/h/bad", "\nPort\n")]),
    ]);
    let (keys, known) = (BTreeMap::new(), BTreeSet::new());
    let beside = beside_of(&includes, &keys, &known);
    let found = read("Host g-*\n Include users\nHost g-1\nHost z\n", beside).expect("fine");
    assert_eq!(shown(&found), ["g-1 g-1 grouped - -", "z z - - -"]);
    let found = read("Include first\nHost outer\n User late\n", beside).expect("fine");
    assert_eq!(shown(&found), ["inner inner early 23 -", "outer outer early - -"]);
    let circle = read("Include self\nHost a\n", beside).expect_err("a circle");
    assert!(circle[0].to_string().contains("16 levels"), "{circle:?}");
    let bad = read("Include bad\nHost a\n", beside).expect_err("a fault");
    assert_eq!(bad[0].to_string(), "/h/bad line 2, Port: its value is missing");
}

#[test]
fn every_fault_is_named_with_line_and_option() {
    let text =
        "Host a\n  Port nine\nHost\nHost b\n  HostName \"192.0.2.1\nHost c\n  HostName not/a/host\n= x\n";
    let faults = reading(text).expect_err("faults");
    let starts = [
        "line 2, Port: ",
        "line 3, Host: ",
        "line 5, HostName: a quotation",
        "line 7, HostName: ",
        "line 8: ",
    ];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault} should start with {start}");
    }
    assert_eq!(reading("Host *\n User x\n").expect_err("none").len(), 1);
    assert!(reading("name,address\nweb,192.0.2.1\n").is_err(), "CSV is no configuration");
}

#[test]
fn keys_are_named_and_taken_only_when_they_are_given() {
    let text =
        "Host a b\n IdentityFile ~/.ssh/one\nHost c\n IdentityFile none\nHost *\n IdentityFile ~/.ssh/two\n";
    let found = reading(text).expect("fine");
    assert_eq!(found.identity_files, ["~/.ssh/one"]);
    assert_eq!(left(&found), ["key ~/.ssh/one of 2 servers"]);
    let keys = BTreeMap::from([("~/.ssh/one".to_owned(), "PEM".to_owned())]);
    let (includes, known) = (BTreeMap::new(), BTreeSet::new());
    let found = read(text, beside_of(&includes, &keys, &known)).expect("fine");
    assert!(matches!(&found.records[1].ssh_key, Some(SshKeyCreate::Pem(pem)) if pem == "PEM"));
    assert_eq!((found.records[2].ssh_key.clone(), found.left.len()), (None, 0));
}

proptest! {
    /// Names, users, ports and jump hosts as an inventory may hold them come back from our own export as they were.
    /// (A destination that is also a name of the file means that host to OpenSSH, so none is one here.)
    #[test]
    fn our_own_export_is_read_back_as_it_was(
        hosts in prop::collection::btree_map(
            "[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}",
            (
                prop_oneof!["192\\.0\\.2\\.[1-9]", "[a-z][a-z0-9]{0,8}\\.example\\.org", Just("2001:db8::1".to_owned())],
                1..=u16::MAX,
                prop::option::of("[a-z_][a-z0-9_.-]{0,12}"),
                prop::option::of(prop_oneof!["[a-z]{1,8}@192\\.0\\.2\\.9", "[a-z]{1,8}@gw\\.internal:2[0-9]{3}", "[a-z]{1,8}@\\[2001:db8::9\\]:22"]),
            ),
            1..20,
        )
    ) {
        let hosts: Vec<_> = hosts.into_iter().filter(|(_, host)| host.2.as_deref() != Some("git")).collect();
        prop_assume!(!hosts.is_empty());
        let fleet: Vec<capsule_api::XNode> = hosts
            .iter()
            .map(|(name, (address, port, user, jump))| {
                let mut xnode = ssh_config::tests::xnode(name);
                xnode.address = address.parse().expect("an address");
                xnode.ssh = serde_json::from_value(json!({
                    "port": port, "user": user, "jump": jump, "key": null, "host_key_fingerprint": null,
                })).expect("an access");
                xnode
            })
            .collect();
        let found = reading(&ssh_config::write(&fleet, |_| None)).expect("our own export is fine");
        prop_assert_eq!(found.records.len(), fleet.len());
        for (record, xnode) in found.records.iter().zip(&fleet) {
            prop_assert_eq!(record.name.as_ref(), Some(&xnode.name));
            prop_assert_eq!(record.address.as_ref(), Some(&xnode.address));
            prop_assert_eq!(record.ssh_port, Some(xnode.ssh.port));
            prop_assert_eq!(record.ssh_user.clone().flatten(), xnode.ssh.user.clone());
            prop_assert_eq!(record.ssh_jump.clone().flatten(), xnode.ssh.jump.clone());
        }
    }
}
