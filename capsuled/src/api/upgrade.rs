//! Requests that turn their connection into a stream: `Connection: Upgrade`, a protocol's name, and 101.
//!
//! What the stream is for is prepared before the answer, so a refusal is an ordinary problem. The stream then runs
//! on the tracker of changes in a task of its own and is told when the daemon stops.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::error::ApiError;

/// How long the change of protocol may take once it was answered.
const DEADLINE: Duration = Duration::from_secs(10);

/// The wish to change the protocol; nobody's wish is taken that was not made.
pub(super) struct Upgrade {
    headers: HeaderMap,
    ready: Option<OnUpgrade>,
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self { headers: parts.headers.clone(), ready: parts.extensions.remove::<OnUpgrade>() })
    }
}

/// A wish for a protocol that we speak.
pub(super) struct Agreed {
    protocol: &'static str,
    ready: OnUpgrade,
}

impl Upgrade {
    /// Refuses a request that does not ask for `protocol`. To be called before anything is opened.
    pub fn to(self, protocol: &'static str) -> Result<Agreed, ApiError> {
        let says = |name, word: &str| {
            let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|given| given.trim().eq_ignore_ascii_case(word))
        };
        let asked = says(header::CONNECTION, "upgrade") && says(header::UPGRADE, protocol);
        let ready = self.ready.filter(|_| asked).ok_or(ApiError::UpgradeMissing(protocol))?;
        Ok(Agreed { protocol, ready })
    }
}

impl Agreed {
    /// Answers 101 and runs `work` on the stream.
    pub fn run<F>(
        self,
        tasks: &TaskTracker,
        work: impl FnOnce(TokioIo<Upgraded>) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let Self { protocol, ready } = self;
        tasks.spawn(async move {
            match timeout(DEADLINE, ready).await {
                Ok(Ok(stream)) => work(TokioIo::new(stream)).await,
                Ok(Err(error)) => debug!(%error, "a client was gone before its stream began"),
                Err(_) => debug!("a stream did not begin in time"),
            }
        });
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static(protocol)),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}
