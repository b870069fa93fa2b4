//! The SMTP dialogue, stage by stage, so that every failure is told for what it is: before the message's
//! last byte has left nothing has been sent, after it nobody knows.
//!
//! lettre's ready-made transport gives up on the first refused recipient; here the others still get their
//! mail. Connections are not kept: alerts are rare and a stale connection costs more than a new one.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use capsule_api::{EmailTarget, SmtpSecurity};
use lettre::{
    Address,
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{
            AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
            TlsParametersBuilder,
        },
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
        response::Response,
    },
};
use rustls::{RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Deadlines, NotifyError, target, text};

/// What a mail server may say in one dialogue, TLS included. lettre reads a line to its end before it
/// looks at its length, so an endless line must be stopped below it.
const REPLY_BYTES: usize = 256 * 1_024;
/// First byte of a TLS client's first record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;
/// The goodbye changes nothing any more.
const QUIT: Duration = Duration::from_secs(1);
/// Of a server's reply, as shown to people.
const REPLY_SHOWN: usize = 200;

/// A mail and where it goes.
pub(super) struct Parcel {
    pub(super) from: Address,
    pub(super) to: Vec<Address>,
    pub(super) bytes: Vec<u8>,
}

/// What became of each recipient of a mail that at least one got.
pub(super) struct Outcome {
    pub(super) accepted: Vec<Address>,
    /// Recipients the server wants to hear of again later, with its reply.
    pub(super) deferred: Vec<(Address, String)>,
    /// Recipients the server does not take, with its reply.
    pub(super) refused: Vec<(Address, String)>,
    /// What the server said to the mail; `None`: nobody was accepted and nothing was sent.
    pub(super) reply: Option<String>,
}

/// Hands the parcel to the target's mail server.
pub(super) async fn deliver(
    email: &EmailTarget,
    password: Option<&str>,
    parcel: &Parcel,
    deadlines: Deadlines,
) -> Result<Outcome, NotifyError> {
    let sent = AtomicBool::new(false);
    let dialogue = Dialogue { email, password, parcel, deadlines, sent: &sent };
    match timeout(deadlines.smtp, dialogue.run()).await {
        Ok(Ok((outcome, mut connection))) => {
            // Outside the deadline: a slow goodbye must not turn a yes into an unknown outcome.
            let _ = timeout(QUIT, connection.quit()).await;
            Ok(outcome)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let silence = format!("the mail server was not done within {} s", deadlines.smtp.as_secs_f64());
            let sent = sent.load(Ordering::Acquire);
            Err(if sent { NotifyError::unknown(silence) } else { NotifyError::unreachable(silence) })
        }
    }
}

struct Dialogue<'a> {
    email: &'a EmailTarget,
    password: Option<&'a str>,
    parcel: &'a Parcel,
    deadlines: Deadlines,
    /// Set before the message's first byte leaves.
    sent: &'a AtomicBool,
}

