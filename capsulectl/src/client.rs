//! The connection to the daemon: one HTTP/1.1 connection over the Unix socket, opened when first needed.
//!
//! This is hyper's client connection and not reqwest. In a workspace build reqwest carries the daemon's TLS
//! features, and constructing its client then loads the system's trust anchors: several milliseconds spent
//! on certificates a Unix socket never shows, for a program whose whole budget is five. The method to turn
//! that off does not exist when the client is built alone, so the source would compile in only one of both.
//!
//! Every step has a deadline and every answer a size limit. Answers stay raw text until somebody needs
//! their fields, so `-o json` passes through what the daemon said, including fields newer than this client.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use capsule_api::{Page, Problem};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::SendRequest,
    header::{self, HeaderMap, HeaderValue},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::{net::UnixStream, sync::Mutex, time::timeout};

use crate::error::{Error, Result};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// A page of 1,000 xNodes with 64 checks each stays below this.
const MAX_ANSWER_BYTES: usize = 128 << 20;
/// How much longer than an answer a stream may take to begin.
const UPGRADE_HOLD: Duration = Duration::from_secs(60);
/// The most rows the daemon puts on one page.
const PAGE_ROWS: u32 = 1000;

type Sender = SendRequest<Full<Bytes>>;

/// Speaks to one daemon.
pub struct Client {
    socket: PathBuf,
    answer_deadline: Duration,
    connection: Mutex<Option<Sender>>,
}

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    /// The body as it came; empty for 204.
    pub text: String,
    /// The `ETag`, to be sent back as `If-Match`.
    pub etag: Option<String>,
}

impl Answer {
    /// The body's fields.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.text).map_err(Error::Answer)
    }
}

/// Which state of a thing a change applies to.
#[derive(Debug, Clone, Copy)]
pub enum Precondition<'a> {
    /// Whatever it is by now.
    Any,
    /// The state that carried this `ETag`; a change in between is refused.
    Unchanged(&'a str),
}

impl Client {
    /// A client that connects when it is first used. `answer_deadline` bounds each answer.
    pub fn new(socket: PathBuf, answer_deadline: Duration) -> Self {
        Self { socket, answer_deadline, connection: Mutex::new(None) }
    }

