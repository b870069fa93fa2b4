//! The Slack channel: an incoming webhook's JSON with blocks.
//!
//! The header stands above an attachment whose colour bar shows the severity (the colour repeats what the
//! text says); `text` is what notifications and screen readers show. Lengths follow Slack's block reference:
//! header 150 characters, section 3,000, field 2,000, 10 fields a section, 50 blocks a message.

use capsule_api::Severity;
use jiff::Timestamp;
use reqwest::{Client, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    Message, NotifyError, Receipt, Rendered,
    http::{self, Post},
    render, target, text,
};

const HEADER_CHARS: usize = 150;
/// Below the 3,000 that Slack allows: an escaped line is never cut in two.
const SECTION_CHARS: usize = 2_900;
/// Of a comment; Slack shows the beginning, mail and webhook carry all of it.
const COMMENT_BYTES: usize = 500;

/// Posts the message to the webhook whose URL is `secret`.
pub(super) async fn send(
    client: &Client,
    secret: Option<&str>,
    message: &Message,
    now: Timestamp,
) -> Result<Receipt, NotifyError> {
    let url = target::slack_url(secret).map_err(|rule| NotifyError::refused(rule.to_string()))?;
    let secrets = [url.to_string(), url.path().to_owned()];
    let post = Post { url, headers: HeaderMap::new(), body: payload(message).to_string(), secrets: &secrets };
    let answer = http::send(client, post, now).await?;
    // Slack says `ok`, relays that speak its format often nothing. Anything else with a 2xx is a page of
    // somebody else, such as a captive portal, and did not take the message.
    match answer.body.trim() {
        "" | "ok" => Ok(Receipt { detail: answer.detail() }),
        _ => Err(NotifyError::unknown(format!("it answered, but not with `ok`: {}", answer.detail()))),
    }
}

fn payload(message: &Message) -> Value {
    let rendered = render::render(message);
    let title: String = chars(&rendered.title, HEADER_CHARS);
    json!({
        "text": escape(&rendered.title),
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [{ "type": "header", "text": { "type": "plain_text", "text": title, "emoji": false } }],
        "attachments": [{ "color": colour(message), "fallback": escape(&rendered.lead), "blocks": blocks(&rendered) }],
    })
}

fn blocks(rendered: &Rendered) -> Vec<Value> {
    let mut blocks = vec![section(escape(&rendered.lead))];
    let field = |(label, value): &(&str, String)| mrkdwn(format!("*{label}*\n{}", escape(value)));
    let fields: Vec<Value> = rendered.facts.iter().take(10).map(field).collect();
    blocks.push(json!({ "type": "section", "fields": fields }));
    let causes = rendered.causes.iter().cloned().chain(rendered.more_causes());
    blocks.extend(sections(causes.map(|cause| format!("• {}", escape(&cause)))));
    if let Some(comment) = &rendered.comment {
        let quoted = text::clean_lines(comment, COMMENT_BYTES);
        blocks.push(section(quoted.lines().map(|line| format!(">{}\n", escape(line))).collect()));
    }
    if !rendered.next_steps.is_empty() {
        let command = |step: &String| format!("`{}`", escape(&step.replace('`', "'")));
        let commands: Vec<_> = rendered.next_steps.iter().map(command).collect();
        blocks.push(context(format!("Type next: {}", commands.join("  "))));
    }
    blocks.push(context(escape(&rendered.footer)));
    blocks
}

/// As few sections as hold the lines.
fn sections(lines: impl Iterator<Item = String>) -> Vec<Value> {
    let mut texts: Vec<String> = Vec::new();
    for line in lines {
        match texts.last_mut() {
            Some(last) if last.chars().count() + 1 + line.chars().count() <= SECTION_CHARS => {
                last.push('\n');
                last.push_str(&line);
            }
            _ => texts.push(line),
        }
    }
    texts.into_iter().map(section).collect()
}

fn section(text: String) -> Value {
    json!({ "type": "section", "text": mrkdwn(text) })
}

fn context(text: String) -> Value {
    json!({ "type": "context", "elements": [mrkdwn(text)] })
}

fn mrkdwn(text: String) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

fn colour(message: &Message) -> &'static str {
    match message.severity() {
        _ if message.is_good_end() => "#2e9e5b",
        Severity::Critical => "#d32f2f",
        Severity::Warning => "#f2a600",
        Severity::Info => "#3578e5",
    }
}

/// The three characters that Slack's mrkdwn gives a meaning: without them nothing becomes a link or calls
/// a channel.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn chars(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn the_payload_shows_cause_time_and_commands() {
        for (name, message) in [
            ("opened", samples::opened()),
            ("acknowledged", samples::acknowledged()),
            ("resolved", samples::resolved()),
            ("deployed", samples::deployed()),
        ] {
            insta::assert_json_snapshot!(format!("slack_payload_{name}"), payload(&message));
        }
    }

    #[test]
    fn slacks_limits_are_kept_whatever_the_alert_holds() {
        let payload = payload(&samples::enormous());
        let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
        assert!(length(&payload["blocks"][0]["text"]["text"]) <= 150);
        let blocks = payload["attachments"][0]["blocks"].as_array().expect("blocks");
        assert!(blocks.len() < 50);
        for block in blocks {
            assert!(length(&block["text"]["text"]) <= 3_000);
            let fields = block["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(fields.len() <= 10 && fields.iter().all(|field| length(&field["text"]) <= 2_000));
        }
        assert!(payload.to_string().len() <= 64_000);
    }

    #[test]
    fn nothing_in_a_message_can_call_a_channel() {
        let mut message = samples::opened();
        samples::alert_of(&mut message).summary = "<!channel> <https://evil.example|click>".to_owned();
        let payload = payload(&message);
        assert_eq!(payload["text"], "[critical] web-1: &lt;!channel&gt; &lt;https://evil.example|click&gt;");
    }
}
