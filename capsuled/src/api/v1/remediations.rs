//! Remediations and their runs.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use capsule_api::{
    Page, Remediation, RemediationCreate, RemediationPatch, RemediationRun, RemediationRunFilter,
    RemediationTest, RemediationTry,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, IfMatch, OptionalJson, Path, Query},
        respond::{created, deleted, listing, page, tagged, whole},
    },
    context::Context,
    usecases::remediation,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_remediations, create_remediation))
        .routes(routes!(get_remediation, update_remediation, delete_remediation))
        .routes(routes!(test_remediation))
        .routes(routes!(list_remediation_runs))
}

/// List remediations
///
/// All of them, by name.
#[utoipa::path(
    get, path = "/v1/remediations", tag = "remediations",
    responses((status = 200, description = "The remediations.", body = Page<Remediation>)),
)]
async fn list_remediations(
    State(context): State<Context>,
    By(by): By,
) -> Result<Json<Page<Remediation>>, ApiError> {
    Ok(whole(remediation::list(&context, &by).await?))
}

/// Add a remediation
///
/// Off and in the mode `dry_run` unless said otherwise. One with a command needs the role `admin`.
#[utoipa::path(
    post, path = "/v1/remediations", tag = "remediations", request_body = RemediationCreate,
    responses((
        status = 201, description = "The remediation as stored.", body = Remediation,
        headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its revision.")),
    )),
)]
async fn create_remediation(
    State(context): State<Context>,
    By(by): By,
    extract::Json(new): extract::Json<RemediationCreate>,
) -> Result<Response, ApiError> {
    let made = remediation::create(&context, &by, new).await?;
    Ok(created(&format!("/v1/remediations/{}", made.name), made.revision, &made))
}

/// One remediation
#[utoipa::path(
    get, path = "/v1/remediations/{remediation}", tag = "remediations",
    params(("remediation" = String, Path, description = "The remediation's name.")),
    responses((
        status = 200, description = "The remediation.", body = Remediation,
        headers(("ETag" = String, description = "Its revision.")),
    )),
)]
async fn get_remediation(
    State(context): State<Context>,
    By(by): By,
    Path(remediation): Path<String>,
) -> Result<Response, ApiError> {
    let found = remediation::get(&context, &by, &remediation).await?;
    Ok(tagged(found.revision, &found))
}

/// Change a remediation
///
/// One with a command may be switched off by the role `operator`; every other change of it needs `admin`.
#[utoipa::path(
    patch, path = "/v1/remediations/{remediation}", tag = "remediations", request_body = RemediationPatch,
    params(("remediation" = String, Path, description = "The remediation's name.")),
    responses((
        status = 200, description = "The remediation as it is now.", body = Remediation,
        headers(("ETag" = String, description = "Its new revision.")),
    )),
)]
async fn update_remediation(
    State(context): State<Context>,
    By(by): By,
    Path(remediation): Path<String>,
    IfMatch(expected): IfMatch,
    extract::Json(patch): extract::Json<RemediationPatch>,
) -> Result<Response, ApiError> {
    let changed = remediation::update(&context, &by, &remediation, expected, patch).await?;
    Ok(tagged(changed.revision, &changed))
}

/// Remove a remediation
///
/// What it has done stays in the list of runs.
#[utoipa::path(
    delete, path = "/v1/remediations/{remediation}", tag = "remediations",
    params(("remediation" = String, Path, description = "The remediation's name.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn delete_remediation(
    State(context): State<Context>,
    By(by): By,
    Path(remediation): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    remediation::delete(&context, &by, &remediation, expected).await?;
    Ok(deleted())
}

/// What a remediation would do now
///
/// Nothing is done, and it does not matter whether the remediation is enabled.
#[utoipa::path(
    post, path = "/v1/remediations/{remediation}/test", tag = "remediations",
    request_body = Option<RemediationTry>,
    params(("remediation" = String, Path, description = "The remediation's name.")),
    responses((status = 200, description = "What would be done, and what would hold it back.", body = RemediationTest)),
)]
async fn test_remediation(
    State(context): State<Context>,
    Path(remediation): Path<String>,
    OptionalJson(on): OptionalJson<RemediationTry>,
) -> Result<Json<RemediationTest>, ApiError> {
    Ok(Json(remediation::test(&context, &remediation, &on).await?))
}

/// List runs of remediations
///
/// What was done and what was held back, also by remediations that were removed; newest first.
#[utoipa::path(
    get, path = "/v1/remediation-runs", tag = "remediations", params(RemediationRunFilter),
    responses((status = 200, description = "A page of runs.", body = Page<RemediationRun>)),
)]
async fn list_remediation_runs(
    State(context): State<Context>,
    By(by): By,
    Query(filter): Query<RemediationRunFilter>,
) -> Result<Json<Page<RemediationRun>>, ApiError> {
    let listing = listing(filter.limit, filter.cursor.as_deref())?;
    Ok(page(remediation::runs(&context, &by, &filter, &listing).await?))
}
