//! Plans, certificates and web servers for the tests of probes.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use capsule_api::CheckId;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::{Prober, ProberOptions};
use crate::{
    clock::Clock,
    model::{CheckKey, CheckLimits, CheckPlan, Finding, XNodeKey},
    ssh::testing::{free_address, missing},
};

/// A deadline that a healthy loopback server never needs.
pub(super) const AMPLE: Duration = Duration::from_secs(20);
/// A deadline for servers that do not answer.
pub(super) const SHORT: Duration = Duration::from_millis(300);

/// Now.
pub(super) fn now() -> Timestamp {
    Clock::system().now()
}

/// A check of `spec` on a node at `address`.
pub(super) fn plan(address: &str, spec: Value, timeout: Duration) -> CheckPlan {
    CheckPlan {
        key: CheckKey(1),
        id: CheckId(Uuid::nil()),
        xnode: XNodeKey(1),
        name: "check".parse().expect("a name"),
        address: address.parse().expect("a host"),
        ssh_port: 22,
        host_key: None,
        probe: serde_json::from_value(spec).expect("a spec"),
        interval: Duration::from_secs(300),
        timeout,
        confirm_interval: Duration::from_secs(5),
        limits: CheckLimits { down_after: 2, up_after: 1 },
    }
}

/// What a prober of its own finds. A machine that is busy with other tests may really be too late to listen,
/// and the prober then says so; it is asked again.
pub(super) async fn find(plan: &CheckPlan) -> Finding {
    let prober = Prober::new(ProberOptions::default());
    let deadline = Instant::now() + AMPLE;
    loop {
        let finding = prober.probe(plan, now()).await;
        if !finding.detail.starts_with("we were overloaded") || Instant::now() > deadline {
            return finding;
        }
    }
}

/// An authority of its own, and the certificates it issues.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key for `name`, which expires at midnight (UTC) of the day `days` from now.
    fn issue(&self, name: &str, days: i64) -> (String, String) {
        let day = (now() + SignedDuration::from_hours(24 * days)).to_zoned(TimeZone::UTC).date();
        let month = u8::try_from(day.month()).expect("1 to 12");
        let day_of_month = u8::try_from(day.day()).expect("1 to 31");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(day.year().into(), month, day_of_month);
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// An nginx with a configuration of its own; ends when dropped.
pub(super) struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// A server with these `locations`; `None` when nginx is not installed.
    pub(super) fn start(locations: &str) -> Option<Self> {
        Self::start_with(|_| (String::new(), locations.to_owned()))
    }

    /// A TLS server with a certificate for `name` that expires `days` from now.
    pub(super) fn start_tls(authority: &Authority, name: &str, days: i64) -> Option<Self> {
        Self::start_with(|folder| {
            let (certificate, key) = authority.issue(name, days);
            std::fs::write(folder.join("cert.pem"), certificate).expect("written");
            std::fs::write(folder.join("key.pem"), key).expect("written");
            let folder = folder.display();
            let files =
                format!("ssl_certificate {folder}/cert.pem;\nssl_certificate_key {folder}/key.pem;\n");
            (" ssl".to_owned(), format!("{files}location / {{ return 200 \"$ssl_session_reused\"; }}"))
        })
    }

    /// `settings` gives the flags of `listen` and the rest of the server's block.
    fn start_with(settings: impl FnOnce(&Path) -> (String, String)) -> Option<Self> {
        if missing("nginx") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let (flags, block) = settings(folder.path());
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, configuration(folder.path(), address, &flags, &block)).expect("written");
        let child = Command::new("nginx")
            .args(["-e", "stderr", "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let mut server = Self { child, address, _folder: folder };
        server.listens();
        Some(server)
    }

    /// Returns once it accepts connections.
    fn listens(&mut self) {
        let deadline = Instant::now() + AMPLE;
        while TcpStream::connect(self.address).is_err() {
            assert!(self.child.try_wait().expect("a child").is_none(), "nginx refused its configuration");
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::yield_now();
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(folder: &Path, address: SocketAddr, flags: &str, block: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {folder}/a;\nproxy_temp_path {folder}/b;\nfastcgi_temp_path {folder}/c;\n\
         uwsgi_temp_path {folder}/d;\nscgi_temp_path {folder}/e;\nssl_session_tickets on;\n\
         server {{\nlisten {address}{flags};\nabsolute_redirect off;\n{block}\n}}\n}}\n"
    )
}
