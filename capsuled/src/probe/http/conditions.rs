//! What an answer has to be, compiled once for all checks that ask for the same.

use std::{
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use capsule_api::HttpProbe;
use regex::bytes::{Regex, RegexBuilder};
use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderName},
};

use super::super::{
    recent::Recent,
    seen::{Seen, span},
    validate::ProbeSpecError,
};

/// How much of a body is looked at.
pub(super) const BODY_BYTES: usize = 1 << 20;
/// Longest pattern or text in a check, in bytes.
const PATTERN_BYTES: usize = 4096;
/// Most memory of a compiled pattern, and of its lazily built automaton.
const REGEX_BYTES: usize = 512 << 10;
/// Most entries in a check's list of status codes, and of headers.
const ENTRIES: usize = 32;
/// How many sets of conditions are kept at least.
const KEPT: usize = 2048;

/// What an answer has to be.
#[derive(Debug)]
pub(super) struct Conditions {
    source: Source,
    status: Vec<RangeInclusive<u16>>,
    headers: Vec<(HeaderName, Regex)>,
    pub body: Option<BodyConditions>,
    max_latency: Option<Duration>,
}

/// The settings that conditions were compiled from.
#[derive(Debug, PartialEq)]
struct Source {
    status: Vec<String>,
    body_contains: Option<String>,
    body_regex: Option<String>,
    response_headers: std::collections::BTreeMap<String, String>,
    max_latency_ms: Option<u64>,
}

/// What a body has to be.
#[derive(Debug)]
pub(super) struct BodyConditions {
    contains: Option<Regex>,
    regex: Option<Regex>,
}

/// Compiled conditions, kept by what they were compiled from.
#[derive(Debug)]
pub(super) struct Compiled {
    hasher: RandomState,
    kept: Mutex<Recent<u64, Arc<Conditions>>>,
}

impl Compiled {
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), kept: Mutex::new(Recent::new(KEPT)) }
    }

    /// The conditions of `probe`.
    pub fn of(&self, probe: &HttpProbe) -> Result<Arc<Conditions>, ProbeSpecError> {
        let key = self.hasher.hash_one((
            &probe.status,
            &probe.body_contains,
            &probe.body_regex,
            &probe.response_headers,
            probe.max_latency_ms,
        ));
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
        if let Some(conditions) = kept.filter(|kept| kept.source.is_of(probe)) {
            return Ok(conditions);
        }
        let conditions = Arc::new(Conditions::compile(probe)?);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&conditions));
        Ok(conditions)
    }
}

impl Source {
    fn of(probe: &HttpProbe) -> Self {
        Self {
            status: probe.status.clone(),
            body_contains: probe.body_contains.clone(),
            body_regex: probe.body_regex.clone(),
            response_headers: probe.response_headers.clone(),
            max_latency_ms: probe.max_latency_ms,
        }
    }

    fn is_of(&self, probe: &HttpProbe) -> bool {
        self.status == probe.status
            && self.body_contains == probe.body_contains
            && self.body_regex == probe.body_regex
            && self.response_headers == probe.response_headers
            && self.max_latency_ms == probe.max_latency_ms
    }
}

impl Conditions {
    /// Compiles the settings of `probe`.
    pub fn compile(probe: &HttpProbe) -> Result<Self, ProbeSpecError> {
        if probe.status.is_empty() || probe.status.len() > ENTRIES {
            return Err(ProbeSpecError::new("status", format!("1 to {ENTRIES} status codes or ranges")));
        }
        if probe.response_headers.len() > ENTRIES {
            return Err(ProbeSpecError::new("response_headers", format!("at most {ENTRIES}")));
        }
        if probe.max_latency_ms == Some(0) {
            return Err(ProbeSpecError::new("max_latency_ms", "must be at least 1"));
        }
        Ok(Self {
            source: Source::of(probe),
            status: probe.status.iter().map(|text| statuses(text)).collect::<Result<_, _>>()?,
            headers: probe.response_headers.iter().map(header).collect::<Result<_, _>>()?,
            body: BodyConditions::compile(probe)?,
            max_latency: probe.max_latency_ms.map(Duration::from_millis),
        })
    }

    /// Whether status and headers are as wanted, else what is not.
    pub fn judge_head(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), Seen> {
        if !self.status.iter().any(|range| range.contains(&status.as_u16())) {
            let wanted = self.source.status.join(", ");
            return Err(Seen::down(format!("status {}, wanted {wanted}", status.as_u16())));
        }
        for (name, wanted) in &self.headers {
            if !headers.contains_key(name) {
                return Err(Seen::down(format!("the answer has no header {name}")));
            }
            if !headers.get_all(name).iter().any(|value| wanted.is_match(value.as_bytes())) {
                return Err(Seen::down(format!("header {name} does not match {wanted}")));
            }
        }
        Ok(())
    }

    /// Whether the answer came soon enough.
    pub fn judge_latency(&self, latency: Duration) -> Result<(), Seen> {
        match self.max_latency {
            Some(limit) if limit < latency => {
                let detail = format!("took {}, wanted at most {}", span(latency), span(limit));
                Err(Seen::slow(detail, limit))
            }
            _ => Ok(()),
        }
    }
}

