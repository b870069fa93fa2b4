//! One account after another's fault: each is asked by itself, and one that fails concludes nothing and stops nobody.
//!
//! The provider is asked first and the inventory read afterwards, so that what was made while the list was on its way is
//! under way in the inventory and not an orphan. A ghost is believed only after its provider was asked for that one
//! server: a list may leave out a place.

use std::{collections::HashSet, time::Duration};

use capsule_api::{
    AccountName, AccountSweep, EventKind, Finding, FindingId, FindingKind, FindingState, InstanceRef,
    IntentId, ProviderName,
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::{task::JoinSet, time::timeout};
use uuid::Uuid;

use super::{Prices, scope, seen, tell};
use crate::{
    context::Context,
    logging::Chain,
    model::{IntentOutline, PlacedXNode, SeenInstance},
    rules::reconcile::{self as rules, Comparison, Draft, GRACE, Look, Step},
    store::{self, BoxFuture, Lane, StoreError, Tx, findings, intents},
    usecases::{UseCaseError, accounts::instances, xnodes::placed},
};

/// Longest wait for one account: its list, and the servers that are not in it.
const LONGEST: Duration = Duration::from_secs(110);
/// More than anybody has; what is longer is no list of servers.
const MOST_INSTANCES: usize = 100_000;
/// Servers that are asked for one by one because the list left them out, and how many at a time. Of more the list is
/// believed.
const MOST_ASKED: usize = 200;
const ASKED_AT_ONCE: usize = 8;
/// Changes to the record in one transaction.
const STEPS_AT_ONCE: usize = 100;
/// After a failure an account is asked again, unless the interval is shorter.
const AFTER_FAILURE: Duration = Duration::from_secs(600);
/// Longest error kept.
const ERROR_CHARS: usize = 500;

/// Sweeps that are under way.
#[derive(Debug)]
pub struct Sweeps {
    asked: JoinSet<Result<(), StoreError>>,
    accounts: Vec<AccountName>,
}

impl Sweeps {
    /// How many accounts are asked.
    pub fn count(&self) -> usize {
        self.accounts.len()
    }

    /// Waits for the next account to be done. `None`: all are.
    pub async fn next(&mut self) -> Option<Result<(), StoreError>> {
        match self.asked.join_next().await? {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                tracing::error!(%error, "a comparison panicked");
                Some(Ok(()))
            }
        }
    }

    /// How each of them went, by account.
    ///
    /// # Errors
    /// [`UseCaseError::Store`].
    pub async fn results(&self, context: &Context) -> Result<Vec<AccountSweep>, UseCaseError> {
        let mut sweeps = super::sweeps(context).await?;
        sweeps.retain(|sweep| self.accounts.contains(&sweep.account));
        Ok(sweeps)
    }
}

/// Begins to compare the accounts that an operation's resource means, side by side.
///
/// # Errors
/// [`UseCaseError::NotFound`] when the account is gone.
pub async fn start(context: &Context, resource: &str) -> Result<Sweeps, UseCaseError> {
    Ok(start_each(context, scope(context, resource).await?))
}

fn start_each(context: &Context, accounts: Vec<(AccountName, ProviderName)>) -> Sweeps {
    let mut asked = JoinSet::new();
    for (account, provider) in accounts.clone() {
        let context = context.clone();
        asked.spawn(async move { sweep(&context, &account, provider).await });
    }
    Sweeps { asked, accounts: accounts.into_iter().map(|(account, _)| account).collect() }
}

/// Compares the accounts that are due; says when the next one is. `None`: there is no account.
pub async fn sweep_due(context: &Context) -> Result<Option<Timestamp>, StoreError> {
    let mut reader = context.store.reader().await?;
    let (settings, _) = store::settings::find(&mut reader).await?;
    let interval = Duration::from_millis(settings.reconcile_interval_ms);
    let now = context.clock.now();
    let known = findings::sweeps(&mut reader).await?;
    drop(reader);
    let due = known.iter().filter(|sweep| due_at(sweep, interval, now) <= now);
    let due: Vec<_> = due.map(|sweep| (sweep.account.clone(), sweep.provider)).collect();
    let mut sweeps = start_each(context, due);
    while let Some(outcome) = sweeps.next().await {
        outcome?;
    }
    let now = context.clock.now();
    let known = findings::sweeps(&mut *context.store.reader().await?).await?;
    Ok(known.iter().map(|sweep| due_at(sweep, interval, now)).min())
}

