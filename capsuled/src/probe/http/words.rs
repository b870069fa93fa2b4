//! Why an HTTP probe got no answer, in words a person understands, and whose fault it was.

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, pki_types::UnixTime};
use url::Url;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::super::seen::{Seen, causes, io_words, is_ours, os_error};

const DAY_SECONDS: i64 = 86_400;

/// What a request that ended without an answer says.
pub(super) fn explain(error: reqwest::Error, url: &Url) -> Seen {
    // The text of the error would hold the whole URL, and with it what stands in its query.
    let error = error.without_url();
    if let Some(io) = os_error(&error) {
        if error.is_connect() || is_ours(io) {
            return Seen::failed(io, &format!("connecting to {}", host_and_port(url)));
        }
        return Seen::down(io_words(io));
    }
    let find = |cause: &(dyn std::error::Error + 'static)| {
        let tls = cause.downcast_ref::<rustls::Error>().map(tls_words);
        tls.or_else(|| cause.downcast_ref::<hyper::Error>().and_then(http_words))
    };
    let innermost = || causes(&error).last().map(ToString::to_string).unwrap_or_default();
    Seen::down(causes(&error).find_map(find).unwrap_or_else(innermost))
}

fn http_words(error: &hyper::Error) -> Option<String> {
    if error.is_parse_too_large() {
        return Some("the header of the answer is too large".to_owned());
    }
    if error.is_parse() {
        return Some("what came back is not HTTP".to_owned());
    }
    error
        .is_incomplete_message()
        .then(|| "the connection was closed before the answer was complete".to_owned())
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(problem) => certificate_words(problem),
        E::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        E::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion) => {
            "the server and we have no TLS version or cipher in common".to_owned()
        }
        E::AlertReceived(alert) => format!("the server ended the TLS handshake: {alert:?}"),
        E::PeerIncompatible(_) => "the server and we have no TLS version or cipher in common".to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

fn certificate_words(problem: &CertificateError) -> String {
    use CertificateError as C;
    match problem {
        C::Expired => "certificate expired".to_owned(),
        C::ExpiredContext { time, not_after } => {
            format!("certificate expired {} ago", apart(*not_after, *time))
        }
        C::NotValidYet => "certificate is not valid yet".to_owned(),
        C::NotValidYetContext { time, not_before } => {
            format!("certificate becomes valid only in {}", apart(*time, *not_before))
        }
        C::NotValidForName => "certificate is for another name".to_owned(),
        C::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().take(5).map(|name| shown_name(name)).collect::<Vec<_>>().join(", ");
            format!("certificate is not for {} but for {names}", expected.to_str())
        }
        // The second: by somebody with the name of one we trust, but not the key.
        C::UnknownIssuer | C::BadSignature => "certificate is not issued by anyone we trust".to_owned(),
        C::Revoked => "certificate is revoked".to_owned(),
        other => format!("certificate is not valid: {other}"),
    }
}

/// rustls quotes names as `DnsName("a.example")`.
fn shown_name(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

/// The time between two moments in days, or in hours below two days.
fn apart(earlier: UnixTime, later: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    match seconds / 3600 {
        0 => "less than an hour".to_owned(),
        1 => "1 hour".to_owned(),
        hours @ 2..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

/// Whole days from `at` until the certificate expires, negative afterwards; `None` if it cannot be read.
pub(super) fn days_left(certificate: &[u8], at: Timestamp) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let left = certificate.validity().not_after.timestamp() - at.as_second();
    Some(left.div_euclid(DAY_SECONDS))
}

/// `host:port`, for messages.
fn host_and_port(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// A URL for messages: without query and fragment, which are where secrets stand.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Neither can fail for http and https.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn expiry_is_told_in_hours_and_days() {
        let at = |hours: u64| UnixTime::since_unix_epoch(Duration::from_secs(hours * 3600));
        let told = |hours| apart(at(0), at(hours));
        assert_eq!(
            [told(0), told(1), told(47), told(72)],
            ["less than an hour", "1 hour", "47 hours", "3 days"]
        );
    }

    #[test]
    fn messages_show_no_part_of_a_url_that_holds_secrets() {
        let url = Url::parse("https://u:p@example.org:8443/a?token=1#f").expect("a URL");
        assert_eq!(shown(&url), "https://example.org:8443/a");
    }
}
