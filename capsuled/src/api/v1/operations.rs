//! Operations: long work.

use std::time::Duration;

use axum::{Json, extract::State};
use capsule_api::{Operation, OperationId, Page, PageParams, WaitParams};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{By, Path, Query, wait_time},
        respond::{listing, page},
    },
    context::Context,
    usecases::operations,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_operations))
        .routes(routes!(get_operation))
        .routes(routes!(cancel_operation))
}

/// List operations
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/operations", tag = "operations", params(PageParams),
    responses((status = 200, description = "A page of operations.", body = Page<Operation>)),
)]
async fn list_operations(
    State(context): State<Context>,
    Query(params): Query<PageParams>,
) -> Result<Json<Page<Operation>>, ApiError> {
    let listing = listing(params.limit, params.cursor.as_deref())?;
    Ok(page(operations::list(&context, &listing).await?))
}

/// One operation
///
/// With `wait`, as soon as it has ended or the time is over.
#[utoipa::path(
    get, path = "/v1/operations/{operation}", tag = "operations",
    params(("operation" = OperationId, Path, description = "The operation's id."), WaitParams),
    responses((status = 200, description = "The operation.", body = Operation)),
)]
async fn get_operation(
    State(api): State<Api>,
    Path(operation): Path<OperationId>,
    Query(params): Query<WaitParams>,
) -> Result<Json<Operation>, ApiError> {
    let wait = params.wait.as_deref().map(wait_time).transpose()?.unwrap_or_default();
    let waited = operations::get(&api.context, operation, wait);
    let operation = match api.stop.run_until_cancelled(waited).await {
        Some(waited) => waited?,
        // The daemon is stopping: as it is now.
        None => operations::get(&api.context, operation, Duration::ZERO).await?,
    };
    Ok(Json(operation))
}

/// Ask an operation to stop
#[utoipa::path(
    post, path = "/v1/operations/{operation}/cancel", tag = "operations",
    params(("operation" = OperationId, Path, description = "The operation's id.")),
    responses((status = 200, description = "The operation as it is now.", body = Operation)),
)]
async fn cancel_operation(
    State(context): State<Context>,
    By(by): By,
    Path(operation): Path<OperationId>,
) -> Result<Json<Operation>, ApiError> {
    Ok(Json(operations::cancel(&context, &by, operation).await?))
}
