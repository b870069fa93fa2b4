//! The webhook channel: a signed POST as [Standard Webhooks](https://www.standardwebhooks.com) defines it.
//!
//! ```http
//! POST /hook HTTP/1.1
//! content-type: application/json
//! webhook-id: 01939c2e-7b20-7d31-9a00-0123456789ab
//! webhook-timestamp: 1795212669
//! webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//!
//! {"type":"alert.opened","timestamp":"2026-11-20T22:11:09Z","data":{"delivery_id":"01939c2e-…",
//!  "change_seq":1,"alert":{"id":"…","kind":"ssh_unreachable","severity":"critical",…},
//!  "summary":"[critical] web-1: SSH unreachable","since":"2026-11-20T22:11:04Z","duration_seconds":5,
//!  "last_values":[{"key":"check:ssh-2","value":912.0}],"next_steps":["capsulectl monitor ack a1b2c3d4"],…}}
//! ```
//!
//! - `type` is `alert.` and what happened: `opened`, `escalated`, `eased`, `updated`, `acknowledged`,
//!   `commented`, `resolved`, or `test`. A channel that is told of operations gets `operation.succeeded`,
//!   `operation.failed` and `operation.cancelled`, with `operation` and `servers` in place of the alert.
//! - `webhook-id` is the delivery's id. It stays the same however often a delivery is tried, so a receiver
//!   that remembers it acts once. `webhook-timestamp` (Unix seconds) is the time of this try.
//! - `alert.causes` holds the 20 worst causes; `causes_total` says how many there are. The body stays below
//!   32 kB.
//! - Any 2xx is taken as accepted. 408, 425, 429 and 5xx are tried again, `Retry-After` is obeyed; any other
//!   answer is final.
//!
//! To verify a message, take the secret without `whsec_`, decode it from base64, and compare in constant time:
//!
//! ```python
//! import base64, hashlib, hmac, time
//!
//! def verify(secret: str, headers: dict, body: bytes) -> bool:
//!     key = base64.b64decode(secret.removeprefix("whsec_"))
//!     signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
//!     expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
//!     recent = abs(time.time() - int(headers["webhook-timestamp"])) < 300
//!     given = headers["webhook-signature"].split(" ")
//!     return recent and any(hmac.compare_digest(expected, one) for one in given)
//! ```
//!
//! Without a secret the message is not signed and has no `webhook-signature`.

