//! Resource readings.

use axum::{Json, extract::State, response::Response};
use capsule_api::{HistoryFilter, Operation, Page, SeriesHistory, XNodeMetrics};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{By, Path, Query},
        respond::{accepted, whole},
    },
    context::Context,
    usecases::{metrics, operations},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_xnode_metrics))
        .routes(routes!(list_metrics_history))
        .routes(routes!(collect_xnode_metrics))
}

/// The newest reading of an xNode
#[utoipa::path(
    get, path = "/v1/xnodes/{xnode}/metrics", tag = "metrics",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((status = 200, description = "The reading, and why there is none.", body = XNodeMetrics)),
)]
async fn get_xnode_metrics(
    State(context): State<Context>,
    Path(xnode): Path<String>,
) -> Result<Json<XNodeMetrics>, ApiError> {
    Ok(Json(metrics::get(&context, &xnode).await?))
}

/// Earlier readings of an xNode
///
/// Series by series, oldest first. A series without values is left out.
#[utoipa::path(
    get, path = "/v1/xnodes/{xnode}/metrics/history", tag = "metrics",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id."), HistoryFilter),
    responses((status = 200, description = "All series.", body = Page<SeriesHistory>)),
)]
async fn list_metrics_history(
    State(context): State<Context>,
    Path(xnode): Path<String>,
    Query(filter): Query<HistoryFilter>,
) -> Result<Json<Page<SeriesHistory>>, ApiError> {
    Ok(whole(metrics::history(&context, &xnode, &filter).await?))
}

/// Read an xNode's resources now
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/metrics/collect", tag = "metrics",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 202, description = "The operation; its result is the reading.", body = Operation,
        headers(("Location" = String, description = "Where to watch it.")),
    )),
)]
async fn collect_xnode_metrics(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
) -> Result<Response, ApiError> {
    Ok(accepted(&operations::collect_metrics(&context, &by, &xnode).await?))
}
