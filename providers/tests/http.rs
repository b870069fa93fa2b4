//! The HTTP layer against servers that misbehave, each its own on loopback.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use capsule_api::ProviderName;
use capsule_providers::{
    CallSettings, Credential, ProviderError, Result,
    http::{Call, Http, Reply, Vendor, bearer, quota},
};
use secrecy::SecretString;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const CANARY: &str = "canary-5f1d0c";

fn credential() -> Credential {
    Credential { fields: [("api_key".to_owned(), SecretString::from(CANARY))].into() }
}

fn vendor() -> Vendor {
    Vendor {
        provider: ProviderName::DigitalOcean,
        base: "https://api.example.com/v2",
        auth: (reqwest::header::AUTHORIZATION, bearer(&credential())),
        calls: quota(1000, Duration::from_millis(1)),
        creations: None,
        classify: |_, body| {
            let detail = body["sold_out"].as_str()?.to_owned();
            Some(ProviderError::OutOfStock { provider: ProviderName::DigitalOcean, detail })
        },
    }
}

fn settings() -> CallSettings {
    let backoff = Duration::from_millis(1);
    CallSettings { timeout: Duration::from_secs(10), backoff, ..CallSettings::default() }
}

fn client(port: u16, settings: CallSettings) -> Http {
    let endpoint = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    Http::new(vendor(), CallSettings { endpoint: Some(endpoint), ..settings }).expect("a client")
}

type Answer = Arc<dyn Fn(u32, HeaderMap) -> Response + Send + Sync>;

/// A server whose answer depends on how many there were before.
struct Server {
    port: u16,
    calls: Arc<AtomicU32>,
}

impl Server {
    async fn start(answer: impl Fn(u32, HeaderMap) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let calls = Arc::new(AtomicU32::new(0));
        let state: (Arc<AtomicU32>, Answer) = (calls.clone(), Arc::new(answer));
        let handler = |State((calls, answer)): State<(Arc<AtomicU32>, Answer)>, headers: HeaderMap| async move {
            answer(calls.fetch_add(1, Ordering::SeqCst), headers)
        };
        let router = Router::new().fallback(handler).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, calls }
    }

    /// Answers with these, and with the last for ever.
    async fn with(statuses: &'static [u16]) -> Self {
        Self::start(move |call, _| {
            let status = statuses.get(call as usize).or(statuses.last()).expect("at least one status");
            (StatusCode::from_u16(*status).expect("a status"), r#"{"message":"so"}"#).into_response()
        })
        .await
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

/// A server that speaks no HTTP of its own: `speak` gets each connection after its request was read.
async fn raw<F>(speak: fn(TcpStream) -> F) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok() {
                    speak(stream).await;
                }
            });
        }
    });
    Server { port, calls }
}

async fn cut(stream: TcpStream) {
    drop(stream);
}

async fn truncated(mut stream: TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":1").await;
}

async fn dripping(mut stream: TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while stream.write_all(b" ").await.is_ok() {
        tick.tick().await;
    }
}

fn code(outcome: &Result<Reply>) -> &'static str {
    outcome.as_ref().map_or_else(ProviderError::code, |_| "ok")
}

#[tokio::test]
async fn a_read_survives_a_storm_of_errors() {
    let server = Server::with(&[503, 502, 500, 200]).await;
    let reply = client(server.port, settings()).send(Call::get("/things")).await.expect("the fourth attempt");
    assert_eq!(reply.json::<Value>().expect("JSON")["message"], "so");
    assert_eq!(server.calls(), 4);
}

