//! Nix's own parser and evaluator over what we write. Without Nix these say so; `tests/run` installs it.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

use capsule_nix::{
    stacks::Library,
    value::{Text, Value},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use crate::{cases, hostile::hostile};

/// `None`, loudly, when there is no Nix; a failure where everything has to run.
fn nix_instantiate(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("nix-instantiate");
    // No store is touched: neither is there one on a machine that only has the parser, nor is one needed.
    command.env("NIX_REMOTE", "dummy://").env("NIX_USER_CONF_FILES", "/dev/null").args(arguments);
    match command.output() {
        Ok(output) => Some(output),
        Err(why) => {
            eprintln!("NOT RUN: Nix's own reading of generated files: nix-instantiate: {why}");
            assert!(env::var_os("CAPSULE_TEST_ALL").is_none(), "nix-instantiate is not installed");
            None
        }
    }
}

#[test]
fn nix_parses_every_file_of_every_case() {
    let library = Library::builtin();
    let directory = tempfile::tempdir().expect("a directory");
    for case in cases::all(&library) {
        let mut paths = Vec::new();
        for (name, text) in case.files(&library).into_iter().filter(|(name, _)| name.ends_with(".nix")) {
            let path = directory.path().join(name.replace('/', "-"));
            fs::write(&path, text).expect("write");
            paths.push(path.to_str().expect("text").to_owned());
        }
        let mut arguments = vec!["--parse"];
        arguments.extend(paths.iter().map(String::as_str));
        let Some(output) = nix_instantiate(&arguments) else { return };
        assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn nix_evaluates_five_thousand_hostile_texts_to_themselves() {
    let mut runner = TestRunner::deterministic();
    let strategy = hostile();
    let texts: Vec<String> = (0..5_000)
        .map(|_| strategy.new_tree(&mut runner).expect("a text").current())
        .filter(|text| Text::try_from(text.clone()).is_ok())
        .collect();
    assert!(1_000 < texts.len());
    let list = Value::List(
        texts.iter().map(|text| Value::Text(text.clone().try_into().expect("filtered"))).collect(),
    );
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("texts.nix");
    fs::write(&path, list.to_string()).expect("write");
    let arguments = ["--eval", "--strict", "--json", path.to_str().expect("text")];
    let Some(output) = nix_instantiate(&arguments) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let evaluated: Vec<String> = serde_json::from_slice(&output.stdout).expect("a list of texts");
    assert_eq!(evaluated, texts);
}

/// Writes every case for a check against real nixpkgs: `CAPSULE_NIX_MATRIX=DIR cargo test -p capsule-nix --test
/// generated -- --ignored matrix`. What came of the last one is in `tests/README.md`.
#[test]
#[ignore = "writes files for a check by hand, below CAPSULE_NIX_MATRIX"]
fn matrix() {
    let root = env::var("CAPSULE_NIX_MATRIX").expect("CAPSULE_NIX_MATRIX names a directory");
    let library = Library::builtin();
    for case in cases::all(&library) {
        for (name, text) in case.files(&library) {
            let path = Path::new(&root).join(&case.name).join(name);
            fs::create_dir_all(path.parent().expect("below the root")).expect("make directories");
            fs::write(path, text).expect("write");
        }
    }
}
