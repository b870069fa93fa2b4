//! Alerts.

use axum::{Json, extract::State};
use capsule_api::{Alert, AlertDetail, AlertFilter, AlertNote, Page};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, OptionalJson, Path, Query},
        respond::{listing, page},
    },
    context::Context,
    usecases::alerts::{self, Deed},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_alerts))
        .routes(routes!(get_alert))
        .routes(routes!(acknowledge_alert))
        .routes(routes!(resolve_alert))
        .routes(routes!(comment_alert))
}

/// List alerts
///
/// Newest first; those that are over only with `all` or `state`.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "alerts", params(AlertFilter),
    responses((status = 200, description = "A page of alerts.", body = Page<Alert>)),
)]
async fn list_alerts(
    State(context): State<Context>,
    Query(filter): Query<AlertFilter>,
) -> Result<Json<Page<Alert>>, ApiError> {
    let listing = listing(filter.limit, filter.cursor.as_deref())?;
    Ok(page(alerts::list(&context, &filter, &listing).await?))
}

/// One alert with its timeline
#[utoipa::path(
    get, path = "/v1/alerts/{alert}", tag = "alerts",
    params(("alert" = String, Path, description = "Id, or a unique beginning or end of one.")),
    responses((status = 200, description = "The alert.", body = AlertDetail)),
)]
async fn get_alert(
    State(context): State<Context>,
    Path(alert): Path<String>,
) -> Result<Json<AlertDetail>, ApiError> {
    Ok(Json(alerts::get(&context, &alert).await?))
}

/// Say that you have seen an alert
#[utoipa::path(
    post, path = "/v1/alerts/{alert}/acknowledge", tag = "alerts", request_body = Option<AlertNote>,
    params(("alert" = String, Path, description = "Id, or a unique beginning or end of one.")),
    responses((status = 200, description = "The alert as it is now.", body = Alert)),
)]
async fn acknowledge_alert(
    State(context): State<Context>,
    By(by): By,
    Path(alert): Path<String>,
    OptionalJson(note): OptionalJson<AlertNote>,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(alerts::handle(&context, &by, &alert, Deed::Acknowledge, note).await?))
}

/// End an alert by hand
///
/// It is opened again when the problem is still there.
#[utoipa::path(
    post, path = "/v1/alerts/{alert}/resolve", tag = "alerts", request_body = Option<AlertNote>,
    params(("alert" = String, Path, description = "Id, or a unique beginning or end of one.")),
    responses((status = 200, description = "The alert as it is now.", body = Alert)),
)]
async fn resolve_alert(
    State(context): State<Context>,
    By(by): By,
    Path(alert): Path<String>,
    OptionalJson(note): OptionalJson<AlertNote>,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(alerts::handle(&context, &by, &alert, Deed::Resolve, note).await?))
}

/// Add words to an alert
#[utoipa::path(
    post, path = "/v1/alerts/{alert}/comments", tag = "alerts", request_body = AlertNote,
    params(("alert" = String, Path, description = "Id, or a unique beginning or end of one.")),
    responses((status = 200, description = "The alert as it is now.", body = Alert)),
)]
async fn comment_alert(
    State(context): State<Context>,
    By(by): By,
    Path(alert): Path<String>,
    extract::Json(note): extract::Json<AlertNote>,
) -> Result<Json<Alert>, ApiError> {
    Ok(Json(alerts::handle(&context, &by, &alert, Deed::Comment, note).await?))
}
