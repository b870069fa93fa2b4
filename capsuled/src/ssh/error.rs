//! Why a node was not reached, in the words a caller acts on.
//!
//! The most important distinction is [`SshError::is_local`]: a full file table, a missing route or a dead
//! resolver is our trouble, and must never be told as the node's.

use std::{fmt, io};

use capsule_api::Host;

use super::{KeyError, MAX_HOPS, text::printable};

/// A part of the conversation that has its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Turning the name into addresses.
    Resolve,
    /// The TCP connection, or the jump host's connection on our behalf.
    Connect,
    /// The identification line.
    Banner,
    /// The key exchange.
    KeyExchange,
    /// Authentication.
    Authentication,
    /// Opening a channel on an established session; nothing has been asked of the node yet.
    Channel,
    /// Running a command.
    Command,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Resolve => "name resolution",
            Self::Connect => "the connection",
            Self::Banner => "the SSH banner",
            Self::KeyExchange => "the key exchange",
            Self::Authentication => "authentication",
            Self::Channel => "a channel",
            Self::Command => "the command",
        })
    }
}

/// Why an SSH conversation did not give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The name has no address; [`SshError::is_local`] when the resolver itself failed.
    #[error("no address found for `{host}`")]
    Unresolved {
        /// The name.
        host: Host,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// No TCP connection.
    #[error("no connection to {address}")]
    Unreachable {
        /// Address and port that were tried last.
        address: String,
        /// What the operating system, or the jump host, said.
        #[source]
        source: io::Error,
    },
    /// A stage took longer than its deadline.
    #[error("no answer in time while waiting for {stage}")]
    TimedOut {
        /// Which one.
        stage: Stage,
    },
    /// The server proved to be someone else than the pinned host key says; nothing was sent to it.
    #[error("the host key changed: {offered_fingerprint} was offered")]
    HostKeyChanged {
        /// The key that was offered, in OpenSSH form.
        offered: String,
        /// Its SHA-256 fingerprint.
        offered_fingerprint: String,
        /// The pinned key, in OpenSSH form.
        pinned: String,
    },
    /// The server accepts none of our keys for this user.
    #[error("the server refused our key for the user `{user}`")]
    AuthRefused {
        /// The user.
        user: String,
    },
    /// A key that we were given is not usable.
    #[error("the key cannot be used")]
    BadKey(#[from] KeyError),
    /// The SSH agent cannot be asked.
    #[error("the SSH agent does not answer")]
    Agent(#[source] io::Error),
    /// The server does not speak SSH, or not as we do.
    #[error("not understood during {stage}: {detail}")]
    Protocol {
        /// Where it happened.
        stage: Stage,
        /// What was wrong, printable.
        detail: String,
    },
    /// The server ended the connection.
    #[error("the connection ended during {stage}")]
    Disconnected {
        /// Where it happened.
        stage: Stage,
        /// What the operating system said; absent when it was a regular end.
        #[source]
        source: Option<io::Error>,
    },
    /// A command printed more than we read; the session is no longer used.
    #[error("the command printed more than {limit} bytes")]
    OutputTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// An argument cannot be handed to a program: it holds a NUL byte.
    #[error("an argument of the command holds a NUL byte")]
    BadCommand,
    /// More jump hosts than [`MAX_HOPS`] allows.
    #[error("more than {MAX_HOPS} hosts in a chain of jump hosts")]
    TooManyHops,
    /// A jump host failed, so nothing is known about the node behind it.
    #[error("the jump host {host} failed")]
    Jump {
        /// The jump host.
        host: Host,
        /// How.
        #[source]
        source: Box<SshError>,
    },
}

impl SshError {
    /// Whether the failure is our own (no route, no descriptors, no resolver, no agent, a key we cannot
    /// read) and so says nothing about the node.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unresolved { source, .. } => is_local_error(source) || is_resolver_failure(source),
            Self::Unreachable { source, .. } | Self::Disconnected { source: Some(source), .. } => {
                is_local_error(source)
            }
            Self::Agent(_) | Self::BadKey(_) | Self::BadCommand | Self::TooManyHops => true,
            Self::Jump { source, .. } => source.is_local(),
            _ => false,
        }
    }

    /// Whether a kept session turned out to be dead, or to take no more commands, before anything was asked
    /// of the node: asking again over a new one repeats nothing.
    pub fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Disconnected { stage: Stage::Channel, .. }
                | Self::TimedOut { stage: Stage::Channel }
                | Self::Protocol { stage: Stage::Channel, .. }
        )
    }

    pub(super) fn protocol(stage: Stage, detail: impl fmt::Display) -> Self {
        Self::Protocol { stage, detail: printable(detail.to_string().as_bytes(), 200) }
    }

    /// What `error` means when it happened during `stage`.
    pub(super) fn from_russh(error: russh::Error, stage: Stage) -> Self {
        use russh::Error as E;
        match error {
            E::IO(source) if source.kind() == io::ErrorKind::InvalidData => Self::protocol(stage, source),
            E::IO(source) => Self::Disconnected { stage, source: Some(source) },
            E::Disconnect | E::HUP | E::SendError | E::RecvError => {
                Self::Disconnected { stage, source: None }
            }
            E::ConnectionTimeout | E::KeepaliveTimeout | E::InactivityTimeout => Self::TimedOut { stage },
            other => Self::protocol(stage, other),
        }
    }
}

