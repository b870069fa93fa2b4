//! The inventory.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use capsule_api::{Page, XNode, XNodeCreate, XNodeFilter, XNodePatch};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, IfMatch, Path, Query},
        respond::{created, deleted, listing, page, tagged},
    },
    context::Context,
    usecases::xnodes,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_xnodes, create_xnode)).routes(routes!(
        get_xnode,
        update_xnode,
        delete_xnode
    ))
}

/// List xNodes
///
/// By name.
#[utoipa::path(
    get, path = "/v1/xnodes", tag = "xnodes", params(XNodeFilter),
    responses((status = 200, description = "A page of xNodes.", body = Page<XNode>)),
)]
async fn list_xnodes(
    State(context): State<Context>,
    By(by): By,
    Query(filter): Query<XNodeFilter>,
) -> Result<Json<Page<XNode>>, ApiError> {
    let listing = listing(filter.limit, filter.cursor.as_deref())?;
    Ok(page(xnodes::list(&context, &by, &filter, &listing).await?))
}

/// Add an xNode
///
/// Probing begins at once.
#[utoipa::path(
    post, path = "/v1/xnodes", tag = "xnodes", request_body = XNodeCreate,
    responses((
        status = 201, description = "The xNode as stored.", body = XNode,
        headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its revision.")),
    )),
)]
async fn create_xnode(
    State(context): State<Context>,
    By(by): By,
    extract::Json(new): extract::Json<XNodeCreate>,
) -> Result<Response, ApiError> {
    let xnode = xnodes::create(&context, &by, new).await?;
    Ok(created(&format!("/v1/xnodes/{}", xnode.id), xnode.revision, &xnode))
}

/// One xNode
#[utoipa::path(
    get, path = "/v1/xnodes/{xnode}", tag = "xnodes",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 200, description = "The xNode.", body = XNode,
        headers(("ETag" = String, description = "Its revision.")),
    )),
)]
async fn get_xnode(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
) -> Result<Response, ApiError> {
    let xnode = xnodes::get(&context, &by, &xnode).await?;
    Ok(tagged(xnode.revision, &xnode))
}

/// Change an xNode
///
/// A check that keeps its name keeps its state and history.
#[utoipa::path(
    patch, path = "/v1/xnodes/{xnode}", tag = "xnodes", request_body = XNodePatch,
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 200, description = "The xNode as it is now.", body = XNode,
        headers(("ETag" = String, description = "Its new revision.")),
    )),
)]
async fn update_xnode(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
    IfMatch(expected): IfMatch,
    extract::Json(patch): extract::Json<XNodePatch>,
) -> Result<Response, ApiError> {
    let xnode = xnodes::update(&context, &by, &xnode, expected, patch).await?;
    Ok(tagged(xnode.revision, &xnode))
}

/// Remove an xNode
///
/// With its checks and history. Its open alerts end and are told so. Nothing happens to the server itself.
#[utoipa::path(
    delete, path = "/v1/xnodes/{xnode}", tag = "xnodes",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((status = 204, description = "It is no longer in the inventory.")),
)]
async fn delete_xnode(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    xnodes::delete(&context, &by, &xnode, expected).await?;
    Ok(deleted())
}
