//! A daemon with an account at a cloud, and the SSH server that every machine of that cloud turns out to be.
//!
//! Time passes only while a suite waits for something: fast while a lost creation is looked for, slowly while a
//! machine comes up, since calls take real time and a deadline must not pass between two of them.

use std::{collections::BTreeSet, net::Ipv4Addr, process::Output, sync::Mutex, time::Duration};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    cloud::account::Cloud,
    daemon::{Daemon, have},
    sshd::Sshd,
    wait::{LONG, until},
};

/// How long one deployment may take on a busy machine, in real time.
const LONGEST: Duration = LONG.saturating_mul(2);
/// How far time moves between two looks.
const STEP: Duration = Duration::from_secs(2);
/// And while a lost creation is looked for.
const LEAP: Duration = Duration::from_secs(60);
/// The client's exit code when its connection broke.
const BROKEN: i32 = 6;

/// Whether machines can be logged in to here: images let root in.
pub fn can_log_in() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    assert!(is_root || std::env::var_os("CI").is_none(), "these suites log in as root, as CI can");
    if !is_root {
        eprintln!("NOT RUN: logging in as root has to be run as root");
    }
    is_root && have("sshd")
}

/// Does the same with every provider at the same time.
///
/// # Panics
/// When it panicked with any; says with which.
pub async fn side_by_side<F>(providers: &[&'static str], work: impl Fn(&'static str) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for &provider in providers {
        let work = tokio::spawn(work(provider));
        running.spawn(async move { (provider, work.await.is_ok()) });
    }
    let done = running.join_all().await;
    let failed: Vec<_> = done.into_iter().filter(|(_, is_done)| !is_done).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "failed with {failed:?}; see above");
}

/// A daemon and one cloud.
pub struct Site {
    /// The daemon, which has an account named as the provider.
    pub daemon: Daemon,
    /// The cloud.
    pub cloud: Cloud,
    sshd: Sshd,
    let_in: Mutex<BTreeSet<String>>,
}

impl Site {
    /// Starts both; `None`, said loudly, where the cloud cannot be there.
    pub async fn start(provider: &str) -> Option<Self> {
        let cloud = Cloud::start(provider).await?;
        let sshd = Sshd::start(Ipv4Addr::LOCALHOST).await;
        cloud.serve_all_at(sshd.address().into());
        let daemon = Daemon::start().await;
        let site = Self { daemon, cloud, sshd, let_in: Mutex::default() };
        add_account(&site.daemon, &site.cloud, site.cloud.provider(), "canary-of-a-site");
        site.run(&["templates", "refresh"]);
        Some(site)
    }

    /// The arguments of an order for one machine of the cloud's first size in its first place.
    pub fn order(&self, name: &str) -> Vec<String> {
        let (plan, place) = self.cloud.offer();
        let port = self.sshd.port().to_string();
        let words = [
            "deploy",
            "--name",
            name,
            "--provider",
            self.cloud.provider(),
            "--template",
            plan,
            "--region",
            place,
        ];
        let rest = ["--ssh-port", &port, "--yes", "--no-wait"];
        words.iter().chain(&rest).map(|word| (*word).to_owned()).collect()
    }

    /// Runs a command under which the daemon may die: it succeeds, or its connection breaks.
    pub fn attempt<Word: AsRef<str>>(&self, words: &[Word]) {
        let output = run(&self.daemon, words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || output.status.code() == Some(BROKEN), "{complaint}");
    }

