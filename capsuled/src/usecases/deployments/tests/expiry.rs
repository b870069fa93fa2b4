//! Times to live on the clock moved by hand: the notice, the end, and an end that the provider refuses at first.

use capsule_api::{Alert, AlertKind, ExpiryAction, OperationState};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{store::alerts, usecases::expiry};

const HOUR_MS: u64 = 3_600_000;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A server that has eight hours to live.
async fn placed_for_hours(world: &World, action: ExpiryAction) -> Timestamp {
    let mut wanted = world.wanted("web", &[&world.account]);
    (wanted.spec.ttl_ms, wanted.spec.ttl_action) = (Some(8 * HOUR_MS), Some(action));
    let operation = begin(&world.context, &Caller::daemon(), wanted).await.expect("begun");
    assert!(world.drive(&operation).await);
    finish(world, &operation).await;
    let xnodes = world.xnodes().await;
    xnodes[0].placement.as_ref().and_then(|placement| placement.expiry).expect("a time to live").at
}

fn pass(world: &World, time: SignedDuration) {
    world.context.clock.advance(time.try_into().expect("forward"));
}

fn pass_until(world: &World, at: Timestamp) {
    let left = at.duration_since(world.context.clock.now());
    world.context.clock.advance(left.try_into().expect("a moment to come"));
}

/// The open alert that says so.
async fn notice(world: &World) -> Option<Alert> {
    let open = alerts::list_open(&mut world.context.store.reader().await.expect("a reader")).await;
    open.expect("readable").into_iter().find(|alert| alert.kind == AlertKind::ExpiresSoon)
}

/// What the task asked for and nobody has carried out.
async fn asked(world: &World) -> Vec<Operation> {
    expiry::run_once(&world.context).await.expect("a look");
    let mut reader = world.context.store.reader().await.expect("a reader");
    store::operations::list(&mut reader, true, None, 10).await.expect("readable")
}

/// What the operations' task writes at an end.
async fn finish(world: &World, operation: &Operation) {
    let id = operation.id;
    let ended = world.context.store.write::<_, StoreError>(Lane::Normal, move |tx| {
        Box::pin(async move { store::operations::finish(tx, id, Ok(&serde_json::Value::Null)).await })
    });
    assert!(ended.await.expect("written"));
}

#[tokio::test]
async fn a_time_to_live_is_announced_once_and_the_announcement_ends_with_the_stop() {
    let world = World::deaf().await;
    let end = placed_for_hours(&world, ExpiryAction::Stop).await;
    pass_until(&world, end - MINUTE * 31);
    assert!(asked(&world).await.is_empty() && notice(&world).await.is_none(), "too early for either");
    let pause = expiry::run_once(&world.context).await.expect("a look");
    assert!(pause <= Duration::from_secs(60), "looked at again when it is time: {pause:?}");

    pass_until(&world, end - MINUTE * 29);
    assert!(asked(&world).await.is_empty(), "not yet");
    let told = notice(&world).await.expect("told before the end");
    assert!(told.summary.contains("it will be switched off"), "{}", told.summary);
    asked(&world).await;
    assert_eq!(notice(&world).await, Some(told), "once");

    pass_until(&world, end);
    let operation = asked(&world).await.pop().expect("the stop");
    assert_eq!(operation.kind, OperationKind::StopXNode);
    assert_eq!(asked(&world).await.len(), 1, "asked for once");
    assert!(matches!(world.power(&operation).await, Some(Ended::Done(_))));
    finish(&world, &operation).await;
    assert_eq!(world.cloud.cloud.all()[0].status, InstanceState::Stopped);
    let xnode = &world.xnodes().await[0];
    assert_eq!(xnode.placement.as_ref().and_then(|placement| placement.expiry), None);
    assert_eq!(notice(&world).await, None, "there is nothing left to announce");
    assert!(asked(&world).await.is_empty());
}

#[tokio::test]
async fn an_end_that_the_provider_refuses_is_asked_for_ever_less_often_until_the_server_is_gone() {
    let world = World::deaf().await;
    let end = placed_for_hours(&world, ExpiryAction::Delete).await;
    pass_until(&world, end);
    let first = asked(&world).await.pop().expect("the deletion");
    assert_eq!((first.kind, first.state), (OperationKind::TerminateXNode, OperationState::Pending));
    world.cloud.cloud.fail("delete", world.cloud.cloud.unauthorised());
    assert!(matches!(world.power(&first).await, Some(Ended::Failed(_))));
    finish(&world, &first).await;
    assert_eq!(world.xnodes().await.len(), 1, "nobody said that it is gone");

    assert!(asked(&world).await.is_empty(), "not at once");
    let pause = expiry::run_once(&world.context).await.expect("a look");
    assert!(pause <= Duration::from_secs(300), "{pause:?}");
    pass(&world, MINUTE * 5);
    let second = asked(&world).await.pop().expect("another try");
    world.cloud.cloud.fail("delete", world.cloud.cloud.unauthorised());
    assert!(matches!(world.power(&second).await, Some(Ended::Failed(_))));
    finish(&world, &second).await;
    pass(&world, MINUTE * 9);
    assert!(asked(&world).await.is_empty(), "the second pause is longer");
    pass(&world, MINUTE);
    let third = asked(&world).await.pop().expect("a third try");
    assert!(matches!(world.power(&third).await, Some(Ended::Done(_))));
    assert!(world.xnodes().await.is_empty() && world.cloud.cloud.all().is_empty());
    let open = alerts::list_open(&mut world.context.store.reader().await.expect("a reader")).await;
    let about_xnodes = |alert: &Alert| alert.subject.kind == capsule_api::SubjectKind::XNode;
    assert!(!open.expect("readable").iter().any(about_xnodes));
}
