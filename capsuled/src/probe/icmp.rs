//! ICMP sockets: one per family for the whole daemon, opened once, shared by every ping.
//!
//! surge-ping matches an answer to its question by address, identifier and sequence number, so both numbers
//! come from one counter that repeats after 2^32 steps and changes them together: a late answer is never
//! taken for another question's, and a firewall that lost track of one exchange forgets about it with the
//! next. A raw socket (CAP_NET_RAW) is preferred because it also hears routers say "unreachable". On a
//! datagram socket (`ping_group_range`) Linux fixes the identifier for the socket's life, so there the
//! socket itself is replaced now and then.

use std::{
    io,
    net::IpAddr,
    os::fd::BorrowedFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use socket2::Type;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use tokio::{sync::Semaphore, time::Instant};
use tracing::{info, warn};

use super::{
    ProberOptions,
    deadline::Progress,
    pacer::Pacer,
    seen::{Seen, Verdict},
};

/// Age at which a datagram socket, and with it its identifier, is replaced.
const DATAGRAM_AGE: Duration = Duration::from_secs(600);
/// What an echo carries beside the header: as much as `ping` sends, so that firewalls see nothing unusual.
const PAYLOAD: [u8; 56] = *b"capsule asks whether you are there; no answer is stored.";

/// How ICMP can be sent in one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IcmpAccess {
    /// Raw socket, by CAP_NET_RAW.
    Raw,
    /// Datagram socket, by `net.ipv4.ping_group_range` (which holds for IPv6 too).
    Datagram,
    /// Not at all, and why; ping checks connect to the SSH port instead and say so.
    Unavailable(String),
}

/// How ICMP can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpStatus {
    /// Over IPv4.
    pub v4: IcmpAccess,
    /// Over IPv6.
    pub v6: IcmpAccess,
}

impl IcmpStatus {
    /// Whether ICMP can be sent in at least one family.
    pub fn is_available(&self) -> bool {
        [&self.v4, &self.v6].into_iter().any(|access| !matches!(access, IcmpAccess::Unavailable(_)))
    }
}

/// The sockets of both families.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: Result<Socket, String>,
    v6: Result<Socket, String>,
}

impl Sockets {
    /// Opens what can be opened. Must be called inside a tokio runtime, which then runs the receivers.
    pub fn open(options: &ProberOptions) -> Self {
        let open = |kind, what| {
            if !options.icmp {
                return Err("switched off".to_owned());
            }
            Socket::open(kind, options).map_err(|error| {
                let why = unavailable(&error);
                warn!("no ping over {what}, ping checks connect to the SSH port instead: {why}");
                why
            })
        };
        Self { v4: open(ICMP::V4, "IPv4"), v6: open(ICMP::V6, "IPv6") }
    }

    /// The socket for `address`, or why there is none.
    pub fn to(&self, address: IpAddr) -> Result<&Socket, &str> {
        let socket = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        socket.as_ref().map_err(String::as_str)
    }

    /// What the sockets can do.
    pub fn status(&self) -> IcmpStatus {
        let access = |socket: &Result<Socket, String>| match socket {
            Ok(socket) => socket.access.clone(),
            Err(why) => IcmpAccess::Unavailable(why.clone()),
        };
        IcmpStatus { v4: access(&self.v4), v6: access(&self.v6) }
    }
}

