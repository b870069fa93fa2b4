//! From a server that is billed to one that can be used: finished, running, with an address, let in by SSH.

use std::time::Duration;

use capsule_api::{DeploymentState as State, Instance, InstanceRef, XNodeStatus};
use capsule_providers::{Mark, Provider, ProviderError};
use jiff::{SignedDuration, Timestamp};

use super::{
    drive::{Next, bounded, client, write},
    inventory::{leave, move_with},
    send,
};
use crate::{
    context::Context,
    model::Intent,
    rules::deployments::{self as rules, Coming, LookUp},
    ssh::{self, Limits, Remote, Script},
    store::{self, Lane, StoreError, xnodes::StoredXNode},
    usecases::{
        UseCaseError,
        reaching::{self, Keys},
        xnodes::placed,
    },
};

/// Adds each argument to the login user's keys unless it is there.
const ADD_KEYS: &str = r#"set -eu
umask 077
mkdir -p "$HOME/.ssh"
file="$HOME/.ssh/authorized_keys"
touch "$file"
if [ -n "$(tail -c 1 "$file")" ]; then echo >> "$file"; fi
for key in "$@"; do
    grep -qF -e "$key" "$file" || printf '%s\n' "$key" >> "$file"
done
"#;

fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

fn is_bare_metal(intent: &Intent) -> bool {
    intent.offer_in_hand().is_some_and(|offer| offer.bare_metal)
}

fn cut(provider: &dyn Provider) -> impl FnOnce() -> ProviderError + use<> {
    let provider = provider.name();
    move || ProviderError::Unavailable { provider, detail: "it did not answer in time".to_owned() }
}

/// The client and the server's reference, or what stands in the way.
async fn at_provider(
    context: &Context,
    intent: &Intent,
) -> Result<Result<(std::sync::Arc<dyn Provider>, InstanceRef), String>, UseCaseError> {
    let Some(reference) = intent.instance.clone() else { return Ok(Err("it has no instance".to_owned())) };
    match client(context, intent).await {
        Ok(provider) => Ok(Ok((provider, reference))),
        Err(UseCaseError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Waits on after an error, until the deadline.
async fn again(
    context: &Context,
    mut intent: Intent,
    deadline: Timestamp,
    why: String,
) -> Result<Next, UseCaseError> {
    if deadline <= context.clock.now() {
        return leave(context, intent, State::Failed, why).await;
    }
    if intent.reason != why {
        intent.reason = why;
        note(context, intent).await?;
    }
    Ok(Next::AfterError)
}

/// Writes what it waits for, which is no move.
async fn note(context: &Context, intent: Intent) -> Result<(), UseCaseError> {
    context
        .store
        .write::<(), StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move { store::intents::update(tx, &intent, intent.state).await.map(drop) })
        })
        .await?;
    Ok(())
}

/// Does what the vendor wants after a creation.
pub(super) async fn finish(context: &Context, intent: Intent) -> Result<Next, UseCaseError> {
    let deadline = after(intent.state_at, rules::start_deadline(is_bare_metal(&intent)));
    let (provider, reference) = match at_provider(context, &intent).await? {
        Ok(known) => known,
        Err(why) => return again(context, intent, deadline, why).await,
    };
    let new = send::new_instance(context, &intent).await?;
    let finished = bounded(provider.finish(&reference, &new, &intent.prepared), cut(provider.as_ref())).await;
    if let Err(error) = finished {
        return again(context, intent, deadline, error.to_string()).await;
    }
    context.faults.point("deploy:finished");
    let mut tried = Vec::new();
    if 1 < intent.sends {
        // What was proved not to be there before the second sending may be there after all.
        let mark = Mark::of(intent.id.0);
        let found = provider.find_marked(&mark, &intent.region);
        if let Ok(found) = bounded(found, cut(provider.as_ref())).await {
            let others = found.into_iter().filter(|instance| instance.reference() != reference).collect();
            if let LookUp::Found { keep, doubles } =
                rules::judge_look_up(others, intent.created_at, Timestamp::MAX)
            {
                let all = std::iter::once(*keep).chain(doubles);
                tried.extend(all.map(|i| (intent.offer, ("double".to_owned(), send::told(&i)))));
            }
        }
    }
    for (_, (_, told)) in &tried {
        tracing::error!(intent.id = %intent.id, "`{}` was made more than once; also billed: {told}", intent.name);
    }
    let mut intent = intent;
    let from = intent.state;
    super::drive::enter(&mut intent, State::Starting, context);
    write(context, intent, from, tried).await?;
    Ok(Next::Now)
}

