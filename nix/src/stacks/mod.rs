//! Stacks: bundles of packages and services, ours and the user's own.
//!
//! A stack is data. Ours are in `data/stacks.yaml`, users write theirs in the same schema, and the code knows none
//! of them by name except `base`, which every profile has.

mod read;
mod requirements;
mod schema;

pub(crate) use read::yaml;
pub use read::{FileError, FileProblem};
pub use requirements::{Because, Cycle, Needed, requirements};
pub use schema::{Data, Given, OptionTable, Ports, Stack, StackPackage};

use crate::{
    names::{StackId, nearest},
    profiles::{Editor, Profile, Sprout},
};

/// The stack that every profile has.
pub const BASE: &str = "base";

/// Nothing of that name is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what} is called `{name}`")]
pub struct Unknown {
    /// Stack, profile, sprout or editor.
    pub what: &'static str,
    /// The name as given.
    pub name: String,
    /// The known one that was probably meant.
    pub nearest: Option<String>,
}

impl Unknown {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        self.nearest.as_ref().map(|nearest| format!("did you mean `{nearest}`?"))
    }
}

/// Everything a profile can name: stacks, built-in profiles, sprouts and editors.
#[derive(Debug, Clone)]
pub struct Library {
    stacks: Vec<Stack>,
    profiles: Vec<Profile>,
    sprouts: Vec<Sprout>,
    editors: Vec<Editor>,
}

impl Library {
    /// What comes with Capsule. Reading it takes a few milliseconds: keep it.
    pub fn builtin() -> Self {
        const OWN: &str = "our own data, read by every test";
        let mut library =
            Self { stacks: Vec::new(), profiles: Vec::new(), sprouts: Vec::new(), editors: Vec::new() };
        library.stacks = read::own_stacks().expect(OWN);
        library.profiles =
            read::profiles("profiles.yaml", include_str!("../../data/profiles.yaml")).expect(OWN);
        library.sprouts = read::sprouts("sprouts.yaml", include_str!("../../data/sprouts.yaml")).expect(OWN);
        library.editors = read::editors("editors.yaml", include_str!("../../data/editors.yaml")).expect(OWN);
        library
    }

    /// Adds the stacks of a user's file, all of them or none. `file` is named in errors and nothing else.
    ///
    /// # Errors
    /// The file breaks the schema, names a stack nobody knows, needs itself in a circle, takes the name of another
    /// stack, or sets an option that nixpkgs has given up; each with its line.
    pub fn add_file(&mut self, file: &str, text: &str) -> Result<Vec<StackId>, FileError> {
        let read = read::user_stacks(file, text, &self.stacks)?;
        let ids = read.iter().map(|stack| stack.id.clone()).collect();
        self.stacks.extend(read);
        Ok(ids)
    }

    /// All stacks, `base` first, ours before the user's.
    pub fn stacks(&self) -> &[Stack] {
        &self.stacks
    }

    /// The stacks one can add: all but `base`.
    pub fn choices(&self) -> impl Iterator<Item = &Stack> {
        self.stacks.iter().filter(|stack| stack.id.as_str() != BASE)
    }

    /// One stack.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn stack(&self, name: &str) -> Result<&Stack, Unknown> {
        find("stack", name, &self.stacks, |stack| stack.id.as_str())
    }

    /// The profiles that come with Capsule.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// One of the profiles that come with Capsule.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn profile(&self, name: &str) -> Result<&Profile, Unknown> {
        find("built-in profile", name, &self.profiles, |profile| profile.name.as_str())
    }

    /// All sprouts.
    pub fn sprouts(&self) -> &[Sprout] {
        &self.sprouts
    }

    /// One sprout.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn sprout(&self, name: &str) -> Result<&Sprout, Unknown> {
        find("sprout", name, &self.sprouts, |sprout| sprout.name.as_str())
    }

    /// All editors.
    pub fn editors(&self) -> &[Editor] {
        &self.editors
    }

    /// One editor.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn editor(&self, name: &str) -> Result<&Editor, Unknown> {
        find("editor", name, &self.editors, |editor| editor.name.as_str())
    }

    /// Every package we name somewhere: what an unknown one is compared with while there is no nixpkgs to ask.
    pub fn known_packages(&self) -> impl Iterator<Item = &str> {
        let stacks = self.stacks.iter().flat_map(|stack| &stack.packages);
        let sprouts = self.sprouts.iter().flat_map(|sprout| &sprout.packages);
        let own = self.profiles.iter().flat_map(|profile| &profile.contents.custom_packages);
        let editors = self.editors.iter().map(|editor| &editor.attr);
        stacks.chain(sprouts).map(|package| &package.attr).chain(own).chain(editors).map(|name| name.as_str())
    }
}

fn find<'a, T>(
    what: &'static str,
    name: &str,
    all: &'a [T],
    name_of: fn(&T) -> &str,
) -> Result<&'a T, Unknown> {
    all.iter().find(|one| name_of(one) == name).ok_or_else(|| Unknown {
        what,
        name: crate::names::shown(name),
        nearest: nearest(name, all.iter().map(name_of)).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
