//! What a file makes of the inventory: values in, a plan or every fault out; then the plan, carried out.

use std::collections::{BTreeSet, HashMap, HashSet};

use capsule_api::{
    AccountName, EventKind, InstanceRef, Placement, Settings, SshAccessCreate, XNode, XNodeCreate, XNodeId,
    XNodeName,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::super::{UseCaseError, WHAT, costs, jump, new_row, source, stored_key, validate, write};
use crate::{
    context::Context,
    model::Caller,
    rules::records::{
        faults::{Fault, Spot},
        record::Record,
    },
    store::{self, Tx, xnodes::StoredXNode},
};

/// What a file makes of the inventory.
pub(in crate::usecases) struct Plan {
    created: Vec<StoredXNode>,
    /// Before and after.
    changed: Vec<(StoredXNode, StoredXNode)>,
    deployed: Vec<(XNodeId, Timestamp)>,
    /// How many of each.
    pub counts: Counts,
}

/// What a plan does to how many xNodes; the others are so already.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::usecases) struct Counts {
    /// Records.
    pub rows: u32,
    /// Added.
    pub created: u32,
    /// Changed.
    pub changed: u32,
}

/// The inventory before an import.
pub(in crate::usecases) struct Present {
    by_id: HashMap<XNodeId, StoredXNode>,
    by_name: HashMap<String, XNodeId>,
    by_placement: HashMap<(AccountName, InstanceRef), XNodeId>,
    deployed: HashMap<XNodeId, Timestamp>,
}

impl Present {
    /// The xNodes, and when those in the inventory were deployed.
    pub fn of(xnodes: Vec<StoredXNode>, deployed: Vec<(XNodeId, Timestamp)>) -> Self {
        let mut present = Self {
            by_id: HashMap::new(),
            by_name: HashMap::new(),
            by_placement: HashMap::new(),
            deployed: deployed.into_iter().collect(),
        };
        for stored in xnodes {
            let x = &stored.xnode;
            present.by_name.insert(lower(&x.name), x.id);
            present
                .by_placement
                .extend(x.placement.as_ref().map(|p| ((p.account.clone(), p.instance.clone()), x.id)));
            present.by_id.insert(x.id, stored);
        }
        present
    }

    /// The xNode a record is about: by where it is at a provider, by id, otherwise by name.
    pub fn find(&self, record: &Record) -> Option<&StoredXNode> {
        let placed = || {
            let placement = record.placement.as_ref()?;
            let place = (placement.account.clone(), placement.instance.clone());
            self.by_id.get(self.by_placement.get(&place)?)
        };
        let named = || self.by_id.get(self.by_name.get(&lower(record.name.as_ref()?))?);
        let same_address = |stored: &&StoredXNode| {
            record.address.as_ref().is_none_or(|address| *address == stored.xnode.address)
        };
        let with_id = || self.by_id.get(&own_id(record.id.as_deref()?));
        placed()
            .or_else(with_id)
            .or_else(|| named().filter(|stored| !record.name_needs_address || same_address(stored)))
    }

    /// The names in lower case.
    pub fn names(&self) -> BTreeSet<String> {
        self.by_name.keys().cloned().collect()
    }
}

