//! Settings, thresholds by tag, budgets.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use capsule_api::{
    Budget, BudgetScope, BudgetSet, Page, Settings, SettingsPatch, Tag, TagThresholds, ThresholdOverrides,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, IfMatch, Path},
        respond::{deleted, tagged, whole},
    },
    context::Context,
    usecases::settings,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_settings, update_settings))
        .routes(routes!(list_tag_thresholds))
        .routes(routes!(set_tag_thresholds, delete_tag_thresholds))
        .routes(routes!(list_budgets))
        .routes(routes!(set_budget, delete_budget))
}

/// How everything is watched
#[utoipa::path(
    get, path = "/v1/settings", tag = "settings",
    responses((
        status = 200, description = "The settings.", body = Settings,
        headers(("ETag" = String, description = "Their revision.")),
    )),
)]
async fn get_settings(State(context): State<Context>) -> Result<Response, ApiError> {
    let (settings, revision) = settings::get(&context).await?;
    Ok(tagged(revision, &settings))
}

/// Change how everything is watched
#[utoipa::path(
    patch, path = "/v1/settings", tag = "settings", request_body = SettingsPatch,
    responses((
        status = 200, description = "The settings as they are now.", body = Settings,
        headers(("ETag" = String, description = "Their new revision.")),
    )),
)]
async fn update_settings(
    State(context): State<Context>,
    By(by): By,
    IfMatch(expected): IfMatch,
    extract::Json(patch): extract::Json<SettingsPatch>,
) -> Result<Response, ApiError> {
    let (settings, revision) = settings::update(&context, &by, expected, patch).await?;
    Ok(tagged(revision, &settings))
}

/// Thresholds by tag
///
/// All of them, by tag.
#[utoipa::path(
    get, path = "/v1/thresholds", tag = "settings",
    responses((status = 200, description = "The thresholds.", body = Page<TagThresholds>)),
)]
async fn list_tag_thresholds(State(context): State<Context>) -> Result<Json<Page<TagThresholds>>, ApiError> {
    Ok(whole(settings::tag_thresholds(&context).await?))
}

/// Set the thresholds of a tag
#[utoipa::path(
    put, path = "/v1/thresholds/{tag}", tag = "settings", request_body = ThresholdOverrides,
    params(("tag" = Tag, Path, description = "The tag.")),
    responses((status = 200, description = "The thresholds as stored.", body = TagThresholds)),
)]
async fn set_tag_thresholds(
    State(context): State<Context>,
    By(by): By,
    Path(tag): Path<Tag>,
    extract::Json(overrides): extract::Json<ThresholdOverrides>,
) -> Result<Json<TagThresholds>, ApiError> {
    Ok(Json(settings::set_tag_thresholds(&context, &by, tag, overrides).await?))
}

/// Remove the thresholds of a tag
#[utoipa::path(
    delete, path = "/v1/thresholds/{tag}", tag = "settings",
    params(("tag" = Tag, Path, description = "The tag.")),
    responses((status = 204, description = "They are gone.")),
)]
async fn delete_tag_thresholds(
    State(context): State<Context>,
    By(by): By,
    Path(tag): Path<Tag>,
) -> Result<StatusCode, ApiError> {
    settings::delete_tag_thresholds(&context, &by, tag).await?;
    Ok(deleted())
}

/// Budgets
///
/// All of them, with what they cover costing now.
#[utoipa::path(
    get, path = "/v1/budgets", tag = "settings",
    responses((status = 200, description = "The budgets.", body = Page<Budget>)),
)]
async fn list_budgets(State(context): State<Context>) -> Result<Json<Page<Budget>>, ApiError> {
    Ok(whole(settings::budgets(&context).await?))
}

/// Set a budget
#[utoipa::path(
    put, path = "/v1/budgets/{scope}/{name}", tag = "settings", request_body = BudgetSet,
    params(
        ("scope" = BudgetScope, Path, description = "What it covers."),
        ("name" = String, Path, description = "Tag or provider label; `global` for everything."),
    ),
    responses((status = 200, description = "The budget as stored.", body = Budget)),
)]
async fn set_budget(
    State(context): State<Context>,
    By(by): By,
    Path((scope, name)): Path<(BudgetScope, String)>,
    extract::Json(set): extract::Json<BudgetSet>,
) -> Result<Json<Budget>, ApiError> {
    Ok(Json(settings::set_budget(&context, &by, scope, name, set).await?))
}

/// Remove a budget
#[utoipa::path(
    delete, path = "/v1/budgets/{scope}/{name}", tag = "settings",
    params(
        ("scope" = BudgetScope, Path, description = "What it covers."),
        ("name" = String, Path, description = "Tag or provider label; `global` for everything."),
    ),
    responses((status = 204, description = "It is gone; an alert about it ends.")),
)]
async fn delete_budget(
    State(context): State<Context>,
    By(by): By,
    Path((scope, name)): Path<(BudgetScope, String)>,
) -> Result<StatusCode, ApiError> {
    settings::delete_budget(&context, &by, scope, name).await?;
    Ok(deleted())
}
