//! xNodes that are known at a provider: how they come into the inventory, are kept true to what the provider
//! says, and leave it. Everything here works inside the caller's transaction.

use capsule_api::{
    CheckCreate, EventKind, Health, Host, Instance, Placement, Settings, SshAccess, Tag, ThresholdOverrides,
    UsdMicros, XNode, XNodeId, XNodeName, XNodeStatus,
};
use jiff::Timestamp;

use super::{UseCaseError, WHAT, announce, end_all, not_found, source, usual_checks, validate, write};
use crate::{
    model::XNodeKey,
    store::{
        self, Tx,
        xnodes::{StoredKey, StoredXNode},
    },
    usecases::costs,
};

/// A server that was just made, or was there before we knew of it.
pub struct NewlyKnown<'a> {
    /// Its id in the inventory.
    pub id: XNodeId,
    /// The name it should have; another one is made from it when it is taken.
    pub name: XNodeName,
    /// The provider's record.
    pub instance: &'a Instance,
    /// Where it is known.
    pub placement: Placement,
    /// Its power state.
    pub status: XNodeStatus,
    /// The user to log in as; `None`: not at all.
    pub user: Option<String>,
    /// TCP port of SSH.
    pub ssh_port: u16,
    /// An xNode's name or `user@host:port` to go through.
    pub jump: Option<String>,
    /// The private key to log in with.
    pub key: Option<StoredKey>,
    /// The host key to pin.
    pub host_key: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// What it costs an hour.
    pub hourly_cost: Option<UsdMicros>,
    /// Checks beside ping and SSH.
    pub checks: Vec<CheckCreate>,
}

/// Where a server will answer: its address, or a name that leads nowhere while it has none (RFC 6761 §6.4).
fn address_of(name: &XNodeName, instance: &Instance) -> Host {
    let known = instance.ip_address.filter(|ip| !ip.is_unspecified());
    let text = known.map_or_else(|| format!("{name}.invalid"), |ip| ip.to_string());
    text.parse().unwrap_or_else(|_| "unknown.invalid".parse().expect("a DNS name"))
}

/// Takes a server into the inventory, or finds the xNode that stands for it already.
pub async fn insert(
    tx: &mut Tx,
    new: NewlyKnown<'_>,
    global: &Settings,
    now: Timestamp,
) -> Result<XNode, UseCaseError> {
    let found = store::xnodes::find_placed_in(tx, &new.placement.account, &new.placement.instance).await?;
    if let Some(known) = found {
        return Ok(known.xnode);
    }
    let mut row = row(new, global, now)?;
    if store::xnodes::insert(tx, &row).await?.is_none() {
        // Taken meanwhile: a billed server must be in the inventory all the same.
        let name = format!("{:.54}-{}", row.xnode.name, row.xnode.id.short());
        row.xnode.name = name.parse().expect("a name and an id's end make a name");
        if store::xnodes::insert(tx, &row).await?.is_none() {
            return Err(UseCaseError::NameTaken { what: WHAT, name });
        }
    }
    costs::follow(tx, None, Some(&row.xnode), now).await?;
    announce(tx, EventKind::XNodeCreated, row.xnode.id).await
}

