//! Names of packages and of our own things: what they may look like, what to say of one that is known to be
//! wrong, and which one was probably meant.
//!
//! Whether nixpkgs has a package of some name is not known here: that takes nixpkgs. What is known is the names that
//! cannot be attributes at all, Debian's names for things Nix calls otherwise, and names nixpkgs has dropped.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::LazyLock};

use serde::{Deserialize, Serialize};

use crate::value::{AttributeName, KEYWORDS};

/// Why a text is no name of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageNameError {
    /// It cannot be an attribute path.
    #[error("`{shown}` cannot be a package: letters, digits, `_`, `-`, `+` and `'`, in parts joined by dots")]
    Shape {
        /// The text, made fit to be shown.
        shown: String,
    },
    /// A part of it is a word of the language.
    #[error("`{shown}` cannot be a package: `{keyword}` is a word of the Nix language")]
    Keyword {
        /// The text.
        shown: String,
        /// The word.
        keyword: &'static str,
    },
    /// Nixpkgs has nothing of this name, and it is known what to take instead.
    #[error("nixpkgs has no package `{name}`: {why}")]
    Known {
        /// The name as given.
        name: String,
        /// What has become of it.
        why: String,
        /// What to add instead, when there is something.
        instead: Option<PackageName>,
    },
}

impl PackageNameError {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Known { instead: Some(instead), .. } => Some(format!("use `{instead}`")),
            Self::Shape { .. } | Self::Keyword { .. } | Self::Known { .. } => None,
        }
    }
}

/// An attribute path of nixpkgs, as in `git` or `cudaPackages.cudnn`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(String);

impl PackageName {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as it stands in Nix.
    pub(crate) fn selector(&self) -> String {
        self.0.split('.').map(|part| AttributeName(part).to_string()).collect::<Vec<_>>().join(".")
    }

    /// The module, when this is one of Python's: those work only inside one interpreter with all the others.
    pub fn python_module(&self) -> Option<&str> {
        ["python3Packages.", "python3.pkgs."].iter().find_map(|set| self.0.strip_prefix(set))
    }
}

impl FromStr for PackageName {
    type Err = PackageNameError;

    fn from_str(text: &str) -> Result<Self, PackageNameError> {
        let rest = |c: char| c.is_ascii_alphanumeric() || "_'+-".contains(c);
        let part = |(index, part): (usize, &str)| {
            let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (0 < index && c.is_ascii_digit());
            part.starts_with(first) && part.chars().all(rest)
        };
        if 128 < text.len() || !text.split('.').enumerate().all(part) {
            return Err(PackageNameError::Shape { shown: shown(text) });
        }
        let keyword = KEYWORDS.iter().find(|keyword| text.split('.').any(|part| part == **keyword));
        if let Some(keyword) = keyword {
            return Err(PackageNameError::Keyword { shown: text.to_owned(), keyword });
        }
        match WRONG.get(text) {
            Some(Wrong { why, instead }) => {
                let instead = instead.clone().map(PackageName);
                Err(PackageNameError::Known { name: text.to_owned(), why: why.clone(), instead })
            }
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for PackageName {
    type Error = PackageNameError;
    fn try_from(text: String) -> Result<Self, PackageNameError> {
        text.parse()
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A name that nixpkgs does not have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    why: String,
    instead: Option<String>,
}

static WRONG: LazyLock<BTreeMap<String, Wrong>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../data/wrong-names.yaml"))
        .expect("our own data, read by every test")
});

/// Names known not to be in nixpkgs, with what to take instead: for files of the first Capsule, whose lists
/// are full of Debian's names. `None`: the name is not one of them. `Some(None)`: leave it out.
pub fn replacement(name: &str) -> Option<Option<PackageName>> {
    WRONG.get(name).map(|wrong| wrong.instead.clone().map(PackageName))
}

/// The nearest of the known names, when one is near enough to be what was meant: alike as a whole, or one slip away.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let near = known.into_iter().filter_map(|other| {
        let lower = other.to_lowercase();
        let likeness = strsim::jaro_winkler(&name, &lower);
        let slip = 2 < name.len() && strsim::osa_distance(&name, &lower) <= 1;
        (slip || 0.8 < likeness).then_some((likeness, other))
    });
    near.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