/// Compares the records of a file with the inventory.
///
/// # Errors
/// Everything that cannot be, in the order of the file.
pub(in crate::usecases) fn plan(
    context: &Context,
    by: &Caller,
    global: &Settings,
    present: &Present,
    records: &[Record],
) -> Result<Plan, Vec<Fault>> {
    let mut plan =
        Plan { created: Vec::new(), changed: Vec::new(), deployed: Vec::new(), counts: Counts::default() };
    let (mut faults, mut spots, mut after) = (Vec::new(), HashMap::new(), HashMap::new());
    for record in records {
        plan.counts.rows += 1;
        let known = present.find(record);
        let made = match known {
            Some(stored) => apply(context, by, record, stored),
            None => make(context, by, global, record),
        };
        let made = match made.and_then(|made| validate::xnode(&made.xnode).map(|()| made)) {
            Ok(made) => made,
            Err(error) => {
                faults.push(fault(&record.spot, error));
                continue;
            }
        };
        let id = made.xnode.id;
        if let Some(earlier) = spots.insert(id, &record.spot) {
            let reason = format!("{earlier} is about the same xNode");
            faults.push(Fault::new(record.spot.clone(), "id", reason));
            continue;
        }
        if let Some(at) = record.deployed_at.filter(|at| present.deployed.get(&id) != Some(&to_ms(*at))) {
            plan.deployed.push((id, at));
        }
        match known {
            None => plan.created.push(made.clone()),
            Some(before) if before.xnode != made.xnode => plan.changed.push((before.clone(), made.clone())),
            Some(_) => {}
        }
        after.insert(id, made.xnode);
    }
    let others = present.by_id.values().map(|stored| &stored.xnode);
    let all: Vec<&XNode> =
        others.filter(|xnode| !after.contains_key(&xnode.id)).chain(after.values()).collect();
    faults.extend(clashes(&all, &spots));
    let wanted: Vec<XNodeId> = spots.keys().copied().collect();
    let bad_jumps = jump::faults(all, &wanted);
    faults.extend(bad_jumps.into_iter().filter_map(|(id, error)| Some(fault(spots.get(&id)?, error))));
    if !faults.is_empty() {
        faults.sort_by(|a, b| a.spot.cmp(&b.spot));
        return Err(faults);
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let redated = plan.deployed.iter().map(|(id, _)| *id).filter(|id| present.by_id.contains_key(id));
    let changed: HashSet<XNodeId> =
        plan.changed.iter().map(|(_, after)| after.xnode.id).chain(redated).collect();
    plan.counts.created = count(plan.created.len());
    plan.counts.changed = count(changed.len());
    Ok(plan)
}

/// Moments are stored in milliseconds.
fn to_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn lower(name: &XNodeName) -> String {
    name.as_str().to_ascii_lowercase()
}

/// Our id for an id of whatever tool: the same one if it is one, otherwise always the same one for it.
pub(in crate::usecases) fn own_id(id: &str) -> XNodeId {
    id.parse().unwrap_or_else(|_| {
        let hash = Sha256::digest(format!("capsule/import/{id}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        XNodeId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    })
}

/// The known xNode as the record says.
fn apply(
    context: &Context,
    by: &Caller,
    record: &Record,
    stored: &StoredXNode,
) -> Result<StoredXNode, UseCaseError> {
    fn set<T: Clone>(place: &mut T, new: Option<&T>) {
        if let Some(new) = new {
            place.clone_from(new);
        }
    }
    let mut made = stored.clone();
    let x = &mut made.xnode;
    set(&mut x.name, record.name.as_ref());
    set(&mut x.address, record.address.as_ref());
    set(&mut x.provider, record.provider.as_ref());
    set(&mut x.region, record.region.as_ref());
    set(&mut x.status, record.status.as_ref().filter(|_| !record.status_if_new));
    set(&mut x.hourly_cost_micros, record.hourly_cost.as_ref());
    set(&mut x.ipv4, record.ipv4.as_ref());
    set(&mut x.ipv6, record.ipv6.as_ref());
    set(&mut x.ssh.user, record.ssh_user.as_ref());
    set(&mut x.ssh.port, record.ssh_port.as_ref());
    if record.ssh_jump.as_ref().is_some_and(|jump| !same_jump(jump.as_deref(), x.ssh.jump.as_deref())) {
        set(&mut x.ssh.jump, record.ssh_jump.as_ref());
    }
    if let Some(placement) = &record.placement {
        x.placement = Some(moved(x.placement.take(), placement));
    }
    if let Some(tags) = &record.tags {
        x.tags = validate::tags(tags.clone())?;
    }
    if let Some(key) = record.ssh_key.clone().filter(|_| stored.ssh_key.is_none()) {
        let key = stored_key(context, by, x.id, key)?;
        x.ssh.key = Some(source(&key));
        made.ssh_key = Some(key);
    }
    if made.xnode != stored.xnode {
        made.xnode.updated_at = context.clock.now();
    }
    Ok(made)
}

/// Whether two jump hosts are the same: brackets around an address without a port say nothing.
fn same_jump(one: Option<&str>, other: Option<&str>) -> bool {
    let bare =
        |jump: &str| jump.strip_suffix(']').map_or_else(|| jump.to_owned(), |start| start.replace('[', ""));
    one.map(bare) == other.map(bare)
}

/// Where an xNode is known now. What only we know of the same instance stays.
fn moved(before: Option<Placement>, said: &Placement) -> Placement {
    let same = |before: &Placement| before.account == said.account && before.instance == said.instance;
    match before.filter(same) {
        Some(known) if said.plan.is_empty() => known,
        Some(known) => Placement { plan: said.plan.clone(), ..known },
        None => said.clone(),
    }
}

/// A new xNode as the record says.
fn make(
    context: &Context,
    by: &Caller,
    global: &Settings,
    record: &Record,
) -> Result<StoredXNode, UseCaseError> {
    let missing = |field: &str| UseCaseError::invalid(field, "a new xNode needs one");
    let new = XNodeCreate {
        name: record.name.clone().ok_or_else(|| missing("name"))?,
        address: record.address.clone().ok_or_else(|| missing("ip_address"))?,
        ipv4: record.ipv4.flatten(),
        ipv6: record.ipv6.flatten(),
        ssh: SshAccessCreate {
            port: record.ssh_port,
            user: record.ssh_user.clone().flatten(),
            jump: record.ssh_jump.clone().flatten(),
            ..SshAccessCreate::default()
        },
        provider: record.provider.clone().flatten(),
        region: record.region.clone().flatten(),
        status: record.status,
        tags: record.tags.clone().unwrap_or_default(),
        hourly_cost_micros: record.hourly_cost.flatten(),
        checks: None,
        thresholds: capsule_api::ThresholdOverrides::default(),
        metrics_interval_ms: None,
    };
    let mut made = new_row(context, by, new, global)?;
    if let Some(id) = &record.id {
        made.xnode.id = own_id(id);
    }
    made.xnode.placement.clone_from(&record.placement);
    // A key is sealed for the id that the xNode has.
    if let Some(key) = record.ssh_key.clone() {
        let key = stored_key(context, by, made.xnode.id, key)?;
        made.xnode.ssh.key = Some(source(&key));
        made.ssh_key = Some(key);
    }
    Ok(made)
}

/// What a refusal means for a record.
fn fault(spot: &Spot, error: UseCaseError) -> Fault {
    let UseCaseError::Invalid { field, reason } = error else {
        return Fault::new(spot.clone(), "", error.to_string());
    };
    let column = match field.as_str() {
        "ssh.user" => "ssh_user",
        "ssh.port" => "ssh_port",
        "ssh.jump" => "ssh_jump",
        "hourly_cost_micros" => "cost_hourly",
        other => other,
    };
    Fault::new(spot.clone(), column, reason)
}

/// Names that two xNodes would have.
fn clashes(all: &[&XNode], spots: &HashMap<XNodeId, &Spot>) -> Vec<Fault> {
    let mut named: HashMap<String, Vec<&XNode>> = HashMap::new();
    for xnode in all {
        named.entry(lower(&xnode.name)).or_default().push(xnode);
    }
    let clashing = named.into_values().filter(|xnodes| 1 < xnodes.len()).flatten();
    let fault = |xnode: &XNode| {
        let reason = format!("the name `{}` is another xNode's, too", xnode.name);
        Some(Fault::new((*spots.get(&xnode.id)?).clone(), "name", reason))
    };
    clashing.filter_map(fault).collect()
}

/// Writes what is planned, in the transaction in which it was planned.
pub(in crate::usecases) async fn carry_out(tx: &mut Tx, plan: Plan) -> Result<Counts, UseCaseError> {
    for mut stored in plan.created {
        if store::xnodes::insert(tx, &stored).await?.is_none() {
            return Err(UseCaseError::NameTaken { what: WHAT, name: stored.xnode.name.to_string() });
        }
        costs::follow(tx, None, Some(&stored.xnode), tx.now()).await?;
        stored.xnode.checks.sort_by(|a, b| a.name.cmp(&b.name));
        tx.emit(EventKind::XNodeCreated, &stored.xnode.id.to_string(), &stored.xnode).await?;
    }
    for (before, mut after) in plan.changed {
        write(tx, &after).await?;
        costs::follow(tx, Some(&before.xnode), Some(&after.xnode), tx.now()).await?;
        after.xnode.revision += 1;
        tx.emit(EventKind::XNodeUpdated, &after.xnode.id.to_string(), &after.xnode).await?;
    }
    for (id, at) in plan.deployed {
        store::costs::set_deployed_at(tx, id, at).await?;
    }
    Ok(plan.counts)
}
