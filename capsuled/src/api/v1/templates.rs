//! Templates, regions, plans, and the rate by which prices are compared.

use axum::{Json, extract::State, response::Response};
use capsule_api::{
    ExchangeRate, ExchangeRateSet, Operation, Page, Plan, PlanRequest, RefreshRequest, Region, RegionFilter,
    Template, TemplateFilter,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, Path, Query},
        respond::{accepted, whole},
    },
    context::Context,
    usecases::templates,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_templates))
        .routes(routes!(refresh_templates))
        .routes(routes!(get_template))
        .routes(routes!(list_template_equivalents))
        .routes(routes!(list_regions))
        .routes(routes!(plan_deployment))
        .routes(routes!(get_exchange_rate, set_exchange_rate))
}

/// List templates
///
/// All of them that fit, cheapest first unless `sort` says otherwise.
#[utoipa::path(
    get, path = "/v1/templates", tag = "templates", params(TemplateFilter),
    responses((status = 200, description = "The templates.", body = Page<Template>)),
)]
async fn list_templates(
    State(context): State<Context>,
    Query(filter): Query<TemplateFilter>,
) -> Result<Json<Page<Template>>, ApiError> {
    Ok(whole(templates::list(&context, &filter).await?))
}

/// Refresh templates
///
/// Replaces prices, stock and plans from the providers' own lists, all accounts side by side. The operation's
/// result has a line for each account; one that fails keeps its last good copy.
#[utoipa::path(
    post, path = "/v1/templates/refresh", tag = "templates", request_body = RefreshRequest,
    responses((
        status = 202, description = "The operation to watch.", body = Operation,
        headers(("Location" = String, description = "Where the operation is.")),
    )),
)]
async fn refresh_templates(
    State(context): State<Context>,
    By(by): By,
    extract::OptionalJson(request): extract::OptionalJson<RefreshRequest>,
) -> Result<Response, ApiError> {
    Ok(accepted(&templates::begin_refresh(&context, &by, &request).await?))
}

/// One template
#[utoipa::path(
    get, path = "/v1/templates/{template}", tag = "templates",
    params(("template" = String, Path, description = "Our id, or the provider's name of the size.")),
    responses((status = 200, description = "The template.", body = Template)),
)]
async fn get_template(
    State(context): State<Context>,
    Path(template): Path<String>,
) -> Result<Json<Template>, ApiError> {
    Ok(Json(templates::get(&context, &template).await?))
}

/// What comes nearest to a template elsewhere
///
/// At most five templates of other providers, nearest first.
#[utoipa::path(
    get, path = "/v1/templates/{template}/equivalents", tag = "templates",
    params(("template" = String, Path, description = "Our id, or the provider's name of the size.")),
    responses((status = 200, description = "The templates.", body = Page<Template>)),
)]
async fn list_template_equivalents(
    State(context): State<Context>,
    Path(template): Path<String>,
) -> Result<Json<Page<Template>>, ApiError> {
    Ok(whole(templates::equivalents(&context, &template).await?))
}

/// List regions
#[utoipa::path(
    get, path = "/v1/regions", tag = "templates", params(RegionFilter),
    responses((status = 200, description = "The regions, by provider.", body = Page<Region>)),
)]
async fn list_regions(
    State(context): State<Context>,
    Query(filter): Query<RegionFilter>,
) -> Result<Json<Page<Region>>, ApiError> {
    Ok(whole(templates::regions(&context, &filter).await?))
}

/// Plan a deployment
///
/// What would be chosen, cheapest first, and why the rest would not. Changes nothing.
#[utoipa::path(
    post, path = "/v1/plans", tag = "templates", request_body = PlanRequest,
    responses((status = 200, description = "The plan.", body = Plan)),
)]
async fn plan_deployment(
    State(context): State<Context>,
    extract::Json(request): extract::Json<PlanRequest>,
) -> Result<Json<Plan>, ApiError> {
    Ok(Json(templates::plan(&context, &request).await?))
}

/// What a euro is worth
#[utoipa::path(
    get, path = "/v1/exchange-rate", tag = "templates",
    responses((status = 200, description = "The rate.", body = ExchangeRate)),
)]
async fn get_exchange_rate(State(context): State<Context>) -> Result<Json<ExchangeRate>, ApiError> {
    Ok(Json(templates::rate(&context).await?))
}

/// Set what a euro is worth
///
/// For comparing prices only; nothing is billed through it.
#[utoipa::path(
    put, path = "/v1/exchange-rate", tag = "templates", request_body = ExchangeRateSet,
    responses((status = 200, description = "The rate as stored.", body = ExchangeRate)),
)]
async fn set_exchange_rate(
    State(context): State<Context>,
    By(by): By,
    extract::Json(set): extract::Json<ExchangeRateSet>,
) -> Result<Json<ExchangeRate>, ApiError> {
    Ok(Json(templates::set_rate(&context, &by, set).await?))
}
