//! What the vendors' records have in common: ids that fit into a path, fields that must not be kept, tags that
//! must not be lost, and sizes written out as words. Knows no vendor.

use capsule_api::{Price, ProviderName};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Mark, ProviderError, Result};

/// Words in a field's name that make its value none of our business.
const HIDDEN: &[&str] = &[
    "password",
    "passwd",
    "root_pass",
    "secret",
    "token",
    "private_key",
    "api_key",
    "userdata",
    "user_data",
    "customdata",
];

/// A vendor's raw record without passwords, keys and user data, however deep they lie.
pub(crate) fn metadata(raw: Value) -> Value {
    match raw {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, value)| value.is_boolean() || !is_hidden(name));
            Value::Object(kept.map(|(name, value)| (name, metadata(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(metadata).collect()),
        other => other,
    }
}

fn is_hidden(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `description` holds the word too, so this one is compared whole.
    name == "script" || HIDDEN.iter().any(|word| name.contains(word))
}

/// The typed part of a raw record.
pub(crate) fn read<T: DeserializeOwned>(provider: ProviderName, raw: &Value) -> Result<T> {
    T::deserialize(raw).map_err(|error| ProviderError::Unreadable { provider, detail: error.to_string() })
}

/// `text`, if it can stand in a path as it is: no vendor has an id or a region of other characters.
pub(crate) fn segment<'a>(provider: ProviderName, text: &'a str) -> Result<&'a str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with('.') || 128 < text.len() || !text.chars().all(plain) {
        return Err(ProviderError::NotFound {
            provider,
            what: format!("name or id `{}`", text.escape_debug()),
        });
    }
    Ok(text)
}

/// `None` instead of [`ProviderError::NotFound`].
pub(crate) fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ProviderError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// After a 2xx to a creation: what cannot be read has been made all the same.
pub(crate) fn unknown_outcome(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Unreadable { provider, detail } => ProviderError::UnknownOutcome { provider, detail },
        other => other,
    }
}

/// The tags to set: the marks among `present`, then `wanted`, none twice.
pub(crate) fn keeping_marks(present: &[String], wanted: &[String]) -> Vec<String> {
    let marks = present.iter().filter(|tag| tag.parse::<Mark>().is_ok());
    let mut tags: Vec<String> = Vec::new();
    for tag in marks.chain(wanted) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags
}

/// Whether two public keys in OpenSSH form are the same, whatever their comments say.
pub(crate) fn same_key(one: &str, other: &str) -> bool {
    let parts = |key| str::split_whitespace(key).take(2).collect::<Vec<_>>();
    parts(one).len() == 2 && parts(one) == parts(other)
}

/// Whether a price is one: what costs nothing is not for sale, and would win every comparison.
pub(crate) fn is_positive(price: &Price) -> bool {
    0 < price.hourly_micros
}

/// A size in words as GB: `32GB` is 32, `3.84TB` 3840, `2 x 960GB SSD + 4TB HDD` 5920.
pub(crate) fn gigabytes(text: &str) -> Option<u64> {
    let sizes: Vec<u64> = text.split(['+', ',']).filter_map(one_size).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum())
}

fn one_size(text: &str) -> Option<u64> {
    let text = text.to_ascii_uppercase();
    let unit = text.find("TB").or_else(|| text.find("GB"))?;
    let factor = if text[unit..].starts_with("TB") { 1000.0 } else { 1.0 };
    let before = text[..unit].trim_end();
    let start = before.rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |at| at + 1);
    let size: f64 = before[start..].parse().ok()?;
    let count = before[..start].trim_end().strip_suffix('X').and_then(last_number).unwrap_or(1);
    let total = (size * factor * f64::from(count)).round();
    (0.0 <= total && total < 1e12).then_some(total as u64)
}

fn last_number(text: &str) -> Option<u32> {
    text.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_removed_however_deep() {
        let raw = json!({
            "id": 1, "root_password": "hunter2", "has_user_data": true,
            "inner": [{"default_password": "x", "script": "#cloud-config", "description": "kept"}],
        });
        let kept = json!({"id": 1, "has_user_data": true, "inner": [{"description": "kept"}]});
        assert_eq!(metadata(raw), kept);
    }

    #[test]
    fn what_is_no_id_does_not_reach_a_path() {
        for bad in ["", "../account", "a/b", "a?b", ".", "a b", "ä"] {
            assert!(segment(ProviderName::Linode, bad).is_err(), "{bad}");
        }
        assert_eq!(segment(ProviderName::Linode, "nl-ams-1").expect("plain"), "nl-ams-1");
    }

    #[test]
    fn marks_stay_when_tags_are_replaced() {
        let mark = Mark::of(uuid::Uuid::now_v7()).to_string();
        let present = ["old".to_owned(), mark.clone()];
        let wanted = ["web".to_owned(), "web".to_owned(), mark.clone()];
        assert_eq!(keeping_marks(&present, &wanted), [mark, "web".to_owned()]);
    }

    #[test]
    fn keys_are_compared_without_their_comments() {
        assert!(same_key("ssh-ed25519 AAAA me@here", "ssh-ed25519 AAAA"));
        assert!(!same_key("ssh-ed25519 AAAA", "ssh-ed25519 BBBB"));
        assert!(!same_key("", ""));
        assert!(!same_key("ssh-ed25519", "ssh-ed25519"));
    }

    #[test]
    fn sizes_in_words_are_read() {
        for (text, gb) in [
            ("32GB", Some(32)),
            ("3.84TB", Some(3840)),
            ("960GB SSD", Some(960)),
            ("2 x 960GB SSD", Some(1920)),
            ("1x960GB SSD + 2x4TB HDD", Some(8960)),
            ("20TB / 1Gbps", Some(20_000)),
            ("none", None),
        ] {
            assert_eq!(gigabytes(text), gb, "{text}");
        }
    }
}
