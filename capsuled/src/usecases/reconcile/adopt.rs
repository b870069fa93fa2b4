//! Taking servers into the inventory that are there already. The provider is asked what they are; nothing changes
//! there. All of them come in, or none.

use std::collections::BTreeMap;

use capsule_api::{
    AccountName, AdoptOutcome, AdoptRequest, Adopted, FindingFilter, FindingKind, FindingState, InstanceRef,
    InstanceState, Placement, ProviderName, Settings, SshAccessCreate, Tag, XNodeId, XNodeName, XNodeStatus,
};
use uuid::Uuid;

use super::{Prices, get, seen, tell};
use crate::{
    context::Context,
    model::{Caller, ProviderFacts, SeenInstance},
    rules::reconcile::{self as rules, as_tag},
    secret::SecretString,
    store::{self, Tx, findings, intents},
    usecases::{
        UseCaseError, accounts,
        accounts::instances,
        costs,
        deployments::{self, key},
        xnodes::{
            self,
            placed::{self, NewlyKnown},
        },
    },
};

/// More in one request are refused: it is one transaction.
const MOST: usize = 1_000;
const WHAT: &str = "instance";

/// Adopts servers.
///
/// # Errors
/// [`UseCaseError::Invalid`] for a request that names nothing, too much, or one name for several;
/// [`UseCaseError::NotFound`] for an account, a finding or a server that is not there;
/// [`UseCaseError::WrongState`] for a finding that is no orphan, and for a server that is still being made by a
/// deployment; [`UseCaseError::NameTaken`]; [`UseCaseError::Provider`]; and what
/// [`xnodes::create`](crate::usecases::xnodes::create) says of keys and jump hosts.
pub async fn adopt(
    context: &Context,
    by: &Caller,
    request: AdoptRequest,
) -> Result<Vec<Adopted>, UseCaseError> {
    refuse_vague(&request)?;
    let chosen = choose(context, &request).await?;
    if request.name.is_some() && 1 < chosen.len() {
        return Err(UseCaseError::invalid("name", format!("it cannot be that of {} servers", chosen.len())));
    }
    if MOST < chosen.len() {
        return Err(UseCaseError::invalid("instances", format!("at most {MOST} at a time")));
    }
    let (global, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    let mut adoptions = Vec::with_capacity(chosen.len());
    for one in chosen {
        adoptions.push(prepare(context, by, &request, one).await?);
    }
    if request.dry_run {
        return try_out(context, adoptions).await;
    }
    let target = adoptions.iter().map(|one| one.seen.instance.id.as_str()).take(10).collect::<Vec<_>>();
    let target = target.join(", ");
    let is_named = request.name.is_some();
    let adopted = context
        .store
        .change(by, "adopt_instances", target, move |tx| {
            Box::pin(async move {
                let mut adopted = Vec::with_capacity(adoptions.len());
                for one in adoptions {
                    adopted.push(take_in(tx, one, is_named, &global).await?);
                }
                Ok::<_, UseCaseError>(adopted)
            })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    Ok(adopted)
}

fn refuse_vague(request: &AdoptRequest) -> Result<(), UseCaseError> {
    let by_account = !request.instances.is_empty() || request.tag.is_some();
    if by_account && request.account.is_none() {
        return Err(UseCaseError::invalid("account", "ids and tags are those of an account: say which"));
    }
    if !by_account && request.findings.is_empty() && !request.all_orphans {
        return Err(UseCaseError::invalid("instances", "say which: ids, a tag, findings, or all orphans"));
    }
    if MOST < request.instances.len().max(request.findings.len()) {
        return Err(UseCaseError::invalid("instances", format!("at most {MOST} at a time")));
    }
    Ok(())
}

/// A server that was chosen.
struct Chosen {
    account: AccountName,
    provider: ProviderName,
    seen: SeenInstance,
}

/// The servers that the request means, as their providers list them now; each once.
async fn choose(context: &Context, request: &AdoptRequest) -> Result<Vec<Chosen>, UseCaseError> {
    let mut wanted: BTreeMap<AccountName, Vec<InstanceRef>> = BTreeMap::new();
    for given in &request.findings {
        let finding = get(context, given).await?;
        if finding.kind != FindingKind::Orphan || finding.state == FindingState::Ended {
            let what = if finding.state == FindingState::Ended { "over" } else { finding.kind.as_str() };
            return Err(UseCaseError::WrongState(format!(
                "the finding {} is {what}, and only orphans can be adopted",
                finding.id.short()
            )));
        }
        wanted.entry(finding.account).or_default().push(finding.instance);
    }
    let account = match &request.account {
        Some(given) => Some(accounts::get(context, given.as_str()).await?.name),
        None => None,
    };
    if request.all_orphans {
        let filter = FindingFilter {
            account: account.as_ref().map(ToString::to_string),
            kind: Some(FindingKind::Orphan),
            ..FindingFilter::default()
        };
        let mut reader = context.store.reader().await?;
        for finding in findings::list(&mut reader, &filter, None, i64::MAX).await? {
            wanted.entry(finding.account).or_default().push(finding.instance);
        }
    }
    let given: Vec<InstanceRef> =
        request.instances.iter().map(|text| text.parse().expect("any text is a reference")).collect();
    if let Some(account) = account.filter(|_| !given.is_empty() || request.tag.is_some()) {
        wanted.entry(account).or_default().extend(given);
    }
    let mut chosen = Vec::new();
    for (account, references) in wanted {
        let tag = request.tag.as_deref().filter(|_| request.account.is_some());
        chosen.extend(of_account(context, account, &references, tag).await?);
    }
    Ok(chosen)
}

async fn of_account(
    context: &Context,
    account: AccountName,
    references: &[InstanceRef],
    tag: Option<&str>,
) -> Result<Vec<Chosen>, UseCaseError> {
    let provider = accounts::get(context, account.as_str()).await?.provider;
    let prices = Prices::known(context, &account, provider).await?;
    let mut listed = instances::all(context, &account).await?;
    listed.retain(|instance| instance.status != InstanceState::Deleted);
    let means = |reference: &InstanceRef, instance: &capsule_api::Instance| {
        // An id without its place is enough where only one server has it.
        reference.id == instance.id && (reference.place.is_empty() || reference.place == instance.place)
    };
    for reference in references {
        match listed.iter().filter(|instance| means(reference, instance)).count() {
            0 => return Err(UseCaseError::not_found(WHAT, reference)),
            1 => {}
            _ => {
                let same = listed.iter().filter(|instance| means(reference, instance));
                let fits = same.map(|instance| instance.reference().to_string()).collect();
                return Err(UseCaseError::Ambiguous { what: WHAT, given: reference.to_string(), fits });
            }
        }
    }
    let is_wanted = |instance: &capsule_api::Instance| {
        references.iter().any(|reference| means(reference, instance))
            || tag.is_some_and(|tag| instance.tags.iter().any(|has| has == tag))
    };
    listed.retain(is_wanted);
    if listed.is_empty() {
        return Err(UseCaseError::not_found("instance with the tag", tag.unwrap_or_default()));
    }
    listed.sort_by(|a, b| (&a.name, &a.id, &a.place).cmp(&(&b.name, &b.id, &b.place)));
    let chosen = listed.into_iter().map(|instance| Chosen {
        account: account.clone(),
        provider,
        seen: seen(instance, &prices),
    });
    Ok(chosen.collect())
}

/// A server with everything its row needs.
struct Adoption {
    id: XNodeId,
    name: XNodeName,
    account: AccountName,
    provider: ProviderName,
    seen: SeenInstance,
    tags: Vec<Tag>,
    login: Login,
}

/// How it is logged in to.
struct Login {
    user: Option<String>,
    port: u16,
    jump: Option<String>,
    key: Option<store::xnodes::StoredKey>,
    host_key: Option<String>,
}

async fn prepare(
    context: &Context,
    by: &Caller,
    request: &AdoptRequest,
    chosen: Chosen,
) -> Result<Adoption, UseCaseError> {
    let Chosen { account, provider, seen } = chosen;
    let id = XNodeId(Uuid::now_v7());
    let deployment = match seen.mark {
        Some(mark) => intents::find(&mut *context.store.reader().await?, mark).await?,
        None => None,
    };
    if let Some(intent) = deployment.as_ref().filter(|intent| !intent.state.is_final()) {
        return Err(UseCaseError::WrongState(format!(
            "`{}` is still being deployed: it comes into the inventory by itself",
            intent.name
        )));
    }
    let mut login = given_login(context, by, id, &request.ssh)?;
    if let (None, Some(intent)) = (&login.user, &deployment) {
        // We made it, so it lets us in.
        let client = accounts::client(context, &account).await?;
        let image = intent.spec.image.as_deref().unwrap_or(deployments::USUAL_IMAGE);
        let (_, private): (String, SecretString) = key::pair(context).await?;
        login.user = Some(client.login_user(image).to_owned());
        login.port = request.ssh.port.or(intent.spec.ssh_port).unwrap_or(22);
        login.key = login.key.or_else(|| Some(key::for_xnode(context, &private, id)));
    }
    xnodes::refuse_unfit_login(&context.store, id, login.port, login.user.as_deref(), login.jump.as_deref())
        .await?;
    let own_name =
        deployment.as_ref().filter(|_| seen.instance.name.starts_with(capsule_providers::MARK_PREFIX));
    let name = match (&request.name, own_name) {
        (Some(name), _) => name.clone(),
        // Where labels are unique the provider's name is the mark.
        (None, Some(intent)) => intent.name.clone(),
        (None, None) => name_of(&seen.instance.name, &seen.instance.id, id),
    };
    let mut tags: Vec<Tag> = seen.tags.iter().filter_map(|tag| as_tag(tag)).collect();
    tags.extend(request.tags.iter().cloned());
    placed::refuse_unfit(&tags, &[], &Settings::default())?;
    Ok(Adoption { id, name, account, provider, seen, tags, login })
}

fn given_login(
    context: &Context,
    by: &Caller,
    id: XNodeId,
    ssh: &SshAccessCreate,
) -> Result<Login, UseCaseError> {
    let key = ssh.key.clone().map(|key| xnodes::stored_key(context, by, id, key)).transpose()?;
    Ok(Login {
        user: ssh.user.clone(),
        port: ssh.port.unwrap_or(22),
        jump: ssh.jump.clone(),
        key,
        host_key: ssh.host_key.as_deref().map(xnodes::pinned).transpose()?,
    })
}

/// The provider's name, or as much of it as can be an xNode's.
fn name_of(there: &str, instance: &str, id: XNodeId) -> XNodeName {
    let plain = |text: &str| -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let text: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).take(63).collect();
        text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
    };
    let candidates = [plain(there), plain(instance), format!("xnode-{}", id.short())];
    let fitting = candidates.iter().find_map(|text| text.parse().ok());
    fitting.expect("letters, a hyphen and an id's end make a name")
}

const fn status_of(state: InstanceState) -> XNodeStatus {
    match state {
        InstanceState::Stopped => XNodeStatus::Stopped,
        InstanceState::Error => XNodeStatus::Error,
        InstanceState::Provisioning => XNodeStatus::Deploying,
        InstanceState::Running | InstanceState::Deleted | InstanceState::Unknown => XNodeStatus::Running,
    }
}

async fn take_in(
    tx: &mut Tx,
    one: Adoption,
    is_named: bool,
    global: &Settings,
) -> Result<Adopted, UseCaseError> {
    let reference = one.seen.instance.reference();
    if let Some((xnode, name)) = findings::at_provider_in(tx, one.provider, &reference).await? {
        return Ok(told(&one, AdoptOutcome::AlreadyThere, name, Some(xnode)));
    }
    let (instance, now) = (&one.seen.instance, tx.now());
    let Login { user, port, jump, key, host_key } = one.login;
    let new = NewlyKnown {
        id: one.id,
        name: one.name.clone(),
        instance,
        placement: Placement {
            account: one.account.clone(),
            instance: instance.reference(),
            plan: instance.plan.clone(),
            template: None,
            expiry: None,
        },
        status: status_of(instance.status),
        user,
        ssh_port: port,
        jump,
        key,
        host_key,
        tags: one.tags.clone(),
        hourly_cost: one.seen.price.map(|(_, usd)| usd),
        checks: Vec::new(),
    };
    let xnode = placed::insert(tx, new, global, now).await?;
    // Another name in its place is fine only for one that nobody chose.
    if is_named && xnode.name != one.name {
        return Err(UseCaseError::NameTaken { what: "xNode", name: one.name.to_string() });
    }
    if let Some((price, _)) = one.seen.price {
        costs::note_price(tx, &xnode, price).await?;
    }
    if let Some(made) = instance.created_at.filter(|made| *made < now) {
        store::costs::set_deployed_at(tx, xnode.id, made).await?;
    }
    let known = ProviderFacts {
        plan: Some(instance.plan.clone()),
        region: Some(instance.region.clone()),
        address: instance.ip_address,
        tags: Some(one.seen.tags.clone()),
        price: one.seen.price.map(|(price, _)| price),
    };
    findings::set_known(tx, xnode.id, &known).await?;
    end_orphans(tx, one.provider, &reference, &xnode.name).await?;
    Ok(Adopted {
        outcome: AdoptOutcome::Adopted,
        account: one.account.clone(),
        instance: reference,
        name: xnode.name,
        xnode: Some(xnode.id),
        hourly_cost_micros: xnode.hourly_cost_micros,
    })
}

/// The server may be an orphan in more than one account: two keys may see the same servers.
async fn end_orphans(
    tx: &mut Tx,
    provider: ProviderName,
    instance: &InstanceRef,
    name: &XNodeName,
) -> Result<(), UseCaseError> {
    for finding in findings::orphans_of(tx, provider, instance).await? {
        let over = rules::ended(finding, format!("adopted as `{name}`"), tx.now());
        tell::change(tx, &over).await?;
        tell::judge(tx, &over).await?;
    }
    Ok(())
}

/// What would come of it.
async fn try_out(context: &Context, adoptions: Vec<Adoption>) -> Result<Vec<Adopted>, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let mut told_of = Vec::with_capacity(adoptions.len());
    for one in &adoptions {
        let reference = one.seen.instance.reference();
        told_of.push(match findings::at_provider(&mut reader, one.provider, &reference).await? {
            Some((xnode, name)) => told(one, AdoptOutcome::AlreadyThere, name, Some(xnode)),
            None => told(one, AdoptOutcome::WouldAdopt, one.name.clone(), None),
        });
    }
    Ok(told_of)
}

fn told(one: &Adoption, outcome: AdoptOutcome, name: XNodeName, xnode: Option<XNodeId>) -> Adopted {
    Adopted {
        outcome,
        account: one.account.clone(),
        instance: one.seen.instance.reference(),
        name,
        xnode,
        hourly_cost_micros: one.seen.price.map(|(_, usd)| usd),
    }
}
