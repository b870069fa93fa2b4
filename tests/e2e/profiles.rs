//! What somebody wants installed: chosen, changed, compared and kept, through the real client.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use capsule_tests::daemon::{Daemon, binary};
use serde_json::Value;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command line that must fail; returns its exit code and what it said.
fn refused(daemon: &Daemon, line: &str) -> (i32, String) {
    let output = daemon.ctl_output(&line.split_whitespace().collect::<Vec<_>>());
    assert!(!output.status.success(), "{line}: {}", text(&output.stdout));
    (output.status.code().expect("a code"), text(&output.stderr))
}

fn run(daemon: &Daemon, line: &str) -> String {
    daemon.ctl(&line.split_whitespace().collect::<Vec<_>>())
}

fn json(daemon: &Daemon, line: &str) -> Value {
    serde_json::from_str(&run(daemon, &format!("{line} -o json"))).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_is_chosen_changed_and_set_back() {
    let mut daemon = Daemon::start().await;
    let stacks = run(&daemon, "stacks -o name");
    assert_eq!(stacks.lines().count(), 16, "base and fifteen to choose from: {stacks}");
    assert_eq!(run(&daemon, "sprouts -o name").lines().count(), 9);
    assert_eq!(run(&daemon, "profiles -o name"), "dev\nminimal\nml\nml-gpu\nprod\nweb\n");

    run(&daemon, "profile use web");
    run(&daemon, "openmesh add machine-learning");
    let shown = run(&daemon, "show");
    assert!(shown.contains("needed by stack `machine-learning`"), "{shown}");
    run(&daemon, "pkg add ripgrep fd");
    run(&daemon, "pkg remove fd");
    let packages = json(&daemon, "show")["custom_packages"].clone();
    assert_eq!(packages, serde_json::json!(["tmux", "ripgrep"]));
    assert_eq!(run(&daemon, "profile history -o name"), "4\n3\n2\n1\n");
    let diff = run(&daemon, "profile diff web --from 1");
    assert!(diff.contains("+numpy") && diff.contains("+ripgrep") && !diff.contains("fd"), "{diff}");

    // What was said to be kept is kept.
    daemon.kill();
    daemon.restart().await;
    assert_eq!(json(&daemon, "show")["name"], "web");
    let preview = run(&daemon, "preview");
    assert!(preview.contains("python.numpy") && preview.contains("ripgrep"), "{preview}");
    assert_eq!(preview, run(&daemon, "preview web"), "the same input gives the same bytes");

    let (code, said) = refused(&daemon, "reset");
    assert!(code == 2 && said.contains("--yes"), "{said}");
    run(&daemon, "reset --yes");
    assert!(!run(&daemon, "preview").contains("ripgrep"));
    run(&daemon, "profile delete web --yes");
    assert_eq!(json(&daemon, "show")["built_in"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_have_their_exit_codes_and_a_way_out() {
    let daemon = Daemon::start().await;
    run(&daemon, "profile import ml");
    run(&daemon, "profile use ml");
    for (line, expected, way_out) in [
        ("add dokcer", 3, "did you mean `docker`?"),
        ("remove python", 4, "remove stack `machine-learning` first"),
        ("pkg add python3-numpy", 2, "use `python3Packages.numpy`"),
        ("pkg add a;b", 2, "cannot be a package"),
        ("pkg remove ollama", 4, "remove the stack `ollama`"),
        ("profile use mll", 3, "did you mean `ml`?"),
        ("profile new dev", 4, "taken"),
        ("profile copy nothing work", 3, "no profile `nothing`"),
        ("profile delete dev --yes", 4, "built-in"),
        ("stack show dokcer", 3, "did you mean `docker`?"),
        ("stack remove docker --yes", 4, "comes with Capsule"),
    ] {
        let (code, said) = refused(&daemon, line);
        assert!(said.contains(way_out), "{line}: {said}");
        assert_eq!(code, expected, "{line}: {said}");
    }
    assert_eq!(json(&daemon, "show")["revision"], 1, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_is_edited_as_yaml_and_a_mistake_discards_nothing_that_was() {
    let daemon = Daemon::start().await;
    run(&daemon, "profile new work");
    run(&daemon, "profile use work");
    let edit = |script: &str| {
        let editor = daemon.path("editor");
        fs::write(&editor, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("executable");
        edit_with(&daemon, &editor)
    };
    let wrong = edit("echo 'stakcs: [docker]' > \"$1\"");
    let said = text(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("did you mean `stacks`?"), "{said}");
    assert!(said.contains("profile:1:"), "the line is named: {said}");
    let failed = edit("exit 1");
    assert!(!failed.status.success() && text(&failed.stderr).contains("nothing was changed"));
    let same = edit("true");
    assert!(same.status.success() && text(&same.stderr).contains("nothing was changed"));
    assert_eq!(json(&daemon, "show")["revision"], 1);
    let done = edit("printf 'description: Mine\\nstacks: [docker]\\neditor: neovim\\n' > \"$1\"");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let profile = json(&daemon, "show");
    assert_eq!((&profile["description"], &profile["editor"]), (&"Mine".into(), &"neovim".into()));
    let left = fs::read_dir(daemon.path("tmp")).expect("a directory").count();
    assert_eq!(left, 0, "drafts are removed");
}

fn edit_with(daemon: &Daemon, editor: &Path) -> Output {
    fs::create_dir_all(daemon.path("tmp")).expect("made");
    Command::new(binary("capsulectl"))
        .arg("--socket")
        .arg(daemon.socket())
        .arg("edit")
        .env("EDITOR", editor)
        .env_remove("VISUAL")
        .env("TMPDIR", daemon.path("tmp"))
        .stdin(Stdio::null())
        .output()
        .expect("the client runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_of_ones_own_is_added_used_and_kept_while_it_is_needed() {
    let daemon = Daemon::start().await;
    let file = daemon.path("data.yaml");
    let add = |packages: &str| {
        let stack =
            format!("stacks:\n  - id: data\n    title: Data\n    category: Own\n    packages: {packages}\n");
        fs::write(&file, stack).expect("written");
        format!("stack add {}", file.display())
    };
    let (code, said) = refused(&daemon, &add("[a b]"));
    assert!(
        code == 2 && said.contains("data.yaml:5") && said.contains("cannot be a package"),
        "{code} {said}"
    );
    run(&daemon, &add("[duckdb]"));
    run(&daemon, "add data");
    assert!(run(&daemon, "preview").contains("duckdb"));
    assert_eq!(refused(&daemon, &add("[sqlite]")).0, 4);
    run(&daemon, &format!("{} --replace", add("[sqlite]")));
    assert!(run(&daemon, "preview").contains("sqlite"));
    let (code, said) = refused(&daemon, "stack remove data --yes");
    assert!(code == 4 && said.contains("profile `minimal`"), "{said}");
    run(&daemon, "remove data");
    run(&daemon, "stack remove data --yes");
    assert_eq!(refused(&daemon, "stack show data").0, 3);
}
