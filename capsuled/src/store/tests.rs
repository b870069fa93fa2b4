//! The store against a real file: what a commit promises, what the schema refuses, in which order the outbox
//! speaks.

use std::sync::Arc;

use capsule_api::{
    Alert, AlertChange, AlertChangeKind, AlertId, AlertKind, AlertState, DeliveryId, DeliveryState,
    EventKind, Outcome, Severity, Subject, SubjectKind,
};
use jiff::SignedDuration;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    model::{Caller, CheckKey, IdempotencyKey},
    store::{
        deliveries::{New, News},
        probes::RawResult,
    },
    usecases::own_host,
};

struct Opened {
    store: Store,
    clock: Clock,
    stop: CancellationToken,
    _directory: TempDir,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn open() -> Opened {
    let directory = TempDir::new().expect("a directory");
    let (clock, stop) = (Clock::system(), CancellationToken::new());
    let (store, loops) = Store::open(directory.path(), clock.clone(), stop.clone()).await.expect("opens");
    tokio::spawn(loops.capsule);
    tokio::spawn(loops.telemetry);
    Opened { store, clock, stop, _directory: directory }
}

fn alert(kind: AlertKind, now: Timestamp) -> Alert {
    Alert {
        id: AlertId(Uuid::now_v7()),
        subject: Subject { kind: SubjectKind::XNode, id: "x".to_owned() },
        subject_name: "web-1".to_owned(),
        kind,
        severity: Severity::Critical,
        state: AlertState::Open,
        summary: "down".to_owned(),
        causes: Vec::new(),
        since: now,
        opened_at: now,
        changed_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
    }
}

fn opened(now: Timestamp) -> AlertChange {
    AlertChange {
        seq: 0,
        at: now,
        kind: AlertChangeKind::Opened,
        severity: Severity::Critical,
        actor: None,
        text: "down".to_owned(),
    }
}

async fn record(store: &Store, alert: &Alert, now: Timestamp) -> Result<u32, StoreError> {
    let (alert, change) = (alert.clone(), opened(now));
    store
        .write(Lane::Alerts, move |tx| Box::pin(async move { alerts::record(tx, &alert, &change).await }))
        .await
}

#[tokio::test]
async fn a_job_that_fails_leaves_nothing_and_takes_nobody_with_it() {
    let opened = open().await;
    let jobs = (0..40_i64).map(|n| {
        let store = opened.store.clone();
        async move {
            store
                .write::<(), StoreError>(Lane::Normal, move |tx| {
                    Box::pin(async move {
                        settings::set_budget(
                            tx,
                            capsule_api::BudgetScope::Tag,
                            &format!("t{n}"),
                            capsule_api::BudgetSet {
                                hourly_limit_micros: Some(capsule_api::UsdMicros(1)),
                                ..Default::default()
                            },
                        )
                        .await?;
                        tx.emit(EventKind::SettingsChanged, &n.to_string(), &n).await?;
                        if n % 2 == 0 { Ok(()) } else { Err(StoreError::Closed) }
                    })
                })
                .await
        }
    });
    let outcomes = futures_util::future::join_all(jobs).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 20);
    let mut reader = opened.store.reader().await.expect("a reader");
    assert_eq!(settings::budgets(&mut reader).await.expect("read").len(), 20);
    let events = events::after(&mut reader, opened.store.epoch(), 0, 100).await.expect("read");
    assert_eq!(events.len(), 20, "a failed job's events are gone with it");
}

#[tokio::test]
async fn events_are_told_in_the_order_they_are_stored() {
    let opened = open().await;
    let mut heard = opened.store.subscribe();
    for n in 0..10_i64 {
        opened
            .store
            .write::<(), StoreError>(Lane::Normal, move |tx| {
                Box::pin(async move { tx.emit(EventKind::SettingsChanged, "s", &n).await })
            })
            .await
            .expect("written");
    }
    let stored = {
        let mut reader = opened.store.reader().await.expect("a reader");
        events::after(&mut reader, opened.store.epoch(), 0, 100).await.expect("read")
    };
    for event in stored {
        assert_eq!(*heard.recv().await.expect("heard"), event);
    }
}

#[tokio::test]
async fn the_schema_refuses_a_second_open_alert_of_a_kind() {
    let opened = open().await;
    let now = opened.clock.now();
    record(&opened.store, &alert(AlertKind::HighCpu, now), now).await.expect("the first");
    let second = record(&opened.store, &alert(AlertKind::HighCpu, now), now).await;
    assert!(matches!(second, Err(StoreError::Database(_))), "{second:?}");
    record(&opened.store, &alert(AlertKind::HighMemory, now), now).await.expect("another kind");
}

