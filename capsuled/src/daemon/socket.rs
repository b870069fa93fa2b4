//! The Unix socket: the one the service manager hands over, or our own.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
        net::UnixListener as StdUnixListener,
    },
    path::Path,
};

use super::StartError;
use crate::config::Config;

/// The listener systemd handed over, or our own on the configured path.
pub(super) async fn listen(config: &Config) -> Result<tokio::net::UnixListener, StartError> {
    let path = &config.socket.value;
    let failed = |source| StartError::Listen { path: path.clone(), source };
    let listener = match inherited_listener() {
        Some(listener) => listener,
        None => {
            refuse_taken(path).await?;
            own_listener(path).map_err(failed)?
        }
    };
    listener.set_nonblocking(true).map_err(failed)?;
    tokio::net::UnixListener::from_std(listener).map_err(failed)
}

#[expect(
    unsafe_code,
    reason = "a descriptor number from the service manager becomes ours exactly once, here"
)]
fn inherited_listener() -> Option<StdUnixListener> {
    use std::os::fd::FromRawFd;
    let descriptor = sd_notify::listen_fds().ok()?.next()?;
    // SAFETY: the service manager opened this descriptor for us (LISTEN_PID was checked) and nobody else uses it.
    Some(unsafe { StdUnixListener::from_raw_fd(descriptor) })
}

/// Refuses a path on which somebody answers or that is no socket: the rename would take it away from its
/// owner without a word. A socket that a dead daemon left behind is free.
async fn refuse_taken(path: &Path) -> Result<(), StartError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        let source = io::Error::new(io::ErrorKind::AlreadyExists, "what is there is not a socket");
        return Err(StartError::Listen { path: path.to_owned(), source });
    }
    // Connecting does not wait: a listener with a full queue answers `WouldBlock`.
    match tokio::net::UnixStream::connect(path).await {
        Ok(_) => Err(StartError::SocketInUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(StartError::SocketInUse { path: path.to_owned() })
        }
        Err(_) => Ok(()),
    }
}

/// Binds beside the path and renames over it, so that there is no moment without a socket and none at which
/// it has the wrong mode.
fn own_listener(path: &Path) -> io::Result<StdUnixListener> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let _ = fs::remove_file(&partial);
    let listener = StdUnixListener::bind(&partial)?;
    let group = nix::unistd::Group::from_name("capsule").ok().flatten();
    let shared = group.filter(|_| nix::unistd::geteuid().is_root());
    match shared {
        Some(group) => {
            nix::unistd::chown(&partial, None, Some(group.gid)).map_err(io::Error::from)?;
            fs::set_permissions(&partial, fs::Permissions::from_mode(0o660))?;
        }
        None => fs::set_permissions(&partial, fs::Permissions::from_mode(0o600))?,
    }
    fs::rename(&partial, path)?;
    Ok(listener)
}
