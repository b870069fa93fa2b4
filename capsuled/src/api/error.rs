//! The one place where HTTP status codes are chosen.
//!
//! Every error becomes `application/problem+json` (RFC 9457) with a stable `code` that a script can match.
//! 4xx means that the caller can fix it, 5xx that they cannot. The chain of causes goes to the log and not
//! to the caller; the request id goes to both. The id is not known here: the reply carries the problem as
//! an extension and [`super::observe`] completes it.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use capsule_api::{Problem, Role};
use capsule_providers::ProviderError;

use crate::{logging::Chain, store::StoreError, usecases::UseCaseError};

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A use case refused or failed.
    #[error(transparent)]
    UseCase(#[from] UseCaseError),
    /// No route.
    #[error("nothing is served at `{0}`")]
    NoSuchPath(String),
    /// A route, but not for this method.
    #[error("`{path}` does not answer {method}")]
    MethodNotAllowed {
        /// What was asked.
        method: String,
        /// Of what.
        path: String,
    },
    /// The connection has no peer credentials.
    #[error("the connection does not say who is asking")]
    NoPeer,
    /// The caller is in none of our groups.
    #[error("`{0}` may not use this daemon")]
    NoRole(String),
    /// The caller may do less than this.
    #[error("{operation} needs the role {needed}; `{user}` has the role {role}")]
    RoleTooLow {
        /// Operation id.
        operation: String,
        /// The least role that may do it.
        needed: Role,
        /// The caller's role.
        role: Role,
        /// The caller.
        user: String,
    },
    /// A web page is asking, or a proxy for some other host.
    #[error("requests with a foreign {0} are refused: a web page may not speak to this daemon")]
    ForeignOrigin(&'static str),
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    MalformedJson(String),
    /// The body is JSON of the wrong shape.
    #[error("the body does not fit: {0}")]
    UnfitBody(String),
    /// The query string does not fit.
    #[error("the query does not fit: {0}")]
    UnfitQuery(String),
    /// A part of the path does not fit.
    #[error("the path does not fit: {0}")]
    UnfitPath(String),
    /// A header does not fit.
    #[error("the header {name} does not fit: {reason}")]
    UnfitHeader {
        /// Which header.
        name: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The body is not declared as JSON.
    #[error("the body must be sent as application/json")]
    UnsupportedMediaType,
    /// The body is larger than we read.
    #[error("the body is larger than {} MiB", limit >> 20)]
    BodyTooLarge {
        /// The most we read here, in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within 30 seconds")]
    BodyTooSlow,
    /// The connection ended in the middle of the body.
    #[error("the body ended early")]
    BodyCut,
    /// A change to a thing with revisions came without `If-Match`.
    #[error("the change does not say which revision it was made from")]
    IfMatchMissing,
    /// The idempotency key came with another request before.
    #[error("this idempotency key was used for a different request")]
    IdempotencyMismatch,
    /// The first request with the idempotency key has not ended.
    #[error("a request with this idempotency key is being carried out")]
    IdempotencyRunning,
    /// The request does not ask for the protocol that its answer would be.
    #[error("this answer is a stream: ask with `Connection: Upgrade` and `Upgrade: {0}`")]
    UpgradeMissing(&'static str),
    /// The daemon has not finished starting, or cannot read its state.
    #[error("the daemon cannot read its state")]
    NotReady,
    /// A route was added without a rule about who may use it.
    #[error("there is no access rule for `{0}`")]
    NoRule(String),
    /// A bug of ours.
    #[error("the daemon failed while answering")]
    Panicked,
}

/// How an error is shown.
struct Shown {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    hint: Option<Cow<'static, str>>,
}

impl Shown {
    const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title, hint: None }
    }

    fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl ApiError {
    fn shown(&self) -> Shown {
        use StatusCode as S;
        match self {
            Self::UseCase(error) => of_use_case(error),
            Self::NoSuchPath(_) => Shown::new(S::NOT_FOUND, "no_such_path", "No such path")
                .hint("GET /v1/openapi.json lists every path"),
            Self::MethodNotAllowed { .. } => {
                Shown::new(S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            }
            Self::NoPeer => Shown::new(S::UNAUTHORIZED, "no_peer", "Unknown caller"),
            Self::NoRole(_) => Shown::new(S::FORBIDDEN, "no_role", "Not a member")
                .hint("ask an administrator for `sudo usermod -aG capsule $USER`, then log in again"),
            Self::RoleTooLow { needed, .. } => {
                Shown::new(S::FORBIDDEN, "role_too_low", "Not allowed").hint(join_hint(*needed))
            }
            Self::ForeignOrigin(_) => Shown::new(S::FORBIDDEN, "foreign_origin", "Foreign origin")
                .hint("ask for `http://localhost/…` over the socket, without Origin and Referer"),
            Self::MalformedJson(_) => Shown::new(S::BAD_REQUEST, "malformed_json", "Malformed JSON"),
            Self::UnfitBody(_) => Shown::new(S::UNPROCESSABLE_ENTITY, "unfit_body", "Body does not fit"),
            Self::UnfitQuery(_) => Shown::new(S::BAD_REQUEST, "unfit_query", "Query does not fit"),
            Self::UnfitPath(_) => Shown::new(S::BAD_REQUEST, "unfit_path", "Path does not fit"),
            Self::UnfitHeader { .. } => Shown::new(S::BAD_REQUEST, "unfit_header", "Header does not fit"),
            Self::UnsupportedMediaType => {
                Shown::new(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Not JSON")
                    .hint("send the header `Content-Type: application/json`")
            }
            Self::BodyTooLarge { .. } => Shown::new(S::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large"),
            Self::BodyTooSlow => Shown::new(S::REQUEST_TIMEOUT, "body_too_slow", "Body too slow"),
            Self::BodyCut => Shown::new(S::BAD_REQUEST, "body_cut", "Body ended early"),
            Self::IfMatchMissing => {
                Shown::new(S::PRECONDITION_REQUIRED, "if_match_missing", "If-Match is missing")
                    .hint("send the ETag you read as `If-Match`, or `If-Match: *` for any revision")
            }
            Self::IdempotencyMismatch => {
                Shown::new(S::UNPROCESSABLE_ENTITY, "idempotency_mismatch", "Idempotency key used before")
                    .hint("use a new Idempotency-Key for a new request")
            }
            Self::IdempotencyRunning => {
                Shown::new(S::CONFLICT, "idempotency_running", "Still being carried out")
                    .hint("send the same request again in a moment")
            }
            Self::UpgradeMissing(_) => Shown::new(S::UPGRADE_REQUIRED, "upgrade_missing", "Upgrade required"),
            Self::NotReady => Shown::new(S::SERVICE_UNAVAILABLE, "not_ready", "Not ready"),
            Self::NoRule(_) => Shown::new(S::INTERNAL_SERVER_ERROR, "no_rule", "No access rule"),
            Self::Panicked => Shown::new(S::INTERNAL_SERVER_ERROR, "internal", "Internal error")
                .hint("the daemon's log has the reason under this request id"),
        }
    }

    /// What the caller is told; the chain of a failure of ours stays in the log.
    fn detail(&self) -> String {
        match self {
            Self::UseCase(UseCaseError::Store(error)) => error.to_string(),
            other => other.to_string(),
        }
    }

    /// Whether the rest of the request is not worth reading.
    const fn ends_connection(&self) -> bool {
        matches!(self, Self::BodyTooLarge { .. } | Self::BodyTooSlow | Self::BodyCut)
    }
}

fn join_hint(needed: Role) -> String {
    let group = match needed {
        Role::Reader => "capsule",
        Role::Operator => "capsule-operator",
        Role::Admin => "capsule-admin",
    };
    format!("`sudo usermod -aG {group} $USER`, then log in again; or use sudo")
}

fn of_use_case(error: &UseCaseError) -> Shown {
    use StatusCode as S;
    match error {
        UseCaseError::NotFound { suggestion, .. } => {
            let shown = Shown::new(S::NOT_FOUND, "not_found", "Not found");
            match suggestion {
                Some(name) => shown.hint(format!("did you mean `{name}`?")),
                None => shown,
            }
        }
        UseCaseError::Ambiguous { .. } => Shown::new(S::CONFLICT, "ambiguous", "Ambiguous")
            .hint("use the whole name, or more characters of the id"),
        UseCaseError::NameTaken { .. } => Shown::new(S::CONFLICT, "name_taken", "Name taken"),
        UseCaseError::Invalid { .. } => Shown::new(S::UNPROCESSABLE_ENTITY, "invalid", "Invalid value"),
        UseCaseError::Unfit { hint, .. } => {
            let shown = Shown::new(S::UNPROCESSABLE_ENTITY, "invalid", "Invalid value");
            match hint {
                Some(hint) => shown.hint(hint.clone()),
                None => shown,
            }
        }
        UseCaseError::Stale { .. } => Shown::new(S::PRECONDITION_FAILED, "stale", "Changed meanwhile")
            .hint("read it again and repeat the change on what it is now"),
        UseCaseError::WrongState { .. } => Shown::new(S::CONFLICT, "wrong_state", "Wrong state"),
        UseCaseError::InUse { hint, .. } => {
            Shown::new(S::CONFLICT, "wrong_state", "In use").hint(hint.clone())
        }
        UseCaseError::NoAccount(_) => Shown::new(S::CONFLICT, "wrong_state", "No account")
            .hint("`capsulectl provider configure PROVIDER` adds one"),
        UseCaseError::RoleTooLow { needed, .. } => {
            Shown::new(S::FORBIDDEN, "role_too_low", "Not allowed").hint(join_hint(*needed))
        }
        UseCaseError::OtherUser { .. } => Shown::new(S::FORBIDDEN, "other_user", "Not the daemon's user")
            .hint("send the key itself; the daemon keeps it sealed"),
        UseCaseError::EventsGone { .. } => Shown::new(S::GONE, "events_gone", "Events are gone")
            .hint("read the present state, then follow events from now on (without Last-Event-ID)"),
        UseCaseError::Provider(error) => of_provider(error),
        UseCaseError::Policy { code, .. } => Shown::new(S::CONFLICT, code, "Refused by a budget or a policy"),
        UseCaseError::OwnHost { .. } => Shown::new(S::CONFLICT, "own_host", "No SSH to the own host")
            .hint("a terminal on that machine, or `ssh` to it, does the same"),
        UseCaseError::NoWay(_) => Shown::new(S::CONFLICT, "no_way", "No way to log in")
            .hint("`capsulectl inventory edit NAME --ssh-user USER --ssh-key FILE` says how to log in"),
        UseCaseError::Unreached { code: code @ "host_key_changed", .. } => {
            Shown::new(S::CONFLICT, code, "Host key changed")
                .hint("find out why; `capsulectl ssh trust NAME` accepts the new key")
        }
        UseCaseError::Unreached { code, .. } => Shown::new(S::BAD_GATEWAY, code, "Not reached")
            .hint("`capsulectl monitor health NAME` shows what the checks say"),
        UseCaseError::Store(error) => of_store(error),
    }
}

fn of_provider(error: &ProviderError) -> Shown {
    use StatusCode as S;
    let status = match error {
        ProviderError::NotFound { .. } => S::NOT_FOUND,
        ProviderError::Invalid { .. } => S::UNPROCESSABLE_ENTITY,
        ProviderError::Conflict { .. } | ProviderError::Ended { .. } => S::CONFLICT,
        ProviderError::Unauthorized { .. }
        | ProviderError::RateLimited { .. }
        | ProviderError::OutOfStock { .. }
        | ProviderError::Quota { .. }
        | ProviderError::Unavailable { .. }
        | ProviderError::UnknownOutcome { .. }
        | ProviderError::Unreadable { .. } => S::BAD_GATEWAY,
    };
    let shown = Shown::new(status, error.code(), "The provider did not do it");
    match error {
        ProviderError::Unauthorized { provider, .. } => {
            shown.hint(format!("`capsulectl provider configure {provider}` stores a new credential"))
        }
        ProviderError::RateLimited { .. } | ProviderError::Unavailable { .. } => {
            shown.hint("the same command may succeed in a moment")
        }
        ProviderError::UnknownOutcome { .. } => {
            shown.hint("`capsulectl operations` shows how the daemon finds out what happened")
        }
        _ => shown,
    }
}

fn of_store(error: &StoreError) -> Shown {
    use StatusCode as S;
    match error {
        StoreError::Busy => Shown::new(S::SERVICE_UNAVAILABLE, "busy", "Too many changes at once")
            .hint("repeat the request after the time in Retry-After"),
        StoreError::Full(_) => Shown::new(S::INSUFFICIENT_STORAGE, "disk_full", "Disk full")
            .hint("free some space; the daemon goes on by itself"),
        StoreError::Closed => Shown::new(S::SERVICE_UNAVAILABLE, "stopping", "Stopping"),
        StoreError::Unreadable { .. }
        | StoreError::OldSqlite(_)
        | StoreError::Migrate(_)
        | StoreError::Database(_) => Shown::new(S::INTERNAL_SERVER_ERROR, "database", "Database error")
            .hint("the daemon's log has the reason under this request id"),
    }
}

/// What went wrong with its causes, for the log line of the request.
#[derive(Debug, Clone)]
pub(super) struct Failure(pub String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Shown { status, code, title, hint } = self.shown();
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: printable(&self.detail()),
            code: code.to_owned(),
            hint: hint.map(Cow::into_owned),
            request_id: String::new(),
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(problem);
        // Being busy, full or stopping is the writer's to report, once and not for every request.
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            response.extensions_mut().insert(Failure(Chain(&self).to_string()));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE || matches!(self, Self::IdempotencyRunning) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Self::UpgradeMissing(protocol) = self {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(protocol));
        }
        if self.ends_connection() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Detail text without anything a terminal would act on: it quotes what the caller sent.
fn printable(text: &str) -> String {
    const LONGEST: usize = 2_000;
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        if c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_never_carry_what_a_terminal_would_act_on() {
        assert_eq!(printable("unknown field `\u{1b}[31m`"), "unknown field `\\u{1b}[31m`");
        assert!(printable(&"x".repeat(100_000)).len() <= 2_000);
    }

    #[test]
    fn a_full_queue_says_when_to_come_back() {
        let busy = ApiError::from(UseCaseError::from(StoreError::Busy)).into_response();
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(busy.headers()[header::RETRY_AFTER], "1");
    }
}
