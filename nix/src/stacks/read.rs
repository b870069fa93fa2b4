//! Reading stacks, profiles and the like from YAML, with the place and the nearest right word for whatever is wrong.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::{Error, Spanned};

use super::{OptionTable, Stack, Unknown, requirements::circle};
use crate::{
    names::{nearest, shown},
    options::{OptionPath, Options, Origin},
    profiles::{Editor, Profile, Sprout},
    value::Text,
};

/// A file cannot be taken, and nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct FileError {
    /// The file, as the caller calls it.
    pub file: String,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong there.
    pub problem: FileProblem,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// It is no YAML, or a value is not of its kind.
    #[error("{0}")]
    Malformed(String),
    /// A key the schema does not have.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The one probably meant.
        nearest: Option<String>,
    },
    /// A stack that needs or mentions one nobody knows.
    #[error("stack `{stack}` names `{name}`, which is no stack")]
    UnknownStack {
        /// The stack.
        stack: String,
        /// What it names.
        name: String,
        /// The one probably meant.
        nearest: Option<String>,
    },
    /// A stack, editor or sprout nobody knows.
    #[error(transparent)]
    Unknown(Unknown),
    /// Two stacks of one name.
    #[error("there is a stack `{0}` already")]
    Taken(String),
    /// Stacks that need each other in a circle.
    #[error("stacks need each other in a circle: {}", .0.join(" → "))]
    Circle(Vec<String>),
    /// An expression other than a package.
    #[error("`{option}` may name a package (pkgs.NAME) and no other expression")]
    Expression {
        /// The option.
        option: String,
    },
    /// An option that nixpkgs has renamed or removed.
    #[error("the option `{option}` is gone")]
    Gone {
        /// The option.
        option: String,
        /// What replaced it.
        instead: Option<String>,
    },
    /// The stack contradicts itself.
    #[error("{0}")]
    Conflict(String),
}

impl FileError {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        match &self.problem {
            FileProblem::UnknownKey { nearest, .. } | FileProblem::UnknownStack { nearest, .. } => {
                nearest.as_ref().map(|nearest| format!("did you mean `{nearest}`?"))
            }
            FileProblem::Unknown(unknown) => unknown.hint(),
            FileProblem::Gone { instead, .. } => instead.as_ref().map(|instead| format!("use `{instead}`")),
            FileProblem::Malformed(_)
            | FileProblem::Taken(_)
            | FileProblem::Circle(_)
            | FileProblem::Expression { .. }
            | FileProblem::Conflict(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stacks<T> {
    stacks: Vec<T>,
}

pub(super) fn own_stacks() -> Result<Vec<Stack>, FileError> {
    let text = include_str!("../../data/stacks.yaml");
    yaml::<Stacks<Stack>>("stacks.yaml", text).map(|read| read.stacks)
}

pub(super) fn profiles(file: &str, text: &str) -> Result<Vec<Profile>, FileError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Profiles {
        profiles: Vec<Profile>,
    }
    yaml::<Profiles>(file, text).map(|read| read.profiles)
}

pub(super) fn sprouts(file: &str, text: &str) -> Result<Vec<Sprout>, FileError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sprouts {
        sprouts: Vec<Sprout>,
    }
    yaml::<Sprouts>(file, text).map(|read| read.sprouts)
}

pub(super) fn editors(file: &str, text: &str) -> Result<Vec<Editor>, FileError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Editors {
        editors: Vec<Editor>,
    }
    yaml::<Editors>(file, text).map(|read| read.editors)
}

/// The stacks of a user's file, checked among themselves and against those that are `known`.
pub(super) fn user_stacks(file: &str, text: &str, known: &[Stack]) -> Result<Vec<Stack>, FileError> {
    let read = yaml::<Stacks<Spanned<Stack>>>(file, text)?.stacks;
    let all: Vec<&Stack> = known.iter().chain(read.iter().map(|spanned| &spanned.value)).collect();
    for (index, spanned) in read.iter().enumerate() {
        let earlier = &all[..known.len() + index];
        check(&spanned.value, earlier, &all).map_err(|problem| {
            // The place of the stack; the message names the entry.
            let (line, column) = (spanned.referenced.line(), spanned.referenced.column());
            FileError { file: shown(file), line, column, problem }
        })?;
    }
    Ok(read.into_iter().map(|spanned| spanned.value).collect())
}

fn check(stack: &Stack, earlier: &[&Stack], all: &[&Stack]) -> Result<(), FileProblem> {
    if earlier.iter().any(|other| other.id == stack.id) {
        return Err(FileProblem::Taken(stack.id.to_string()));
    }
    for name in stack.requires.iter().chain(stack.suggests.keys()).chain(stack.when.keys()) {
        if !all.iter().any(|other| other.id == *name) {
            let near = nearest(name.as_str(), all.iter().map(|other| other.id.as_str()));
            let (stack, name) = (stack.id.to_string(), name.to_string());
            return Err(FileProblem::UnknownStack { stack, name, nearest: near.map(str::to_owned) });
        }
    }
    if let Some(circle) = circle(stack, all) {
        return Err(FileProblem::Circle(circle.iter().map(ToString::to_string).collect()));
    }
    let given = stack.given.iter().flat_map(|given| [&given.nixos, &given.home]);
    let mut tables: Vec<&OptionTable> = vec![&stack.nixos, &stack.home];
    tables.extend(stack.when.values().chain(given));
    tables.into_iter().try_for_each(|table| check_options(stack, table))
}

fn check_options(stack: &Stack, table: &OptionTable) -> Result<(), FileProblem> {
    let mut options = Options::default();
    for (path, data) in table {
        let option = path.to_string();
        if let Some(instead) = gone(path) {
            return Err(FileProblem::Gone { option, instead: instead.map(str::to_owned) });
        }
        let value = data.value().map_err(|_| FileProblem::Expression { option })?;
        let origin = Origin::Stack(stack.id.clone());
        options
            .set(path.clone(), value, origin)
            .map_err(|conflict| FileProblem::Conflict(conflict.to_string()))?;
    }
    Ok(())
}

static GONE: LazyLock<BTreeMap<OptionPath, Option<Text>>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../data/options-gone.yaml"))
        .expect("our own data, read by every test")
});

/// What replaced an option that nixpkgs has given up: `Some(None)` is nothing.
fn gone(path: &OptionPath) -> Option<Option<&'static str>> {
    let found = GONE.iter().find(|(gone, _)| gone.holds(path));
    found.map(|(_, instead)| instead.as_ref().map(Text::as_str))
}

/// Reads `text`, with the errors of the YAML crate in our words.
pub(crate) fn yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |place| (place.line(), place.column()));
        let problem = match &error {
            Error::SerdeUnknownField { field, expected, .. } => FileProblem::UnknownKey {
                key: shown(field),
                nearest: nearest(field, expected.iter().copied()).map(str::to_owned),
            },
            other => FileProblem::Malformed(reason(other)),
        };
        FileError { file: shown(file), line, column, problem }
    })
}

/// The message without the place, which stands in front of it already.
fn reason(error: &Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("error: ").unwrap_or(first).split_once(": ") {
        Some((place, message)) if place.starts_with("line ") => message.to_owned(),
        _ => first.to_owned(),
    }
}
