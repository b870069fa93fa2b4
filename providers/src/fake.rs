//! A vendor of a few lines for the tests of the vendors' files: it answers by a function and keeps what it was
//! asked. And the vendors' own recorded answers, where they are there.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::IntoResponse,
};
use capsule_api::{Arch, InstanceRef, ProviderName};
use serde_json::Value;

use crate::{CallSettings, Credential, Mark, NewInstance, Provider};

/// A request as the fake saw it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `GET /v2/things`, without the query.
    pub(crate) line: String,
    /// `GET`.
    pub(crate) method: String,
    /// `/v2/things`.
    pub(crate) path: String,
    /// The query's parameters.
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    /// The body; what is no JSON as a text, `null` without one.
    pub(crate) body: Value,
}

/// What to answer: a status and JSON (`null`: no body).
pub(crate) type Answer = (u16, Value);

/// The same with headers, for a vendor that says something in them.
pub(crate) type HeadedAnswer = (u16, Vec<(&'static str, String)>, Value);

/// A running fake; it ends with its runtime.
pub(crate) struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Starts one that answers by `answer`.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_headed(move |asked| {
            let (status, json) = answer(asked);
            (status, Vec::new(), json)
        })
        .await
    }

    /// Starts one that answers by `answer`, headers and all.
    pub(crate) async fn start_headed(
        answer: impl Fn(&Asked) -> HeadedAnswer + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let respond = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let asked = read(&method, &uri, headers, &body);
            let (status, headers, json) = answer(&asked);
            log.lock().expect("no panic while it is held").push(asked);
            let text = if json.is_null() { String::new() } else { json.to_string() };
            let mut response = (StatusCode::from_u16(status).expect("a status"), text).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("a header value"));
            }
            std::future::ready(response)
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(respond)).await });
        Self { port, asked }
    }

    /// A client of it whose credential is one key.
    pub(crate) fn client(&self, provider: ProviderName) -> Arc<dyn Provider> {
        self.connect(provider, &[("api_key", "key")])
    }

    /// A client of it that repeats once, without a pause worth mentioning.
    pub(crate) fn connect(&self, provider: ProviderName, fields: &[(&str, &str)]) -> Arc<dyn Provider> {
        let settings = CallSettings {
            max_retries: 1,
            backoff: Duration::from_millis(1),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port).parse().expect("a URL")),
            ..CallSettings::default()
        };
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        crate::connect(provider, &Credential { fields }, settings).expect("a client")
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic while it is held").clone()
    }

    /// The lines of all requests.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

fn read(method: &Method, uri: &Uri, headers: HeaderMap, body: &[u8]) -> Asked {
    let query =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let text = || Value::from(String::from_utf8_lossy(body).into_owned());
    let body =
        if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap_or_else(|_| text()) };
    let (method, path) = (method.to_string(), uri.path().to_owned());
    Asked { line: format!("{method} {path}"), method, path, query, headers, body }
}

/// A reference without a place.
pub(crate) fn reference(id: &str) -> InstanceRef {
    InstanceRef { id: id.to_owned(), place: String::new() }
}

/// An order with one key and nothing else.
pub(crate) fn order() -> NewInstance {
    NewInstance {
        mark: Mark::of(uuid::Uuid::from_u128(7)),
        name: "web-1".to_owned(),
        plan: "small".to_owned(),
        region: "north".to_owned(),
        image: "ubuntu-24.04".to_owned(),
        arch: Arch::X86_64,
        bare_metal: false,
        ssh_keys: vec!["ssh-ed25519 AAAAC3Nza ann@example.com".to_owned()],
        user_data: None,
        open_ports: vec![22],
        tags: vec!["web".to_owned()],
    }
}

/// Every recorded answer of a vendor as `(name, status, path, body)`; `None` when they are not there.
pub(crate) fn recorded(vendor: &str) -> Option<Vec<(String, u16, String, Value)>> {
    let Some(specs) = std::env::var_os("CAPSULE_PROVIDER_SPECS") else {
        println!("NOT RUN: recorded answers of {vendor}: CAPSULE_PROVIDER_SPECS is not set");
        return None;
    };
    let folder = Path::new(&specs).join("recorded").join(vendor);
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