/// Asks whether it runs and where it is.
pub(super) async fn await_running(context: &Context, mut intent: Intent) -> Result<Next, UseCaseError> {
    let deadline = after(intent.state_at, rules::start_deadline(is_bare_metal(&intent)));
    let (provider, reference) = match at_provider(context, &intent).await? {
        Ok(known) => known,
        Err(why) => return again(context, intent, deadline, why).await,
    };
    let visible_by = rules::look_until(intent.state_at, provider.visibility_lag());
    let seen = match bounded(provider.instance(&reference), cut(provider.as_ref())).await {
        Ok(seen) => seen,
        Err(error) => return again(context, intent, deadline, error.to_string()).await,
    };
    if let Some(instance) = seen.as_ref().filter(|seen| seen.reference() != reference) {
        intent = known_as(context, intent, instance.clone()).await?;
    }
    match rules::judge_coming(seen.as_ref(), context.clock.now(), visible_by, deadline) {
        Coming::Wait => Ok(Next::After(rules::POLL)),
        Coming::Lost(why) => leave(context, intent, State::Failed, why).await,
        Coming::Up(_) => {
            let instance = seen.expect("only a server that was seen is up");
            move_with(context, intent, State::Reaching, move |row| {
                placed::set_address(&mut row.xnode, &instance);
            })
            .await?;
            context.faults.point("deploy:running");
            Ok(Next::Now)
        }
    }
}

/// Writes the id that the provider has given the server meanwhile.
async fn known_as(context: &Context, mut intent: Intent, instance: Instance) -> Result<Intent, UseCaseError> {
    intent.instance = Some(instance.reference());
    let row = intent.clone();
    context
        .store
        .write::<(), UseCaseError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                store::intents::update(tx, &row, row.state).await?;
                match row.xnode {
                    Some(id) => placed::follow(tx, id, &instance).await.map(drop),
                    None => Ok(()),
                }
            })
        })
        .await?;
    Ok(intent)
}

/// Logs in, pins the host key, adds the user's keys, and is done.
pub(super) async fn reach(context: &Context, intent: Intent) -> Result<Next, UseCaseError> {
    let deadline = after(intent.state_at, rules::reach_deadline(is_bare_metal(&intent)));
    let stored = match intent.xnode {
        Some(id) => store::xnodes::find(&mut *context.store.reader().await?, id).await?,
        None => None,
    };
    let Some(stored) = stored else {
        let why = "it was taken out of the inventory meanwhile".to_owned();
        return leave(context, intent, State::Failed, why).await;
    };
    let host_key = match log_in(context, &stored, &intent.spec.ssh_keys).await {
        Ok(host_key) => host_key,
        Err(why) => return again(context, intent, deadline, format!("SSH: {why}")).await,
    };
    context.faults.point("deploy:reached");
    move_with(context, intent, State::Succeeded, move |row| {
        row.xnode.status = XNodeStatus::Running;
        if row.host_key.is_none() {
            row.host_key = Some(host_key);
        }
    })
    .await?;
    Ok(Next::Now)
}

async fn log_in(context: &Context, stored: &StoredXNode, keys: &[String]) -> Result<String, String> {
    let ours = Keys { seal: context.seal.clone(), agent_socket: context.agent_socket.clone() };
    let destination = reaching::destination(stored, &ours, &|_| None).map_err(|error| error.to_string())?;
    let session = ssh::connect(&destination, Limits::default()).await.map_err(|error| error.to_string())?;
    if !keys.is_empty() {
        let script = keys.iter().filter_map(|key| ssh::normalise_public_key(key).ok());
        let script = script.fold(Script::new(ADD_KEYS), Script::arg);
        let done = session.run(script, Limits::COMMAND).await.map_err(|error| error.to_string())?;
        if !done.success() {
            return Err(format!("the keys could not be added: {}", ssh::printable(&done.stderr, 200)));
        }
    }
    let host_key = session.host_key().to_owned();
    session.close().await;
    Ok(host_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_added_once_and_what_was_there_stays() {
        let home = tempfile::tempdir().expect("a home");
        let file = home.path().join(".ssh/authorized_keys");
        std::fs::create_dir(home.path().join(".ssh")).expect("made");
        std::fs::write(&file, "ssh-ed25519 AAAA1 with a comment").expect("written");
        for _ in 0..2 {
            let done = std::process::Command::new("sh")
                .env("HOME", home.path())
                .args(["-c", ADD_KEYS, "sh", "ssh-ed25519 AAAA1", "ssh-ed25519 AAAA2"])
                .status();
            assert!(done.expect("sh runs").success());
        }
        let text = std::fs::read_to_string(&file).expect("there");
        assert_eq!(text, "ssh-ed25519 AAAA1 with a comment\nssh-ed25519 AAAA2\n");
    }
}
