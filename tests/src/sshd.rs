//! OpenSSH servers on loopback addresses, each with its own configuration and keys.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use crate::wait;

/// An SSH server that lets one key in.
pub struct Sshd {
    directory: TempDir,
    address: Ipv4Addr,
    port: u16,
    child: Option<Child>,
}

/// A free port on an address.
pub fn free_port(address: Ipv4Addr) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 200).unwrap_or(0) * 100;
    loop {
        let port = 20_000 + offset + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
        if TcpListener::bind((address, port)).is_ok() {
            return port;
        }
    }
}

fn keygen(path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen runs");
    assert!(status.success(), "ssh-keygen failed");
}

impl Sshd {
    /// Starts a server on `address`.
    pub async fn start(address: Ipv4Addr) -> Self {
        let directory = TempDir::with_prefix("capsule-sshd-").expect("a temporary directory");
        keygen(&directory.path().join("host_key"));
        keygen(&directory.path().join("user_key"));
        let authorized = directory.path().join("authorized_keys");
        fs::copy(directory.path().join("user_key.pub"), &authorized).expect("copied");
        // sshd reads it as the user who logs in.
        fs::set_permissions(&authorized, PermissionsExt::from_mode(0o644)).expect("chmod");
        // sshd refuses keys in directories that others could change.
        fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
        let mut sshd = Self { directory, address, port: free_port(address), child: None };
        sshd.run().await;
        sshd
    }

    /// Starts the server again, on the same address with the same keys.
    pub async fn run(&mut self) {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let configuration = format!(
            "ListenAddress {}:{}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 200\nLogLevel ERROR\n",
            self.address,
            self.port,
            path("host_key"),
            path("authorized_keys"),
        );
        fs::write(path("config"), configuration).expect("written");
        // Debian's sshd wants its privilege separation directory, which only its init script makes.
        let _ = fs::create_dir_all("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &path("config")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd starts");
        self.child = Some(child);
        let target = (self.address, self.port);
        wait::until("sshd answering", wait::LONG, || async { TcpStream::connect(target).map(drop) }).await;
    }

    /// Stops the server; its port refuses from now on.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends every connection it has, as a network that fails does; it goes on taking new ones.
    pub fn hang_up(&self) {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid()));
        for child in children.expect("Linux lists children").split_whitespace() {
            let pid = nix::unistd::Pid::from_raw(child.parse().expect("a process id"));
            // One that has just ended by itself is as good.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Gives the server another host key, as a reinstalled or impersonated machine would have.
    pub async fn change_host_key(&mut self) {
        self.stop();
        let path = self.directory.path().join("host_key");
        fs::remove_file(&path).expect("removed");
        fs::remove_file(path.with_extension("pub")).expect("removed");
        keygen(&path);
        self.run().await;
    }

    /// Lets another key in, from the next login on.
    pub fn let_in(&self, public_key: &str) {
        let file = fs::OpenOptions::new().append(true).open(self.directory.path().join("authorized_keys"));
        writeln!(file.expect("the file opens"), "{}", public_key.trim()).expect("written");
    }

    /// The server's process.
    ///
    /// # Panics
    /// While it is stopped.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running sshd").id()
    }

    /// Where it listens.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// On which port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The private key that is let in.
    pub fn user_key(&self) -> PathBuf {
        self.directory.path().join("user_key")
    }

    /// The user to log in as: who runs the test.
    pub fn user(&self) -> String {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        user.map_or_else(|| "root".to_owned(), |user| user.name)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}
