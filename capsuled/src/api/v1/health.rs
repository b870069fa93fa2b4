//! Health: what checks say and said.

use axum::{Json, extract::State, response::Response};
use capsule_api::{HistoryFilter, Operation, Page, ProbePoint, XNodeFilter, XNodeHealth};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{By, Path, Query},
        respond::{accepted, listing, page, whole},
    },
    context::Context,
    usecases::{health, operations},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_xnode_health))
        .routes(routes!(get_xnode_health))
        .routes(routes!(list_probe_history))
        .routes(routes!(run_xnode_checks))
}

/// The health of every xNode
///
/// By name.
#[utoipa::path(
    get, path = "/v1/health", tag = "health", params(XNodeFilter),
    responses((status = 200, description = "A page of xNodes with their checks.", body = Page<XNodeHealth>)),
)]
async fn list_xnode_health(
    State(context): State<Context>,
    Query(filter): Query<XNodeFilter>,
) -> Result<Json<Page<XNodeHealth>>, ApiError> {
    let listing = listing(filter.limit, filter.cursor.as_deref())?;
    Ok(page(health::list(&context, &filter, &listing).await?))
}

/// The health of one xNode
#[utoipa::path(
    get, path = "/v1/xnodes/{xnode}/health", tag = "health",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((status = 200, description = "Check by check.", body = XNodeHealth)),
)]
async fn get_xnode_health(
    State(context): State<Context>,
    Path(xnode): Path<String>,
) -> Result<Json<XNodeHealth>, ApiError> {
    Ok(Json(health::get(&context, &xnode).await?))
}

/// What the checks of an xNode found
///
/// Check by check, oldest first. Results that are no longer kept one by one come as roll-ups; more points
/// than asked for are merged.
#[utoipa::path(
    get, path = "/v1/xnodes/{xnode}/health/history", tag = "health",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id."), HistoryFilter),
    responses((status = 200, description = "All points.", body = Page<ProbePoint>)),
)]
async fn list_probe_history(
    State(context): State<Context>,
    Path(xnode): Path<String>,
    Query(filter): Query<HistoryFilter>,
) -> Result<Json<Page<ProbePoint>>, ApiError> {
    Ok(whole(health::history(&context, &xnode, &filter).await?))
}

/// Probe every check of an xNode now
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/health/run", tag = "health",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 202, description = "The operation; its result is the xNode's health.", body = Operation,
        headers(("Location" = String, description = "Where to watch it.")),
    )),
)]
async fn run_xnode_checks(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
) -> Result<Response, ApiError> {
    Ok(accepted(&operations::run_checks(&context, &by, &xnode).await?))
}
