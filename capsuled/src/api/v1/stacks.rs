//! Stacks and sprouts.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use capsule_api::{Page, Sprout, Stack, StackCreate, StacksAdded};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, Path},
        respond::{deleted, made, whole},
    },
    context::Context,
    usecases::profiles::stacks,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_stacks, create_stacks))
        .routes(routes!(get_stack, delete_stack))
        .routes(routes!(list_sprouts))
}

/// List stacks
///
/// All of them, and whether the caller's active profile has them.
#[utoipa::path(
    get, path = "/v1/stacks", tag = "profiles",
    responses((status = 200, description = "The stacks.", body = Page<Stack>)),
)]
async fn list_stacks(State(context): State<Context>, By(by): By) -> Result<Json<Page<Stack>>, ApiError> {
    Ok(whole(stacks::list(&context, &by).await?))
}

/// Add stacks of one's own
///
/// All of the file or none.
#[utoipa::path(
    post, path = "/v1/stacks", tag = "profiles", request_body = StackCreate,
    responses((status = 201, description = "The stacks that were added.", body = StacksAdded)),
)]
async fn create_stacks(
    State(context): State<Context>,
    By(by): By,
    extract::Json(new): extract::Json<StackCreate>,
) -> Result<Response, ApiError> {
    Ok(made("/v1/stacks", &stacks::create(&context, &by, new).await?))
}

/// One stack
#[utoipa::path(
    get, path = "/v1/stacks/{stack}", tag = "profiles",
    params(("stack" = String, Path, description = "The stack's name.")),
    responses((status = 200, description = "The stack.", body = Stack)),
)]
async fn get_stack(
    State(context): State<Context>,
    By(by): By,
    Path(stack): Path<String>,
) -> Result<Json<Stack>, ApiError> {
    Ok(Json(stacks::get(&context, &by, &stack).await?))
}

/// Remove a stack of one's own
///
/// Refused while profiles or other stacks name it.
#[utoipa::path(
    delete, path = "/v1/stacks/{stack}", tag = "profiles",
    params(("stack" = String, Path, description = "The stack's name.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn delete_stack(
    State(context): State<Context>,
    By(by): By,
    Path(stack): Path<String>,
) -> Result<StatusCode, ApiError> {
    stacks::delete(&context, &by, &stack).await?;
    Ok(deleted())
}

/// List sprouts
///
/// All of them, and whether the caller's active profile has them.
#[utoipa::path(
    get, path = "/v1/sprouts", tag = "profiles",
    responses((status = 200, description = "The sprouts.", body = Page<Sprout>)),
)]
async fn list_sprouts(State(context): State<Context>, By(by): By) -> Result<Json<Page<Sprout>>, ApiError> {
    Ok(whole(stacks::sprouts(&context, &by).await?))
}
