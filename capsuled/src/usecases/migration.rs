//! A directory of the earlier Capsule: all that has a place here in one transaction, or nothing.
//!
//! The directory is old by nature, so what is here already is never overwritten: a second run changes nothing,
//! whatever happened in between. Trying it out is the same work, rolled back.

use std::collections::{BTreeMap, BTreeSet};

use capsule_api::{
    ImportLeft, MigratedFile, MigrationCount, MigrationItem, MigrationReport, MigrationRequest, ProviderName,
    Role,
};
use jiff::tz::TimeZone;

use super::{
    UseCaseError, accounts,
    accounts::Untried,
    channels, settings,
    xnodes::migrated::{Present, carry_out, own_id, plan, refused, shown},
};
use crate::{
    context::Context,
    model::{Attribution, Caller},
    rules::{
        access,
        former::{self, Former, FormerLife},
        records::{
            faults::{Fault, Left, Spot, clip},
            record::Record,
        },
    },
    secret::SecretString,
    store::{self, Lane, StoreError, Tx, costs::StoredLifetime},
};

/// The most files of one directory.
const MOST_FILES: usize = 1_000;
/// How much of what was left in a file is named.
const MOST_LEFT: usize = 1_000;
/// The files by which each kind of thing comes.
const INVENTORY: &str = "inventory.json";
const MONITORING: &str = "monitoring.yml";
const PROVIDERS: &str = "providers.yml";
/// Files that hold secrets in clear.
const SECRET_FILES: [&str; 3] = [PROVIDERS, "openmesh.yml", MONITORING];

/// Takes over a directory.
///
/// # Errors
/// [`UseCaseError::Invalid`] with what is wrong in which file, by line and field; then nothing was changed.
/// [`UseCaseError::RoleTooLow`]: credentials are among it.
pub async fn migrate(
    context: &Context,
    by: &Caller,
    request: MigrationRequest,
) -> Result<MigrationReport, UseCaseError> {
    if !access::may_set_credentials(by.role) {
        return Err(UseCaseError::RoleTooLow { action: "migrating credentials", needed: Role::Admin });
    }
    if MOST_FILES < request.files.len() {
        return Err(UseCaseError::invalid("files", "there may be at most 1,000"));
    }
    let zone = request.time_zone.as_deref().map_or(Ok(TimeZone::UTC), time_zone)?;
    let former = former::read(&request.files, &zone).map_err(|faults| refused("files", &faults))?;
    let report = new_report(request.files.keys(), &former);
    let target = format!("{} files", request.files.len());
    let (inner, actor) = (context.clone(), by.clone());
    if request.dry_run {
        // The savepoint is rolled back with the report as its error.
        let tried = context.store.write::<(), _>(Lane::Normal, move |tx| {
            Box::pin(async move { Err(Tried::from(take(&inner, &actor, tx, former, report).await)) })
        });
        return match tried.await {
            Err(Tried::Report(report)) => Ok(*report),
            Err(Tried::Failed(error)) => Err(error),
            Ok(()) => Err(UseCaseError::WrongState("the trial ended without a report".to_owned())),
        };
    }
    let report = context
        .store
        .change(by, "migrate_directory", target, move |tx| {
            Box::pin(async move { take(&inner, &actor, tx, former, report).await })
        })
        .await?;
    context.wakes.inventory_changed();
    context.wakes.outbox.ring();
    context.wakes.templates.ring();
    Ok(report)
}

/// How a trial ends: always as an error, so that nothing of it stays.
enum Tried {
    Report(Box<MigrationReport>),
    Failed(UseCaseError),
}

impl From<StoreError> for Tried {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Result<MigrationReport, UseCaseError>> for Tried {
    fn from(result: Result<MigrationReport, UseCaseError>) -> Self {
        result.map_or_else(Self::Failed, |report| Self::Report(Box::new(report)))
    }
}

fn time_zone(name: &str) -> Result<TimeZone, UseCaseError> {
    let unknown =
        || UseCaseError::invalid("time_zone", format!("`{}` is no time zone known here", clip(name)));
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).map_err(|_| unknown())
}

