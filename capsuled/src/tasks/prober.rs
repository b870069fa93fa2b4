//! Asks every check's question when it is due.
//!
//! Runs on one thread with a runtime of its own: probes wait, they do not compute, and one thread costs less
//! than two that hand futures to each other. The schedule is `rules/schedule`: fixed-rate, phases spread by a
//! hash of the id, one probe of a check at a time. A result moves the check's state machine in memory and
//! goes into history; whatever must be confirmed on disk is the evaluator's.

use std::{collections::HashMap, sync::Arc, time::Duration};

use capsule_api::{CheckId, Outcome, ProbeResult};
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::recorder::Waiting;
use crate::{
    context::{Context, DayOfResults, LiveCheck, RunNow, TaskHandle},
    logging::Chain,
    model::{CheckKey, CheckPlan, CheckState, Finding},
    probe::Prober,
    rules::{
        health,
        schedule::{self, Limits, Plan, Schedule},
    },
    store::{BoxFuture, StoreError, checks, probes, probes::RawResult, settings, xnodes},
    usecases::watching,
};

/// How many lags the p99 of the last minute is taken from, at most.
const LAGS: usize = 4_096;

/// Probes of one xNode at once, at most: no server should notice that it is watched.
const PER_XNODE: usize = 4;

/// How often the watchdog may see that this thread lives, when nothing is due for long.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Probes waiting for an answer.
type UnderWay = FuturesUnordered<BoxFuture<'static, (CheckKey, Finding)>>;

struct Engine {
    context: Context,
    prober: Arc<Prober>,
    waiting: Arc<Waiting>,
    schedule: Schedule<CheckKey>,
    plans: HashMap<CheckKey, Arc<CheckPlan>>,
    /// What the previous result of a check said; history keeps a detail only when it is another.
    last_details: HashMap<CheckKey, String>,
    /// Who waits for which checks to be probed out of turn.
    asked: Vec<Asked>,
    lags: Lags,
}

struct Asked {
    left: Vec<CheckKey>,
    done: oneshot::Sender<()>,
}

/// Start lags of the last minute.
struct Lags {
    lags_ms: Vec<f64>,
    next: usize,
    published: Duration,
}

impl Lags {
    fn add(&mut self, lag: Duration) {
        let lag_ms = lag.as_secs_f64() * 1_000.0;
        if self.lags_ms.len() < LAGS {
            self.lags_ms.push(lag_ms);
        } else {
            self.lags_ms[self.next % LAGS] = lag_ms;
            self.next += 1;
        }
    }

    fn p99(&self) -> f64 {
        let mut sorted = self.lags_ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(0.0)
    }
}

/// Probes until `stop`; probes under way then are dropped, which a restart repeats.
pub async fn run(
    context: Context,
    prober: Prober,
    waiting: Arc<Waiting>,
    at_once: usize,
    handle: TaskHandle,
    stop: CancellationToken,
) {
    let mut engine = Engine {
        schedule: Schedule::new(context.started_at, Limits { in_flight: at_once, per_host: PER_XNODE }),
        context,
        prober: Arc::new(prober),
        waiting,
        plans: HashMap::new(),
        last_details: HashMap::new(),
        asked: Vec::new(),
        lags: Lags { lags_ms: Vec::new(), next: 0, published: Duration::ZERO },
    };
    let mut under_way = UnderWay::new();
    let mut reload_at = Some(Duration::ZERO);
    let mut reloaded = Duration::ZERO;
    loop {
        if reload_at.is_some_and(|moment| moment <= engine.context.clock.elapsed()) {
            let (at, began) = (engine.context.clock.now(), engine.context.clock.elapsed());
            let outcome = engine.reload().await;
            let error = outcome.err().map(|error| Chain(&error).to_string());
            if let Some(error) = &error {
                tracing::error!(error, "could not read what to probe; going on with what was known");
            }
            reload_at = error.as_ref().map(|_| began + super::AFTER_FAILURE);
            reloaded = began;
            handle.ran(at, engine.context.clock.elapsed().saturating_sub(began), error);
        }
        engine.context.live.note_prober(engine.context.clock.elapsed());
        engine.start_due(&mut under_way);
        let next = engine.schedule.next_due();
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some((key, finding)) = under_way.next() => {
                engine.note(key, finding);
                while let Some(Some((key, finding))) = futures_util::FutureExt::now_or_never(under_way.next()) {
                    engine.note(key, finding);
                }
            }
            () = sleep_until_or_never(&engine.context, next) => {}
            () = engine.context.wakes.prober.rung() => reload_at = Some(reloaded + super::BETWEEN_RELOADS),
            () = sleep_until_or_never(&engine.context, reload_at) => {}
            () = tokio::time::sleep(SIGN_OF_LIFE) => {}
        }
    }
}

