//! Adding to a profile and removing from it.

use super::{Contents, Profile, select};
use crate::{
    names::{PackageName, PackageNameError, StackId, nearest, shown},
    options::Origin,
    stacks::{BASE, Because, Library, Unknown, requirements},
};

/// An edit cannot be made, and nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No stack of that name.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// No package can have that name.
    #[error(transparent)]
    Package(#[from] PackageNameError),
    /// Every profile has `base`.
    #[error("every profile has the stack `base`")]
    Base,
    /// Others in the profile need it.
    #[error("stack `{stack}` is needed by {}", list(by))]
    Needed {
        /// The stack.
        stack: StackId,
        /// Who needs it.
        by: Vec<Origin>,
    },
    /// The profile does not have it.
    #[error("the profile has no {what} `{name}`")]
    Absent {
        /// Stack or package.
        what: &'static str,
        /// The name as given.
        name: String,
        /// What the profile has that was probably meant.
        nearest: Option<String>,
    },
    /// A package of the profile's stacks, editor or sprouts, and none of its own.
    #[error("package `{package}` comes with {by}")]
    ComesWith {
        /// The package.
        package: PackageName,
        /// Whom it comes with.
        by: Origin,
    },
}

impl EditError {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown(unknown) => unknown.hint(),
            Self::Package(package) => package.hint(),
            Self::Absent { nearest, .. } => {
                nearest.as_ref().map(|nearest| format!("did you mean `{nearest}`?"))
            }
            Self::Needed { by, .. } => Some(format!("remove {} first", list(by))),
            Self::ComesWith { by: Origin::Stack(stack), .. } => Some(format!("remove the stack `{stack}`")),
            Self::Base | Self::ComesWith { .. } => None,
        }
    }
}

fn list(origins: &[Origin]) -> String {
    origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The contents after an edit, equal to those before when there was nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new contents.
    pub contents: Contents,
    /// Stacks that came with the one added, or went with the one removed.
    pub along: Vec<StackId>,
    /// Names that look like a slip: nixpkgs may have them all the same.
    pub doubts: Vec<Suggestion>,
}

/// A name we do not know, beside one we do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The name as given.
    pub given: PackageName,
    /// The name that may have been meant.
    pub nearest: String,
}

fn stacks_of(library: &Library, contents: &Contents) -> Result<Vec<StackId>, Unknown> {
    Ok(requirements(library, &contents.stacks)?.into_iter().map(|needed| needed.stack.id.clone()).collect())
}

fn without(all: Vec<StackId>, known: &[StackId]) -> Vec<StackId> {
    all.into_iter().filter(|id| !known.contains(id)).collect()
}

/// Adds a stack; what it needs comes along without being written down.
///
/// # Errors
/// There is no stack of that name.
pub fn add_stack(library: &Library, contents: &Contents, name: &str) -> Result<Edited, EditError> {
    let stack = &library.stack(name)?.id;
    let mut new = contents.clone();
    if stack.as_str() != BASE && !new.stacks.contains(stack) {
        new.stacks.push(stack.clone());
    }
    let mut along = without(stacks_of(library, &new)?, &stacks_of(library, contents)?);
    along.retain(|id| id != stack);
    Ok(Edited { contents: new, along, doubts: Vec::new() })
}

/// Removes a stack; what only it needed goes along.
///
/// # Errors
/// The profile does not have it, other stacks of the profile need it, or it is `base`.
pub fn remove_stack(library: &Library, contents: &Contents, name: &str) -> Result<Edited, EditError> {
    let stack = &library.stack(name)?.id;
    if stack.as_str() == BASE {
        return Err(EditError::Base);
    }
    let before = requirements(library, &contents.stacks)?;
    let needs = |other: &StackId| {
        let needed = requirements(library, std::slice::from_ref(other))?;
        Ok::<_, Unknown>(other != stack && needed.iter().any(|needed| needed.stack.id == *stack))
    };
    let mut by = Vec::new();
    for needed in before.iter().filter(|needed| needed.because != Because::Always) {
        if needs(&needed.stack.id)? {
            by.push(Origin::Stack(needed.stack.id.clone()));
        }
    }
    for name in &contents.sprouts {
        if library.sprout(name.as_str())?.stacks.contains(stack) {
            by.push(Origin::Sprout(name.clone()));
        }
    }
    if !by.is_empty() {
        return Err(EditError::Needed { stack: stack.clone(), by });
    }
    if !contents.stacks.contains(stack) {
        let near = nearest(name, contents.stacks.iter().map(StackId::as_str)).map(str::to_owned);
        return Err(EditError::Absent { what: "stack", name: stack.to_string(), nearest: near });
    }
    let mut new = contents.clone();
    new.stacks.retain(|id| id != stack);
    let before = before.into_iter().map(|needed| needed.stack.id.clone()).collect();
    let mut along = without(before, &stacks_of(library, &new)?);
    along.retain(|id| id != stack);
    Ok(Edited { contents: new, along, doubts: Vec::new() })
}

/// Adds packages, all of them or none. `known` is what names are compared with: nixpkgs' attributes where they can be
/// had, and otherwise [`Library::known_packages`].
///
/// # Errors
/// One of the names cannot be a package, or is known not to be one.
pub fn add_packages<'a>(
    contents: &Contents,
    names: &[&str],
    known: impl IntoIterator<Item = &'a str>,
) -> Result<Edited, EditError> {
    let known: Vec<&str> = known.into_iter().collect();
    let mut new = contents.clone();
    let mut doubts = Vec::new();
    for name in names {
        let given: PackageName = name.parse()?;
        if !known.contains(name)
            && let Some(near) = nearest(name, known.iter().copied())
        {
            doubts.push(Suggestion { given: given.clone(), nearest: near.to_owned() });
        }
        if !new.custom_packages.contains(&given) {
            new.custom_packages.push(given);
        }
    }
    Ok(Edited { contents: new, along: Vec::new(), doubts })
}

/// Removes packages of the profile's own, all of them or none.
///
/// # Errors
/// One of them is not the profile's own: it is not there at all, or comes with a stack, the editor or a sprout.
pub fn remove_packages(library: &Library, profile: &Profile, names: &[&str]) -> Result<Edited, EditError> {
    let mut new = profile.contents.clone();
    for name in names {
        let own = new.custom_packages.iter().position(|package| package.as_str() == *name);
        let Some(own) = own else {
            return Err(absent(library, profile, name)?);
        };
        new.custom_packages.remove(own);
    }
    Ok(Edited { contents: new, along: Vec::new(), doubts: Vec::new() })
}

fn absent(library: &Library, profile: &Profile, name: &str) -> Result<EditError, EditError> {
    let selection = select(library, profile)?;
    let foreign = selection.packages.iter().find(|package| package.attr.as_str() == name);
    if let Some((package, by)) = foreign.and_then(|package| Some((package, package.origins.first()?))) {
        return Ok(EditError::ComesWith { package: package.attr.clone(), by: by.clone() });
    }
    let own = profile.contents.custom_packages.iter().map(PackageName::as_str);
    let near = nearest(name, own).map(str::to_owned);
    Ok(EditError::Absent { what: "package", name: shown(name), nearest: near })
}
