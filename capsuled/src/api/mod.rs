//! HTTP on the Unix socket: extract, call a use case, respond.
//!
//! From the outside in: `server` drives connections and asks the kernel who is there; `observe` gives
//! every request an id, completes problems and logs; `access` matches the request to its operation and
//! refuses what the peer may not do; `body` reads what was sent, bounded; `changes` carries changes out to
//! the end and once; the handlers in `v1` do the rest. One list, `routes`, makes both the router and the
//! OpenAPI document, so there is no route without documentation, and none without an access rule either:
//! `access` refuses it and a test fails. Status codes are in `error` and nowhere else.

mod access;
mod body;
mod changes;
mod document;
mod error;
mod events;
mod extract;
mod monitoring;
mod observe;
mod page;
mod peer;
mod respond;
mod server;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upgrade;
mod v1;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, Request},
    http::{Method, Uri},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::net::UnixListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::{
    access::Operations,
    changes::Changes,
    error::ApiError,
    server::{Limits, Server},
};
use crate::{context::Context, usecases::remote::Remote};

/// What handlers share. Cheap to clone.
#[derive(Clone)]
struct Api {
    context: Context,
    /// Ends streams and waits.
    stop: CancellationToken,
    /// Streams that go on after their request was answered, and changes.
    tasks: TaskTracker,
    /// Open shells and tunnels.
    remote: Remote,
    /// The OpenAPI document.
    document: Arc<str>,
    /// The page that shows it.
    page: Arc<str>,
}

impl FromRef<Api> for Context {
    fn from_ref(api: &Api) -> Self {
        api.context.clone()
    }
}

/// Answers requests on `listener` until `stop`; returns when the requests in flight have ended or had their
/// grace.
pub async fn serve(context: Context, listener: UnixListener, stop: CancellationToken) {
    let changes = TaskTracker::new();
    let server = Server {
        own_uid: context.own_uid,
        groups: Some(peer::role_groups()),
        limits: Limits::default(),
        router: router(context, stop.clone(), changes.clone()),
    };
    server.run(listener, stop).await;
    // A change whose client went away is carried out to the end all the same.
    changes.close();
    if tokio::time::timeout(server::GRACE, changes.wait()).await.is_err() {
        tracing::warn!(changes = changes.len(), "some changes did not end in time");
    }
}

/// Every route with its layers. `changes` tracks the changes that are being carried out, and streams.
fn router(context: Context, stop: CancellationToken, changes: TaskTracker) -> Router {
    let (routes, mut document) = routes().split_for_parts();
    document::complete(&mut document);
    let operations = Operations::of(&document);
    let (tasks, remote) = (changes.clone(), Remote::default());
    let changes = Changes::new(context.store.clone(), operations.clone(), changes);
    let document_text = document_text(&document);
    let (page, document) = (page::render(document).into(), document_text.into());
    let api = Api { context, stop, tasks, remote, page, document };
    let layers = ServiceBuilder::new()
        .layer(from_fn(observe::observe))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(operations, access::check))
        .layer(from_fn(body::read))
        .layer(from_fn_with_state(changes, changes::carry_out));
    routes
        .with_state(api)
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers)
}

/// Every operation.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::front_matter())
        .merge(v1::routes())
        .merge(events::routes())
        .merge(monitoring::routes())
}

/// The OpenAPI document as it is committed and served.
pub fn openapi_json() -> String {
    let mut document = routes().into_openapi();
    document::complete(&mut document);
    document_text(&document)
}

fn document_text(document: &OpenApi) -> String {
    let mut text = document.to_pretty_json().expect("the document has string keys and finite numbers");
    text.push('\n');
    text
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::NoSuchPath(uri.path().to_owned())
}

async fn method_not_allowed(method: Method, request: Request) -> ApiError {
    ApiError::MethodNotAllowed { method: method.to_string(), path: request.uri().path().to_owned() }
}

/// The panic itself is in the log already, written by the panic hook.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::Panicked.into_response()
}
