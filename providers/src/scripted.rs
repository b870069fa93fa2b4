//! A server on loopback that answers as a test tells it to and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{CallSettings, Credential, Provider};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// `METHOD path`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What to answer: a status, headers, and JSON (`null`: no body).
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Value);

/// JSON with a status.
pub(crate) fn json(status: u16, body: Value) -> Answer {
    (status, Vec::new(), body)
}

/// The server; it ends with its runtime.
pub(crate) struct Scripted {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// Starts one that answers by `answer`.
    pub async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move { respond(request, &log, &*answer).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    /// A client of `provider` that talks to this server.
    pub fn connect(&self, provider: capsule_api::ProviderName, fields: &[(&str, &str)]) -> Arc<dyn Provider> {
        let settings = CallSettings {
            max_retries: 1,
            backoff: std::time::Duration::from_millis(1),
            endpoint: Some(self.url.parse().expect("an address")),
            ..CallSettings::default()
        };
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        crate::connect(provider, &Credential { fields }, settings).expect("a client")
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while it holds this").clone()
    }

    /// What it was asked so far, as `METHOD path`.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

async fn respond(
    request: Request,
    log: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(&Seen) -> Answer + Send + Sync),
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_else(|_| Bytes::new());
    let seen = Seen {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let (status, headers, body) = answer(&seen);
    log.lock().expect("no test panics while it holds this").push(seen);
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let mut response = (StatusCode::from_u16(status).expect("a status"), text).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a header value"));
    }
    response
}

/// Every recorded answer of a vendor as `(name, status, path, body)`; `None` when they are not there.
pub(crate) fn recorded(vendor: &str) -> Option<Vec<(String, u16, String, Value)>> {
    let Some(specs) = std::env::var_os("CAPSULE_PROVIDER_SPECS") else {
        println!("NOT RUN: recorded answers of {vendor}: CAPSULE_PROVIDER_SPECS is not set");
        return None;
    };
    let folder = std::path::Path::new(&specs).join("recorded").join(vendor);
    let mut answers = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the recorded answers") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let record: Value = serde_json::from_str(&text).expect("JSON");
        let response = &record["response"];
        let status = response["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status");
        let asked = record["request"]["path"].as_str().expect("a path").to_owned();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        answers.push((name, status, asked, response["body"].clone()));
    }
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!answers.is_empty(), "no recorded answers in {}", folder.display());
    Some(answers)
}
