//! Price intervals: what an xNode was billed at, from when to when, and whose money it was.

use capsule_api::{Health, UsdMicros, XNodeId, words};
use jiff::Timestamp;

words! {
    /// Why an xNode is billed.
    BillingReason("billing reason") {
        /// It is in use, or could be.
        Running = "running",
        /// It is switched off, and its provider bills it all the same.
        Stopped = "stopped",
    }
}

/// What an xNode is billed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Per hour; positive.
    pub hourly_micros: UsdMicros,
    /// Why.
    pub reason: BillingReason,
}

/// To what and whom a cost is put down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attribution {
    /// The xNode's name.
    pub name: String,
    /// Provider label.
    pub provider: Option<String>,
    /// Region label.
    pub region: Option<String>,
    /// The template it was deployed from.
    pub template: Option<String>,
    /// The account it is billed to.
    pub account: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
}

/// A time at one rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceInterval {
    /// The xNode.
    pub xnode: XNodeId,
    /// Whose cost it is.
    pub attribution: Attribution,
    /// The first moment at this rate.
    pub began_at: Timestamp,
    /// The first moment no more at it; `None`: it goes on.
    pub ended_at: Option<Timestamp>,
    /// The rate.
    pub rate: Rate,
    /// The xNode's health now; `None`: it is gone.
    pub health: Option<Health>,
}