    /// Runs a command, which must succeed.
    pub fn run<Word: AsRef<str>>(&self, words: &[Word]) {
        let output = run(&self.daemon, words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Lets whoever the cloud was given a key of log in.
    fn let_in(&self) {
        let mut known = self.let_in.lock().expect("unpoisoned");
        for key in self.cloud.keys() {
            if known.insert(key.clone()) {
                self.sshd.let_in(&key);
            }
        }
    }

    /// Lets time pass until the newest deployment or deletion of this name has ended, and returns it. Meanwhile
    /// no machine may be missing in the inventory that was there.
    pub async fn ended(&self, name: &str) -> Value {
        let path = format!("/v1/deployments/{name}");
        until(&format!("`{name}` at {} coming to an end", self.cloud.provider()), LONGEST, || async {
            self.open_doors().await;
            let deployment = self.daemon.get(&path).await;
            self.never_falsely_deleted(&deployment).await;
            if is_final(&deployment["state"]) {
                return Ok(deployment);
            }
            self.daemon.advance(if deployment["state"] == "unknown" { LEAP } else { STEP });
            Err(deployment)
        })
        .await
    }

    /// Lets the daemon log in to what was made so far. EC2's images let `ubuntu` in, whom this host does not know.
    async fn open_doors(&self) {
        self.let_in();
        if matches!(self.cloud, Cloud::Aws(_)) {
            for xnode in self.placed().await.iter().filter(|xnode| xnode["ssh"]["user"] != "root") {
                let path = format!("/v1/xnodes/{}", xnode["id"].as_str().expect("an id"));
                // One that was taken out meanwhile is as good.
                self.daemon.request("PATCH", &path, Some(json!({ "ssh_user": "root" }))).await;
            }
        }
    }

    /// Lets time pass by `step` at each look until no operation is under way.
    pub async fn settles(&self, step: Duration, deadline: Duration) {
        until(&format!("everything at {} coming to an end", self.cloud.provider()), deadline, || async {
            self.open_doors().await;
            let operations = self.daemon.get("/v1/operations?limit=100").await;
            let operations = operations["items"].as_array().expect("a list").clone();
            let open: Vec<_> = operations.into_iter().filter(|one| !is_final(&one["state"])).collect();
            self.daemon.advance(step);
            if open.is_empty() { Ok(()) } else { Err(open) }
        })
        .await;
    }

    /// An xNode that left the inventory by a deletion has no machine any more.
    async fn never_falsely_deleted(&self, deployment: &Value) {
        let is_gone = deployment["kind"] == "delete" && deployment["state"] == "succeeded";
        let id = deployment["instance"]["id"].as_str().unwrap_or_default();
        let there = if is_gone { self.cloud.machines().await } else { Vec::new() };
        assert!(there.iter().all(|machine| machine.id != id), "it is still there: {deployment}");
    }

    /// Kills the daemon as it stands, starts it with this environment, and waits until it answers.
    pub async fn restart_with(&mut self, variables: &[(&str, &str)]) {
        self.daemon.kill();
        self.daemon.set_variables(variables);
        self.daemon.restart().await;
    }

    /// Lets time pass until the daemon dies of a planned fault.
    pub async fn dies(&mut self) {
        until("the daemon dying of its fault", LONGEST, || {
            self.let_in();
            // One that died has no time any more.
            let _ = self.daemon.try_advance(STEP);
            let answer = if self.daemon.has_ended() { Ok(()) } else { Err("still alive") };
            async move { answer }
        })
        .await;
    }

    /// The servers in the inventory that are known at a provider.
    pub async fn placed(&self) -> Vec<Value> {
        let all = self.daemon.get("/v1/xnodes?limit=1000").await;
        let all = all["items"].as_array().expect("a list").clone();
        all.into_iter().filter(|xnode| !xnode["placement"].is_null()).collect()
    }

    /// Asserts that the cloud has `count` machines, each made for an intent of its own, and that the inventory
    /// has each of them once and nothing else.
    pub async fn tracks(&self, count: usize, when: &str) {
        let machines = self.cloud.machines().await;
        let provider = self.cloud.provider();
        assert_eq!(machines.len(), count, "{provider}, {when}: {machines:?}");
        let marks: BTreeSet<_> = machines.iter().filter_map(|machine| machine.mark.clone()).collect();
        assert_eq!(marks.len(), count, "{provider}, {when}: one machine for each intent: {machines:?}");
        let known = self.placed().await;
        let named = |xnode: &Value| xnode["placement"]["instance"]["id"].clone();
        let mut known: Vec<_> = known.iter().map(named).collect();
        let mut there: Vec<_> = machines.iter().map(|machine| json!(machine.id)).collect();
        known.sort_by_key(Value::to_string);
        there.sort_by_key(Value::to_string);
        assert_eq!(known, there, "{provider}, {when}: the inventory and what is there");
    }
}

/// Runs the client, while the clouds of this test go on answering.
///
/// # Panics
/// In a runtime with one thread, where they could not.
pub fn run<Word: AsRef<str>>(daemon: &Daemon, words: &[Word]) -> Output {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    tokio::task::block_in_place(|| daemon.ctl_output(&words))
}

/// Whether a deployment in this state has ended.
pub fn is_final(state: &Value) -> bool {
    ["succeeded", "failed", "cancelled"].iter().any(|word| state == word)
}

/// Stores an account at a cloud.
pub fn add_account(daemon: &Daemon, cloud: &Cloud, name: &str, secret: &str) {
    let url = cloud.url();
    let fields: Vec<String> =
        cloud.credential(secret).into_iter().map(|(field, value)| format!("{field}={value}")).collect();
    let mut words = vec!["provider", "configure", cloud.provider(), "--account", name, "--endpoint", &url];
    // Against a cloud on this host a repeat need not wait.
    words.extend(["--backoff", "100ms"]);
    words.extend(fields.iter().flat_map(|field| ["--field", field.as_str()]));
    let output = run(daemon, &words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
