//! The daemon's events as they come: server-sent events, read within bounds.
//!
//! A silent connection is a dead one: the daemon sends a comment every 15 seconds, so three missing ones end
//! the stream. Reconnecting is the caller's business, who knows the last id it has seen.

use std::time::Duration;

use capsule_api::Event;
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    header::{HeaderMap, HeaderValue},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    client::{Client, query_pairs, with_query},
    error::{Error, Result},
};

const SILENCE: Duration = Duration::from_secs(45);
const MAX_FRAME_BYTES: usize = 4 << 20;

/// What the stream says.
#[derive(Debug)]
pub enum Message {
    /// Something changed.
    Event(Box<Event>),
    /// We read too slowly; the daemon closes, and changes since the last id come again on resuming.
    Lagged,
}

/// An open stream of events.
pub struct Events {
    body: Incoming,
    parser: Parser,
    /// When the last byte came; kept here because a caller that selects over `next` drops and renews its wait.
    alive: Instant,
}

impl Events {
    /// Opens the stream after `last_id`, or from now on.
    pub async fn open(client: &Client, last_id: Option<&str>, kinds: Option<String>) -> Result<Self> {
        let filter = capsule_api::EventFilter { since: None, kinds };
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/event-stream"));
        if let Some(id) = last_id {
            let id = HeaderValue::from_str(id).map_err(|_| {
                Error::usage(format!("`{id}` is not the id of an event"), "ids look like 1-42")
            })?;
            headers.insert("last-event-id", id);
        }
        let body = client.open_stream(&with_query("/v1/events", &query_pairs(&filter)), headers).await?;
        Ok(Self { body, parser: Parser::default(), alive: Instant::now() })
    }

    /// The next message; `None` when the daemon ended the stream.
    ///
    /// # Errors
    /// A broken or silent connection, or text that is no event. Cancel-safe: no byte is lost.
    pub async fn next(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(frame) = self.parser.frame()? {
                match message(&frame)? {
                    Some(message) => return Ok(Some(message)),
                    None => continue,
                }
            }
            let chunk = timeout_at(self.alive + SILENCE, self.body.frame()).await.map_err(|_| {
                Error::TimedOut { what: "a sign of life on the event stream".into(), after: SILENCE }
            })?;
            match chunk {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Broken(error)),
                Some(Ok(frame)) => {
                    self.alive = Instant::now();
                    if let Ok(data) = frame.into_data() {
                        self.parser.feed(&data);
                    }
                }
            }
        }
    }
}

fn message(frame: &Frame) -> Result<Option<Message>> {
    if frame.event == "lagged" {
        return Ok(Some(Message::Lagged));
    }
    if frame.data.is_empty() {
        return Ok(None);
    }
    let event: Event = serde_json::from_str(&frame.data).map_err(Error::Answer)?;
    Ok(Some(Message::Event(Box::new(event))))
}

/// One event of the stream as text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frame {
    event: String,
    data: String,
}

/// Cuts the byte stream into frames (WHATWG HTML §9.2.6, without `retry`, and ids, which our data repeats).
#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    pending: Frame,
}

impl Parser {
    fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next complete frame.
    fn frame(&mut self) -> Result<Option<Frame>> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let frame = std::mem::take(&mut self.pending);
                if frame != Frame::default() {
                    return Ok(Some(frame));
                }
                continue;
            }
            self.line(line);
        }
        if self.buffer.len() + self.pending.data.len() > MAX_FRAME_BYTES {
            return Err(Error::Malformed("an event is too large"));
        }
        Ok(None)
    }

    fn line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.pending.event),
            "data" => {
                if !self.pending.data.is_empty() {
                    self.pending.data.push('\n');
                }
                self.pending.data.push_str(value);
            }
            // Comments (empty field) are heartbeats; the id is also in the data.
            _ => {}
        }
    }
}

/// Delay before the try after `failures` failures in a row: 0.25 s, 0.5 s, 1 s, 2 s, 4 s, then 5 s, each
/// shortened by up to a half so that many clients of one daemon do not return together. `jitter` is 0 to 1.
pub fn reconnect_delay(failures: u32, jitter: f64) -> Duration {
    let full = Duration::from_millis(250).saturating_mul(1 << failures.min(5)).min(Duration::from_secs(5));
    full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

/// A number from 0 to 1 that differs between processes and moments; from the random bits of a UUID.
pub fn jitter() -> f64 {
    let (_, low) = uuid::Uuid::now_v7().as_u64_pair();
    (low & 0xffff) as f64 / 65_535.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let text =
            ": hello\n\nid: 1-1\nevent: alert_changed\ndata: {\"a\":\ndata: 1}\n\n:\n\nevent: lagged\n\n";
        for size in [1, 3, 7, text.len()] {
            let mut parser = Parser::default();
            let mut frames = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.feed(chunk);
                while let Some(frame) = parser.frame().expect("within bounds") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.len(), 2, "in chunks of {size}");
            assert_eq!(frames[0], Frame { event: "alert_changed".into(), data: "{\"a\":\n1}".into() });
            assert_eq!(frames[1].event, "lagged");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        parser.feed(&vec![b'x'; MAX_FRAME_BYTES + 1]);
        assert!(parser.frame().is_err());
    }

    #[test]
    fn reconnecting_slows_down_and_never_stops() {
        let full: Vec<u64> =
            (0..7).map(|failures| reconnect_delay(failures, 0.0).as_millis() as u64).collect();
        assert_eq!(full, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(reconnect_delay(0, 1.0), Duration::from_millis(125));
        assert!((0.0..=1.0).contains(&jitter()));
    }
}
