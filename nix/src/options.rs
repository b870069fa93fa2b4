//! An ordered map from option to value, with who asked for it.
//!
//! NixOS files are written from this map and from nothing else. A path is in it once, so no file can define an
//! option twice; sets are taken apart into their leaves, so `a = { b = 1; }` and `a.b = 2` meet. Two that ask for
//! the same thing agree, lists are united, and anything else is a conflict that names both.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    names::{EditorName, InvalidName, PackageName, SproutName, StackId, shown},
    value::{AttributeName, Text, Value},
};

/// The path of an option, as in `services.redis.servers."".enable`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct OptionPath(Vec<Text>);

impl OptionPath {
    /// The names of the path, outermost first.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(Text::as_str)
    }

    /// The path of `name` below this one.
    pub fn below(&self, name: impl Into<Text>) -> Self {
        Self(self.0.iter().cloned().chain([name.into()]).collect())
    }

    pub(crate) fn from_names(names: Vec<Text>) -> Self {
        Self(names)
    }

    /// Whether `other` is this path or lies below it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl FromStr for OptionPath {
    type Err = InvalidName;

    /// Names joined by dots. One that holds a dot, or none at all, stands in double quotes.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rule = "names joined by dots, those with a dot in double quotes";
        let invalid = || InvalidName { shown: shown(text), what: "option", rule };
        let mut names = Vec::new();
        let mut rest = text;
        loop {
            let (name, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(invalid)?,
                None => {
                    let end = rest.find(['.', '"']).unwrap_or(rest.len());
                    let bare = &rest[..end];
                    let plain = |c: char| c.is_ascii_alphanumeric() || "_'-".contains(c);
                    if bare.is_empty() || !bare.chars().all(plain) {
                        return Err(invalid());
                    }
                    (bare, &rest[end..])
                }
            };
            names.push(Text::try_from(name.to_owned()).map_err(|_| invalid())?);
            if after.is_empty() {
                return Ok(Self(names));
            }
            rest = after.strip_prefix('.').ok_or_else(invalid)?;
        }
    }
}

impl TryFrom<String> for OptionPath {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl fmt::Display for OptionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{}", AttributeName(name))?;
        }
        Ok(())
    }
}

/// Who asked for something that stands in a generated file: an entry of the profile, or of the host's settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Origin {
    /// A stack of the profile, or one that another needs.
    Stack(StackId),
    /// A package of the profile's own.
    Package(PackageName),
    /// A sprout of the profile.
    Sprout(SproutName),
    /// The profile's editor.
    Editor(EditorName),
    /// A setting of the host, by its name.
    Host(&'static str),
    /// The platform the host runs on.
    Platform(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stack(id) => write!(f, "stack `{id}`"),
            Self::Package(name) => write!(f, "package `{name}`"),
            Self::Sprout(name) => write!(f, "sprout `{name}`"),
            Self::Editor(name) => write!(f, "editor `{name}`"),
            Self::Host(setting) => write!(f, "the host's {setting}"),
            Self::Platform(name) => write!(f, "platform `{name}`"),
        }
    }
}

/// Two want different things of one option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{first}, and {second}")]
pub struct Conflict {
    /// Who asked first.
    pub first: Box<Wish>,
    /// Who asked next, for the same option or for one above or below it.
    pub second: Box<Wish>,
}

/// What somebody asks of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The option.
    pub path: OptionPath,
    /// What it is to be, as it stands in Nix.
    pub value: String,
    /// Who asks for it.
    pub origin: Origin,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sets `{}` to {}", self.origin, self.path, self.value)
    }
}

/// What an option is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    value: Value,
    /// Who asked for the value; for a list who asked for each of its elements.
    origins: Vec<Vec<Origin>>,
}

impl Definition {
    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Everybody who asked for it or for a part of it, in the order they came.
    pub fn origins(&self) -> Vec<&Origin> {
        let mut all: Vec<&Origin> = Vec::new();
        for origin in self.origins.iter().flatten() {
            if !all.contains(&origin) {
                all.push(origin);
            }
        }
        all
    }

    /// Who asked for element `index` of a list.
    pub fn origins_of(&self, index: usize) -> &[Origin] {
        self.origins.get(index).map_or(&[], Vec::as_slice)
    }

    /// `None`: the values differ and are no lists.
    fn unite(&mut self, value: &Value, origin: &Origin) -> Option<()> {
        match (&mut self.value, value) {
            (Value::List(elements), Value::List(more)) => {
                for element in more {
                    match elements.iter().position(|known| known == element) {
                        Some(index) => note(&mut self.origins[index], origin),
                        None => {
                            elements.push(element.clone());
                            self.origins.push(vec![origin.clone()]);
                        }
                    }
                }
                // An empty list has no element to remember who asked for it.
                Some(())
            }
            (one, other) if one == other => {
                note(&mut self.origins[0], origin);
                Some(())
            }
            _ => None,
        }
    }
}

