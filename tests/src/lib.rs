//! What the end-to-end suites drive: the real binaries, real SSH servers, a real mail server, and sinks that
//! remember what they were sent.
//!
//! Nothing here sleeps: [`wait::until`] looks again until a condition holds or a deadline passes, and then
//! says what it saw last. Everything listens on loopback and ends with the test.

pub mod cloud;
pub mod daemon;
pub mod deploying;
pub mod fleet;
pub mod mail;
pub mod sink;
pub mod sshd;
pub mod wait;
