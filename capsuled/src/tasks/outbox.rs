//! Delivers what the outbox holds, until it is accepted or a day has passed.
//!
//! For each alert or operation and channel only the oldest waiting delivery is tried, so a receiver never hears of an end
//! before the beginning. A channel that does not answer is tried with one message at a time until it does;
//! then everything that waited for it is due at once. The outcome is written after the other side said yes:
//! a kill in between repeats the message once, under the same id.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use capsule_api::{ChannelTarget, DeliveryId, DeliveryState, EventKind};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    context::{Context, TaskHandle},
    logging::Chain,
    notify::{Message, NotifyError},
    rules::backoff,
    secret::SecretString,
    store::{
        Lane, StoreError,
        channels::{self, ChannelKey, StoredChannel},
        deliveries::{self, Due},
    },
};

/// Messages under way at once to a channel that answers.
const AT_ONCE: usize = 8;
/// Deliveries of a channel read at a time.
const READ_AHEAD: i64 = 256;
/// How long a delivery whose outcome could not be written stays out of the queue before it is looked at again.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

struct Outcome {
    due: Due,
    sent: Result<String, NotifyError>,
    recorded: Result<(), StoreError>,
}

/// The outbox's own memory; losing it costs nothing but a hurried try.
struct Outbox {
    context: Context,
    under_way: JoinSet<Outcome>,
    busy: HashSet<(ChannelKey, Uuid)>,
    busy_by_channel: HashMap<ChannelKey, usize>,
    /// Channels whose last try failed.
    silent: HashSet<ChannelKey>,
    /// Deliveries whose turn it is, read ahead so that a storm of thousands is not searched at every one.
    ahead: HashMap<ChannelKey, Ahead>,
}

/// What is known of a channel since the outbox was last read.
struct Ahead {
    target: ChannelTarget,
    secret: Result<Option<SecretString>, String>,
    due: VecDeque<Due>,
}

/// Delivers until `stop`; what is under way then is waited for.
pub async fn run(context: Context, handle: TaskHandle, stop: CancellationToken) {
    let mut outbox = Outbox {
        context: context.clone(),
        under_way: JoinSet::new(),
        busy: HashSet::new(),
        busy_by_channel: HashMap::new(),
        silent: HashSet::new(),
        ahead: HashMap::new(),
    };
    loop {
        let (at, began) = (context.clock.now(), context.clock.elapsed());
        let started = outbox.start_due().await;
        let error = started.as_ref().err().map(|error| Chain(error).to_string());
        if let Some(error) = &error {
            tracing::error!(error, "could not read the outbox; trying again");
        }
        handle.ran(at, context.clock.elapsed().saturating_sub(began), error);
        let pause = started.unwrap_or(Some(AFTER_FAILURE));
        if !outbox.work(pause, &stop).await {
            break;
        }
    }
    while let Some(done) = outbox.under_way.join_next().await {
        outbox.note(done);
    }
}

impl Outbox {
    /// Delivers what was read ahead until the outbox is to be read again: somebody rang, `pause` is over, or a
    /// channel has nothing left. `false`: the daemon stops.
    async fn work(&mut self, pause: Option<Duration>, stop: &CancellationToken) -> bool {
        let context = self.context.clone();
        let pause = super::sleep_or_never(&context.clock, pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = stop.cancelled() => return false,
                () = context.wakes.outbox.rung() => return true,
                () = &mut pause => return true,
                Some(done) = self.under_way.join_next() => {
                    let Some(channel) = self.note(done) else { return true };
                    if !self.is_ahead(channel) {
                        return true;
                    }
                    self.start_ahead(channel);
                }
            }
        }
    }

    /// Reads whose turn it is and starts what there is room for; returns how long nothing more becomes due.
    async fn start_due(&mut self) -> Result<Option<Duration>, StoreError> {
        let mut reader = self.context.store.reader().await?;
        let now = self.context.clock.now();
        let mut soonest: Option<Duration> = None;
        self.ahead.clear();
        for stored in channels::list(&mut reader).await? {
            if !stored.channel.enabled || stored.channel.waiting == 0 {
                continue;
            }
            let heads = deliveries::heads(&mut reader, stored.key, READ_AHEAD).await?;
            let idle = heads.into_iter().filter(|due| !self.busy.contains(&(due.channel, due.about)));
            let (later, due): (Vec<_>, Vec<_>) = idle.partition(|due| now < due.next_at);
            let wait = later.first().map(|due| due.next_at.duration_since(now));
            let wait = wait.map(|wait| wait.try_into().unwrap_or(AFTER_FAILURE));
            soonest = [soonest, wait].into_iter().flatten().min();
            self.ahead.insert(stored.key, self.read_ahead(stored, due));
        }
        let channels: Vec<ChannelKey> = self.ahead.keys().copied().collect();
        channels.into_iter().for_each(|channel| self.start_ahead(channel));
        Ok(soonest)
    }

    fn read_ahead(&self, stored: StoredChannel, due: Vec<Due>) -> Ahead {
        let place = format!("channels/{}/secret", stored.channel.id);
        let secret = stored.sealed.map(|sealed| self.context.seal.unseal(&sealed, &place)).transpose();
        let secret = secret.map_err(|error| error.to_string());
        Ahead { target: stored.channel.target, secret, due: due.into() }
    }

    /// Starts what was read ahead for a channel, as far as there is room.
    fn start_ahead(&mut self, channel: ChannelKey) {
        let at_once = if self.silent.contains(&channel) { 1 } else { AT_ONCE };
        while self.busy_by_channel.get(&channel).copied().unwrap_or(0) < at_once {
            let Some(ahead) = self.ahead.get_mut(&channel) else { return };
            let Some(due) = ahead.due.pop_front() else { return };
            let (target, secret) = (ahead.target.clone(), ahead.secret.clone());
            self.start(due, target, secret);
        }
    }

    /// Whether something is left of what was read ahead for a channel: then the outbox need not be read again.
    fn is_ahead(&self, channel: ChannelKey) -> bool {
        self.ahead.get(&channel).is_some_and(|ahead| !ahead.due.is_empty())
    }

    fn start(&mut self, due: Due, target: ChannelTarget, secret: Result<Option<SecretString>, String>) {
        self.busy.insert((due.channel, due.about));
        *self.busy_by_channel.entry(due.channel).or_default() += 1;
        let context = self.context.clone();
        let was_silent = self.silent.contains(&due.channel);
        self.under_way.spawn(async move {
            context.faults.point("outbox.before_send");
            let sent = send(&context, &due, &target, secret).await;
            context.faults.point("outbox.after_send");
            let recorded = record(&context, &due, &sent, was_silent).await;
            Outcome { due, sent, recorded }
        });
    }

    /// Takes in what became of a try; returns its channel.
    fn note(&mut self, done: Result<Outcome, tokio::task::JoinError>) -> Option<ChannelKey> {
        let Ok(Outcome { due, sent, recorded }) = done else {
            // A panic while sending: the row still waits, so forget who is busy and look again.
            self.busy.clear();
            self.busy_by_channel.clear();
            return None;
        };
        self.busy.remove(&(due.channel, due.about));
        if let Some(count) = self.busy_by_channel.get_mut(&due.channel) {
            *count = count.saturating_sub(1);
        }
        match &sent {
            Ok(_) => _ = self.silent.remove(&due.channel),
            Err(error) if error.is_permanent() => {}
            Err(_) => _ = self.silent.insert(due.channel),
        }
        if let Err(error) = recorded {
            tracing::error!(
                delivery.id = %due.id,
                error = %Chain(&error),
                "could not note the outcome of delivery {}; it will be repeated under the same id",
                due.id
            );
        }
        Some(due.channel)
    }
}

