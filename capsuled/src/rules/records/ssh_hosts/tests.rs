//! Configurations as people have them, and what becomes of them.

use super::*;

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