/// Every file, with what has no place here at all.
fn new_report<'a>(files: impl Iterator<Item = &'a String>, former: &Former) -> MigrationReport {
    let file = |file: &String| MigratedFile { file: file.clone(), taken: Vec::new(), left: Vec::new() };
    let mut report = MigrationReport { files: files.map(file).collect(), secrets_in: Vec::new() };
    for (file, left) in &former.left {
        report.leave(file, shown(left.clone()));
    }
    let holds = |file: &&str| match *file {
        PROVIDERS => !former.accounts.is_empty(),
        MONITORING => former.channels.iter().any(|(_, channel)| channel.secret.is_some()),
        file => former.left.iter().any(|(of, left)| of == file && left.what.starts_with("api_")),
    };
    report.secrets_in = SECRET_FILES.iter().filter(|file| holds(file)).map(ToString::to_string).collect();
    report
}

/// Notes in a report, by file.
trait Notes {
    fn of(&mut self, file: &str) -> Option<&mut MigratedFile>;

    fn leave(&mut self, file: &str, left: ImportLeft) {
        if let Some(file) = self.of(file).filter(|file| file.left.len() < MOST_LEFT) {
            file.left.push(left);
        }
    }

    fn count(&mut self, file: &str, what: MigrationItem, created: usize, present: usize) {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        if 0 < created + present
            && let Some(file) = self.of(file)
        {
            file.taken.push(MigrationCount { what, created: count(created), present: count(present) });
        }
    }
}

impl Notes for MigrationReport {
    fn of(&mut self, file: &str) -> Option<&mut MigratedFile> {
        self.files.iter_mut().find(|of| of.file == file)
    }
}

fn left_at(spot: &Spot, what: impl Into<String>, reason: impl Into<String>) -> ImportLeft {
    let line = match spot {
        Spot::In(_, line) => Spot::Line(*line),
        spot => spot.clone(),
    };
    shown(Left::at(&line, what, reason))
}

/// Takes over what is not there yet. Faults are all found before the first thing is written.
async fn take(
    context: &Context,
    by: &Caller,
    tx: &mut Tx,
    former: Former,
    mut report: MigrationReport,
) -> Result<MigrationReport, UseCaseError> {
    let Former { records, lives, spent, settings: patch, channels, accounts, region, .. } = former;
    let (global, revision) = store::settings::find_in(tx).await?;
    let present = Present::of(store::xnodes::list_in(tx).await?, store::costs::deployed_in(tx).await?);
    let all = records.len();
    let new: Vec<Record> = records.into_iter().filter(|record| present.find(record).is_none()).collect();
    let mut faults = Vec::new();
    let xnodes = plan(context, by, &global, &present, &new).map_err(|found| faults.extend(found)).ok();
    let new_channels = unknown_channels(context, by, tx, channels, &mut report, &mut faults).await?;
    let new_accounts = unknown_accounts(context, tx, accounts, region, &mut report, &mut faults).await?;
    let Some(xnodes) = xnodes.filter(|_| faults.is_empty()) else { return Err(refused("files", &faults)) };

    carry_out(tx, xnodes).await?;
    report.count(INVENTORY, MigrationItem::XNodes, new.len(), all - new.len());
    for (id, cost) in
        new.iter().filter_map(|record| record.id.as_ref()).filter_map(|id| Some((id, spent.get(id)?)))
    {
        store::costs::set_earlier_cost(tx, own_id(id), *cost).await?;
    }
    let mut begun = 0;
    for life in &lives {
        begun += usize::from(store::costs::insert_ended(tx, &ended(life)).await?);
    }
    report.count(INVENTORY, MigrationItem::Lifetimes, begun, lives.len() - begun);
    if let Some((spot, patch)) = patch {
        let wanted = settings::patched(&global, &patch)?;
        if wanted == global {
            report.count(MONITORING, MigrationItem::Settings, 0, 1);
        } else if revision == 0 {
            settings::write(tx, &wanted, revision).await?;
            report.count(MONITORING, MigrationItem::Settings, 1, 0);
        } else {
            let reason = "they were set here already and stay so; `monitor config` changes them";
            report.leave(MONITORING, left_at(&spot, "intervals and thresholds", reason));
        }
    }
    for channel in &new_channels {
        channels::insert(tx, channel).await?;
    }
    for account in &new_accounts {
        accounts::insert(tx, account).await?;
    }
    Ok(report)
}

