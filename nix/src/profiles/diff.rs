//! What differs between two versions of a profile, or between two profiles.

use serde::Serialize;

use super::{Profile, select};
use crate::stacks::{Library, Unknown};

/// What was added to a list and what was taken from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Only in the second.
    pub added: Vec<String>,
    /// Only in the first.
    pub removed: Vec<String>,
}

impl Changed {
    fn between(before: Vec<String>, after: Vec<String>) -> Self {
        let added = after.iter().filter(|one| !before.contains(one)).cloned().collect();
        let removed = before.into_iter().filter(|one| !after.contains(one)).collect();
        Self { added, removed }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// What differs between two profiles: stacks and packages as they come out, not only as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileDiff {
    /// The description before and after, when it differs.
    pub description: Option<(String, String)>,
    /// The editor before and after, when it differs.
    pub editor: Option<(Option<String>, Option<String>)>,
    /// Stacks, with those that others need.
    pub stacks: Changed,
    /// Sprouts.
    pub sprouts: Changed,
    /// Packages, whoever asks for them.
    pub packages: Changed,
    /// Modules of the Python interpreter.
    pub python: Changed,
    /// Packages whose licence is allowed.
    pub unfree: Changed,
}

impl ProfileDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        let Self { description, editor, stacks, sprouts, packages, python, unfree } = self;
        let lists = [stacks, sprouts, packages, python, unfree];
        description.is_none() && editor.is_none() && lists.iter().all(|list| list.is_empty())
    }
}

/// What differs from `before` to `after`.
///
/// # Errors
/// One of them names a stack, sprout or editor that is not in the library.
pub fn diff(library: &Library, before: &Profile, after: &Profile) -> Result<ProfileDiff, Unknown> {
    let (one, other) = (select(library, before)?, select(library, after)?);
    let editor = |profile: &Profile| profile.contents.editor.as_ref().map(ToString::to_string);
    let description = |profile: &Profile| profile.contents.description.to_string();
    let stacks = |selection: &super::Selection| {
        selection.stacks.iter().map(|chosen| chosen.stack.id.to_string()).collect()
    };
    let packages = |selection: &super::Selection| {
        selection.packages.iter().map(|selected| selected.attr.to_string()).collect()
    };
    let python = |selection: &super::Selection| {
        selection.python.iter().map(|selected| selected.module.to_string()).collect()
    };
    Ok(ProfileDiff {
        description: pair(description(before), description(after)),
        editor: pair(editor(before), editor(after)),
        stacks: Changed::between(stacks(&one), stacks(&other)),
        sprouts: Changed::between(names(&before.contents.sprouts), names(&after.contents.sprouts)),
        packages: Changed::between(packages(&one), packages(&other)),
        python: Changed::between(python(&one), python(&other)),
        unfree: Changed::between(names(&one.unfree), names(&other.unfree)),
    })
}

fn pair<T: PartialEq>(before: T, after: T) -> Option<(T, T)> {
    (before != after).then_some((before, after))
}

fn names<'a, T: ToString + 'a>(all: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    all.into_iter().map(ToString::to_string).collect()
}
