//! What handlers take from a request, each with its refusals as problems: body, query, path, the caller,
//! `If-Match`, and how long to wait.

use std::time::Duration;

use axum::{
    extract::{FromRequest, FromRequestParts, Query as AxumQuery, Request, path::Path as AxumPath},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use capsule_api::RequestId;
use serde::de::DeserializeOwned;

use super::{body::ReadBody, error::ApiError, peer::Peer};
use crate::{
    model::{Caller, IdempotencyKey},
    usecases::Expected,
};

/// Longest wait for an operation.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A JSON body. Unknown fields, wrong types and wrong content types are refused.
pub(super) struct Json<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = request.extensions().get::<ReadBody>().cloned().unwrap_or_default();
        parse(request.headers(), &body.0).map(Self)
    }
}

/// A JSON body that may be left out.
pub(super) struct OptionalJson<T>(pub T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = request.extensions().get::<ReadBody>().cloned().unwrap_or_default();
        if body.0.is_empty() {
            return Ok(Self(T::default()));
        }
        parse(request.headers(), &body.0).map(Self)
    }
}

fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, ApiError> {
    if !headers.get(header::CONTENT_TYPE).is_some_and(is_json) {
        return Err(ApiError::UnsupportedMediaType);
    }
    // Serde would take an array for a struct, field by field.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::UnfitBody("it must be an object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ApiError::UnfitBody(error.to_string()),
        _ => ApiError::MalformedJson(error.to_string()),
    })
}

fn is_json(value: &HeaderValue) -> bool {
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The query string.
pub(super) struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        AxumQuery::try_from_uri(&parts.uri)
            .map(|AxumQuery(query)| Self(query))
            .map_err(|refusal| ApiError::UnfitQuery(refusal.body_text()))
    }
}

/// The variable parts of the path.
pub(super) struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        AxumPath::from_request_parts(parts, state)
            .await
            .map(|AxumPath(path)| Self(path))
            .map_err(|refusal| ApiError::UnfitPath(refusal.body_text()))
    }
}

/// Who asks.
pub(super) struct By(pub Caller);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Peer>().ok_or(ApiError::NoPeer)?;
        let role = peer.role.ok_or_else(|| ApiError::NoRole(peer.name.to_string()))?;
        Ok(Self(Caller {
            uid: peer.uid,
            name: peer.name.to_string(),
            role,
            request_id: parts.extensions.get::<RequestId>().copied(),
            idempotency: parts.extensions.get::<IdempotencyKey>().cloned(),
        }))
    }
}

/// The revisions a change may be made from, by `If-Match`; required.
pub(super) struct IfMatch(pub Expected);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Err(ApiError::IfMatchMissing);
        }
        let unfit = || ApiError::UnfitHeader { name: "If-Match", reason: "it must be visible ASCII" };
        let mut revisions = Vec::new();
        for value in values {
            for tag in value.to_str().map_err(|_| unfit())?.split(',').map(str::trim) {
                if tag == "*" {
                    return Ok(Self(Expected::Any));
                }
                // A tag that is not one of ours matches nothing, which is an answer and not a mistake.
                revisions.extend(revision_of(tag));
            }
        }
        Ok(Self(Expected::OneOf(revisions)))
    }
}

fn revision_of(tag: &str) -> Option<i64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// A time to wait such as `30s`, `500ms`, `1m` or a number of seconds; at most 60 seconds.
pub(super) fn wait_time(text: &str) -> Result<Duration, ApiError> {
    let unfit = || ApiError::UnfitQuery("wait must be a time such as `30s`, at most 60 seconds".to_owned());
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let number: u64 = digits.parse().map_err(|_| unfit())?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60).ok_or_else(unfit)?),
        _ => return Err(unfit()),
    };
    if time <= LONGEST_WAIT { Ok(time) } else { Err(unfit()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_times_of_at_most_a_minute() {
        for (text, ms) in [("30s", 30_000), ("500ms", 500), ("1m", 60_000), ("5", 5_000), ("0s", 0)] {
            assert_eq!(wait_time(text).expect(text), Duration::from_millis(ms));
        }
        for bad in
            ["", "s", "-1s", "61s", "2m", "1h", "1.5s", "99999999999999999999s", "18446744073709551615m"]
        {
            assert!(wait_time(bad).is_err(), "{bad} should be refused");
        }
    }

    #[test]
    fn only_our_own_tags_name_a_revision() {
        assert_eq!(revision_of("\"7\""), Some(7));
        for other in ["7", "W/\"7\"", "\"abc\"", "\"7"] {
            assert_eq!(revision_of(other), None, "{other}");
        }
    }
}
