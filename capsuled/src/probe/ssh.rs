//! SSH probes: the banner and, unless the check wants the banner alone, the pinned host key.

use std::time::Duration;

use capsule_api::{IpFamily, SshProbe};
use tokio::time::Instant;

use super::{
    Prober,
    deadline::Progress,
    seen::{Seen, io_words, os_error},
};
use crate::{
    model::CheckPlan,
    ssh::{SshError, fingerprint, greet},
};

impl Prober {
    /// Whether the SSH server greets us and is still the one that is pinned.
    pub(super) async fn ssh(
        &self,
        plan: &CheckPlan,
        probe: &SshProbe,
        progress: &Progress,
    ) -> Result<Seen, Seen> {
        let began = Instant::now();
        let port = probe.port.unwrap_or(plan.ssh_port);
        let address = self.resolver.first(&plan.address, port, IpFamily::Any, progress).await?;
        let started = Instant::now();
        // A little less than there is, so that it is the greeting that runs out of time and says where.
        let left = (plan.timeout - plan.timeout / 50).saturating_sub(began.elapsed());
        // Pin and offered key belong to the xNode's own SSH port: another port may well be another server,
        // whose key nobody may take for the xNode's.
        let is_own_port = port == plan.ssh_port;
        let pinned = plan.host_key.as_deref().filter(|_| is_own_port);
        let greeting = greet(address, probe.host_key, pinned, left).await;
        let greeting = greeting.map_err(|error| refused(&error, plan.timeout))?;
        let mut seen = Seen::up(started.elapsed(), greeting.banner);
        seen.host_key = greeting.host_key.filter(|_| is_own_port);
        Ok(seen)
    }
}

/// What a greeting that did not come about says.
fn refused(error: &SshError, timeout: Duration) -> Seen {
    match error {
        SshError::HostKeyChanged { offered, offered_fingerprint, pinned } => {
            let pinned = fingerprint(pinned).unwrap_or_else(|_| "an unreadable key".to_owned());
            let mut seen = Seen::down(format!(
                "the host key changed: {offered_fingerprint} was offered, {pinned} is pinned"
            ));
            seen.host_key = Some(offered.clone());
            seen
        }
        SshError::TimedOut { .. } => Seen::slow(error.to_string(), timeout),
        other => {
            let words = match os_error(other) {
                Some(cause) => format!("{other}: {}", io_words(cause)),
                None => other.to_string(),
            };
            if other.is_local() { Seen::blind(words) } else { Seen::down(words) }
        }
    }
}
