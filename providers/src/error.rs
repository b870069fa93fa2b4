//! Why a provider did not do what it was asked, in the classes a caller acts on.

use std::time::Duration;

use capsule_api::ProviderName;

/// A call that did not do what it should. `detail` is the vendor's own message, shortened and without secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProviderError {
    /// The credential is wrong, expired, or not allowed to do this.
    #[error("{provider} refused the credential: {detail}")]
    Unauthorized {
        /// Which cloud.
        provider: ProviderName,
        /// The vendor's message.
        detail: String,
    },
    /// Too many calls; nothing happened.
    #[error("{provider} is rate limiting us")]
    RateLimited {
        /// Which cloud.
        provider: ProviderName,
        /// The vendor's `Retry-After`, where it sent one.
        after: Option<Duration>,
    },
    /// There is no such thing.
    #[error("{provider} knows no such {what}")]
    NotFound {
        /// Which cloud.
        provider: ProviderName,
        /// What was asked for, such as `droplet 4711`.
        what: String,
    },
    /// The size is sold out there; another offer may be had.
    #[error("{provider} is out of stock: {detail}")]
    OutOfStock {
        /// Which cloud.
        provider: ProviderName,
        /// The vendor's message.
        detail: String,
    },
    /// The account's limit is reached; another account or provider may do.
    #[error("the quota at {provider} is used up: {detail}")]
    Quota {
        /// Which cloud.
        provider: ProviderName,
        /// The vendor's message.
        detail: String,
    },
    /// The request can never work as it is.
    #[error("{provider} refused the request: {detail}")]
    Invalid {
        /// Which cloud.
        provider: ProviderName,
        /// The vendor's message.
        detail: String,
    },
    /// The thing is in a state that does not allow it now; it may later.
    #[error("{provider} cannot do this at present: {detail}")]
    Conflict {
        /// Which cloud.
        provider: ProviderName,
        /// The vendor's message.
        detail: String,
    },
    /// The vendor failed or could not be reached; nothing happened, or it was a read.
    #[error("{provider} is unavailable: {detail}")]
    Unavailable {
        /// Which cloud.
        provider: ProviderName,
        /// What was seen: a status, a broken connection, a deadline.
        detail: String,
    },
    /// It may or may not have happened: look before asking again.
    #[error("{provider} may or may not have done it: {detail}")]
    UnknownOutcome {
        /// Which cloud.
        provider: ProviderName,
        /// What was seen: a status, a broken connection, a deadline.
        detail: String,
    },
    /// The answer makes no sense.
    #[error("{provider} answered what this version cannot read: {detail}")]
    Unreadable {
        /// Which cloud.
        provider: ProviderName,
        /// Where and what.
        detail: String,
    },
    /// The service is over.
    #[error("{provider} ended its service on {date}")]
    Ended {
        /// Which cloud.
        provider: ProviderName,
        /// The day, `YYYY-MM-DD`.
        date: &'static str,
    },
}

impl ProviderError {
    /// Whether the same call may succeed later. Exhaustive on purpose: a new variant must choose.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Conflict { .. } => true,
            Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::OutOfStock { .. }
            | Self::Quota { .. }
            | Self::Invalid { .. }
            | Self::UnknownOutcome { .. }
            | Self::Unreadable { .. }
            | Self::Ended { .. } => false,
        }
    }

    /// Whether another offer should be tried instead: this one cannot be had, and nothing was made.
    pub fn tries_next_offer(&self) -> bool {
        match self {
            Self::OutOfStock { .. }
            | Self::Quota { .. }
            | Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::Conflict { .. }
            | Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Ended { .. } => true,
            Self::UnknownOutcome { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// The stable word for it: `unauthorised`, `rate_limited`, `out_of_stock`, …
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorised",
            Self::RateLimited { .. } => "rate_limited",
            Self::NotFound { .. } => "not_found",
            Self::OutOfStock { .. } => "out_of_stock",
            Self::Quota { .. } => "quota",
            Self::Invalid { .. } => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::Unavailable { .. } => "unavailable",
            Self::UnknownOutcome { .. } => "unknown_outcome",
            Self::Unreadable { .. } => "unreadable",
            Self::Ended { .. } => "ended",
        }
    }
}
