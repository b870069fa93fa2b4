//! The one HTTP layer that every vendor but AWS is called through.
//!
//! It owns deadlines, the size limit, repeats with backoff, `Retry-After`, the rate limit ahead of time, and the
//! difference between *did not happen* and *may have happened*. It knows no vendor: the shape of an error body
//! is the vendor's [`Classify`].
//!
//! Redirects are never followed, so a vendor (or whoever sits in between) cannot send a credential to another
//! host or make us ask a metadata address. Addresses are https, or http on loopback for tests.

mod call;

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use capsule_api::ProviderName;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{
    Client, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{CallSettings, Credential, ProviderError, Result};
pub use call::{Call, Repeat};

/// Longest answer that is read.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
/// Longest pause before a repeat; a vendor that asks for more is not asked again by this call.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The most pages that a list is read for; more is taken for a vendor that never says "end".
pub const MOST_PAGES: u32 = 1000;
/// How much of a vendor's message goes into an error.
const SHOWN_MESSAGE: usize = 300;
/// A shorter text is no credential, and taking it out would spoil messages.
const SHORTEST_SECRET: usize = 8;

/// Turns a vendor's error answer into ours. `None`: decide by the status alone.
pub type Classify = fn(StatusCode, &Value) -> Option<ProviderError>;

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
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(error))
    }

    /// The field `name` of the body, as `read` understands it; an absent one is read as `null`.
    ///
    /// # Errors
    /// As [`Self::json`], for what `read` refuses too.
    pub fn field<T>(&self, name: &str, read: impl FnOnce(Value) -> serde_json::Result<T>) -> Result<T> {
        let mut body: Value = self.json()?;
        let value = body.get_mut(name).map(Value::take).unwrap_or_default();
        read(value).map_err(|error| self.unreadable(format!("`{name}`: {error}")))
    }

    fn unreadable(&self, detail: impl ToString) -> ProviderError {
        let (provider, detail) = (self.provider, detail.to_string());
        match self.repeat {
            Repeat::Safe => ProviderError::Unreadable { provider, detail },
            Repeat::Never => ProviderError::UnknownOutcome { provider, detail },
        }
    }
}

/// One account's way to its vendor.
pub struct Http {
    provider: ProviderName,
    client: Client,
    base: Url,
    settings: CallSettings,
    limiter: DefaultDirectRateLimiter,
    creations: Option<DefaultDirectRateLimiter>,
    secret: SecretString,
    classify: Classify,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("provider", &self.provider).field("base", &self.base.as_str()).finish()
    }
}

/// The value of `Authorization` for a credential with an `api_key`; empty without one, which [`crate::connect`]
/// refuses first.
pub fn bearer(credential: &Credential) -> SecretString {
    let key = credential.fields.get("api_key").map(ExposeSecret::expose_secret).unwrap_or_default();
    SecretString::from(format!("Bearer {}", key.trim()))
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
    /// Calls that it allows.
    pub calls: Quota,
    /// Creations among them, where it counts these apart.
    pub creations: Option<Quota>,
    /// Reads its error bodies.
    pub classify: Classify,
}

