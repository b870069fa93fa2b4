//! What a server says before anyone logs in: its banner and its host key, for the SSH check.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use super::{
    SshError, Stage,
    connect::{Window, connect_address, exchange_keys},
    text::printable,
};

/// A server may send other lines before its identification (RFC 4253 §4.2); this many are enough for any
/// notice and few enough for a server that never stops.
const MAX_LINES: usize = 50;

/// Bytes in which the identification line has to end.
const MAX_BYTES: usize = 8 * 1024;

/// Sent so that a server which waits for the client's line first gets one, and so that its log says who
/// asked instead of reporting a broken client.
const OUR_LINE: &[u8] = concat!("SSH-2.0-Capsule_", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes();

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The identification line, such as `SSH-2.0-OpenSSH_9.2p1 Debian-2`: printable, at most 255 characters.
    pub banner: String,
    /// The host key in OpenSSH form, proven by a signature; `None` when it was not asked for.
    pub host_key: Option<String>,
}

/// Reads the banner of the SSH server at `address`, and with `read_key` also its host key, without logging
/// in. The whole takes at most `deadline`.
///
/// # Errors
/// [`SshError::HostKeyChanged`] when the key is not `pinned`; [`SshError::BadKey`] when `pinned` is not a
/// key; else as [`super::connect`].
pub async fn greet(
    address: SocketAddr,
    read_key: bool,
    pinned: Option<&str>,
    deadline: Duration,
) -> Result<Greeting, SshError> {
    let until = Instant::now() + deadline;
    let mut stream = connect_address(address, deadline).await?;
    if !read_key {
        let heard = timeout_at(until, async {
            // A server that has already hung up is reported by what reading finds.
            let _ = stream.write_all(OUR_LINE).await;
            read_banner(&mut stream).await
        });
        let heard = heard.await.map_err(|_| SshError::TimedOut { stage: Stage::Banner })??;
        return Ok(Greeting { banner: heard.banner, host_key: None });
    }
    let heard = timeout_at(until, read_banner(&mut stream)).await;
    let heard = heard.map_err(|_| SshError::TimedOut { stage: Stage::Banner })??;
    let greeted = exchange_keys(stream, heard.replay, pinned, Window::Command, until).await?;
    greeted.leash.cut();
    Ok(Greeting { banner: heard.banner, host_key: Some(greeted.host_key) })
}

/// The identification line of a server.
pub(super) struct Heard {
    /// The line, printable.
    pub(super) banner: String,
    /// What was read from the beginning of the line on, for the key exchange to read again.
    pub(super) replay: Vec<u8>,
}

/// Reads up to the identification line. The caller sets the deadline.
pub(super) async fn read_banner(stream: &mut (impl AsyncRead + Unpin)) -> Result<Heard, SshError> {
    let failed = |detail: &str| SshError::protocol(Stage::Banner, detail);
    let mut read = Vec::with_capacity(512);
    let mut line_start = 0;
    for _ in 0..MAX_LINES {
        let line_end = loop {
            if let Some(length) = read.iter().skip(line_start).position(|byte| *byte == b'\n') {
                break line_start + length;
            }
            if read.len() >= MAX_BYTES {
                return Err(failed("no SSH banner within 8 KiB"));
            }
            let more = stream.read_buf(&mut read).await;
            let ended = |source| SshError::Disconnected { stage: Stage::Banner, source };
            if more.map_err(|source| ended(Some(source)))? == 0 {
                return Err(ended(None));
            }
        };
        let line = read.get(line_start..line_end).unwrap_or_default();
        if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
            let banner = printable(line, 255);
            return Ok(Heard { banner, replay: read.split_off(line_start) });
        }
        if line.starts_with(b"SSH-") {
            return Err(failed("the server speaks only SSH version 1"));
        }
        line_start = line_end + 1;
    }
    Err(failed("no SSH banner within 50 lines"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::testing::{Sshd, speaks};

    const WAIT: Duration = Duration::from_secs(10);

    async fn heard(bytes: &[u8]) -> Result<Heard, SshError> {
        let mut bytes = bytes;
        read_banner(&mut bytes).await
    }

    #[tokio::test]
    async fn lines_before_the_banner_are_skipped_and_what_follows_is_replayed() {
        let heard =
            heard(b"Unauthorised use\r\nis forbidden\nSSH-2.0-x\x07y\r\n\0\0\x01").await.expect("a banner");
        assert_eq!(heard.banner, "SSH-2.0-x\u{fffd}y");
        assert_eq!(heard.replay, b"SSH-2.0-x\x07y\r\n\0\0\x01");
    }

    #[tokio::test]
    async fn what_is_not_an_ssh_server_is_said_so() {
        for (bytes, words) in [
            (&b"SSH-1.5-old\r\n"[..], "version 1"),
            (&b"\n".repeat(60), "50 lines"),
            (&[b'x'; 20_000], "8 KiB"),
        ] {
            let Err(SshError::Protocol { stage: Stage::Banner, detail }) = heard(bytes).await else {
                panic!("{words}: should be a protocol error");
            };
            assert!(detail.contains(words), "{detail}");
        }
        let ended = heard(b"HTTP/1.1 400 Bad Request\r\n").await;
        assert!(matches!(ended, Err(SshError::Disconnected { stage: Stage::Banner, source: None })));
    }

    #[tokio::test]
    async fn a_real_server_is_greeted_with_and_without_its_key() {
        let Some(sshd) = Sshd::start() else { return };
        let plain = greet(sshd.address(), false, None, WAIT).await.expect("a greeting");
        assert!(plain.banner.starts_with("SSH-2.0-OpenSSH"), "{}", plain.banner);
        assert_eq!(plain.host_key, None);
        let full = greet(sshd.address(), true, Some(&sshd.host_key()), WAIT).await.expect("a greeting");
        assert_eq!(full.host_key.as_deref(), Some(sshd.host_key().as_str()));
        assert_eq!(full.banner, plain.banner);
    }

    #[tokio::test]
    async fn a_changed_host_key_is_reported_with_both_keys() {
        let (Some(old), Some(new)) = (Sshd::start(), Sshd::start()) else { return };
        let changed = greet(new.address(), true, Some(&old.host_key()), WAIT).await;
        let Err(SshError::HostKeyChanged { offered, offered_fingerprint, pinned }) = changed else {
            panic!("should be refused: {changed:?}");
        };
        assert_eq!((offered, pinned), (new.host_key(), old.host_key()));
        assert!(offered_fingerprint.starts_with("SHA256:"));
    }

    #[tokio::test]
    async fn a_server_that_never_stops_or_never_starts_costs_one_deadline() {
        let endless = speaks(b"", b"more and more\r\n").await;
        let error = greet(endless, true, None, WAIT).await.expect_err("no banner");
        assert!(matches!(error, SshError::Protocol { stage: Stage::Banner, .. }), "{error:?}");
        let silent = speaks(b"", b"").await;
        let error = greet(silent, false, None, Duration::from_millis(50)).await.expect_err("nothing said");
        assert!(matches!(error, SshError::TimedOut { stage: Stage::Banner }), "{error:?}");
        let mute = speaks(b"SSH-2.0-mute\r\n", b"").await;
        let error = greet(mute, true, None, Duration::from_millis(50)).await.expect_err("no key exchange");
        assert!(matches!(error, SshError::TimedOut { stage: Stage::KeyExchange }), "{error:?}");
    }
}