async fn sleep_until_or_never(context: &Context, moment: Option<Duration>) {
    match moment {
        Some(moment) => context.clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Engine {
    /// Reads what should be probed and makes the schedule so.
    async fn reload(&mut self) -> Result<(), StoreError> {
        let mut reader = self.context.store.reader().await?;
        let settings = settings::find(&mut reader).await?.0;
        let all = xnodes::list(&mut reader, &xnodes::Filter::default(), i64::MAX).await?;
        let states = checks::states(&mut reader).await?;
        drop(reader);
        let plans = watching::plans(&all, &states, &settings);
        let first = self.plans.is_empty();
        let wanted: HashMap<CheckKey, ()> = plans.iter().map(|(plan, _)| (plan.key, ())).collect();
        let gone: Vec<CheckKey> =
            self.plans.keys().copied().filter(|key| !wanted.contains_key(key)).collect();
        for key in gone {
            self.plans.remove(&key);
            self.last_details.remove(&key);
            self.schedule.remove(key);
            self.answer_asked(key);
        }
        self.context.live.retain_checks(|key| wanted.contains_key(&key));
        for (plan, state) in plans {
            self.adopt(plan, state);
        }
        if first {
            self.restore_newest().await?;
        }
        self.context.wakes.evaluator.ring();
        self.take_asked();
        Ok(())
    }

    /// Takes on a plan that is new or changed.
    fn adopt(&mut self, plan: CheckPlan, stored_state: CheckState) {
        let known = self.plans.get(&plan.key);
        if known.is_some_and(|known| **known == plan) {
            return;
        }
        let kept = known
            .filter(|known| known.probe == plan.probe)
            .and_then(|_| self.context.live.check_by_key(plan.key));
        let phase = schedule::phase(plan.id.0, plan.interval);
        let when = Plan { host: plan.xnode, interval: plan.interval, phase };
        self.schedule.put(plan.key, when, self.context.clock.elapsed());
        let live = match kept {
            Some(live) => LiveCheck { interval: plan.interval, timeout: plan.timeout, ..live },
            None => LiveCheck {
                id: plan.id,
                xnode: plan.xnode,
                state: stored_state,
                last: None,
                next_at: None,
                interval: plan.interval,
                timeout: plan.timeout,
                day: DayOfResults::default(),
            },
        };
        let now = self.context.clock.elapsed();
        if live.state.last_at.is_none() {
            // Somebody who just added a server wants to see it now, not at its phase in five minutes.
            self.schedule.run_now(plan.key, now);
        }
        let next_at = self.next_at(plan.key, now);
        self.context.live.put_check(plan.key, LiveCheck { next_at, ..live });
        self.plans.insert(plan.key, Arc::new(plan));
    }

    /// Brings back the newest result and the last day's counts of every check.
    async fn restore_newest(&mut self) -> Result<(), StoreError> {
        let since = self.context.clock.now().as_millisecond() - 24 * probes::HOUR_MS;
        let mut reader = self.context.store.telemetry_reader().await?;
        for (key, at_ms, probes, passed) in probes::hourly_counts(&mut reader, since).await? {
            self.context.live.update_check(key, |live| live.day.add(at_ms, probes, passed));
        }
        for (key, raw) in probes::newest(&mut reader).await? {
            let Ok(at) = Timestamp::from_millisecond(raw.at_ms) else { continue };
            self.context.live.update_check(key, |live| {
                let detail = raw.detail.unwrap_or_else(|| live.state.reason.clone());
                live.last =
                    Some(ProbeResult { at, outcome: raw.outcome, latency_us: raw.latency_us, detail });
                // The state is written when it moves; the moment of the newest result is newer than that.
                live.state.last_at = live.state.last_at.max(Some(at));
            });
        }
        Ok(())
    }

    /// Makes the checks somebody asked for due now.
    fn take_asked(&mut self) {
        let now = self.context.clock.elapsed();
        for RunNow { checks, done } in self.context.wakes.take_run_now() {
            let key =
                |id: &CheckId| self.context.live.check_key(*id).filter(|key| self.plans.contains_key(key));
            let left: Vec<CheckKey> = checks.iter().filter_map(key).collect();
            left.iter().for_each(|key| _ = self.schedule.run_now(*key, now));
            if !left.is_empty() {
                self.asked.push(Asked { left, done });
            }
        }
    }

    fn start_due(&mut self, under_way: &mut UnderWay) {
        let now = self.context.clock.elapsed();
        let at = self.context.clock.now();
        for start in self.schedule.due(now, usize::MAX) {
            let Some(plan) = self.plans.get(&start.key).cloned() else { continue };
            self.lags.add(start.lag);
            let prober = Arc::clone(&self.prober);
            under_way.push(Box::pin(async move {
                let finding = prober.probe(&plan, at).await;
                (plan.key, finding)
            }));
        }
        if self.lags.published + Duration::from_secs(1) <= now {
            self.lags.published = now;
            let (missed, p99) = (self.schedule.missed(), self.lags.p99());
            self.context.live.update_probing(|probing| {
                probing.missed = missed;
                probing.start_lag_p99_ms = p99;
            });
        }
    }

    /// Moves the check's state machine, keeps the result, and says what is news.
    fn note(&mut self, key: CheckKey, finding: Finding) {
        let now = self.context.clock.elapsed();
        let known = self.plans.get(&key).cloned().zip(self.context.live.check_by_key(key));
        let Some((plan, live)) = known else {
            self.schedule.finish(key, now, None);
            return;
        };
        let step = health::step(&live.state, &finding, plan.limits);
        self.schedule.finish(key, now, step.confirm.then_some(plan.confirm_interval));
        let next_at = self.next_at(key, now);
        let offered =
            finding.host_key.as_ref().is_some_and(|key| self.context.live.note_host_key(plan.xnode, key));
        self.record(key, &finding);
        let news = step.changed || step.transition.is_some();
        let awaited = self.context.live.take_awaited(key);
        self.context.live.update_check(key, |live| {
            live.state = step.state;
            if finding.outcome != Outcome::Blind {
                live.day.add(finding.at.as_millisecond(), 1, u32::from(finding.outcome == Outcome::Up));
            }
            live.next_at = next_at;
            live.last = Some(ProbeResult {
                at: finding.at,
                outcome: finding.outcome,
                latency_us: finding.latency.and_then(|latency| latency.as_micros().try_into().ok()),
                detail: finding.detail,
            });
        });
        self.context.live.update_probing(|probing| {
            probing.probes += 1;
            probing.unwritten += 1;
            probing.blind += u64::from(finding.outcome == Outcome::Blind);
        });
        if news || offered || awaited {
            self.context.live.mark_changed(plan.xnode, news.then_some(key));
            self.context.wakes.evaluator.ring();
        }
        self.answer_asked(key);
    }

    /// When a check is due next, in wall time.
    fn next_at(&self, key: CheckKey, now: Duration) -> Option<Timestamp> {
        let due = self.schedule.next_of(key)?;
        Some(self.context.clock.after(due.saturating_sub(now)))
    }

    fn record(&mut self, key: CheckKey, finding: &Finding) {
        let last = self.last_details.entry(key).or_default();
        let detail = (*last != finding.detail).then(|| finding.detail.clone());
        if let Some(detail) = &detail {
            last.clone_from(detail);
        }
        let result = RawResult {
            at_ms: finding.at.as_millisecond(),
            outcome: finding.outcome,
            latency_us: finding.latency.and_then(|latency| latency.as_micros().try_into().ok()),
            detail,
        };
        self.waiting.push(key, result);
    }

    fn answer_asked(&mut self, key: CheckKey) {
        for asked in &mut self.asked {
            asked.left.retain(|left| *left != key);
        }
        let (done, left): (Vec<_>, Vec<_>) = self.asked.drain(..).partition(|asked| asked.left.is_empty());
        self.asked = left;
        for asked in done {
            // Nobody waiting any more is fine.
            let _ = asked.done.send(());
        }
    }
}
