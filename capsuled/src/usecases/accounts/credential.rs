//! What a credential consists of: which of its fields are secret, how those are sealed and opened, and which
//! settings can be.

use std::{collections::BTreeMap, time::Duration};

use capsule_api::{AccountName, AccountSettings, ProviderName};
use capsule_providers::{CallSettings, Credential};
use url::{Host, Url};

use crate::{
    logging::Chain,
    rules::selection,
    secret::{ExposeSecret, Seal, SecretString},
    store::accounts::StoredAccount,
    usecases::UseCaseError,
};

/// Longest value of a field, in characters.
const LONGEST_VALUE: usize = 4_096;

/// A credential in its two parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    /// The fields anybody may see.
    pub plain: BTreeMap<String, String>,
    /// The others.
    pub secret: BTreeMap<String, SecretString>,
}

impl Parts {
    /// The parts of a stored credential.
    pub fn of(provider: ProviderName, credential: Credential) -> Self {
        let mut parts = Self::default();
        for (name, value) in credential.fields {
            parts.put(provider, &name, value);
        }
        parts
    }

    fn put(&mut self, provider: ProviderName, name: &str, value: SecretString) {
        let field = capsule_providers::fields(provider).iter().find(|field| field.name == name);
        if field.is_some_and(|field| field.secret) {
            self.secret.insert(name.to_owned(), value);
        } else {
            self.plain.insert(name.to_owned(), value.expose_secret().to_owned());
        }
    }

    /// Sets and, where the value is `None`, removes fields.
    ///
    /// # Errors
    /// [`UseCaseError::Invalid`] for a field the provider does not have and for a value that cannot be one.
    /// No value is ever part of it.
    pub fn change(
        &mut self,
        provider: ProviderName,
        fields: BTreeMap<String, Option<SecretString>>,
    ) -> Result<(), UseCaseError> {
        for (name, value) in fields {
            refuse_unknown(provider, &name)?;
            self.plain.remove(&name);
            self.secret.remove(&name);
            if let Some(value) = value {
                let value = usable(&name, &value)?;
                self.put(provider, &name, value);
            }
        }
        Ok(())
    }

    /// Takes over what the provider filled in. It never overwrites what was given and is never secret.
    pub fn learn(
        &mut self,
        provider: ProviderName,
        learned: BTreeMap<String, String>,
        given: impl Fn(&str) -> bool,
    ) {
        let is_secret = |name: &str| {
            capsule_providers::fields(provider).iter().any(|field| field.name == name && field.secret)
        };
        self.plain.extend(learned.into_iter().filter(|(name, _)| !given(name) && !is_secret(name)));
    }

    /// Refuses what lacks a required field.
    ///
    /// # Errors
    /// [`UseCaseError::Invalid`].
    pub fn refuse_incomplete(&self, provider: ProviderName) -> Result<(), UseCaseError> {
        let has = |name: &str| self.plain.contains_key(name) || self.secret.contains_key(name);
        match capsule_providers::fields(provider).iter().find(|field| field.required && !has(field.name)) {
            Some(field) => Err(UseCaseError::invalid(
                format!("fields.{}", field.name),
                format!("{provider} needs it: the {}", field.description),
            )),
            None => Ok(()),
        }
    }

    /// Whether the client would log in with files or a role of the daemon's own user.
    pub fn reads_own_files(&self, provider: ProviderName) -> bool {
        provider == ProviderName::Aws && !self.secret.contains_key("secret_access_key")
    }

    /// The whole, as a client takes it.
    pub fn credential(&self) -> Credential {
        let plain = self.plain.iter().map(|(name, value)| (name.clone(), SecretString::from(value.as_str())));
        let secret = self.secret.iter().map(|(name, value)| (name.clone(), value.clone()));
        Credential { fields: plain.chain(secret).collect() }
    }

    /// The names of the secret fields.
    pub fn secret_names(&self) -> Vec<String> {
        self.secret.keys().cloned().collect()
    }
}

fn refuse_unknown(provider: ProviderName, name: &str) -> Result<(), UseCaseError> {
    let known = || capsule_providers::fields(provider).iter().map(|field| field.name);
    if known().any(|field| field == name) {
        return Ok(());
    }
    // A misplaced secret could stand where a name should be: it is not repeated.
    let meant = selection::suggestion(name, known());
    let hint = meant.map_or_else(
        || format!("one of {}", known().collect::<Vec<_>>().join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    Err(UseCaseError::invalid("fields", format!("{provider} has no field of that name; {hint}")))
}

/// The value without white space around it.
fn usable(name: &str, value: &SecretString) -> Result<SecretString, UseCaseError> {
    let text = value.expose_secret().trim();
    let invalid = |reason: String| Err(UseCaseError::invalid(format!("fields.{name}"), reason));
    if text.is_empty() {
        return invalid("it is empty".to_owned());
    }
    if LONGEST_VALUE < text.chars().count() {
        return invalid(format!("it is longer than {LONGEST_VALUE} characters"));
    }
    if text.chars().any(char::is_control) {
        return invalid("it holds a line break or another control character".to_owned());
    }
    Ok(SecretString::from(text))
}

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
