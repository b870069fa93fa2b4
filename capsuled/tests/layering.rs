//! Holds `src/` to the table in ARCHITECTURE.md: who may import whom, and which crates stay behind which
//! module. The compiler cannot say this inside one crate, and a rule nobody checks is gone in a month.

#[path = "layering/source.rs"]
mod source;

use std::{collections::BTreeSet, fs, path::Path as FilePath};

use source::{Path, Source};

/// One module of the table. It may import what stands before it in [`MODULES`] unless `never` names it.
struct Module {
    name: &'static str,
    row: u8,
    /// Modules before it that are closed to it all the same, as paths below `crate`.
    never: &'static [&'static str],
    /// Openings in `never`.
    except: &'static [&'static str],
}

const fn module(name: &'static str, row: u8, never: &'static [&'static str]) -> Module {
    Module { name, row, never, except: &[] }
}

/// Innermost first; inside a row from left to right, the order of ARCHITECTURE.md.
const MODULES: &[Module] = &[
    module("model", 1, &[]),
    module("clock", 2, &[]),
    module("secret", 2, &[]),
    module("faults", 2, &[]),
    module("config", 2, &[]),
    module("logging", 2, &[]),
    module("rules", 3, &["clock", "config", "logging"]),
    module("store", 4, &[]),
    module("ssh", 4, &["store"]),
    module("probe", 4, &["store"]),
    module("samples", 4, &["store", "probe"]),
    module("notify", 4, &["store", "probe", "samples"]),
    module("nixos", 4, &["store", "probe", "samples", "notify"]),
    module("hosting", 4, &["store", "probe", "samples", "notify", "nixos"]),
    module("context", 5, &[]),
    module("usecases", 6, &[]),
    module("tasks", 7, &[]),
    Module { name: "phoenix", row: 7, never: &["rules"], except: &["rules::access"] },
    Module { name: "api", row: 7, never: &["rules"], except: &["rules::access"] },
    module("daemon", 8, &[]),
    module("main", 8, &[]),
];

/// A crate, or a path in one, that only some modules may name.
struct Fence {
    path: &'static str,
    /// As paths below `crate`.
    open_to: &'static [&'static str],
}

