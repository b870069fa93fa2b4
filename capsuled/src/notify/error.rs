//! Why a message was not accepted, in the words the outbox acts on.
//!
//! Details come from the other side or from libraries, so they are made printable, cut and cleaned of the
//! channel's secrets before they get in here; see [`super::text`].

use std::{error::Error, time::Duration};

/// A message that was not accepted, or perhaps was.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The other side said no, or the channel's settings make no sense: trying again changes nothing.
    #[error("the channel refused the message: {detail}")]
    Refused {
        /// What the other side said.
        detail: String,
    },
    /// The other side asks to come back later.
    #[error("the channel cannot take the message now: {detail}")]
    Busy {
        /// How long it asks us to wait, unclamped, when it said so.
        after: Option<Duration>,
        /// What the other side said.
        detail: String,
    },
    /// The message never left.
    #[error("the channel could not be reached")]
    Unreachable {
        /// What went wrong on the way.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The message left and no answer came back: it may have been accepted, so the next try may repeat it
    /// under the same delivery id.
    #[error("the channel may or may not have taken the message")]
    UnknownOutcome {
        /// What went wrong while waiting for the answer.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl NotifyError {
    pub(super) fn refused(detail: impl Into<String>) -> Self {
        Self::Refused { detail: detail.into() }
    }

    pub(super) fn unreachable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unreachable { source: source.into() }
    }

    pub(super) fn unknown(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::UnknownOutcome { source: source.into() }
    }

    /// Whether trying again is pointless. Exhaustive on purpose: a new variant must choose.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Busy { .. } | Self::Unreachable { .. } | Self::UnknownOutcome { .. } => false,
        }
    }

    /// How long the other side asks us to wait, as it said it: the caller clamps it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => *after,
            Self::Refused { .. } | Self::Unreachable { .. } | Self::UnknownOutcome { .. } => None,
        }
    }

    /// The whole story in one line of at most 500 bytes, for the delivery's `reason`.
    pub fn reason(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Several libraries repeat their cause in their own text.
            if !line.ends_with(&text) {
                line = format!("{line}: {text}");
            }
            cause = error.source();
        }
        super::text::clean(&line, 500)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_tells_the_cause_once() {
        let source = std::io::Error::other("connection refused");
        let reason = NotifyError::unreachable(source).reason();
        assert_eq!(reason, "the channel could not be reached: connection refused");
    }

    #[test]
    fn only_a_refusal_is_permanent() {
        let busy = NotifyError::Busy { after: Some(Duration::from_secs(7)), detail: String::new() };
        assert_eq!((busy.is_permanent(), busy.retry_after()), (false, Some(Duration::from_secs(7))));
        assert!(NotifyError::refused("no").is_permanent());
        assert!(!NotifyError::unknown("cut").is_permanent());
        assert!(!NotifyError::unreachable("cut").is_permanent());
    }
}
