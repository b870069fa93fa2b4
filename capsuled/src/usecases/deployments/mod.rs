//! Deployments: from a plan to servers in the inventory.
//!
//! [`begin`] writes an operation and one intent for each server in one transaction; from then on [`drive`]
//! moves each intent one step at a time, as [`crate::rules::deployments`] says: the row first, the provider
//! second. A restart, a lost answer and a double wake are therefore the same case.

pub mod drive;
mod inventory;
pub(super) mod key;
mod reach;
mod send;
#[cfg(test)]
mod tests;

use capsule_api::{
    Deployment, DeploymentCreate, DeploymentOffer, DeploymentState, EventKind, IntentId, IntentKind,
    Operation, OperationId, OperationKind, PlannedOffer, ServerSpec, UsdMicros, XNodeName,
};
use uuid::Uuid;

use super::{Listing, Slice, UseCaseError, costs, find_named, operations, templates, xnodes};
use crate::{
    context::Context,
    model::{Caller, Intent},
    secret::{ExposeSecret, SecretString},
    ssh,
    store::{self, Tx, intents},
};

const WHAT: &str = "deployment";
const MOST_SERVERS: u32 = 1_000;
/// More at once need a second word.
const UNCONFIRMED_SERVERS: u32 = 10;
const MOST_USER_DATA: usize = 16 * 1024;
const MOST_KEYS: usize = 16;
const MOST_PORTS: usize = 32;
const TTL_MS: std::ops::RangeInclusive<u64> = 600_000..=31_536_000_000;
const LONGEST_PROFILE: usize = 63;
const LONGEST_IMAGE: usize = 200;
/// A host name label (RFC 1123 §2.1).
const LONGEST_LABEL: usize = 63;

/// What is installed when nothing else is asked for.
pub(super) const USUAL_IMAGE: &str = "ubuntu-24.04";

/// Servers to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name; of several the stem.
    pub name: XNodeName,
    /// How many.
    pub count: u32,
    /// Whether somebody who saw the number said yes.
    pub confirmed: bool,
    /// What they are to be like.
    pub spec: ServerSpec,
    /// cloud-init or script.
    pub user_data: Option<SecretString>,
    /// What can be bought, the best first.
    pub offers: Vec<DeploymentOffer>,
}

/// Plans again, and begins when the plan is the one that was seen.
///
/// # Errors
/// As [`begin`] and [`templates::plan`]; [`UseCaseError::Policy`] with `plan_changed`, and with `over_budget`
/// when a budget that blocks leaves no offer.
pub async fn create(
    context: &Context,
    by: &Caller,
    request: DeploymentCreate,
) -> Result<Operation, UseCaseError> {
    let plan = templates::plan(context, &request.plan).await?;
    if plan.fingerprint != request.fingerprint {
        let reason = "the plan has changed since it was seen: look at it again".to_owned();
        return Err(UseCaseError::Policy { code: "plan_changed", reason });
    }
    let count = request.plan.count.unwrap_or(1);
    let mut spec = request.spec;
    spec.image = spec.image.or(request.plan.image);
    let user_data = request.user_data.map(|text| SecretString::from(text.0));
    let tags: Vec<String> = spec.tags.iter().map(ToString::to_string).collect();
    let offers: Vec<DeploymentOffer> = plan.offers.into_iter().map(bought).collect();
    let offers = costs::within_budgets(context, offers, &tags, |offer| {
        let each = offer.hourly_cost_micros.unwrap_or_default().0;
        (UsdMicros(each.saturating_mul(count.into())), offer.provider.to_string())
    })
    .await?;
    let confirmed = request.confirmed;
    begin(context, by, Wanted { name: request.name, count, confirmed, spec, user_data, offers }).await
}

fn bought(offer: PlannedOffer) -> DeploymentOffer {
    DeploymentOffer {
        account: offer.account,
        provider: offer.provider,
        template: Some(offer.template),
        plan: offer.plan,
        region: offer.region,
        arch: offer.arch,
        bare_metal: offer.bare_metal,
        price: offer.price,
        hourly_cost_micros: Some(offer.usd_hourly),
    }
}

