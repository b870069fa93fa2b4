//! `GET /v1/events`: the event feed as server-sent events.
//!
//! Each event has `id: epoch-seq`, `event: KIND` and the event as JSON. A client that was away sends the
//! last id as `Last-Event-ID` (browsers and our client do so by themselves). Nothing is buffered here: a
//! reader that does not read leaves its events in the store's bounded live buffer, and when that has moved
//! on it is told by an event `lagged` and the stream ends.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{self, KeepAlive, Sse},
};
use capsule_api::{EventFilter, EventKind};
use futures_util::{Stream, StreamExt, stream};
use tracing::warn;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::ApiError,
    extract::{By, Query},
};
use crate::{
    logging::Chain,
    usecases::events::{Feed, Next},
};

/// How often a silent stream says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client should wait before it comes back.
const RETRY: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_events))
}

/// Follow events
///
/// Server-sent events: `id` is the event's id, `event` its kind, `data` the event as JSON. Begins after
/// `Last-Event-ID` or `since`, else with what happens from now on. A comment every 15 seconds shows that the
/// stream is alive. An event `lagged` means that the reader was too slow and missed events; the stream ends.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(EventFilter, ("Last-Event-ID" = Option<String>, Header, description = "Continue after this event.")),
    responses(
        (status = 200, description = "The events, one by one.", content_type = "text/event-stream", body = capsule_api::Event),
        (status = 410, description = "The events after that id are no longer kept.", content_type = "application/problem+json", body = capsule_api::Problem),
    ),
)]
async fn list_events(
    State(api): State<Api>,
    By(by): By,
    headers: HeaderMap,
    Query(filter): Query<EventFilter>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    let kinds = filter.kinds.as_deref().map(kinds).transpose()?.unwrap_or_default();
    let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let since = last_id.or(filter.since.as_deref());
    let feed = Feed::open(&api.context, since, kinds, by.role).await?;
    let hello = sse::Event::default().id(feed.position()).retry(RETRY).comment("following");
    let events = stream::unfold(Some(feed), next).take_until(api.stop.clone().cancelled_owned());
    let events = stream::iter([hello]).chain(events).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive")))
}

fn kinds(text: &str) -> Result<Vec<EventKind>, ApiError> {
    let parse = |word: &str| word.trim().parse().map_err(|error| ApiError::UnfitQuery(format!("{error}")));
    text.split(',').map(parse).collect()
}

/// The next thing to send, and the feed unless this was the last.
async fn next(feed: Option<Feed>) -> Option<(sse::Event, Option<Feed>)> {
    let mut feed = feed?;
    match feed.next().await {
        Ok(Next::Event(event)) => {
            let data = serde_json::to_string(&event).expect("wire types serialise");
            let sent = sse::Event::default().id(&event.id).event(event.kind.as_str()).data(data);
            Some((sent, Some(feed)))
        }
        Ok(Next::Lagged(missed)) => {
            let reason = format!("{{\"missed\":{missed},\"reason\":\"the reader was too slow\"}}");
            Some((sse::Event::default().event("lagged").data(reason), None))
        }
        Ok(Next::Closed) => None,
        Err(error) => {
            warn!(error = %Chain(&error), "could not read events");
            None
        }
    }
}
