//! install.sh, run for real into a directory that plays the file system, with stand-ins for the two programs
//! and for cargo: what the installer does with them is its own work, building them is not.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::programs::{Finished, command, repository, run};

/// Answers as the real programs do where the installer asks.
const PROGRAM: &str = r##"#!/bin/sh
name=${0##*/}
case $1 in
    completions) echo "# $2 completions of $name" ;;
    man) [ "$name" = capsuled ] && section=8 || section=1
        echo ".TH $name $section" >"$2/$name.$section" ;;
    *) exit 2 ;;
esac
"##;

/// Writes down how it was called, and puts the programs where cargo would.
const CARGO: &str = r##"#!/bin/sh
echo "cargo $* RUSTFLAGS=${RUSTFLAGS:-}" >>"$FAKE_LOG"
profile=release
while [ $# -gt 0 ]; do
    case $1 in
        --target) triple=$2/ ;;
        --target-dir) target=$2 ;;
    esac
    shift
done
mkdir -p "$target/${triple:-}$profile"
cp "$FAKE_PROGRAMS"/* "$target/${triple:-}$profile"
"##;

/// A stand-in for a file system, for a home and for the places that programs come from.
pub struct Host {
    dir: TempDir,
}

impl Host {
    /// With stand-ins for everything the installer may call.
    pub fn new() -> Self {
        let host = Self { dir: TempDir::new().expect("a directory") };
        for program in ["capsuled", "capsulectl"] {
            host.write_program("programs", program, PROGRAM);
        }
        host.write_program("tools", "cargo", CARGO);
        // No musl here: neither its compiler nor its standard library can be had.
        host.write_program("tools", "rustup", "#!/bin/sh\nexit 1\n");
        host.write_program("tools", "rustc", "#!/bin/sh\nexit 1\n");
        host
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The directory the installer takes for `/`.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    fn write_program(&self, dir: &str, name: &str, text: &str) {
        let file = self.path(dir).join(name);
        fs::create_dir_all(self.path(dir)).expect("created");
        fs::write(&file, text).expect("written");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("made executable");
    }

    /// Runs the installer with little else in its environment.
    pub fn install(&self, arguments: &[&str]) -> Finished {
        let mut install = command("sh", &[repository().join("install.sh")]);
        install.arg("--destdir").arg(self.root()).args(arguments);
        install.env_clear();
        install.env("PATH", format!("{}:/usr/bin:/bin", self.path("tools").display()));
        install.env("HOME", self.path("home"));
        install.env("CARGO_TARGET_DIR", self.path("target"));
        install.env("FAKE_LOG", self.path("log")).env("FAKE_PROGRAMS", self.path("programs"));
        run(install)
    }

    fn install_system(&self, arguments: &[&str]) -> Finished {
        let programs = self.path("programs").display().to_string();
        self.install(&[&["--system", "--binaries-from", &programs], arguments].concat())
    }

    /// A file below the root as text.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file.trim_start_matches('/')))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Everything below the root, directories with a slash at the end.
    pub fn tree(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.root(), &self.root(), &mut found);
        found.sort();
        found
    }
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.strip_prefix(root).expect("below the root").display().to_string();
        if path.is_dir() {
            found.push(format!("{name}/"));
            collect(root, &path, found);
        } else {
            found.push(name);
        }
    }
}

fn files(tree: &[String]) -> Vec<&str> {
    tree.iter().map(String::as_str).filter(|name| !name.ends_with('/')).collect()
}

#[test]
fn a_system_installation_has_all_its_parts() {
    let host = Host::new();
    host.install_system(&[]).succeeded();
    assert_eq!(
        files(&host.tree()),
        [
            "usr/local/bin/capsulectl",
            "usr/local/bin/capsuled",
            "usr/local/lib/systemd/system/capsuled.service",
            "usr/local/lib/systemd/system/capsuled.socket",
            "usr/local/lib/sysusers.d/capsule.conf",
            "usr/local/share/bash-completion/completions/capsulectl",
            "usr/local/share/bash-completion/completions/capsuled",
            "usr/local/share/capsule/examples/ping-group-range.conf",
            "usr/local/share/capsule/examples/seal-key.conf",
            "usr/local/share/capsule/examples/without-raw-sockets.conf",
            "usr/local/share/capsule/manifest",
            "usr/local/share/doc/capsule/LICENSE-APACHE",
            "usr/local/share/doc/capsule/LICENSE-MIT",
            "usr/local/share/fish/vendor_completions.d/capsulectl.fish",
            "usr/local/share/fish/vendor_completions.d/capsuled.fish",
            "usr/local/share/man/man1/capsulectl.1",
            "usr/local/share/man/man8/capsuled.8",
            "usr/local/share/zsh/site-functions/_capsulectl",
            "usr/local/share/zsh/site-functions/_capsuled",
        ]
    );
    assert_eq!(
        host.read("/usr/local/share/fish/vendor_completions.d/capsuled.fish"),
        "# fish completions of capsuled\n"
    );
    let program = fs::metadata(host.root().join("usr/local/bin/capsuled")).expect("installed");
    assert_eq!(program.permissions().mode() & 0o777, 0o755);
}

#[test]
fn removal_leaves_nothing_behind() {
    let host = Host::new();
    host.install_system(&[]).succeeded();
    host.install(&["--system", "--uninstall"]).succeeded();
    assert_eq!(host.tree(), [""; 0]);
}

#[test]
fn removal_leaves_what_it_did_not_put() {
    let host = Host::new();
    fs::create_dir_all(host.root().join("usr/local/bin")).expect("created");
    host.install_system(&[]).succeeded();
    fs::write(host.root().join("usr/local/share/capsule/mine"), "").expect("written");
    host.install(&["--system", "--uninstall"]).succeeded();
    assert_eq!(
        host.tree(),
        [
            "usr/",
            "usr/local/",
            "usr/local/bin/",
            "usr/local/share/",
            "usr/local/share/capsule/",
            "usr/local/share/capsule/mine"
        ]
    );
}

#[test]
fn removal_keeps_the_state_unless_told_to_purge() {
    let host = Host::new();
    host.install_system(&[]).succeeded();
    let state = host.root().join("var/lib/capsule");
    fs::create_dir_all(&state).expect("created");
    fs::write(state.join("capsule.db"), "").expect("written");

    let removed = host.install(&["--system", "--uninstall"]).succeeded();
    assert!(removed.stdout.contains("--purge"), "{}", removed.stdout);
    assert!(state.join("capsule.db").exists());

    host.install(&["--system", "--uninstall", "--purge"]).succeeded();
    assert!(!state.exists());
}

#[test]
fn installing_twice_is_installing_once() {
    let host = Host::new();
    host.install_system(&[]).succeeded();
    let (tree, manifest) = (host.tree(), host.read("/usr/local/share/capsule/manifest"));
    host.install_system(&[]).succeeded();
    assert_eq!(host.tree(), tree);
    assert_eq!(host.read("/usr/local/share/capsule/manifest"), manifest);
    host.install(&["--system", "--uninstall"]).succeeded();
    assert_eq!(host.tree(), [""; 0]);
}

#[test]
fn an_upgrade_removes_what_is_no_longer_part_of_it() {
    let host = Host::new();
    let more_pages = PROGRAM.replace("    man) ", "    man) echo .TH old 1 >\"$2/capsule-old.1\"\n        ");
    host.write_program("programs", "capsulectl", &more_pages);
    host.install_system(&[]).succeeded();
    let old = host.root().join("usr/local/share/man/man1/capsule-old.1");
    assert!(old.exists());

    host.write_program("programs", "capsulectl", PROGRAM);
    host.install_system(&[]).succeeded();
    assert!(!old.exists());
}

#[test]
fn an_installation_that_broke_off_can_be_removed() {
    let host = Host::new();
    host.write_program("programs", "capsulectl", &PROGRAM.replace("    man) ", "    man) exit 1 "));
    let broken = host.install_system(&[]);
    assert_eq!(broken.code, Some(1));
    assert_eq!(broken.stderr, "error: capsulectl gave no man pages\n");
    assert!(host.root().join("usr/local/bin/capsuled").exists());

    host.install(&["--system", "--uninstall"]).succeeded();
    assert_eq!(host.tree(), [""; 0]);
}

#[test]
fn another_prefix_is_named_in_the_unit() {
    let host = Host::new();
    host.install_system(&["--prefix", "/opt/capsule"]).succeeded();
    let unit = host.read("/etc/systemd/system/capsuled.service");
    assert!(unit.contains("\nExecStart=/opt/capsule/bin/capsuled "), "{unit}");
    assert!(host.root().join("etc/sysusers.d/capsule.conf").exists());

    let lost = host.install(&["--system", "--uninstall"]);
    assert_eq!(lost.code, Some(1));
    assert!(lost.stderr.contains("hint: name the --prefix"), "{}", lost.stderr);
    host.install(&["--system", "--uninstall", "--prefix", "/opt/capsule"]).succeeded();
    assert_eq!(host.tree(), [""; 0]);
}

#[test]
fn what_cargo_installed_stays_where_cargo_put_it() {
    let host = Host::new();
    for program in ["capsuled", "capsulectl"] {
        host.write_program("home/.cargo/bin", program, PROGRAM);
    }
    host.install(&["--user", "--from-cargo-bin"]).succeeded();
    let home = host.path("home").display().to_string();
    let unit = host.read(&format!("{home}/.local/share/systemd/user/capsuled.service"));
    assert!(unit.contains(&format!("\nExecStart={home}/.cargo/bin/capsuled\n")), "{unit}");
    assert!(!files(&host.tree()).iter().any(|file| file.contains("/bin/")));

    let removed = host.install(&["--user", "--uninstall"]).succeeded();
    assert!(removed.stdout.contains("cargo uninstall capsuled capsulectl"), "{}", removed.stdout);
    assert!(host.path("home/.cargo/bin/capsuled").exists());
}

#[test]
fn a_system_service_does_not_run_programs_from_a_home() {
    let host = Host::new();
    for program in ["capsuled", "capsulectl"] {
        host.write_program("home/.cargo/bin", program, PROGRAM);
    }
    host.install(&["--system", "--from-cargo-bin"]).succeeded();
    let unit = host.read("/usr/local/lib/systemd/system/capsuled.service");
    assert!(unit.contains("\nExecStart=/usr/local/bin/capsuled "), "{unit}");
    assert!(host.root().join("usr/local/bin/capsuled").exists());
}

#[test]
fn without_programs_it_builds_them() {
    let host = Host::new();
    host.install(&["--system"]).succeeded();
    let calls = host.calls();
    assert_eq!(calls.lines().count(), 2, "{calls}");
    for (call, program) in calls.lines().zip(["capsuled", "capsulectl"]) {
        let wanted = format!("cargo build --release --locked -p {program} --target-dir ");
        assert!(call.starts_with(&wanted), "{calls}");
    }
    assert!(host.root().join("usr/local/bin/capsulectl").exists());
}

#[test]
fn a_static_build_without_musl_says_what_it_does_instead() {
    let host = Host::new();
    let built = host.install(&["--system", "--static"]).succeeded();
    assert!(built.stdout.contains("linking the GNU C library statically instead"), "{}", built.stdout);
    let calls = host.calls();
    assert!(calls.contains("-unknown-linux-gnu ") && calls.contains("target-feature=+crt-static"), "{calls}");
}

#[test]
fn a_static_build_prefers_musl() {
    let host = Host::new();
    host.write_program("tools", "musl-gcc", "#!/bin/sh\n");
    host.write_program("tools", "rustup", "#!/bin/sh\necho \"rustup $*\" >>\"$FAKE_LOG\"\n");
    host.install(&["--system", "--static"]).succeeded();
    let calls = host.calls();
    assert!(calls.starts_with("rustup target add "), "{calls}");
    assert!(calls.contains("-unknown-linux-musl ") && calls.ends_with("RUSTFLAGS=\n"), "{calls}");
}

#[test]
fn a_wrong_command_line_changes_nothing_and_says_why() {
    let host = Host::new();
    let cases: [(&[&str], &str); 6] = [
        (&["--frobnicate"], "error: unknown option `--frobnicate`\n"),
        (&["--prefix"], "error: --prefix needs a directory\n"),
        (&["--prefix", "relative"], "error: --prefix needs an absolute path, not `relative`\n"),
        (&["--user", "--system"], "error: --user and --system exclude each other\n"),
        (&["--purge"], "error: --purge goes with --uninstall\n"),
        (
            &["--static", "--from-cargo-bin"],
            "error: --static, --binaries-from and --from-cargo-bin exclude each other\n",
        ),
    ];
    for (arguments, error) in cases {
        let refused = host.install(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}");
        assert_eq!(refused.stderr, format!("{error}hint: ./install.sh --help\n"));
    }
    assert!(!host.root().exists());
}

#[test]
fn missing_programs_are_an_error_with_a_way_out() {
    let host = Host::new();
    let refused = host.install(&["--user", "--from-cargo-bin"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("hint: cargo install --locked --path "), "{}", refused.stderr);
    assert!(!host.root().exists());
}