/// Writes down what is wanted and wakes who does it. No provider has been asked for anything yet.
///
/// # Errors
/// [`UseCaseError::Invalid`] for what can never be, [`UseCaseError::Policy`] for a number nobody confirmed,
/// [`UseCaseError::NameTaken`].
pub async fn begin(context: &Context, by: &Caller, wanted: Wanted) -> Result<Operation, UseCaseError> {
    let (global, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    validate(&wanted)?;
    xnodes::placed::refuse_unfit(&wanted.spec.tags, &wanted.spec.checks, &global)?;
    let names = names(&wanted.name, wanted.count)?;
    let Some(first) = wanted.offers.first().cloned() else {
        return Err(UseCaseError::invalid("plan", "no offer fits"));
    };
    let now = context.clock.now();
    let operation = operations::pending(by, OperationKind::Deploy, wanted.name.to_string(), now);
    let intent = |name: XNodeName| {
        let id = IntentId(Uuid::now_v7());
        let place = format!("intents/{id}/user_data");
        Intent {
            id,
            kind: IntentKind::Create,
            operation: operation.id,
            name,
            spec: wanted.spec.clone(),
            user_data: wanted.user_data.as_ref().map(|text| context.seal.seal(text, &place)),
            offers: wanted.offers.clone(),
            offer: 0,
            state: DeploymentState::Planned,
            state_at: now,
            account: first.account.clone(),
            region: first.region.clone(),
            prepared: serde_json::Value::Null,
            instance: None,
            sends: 0,
            sent_at: None,
            looked_until: None,
            xnode: None,
            reason: String::new(),
            created_at: now,
            updated_at: now,
        }
    };
    let rows: Vec<Intent> = names.into_iter().map(intent).collect();
    let operation = context
        .store
        .change(by, "create_deployment", format!("{} ×{}", wanted.name, wanted.count), move |tx| {
            Box::pin(async move {
                for row in &rows {
                    write_new(tx, row).await?;
                }
                store::operations::insert(tx, &operation).await?;
                tx.emit(EventKind::OperationChanged, &operation.id.to_string(), &operation).await?;
                Ok::<_, UseCaseError>(operation)
            })
        })
        .await?;
    context.faults.point("deploy:planned");
    context.wakes.operations.ring();
    Ok(operation)
}

async fn write_new(tx: &mut Tx, row: &Intent) -> Result<(), UseCaseError> {
    let name = row.name.as_str();
    if store::xnodes::is_named_in(tx, name).await? || intents::is_being_made_in(tx, name).await? {
        return Err(UseCaseError::NameTaken { what: "xNode", name: name.to_owned() });
    }
    Ok(intents::insert(tx, row).await?)
}

fn validate(wanted: &Wanted) -> Result<(), UseCaseError> {
    let invalid = |field: &str, reason: &str| Err(UseCaseError::invalid(field, reason));
    if !(1..=MOST_SERVERS).contains(&wanted.count) {
        return invalid("count", "it must be 1 to 1,000");
    }
    if UNCONFIRMED_SERVERS < wanted.count && !wanted.confirmed {
        return Err(UseCaseError::Policy {
            code: "refused_by_policy",
            reason: format!("{} servers at once need `confirmed`", wanted.count),
        });
    }
    let spec = &wanted.spec;
    if MOST_KEYS < spec.ssh_keys.len() {
        return invalid("spec.ssh_keys", "there may be at most 16");
    }
    for key in &spec.ssh_keys {
        ssh::normalise_public_key(key)
            .map_err(|error| UseCaseError::invalid("spec.ssh_keys", error.to_string()))?;
    }
    if MOST_PORTS < spec.open_ports.len() || spec.open_ports.contains(&0) {
        return invalid("spec.open_ports", "there may be at most 32, each 1 to 65535");
    }
    if spec.ssh_port == Some(0) {
        return invalid("spec.ssh_port", "it must be 1 to 65535");
    }
    if spec.ttl_ms.is_some_and(|ttl| !TTL_MS.contains(&ttl)) {
        return invalid("spec.ttl_ms", "it must be 10 minutes to a year");
    }
    if spec.ttl_ms.is_none() && spec.ttl_action.is_some() {
        return invalid("spec.ttl_action", "it needs a time to live");
    }
    let plain = |text: &String, longest| {
        !text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
    };
    if spec.profile.as_ref().is_some_and(|profile| !plain(profile, LONGEST_PROFILE)) {
        return invalid("spec.profile", "it must be 1 to 63 characters");
    }
    if spec.image.as_ref().is_some_and(|image| !plain(image, LONGEST_IMAGE)) {
        return invalid("spec.image", "it must be 1 to 200 characters");
    }
    let too_long = |text: &SecretString| MOST_USER_DATA < text.expose_secret().len();
    if wanted.user_data.as_ref().is_some_and(too_long) {
        return invalid("user_data", "it may be at most 16 KiB");
    }
    Ok(())
}

/// `name`, or `name-1` … `name-N`; every one a host name label, for that is what the server will be called.
fn names(stem: &XNodeName, count: u32) -> Result<Vec<XNodeName>, UseCaseError> {
    let names: Vec<String> = match count {
        1 => vec![stem.to_string()],
        count => (1..=count).map(|n| format!("{stem}-{n}")).collect(),
    };
    let is_label = |name: &str| {
        name.len() <= LONGEST_LABEL
            && !name.ends_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let parse = |name: String| match name.parse() {
        Ok(parsed) if is_label(&name) => Ok(parsed),
        _ => Err(UseCaseError::invalid(
            "name",
            format!(
                "`{name:.80}` is no host name label: 1 to 63 letters, digits and `-`, neither first nor last"
            ),
        )),
    };
    names.into_iter().map(parse).collect()
}

/// The deployments and deletions, newest first.
pub async fn list(context: &Context, listing: &Listing) -> Result<Slice<Deployment>, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let rows = intents::list(&mut reader, listing.after()?, listing.limit_plus_one()).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in rows {
        let attempts = intents::attempts(&mut reader, row.id).await?;
        shown.push(show(row, attempts));
    }
    Ok(listing.slice(shown, |deployment| deployment.id.to_string()))
}

/// The deployment that `given` means: an id, the name of the newest one of that name, or a unique beginning or
/// end of an id.
pub async fn get(context: &Context, given: &str) -> Result<Deployment, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let names = intents::names(&mut reader).await?;
    let id = match names.iter().find(|(_, name)| name.eq_ignore_ascii_case(given)) {
        Some((newest, _)) => *newest,
        None => find_named(WHAT, given, names.iter().map(|(id, name)| (*id, name.as_str())))?,
    };
    let row = intents::find(&mut reader, id).await?.ok_or_else(|| UseCaseError::not_found(WHAT, given))?;
    let attempts = intents::attempts(&mut reader, id).await?;
    Ok(show(row, attempts))
}

fn show(row: Intent, attempts: Vec<capsule_api::DeploymentAttempt>) -> Deployment {
    Deployment {
        id: row.id,
        kind: row.kind,
        name: row.name,
        operation: row.operation,
        state: row.state,
        reason: (!row.reason.is_empty()).then_some(row.reason),
        account: row.account,
        region: row.region,
        instance: row.instance,
        xnode: row.xnode,
        profile: row.spec.profile,
        offers: row.offers,
        offer: u32::try_from(row.offer).unwrap_or(u32::MAX),
        attempts,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Every intent of an operation, as it is now.
async fn of_operation(context: &Context, operation: OperationId) -> Result<Vec<Intent>, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let mut rows = Vec::new();
    for (id, _) in intents::of_operation(&mut reader, operation).await? {
        rows.extend(intents::find(&mut reader, id).await?);
    }
    Ok(rows)
}
