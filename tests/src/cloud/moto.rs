//! moto, which keeps the state of an EC2 of its own, as a process.
//!
//! `$CAPSULE_PROVIDER_SPECS/serve.sh` installs and starts it. Without that variable whoever asks for it says so
//! and does without; when it cannot be started, that is a failure where everything has to be tested. The
//! package of the providers includes this file too, so it needs nothing but the standard library.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

/// Where the mock of EC2 is, counted from the first port.
const AWS_OFFSET: u16 = 6;
/// How often moto is started before that is given up.
const STARTS: u32 = 5;

/// A running moto; dropped, it is stopped.
pub struct Moto {
    script: PathBuf,
    cache: PathBuf,
    base: u16,
}

impl Moto {
    /// Starts it, or says why not.
    pub fn start() -> Option<Self> {
        let Some(specs) = std::env::var_os("CAPSULE_PROVIDER_SPECS").filter(|value| !value.is_empty()) else {
            eprintln!("NOT RUN: EC2: CAPSULE_PROVIDER_SPECS does not say where `serve.sh` is");
            return None;
        };
        match Self::try_start(Path::new(&specs)) {
            Ok(moto) => Some(moto),
            Err(reason) => {
                let demanded = ["CI", "CAPSULE_TEST_ALL"];
                let is_set =
                    |name| std::env::var(name).is_ok_and(|value| !["", "0"].contains(&value.as_str()));
                assert!(!demanded.into_iter().any(is_set), "moto has to run here: {reason}");
                eprintln!("NOT RUN: EC2: {reason}");
                None
            }
        }
    }

    fn try_start(specs: &Path) -> Result<Self, String> {
        let script = specs.join("serve.sh");
        if !script.is_file() {
            return Err(format!("there is no {}", script.display()));
        }
        // A directory of its own: the cache also holds the process ids of running mocks.
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        // Tests live in target/PROFILE/deps.
        let target = own.ancestors().nth(3).ok_or("the test is in no target directory")?;
        let cache = target.join("provider-mocks/aws");
        let mut reason = String::new();
        for _ in 0..STARTS {
            let base = free_base().ok_or("no free port")?;
            let moto = Self { script: script.clone(), cache: cache.clone(), base };
            let output = moto.serve("start")?;
            if output.status.success() {
                return Ok(moto);
            }
            reason = String::from_utf8_lossy(&output.stderr).into_owned();
            if !reason.starts_with("aws died") {
                break;
            }
            moto.end_stray();
        }
        Err(reason)
    }

    /// Ends a moto that `serve.sh` took for dead: it looks at the new process's command line, which for a
    /// moment is still the shell's, and forgets the process when that is what it sees.
    fn end_stray(&self) {
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if let Some(pid) = self.stray() {
                let ended = Command::new("kill").arg(&pid).status();
                assert!(ended.is_ok_and(|status| status.success()), "process {pid} has to be ended by hand");
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process of our own directory that listens on our own port.
    fn stray(&self) -> Option<String> {
        let port = format!("-p {}", self.base + AWS_OFFSET);
        let is_ours = |pid: &String| {
            let line =
                fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
            line.starts_with(&*self.cache.to_string_lossy()) && line.contains(&port)
        };
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut pids = processes.map(|entry| entry.file_name().to_string_lossy().into_owned());
        pids.find(is_ours)
    }

    fn serve(&self, verb: &str) -> Result<Output, String> {
        let mut serve = Command::new(&self.script);
        serve.args([verb.as_ref(), self.cache.as_os_str()]);
        serve.env("MOCKS", "aws").env("MOCK_PORT_BASE", self.base.to_string());
        serve.output().map_err(|error| format!("{} cannot be run: {error}", self.script.display()))
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.base + AWS_OFFSET)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        if let Err(reason) = self.serve("stop") {
            eprintln!("moto was not stopped: {reason}");
        }
    }
}

/// A first port whose EC2 port is free, below the range that the kernel gives away.
fn free_base() -> Option<u16> {
    let first = u16::try_from(std::process::id() % 1000).ok()?;
    let mut bases = (0..1000).map(|step| 15_000 + (first + step) % 1000 * 10);
    bases.find(|base| TcpListener::bind(("127.0.0.1", base + AWS_OFFSET)).is_ok())
}
