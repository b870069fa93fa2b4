//! Whether a channel's settings can work at all: asked when a channel is made or changed, and again before
//! each message, because what is stored may be older than a rule.
//!
//! Nothing here touches the network: names are not resolved, so plain HTTP is allowed to literal loopback
//! and private addresses and to `localhost`, never to a name that could point anywhere tomorrow.

use std::{net::IpAddr, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use capsule_api::{ChannelTarget, EmailTarget, Host, SmtpSecurity, WebhookTarget};
use lettre::message::Mailbox;
use reqwest::header::{HeaderName, HeaderValue};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use url::Url;

const URL_BYTES: usize = 2_048;
const HEADERS: usize = 32;
const HEADER_BYTES: usize = 4_096;
const RECIPIENTS: usize = 50;
const PEM_BYTES: usize = 256 * 1_024;
/// Of an SMTP password or user name; longer ones do not fit into an AUTH line (RFC 4954 §4).
const CREDENTIAL_BYTES: usize = 1_024;

/// Why a channel's settings cannot work. The texts name the rule and never the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The webhook's URL.
    #[error("the URL {0}")]
    Url(&'static str),
    /// One of the webhook's own headers.
    #[error("the header `{name}` {rule}")]
    Header {
        /// The header's name, made printable.
        name: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// More than 32 headers.
    #[error("there are {0} headers, at most 32 are allowed")]
    TooManyHeaders(usize),
    /// The sender's address.
    #[error("the sender `{0}` is not a mail address")]
    Sender(String),
    /// A recipient's address.
    #[error("the recipient `{0}` is not a mail address")]
    Recipient(String),
    /// No recipient or more than 50.
    #[error("there are {0} recipients, 1 to 50 are allowed")]
    Recipients(usize),
    /// The mail server's port.
    #[error("the port must be 1 to 65,535")]
    Port,
    /// The mail server's login.
    #[error("the mail server's login {0}")]
    Login(&'static str),
    /// The certificates to trust.
    #[error("the certificates {0}")]
    Certificates(&'static str),
    /// The channel's secret.
    #[error("the secret {0}")]
    Secret(&'static str),
}

impl TargetError {
    /// The field of the request that is at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Url(_) => "target.url",
            Self::Header { .. } | Self::TooManyHeaders(_) => "target.headers",
            Self::Sender(_) => "target.from",
            Self::Recipient(_) | Self::Recipients(_) => "target.to",
            Self::Port => "target.port",
            Self::Login(_) => "target.username",
            Self::Certificates(_) => "target.ca_pem",
            Self::Secret(_) => "secret",
        }
    }
}

/// Checks a channel's settings together with its secret: the SMTP password, the webhook's signing secret
/// or the Slack URL.
///
/// # Errors
/// The first rule that is broken.
pub fn validate(target: &ChannelTarget, secret: Option<&str>) -> Result<(), TargetError> {
    match target {
        ChannelTarget::Console(_) => match secret {
            None => Ok(()),
            Some(_) => Err(TargetError::Secret("has no use: the console takes none")),
        },
        ChannelTarget::Email(email) => check_email(email, secret),
        ChannelTarget::Webhook(webhook) => check_webhook(webhook, secret),
        ChannelTarget::Slack(_) => slack_url(secret).map(drop),
    }
}

fn check_email(email: &EmailTarget, secret: Option<&str>) -> Result<(), TargetError> {
    sender(&email.from)?;
    if !(1..=RECIPIENTS).contains(&email.to.len()) {
        return Err(TargetError::Recipients(email.to.len()));
    }
    for address in &email.to {
        recipient(address)?;
    }
    if email.port == Some(0) {
        return Err(TargetError::Port);
    }
    check_login(email, secret)?;
    check_pem(email.ca_pem.as_deref())
}

fn check_login(email: &EmailTarget, secret: Option<&str>) -> Result<(), TargetError> {
    let Some(username) = &email.username else {
        return match secret {
            None => Ok(()),
            Some(_) => Err(TargetError::Login("has a password but no user name")),
        };
    };
    let unusable = |text: &str| text.is_empty() || text.len() > CREDENTIAL_BYTES || text.contains('\0');
    if unusable(username) || username.chars().any(char::is_control) {
        return Err(TargetError::Login("needs a user name of 1 to 1,024 printable bytes"));
    }
    match secret {
        None => return Err(TargetError::Login("has a user name but no password")),
        Some(password) if unusable(password) => {
            return Err(TargetError::Secret("must be a password of 1 to 1,024 bytes without NUL"));
        }
        Some(_) => {}
    }
    if email.security == SmtpSecurity::None && !is_loopback(&email.host) {
        return Err(TargetError::Login("would be sent in the clear: use `tls` or `starttls`"));
    }
    Ok(())
}

fn check_webhook(webhook: &WebhookTarget, secret: Option<&str>) -> Result<(), TargetError> {
    webhook_url(&webhook.url)?;
    if webhook.headers.len() > HEADERS {
        return Err(TargetError::TooManyHeaders(webhook.headers.len()));
    }
    for (name, value) in &webhook.headers {
        header(name, value)?;
    }
    check_pem(webhook.ca_pem.as_deref())?;
    secret.map_or(Ok(()), |secret| signing_key(secret).map(drop))
}

fn check_pem(pem: Option<&str>) -> Result<(), TargetError> {
    pem.map_or(Ok(()), |pem| certificates(pem).map(drop))
}

/// The certificates in a PEM text, at least one.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TargetError> {
    if pem.len() > PEM_BYTES {
        return Err(TargetError::Certificates("are larger than 256 KiB"));
    }
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = parsed.map_err(|_| TargetError::Certificates("are not PEM"))?;
    if certificates.is_empty() {
        return Err(TargetError::Certificates("hold no `BEGIN CERTIFICATE`"));
    }
    let mut store = rustls::RootCertStore::empty();
    for certificate in &certificates {
        let added = store.add(certificate.clone());
        added.map_err(|_| TargetError::Certificates("hold one that is not a valid X.509 certificate"))?;
    }
    Ok(certificates)
}

/// The sender's address, with or without a name before it.
pub(super) fn sender(address: &str) -> Result<Mailbox, TargetError> {
    mailbox(address).ok_or_else(|| TargetError::Sender(super::text::clean(address, 100)))
}

/// A recipient's address, with or without a name before it.
pub(super) fn recipient(address: &str) -> Result<Mailbox, TargetError> {
    mailbox(address).ok_or_else(|| TargetError::Recipient(super::text::clean(address, 100)))
}

/// Line breaks and other control characters, which could start a header of their own, are refused before
/// anything is parsed.
fn mailbox(address: &str) -> Option<Mailbox> {
    let suspect = address.len() > 320 || address.chars().any(char::is_control);
    if suspect { None } else { Mailbox::from_str(address).ok() }
}

/// A webhook's URL.
pub(super) fn webhook_url(text: &str) -> Result<Url, TargetError> {
    let url = parse_url(text).map_err(TargetError::Url)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if host_ip(&url).is_some_and(is_near) => Ok(url),
        "http" => {
            Err(TargetError::Url("must begin with https:// unless it goes to a loopback or private address"))
        }
        _ => Err(TargetError::Url("must begin with https://")),
    }
}

/// A Slack incoming webhook's URL, which is the channel's secret.
pub(super) fn slack_url(secret: Option<&str>) -> Result<Url, TargetError> {
    let text = secret.ok_or(TargetError::Secret("is missing: it is the Slack webhook's URL"))?;
    let url = parse_url(text).map_err(|_| TargetError::Secret("is not a Slack webhook's URL"))?;
    let at_slack = matches!(url.host_str(), Some("hooks.slack.com" | "hooks.slack-gov.com"));
    let near = host_ip(&url).is_some_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" if at_slack && url.port().is_none() && url.path().len() > 1 => Ok(url),
        "http" if near => Ok(url),
        _ => Err(TargetError::Secret("must be a URL that begins with https://hooks.slack.com/")),
    }
}