async fn send(
    context: &Context,
    due: &Due,
    target: &ChannelTarget,
    secret: Result<Option<SecretString>, String>,
) -> Result<String, NotifyError> {
    let message: Message = serde_json::from_str(&due.message).map_err(|error| NotifyError::Refused {
        detail: format!("the stored message cannot be read: {error}"),
    })?;
    let secret = secret.map_err(|detail| NotifyError::Refused { detail })?;
    let receipt = context.notifier.send(target, secret.as_ref(), &message, context.clock.now()).await?;
    Ok(receipt.detail)
}

/// Writes what became of a try. Tried for as long as the store is full or busy: a message that was accepted
/// must not be sent again because a disk was full for a minute.
async fn record(
    context: &Context,
    due: &Due,
    sent: &Result<String, NotifyError>,
    was_silent: bool,
) -> Result<(), StoreError> {
    for attempt in 0.. {
        match record_once(context, due, sent, was_silent).await {
            Err(error) if error.is_transient() && attempt < 60 => {
                context.clock.sleep(backoff::delay(attempt, 0.0).min(Duration::from_secs(10))).await;
            }
            outcome => return outcome,
        }
    }
    Ok(())
}

async fn record_once(
    context: &Context,
    due: &Due,
    sent: &Result<String, NotifyError>,
    was_silent: bool,
) -> Result<(), StoreError> {
    let now = context.clock.now();
    let (id, channel) = (due.id, due.channel);
    let step = match sent {
        Ok(detail) => Step::Finish(DeliveryState::Sent, detail.clone()),
        Err(error) => {
            let reason = Chain(error).to_string();
            let next =
                backoff::next_try(due.created_at, now, due.attempts, error.retry_after(), rand::random());
            match next.filter(|_| !error.is_permanent()) {
                Some(at) => Step::Postpone(at, reason),
                None => Step::Finish(DeliveryState::Failed, reason),
            }
        }
    };
    let answered = sent.is_ok() && was_silent;
    log(due, sent, &step);
    context
        .store
        .write::<(), StoreError>(Lane::Alerts, move |tx| {
            Box::pin(async move {
                let changed = match &step {
                    Step::Finish(state, reason) => deliveries::finish(tx, id, *state, reason).await?,
                    Step::Postpone(at, reason) => deliveries::postpone(tx, id, *at, reason).await?,
                };
                if answered {
                    deliveries::release(tx, channel).await?;
                }
                if changed {
                    emit(tx, id).await?;
                }
                Ok(())
            })
        })
        .await
}

enum Step {
    Finish(DeliveryState, String),
    Postpone(jiff::Timestamp, String),
}

async fn emit(tx: &mut crate::store::Tx, id: DeliveryId) -> Result<(), StoreError> {
    if let Some(delivery) = deliveries::find_in(tx, id).await? {
        tx.emit(EventKind::DeliveryChanged, &id.to_string(), &delivery).await?;
    }
    Ok(())
}

fn log(due: &Due, sent: &Result<String, NotifyError>, step: &Step) {
    let attempt = due.attempts + 1;
    match (sent, step) {
        (Ok(_), _) => tracing::debug!(delivery.id = %due.id, attempt, "delivered {}", due.id),
        (Err(error), Step::Postpone(at, _)) => {
            tracing::warn!(delivery.id = %due.id, attempt, next_at = %at, error = %Chain(error), "could not deliver {}; it waits", due.id);
        }
        (Err(error), Step::Finish(..)) => {
            tracing::error!(delivery.id = %due.id, attempt, error = %Chain(error), "gave up delivery {}", due.id);
        }
    }
}
