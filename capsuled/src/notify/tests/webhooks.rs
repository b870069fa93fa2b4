//! Webhook and Slack against local HTTP servers, status by status.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use capsule_api::{ChannelTarget, SlackTarget, WebhookTarget};
use tokio::net::TcpListener;

use super::{
    super::{Notifier, NotifyError, Receipt, samples},
    impatient,
    python::python,
    sink::{Behaviour, Sink, answer},
};
use crate::{clock::Clock, secret::SecretString};

fn webhook(url: String) -> WebhookTarget {
    WebhookTarget { url, headers: BTreeMap::new(), ca_pem: None }
}

async fn send(target: WebhookTarget, secret: Option<&str>) -> Result<Receipt, NotifyError> {
    let secret = secret.map(SecretString::from);
    let target = ChannelTarget::Webhook(target);
    let now = samples::time("2026-11-20T22:00:00Z");
    Notifier::new(impatient()).send(&target, secret.as_ref(), &samples::opened(), now).await
}

async fn send_slack(url: &str) -> Result<Receipt, NotifyError> {
    let target = ChannelTarget::Slack(SlackTarget {});
    let now = samples::time("2026-11-20T22:00:00Z");
    let secret = SecretString::from(url);
    Notifier::new(impatient()).send(&target, Some(&secret), &samples::opened(), now).await
}

/// One word for what became of a message.
fn word(result: &Result<Receipt, NotifyError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(NotifyError::Refused { .. }) => "refused",
        Err(NotifyError::Busy { .. }) => "busy",
        Err(NotifyError::Unreachable { .. }) => "unreachable",
        Err(NotifyError::UnknownOutcome { .. }) => "unknown",
    }
}

