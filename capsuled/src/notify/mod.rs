//! The port that delivers one message to one channel: console, mail, webhook or Slack.
//!
//! It tries once and says exactly what happened; when to try again, for how long and in which order is the
//! outbox's business. An error therefore is one of four ([`NotifyError`]): refused for good, busy, not
//! reached, or sent with no answer. Only the last can lead to a repeat, and a repeat is recognisable: the
//! delivery's id is the webhook's `webhook-id`, the mail's Message-ID and stands at the foot of every message.
//!
//! What a message says is decided in one place ([`render`]); the channels only lay it out. What a target may
//! look like is decided in another ([`validate`]). Every wait has a deadline ([`Deadlines`]), every answer
//! and every text a bound, and no secret gets into an error, a receipt or the log.

mod console;
mod email;
mod ends;
mod error;
mod http;
mod message;
mod render;
#[cfg(test)]
mod samples;
mod slack;
mod smtp;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod webhook;

use std::time::Duration;

use capsule_api::ChannelTarget;
use jiff::Timestamp;

pub use self::{
    error::NotifyError,
    message::{Change, End, Message, News, SERVERS_TOLD},
    render::{Rendered, render},
    target::{TargetError, validate},
};
use crate::secret::{ExposeSecret, SecretString};

/// How long the other side may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection: name look-up, TCP and, over HTTP, TLS. Default 5 s.
    pub connect: Duration,
    /// For a whole HTTP exchange. Default 15 s.
    pub http: Duration,
    /// For a whole mail. Default 30 s.
    pub smtp: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), http: Duration::from_secs(15), smtp: Duration::from_secs(30) }
    }
}

/// What the other side said when it took the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// One printable line of at most 500 bytes.
    pub detail: String,
}

/// Sends messages. Made once and shared: it keeps an HTTP client for each set of trusted certificates, and
/// remembers which recipients of a half-delivered mail have it already.
#[derive(Debug)]
pub struct Notifier {
    deadlines: Deadlines,
    clients: http::Clients,
    mailer: email::Mailer,
}

impl Default for Notifier {
    fn default() -> Self {
        Self::new(Deadlines::default())
    }
}

impl Notifier {
    /// A notifier that has sent nothing yet.
    pub fn new(deadlines: Deadlines) -> Self {
        Self { deadlines, clients: http::Clients::default(), mailer: email::Mailer::new() }
    }

    /// Delivers one message to one channel, within the longest of the deadlines and a second. `now` dates the
    /// try (the mail's `Date`, the webhook's timestamp). May be called again with the same message after any
    /// error. Dropping the future gives up on the answer: the message may have arrived.
    ///
    /// # Errors
    /// - [`NotifyError::Refused`]: never, as things stand; also for a target that [`validate`] would refuse.
    /// - [`NotifyError::Busy`]: later, perhaps after [`NotifyError::retry_after`].
    /// - [`NotifyError::Unreachable`]: nothing was sent.
    /// - [`NotifyError::UnknownOutcome`]: it may have been accepted.
    pub async fn send(
        &self,
        target: &ChannelTarget,
        secret: Option<&SecretString>,
        message: &Message,
        now: Timestamp,
    ) -> Result<Receipt, NotifyError> {
        let secret = secret.map(ExposeSecret::expose_secret);
        validate(target, secret).map_err(|rule| NotifyError::refused(rule.to_string()))?;
        match target {
            ChannelTarget::Console(_) => Ok(console::send(message)),
            ChannelTarget::Email(email) => {
                self.mailer.send(email, secret, message, now, self.deadlines).await
            }
            ChannelTarget::Webhook(webhook) => {
                let client = self.clients.get(webhook.ca_pem.as_deref(), self.deadlines)?;
                webhook::send(&client, webhook, secret, message, now).await
            }
            ChannelTarget::Slack(_) => {
                let client = self.clients.get(None, self.deadlines)?;
                slack::send(&client, secret, message, now).await
            }
        }
    }
}
