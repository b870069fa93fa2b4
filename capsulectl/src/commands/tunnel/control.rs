//! How tunnels are found and closed: each listens on a socket named by its id, tells of itself in one line of
//! JSON, and ends when it is told to.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};

use super::Tunnel;
use crate::{
    error::{Error, Result},
    settings::{self, ProcessEnvironment},
};

/// How long a tunnel may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longer than any answer.
const LONGEST: u64 = 16 << 10;
/// The word that ends a tunnel.
const CLOSE: &str = "close";

fn failed(action: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let action = action.into();
    move |source| Error::Local { action, source }
}

/// The directory of the control sockets; only its user may enter it.
pub fn directory() -> Result<PathBuf> {
    let directory = settings::tunnel_directory(&ProcessEnvironment);
    let make = || {
        fs::create_dir_all(&directory)?;
        fs::set_permissions(&directory, PermissionsExt::from_mode(0o700))
    };
    make().map_err(failed(format!("make {}", directory.display())))?;
    Ok(directory)
}

fn socket(directory: &Path, id: &str) -> PathBuf {
    directory.join(format!("{id}.sock"))
}

/// Where a detached tunnel says what happens to it.
pub fn log(directory: &Path, id: &str) -> PathBuf {
    directory.join(format!("{id}.log"))
}

/// Every tunnel that answers, oldest first. What is left of one that ended without a word is removed.
pub async fn list(directory: &Path) -> Result<Vec<Tunnel>> {
    let entries = fs::read_dir(directory).map_err(failed(format!("read {}", directory.display())))?;
    let mut tunnels = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(id) = name.strip_suffix(".sock") else { continue };
        match timeout(DEADLINE, ask(&path, "")).await {
            Ok(Ok(tunnel)) => tunnels.push(tunnel),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(log(directory, id));
            }
            // One that just ended, or was stopped by its user.
            Ok(Err(error)) => tracing::debug!(%error, id, "a tunnel does not answer"),
            Err(_) => tracing::debug!(id, "a tunnel does not answer in time"),
        }
    }
    tunnels.sort_by_key(|tunnel| tunnel.since);
    Ok(tunnels)
}

/// Says `word` to the tunnel behind `socket`; returns what it tells of itself.
async fn ask(socket: &Path, word: &str) -> io::Result<Tunnel> {
    let stream = UnixStream::connect(socket).await?;
    let (read, mut write) = stream.into_split();
    write.write_all(format!("{word}\n").as_bytes()).await?;
    let mut line = String::new();
    let mut read = BufReader::new(read.take(LONGEST));
    read.read_line(&mut line).await?;
    if word == CLOSE {
        // It hangs up when everything has ended.
        read.read_line(&mut String::new()).await?;
    }
    serde_json::from_str(&line).map_err(io::Error::other)
}

/// Ends a tunnel and waits until it has ended.
pub async fn close(directory: &Path, id: &str) -> Result<()> {
    match timeout(DEADLINE, ask(&socket(directory, id), CLOSE)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(source)) => Err(failed(format!("close the tunnel {id}"))(source)),
        Err(_) => Err(Error::TimedOut { what: format!("closing the tunnel {id}"), after: DEADLINE }),
    }
}

/// A tunnel's own end; the socket goes when this does.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    log: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.log);
    }
}

/// What a tunnel tells of itself, kept up to date by whoever carries it.
pub type Told = Arc<Mutex<Tunnel>>;

/// Changes what is told.
pub fn tell(told: &Told, change: impl FnOnce(&mut Tunnel)) {
    change(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
}

impl Control {
    /// Listens for who wants to know or close.
    pub fn listen(directory: &Path, id: &str) -> Result<Self> {
        let path = socket(directory, id);
        let listener = UnixListener::bind(&path).map_err(failed(format!("listen on {}", path.display())))?;
        Ok(Self { listener, path, log: log(directory, id) })
    }

    /// Answers until somebody says that it shall end; returns that caller, who waits for its end.
    pub async fn closed(&self, told: &Told) -> UnixStream {
        let mut asking = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => { asking.spawn(timeout(DEADLINE, answer(stream, Arc::clone(told)))); }
                    // No descriptors: whoever asks has to ask again.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(done) = asking.join_next() => {
                    if let Ok(Ok(Ok(Some(caller)))) = done {
                        return caller;
                    }
                }
            }
        }
    }
}

/// Tells one caller; gives it back when it wants the end.
async fn answer(stream: UnixStream, told: Told) -> io::Result<Option<UnixStream>> {
    let mut stream = BufReader::new(stream);
    let mut word = String::new();
    (&mut stream).take(64).read_line(&mut word).await?;
    let line = {
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_string(&*told).map_err(io::Error::other)? + "\n"
    };
    stream.write_all(line.as_bytes()).await?;
    Ok((word.trim() == CLOSE).then(|| stream.into_inner()))
}