    /// Reads one thing.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(request(Method::GET, path, Body::None), self.answer_deadline).await
    }

    /// Reads one thing the daemon may hold back for up to `hold`.
    pub async fn get_held(&self, path: &str, hold: Duration) -> Result<Answer> {
        self.call(request(Method::GET, path, Body::None), self.answer_deadline + hold).await
    }

    /// Reads every page of a list; the rows stay raw.
    pub async fn list(&self, path: &str, filter: &impl Serialize) -> Result<Vec<Box<RawValue>>> {
        let mut pairs = query_pairs(filter);
        if !pairs.iter().any(|(key, _)| key == "limit") {
            pairs.push(("limit".to_owned(), PAGE_ROWS.to_string()));
        }
        self.pages(path, pairs, usize::MAX).await
    }

    /// Reads the first `most` rows of a list, which may take several pages.
    pub async fn list_first(
        &self,
        path: &str,
        filter: &impl Serialize,
        most: usize,
    ) -> Result<Vec<Box<RawValue>>> {
        let mut pairs = query_pairs(filter);
        pairs.push(("limit".to_owned(), most.clamp(1, PAGE_ROWS as usize).to_string()));
        self.pages(path, pairs, most).await
    }

    /// Reads a list that does not come in pages.
    pub async fn list_all(&self, path: &str, filter: &impl Serialize) -> Result<Vec<Box<RawValue>>> {
        self.pages(path, query_pairs(filter), usize::MAX).await
    }

    async fn pages(
        &self,
        path: &str,
        mut pairs: Vec<(String, String)>,
        most: usize,
    ) -> Result<Vec<Box<RawValue>>> {
        let mut rows = Vec::new();
        loop {
            let page: Page<Box<RawValue>> = self.get(&with_query(path, &pairs)).await?.parse()?;
            let came = page.items.len();
            rows.extend(page.items);
            let Some(cursor) = page.next_cursor.filter(|_| came > 0 && rows.len() < most) else {
                rows.truncate(most);
                return Ok(rows);
            };
            pairs.retain(|(key, _)| key != "cursor");
            pairs.push(("cursor".to_owned(), cursor));
        }
    }

    /// Makes or starts something. The request carries an idempotency key.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.call(keyed_post(path, body)?, self.answer_deadline).await
    }

    /// Starts something the daemon may need up to `hold` for before it answers.
    pub async fn post_held(&self, path: &str, body: &impl Serialize, hold: Duration) -> Result<Answer> {
        self.call(keyed_post(path, body)?, self.answer_deadline + hold).await
    }

    /// Changes a thing in the given state.
    pub async fn patch(&self, path: &str, on: Precondition<'_>, body: &impl Serialize) -> Result<Answer> {
        let mut request = request(Method::PATCH, path, Body::of(body)?);
        add_precondition(&mut request, on)?;
        self.call(request, self.answer_deadline).await
    }

    /// Changes a thing in the given state; the daemon may need up to `hold` before it answers.
    pub async fn patch_held(
        &self,
        path: &str,
        on: Precondition<'_>,
        body: &impl Serialize,
        hold: Duration,
    ) -> Result<Answer> {
        let mut request = request(Method::PATCH, path, Body::of(body)?);
        add_precondition(&mut request, on)?;
        self.call(request, self.answer_deadline + hold).await
    }

    /// Sets a thing as a whole.
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.call(request(Method::PUT, path, Body::of(body)?), self.answer_deadline).await
    }

    /// Removes a thing in the given state.
    pub async fn delete(&self, path: &str, on: Precondition<'_>) -> Result<Answer> {
        let mut request = request(Method::DELETE, path, Body::None);
        add_precondition(&mut request, on)?;
        self.call(request, self.answer_deadline).await
    }

    /// Opens a stream of its own that stays open; the caller reads it with deadlines of its own.
    pub async fn open_stream(&self, path: &str, headers: HeaderMap) -> Result<Incoming> {
        let mut request = request(Method::GET, path, Body::None);
        request.headers_mut().extend(headers);
        let mut sender = self.connect().await?;
        let reply = self.within("the daemon's answer", sender.send_request(request)).await?;
        match reply.status() {
            StatusCode::OK => Ok(reply.into_body()),
            _ => Err(self
                .read(reply, self.answer_deadline)
                .await
                .err()
                .unwrap_or(Error::Malformed("a stream was asked for and something else came"))),
        }
    }

    /// Turns a connection of its own into a stream of `protocol`. The daemon may have to log in to a server first,
    /// through other servers, so it gets a minute more than for an answer.
    pub async fn upgrade(
        &self,
        path: &str,
        protocol: &'static str,
        body: &impl Serialize,
    ) -> Result<TokioIo<Upgraded>> {
        let mut request = request(Method::POST, path, Body::of(body)?);
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(protocol));
        let mut sender = self.connect().await?;
        let deadline = self.answer_deadline + UPGRADE_HOLD;
        let reply = timeout(deadline, sender.send_request(request)).await;
        let reply = reply.map_err(|_| late(deadline))?.map_err(Error::Broken)?;
        if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
            let refused = self.read(reply, self.answer_deadline).await.err();
            return Err(refused.unwrap_or(Error::Malformed("a stream was asked for and something else came")));
        }
        self.within("the stream", hyper::upgrade::on(reply)).await.map(TokioIo::new)
    }

    async fn call(&self, request: Request<Full<Bytes>>, deadline: Duration) -> Result<Answer> {
        let mut connection = self.connection.lock().await;
        let mut sender = match connection.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        tracing::debug!(method = %request.method(), uri = %request.uri(), "request");
        let repeat = request.clone();
        let reply = match timeout(deadline, sender.send_request(request)).await {
            // The daemon closed an idle connection while we were writing: nothing was handled, ask again.
            Ok(Err(error)) if error.is_canceled() => {
                sender = self.connect().await?;
                timeout(deadline, sender.send_request(repeat)).await
            }
            other => other,
        };
        let reply = reply.map_err(|_| late(deadline))?.map_err(Error::Broken)?;
        let answer = self.read(reply, deadline).await;
        *connection = Some(sender);
        answer
    }

    async fn read(&self, reply: Response<Incoming>, deadline: Duration) -> Result<Answer> {
        let status = reply.status();
        tracing::debug!(status = status.as_u16(), "answer");
        let etag = reply.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let body = Limited::new(reply.into_body(), MAX_ANSWER_BYTES).collect();
        let bytes = timeout(deadline, body)
            .await
            .map_err(|_| late(deadline))?
            .map_err(|_| Error::Malformed("it broke off or was too large"))?
            .to_bytes();
        let text = String::from_utf8(bytes.into()).map_err(|_| Error::Malformed("it is not text"))?;
        if status.is_success() {
            return Ok(Answer { text, etag });
        }
        Err(Error::Refused(Box::new(problem(status, &text))))
    }

    async fn connect(&self) -> Result<Sender> {
        let unreachable = |source| Error::Unreachable { socket: self.socket.clone(), source };
        let stream = timeout(CONNECT_DEADLINE, UnixStream::connect(&self.socket))
            .await
            .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (sender, connection) = self.within("the connection", handshake).await?;
        // The driver ends with the connection; its error reaches us through the request it breaks.
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(sender)
    }

    async fn within<T>(
        &self,
        what: &str,
        work: impl Future<Output = std::result::Result<T, hyper::Error>>,
    ) -> Result<T> {
        let after = self.answer_deadline;
        timeout(after, work)
            .await
            .map_err(|_| Error::TimedOut { what: what.to_owned(), after })?
            .map_err(Error::Broken)
    }
}