fn note(origins: &mut Vec<Origin>, origin: &Origin) {
    if !origins.contains(origin) {
        origins.push(origin.clone());
    }
}

/// Options with their values, in the order of their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<OptionPath, Definition>);

impl Options {
    /// Sets `path` to `value`, or agrees with what is there.
    ///
    /// # Errors
    /// The option, one above it or one below it has another value, and they are not both lists.
    pub fn set(&mut self, path: OptionPath, value: Value, origin: Origin) -> Result<(), Conflict> {
        if let Value::Attrs(attributes) = &value
            && !attributes.is_empty()
        {
            return attributes.iter().try_for_each(|(name, value)| {
                self.set(path.below(name.clone()), value.clone(), origin.clone())
            });
        }
        if let Some((other, there)) = self.0.iter().find(|(other, _)| overlap(other, &path)) {
            return Err(conflict(other, there, path, &value, origin));
        }
        let Some(there) = self.0.get_mut(&path) else {
            let parts = value.as_list().map_or(1, <[Value]>::len);
            let definition = Definition { origins: vec![vec![origin]; parts], value };
            self.0.insert(path, definition);
            return Ok(());
        };
        match there.unite(&value, &origin) {
            Some(()) => Ok(()),
            None => Err(conflict(&path.clone(), there, path, &value, origin)),
        }
    }

    /// What `path` is set to.
    pub fn get(&self, path: &OptionPath) -> Option<&Definition> {
        self.0.get(path)
    }

    /// All options in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&OptionPath, &Definition)> {
        self.0.iter()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn overlap(one: &OptionPath, other: &OptionPath) -> bool {
    one != other && (one.holds(other) || other.holds(one))
}

fn conflict(
    path: &OptionPath,
    there: &Definition,
    at: OptionPath,
    value: &Value,
    origin: Origin,
) -> Conflict {
    let first = there.origins().first().map_or(Origin::Host("settings"), |first| (*first).clone());
    let first = Wish { path: path.clone(), value: there.value.to_string(), origin: first };
    let second = Wish { path: at, value: value.to_string(), origin };
    Conflict { first: Box::new(first), second: Box::new(second) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> OptionPath {
        text.parse().expect(text)
    }

    fn stack(id: &str) -> Origin {
        Origin::Stack(id.parse().expect(id))
    }

    #[test]
    fn lists_are_united_and_each_element_remembers_who_asked() {
        let mut options = Options::default();
        let ports = path("networking.firewall.allowedTCPPorts");
        options.set(ports.clone(), vec![80_u16, 443].into(), stack("webserver")).expect("nothing there");
        options.set(ports.clone(), vec![443_u16, 8080].into(), stack("mine")).expect("both lists");
        let there = options.get(&ports).expect("set");
        assert_eq!(there.value().to_string(), "[ 80 443 8080 ]");
        assert_eq!(there.origins_of(1), [stack("webserver"), stack("mine")]);
        assert_eq!(there.origins_of(2), [stack("mine")]);
    }

    #[test]
    fn the_same_twice_is_no_conflict_and_a_difference_names_both() {
        let mut options = Options::default();
        let enable = path("services.openssh.enable");
        options.set(enable.clone(), true.into(), stack("base")).expect("nothing there");
        options.set(enable.clone(), true.into(), stack("security")).expect("the same");
        assert_eq!(options.get(&enable).expect("set").origins(), [&stack("base"), &stack("security")]);
        let refused = options.set(enable, false.into(), stack("mine")).expect_err("differs");
        assert_eq!(
            refused.to_string(),
            "stack `base` sets `services.openssh.enable` to true, and stack `mine` sets \
             `services.openssh.enable` to false"
        );
    }

    #[test]
    fn a_set_and_a_path_into_it_meet() {
        let mut options = Options::default();
        let set = Value::Attrs([("enable".into(), true.into()), ("port".into(), 1_u16.into())].into());
        options.set(path("services.x"), set, stack("one")).expect("nothing there");
        assert!(options.set(path("services.x.port"), 2_u16.into(), stack("two")).is_err());
        assert!(options.set(path("services.x.port.deep"), 2_u16.into(), stack("two")).is_err());
        assert!(options.set(path("services"), Value::Null, stack("two")).is_err());
        assert_eq!(options.iter().count(), 2);
    }

    #[test]
    fn a_path_is_read_and_written_with_its_quotes() {
        for text in ["a.b", "services.redis.servers.\"\".enable", "a.\"x.y\".b", "a.\"in\""] {
            assert_eq!(path(text).to_string(), text);
        }
        for bad in ["", ".", "a.", "a..b", "a b", "a.\"b", "a.\"b\"c", "a;b", "${x}", "a\n"] {
            assert!(bad.parse::<OptionPath>().is_err(), "{bad:?}");
        }
    }
}
