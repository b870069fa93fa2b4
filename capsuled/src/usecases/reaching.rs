//! How to log in to an xNode: the inventory's row, its opened key and the way there.

use std::{path::PathBuf, sync::Arc};

use capsule_api::Host;

use crate::{
    secret::{Seal, SecretString, UnsealError},
    ssh::{Auth, Destination, MAX_HOPS},
    store::xnodes::{StoredKey, StoredXNode},
};

/// Why there is no way to log in.
#[derive(Debug, thiserror::Error)]
pub enum NoWay {
    /// No user is set.
    #[error("no SSH user is set for `{0}`")]
    NoUser(String),
    /// No key is set.
    #[error("no SSH key is set for `{0}`")]
    NoKey(String),
    /// The sealed key does not open.
    #[error("the SSH key of `{name}` cannot be opened")]
    Sealed {
        /// Whose.
        name: String,
        /// Why.
        #[source]
        source: UnsealError,
    },
    /// The key's file cannot be read.
    #[error("could not read the SSH key {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The daemon has no agent.
    #[error("the daemon has no SSH agent (SSH_AUTH_SOCK)")]
    NoAgent,
    /// The jump host is neither an xNode nor `user@host:port`.
    #[error("`{0}` is neither an xNode nor `user@host:port`")]
    UnknownJump(String),
    /// Jump hosts in a circle, or too many.
    #[error("more than {MAX_HOPS} jump hosts, or a circle of them")]
    TooManyHops,
}

/// What logging in needs beside the inventory.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Opens sealed keys.
    pub seal: Arc<Seal>,
    /// The SSH agent's socket, where there is one.
    pub agent_socket: Option<Arc<PathBuf>>,
}

/// How to log in to `stored`; `find` looks up an xNode by its exact name.
pub fn destination<'a>(
    stored: &'a StoredXNode,
    keys: &Keys,
    find: &dyn Fn(&str) -> Option<&'a StoredXNode>,
) -> Result<Destination, NoWay> {
    hop(stored, keys, find, MAX_HOPS)
}

fn hop<'a>(
    stored: &'a StoredXNode,
    keys: &Keys,
    find: &dyn Fn(&str) -> Option<&'a StoredXNode>,
    hops_left: usize,
) -> Result<Destination, NoWay> {
    let hops_left = hops_left.checked_sub(1).ok_or(NoWay::TooManyHops)?;
    let name = stored.xnode.name.to_string();
    let user = stored.xnode.ssh.user.clone().ok_or_else(|| NoWay::NoUser(name.clone()))?;
    let auth = auth(stored, keys)?;
    let jump = match &stored.xnode.ssh.jump {
        None => None,
        Some(jump) => Some(Box::new(match find(jump) {
            Some(through) => hop(through, keys, find, hops_left)?,
            // A bare host is logged in to with the same key, and its host key is trusted anew each time.
            None => bare(jump, auth.clone()).ok_or_else(|| NoWay::UnknownJump(jump.clone()))?,
        })),
    };
    let (host, port, pinned) = (stored.xnode.address.clone(), stored.xnode.ssh.port, stored.host_key.clone());
    Ok(Destination { host, port, user, auth, pinned, jump })
}

fn auth(stored: &StoredXNode, keys: &Keys) -> Result<Auth, NoWay> {
    let name = || stored.xnode.name.to_string();
    match &stored.ssh_key {
        None => Err(NoWay::NoKey(name())),
        Some(StoredKey::Sealed(sealed)) => {
            let opened = keys.seal.unseal(sealed, &key_place(stored));
            opened.map(Auth::Key).map_err(|source| NoWay::Sealed { name: name(), source })
        }
        Some(StoredKey::Path(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Auth::Key(SecretString::from(text))),
            Err(source) => Err(NoWay::File { path: PathBuf::from(path), source }),
        },
        Some(StoredKey::Agent) => match &keys.agent_socket {
            Some(socket) => Ok(Auth::Agent(socket.as_ref().clone())),
            None => Err(NoWay::NoAgent),
        },
    }
}

/// Where an xNode's key is sealed for.
pub fn key_place(stored: &StoredXNode) -> String {
    format!("xnodes/{}/ssh_key", stored.xnode.id)
}

/// `user@host` or `user@host:port`, with an IPv6 address in brackets.
pub fn parse_bare_jump(text: &str) -> Option<(String, Host, u16)> {
    let (user, rest) = text.split_once('@')?;
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            (host, port.strip_prefix(':').map_or(Some(22), |port| port.parse().ok())?)
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (rest, 22),
        },
    };
    let valid = !user.is_empty() && port > 0;
    valid.then_some((user.to_owned(), host.parse().ok()?, port))
}

fn bare(jump: &str, auth: Auth) -> Option<Destination> {
    let (user, host, port) = parse_bare_jump(jump)?;
    Some(Destination { host, port, user, auth, pinned: None, jump: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_jump_host_names_user_host_and_port() {
        let parsed =
            |text: &str| parse_bare_jump(text).map(|(user, host, port)| format!("{user} {host} {port}"));
        assert_eq!(parsed("ops@bastion").as_deref(), Some("ops bastion 22"));
        assert_eq!(parsed("ops@bastion:2222").as_deref(), Some("ops bastion 2222"));
        assert_eq!(parsed("ops@[2001:db8::1]:2222").as_deref(), Some("ops 2001:db8::1 2222"));
        for bad in ["bastion", "@bastion", "ops@", "ops@a b", "ops@bastion:0", "ops@bastion:x"] {
            assert_eq!(parsed(bad), None, "{bad} should be refused");
        }
    }
}
