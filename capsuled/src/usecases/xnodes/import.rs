//! An inventory from CSV: all of it or nothing, in one transaction, and a second time without any effect.

use std::collections::{HashMap, HashSet};

use capsule_api::{
    EventKind, ImportReport, ImportRequest, Settings, SshAccessCreate, XNode, XNodeCreate, XNodeId, XNodeName,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{UseCaseError, costs, jump, new_row, validate};
use crate::{
    context::Context,
    model::Caller,
    rules::records::csv::{self, Fault, Record},
    store::{self, Tx, xnodes::StoredXNode},
};

/// The most rows of one file.
const MOST_ROWS: usize = 100_000;
/// Characters of the faults that are named: a problem's detail is cut not far beyond.
const LONGEST_LIST: usize = 1_500;
/// How many faults are named.
const NAMED_FAULTS: usize = 20;

/// What a file makes of the inventory.
struct Plan {
    created: Vec<StoredXNode>,
    /// Before and after.
    changed: Vec<(StoredXNode, StoredXNode)>,
    deployed: Vec<(XNodeId, Timestamp)>,
    report: ImportReport,
}

/// Takes over an inventory.
///
/// # Errors
/// [`UseCaseError::Invalid`] with what is wrong in the file, by row and column; then nothing was changed.
pub async fn import(
    context: &Context,
    by: &Caller,
    request: ImportRequest,
) -> Result<ImportReport, UseCaseError> {
    let records = csv::read(&request.csv).map_err(|faults| refused(&faults))?;
    if MOST_ROWS < records.len() {
        return Err(UseCaseError::invalid("csv", "there may be at most 100,000 rows"));
    }
    let (global, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    let target = format!("{} rows", records.len());
    let (planner, actor, dry_run) = (context.clone(), by.clone(), request.dry_run);
    if dry_run {
        let mut reader = context.store.reader().await?;
        let present = store::xnodes::list(&mut reader, &store::xnodes::Filter::default(), i64::MAX).await?;
        let deployed = store::costs::deployed(&mut reader).await?;
        return Ok(plan(context, by, &global, present, deployed, &records)?.report);
    }
    let report = context
        .store
        .change(by, "import_inventory", target, move |tx| {
            Box::pin(async move {
                let present = store::xnodes::list_in(tx).await?;
                let deployed = store::costs::deployed_in(tx).await?;
                let plan = plan(&planner, &actor, &global, present, deployed, &records)?;
                carry_out(tx, plan).await
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(report)
}

fn refused(faults: &[Fault]) -> UseCaseError {
    let mut named = Vec::new();
    let mut length = 0;
    for text in faults.iter().take(NAMED_FAULTS).map(ToString::to_string) {
        length += text.chars().count();
        if LONGEST_LIST < length && !named.is_empty() {
            break;
        }
        named.push(text);
    }
    let more = faults.len() - named.len();
    let tail = if more == 0 { String::new() } else { format!("; and {more} more") };
    UseCaseError::invalid("csv", format!("{}{tail}", named.join("; ")))
}

/// Compares the file with the inventory.
fn plan(
    context: &Context,
    by: &Caller,
    global: &Settings,
    present: Vec<StoredXNode>,
    deployed: Vec<(XNodeId, Timestamp)>,
    records: &[Record],
) -> Result<Plan, UseCaseError> {
    let deployed: HashMap<XNodeId, Timestamp> = deployed.into_iter().collect();
    let mut by_name: HashMap<String, XNodeId> = HashMap::new();
    let mut by_id: HashMap<XNodeId, StoredXNode> = HashMap::new();
    for stored in present {
        by_name.insert(lower(&stored.xnode.name), stored.xnode.id);
        by_id.insert(stored.xnode.id, stored);
    }
    let mut plan = Plan {
        created: Vec::new(),
        changed: Vec::new(),
        deployed: Vec::new(),
        report: ImportReport::default(),
    };
    let (mut faults, mut rows, mut after) = (Vec::new(), HashMap::new(), HashMap::new());
    for record in records {
        plan.report.rows += 1;
        let known = find(record, &by_id, &by_name);
        let made = match known {
            Some(stored) => apply(record, stored, context.clock.now()),
            None => make(context, by, global, record),
        };
        let made = match made.and_then(|made| validate::xnode(&made.xnode).map(|()| made)) {
            Ok(made) => made,
            Err(error) => {
                faults.push(fault(record.row, error));
                continue;
            }
        };
        let id = made.xnode.id;
        if rows.insert(id, record.row).is_some() {
            faults.push(Fault {
                row: record.row,
                column: "id".to_owned(),
                reason: "an earlier row is about the same xNode".to_owned(),
            });
            continue;
        }
        if let Some(at) = record.deployed_at.filter(|at| deployed.get(&id) != Some(&to_ms(*at))) {
            plan.deployed.push((id, at));
        }
        match known {
            None => plan.created.push(made.clone()),
            Some(before) if before.xnode != made.xnode => plan.changed.push((before.clone(), made.clone())),
            Some(_) => {}
        }
        after.insert(id, made.xnode);
    }
    let others = by_id.values().map(|stored| &stored.xnode).filter(|xnode| !after.contains_key(&xnode.id));
    let all: Vec<&XNode> = others.chain(after.values()).collect();
    faults.extend(clashes(&all, &rows));
    let wanted: Vec<XNodeId> = rows.keys().copied().collect();
    let bad_jumps = jump::faults(all, &wanted);
    faults.extend(bad_jumps.into_iter().map(|(id, error)| fault(rows.get(&id).copied().unwrap_or(0), error)));
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.row);
        return Err(refused(&faults));
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let changed: HashSet<XNodeId> = plan
        .changed
        .iter()
        .map(|(_, after)| after.xnode.id)
        .chain(plan.deployed.iter().map(|(id, _)| *id).filter(|id| by_id.contains_key(id)))
        .collect();
    plan.report.created = count(plan.created.len());
    plan.report.changed = count(changed.len());
    plan.report.unchanged = plan.report.rows - plan.report.created - plan.report.changed;
    Ok(plan)
}

/// Moments are stored in milliseconds.
fn to_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn lower(name: &XNodeName) -> String {
    name.as_str().to_ascii_lowercase()
}

/// The xNode a row is about: by id, otherwise by name.
fn find<'a>(
    record: &Record,
    by_id: &'a HashMap<XNodeId, StoredXNode>,
    by_name: &HashMap<String, XNodeId>,
) -> Option<&'a StoredXNode> {
    let named = || by_id.get(by_name.get(&lower(record.name.as_ref()?))?);
    record.id.as_deref().and_then(|id| by_id.get(&own_id(id))).or_else(named)
}

/// Our id for an id of whatever tool: the same one if it is one, otherwise always the same one for it.
fn own_id(id: &str) -> XNodeId {
    id.parse().unwrap_or_else(|_| {
        let hash = Sha256::digest(format!("capsule/import/{id}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        XNodeId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    })
}

/// The known xNode as the row says.
fn apply(record: &Record, stored: &StoredXNode, now: Timestamp) -> Result<StoredXNode, UseCaseError> {
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
    set(&mut x.status, record.status.as_ref());
    set(&mut x.hourly_cost_micros, record.hourly_cost.as_ref());
    set(&mut x.ipv4, record.ipv4.as_ref());
    set(&mut x.ipv6, record.ipv6.as_ref());
    set(&mut x.ssh.user, record.ssh_user.as_ref());
    set(&mut x.ssh.port, record.ssh_port.as_ref());
    set(&mut x.ssh.jump, record.ssh_jump.as_ref());
    if let Some(tags) = &record.tags {
        x.tags = validate::tags(tags.clone())?;
    }
    if *x != stored.xnode {
        x.updated_at = now;
    }
    Ok(made)
}

/// A new xNode as the row says.
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
    made.xnode.id = record.id.as_deref().map_or_else(|| XNodeId(Uuid::now_v7()), own_id);
    Ok(made)
}

/// What a refusal means for a row.
fn fault(row: usize, error: UseCaseError) -> Fault {
    let UseCaseError::Invalid { field, reason } = error else {
        return Fault { row, column: String::new(), reason: error.to_string() };
    };
    let column = match field.as_str() {
        "ssh.user" => "ssh_user",
        "ssh.port" => "ssh_port",
        "ssh.jump" => "ssh_jump",
        "hourly_cost_micros" => "cost_hourly",
        other => other,
    };
    Fault { row, column: column.to_owned(), reason }
}

/// Names that two xNodes would have.
fn clashes(all: &[&XNode], rows: &HashMap<XNodeId, usize>) -> Vec<Fault> {
    let mut named: HashMap<String, Vec<&XNode>> = HashMap::new();
    for xnode in all {
        named.entry(lower(&xnode.name)).or_default().push(xnode);
    }
    let clashing = named.into_values().filter(|xnodes| 1 < xnodes.len()).flatten();
    let fault = |xnode: &XNode| {
        let reason = format!("the name `{}` is another xNode's, too", xnode.name);
        Some(Fault { row: *rows.get(&xnode.id)?, column: "name".to_owned(), reason })
    };
    clashing.filter_map(fault).collect()
}

async fn carry_out(tx: &mut Tx, plan: Plan) -> Result<ImportReport, UseCaseError> {
    for mut stored in plan.created {
        if store::xnodes::insert(tx, &stored).await?.is_none() {
            return Err(UseCaseError::NameTaken { what: super::WHAT, name: stored.xnode.name.to_string() });
        }
        costs::follow(tx, None, Some(&stored.xnode), tx.now()).await?;
        stored.xnode.checks.sort_by(|a, b| a.name.cmp(&b.name));
        tx.emit(EventKind::XNodeCreated, &stored.xnode.id.to_string(), &stored.xnode).await?;
    }
    for (before, mut after) in plan.changed {
        super::write(tx, &after).await?;
        costs::follow(tx, Some(&before.xnode), Some(&after.xnode), tx.now()).await?;
        after.xnode.revision += 1;
        tx.emit(EventKind::XNodeUpdated, &after.xnode.id.to_string(), &after.xnode).await?;
    }
    for (id, at) in plan.deployed {
        store::costs::set_deployed_at(tx, id, at).await?;
    }
    Ok(plan.report)
}