#[tokio::test]
async fn each_status_is_taken_for_what_it_means() {
    for (status, expected) in [
        ("200 OK", "accepted"),
        ("202 Accepted", "accepted"),
        ("204 No Content", "accepted"),
        ("301 Moved Permanently", "refused"),
        ("307 Temporary Redirect", "refused"),
        ("400 Bad Request", "refused"),
        ("401 Unauthorized", "refused"),
        ("403 Forbidden", "refused"),
        ("404 Not Found", "refused"),
        ("408 Request Timeout", "busy"),
        ("410 Gone", "refused"),
        ("413 Content Too Large", "refused"),
        ("425 Too Early", "busy"),
        ("429 Too Many Requests", "busy"),
        ("500 Internal Server Error", "busy"),
        ("502 Bad Gateway", "busy"),
        ("503 Service Unavailable", "busy"),
        ("504 Gateway Timeout", "busy"),
    ] {
        let sink = Sink::start(answer(status, "", "")).await;
        let result = send(webhook(sink.url("/hook")), None).await;
        assert_eq!(word(&result), expected, "{status}: {result:?}");
        if let Err(error) = result {
            assert!(error.reason().contains(&status[..3]), "{}", error.reason());
        }
    }
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    for (header, seconds) in [
        ("retry-after: 7\r\n", Some(7)),
        ("retry-after: Fri, 20 Nov 2026 22:01:00 GMT\r\n", Some(60)),
        ("", None),
    ] {
        let sink = Sink::start(answer("503 Service Unavailable", header, "")).await;
        let error = send(webhook(sink.url("/")), None).await.expect_err("busy");
        assert_eq!(error.retry_after(), seconds.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = Sink::start(answer("200 OK", "", "")).await;
    let location = format!("location: {}\r\n", elsewhere.url("/stolen"));
    let sink = Sink::start(answer("308 Permanent Redirect", &location, "")).await;
    assert_eq!(word(&send(webhook(sink.url("/")), None).await), "refused");
    assert!(elsewhere.is_empty());
}

#[tokio::test]
async fn silence_after_sending_is_an_unknown_outcome() {
    for behaviour in [Behaviour::Silent, Behaviour::Cut] {
        let mut sink = Sink::start(behaviour.clone()).await;
        assert_eq!(word(&send(webhook(sink.url("/")), None).await), "unknown", "{behaviour:?}");
        assert!(sink.take().body.contains("alert.opened"));
    }
}

#[tokio::test]
async fn nobody_there_means_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    // It accepts connections in the kernel and never speaks TLS.
    let silent = send(webhook(format!("https://{address}/")), None).await;
    assert_eq!(word(&silent), "unreachable", "{silent:?}");
    drop(listener);
    let gone = send(webhook(format!("http://{address}/")), None).await;
    assert_eq!(word(&gone), "unreachable", "{gone:?}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_short() {
    let sink = Sink::start(Behaviour::Endless).await;
    let receipt = send(webhook(sink.url("/")), None).await.expect("the status was 200");
    assert!(receipt.detail.len() <= 500, "{} bytes", receipt.detail.len());
}

#[tokio::test]
async fn only_the_targets_own_certificates_are_trusted() {
    let (mut sink, pem) = Sink::start_tls(answer("200 OK", "", "")).await;
    let url = format!("https://localhost:{}/", sink.address.port());
    let stranger = send(webhook(url.clone()), None).await;
    assert_eq!(word(&stranger), "unreachable", "{stranger:?}");
    assert!(sink.is_empty());
    let known = send(WebhookTarget { ca_pem: Some(pem), ..webhook(url) }, None).await;
    assert_eq!(word(&known), "accepted", "{known:?}");
}

#[tokio::test]
async fn own_headers_and_ids_go_along() {
    let mut sink = Sink::start(answer("200 OK", "", "queued")).await;
    let mut target = webhook(sink.url("/hook?source=capsule"));
    target.headers.insert("X-Team".to_owned(), "ops".to_owned());
    let receipt = send(target, None).await.expect("accepted");
    assert_eq!(receipt.detail, "200 OK from 127.0.0.1: queued");
    let received = sink.take();
    assert_eq!(received.start, "POST /hook?source=capsule HTTP/1.1");
    assert_eq!(received.headers["x-team"], "ops");
    assert_eq!(received.headers["content-type"], "application/json");
    assert_eq!(received.headers["webhook-id"], samples::opened().delivery_id.to_string());
    assert_eq!(received.headers["webhook-timestamp"], "1795212000");
    assert!(!received.headers.contains_key("webhook-signature"), "there is no secret to sign with");
}

#[tokio::test]
async fn secrets_do_not_come_back_in_errors() {
    let echo = "no: token-in-query bearer-token /services/T0/B0/slack-token whsec_";
    let sink = Sink::start(answer("400 Bad Request", "", echo)).await;
    let mut target = webhook(sink.url("/hook?token=token-in-query"));
    target.headers.insert("Authorization".to_owned(), "Bearer bearer-token".to_owned());
    let errors = [
        send(target, None).await.expect_err("refused"),
        send_slack(&sink.url("/services/T0/B0/slack-token")).await.expect_err("refused"),
        send_slack("http://127.0.0.1:1/services/T0/B0/slack-token").await.expect_err("unreachable"),
    ];
    let shown: String =
        errors.iter().map(|error| format!("{error:?} {error} {}\n", error.reason())).collect();
    assert!(shown.contains("400 Bad Request from 127.0.0.1: no: "), "{shown}");
    let leaks = |error: &NotifyError, secret: &str| format!("{error:?} {}", error.reason()).contains(secret);
    assert!(!leaks(&errors[0], "token-in-query") && !leaks(&errors[0], "bearer-token"), "{shown}");
    assert!(!leaks(&errors[1], "slack-token") && !leaks(&errors[2], "slack-token"), "{shown}");
}

#[tokio::test]
async fn a_target_that_breaks_a_rule_is_refused_without_a_connection() {
    let result = send(webhook("http://203.0.113.1/".to_owned()), None).await;
    assert_eq!(word(&result), "refused");
}

#[tokio::test]
async fn slack_must_say_ok() {
    for (status, body, expected) in [
        ("200 OK", "ok", "accepted"),
        ("200 OK", "", "accepted"),
        ("200 OK", "<html>log in to the hotel</html>", "unknown"),
        ("400 Bad Request", "invalid_payload", "refused"),
        ("403 Forbidden", "action_prohibited", "refused"),
        ("404 Not Found", "no_service", "refused"),
        ("410 Gone", "channel_is_archived", "refused"),
        ("429 Too Many Requests", "rate_limited", "busy"),
        ("500 Internal Server Error", "rollup_error", "busy"),
    ] {
        let mut sink = Sink::start(answer(status, "", body)).await;
        let result = send_slack(&sink.url("/services/T0/B0/x")).await;
        assert_eq!(word(&result), expected, "{status} {body}: {result:?}");
        assert!(sink.take().body.contains("attachments"));
    }
}

/// The recipe in the module documentation of `webhook`.
const RECIPE: &str = r#"
import base64, hashlib, hmac, json, sys, time
from standardwebhooks import Webhook

def verify(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    recent = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    given = headers["webhook-signature"].split(" ")
    return recent and any(hmac.compare_digest(expected, one) for one in given)

got = json.load(sys.stdin)
body = got["body"].encode()
assert verify(got["secret"], got["headers"], body)
assert not verify(got["secret"], got["headers"], body + b" ")
assert Webhook(got["secret"]).verify(got["body"], got["headers"])["type"] == "alert.opened"
print("verified")
"#;

#[tokio::test]
async fn the_reference_library_verifies_our_signature() {
    let Some(python) = python("the_reference_library_verifies_our_signature") else { return };
    let secret = format!("whsec_{}", BASE64_STANDARD.encode([42; 32]));
    let mut sink = Sink::start(answer("200 OK", "", "")).await;
    let target = ChannelTarget::Webhook(webhook(sink.url("/")));
    // The library refuses timestamps that are not of today.
    let now = Clock::system().now();
    let sealed = SecretString::from(secret.as_str());
    let sent = Notifier::new(impatient()).send(&target, Some(&sealed), &samples::opened(), now).await;
    assert_eq!(word(&sent), "accepted");
    let received = sink.take();
    let given = serde_json::json!({ "secret": secret, "headers": received.headers, "body": received.body });
    let child =
        Command::new(python).args(["-c", RECIPE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("python starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(given.to_string().as_bytes()).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "verified");
}
