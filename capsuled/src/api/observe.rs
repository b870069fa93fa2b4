//! The outermost layer: gives every request an id, completes problems with it, stamps every reply with
//! `X-Request-Id` and `Capsule-Version`, and writes one log line.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use capsule_api::{Problem, RequestId};
use tokio::time::Instant;
use tracing::{debug, error};
use uuid::Uuid;

use super::{error::Failure, peer::Peer};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const VERSION: HeaderName = HeaderName::from_static("capsule-version");

/// A request as the log shows it.
struct Seen {
    id: RequestId,
    method: String,
    path: String,
    uid: Option<u32>,
}

/// Runs the request with an id and finishes its reply.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let seen = Seen {
        id: RequestId(Uuid::now_v7()),
        method: request.method().to_string(),
        path: request.extensions().get::<MatchedPath>().map_or("(no route)", MatchedPath::as_str).to_owned(),
        uid: request.extensions().get::<Peer>().map(|peer| peer.uid),
    };
    request.extensions_mut().insert(seen.id);
    let started = Instant::now();
    let mut response = next.run(request).await;
    complete_problem(&mut response, seen.id);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, header_value(&seen.id.to_string()));
    headers.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    // Answers differ from caller to caller and moment to moment.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    log(&seen, &response, started.elapsed());
    response
}

fn complete_problem(response: &mut Response, id: RequestId) {
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else { return };
    problem.request_id = id.to_string();
    let body = serde_json::to_vec(&problem).expect("a problem is plain text and a number");
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.remove(header::CONTENT_LENGTH);
}

fn log(seen: &Seen, response: &Response, elapsed: Duration) {
    let Seen { id, method, path, uid } = seen;
    let status = response.status().as_u16();
    let elapsed_ms = elapsed.as_secs_f64() * 1_000.0;
    if let Some(Failure(failure)) = response.extensions().get::<Failure>() {
        error!(request.id = %id, method, path, status, error = failure, "could not answer request {id}");
    }
    debug!(request.id = %id, method, path, status, elapsed_ms, uid, "answered {method} {path} with {status}");
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("an id is visible ASCII")
}
