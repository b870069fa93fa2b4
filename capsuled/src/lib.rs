//! The daemon's parts, innermost first; ARCHITECTURE.md has the table of who may import whom, and
//! `tests/layering.rs` holds the code to it.
//!
//! This is a library only so that tests and benchmarks reach the parts; the product is the binary.

pub mod model;

pub mod clock;
pub mod config;
pub mod faults;
pub mod logging;
pub mod secret;

pub mod rules;

pub mod notify;
pub mod probe;
pub mod samples;
pub mod ssh;
pub mod store;

pub mod context;

pub mod usecases;

pub mod api;
pub mod tasks;

pub mod daemon;
