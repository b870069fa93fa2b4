//! TCP probes: a connection that opens.

use std::{io, net::SocketAddr, time::Duration};

use capsule_api::TcpProbe;
use socket2::SockRef;
use tokio::{net::TcpStream, time::Instant};

use super::{Prober, deadline::Progress, seen::Seen};
use crate::model::CheckPlan;

impl Prober {
    /// Whether the port accepts a connection.
    pub(super) async fn tcp(
        &self,
        plan: &CheckPlan,
        probe: &TcpProbe,
        progress: &Progress,
    ) -> Result<Seen, Seen> {
        let address = self.resolver.first(&plan.address, probe.port, probe.family, progress).await?;
        let latency = connect(address).await.map_err(|error| Seen::failed(&error, &connecting(address)))?;
        Ok(Seen::up(latency, format!("connected to port {}", address.port())))
    }
}

/// Opens a connection, closes it, and says how long the opening took.
pub(super) async fn connect(address: SocketAddr) -> io::Result<Duration> {
    let started = Instant::now();
    let stream = TcpStream::connect(address).await?;
    let latency = started.elapsed();
    // Closing with a reset: neither side keeps the connection in TIME_WAIT, which at a thousand probes a
    // second would use up our ports, and a server that has not accepted it yet need not any more. Failing
    // to set it costs just that.
    let _unset = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    Ok(latency)
}

/// What was being done, for messages; the address tells which one a name led to.
pub(super) fn connecting(address: SocketAddr) -> String {
    format!("connecting to {address}")
}
