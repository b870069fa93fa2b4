//! A real mail server (aiosmtpd) that keeps what it accepts.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde::Deserialize;
use tempfile::TempDir;

use crate::{sshd::free_port, wait};

const SERVER: &str = include_str!("mail_server.py");

/// A message as the server accepted it.
#[derive(Debug, Clone, Deserialize)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients.
    pub to: Vec<String>,
    /// The `Subject` header, decoded.
    pub subject: String,
    /// The `Message-ID` header.
    pub message_id: String,
    /// The `X-Capsule-Delivery` header.
    pub delivery: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// Whether the connection was encrypted.
    pub tls: bool,
    /// Who authenticated.
    pub user: String,
}

/// The server.
pub struct MailServer {
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

/// The Python that has aiosmtpd: the one `tests/run` prepared, else the system's.
fn python() -> PathBuf {
    env::var_os("CAPSULE_TEST_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

/// Whether the mail server can be run. Where everything must run, a missing one is a failure.
pub fn have_mail_server() -> bool {
    let status = Command::new(python()).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    let found = status.is_ok_and(|status| status.success());
    let all = env::var_os("CI").is_some() || env::var_os("CAPSULE_TEST_ALL").is_some();
    assert!(found || !all, "the Python package aiosmtpd is needed; `tests/run` installs it");
    if !found {
        eprintln!("NOT RUN: the Python package aiosmtpd is not installed; `tests/run` installs it");
    }
    found
}

impl MailServer {
    /// Starts a server that demands STARTTLS and the user `capsule` with the password `hunter2`.
    pub async fn start() -> Self {
        let directory = TempDir::with_prefix("capsule-mail-").expect("a temporary directory");
        let certified =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
                .expect("a certificate");
        fs::write(directory.path().join("cert.pem"), certified.cert.pem()).expect("written");
        fs::write(directory.path().join("key.pem"), certified.signing_key.serialize_pem()).expect("written");
        fs::write(directory.path().join("server.py"), SERVER).expect("written");
        let mut server = Self { directory, port: free_port(Ipv4Addr::LOCALHOST), child: None };
        server.run().await;
        server
    }

    /// Starts the server again on the same port.
    pub async fn run(&mut self) {
        let child = Command::new(python())
            .arg(self.directory.path().join("server.py"))
            .arg(self.directory.path())
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .spawn()
            .expect("the mail server starts");
        self.child = Some(child);
        let target = (Ipv4Addr::LOCALHOST, self.port);
        wait::until("the mail server answering", wait::LONG, || async {
            TcpStream::connect(target).map(drop)
        })
        .await;
    }

    /// Stops the server; its port refuses from now on.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// On which port of 127.0.0.1 it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate to trust.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// What it accepted, in order.
    pub fn mails(&self) -> Vec<Mail> {
        let text = fs::read_to_string(self.directory.path().join("mails.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a mail")).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop();
    }
}