fn parse_url(text: &str) -> Result<Url, &'static str> {
    if text.len() > URL_BYTES {
        return Err("is longer than 2,048 bytes");
    }
    // The parser drops tabs and line breaks silently; what is stored should be what is used.
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err("must not contain spaces or control characters");
    }
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if url.host().is_none() {
        return Err("has no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password: send them as a header");
    }
    if url.fragment().is_some() {
        return Err("must not contain a `#` part: it would never be sent");
    }
    Ok(url)
}

/// One of a webhook's own headers.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), TargetError> {
    let broken = |rule| TargetError::Header { name: super::text::clean(name, 64), rule };
    let parsed = HeaderName::from_str(name).map_err(|_| broken("is not a legal header name"))?;
    if is_ours(parsed.as_str()) {
        return Err(broken("is set by us or by HTTP itself"));
    }
    if value.len() > HEADER_BYTES {
        return Err(broken("is longer than 4,096 bytes"));
    }
    let mut content = HeaderValue::from_str(value).map_err(|_| broken("has a value that is not legal"))?;
    content.set_sensitive(true);
    Ok((parsed, content))
}

/// What identifies, signs or frames the message must not be overridden.
fn is_ours(name: &str) -> bool {
    const FRAMING: [&str; 12] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    name.starts_with("webhook-") || name.starts_with("proxy-") || FRAMING.contains(&name)
}

