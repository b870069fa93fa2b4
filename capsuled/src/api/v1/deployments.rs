//! Servers at providers: made, switched, deleted.

use axum::{Json, extract::State, response::Response};
use capsule_api::{
    Deployment, DeploymentCreate, Leftover, Operation, OperationKind, Page, PageParams, PowerRequest,
    TerminateRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, Path, Query},
        respond::{accepted, listing, page, whole},
    },
    context::Context,
    usecases::{deployments, power},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_deployments, create_deployment))
        .routes(routes!(get_deployment))
        .routes(routes!(start_xnode))
        .routes(routes!(stop_xnode))
        .routes(routes!(restart_xnode))
        .routes(routes!(terminate_xnode))
        .routes(routes!(list_leftovers))
}

/// List deployments and deletions
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/deployments", tag = "deployments", params(PageParams),
    responses((status = 200, description = "A page of them, with every attempt.", body = Page<Deployment>)),
)]
async fn list_deployments(
    State(context): State<Context>,
    Query(params): Query<PageParams>,
) -> Result<Json<Page<Deployment>>, ApiError> {
    let listing = listing(params.limit, params.cursor.as_deref())?;
    Ok(page(deployments::list(&context, &listing).await?))
}

/// Deploy servers
///
/// Carries out the plan that was seen: the first offer that can be had. 409 `plan_changed` when prices or offers
/// are others now.
#[utoipa::path(
    post, path = "/v1/deployments", tag = "deployments", request_body = DeploymentCreate,
    responses((
        status = 202, description = "The operation; its result names the xNodes.", body = Operation,
        headers(("Location" = String, description = "Where to watch it.")),
    )),
)]
async fn create_deployment(
    State(context): State<Context>,
    By(by): By,
    extract::Json(request): extract::Json<DeploymentCreate>,
) -> Result<Response, ApiError> {
    Ok(accepted(&deployments::create(&context, &by, request).await?))
}

/// One deployment or deletion
#[utoipa::path(
    get, path = "/v1/deployments/{deployment}", tag = "deployments",
    params(("deployment" = String, Path, description = "Id, the name of the server (the newest of that name), or a unique beginning or end of an id.")),
    responses((status = 200, description = "How far it has come, with every attempt.", body = Deployment)),
)]
async fn get_deployment(
    State(context): State<Context>,
    Path(deployment): Path<String>,
) -> Result<Json<Deployment>, ApiError> {
    Ok(Json(deployments::get(&context, &deployment).await?))
}

/// Switch an xNode on
///
/// Done when its provider says that it runs.
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/start", tag = "deployments",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 202, description = "The operation.", body = Operation,
        headers(("Location" = String, description = "Where to watch it.")),
    )),
)]
async fn start_xnode(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
) -> Result<Response, ApiError> {
    Ok(accepted(&power::begin(&context, &by, &xnode, OperationKind::StartXNode, false).await?))
}

/// Switch an xNode off
///
/// Done when its provider says that it is off. Most providers go on billing it.
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/stop", tag = "deployments", request_body = PowerRequest,
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 202, description = "The operation.", body = Operation,
        headers(("Location" = String, description = "Where to watch it.")),
    )),
)]
async fn stop_xnode(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
    extract::Json(request): extract::Json<PowerRequest>,
) -> Result<Response, ApiError> {
    Ok(accepted(&power::begin(&context, &by, &xnode, OperationKind::StopXNode, request.force).await?))
}

/// Restart an xNode
///
/// Done when its provider says that it runs.
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/restart", tag = "deployments", request_body = PowerRequest,
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 202, description = "The operation.", body = Operation,
        headers(("Location" = String, description = "Where to watch it.")),
    )),
)]
async fn restart_xnode(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
    extract::Json(request): extract::Json<PowerRequest>,
) -> Result<Response, ApiError> {
    Ok(accepted(&power::begin(&context, &by, &xnode, OperationKind::RestartXNode, request.force).await?))
}

/// Delete an xNode at its provider
///
/// It leaves the inventory when the provider says that it is gone.
#[utoipa::path(
    post, path = "/v1/xnodes/{xnode}/terminate", tag = "deployments", request_body = TerminateRequest,
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((
        status = 202, description = "The operation.", body = Operation,
        headers(("Location" = String, description = "Where to watch it.")),
    )),
)]
async fn terminate_xnode(
    State(context): State<Context>,
    By(by): By,
    Path(xnode): Path<String>,
    extract::Json(request): extract::Json<TerminateRequest>,
) -> Result<Response, ApiError> {
    Ok(accepted(&power::terminate(&context, &by, &xnode, request).await?))
}

/// What would go on costing after a deletion
///
/// Asked of the provider now.
#[utoipa::path(
    get, path = "/v1/xnodes/{xnode}/leftovers", tag = "deployments",
    params(("xnode" = String, Path, description = "Id, unique name, or a unique beginning or end of an id.")),
    responses((status = 200, description = "Disks and addresses that outlive it.", body = Page<Leftover>)),
)]
async fn list_leftovers(
    State(context): State<Context>,
    Path(xnode): Path<String>,
) -> Result<Json<Page<Leftover>>, ApiError> {
    Ok(whole(power::leftovers(&context, &xnode).await?))
}
