//! HTTP/1.1 on one side, a vendor's answers and the switches on the other. The only place that cuts, holds or
//! spoils an answer, so that no vendor's file can forget to.

use std::{convert::Infallible, fmt, io, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::{
    Response, StatusCode,
    body::Incoming,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, LOCATION, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    Recorded, Shared,
    speech::{Answer, Refusal, Request},
    switches::Fault,
};

/// What [`Fault::Enormous`] announces.
const ENORMOUS_BYTES: u64 = 10_000_000_000;
const CHUNK: Bytes = Bytes::from_static(&[b' '; 64 * 1024]);

/// Ends the connection without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by a switch")
    }
}

impl std::error::Error for Cut {}

/// Serves until it is dropped, and every connection with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| converse(Arc::clone(&shared), request));
            // A connection that a switch cuts ends in an error; the test looks at what was recorded.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Result<Response<Body>, Cut> {
    let request = read(request).await?;
    let (latency, fault) = {
        let mut settings = shared.switches.lock();
        let creation = (shared.speech.is_creation)(&request);
        let before = if creation { settings.before_creates.pop_front() } else { None };
        (settings.latency, before.or_else(|| settings.next.pop_front()))
    };
    let position = record(&shared, &request);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (answer, fault) = match fault {
        Some(fault) if !fault.is_carried_out() => (Answer::empty(200), Some(fault)),
        fault => carry_out(&shared, &request, fault),
    };
    let response = spoil(&shared, answer, fault).await?;
    shared.requests.lock().expect("unpoisoned")[position].status = Some(response.status().as_u16());
    Ok(response)
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Cut> {
    let (head, body) = request.into_parts();
    let raw = body.collect().await.map_err(|_| Cut)?.to_bytes().to_vec();
    let query = head.uri.query().unwrap_or_default();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    Ok(Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        origin: format!("http://{host}"),
        headers: head.headers,
        body: serde_json::from_slice(&raw).unwrap_or(Value::Null),
        raw,
    })
}

/// Remembers a request and says where.
fn record(shared: &Shared, request: &Request) -> usize {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
    let body = match &request.body {
        Value::Null if !request.raw.is_empty() => {
            Value::String(String::from_utf8_lossy(&request.raw).into_owned())
        }
        json => json.clone(),
    };
    let recorded = Recorded {
        method: request.method.to_string(),
        path: if query.is_empty() { request.path.clone() } else { format!("{}?{query}", request.path) },
        body,
        credential: credential(shared, request),
        status: None,
    };
    let mut requests = shared.requests.lock().expect("unpoisoned");
    requests.push(recorded);
    requests.len() - 1
}

fn credential(shared: &Shared, request: &Request) -> Option<String> {
    let (header, prefix) = shared.speech.credential;
    let value = request.headers.get(header)?.to_str().ok()?.strip_prefix(prefix)?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// Lets the vendor answer. A creation that was carried out may bring a fault of its own.
fn carry_out(shared: &Shared, request: &Request, fault: Option<Fault>) -> (Answer, Option<Fault>) {
    let credential = credential(shared, request);
    let mut settings = shared.switches.lock();
    let accepted = match (&settings.only_credential, &credential) {
        _ if settings.unauthorised => false,
        (Some(only), Some(own)) => only == own,
        (_, None) => (shared.speech.is_public)(request),
        (None, Some(_)) => true,
    };
    if !accepted {
        let mut answer = (shared.speech.refuse)(Refusal::Unauthorised);
        if let (true, Some(credential)) = (settings.echo_credential, &credential) {
            answer = echoing(&answer, credential);
        }
        return (answer, fault);
    }
    let mut world = shared.world.lock().expect("no answer panics");
    let before = world.creates;
    let answer = (shared.speech.answer)(request, &mut world, &mut settings);
    let was_made = world.creates != before;
    let after = if was_made { settings.after_creates.pop_front() } else { None };
    (answer, after.or(fault))
}

/// An answer whose every text ends in the credential.
fn echoing(answer: &Answer, credential: &str) -> Answer {
    fn append(value: &mut Value, credential: &str) {
        match value {
            Value::String(text) => *text = format!("{text}: {credential}"),
            Value::Array(items) => items.iter_mut().for_each(|item| append(item, credential)),
            Value::Object(fields) => fields.values_mut().for_each(|field| append(field, credential)),
            _ => {}
        }
    }
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    append(&mut body, credential);
    Answer::json(answer.status, &body)
}

async fn spoil(shared: &Shared, answer: Answer, fault: Option<Fault>) -> Result<Response<Body>, Cut> {
    let Some(fault) = fault else { return Ok(plain(answer)) };
    Ok(match fault {
        Fault::Cut => return Err(Cut),
        Fault::Hang => std::future::pending::<Infallible>().await.into_response(),
        Fault::Status { status, retry_after } => {
            let mut response = plain((shared.speech.refuse)(Refusal::Failing(status)));
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            response
        }
        Fault::Redirect(to) => {
            let mut response = plain(Answer::empty(307));
            let to = HeaderValue::from_str(&to).expect("an address is a header value");
            response.headers_mut().insert(LOCATION, to);
            response
        }
        Fault::Truncated => {
            let (length, half) = (answer.body.len(), answer.body.len() / 2);
            let start = Bytes::copy_from_slice(&answer.body[..half]);
            let end = stream::once(async {
                // Lets what came before out on the wire.
                tokio::task::yield_now().await;
                Err(io::Error::other("truncated by a switch"))
            });
            let parts = stream::iter([Ok::<Bytes, io::Error>(start)]).chain(end);
            announced(&answer, length as u64, Body::from_stream(parts))
        }
        Fault::Garbage => {
            let page =
                [b"<html><body>Bad \xff\xfe Gateway</body></html>".as_slice(), &[0, 159, 146, 150]].concat();
            plain(Answer { status: 200, headers: Vec::new(), content_type: "application/json", body: page })
        }
        Fault::Endless => {
            body_of(&answer, Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(CHUNK))))
        }
        Fault::Enormous => {
            let parts =
                stream::iter((0..ENORMOUS_BYTES / CHUNK.len() as u64).map(|_| Ok::<_, Infallible>(CHUNK)));
            announced(&answer, ENORMOUS_BYTES, Body::from_stream(parts))
        }
        Fault::Dripping => {
            let length = answer.body.len() as u64;
            let bytes = answer.body.clone().into_iter();
            let drops = stream::unfold(bytes, |mut left| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                left.next().map(|byte| (Ok::<_, Infallible>(Bytes::copy_from_slice(&[byte])), left))
            });
            announced(&answer, length, Body::from_stream(drops))
        }
    })
}

/// Something that never is.
trait Never {
    fn into_response(self) -> Response<Body>;
}

impl Never for Infallible {
    fn into_response(self) -> Response<Body> {
        match self {}
    }
}

fn plain(answer: Answer) -> Response<Body> {
    let body = Body::from(answer.body.clone());
    body_of(&answer, body)
}

fn body_of(answer: &Answer, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("a status");
    let headers = response.headers_mut();
    if !answer.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    }
    for (name, value) in &answer.headers {
        headers.insert(*name, HeaderValue::from_str(value).expect("a header value"));
    }
    response
}

fn announced(answer: &Answer, length: u64, body: Body) -> Response<Body> {
    let mut response = body_of(answer, body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}
