//! Who asks for a change.

use capsule_api::{RequestId, Role};

/// Who asks, what they may do and how their request is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The peer's user id.
    pub uid: u32,
    /// User name, or `uid N` without one; `capsuled` for ourselves.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The request.
    pub request_id: Option<RequestId>,
    /// Present when the caller wants a repeat of this request to change nothing.
    pub idempotency: Option<IdempotencyKey>,
}

impl Caller {
    /// The daemon itself.
    pub fn daemon() -> Self {
        Self { uid: 0, name: "capsuled".to_owned(), role: Role::Admin, request_id: None, idempotency: None }
    }
}

/// An `Idempotency-Key` with the hash of the request it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The header's value.
    pub name: String,
    /// Hash over method, path and body.
    pub fingerprint: String,
}
