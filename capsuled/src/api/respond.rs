//! How handlers answer: plain, with an `ETag`, created, accepted, gone; and pages with opaque cursors.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use capsule_api::{Operation, Page};
use serde::Serialize;

use super::error::ApiError;
use crate::usecases::{Listing, Slice};

const DEFAULT_ROWS: u32 = 100;
const MOST_ROWS: u32 = 1_000;

/// A thing with its revision as `ETag`.
pub(super) fn tagged<T: Serialize>(revision: i64, thing: &T) -> Response {
    let mut response = Json(thing).into_response();
    response.headers_mut().insert(header::ETAG, etag(revision));
    response
}

/// A new thing: 201, where it is and its `ETag`.
pub(super) fn created<T: Serialize>(location: &str, revision: i64, thing: &T) -> Response {
    let mut response = tagged(revision, thing);
    *response.status_mut() = StatusCode::CREATED;
    locate(&mut response, location);
    response
}

/// New things without a revision: 201 and where they are.
pub(super) fn made<T: Serialize>(location: &str, things: &T) -> Response {
    let mut response = (StatusCode::CREATED, Json(things)).into_response();
    locate(&mut response, location);
    response
}

/// Work that goes on: 202 and where to watch it.
pub(super) fn accepted(operation: &Operation) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(operation)).into_response();
    locate(&mut response, &format!("/v1/operations/{}", operation.id));
    response
}

/// The thing is gone: 204.
pub(super) fn deleted() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The tag of a revision.
pub(super) fn etag(revision: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("a number in quotes is visible ASCII")
}

fn locate(response: &mut Response, location: &str) {
    // Paths are made of ids and of names that are letters, digits and punctuation.
    if let Ok(value) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
}

/// Which rows to read, from `limit` and `cursor`.
pub(super) fn listing(limit: Option<u32>, cursor: Option<&str>) -> Result<Listing, ApiError> {
    let limit = limit.unwrap_or(DEFAULT_ROWS);
    if !(1..=MOST_ROWS).contains(&limit) {
        return Err(ApiError::UnfitQuery(format!("limit must be 1 to {MOST_ROWS}")));
    }
    let after = cursor.map(open_cursor).transpose()?;
    Ok(Listing { limit, after })
}

fn open_cursor(cursor: &str) -> Result<String, ApiError> {
    let key = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| ApiError::UnfitQuery("cursor must be a `next_cursor` of this list".to_owned()))
}

/// A page of rows.
pub(super) fn page<T>(slice: Slice<T>) -> Json<Page<T>> {
    let next_cursor = slice.next.map(|key| URL_SAFE_NO_PAD.encode(key));
    Json(Page { items: slice.items, next_cursor })
}

/// A list that always fits one page.
pub(super) fn whole<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next_cursor: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_carries_the_last_key_and_nothing_else_is_one() {
        let next = page(Slice { items: vec![1], next: Some("web-1".to_owned()) }).0.next_cursor;
        let listing = listing(Some(7), next.as_deref()).expect("our own cursor");
        assert_eq!((listing.limit, listing.after.as_deref()), (7, Some("web-1")));
        assert!(super::listing(None, Some("***")).is_err());
        assert!(super::listing(Some(0), None).is_err());
        assert!(super::listing(Some(1_001), None).is_err());
    }
}
