//! One crypto provider and no second TLS stack, as cargo itself sees the tree.

use std::collections::BTreeSet;

use crate::programs::{command, repository, run};

/// The crates that are compiled on this platform, with tests and build scripts.
fn crates() -> BTreeSet<String> {
    let arguments = [
        "tree",
        "--workspace",
        "--locked",
        "--offline",
        "--edges",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let mut tree = command(env!("CARGO"), &arguments);
    tree.current_dir(repository());
    let listed = run(tree).succeeded().stdout;
    listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn aws_lc_is_the_one_crypto_provider() {
    let crates = crates();
    assert!(crates.contains("rustls") && crates.contains("aws-lc-rs"), "cargo tree listed {crates:?}");
    for other in ["ring", "openssl", "openssl-sys", "native-tls", "boring", "rustls-rustcrypto"] {
        let why = format!("`cargo tree -i {other}` says who brings it; drop that crate's default features");
        assert!(!crates.contains(other), "{other} is compiled in: {why}");
    }
}

#[test]
fn the_client_links_neither_the_store_nor_the_ports() {
    let arguments = [
        "tree",
        "-p",
        "capsulectl",
        "--locked",
        "--offline",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let mut tree = command(env!("CARGO"), &arguments);
    tree.current_dir(repository());
    let listed = run(tree).succeeded().stdout;
    for daemons_own in ["capsuled", "sqlx", "russh", "lettre", "axum", "surge-ping", "rustls"] {
        let found = listed.lines().any(|line| line.split(' ').next() == Some(daemons_own));
        assert!(!found, "capsulectl compiles {daemons_own}");
    }
}
