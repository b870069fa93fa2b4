//! Where to connect, as whom, with which deadlines.

use std::{path::PathBuf, time::Duration};

use capsule_api::Host;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The longest chain: the node itself and the jump hosts before it.
pub const MAX_HOPS: usize = 4;

/// How to prove who we are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A private key in OpenSSH or PEM form, without a passphrase.
    Key(SecretString),
    /// Every key of the SSH agent that listens on this socket, in the agent's order, at most six.
    Agent(PathBuf),
}

/// A host that speaks SSH, and how to be let in.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Address or name; behind a jump host the name is resolved there.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// How to prove who we are.
    pub auth: Auth,
    /// The host key that is expected, in OpenSSH form; `None` trusts the first one seen.
    pub pinned: Option<String>,
    /// The host to go through.
    pub jump: Option<Box<Destination>>,
}

impl Destination {
    /// The hosts to pass, the outermost jump host first and this destination last.
    pub(super) fn hops(&self) -> Vec<&Self> {
        let mut hops = vec![self];
        let mut next = self.jump.as_deref();
        while let Some(hop) = next {
            hops.push(hop);
            next = hop.jump.as_deref();
        }
        hops.reverse();
        hops
    }

    /// A digest of this hop without its pinned key and jump host: two destinations with the same digest are
    /// the same login. Kept instead of a copy so that a pool does not hold every private key twice.
    pub(super) fn login_digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut field = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        field(self.host.as_str().as_bytes());
        field(&self.port.to_be_bytes());
        field(self.user.as_bytes());
        match &self.auth {
            Auth::Key(key) => {
                field(b"key");
                field(key.expose_secret().as_bytes());
            }
            Auth::Agent(socket) => {
                field(b"agent");
                field(socket.as_os_str().as_encoded_bytes());
            }
        }
        digest.finalize().into()
    }
}

/// Deadlines of the stages of a connection. Each is real time, counted from the beginning of its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name resolution, and again the TCP connection; also opening a channel on an established session.
    pub connect: Duration,
    /// Banner and key exchange together.
    pub handshake: Duration,
    /// Authentication, including the agent.
    pub auth: Duration,
}

impl Limits {
    /// Deadline of a connection, 5 s: three lost SYN packets.
    pub const CONNECT: Duration = Duration::from_secs(5);
    /// Deadline of banner and key exchange, 10 s: an overloaded sshd forks slowly.
    pub const HANDSHAKE: Duration = Duration::from_secs(10);
    /// Deadline of authentication, 10 s: PAM modules and directory services may be slow.
    pub const AUTH: Duration = Duration::from_secs(10);
    /// Deadline of a command when the caller has no better one, 20 s.
    pub const COMMAND: Duration = Duration::from_secs(20);

    /// The longest that connecting over `hops` hosts can take.
    pub(super) fn total(&self, hops: usize) -> Duration {
        let hop = self.connect * 2 + self.handshake + self.auth;
        hop * u32::try_from(hops).unwrap_or(u32::MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Self::CONNECT, handshake: Self::HANDSHAKE, auth: Self::AUTH }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(host: &str) -> Destination {
        Destination {
            host: host.parse().expect("a host"),
            port: 22,
            user: "ops".to_owned(),
            auth: Auth::Key("key".into()),
            pinned: None,
            jump: None,
        }
    }

    #[test]
    fn hops_begin_at_the_outermost_jump_host() {
        let mut inner = destination("inner");
        let mut middle = destination("middle");
        middle.jump = Some(Box::new(destination("outer")));
        inner.jump = Some(Box::new(middle));
        let names: Vec<_> = inner.hops().iter().map(|hop| hop.host.as_str()).collect();
        assert_eq!(names, ["outer", "middle", "inner"]);
    }

    #[test]
    fn the_login_digest_ignores_the_pinned_key_and_nothing_else() {
        let plain = destination("a");
        let pinned = Destination { pinned: Some("ssh-ed25519 AAAA".to_owned()), ..plain.clone() };
        assert_eq!(plain.login_digest(), pinned.login_digest());
        for other in [
            destination("b"),
            Destination { port: 2222, ..plain.clone() },
            Destination { user: "root".to_owned(), ..plain.clone() },
            Destination { auth: Auth::Key("other".into()), ..plain.clone() },
            Destination { auth: Auth::Agent("key".into()), ..plain.clone() },
        ] {
            assert_ne!(plain.login_digest(), other.login_digest(), "{other:?}");
        }
    }
}
