//! For monitoring systems and for people reading the documentation: liveness, readiness, Prometheus, the
//! OpenAPI document and the page that shows it.
//!
//! The page is Scalar. The crate's own template loads the script from a public CDN; ours loads it from the
//! daemon, because neither a server nor the browser behind `ssh -L` may have a way out.

use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
};
use capsule_api::PrometheusTargets;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, error::ApiError, extract::Query};
use crate::usecases::{exposition, overview, xnodes};

/// The port of Prometheus' node exporter.
const NODE_EXPORTER: u16 = 9_100;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_healthz))
        .routes(routes!(get_readyz))
        .routes(routes!(get_prometheus_metrics))
        .routes(routes!(get_prometheus_targets))
        .routes(routes!(get_openapi))
        .routes(routes!(get_docs))
        .routes(routes!(get_docs_script))
}

/// Whether the daemon answers
#[utoipa::path(
    get, path = "/healthz", tag = "monitoring",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")),
)]
async fn get_healthz() -> &'static str {
    "ok\n"
}

/// Whether the daemon can read its state
#[utoipa::path(
    get, path = "/readyz", tag = "monitoring",
    responses(
        (status = 200, description = "It can.", body = String, content_type = "text/plain"),
        (status = 503, description = "It cannot.", body = capsule_api::Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    if overview::is_ready(&api.context).await { Ok("ready\n") } else { Err(ApiError::NotReady) }
}

/// The daemon's own metrics
///
/// The fleet, its checks and resources, and the daemon itself, in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "monitoring",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")),
)]
async fn get_prometheus_metrics(State(api): State<Api>) -> Result<impl IntoResponse, ApiError> {
    let text = exposition::render(&api.context).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// Which port Prometheus should ask.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TargetParams {
    /// TCP port of the exporter, default 9100.
    port: Option<u16>,
}

/// Targets for Prometheus
///
/// Every running xNode in the form of Prometheus' HTTP service discovery.
#[utoipa::path(
    get, path = "/v1/sd/prometheus", tag = "monitoring", params(TargetParams),
    responses((status = 200, description = "One group for each xNode.", body = Vec<PrometheusTargets>)),
)]
async fn get_prometheus_targets(
    State(api): State<Api>,
    Query(params): Query<TargetParams>,
) -> Result<axum::Json<Vec<PrometheusTargets>>, ApiError> {
    let port = params.port.unwrap_or(NODE_EXPORTER);
    Ok(axum::Json(xnodes::prometheus_targets(&api.context, port).await?))
}

/// This document
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "monitoring",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)),
)]
async fn get_openapi(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.document.to_string())
}

/// This document as a page
#[utoipa::path(
    get, path = "/docs", tag = "monitoring",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
)]
async fn get_docs(State(api): State<Api>) -> Response {
    // The script is asked for without a Referer, which we refuse, and nothing is loaded from elsewhere.
    let headers = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"),
    ];
    (headers, Html(api.page.to_string())).into_response()
}

/// The script of the page
#[utoipa::path(
    get, path = "/docs/scalar.js", tag = "monitoring",
    responses((status = 200, description = "The script.", body = String, content_type = "text/javascript")),
)]
async fn get_docs_script() -> Response {
    // Every browser takes gzip, and nothing else has a use for the script.
    let headers = [(header::CONTENT_TYPE, "text/javascript"), (header::CONTENT_ENCODING, "gzip")];
    (headers, super::page::SCRIPT_GZIP).into_response()
}
