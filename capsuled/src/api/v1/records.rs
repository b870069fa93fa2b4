//! The inventory on its way to and from other programs.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use capsule_api::{
    ExportFormat, ExportQuery, ImportReport, ImportRequest, MigrationReport, MigrationRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, Query},
    },
    context::Context,
    usecases::{migration, xnodes},
};

/// Where imports and migrations go; their bodies may be larger than others.
pub(in crate::api) const IMPORT: &str = "/v1/inventory/import";
pub(in crate::api) const MIGRATION: &str = "/v1/migrations";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_inventory_export))
        .routes(routes!(import_inventory))
        .routes(routes!(migrate_directory))
}

/// The inventory for other programs
///
/// As CSV that can be imported again, JSON, an Ansible dynamic inventory, an OpenSSH configuration, or targets
/// for Prometheus.
#[utoipa::path(
    get, path = "/v1/inventory/export", tag = "xnodes", params(ExportQuery),
    responses((status = 200, description = "The inventory.", body = String, content_type = "text/plain")),
)]
async fn get_inventory_export(
    State(context): State<Context>,
    By(by): By,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let content_type = match query.format.unwrap_or(ExportFormat::Csv) {
        ExportFormat::Csv => "text/csv; charset=utf-8",
        ExportFormat::SshConfig => "text/plain; charset=utf-8",
        ExportFormat::Json | ExportFormat::Ansible | ExportFormat::Prometheus => "application/json",
    };
    let text = xnodes::export(&context, &by, &query).await?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// Take over an inventory
///
/// From CSV, a Terraform state or an OpenSSH configuration. All of it or nothing: with anything wrong in the file
/// nothing is changed, and every fault is named with row or line and field.
#[utoipa::path(
    post, path = "/v1/inventory/import", tag = "xnodes", request_body = ImportRequest,
    responses((status = 200, description = "What it did.", body = ImportReport)),
)]
async fn import_inventory(
    State(context): State<Context>,
    By(by): By,
    extract::Json(request): extract::Json<ImportRequest>,
) -> Result<Json<ImportReport>, ApiError> {
    Ok(Json(xnodes::import(&context, &by, request).await?))
}

/// Take over a directory of the earlier Capsule
///
/// Inventory, history, credentials, settings and channels in one transaction; what is there already is never
/// overwritten. With anything wrong in any file nothing is changed, and every fault is named with file, line and
/// field. Credentials are not tried: the next call with each says whether it works.
#[utoipa::path(
    post, path = "/v1/migrations", tag = "xnodes", request_body = MigrationRequest,
    responses((status = 200, description = "What was taken, and what was left.", body = MigrationReport)),
)]
async fn migrate_directory(
    State(context): State<Context>,
    By(by): By,
    extract::Json(request): extract::Json<MigrationRequest>,
) -> Result<Json<MigrationReport>, ApiError> {
    Ok(Json(migration::migrate(&context, &by, request).await?))
}
