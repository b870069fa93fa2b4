//! install.sh with this build's own programs: what it puts can be run, loaded by the shells and read by `man`.

use std::{fs, path::Path};

use capsule_tests::daemon::{binary, have};

use crate::{
    install::Host,
    programs::{command, run},
};

const PROGRAMS: [&str; 2] = ["capsulectl", "capsuled"];

fn installed() -> Host {
    let host = Host::new();
    let directory = binary("capsuled").parent().expect("a program lies in a directory").display().to_string();
    host.install(&["--system", "--no-start", "--binaries-from", &directory]).succeeded();
    host
}

fn file(host: &Host, below: &str) -> String {
    host.root().join("usr/local").join(below).display().to_string()
}

#[test]
fn both_programs_run_and_removal_leaves_nothing() {
    let host = installed();
    for program in PROGRAMS {
        let said = run(command(file(&host, &format!("bin/{program}")), &["--version"])).succeeded().stdout;
        assert_eq!(said, format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
    }
    for unit in ["capsuled.service", "capsuled.socket"] {
        assert!(host.read(&format!("/usr/local/lib/systemd/system/{unit}")).contains("[Unit]"), "{unit}");
    }
    host.install(&["--system", "--uninstall"]).succeeded();
    assert_eq!(host.tree(), [""; 0]);
}

#[test]
fn the_shells_take_the_completions() {
    let host = installed();
    for program in PROGRAMS {
        for (shell, flag, path) in [
            ("bash", "-n", format!("share/bash-completion/completions/{program}")),
            ("zsh", "-n", format!("share/zsh/site-functions/_{program}")),
            ("fish", "--no-execute", format!("share/fish/vendor_completions.d/{program}.fish")),
        ] {
            if !have(shell) {
                continue;
            }
            let path = file(&host, &path);
            assert!(fs::read_to_string(&path).expect("installed").len() > 1_000, "{path} is no completion");
            let read = run(command(shell, &[flag, &path])).succeeded();
            assert_eq!(read.stderr, "", "{shell} {path}");
        }
    }
}

#[test]
fn man_renders_every_page_without_a_warning() {
    if !have("man") {
        return;
    }
    let host = installed();
    let pages: Vec<String> = host.tree().into_iter().filter(|file| is_page(file)).collect();
    for name in ["usr/local/share/man/man1/capsulectl.1", "usr/local/share/man/man8/capsuled.8"] {
        assert!(pages.iter().any(|page| page == name), "{name} is not in {pages:#?}");
    }
    for page in pages {
        let mut man = command("man", &["--warnings", "-l"]);
        man.arg(host.root().join(&page)).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80");
        let rendered = run(man).succeeded();
        assert_eq!(rendered.stderr, "", "{page}");
        assert!(rendered.stdout.contains("SYNOPSIS"), "{page}: {}", rendered.stdout);
    }
}

fn is_page(file: &str) -> bool {
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    file.contains("/man/") && matches!(extension, Some("1" | "8"))
}
