//! Names people type: what they may look like is decided here, once, so that no control character, no
//! path and no shell word ever gets further than the first parse.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text that cannot be a name, with the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a valid {what}: {rule}")]
pub struct InvalidName {
    shown: String,
    what: &'static str,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:literal, $extra:literal, $rule:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, max_length = $max, min_length = 1)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed = |c: char| c.is_ascii_alphanumeric() || $extra.contains(c);
                let valid = text.len() <= $max
                    && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && text.chars().all(allowed);
                if valid {
                    return Ok(Self(text.to_owned()));
                }
                let shown = text.chars().take(64).collect::<String>().escape_debug().to_string();
                Err(InvalidName { shown, what: $what, rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// The name of an xNode, unique in the inventory: 1–63 characters, letters, digits, `-`, `_` and `.`,
    /// beginning with a letter or digit.
    XNodeName, "xNode name", 63, "-_.",
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
);
name!(
    /// A tag: 1–63 characters, letters, digits, `-`, `_`, `.`, `:`, `/` and `=`, beginning with a letter or digit.
    Tag, "tag", 63, "-_.:/=",
    "1 to 63 characters, letters, digits, `-`, `_`, `.`, `:`, `/` and `=`, beginning with a letter or digit"
);
name!(
    /// A provider or region label: 1–63 characters, letters, digits, `-`, `_` and `.`.
    Label, "label", 63, "-_.",
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
);
name!(
    /// The name of a provider account, unique: 1–63 characters, letters, digits, `-`, `_` and `.`.
    AccountName, "account name", 63, "-_.",
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
);
name!(
    /// The name of a channel: 1–63 characters, letters, digits, `-`, `_` and `.`.
    ChannelName, "channel name", 63, "-_.",
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
);
name!(
    /// The name of a remediation: 1–63 characters, letters, digits, `-`, `_` and `.`.
    RemediationName, "remediation name", 63, "-_.",
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
);
name!(
    /// The name of a profile, unique among its owner's: 1–63 characters, letters, digits, `-`, `_` and `.`.
    ProfileName, "profile name", 63, "-_.",
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
);
name!(
    /// The name of a check, unique on its xNode: 1–63 characters, letters, digits, `-`, `_` and `.`.
    CheckName, "check name", 63, "-_.",
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
);

/// A text that is neither an IP address nor a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an IP address nor a DNS name")]
pub struct InvalidHost(String);

/// Where a machine answers: an IPv4 or IPv6 address or a DNS name (RFC 1123, at most 253 characters).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, max_length = 253)]
pub struct Host(String);

impl Host {
    /// The address or name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, when it is one.
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        self.0.parse().ok()
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label = |part: &str| {
            !part.is_empty()
                && part.len() <= 63
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        // All digits and dots is a mistyped IPv4 address, never a host name (RFC 1123 §2.1).
        let dotted_number = name.chars().all(|c| c.is_ascii_digit() || c == '.');
        let is_name = name.len() <= 253 && !dotted_number && name.split('.').all(label);
        if text.parse::<std::net::IpAddr>().is_ok() || is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidHost(text.chars().take(64).collect::<String>().escape_debug().to_string()))
    }
}

impl TryFrom<String> for Host {
    type Error = InvalidHost;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_could_hide_or_escape() {
        for bad in ["", "-a", "a b", "a\nb", "a\u{1b}[31m", "../etc", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<XNodeName>().is_err(), "{bad:?} should be refused");
        }
        assert_eq!("web-1.eu_2".parse::<XNodeName>().expect("valid").as_str(), "web-1.eu_2");
    }

    #[test]
    fn hosts_are_addresses_or_dns_names() {
        for good in ["192.0.2.10", "2001:db8::1", "web-1", "a.example.org", "a.example.org."] {
            assert!(good.parse::<Host>().is_ok(), "{good} should be accepted");
        }
        for bad in ["", "192.0.2", "300.1.1.1", "a b", "a/b", "-x.org", "user@host", "a..b"] {
            assert!(bad.parse::<Host>().is_err(), "{bad:?} should be refused");
        }
    }
}