/// One family's socket.
pub(super) struct Socket {
    kind: ICMP,
    access: IcmpAccess,
    receive_buffer_bytes: usize,
    /// With the moment it was opened.
    client: Mutex<(Client, Instant)>,
    pacer: Pacer,
    /// Places for pings that wait for their answer; dead hosts hold theirs until the deadline.
    places: Semaphore,
    counter: AtomicU32,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("kind", &self.kind)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// What came back to an echo.
#[derive(Debug)]
pub(super) enum Reply {
    /// The answer, and how long it took.
    Echo(Duration),
    /// A router, or our own kernel on its behalf, says that it cannot be reached; in words.
    Unreachable(String),
}

impl Socket {
    fn open(kind: ICMP, options: &ProberOptions) -> io::Result<Self> {
        let client = open_client(kind)?;
        let access = match client.get_socket().get_type() {
            Type::RAW => IcmpAccess::Raw,
            _ => IcmpAccess::Datagram,
        };
        let receive_buffer_bytes = options.receive_buffer_bytes;
        match enlarge_receive_buffer(&client, receive_buffer_bytes) {
            Ok(got) => info!("ping over {kind:?} by {access:?} socket, receive buffer of {got} bytes"),
            Err(error) => warn!("ping over {kind:?} keeps the small receive buffer: {error}"),
        }
        Ok(Self {
            kind,
            access,
            receive_buffer_bytes,
            client: Mutex::new((client, Instant::now())),
            pacer: Pacer::default(),
            places: Semaphore::new(options.outstanding_pings),
            counter: AtomicU32::new(rand::random()),
        })
    }

    /// Sends one echo to `address` when its turn has come and waits for what comes back, for ever. The place
    /// and the registration end with the future.
    pub async fn echo(&self, address: IpAddr, progress: &Progress) -> Result<Reply, Seen> {
        let place =
            progress.own("too many pings are waiting: no place became free", self.places.acquire()).await;
        let _place = place.map_err(|_| Seen::blind("the ping socket is closed"))?;
        progress.own("pings are paced: our turn did not come", self.pacer.turn()).await;
        let client = self.client();
        let (identifier, sequence) = self.numbers();
        let mut pinger = client.pinger(address, identifier).await;
        pinger.timeout(Duration::MAX);
        match pinger.ping(sequence, &PAYLOAD).await {
            Ok((packet, latency)) => Ok(read(&packet, latency)),
            Err(SurgeError::IOError(error)) => {
                let seen = Seen::failed(&error, &format!("sending a ping to {address}"));
                if seen.verdict == Verdict::Down { Ok(Reply::Unreachable(seen.detail)) } else { Err(seen) }
            }
            Err(error) => Err(Seen::blind(format!("sending a ping to {address}: {error}"))),
        }
    }

    /// The client to send by. A handle keeps its socket alive, so pings under way survive a replacement.
    fn client(&self) -> Client {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if self.access == IcmpAccess::Datagram && current.1.elapsed() > DATAGRAM_AGE {
            // If there is no new one the old one still does.
            if let Ok(fresh) = open_client(self.kind) {
                let _kept_small = enlarge_receive_buffer(&fresh, self.receive_buffer_bytes);
                *current = (fresh, Instant::now());
            }
        }
        current.0.clone()
    }

