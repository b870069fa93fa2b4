//! Whom HTTP probes believe, and the clients that follow from it.
//!
//! A reqwest client is bound to its TLS settings, so there is one for each distinct policy: the system's
//! trust anchors, a check's own CA, nobody's proof. It is used by every probe whose URL has an address in
//! it. A URL with a name gets a client of its own that knows the addresses our resolver found (some
//! microseconds, nothing beside the look-up), because that is how reqwest is told where to connect; it
//! shares the policy's TLS sessions.
//!
//! Connections are never kept: a kept one does not notice that nobody listens any more, which is what a
//! probe is for. TLS sessions are resumed instead, at a third of the cost of a full handshake, but only for
//! ten minutes: a resumed session shows the certificate it began with, so one that was renewed or replaced
//! meanwhile would else stay unseen for as long as the server renews its tickets.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::Client;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::time::Instant;
use tracing::warn;

use super::super::{recent::Recent, seen::Seen, validate::ProbeSpecError};

/// Age at which a policy, with its TLS sessions and trust anchors, is made anew.
const POLICY_AGE: Duration = Duration::from_secs(600);
/// The same while there are no trust anchors, which may have been a passing lack of file descriptors.
const LAME_POLICY_AGE: Duration = Duration::from_secs(30);
/// How many policies are kept at least.
const POLICIES: usize = 64;
/// Sessions kept for the system's trust anchors, of which rustls counts eight to a server.
const SYSTEM_SESSIONS: usize = 2048 * 8;
/// Sessions kept for each other policy.
const OTHER_SESSIONS: usize = 64 * 8;
/// Longest PEM text in a check.
const PEM_BYTES: usize = 256 << 10;

/// Who proves that the server is the right one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    /// The system's trust anchors.
    System,
    /// These certificates, as PEM.
    Own(String),
    /// Nobody.
    Nobody,
}

/// Policies that were used lately.
#[derive(Debug)]
pub(super) struct Policies {
    provider: Arc<CryptoProvider>,
    kept: Mutex<Recent<Trust, Arc<Policy>>>,
}

/// The clients of one policy.
#[derive(Debug)]
pub(super) struct Policy {
    tls: ClientConfig,
    client: Client,
    /// Whether there is any trust anchor; without one no certificate can be judged.
    pub can_judge: bool,
    made: Instant,
}

impl Policies {
    pub fn new() -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Self { provider, kept: Mutex::new(Recent::new(POLICIES)) }
    }

    /// The policy for `trust`.
    pub fn of(&self, trust: Trust) -> Result<Arc<Policy>, Seen> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&trust);
        if let Some(policy) = kept.filter(|kept| kept.is_fresh()) {
            return Ok(policy);
        }
        let policy = Arc::new(self.make(&trust)?);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(trust, Arc::clone(&policy));
        Ok(policy)
    }

    fn make(&self, trust: &Trust) -> Result<Policy, Seen> {
        let unusable = |error: rustls::Error| Seen::blind(format!("TLS cannot be set up here: {error}"));
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let (config, can_judge) = match trust {
            Trust::System => {
                let anchors = system_anchors();
                let can_judge = !anchors.is_empty();
                (config.with_root_certificates(anchors), can_judge)
            }
            Trust::Own(pem) => {
                let anchors = own_anchors(pem).map_err(|error| Seen::blind(error.to_string()))?;
                (config.with_root_certificates(anchors), true)
            }
            Trust::Nobody => {
                let anyone = Arc::new(Anyone(Arc::clone(&self.provider)));
                (config.dangerous().with_custom_certificate_verifier(anyone), true)
            }
        };
        let mut tls = config.with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let sessions = if *trust == Trust::System { SYSTEM_SESSIONS } else { OTHER_SESSIONS };
        tls.resumption = Resumption::in_memory_sessions(sessions);
        let client = build(builder(tls.clone()))?;
        Ok(Policy { tls, client, can_judge, made: Instant::now() })
    }
}

impl Policy {
    fn is_fresh(&self) -> bool {
        self.made.elapsed() < if self.can_judge { POLICY_AGE } else { LAME_POLICY_AGE }
    }

    /// A client that connects to the address in the URL.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client that connects to `addresses` for `name`.
    pub fn client_to(&self, name: &str, addresses: &[SocketAddr]) -> Result<Client, Seen> {
        build(builder(self.tls.clone()).resolve_to_addrs(name, addresses))
    }
}

/// HTTP/1.1 only: every server speaks it, and it costs less than HTTP/2 for a single request. No proxy,
/// because the question is whether the node answers, not whether a proxy does.
fn builder(tls: ClientConfig) -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("capsule/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .tls_info(true)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_max_idle_per_host(0)
}

fn build(builder: reqwest::ClientBuilder) -> Result<Client, Seen> {
    builder.build().map_err(|error| Seen::blind(format!("the HTTP client cannot be set up here: {error}")))
}

/// The system's trust anchors; a machine without any says so in its log, and its HTTPS checks are blind.
fn system_anchors() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        warn!("some of the system's trust anchors cannot be read: {error}");
    }
    let mut anchors = RootCertStore::empty();
    let (added, _ignored) = anchors.add_parsable_certificates(found.certs);
    if added == 0 {
        warn!("the system has no trust anchors, so certificates cannot be checked: install ca-certificates");
    }
    anchors
}

/// The certificates in `pem`, at least one.
pub(super) fn own_anchors(pem: &str) -> Result<RootCertStore, ProbeSpecError> {
    let refuse = |problem: &str| ProbeSpecError::new("ca_pem", problem);
    if pem.len() > PEM_BYTES {
        return Err(refuse("at most 256 KiB"));
    }
    let mut anchors = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| refuse("is not PEM"))?;
        anchors.add(certificate).map_err(|_| refuse("holds something that is not a certificate"))?;
    }
    if anchors.is_empty() { Err(refuse("holds no certificate")) } else { Ok(anchors) }
}

/// Accepts every certificate, for checks that say so; the handshake's signatures still have to be right.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
