//! Real OpenSSH servers on loopback addresses for tests, and the worst servers one can meet.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    sync::mpsc,
    time::Duration,
};

use secrecy::SecretString;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Auth, Destination};

/// Whether `program` is not installed. Says so loudly, and fails where everything has to be tested.
pub(crate) fn missing(program: &str) -> bool {
    if find(program).is_some() {
        return false;
    }
    let demanded =
        ["CI", "CAPSULE_TEST_ALL"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    assert!(!demanded, "`{program}` is not installed, and every test has to run here");
    eprintln!("NOT RUN: this test needs `{program}`, which is not installed");
    true
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin", "/run/current-system/sw/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A key pair made by ssh-keygen.
pub(crate) struct KeyFiles {
    folder: TempDir,
}

impl KeyFiles {
    /// A pair of the given kind (`ed25519`, `ecdsa`, `rsa`).
    pub(crate) fn generate(kind: &str, passphrase: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("key");
        let done = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", passphrase, "-C", "test key", "-f"])
            .arg(file)
            .status();
        assert!(done.expect("ssh-keygen runs").success());
        Self { folder }
    }

    /// The file that holds the private key.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// The private key.
    pub(crate) fn private(&self) -> SecretString {
        std::fs::read_to_string(self.path()).expect("the private key").into()
    }

    /// The public key with its comment.
    pub(crate) fn public(&self) -> String {
        std::fs::read_to_string(self.path().with_extension("pub")).expect("the public key").trim().to_owned()
    }

    /// What `ssh-keygen -l` says.
    pub(crate) fn ssh_keygen_fingerprint(&self) -> String {
        let shown = Command::new("ssh-keygen").arg("-lf").arg(self.path()).output().expect("ssh-keygen runs");
        let shown = String::from_utf8(shown.stdout).expect("text");
        shown.split(' ').nth(1).expect("a fingerprint").to_owned()
    }
}

/// An OpenSSH server with a configuration and keys of its own; ends when dropped.
pub(crate) struct Sshd {
    child: Child,
    address: SocketAddr,
    host: KeyFiles,
    client: KeyFiles,
    folder: TempDir,
}

impl Sshd {
    /// A server on a loopback address that no other test uses; `None` when OpenSSH is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// As [`Sshd::start`], with further lines of configuration, which win over ours.
    pub(crate) fn start_with(config: &str) -> Option<Self> {
        if missing("sshd") || missing("ssh-keygen") {
            return None;
        }
        Some(Self::start_at(free_address(), config, KeyFiles::generate("ed25519", "")))
    }

    /// As [`Sshd::start_with`], at a given address and with a given host key.
    pub(crate) fn start_at(address: SocketAddr, config: &str, host: KeyFiles) -> Self {
        let client = KeyFiles::generate("ed25519", "");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authorized = folder.path().join("authorized_keys");
        std::fs::write(&authorized, client.public()).expect("written");
        let file = folder.path().join("sshd_config");
        let settings = settings(config, address, &host.path(), &authorized);
        std::fs::write(&file, settings).expect("written");
        if nix::unistd::geteuid().is_root() {
            // sshd confines its unprivileged part here; Debian creates it when the service starts.
            std::fs::create_dir_all("/run/sshd").expect("the privilege separation folder");
            std::fs::set_permissions("/run/sshd", std::fs::Permissions::from_mode(0o755)).expect("its mode");
        }
        let child = listen(&file);
        Self { child, address, host, client, folder }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host key in OpenSSH form.
    pub(crate) fn host_key(&self) -> String {
        super::normalise_public_key(&self.host.public()).expect("a public key")
    }

    /// The key that it accepts.
    pub(crate) fn client_key(&self) -> &KeyFiles {
        &self.client
    }

    /// A destination that it accepts, with nothing pinned yet.
    pub(crate) fn destination(&self) -> Destination {
        Destination {
            host: self.address.ip().to_string().parse().expect("an address"),
            port: self.address.port(),
            user: user_name(),
            auth: Auth::Key(self.client.private()),
            pinned: None,
            jump: None,
        }
    }

    /// Ends every connection, as a reboot does, and serves again.
    pub(crate) fn restart(&mut self) {
        self.kill_with_connections();
        self.child = listen(&self.folder.path().join("sshd_config"));
    }

    /// As [`Sshd::restart`], but as another machine at the same address.
    pub(crate) fn restart_with_another_host_key(&mut self) {
        let file = self.folder.path().join("sshd_config");
        let settings = std::fs::read_to_string(&file).expect("our own file");
        let other = KeyFiles::generate("ed25519", "");
        let settings =
            settings.replace(&*self.host.path().to_string_lossy(), &other.path().to_string_lossy());
        std::fs::write(file, settings).expect("written");
        self.host = other;
        self.restart();
    }

    fn kill_with_connections(&mut self) {
        // Connections are served by children of the listener; each has its own children in turn.
        let mut processes = vec![self.child.id().to_string()];
        for index in 0.. {
            let Some(parent) = processes.get(index) else { break };
            let children = Command::new("pgrep").args(["-P", parent]).output().expect("pgrep runs");
            let children = String::from_utf8(children.stdout).expect("text");
            processes.extend(children.split_whitespace().map(str::to_owned));
        }
        let killed = Command::new("kill").arg("-9").args(&processes).status();
        assert!(killed.expect("kill runs").success());
        self.child.wait().expect("ended");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn user_name() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("readable").expect("an account");
    user.name
}

fn settings(first: &str, address: SocketAddr, host_key: &Path, authorized: &Path) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "{first}\nListenAddress {ip}:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
         PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
         AllowTcpForwarding yes\nMaxStartups 100\nPrintMotd no\nLogLevel VERBOSE\n",
        host_key.display(),
        authorized.display(),
    )
}

/// Starts sshd and returns once it listens.
fn listen(config: &Path) -> Child {
    let mut child = Command::new(find("sshd").expect("looked for before"))
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sshd starts");
    let log = BufReader::new(child.stderr.take().expect("piped"));
    let (sender, receiver) = mpsc::channel();
    // The log is read to its end: a full pipe would block the server.
    std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let mut said = Vec::new();
    loop {
        match receiver.recv_timeout(Duration::from_secs(20)) {
            Ok(line) if line.contains("Server listening") => return child,
            Ok(line) => said.push(line),
            Err(error) => panic!("sshd does not listen ({error}): {said:?}"),
        }
    }
}

/// A loopback address of its own for every server, so that ports never collide: the second byte comes from
/// the process, the rest is counted.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = u8::try_from(std::process::id() % 200 + 20).expect("below 220");
    let ip =
        if cfg!(target_os = "linux") { Ipv4Addr::new(127, process, high, low) } else { Ipv4Addr::LOCALHOST };
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    listener.local_addr().expect("bound")
}

/// A server that says `first` to everyone, then `again` without end, and never hangs up.
pub(crate) async fn speaks(first: &'static [u8], again: &'static [u8]) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                let talking = async {
                    write.write_all(first).await?;
                    while !again.is_empty() {
                        write.write_all(again).await?;
                    }
                    std::future::pending::<std::io::Result<()>>().await
                };
                let mut heard = [0; 1024];
                let listening = async { while read.read(&mut heard).await.is_ok_and(|length| length > 0) {} };
                tokio::select! { _ = talking => {}, () = listening => {} }
            });
        }
    });
    address
}
