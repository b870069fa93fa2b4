//! Ping probes: does the host answer an ICMP echo.
//!
//! One lost packet is not an outage, so a second echo leaves at half the time allowed and an answer to either
//! counts: the first is still listened for, since splitting the listening too would turn a slow line into a
//! dead one. Where we may not send ICMP, a TCP connection to the SSH port stands in: opened or refused, a
//! host answered. The result says that it is the stand-in.

use std::{io::ErrorKind, net::SocketAddr, pin::pin};

use capsule_api::PingProbe;
use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep_until};

use super::{Prober, deadline::Progress, icmp::Reply, seen::Seen, tcp::connect};
use crate::model::CheckPlan;

impl Prober {
    /// Whether the host answers.
    pub(super) async fn ping(
        &self,
        plan: &CheckPlan,
        probe: &PingProbe,
        progress: &Progress,
    ) -> Result<Seen, Seen> {
        let confirm_at = Instant::now() + plan.timeout / 2;
        let address = self.resolver.first(&plan.address, plan.ssh_port, probe.family, progress).await?;
        match self.icmp.to(address.ip()) {
            Ok(socket) => {
                progress.miss("no answer to two pings");
                ask_twice(|| socket.echo(address.ip(), progress), confirm_at).await
            }
            Err(why) => stand_in(address, why, progress).await,
        }
    }
}

/// Pings now and, unless that was answered, again at `confirm_at`; waits for ever.
async fn ask_twice<P>(ping: impl Fn() -> P, confirm_at: Instant) -> Result<Seen, Seen>
where
    P: Future<Output = Result<Reply, Seen>>,
{
    let first = pin!(ping());
    let second = pin!(async {
        sleep_until(confirm_at).await;
        ping().await
    });
    match select(first, second).await {
        Either::Left((reply, second)) => settle(reply?, second).await,
        Either::Right((reply, first)) => settle(reply?, first).await,
    }
}

/// What the first reply means; a complaint counts only if the other ping is not answered either, since a
/// router may complain in the middle of a change of routes.
async fn settle(reply: Reply, other: impl Future<Output = Result<Reply, Seen>>) -> Result<Seen, Seen> {
    let reply = match reply {
        Reply::Echo(_) => reply,
        Reply::Unreachable(_) => other.await?,
    };
    Ok(match reply {
        Reply::Echo(latency) => Seen::up(latency, "answered"),
        Reply::Unreachable(why) => Seen::down(why),
    })
}

/// Connects to the SSH port because ICMP is not open to us, for the reason `why`.
async fn stand_in(address: SocketAddr, why: &str, progress: &Progress) -> Result<Seen, Seen> {
    progress.miss("tcp fallback: no answer");
    let port = address.port();
    let started = Instant::now();
    match connect(address).await {
        Ok(latency) => {
            Ok(Seen::up(latency, format!("tcp fallback: connected to port {port} (no ICMP: {why})")))
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Seen::up(
            started.elapsed(),
            format!("tcp fallback: the host refused port {port}, so it is there (no ICMP: {why})"),
        )),
        Err(error) => Err(Seen::failed(&error, &format!("tcp fallback: connecting to {address}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending, time::Duration};

    use super::*;
    use crate::probe::seen::Verdict;

    const LATENCY: Duration = Duration::from_millis(3);

    /// Pings twice, where the first and the second fare as given; `None` is never answered.
    async fn fared(first: Option<Reply>, second: Option<Reply>) -> Result<Seen, Seen> {
        let pings = Cell::new([second, first].map(Some).into_iter().collect::<Vec<_>>());
        let ping = || {
            let mut left = pings.take();
            let reply = left.pop().expect("no third ping").flatten();
            pings.set(left);
            async move {
                match reply {
                    Some(reply) => Ok(reply),
                    None => pending().await,
                }
            }
        };
        ask_twice(ping, Instant::now() + Duration::from_millis(10)).await
    }

    fn unreachable() -> Reply {
        Reply::Unreachable("host unreachable, says 192.0.2.1".to_owned())
    }

    #[tokio::test]
    async fn one_lost_or_refused_ping_is_not_an_outage() {
        for first in [None, Some(unreachable())] {
            let seen = fared(first, Some(Reply::Echo(LATENCY))).await.expect("answered");
            assert_eq!((seen.verdict, seen.latency), (Verdict::Up, Some(LATENCY)));
        }
    }

    #[tokio::test]
    async fn an_answered_ping_is_not_repeated() {
        let seen = fared(Some(Reply::Echo(LATENCY)), None).await.expect("answered");
        assert_eq!(seen.verdict, Verdict::Up);
    }

    #[tokio::test]
    async fn two_complaints_are_an_outage_with_a_reason() {
        let seen = fared(Some(unreachable()), Some(unreachable())).await.expect("settled");
        assert_eq!(seen.verdict, Verdict::Down);
        assert_eq!(seen.detail, "host unreachable, says 192.0.2.1");
    }
}