/// A life as it is stored. An id may have been used again, so the beginning is part of ours.
fn ended(life: &FormerLife) -> StoredLifetime {
    StoredLifetime {
        xnode: own_id(&format!("{}/{}", life.id, life.deployed_at.as_millisecond())),
        attribution: Attribution {
            name: life.name.clone(),
            provider: life.provider.clone(),
            region: life.region.clone(),
            template: life.template.clone(),
            account: None,
            tags: life.tags.iter().map(ToString::to_string).collect(),
        },
        deployed_at: life.deployed_at,
        terminated_at: Some(life.terminated_at),
        earlier_cost: life.cost,
    }
}

/// The channels that are not there yet; one of the same name and kind is.
async fn unknown_channels(
    context: &Context,
    by: &Caller,
    tx: &mut Tx,
    wanted: Vec<(Spot, capsule_api::ChannelCreate)>,
    report: &mut MigrationReport,
    faults: &mut Vec<Fault>,
) -> Result<Vec<channels::NewChannel>, UseCaseError> {
    let there = store::channels::list_in(tx).await?;
    let (mut new, mut present) = (Vec::new(), 0);
    for (spot, channel) in wanted {
        let same_name = there
            .iter()
            .find(|stored| stored.channel.name.as_str().eq_ignore_ascii_case(channel.name.as_str()));
        match same_name {
            Some(stored) if stored.channel.target.kind() == channel.target.kind() => present += 1,
            Some(stored) => {
                let reason =
                    format!("a channel of that name is there, of the kind {}", stored.channel.target.kind());
                report.leave(MONITORING, left_at(&spot, format!("channel {}", channel.name), reason));
            }
            None => match channels::new_row(context, by, channel) {
                Ok(row) => new.push(row),
                Err(UseCaseError::Invalid { field, reason }) => faults.push(Fault::new(spot, field, reason)),
                Err(error) => return Err(error),
            },
        }
    }
    report.count(MONITORING, MigrationItem::Channels, new.len(), present);
    Ok(new)
}

/// The accounts that are not there yet.
async fn unknown_accounts(
    context: &Context,
    tx: &mut Tx,
    wanted: Vec<former::FormerAccount>,
    region: Option<String>,
    report: &mut MigrationReport,
    faults: &mut Vec<Fault>,
) -> Result<Vec<store::accounts::StoredAccount>, UseCaseError> {
    let (mut new, mut present) = (Vec::new(), 0);
    for former::FormerAccount { spot, provider, mut fields } in wanted {
        let shown = clip(&provider);
        let Ok(provider) = provider.to_ascii_lowercase().parse::<ProviderName>() else {
            report.leave(PROVIDERS, left_at(&spot, shown, "there is no such provider here"));
            continue;
        };
        if provider == ProviderName::Aws
            && let Some(region) = region.clone().filter(|_| !fields.contains_key("region"))
        {
            fields.insert("region".to_owned(), SecretString::from(region));
        }
        leave_unknown_fields(provider, &fields, &spot, report);
        match accounts::untried(context, tx, provider, &fields).await {
            Ok(Untried::New(account)) => new.push(*account),
            Ok(Untried::Present) => present += 1,
            Ok(Untried::Left(reason)) => report.leave(PROVIDERS, left_at(&spot, shown, reason)),
            Err(UseCaseError::Invalid { field, reason }) => {
                let field = field.replacen("fields", provider.as_str(), 1);
                faults.push(Fault::new(spot, field, reason));
            }
            Err(error) => return Err(error),
        }
    }
    report.count(PROVIDERS, MigrationItem::Accounts, new.len(), present);
    Ok(new)
}

fn leave_unknown_fields(
    provider: ProviderName,
    given: &BTreeMap<String, SecretString>,
    spot: &Spot,
    report: &mut MigrationReport,
) {
    let known: BTreeSet<&str> = capsule_providers::fields(provider).iter().map(|field| field.name).collect();
    for name in given.keys().filter(|name| !known.contains(name.as_str()) && *name != "api_key") {
        let what = format!("{provider}.{}", clip(name));
        report.leave(PROVIDERS, left_at(spot, what, "it is no part of this provider's credential"));
    }
}