impl Dialogue<'_> {
    async fn run(&self) -> Result<(Outcome, AsyncSmtpConnection), NotifyError> {
        let mut connection = self.open().await?;
        self.login(&mut connection).await?;
        self.name_sender(&mut connection).await?;
        let mut outcome = self.name_recipients(&mut connection).await?;
        if outcome.accepted.is_empty() {
            return Ok((outcome, connection));
        }
        connection.command(Data).await.map_err(|error| self.before(&error))?;
        self.sent.store(true, Ordering::Release);
        let reply = connection.message(&self.parcel.bytes).await.map_err(|error| self.after(&error))?;
        outcome.reply = Some(self.shown(&reply));
        Ok((outcome, connection))
    }

    /// A greeted connection, encrypted as the target demands.
    async fn open(&self) -> Result<AsyncSmtpConnection, NotifyError> {
        let host = self.email.host.as_str().trim_end_matches('.');
        let connecting = TcpStream::connect((host, self.port()));
        let tcp = timeout(self.deadlines.connect, connecting).await.map_err(NotifyError::unreachable)?;
        let tcp = tcp.map_err(NotifyError::unreachable)?;
        let hello = ClientId::default();
        let greet = async |link| AsyncSmtpConnection::connect_with_transport(Box::new(link), &hello).await;
        match self.email.security {
            SmtpSecurity::None => greet(Link::new(tcp)?).await.map_err(|error| self.before(&error)),
            SmtpSecurity::Tls => {
                let encrypted = self.encrypt(host, tcp).await?;
                greet(encrypted).await.map_err(|error| self.before(&error))
            }
            SmtpSecurity::Starttls => {
                let mut connection = greet(Link { careful: true, ..Link::new(tcp)? })
                    .await
                    .map_err(|error| self.before(&error))?;
                // Not final: whoever stands between us and the server can take the offer away for a while.
                if !connection.can_starttls() {
                    return Err(NotifyError::unreachable("the mail server does not offer STARTTLS"));
                }
                let parameters = self.starttls_parameters(host).await?;
                let upgraded = connection.starttls(parameters, &hello).await;
                upgraded.map_err(|error| self.before(&error))?;
                Ok(connection)
            }
        }
    }

    fn port(&self) -> u16 {
        self.email.port.unwrap_or(match self.email.security {
            SmtpSecurity::Tls => 465,
            SmtpSecurity::Starttls => 587,
            SmtpSecurity::None => 25,
        })
    }

    async fn encrypt(&self, host: &str, tcp: TcpStream) -> Result<Link, NotifyError> {
        let (roots, _) = self.trusted().await?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(NotifyError::unreachable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| NotifyError::refused(error.to_string()))?;
        let peer = tcp.peer_addr().map_err(NotifyError::unreachable)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        let inner = Box::new(stream.map_err(NotifyError::unreachable)?);
        Ok(Link { inner, left: REPLY_BYTES, careful: false, peer })
    }

    async fn starttls_parameters(&self, host: &str) -> Result<TlsParameters, NotifyError> {
        let (_, certificates) = self.trusted().await?;
        let builder = TlsParametersBuilder::new(host.to_owned()).certificate_store(CertificateStore::None);
        let builder = certificates.into_iter().fold(builder, TlsParametersBuilder::add_root_certificate);
        builder.build().map_err(NotifyError::unreachable)
    }

    /// The target's own certificates or else the system's, in both libraries' terms. Read anew for each
    /// mail, so that a renewed trust store counts without a restart.
    async fn trusted(&self) -> Result<(RootCertStore, Vec<Certificate>), NotifyError> {
        let candidates = match &self.email.ca_pem {
            Some(pem) => target::certificates(pem).map_err(|rule| NotifyError::refused(rule.to_string()))?,
            None => {
                let loading = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
                loading.await.map_err(NotifyError::unreachable)?.certs
            }
        };
        let mut roots = RootCertStore::empty();
        let mut certificates = Vec::new();
        for certificate in candidates {
            // System stores hold a few that webpki cannot read; they are of no use to either library.
            if roots.add(certificate.clone()).is_ok() {
                let again = Certificate::from_der(certificate.to_vec()).map_err(NotifyError::unreachable)?;
                certificates.push(again);
            }
        }
        Ok((roots, certificates))
    }

    async fn login(&self, connection: &mut AsyncSmtpConnection) -> Result<(), NotifyError> {
        let (Some(username), Some(password)) = (&self.email.username, self.password) else {
            return Ok(());
        };
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        if connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
            return Err(NotifyError::refused("the mail server offers no login (AUTH PLAIN or LOGIN)"));
        }
        let credentials = Credentials::new(username.clone(), password.to_owned());
        let answer = connection.auth(&mechanisms, &credentials).await;
        answer.map(drop).map_err(|error| self.before(&error))
    }

    async fn name_sender(&self, connection: &mut AsyncSmtpConnection) -> Result<(), NotifyError> {
        let addresses = [&self.parcel.from].into_iter().chain(&self.parcel.to);
        let beyond_ascii = addresses.into_iter().any(|address| !AsRef::<str>::as_ref(address).is_ascii());
        let mut parameters = Vec::new();
        if beyond_ascii {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(NotifyError::refused(
                    "the mail server takes no addresses beyond ASCII (SMTPUTF8)",
                ));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let answer = connection.command(Mail::new(Some(self.parcel.from.clone()), parameters)).await;
        answer.map(drop).map_err(|error| self.before(&error))
    }

    async fn name_recipients(&self, connection: &mut AsyncSmtpConnection) -> Result<Outcome, NotifyError> {
        let mut outcome = Outcome { accepted: vec![], deferred: vec![], refused: vec![], reply: None };
        for address in &self.parcel.to {
            match connection.command(Rcpt::new(address.clone(), vec![])).await {
                Ok(_) => outcome.accepted.push(address.clone()),
                Err(error) if closing(&error) => return Err(self.before(&error)),
                Err(error) if error.is_transient() => {
                    outcome.deferred.push((address.clone(), self.said(&error)))
                }
                Err(error) if error.is_permanent() => {
                    outcome.refused.push((address.clone(), self.said(&error)))
                }
                Err(error) => return Err(self.before(&error)),
            }
        }
        Ok(outcome)
    }

    /// What an error means while the message has not left.
    fn before(&self, error: &SmtpError) -> NotifyError {
        self.spoken(error).unwrap_or_else(|| NotifyError::unreachable(self.said(error)))
    }

    /// What an error means once the message has begun to leave.
    fn after(&self, error: &SmtpError) -> NotifyError {
        self.spoken(error).unwrap_or_else(|| NotifyError::unknown(self.said(error)))
    }

    /// A reply of the server, which says itself whether it is final (RFC 5321 §4.2.1).
    fn spoken(&self, error: &SmtpError) -> Option<NotifyError> {
        if error.is_permanent() {
            return Some(NotifyError::Refused { detail: self.said(error) });
        }
        error.is_transient().then(|| NotifyError::Busy { after: None, detail: self.said(error) })
    }

    fn said(&self, error: &SmtpError) -> String {
        self.public(&error.to_string())
    }

    fn shown(&self, reply: &Response) -> String {
        let lines: Vec<&str> = reply.message().collect();
        self.public(&format!("{} {}", reply.code(), lines.join(" ")))
    }

    /// Printable, short, and without the password in any form in which a server could echo it.
    fn public(&self, said: &str) -> String {
        let mut secrets = Vec::new();
        if let Some(password) = self.password {
            let username = self.email.username.as_deref().unwrap_or_default();
            secrets.push(BASE64_STANDARD.encode(format!("\0{username}\0{password}")));
            secrets.push(BASE64_STANDARD.encode(password));
            secrets.push(password.to_owned());
        }
        text::clean(&text::scrub(said, &secrets), REPLY_SHOWN)
    }
}

