//! Providers, the accounts there, and what they really have.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use capsule_api::{
    Account, AccountCreate, AccountInstance, AccountPatch, InstanceFilter, InstanceList, Page,
    ProviderSummary,
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
    usecases::accounts,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_providers))
        .routes(routes!(get_provider))
        .routes(routes!(list_instances))
        .routes(routes!(get_instance))
        .routes(routes!(list_accounts, create_account))
        .routes(routes!(get_account, update_account, delete_account))
        .routes(routes!(prove_account))
}

/// List providers
///
/// What each sells, what its credential consists of, and the accounts there.
#[utoipa::path(
    get, path = "/v1/providers", tag = "providers",
    responses((status = 200, description = "The providers.", body = Page<ProviderSummary>)),
)]
async fn list_providers(State(context): State<Context>) -> Result<Json<Page<ProviderSummary>>, ApiError> {
    Ok(whole(accounts::providers(&context).await?))
}

/// One provider
#[utoipa::path(
    get, path = "/v1/providers/{provider}", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name.")),
    responses((status = 200, description = "The provider.", body = ProviderSummary)),
)]
async fn get_provider(
    State(context): State<Context>,
    Path(provider): Path<String>,
) -> Result<Json<ProviderSummary>, ApiError> {
    Ok(Json(accounts::provider(&context, &provider).await?))
}

/// List what a provider has
///
/// Asks the provider now, every account of it side by side. Instances that are not in the inventory are listed
/// too. An account that could not be asked is listed under `failures`.
#[utoipa::path(
    get, path = "/v1/providers/{provider}/instances", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name."), InstanceFilter),
    responses((status = 200, description = "The instances.", body = InstanceList)),
)]
async fn list_instances(
    State(context): State<Context>,
    By(by): By,
    Path(provider): Path<String>,
    Query(filter): Query<InstanceFilter>,
) -> Result<Json<InstanceList>, ApiError> {
    let provider = accounts::parse_provider(&provider)?;
    Ok(Json(accounts::instances(&context, &by, provider, &filter).await?))
}

/// One thing a provider has
///
/// Asks the provider now.
#[utoipa::path(
    get, path = "/v1/providers/{provider}/instances/{instance}", tag = "providers",
    params(
        ("provider" = String, Path, description = "The provider's name."),
        ("instance" = String, Path, description = "The provider's id, or `PLACE/ID` with the slash encoded."),
        InstanceFilter,
    ),
    responses((status = 200, description = "The instance.", body = AccountInstance)),
)]
async fn get_instance(
    State(context): State<Context>,
    By(by): By,
    Path((provider, instance)): Path<(String, String)>,
    Query(filter): Query<InstanceFilter>,
) -> Result<Json<AccountInstance>, ApiError> {
    let provider = accounts::parse_provider(&provider)?;
    Ok(Json(accounts::instance(&context, &by, provider, &filter, &instance).await?))
}

/// List accounts
///
/// All of them, by name, without their secrets.
#[utoipa::path(
    get, path = "/v1/accounts", tag = "providers",
    responses((status = 200, description = "The accounts.", body = Page<Account>)),
)]
async fn list_accounts(State(context): State<Context>) -> Result<Json<Page<Account>>, ApiError> {
    Ok(whole(accounts::list(&context).await?))
}

/// Add an account
///
/// The provider is asked first, by a call that costs nothing; what it refuses is not stored. Secret fields are
/// sealed and never shown again.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "providers", request_body = AccountCreate,
    responses((
        status = 201, description = "The account as stored.", body = Account,
        headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its revision.")),
    )),
)]
async fn create_account(
    State(context): State<Context>,
    By(by): By,
    extract::Json(new): extract::Json<AccountCreate>,
) -> Result<Response, ApiError> {
    let account = accounts::create(&context, &by, new).await?;
    Ok(created(&format!("/v1/accounts/{}", account.name), account.revision, &account))
}

/// One account
#[utoipa::path(
    get, path = "/v1/accounts/{account}", tag = "providers",
    params(("account" = String, Path, description = "The account's name.")),
    responses((
        status = 200, description = "The account.", body = Account,
        headers(("ETag" = String, description = "Its revision.")),
    )),
)]
async fn get_account(
    State(context): State<Context>,
    Path(account): Path<String>,
) -> Result<Response, ApiError> {
    let account = accounts::get(&context, &account).await?;
    Ok(tagged(account.revision, &account))
}

/// Change an account, for instance rotate its credential
///
/// The provider is asked first; what it refuses leaves the present credential in place.
#[utoipa::path(
    patch, path = "/v1/accounts/{account}", tag = "providers", request_body = AccountPatch,
    params(("account" = String, Path, description = "The account's name.")),
    responses((
        status = 200, description = "The account as it is now.", body = Account,
        headers(("ETag" = String, description = "Its new revision.")),
    )),
)]
async fn update_account(
    State(context): State<Context>,
    By(by): By,
    Path(account): Path<String>,
    IfMatch(expected): IfMatch,
    extract::Json(patch): extract::Json<AccountPatch>,
) -> Result<Response, ApiError> {
    let account = accounts::update(&context, &by, &account, expected, patch).await?;
    Ok(tagged(account.revision, &account))
}

/// Remove an account
///
/// With its credential. Refused while xNodes are billed to it.
#[utoipa::path(
    delete, path = "/v1/accounts/{account}", tag = "providers",
    params(("account" = String, Path, description = "The account's name.")),
    responses((status = 204, description = "It is gone.")),
)]
async fn delete_account(
    State(context): State<Context>,
    By(by): By,
    Path(account): Path<String>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    accounts::delete(&context, &by, &account, expected).await?;
    Ok(deleted())
}

/// Ask whether a credential still works
///
/// The account's `state` is the answer: `proved` or `refused`.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/prove", tag = "providers",
    params(("account" = String, Path, description = "The account's name.")),
    responses((status = 200, description = "The account as it is now.", body = Account)),
)]
async fn prove_account(
    State(context): State<Context>,
    By(by): By,
    Path(account): Path<String>,
) -> Result<Json<Account>, ApiError> {
    Ok(Json(accounts::prove(&context, &by, &account).await?))
}
