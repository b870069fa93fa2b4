//! What a probe saw, before it becomes a [`Finding`], and the one place that decides which errors are ours.
//!
//! The distinction that matters most is between "the node failed" and "we could not ask": a full file table
//! or a missing route on our side must never look like somebody's outage. A third kind, too slow, is the
//! node's fault only if we were not standing still ourselves, which is known after the fact; see
//! [`super::deadline`].

use std::{
    error::Error,
    io::{self, ErrorKind},
    time::Duration,
};

use capsule_api::Outcome;
use jiff::Timestamp;

use crate::model::Finding;

/// Longest `detail` of a finding, in bytes.
const DETAIL_BYTES: usize = 500;

/// How the probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passed.
    Up,
    /// It failed, whatever time it took.
    Down,
    /// It failed because it took longer than this: blind instead, if it was we who took the time.
    Slow(Duration),
    /// We could not ask.
    Blind,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub verdict: Verdict,
    pub latency: Option<Duration>,
    pub detail: String,
    pub host_key: Option<String>,
}

impl Seen {
    fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, latency: None, detail: detail.into(), host_key: None }
    }

    pub fn up(latency: Duration, detail: impl Into<String>) -> Self {
        Self::new(Verdict::Up, detail).after(latency)
    }

    pub fn down(detail: impl Into<String>) -> Self {
        Self::new(Verdict::Down, detail)
    }

    pub fn slow(detail: impl Into<String>, allowed: Duration) -> Self {
        Self::new(Verdict::Slow(allowed), detail)
    }

    pub fn blind(detail: impl Into<String>) -> Self {
        Self::new(Verdict::Blind, detail)
    }

    /// An operating system error while `doing` something: ours or theirs, in words.
    pub fn failed(error: &io::Error, doing: &str) -> Self {
        let words = format!("{doing}: {}", io_words(error));
        if is_ours(error) { Self::blind(words) } else { Self::down(words) }
    }

    /// The same with a latency.
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }

    /// The finding of a probe that started at `at`, with its text made safe to store and show.
    pub fn into_finding(self, at: Timestamp) -> Finding {
        let outcome = match self.verdict {
            Verdict::Up => Outcome::Up,
            Verdict::Down | Verdict::Slow(_) => Outcome::Down,
            Verdict::Blind => Outcome::Blind,
        };
        let detail = printable(&self.detail, DETAIL_BYTES);
        Finding { at, outcome, latency: self.latency, detail, host_key: self.host_key }
    }
}

/// Whether the operating system says that the trouble is on this machine. `EHOSTUNREACH` is not among them:
/// it is what a router, or the missing ARP answer, says about the other end.
pub(super) fn is_ours(error: &io::Error) -> bool {
    use libc::{
        EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS,
        ENOMEM, EPERM,
    };
    const OURS: [i32; 11] = [
        EACCES,
        EADDRINUSE,
        EADDRNOTAVAIL,
        EAFNOSUPPORT,
        EMFILE,
        ENETDOWN,
        ENETUNREACH,
        ENFILE,
        ENOBUFS,
        ENOMEM,
        EPERM,
    ];
    error.raw_os_error().is_some_and(|code| OURS.contains(&code))
}

/// An operating system error without the number and capital letter of the standard library's text.
pub(super) fn io_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => return "this machine is out of file descriptors".to_owned(),
        Some(libc::ENETUNREACH) => return "this machine has no route there".to_owned(),
        Some(libc::EADDRNOTAVAIL) => return "this machine has no free local address or port".to_owned(),
        Some(libc::EACCES | libc::EPERM) => return "this machine does not permit it".to_owned(),
        Some(libc::EHOSTUNREACH) => return "no route to host".to_owned(),
        _ => {}
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset".to_owned(),
        ErrorKind::TimedOut => "no answer".to_owned(),
        ErrorKind::UnexpectedEof => "connection closed too early".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

/// The innermost operating system error in the chain of `error`, also where an [`io::Error`] wraps another.
pub(super) fn os_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find(|io| io.raw_os_error().is_some())
}

/// `error` and everything below it. An [`io::Error`] hides what it wraps from `source()`, so it is opened.
pub(super) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = match cause.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
        Some(cause)
    })
}

/// At most `max_bytes` of `text` on one line, with control characters and characters that reorder or hide
/// their neighbours escaped, and `…` where something was cut off.
pub(super) fn printable(text: &str, max_bytes: usize) -> String {
    const CUT: char = '…';
    let mut shown = String::with_capacity(text.len().min(max_bytes));
    // Where the text has to end if it turns out not to fit whole.
    let mut fits_with_cut = 0;
    for character in text.trim().chars() {
        let before = shown.len();
        if character.is_control() || is_invisible(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        if shown.len() > max_bytes {
            shown.truncate(fits_with_cut);
            shown.push(CUT);
            return shown;
        }
        if before + CUT.len_utf8() <= max_bytes {
            fits_with_cut = before;
        }
    }
    shown
}

/// Whether a character changes how its neighbours are shown instead of showing itself.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A duration as people write it: `250 ms`, `5 s`, `2.5 s`.
pub(super) fn span(duration: Duration) -> String {
    let ms = duration.as_millis();
    match (ms, ms % 1000) {
        (0..1000, _) => format!("{ms} ms"),
        (_, 0) => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_trouble_is_blind_and_theirs_is_down() {
        use libc::{
            EACCES, EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EMFILE, ENETUNREACH, ENFILE,
            ENOBUFS, ENOMEM, EPERM, ETIMEDOUT,
        };
        for ours in [ENETUNREACH, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EPERM, EADDRNOTAVAIL] {
            let seen = Seen::failed(&io::Error::from_raw_os_error(ours), "connecting");
            assert_eq!(seen.verdict, Verdict::Blind, "{ours}: {}", seen.detail);
        }
        for theirs in [EHOSTUNREACH, ECONNREFUSED, ECONNRESET, ETIMEDOUT] {
            let seen = Seen::failed(&io::Error::from_raw_os_error(theirs), "connecting");
            assert_eq!(seen.verdict, Verdict::Down, "{theirs}: {}", seen.detail);
        }
    }

    #[test]
    fn the_operating_systems_error_is_found_behind_wrappers() {
        let wrapped = io::Error::other(io::Error::other(io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(is_ours(os_error(&wrapped).expect("it is in there")));
    }

    #[test]
    fn text_from_outside_cannot_move_a_cursor_or_grow() {
        assert_eq!(printable(" a\x1b[2J\r\nb\u{202e}c ", 100), "a\\u{1b}[2J\\r\\nb\\u{202e}c");
        assert_eq!(printable("ööö", 6), "ööö");
        assert_eq!(printable("öööö", 6), "ö…");
        let long = printable(&"ä\n".repeat(1000), DETAIL_BYTES);
        assert!(long.len() <= DETAIL_BYTES && long.ends_with('…'), "{long}");
    }

    #[test]
    fn durations_read_like_prose() {
        let shown = [250, 5000, 2500, 60_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(shown, ["250 ms", "5 s", "2.5 s", "60 s"]);
    }
}
