//! Whether a check can be asked at all, decided when it is made.
//!
//! It runs the code that prepares a probe, so what passes here is what a probe can use.

use capsule_api::ProbeSpec;

use super::http;

/// What is wrong with a check, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ProbeSpecError {
    /// The field's name in JSON.
    pub field: &'static str,
    /// What is wrong with it, in words.
    pub problem: String,
}

impl ProbeSpecError {
    pub(super) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Whether a probe can be carried out as `spec` says.
///
/// # Errors
///
/// The first field that cannot be used.
pub fn validate(spec: &ProbeSpec) -> Result<(), ProbeSpecError> {
    let port = match spec {
        ProbeSpec::Ping(_) => None,
        ProbeSpec::Tcp(probe) => Some(probe.port),
        ProbeSpec::Ssh(probe) => probe.port,
        ProbeSpec::Http(probe) => return http::validate(probe),
    };
    if port == Some(0) {
        return Err(ProbeSpecError::new("port", "must be 1 to 65535"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: serde_json::Value) -> &'static str {
        let spec: ProbeSpec = serde_json::from_value(json.clone()).expect("a spec");
        validate(&spec).expect_err(&format!("{json} should be refused")).field
    }

    fn accepted(json: serde_json::Value) {
        let spec: ProbeSpec = serde_json::from_value(json).expect("a spec");
        validate(&spec).expect("should be accepted");
    }

    fn http(field: &str, value: serde_json::Value) -> serde_json::Value {
        let mut spec = serde_json::json!({"kind": "http", "url": "https://example.org/"});
        spec[field] = value;
        spec
    }

    #[test]
    fn what_no_probe_could_use_is_refused_by_field() {
        use serde_json::json;
        for (field, value) in [
            ("url", json!("example.org")),
            ("url", json!("/healthz")),
            ("url", json!("ftp://example.org/")),
            ("url", json!("https://user:secret@example.org/")),
            ("url", json!("https://user@example.org/")),
            ("url", json!(format!("https://example.org/{}", "x".repeat(2048)))),
            ("url", json!("http://example.org:0/")),
            ("method", json!("DELETE")),
            ("method", json!("get")),
            ("headers", json!({"bad name": "x"})),
            ("headers", json!({"x-a": "line\nbreak"})),
            ("headers", json!({"Transfer-Encoding": "chunked"})),
            ("status", json!([])),
            ("status", json!(["abc"])),
            ("status", json!(["299-200"])),
            ("status", json!(["99"])),
            ("status", json!(["200-600"])),
            ("body_contains", json!("")),
            ("body_regex", json!("(")),
            ("body_regex", json!("(a{1000}){1000}")),
            ("response_headers", json!({"bad name": "x"})),
            ("response_headers", json!({"x-a": "["})),
            ("max_latency_ms", json!(0)),
            ("ca_pem", json!("not a certificate")),
            ("ca_pem", json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        ] {
            assert_eq!(refused(http(field, value.clone())), field, "{value}");
        }
        assert_eq!(refused(json!({"kind": "tcp", "port": 0})), "port");
        assert_eq!(refused(json!({"kind": "ssh", "port": 0})), "port");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        use serde_json::json;
        let mut head = http("method", json!("HEAD"));
        head["body_contains"] = json!("ok");
        assert_eq!(refused(head), "method");
        let mut plain = http("url", json!("http://example.org/"));
        plain["min_tls_days"] = json!(14);
        plain["redirects"] = json!("none");
        assert_eq!(refused(plain), "min_tls_days");
        let mut literal = http("url", json!("https://192.0.2.1/"));
        literal["connect_to"] = json!("192.0.2.2");
        assert_eq!(refused(literal), "connect_to");
    }

    #[test]
    fn ordinary_checks_are_accepted() {
        use serde_json::json;
        accepted(json!({"kind": "ping"}));
        accepted(json!({"kind": "tcp", "port": 443}));
        accepted(json!({"kind": "ssh"}));
        for (field, value) in [
            ("url", json!("http://[2001:db8::1]:8080/healthz?x=1")),
            ("status", json!(["200", "204-299", " 301 "])),
            ("headers", json!({"Authorization": "Bearer x", "Host": "other.example"})),
            ("body_regex", json!("(?i)ok|\\bready\\b")),
            ("response_headers", json!({"content-type": "^text/"})),
            ("connect_to", json!("192.0.2.1")),
        ] {
            accepted(http(field, value));
        }
    }
}
