//! A secret of every cloud goes into a daemon that logs everything, is used, rotated, refused and thrown back at
//! it by its vendor, and is afterwards in no log, answer, error, file or process list.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use capsule_tests::{
    cloud::{Cloud, FakeCloud, Vendor},
    daemon::Daemon,
    deploying::{add_account, run},
    wait::{LONG, until},
};

/// What everybody who may read can read.
const ANSWERS: [&str; 14] = [
    "/v1/accounts",
    "/v1/providers",
    "/v1/providers/PROVIDER",
    "/v1/accounts/PROVIDER",
    "/v1/providers/PROVIDER/instances",
    "/v1/deployments?limit=1000",
    "/v1/operations?limit=1000",
    "/v1/xnodes?limit=1000",
    "/v1/audit?limit=1000",
    "/v1/alerts",
    "/v1/tasks",
    "/v1/templates?limit=1000",
    "/metrics",
    "/v1/xnodes/of-PROVIDER/metrics",
];

/// Everything that came out, by where.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn note(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    /// Runs a command that may fail, and keeps what it says.
    fn run(&mut self, daemon: &Daemon, words: &[&str]) {
        let output = run(daemon, words);
        self.note(format!("{words:?}"), [output.stdout, output.stderr].concat());
    }

    /// Every file below a directory.
    fn files(&mut self, directory: &Path) -> usize {
        let mut count = 0;
        for entry in fs::read_dir(directory).expect("the directory").flatten() {
            if entry.path().is_dir() {
                count += self.files(&entry.path());
            } else if let Ok(bytes) = fs::read(entry.path()) {
                self.note(entry.path().display().to_string(), bytes);
                count += 1;
            }
        }
        count
    }

    fn holds_no(&self, secret: &str) {
        let encoded = STANDARD.encode(secret);
        for form in [secret, encoded.trim_end_matches('=')] {
            let holding = |(_, bytes): &&(String, Vec<u8>)| {
                bytes.windows(form.len()).any(|window| window == form.as_bytes())
            };
            let places: Vec<_> = self.0.iter().filter(holding).map(|(place, _)| place).collect();
            assert!(places.is_empty(), "`{form}` is in {places:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_of_any_cloud_comes_out_anywhere() {
    let mut clouds: Vec<Cloud> = Vec::new();
    for vendor in Vendor::ALL {
        clouds.push(Cloud::Fake(FakeCloud::start(vendor).await));
    }
    clouds.extend(Cloud::start("aws").await);
    let mut daemon = Daemon::start_with(&[("RUST_LOG", "trace")]).await;
    let mut seen = Seen::default();
    let data = tempfile::NamedTempFile::new().expect("a file");
    fs::write(data.path(), "#cloud-config\n# canary-in-user-data\n").expect("written");
    let data = data.path().display().to_string();
    let secret = |cloud: &Cloud, which: &str| format!("canary-{which}-of-{}", cloud.provider());

    for cloud in &clouds {
        let provider = cloud.provider();
        add_account(&daemon, cloud, provider, &secret(cloud, "first"));
        let rotated = secret(cloud, "second");
        let fields = cloud.credential(&rotated).into_iter().map(|(name, value)| format!("{name}={value}"));
        let fields: Vec<String> = fields.flat_map(|field| ["--field".to_owned(), field]).collect();
        let mut words = vec!["provider", "configure", provider];
        words.extend(fields.iter().map(String::as_str));
        seen.run(&daemon, &words);
        seen.run(&daemon, &["provider", "instances", provider, "-o", "json"]);
    }
    seen.run(&daemon, &["templates", "refresh"]);
    for cloud in clouds.iter().filter(|cloud| cloud.provider() != "equinix") {
        let (plan, place) = cloud.offer();
        let name = format!("of-{}", cloud.provider());
        let words = ["deploy", "--name", &name, "--provider", cloud.provider(), "--template", plan];
        let rest = ["--region", place, "--user-data", &data, "--yes", "--no-wait"];
        seen.run(&daemon, &[&words[..], &rest].concat());
    }
    for cloud in clouds.iter().filter(|cloud| cloud.provider() != "equinix") {
        until("a machine", LONG, || async {
            let machines = cloud.machines().await;
            if machines.is_empty() { Err(cloud.provider()) } else { Ok(()) }
        })
        .await;
    }
    // From here on every vendor refuses the credential and throws it back.
    for cloud in &clouds {
        cloud.refuse_and_echo(&secret(cloud, "second"));
        seen.run(&daemon, &["provider", "verify", cloud.provider()]);
        seen.run(&daemon, &["provider", "instances", cloud.provider()]);
        let wrong = secret(cloud, "third");
        let fields = cloud.credential(&wrong).into_iter().map(|(name, value)| format!("{name}={value}"));
        let fields: Vec<String> = fields.flat_map(|field| ["--field".to_owned(), field]).collect();
        let mut words = vec!["provider", "configure", cloud.provider()];
        words.extend(fields.iter().map(String::as_str));
        seen.run(&daemon, &words);
        seen.run(&daemon, &["xnode", "stop", &format!("of-{}", cloud.provider()), "--no-wait"]);
    }
    seen.run(&daemon, &["templates", "refresh"]);
    for cloud in &clouds {
        for path in ANSWERS {
            let path = path.replace("PROVIDER", cloud.provider());
            let (_, body) = daemon.request("GET", &path, None).await;
            seen.note(path, body.to_string());
        }
    }
    let process = format!("/proc/{}", daemon.pid());
    for name in ["cmdline", "environ"] {
        seen.note(name, fs::read(format!("{process}/{name}")).expect("readable"));
    }
    assert!(2 <= seen.files(&daemon.path("state")), "the databases were read");
    daemon.terminate();
    seen.files(&daemon.path("state"));
    let log = daemon.log();
    assert!(log.contains("TRACE"), "everything is logged");
    seen.note("the log", log);

    let told = |words: &str| seen.0.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(words));
    assert!(told("***"), "a vendor's echo came through, without the secret");
    for cloud in &clouds {
        for which in ["first", "second", "third"] {
            seen.holds_no(&secret(cloud, which));
        }
        if let Cloud::Fake(fake) = cloud {
            let sent = fake.requests().into_iter().filter_map(|request| request.credential);
            let sent: Vec<String> = sent.collect();
            assert!(sent.contains(&secret(cloud, "second")), "{}: it was used", cloud.provider());
        }
    }
    seen.holds_no("canary-in-user-data");
}
