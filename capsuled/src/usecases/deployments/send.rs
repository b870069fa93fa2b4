//! The dangerous part: asking for a server, and finding out what became of it when nobody said.

use capsule_api::{DeploymentState as State, Instance};
use capsule_providers::{Mark, NewInstance, Prepared, PreparedFor, ProviderError};

use super::{
    USUAL_IMAGE,
    drive::{Next, bounded, client, enter, is_stop_requested, write},
    inventory, key,
};
use crate::{
    context::Context,
    model::Intent,
    rules::deployments::{self as rules, LookUp, Onward},
    store::{self, StoreError},
    usecases::UseCaseError,
};

/// What the provider is asked for.
pub(super) async fn new_instance(context: &Context, intent: &Intent) -> Result<NewInstance, UseCaseError> {
    let (public, _) = key::pair(context).await?;
    let offer = intent.offer_in_hand().ok_or_else(|| UseCaseError::not_found("offer", intent.offer))?;
    let place = format!("intents/{}/user_data", intent.id);
    let user_data = intent.user_data.as_ref().map(|sealed| context.seal.unseal(sealed, &place)).transpose();
    let user_data = user_data.map_err(|error| {
        UseCaseError::Store(StoreError::Unreadable { what: "user data", detail: error.to_string() })
    })?;
    let spec = &intent.spec;
    let mut ssh_keys = vec![public];
    ssh_keys.extend(spec.ssh_keys.iter().cloned());
    let mut open_ports = vec![22];
    open_ports.extend(spec.ssh_port);
    open_ports.extend(&spec.open_ports);
    open_ports.sort_unstable();
    open_ports.dedup();
    Ok(NewInstance {
        mark: Mark::of(intent.id.0),
        name: intent.name.to_string(),
        plan: offer.plan.clone(),
        region: offer.region.clone(),
        image: image(intent).to_owned(),
        arch: offer.arch,
        bare_metal: offer.bare_metal,
        ssh_keys,
        user_data,
        open_ports,
        tags: spec.tags.iter().map(ToString::to_string).collect(),
    })
}

/// What is installed.
pub(super) fn image(intent: &Intent) -> &str {
    intent.spec.image.as_deref().unwrap_or(USUAL_IMAGE)
}

pub(super) async fn prepare_and_send(context: &Context, mut intent: Intent) -> Result<Next, UseCaseError> {
    let provider = match client(context, &intent).await {
        Ok(provider) => provider,
        Err(UseCaseError::Store(error)) => return Err(error.into()),
        Err(UseCaseError::Provider(error)) => return refused(context, intent, &error).await,
        Err(error) => {
            let tried = ("no_account".to_owned(), error.to_string());
            return onward(context, intent, tried, false, None).await;
        }
    };
    let new = new_instance(context, &intent).await?;
    let cloud = provider.name();
    let cut =
        || ProviderError::Unavailable { provider: cloud, detail: "it did not answer in time".to_owned() };
    if !is_prepared(&intent, provider.prepared_for()) {
        intent.prepared = Prepared::Null;
        match bounded(provider.prepare(&new), cut).await {
            Ok(prepared) => intent.prepared = prepared,
            Err(error) => return refused(context, intent, &error).await,
        }
    }
    context.faults.point("deploy:prepared");
    if is_stop_requested(context, intent.operation).await? {
        return Ok(Next::Now);
    }
    enter(&mut intent, State::Sending, context);
    intent.sent_at = Some(intent.state_at);
    intent.looked_until = None;
    intent.sends += 1;
    write(context, intent.clone(), State::Preparing, Vec::new()).await?;
    context.faults.point("deploy:sent");
    let cut =
        || ProviderError::UnknownOutcome { provider: cloud, detail: "it did not answer in time".to_owned() };
    match bounded(provider.create(&new, &intent.prepared), cut).await {
        Ok(created) => {
            context.faults.point("deploy:created");
            inventory::take_in(context, intent, &created.instance, &[], "made", provider.as_ref()).await
        }
        Err(error) if error.tries_next_offer() => {
            // Only these say that nothing was wrong with what was asked for.
            if !matches!(error, ProviderError::OutOfStock { .. } | ProviderError::Quota { .. }) {
                intent.prepared = Prepared::Null;
            }
            refused(context, intent, &error).await
        }
        Err(error) => doubt(context, intent, error.to_string()).await,
    }
}

/// Whether what was prepared for the offer before, which was refused, serves the one in hand. Vendors allow few calls:
/// DigitalOcean lets its keys be listed ten times a minute, and a sold-out order goes through a whole list of offers.
fn is_prepared(intent: &Intent, reach: PreparedFor) -> bool {
    let before = intent.offer.checked_sub(1).and_then(|before| intent.offers.get(before));
    let (Some(before), Some(offer)) = (before, intent.offer_in_hand()) else { return false };
    let is_same = match reach {
        PreparedFor::Account => true,
        PreparedFor::Region => offer.region == before.region,
        PreparedFor::Plan => offer.plan == before.plan,
        PreparedFor::Offer => false,
    };
    let is_alike = offer.account == before.account && offer.arch == before.arch;
    !intent.prepared.is_null() && is_alike && is_same
}

