//! Shells on xNodes and tunnels to them, for a person who is not to have the keys.
//!
//! Each has an SSH connection of its own and none from the collector's pool: a person may use it for hours and
//! for gigabytes, and a reading must not wait behind that. What is carried is not looked at and not kept; that
//! it was opened, by whom, when and where to, is an audit row written before the xNode is asked.

mod lanes;
mod shells;
mod tunnels;

use std::sync::{Arc, Mutex, PoisonError};

use capsule_api::XNodeId;

use super::{
    UseCaseError,
    reaching::{self, Keys},
    xnodes,
};
use crate::{
    context::Context,
    logging::Chain,
    model::Caller,
    ssh::{self, Destination, Limits, Session, SshError},
    store::{self, StoreError, xnodes::StoredXNode},
};

pub use shells::{OpenShell, open as open_shell};
pub use tunnels::{Carried, OpenTunnel, connect, open as open_tunnel};

/// Shells and tunnels one user may have open.
const PER_USER: usize = 64;
/// Shells and tunnels that may be open on one xNode; each is a connection and a process there.
const PER_XNODE: usize = 16;

/// What is open at the moment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Remote {
    places: Places,
    tunnels: tunnels::Tunnels,
}

/// Who has something open where.
#[derive(Debug, Clone, Default)]
struct Places(Arc<Mutex<Vec<(u32, XNodeId)>>>);

impl Places {
    /// A place for one more.
    fn take(&self, uid: u32, xnode: XNodeId) -> Result<Place, UseCaseError> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let by_user = taken.iter().filter(|(user, _)| *user == uid).count();
        let on_xnode = taken.iter().filter(|(_, there)| *there == xnode).count();
        if PER_USER <= by_user || PER_XNODE <= on_xnode {
            let full = format!(
                "too many shells and tunnels are open: {by_user} by you, {on_xnode} on this xNode; {PER_USER} \
                 and {PER_XNODE} may be"
            );
            return Err(UseCaseError::WrongState(full));
        }
        taken.push((uid, xnode));
        Ok(Place { who: (uid, xnode), places: self.clone() })
    }
}

/// One open shell or tunnel; its end makes room for another.
#[derive(Debug)]
struct Place {
    who: (u32, XNodeId),
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = taken.iter().position(|who| *who == self.who) {
            taken.swap_remove(at);
        }
    }
}

/// The xNode that `given` means, and how to log in to it.
async fn way_to(context: &Context, given: &str) -> Result<(StoredXNode, Destination), UseCaseError> {
    let stored = xnodes::stored(&context.store, given).await?;
    let name = stored.xnode.name.to_string();
    if stored.xnode.own_host {
        return Err(UseCaseError::OwnHost { name });
    }
    let all = match stored.xnode.ssh.jump {
        None => Vec::new(),
        Some(_) => {
            let mut reader = context.store.reader().await?;
            store::xnodes::list(&mut reader, &store::xnodes::Filter::default(), i64::MAX).await?
        }
    };
    let keys = Keys { seal: Arc::clone(&context.seal), agent_socket: context.agent_socket.clone() };
    let find = |name: &str| all.iter().find(|other| other.xnode.name.as_str() == name);
    let destination = reaching::destination(&stored, &keys, &find);
    let destination = destination.map_err(|error| UseCaseError::NoWay(Chain(&error).to_string()))?;
    Ok((stored, destination))
}

/// Notes who opens what, before it is opened.
async fn note(
    context: &Context,
    by: &Caller,
    action: &'static str,
    target: String,
) -> Result<(), UseCaseError> {
    // A stream cannot be replayed, so nothing is kept for a repeat.
    let by = Caller { idempotency: None, ..by.clone() };
    context.store.change::<(), StoreError>(&by, action, target, |_| Box::pin(async { Ok(()) })).await?;
    Ok(())
}

/// An SSH connection of its own. The host key it shows is judged as any other that is seen: the first is pinned,
/// another one is an alert.
async fn log_in(
    context: &Context,
    stored: &StoredXNode,
    destination: &Destination,
) -> Result<Session, UseCaseError> {
    let connected = ssh::connect_for_streams(destination, Limits::default()).await;
    let shown = match &connected {
        Ok(session) => Some(session.host_key()),
        Err(SshError::HostKeyChanged { offered, .. }) => Some(offered.as_str()),
        Err(_) => None,
    };
    if let Some(host_key) = shown {
        context.live.note_host_key(stored.key, host_key);
        context.live.mark_changed(stored.key, None);
        context.wakes.evaluator.ring();
    }
    connected.map_err(|error| unreached(stored.xnode.name.as_str(), &error))
}

/// Why an xNode was not reached, for the caller.
fn unreached(name: &str, error: &SshError) -> UseCaseError {
    let mut cause = error;
    while let SshError::Jump { source, .. } = cause {
        cause = source;
    }
    let changed = matches!(cause, SshError::HostKeyChanged { .. });
    let code = if changed { "host_key_changed" } else { "unreached" };
    UseCaseError::Unreached { code, reason: format!("`{name}`: {}", Chain(error)) }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn places_are_bounded_by_user_and_by_xnode_and_come_back() {
        let places = Places::default();
        let (web, db) = (XNodeId(Uuid::from_u128(1)), XNodeId(Uuid::from_u128(2)));
        let mut taken: Vec<Place> =
            (0..PER_XNODE).map(|_| places.take(7, web).expect("room on the xNode")).collect();
        let full = places.take(8, web).expect_err("full for everyone").to_string();
        assert!(full.contains("0 by you, 16 on this xNode"), "{full}");
        let _elsewhere = places.take(7, db).expect("room on another");
        taken.pop();
        assert!(places.take(8, web).is_ok());
        let _many: Vec<Place> = (taken.len() + 1..PER_USER)
            .map(|n| places.take(7, XNodeId(Uuid::from_u128(n as u128 + 10))).expect("room for the user"))
            .collect();
        assert!(places.take(7, db).is_err());
        assert!(places.take(8, db).is_ok());
    }
}
