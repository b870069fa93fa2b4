//! Profiles: the caller's own, and the built-in ones.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use capsule_api::{
    ActiveProfileSet, Page, Profile, ProfileChange, ProfileCreate, ProfileDiff, ProfileDiffQuery,
    ProfilePatch, ProfilePreview, ProfileVersion,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::ApiError,
        extract::{self, By, IfMatch, Path, Query},
        respond::{created, deleted, tagged, whole},
    },
    context::Context,
    usecases::profiles,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_profiles, create_profile))
        .routes(routes!(get_profile, update_profile, delete_profile))
        .routes(routes!(list_profile_versions))
        .routes(routes!(get_profile_diff))
        .routes(routes!(get_profile_preview))
        .routes(routes!(get_active_profile, set_active_profile))
}

/// List profiles
///
/// The caller's own, and the built-in ones, by name.
#[utoipa::path(
    get, path = "/v1/profiles", tag = "profiles",
    responses((status = 200, description = "The profiles.", body = Page<Profile>)),
)]
async fn list_profiles(State(context): State<Context>, By(by): By) -> Result<Json<Page<Profile>>, ApiError> {
    Ok(whole(profiles::list(&context, &by).await?))
}

/// Make a profile
///
/// Empty, or a copy of another.
#[utoipa::path(
    post, path = "/v1/profiles", tag = "profiles", request_body = ProfileCreate,
    responses((
        status = 201, description = "The profile as stored.", body = Profile,
        headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its revision.")),
    )),
)]
async fn create_profile(
    State(context): State<Context>,
    By(by): By,
    extract::Json(new): extract::Json<ProfileCreate>,
) -> Result<Response, ApiError> {
    let profile = profiles::create(&context, &by, new).await?;
    Ok(created(&format!("/v1/profiles/{}", profile.name), profile.revision, &profile))
}

/// One profile
///
/// With what it comes to.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}", tag = "profiles",
    params(("profile" = String, Path, description = "The profile's name.")),
    responses((
        status = 200, description = "The profile.", body = Profile,
        headers(("ETag" = String, description = "Its revision.")),
    )),
)]
async fn get_profile(
    State(context): State<Context>,
    By(by): By,
    Path(profile): Path<String>,
) -> Result<Response, ApiError> {
    let profile = profiles::get(&context, &by, &profile).await?;
    Ok(tagged(profile.revision, &profile))
}

/// Change a profile
///
/// A change to a built-in one makes a copy of the caller's own under the same name.
#[utoipa::path(
    patch, path = "/v1/profiles/{profile}", tag = "profiles", request_body = ProfilePatch,
    params(("profile" = String, Path, description = "The profile's name.")),
    responses((
        status = 200, description = "The profile as it is now, and what came along.", body = ProfileChange,
        headers(("ETag" = String, description = "Its new revision.")),
    )),
)]
async fn update_profile(
    State(context): State<Context>,
    By(by): By,
    Path(profile): Path<String>,
    IfMatch(expected): IfMatch,
    extract::Json(patch): extract::Json<ProfilePatch>,
) -> Result<Response, ApiError> {
    let change = profiles::update(&context, &by, &profile, expected, patch).await?;
    Ok(tagged(change.profile.revision, &change))
}

/// Remove a profile
///
/// With its versions. One that stood in for a built-in profile gives that back.
#[utoipa::path(
    delete, path = "/v1/profiles/{profile}", tag = "profiles",
    params(("profile" = String, Path, description = "The profile's name.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn delete_profile(
    State(context): State<Context>,
    By(by): By,
    Path(profile): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    profiles::delete(&context, &by, &profile, expected).await?;
    Ok(deleted())
}

/// A profile's history
///
/// Newest first: the newest 500 versions and the first. A built-in profile has none.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}/versions", tag = "profiles",
    params(("profile" = String, Path, description = "The profile's name.")),
    responses((status = 200, description = "The versions.", body = Page<ProfileVersion>)),
)]
async fn list_profile_versions(
    State(context): State<Context>,
    By(by): By,
    Path(profile): Path<String>,
) -> Result<Json<Page<ProfileVersion>>, ApiError> {
    Ok(whole(profiles::versions(&context, &by, &profile).await?))
}

/// What differs
///
/// Between two versions of a profile, or between it and another.
#[utoipa::path(
    get, path = "/v1/profiles/{profile}/diff", tag = "profiles",
    params(("profile" = String, Path, description = "The profile's name."), ProfileDiffQuery),
    responses((status = 200, description = "What differs.", body = ProfileDiff)),
)]
async fn get_profile_diff(
    State(context): State<Context>,
    By(by): By,
    Path(profile): Path<String>,
    Query(query): Query<ProfileDiffQuery>,
) -> Result<Json<ProfileDiff>, ApiError> {
    Ok(Json(profiles::diff(&context, &by, &profile, query).await?))
}

/// The expression that is installed for a profile
#[utoipa::path(
    get, path = "/v1/profiles/{profile}/preview", tag = "profiles",
    params(("profile" = String, Path, description = "The profile's name.")),
    responses((status = 200, description = "The expression.", body = ProfilePreview)),
)]
async fn get_profile_preview(
    State(context): State<Context>,
    By(by): By,
    Path(profile): Path<String>,
) -> Result<Json<ProfilePreview>, ApiError> {
    Ok(Json(profiles::preview(&context, &by, &profile).await?))
}

/// The caller's active profile
///
/// `minimal` for a caller who has not chosen one.
#[utoipa::path(
    get, path = "/v1/active-profile", tag = "profiles",
    responses((
        status = 200, description = "The profile.", body = Profile,
        headers(("ETag" = String, description = "Its revision.")),
    )),
)]
async fn get_active_profile(State(context): State<Context>, By(by): By) -> Result<Response, ApiError> {
    let profile = profiles::active(&context, &by).await?;
    Ok(tagged(profile.revision, &profile))
}

/// Make a profile the caller's active one
#[utoipa::path(
    put, path = "/v1/active-profile", tag = "profiles", request_body = ActiveProfileSet,
    responses((status = 200, description = "The profile.", body = Profile)),
)]
async fn set_active_profile(
    State(context): State<Context>,
    By(by): By,
    extract::Json(set): extract::Json<ActiveProfileSet>,
) -> Result<Json<Profile>, ApiError> {
    Ok(Json(profiles::set_active(&context, &by, set.name).await?))
}
