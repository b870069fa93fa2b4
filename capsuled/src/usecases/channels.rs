//! Channels: how people are told. Secrets come in here, are sealed, and are opened only to send.

use capsule_api::{
    Channel, ChannelCreate, ChannelId, ChannelName, ChannelPatch, ChannelTarget, ChannelTest, DeliveryId,
    EventKind, Role,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Expected, UseCaseError, xnodes::HIDDEN};
use crate::{
    context::Context,
    logging::Chain,
    model::Caller,
    notify::{self, Message},
    rules::access,
    secret::{ExposeSecret, Seal, SecretString},
    store::{
        Tx,
        channels::{self, StoredChannel},
    },
};

const WHAT: &str = "channel";

/// Every channel, by name.
pub async fn list(context: &Context, by: &Caller) -> Result<Vec<Channel>, UseCaseError> {
    let stored = channels::list(&mut *context.store.reader().await?).await?;
    Ok(stored.into_iter().map(|stored| shown(by.role, stored.channel)).collect())
}

/// One channel.
pub async fn get(context: &Context, by: &Caller, name: &str) -> Result<Channel, UseCaseError> {
    Ok(shown(by.role, stored(context, name).await?.channel))
}

async fn stored(context: &Context, given: &str) -> Result<StoredChannel, UseCaseError> {
    let name: ChannelName = given.parse().map_err(|_| UseCaseError::not_found(WHAT, given))?;
    let found = channels::find(&mut *context.store.reader().await?, &name).await?;
    found.ok_or_else(|| UseCaseError::not_found(WHAT, given))
}

/// The channel as somebody with this role may see it: a webhook's own headers carry tokens.
fn shown(role: Role, mut channel: Channel) -> Channel {
    if let (Role::Reader, ChannelTarget::Webhook(webhook)) = (role, &mut channel.target) {
        webhook.headers.values_mut().for_each(|value| HIDDEN.clone_into(value));
    }
    channel
}