/// `at_once` calls, and one more after every `pause`. Of a vendor's "so many in a window" it stays within as long as
/// what the window lets through beside the burst is no more than the rest.
///
/// # Panics
/// When either is zero.
pub fn quota(at_once: u32, pause: Duration) -> Quota {
    let quota = Quota::with_period(pause).expect("a pause");
    quota.allow_burst(NonZeroU32::new(at_once).expect("at least one call"))
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
        if !base.username().is_empty() || base.password().is_some() {
            return Err(invalid("its address must not hold a name or password"));
        }
        if !is_allowed(&base) {
            return Err(invalid("its address must be https, or http on loopback"));
        }
        let (name, secret) = vendor.auth;
        let mut value = HeaderValue::from_str(secret.expose_secret())
            .map_err(|_| invalid("the credential holds characters that no header can carry"))?;
        value.set_sensitive(true);
        let mut client = Client::builder();
        if base.scheme() == "http" {
            // A proxy would be sent the credential in clear, over the network.
            client = client.no_proxy();
        }
        let client = client
            .default_headers(HeaderMap::from_iter([(name, value)]))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT.min(settings.timeout))
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("capsuled/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| invalid(&format!("no HTTP client could be made: {error}")))?;
        let limiter = RateLimiter::direct(vendor.calls);
        let creations = vendor.creations.map(RateLimiter::direct);
        Ok(Self { provider, client, base, settings, limiter, creations, secret, classify: vendor.classify })
    }

    /// Sends a call and returns its 2xx answer.
    ///
    /// Safe calls are repeated after 429, 500, 502, 503, 504 and broken connections: after the account's
    /// backoff, doubled each time with up to 25 % jitter, or after the vendor's `Retry-After` (429 and 503) if that
    /// is at most a minute.
    ///
    /// # Errors
    /// What the vendor's [`Classify`] says, else by status; see [`ProviderError`].
    pub async fn send(&self, call: Call) -> Result<Reply> {
        let mut attempt = 0;
        loop {
            let Failure { error, after } = match self.send_once(&call).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => *failure,
            };
            let may_repeat = match call.repeat {
                Repeat::Safe => repeatable(&error),
                // A clean 429 says that nothing was made.
                Repeat::Never => matches!(error, ProviderError::RateLimited { .. }),
            };
            // To come back before the vendor wants us would break its rule, to wait that long ours.
            let too_long = after.is_some_and(|after| LONGEST_PAUSE < after);
            if !may_repeat || too_long || self.settings.max_retries <= attempt {
                return Err(error);
            }
            tokio::time::sleep(after.unwrap_or_else(|| self.backoff(attempt))).await;
            attempt += 1;
        }
    }

    /// Sends a removal; what is already gone is success.
    ///
    /// # Errors
    /// As [`Self::send`], but never [`ProviderError::NotFound`].
    pub async fn delete_gone(&self, call: Call) -> Result<()> {
        match self.send(call).await {
            Ok(_) | Err(ProviderError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The error for a list that goes on past [`MOST_PAGES`] or in circles. What was read of it must not be
    /// used: half a list of servers looks as if the others were deleted.
    pub fn endless(&self, path: &str) -> ProviderError {
        ProviderError::Unreadable { provider: self.provider, detail: format!("the list {path} has no end") }
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.settings.backoff.saturating_mul(1 << attempt.min(16));
        doubled.min(LONGEST_PAUSE).mul_f64(1.0 + rand::random::<f64>() / 4.0)
    }

    async fn send_once(&self, call: &Call) -> Attempt<Reply> {
        if let (Some(creations), Repeat::Never) = (&self.creations, call.repeat) {
            creations.until_ready().await;
        }
        self.limiter.until_ready().await;
        let began = Instant::now();
        // The deadline covers the body too: one byte a second must not hold us.
        let outcome = tokio::time::timeout(self.settings.timeout, self.exchange(call)).await;
        let took = began.elapsed();
        let method = &call.method;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(self
                .broken(call.repeat, format!("no whole answer within {:?}", self.settings.timeout))
                .into())
        });
        match &outcome {
            Ok(reply) => {
                tracing::debug!(provider = %self.provider, %method, path = call.path, status = reply.status.as_u16(), ?took, "called");
            }
            Err(failure) => {
                tracing::debug!(provider = %self.provider, %method, path = call.path, code = failure.error.code(), ?took, "called");
            }
        }
        outcome
    }

    async fn exchange(&self, call: &Call) -> Attempt<Reply> {
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
                return Err(ProviderError::Unavailable { provider, detail: without_url(error) }.into());
            }
            Err(error) => return Err(self.broken(call.repeat, without_url(error)).into()),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = self.read(call.repeat, answer).await;
        if status.is_success() {
            return Ok(Reply { provider, repeat: call.repeat, status, headers, body: body? });
        }
        let error = self.refusal(call.repeat, status, &headers, &body.unwrap_or_default());
        let says_when = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        Err(Box::new(Failure { error, after: retry_after(&headers).filter(|_| says_when) }))
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
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return ProviderError::RateLimited { provider, after: retry_after(headers) };
        }
        let detail = format!("{status}: {}", shortened(&json));
        match (self.classify)(status, &json) {
            // Whatever its body says, a vendor that fails in the middle of a creation may have made it.
            Some(_) if repeat == Repeat::Never && status.is_server_error() => {}
            Some(error) => return error,
            None => {}
        }
        match status.as_u16() {
            401 | 403 => ProviderError::Unauthorized { provider, detail },
            404 | 410 => ProviderError::NotFound { provider, what: detail },
            409 | 423 => ProviderError::Conflict { provider, detail },
            300..=399 => {
                ProviderError::Unreadable { provider, detail: format!("{status}: redirects are refused") }
            }
            408 => self.broken(repeat, detail),
            400..=499 => ProviderError::Invalid { provider, detail },
            _ => self.broken(repeat, detail),
        }
    }
}

/// One attempt's error, with the time the vendor wants to be left alone.
struct Failure {
    error: ProviderError,
    after: Option<Duration>,
}

type Attempt<T> = std::result::Result<T, Box<Failure>>;

impl From<ProviderError> for Box<Failure> {
    fn from(error: ProviderError) -> Self {
        Self::new(Failure { error, after: None })
    }
}

/// A vendor's refusal without the credential, which some repeat. `secret` is the credential or the header's value,
/// whose last word it is.
pub(crate) fn without_secret(text: &str, secret: &SecretString) -> String {
    let credential = secret.expose_secret().split_whitespace().next_back().unwrap_or_default();
    if credential.len() < SHORTEST_SECRET { text.to_owned() } else { text.replace(credential, "***") }
}

fn repeatable(error: &ProviderError) -> bool {
    matches!(error, ProviderError::RateLimited { .. } | ProviderError::Unavailable { .. })
}

/// In seconds, which is the form that every vendor here documents.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// A vendor's message, of bounded length and on one line.
pub fn shortened(message: &Value) -> String {
    let text = match message {
        Value::String(text) => text.clone(),
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
