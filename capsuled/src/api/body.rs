//! Reads request bodies: whole, at most 1 MiB (an import: 16 MiB, a migration: 64), within 30 seconds.
//!
//! Done once before any handler, so that no handler can forget the bounds and the idempotency layer can
//! hash what was sent. A body that announces to be larger is refused before a byte of it is read.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request},
    http::header,
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::{
    error::ApiError,
    v1::{IMPORT, MIGRATION},
};

/// Largest body we read.
pub(super) const LARGEST: usize = 1024 * 1024;
/// Largest import: it is one transaction, so it comes in one request.
const LARGEST_IMPORT: usize = 16 * 1024 * 1024;
/// Largest migration: a day of readings of a hundred servers comes with it.
const LARGEST_MIGRATION: usize = 64 * 1024 * 1024;
/// How long a body may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The body of a request, read.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadBody(pub Bytes);

/// Reads the body and passes it on as an extension.
pub(super) async fn read(request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<usize>().ok());
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let limit = match path {
        Some(IMPORT) => LARGEST_IMPORT,
        Some(MIGRATION) => LARGEST_MIGRATION,
        _ => LARGEST,
    };
    if announced.is_some_and(|length| length > limit) {
        return Err(ApiError::BodyTooLarge { limit });
    }
    let bytes = if body.is_end_stream() { Bytes::new() } else { collect(body, limit, DEADLINE).await? };
    parts.extensions.insert(ReadBody(bytes));
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

async fn collect(body: Body, limit: usize, deadline: Duration) -> Result<Bytes, ApiError> {
    let whole = timeout(deadline, Limited::new(body, limit).collect()).await;
    match whole.map_err(|_| ApiError::BodyTooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge { limit }),
        Err(_) => Err(ApiError::BodyCut),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    fn chunk() -> Result<Bytes, std::io::Error> {
        Ok(Bytes::from_static(&[b'x'; 65_536]))
    }

    #[tokio::test]
    async fn a_body_that_does_not_say_how_long_it_is_is_read_up_to_the_bound() {
        let endless = Body::from_stream(stream::repeat_with(chunk));
        assert!(matches!(collect(endless, LARGEST, DEADLINE).await, Err(ApiError::BodyTooLarge { .. })));
        let fits = Body::from_stream(stream::repeat_with(chunk).take(16));
        assert_eq!(collect(fits, LARGEST, DEADLINE).await.expect("exactly 1 MiB").len(), LARGEST);
    }

    #[tokio::test]
    async fn a_body_that_stops_half_way_costs_one_deadline() {
        let stuck = Body::from_stream(stream::once(async { chunk() }).chain(stream::pending()));
        let deadline = Duration::from_millis(20);
        assert!(matches!(collect(stuck, LARGEST, deadline).await, Err(ApiError::BodyTooSlow)));
    }
}
