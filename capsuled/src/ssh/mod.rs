//! SSH sessions: a deadline for every stage, pinned host keys, bounded output. The only importer of russh.
//!
//! Everything arrives as a value: addresses, keys, pinned host keys, deadlines. What was seen (the banner,
//! the host key, the output) goes back to the caller, who decides what to store. Nothing here knows the
//! inventory, reads the environment or opens a path it was not given.
//!
//! The other end is assumed to be hostile: a server that talks for ever, says nothing, or sends garbage
//! costs one deadline and a bounded amount of memory. russh has neither deadlines nor a byte budget of its
//! own, and its session task outlives a dropped handshake, so every connection runs behind a
//! guarded transport (`stream.rs`) that can be cut and that counts what it lets through.

mod command;
mod connect;
mod destination;
mod error;
mod greet;
mod keys;
mod pool;
mod remote;
mod session;
mod stream;
mod text;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use command::{Command, Output, Script};
pub use connect::{connect, connect_for_streams};
pub use destination::{Auth, Destination, Limits, MAX_HOPS};
pub use error::{SshError, Stage};
pub use greet::{Greeting, greet};
pub use keys::{
    KeyError, fingerprint, generate, normalise_public_key, same_public_key, validate_private_key,
};
pub use pool::{Pool, PoolLimits, Pooled};
pub use remote::{Asked, Connection, Listener, Seen, Shell, ShellInput, ShellOutput};
pub use session::{Remote, Session};
pub use text::printable;