/// The key behind a `whsec_…` secret: base64 of 24 to 64 bytes (Standard Webhooks, "Signature scheme").
pub(super) fn signing_key(secret: &str) -> Result<Vec<u8>, TargetError> {
    let encoded = secret.strip_prefix("whsec_").ok_or(TargetError::Secret("must begin with `whsec_`"))?;
    let key =
        BASE64_STANDARD.decode(encoded).map_err(|_| TargetError::Secret("must be base64 after `whsec_`"))?;
    if !(24..=64).contains(&key.len()) {
        return Err(TargetError::Secret("must hold 24 to 64 bytes"));
    }
    Ok(key)
}

/// Whether a mail server is this machine, so that a password in the clear goes nowhere.
pub(super) fn is_loopback(host: &Host) -> bool {
    host.ip().is_some_and(|ip| ip.is_loopback()) || host.as_str().eq_ignore_ascii_case("localhost")
}

/// The address in a URL, when it is written as one. `localhost` counts as one (RFC 6761 §6.3).
fn host_ip(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(ip) => Some(ip.into()),
        url::Host::Ipv6(ip) => Some(ip.to_canonical()),
        url::Host::Domain(name) => (name == "localhost").then_some(IpAddr::from([127, 0, 0, 1])),
    }
}

fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use capsule_api::{ConsoleTarget, SlackTarget};

    use super::*;

    fn webhook(url: &str, headers: &[(&str, &str)]) -> ChannelTarget {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let headers: BTreeMap<_, _> = headers.collect();
        ChannelTarget::Webhook(WebhookTarget { url: url.to_owned(), headers, ca_pem: None })
    }

    fn email(from: &str, to: &[&str]) -> EmailTarget {
        EmailTarget {
            host: "mail.example.org".parse().expect("a host"),
            port: None,
            security: SmtpSecurity::Starttls,
            username: None,
            from: from.to_owned(),
            to: to.iter().map(ToString::to_string).collect(),
            ca_pem: None,
        }
    }

    #[test]
    fn webhooks_go_out_encrypted_or_stay_near() {
        for good in [
            "https://example.org/hook?token=abc",
            "http://127.0.0.1:8080/",
            "http://localhost:1/",
            "http://[::1]/x",
            "http://10.1.2.3/",
            "http://192.168.0.9/",
            "http://[fd00::1]/",
        ] {
            assert_eq!(validate(&webhook(good, &[]), None), Ok(()), "{good}");
        }
        for bad in [
            "http://example.org/",
            "http://203.0.113.5/",
            "ftp://example.org/",
            "https://user:pass@example.org/",
            "https://example.org/#part",
            "https://exa\nmple.org/",
            "http://localhost.example.org/",
            "nothing",
            "",
        ] {
            assert!(matches!(validate(&webhook(bad, &[]), None), Err(TargetError::Url(_))), "{bad:?}");
        }
    }

    #[test]
    fn own_headers_cannot_forge_ours_or_start_another() {
        assert_eq!(validate(&webhook("https://a.example/", &[("Authorization", "Bearer x")]), None), Ok(()));
        for (name, value) in [
            ("webhook-id", "x"),
            ("Webhook-Signature", "x"),
            ("Content-Type", "text/plain"),
            ("Host", "b.example"),
            ("Transfer-Encoding", "chunked"),
            ("bad name", "x"),
            ("", "x"),
            ("x-a", "b\r\nc: d"),
            ("x-a", "b\0"),
        ] {
            let result = validate(&webhook("https://a.example/", &[(name, value)]), None);
            assert!(matches!(result, Err(TargetError::Header { .. })), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn signing_secrets_have_the_standard_form() {
        let with = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]));
        for (secret, good) in [
            (with(24), true),
            (with(64), true),
            (with(23), false),
            (with(65), false),
            ("whsec_###".to_owned(), false),
            (with(32).replace("whsec_", ""), false),
        ] {
            assert_eq!(
                validate(&webhook("https://a.example/", &[]), Some(&secret)).is_ok(),
                good,
                "{secret}"
            );
        }
    }

    #[test]
    fn slack_urls_are_slacks_or_local() {
        let slack = ChannelTarget::Slack(SlackTarget {});
        for good in ["https://hooks.slack.com/services/T0/B0/x", "http://127.0.0.1:9/services/x"] {
            assert_eq!(validate(&slack, Some(good)), Ok(()), "{good}");
        }
        for bad in [
            "https://hooks.slack.com.evil.example/services/x",
            "http://hooks.slack.com/services/x",
            "https://hooks.slack.com@evil.example/",
            "http://10.0.0.1/services/x",
            "https://hooks.slack.com",
        ] {
            assert!(matches!(validate(&slack, Some(bad)), Err(TargetError::Secret(_))), "{bad}");
        }
        assert!(validate(&slack, None).is_err());
        let error = validate(&slack, Some("https://evil.example/T0/secret")).expect_err("refused");
        assert!(!error.to_string().contains("secret/") && !error.to_string().contains("T0"));
    }

    #[test]
    fn mail_addresses_cannot_carry_headers() {
        let good = email("Capsule <capsule@example.org>", &["ops@example.org", "Ann Onym <ann@example.org>"]);
        assert_eq!(validate(&ChannelTarget::Email(good), None), Ok(()));
        for bad in
            ["", "nobody", "a@b\r\nBcc: c@d", "a@example.org, b@example.org", "a b@example.org", "a@\0b"]
        {
            for target in [email(bad, &["ops@example.org"]), email("ops@example.org", &[bad])] {
                let result = validate(&ChannelTarget::Email(target), None);
                assert!(matches!(result, Err(TargetError::Sender(_) | TargetError::Recipient(_))), "{bad:?}");
            }
        }
        assert_eq!(
            validate(&ChannelTarget::Email(email("a@example.org", &[])), None),
            Err(TargetError::Recipients(0))
        );
        let many = vec!["a@example.org"; 51];
        assert_eq!(
            validate(&ChannelTarget::Email(email("a@example.org", &many)), None),
            Err(TargetError::Recipients(51))
        );
    }

    #[test]
    fn passwords_are_never_sent_in_the_clear() {
        let mut target = email("a@example.org", &["b@example.org"]);
        target.username = Some("a".to_owned());
        assert_eq!(validate(&ChannelTarget::Email(target.clone()), Some("secret")), Ok(()));
        target.security = SmtpSecurity::None;
        assert!(validate(&ChannelTarget::Email(target.clone()), Some("secret")).is_err());
        target.host = "127.0.0.1".parse().expect("a host");
        assert_eq!(validate(&ChannelTarget::Email(target.clone()), Some("secret")), Ok(()));
        assert!(validate(&ChannelTarget::Email(target.clone()), None).is_err(), "no password");
        target.username = None;
        assert!(validate(&ChannelTarget::Email(target), Some("secret")).is_err(), "no user name");
    }

    #[test]
    fn certificates_must_be_certificates() {
        let mut target = email("a@example.org", &["b@example.org"]);
        for bad in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            target.ca_pem = Some(bad.to_owned());
            let result = validate(&ChannelTarget::Email(target.clone()), None);
            assert!(matches!(result, Err(TargetError::Certificates(_))), "{bad:?}");
        }
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        target.ca_pem = Some(made.cert.pem());
        assert_eq!(validate(&ChannelTarget::Email(target), None), Ok(()));
    }

    #[test]
    fn the_console_takes_no_secret() {
        let console = ChannelTarget::Console(ConsoleTarget {});
        assert_eq!(validate(&console, None), Ok(()));
        assert!(validate(&console, Some("x")).is_err());
    }
}
