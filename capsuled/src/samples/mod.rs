//! Resource readings of a node, with nothing installed on it: raw `/proc` text in, a sample out.
//!
//! A node runs one small shell script over SSH that prints kernel files as they are; everything else
//! happens here, in a pure function. Rates and processor use come from the difference to the previous
//! reading, so nothing sleeps on the node. The daemon's own host is read by the same function from the same
//! files. What a machine does not say is absent from the sample, never zero.

mod collect;
mod counters;
mod disks;
mod memory;
mod own;
mod parse;

#[cfg(any(target_os = "macos", test))]
mod macos;

pub use collect::{CollectError, collect};
pub use counters::Counters;
pub use own::OwnHost;
pub use parse::{ParseError, parse};
