//! `docs/reference.md` is what the programs say about themselves: every command, every exit code, every
//! setting. `UPDATE_REFERENCE=1` writes it again.

use std::{env, fs, path::Path, process::Command};

use capsule_tests::daemon::binary;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference.md");

const HEAD: &str = "<!-- Written by the suite `documents` of the tests; do not edit. CONTRIBUTING.md says how. -->

# Reference

Every command, exit code and setting, as the programs themselves describe them: `capsulectl` first, then `capsuled`.
The API is described by `openapi/openapi.json` and by the daemon itself at `/docs`.
";

/// What `PROGRAM reference` prints. It needs neither a daemon nor a home.
fn reference(program: &str) -> String {
    let output =
        Command::new(binary(program)).arg("reference").env_clear().output().expect("the program runs");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The same text one level further down, so that it can be a chapter. Fenced text stays as it is.
fn as_chapter(text: &str) -> String {
    let mut fenced = false;
    let mut chapter = String::new();
    for line in text.trim_end().lines() {
        fenced ^= line.starts_with("```");
        if line.starts_with('#') && !fenced {
            chapter.push('#');
        }
        chapter.push_str(line);
        chapter.push('\n');
    }
    chapter
}

#[test]
fn the_reference_is_what_the_programs_say() {
    let now = format!(
        "{HEAD}\n{}\n## capsuled\n\n{}",
        as_chapter(&reference("capsulectl")),
        as_chapter(&reference("capsuled"))
    );
    if env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(Path::new(FILE).parent().expect("a directory")).expect("created");
        fs::write(FILE, now).expect("written");
        return;
    }
    let committed = fs::read_to_string(FILE).unwrap_or_default();
    let stale = now.lines().zip(committed.lines()).find(|(now, committed)| now != committed);
    assert!(
        now == committed,
        "docs/reference.md is stale, first at {stale:#?}: run `cargo build --workspace` and then \
         `UPDATE_REFERENCE=1 cargo test -p capsule-tests --test documents`"
    );
}
