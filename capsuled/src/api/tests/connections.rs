//! Connections that misbehave cost one deadline, and the daemon ends in good order.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use crate::api::{
    server::Limits,
    testing::{DEADLINE, TestApi},
};

const SHORT: Limits = Limits { total: 64, per_user: 64, header_deadline: Duration::from_millis(100) };

/// What the server still says before it closes the connection.
async fn rest(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut text)).await.expect("closed in time").expect("readable");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn silent_connections_and_half_sent_requests_are_closed() {
    let api = TestApi::start_with(SHORT).await;
    let mut silent = api.connect().await;
    let mut half = api.connect().await;
    half.write_all(b"GET /v1/xnodes HTTP/1.1\r\nHost: caps").await.expect("sent");
    let mut idle = api.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: capsule\r\n\r\n").await.expect("sent");
    assert_eq!(rest(&mut silent).await, "");
    let said = rest(&mut half).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200"), "kept open after an answer, then closed");
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_at_once() {
    let api = TestApi::start_with(Limits { per_user: 2, ..Limits::default() }).await;
    let mut first = api.connect().await;
    let _second = api.connect().await;
    assert_eq!(rest(&mut api.connect().await).await, "");
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: capsule\r\nConnection: close\r\n\r\n")
        .await
        .expect("sent");
    assert!(rest(&mut first).await.starts_with("HTTP/1.1 200"), "those within it are served");
}

#[tokio::test]
async fn a_body_of_100_megabytes_is_refused_before_it_is_read() {
    let api = TestApi::start().await;
    let mut stream = api.connect().await;
    let head = "POST /v1/xnodes HTTP/1.1\r\nHost: capsule\r\nContent-Type: application/json\r\n\
        Content-Length: 104857600\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let said = rest(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 413") && said.contains("body_too_large"), "{said}");
}

#[tokio::test]
async fn the_end_waits_for_requests_in_flight_and_ends_streams() {
    let api = TestApi::start().await;
    let mut events = api.connect().await;
    events.write_all(b"GET /v1/events HTTP/1.1\r\nHost: capsule\r\n\r\n").await.expect("sent");
    let mut begun = [0; 12];
    events.read_exact(&mut begun).await.expect("the stream begins");
    assert_eq!(&begun, b"HTTP/1.1 200");
    api.add_xnode("web-1").await;
    let operation = api.post("/v1/xnodes/web-1/health/run").send().await;
    let waiting = format!("{}?wait=60s", operation.header("location"));

    let stop = async {
        tokio::task::yield_now().await;
        api.stop.cancel();
    };
    let mut waiter = api.connect().await;
    let request = format!("GET {waiting} HTTP/1.1\r\nHost: capsule\r\n\r\n");
    waiter.write_all(request.as_bytes()).await.expect("sent");
    // A request on a later connection is answered only once the earlier one has been taken up.
    assert_eq!(api.get("/healthz").send().await.status, 200);
    let (answered, ended, ()) = tokio::join!(rest(&mut waiter), rest(&mut events), stop);
    assert!(answered.starts_with("HTTP/1.1 200") && answered.contains("\"pending\""), "{answered}");
    assert!(ended.ends_with("0\r\n\r\n"), "the stream ended whole: {ended}");
    timeout(DEADLINE, api.server).await.expect("ends in time").expect("no panic");
    assert!(UnixStream::connect(&api.socket).await.is_err(), "nobody listens any more");
}
