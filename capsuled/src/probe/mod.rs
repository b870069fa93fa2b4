//! Probes: ask one question, within its deadline, and say what was seen.
//!
//! [`Prober::probe`] never fails. A probe that could not be carried out because of this machine (no route, no
//! descriptors, no permission, a dead resolver, no time to listen) is [`Outcome::Blind`] and says nothing
//! about the node; everything else is up or down. What a finding says is text from outside: it is escaped and
//! cut to 500 bytes here, so nobody after us has to.
//!
//! A prober is made inside the runtime that runs it, which should be a current-thread runtime of its own:
//! one thread is cheaper per probe than two, and nothing else then makes its deadlines late. When that
//! runtime ends, end it without waiting for blocking threads (`Runtime::shutdown_background`): the system's
//! resolver may hold one for as long as it likes.
//!
//! [`Outcome::Blind`]: capsule_api::Outcome::Blind

mod deadline;
mod http;
mod icmp;
mod pacer;
mod ping;
mod recent;
mod resolver;
mod seen;
mod ssh;
mod tcp;
mod validate;

#[cfg(test)]
mod testing;

use std::{pin::pin, time::Duration};

use capsule_api::ProbeSpec;
use jiff::Timestamp;

pub use icmp::{IcmpAccess, IcmpStatus};
pub use validate::{ProbeSpecError, validate};

use crate::model::{CheckPlan, Finding};
use deadline::{Progress, Watched, judge, watch};

/// What bounds a prober.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProberOptions {
    /// Whether ICMP is tried at all; without it ping checks connect to the SSH port. Default true.
    pub icmp: bool,
    /// Receive buffer of a ping socket in bytes, as far as the system permits. Default 4 MiB.
    pub receive_buffer_bytes: usize,
    /// Most pings waiting for an answer in each family, about 4 KiB each. Default 16,384: ten thousand dead
    /// hosts that hold their place for five seconds of every ten.
    pub outstanding_pings: usize,
    /// Most name look-ups at a time, a thread each. Default 16.
    pub lookups: usize,
}

impl Default for ProberOptions {
    fn default() -> Self {
        Self { icmp: true, receive_buffer_bytes: 4 << 20, outstanding_pings: 16_384, lookups: 16 }
    }
}

/// Asks the questions of checks. Made once; every probe shares its sockets, clients and compiled patterns.
#[derive(Debug)]
pub struct Prober {
    resolver: resolver::Resolver,
    icmp: icmp::Sockets,
    http: http::Http,
}

impl Prober {
    /// Opens the ping sockets; if there are none, the log, [`Prober::icmp`] and every ping say why.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers and I/O.
    pub fn new(options: ProberOptions) -> Self {
        Self {
            resolver: resolver::Resolver::new(options.lookups),
            icmp: icmp::Sockets::open(&options),
            http: http::Http::new(),
        }
    }

    /// How ICMP can be sent.
    pub fn icmp(&self) -> IcmpStatus {
        self.icmp.status()
    }

    /// Asks what `plan` asks, for at most `plan.timeout`. `at` is the time of day the finding gets and
    /// certificates are judged by. Dropping the future gives the probe up and leaves nothing behind.
    pub async fn probe(&self, plan: &CheckPlan, at: Timestamp) -> Finding {
        let progress = Progress::default();
        let asked = async {
            match &plan.probe {
                ProbeSpec::Ping(probe) => self.ping(plan, probe, &progress).await,
                ProbeSpec::Tcp(probe) => self.tcp(plan, probe, &progress).await,
                // Boxed, so that the many pings that wait for dead hosts are not as large as these.
                ProbeSpec::Ssh(probe) => Box::pin(self.ssh(plan, probe, &progress)).await,
                ProbeSpec::Http(probe) => Box::pin(self.http.ask(&self.resolver, probe, at, &progress)).await,
            }
        };
        let Watched { output, stalled } = watch(plan.timeout, patience(plan), pin!(asked)).await;
        let seen = match output {
            Some(Ok(seen) | Err(seen)) => seen,
            None => progress.expired(plan.timeout),
        };
        judge(seen, stalled).into_finding(at)
    }
}

/// The shortest time in which a slow answer fails the check.
fn patience(plan: &CheckPlan) -> Duration {
    match &plan.probe {
        ProbeSpec::Http(probe) => probe.max_latency_ms.map_or(plan.timeout, Duration::from_millis),
        ProbeSpec::Ping(_) | ProbeSpec::Tcp(_) | ProbeSpec::Ssh(_) => plan.timeout,
    }
}

#[cfg(test)]
mod tests;
