//! Channels and deliveries.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use capsule_api::{
    Channel, ChannelCreate, ChannelPatch, ChannelTest, Delivery, DeliveryFilter, DeliveryId, Page,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, IfMatch, Path, Query},
        respond::{created, deleted, listing, page, tagged, whole},
    },
    context::Context,
    usecases::{channels, deliveries},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_channels, create_channel))
        .routes(routes!(get_channel, update_channel, delete_channel))
        .routes(routes!(test_channel))
        .routes(routes!(list_deliveries))
        .routes(routes!(retry_delivery))
}

/// List channels
///
/// All of them, by name.
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels",
    responses((status = 200, description = "The channels.", body = Page<Channel>)),
)]
async fn list_channels(State(context): State<Context>, By(by): By) -> Result<Json<Page<Channel>>, ApiError> {
    Ok(whole(channels::list(&context, &by).await?))
}

/// Add a channel
///
/// Its secret is sealed and never shown again.
#[utoipa::path(
    post, path = "/v1/channels", tag = "channels", request_body = ChannelCreate,
    responses((
        status = 201, description = "The channel as stored.", body = Channel,
        headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its revision.")),
    )),
)]
async fn create_channel(
    State(context): State<Context>,
    By(by): By,
    extract::Json(new): extract::Json<ChannelCreate>,
) -> Result<Response, ApiError> {
    let channel = channels::create(&context, &by, new).await?;
    Ok(created(&format!("/v1/channels/{}", channel.name), channel.revision, &channel))
}

/// One channel
#[utoipa::path(
    get, path = "/v1/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name.")),
    responses((
        status = 200, description = "The channel.", body = Channel,
        headers(("ETag" = String, description = "Its revision.")),
    )),
)]
async fn get_channel(
    State(context): State<Context>,
    By(by): By,
    Path(channel): Path<String>,
) -> Result<Response, ApiError> {
    let channel = channels::get(&context, &by, &channel).await?;
    Ok(tagged(channel.revision, &channel))
}

/// Change a channel
#[utoipa::path(
    patch, path = "/v1/channels/{channel}", tag = "channels", request_body = ChannelPatch,
    params(("channel" = String, Path, description = "The channel's name.")),
    responses((
        status = 200, description = "The channel as it is now.", body = Channel,
        headers(("ETag" = String, description = "Its new revision.")),
    )),
)]
async fn update_channel(
    State(context): State<Context>,
    By(by): By,
    Path(channel): Path<String>,
    IfMatch(expected): IfMatch,
    extract::Json(patch): extract::Json<ChannelPatch>,
) -> Result<Response, ApiError> {
    let channel = channels::update(&context, &by, &channel, expected, patch).await?;
    Ok(tagged(channel.revision, &channel))
}

/// Remove a channel
///
/// With what waits for it.
#[utoipa::path(
    delete, path = "/v1/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn delete_channel(
    State(context): State<Context>,
    By(by): By,
    Path(channel): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    channels::delete(&context, &by, &channel, expected).await?;
    Ok(deleted())
}

/// Send a test message
///
/// Answers with what the other side said, after at most half a minute.
#[utoipa::path(
    post, path = "/v1/channels/{channel}/test", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name.")),
    responses((status = 200, description = "How it went.", body = ChannelTest)),
)]
async fn test_channel(
    State(context): State<Context>,
    By(by): By,
    Path(channel): Path<String>,
) -> Result<Json<ChannelTest>, ApiError> {
    Ok(Json(channels::test(&context, &by, &channel).await?))
}

/// List deliveries
///
/// What was sent, what waits and why; newest first.
#[utoipa::path(
    get, path = "/v1/deliveries", tag = "channels", params(DeliveryFilter),
    responses((status = 200, description = "A page of deliveries.", body = Page<Delivery>)),
)]
async fn list_deliveries(
    State(context): State<Context>,
    Query(filter): Query<DeliveryFilter>,
) -> Result<Json<Page<Delivery>>, ApiError> {
    let listing = listing(filter.limit, filter.cursor.as_deref())?;
    Ok(page(deliveries::list(&context, &filter, &listing).await?))
}

/// Try a delivery again now
#[utoipa::path(
    post, path = "/v1/deliveries/{delivery}/retry", tag = "channels",
    params(("delivery" = DeliveryId, Path, description = "The delivery's id.")),
    responses((status = 200, description = "The delivery, waiting.", body = Delivery)),
)]
async fn retry_delivery(
    State(context): State<Context>,
    By(by): By,
    Path(delivery): Path<DeliveryId>,
) -> Result<Json<Delivery>, ApiError> {
    Ok(Json(deliveries::retry(&context, &by, delivery).await?))
}
