//! Profiles: a named choice of stacks, packages and an editor.
//!
//! A profile's contents are plain data that is kept in versions elsewhere; here is what they mean. Every edit takes
//! contents and returns contents, so that an edit that is refused has changed nothing.

mod diff;
mod edit;
mod selection;

pub use diff::{Changed, ProfileDiff, diff};
pub use edit::{EditError, Edited, Suggestion, add_packages, add_stack, remove_packages, remove_stack};
pub use selection::{Because, Chosen, Selected, SelectedModule, Selection, select};

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use crate::{
    names::{EditorName, ModelName, PackageName, ProfileName, SproutName, StackId, UnfreeName, shown},
    stacks::{FileError, FileProblem, Library, OptionTable, StackPackage, Unknown, yaml},
    value::Text,
};

/// A named choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// What it chooses.
    pub contents: Contents,
}

/// What a profile chooses: what `edit` shows and a version keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// For people.
    #[serde(default = "nothing")]
    pub description: Text,
    /// Stacks, in the order they were added. `base` is there without being named.
    #[serde(default)]
    pub stacks: Vec<StackId>,
    /// Packages beside those of the stacks.
    #[serde(default)]
    pub custom_packages: Vec<PackageName>,
    /// The editor to make the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<EditorName>,
    /// Sprouts that stay: their packages, stacks and models belong to the profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sprouts: Vec<SproutName>,
    /// Names of packages whose licence is allowed, beyond what the stacks need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfree: Vec<UnfreeName>,
}

fn nothing() -> Text {
    Text::from("")
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            description: nothing(),
            stacks: Vec::new(),
            custom_packages: Vec::new(),
            editor: None,
            sprouts: Vec::new(),
            unfree: Vec::new(),
        }
    }
}

impl Contents {
    /// Reads what `to_yaml` wrote or a person edited. `file` is named in errors and nothing else; `presets`, the
    /// first Capsule's word for stacks, is understood.
    ///
    /// # Errors
    /// It is no YAML, has an unknown key, names a stack, editor or sprout that is not in the library, or a package
    /// that cannot be one; each with its line.
    pub fn from_yaml(file: &str, text: &str, library: &Library) -> Result<Self, FileError> {
        let draft: Draft = yaml(file, text)?;
        for stack in &draft.stacks {
            known(file, stack, library.stack(stack.value.as_str()))?;
        }
        if let Some(editor) = &draft.editor {
            known(file, editor, library.editor(editor.value.as_str()))?;
        }
        for sprout in &draft.sprouts {
            known(file, sprout, library.sprout(sprout.value.as_str()))?;
        }
        Ok(Self {
            description: draft.description,
            stacks: once(draft.stacks.into_iter().map(|stack| stack.value)),
            custom_packages: once(draft.custom_packages),
            editor: draft.editor.map(|editor| editor.value),
            sprouts: once(draft.sprouts.into_iter().map(|sprout| sprout.value)),
            unfree: once(draft.unfree),
        })
    }

    /// The contents for an editor, and for `from_yaml`.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("names and lists are always YAML")
    }
}

/// [`Contents`] with the places of what has to be looked up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default = "nothing")]
    description: Text,
    #[serde(default, alias = "presets")]
    stacks: Vec<Spanned<StackId>>,
    #[serde(default)]
    custom_packages: Vec<PackageName>,
    #[serde(default)]
    editor: Option<Spanned<EditorName>>,
    #[serde(default)]
    sprouts: Vec<Spanned<SproutName>>,
    #[serde(default)]
    unfree: Vec<UnfreeName>,
}

fn known<T, F>(file: &str, name: &Spanned<T>, found: Result<F, Unknown>) -> Result<(), FileError> {
    let (line, column) = (name.referenced.line(), name.referenced.column());
    match found {
        Ok(_) => Ok(()),
        Err(unknown) => {
            Err(FileError { file: shown(file), line, column, problem: FileProblem::Unknown(unknown) })
        }
    }
}

fn once<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    all.into_iter().fold(Vec::new(), |mut kept, one| {
        if !kept.contains(&one) {
            kept.push(one);
        }
        kept
    })
}

/// A quick install: one tool, or one language model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sprout {
    /// Its name.
    pub name: SproutName,
    /// Its name for people.
    pub title: Text,
    /// Under which heading it is listed.
    pub category: Text,
    /// Stacks it needs.
    #[serde(default)]
    pub stacks: Vec<StackId>,
    /// Packages it brings.
    #[serde(default)]
    pub packages: Vec<StackPackage>,
    /// Names of packages whose licence has to be allowed.
    #[serde(default)]
    pub unfree: Vec<UnfreeName>,
    /// A model that Ollama has to pull.
    #[serde(default)]
    pub model: Option<ModelName>,
    /// What one should know.
    #[serde(default)]
    pub note: Option<Text>,
}

/// An editor and how it becomes the default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Editor {
    /// Its name.
    pub name: EditorName,
    /// Its package.
    pub attr: PackageName,
    /// Options of a NixOS machine.
    pub nixos: OptionTable,
    /// Options of home-manager.
    pub home: OptionTable,
}

#[cfg(test)]
mod tests;
