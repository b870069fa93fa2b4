//! The inventory: adding, changing and removing xNodes.
//!
//! Credentials are for administrators, and a key by path or agent only for the user the daemon runs as: the
//! daemon opens no path for somebody who could not open it themselves.

mod change;
mod export;
mod import;
mod jump;
pub mod placed;
mod validate;

use capsule_api::{
    AlertChangeKind, AlertState, Check, CheckCreate, EventKind, Health, PingProbe, ProbeSpec,
    PrometheusTargets, Role, Settings, SshAccess, SshKeyCreate, SshKeySource, SshProbe, Subject, SubjectKind,
    Tag, XNode, XNodeCreate, XNodeFilter, XNodeId, XNodePatch, XNodeStatus,
};
use uuid::Uuid;

pub use export::export;
pub use import::import;
/// What a migration shares with an import.
pub(super) mod migrated {
    pub(in crate::usecases) use super::import::{Present, carry_out, own_id, plan, refused, shown};
}

use super::{
    Expected, Listing, Slice, UseCaseError, costs, find_named, power, reconcile,
    telling::{self, Happening},
};
use crate::{
    context::Context,
    model::{Caller, XNodeKey},
    rules::access,
    secret::{Seal, SecretString},
    ssh,
    store::{
        self, Store, Tx, alerts,
        xnodes::{Filter, StoredKey, StoredXNode},
    },
};

const WHAT: &str = "xNode";
/// Longest path to a key file.
const LONGEST_PATH: usize = 4_096;

/// The id of the xNode that `given` means: an id, a name, or a unique beginning or end of an id.
pub async fn resolve(store: &Store, given: &str) -> Result<XNodeId, UseCaseError> {
    let names = store::xnodes::names(&mut *store.reader().await?).await?;
    find_named(WHAT, given, names.iter().map(|(id, name)| (*id, name.as_str())))
}

/// The xNode that `given` means, with what never leaves the daemon.
pub(super) async fn stored(store: &Store, given: &str) -> Result<StoredXNode, UseCaseError> {
    let id = resolve(store, given).await?;
    let found = store::xnodes::find(&mut *store.reader().await?, id).await?;
    found.ok_or_else(|| not_found(given))
}

fn not_found(given: &str) -> UseCaseError {
    UseCaseError::not_found(WHAT, given)
}

/// One xNode.
pub async fn get(context: &Context, by: &Caller, given: &str) -> Result<XNode, UseCaseError> {
    Ok(shown(by.role, stored(&context.store, given).await?.xnode))
}

/// The xNodes that match, by name.
pub async fn list(
    context: &Context,
    by: &Caller,
    filter: &XNodeFilter,
    listing: &Listing,
) -> Result<Slice<XNode>, UseCaseError> {
    let slice = matching(&context.store, filter, listing).await?;
    let items = slice.items.into_iter().map(|stored| shown(by.role, stored.xnode)).collect();
    Ok(Slice { items, next: slice.next })
}

/// The xNodes that match, with what never leaves the daemon.
pub(super) async fn matching(
    store: &Store,
    filter: &XNodeFilter,
    listing: &Listing,
) -> Result<Slice<StoredXNode>, UseCaseError> {
    let tags = filter.tags.as_deref().map(split_tags).transpose()?.unwrap_or_default();
    let filter = Filter {
        provider: filter.provider.clone(),
        region: filter.region.clone(),
        status: filter.status,
        health: filter.health,
        tags,
        text: filter.q.clone(),
        after: listing.after.clone(),
    };
    let rows = store::xnodes::list(&mut *store.reader().await?, &filter, listing.limit_plus_one()).await?;
    Ok(listing.slice(rows, |stored| stored.xnode.name.to_string()))
}

fn split_tags(text: &str) -> Result<Vec<String>, UseCaseError> {
    let parse = |word: &str| {
        let tag: Result<Tag, _> = word.trim().parse();
        tag.map(String::from).map_err(|error| UseCaseError::invalid("tags", error.to_string()))
    };
    text.split(',').filter(|word| !word.trim().is_empty()).map(parse).collect()
}

