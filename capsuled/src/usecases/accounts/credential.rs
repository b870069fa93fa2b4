//! What a credential consists of: which of its fields are secret, how those are sealed and opened, and which
//! settings can be.

use std::{collections::BTreeMap, time::Duration};

use capsule_api::{AccountName, AccountSettings};
use capsule_providers::{CallSettings, Credential};
use url::{Host, Url};

use crate::{
    logging::Chain,
    secret::{ExposeSecret, Seal, SecretString},
    store::accounts::StoredAccount,
    usecases::UseCaseError,
};

fn place(name: &AccountName) -> String {
    format!("accounts/{name}/credential")
}

/// The secret fields as stored; `None` without any.
pub(super) fn sealed(
    seal: &Seal,
    name: &AccountName,
    secrets: &BTreeMap<String, SecretString>,
) -> Option<Vec<u8>> {
    if secrets.is_empty() {
        return None;
    }
    let plain: BTreeMap<&str, &str> =
        secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose_secret())).collect();
    let json = SecretString::from(serde_json::to_string(&plain).expect("text serialises"));
    Some(seal.seal(&json, &place(name)))
}

/// The whole credential of an account, plain and secret fields.
///
/// # Errors
/// [`UseCaseError::WrongState`] when it does not open.
pub(super) fn opened(seal: &Seal, stored: &StoredAccount) -> Result<Credential, UseCaseError> {
    let plain = stored.account.fields.iter();
    let mut fields: BTreeMap<String, SecretString> =
        plain.map(|(name, value)| (name.clone(), SecretString::from(value.as_str()))).collect();
    let Some(sealed) = &stored.sealed else { return Ok(Credential { fields }) };
    let name = &stored.account.name;
    let closed = |why: String| UseCaseError::WrongState(format!("account {name}: {why}; set it again"));
    let json = seal.unseal(sealed, &place(name)).map_err(|error| closed(Chain(&error).to_string()))?;
    // Its text could be quoted in the parser's error.
    let secrets: BTreeMap<String, SecretText> = serde_json::from_str(json.expose_secret())
        .map_err(|_| closed("the stored credential is not what this version writes".to_owned()))?;
    fields.extend(secrets.into_iter().map(|(name, secret)| (name, secret.0)));
    Ok(Credential { fields })
}

/// A text that goes from JSON straight into the type that wipes itself.
struct SecretText(SecretString);

impl<'de> serde::Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(text.into()))
    }
}

/// The settings with the defaults filled in.
///
/// # Errors
/// [`UseCaseError::Invalid`] for what is out of bounds.
pub(super) fn call_settings(settings: &AccountSettings) -> Result<CallSettings, UseCaseError> {
    let default = CallSettings::default();
    let within = |field: &str, given: Option<u64>, least: u64, most: u64| match given {
        Some(value) if value < least || most < value => {
            let reason = format!("must be between {least} and {most}");
            Err(UseCaseError::invalid(format!("settings.{field}"), reason))
        }
        other => Ok(other),
    };
    let timeout = within("timeout_ms", settings.timeout_ms, 1_000, 600_000)?;
    let retries = within("max_retries", settings.max_retries.map(u64::from), 0, 10)?;
    let backoff = within("backoff_ms", settings.backoff_ms, 10, 60_000)?;
    Ok(CallSettings {
        timeout: timeout.map_or(default.timeout, Duration::from_millis),
        max_retries: retries.and_then(|n| u32::try_from(n).ok()).unwrap_or(default.max_retries),
        backoff: backoff.map_or(default.backoff, Duration::from_millis),
        endpoint: settings.endpoint.as_deref().map(endpoint).transpose()?,
    })
}

/// An address that a credential may be sent to.
fn endpoint(text: &str) -> Result<Url, UseCaseError> {
    let invalid = |reason: &str| UseCaseError::invalid("settings.endpoint", reason);
    let url: Url = text.parse().map_err(|_| invalid("it is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it must not hold a user name or password"));
    }
    let on_loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if on_loopback => Ok(url),
        _ => Err(invalid("it must be https, or http to a loopback address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_bounds_and_plain_http_are_refused() {
        let ok = AccountSettings { endpoint: Some("http://127.0.0.1:8080/".into()), ..Default::default() };
        let call = call_settings(&ok).expect("loopback may be plain");
        assert_eq!((call.timeout, call.max_retries), (Duration::from_secs(30), 3));
        for bad in [
            AccountSettings { timeout_ms: Some(999), ..Default::default() },
            AccountSettings { max_retries: Some(11), ..Default::default() },
            AccountSettings { backoff_ms: Some(60_001), ..Default::default() },
            AccountSettings { endpoint: Some("http://example.org/".into()), ..Default::default() },
            AccountSettings { endpoint: Some("http://169.254.169.254/".into()), ..Default::default() },
            AccountSettings { endpoint: Some("https://user:pw@example.org/".into()), ..Default::default() },
            AccountSettings { endpoint: Some("file:///etc/passwd".into()), ..Default::default() },
        ] {
            assert!(matches!(call_settings(&bad), Err(UseCaseError::Invalid { .. })), "{bad:?}");
        }
    }
}