/// Writes that nobody knows what became of the creation, and until when it has to be looked for.
pub(super) async fn doubt(context: &Context, mut intent: Intent, why: String) -> Result<Next, UseCaseError> {
    // Without the client the lag is not known; the look-up, which needs the client, asks again.
    let lag = match client(context, &intent).await {
        Ok(provider) => provider.visibility_lag(),
        Err(UseCaseError::Store(error)) => return Err(error.into()),
        Err(_) => std::time::Duration::ZERO,
    };
    let (from, offer) = (intent.state, intent.offer);
    enter(&mut intent, State::Unknown, context);
    intent.looked_until = Some(rules::look_until(intent.state_at, lag));
    intent.reason.clone_from(&why);
    write(context, intent, from, vec![(offer, ("unknown_outcome".to_owned(), why))]).await?;
    context.faults.point("deploy:doubted");
    Ok(Next::Now)
}

/// Looks for the mark. An error is no answer: it is looked for until it is known.
pub(super) async fn look_up(context: &Context, intent: Intent, stop: bool) -> Result<Next, UseCaseError> {
    let provider = match client(context, &intent).await {
        Ok(provider) => provider,
        Err(UseCaseError::Store(error)) => return Err(error.into()),
        Err(error) => return still_unknown(context, intent, error.to_string()).await,
    };
    let began = context.clock.now();
    let until = rules::look_until(intent.state_at, provider.visibility_lag());
    let until = intent.looked_until.map_or(until, |stored| stored.max(until));
    let mark = Mark::of(intent.id.0);
    let cloud = provider.name();
    let cut =
        || ProviderError::Unavailable { provider: cloud, detail: "it did not answer in time".to_owned() };
    let found = match bounded(provider.find_marked(&mark, &intent.region), cut).await {
        Ok(found) => found,
        Err(error) => return still_unknown(context, intent, error.to_string()).await,
    };
    context.faults.point("deploy:looked");
    match rules::judge_look_up(found, began, until) {
        LookUp::NotYet => Ok(Next::After(rules::POLL)),
        LookUp::Found { keep, doubles } => {
            inventory::take_in(context, intent, &keep, &doubles, "found", provider.as_ref()).await
        }
        LookUp::NeverMade if stop => cancel(context, intent).await,
        LookUp::NeverMade => {
            let tried = ("never_made".to_owned(), format!("nothing carries {mark} there"));
            nothing_made(context, intent, tried).await
        }
        LookUp::Gone => {
            let tried = ("gone".to_owned(), "it was made and is deleted again".to_owned());
            onward(context, intent, tried, false, None).await
        }
    }
}

async fn still_unknown(context: &Context, mut intent: Intent, why: String) -> Result<Next, UseCaseError> {
    if intent.reason != why {
        intent.reason = why;
        write(context, intent, State::Unknown, Vec::new()).await?;
    }
    Ok(Next::AfterError)
}

async fn cancel(context: &Context, mut intent: Intent) -> Result<Next, UseCaseError> {
    let from = intent.state;
    let offer = intent.offer;
    enter(&mut intent, State::Cancelled, context);
    "stopped on request; nothing was made".clone_into(&mut intent.reason);
    let tried = ("never_made".to_owned(), "looked for the whole time".to_owned());
    write(context, intent, from, vec![(offer, tried)]).await?;
    Ok(Next::Now)
}

async fn refused(context: &Context, intent: Intent, error: &ProviderError) -> Result<Next, UseCaseError> {
    let after = match error {
        ProviderError::RateLimited { after, .. } => *after,
        _ => None,
    };
    onward(context, intent, (error.code().to_owned(), error.to_string()), error.is_transient(), after).await
}

/// After an offer that was not had: nothing was made.
async fn onward(
    context: &Context,
    intent: Intent,
    tried: (String, String),
    is_transient: bool,
    retry_after: Option<std::time::Duration>,
) -> Result<Next, UseCaseError> {
    let mut reader = context.store.reader().await?;
    let tries = store::intents::tries_at(&mut reader, intent.id, intent.offer).await? + 1;
    drop(reader);
    let way = rules::after_refusal(intent.offer, intent.offers.len(), tries, is_transient, retry_after);
    go(context, intent, way, tried).await
}

async fn nothing_made(
    context: &Context,
    mut intent: Intent,
    tried: (String, String),
) -> Result<Next, UseCaseError> {
    intent.prepared = Prepared::Null;
    let way = rules::after_nothing_made(intent.offer, intent.offers.len(), intent.sends);
    go(context, intent, way, tried).await
}

async fn go(
    context: &Context,
    mut intent: Intent,
    way: Onward,
    tried: (String, String),
) -> Result<Next, UseCaseError> {
    let (from, offer) = (intent.state, intent.offer);
    let (state, next) = match way {
        Onward::Offer(_) => (State::Preparing, Next::Now),
        Onward::Again(pause) => (State::Preparing, Next::After(pause)),
        Onward::GiveUp => (State::Failed, Next::Now),
    };
    enter(&mut intent, state, context);
    match way {
        Onward::Offer(next) => {
            intent.offer = next;
            if let Some(offer) = intent.offers.get(next).cloned() {
                (intent.account, intent.region) = (offer.account, offer.region);
            }
        }
        Onward::Again(_) => intent.reason.clone_from(&tried.1),
        Onward::GiveUp => {
            let count = intent.offers.len();
            intent.reason = match count {
                1 => tried.1.clone(),
                _ => format!("none of {count} offers could be had; the last: {}", tried.1),
            };
        }
    }
    write(context, intent, from, vec![(offer, tried)]).await?;
    context.faults.point("deploy:refused");
    Ok(next)
}

/// What is said of an instance in an attempt.
pub(super) fn told(instance: &Instance) -> String {
    format!("{} ({}, {})", instance.reference(), instance.plan, instance.region)
}