enum Body {
    None,
    Json(Vec<u8>),
}

impl Body {
    fn of(value: &impl Serialize) -> Result<Self> {
        serde_json::to_vec(value).map(Self::Json).map_err(Error::Answer)
    }
}

fn late(after: Duration) -> Error {
    Error::TimedOut { what: "the daemon's answer".to_owned(), after }
}

fn request(method: Method, path: &str, body: Body) -> Request<Full<Bytes>> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::USER_AGENT, concat!("capsulectl/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "application/json");
    let request = match body {
        Body::None => builder.body(Full::default()),
        Body::Json(bytes) => {
            builder.header(header::CONTENT_TYPE, "application/json").body(Full::new(bytes.into()))
        }
    };
    request.expect("paths are percent-encoded and header values are constants")
}

/// A POST with an idempotency key of its own.
fn keyed_post(path: &str, body: &impl Serialize) -> Result<Request<Full<Bytes>>> {
    let mut request = request(Method::POST, path, Body::of(body)?);
    let key = uuid::Uuid::now_v7().to_string();
    request.headers_mut().insert("idempotency-key", header_value(&key)?);
    Ok(request)
}

fn header_value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::Malformed("a header value holds control characters"))
}

fn add_precondition(request: &mut Request<Full<Bytes>>, on: Precondition<'_>) -> Result<()> {
    let value = match on {
        Precondition::Any => HeaderValue::from_static("*"),
        Precondition::Unchanged(etag) => header_value(etag)?,
    };
    request.headers_mut().insert(header::IF_MATCH, value);
    Ok(())
}

/// The daemon's problem, or one made from the status when something else answered.
fn problem(status: StatusCode, text: &str) -> Problem {
    serde_json::from_str(text).unwrap_or_else(|_| Problem {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or("unknown status").to_owned(),
        status: status.as_u16(),
        detail: format!("the daemon answered {status}"),
        code: String::new(),
        hint: None,
        request_id: String::new(),
    })
}

/// The given fields of a filter as query pairs.
pub fn query_pairs(filter: &impl Serialize) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(filter) else { return Vec::new() };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, text(value))).collect()
}

/// A path with query parameters.
pub fn with_query(path: &str, pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return path.to_owned();
    }
    let query: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    format!("{path}?{}", query.join("&"))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 §2.3, for one path segment or one
/// query value.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use capsule_api::XNodeFilter;

    use super::*;

    #[test]
    fn nothing_a_user_types_leaves_its_path_segment() {
        assert_eq!(encode("../a b?c#d/é"), "..%2Fa%20b%3Fc%23d%2F%C3%A9");
    }

    #[test]
    fn only_given_fields_become_query_parameters() {
        let filter = XNodeFilter { q: Some("a&b".into()), limit: Some(5), ..XNodeFilter::default() };
        assert_eq!(with_query("/v1/xnodes", &query_pairs(&filter)), "/v1/xnodes?limit=5&q=a%26b");
        assert_eq!(with_query("/v1/xnodes", &query_pairs(&XNodeFilter::default())), "/v1/xnodes");
    }

    #[test]
    fn an_answer_that_is_no_problem_still_says_its_status() {
        let problem = problem(StatusCode::BAD_GATEWAY, "<html>");
        assert_eq!((problem.status, problem.detail.as_str()), (502, "the daemon answered 502 Bad Gateway"));
    }
}