const fn fence(path: &'static str, open_to: &'static [&'static str]) -> Fence {
    Fence { path, open_to }
}

const FENCES: &[Fence] = &[
    fence("sqlx", &["store"]),
    fence("axum", &["api", "phoenix", "daemon"]),
    fence("tower", &["api", "phoenix", "daemon"]),
    fence("tower_http", &["api", "phoenix", "daemon"]),
    fence("utoipa_axum", &["api", "phoenix", "daemon"]),
    fence("utoipa_scalar", &["api", "phoenix", "daemon"]),
    fence("reqwest", &["probe", "notify"]),
    fence("capsule_providers", &["context", "usecases", "tasks", "api"]),
    fence("capsule_nix", &["rules", "usecases"]),
    fence("russh", &["ssh"]),
    fence("surge_ping", &["probe"]),
    fence("lettre", &["notify"]),
    fence("clap", &["config", "daemon", "main"]),
    fence("std::env::var", &["config"]),
    fence("std::env::var_os", &["config"]),
    fence("std::env::vars", &["config"]),
    fence("std::env::vars_os", &["config"]),
    fence("env::var", &["config"]),
    fence("env::var_os", &["config"]),
    fence("env::vars", &["config"]),
    fence("env::vars_os", &["config"]),
];

/// Modules that wait for nothing and know no runtime.
const WITHOUT_ASYNC: &[&str] = &["model", "rules"];

#[test]
fn every_import_follows_the_table() {
    let files = source_files();
    let test_only: BTreeSet<Vec<String>> =
        files.iter().flat_map(|(_, at, source)| test_files(at, source)).collect();
    let wrong: Vec<String> = files
        .iter()
        .filter(|(_, at, _)| !test_only.iter().any(|tests| at.starts_with(tests)))
        .flat_map(|(file, at, source)| {
            violations(at, source).into_iter().map(move |(line, what)| format!("src/{file}:{line}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "imports against the table in ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_in_the_architecture_page_is_the_one_checked_here() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md is at the root of the repository");
    let mut written: Vec<(String, u8)> = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(row), Some(modules)) = (cells.next(), cells.next()) else { continue };
        let Ok(row) = row.parse::<u8>() else { continue };
        let names = modules.split('`').skip(1).step_by(2);
        written.extend(names.map(|name| (name.trim_end_matches('/').to_owned(), row)));
    }
    let checked: Vec<(String, u8)> = MODULES.iter().map(|m| (m.name.to_owned(), m.row)).collect();
    assert_eq!(written, checked);
}

/// What is wrong in the file that holds the module `at`, by line.
fn violations(at: &[String], source: &Source) -> Vec<(usize, String)> {
    let Some(name) = at.first() else { return Vec::new() };
    let Some(place) = MODULES.iter().position(|m| m.name == name) else {
        return vec![(1, format!("module `{name}` has no row in the table"))];
    };
    let mut wrong = Vec::new();
    for path in source::paths(&source.tokens, at) {
        let said = import_error(place, &path).or_else(|| fence_error(at, &path));
        wrong.extend(said.map(|what| (path.line, what)));
    }
    if WITHOUT_ASYNC.contains(&name.as_str()) {
        let found = source.tokens.iter().filter(|t| t.text == "async" || t.text == "tokio");
        wrong.extend(found.map(|t| (t.line, format!("`{name}` does without `{}`", t.text))));
    }
    wrong
}

/// Why the module at `place` must not name `path`, if it is a path of ours.
fn import_error(place: usize, path: &Path) -> Option<String> {
    let from = &MODULES[place];
    let [root, target, ..] = path.segments.as_slice() else { return None };
    if root != "crate" || target == from.name {
        return None;
    }
    // What is no module (a macro, a re-export at the root) has no place in the table.
    let to = MODULES.iter().position(|m| m.name == target)?;
    if to > place {
        return Some(format!("`{}` is inside `{target}` and must not know it", from.name));
    }
    let inner = &path.segments[1..];
    let closed = from.never.iter().any(|never| is_below(inner, never));
    let opened = from.except.iter().any(|except| is_below(inner, except));
    (closed && !opened).then(|| format!("`{}` must not import `{}`", from.name, inner.join("::")))
}

/// Why the module `at` must not name `path`, if it belongs to a fenced crate.
fn fence_error(at: &[String], path: &Path) -> Option<String> {
    let fence = FENCES.iter().find(|fence| is_below(&path.segments, fence.path))?;
    let open = fence.open_to.iter().any(|module| is_below(at, module));
    (!open).then(|| format!("`{}` belongs to {}", fence.path, fence.open_to.join(", ")))
}

/// Whether `segments` is `path` or something inside it.
fn is_below(segments: &[String], path: &str) -> bool {
    path.split("::").enumerate().all(|(i, part)| segments.get(i).is_some_and(|s| s == part))
}

/// The test-only modules that the file of module `at` declares.
fn test_files(at: &[String], source: &Source) -> Vec<Vec<String>> {
    let child = |name: &String| at.iter().chain([name]).cloned().collect();
    source.test_modules.iter().map(child).collect()
}

/// Every file below `src/`: its name, the module it holds (none for `lib.rs`) and what it says.
fn source_files() -> Vec<(String, Vec<String>, Source)> {
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                files.push((name.clone(), module_of(&name), source::read(&text)));
            }
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!files.is_empty(), "found no source below {}", root.display());
    files
}

/// `store/alerts.rs` and `store/alerts/mod.rs` hold `store::alerts`.
fn module_of(file: &str) -> Vec<String> {
    let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
    stem.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

fn said_of(file: &str, text: &str) -> Vec<String> {
    violations(&module_of(file), &source::read(text))
        .into_iter()
        .map(|(line, what)| format!("{line}: {what}"))
        .collect()
}

#[test]
fn an_import_from_further_out_is_caught() {
    assert_eq!(
        said_of("rules/alerts.rs", "\nuse crate::store::Tx;"),
        ["2: `rules` is inside `store` and must not know it"]
    );
    assert_eq!(
        said_of("clock.rs", "fn f() -> super::config::Config {}"),
        ["1: `clock` is inside `config` and must not know it"]
    );
    assert_eq!(said_of("config.rs", "use crate::{clock::Clock, model, secret::Secret};"), [""; 0]);
}

#[test]
fn ports_know_neither_the_store_nor_each_other() {
    assert_eq!(
        said_of("notify/email.rs", "use crate::{ssh, store::Tx};"),
        ["1: `notify` must not import `store::Tx`"]
    );
    assert_eq!(
        said_of("samples/mod.rs", "use crate::{probe, ssh};"),
        ["1: `samples` must not import `probe`"]
    );
    assert_eq!(
        said_of("ssh/mod.rs", "use super::probe;"),
        ["1: `ssh` is inside `probe` and must not know it"]
    );
}

#[test]
fn handlers_decide_nothing_but_access() {
    assert_eq!(
        said_of("api/xnodes.rs", "use crate::rules::{access::Role, alerts};"),
        ["1: `api` must not import `rules::alerts`"]
    );
}

#[test]
fn a_fenced_crate_is_caught_outside_its_module() {
    assert_eq!(
        said_of("usecases/xnodes.rs", "#[derive(sqlx::FromRow)] struct X;"),
        ["1: `sqlx` belongs to store"]
    );
    assert_eq!(said_of("store/xnodes.rs", "#[derive(sqlx::FromRow)] struct X;"), [""; 0]);
    assert_eq!(
        said_of("rules/costs.rs", "use capsule_providers::Offer;"),
        ["1: `capsule_providers` belongs to context, usecases, tasks, api"]
    );
    assert_eq!(
        said_of("logging.rs", "let f = std::env::var(\"RUST_LOG\");"),
        ["1: `std::env::var` belongs to config"]
    );
}

#[test]
fn rules_do_not_wait() {
    assert_eq!(
        said_of("rules/backoff.rs", "async fn f() {}\nuse tokio::time;"),
        ["1: `rules` does without `async`", "2: `rules` does without `tokio`"]
    );
}

#[test]
fn a_module_without_a_row_is_caught() {
    assert_eq!(said_of("utils.rs", ""), ["1: module `utils` has no row in the table"]);
    assert_eq!(said_of("lib.rs", "pub mod utils;"), [""; 0]);
}
