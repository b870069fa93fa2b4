//! Mail against a real mail server, and against servers that misbehave below SMTP.

use std::{process::Stdio, time::Duration};

use capsule_api::{ChannelTarget, EmailTarget, SmtpSecurity};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{
    super::{Deadlines, Notifier, NotifyError, Receipt, samples},
    impatient,
    python::python,
};
use crate::secret::SecretString;

const SERVER: &str = include_str!("smtp_server.py");
const PATIENCE: Duration = Duration::from_secs(20);

/// A running mail server.
struct MailServer {
    port: u16,
    pem: String,
    mails: Lines<BufReader<ChildStdout>>,
    _process: Child,
    _files: TempDir,
}

impl MailServer {
    /// `None` where there is no Python to run it.
    async fn start(test: &str, security: SmtpSecurity, login: Option<[&str; 2]>) -> Option<Self> {
        let python = python(test)?;
        let files = tempfile::tempdir().expect("a directory");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let options = json!({ "security": security, "login": login, "certificate": certificate, "key": key });
        let mut process = Command::new(python)
            .args(["-W", "ignore", "-c", SERVER, &options.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python starts");
        let mut mails = BufReader::new(process.stdout.take().expect("piped")).lines();
        let port = timeout(PATIENCE, mails.next_line()).await.expect("it starts in time").expect("readable");
        let port = port.expect("it prints its port").parse().expect("a port");
        Some(Self { port, pem: made.cert.pem(), mails, _process: process, _files: files })
    }

    fn target(&self, security: SmtpSecurity) -> EmailTarget {
        EmailTarget {
            host: "localhost".parse().expect("a host"),
            port: Some(self.port),
            security,
            username: None,
            from: "Capsule <capsule@example.org>".to_owned(),
            to: vec!["ops@example.org".to_owned()],
            ca_pem: Some(self.pem.clone()),
        }
    }

    /// The next mail it took.
    async fn mail(&mut self) -> Value {
        let line =
            timeout(PATIENCE, self.mails.next_line()).await.expect("a mail in time").expect("readable");
        serde_json::from_str(&line.expect("the server runs")).expect("JSON")
    }
}

async fn send(
    notifier: &Notifier,
    email: EmailTarget,
    password: Option<&str>,
) -> Result<Receipt, NotifyError> {
    let password = password.map(SecretString::from);
    let now = samples::time("2026-11-20T22:12:00Z");
    notifier.send(&ChannelTarget::Email(email), password.as_ref(), &samples::opened(), now).await
}

#[tokio::test]
async fn a_mail_arrives_over_every_kind_of_connection() {
    for security in [SmtpSecurity::None, SmtpSecurity::Starttls, SmtpSecurity::Tls] {
        let Some(mut server) = MailServer::start("mail over TLS", security, None).await else { return };
        let sent = send(&Notifier::default(), server.target(security), None).await;
        assert_eq!(sent.expect("accepted").detail, "250 2.0.0 queued as 42", "{security}");
        let mail = server.mail().await;
        assert_eq!(mail["to"], json!(["ops@example.org"]));
        assert_eq!(mail["tls"], security != SmtpSecurity::None);
        let content = mail["content"].as_str().expect("text");
        let id = samples::opened().delivery_id;
        for line in [
            format!("Message-ID: <{id}@example.org>"),
            format!("X-Capsule-Delivery: {id}"),
            "Subject: [critical] web-1: SSH unreachable".to_owned(),
            "Auto-Submitted: auto-generated".to_owned(),
        ] {
            assert!(content.lines().any(|found| found == line), "{line} in {content}");
        }
    }
}

#[tokio::test]
async fn a_server_with_a_strange_certificate_gets_nothing() {
    for security in [SmtpSecurity::Starttls, SmtpSecurity::Tls] {
        let Some(server) = MailServer::start("mail to strangers", security, None).await else { return };
        let target = EmailTarget { ca_pem: None, ..server.target(security) };
        let error = send(&Notifier::default(), target, None).await.expect_err("not trusted");
        assert!(matches!(error, NotifyError::Unreachable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_said_in_the_clear() {
    let Some(server) = MailServer::start("mail without STARTTLS", SmtpSecurity::None, None).await else {
        return;
    };
    let error = send(&Notifier::default(), server.target(SmtpSecurity::Starttls), None).await;
    let error = error.expect_err("no STARTTLS");
    assert!(matches!(error, NotifyError::Unreachable { .. }), "{error:?}");
    assert!(error.reason().contains("does not offer STARTTLS"), "{}", error.reason());
}

#[tokio::test]
async fn the_login_is_used_and_a_wrong_one_is_final_and_stays_secret() {
    let login = Some(["capsule", "correct horse"]);
    let Some(mut server) = MailServer::start("mail login", SmtpSecurity::Starttls, login).await else {
        return;
    };
    let target =
        EmailTarget { username: Some("capsule".to_owned()), ..server.target(SmtpSecurity::Starttls) };
    let notifier = Notifier::default();
    send(&notifier, target.clone(), Some("correct horse")).await.expect("accepted");
    assert_eq!(server.mail().await["login"], "capsule");
    let error = send(&notifier, target, Some("battery staple")).await.expect_err("refused");
    assert!(error.is_permanent(), "{error:?}");
    let shown = format!("{error:?} {}", error.reason());
    assert!(shown.contains("535"), "{shown}");
    assert!(!shown.contains("battery") && !shown.contains("AGNhcHN1bGU"), "{shown}");
}

#[tokio::test]
async fn one_bad_recipient_does_not_cost_the_others_their_mail() {
    let Some(mut server) = MailServer::start("mail recipients", SmtpSecurity::None, None).await else {
        return;
    };
    let mut target = server.target(SmtpSecurity::None);
    target.to = vec!["refused@example.org".to_owned(), "ops@example.org".to_owned()];
    let receipt = send(&Notifier::default(), target.clone(), None).await.expect("accepted for one");
    assert!(
        receipt.detail.contains("1 of 2") && receipt.detail.contains("refused@example.org"),
        "{receipt:?}"
    );
    assert_eq!(server.mail().await["to"], json!(["ops@example.org"]));
    target.to.pop();
    let error = send(&Notifier::default(), target, None).await.expect_err("nobody is left");
    assert!(error.is_permanent() && error.reason().contains("550"), "{error:?}");
}

#[tokio::test]
async fn a_grey_listed_recipient_gets_the_mail_later_and_the_others_once() {
    let Some(mut server) = MailServer::start("mail grey-listing", SmtpSecurity::None, None).await else {
        return;
    };
    let mut target = server.target(SmtpSecurity::None);
    target.to = vec!["ops@example.org".to_owned(), "deferred@example.org".to_owned()];
    let notifier = Notifier::default();
    let error = send(&notifier, target.clone(), None).await.expect_err("one is deferred");
    assert!(matches!(error, NotifyError::Busy { .. }), "{error:?}");
    assert_eq!(server.mail().await["to"], json!(["ops@example.org"]));
    send(&notifier, target, None).await.expect("now both have it");
    assert_eq!(server.mail().await["to"], json!(["deferred@example.org"]));
}

#[tokio::test]
async fn a_server_that_shuts_down_is_busy() {
    let Some(server) = MailServer::start("mail 421", SmtpSecurity::None, None).await else { return };
    let target = EmailTarget { from: "busy@example.org".to_owned(), ..server.target(SmtpSecurity::None) };
    let error = send(&Notifier::default(), target, None).await.expect_err("busy");
    assert!(matches!(error, NotifyError::Busy { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_after_the_content_is_an_unknown_outcome() {
    let Some(server) = MailServer::start("mail without answer", SmtpSecurity::None, None).await else {
        return;
    };
    let target = EmailTarget { from: "hang@example.org".to_owned(), ..server.target(SmtpSecurity::None) };
    let error = send(&Notifier::new(impatient()), target, None).await.expect_err("no answer");
    assert!(matches!(error, NotifyError::UnknownOutcome { .. }), "{error:?}");
}

/// A target for a server that is not one.
fn odd(port: u16) -> EmailTarget {
    EmailTarget {
        host: "127.0.0.1".parse().expect("a host"),
        port: Some(port),
        security: SmtpSecurity::None,
        username: None,
        from: "capsule@example.org".to_owned(),
        to: vec!["ops@example.org".to_owned()],
        ca_pem: None,
    }
}

#[tokio::test]
async fn a_silent_server_costs_one_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let error = send(&Notifier::new(impatient()), odd(port), None).await.expect_err("silence");
    assert!(matches!(error, NotifyError::Unreachable { .. }), "{error:?}");
    drop(listener);
    let error = send(&Notifier::new(impatient()), odd(port), None).await.expect_err("nobody there");
    assert!(matches!(error, NotifyError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_line_without_end_is_cut_short_before_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        while stream.write_all(&[b'2'; 65_536]).await.is_ok() {}
    });
    let deadlines = Deadlines { smtp: Duration::from_secs(600), ..impatient() };
    let notifier = Notifier::new(deadlines);
    let error = timeout(PATIENCE, send(&notifier, odd(port), None)).await.expect("cut short");
    let error = error.expect_err("not SMTP");
    assert!(error.reason().contains("talks too much"), "{}", error.reason());
    server.await.expect("the server saw the connection close");
}

#[tokio::test]
async fn replies_slipped_in_before_tls_are_not_believed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let (reader, mut writer) = stream.split();
        let mut commands = BufReader::new(reader).lines();
        let go = "220 go ahead\r\n250 slipped in\r\n";
        for reply in ["220 mail.test\r\n", "250-mail.test\r\n250 STARTTLS\r\n", go] {
            writer.write_all(reply.as_bytes()).await.expect("the client listens");
            if reply != go {
                commands.next_line().await.expect("a command");
            }
        }
        // What follows is TLS, or nothing.
        let mut rest = commands.into_inner();
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.expect("the client hangs up")
    });
    let target = EmailTarget { security: SmtpSecurity::Starttls, ..odd(port) };
    let error = send(&Notifier::default(), target, None).await.expect_err("no TLS");
    assert!(matches!(error, NotifyError::Unreachable { .. }), "{error:?}");
    assert!(error.reason().contains("InvalidContentType"), "{}", error.reason());
    assert!(server.await.expect("the server ends") > 0, "a handshake was begun");
}
