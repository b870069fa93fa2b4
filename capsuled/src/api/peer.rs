//! Who is at the other end of a connection, as the kernel says: user, groups, process.
//!
//! Supplementary groups count, because that is how people join `capsule` and `capsule-operator`. Linux
//! tells the groups the peer had when it connected (`SO_PEERGROUPS`); macOS tells the user (`getpeereid`,
//! by way of tokio) and the directory says which groups that user is in. Nothing in a request can change
//! any of it.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use capsule_api::Role;
use nix::unistd::{Group, Uid, User};
use tokio::{
    net::UnixStream,
    sync::Mutex,
    task,
    time::{Instant, timeout},
};

use crate::rules::access::RoleGroups;

/// How long the directory may take to name a user before the number is used instead.
const NAME_DEADLINE: Duration = Duration::from_secs(2);
/// How long a name is good for.
const NAME_KEPT: Duration = Duration::from_secs(60);

/// The peer of a connection and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Process id, where the system tells.
    pub pid: Option<i32>,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// User name, or `uid N` without one.
    pub name: Arc<str>,
    /// What it may do; `None` for a user that is in none of our groups.
    pub role: Option<Role>,
}

/// The kernel's word on a peer, before it has a name and a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub pid: Option<i32>,
    pub groups: Vec<u32>,
}

/// Asks the kernel about the peer of `stream`.
pub(super) fn credentials(stream: &UnixStream) -> io::Result<Credentials> {
    let peer = stream.peer_cred()?;
    let groups = groups(stream, peer.uid(), peer.gid())?;
    Ok(Credentials { uid: peer.uid(), gid: peer.gid(), pid: peer.pid(), groups })
}

/// Names of users, kept for a minute: clients connect anew for every command, and asking the directory may
/// mean asking the network. One lookup at a time, so that a flood of connections is not a flood of threads.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Arc<Mutex<HashMap<u32, Known>>>);

/// When a name was looked up, and the name.
type Known = (Instant, Arc<str>);

impl Names {
    /// The user's name, or `uid N` when there is none or the directory does not answer in time.
    pub(super) async fn of(&self, uid: u32) -> Arc<str> {
        let mut known = self.0.lock().await;
        if let Some((since, name)) = known.get(&uid)
            && since.elapsed() < NAME_KEPT
        {
            return Arc::clone(name);
        }
        let lookup = task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid)));
        let name: Arc<str> = match timeout(NAME_DEADLINE, lookup).await {
            Ok(Ok(Ok(Some(user)))) => user.name.into(),
            _ => format!("uid {uid}").into(),
        };
        known.retain(|_, (since, _)| since.elapsed() < NAME_KEPT);
        known.insert(uid, (Instant::now(), Arc::clone(&name)));
        name
    }
}

/// The groups that give roles on this machine, as they are now.
pub(super) fn role_groups() -> RoleGroups {
    let id = |name| Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    RoleGroups { reader: id("capsule"), operator: id("capsule-operator"), admin: id("capsule-admin") }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn groups(stream: &UnixStream, _uid: u32, _gid: u32) -> io::Result<Vec<u32>> {
    use std::os::fd::AsRawFd;

    let mut groups = vec![0 as libc::gid_t; 64];
    loop {
        let mut size =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(libc::socklen_t::MAX);
        #[expect(unsafe_code, reason = "nix has no SO_PEERGROUPS")]
        // SAFETY: the pointer and `size` describe the vector's initialised memory, and the kernel writes
        // at most `size` bytes of whole gid_t values into it.
        let done = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut size,
            )
        };
        let count = size as usize / size_of::<libc::gid_t>();
        if done == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // ERANGE: there are more, and `size` now says how many.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(target_os = "macos")]
fn groups(_stream: &UnixStream, uid: u32, gid: u32) -> io::Result<Vec<u32>> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else { return Ok(Vec::new()) };
    let name = std::ffi::CString::new(user.name)?;
    let mut groups = vec![0 as libc::c_int; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
        #[expect(unsafe_code, reason = "nix leaves getgrouplist out on Apple's systems")]
        // SAFETY: `name` is a C string and `count` is the number of elements behind the pointer.
        let done = unsafe {
            libc::getgrouplist(name.as_ptr(), gid.cast_signed(), groups.as_mut_ptr(), &raw mut count)
        };
        if done >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(groups.into_iter().map(libc::c_int::cast_unsigned).collect());
        }
        // More than 65,536 groups is nobody's account.
        if groups.len() > 65_536 {
            return Err(io::Error::other("the peer is in more groups than we read"));
        }
        groups.resize(groups.len() * 2, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_names_the_peer_and_its_groups() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair of sockets");
        let seen = credentials(&ours).expect("credentials");
        assert_eq!(seen.uid, nix::unistd::geteuid().as_raw());
        assert_eq!(seen.gid, nix::unistd::getegid().as_raw());
        let mut mine: Vec<u32> =
            nix::unistd::getgroups().expect("groups").into_iter().map(|gid| gid.as_raw()).collect();
        let mut groups = seen.groups;
        mine.sort_unstable();
        groups.sort_unstable();
        assert_eq!(groups, mine);
    }

    #[tokio::test]
    async fn a_user_without_a_name_is_shown_by_number() {
        let names = Names::default();
        assert_eq!(&*names.of(0).await, "root");
        assert_eq!(&*names.of(4_000_000_123).await, "uid 4000000123");
    }
}
