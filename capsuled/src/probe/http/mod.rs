//! HTTP probes: a request, and whether the answer is the wanted one.
//!
//! The host is resolved by our own bounded resolver, redirects are followed here, and every request has a
//! fresh connection; [`trust`] says why. The body is read only if the check looks at it, at most its first
//! MiB, and dropping an answer closes its connection, so a server that never stops talking costs no more
//! than one that does.

mod conditions;
mod redirects;
mod trust;
mod words;

#[cfg(test)]
mod tests;

use capsule_api::{Host, HttpProbe, IpFamily, RedirectPolicy};
use jiff::Timestamp;
use reqwest::{
    Client, Method, Request, Response, StatusCode,
    header::{CONNECTION, HeaderMap, HeaderName, HeaderValue},
    tls::TlsInfo,
};
use tokio::time::Instant;
use url::{Host as UrlHost, Url};

use super::{deadline::Progress, resolver::Resolver, seen::Seen, validate::ProbeSpecError};
use conditions::{BODY_BYTES, BodyConditions, Compiled, Conditions};
use redirects::{HOPS, Next, keeps_headers, method_after, next};
use trust::{Policies, Policy, Trust, own_anchors};
use words::{days_left, explain, shown};

/// Longest URL in a check, in bytes.
const URL_BYTES: usize = 2048;
/// Most headers in a check.
const HEADERS: usize = 32;
/// Methods a check may use: those that change nothing, and POST and PUT for endpoints that want them.
const METHODS: [Method; 5] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS];
/// Headers that say how the message travels, which is ours to say.
const OURS: [&str; 8] =
    ["connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// What all HTTP probes share.
#[derive(Debug)]
pub(super) struct Http {
    compiled: Compiled,
    policies: Policies,
}

/// One request on the way through its redirects.
#[derive(Debug)]
struct Asking {
    /// The host the check names.
    home: Option<String>,
    url: Url,
    method: Method,
    headers: HeaderMap,
}

impl Http {
    pub fn new() -> Self {
        Self { compiled: Compiled::new(), policies: Policies::new() }
    }

    /// Asks what `probe` asks and judges the answer.
    pub async fn ask(
        &self,
        resolver: &Resolver,
        probe: &HttpProbe,
        at: Timestamp,
        progress: &Progress,
    ) -> Result<Seen, Seen> {
        let unusable =
            |error: ProbeSpecError| Seen::blind(format!("this check cannot be carried out: {error}"));
        let conditions = self.compiled.of(probe).map_err(unusable)?;
        let mut asking = Asking::new(probe).map_err(unusable)?;
        let policy = self.policies.of(trust(probe))?;
        let started = Instant::now();
        for hop in 0..=HOPS {
            // Only the check's own host is somewhere else than its name says.
            let there = probe.connect_to.as_ref().filter(|_| asking.is_at_home());
            let asked = asking.send(&policy, resolver, there.map(Host::as_str), progress).await;
            let response = asked.map_err(|seen| asking.tell_hop(hop, seen))?;
            let left_at = match next(probe.redirects, &asking.url, response.status(), response.headers()) {
                Next::Follow(target) => {
                    asking.redirect(response.status(), target);
                    continue;
                }
                Next::NotFollowed(target) => Some(target),
                Next::Answer => None,
            };
            let answer = Answer { status: response.status(), started, left_at };
            let judged = answer.judge(response, &conditions, probe.min_tls_days, at).await;
            return judged.map_err(|seen| asking.tell_hop(hop, seen));
        }
        Err(Seen::down(format!("more than {HOPS} redirects, the last one to {}", shown(&asking.url))))
    }
}

impl Asking {
    fn new(probe: &HttpProbe) -> Result<Self, ProbeSpecError> {
        let mut headers = own_headers(probe)?;
        headers.extend(our_headers());
        let url = url(probe)?;
        Ok(Self { home: url.host_str().map(str::to_owned), url, method: method(probe)?, headers })
    }

    fn is_at_home(&self) -> bool {
        self.home.as_deref() == self.url.host_str()
    }

    /// Sends the request, to `there` instead of where the URL's name leads if given.
    async fn send(
        &self,
        policy: &Policy,
        resolver: &Resolver,
        there: Option<&str>,
        progress: &Progress,
    ) -> Result<Response, Seen> {
        if self.url.scheme() == "https" && !policy.can_judge {
            return Err(Seen::blind("this machine has no trust anchors (install ca-certificates)"));
        }
        let client = self.client(policy, resolver, there, progress).await?;
        let mut request = Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        client.execute(request).await.map_err(|error| explain(error, &self.url))
    }

    async fn client(
        &self,
        policy: &Policy,
        resolver: &Resolver,
        there: Option<&str>,
        progress: &Progress,
    ) -> Result<Client, Seen> {
        let Some(UrlHost::Domain(name)) = self.url.host() else {
            return Ok(policy.client());
        };
        let port = self.url.port_or_known_default().unwrap_or_default();
        let addresses = resolver.all(there.unwrap_or(name), port, IpFamily::Any, progress).await?;
        policy.client_to(name, &addresses)
    }

    /// Turns to `target` after the redirect `status`.
    fn redirect(&mut self, status: StatusCode, target: Url) {
        if !keeps_headers(&self.url, &target) {
            self.headers = our_headers();
        }
        self.method = method_after(status, std::mem::take(&mut self.method));
        self.url = target;
    }

    /// Says where it failed, if that is not where the check points.
    fn tell_hop(&self, hop: usize, mut seen: Seen) -> Seen {
        if hop > 0 {
            seen.detail = format!("after a redirect to {}: {}", shown(&self.url), seen.detail);
        }
        seen
    }
}

/// The answer at the end of the redirects.
struct Answer {
    status: StatusCode,
    started: Instant,
    /// Where it would have led on.
    left_at: Option<Url>,
}

impl Answer {
    async fn judge(
        self,
        mut response: Response,
        conditions: &Conditions,
        min_tls_days: Option<u32>,
        at: Timestamp,
    ) -> Result<Seen, Seen> {
        let latency = self.started.elapsed();
        let told = |seen: Seen| seen.after(latency);
        let judged = conditions.judge_head(self.status, response.headers());
        judged.map_err(|seen| told(self.tell_redirect(seen)))?;
        let days =
            min_tls_days.map(|wanted| judge_certificate(&response, wanted, at)).transpose().map_err(told)?;
        if let Some(body) = &conditions.body {
            read_and_judge(&mut response, body).await.map_err(told)?;
        }
        let latency = self.started.elapsed();
        conditions.judge_latency(latency).map_err(|seen| seen.after(latency))?;
        let mut detail = self.status.to_string();
        if let Some(days) = days {
            detail.push_str(&format!(", certificate has {days} days left"));
        }
        Ok(self.tell_redirect(Seen::up(latency, detail)))
    }

    fn tell_redirect(&self, mut seen: Seen) -> Seen {
        if let Some(target) = &self.left_at {
            seen.detail.push_str(&format!(" (a redirect to {}, not followed)", shown(target)));
        }
        seen
    }
}

/// Reads as much of the body as it takes to judge it.
async fn read_and_judge(response: &mut Response, wanted: &BodyConditions) -> Result<(), Seen> {
    let mut body = Vec::new();
    while body.len() < BODY_BYTES && !wanted.is_settled_by(&body) {
        let chunk = response.chunk().await.map_err(|error| {
            let seen = explain(error, response.url());
            Seen { detail: format!("the body ended early: {}", seen.detail), ..seen }
        })?;
        let Some(chunk) = chunk else { break };
        let room = BODY_BYTES - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    wanted.judge(&body)
}

/// The days the server's certificate has left, if they are enough.
fn judge_certificate(response: &Response, wanted: u32, at: Timestamp) -> Result<i64, Seen> {
    let certificate = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let Some(certificate) = certificate else {
        return Err(Seen::down("the answer came without TLS, so there is no certificate"));
    };
    let Some(days) = days_left(certificate, at) else {
        return Err(Seen::down("the certificate cannot be read"));
    };
    if days < 0 {
        return Err(Seen::down(format!("certificate expired {} days ago", -days)));
    }
    if days < i64::from(wanted) {
        return Err(Seen::down(format!("certificate has {days} days left, wanted {wanted}")));
    }
    Ok(days)
}

/// Whether an HTTP probe can be carried out.
pub(super) fn validate(probe: &HttpProbe) -> Result<(), ProbeSpecError> {
    let url = url(probe)?;
    let method = method(probe)?;
    own_headers(probe)?;
    let conditions = Conditions::compile(probe)?;
    if conditions.body.is_some() && method == Method::HEAD {
        return Err(ProbeSpecError::new("method", "an answer to HEAD has no body to look at"));
    }
    if let Some(pem) = &probe.ca_pem {
        own_anchors(pem)?;
        if probe.insecure {
            return Err(ProbeSpecError::new("insecure", "contradicts `ca_pem`"));
        }
    }
    let never_tls = url.scheme() == "http" && probe.redirects == RedirectPolicy::None;
    if probe.min_tls_days.is_some() && never_tls {
        return Err(ProbeSpecError::new("min_tls_days", "needs an https URL"));
    }
    if probe.connect_to.is_some() && !matches!(url.host(), Some(UrlHost::Domain(_))) {
        let problem =
            "needs a name in the URL; with an address there, put the address to connect to into the URL";
        return Err(ProbeSpecError::new("connect_to", problem));
    }
    Ok(())
}

fn url(probe: &HttpProbe) -> Result<Url, ProbeSpecError> {
    let refuse = |problem: String| ProbeSpecError::new("url", problem);
    if probe.url.len() > URL_BYTES {
        return Err(refuse(format!("at most {URL_BYTES} bytes")));
    }
    let url = Url::parse(&probe.url).map_err(|error| refuse(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("must be an absolute http or https URL".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must not hold a user name or password; use an Authorization header".to_owned()));
    }
    if url.port() == Some(0) {
        return Err(refuse("the port must be 1 to 65535".to_owned()));
    }
    Ok(url)
}

fn method(probe: &HttpProbe) -> Result<Method, ProbeSpecError> {
    METHODS
        .into_iter()
        .find(|method| method.as_str() == probe.method)
        .ok_or_else(|| ProbeSpecError::new("method", "must be one of GET, HEAD, POST, PUT, OPTIONS"))
}

fn own_headers(probe: &HttpProbe) -> Result<HeaderMap, ProbeSpecError> {
    let refuse = |problem: String| ProbeSpecError::new("headers", problem);
    if probe.headers.len() > HEADERS {
        return Err(refuse(format!("at most {HEADERS}")));
    }
    let mut headers = HeaderMap::with_capacity(probe.headers.len() + 1);
    for (name, value) in &probe.headers {
        let shown = name.escape_debug();
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let parsed = parsed.map_err(|_| refuse(format!("`{shown}` is not a header name")))?;
        if OURS.contains(&parsed.as_str()) {
            return Err(refuse(format!("`{shown}` is set by the daemon")));
        }
        let value = HeaderValue::from_str(value);
        headers.insert(parsed, value.map_err(|_| refuse(format!("the value of `{shown}` is not valid")))?);
    }
    Ok(headers)
}

/// What every request says: that there is nothing to keep the connection open for.
fn our_headers() -> HeaderMap {
    HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))])
}

fn trust(probe: &HttpProbe) -> Trust {
    match &probe.ca_pem {
        _ if probe.insecure => Trust::Nobody,
        Some(pem) => Trust::Own(pem.clone()),
        None => Trust::System,
    }
}
