//! The shell scripts, read by shellcheck and by the shells that will run them.

use capsule_tests::daemon::have;

use crate::programs::{command, repository, run};

#[test]
fn shellcheck_finds_nothing() {
    if !have("shellcheck") {
        return;
    }
    let mut shellcheck = command("shellcheck", &["install.sh", "tests/run", ".ci/run"]);
    shellcheck.current_dir(repository());
    run(shellcheck).succeeded();
}

#[test]
fn the_installer_is_posix_shell() {
    for shell in ["dash", "busybox"] {
        if !have(shell) {
            continue;
        }
        let mut check = command(shell, if shell == "busybox" { &["sh", "-n"][..] } else { &["-n"] });
        check.arg("install.sh").current_dir(repository());
        run(check).succeeded();
    }
}