/// When an account should be compared; one of a provider that ended only on request.
fn due_at(sweep: &AccountSweep, interval: Duration, now: Timestamp) -> Timestamp {
    let pause = match &sweep.error {
        Some(_) => interval.min(AFTER_FAILURE),
        None => interval,
    };
    let after = |at: Timestamp| at.checked_add(pause).unwrap_or(Timestamp::MAX);
    match sweep.attempted_at {
        _ if capsule_providers::ended(sweep.provider).is_some() => after(now),
        // A clock that was set back must not stop it for ever.
        Some(at) if at <= now => after(at),
        _ => now,
    }
}

async fn sweep(context: &Context, account: &AccountName, provider: ProviderName) -> Result<(), StoreError> {
    let asked = context.clock.now();
    let read = timeout(LONGEST, read(context, account, provider, asked)).await;
    let failed = match read {
        Ok(Ok(answer)) => return conclude(context, account, provider, answer).await,
        Ok(Err(UseCaseError::Store(error))) => return Err(error),
        Ok(Err(error)) => Chain(&error).to_string(),
        Err(_) => format!("no whole answer within {} seconds", LONGEST.as_secs()),
    };
    tracing::warn!(%account, error = failed, "could not compare account `{account}` with the inventory");
    let (account, failed) = (account.clone(), failed.chars().take(ERROR_CHARS).collect::<String>());
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move { findings::note_failed_sweep(tx, &account, asked, &failed).await })
        })
        .await
}

/// What an account's provider said.
struct Answer {
    asked: Timestamp,
    seen: Vec<SeenInstance>,
    unread: HashSet<InstanceRef>,
}

async fn read(
    context: &Context,
    account: &AccountName,
    provider: ProviderName,
    asked: Timestamp,
) -> Result<Answer, UseCaseError> {
    let listed = instances::all(context, account).await?;
    if MOST_INSTANCES < listed.len() {
        let reason = format!("the list has {} servers, more than {MOST_INSTANCES}", listed.len());
        return Err(UseCaseError::WrongState(reason));
    }
    let prices = Prices::listed(context, account).await?;
    let seen_there = listed.into_iter().map(|instance| seen(instance, &prices)).collect();
    let mut answer = Answer { asked, seen: seen_there, unread: HashSet::new() };
    let known = Known::read(context, account, provider, &answer.seen).await?;
    let missing = known.compare(&answer, context.clock.now()).findings;
    let missing = missing.into_iter().filter(|draft| draft.kind == FindingKind::Ghost);
    let missing: Vec<InstanceRef> = missing.map(|draft| draft.instance).take(MOST_ASKED).collect();
    let ask: Vec<BoxFuture<'_, _>> = missing
        .iter()
        .map(|reference| Box::pin(ask_for(context, account, reference)) as BoxFuture<'_, AskedFor<'_>>)
        .collect();
    let mut asked = stream::iter(ask).buffer_unordered(ASKED_AT_ONCE);
    while let Some((reference, outcome)) = asked.next().await {
        match outcome {
            Ok(None) => {}
            Ok(Some(instance)) => {
                let follows = instance.reference() != *reference
                    && known_as(context, account, reference.clone(), instance.clone()).await?;
                // Under the id by which we know it.
                let known = if follows { instance.reference() } else { reference.clone() };
                let instance = capsule_api::Instance { id: known.id, place: known.place, ..instance };
                answer.seen.push(seen(instance, &prices));
            }
            Err(UseCaseError::Store(error)) => return Err(error.into()),
            Err(_) => _ = answer.unread.insert(reference.clone()),
        }
    }
    drop(asked);
    Ok(answer)
}

/// Follows a server that its provider lists under another id by now, which would otherwise be an orphan there; whether
/// that was possible.
async fn known_as(
    context: &Context,
    account: &AccountName,
    before: InstanceRef,
    instance: capsule_api::Instance,
) -> Result<bool, UseCaseError> {
    let account = account.clone();
    context
        .store
        .write::<bool, UseCaseError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                match store::xnodes::find_placed_in(tx, &account, &before).await? {
                    Some(stored) => placed::follow(tx, stored.xnode.id, &instance).await,
                    None => Ok(false),
                }
            })
        })
        .await
}

/// A server that a list left out, and what its provider says of it.
type AskedFor<'a> = (&'a InstanceRef, Result<Option<capsule_api::Instance>, UseCaseError>);

async fn ask_for<'a>(context: &Context, account: &AccountName, reference: &'a InstanceRef) -> AskedFor<'a> {
    (reference, instances::one(context, account, reference).await)
}

/// What we know of an account's servers.
struct Known {
    placed: Vec<PlacedXNode>,
    elsewhere: HashSet<InstanceRef>,
    intents: Vec<IntentOutline>,
    switched: HashSet<capsule_api::XNodeId>,
}