use base64::{Engine, prelude::BASE64_STANDARD};
use capsule_api::{Alert, DeliveryId, Operation, WebhookTarget};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::{
    Client,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use sha2::Sha256;

use super::{
    Change, End, Message, News, NotifyError, Receipt,
    http::{self, Post},
    render, target, text,
};

/// Of a cause's key: it is an identifier, so it is cut only when it is absurd.
const KEY_BYTES: usize = 120;

/// Of an operation's result: that of a thousand servers is asked for where the operation is shown.
const RESULT_BYTES: usize = 8_000;

#[derive(Debug, Serialize)]
struct Body<T> {
    r#type: String,
    timestamp: Timestamp,
    data: T,
}

#[derive(Debug, Serialize)]
struct ChangeData {
    delivery_id: DeliveryId,
    change_seq: u32,
    summary: String,
    since: Timestamp,
    duration_seconds: i64,
    last_values: Vec<LastValue>,
    next_steps: Vec<String>,
    actor: Option<String>,
    comment: Option<String>,
    causes_total: usize,
    alert: Alert,
}

#[derive(Debug, Serialize)]
struct LastValue {
    key: String,
    value: f64,
}

#[derive(Debug, Serialize)]
struct EndData {
    delivery_id: DeliveryId,
    summary: String,
    name: String,
    duration_seconds: i64,
    next_steps: Vec<String>,
    servers: Vec<String>,
    servers_total: usize,
    operation: Operation,
}

/// Posts the message; `client` trusts the target's certificates.
pub(super) async fn send(
    client: &Client,
    webhook: &WebhookTarget,
    secret: Option<&str>,
    message: &Message,
    now: Timestamp,
) -> Result<Receipt, NotifyError> {
    let refused = |rule: target::TargetError| NotifyError::refused(rule.to_string());
    let url = target::webhook_url(&webhook.url).map_err(refused)?;
    let body = body(message);
    let mut headers = HeaderMap::new();
    let mut secrets = url_secrets(&url);
    secrets.extend(secret.map(str::to_owned));
    for (name, value) in &webhook.headers {
        let (name, value_to_send) = target::header(name, value).map_err(refused)?;
        headers.insert(name, value_to_send);
        secrets.extend(value.split_whitespace().map(str::to_owned));
    }
    let id = message.delivery_id.to_string();
    let timestamp = now.as_second().to_string();
    insert(&mut headers, "webhook-id", &id);
    insert(&mut headers, "webhook-timestamp", &timestamp);
    if let Some(secret) = secret {
        let key = target::signing_key(secret).map_err(refused)?;
        insert(&mut headers, "webhook-signature", &signature(&key, &id, &timestamp, &body));
    }
    let answer = http::send(client, Post { url, headers, body, secrets: &secrets }, now).await?;
    Ok(Receipt { detail: answer.detail() })
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("ids, numbers and base64 are legal header values");
    headers.insert(HeaderName::from_static(name), value);
}

/// The parts of a URL that people put tokens into.
fn url_secrets(url: &url::Url) -> Vec<String> {
    let path = (url.path().len() > 1).then(|| url.path().to_owned());
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    path.into_iter().chain(url.query().map(str::to_owned)).chain(values).collect()
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

fn body(message: &Message) -> String {
    let body = match &message.news {
        News::Change(change) => serde_json::to_string(&change_body(message, change)),
        News::End(end) => serde_json::to_string(&end_body(message, end)),
    };
    body.expect("no map with odd keys and no infinite number is in it")
}

fn change_body(message: &Message, change: &Change) -> Body<ChangeData> {
    let rendered = render::render(message);
    let word = if message.test { "test" } else { change.change.as_str() };
    let alert = bounded(&change.alert);
    let last_values = alert.causes.iter().filter_map(|cause| {
        cause.value.filter(|value| value.is_finite()).map(|value| LastValue { key: cause.key.clone(), value })
    });
    Body {
        r#type: format!("alert.{word}"),
        timestamp: message.at,
        data: ChangeData {
            delivery_id: message.delivery_id,
            change_seq: change.change_seq,
            summary: rendered.title,
            since: change.alert.since,
            duration_seconds: change.lasted(message.at).as_secs().max(0),
            last_values: last_values.collect(),
            next_steps: rendered.next_steps,
            actor: rendered.actor,
            comment: rendered.comment,
            causes_total: change.alert.causes.len(),
            alert,
        },
    }
}

fn end_body(message: &Message, end: &End) -> Body<EndData> {
    let rendered = render::render(message);
    let mut operation = end.operation.clone();
    operation.resource = text::clean(&operation.resource, render::NAME_BYTES);
    operation.stage = text::clean(&operation.stage, render::CAUSE_BYTES);
    operation.result = operation.result.filter(|result| result.to_string().len() <= RESULT_BYTES);
    if let Some(problem) = &mut operation.error {
        problem.detail = text::clean(&problem.detail, render::CAUSE_BYTES);
    }
    Body {
        r#type: format!("operation.{}", operation.state),
        timestamp: message.at,
        data: EndData {
            delivery_id: message.delivery_id,
            summary: rendered.title,
            name: rendered.subject,
            duration_seconds: operation.updated_at.duration_since(operation.created_at).as_secs().max(0),
            next_steps: rendered.next_steps,
            servers: rendered.causes,
            servers_total: end.servers_total,
            operation,
        },
    }
}

/// The alert with its worst causes only and every text within its bound.
fn bounded(alert: &Alert) -> Alert {
    let name = |name: &Option<String>| name.as_deref().map(|name| text::clean(name, render::NAME_BYTES));
    let causes = render::worst_causes(alert).into_iter().map(|cause| capsule_api::Cause {
        key: text::clean(&cause.key, KEY_BYTES),
        text: text::clean(&cause.text, render::CAUSE_BYTES),
        ..cause.clone()
    });
    Alert {
        causes: causes.collect(),
        subject_name: text::clean(&alert.subject_name, render::NAME_BYTES),
        summary: text::clean(&alert.summary, render::SUMMARY_BYTES),
        acknowledged_by: name(&alert.acknowledged_by),
        resolved_by: name(&alert.resolved_by),
        ..alert.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    /// From the Standard Webhooks reference libraries' own tests.
    #[test]
    fn the_signature_is_that_of_the_standard() {
        let key = target::signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let given = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(given, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_body_is_documented_json() {
        for (name, message) in [
            ("opened", samples::opened()),
            ("resolved", samples::resolved()),
            ("deployed", samples::deployed()),
        ] {
            let parsed: serde_json::Value = serde_json::from_str(&body(&message)).expect("JSON");
            insta::assert_json_snapshot!(format!("webhook_body_{name}"), parsed);
        }
    }

    #[test]
    fn a_test_says_so() {
        let at = samples::opened().at;
        let text = body(&Message::test(samples::opened().delivery_id, at, None));
        assert!(text.starts_with(r#"{"type":"alert.test","timestamp":"2026-11-20T22:11:09Z","#), "{text}");
    }

    #[test]
    fn the_body_stays_below_32_kb_whatever_the_alert_holds() {
        for message in [samples::enormous(), samples::enormous_end()] {
            let length = body(&message).len();
            assert!(length <= 32_000, "{length} bytes");
        }
    }
}
