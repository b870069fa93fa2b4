//! How changes are carried out: to the end, and once.
//!
//! *To the end*: a change runs in a task of its own, so a client that hangs up after the commit does not
//! take the wake-up calls that follow it along.
//!
//! *Once*: a POST may carry an `Idempotency-Key`. The same user sending the same request with the same key
//! within 24 hours gets the stored reply, marked `Idempotent-Replayed: true`. The body is stored in the
//! transaction of the change (see [`crate::store::Store::change`]), status and location right after it; when
//! we are killed between the two they are derived. A key that came with another request is refused, and so
//! is a repeat while the first is being carried out. A request that failed changed nothing and may be
//! repeated with its key.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{access::Operations, body::ReadBody, error::ApiError, peer::Peer, respond::etag};
use crate::{
    logging::Chain,
    model::IdempotencyKey,
    store::{
        Lane, Store, StoreError,
        idempotency::{self, Stored},
    },
    usecases::UseCaseError,
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const LONGEST_KEY: usize = 255;

/// A user's key.
type Owner = (u32, String);

/// What carries changes out. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    store: Store,
    operations: Operations,
    tasks: TaskTracker,
    running: Arc<Mutex<HashSet<Owner>>>,
}

impl Changes {
    pub(super) fn new(store: Store, operations: Operations, tasks: TaskTracker) -> Self {
        Self { store, operations, tasks, running: Arc::default() }
    }

    /// Marks the key as being carried out; `None` when it is already.
    fn begin(&self, owner: Owner) -> Option<Running> {
        let added = self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(owner.clone());
        added.then(|| Running { owner, running: Arc::clone(&self.running) })
    }

    async fn find(&self, owner: &Owner) -> Result<Option<Stored>, UseCaseError> {
        Ok(idempotency::find(&mut *self.store.reader().await?, owner.0, &owner.1).await?)
    }

    /// Stores what only the reply says. The change stands even when this fails.
    async fn finish(&self, (uid, name): Owner, status: u16, location: Option<String>) {
        let stored: Result<(), StoreError> = self
            .store
            .write(Lane::Normal, move |tx| {
                Box::pin(
                    async move { idempotency::set_status(tx, uid, &name, status, location.as_deref()).await },
                )
            })
            .await;
        if let Err(error) = stored {
            warn!(error = %Chain(&error), "could not store the status of an idempotent reply");
        }
    }
}

/// A key being carried out; forgotten when dropped.
struct Running {
    owner: Owner,
    running: Arc<Mutex<HashSet<Owner>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.owner);
    }
}

/// Carries out a change; reads pass through.
pub(super) async fn carry_out(
    State(changes): State<Changes>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let Some(key) = key_of(&request)? else {
        return to_the_end(&changes.tasks, next.run(request)).await;
    };
    let uid = request.extensions().get::<Peer>().ok_or(ApiError::NoPeer)?.uid;
    let running = changes.begin((uid, key.name.clone())).ok_or(ApiError::IdempotencyRunning)?;
    if let Some(stored) = changes.find(&running.owner).await? {
        if stored.fingerprint != key.fingerprint {
            return Err(ApiError::IdempotencyMismatch);
        }
        return Ok(replay(&changes.operations, &request, stored));
    }
    request.extensions_mut().insert(key);
    let tasks = changes.tasks.clone();
    let work = async move {
        let response = next.run(request).await;
        if response.status().is_success() {
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let (status, location) = (response.status().as_u16(), location.map(str::to_owned));
            changes.finish(running.owner.clone(), status, location).await;
        }
        response
    };
    to_the_end(&tasks, work).await
}

async fn to_the_end(
    tasks: &TaskTracker,
    work: impl Future<Output = Response> + Send + 'static,
) -> Result<Response, ApiError> {
    tasks.spawn(work).await.map_err(|_| ApiError::Panicked)
}

/// The request's key, with a hash over what makes it this request.
fn key_of(request: &Request) -> Result<Option<IdempotencyKey>, ApiError> {
    if request.method() != Method::POST {
        return Ok(None);
    }
    let Some(value) = request.headers().get(KEY) else { return Ok(None) };
    let unfit =
        || ApiError::UnfitHeader { name: "Idempotency-Key", reason: "1 to 255 visible ASCII characters" };
    let name = value.to_str().map_err(|_| unfit())?;
    if name.is_empty() || LONGEST_KEY < name.len() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unfit());
    }
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let body = request.extensions().get::<ReadBody>().cloned().unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(target.as_bytes());
    hash.update(b"\n");
    hash.update(&body.0);
    let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(IdempotencyKey { name: name.to_owned(), fingerprint }))
}

fn replay(operations: &Operations, request: &Request, stored: Stored) -> Response {
    let body = stored.body.unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let status = stored.status.or_else(|| operations.success(path, request.method())).unwrap_or(200);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let location = stored.location.or_else(|| derived_location(status, request.uri().path(), &value));
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(revision) = value.get("revision").and_then(serde_json::Value::as_i64) {
        headers.insert(header::ETAG, etag(revision));
    }
    if let Some(location) = location.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// Where the thing is, when we were killed before we could store it.
fn derived_location(status: StatusCode, path: &str, body: &serde_json::Value) -> Option<String> {
    let id = body.get("id")?.as_str()?;
    match status {
        StatusCode::CREATED => Some(format!("{path}/{id}")),
        StatusCode::ACCEPTED => Some(format!("/v1/operations/{id}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::{select, sync::oneshot};

    use super::*;

    #[tokio::test]
    async fn a_change_that_has_begun_is_carried_out_when_its_client_hangs_up() {
        let tasks = TaskTracker::new();
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let work = async move {
            let _ = begun.send(());
            let _ = may_go_on.await;
            let _ = done.send(());
            StatusCode::OK.into_response()
        };
        select! {
            biased;
            _ = to_the_end(&tasks, work) => panic!("it was told to wait"),
            started = has_begun => started.expect("it begins"),
        }
        // What waited for the answer is gone now, as it is when a connection ends.
        go_on.send(()).expect("it is still there");
        is_done.await.expect("it was carried out");
    }

    #[test]
    fn a_reply_whose_status_was_lost_with_the_power_is_derived() {
        let stored = Stored {
            fingerprint: String::new(),
            body: Some(json!({"id": "7", "revision": 3}).to_string()),
            status: None,
            location: None,
        };
        let request = Request::post("/v1/xnodes").body(Body::empty()).expect("a request");
        let response = replay(&Operations::default(), &request, stored);
        assert_eq!(
            (response.status(), &response.headers()[REPLAYED]),
            (StatusCode::OK, &HeaderValue::from_static("true"))
        );
        assert_eq!(response.headers()[header::ETAG], "\"3\"");

        let at = |status, path| derived_location(status, path, &json!({"id": "7"}));
        assert_eq!(at(StatusCode::CREATED, "/v1/xnodes").as_deref(), Some("/v1/xnodes/7"));
        assert_eq!(at(StatusCode::ACCEPTED, "/v1/xnodes/7/health/run").as_deref(), Some("/v1/operations/7"));
        assert_eq!(at(StatusCode::OK, "/v1/channels/7/test"), None);
    }
}