#[tokio::test]
async fn creations_wait_for_their_own_allowance_and_reads_do_not() {
    let server = Server::with(&[200]).await;
    let endpoint = format!("http://127.0.0.1:{}", server.port).parse().expect("a URL");
    let pause = Duration::from_millis(600);
    let vendor = Vendor { creations: Some(quota(2, pause)), ..vendor() };
    let http = Http::new(vendor, CallSettings { endpoint: Some(endpoint), ..settings() }).expect("a client");
    let begun = Instant::now();
    for _ in 0..2 {
        http.send(Call::create("/things")).await.expect("made");
    }
    http.send(Call::get("/things")).await.expect("read");
    assert!(begun.elapsed() < pause, "as many as may come at once: {:?}", begun.elapsed());
    http.send(Call::create("/things")).await.expect("made");
    assert!(pause / 2 < begun.elapsed(), "one more has to wait: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_read_is_repeated_no_oftener_than_is_set() {
    for (status, expected) in
        [(429, "rate_limited"), (500, "unavailable"), (502, "unavailable"), (504, "unavailable")]
    {
        let server =
            Server::start(move |_, _| StatusCode::from_u16(status).expect("a status").into_response()).await;
        let outcome =
            client(server.port, CallSettings { max_retries: 2, ..settings() }).send(Call::get("/")).await;
        assert_eq!((code(&outcome), server.calls()), (expected, 3), "{status}");
    }
}

#[tokio::test]
async fn pauses_double() {
    let server = Server::with(&[500]).await;
    let began = Instant::now();
    let settings = CallSettings { backoff: Duration::from_millis(20), ..settings() };
    let outcome = client(server.port, settings).send(Call::get("/")).await;
    assert_eq!(code(&outcome), "unavailable");
    assert!(Duration::from_millis(20 + 40 + 80) <= began.elapsed());
}

#[tokio::test]
async fn a_refusal_is_told_by_its_class_and_not_repeated() {
    for (status, expected) in [
        (400, "invalid"),
        (401, "unauthorised"),
        (403, "unauthorised"),
        (404, "not_found"),
        (409, "conflict"),
        (410, "not_found"),
        (422, "invalid"),
        (423, "conflict"),
    ] {
        let server =
            Server::start(move |_, _| StatusCode::from_u16(status).expect("a status").into_response()).await;
        let outcome = client(server.port, settings()).send(Call::get("/")).await;
        assert_eq!((code(&outcome), server.calls()), (expected, 1), "{status}");
    }
}

#[tokio::test]
async fn the_vendors_own_words_come_before_the_status() {
    let server =
        Server::start(|_, _| (StatusCode::CONFLICT, r#"{"sold_out":"all of them"}"#).into_response()).await;
    let outcome = client(server.port, settings()).send(Call::create("/things")).await;
    assert_eq!(code(&outcome), "out_of_stock");
}

#[tokio::test]
async fn retry_after_decides_the_pause() {
    let limited = |seconds: &'static str, status: u16| {
        Server::start(move |call, _| match call {
            0 => {
                (StatusCode::from_u16(status).expect("a status"), [("retry-after", seconds)]).into_response()
            }
            _ => "{}".into_response(),
        })
    };
    // Sooner than our own backoff …
    for status in [429, 503] {
        let server = limited("0", status).await;
        let slow = CallSettings { backoff: Duration::from_secs(50), ..settings() };
        let began = Instant::now();
        assert_eq!(code(&client(server.port, slow).send(Call::get("/")).await), "ok");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    // … and later.
    let server = limited("1", 429).await;
    let began = Instant::now();
    assert_eq!(code(&client(server.port, settings()).send(Call::get("/")).await), "ok");
    assert!(Duration::from_secs(1) <= began.elapsed());
}

#[tokio::test]
async fn a_vendor_that_wants_an_hour_is_not_asked_again() {
    let server =
        Server::start(|_, _| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]).into_response())
            .await;
    match client(server.port, settings()).send(Call::get("/")).await {
        Err(ProviderError::RateLimited { after, .. }) => assert_eq!(after, Some(Duration::from_secs(3600))),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn a_creation_that_fails_in_the_middle_is_unknown_and_sent_once() {
    for (status, body) in [
        (408, ""),
        (500, ""),
        (502, "<html>"),
        (503, ""),
        (504, ""),
        // Even where the body claims to know better.
        (503, r#"{"sold_out":"or so it says"}"#),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let server = Server::start(move |_, _| (status, body).into_response()).await;
        let outcome = client(server.port, settings()).send(Call::create("/things")).await;
        assert_eq!((code(&outcome), server.calls()), ("unknown_outcome", 1), "{status}");
    }
}

#[tokio::test]
async fn a_creation_without_a_whole_answer_is_unknown_and_sent_once() {
    let short = || CallSettings { timeout: Duration::from_millis(300), ..settings() };
    for server in [raw(cut).await, raw(truncated).await, raw(dripping).await] {
        let outcome = client(server.port, short()).send(Call::create("/things")).await;
        assert_eq!((code(&outcome), server.calls()), ("unknown_outcome", 1));
    }
}

#[tokio::test]
async fn a_creation_whose_answer_is_no_json_is_unknown() {
    let server = Server::start(|_, _| (StatusCode::CREATED, "<html>").into_response()).await;
    let reply = client(server.port, settings()).send(Call::create("/things")).await.expect("2xx");
    assert_eq!(reply.json::<Value>().expect_err("no JSON").code(), "unknown_outcome");
    let other = Server::start(|_, _| (StatusCode::CREATED, r#"{"thing": 1}"#).into_response()).await;
    let reply = client(other.port, settings()).send(Call::create("/things")).await.expect("2xx");
    let error = reply.field("thing", serde_json::from_value::<String>).expect_err("no text");
    assert_eq!(error.code(), "unknown_outcome");
}

#[tokio::test]
async fn a_creation_is_sent_again_only_after_a_clean_429() {
    let server = Server::with(&[429, 429, 201]).await;
    assert_eq!(code(&client(server.port, settings()).send(Call::create("/things")).await), "ok");
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn a_creation_that_reached_nobody_did_not_happen() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let outcome = client(port, settings()).send(Call::create("/things")).await;
    assert_eq!(code(&outcome), "unavailable");
}

#[tokio::test]
async fn a_read_without_a_whole_answer_is_tried_again_until_it_is_enough() {
    for server in [raw(cut).await, raw(truncated).await] {
        let outcome =
            client(server.port, CallSettings { max_retries: 1, ..settings() }).send(Call::get("/")).await;
        assert_eq!((code(&outcome), server.calls()), ("unavailable", 2));
    }
}

#[tokio::test]
async fn an_answer_that_drips_ends_at_the_deadline() {
    let server = raw(dripping).await;
    let began = Instant::now();
    let short = CallSettings { timeout: Duration::from_millis(300), max_retries: 0, ..settings() };
    let outcome = client(server.port, short).send(Call::get("/")).await;
    assert_eq!(code(&outcome), "unavailable");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_is_read_up_to_sixteen_mebibytes() {
    let large = |bytes: usize| {
        Server::start(move |_, _| {
            let mut body = b"\"".to_vec();
            body.resize(bytes - 1, b'x');
            body.push(b'"');
            body.into_response()
        })
    };
    let once = || CallSettings { max_retries: 0, timeout: Duration::from_secs(60), ..settings() };
    let fits = large(16 << 20).await;
    let reply = client(fits.port, once()).send(Call::get("/")).await.expect("it fits");
    assert_eq!(reply.json::<String>().expect("a text").len(), (16 << 20) - 2);
    let server = large((16 << 20) + 1).await;
    match client(server.port, once()).send(Call::get("/")).await {
        Err(ProviderError::Unavailable { detail, .. }) => assert!(detail.contains("16 MiB"), "{detail}"),
        other => panic!("{:?}", code(&other)),
    }
}

#[tokio::test]
async fn a_redirect_is_refused_wherever_it_leads() {
    let other = Server::with(&[200]).await;
    let elsewhere = format!("http://127.0.0.1:{}/v2/things", other.port);
    for (status, target) in [
        (StatusCode::FOUND, "http://169.254.169.254/latest/meta-data/".to_owned()),
        (StatusCode::TEMPORARY_REDIRECT, elsewhere.clone()),
        (StatusCode::PERMANENT_REDIRECT, elsewhere),
        (StatusCode::MOVED_PERMANENTLY, "/v2/other".to_owned()),
    ] {
        let server = Server::start(move |_, _| (status, [(LOCATION, target.clone())]).into_response()).await;
        let http = client(server.port, settings());
        for call in [Call::get("/things"), Call::create("/things")] {
            assert_eq!(code(&http.send(call).await), "unreadable");
        }
        assert_eq!(server.calls(), 2);
    }
    assert_eq!(other.calls(), 0);
}

#[tokio::test]
async fn credentials_go_to_https_or_loopback_only() {
    for (endpoint, allowed) in [
        ("https://api.example.com", true),
        ("http://127.0.0.2:8080", true),
        ("http://[::1]:8080", true),
        ("http://localhost:8080", true),
        ("http://192.0.2.1", false),
        ("http://169.254.169.254", false),
        ("http://api.example.com", false),
        ("http://127.0.0.1.example.com", false),
        ("http://localhost.example.com", false),
        ("http://[::ffff:192.0.2.1]", false),
        ("ftp://127.0.0.1", false),
        ("https://name:secret@api.example.com", false),
    ] {
        let settings = CallSettings { endpoint: Some(endpoint.parse().expect("a URL")), ..settings() };
        assert_eq!(Http::new(vendor(), settings).is_ok(), allowed, "{endpoint}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_credential_appears_nowhere_but_in_its_header() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process, with the `log` crate's records, which is what the HTTP stack writes.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .try_init()
        .expect("the only subscriber of this process");

    let server = Server::start(|call, headers| {
        assert_eq!(headers["authorization"], format!("Bearer {CANARY}"));
        match call {
            0 => "{}".into_response(),
            1 => StatusCode::UNAUTHORIZED.into_response(),
            _ => StatusCode::BAD_GATEWAY.into_response(),
        }
    })
    .await;
    let http = client(server.port, settings());
    let mut shown = format!("{http:?} {:?} {:?}", vendor(), credential());
    shown += &format!("{:?}", http.send(Call::get("/things")).await.expect("200"));
    for call in [Call::get("/things"), Call::create("/things")] {
        let error = http.send(call).await.expect_err("a refusal");
        shown += &format!("{error} {error:?}");
    }
    let cut = raw(cut).await;
    let error = client(cut.port, settings()).send(Call::create("/things")).await.expect_err("no answer");
    shown += &format!("{error} {error:?}");

    let log = String::from_utf8_lossy(&log.0.lock().expect("no panic while writing")).into_owned();
    assert!(log.contains("called") && log.contains("TRACE"), "nothing was logged: {log}");
    assert!(!log.contains(CANARY), "{log}");
    assert!(!shown.contains(CANARY), "{shown}");
}
