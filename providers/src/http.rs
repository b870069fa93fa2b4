//! The one HTTP layer that every vendor but AWS is called through.
//!
//! It owns deadlines, the size limit, repeats with backoff, `Retry-After`, the rate limit ahead of time, and the
//! difference between *did not happen* and *may have happened*. It knows no vendor: the shape of an error body
//! is the vendor's [`Classify`].
//!
//! Redirects are never followed, so a vendor (or whoever sits in between) cannot send a credential to another
//! host or make us ask a metadata address. Addresses are https, or http on loopback for tests.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use capsule_api::ProviderName;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{
    Client, Method, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::{CallSettings, ProviderError, Result};

/// Longest answer that is read.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
/// Longest pause before a repeat, whatever the vendor asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How much of a vendor's message goes into an error.
const SHOWN_MESSAGE: usize = 300;
/// A shorter text is no credential, and taking it out would spoil messages.
const SHORTEST_SECRET: usize = 8;

/// Turns a vendor's error answer into ours. `None`: decide by the status alone.
pub type Classify = fn(StatusCode, &serde_json::Value) -> Option<ProviderError>;

/// Whether a call may be sent again after an unclear end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A read, or a change that comes to the same when done twice.
    Safe,
    /// It starts a bill: sent once, and an unclear end is [`ProviderError::UnknownOutcome`].
    Never,
}

/// One call, relative to the vendor's base address.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<(Bytes, &'static str)>,
    repeat: Repeat,
}

impl Call {
    fn new(method: Method, path: impl Into<String>, repeat: Repeat) -> Self {
        Self { method, path: path.into(), query: Vec::new(), headers: Vec::new(), body: None, repeat }
    }

    /// A read.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Repeat::Safe)
    }

    /// A change that may be repeated.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path, Repeat::Safe)
    }

    /// A creation: sent once.
    pub fn create(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path, Repeat::Never)
    }

    /// A replacement.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path, Repeat::Safe)
    }

    /// A partial change.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path, Repeat::Safe)
    }

    /// A removal.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, Repeat::Safe)
    }

    /// Adds a query parameter; the value is percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a header. A value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(body).expect("request bodies have text keys and finite numbers");
        self.body = Some((bytes.into(), "application/json"));
        self
    }

    /// Sends `body` as plain text.
    #[must_use]
    pub fn text(mut self, body: &SecretString) -> Self {
        self.body = Some((Bytes::copy_from_slice(body.expose_secret().as_bytes()), "text/plain"));
        self
    }
}

/// A 2xx answer.
#[derive(Debug)]
pub struct Reply {
    provider: ProviderName,
    repeat: Repeat,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`ProviderError::Unreadable`], and [`ProviderError::UnknownOutcome`] after a creation.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let (provider, detail) = (self.provider, error.to_string());
            match self.repeat {
                Repeat::Safe => ProviderError::Unreadable { provider, detail },
                Repeat::Never => ProviderError::UnknownOutcome { provider, detail },
            }
        })
    }
}

/// One account's way to its vendor.
pub struct Http {
    provider: ProviderName,
    client: Client,
    base: Url,
    settings: CallSettings,
    limiter: DefaultDirectRateLimiter,
    secret: SecretString,
    classify: Classify,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("provider", &self.provider).field("base", &self.base.as_str()).finish()
    }
}

/// What an [`Http`] is made of, beside the account's settings.
#[derive(Debug)]
pub struct Vendor {
    /// Which cloud.
    pub provider: ProviderName,
    /// Its base address, such as `https://api.example.com/v2`.
    pub base: &'static str,
    /// The header that carries the credential, and its whole value.
    pub auth: (HeaderName, SecretString),
    /// Calls per second that it allows, with a burst of as many.
    pub calls_per_second: NonZeroU32,
    /// Reads its error bodies.
    pub classify: Classify,
}

impl Http {
    /// A client that sends the credential with each call.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] for an address that is neither https nor loopback, or a credential that no
    /// header can hold.
    pub fn new(vendor: Vendor, settings: CallSettings) -> Result<Self> {
        let provider = vendor.provider;
        let invalid = |detail: &str| ProviderError::Invalid { provider, detail: detail.to_owned() };
        let default: Url = vendor.base.parse().map_err(|_| invalid("its base address is malformed"))?;
        let base = match &settings.endpoint {
            Some(endpoint) => with_origin(&default, endpoint),
            None => default,
        };
        if !is_allowed(&base) {
            return Err(invalid("its address must be https, or http on loopback"));
        }
        let (name, secret) = vendor.auth;
        let mut value = HeaderValue::from_str(secret.expose_secret())
            .map_err(|_| invalid("the credential holds characters that no header can carry"))?;
        value.set_sensitive(true);
        let client = Client::builder()
            .default_headers(HeaderMap::from_iter([(name, value)]))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT.min(settings.timeout))
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("capsuled/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| invalid(&format!("no HTTP client could be made: {error}")))?;
        let limiter = RateLimiter::direct(Quota::per_second(vendor.calls_per_second));
        Ok(Self { provider, client, base, settings, limiter, secret, classify: vendor.classify })
    }

