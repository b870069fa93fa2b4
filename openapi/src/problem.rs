//! Errors as RFC 9457 `application/problem+json`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, for people (`title`, `detail`, `hint`) and for scripts (`code`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the code says more than a URI that nobody serves would.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line that is the same for every occurrence of the code.
    pub title: String,
    /// The HTTP status, repeated so that a stored problem is whole.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Stable word a script can match, such as `name_taken`.
    pub code: String,
    /// The way out, when we know it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// The id of the request, as in the `X-Request-Id` header and the daemon's log.
    pub request_id: String,
}