/// 421: the server ends the dialogue whatever the command was.
fn closing(error: &SmtpError) -> bool {
    error.status().is_some_and(|code| u16::from(code) == 421)
}

trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Io for T {}

/// A stream that says no more than [`REPLY_BYTES`].
#[derive(Debug)]
struct Link {
    inner: Box<dyn Io>,
    left: usize,
    /// Read byte by byte until TLS begins. lettre keeps what it has read ahead over STARTTLS, so replies that
    /// somebody on the way appends to the go-ahead would count as the server's; unread, they break the
    /// handshake instead.
    careful: bool,
    peer: SocketAddr,
}

impl Link {
    fn new(tcp: TcpStream) -> Result<Self, NotifyError> {
        let peer = tcp.peer_addr().map_err(NotifyError::unreachable)?;
        Ok(Self { inner: Box::new(tcp), left: REPLY_BYTES, careful: false, peer })
    }
}

impl AsyncTokioStream for Link {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = if self.careful {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            let polled = Pin::new(&mut self.inner).poll_read(cx, &mut one);
            buffer.put_slice(one.filled());
            polled
        } else {
            Pin::new(&mut self.inner).poll_read(cx, buffer)
        };
        match self.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other("the mail server talks too much"))),
        }
        polled
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // No SMTP command begins with the type of a TLS handshake record.
        self.careful &= bytes.first() != Some(&TLS_HANDSHAKE);
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