#[tokio::test]
async fn a_repeated_change_finds_the_reply_of_the_first() {
    let opened = open().await;
    let key = IdempotencyKey { name: "k".to_owned(), fingerprint: "f".to_owned() };
    let by = Caller { idempotency: Some(key), ..Caller::daemon() };
    let reply: i64 = opened
        .store
        .change::<_, StoreError>(&by, "set_budget", "tag t", |_| Box::pin(async { Ok(7) }))
        .await
        .expect("changed");
    assert_eq!(reply, 7);
    let mut reader = opened.store.reader().await.expect("a reader");
    let stored = idempotency::find(&mut reader, by.uid, "k").await.expect("read").expect("there");
    assert_eq!((stored.fingerprint.as_str(), stored.body.as_deref()), ("f", Some("7")));
    let audit = audit::list(&mut reader, i64::MAX, 10).await.expect("read");
    assert_eq!((audit[0].action.as_str(), audit[0].target.as_str()), ("set_budget", "tag t"));
}

#[tokio::test]
async fn an_alert_is_told_in_order_and_the_second_message_waits_for_the_first() {
    let opened = open().await;
    let now = opened.clock.now();
    let alert = alert(AlertKind::HighCpu, now);
    record(&opened.store, &alert, now).await.expect("recorded");
    let ids = [DeliveryId(Uuid::now_v7()), DeliveryId(Uuid::now_v7())];
    let alert_id = alert.id;
    let channel = opened
        .store
        .write::<_, StoreError>(Lane::Normal, move |tx| {
            Box::pin(async move {
                channels::insert(tx, &own_host::console_channel(), None).await?;
                let channel = channels::list_in(tx).await?[0].key;
                for (id, seq) in ids.into_iter().zip(1..) {
                    let news = News::Change { alert: alert_id, seq, kind: AlertChangeKind::Opened };
                    let new = New { id, news, channel, message: &"m", summary: "s" };
                    deliveries::insert(tx, new).await?;
                }
                Ok(channel)
            })
        })
        .await
        .expect("queued");
    let heads = async || {
        let mut reader = opened.store.reader().await.expect("a reader");
        let heads = deliveries::heads(&mut reader, channel, 10).await.expect("read");
        heads.iter().map(|due| due.id).collect::<Vec<_>>()
    };
    assert_eq!(heads().await, [ids[0]]);
    for expected in [vec![ids[1]], vec![]] {
        let head = heads().await[0];
        let first = opened
            .store
            .write::<_, StoreError>(Lane::Alerts, move |tx| {
                Box::pin(deliveries::finish(tx, head, DeliveryState::Sent, "ok"))
            })
            .await;
        assert!(first.expect("finished"));
        assert_eq!(heads().await, expected);
    }
}

#[tokio::test]
async fn history_joins_packed_hours_and_the_unpacked_head() {
    let opened = open().await;
    let check = CheckKey(1);
    let result = |at_ms| RawResult { at_ms, outcome: Outcome::Up, latency_us: Some(40), detail: None };
    let old: Vec<_> = (0..6).map(|n| result(n * 600_000)).collect();
    let rows: Arc<Vec<_>> = Arc::new((0..9).map(|n| (check, result(n * 600_000))).collect());
    opened
        .store
        .write_telemetry::<_, StoreError>(move |tx| {
            Box::pin(async move {
                probes::append(tx, &rows).await?;
                let (early, late) = old.split_at(4);
                probes::add_to_hour(tx, check, 0, early.to_vec()).await?;
                // The last of the first round comes again, as after a kill, with two that were late.
                let again = [&early[3..], late].concat();
                let hour = probes::add_to_hour(tx, check, 0, again).await?;
                assert_eq!(hour, old);
                probes::set_progress(tx, "probe_hours", probes::HOUR_MS).await
            })
        })
        .await
        .expect("written");
    let mut reader = opened.store.telemetry_reader().await.expect("a reader");
    let history = probes::raw_history(&mut reader, check, 0, i64::MAX).await.expect("read");
    assert_eq!(history.len(), 9, "nothing twice, nothing lost");
    assert_eq!(probes::newest(&mut reader).await.expect("read")[0].1.at_ms, 8 * 600_000);
}

#[tokio::test]
async fn records_are_deleted_by_age_and_an_untold_alert_is_kept() {
    let opened = open().await;
    let now = opened.clock.now();
    let past = now - SignedDuration::from_hours(48);
    let mut over = alert(AlertKind::HighCpu, past);
    (over.state, over.resolved_at) = (AlertState::Resolved, Some(past));
    record(&opened.store, &over, past).await.expect("recorded");
    let until = now - SignedDuration::from_hours(24);
    let more = opened
        .store
        .write::<_, StoreError>(Lane::Normal, move |tx| Box::pin(retention::delete_records(tx, until, until)))
        .await
        .expect("deleted");
    assert!(!more);
    let mut reader = opened.store.reader().await.expect("a reader");
    assert_eq!(alerts::find(&mut reader, over.id).await.expect("read"), None);
}
