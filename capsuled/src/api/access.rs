//! Who may use which route. The rules are in [`crate::rules::access`]; here a request is matched to its
//! operation and its peer, and refused when the two do not fit.
//!
//! The table from route to operation is made from the OpenAPI document, so a route that is not documented
//! is refused: nothing can be served that nobody decided about.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, header, uri::Authority},
    middleware::Next,
    response::Response,
};
use utoipa::openapi::{OpenApi, PathItem};

use super::{error::ApiError, peer::Peer};
use crate::rules::access;

/// Names under which we answer; the client library's default and what people type behind `ssh -L`.
const OWN_HOSTS: [&str; 4] = ["localhost", "capsule", "capsuled", "127.0.0.1"];

/// One documented operation.
#[derive(Debug)]
struct Operation {
    id: String,
    /// The status of its success.
    success: Option<u16>,
}

/// Documented operations by path and method.
#[derive(Debug, Clone, Default)]
pub(super) struct Operations(Arc<HashMap<String, HashMap<Method, Operation>>>);

impl Operations {
    pub(super) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter();
        Self(Arc::new(paths.map(|(path, item)| (path.clone(), by_method(item))).collect()))
    }

    /// The status with which an operation succeeds.
    pub(super) fn success(&self, path: &str, method: &Method) -> Option<u16> {
        self.0.get(path)?.get(method)?.success
    }

    /// Every operation id.
    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<String> {
        self.0.values().flat_map(|methods| methods.values().map(|operation| operation.id.clone())).collect()
    }
}

fn by_method(item: &PathItem) -> HashMap<Method, Operation> {
    let operations = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    operations
        .into_iter()
        .filter_map(|(method, operation)| {
            let operation = operation.as_ref()?;
            let mut statuses = operation.responses.responses.keys().filter_map(|status| status.parse().ok());
            let success = statuses.find(|status: &u16| (200..300).contains(status));
            Some((method, Operation { id: operation.operation_id.clone()?, success }))
        })
        .collect()
}

/// Refuses what the peer may not do.
pub(super) async fn check(
    State(operations): State<Operations>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    refuse_web_pages(request.headers(), request.uri().authority())?;
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        // No route: the fallback answers 404.
        return Ok(next.run(request).await);
    };
    let Some(methods) = operations.0.get(path.as_str()) else {
        return Err(ApiError::NoRule(path.as_str().to_owned()));
    };
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some(operation) = methods.get(method) else {
        // Not this method: the router answers 405.
        return Ok(next.run(request).await);
    };
    let peer = request.extensions().get::<Peer>().ok_or(ApiError::NoPeer)?;
    permit(peer, &operation.id)?;
    Ok(next.run(request).await)
}

fn permit(peer: &Peer, operation: &str) -> Result<(), ApiError> {
    let needed = access::required_role(operation).ok_or_else(|| ApiError::NoRule(operation.to_owned()))?;
    let role = peer.role.ok_or_else(|| ApiError::NoRole(peer.name.to_string()))?;
    if role < needed {
        let user = peer.name.to_string();
        return Err(ApiError::RoleTooLow { operation: operation.to_owned(), needed, role, user });
    }
    Ok(())
}

/// A browser names the page that asks (`Origin`, `Referer`) or, after DNS rebinding, a host that is not
/// ours. Our clients do neither.
fn refuse_web_pages(headers: &HeaderMap, target: Option<&Authority>) -> Result<(), ApiError> {
    if headers.contains_key(header::ORIGIN) {
        return Err(ApiError::ForeignOrigin("Origin"));
    }
    if headers.contains_key(header::REFERER) {
        return Err(ApiError::ForeignOrigin("Referer"));
    }
    let host = match (target, headers.get(header::HOST)) {
        (Some(authority), _) => authority.host(),
        (None, Some(value)) => host_of(value.to_str().map_err(|_| ApiError::ForeignOrigin("Host"))?),
        (None, None) => "",
    };
    let ours = host.is_empty() || OWN_HOSTS.iter().any(|own| own.eq_ignore_ascii_case(host));
    if ours { Ok(()) } else { Err(ApiError::ForeignOrigin("Host")) }
}

/// The name without the port.
fn host_of(value: &str) -> &str {
    value.rsplit_once(':').map_or(value, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("header value"));
        }
        refuse_web_pages(&map, None).is_ok()
    }

    #[test]
    fn web_pages_and_foreign_hosts_are_refused() {
        assert!(asks(&[]));
        for host in ["localhost", "LOCALHOST:8080", "capsule", "capsuled", "", "127.0.0.1:80"] {
            assert!(asks(&[("host", host)]), "{host} should be accepted");
        }
        assert!(!asks(&[("host", "evil.example")]));
        assert!(!asks(&[("host", "localhost.evil.example:80")]));
        assert!(!asks(&[("host", "localhost"), ("origin", "http://localhost")]));
        assert!(!asks(&[("host", "localhost"), ("referer", "http://localhost/docs")]));
    }
}