/// A text of any kind, short and without control characters, for an error.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect::<String>().escape_debug().to_string()
}

/// A text that cannot be one of our names, with the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a valid {what}: {rule}")]
pub struct InvalidName {
    /// The text, made fit to be shown.
    pub shown: String,
    /// What it should have been.
    pub what: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// Declares a text that a function has to agree with: `as_str`, `FromStr`, `Display`, serde, and a Nix string.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident, $what:literal, $rule:expr, $agrees:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::names::InvalidName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let agrees: fn(&str) -> bool = $agrees;
                if agrees(text) && !text.chars().any(char::is_control) {
                    return Ok(Self(text.to_owned()));
                }
                Err($crate::names::InvalidName { shown: $crate::names::shown(text), what: $what, rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::names::InvalidName;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&$name> for $crate::value::Text {
            fn from(name: &$name) -> Self {
                $crate::value::Text::try_from(name.0.clone()).expect("checked when it was made")
            }
        }

        impl From<&$name> for $crate::value::Value {
            fn from(name: &$name) -> Self {
                Self::Text(name.into())
            }
        }
    };
}
pub(crate) use checked_text;

const NAME_RULE: &str =
    "1 to 63 characters, letters, digits, `-`, `_` and `.`, beginning with a letter or digit";

fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

checked_text!(
    /// The id of a stack: 1–63 characters, letters, digits, `-`, `_` and `.`.
    StackId, "stack", NAME_RULE, is_name
);
checked_text!(
    /// The name of a profile: 1–63 characters, letters, digits, `-`, `_` and `.`.
    ProfileName, "profile name", NAME_RULE, is_name
);
checked_text!(
    /// The name of a sprout: 1–63 characters, letters, digits, `-`, `_` and `.`.
    SproutName, "sprout", NAME_RULE, is_name
);
checked_text!(
    /// The name of an editor we know how to set up.
    EditorName, "editor", NAME_RULE, is_name
);
checked_text!(
    /// The name of a package as licences are asked by (`pname`), which is not always its attribute.
    UnfreeName, "name of an unfree package", NAME_RULE, is_name
);
checked_text!(
    /// A language model as Ollama names it: `qwen3:30b`.
    ModelName, "model", "1 to 128 characters, letters, digits and `-_.:/`",
    |text| {
        (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c))
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_path_is_a_package_and_nothing_else_is() {
        for good in
            ["git", "cudaPackages.cudnn", "nodejs_24", "gtk+", "_7zz", "haskell.packages.ghc96", "a.7"]
        {
            assert!(good.parse::<PackageName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "a..b", "7zip", "a b", "a;b", "${x}", "a\n", "../x", "-rf", "ä", "a.with", "rec"]
        {
            assert!(bad.parse::<PackageName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_debian_name_is_refused_with_the_right_one() {
        let refused = "python3-numpy".parse::<PackageName>().expect_err("Debian's name");
        assert_eq!(refused.hint().as_deref(), Some("use `python3Packages.numpy`"));
        assert!("certbot".parse::<PackageName>().is_ok(), "outside NixOS it is still of use");
        assert_eq!(replacement("postgresql-contrib"), Some(None));
        assert_eq!(replacement("git"), None);
    }

    #[test]
    fn every_replacement_is_itself_a_package() {
        for (name, wrong) in WRONG.iter() {
            assert!(!wrong.why.is_empty());
            let Some(instead) = &wrong.instead else { continue };
            assert!(instead.parse::<PackageName>().is_ok(), "{name} → {instead}");
        }
    }

    #[test]
    fn an_attribute_that_nix_cannot_read_plainly_is_quoted() {
        let selector = |name: &str| name.parse::<PackageName>().expect(name).selector();
        assert_eq!(selector("gtk+"), "\"gtk+\"");
        assert_eq!(selector("a.7"), "a.\"7\"");
        assert_eq!(selector("cudaPackages.cudnn"), "cudaPackages.cudnn");
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_foreign_word_is_not() {
        let known = ["docker", "database", "devtools", "webserver"];
        assert_eq!(nearest("dokcer", known), Some("docker"));
        assert_eq!(nearest("Docker", known), Some("docker"));
        assert_eq!(nearest("vmi", ["vim", "nano"]), Some("vim"));
        assert_eq!(nearest("zzz", known), None);
    }
}
