//! A change to an xNode: prepared outside the transaction (keys are checked and sealed), applied inside it
//! to the row as it is then.

use capsule_api::{Settings, XNodeId, XNodePatch};

use super::{UseCaseError, pinned, source, stored_key, validate};
use crate::{
    context::Context,
    model::Caller,
    store::xnodes::{StoredKey, StoredXNode},
};

/// A patch whose credentials are ready to be stored.
pub(super) struct Change {
    patch: XNodePatch,
    /// The jump host to be set, for checking that it leads somewhere.
    pub(super) ssh_jump: Option<Option<String>>,
    ssh_key: Option<Option<StoredKey>>,
    host_key: Option<Option<String>>,
}

/// Checks and seals what the patch carries.
pub(super) fn prepare(
    context: &Context,
    by: &Caller,
    id: XNodeId,
    mut patch: XNodePatch,
) -> Result<Change, UseCaseError> {
    let seal = |key: Option<_>| key.map(|key| stored_key(context, by, id, key)).transpose();
    let ssh_key = patch.ssh_key.take().map(seal).transpose()?;
    let host_key = patch.ssh_host_key.take().map(|key| key.as_deref().map(pinned).transpose()).transpose()?;
    Ok(Change { ssh_jump: patch.ssh_jump.take(), patch, ssh_key, host_key })
}

/// Puts `new` in place when there is one.
fn set<T>(place: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *place = new;
    }
}

impl Change {
    /// Makes the change on `stored`; `global` gives the interval that timeouts are compared with.
    pub(super) fn apply(self, stored: &mut StoredXNode, global: &Settings) -> Result<(), UseCaseError> {
        let Self { patch, ssh_jump, ssh_key, host_key } = self;
        let x = &mut stored.xnode;
        set(&mut x.name, patch.name);
        set(&mut x.address, patch.address);
        set(&mut x.ipv4, patch.ipv4);
        set(&mut x.ipv6, patch.ipv6);
        set(&mut x.ssh.port, patch.ssh_port);
        set(&mut x.ssh.user, patch.ssh_user);
        set(&mut x.ssh.jump, ssh_jump);
        set(&mut x.provider, patch.provider);
        set(&mut x.region, patch.region);
        set(&mut x.status, patch.status);
        set(&mut x.hourly_cost_micros, patch.hourly_cost_micros);
        set(&mut x.thresholds, patch.thresholds);
        set(&mut x.metrics_interval_ms, patch.metrics_interval_ms);
        if let Some(tags) = patch.tags {
            x.tags = validate::tags(tags)?;
        }
        if let Some(checks) = patch.checks {
            x.checks = validate::checks(checks, &x.checks, global)?;
        }
        if let Some(key) = ssh_key {
            x.ssh.key = key.as_ref().map(source);
            stored.ssh_key = key;
        }
        if let Some(key) = host_key {
            stored.host_key = key;
            // Whoever sets the key has decided which one is right.
            stored.foreign_host_key = None;
        }
        Ok(())
    }
}