    /// Sends a call and returns its 2xx answer.
    ///
    /// Safe calls are repeated after 429, 500, 502, 503, 504 and broken connections: after the account's
    /// backoff, doubled each time with up to 25 % jitter, or after the vendor's `Retry-After`.
    ///
    /// # Errors
    /// What the vendor's [`Classify`] says, else by status; see [`ProviderError`].
    pub async fn send(&self, call: Call) -> Result<Reply> {
        let mut attempt = 0;
        loop {
            let error = match self.send_once(&call).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let may_repeat = match call.repeat {
                Repeat::Safe => repeatable(&error),
                // A clean 429 says that nothing was made.
                Repeat::Never => matches!(error, ProviderError::RateLimited { .. }),
            };
            if !may_repeat || self.settings.max_retries <= attempt {
                return Err(error);
            }
            tokio::time::sleep(self.pause(attempt, &error)).await;
            attempt += 1;
        }
    }

    fn pause(&self, attempt: u32, error: &ProviderError) -> Duration {
        if let ProviderError::RateLimited { after: Some(after), .. } = error {
            return (*after).min(LONGEST_PAUSE);
        }
        let doubled = self.settings.backoff.saturating_mul(1 << attempt.min(16));
        doubled.min(LONGEST_PAUSE).mul_f64(1.0 + rand::random::<f64>() / 4.0)
    }

    async fn send_once(&self, call: &Call) -> Result<Reply> {
        self.limiter.until_ready().await;
        let began = Instant::now();
        // The deadline covers the body too: one byte a second must not hold us.
        let outcome = tokio::time::timeout(self.settings.timeout, self.exchange(call)).await;
        let took = began.elapsed();
        let method = &call.method;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(self.broken(call.repeat, format!("no whole answer within {:?}", self.settings.timeout)))
        });
        match &outcome {
            Ok(reply) => {
                tracing::debug!(provider = %self.provider, %method, path = call.path, status = reply.status.as_u16(), ?took, "called");
            }
            Err(error) => {
                tracing::debug!(provider = %self.provider, %method, path = call.path, code = error.code(), ?took, "called");
            }
        }
        outcome
    }

    async fn exchange(&self, call: &Call) -> Result<Reply> {
        let provider = self.provider;
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.client.request(call.method.clone(), url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some((body, content_type)) = &call.body {
            request = request.header(CONTENT_TYPE, *content_type).body(body.clone());
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            // The connection never came about, so nothing was asked.
            Err(error) if error.is_connect() => {
                return Err(ProviderError::Unavailable { provider, detail: without_url(error) });
            }
            Err(error) => return Err(self.broken(call.repeat, without_url(error))),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = self.read(call.repeat, answer).await;
        if status.is_success() {
            return Ok(Reply { provider, repeat: call.repeat, status, headers, body: body? });
        }
        Err(self.refusal(call.repeat, status, &headers, &body.unwrap_or_default()))
    }

    async fn read(&self, repeat: Repeat, mut answer: reqwest::Response) -> Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if LARGEST_BODY < body.len() + chunk.len() => {
                    return Err(self.broken(repeat, "the answer is larger than 16 MiB".to_owned()));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(error) => return Err(self.broken(repeat, without_url(error))),
            }
        }
    }

    /// An exchange that did not come to its end.
    fn broken(&self, repeat: Repeat, detail: String) -> ProviderError {
        let provider = self.provider;
        match repeat {
            Repeat::Safe => ProviderError::Unavailable { provider, detail },
            Repeat::Never => ProviderError::UnknownOutcome { provider, detail },
        }
    }

    fn refusal(&self, repeat: Repeat, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        let provider = self.provider;
        let text = without_secret(&String::from_utf8_lossy(body), &self.secret);
        let json = serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return ProviderError::RateLimited { provider, after: retry_after(headers) };
        }
        if let Some(error) = (self.classify)(status, &json) {
            return error;
        }
        let detail = format!("{status}: {}", shortened(&json));
        match status.as_u16() {
            401 | 403 => ProviderError::Unauthorized { provider, detail },
            404 | 410 => ProviderError::NotFound { provider, what: detail },
            409 | 423 => ProviderError::Conflict { provider, detail },
            300..=399 => {
                ProviderError::Unreadable { provider, detail: format!("{status}: redirects are refused") }
            }
            400..=499 => ProviderError::Invalid { provider, detail },
            _ => self.broken(repeat, detail),
        }
    }
}

/// A vendor's refusal without the credential, which some repeat. `secret` is the header's value, whose last word
/// is the credential itself.
fn without_secret(text: &str, secret: &SecretString) -> String {
    let credential = secret.expose_secret().split_whitespace().next_back().unwrap_or_default();
    if credential.len() < SHORTEST_SECRET { text.to_owned() } else { text.replace(credential, "***") }
}

fn repeatable(error: &ProviderError) -> bool {
    matches!(error, ProviderError::RateLimited { .. } | ProviderError::Unavailable { .. })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// A vendor's message, of bounded length and on one line.
pub fn shortened(message: &serde_json::Value) -> String {
    let text = match message {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MESSAGE).collect()
}

/// A reqwest error names the URL, whose query may hold what should not be logged.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// `base` at another scheme, host and port; its path is kept.
fn with_origin(base: &Url, endpoint: &Url) -> Url {
    let mut moved = endpoint.clone();
    moved.set_path(base.path());
    moved
}

/// Whether credentials may be sent there.
pub fn is_allowed(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_repeats_the_credential_is_shown_without_it() {
        let secret = SecretString::from("Bearer dop_v1_canary");
        let shown = without_secret(r#"{"message": "token dop_v1_canary is unknown"}"#, &secret);
        assert_eq!(shown, r#"{"message": "token *** is unknown"}"#);
        assert_eq!(without_secret("an apple", &SecretString::from("a")), "an apple");
    }
}
