//! Where a redirect leads, and what may be taken along. Pure.

use capsule_api::RedirectPolicy;
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, LOCATION},
};
use url::Url;

/// Most redirects that are followed for one probe.
pub(super) const HOPS: usize = 10;

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is the answer.
    Answer,
    /// It is a redirect that this check does not follow, and so the answer.
    NotFollowed(Url),
    /// Ask there.
    Follow(Url),
}

/// What to do with the answer `status` and `headers` from `asked`.
pub(super) fn next(policy: RedirectPolicy, asked: &Url, status: StatusCode, headers: &HeaderMap) -> Next {
    let leads_on = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = headers.get(LOCATION).filter(|_| leads_on).and_then(|value| value.to_str().ok());
    let Some(target) = location.and_then(|location| asked.join(location).ok()) else {
        return Next::Answer;
    };
    let is_web = matches!(target.scheme(), "http" | "https") && target.has_host();
    let is_allowed = match policy {
        RedirectPolicy::None => false,
        RedirectPolicy::SameHost => asked.host() == target.host(),
        RedirectPolicy::Follow => true,
    };
    if is_web && is_allowed { Next::Follow(target) } else { Next::NotFollowed(target) }
}

/// The method to ask with after a redirect (RFC 9110 §15.4): 303 turns all but HEAD into GET, and 301 and
/// 302 do so for POST.
pub(super) fn method_after(status: StatusCode, method: Method) -> Method {
    let becomes_get = match status.as_u16() {
        303 => method != Method::HEAD,
        301 | 302 => method == Method::POST,
        _ => false,
    };
    if becomes_get { Method::GET } else { method }
}

/// Whether the check's own headers may go along: they may hold a token, so only to the same host and port,
/// and never from https to http.
pub(super) fn keeps_headers(from: &Url, to: &Url) -> bool {
    let is_same_place = from.scheme() == to.scheme() && from.port() == to.port();
    let is_upgrade = from.scheme() == "http" && to.scheme() == "https" && to.port().is_none();
    from.host() == to.host() && (is_same_place || is_upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn led(policy: RedirectPolicy, status: u16, location: &str) -> Next {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        next(policy, &url("http://a.example/x"), status, &headers)
    }

    #[test]
    fn redirects_go_as_far_as_the_policy_says() {
        use RedirectPolicy::{Follow, None, SameHost};
        assert_eq!(led(None, 302, "/y"), Next::NotFollowed(url("http://a.example/y")));
        assert_eq!(led(SameHost, 302, "/y"), Next::Follow(url("http://a.example/y")));
        assert_eq!(led(SameHost, 301, "https://a.example/"), Next::Follow(url("https://a.example/")));
        assert_eq!(led(SameHost, 301, "http://b.example/"), Next::NotFollowed(url("http://b.example/")));
        assert_eq!(led(Follow, 307, "//b.example/"), Next::Follow(url("http://b.example/")));
        assert_eq!(led(Follow, 302, "file:///etc/passwd"), Next::NotFollowed(url("file:///etc/passwd")));
        assert_eq!(led(Follow, 200, "/y"), Next::Answer);
        assert_eq!(led(Follow, 304, "/y"), Next::Answer);
    }

    #[test]
    fn a_token_does_not_leave_its_host_nor_its_encryption() {
        let from = url("https://a.example/x");
        assert!(keeps_headers(&from, &url("https://a.example/y")));
        assert!(keeps_headers(&url("http://a.example/"), &url("https://a.example/")));
        for elsewhere in ["https://b.example/", "http://a.example/", "https://a.example:8443/"] {
            assert!(!keeps_headers(&from, &url(elsewhere)), "{elsewhere}");
        }
    }

    #[test]
    fn methods_change_as_the_standard_says() {
        let after =
            |status: u16, method| method_after(StatusCode::from_u16(status).expect("a status"), method);
        assert_eq!(after(303, Method::PUT), Method::GET);
        assert_eq!(after(303, Method::HEAD), Method::HEAD);
        assert_eq!(after(302, Method::POST), Method::GET);
        assert_eq!(after(307, Method::POST), Method::POST);
    }
}
