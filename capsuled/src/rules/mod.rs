//! Pure decisions on values: no clock, no async, no SQL, no I/O.
//!
//! Everything worth testing in ten ways is decided here; tasks and use cases fetch the values, ask, and act
//! on the answer. `now` and randomness come in as parameters, so a test is a table of values.

pub mod access;
pub mod alerts;
pub mod backoff;
pub mod catalogue;
pub mod costs;
pub mod deployments;
pub mod equivalents;
pub mod former;
pub mod health;
pub mod planning;
pub mod power;
pub mod rate;
pub mod reconcile;
pub mod records;
pub mod remediation;
pub mod retention;
pub mod routing;
pub mod schedule;
pub mod selection;
pub mod thresholds;
