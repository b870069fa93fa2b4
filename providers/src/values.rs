//! Single values as vendors write them: ids that can stand in a path, what is not there, what was made but cannot
//! be read, prices that are none, sizes in words, refusals that are none. Knows no vendor.

use capsule_api::{InstanceRef, InstanceState, Price, ProviderName};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Provider, ProviderError, Result};

/// The typed part of a raw record.
pub(crate) fn read<T: DeserializeOwned>(provider: ProviderName, raw: &Value) -> Result<T> {
    T::deserialize(raw).map_err(|error| ProviderError::Unreadable { provider, detail: error.to_string() })
}

/// `text`, if it can stand in a path as it is: no vendor has an id or a region of other characters.
pub(crate) fn segment(provider: ProviderName, text: &str) -> Result<&str> {
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

/// What a power action came to: a refusal is success when the server is in the state that was asked for.
pub(crate) async fn acted<T>(
    provider: &dyn Provider,
    reference: &InstanceRef,
    sent: Result<T>,
    wanted: Option<InstanceState>,
) -> Result<()> {
    match sent {
        Ok(_) => Ok(()),
        Err(error @ ProviderError::Invalid { .. }) if wanted.is_some() => {
            let now = provider.instance(reference).await?.map(|instance| instance.status);
            if now == wanted { Ok(()) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
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
    (0.0..1e12).contains(&total).then_some(total as u64)
}

fn last_number(text: &str) -> Option<u32> {
    text.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_does_not_reach_a_path() {
        for bad in ["", "../account", "a/b", "a?b", ".", "a b", "ä"] {
            assert!(segment(ProviderName::Linode, bad).is_err(), "{bad}");
        }
        assert_eq!(segment(ProviderName::Linode, "nl-ams-1").expect("plain"), "nl-ams-1");
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
