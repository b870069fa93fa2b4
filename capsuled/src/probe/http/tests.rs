//! HTTP probes against nginx, and against servers that no nginx would be.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capsule_api::Outcome;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    model::Finding,
    probe::{
        Prober, ProberOptions,
        testing::{AMPLE, Authority, Nginx, SHORT, find, now, plan},
    },
};

/// What a check of `url` with these further settings finds.
async fn asked(url: &str, settings: Value) -> Finding {
    asked_within(url, settings, AMPLE).await
}

async fn asked_within(url: &str, mut settings: Value, timeout: Duration) -> Finding {
    settings["kind"] = json!("http");
    settings["url"] = json!(url);
    find(&plan("127.0.0.1", settings, timeout)).await
}

#[track_caller]
fn is_up(finding: &Finding, detail: &str) {
    assert_eq!((finding.outcome, finding.detail.as_str()), (Outcome::Up, detail));
}

#[track_caller]
fn is_down(finding: &Finding, detail: &str) {
    assert_eq!((finding.outcome, finding.detail.as_str()), (Outcome::Down, detail));
}

fn server() -> Option<Nginx> {
    Nginx::start(
        r#"
        location = /ok { add_header X-State green; return 200 "all systems ready\n"; }
        location = /broken { return 503; }
        location = /echo { return 200 "$request_method|$http_user_agent|$http_accept_encoding|$http_connection|"; }
        location = /token { if ($http_authorization != "Bearer x") { return 401; } return 200 "in"; }
        location = /to-ok { return 302 /ok; }
        location = /to-token { return 307 /token; }
        location = /loop { return 302 /loop; }
        location = /away { return 302 http://localhost:$server_port/token?secret=1; }
        "#,
    )
}

#[tokio::test]
async fn status_sets_decide() {
    let Some(nginx) = server() else { return };
    is_up(&asked(&nginx.url("/ok"), json!({})).await, "200 OK");
    is_down(&asked(&nginx.url("/broken"), json!({})).await, "status 503, wanted 200-399");
    is_up(&asked(&nginx.url("/broken"), json!({"status": ["500-599"]})).await, "503 Service Unavailable");
}

#[tokio::test]
async fn bodies_and_headers_are_compared() {
    let Some(nginx) = server() else { return };
    let url = nginx.url("/ok");
    is_up(
        &asked(&url, json!({"body_contains": "systems", "body_regex": "(?m)^all .*ready$"})).await,
        "200 OK",
    );
    let finding = asked(&url, json!({"body_contains": "all.systems"})).await;
    is_down(&finding, "the body does not contain the wanted text");
    let finding = asked(&url, json!({"body_regex": "^ready"})).await;
    is_down(&finding, "the body does not match the wanted pattern");
    is_up(&asked(&url, json!({"response_headers": {"x-state": "^green$"}})).await, "200 OK");
    let finding = asked(&url, json!({"response_headers": {"x-state": "red"}})).await;
    is_down(&finding, "header x-state does not match red");
    let finding = asked(&url, json!({"response_headers": {"x-other": ""}})).await;
    is_down(&finding, "the answer has no header x-other");
}

#[tokio::test]
async fn a_request_names_us_and_asks_for_nothing_compressed_or_kept() {
    let Some(nginx) = server() else { return };
    let wanted = format!("POST|capsule/{}||close|", env!("CARGO_PKG_VERSION"));
    let finding = asked(&nginx.url("/echo"), json!({"method": "POST", "body_contains": wanted})).await;
    is_up(&finding, "200 OK");
    let finding = asked(&nginx.url("/token"), json!({"headers": {"Authorization": "Bearer x"}})).await;
    is_up(&finding, "200 OK");
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_the_check_allows() {
    let Some(nginx) = server() else { return };
    is_up(&asked(&nginx.url("/to-ok"), json!({})).await, "200 OK");
    let answer = format!("302 Found (a redirect to {}, not followed)", nginx.url("/ok"));
    is_up(&asked(&nginx.url("/to-ok"), json!({"redirects": "none"})).await, &answer);
    is_down(
        &asked(&nginx.url("/loop"), json!({})).await,
        &format!("more than 10 redirects, the last one to {}", nginx.url("/loop")),
    );
}

#[tokio::test]
async fn a_redirect_to_another_host_is_the_answer_unless_it_may_be_followed() {
    let Some(nginx) = server() else { return };
    let finding = asked(&nginx.url("/away"), json!({"status": ["200"]})).await;
    assert_eq!(finding.outcome, Outcome::Down);
    assert!(finding.detail.starts_with("status 302, wanted 200 (a redirect to http://localhost:"));
    assert!(!finding.detail.contains("secret"), "{}", finding.detail);
}

#[tokio::test]
async fn a_token_goes_along_on_the_same_host_and_nowhere_else() {
    let Some(nginx) = server() else { return };
    let settings = json!({"headers": {"Authorization": "Bearer x"}, "redirects": "follow"});
    is_up(&asked(&nginx.url("/to-token"), settings.clone()).await, "200 OK");
    let there = nginx.address().ip().to_string();
    // The same server by another name: it asks for the token that must not have come along.
    let mut settings = settings;
    settings["connect_to"] = json!(there);
    let port = nginx.address().port();
    let finding = asked(&format!("http://web.test:{port}/to-token"), settings).await;
    is_up(&finding, "200 OK");
    let elsewhere = Nginx::start(&format!("location / {{ return 307 {}; }}", nginx.url("/token")));
    let settings = json!({"headers": {"Authorization": "Bearer x"}, "redirects": "follow"});
    let finding = asked(&elsewhere.expect("installed").url("/"), settings).await;
    let detail = format!("after a redirect to {}: status 401, wanted 200-399", nginx.url("/token"));
    is_down(&finding, &detail);
}

#[tokio::test]
async fn certificates_are_believed_from_the_given_authority_only() {
    let authority = Authority::new();
    let Some(nginx) = Nginx::start_tls(&authority, "web.test", 90) else { return };
    let url = format!("https://web.test:{}/", nginx.address().port());
    let there = nginx.address().ip().to_string();
    let settings = |extra: Value| {
        let mut settings = json!({"connect_to": there});
        settings.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        settings
    };
    is_up(&asked(&url, settings(json!({"ca_pem": authority.pem}))).await, "200 OK");
    is_up(&asked(&url, settings(json!({"insecure": true}))).await, "200 OK");
    let stranger = Authority::new();
    let finding = asked(&url, settings(json!({"ca_pem": stranger.pem}))).await;
    is_down(&finding, "certificate is not issued by anyone we trust");
    let finding = asked(&url, settings(json!({}))).await;
    assert_ne!(finding.outcome, Outcome::Up, "{}", finding.detail);
    let other = format!("https://other.test:{}/", nginx.address().port());
    let finding = asked(&other, settings(json!({"ca_pem": authority.pem}))).await;
    is_down(&finding, "certificate is not for other.test but for web.test");
}

#[tokio::test]
async fn the_days_a_certificate_has_left_are_counted() {
    let authority = Authority::new();
    let settings = |nginx: &Nginx| json!({"ca_pem": authority.pem, "min_tls_days": 14, "connect_to": nginx.address().ip().to_string()});
    let Some(soon) = Nginx::start_tls(&authority, "web.test", 6) else { return };
    let url = format!("https://web.test:{}/", soon.address().port());
    is_down(&asked(&url, settings(&soon)).await, "certificate has 5 days left, wanted 14");
    let later = Nginx::start_tls(&authority, "web.test", 31).expect("installed");
    let url = format!("https://web.test:{}/", later.address().port());
    is_up(&asked(&url, settings(&later)).await, "200 OK, certificate has 30 days left");
    let expired = Nginx::start_tls(&authority, "web.test", -3).expect("installed");
    let url = format!("https://web.test:{}/", expired.address().port());
    is_down(&asked(&url, settings(&expired)).await, "certificate expired 3 days ago");
}

#[tokio::test]
async fn tls_sessions_are_resumed_over_fresh_connections() {
    let authority = Authority::new();
    let Some(nginx) = Nginx::start_tls(&authority, "web.test", 90) else { return };
    let prober = Prober::new(ProberOptions::default());
    // nginx says `r` in the body when the session was resumed, and the first one cannot have been.
    let spec = json!({"kind": "http", "url": format!("https://web.test:{}/", nginx.address().port()),
        "ca_pem": authority.pem, "connect_to": nginx.address().ip().to_string(), "body_regex": "^r$"});
    let plan = plan("127.0.0.1", spec, AMPLE);
    assert_eq!(prober.probe(&plan, now()).await.outcome, Outcome::Down);
    let second = prober.probe(&plan, now()).await;
    assert_eq!(second.outcome, Outcome::Up, "{}", second.detail);
}

/// A server that reads one request, says `words`, and what `then` does.
async fn answers<F>(words: &'static [u8], then: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let then = Arc::new(then);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let then = Arc::clone(&then);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(words).await;
                then(stream).await;
            });
        }
    });
    address
}

