//! The OpenAPI document: its front matter, and what every operation has in common so that no handler has to
//! repeat it.

use capsule_api::Problem;
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi as Document, PathItem, Ref, RefOr,
        ResponseBuilder, Type,
        path::{Operation, ParameterBuilder, ParameterIn},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Capsule",
        description = "The daemon that knows and watches your servers. HTTP/1.1 over a Unix socket:\n\n\
            ```\ncurl --unix-socket /run/capsule/capsule.sock http://capsule/v1/xnodes\n```\n\n\
            **Who may what** is decided by the peer credentials of the connection: members of the group \
            `capsule` read, those also in `capsule-operator` act, those also in `capsule-admin`, root and the \
            daemon's own user do everything.\n\n\
            **Errors** are `application/problem+json` (RFC 9457) with a stable `code`, a `hint` where there is \
            a way out, and the request id that the log has too.\n\n\
            **Lists** are `{\"items\": […], \"next_cursor\": …}`; pass `next_cursor` as `cursor` for the next \
            page.\n\n\
            **Shells and tunnels** answer 101: the connection becomes a stream, see there.\n\n\
            **Changes** to things with a `revision` need `If-Match` with the `ETag` that was read, or `*`. Any \
            POST may carry an `Idempotency-Key`: a repeat within 24 hours gets the first reply again. Unknown \
            fields are refused. A 2xx to a change means that it is on disk.\n\n\
            **Long work** answers 202 with an operation to watch: `GET /v1/operations/{id}?wait=30s`.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    servers((url = "http://capsule", description = "The daemon's Unix socket; the host name does not matter.")),
    tags(
        (name = "server", description = "The daemon itself: overview, audit, background tasks."),
        (name = "xnodes", description = "The inventory."),
        (name = "health", description = "Checks: what they say and said."),
        (name = "metrics", description = "Resource readings."),
        (name = "alerts", description = "Problems, open and over."),
        (name = "channels", description = "How people are told, and what became of each message."),
        (name = "remediations", description = "What is done by itself when an alert stays open."),
        (name = "costs", description = "What the fleet costs and has cost."),
        (name = "settings", description = "Intervals, thresholds, budgets, retention."),
        (name = "providers", description = "The clouds, the accounts there, and what they really have."),
        (name = "templates", description = "What providers sell, and what a deployment would choose."),
        (name = "deployments", description = "Servers at providers: made, switched, deleted."),
        (name = "reconcile", description = "What providers have and the inventory does not say."),
        (name = "remote", description = "Shells on xNodes and tunnels to them."),
        (name = "profiles", description = "Stacks, packages and the caller's profiles of them."),
        (name = "operations", description = "Long work."),
        (name = "events", description = "What changed, as it changes."),
        (name = "monitoring", description = "For monitoring systems, load balancers and people reading this."),
    ),
    components(schemas(Problem)),
)]
struct FrontMatter;

/// The document without its operations.
pub(super) fn front_matter() -> Document {
    FrontMatter::openapi()
}

/// Adds what every operation has in common.
pub(super) fn complete(document: &mut Document) {
    for item in document.paths.paths.values_mut() {
        let PathItem { get, put, post, delete, patch, .. } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            add_problem(operation);
        }
        post.iter_mut().filter(|post| !is_stream(post)).for_each(add_idempotency_key);
        let revisioned = patch.is_some();
        if revisioned {
            [patch, delete].into_iter().flatten().for_each(add_if_match);
        }
    }
}

/// Every operation may end in a problem.
fn add_problem(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let id = HeaderBuilder::new()
        .schema(Some(String::schema()))
        .description(Some("The request's id, as in the daemon's log."))
        .build();
    let response = ResponseBuilder::new()
        .description("It was not done; the problem says why.")
        .content("application/problem+json", content)
        .header("X-Request-Id", id)
        .build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(response));
}

/// Whether the answer is a stream, which cannot be given again.
fn is_stream(operation: &Operation) -> bool {
    operation.responses.responses.contains_key("101")
}

fn add_idempotency_key(operation: &mut Operation) {
    let schema =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).build();
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .schema(Some(schema))
        .description(Some(
            "1–255 visible ASCII characters. A repeat of the same request with the same key within 24 hours \
             changes nothing and gets the first reply with `Idempotent-Replayed: true`.",
        ))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(key));
}

fn add_if_match(operation: &mut Operation) {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    let tag = ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .required(utoipa::openapi::Required::True)
        .schema(Some(schema))
        .description(Some(
            "The `ETag` of the revision that the change was made from, or `*`. 412 when it has changed since, \
             428 when absent.",
        ))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(tag));
}