/// Whether the operating system says that the trouble is on this machine. `EHOSTUNREACH` is not among
/// them: it is what a router, or the missing ARP answer, says about the other end.
fn is_local_error(error: &io::Error) -> bool {
    use libc::{
        EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS,
        ENOMEM, EPERM,
    };
    matches!(
        error.raw_os_error(),
        Some(
            EACCES
                | EADDRINUSE
                | EADDRNOTAVAIL
                | EAFNOSUPPORT
                | EMFILE
                | ENETDOWN
                | ENETUNREACH
                | ENFILE
                | ENOBUFS
                | ENOMEM
                | EPERM
        )
    )
}

/// Whether the resolver could not be asked, as opposed to saying that there is no such name. The standard
/// library keeps only `gai_strerror`'s text: these are glibc's, macOS's and musl's words for EAI_AGAIN,
/// EAI_FAIL, EAI_SYSTEM and EAI_MEMORY.
fn is_resolver_failure(error: &io::Error) -> bool {
    let text = error.to_string();
    [
        "Temporary failure",
        "Try again",
        "Non-recoverable failure",
        "recoverable error",
        "System error",
        "emory",
    ]
    .iter()
    .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(code: i32) -> SshError {
        let source = io::Error::from_raw_os_error(code);
        SshError::Unreachable { address: "192.0.2.1:22".to_owned(), source }
    }

    #[test]
    fn our_own_trouble_is_told_apart_from_the_nodes() {
        for ours in [libc::ENETUNREACH, libc::EMFILE, libc::ENOBUFS, libc::EACCES, libc::EADDRNOTAVAIL] {
            assert!(unreachable(ours).is_local(), "{ours} is ours");
        }
        for theirs in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ETIMEDOUT, libc::ECONNRESET] {
            assert!(!unreachable(theirs).is_local(), "{theirs} is theirs");
        }
        let host: Host = "bastion".parse().expect("a name");
        let jump = SshError::Jump { host, source: Box::new(unreachable(libc::ENETUNREACH)) };
        assert!(jump.is_local());
    }

    #[test]
    fn a_name_that_does_not_exist_is_not_our_trouble_but_a_dead_resolver_is() {
        let told = |text: &str| SshError::Unresolved {
            host: "web".parse().expect("a name"),
            source: io::Error::other(format!("failed to lookup address information: {text}")),
        };
        assert!(told("Temporary failure in name resolution").is_local());
        assert!(!told("Name or service not known").is_local());
    }
}
