//! What EC2's refusals mean, in the classes a caller acts on.
//!
//! EC2 answers with a code and an HTTP status, and the status misleads: a sold-out size is a 500, a throttled
//! call a 503. So the code decides first, and only a code that is not known here leaves it to the status. How
//! often a call is repeated is not decided here.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use capsule_api::ProviderName;

use crate::{
    ProviderError,
    http::{Repeat, shortened},
};

const AWS: ProviderName = ProviderName::Aws;

/// The success of a dry run.
pub(super) const DRY_RUN: &str = "DryRunOperation";

/// Our error for whatever the SDK reports. `what` names the thing that was asked for.
pub(super) fn translated<E>(
    repeat: Repeat,
    what: &str,
    error: SdkError<E>,
    clean: impl Fn(&str) -> String,
) -> ProviderError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(cause) = find::<CredentialsError, _>(&error) {
        return ProviderError::Unauthorized { provider: AWS, detail: chain(cause) };
    }
    // The connection never came about, so nothing was asked.
    let never_connected =
        find::<hyper_util::client::legacy::Error, _>(&error).is_some_and(|e| e.is_connect());
    match &error {
        SdkError::ServiceError(refusal) => {
            let (code, message) = (refusal.err().code(), refusal.err().message());
            let status = refusal.raw().status().as_u16();
            refused(repeat, what, status, code.unwrap_or_default(), &clean(message.unwrap_or_default()))
        }
        SdkError::ConstructionFailure(_) => ProviderError::Invalid { provider: AWS, detail: chain(&error) },
        SdkError::DispatchFailure(_) if never_connected => {
            ProviderError::Unavailable { provider: AWS, detail: chain(&error) }
        }
        SdkError::ResponseError(answer) if answer.raw().status().is_success() => match repeat {
            Repeat::Safe => ProviderError::Unreadable { provider: AWS, detail: chain(&error) },
            Repeat::Never => broken(repeat, chain(&error)),
        },
        _ => broken(repeat, chain(&error)),
    }
}

/// What a refusal with this status and code means.
pub(super) fn refused(repeat: Repeat, what: &str, status: u16, code: &str, message: &str) -> ProviderError {
    let provider = AWS;
    let detail = shortened(&format!("{code}: {message}").into());
    match code {
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientCapacity"
        | "InsufficientAddressCapacity"
        | "InsufficientVolumeCapacity"
        | "Unsupported" => ProviderError::OutOfStock { provider, detail },
        "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "TooManyRequestsException" => {
            ProviderError::RateLimited { provider, after: None }
        }
        "AuthFailure"
        | "UnauthorizedOperation"
        | "AccessDenied"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "InvalidAccessKeyId"
        | "OptInRequired"
        | "Blocked"
        | "PendingVerification" => ProviderError::Unauthorized { provider, detail },
        // Same token, other parameters: the first request made its instance.
        "IdempotentParameterMismatch" => ProviderError::UnknownOutcome { provider, detail },
        "IncorrectInstanceState"
        | "IncorrectState"
        | "VolumeInUse"
        | "InvalidIPAddress.InUse"
        | "OperationNotPermitted"
        | "DependencyViolation"
        | "ConcurrentTagAccess" => ProviderError::Conflict { provider, detail },
        "InvalidInstanceID.Malformed" => ProviderError::NotFound { provider, what: what.to_owned() },
        _ if is_quota(code) => ProviderError::Quota { provider, detail },
        _ if code.ends_with(".NotFound") => ProviderError::NotFound { provider, what: what.to_owned() },
        _ => by_status(repeat, what, status, detail),
    }
}

/// `VcpuLimitExceeded`, `InstanceLimitExceeded`, `MaxSpotInstanceCountExceeded`, `AddressLimitExceeded`, …
fn is_quota(code: &str) -> bool {
    code.ends_with("LimitExceeded") || code.ends_with("CountExceeded") || code.ends_with("QuotaExceeded")
}

fn by_status(repeat: Repeat, what: &str, status: u16, detail: String) -> ProviderError {
    let (provider, detail) = (AWS, format!("{status} {detail}"));
    match status {
        429 => ProviderError::RateLimited { provider, after: None },
        401 | 403 => ProviderError::Unauthorized { provider, detail },
        404 | 410 => ProviderError::NotFound { provider, what: what.to_owned() },
        409 | 423 => ProviderError::Conflict { provider, detail },
        300..=399 => {
            ProviderError::Unreadable { provider, detail: format!("{detail} (redirects are refused)") }
        }
        400..=499 => ProviderError::Invalid { provider, detail },
        _ => broken(repeat, detail),
    }
}

/// An exchange that did not come to its end.
fn broken(repeat: Repeat, detail: String) -> ProviderError {
    match repeat {
        Repeat::Safe => ProviderError::Unavailable { provider: AWS, detail },
        Repeat::Never => ProviderError::UnknownOutcome { provider: AWS, detail },
    }
}

/// The SDK hides what happened behind its own words: all of them, outermost first, on one bounded line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    shortened(&text.into())
}

fn find<Wanted: Error + 'static, E: Error + 'static>(error: &E) -> Option<&Wanted> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        cause = inner.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_has_its_class_whatever_the_status() {
        for (code, status, class) in [
            ("InsufficientInstanceCapacity", 500, "out_of_stock"),
            ("Unsupported", 400, "out_of_stock"),
            ("VcpuLimitExceeded", 400, "quota"),
            ("InstanceLimitExceeded", 400, "quota"),
            ("MaxSpotInstanceCountExceeded", 400, "quota"),
            ("VolumeLimitExceeded", 400, "quota"),
            ("RequestLimitExceeded", 503, "rate_limited"),
            ("Throttling", 400, "rate_limited"),
            ("AuthFailure", 401, "unauthorised"),
            ("UnauthorizedOperation", 403, "unauthorised"),
            ("InvalidClientTokenId", 403, "unauthorised"),
            ("ExpiredToken", 400, "unauthorised"),
            ("InvalidInstanceID.NotFound", 400, "not_found"),
            ("InvalidInstanceID.Malformed", 400, "not_found"),
            ("InvalidAMIID.NotFound", 400, "not_found"),
            ("IdempotentParameterMismatch", 400, "unknown_outcome"),
            ("IdempotentInstanceTerminated", 400, "invalid"),
            ("IncorrectInstanceState", 400, "conflict"),
            ("OperationNotPermitted", 400, "conflict"),
            ("InvalidParameterValue", 400, "invalid"),
            ("InvalidKey.Format", 400, "invalid"),
            ("", 301, "unreadable"),
        ] {
            for repeat in [Repeat::Safe, Repeat::Never] {
                assert_eq!(refused(repeat, "instance", status, code, "").code(), class, "{code}");
            }
        }
    }

    #[test]
    fn only_a_creation_that_ended_unclearly_has_an_unknown_outcome() {
        for (status, code) in [(500, "InternalError"), (503, "Unavailable"), (502, "")] {
            assert_eq!(refused(Repeat::Safe, "instance", status, code, "").code(), "unavailable");
            assert_eq!(refused(Repeat::Never, "instance", status, code, "").code(), "unknown_outcome");
        }
    }

    #[test]
    fn a_message_is_cut_to_one_short_line() {
        let encoded = "x".repeat(5000);
        let error =
            refused(Repeat::Safe, "instance", 403, "UnauthorizedOperation", &format!("no\n{encoded}"));
        assert!(error.to_string().len() < 400);
        assert!(!error.to_string().contains('\n'));
    }
}