/// Adds an xNode.
///
/// # Errors
/// [`UseCaseError::NameTaken`], [`UseCaseError::Invalid`]; [`UseCaseError::RoleTooLow`] and
/// [`UseCaseError::OtherUser`] for credentials.
pub async fn create(context: &Context, by: &Caller, new: XNodeCreate) -> Result<XNode, UseCaseError> {
    let (global, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    let row = new_row(context, by, new, &global)?;
    validate::xnode(&row.xnode)?;
    jump::check(&context.store, &row.xnode).await?;
    let added = add(&context.store, by, row).await?;
    context.wakes.inventory_changed();
    Ok(added)
}

/// The row of a new xNode, its key sealed.
fn new_row(
    context: &Context,
    by: &Caller,
    new: XNodeCreate,
    global: &Settings,
) -> Result<StoredXNode, UseCaseError> {
    let id = XNodeId(Uuid::now_v7());
    let now = context.clock.now();
    let ssh_key = new.ssh.key.map(|key| stored_key(context, by, id, key)).transpose()?;
    let checks = new.checks.unwrap_or_else(|| usual_checks(new.ssh.user.is_some()));
    let ssh = SshAccess {
        port: new.ssh.port.unwrap_or(22),
        user: new.ssh.user,
        jump: new.ssh.jump,
        key: ssh_key.as_ref().map(source),
        host_key_fingerprint: None,
    };
    let xnode = XNode {
        id,
        name: new.name,
        address: new.address,
        ipv4: new.ipv4,
        ipv6: new.ipv6,
        ssh,
        provider: new.provider,
        region: new.region,
        placement: None,
        status: new.status.unwrap_or(XNodeStatus::Running),
        tags: validate::tags(new.tags)?,
        hourly_cost_micros: new.hourly_cost_micros,
        health: Health::Unknown,
        health_since: None,
        checks: validate::checks(checks, &[], global)?,
        thresholds: new.thresholds,
        metrics_interval_ms: new.metrics_interval_ms,
        own_host: false,
        open_alerts: 0,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    let host_key = new.ssh.host_key.as_deref().map(pinned).transpose()?;
    // The store gives the key.
    Ok(StoredXNode { key: XNodeKey(0), xnode, ssh_key, host_key, foreign_host_key: None })
}

async fn add(store: &Store, by: &Caller, row: StoredXNode) -> Result<XNode, UseCaseError> {
    let target = format!("{} {}", row.xnode.name, row.xnode.id);
    store
        .change(by, "create_xnode", target, move |tx| {
            Box::pin(async move {
                if store::xnodes::insert(tx, &row).await?.is_none() {
                    let name = row.xnode.name.to_string();
                    return Err(UseCaseError::NameTaken { what: WHAT, name });
                }
                costs::follow(tx, None, Some(&row.xnode), tx.now()).await?;
                announce(tx, EventKind::XNodeCreated, row.xnode.id).await
            })
        })
        .await
}

/// Emits the xNode as it is now stored, and returns it.
async fn announce(tx: &mut Tx, kind: EventKind, id: XNodeId) -> Result<XNode, UseCaseError> {
    let stored = store::xnodes::find_in(tx, id).await?.ok_or_else(|| not_found(&id.to_string()))?;
    tx.emit(kind, &id.to_string(), &stored.xnode).await?;
    Ok(stored.xnode)
}

/// Changes an xNode.
///
/// # Errors
/// As [`create`], and [`UseCaseError::Stale`].
pub async fn update(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
    patch: XNodePatch,
) -> Result<XNode, UseCaseError> {
    let present = stored(&context.store, given).await?.xnode;
    let id = present.id;
    if patch.name.as_ref().is_some_and(|name| *name != present.name) {
        jump::refuse_if_used(&context.store, id).await?;
    }
    let (global, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    let change = change::prepare(context, by, id, patch)?;
    if let Some(Some(jump)) = &change.ssh_jump {
        jump::check_of(&context.store, id, jump).await?;
    }
    let given = given.to_owned();
    let updated = context
        .store
        .change(by, "update_xnode", id.to_string(), move |tx| {
            Box::pin(async move {
                let mut stored = store::xnodes::find_in(tx, id).await?.ok_or_else(|| not_found(&given))?;
                expected.check(WHAT, stored.xnode.revision)?;
                let before = stored.xnode.clone();
                stored.xnode.updated_at = tx.now();
                change.apply(&mut stored, &global)?;
                validate::xnode(&stored.xnode)?;
                write(tx, &stored).await?;
                costs::follow(tx, Some(&before), Some(&stored.xnode), tx.now()).await?;
                announce(tx, EventKind::XNodeUpdated, id).await
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(updated)
}

async fn write(tx: &mut Tx, stored: &StoredXNode) -> Result<(), UseCaseError> {
    match store::xnodes::update(tx, stored).await {
        Ok(true) => Ok(()),
        // The row was read in this transaction, so it cannot have changed since.
        Ok(false) => Err(UseCaseError::Stale { what: WHAT, current: stored.xnode.revision }),
        Err(error) if store::xnodes::is_name_taken(&error) => {
            Err(UseCaseError::NameTaken { what: WHAT, name: stored.xnode.name.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes an xNode with its checks and history; its open alerts end and are told so.
///
/// # Errors
/// [`UseCaseError::Stale`]; [`UseCaseError::WrongState`] when others go through it; [`UseCaseError::InUse`] while
/// an operation works on it, which may be about to make or delete what it stands for.
pub async fn delete(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
) -> Result<(), UseCaseError> {
    let id = resolve(&context.store, given).await?;
    jump::refuse_if_used(&context.store, id).await?;
    let given = given.to_owned();
    let actor = by.name.clone();
    context
        .store
        .change(by, "delete_xnode", id.to_string(), move |tx| {
            Box::pin(async move {
                let stored = store::xnodes::find_in(tx, id).await?.ok_or_else(|| not_found(&given))?;
                expected.check(WHAT, stored.xnode.revision)?;
                if let Some((doing, operation)) = power::at_work(tx, id).await? {
                    return Err(UseCaseError::InUse {
                        what: WHAT,
                        name: stored.xnode.name.to_string(),
                        by: format!("operation {operation} ({doing}) works on it"),
                        hint: format!("`capsulectl operations show {operation}` shows how far it is"),
                    });
                }
                end_all(tx, &stored.xnode, &actor).await?;
                store::xnodes::delete(tx, stored.key, None).await?;
                costs::follow(tx, Some(&stored.xnode), None, tx.now()).await?;
                tx.emit(EventKind::XNodeDeleted, &id.to_string(), &stored.xnode).await?;
                Ok::<_, UseCaseError>(())
            })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(())
}

/// Ends what is open about an xNode that leaves the inventory: its alerts and its findings.
async fn end_all(tx: &mut Tx, xnode: &XNode, actor: &str) -> Result<(), UseCaseError> {
    reconcile::end_findings(tx, xnode.id, "the xNode was removed from the inventory").await?;
    for mut alert in alerts::open_of(tx, &subject(xnode.id)).await? {
        let now = tx.now();
        alert.state = AlertState::Resolved;
        alert.changed_at = now;
        alert.resolved_at = Some(now);
        alert.resolved_by = Some(actor.to_owned());
        let happening = Happening {
            kind: AlertChangeKind::Resolved,
            actor: Some(actor.to_owned()),
            text: "the xNode was removed from the inventory".to_owned(),
            comment: None,
        };
        telling::tell(tx, &alert, &xnode.tags, happening).await?;
    }
    Ok(())
}

/// Refuses to take away an xNode that others go through.
pub(super) async fn refuse_if_jump(store: &Store, id: XNodeId) -> Result<(), UseCaseError> {
    jump::refuse_if_used(store, id).await
}

/// An xNode as an alert's subject.
pub(super) fn subject(id: XNodeId) -> Subject {
    Subject { kind: SubjectKind::XNode, id: id.to_string() }
}

/// Every running xNode as a target of Prometheus' HTTP service discovery.
pub async fn prometheus_targets(
    context: &Context,
    port: u16,
) -> Result<Vec<PrometheusTargets>, UseCaseError> {
    let filter = Filter { status: Some(XNodeStatus::Running), ..Filter::default() };
    let rows = store::xnodes::list(&mut *context.store.reader().await?, &filter, i64::MAX).await?;
    Ok(rows.into_iter().map(|stored| target(&stored.xnode, port)).collect())
}

fn target(xnode: &XNode, port: u16) -> PrometheusTargets {
    let address = match xnode.address.ip() {
        Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{}:{port}", xnode.address),
    };
    // Prometheus' own discoveries put a comma at both ends, so that a rule can match `,web,`.
    let tags = xnode.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",");
    let mut labels = vec![
        ("__meta_capsule_id", xnode.id.to_string()),
        ("__meta_capsule_name", xnode.name.to_string()),
        ("__meta_capsule_health", xnode.health.to_string()),
        ("__meta_capsule_tags", format!(",{tags},")),
    ];
    labels.extend(xnode.provider.as_ref().map(|label| ("__meta_capsule_provider", label.to_string())));
    labels.extend(xnode.region.as_ref().map(|label| ("__meta_capsule_region", label.to_string())));
    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    PrometheusTargets { targets: vec![address], labels }
}

/// A ping and, where we can log in, an SSH check.
fn usual_checks(with_ssh: bool) -> Vec<CheckCreate> {
    let check = |probe| CheckCreate {
        name: None,
        probe,
        interval_ms: None,
        timeout_ms: None,
        down_after: None,
        up_after: None,
        enabled: true,
    };
    let ping = check(ProbeSpec::Ping(PingProbe { family: capsule_api::IpFamily::Any }));
    let ssh = check(ProbeSpec::Ssh(SshProbe { port: None, host_key: true }));
    if with_ssh { vec![ping, ssh] } else { vec![ping] }
}

/// A private key as it will be stored, when the caller may hand us one.
pub(super) fn stored_key(
    context: &Context,
    by: &Caller,
    id: XNodeId,
    key: SshKeyCreate,
) -> Result<StoredKey, UseCaseError> {
    match key {
        SshKeyCreate::Pem(_) if !access::may_set_credentials(by.role) => {
            Err(UseCaseError::RoleTooLow { action: "storing a private key", needed: Role::Admin })
        }
        SshKeyCreate::Pem(pem) => sealed_key(&context.seal, id, SecretString::from(pem)),
        SshKeyCreate::Path(_) | SshKeyCreate::Agent {} if by.uid != context.own_uid => {
            Err(UseCaseError::OtherUser { action: "using a key by path or agent" })
        }
        SshKeyCreate::Path(path) => {
            let plain = path.starts_with('/') && !path.chars().any(char::is_control);
            if !plain || LONGEST_PATH < path.len() {
                return Err(UseCaseError::invalid("ssh.key.path", "it must be an absolute path"));
            }
            Ok(StoredKey::Path(path))
        }
        SshKeyCreate::Agent {} => Ok(StoredKey::Agent),
    }
}

fn sealed_key(seal: &Seal, id: XNodeId, pem: SecretString) -> Result<StoredKey, UseCaseError> {
    ssh::validate_private_key(&pem)
        .map_err(|error| UseCaseError::invalid("ssh.key.pem", error.to_string()))?;
    Ok(StoredKey::Sealed(seal.seal(&pem, &format!("xnodes/{id}/ssh_key"))))
}

/// Refuses a way to log in that leads nowhere.
pub(super) async fn refuse_unfit_login(
    store: &Store,
    id: XNodeId,
    port: u16,
    user: Option<&str>,
    jump: Option<&str>,
) -> Result<(), UseCaseError> {
    validate::login(port, user)?;
    match jump {
        Some(jump) => jump::check_of(store, id, jump).await,
        None => Ok(()),
    }
}

/// A host key to pin, in its shortest form.
pub(super) fn pinned(key: &str) -> Result<String, UseCaseError> {
    ssh::normalise_public_key(key).map_err(|error| UseCaseError::invalid("ssh.host_key", error.to_string()))
}

const fn source(key: &StoredKey) -> SshKeySource {
    match key {
        StoredKey::Sealed(_) => SshKeySource::Stored,
        StoredKey::Path(_) => SshKeySource::Path,
        StoredKey::Agent => SshKeySource::Agent,
    }
}

/// What stands for a header's value where a reader sees it: headers carry tokens.
pub(super) const HIDDEN: &str = "***";

/// The xNode as somebody with this role may see it.
fn shown(role: Role, mut xnode: XNode) -> XNode {
    if role == Role::Reader {
        xnode.checks.iter_mut().for_each(hide);
    }
    xnode
}

fn hide(check: &mut Check) {
    if let ProbeSpec::Http(probe) = &mut check.probe {
        probe.headers.values_mut().for_each(|value| HIDDEN.clone_into(value));
    }
}

/// Hides the values of every `headers` object in an event's data.
pub(super) fn hide_header_values(data: &mut serde_json::Value) {
    match data {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    serde_json::Value::Object(headers) if name == "headers" => {
                        headers.values_mut().for_each(|value| *value = HIDDEN.into());
                    }
                    other => hide_header_values(other),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(hide_header_values),
        _ => {}
    }
}