impl BodyConditions {
    fn compile(probe: &HttpProbe) -> Result<Option<Self>, ProbeSpecError> {
        if probe.body_contains.as_deref() == Some("") {
            return Err(ProbeSpecError::new("body_contains", "must not be empty"));
        }
        let literal = |text: &String| pattern("body_contains", text, &regex::escape(text));
        let regex = |text: &String| pattern("body_regex", text, text);
        let contains = probe.body_contains.as_ref().map(literal).transpose()?;
        let regex = probe.body_regex.as_ref().map(regex).transpose()?;
        Ok((contains.is_some() || regex.is_some()).then_some(Self { contains, regex }))
    }

    /// Whether nothing that could follow would change the verdict. Only a plain text can be found early: a
    /// pattern may be anchored to the end.
    pub fn is_settled_by(&self, body: &[u8]) -> bool {
        self.regex.is_none() && self.contains.as_ref().is_none_or(|text| text.is_match(body))
    }

    /// Whether the body is as wanted, else what is not.
    pub fn judge(&self, body: &[u8]) -> Result<(), Seen> {
        let seen = if body.len() < BODY_BYTES { "the body" } else { "the first MiB of the body" };
        let is_missing =
            |wanted: &Option<Regex>| wanted.as_ref().is_some_and(|wanted| !wanted.is_match(body));
        if is_missing(&self.contains) {
            return Err(Seen::down(format!("{seen} does not contain the wanted text")));
        }
        if is_missing(&self.regex) {
            return Err(Seen::down(format!("{seen} does not match the wanted pattern")));
        }
        Ok(())
    }
}

/// `200` or `200-299`.
fn statuses(text: &str) -> Result<RangeInclusive<u16>, ProbeSpecError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse::<u16>(), last.trim().parse::<u16>());
    match (first, last) {
        (Ok(first), Ok(last)) if 100 <= first && first <= last && last <= 599 => Ok(first..=last),
        _ => {
            let shown = text.chars().take(32).collect::<String>().escape_debug().to_string();
            let problem = format!("`{shown}` is not a status code or range such as `200` or `200-299`");
            Err(ProbeSpecError::new("status", problem))
        }
    }
}

fn header((name, wanted): (&String, &String)) -> Result<(HeaderName, Regex), ProbeSpecError> {
    let field = "response_headers";
    let problem = || ProbeSpecError::new(field, format!("`{}` is not a header name", name.escape_debug()));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| problem())?;
    Ok((parsed, pattern(field, wanted, wanted)?))
}

/// Compiles `regex`, which stands for the `text` in the check.
fn pattern(field: &'static str, text: &str, regex: &str) -> Result<Regex, ProbeSpecError> {
    if text.len() > PATTERN_BYTES {
        return Err(ProbeSpecError::new(field, format!("at most {PATTERN_BYTES} bytes")));
    }
    RegexBuilder::new(regex).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build().map_err(|error| {
        let problem = match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large when compiled".to_owned(),
            // The last line says what is wrong; those before draw an arrow to it.
            other => {
                other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        };
        ProbeSpecError::new(field, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> HttpProbe {
        serde_json::from_str(r#"{"url": "http://example.org/"}"#).expect("a probe")
    }

    #[test]
    fn status_sets_hold_their_bounds() {
        let wanted = vec!["200".to_owned(), "300-399".to_owned()];
        let conditions = Conditions::compile(&HttpProbe { status: wanted, ..probe() }).expect("compiles");
        let verdict = |code: u16| {
            let code = StatusCode::from_u16(code).expect("a status");
            conditions.judge_head(code, &HeaderMap::new())
        };
        for good in [200, 300, 399] {
            assert!(verdict(good).is_ok(), "{good}");
        }
        for bad in [199, 201, 299, 400] {
            assert!(verdict(bad).is_err(), "{bad}");
        }
        assert_eq!(verdict(503).expect_err("not wanted").detail, "status 503, wanted 200, 300-399");
    }

    #[test]
    fn a_text_is_literal_and_a_pattern_is_not_settled_early() {
        let contains = HttpProbe { body_contains: Some("a.c".to_owned()), ..probe() };
        let body = Conditions::compile(&contains).expect("compiles").body.expect("asked for");
        assert!(body.is_settled_by(b"xa.cx") && !body.is_settled_by(b"abc"));
        assert!(body.judge(b"abc").is_err());
        let regex = HttpProbe { body_regex: Some("^ok$".to_owned()), ..probe() };
        let body = Conditions::compile(&regex).expect("compiles").body.expect("asked for");
        assert!(!body.is_settled_by(b"ok"));
        assert!(body.judge(b"ok").is_ok() && body.judge(b"ok, but").is_err());
    }

    #[test]
    fn equal_conditions_are_compiled_once() {
        let compiled = Compiled::new();
        let one = HttpProbe { body_regex: Some("ok".to_owned()), ..probe() };
        let other = HttpProbe { url: "http://example.com/".to_owned(), ..one.clone() };
        let first = compiled.of(&one).expect("compiles");
        assert!(Arc::ptr_eq(&first, &compiled.of(&other).expect("compiles")));
        let changed = HttpProbe { body_regex: Some("no".to_owned()), ..one };
        assert!(!Arc::ptr_eq(&first, &compiled.of(&changed).expect("compiles")));
    }
}
