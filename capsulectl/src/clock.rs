//! The client's one look at the system's clock; everything else takes `now` as a value.

use jiff::Timestamp;

/// The wall time of this moment.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of the client that reads the wall clock"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
