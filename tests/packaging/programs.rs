//! Starting other programs from a test: to their end, and not for ever.

use std::{ffi::OsStr, fs, path::Path, process::Command, time::Duration};

/// Far above what any of them takes, so only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a program left behind.
pub struct Finished {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    /// As text; these programs print no other.
    pub stdout: String,
    /// As text.
    pub stderr: String,
}

impl Finished {
    /// Itself, if the program succeeded; otherwise the test ends with what it said.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// Runs `command` to its end.
pub fn run(command: Command) -> Finished {
    let what = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let output = runtime
        .block_on(async { tokio::time::timeout(DEADLINE, command.output()).await })
        .unwrap_or_else(|_| panic!("still running after {DEADLINE:?}: {what}"))
        .unwrap_or_else(|error| panic!("could not start {what}: {error}"));
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `program` with `arguments`.
pub fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file of the repository as text.
pub fn text_of(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}
