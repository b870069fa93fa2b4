//! One POST and what its answer means, shared by webhook and Slack.
//!
//! Redirects are not followed: a signed message goes where the operator said or nowhere. Proxies from the
//! environment are ignored for the same reason. URLs may carry tokens in path or query, so no URL ever gets
//! into an error; the host alone names the other side.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use url::Url;

use super::{Deadlines, NotifyError, target, text};

/// Of an answer's body, for the detail; the rest is dropped with the connection.
const ANSWER_BYTES: usize = 4_096;
/// Of the answer, as shown to people.
const DETAIL_BYTES: usize = 300;
/// Sets of trusted certificates that keep a client of their own.
const CLIENTS: usize = 64;
/// A connection is kept for the rest of a burst and not for the next one: a peer that has closed it
/// meanwhile would turn a plain retry into an unknown outcome.
const IDLE: Duration = Duration::from_secs(2);

/// HTTP clients by the certificates they trust, which reqwest fixes per client.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_ca: Mutex<HashMap<Option<String>, Client>>,
}

impl Clients {
    pub(super) fn get(&self, ca_pem: Option<&str>, deadlines: Deadlines) -> Result<Client, NotifyError> {
        let mut clients = self.by_ca.lock().unwrap_or_else(PoisonError::into_inner);
        let key = ca_pem.map(str::to_owned);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(ca_pem, deadlines)?;
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(ca_pem: Option<&str>, deadlines: Deadlines) -> Result<Client, NotifyError> {
    let mut builder = Client::builder()
        .user_agent(concat!("capsuled/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(deadlines.connect)
        .timeout(deadlines.http)
        .pool_idle_timeout(IDLE);
    if let Some(pem) = ca_pem {
        let trusted = target::certificates(pem).map_err(|rule| NotifyError::refused(rule.to_string()))?;
        let trusted: Result<Vec<_>, _> =
            trusted.iter().map(|der| reqwest::Certificate::from_der(der)).collect();
        builder = builder.tls_certs_only(trusted.map_err(NotifyError::unreachable)?);
    }
    builder.build().map_err(NotifyError::unreachable)
}

/// A message on its way out.
pub(super) struct Post<'a> {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// What must not come back in an error: values the other side could echo.
    pub(super) secrets: &'a [String],
}

/// What a server said when it took the message.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The beginning of the body: at most 4 KiB, printable, without secrets.
    pub(super) body: String,
    host: String,
}

impl Answer {
    /// `200 OK from example.org: queued`.
    pub(super) fn detail(&self) -> String {
        detail(self.status, &self.host, &self.body)
    }
}

/// Sends `post` once. `Ok` for every 2xx status.
pub(super) async fn send(client: &Client, post: Post<'_>, now: Timestamp) -> Result<Answer, NotifyError> {
    let host = post.url.host_str().unwrap_or_default().to_owned();
    let request = client
        .post(post.url)
        .headers(post.headers)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(post.body);
    let response = request.send().await.map_err(classify)?;
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, now));
    let body = text::scrub(&beginning(response).await, post.secrets);
    if status.is_success() {
        return Ok(Answer { status, body: text::clean(&body, ANSWER_BYTES), host });
    }
    let detail = detail(status, &host, &body);
    match is_transient(status) {
        true => Err(NotifyError::Busy { after, detail }),
        false => Err(NotifyError::Refused { detail }),
    }
}

/// Statuses after which the same request may succeed (RFC 9110 §15.5.9, §15.6; RFC 6585 §4; RFC 8470 §5.2).
/// A redirect is not among them: following it is the operator's decision.
fn is_transient(status: StatusCode) -> bool {
    const TOO_EARLY: u16 = 425;
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status.as_u16() == TOO_EARLY
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// Only a request that never had a connection certainly did not arrive.
fn classify(error: reqwest::Error) -> NotifyError {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        return NotifyError::unreachable(error);
    }
    NotifyError::unknown(error)
}

/// The first 4 KiB of the body. The status has already decided, so a body that breaks off, or does not
/// come within the client's deadline, is as good as an empty one.
async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn detail(status: StatusCode, host: &str, body: &str) -> String {
    let said = text::clean(body.trim(), DETAIL_BYTES);
    let separator = if said.is_empty() { "" } else { ": " };
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("{}{reason} from {host}{separator}{said}", status.as_u16())
}

/// `Retry-After` in seconds or as an HTTP date (RFC 9110 §10.2.3); a date that has passed is zero.
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::samples::time;
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = time("2026-11-20T22:00:00Z");
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Fri, 20 Nov 2026 22:01:30 GMT", Some(90)),
            ("Fri, 20 Nov 2026 21:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            let value = HeaderValue::from_str(text).expect("a header value");
            assert_eq!(retry_after(&value, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn statuses_that_may_pass_are_transient_and_others_are_not() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(is_transient(StatusCode::from_u16(status).expect("a status")), "{status}");
        }
        for status in [301, 304, 307, 400, 401, 403, 404, 410, 413, 422] {
            assert!(!is_transient(StatusCode::from_u16(status).expect("a status")), "{status}");
        }
    }
}
