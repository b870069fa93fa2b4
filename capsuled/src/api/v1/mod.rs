//! The handlers: extract, call a use case, respond. A handler's name is its operation id.

mod alerts;
mod channels;
mod costs;
mod deployments;
mod health;
mod metrics;
mod operations;
mod profiles;
mod providers;
mod reconcile;
mod records;
mod remediations;
mod remote;
mod server;
mod settings;
mod stacks;
mod templates;
mod xnodes;

use utoipa_axum::router::OpenApiRouter;

pub(super) use self::records::{IMPORT, MIGRATION};
use super::Api;

/// Everything under `/v1` that answers with JSON.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(server::routes())
        .merge(xnodes::routes())
        .merge(deployments::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(alerts::routes())
        .merge(channels::routes())
        .merge(settings::routes())
        .merge(templates::routes())
        .merge(costs::routes())
        .merge(records::routes())
        .merge(remediations::routes())
        .merge(remote::routes())
        .merge(operations::routes())
        .merge(providers::routes())
        .merge(reconcile::routes())
        .merge(profiles::routes())
        .merge(stacks::routes())
}
