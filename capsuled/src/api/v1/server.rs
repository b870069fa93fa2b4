//! The daemon itself: who it is, the fleet at a glance, background tasks, audit.

use axum::{Json, extract::State};
use capsule_api::{AuditEntry, Overview, Page, PageParams, ServerInfo, TaskStatus};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{By, Query},
        respond::{listing, page, whole},
    },
    context::Context,
    usecases::{audit, overview},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_server_info))
        .routes(routes!(get_overview))
        .routes(routes!(list_tasks))
        .routes(routes!(list_audit))
}

/// The daemon and what you may do
#[utoipa::path(get, path = "/v1", tag = "server", responses((status = 200, description = "Both.", body = ServerInfo)))]
async fn get_server_info(State(context): State<Context>, By(by): By) -> Json<ServerInfo> {
    Json(ServerInfo {
        api_version: "v1".to_owned(),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        role: by.role,
        user: by.name,
        state_dir: context.state_dir.display().to_string(),
        started_at: context.started_at,
    })
}

/// The fleet at a glance
#[utoipa::path(get, path = "/v1/overview", tag = "server", responses((status = 200, description = "Counts.", body = Overview)))]
async fn get_overview(State(context): State<Context>) -> Result<Json<Overview>, ApiError> {
    Ok(Json(overview::get(&context).await?))
}

/// Background tasks
#[utoipa::path(get, path = "/v1/tasks", tag = "server", responses((status = 200, description = "All of them, by name.", body = Page<TaskStatus>)))]
async fn list_tasks(State(context): State<Context>) -> Json<Page<TaskStatus>> {
    whole(context.tasks.list())
}

/// Who changed what
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/audit", tag = "server", params(PageParams),
    responses((status = 200, description = "A page of changes.", body = Page<AuditEntry>)),
)]
async fn list_audit(
    State(context): State<Context>,
    Query(params): Query<PageParams>,
) -> Result<Json<Page<AuditEntry>>, ApiError> {
    let listing = listing(params.limit, params.cursor.as_deref())?;
    Ok(page(audit::list(&context, &listing).await?))
}
