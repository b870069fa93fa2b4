//! Names to addresses, bounded in number, by the system's resolver.
//!
//! `getaddrinfo` blocks a thread for as long as it likes, and a thread that was given up on still runs. So a
//! lookup keeps its permit until its thread is back, however long ago the probe stopped waiting, and a
//! resolver that hangs costs [`Resolver`]'s bound in threads and never more. There is no cache: a monitor
//! that remembers an old address does not notice that the name is gone.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    sync::Arc,
};

use capsule_api::{Host, IpFamily};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    deadline::Progress,
    seen::{Seen, is_ours},
};

/// Most addresses of one name that are looked at, and of these, most that are used.
const LOOKED_AT: usize = 64;
const USED: usize = 16;

/// The system's resolver, bounded.
#[derive(Debug)]
pub(super) struct Resolver {
    lookups: Arc<Semaphore>,
}

impl Resolver {
    /// A resolver that runs at most `lookups` lookups at a time.
    pub fn new(lookups: usize) -> Self {
        Self { lookups: Arc::new(Semaphore::new(lookups)) }
    }

    /// The first address of `host` in `family`.
    pub async fn first(
        &self,
        host: &Host,
        port: u16,
        family: IpFamily,
        progress: &Progress,
    ) -> Result<SocketAddr, Seen> {
        match host.ip() {
            Some(ip) => literal(ip, port, family),
            None => self.all(host.as_str(), port, family, progress).await.map(|found| found[0]),
        }
    }

    /// The addresses of `name` in `family`: at least one, at most 16, in the system's order of preference.
    pub async fn all(
        &self,
        name: &str,
        port: u16,
        family: IpFamily,
        progress: &Progress,
    ) -> Result<Vec<SocketAddr>, Seen> {
        let answer = progress.own("our resolver did not answer", self.look_up(name, port)).await;
        let found = answer.map_err(|error| unresolved(name, &error))?;
        let wanted: Vec<_> =
            found.into_iter().filter(|address| is_in(address.ip(), family)).take(USED).collect();
        if wanted.is_empty() {
            return Err(Seen::down(format!("{name} has no {} address", family_name(family))));
        }
        Ok(wanted)
    }

    async fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let lookup = spawn_blocking(move || {
            let _held_until_the_thread_is_back = permit;
            match (name.as_str(), port).to_socket_addrs() {
                Ok(found) => Ok(found.take(LOOKED_AT).collect()),
                // With a full file table glibc cannot read its files, and says that there is no such name.
                Err(error) => Err(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).err().unwrap_or(error)),
            }
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// The address itself, if it is of the family.
fn literal(ip: IpAddr, port: u16, family: IpFamily) -> Result<SocketAddr, Seen> {
    if is_in(ip, family) {
        return Ok(SocketAddr::new(ip, port));
    }
    Err(Seen::down(format!("{ip} is not an {} address", family_name(family))))
}

fn is_in(ip: IpAddr, family: IpFamily) -> bool {
    match family {
        IpFamily::Any => true,
        IpFamily::V4 => ip.is_ipv4(),
        IpFamily::V6 => ip.is_ipv6(),
    }
}

const fn family_name(family: IpFamily) -> &'static str {
    match family {
        IpFamily::Any => "IP",
        IpFamily::V4 => "IPv4",
        IpFamily::V6 => "IPv6",
    }
}

/// Why a lookup failed: only the plain statement that there is no such name, or no address for it, is about
/// the node; everything else is a resolver that could not be asked. Where their name servers are the ones
/// that fail, our resolver cannot tell us so, and we stay blind rather than guess.
fn unresolved(name: &str, error: &io::Error) -> Seen {
    // The standard library keeps only gai_strerror's text, which stays English because we never set a
    // locale: EAI_NONAME and EAI_NODATA in the words of glibc, musl and macOS.
    const NO_SUCH_NAME: [&str; 6] = [
        "Name or service not known",
        "No address associated with hostname",
        "Address family for hostname not supported",
        "Name does not resolve",
        "Name has no usable address",
        "nodename nor servname provided",
    ];
    let text = error.to_string();
    let words = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let no_such_name = NO_SUCH_NAME.iter().any(|known| words.starts_with(known));
    if no_such_name && !is_ours(error) {
        return Seen::down(format!("{name} has no address: {}", words.to_lowercase()));
    }
    Seen::blind(format!("our resolver could not look up {name}: {}", words.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::probe::seen::Verdict;

    fn failed(text: &str) -> Seen {
        unresolved("web", &io::Error::other(format!("failed to lookup address information: {text}")))
    }

    #[test]
    fn a_name_that_does_not_exist_is_theirs_and_a_dead_resolver_is_ours() {
        let gone = failed("Name or service not known");
        assert_eq!(gone.verdict, Verdict::Down);
        assert_eq!(gone.detail, "web has no address: name or service not known");
        for ours in ["Temporary failure in name resolution", "Non-recoverable failure in name resolution"] {
            assert_eq!(failed(ours).verdict, Verdict::Blind, "{ours}");
        }
        assert_eq!(unresolved("web", &io::Error::from_raw_os_error(libc::EMFILE)).verdict, Verdict::Blind);
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver_and_must_be_of_the_family() {
        let resolver = Resolver::new(1);
        let host: Host = "127.0.0.1".parse().expect("an address");
        let progress = Progress::default();
        let found = resolver.first(&host, 80, IpFamily::V4, &progress).await.expect("it is one");
        assert_eq!(found, "127.0.0.1:80".parse().expect("an address"));
        let seen = resolver.first(&host, 80, IpFamily::V6, &progress).await.expect_err("it is not one");
        assert_eq!(seen.detail, "127.0.0.1 is not an IPv6 address");
    }

    #[tokio::test]
    async fn localhost_resolves_without_the_network() {
        let host: Host = "localhost".parse().expect("a name");
        let found = Resolver::new(1).first(&host, 22, IpFamily::V4, &Progress::default()).await;
        assert_eq!(found.expect("resolved").to_string(), "127.0.0.1:22");
    }

    #[tokio::test]
    async fn lookups_wait_for_their_turn_and_say_that_it_was_ours_to_come() {
        let resolver = Resolver::new(1);
        let _busy = Arc::clone(&resolver.lookups).acquire_owned().await.expect("free");
        let progress = Progress::default();
        let lookup = resolver.all("localhost", 22, IpFamily::Any, &progress);
        let timeout = Duration::from_millis(20);
        assert!(tokio::time::timeout(timeout, lookup).await.is_err());
        assert_eq!(progress.expired(timeout).verdict, Verdict::Blind);
    }
}