fn row(new: NewlyKnown<'_>, global: &Settings, now: Timestamp) -> Result<StoredXNode, UseCaseError> {
    let (ipv4, ipv6) = families(new.instance);
    let mut checks = usual_checks(new.user.is_some());
    checks.extend(new.checks);
    let xnode = XNode {
        id: new.id,
        address: address_of(&new.name, new.instance),
        name: new.name,
        ipv4,
        ipv6,
        ssh: SshAccess {
            port: new.ssh_port,
            user: new.user,
            jump: new.jump,
            key: new.key.as_ref().map(source),
            host_key_fingerprint: None,
        },
        provider: new.instance.provider.as_str().parse().ok(),
        region: new.instance.region.parse().ok(),
        placement: Some(new.placement),
        status: new.status,
        tags: validate::tags(new.tags)?,
        hourly_cost_micros: new.hourly_cost,
        health: Health::Unknown,
        health_since: None,
        checks: validate::checks(checks, &[], global)?,
        thresholds: ThresholdOverrides::default(),
        metrics_interval_ms: None,
        own_host: false,
        open_alerts: 0,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    // The store gives the key.
    Ok(StoredXNode {
        key: XNodeKey(0),
        xnode,
        ssh_key: new.key,
        host_key: new.host_key,
        foreign_host_key: None,
    })
}

/// Refuses checks and tags that a server made later could not have.
pub fn refuse_unfit(tags: &[Tag], checks: &[CheckCreate], global: &Settings) -> Result<(), UseCaseError> {
    validate::tags(tags.to_vec())?;
    let mut all = usual_checks(true);
    all.extend(checks.iter().cloned());
    validate::checks(all, &[], global).map(drop)
}

const fn families(instance: &Instance) -> (Option<std::net::Ipv4Addr>, Option<std::net::Ipv6Addr>) {
    match instance.ip_address {
        Some(std::net::IpAddr::V4(ip)) if !ip.is_unspecified() => (Some(ip), None),
        Some(std::net::IpAddr::V6(ip)) if !ip.is_unspecified() => (None, Some(ip)),
        _ => (None, None),
    }
}

/// Puts the provider's address in place of the one that is stored, which may be none yet.
pub fn set_address(xnode: &mut XNode, instance: &Instance) {
    let (ipv4, ipv6) = families(instance);
    if ipv4.is_some() || ipv6.is_some() {
        xnode.address = address_of(&xnode.name, instance);
        xnode.ipv4 = ipv4.or(xnode.ipv4);
        xnode.ipv6 = ipv6.or(xnode.ipv6);
    }
}

/// Follows a server that its provider knows under another id by now: Hivelocity's has its order's until there is a
/// device. `false`: that one is in the inventory already, or the xNode no longer, and nothing changed.
pub async fn follow(tx: &mut Tx, id: XNodeId, instance: &Instance) -> Result<bool, UseCaseError> {
    let stored = store::xnodes::find_in(tx, id).await?;
    let Some(placement) = stored.and_then(|stored| stored.xnode.placement) else { return Ok(false) };
    let reference = instance.reference();
    if store::xnodes::find_placed_in(tx, &placement.account, &reference).await?.is_some() {
        return Ok(false);
    }
    let plan = Some(&placement.plan).filter(|plan| !plan.is_empty()).unwrap_or(&instance.plan).clone();
    let placement = Placement { instance: reference, plan, ..placement };
    amend(tx, id, |row| row.xnode.placement = Some(placement)).await.map(|changed| changed.is_some())
}

/// Changes an xNode; `None`: it is no longer in the inventory.
pub async fn amend(
    tx: &mut Tx,
    id: XNodeId,
    change: impl FnOnce(&mut StoredXNode) + Send,
) -> Result<Option<XNode>, UseCaseError> {
    let Some(mut stored) = store::xnodes::find_in(tx, id).await? else { return Ok(None) };
    let before = stored.clone();
    change(&mut stored);
    if stored == before {
        return Ok(Some(stored.xnode));
    }
    stored.xnode.updated_at = tx.now();
    write(tx, &stored).await?;
    costs::follow(tx, Some(&before.xnode), Some(&stored.xnode), stored.xnode.updated_at).await?;
    announce(tx, EventKind::XNodeUpdated, id).await.map(Some)
}

/// Takes an xNode whose server is gone out of the inventory; its alerts end. One that is not there is fine.
pub async fn remove(tx: &mut Tx, id: XNodeId, actor: &str) -> Result<(), UseCaseError> {
    let Some(stored) = store::xnodes::find_in(tx, id).await? else { return Ok(()) };
    end_all(tx, &stored.xnode, actor).await?;
    let now = tx.now();
    costs::follow(tx, Some(&stored.xnode), None, now).await?;
    if !store::xnodes::delete(tx, stored.key, None).await? {
        return Err(not_found(&id.to_string()));
    }
    tx.emit(EventKind::XNodeDeleted, &id.to_string(), &stored.xnode).await?;
    Ok(())
}
