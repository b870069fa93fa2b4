//! Jump hosts: an xNode's name or `user@host:port`. One that is named must be in the inventory, the way must
//! end, and it must not be longer than we follow.

use std::collections::HashMap;

use capsule_api::{Host, XNode, XNodeId};

use super::{UseCaseError, validate};
use crate::{
    ssh::MAX_HOPS,
    store::{self, Store, xnodes::Filter},
};

/// The jump host of every xNode that has one, by id and by lower-case name.
struct Inventory {
    ids: HashMap<String, XNodeId>,
    jumps: HashMap<XNodeId, String>,
}

async fn inventory(store: &Store) -> Result<Inventory, UseCaseError> {
    let rows = store::xnodes::list(&mut *store.reader().await?, &Filter::default(), i64::MAX).await?;
    let xnodes = rows.into_iter().map(|stored| stored.xnode);
    let mut inventory = Inventory { ids: HashMap::new(), jumps: HashMap::new() };
    for xnode in xnodes {
        inventory.ids.insert(xnode.name.as_str().to_ascii_lowercase(), xnode.id);
        inventory.jumps.extend(xnode.ssh.jump.map(|jump| (xnode.id, jump)));
    }
    Ok(inventory)
}

/// Refuses a new xNode whose jump host leads nowhere.
pub(super) async fn check(store: &Store, xnode: &XNode) -> Result<(), UseCaseError> {
    match &xnode.ssh.jump {
        Some(jump) => check_of(store, xnode.id, jump).await,
        None => Ok(()),
    }
}

/// What is wrong with the jump hosts of `wanted` among `all` xNodes, as they are going to be.
pub(super) fn faults<'a>(
    all: impl IntoIterator<Item = &'a XNode>,
    wanted: &[XNodeId],
) -> Vec<(XNodeId, UseCaseError)> {
    let mut inventory = Inventory { ids: HashMap::new(), jumps: HashMap::new() };
    for xnode in all {
        inventory.ids.insert(xnode.name.as_str().to_ascii_lowercase(), xnode.id);
        inventory.jumps.extend(xnode.ssh.jump.clone().map(|jump| (xnode.id, jump)));
    }
    wanted.iter().filter_map(|id| Some((*id, follow(&inventory, *id).err()?))).collect()
}

/// Refuses `jump` as the jump host of `id` when it leads nowhere or back.
pub(super) async fn check_of(store: &Store, id: XNodeId, jump: &str) -> Result<(), UseCaseError> {
    let mut inventory = inventory(store).await?;
    inventory.jumps.insert(id, jump.to_owned());
    follow(&inventory, id)
}

fn follow(inventory: &Inventory, id: XNodeId) -> Result<(), UseCaseError> {
    let invalid = |reason: String| Err(UseCaseError::invalid("ssh.jump", reason));
    let mut here = id;
    let mut hops = 1;
    while let Some(jump) = inventory.jumps.get(&here) {
        hops += 1;
        if MAX_HOPS < hops {
            return invalid(format!("the way leads in a circle or over more than {MAX_HOPS} hosts"));
        }
        if is_destination(jump) {
            return Ok(());
        }
        let Some(next) = inventory.ids.get(&jump.to_ascii_lowercase()) else {
            let shown = jump.chars().take(64).collect::<String>();
            return invalid(format!("`{shown}` is neither an xNode nor `user@host:port`"));
        };
        here = *next;
    }
    Ok(())
}

/// Whether the text is `user@host` or `user@host:port`.
fn is_destination(text: &str) -> bool {
    let Some((user, place)) = text.split_once('@') else { return false };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (place, "22"),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port_fits = port.parse::<u16>().is_ok_and(|port| port != 0);
    validate::is_user_name(user) && host.parse::<Host>().is_ok() && port_fits
}

/// Refuses to take away an xNode that others go through.
pub(super) async fn refuse_if_used(store: &Store, id: XNodeId) -> Result<(), UseCaseError> {
    let inventory = inventory(store).await?;
    let through = |jump: &String| inventory.ids.get(&jump.to_ascii_lowercase()) == Some(&id);
    let count = inventory.jumps.values().filter(|jump| through(jump)).count();
    if count == 0 {
        return Ok(());
    }
    Err(UseCaseError::WrongState(format!("{count} other xNodes use it as their jump host")))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn inventory(jumps: &[(&str, Option<&str>)]) -> (Inventory, Vec<XNodeId>) {
        let mut inventory = Inventory { ids: HashMap::new(), jumps: HashMap::new() };
        let mut ids = Vec::new();
        for (n, (name, jump)) in jumps.iter().enumerate() {
            let id = XNodeId(Uuid::from_u128(n as u128 + 1));
            inventory.ids.insert((*name).to_owned(), id);
            inventory.jumps.extend(jump.map(|jump| (id, jump.to_owned())));
            ids.push(id);
        }
        (inventory, ids)
    }

    #[test]
    fn a_way_must_exist_and_end() {
        let (known, ids) =
            inventory(&[("a", Some("B")), ("b", Some("ops@192.0.2.1:2222")), ("c", Some("gone"))]);
        assert!(follow(&known, ids[0]).is_ok());
        assert!(follow(&known, ids[2]).is_err());
        let (circle, ids) = inventory(&[("a", Some("b")), ("b", Some("a"))]);
        assert!(follow(&circle, ids[0]).is_err());
        let (itself, ids) = inventory(&[("a", Some("a"))]);
        assert!(follow(&itself, ids[0]).is_err());
    }

    #[test]
    fn destinations_have_a_user_and_a_host() {
        for good in ["ops@h", "ops@192.0.2.1:22", "ops@2001:db8::1", "ops@[2001:db8::1]:2222"] {
            assert!(is_destination(good), "{good}");
        }
        for bad in ["h", "@h", "ops@", "ops@h:0", "ops@h:99999", "-oProxyCommand=x@h", "ops@a b"] {
            assert!(!is_destination(bad), "{bad}");
        }
    }
}
