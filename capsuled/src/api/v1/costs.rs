//! What the fleet costs and has cost: report, history, numbers, discounts.

use axum::{Json, extract::State, http::StatusCode};
use capsule_api::{
    CostQuery, CostReport, Discount, DiscountScope, DiscountSet, HistoryCleanUp, HistoryCleaned,
    InventoryStats, Lifetime, LifetimeFilter, Page,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, Path, Query},
        respond::{deleted, listing, page, whole},
    },
    context::Context,
    usecases::costs,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_cost_report))
        .routes(routes!(list_history))
        .routes(routes!(clean_up_history))
        .routes(routes!(get_stats))
        .routes(routes!(list_discounts))
        .routes(routes!(set_discount, delete_discount))
}

/// What the fleet costs
///
/// The present rate, the month so far from price intervals, its forecast, and where the money goes.
#[utoipa::path(
    get, path = "/v1/costs", tag = "costs", params(CostQuery),
    responses((status = 200, description = "The report.", body = CostReport)),
)]
async fn get_cost_report(
    State(context): State<Context>,
    Query(query): Query<CostQuery>,
) -> Result<Json<CostReport>, ApiError> {
    Ok(Json(costs::report(&context, &query).await?))
}

/// The xNodes that are and were
///
/// Newest first, with what each has cost.
#[utoipa::path(
    get, path = "/v1/history", tag = "costs", params(LifetimeFilter),
    responses((status = 200, description = "A page of lives.", body = Page<Lifetime>)),
)]
async fn list_history(
    State(context): State<Context>,
    Query(filter): Query<LifetimeFilter>,
) -> Result<Json<Page<Lifetime>>, ApiError> {
    let listing = listing(filter.limit, filter.cursor.as_deref())?;
    Ok(page(costs::history(&context, &filter, &listing).await?))
}

/// Forget xNodes that are long gone
///
/// With what they cost. With `dry_run` it says how many and forgets nothing.
#[utoipa::path(
    post, path = "/v1/history/clean-up", tag = "costs", request_body = HistoryCleanUp,
    responses((status = 200, description = "How many were forgotten.", body = HistoryCleaned)),
)]
async fn clean_up_history(
    State(context): State<Context>,
    By(by): By,
    extract::Json(what): extract::Json<HistoryCleanUp>,
) -> Result<Json<HistoryCleaned>, ApiError> {
    Ok(Json(costs::clean_up_history(&context, &by, what).await?))
}

/// Numbers about the inventory
#[utoipa::path(
    get, path = "/v1/stats", tag = "costs",
    responses((status = 200, description = "The numbers.", body = InventoryStats)),
)]
async fn get_stats(State(context): State<Context>) -> Result<Json<InventoryStats>, ApiError> {
    Ok(Json(costs::stats(&context).await?))
}

/// Own discounts
///
/// All of them, by scope and name.
#[utoipa::path(
    get, path = "/v1/discounts", tag = "costs",
    responses((status = 200, description = "The discounts.", body = Page<Discount>)),
)]
async fn list_discounts(State(context): State<Context>) -> Result<Json<Page<Discount>>, ApiError> {
    Ok(whole(costs::discounts(&context).await?))
}

/// Set a discount
///
/// It is taken off in reports, also of the past where it is valid there.
#[utoipa::path(
    put, path = "/v1/discounts/{scope}/{name}", tag = "costs", request_body = DiscountSet,
    params(
        ("scope" = DiscountScope, Path, description = "What it applies to."),
        ("name" = String, Path, description = "Provider label, account name or tag."),
    ),
    responses((status = 200, description = "The discount as stored.", body = Discount)),
)]
async fn set_discount(
    State(context): State<Context>,
    By(by): By,
    Path((scope, name)): Path<(DiscountScope, String)>,
    extract::Json(set): extract::Json<DiscountSet>,
) -> Result<Json<Discount>, ApiError> {
    Ok(Json(costs::set_discount(&context, &by, scope, name, set).await?))
}

/// Remove a discount
#[utoipa::path(
    delete, path = "/v1/discounts/{scope}/{name}", tag = "costs",
    params(
        ("scope" = DiscountScope, Path, description = "What it applies to."),
        ("name" = String, Path, description = "Provider label, account name or tag."),
    ),
    responses((status = 204, description = "It is gone.")),
)]
async fn delete_discount(
    State(context): State<Context>,
    By(by): By,
    Path((scope, name)): Path<(DiscountScope, String)>,
) -> Result<StatusCode, ApiError> {
    costs::delete_discount(&context, &by, scope, name).await?;
    Ok(deleted())
}
