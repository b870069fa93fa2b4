//! A whole API for tests: real databases in a directory of their own, the real router on a real Unix socket.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, header},
};
use bytes::Bytes;
use capsule_api::{Role, XNode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    peer::Peer,
    router,
    server::{Limits, Server},
};
use crate::{
    clock::Clock,
    context::{Clouds, Context, Live, TaskBoard, Wakes},
    faults::Faults,
    notify::Notifier,
    secret::Seal,
    store::Store,
};

/// How long anything in a test may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// An API that is being served.
pub(super) struct TestApi {
    pub context: Context,
    pub socket: PathBuf,
    pub stop: CancellationToken,
    pub server: JoinHandle<()>,
    router: Router,
    _directory: TempDir,
}

impl TestApi {
    /// Serves an empty inventory.
    pub async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub async fn start_with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let context = context(&directory).await;
        let stop = CancellationToken::new();
        let socket = directory.path().join("test.sock");
        let listener = UnixListener::bind(&socket).expect("listening");
        let router = router(context.clone(), stop.clone(), TaskTracker::new());
        let server = Server { router: router.clone(), groups: None, own_uid: context.own_uid, limits };
        let server = tokio::spawn(server.run(listener, stop.clone()));
        Self { context, socket, stop, server, router, _directory: directory }
    }

    /// A connection of our own making.
    pub async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.expect("connected")
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        Call::new(self, "GET", path)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        Call::new(self, "POST", path)
    }

    pub fn patch(&self, path: &str) -> Call<'_> {
        Call::new(self, "PATCH", path)
    }

    pub fn put(&self, path: &str) -> Call<'_> {
        Call::new(self, "PUT", path)
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        Call::new(self, "DELETE", path)
    }

    /// Adds an xNode with the usual checks.
    pub async fn add_xnode(&self, name: &str) -> XNode {
        let reply = self.post("/v1/xnodes").json(json!({"name": name, "address": "192.0.2.10"})).send().await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        serde_json::from_value(reply.json).expect("an xNode")
    }

    /// The names in the inventory.
    pub async fn names(&self) -> Vec<String> {
        let reply = self.get("/v1/xnodes").send().await;
        let items = reply.json["items"].as_array().expect("a page").clone();
        items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
    }
}

async fn context(directory: &TempDir) -> Context {
    let clock = Clock::system();
    // The store outlives the server: it closes with the test's runtime.
    let opened = Store::open(directory.path(), clock.clone(), CancellationToken::new()).await;
    let (store, loops) = opened.expect("a fresh store");
    tokio::spawn(loops.capsule);
    tokio::spawn(loops.telemetry);
    Context {
        started_at: clock.now(),
        store,
        clock,
        faults: Faults::default(),
        seal: Arc::new(Seal::create(&directory.path().join("seal.key")).expect("a seal")),
        live: Arc::new(Live::default()),
        wakes: Arc::new(Wakes::default()),
        tasks: Arc::new(TaskBoard::default()),
        notifier: Arc::new(Notifier::new(crate::notify::Deadlines::default())),
        clouds: Arc::new(Clouds::default()),
        metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
        state_dir: Arc::new(directory.path().to_owned()),
        agent_socket: None,
        own_uid: nix::unistd::geteuid().as_raw(),
    }
}

/// A peer that is somebody else.
pub(super) fn peer(uid: u32, role: Option<Role>) -> Peer {
    Peer { uid, gid: uid, pid: None, groups: Vec::new(), name: format!("user-{uid}").into(), role }
}

/// A request to be sent.
pub(super) struct Call<'a> {
    api: &'a TestApi,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    peer: Option<Peer>,
}

impl<'a> Call<'a> {
    fn new(api: &'a TestApi, method: &'static str, path: &str) -> Self {
        Self { api, method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new(), peer: None }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn json(self, body: Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    pub fn raw(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Asks as somebody else than the user the tests run as: past the socket, which knows only that one.
    pub fn by(mut self, peer: Peer) -> Self {
        self.peer = Some(peer);
        self
    }

    fn request<B: From<Full<Bytes>>>(&self) -> Request<B> {
        let mut request = Request::builder().method(self.method).uri(&self.path).header("host", "capsule");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(self.body.clone()).into()).expect("a request")
    }

    pub async fn send(self) -> Reply {
        timeout(DEADLINE, self.send_unbounded()).await.expect("an answer in time")
    }

    async fn send_unbounded(mut self) -> Reply {
        if let Some(peer) = self.peer.take() {
            let request = self.request::<Full<Bytes>>().map(Body::new);
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(peer);
            let response = self.api.router.clone().oneshot(Request::from_parts(parts, body)).await;
            let (parts, body) = response.expect("the router is infallible").into_parts();
            return Reply::new(parts, body.collect().await.expect("a body").to_bytes());
        }
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(self.api.connect().await)).await.expect("a connection");
        tokio::spawn(connection);
        let response = sender.send_request(self.request::<Full<Bytes>>()).await.expect("a response");
        let (parts, body) = response.into_parts();
        Reply::new(parts, body.collect().await.expect("a body").to_bytes())
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON, null when it is none.
    pub json: Value,
}

impl Reply {
    fn new(parts: axum::http::response::Parts, body: Bytes) -> Self {
        let text = String::from_utf8_lossy(&body).into_owned();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// Asserts that this is a problem with this status and code.
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header(header::CONTENT_TYPE.as_str()), "application/problem+json");
        assert_eq!(self.json["status"], status);
        assert_eq!(self.json["request_id"].as_str(), Some(self.header("x-request-id")));
    }
}
