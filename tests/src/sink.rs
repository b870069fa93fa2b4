//! A local HTTP server that remembers what it was sent and answers as it is told: the other end of webhooks
//! and of Slack's incoming webhooks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinHandle};

/// How the sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// 200.
    Accepting,
    /// This status.
    Refusing(u16),
    /// 429 with `Retry-After` in seconds.
    Busy(u64),
    /// Not at all.
    Hanging,
}

/// What the sink was sent.
#[derive(Debug, Clone)]
pub struct Received {
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub raw: Vec<u8>,
    /// The body as JSON.
    pub body: Value,
    /// Whether it was accepted.
    pub accepted: bool,
    /// When it came.
    pub at: jiff::Timestamp,
}

impl Received {
    /// Whether the Standard Webhooks signature is right for `secret` (`whsec_…`), computed here anew.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("a base64 secret");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
        mac.update(
            format!("{}.{}.", self.headers["webhook-id"], self.headers["webhook-timestamp"]).as_bytes(),
        );
        mac.update(&self.raw);
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.headers["webhook-signature"].split(' ').any(|signature| signature == wanted)
    }
}

struct Shared {
    mood: Mutex<Mood>,
    received: Mutex<Vec<Received>>,
}

/// The server. It ends with the runtime of the test.
#[derive(Clone)]
pub struct Sink {
    shared: Arc<Shared>,
    port: u16,
    serving: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Sink {
    /// Starts a sink that accepts.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared { mood: Mutex::new(Mood::Accepting), received: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let sink = Self { shared, port, serving: Arc::default() };
        sink.serve(listener);
        sink
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new().fallback(receive).with_state(Arc::clone(&self.shared));
        let serving = tokio::spawn(async move {
            // It ends with the test, which looks at what was received, not at this.
            let _ = axum::serve(listener, router).await;
        });
        *self.serving.lock().expect("unpoisoned") = Some(serving);
    }

    /// Stops listening: connections are refused from now on.
    pub fn stop(&self) {
        if let Some(serving) = self.serving.lock().expect("unpoisoned").take() {
            serving.abort();
        }
    }

    /// Listens again on the same port.
    pub async fn resume(&self) {
        let port = self.port;
        let bind = || async { TcpListener::bind(("127.0.0.1", port)).await };
        self.serve(crate::wait::until("the sink's port being free", crate::wait::LONG, bind).await);
    }

    /// The address to send to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Changes how it answers.
    pub fn set(&self, mood: Mood) {
        *self.shared.mood.lock().expect("unpoisoned") = mood;
    }

    /// What it accepted, in order.
    pub fn accepted(&self) -> Vec<Received> {
        self.all().into_iter().filter(|received| received.accepted).collect()
    }

    /// Everything it was sent, accepted or not.
    pub fn all(&self) -> Vec<Received> {
        self.shared.received.lock().expect("unpoisoned").clone()
    }

    /// The `type` of everything it accepted, in order: `alert.opened` and so on.
    pub fn types(&self) -> Vec<String> {
        let kind = |received: &Received| received.body["type"].as_str().unwrap_or_default().to_owned();
        self.accepted().iter().map(kind).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "the sink stands outside the daemon and its clock")]
fn arrival() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let mood = *shared.mood.lock().expect("unpoisoned");
    let headers = headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let accepted = mood == Mood::Accepting;
    let received = Received { headers, raw: body.to_vec(), body: json, accepted, at: arrival() };
    shared.received.lock().expect("unpoisoned").push(received);
    match mood {
        Mood::Accepting => "ok".into_response(),
        Mood::Refusing(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Mood::Busy(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Mood::Hanging => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}
