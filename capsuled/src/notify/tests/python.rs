//! A Python with the packages the tests check us against: `aiosmtpd`, a mail server, and
//! `standardwebhooks`, the reference library for signatures. Taken from `CAPSULE_TEST_PYTHON` or `python3`
//! where they have both, else from a virtual environment that is made once in the target directory.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();

/// The interpreter; `None` after saying so where there is none, which fails the test where everything must
/// run (`CI=true` or `CAPSULE_TEST_ALL=1`).
pub(super) fn python(test: &str) -> Option<&'static Path> {
    let found = PYTHON.get_or_init(|| existing().or_else(made)).as_deref();
    if found.is_none() {
        let must = std::env::var("CI").is_ok_and(|value| value == "true")
            || std::env::var("CAPSULE_TEST_ALL").is_ok_and(|value| value == "1");
        let advice = "needs python3 with `pip install aiosmtpd standardwebhooks`";
        assert!(!must, "{test} {advice}");
        eprintln!("NOT RUN: {test} {advice}");
    }
    found
}

fn existing() -> Option<PathBuf> {
    let given = std::env::var_os("CAPSULE_TEST_PYTHON").map(PathBuf::from);
    let candidates = given.into_iter().chain([PathBuf::from("python3"), environment().join("bin/python")]);
    candidates.into_iter().find(|python| is_complete(python))
}

fn is_complete(python: &Path) -> bool {
    let ran = Command::new(python).args(["-c", "import aiosmtpd, standardwebhooks"]).output();
    ran.is_ok_and(|output| output.status.success())
}

fn made() -> Option<PathBuf> {
    let python = environment().join("bin/python");
    let made = Command::new("python3").args(["-m", "venv"]).arg(environment()).output().ok()?;
    let install = ["-m", "pip", "install", "--quiet", "aiosmtpd", "standardwebhooks"];
    let installed = Command::new(&python).args(install).output().ok()?;
    (made.status.success() && installed.status.success()).then_some(python)
}

fn environment() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    // target/debug/deps/capsuled-…
    own.ancestors().nth(3).expect("test binaries lie three levels deep").join("test-python")
}
