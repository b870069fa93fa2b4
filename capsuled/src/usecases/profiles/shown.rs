//! Profiles and stacks as the API shows them.

use capsule_api::{
    BeforeAfter, ListChange, NameDoubt, Profile, ProfileDiff, ProfileSelection, SelectedPackage,
    SelectedStack, Sprout, Stack, StackPresence, StackReason,
};
use capsule_nix::{
    options::Origin,
    profiles::{self as nix, Because, EditError, Selection, Suggestion},
    stacks::{self, FileError, Unknown},
};

use super::shelf::{Known, Shelf};
use crate::usecases::UseCaseError;

fn texts<'a, T: ToString + 'a>(all: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    all.into_iter().map(ToString::to_string).collect()
}

/// A profile without what it comes to.
pub(super) fn profile(shelf: &Shelf, known: &Known) -> Profile {
    let contents = &known.profile.contents;
    Profile {
        name: known.profile.name.to_string(),
        description: contents.description.to_string(),
        built_in: known.is_built_in(),
        active: shelf.is_active(known),
        revision: known.revision,
        stacks: texts(&contents.stacks),
        custom_packages: texts(&contents.custom_packages),
        editor: contents.editor.as_ref().map(ToString::to_string),
        sprouts: texts(&contents.sprouts),
        unfree: texts(&contents.unfree),
        updated_at: known.updated_at,
        document: contents.to_yaml(),
        selection: None,
    }
}

/// A profile with what it comes to.
pub(super) fn whole(shelf: &Shelf, known: &Known) -> Result<Profile, UseCaseError> {
    let selection = nix::select(&shelf.library, &known.profile)?;
    Ok(Profile { selection: Some(selected(&selection)), ..profile(shelf, known) })
}

fn selected(selection: &Selection) -> ProfileSelection {
    let stacks = selection.stacks.iter().map(|chosen| SelectedStack {
        id: chosen.stack.id.to_string(),
        title: chosen.stack.title.to_string(),
        presence: presence(&chosen.because),
    });
    let package = |attr: String, origins: &[Origin]| SelectedPackage { attr, from: texts(origins) };
    let packages = selection.packages.iter().map(|one| package(one.attr.to_string(), &one.origins));
    let python = selection.python.iter().map(|one| package(one.module.to_string(), &one.origins));
    ProfileSelection {
        stacks: stacks.collect(),
        packages: packages.collect(),
        python: python.collect(),
        unfree: texts(&selection.unfree),
        models: selection.models.iter().map(|(model, _)| model.to_string()).collect(),
    }
}

/// Why a stack is there.
pub(super) fn presence(because: &Because) -> StackPresence {
    match because {
        Because::Always => StackPresence { reason: StackReason::Always, needed_by: Vec::new() },
        Because::Chosen => StackPresence { reason: StackReason::Chosen, needed_by: Vec::new() },
        Because::NeededBy(by) => StackPresence { reason: StackReason::Needed, needed_by: texts(by) },
    }
}

/// A stack, with its place in the active profile.
pub(super) fn stack(shelf: &Shelf, active: &Selection, stack: &stacks::Stack) -> Stack {
    let chosen = active.stacks.iter().find(|chosen| chosen.stack.id == stack.id);
    Stack {
        id: stack.id.to_string(),
        title: stack.title.to_string(),
        category: stack.category.to_string(),
        own: shelf.is_own_stack(stack.id.as_str()),
        requires: texts(&stack.requires),
        suggests: stack.suggests.iter().map(|(id, why)| (id.to_string(), why.to_string())).collect(),
        packages: stack.packages.iter().map(|package| package.attr.to_string()).collect(),
        python: texts(&stack.python),
        unfree: texts(&stack.unfree),
        nixos_options: texts(stack.nixos.keys()),
        notes: texts(&stack.notes),
        active: chosen.map(|chosen| presence(&chosen.because)),
    }
}

/// A sprout.
pub(super) fn sprout(active: &Selection, sprout: &nix::Sprout) -> Sprout {
    Sprout {
        name: sprout.name.to_string(),
        title: sprout.title.to_string(),
        category: sprout.category.to_string(),
        stacks: texts(&sprout.stacks),
        packages: sprout.packages.iter().map(|package| package.attr.to_string()).collect(),
        unfree: texts(&sprout.unfree),
        model: sprout.model.as_ref().map(ToString::to_string),
        note: sprout.note.as_ref().map(ToString::to_string),
        active: active.sprouts.iter().any(|other| other.name == sprout.name),
    }
}

/// A name that looks like a slip.
pub(super) fn doubt(suggestion: Suggestion) -> NameDoubt {
    NameDoubt { given: suggestion.given.to_string(), nearest: suggestion.nearest }
}

/// What differs.
pub(super) fn diff(from: String, to: String, diff: nix::ProfileDiff) -> ProfileDiff {
    let list = |changed: nix::Changed| ListChange { added: changed.added, removed: changed.removed };
    ProfileDiff {
        from,
        to,
        description: diff
            .description
            .map(|(before, after)| BeforeAfter { before: Some(before), after: Some(after) }),
        editor: diff.editor.map(|(before, after)| BeforeAfter { before, after }),
        stacks: list(diff.stacks),
        sprouts: list(diff.sprouts),
        packages: list(diff.packages),
        python: list(diff.python),
        unfree: list(diff.unfree),
    }
}

impl From<Unknown> for UseCaseError {
    fn from(unknown: Unknown) -> Self {
        Self::NotFound { what: unknown.what, given: unknown.name, suggestion: unknown.nearest }
    }
}

impl From<FileError> for UseCaseError {
    fn from(error: FileError) -> Self {
        Self::Unfit { reason: error.to_string(), hint: error.hint() }
    }
}

impl From<EditError> for UseCaseError {
    fn from(error: EditError) -> Self {
        let hint = error.hint();
        match error {
            EditError::Unknown(unknown) => unknown.into(),
            EditError::Package(package) => Self::Unfit { reason: package.to_string(), hint },
            EditError::Base => Self::WrongState(error.to_string()),
            EditError::Needed { stack, by } => Self::InUse {
                what: "stack",
                name: format!("`{stack}`"),
                by: format!("needed by {}", texts(&by).join(", ")),
                hint: hint.unwrap_or_default(),
            },
            EditError::Absent { what, name, nearest } => {
                let what = if what == "stack" { "stack of the profile" } else { "package of the profile" };
                Self::NotFound { what, given: name, suggestion: nearest }
            }
            EditError::ComesWith { package, by } => Self::InUse {
                what: "package",
                name: format!("`{package}`"),
                by: format!("it comes with {by}"),
                hint: hint.unwrap_or_else(|| "`capsulectl edit` changes the rest of a profile".to_owned()),
            },
        }
    }
}