/// Adds a channel.
///
/// # Errors
/// [`UseCaseError::NameTaken`], [`UseCaseError::Invalid`], [`UseCaseError::RoleTooLow`] for a secret.
pub async fn create(context: &Context, by: &Caller, new: ChannelCreate) -> Result<Channel, UseCaseError> {
    let row = new_row(context, by, new)?;
    let channel = context
        .store
        .change(by, "create_channel", row.channel.name.to_string(), move |tx| {
            Box::pin(async move { insert(tx, &row).await })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(channel)
}

/// A channel that can be stored, its secret sealed.
pub(super) struct NewChannel {
    /// The channel as the API shows it.
    pub channel: Channel,
    sealed: Option<Vec<u8>>,
}

/// The row of a new channel.
///
/// # Errors
/// [`UseCaseError::Invalid`], [`UseCaseError::RoleTooLow`] for a secret.
pub(super) fn new_row(
    context: &Context,
    by: &Caller,
    new: ChannelCreate,
) -> Result<NewChannel, UseCaseError> {
    let secret = new.secret.map(SecretString::from);
    refuse_unusable(by, &new.target, secret.as_ref())?;
    let channel = Channel {
        id: ChannelId(Uuid::now_v7()),
        name: new.name,
        enabled: new.enabled,
        target: new.target,
        has_secret: secret.is_some(),
        route: new.route,
        waiting: 0,
        revision: 1,
    };
    let sealed = secret.map(|secret| sealed(&context.seal, channel.id, &secret));
    Ok(NewChannel { channel, sealed })
}

/// Stores a new channel and emits it.
pub(super) async fn insert(tx: &mut Tx, new: &NewChannel) -> Result<Channel, UseCaseError> {
    if !channels::insert(tx, &new.channel, new.sealed.as_deref()).await? {
        return Err(UseCaseError::NameTaken { what: WHAT, name: new.channel.name.to_string() });
    }
    announce(tx, &new.channel.name).await
}

/// Emits the channel as it is now stored, and returns it.
async fn announce(tx: &mut Tx, name: &ChannelName) -> Result<Channel, UseCaseError> {
    let stored = channels::find_in(tx, name).await?.ok_or_else(|| UseCaseError::not_found(WHAT, name))?;
    tx.emit(EventKind::ChannelChanged, &stored.channel.id.to_string(), &stored.channel).await?;
    Ok(stored.channel)
}

fn refuse_unusable(
    by: &Caller,
    target: &ChannelTarget,
    secret: Option<&SecretString>,
) -> Result<(), UseCaseError> {
    if secret.is_some() && !access::may_set_credentials(by.role) {
        return Err(UseCaseError::RoleTooLow { action: "storing a secret", needed: Role::Admin });
    }
    notify::validate(target, secret.map(ExposeSecret::expose_secret))
        .map_err(|error| UseCaseError::invalid(error.field(), error.to_string()))
}

fn place(id: ChannelId) -> String {
    format!("channels/{id}/secret")
}

fn sealed(seal: &Seal, id: ChannelId, secret: &SecretString) -> Vec<u8> {
    seal.seal(secret, &place(id))
}

/// The channel's secret, opened.
fn opened(seal: &Seal, stored: &StoredChannel) -> Result<Option<SecretString>, UseCaseError> {
    let place = place(stored.channel.id);
    let secret = stored.sealed.as_deref().map(|sealed| seal.unseal(sealed, &place)).transpose();
    secret.map_err(|error| UseCaseError::WrongState(format!("{}; set it again", Chain(&error))))
}

/// Changes a channel.
///
/// # Errors
/// As [`create`]; [`UseCaseError::Stale`]; [`UseCaseError::Invalid`] for a target of another kind.
pub async fn update(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
    patch: ChannelPatch,
) -> Result<Channel, UseCaseError> {
    let present = stored(context, given).await?;
    let (name, id) = (present.channel.name.clone(), present.channel.id);
    if patch.target.as_ref().is_some_and(|target| target.kind() != present.channel.target.kind()) {
        let reason = "a channel keeps its kind; make another one";
        return Err(UseCaseError::invalid("target.kind", reason));
    }
    let new_secret = patch.secret.map(SecretString::from);
    let target = patch.target.as_ref().unwrap_or(&present.channel.target);
    match &new_secret {
        Some(secret) => refuse_unusable(by, target, Some(secret))?,
        // Only an administrator may change channels at all, so the stored secret stays with its kind of owner.
        None => refuse_unusable(by, target, opened(&context.seal, &present)?.as_ref())?,
    }
    let new_sealed = new_secret.map(|secret| sealed(&context.seal, id, &secret));
    let channel = context
        .store
        .change(by, "update_channel", name.to_string(), move |tx| {
            Box::pin(async move {
                let found = channels::find_in(tx, &name).await?;
                let StoredChannel { mut channel, sealed, .. } =
                    found.ok_or_else(|| UseCaseError::not_found(WHAT, &name))?;
                expected.check(WHAT, channel.revision)?;
                channel.enabled = patch.enabled.unwrap_or(channel.enabled);
                channel.target = patch.target.unwrap_or(channel.target);
                channel.route = patch.route.unwrap_or(channel.route);
                let sealed = new_sealed.or(sealed);
                if !channels::update(tx, &channel, sealed.as_deref()).await? {
                    return Err(UseCaseError::Stale { what: WHAT, current: channel.revision });
                }
                announce(tx, &name).await
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(channel)
}

/// Removes a channel and what waits for it.
///
/// # Errors
/// [`UseCaseError::Stale`].
pub async fn delete(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
) -> Result<(), UseCaseError> {
    let name = stored(context, given).await?.channel.name;
    context
        .store
        .change(by, "delete_channel", name.to_string(), move |tx| {
            Box::pin(async move {
                let found = channels::find_in(tx, &name).await?;
                let channel = found.ok_or_else(|| UseCaseError::not_found(WHAT, &name))?.channel;
                expected.check(WHAT, channel.revision)?;
                channels::delete(tx, &name, None).await?;
                let gone = serde_json::json!({"id": channel.id, "name": channel.name, "deleted": true});
                tx.emit(EventKind::ChannelChanged, &channel.id.to_string(), &gone).await?;
                Ok(())
            })
        })
        .await
}

/// Sends a test message now, whether or not the channel is enabled. What the other side says is the result,
/// not an error.
pub async fn test(context: &Context, by: &Caller, given: &str) -> Result<ChannelTest, UseCaseError> {
    let stored = stored(context, given).await?;
    let secret = opened(&context.seal, &stored)?;
    let now = context.clock.now();
    let message = Message::test(DeliveryId(Uuid::now_v7()), now, Some(by.name.clone()));
    let began = Instant::now();
    let sent = context.notifier.send(&stored.channel.target, secret.as_ref(), &message, now).await;
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = match sent {
        Ok(receipt) => ChannelTest { accepted: true, detail: receipt.detail, elapsed_ms },
        Err(error) => ChannelTest { accepted: false, detail: error.reason(), elapsed_ms },
    };
    context
        .store
        .change(by, "test_channel", stored.channel.name.to_string(), move |_| {
            Box::pin(async move { Ok::<_, UseCaseError>(outcome) })
        })
        .await
}
