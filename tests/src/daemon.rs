//! The real daemon and the real client, in a state directory of their own.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::wait;

/// A binary of this workspace, beside the test's own executable.
///
/// # Panics
/// When it was not built.
pub fn binary(name: &str) -> PathBuf {
    let own = env::current_exe().expect("a program knows its own path");
    // Tests live in target/PROFILE/deps, the benchmark beside the binaries.
    let candidates = own.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    let path = candidates.into_iter().find(|path| path.exists());
    path.unwrap_or_else(|| {
        panic!("{name} is not built: run `cargo build` first, with `--release` for benchmarks")
    })
}

/// A running daemon. Dropping it kills it.
pub struct Daemon {
    home: TempDir,
    state: PathBuf,
    child: Option<Child>,
    variables: Vec<(String, String)>,
}

impl Daemon {
    /// Starts a daemon with a fresh state directory.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a daemon with a fresh state directory and these environment variables.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let home = TempDir::with_prefix("capsule-").expect("a temporary directory");
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut daemon = Self { state: home.path().join("state"), home, child: None, variables };
        daemon.restart().await;
        daemon
    }

    /// Starts a daemon with its state in this directory.
    pub async fn start_in(state: PathBuf) -> Self {
        let home = TempDir::with_prefix("capsule-").expect("a temporary directory");
        let mut daemon = Self { home, state, child: None, variables: Vec::new() };
        daemon.restart().await;
        daemon
    }

    /// Starts the daemon again on the same state.
    pub async fn restart(&mut self) {
        self.spawn();
        let socket = self.socket();
        wait::until("the daemon answering", wait::LONG, || async { UnixStream::connect(&socket).map(drop) })
            .await;
        let variables = &self.variables;
        wait::until("the daemon being ready", wait::LONG, || async {
            let answer = self.try_get("/readyz");
            answer.map_err(|error| (error, variables.len()))
        })
        .await;
    }

    /// Starts the process and does not wait for it.
    pub fn spawn(&mut self) {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("the log opens");
        let own_filter = self.variables.iter().any(|(name, _)| name == "RUST_LOG");
        let filter: &[&str] = if own_filter { &[] } else { &["--log", "info,capsuled=debug"] };
        let child = Command::new(binary("capsuled"))
            .args(filter)
            .args(["--log-format", "text"])
            .arg("--state-dir")
            .arg(&self.state)
            .arg("--socket")
            .arg(self.socket())
            .env("CAPSULED_TEST_CONTROL", self.control_socket())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle on the log"))
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        self.child = Some(child);
    }

    /// `kill -9`, and the end of the process.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that is gone already is as dead as we want it.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(self.control_socket());
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("a running daemon");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).expect("the signal is sent");
        let status = child.wait().expect("the daemon ends");
        let _ = fs::remove_file(self.control_socket());
        status
    }

    /// Waits for the process to end by itself, as at a planned fault.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let child = self.child.as_mut().expect("a running daemon");
        let status = wait::until("the daemon ending", wait::LONG, || {
            let status = child.try_wait();
            async { status.ok().flatten().ok_or("still running") }
        })
        .await;
        self.child = None;
        let _ = fs::remove_file(self.control_socket());
        status
    }

    /// Whether the process has ended by itself; it is then as after [`Self::kill`].
    pub fn has_ended(&mut self) -> bool {
        let ended =
            self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()));
        if ended {
            self.kill();
        }
        ended
    }

    /// Changes the environment of the next start.
    pub fn set_variables(&mut self, variables: &[(&str, &str)]) {
        self.variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running daemon").id()
    }

    /// Moves the daemon's time forward (debug builds).
    pub fn advance(&self, by: Duration) {
        let answer = self.try_advance(by);
        assert_eq!(answer.expect("the control socket of a debug build"), "ok\n");
    }

    /// As [`Self::advance`], for a daemon that may have died; what it answered.
    ///
    /// # Errors
    /// When it is not there.
    pub fn try_advance(&self, by: Duration) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.control_socket())?;
        writeln!(stream, "advance {}", by.as_millis())?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer)
    }

    /// A path in the test's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("capsuled.sock")
    }

    fn control_socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// What the daemon logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A client over the daemon's socket.
    pub fn http(&self) -> reqwest::Client {
        reqwest::Client::builder()
            .unix_socket(self.socket())
            .no_proxy()
            .timeout(Duration::from_secs(90))
            .build()
            .expect("a client")
    }

    /// Sends one request; returns status and body.
    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request =
            self.http().request(method, format!("http://localhost{path}")).header("If-Match", "*");
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let reply = request.send().await.expect("an answer");
        let status = reply.status().as_u16();
        let text = reply.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// `GET`, which must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    fn try_get(&self, path: &str) -> Result<(), String> {
        let mut stream = UnixStream::connect(self.socket()).map_err(|error| error.to_string())?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(|error| error.to_string())?;
        if line.contains(" 200 ") { Ok(()) } else { Err(line) }
    }

    /// Runs the client; panics with both outputs unless it succeeds. Returns its standard output.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.ctl_output(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success(),
            "capsulectl {arguments:?}: {:?}\n{out}{err}\n{}",
            output.status,
            self.log()
        );
        out.into_owned()
    }

    /// Runs the client.
    pub fn ctl_output(&self, arguments: &[&str]) -> Output {
        Command::new(binary("capsulectl"))
            .arg("--socket")
            .arg(self.socket())
            .args(arguments)
            .env("HOME", self.home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null())
            .output()
            .expect("the client runs")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log());
        }
    }
}

/// Whether a program can be run. Where everything must run, a missing one is a failure.
pub fn have(program: &str) -> bool {
    let search = env::var_os("PATH").unwrap_or_default();
    let extra = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
    let found =
        env::split_paths(&search).chain(extra).any(|directory| Path::new(&directory).join(program).is_file());
    let all = env::var_os("CI").is_some() || env::var_os("CAPSULE_TEST_ALL").is_some();
    assert!(found || !all, "`{program}` is needed; `tests/run` installs it");
    if !found {
        // Past the test harness, which keeps what a passing test prints to itself.
        _ = writeln!(std::io::stderr(), "NOT RUN: `{program}` is not installed; `tests/run` installs it");
    }
    found
}