    /// The next identifier and sequence number. The step is odd, so no pair repeats within 2^32 pings and no
    /// sequence number within 2^16, and large, so that the identifier changes with every step.
    fn numbers(&self) -> (PingIdentifier, PingSequence) {
        let number = self.counter.fetch_add(0x9E37_79B1, Ordering::Relaxed);
        let [i1, i0, s1, s0] = number.to_be_bytes();
        (PingIdentifier(u16::from_be_bytes([i1, i0])), PingSequence(u16::from_be_bytes([s1, s0])))
    }
}

fn open_client(kind: ICMP) -> io::Result<Client> {
    Client::new(&Config::builder().kind(kind).sock_type_hint(Type::RAW).build())
}

/// Asks for a larger receive buffer and returns what the system gave.
fn enlarge_receive_buffer(client: &Client, bytes: usize) -> nix::Result<usize> {
    let socket = client.get_socket();
    #[expect(unsafe_code, reason = "surge-ping lends its socket only as a number")]
    // SAFETY: `socket` owns the descriptor and lives until the end of this function.
    let descriptor = unsafe { BorrowedFd::borrow_raw(socket.get_native_sock()) };
    // Past the system's limit only with CAP_NET_ADMIN, so the refusal is the normal case.
    #[cfg(target_os = "linux")]
    let forced = setsockopt(&descriptor, sockopt::RcvBufForce, &bytes).is_ok();
    #[cfg(not(target_os = "linux"))]
    let forced = false;
    if !forced {
        setsockopt(&descriptor, sockopt::RcvBuf, &bytes)?;
    }
    getsockopt(&descriptor, sockopt::RcvBuf)
}

/// What a packet that answers our question says: surge-ping hands over routers' complaints as answers too.
fn read(packet: &IcmpPacket, latency: Duration) -> Reply {
    let unreachable = |from: IpAddr, why: &str| Reply::Unreachable(format!("{why}, says {from}"));
    match packet {
        IcmpPacket::V4(packet) => {
            let from = IpAddr::V4(packet.get_source());
            match (packet.get_icmp_type().0, packet.get_icmp_code().0) {
                (0, _) => Reply::Echo(latency),
                (3, 0) => unreachable(from, "network unreachable"),
                (3, 1) => unreachable(from, "host unreachable"),
                (3, 9 | 10 | 13) => unreachable(from, "prohibited by a firewall"),
                (3, _) => unreachable(from, "destination unreachable"),
                (11, _) => unreachable(from, "too many hops on the way"),
                _ => unreachable(from, "not delivered"),
            }
        }
        IcmpPacket::V6(packet) => {
            let from = IpAddr::V6(packet.get_source());
            match (packet.get_icmpv6_type().0, packet.get_icmpv6_code().0) {
                (129, _) => Reply::Echo(latency),
                (1, 0) => unreachable(from, "no route to destination"),
                (1, 1) => unreachable(from, "prohibited by a firewall"),
                (1, 3) => unreachable(from, "address unreachable"),
                (1, _) => unreachable(from, "destination unreachable"),
                (3, _) => unreachable(from, "too many hops on the way"),
                _ => unreachable(from, "not delivered"),
            }
        }
    }
}

/// Why there is no socket, and the way out.
fn unavailable(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "neither CAP_NET_RAW nor our group in the sysctl \
             net.ipv4.ping_group_range permits it"
            .to_owned(),
        Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => {
            "this machine does not have this family".to_owned()
        }
        _ => format!("the socket cannot be opened: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A socket on which nothing is sent; `None` where ICMP is not permitted, which is said aloud.
    fn socket() -> Option<Socket> {
        match Socket::open(ICMP::V4, &ProberOptions::default()) {
            Ok(socket) => Some(socket),
            Err(error) => {
                eprintln!("NOT RUN: ICMP is not permitted here: {error}");
                None
            }
        }
    }

    #[tokio::test]
    async fn numbers_of_pings_do_not_repeat_and_identifiers_rotate() {
        let Some(socket) = socket() else { return };
        let numbers: Vec<_> = (0..65_536).map(|_| socket.numbers()).collect();
        let sequences: HashSet<_> = numbers.iter().map(|(_, sequence)| sequence.into_u16()).collect();
        assert_eq!(sequences.len(), 65_536);
        assert!(numbers.windows(2).all(|pair| pair[0].0 != pair[1].0));
    }

    #[tokio::test]
    async fn the_receive_buffer_grows_as_far_as_the_system_lets_it() {
        let Some(socket) = socket() else { return };
        let client = socket.client();
        let small = enlarge_receive_buffer(&client, 4096).expect("set and read back");
        let large = enlarge_receive_buffer(&client, 4 << 20).expect("set and read back");
        assert!(small < large && large >= 128 * 1280, "{small} and {large}");
    }

    #[test]
    fn a_missing_permission_names_both_ways_out() {
        let why = unavailable(&io::Error::from_raw_os_error(libc::EPERM));
        assert!(why.contains("CAP_NET_RAW") && why.contains("ping_group_range"), "{why}");
    }
}
