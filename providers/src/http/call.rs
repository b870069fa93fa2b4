//! One call before it is sent: method, path, query, headers, body, and whether it may be sent again.

use bytes::Bytes;
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// Whether a call may be sent again after an unclear end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A read, or a change that comes to the same when done twice.
    Safe,
    /// It starts a bill: sent once, and an unclear end is [`crate::ProviderError::UnknownOutcome`].
    Never,
}

/// One call, relative to the vendor's base address.
#[derive(Debug)]
pub struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<(Bytes, &'static str)>,
    pub(super) repeat: Repeat,
}

impl Call {
    fn new(method: Method, path: impl Into<String>, repeat: Repeat) -> Self {
        Self { method, path: path.into(), query: Vec::new(), headers: Vec::new(), body: None, repeat }
    }

    /// A read.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Repeat::Safe)
    }

    /// A change that may be repeated.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path, Repeat::Safe)
    }

    /// A creation: sent once.
    pub fn create(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path, Repeat::Never)
    }

    /// A replacement.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path, Repeat::Safe)
    }

    /// A partial change.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path, Repeat::Safe)
    }

    /// A removal.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, Repeat::Safe)
    }

    /// Adds a query parameter; the value is percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a header. A value that no header can hold is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(body).expect("request bodies have text keys and finite numbers");
        self.body = Some((bytes.into(), "application/json"));
        self
    }

    /// Sends `body` as plain text.
    #[must_use]
    pub fn text(mut self, body: &SecretString) -> Self {
        self.body = Some((Bytes::copy_from_slice(body.expose_secret().as_bytes()), "text/plain"));
        self
    }
}
