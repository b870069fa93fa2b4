//! A vendor of a few lines for the tests of the vendors' files: it answers by a function and keeps what it was
//! asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
};
use capsule_api::{Arch, InstanceRef, ProviderName};
use secrecy::SecretString;
use serde_json::Value;

use crate::{CallSettings, Credential, Mark, NewInstance, Provider};

/// A request as the fake saw it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `GET /v2/things`, without the query.
    pub(crate) line: String,
    /// The query's parameters.
    pub(crate) query: BTreeMap<String, String>,
    /// The body; `null` without one.
    pub(crate) body: Value,
}

type Answer = Arc<dyn Fn(&Asked) -> (u16, Value) + Send + Sync>;

/// A running fake.
pub(crate) struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let state: (Arc<Mutex<Vec<Asked>>>, Answer) = (asked.clone(), Arc::new(answer));
        let router = Router::new().fallback(handle).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, asked }
    }

    /// A client of it that repeats without a pause worth mentioning.
    pub(crate) fn client(&self, provider: ProviderName) -> Arc<dyn Provider> {
        let fields = [("api_key".to_owned(), SecretString::from("key"))].into();
        let settings = CallSettings {
            timeout: Duration::from_secs(10),
            backoff: Duration::from_millis(1),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port).parse().expect("a URL")),
            ..CallSettings::default()
        };
        crate::connect(provider, &Credential { fields }, settings).expect("a client")
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic while it is held").clone()
    }

    /// The lines of all requests.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

type Shared = (Arc<Mutex<Vec<Asked>>>, Answer);

async fn handle(
    State((seen, answer)): State<Shared>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, axum::Json<Value>) {
    let query =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let asked = Asked { line: format!("{method} {}", uri.path()), query, body };
    let (status, json) = answer(&asked);
    seen.lock().expect("no panic while it is held").push(asked);
    (StatusCode::from_u16(status).expect("a status"), axum::Json(json))
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
