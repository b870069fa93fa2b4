//! What a vendor's file says to the server: the request it is handed, the answer it gives, and the tables it
//! speaks from. The shapes of paging and of errors are the vendors' own and stay in their files.

use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::{
    switches::Settings,
    world::{Plan, World},
};

/// Why a call is refused, in words that every vendor translates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorised,
    OutOfStock,
    Quota,
    /// 429 or 5xx.
    Failing(u16),
    NotFound,
    Invalid(String),
    /// A wrong state.
    Conflict(String),
}

/// A vendor: its tables and its behaviour.
#[derive(Debug)]
pub(super) struct Speech {
    pub plans: &'static [Plan],
    /// Name, title for people, country.
    pub places: &'static [(&'static str, &'static str, &'static str)],
    /// The image of instances that nobody asked for.
    pub image: &'static str,
    pub numeric_ids: bool,
    /// Header with the credential, and what stands before it.
    pub credential: (&'static str, &'static str),
    /// Paths that answer without one.
    pub is_public: fn(&Request) -> bool,
    /// Whether it would start a bill.
    pub is_creation: fn(&Request) -> bool,
    pub answer: fn(&Request, &mut World, &mut Settings) -> Answer,
    pub refuse: fn(Refusal) -> Answer,
}

impl Speech {
    pub(super) fn plan(&self, name: &str) -> Option<&'static Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }

    pub(super) fn place(&self, name: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
        self.places.iter().find(|place| place.0 == name)
    }

    /// What stands in the way of every creation, in the order in which vendors look.
    pub(super) fn obstacle(&self, plan: &str, world: &World, settings: &Settings) -> Option<Answer> {
        if settings.quota {
            return Some((self.refuse)(Refusal::Quota));
        }
        (settings.out_of_stock || !world.sells(plan)).then(|| (self.refuse)(Refusal::OutOfStock))
    }

    pub(super) fn refuse_invalid(&self, message: impl Into<String>) -> Answer {
        (self.refuse)(Refusal::Invalid(message.into()))
    }
}

/// A request whose body has arrived.
#[derive(Debug)]
pub(super) struct Request {
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub raw: Vec<u8>,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// Scheme, host and port it came to.
    pub origin: String,
}

impl Request {
    /// The path in its parts, without empty ones.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self, field: &str) -> Option<String> {
        self.body[field].as_str().map(ToOwned::to_owned)
    }

    /// A list of texts or numbers, as texts.
    pub(super) fn texts(&self, field: &str) -> Vec<String> {
        texts(&self.body[field])
    }

    /// A page's number and size as asked for, within the vendor's limits.
    pub(super) fn page(&self, size_name: &str, default: usize, most: usize) -> (usize, usize) {
        let number = |name| self.query(name).and_then(|text| text.parse::<usize>().ok());
        (number("page").unwrap_or(1).max(1), number(size_name).unwrap_or(default).clamp(1, most))
    }
}

/// Texts or numbers in a JSON list, as texts.
pub(super) fn texts(value: &Value) -> Vec<String> {
    let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned);
    value.as_array().map(|items| items.iter().map(text).collect()).unwrap_or_default()
}

/// The part of `items` on a page, and how many pages there are.
pub(super) fn paged<T: Clone>(items: &[T], (page, size): (usize, usize)) -> (Vec<T>, usize) {
    let part = items.iter().skip((page - 1) * size).take(size).cloned().collect();
    (part, items.len().div_ceil(size).max(1))
}

/// What a vendor answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: "application/json",
            body: body.to_string().into_bytes(),
        }
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), content_type: "", body: Vec::new() }
    }

    pub(super) fn text(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), content_type: "text/plain", body }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}