/// Neither speaks nor hangs up until the other side does.
async fn hangs(mut stream: TcpStream) {
    let mut heard = [0; 1024];
    while stream.read(&mut heard).await.is_ok_and(|length| length > 0) {}
}

async fn hangs_up(stream: TcpStream) {
    drop(stream);
}

#[tokio::test]
async fn what_is_no_answer_is_down_in_plain_words() {
    let garbage = answers(b"\x00\x01garbage\r\n\r\n", hangs_up).await;
    is_down(&asked(&format!("http://{garbage}/"), json!({})).await, "what came back is not HTTP");
    let nothing = answers(b"", hangs_up).await;
    let finding = asked(&format!("http://{nothing}/"), json!({})).await;
    is_down(&finding, "the connection was closed before the answer was complete");
    let silent = answers(b"", hangs).await;
    let finding = asked_within(&format!("http://{silent}/"), json!({}), SHORT).await;
    is_down(&finding, "no answer within 300 ms");
    let plain = answers(b"HTTP/1.1 400 Bad Request\r\n\r\n", hangs_up).await;
    let finding = asked(&format!("https://{plain}/"), json!({"insecure": true})).await;
    is_down(&finding, "the server does not speak TLS on this port");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let finding = asked(&format!("http://{free}/"), json!({})).await;
    is_down(&finding, &format!("connecting to {free}: connection refused"));
}

