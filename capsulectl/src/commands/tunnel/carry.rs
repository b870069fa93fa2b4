//! The connections through a tunnel: each is a stream of its own to the daemon.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use capsule_api::{CONNECTION_PROTOCOL, TunnelConnectionRequest, TunnelId};
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::control::{Told, tell};
use crate::{
    client::Client,
    error::{Error, Result},
    output::Output,
};

/// How many at once; the daemon carries no more through one tunnel. Others wait until one has ended.
const MOST: usize = 128;
/// How long a connection waits for a tunnel that is being opened again, and a target here for its answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// What is kept of a connection's bytes in each direction.
const BUFFER: usize = 64 * 1024;

/// What every connection of a tunnel needs. Cheap to clone.
#[derive(Clone)]
pub struct Carrier {
    pub client: Arc<Client>,
    pub told: Told,
    pub out: Output,
    /// The tunnel at the daemon; absent while it is opened again.
    pub tunnel: watch::Receiver<Option<TunnelId>>,
    last_trouble: Arc<Mutex<String>>,
}

/// One connection, counted while it lives.
struct Counted(Told);

impl Counted {
    fn one_more(told: &Told) -> Self {
        tell(told, |tunnel| tunnel.connections += 1);
        Self(Arc::clone(told))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        tell(&self.0, |tunnel| tunnel.connections -= 1);
    }
}

impl Carrier {
    pub fn new(client: Client, told: Told, out: Output, tunnel: watch::Receiver<Option<TunnelId>>) -> Self {
        Self { client: Arc::new(client), told, out, tunnel, last_trouble: Arc::default() }
    }

    /// Takes connections here and carries each to the other side; never ends by itself.
    pub async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(MOST));
        let mut under_way = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = under_way.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => {
                    let carrier = self.clone();
                    under_way.spawn(async move {
                        let _place = place;
                        let _counted = Counted::one_more(&carrier.told);
                        let done = carrier.outward(stream).await;
                        carrier.complain(done);
                    });
                }
                Err(source) => {
                    self.complain(Err(Error::Local { action: "take a connection".to_owned(), source }));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn outward(&self, here: TcpStream) -> Result<()> {
        let mut tunnel = self.tunnel.clone();
        let open = timeout(PATIENCE, tunnel.wait_for(Option::is_some)).await;
        let late = || Error::TimedOut { what: "opening the tunnel again".to_owned(), after: PATIENCE };
        let id = open.ok().and_then(|open| open.ok().and_then(|id| *id)).ok_or_else(late)?;
        self.join(here, id, None).await
    }

    /// Fetches a connection that came on the other side and carries it to `target`.
    pub async fn inward(self, id: TunnelId, number: u64, target: SocketAddr) {
        let _counted = Counted::one_more(&self.told);
        let done = async {
            let connected = timeout(PATIENCE, TcpStream::connect(target)).await;
            let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            // Not fetched, so the other side learns of it when its patience ends; fetched and dropped, at once.
            match connected {
                Ok(here) => self.join(here, id, Some(number)).await,
                Err(source) => {
                    drop(self.stream(id, Some(number)).await?);
                    Err(Error::Local { action: format!("connect to {target}"), source })
                }
            }
        };
        let done = done.await;
        self.complain(done);
    }

    async fn stream(
        &self,
        id: TunnelId,
        number: Option<u64>,
    ) -> Result<hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>> {
        let request = TunnelConnectionRequest { number };
        self.client.upgrade(&format!("/v1/tunnels/{id}/connections"), CONNECTION_PROTOCOL, &request).await
    }

    async fn join(&self, mut here: TcpStream, id: TunnelId, number: Option<u64>) -> Result<()> {
        let mut there = self.stream(id, number).await?;
        // Small messages and their answers alternate; a failure here only costs latency.
        let _ = here.set_nodelay(true);
        // How a connection ends is between its two ends.
        let _ = copy_bidirectional_with_sizes(&mut here, &mut there, BUFFER, BUFFER).await;
        Ok(())
    }

    /// Says what went wrong with a connection, the same thing once.
    fn complain(&self, done: Result<()>) {
        let mut last = self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(()) => last.clear(),
            Err(error) if error.line() == *last => {}
            Err(error) => {
                *last = error.line();
                self.out.note(&format!("a connection failed: {last}"));
            }
        }
    }
}
