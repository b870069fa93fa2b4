//! What providers have and the inventory does not say, and what is done about it.

use axum::{Json, extract::State, response::Response};
use capsule_api::{
    AccountSweep, AdoptRequest, Adopted, Finding, FindingFilter, FindingIgnore, Operation, Page,
    ReconcileRequest,
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
    usecases::reconcile,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(reconcile_accounts))
        .routes(routes!(list_sweeps))
        .routes(routes!(list_findings))
        .routes(routes!(get_finding))
        .routes(routes!(accept_finding))
        .routes(routes!(ignore_finding))
        .routes(routes!(adopt_instances))
}

/// Compare providers with the inventory
///
/// All accounts side by side. It finds and tells, and changes neither side. The operation's result has a line for each
/// account; one that cannot be read concludes nothing.
#[utoipa::path(
    post, path = "/v1/reconcile", tag = "reconcile", request_body = ReconcileRequest,
    responses((
        status = 202, description = "The operation to watch.", body = Operation,
        headers(("Location" = String, description = "Where the operation is.")),
    )),
)]
async fn reconcile_accounts(
    State(context): State<Context>,
    By(by): By,
    extract::OptionalJson(request): extract::OptionalJson<ReconcileRequest>,
) -> Result<Response, ApiError> {
    Ok(accepted(&reconcile::begin(&context, &by, &request).await?))
}

/// How comparing each account went
#[utoipa::path(
    get, path = "/v1/sweeps", tag = "reconcile",
    responses((status = 200, description = "Every account with its last comparison.", body = Page<AccountSweep>)),
)]
async fn list_sweeps(State(context): State<Context>) -> Result<Json<Page<AccountSweep>>, ApiError> {
    Ok(whole(reconcile::sweeps(&context).await?))
}

/// List findings
///
/// Newest first; open ones unless all are asked for.
#[utoipa::path(
    get, path = "/v1/findings", tag = "reconcile", params(FindingFilter),
    responses((status = 200, description = "A page of them.", body = Page<Finding>)),
)]
async fn list_findings(
    State(context): State<Context>,
    Query(filter): Query<FindingFilter>,
) -> Result<Json<Page<Finding>>, ApiError> {
    let listing = listing(filter.limit, filter.cursor.as_deref())?;
    Ok(page(reconcile::list(&context, &filter, &listing).await?))
}

/// One finding
#[utoipa::path(
    get, path = "/v1/findings/{finding}", tag = "reconcile",
    params(("finding" = String, Path, description = "Id, or a unique beginning or end of it.")),
    responses((status = 200, description = "The finding.", body = Finding)),
)]
async fn get_finding(
    State(context): State<Context>,
    Path(finding): Path<String>,
) -> Result<Json<Finding>, ApiError> {
    Ok(Json(reconcile::get(&context, &finding).await?))
}

/// Accept what the provider says
///
/// Asked of the provider now. A drift is written into the inventory; a ghost leaves it. Nothing changes at the provider.
/// 409 for an orphan, which is adopted instead, and when somebody else was first.
#[utoipa::path(
    post, path = "/v1/findings/{finding}/accept", tag = "reconcile",
    params(("finding" = String, Path, description = "Id, or a unique beginning or end of it.")),
    responses((status = 200, description = "The finding, which is over.", body = Finding)),
)]
async fn accept_finding(
    State(context): State<Context>,
    By(by): By,
    Path(finding): Path<String>,
) -> Result<Json<Finding>, ApiError> {
    Ok(Json(reconcile::accept(&context, &by, &finding).await?))
}

/// Let a finding stay
///
/// It raises no alert and is not listed until something else drifts.
#[utoipa::path(
    post, path = "/v1/findings/{finding}/ignore", tag = "reconcile", request_body = FindingIgnore,
    params(("finding" = String, Path, description = "Id, or a unique beginning or end of it.")),
    responses((status = 200, description = "The finding.", body = Finding)),
)]
async fn ignore_finding(
    State(context): State<Context>,
    By(by): By,
    Path(finding): Path<String>,
    extract::Json(request): extract::Json<FindingIgnore>,
) -> Result<Json<Finding>, ApiError> {
    Ok(Json(reconcile::ignore(&context, &by, &finding, request.ignored).await?))
}

/// Adopt servers
///
/// Takes servers that a provider has into the inventory, all of them or none. One that is there already stays as it is.
#[utoipa::path(
    post, path = "/v1/adopt", tag = "reconcile", request_body = AdoptRequest,
    responses((status = 200, description = "What became of each.", body = Page<Adopted>)),
)]
async fn adopt_instances(
    State(context): State<Context>,
    By(by): By,
    extract::Json(request): extract::Json<AdoptRequest>,
) -> Result<Json<Page<Adopted>>, ApiError> {
    Ok(whole(reconcile::adopt(&context, &by, request).await?))
}