#[tokio::test]
async fn a_slow_answer_fails_a_latency_limit() {
    let slow = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = slow.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = slow.accept().await {
            // It listens for more of the request than there is before it answers.
            let more = async { while stream.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {} };
            assert!(tokio::time::timeout(Duration::from_millis(120), more).await.is_err());
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("sent");
            hangs(stream).await;
        }
    });
    let finding = asked(&format!("http://{address}/"), json!({"max_latency_ms": 100})).await;
    assert_eq!(finding.outcome, Outcome::Down, "{}", finding.detail);
    assert!(finding.detail.ends_with("ms, wanted at most 100 ms"), "{}", finding.detail);
    assert!(finding.latency.expect("measured") >= Duration::from_millis(120));
}

#[tokio::test]
async fn a_body_without_end_is_read_no_further_than_needed() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let endless = answers(b"HTTP/1.1 200 OK\r\n\r\nready", move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            while stream.write_all(&[b'x'; 16 << 10]).await.is_ok() {
                counter.fetch_add(16 << 10, Ordering::Relaxed);
            }
        }
    })
    .await;
    let url = format!("http://{endless}/");
    is_up(&asked(&url, json!({})).await, "200 OK");
    is_up(&asked(&url, json!({"body_contains": "ready"})).await, "200 OK");
    let finding = asked(&url, json!({"body_contains": "absent"})).await;
    is_down(&finding, "the first MiB of the body does not contain the wanted text");
    // Three probes, and what the kernel's buffers took on top of the MiB that was read.
    assert!(sent.load(Ordering::Relaxed) < 64 << 20, "{sent:?}");
    let trickle = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nready", hangs).await;
    is_up(&asked(&format!("http://{trickle}/"), json!({"body_contains": "ready"})).await, "200 OK");
    let finding = asked_within(&format!("http://{trickle}/"), json!({"body_regex": "ready"}), SHORT).await;
    is_down(&finding, "no answer within 300 ms");
}

#[tokio::test]
async fn a_name_can_be_asked_at_another_address() {
    let Some(nginx) = server() else { return };
    let url = format!("http://WEB.test:{}/ok", nginx.address().port());
    let there = json!({"connect_to": nginx.address().ip().to_string()});
    is_up(&asked(&url, there).await, "200 OK");
    let url = format!("http://localhost:{}/", nginx.address().port());
    let finding = asked(&url, json!({})).await;
    assert_eq!(finding.outcome, Outcome::Down, "nginx does not listen at localhost: {}", finding.detail);
}