impl Known {
    async fn read(
        context: &Context,
        account: &AccountName,
        provider: ProviderName,
        seen: &[SeenInstance],
    ) -> Result<Self, StoreError> {
        let recently = context.clock.now().checked_sub(GRACE).unwrap_or(Timestamp::MIN);
        let marks: Vec<IntentId> = seen.iter().filter_map(|seen| seen.mark).collect();
        let mut reader = context.store.reader().await?;
        // What is under way before what is there: an intent that ends in between is seen as under way.
        let intents = intents::outlines(&mut reader, recently, &marks).await?;
        let switched = findings::switched(&mut reader, recently).await?;
        Ok(Self {
            placed: findings::placed(&mut reader, account, None).await?,
            elsewhere: findings::placed_elsewhere(&mut reader, account, provider).await?,
            intents,
            switched,
        })
    }

    fn compare(&self, answer: &Answer, now: Timestamp) -> Comparison {
        rules::compare(&Look {
            seen: &answer.seen,
            unread: &answer.unread,
            placed: &self.placed,
            elsewhere: &self.elsewhere,
            intents: &self.intents,
            switched: &self.switched,
            listed_at: answer.asked,
            now,
        })
    }
}

async fn conclude(
    context: &Context,
    account: &AccountName,
    provider: ProviderName,
    answer: Answer,
) -> Result<(), StoreError> {
    let known = Known::read(context, account, provider, &answer.seen).await?;
    let now = context.clock.now();
    let comparison = known.compare(&answer, now);
    let lasting = findings::lasting(&mut *context.store.reader().await?, account).await?;
    let steps = rules::steps(&lasting, &comparison, now);
    let count = answer.seen.len();
    let (name, asked, learned) = (account.clone(), answer.asked, comparison.learned);
    let is_newest = context
        .store
        .write::<bool, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                if !findings::note_sweep(tx, &name, asked, count).await? {
                    return Ok(false);
                }
                for (xnode, known) in &learned {
                    findings::set_known(tx, *xnode, known).await?;
                }
                findings::note_lasting(tx, &name, now).await?;
                Ok(true)
            })
        })
        .await?;
    if !is_newest || steps.is_empty() {
        return Ok(());
    }
    tracing::info!(%account, changes = steps.len(), "what account `{account}` has and the inventory says changed");
    for chunk in steps.chunks(STEPS_AT_ONCE) {
        let (account, chunk) = (account.clone(), chunk.to_vec());
        context
            .store
            .write::<(), StoreError>(Lane::Normal, move |tx| {
                Box::pin(async move { record(tx, &account, provider, chunk).await })
            })
            .await?;
    }
    context.wakes.outbox.ring();
    Ok(())
}

/// Writes changes to the record with their events and alerts. What became untrue since it was compared is left to the
/// next comparison.
async fn record(
    tx: &mut Tx,
    account: &AccountName,
    provider: ProviderName,
    steps: Vec<Step>,
) -> Result<(), StoreError> {
    let mut orphans_changed = false;
    for step in steps {
        let changed = match step {
            Step::Begin(draft) if is_still_so(tx, account, &draft).await? => {
                let new = begun(account, provider, draft, tx.now());
                if !findings::insert(tx, &new).await? {
                    continue;
                }
                tx.emit(EventKind::FindingChanged, &new.id.to_string(), &new).await?;
                new
            }
            Step::Begin(_) => continue,
            Step::Change(finding) | Step::End(finding) => {
                if !tell::change(tx, &finding).await? {
                    continue;
                }
                finding
            }
        };
        match changed.xnode {
            Some(_) => tell::judge(tx, &changed).await?,
            None => orphans_changed = true,
        }
    }
    // Once for all of them: a message for each would say the same.
    if orphans_changed {
        tell::judge_orphans(tx, provider).await?;
    }
    Ok(())
}

async fn is_still_so(tx: &mut Tx, account: &AccountName, draft: &Draft) -> Result<bool, StoreError> {
    match draft.xnode {
        Some((id, revision)) => {
            let stored = store::xnodes::find_in(tx, id).await?;
            Ok(stored.is_some_and(|stored| stored.xnode.revision == revision))
        }
        None => Ok(store::xnodes::find_placed_in(tx, account, &draft.instance).await?.is_none()),
    }
}

fn begun(account: &AccountName, provider: ProviderName, draft: Draft, now: Timestamp) -> Finding {
    Finding {
        id: FindingId(Uuid::now_v7()),
        account: account.clone(),
        provider,
        kind: draft.kind,
        state: FindingState::Open,
        instance: draft.instance,
        xnode: draft.xnode.map(|(id, _)| id),
        name: draft.detail.name,
        summary: draft.detail.summary,
        drift: draft.detail.drift,
        plan: draft.detail.plan,
        region: draft.detail.region,
        hourly_cost_micros: draft.detail.hourly_cost,
        first_seen: now,
        last_seen: now,
        ended_at: None,
        ended_because: String::new(),
    }
}
