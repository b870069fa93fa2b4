//! What one user can choose from: the built-in stacks and profiles with the user's own over them. Values only.

use std::sync::LazyLock;

use capsule_nix::{
    profiles::{Contents, Profile as NixProfile},
    stacks::Library,
};
use serde_json::Value;

use crate::{
    store::{
        StoreError,
        profiles::{Owned, StoredStack},
    },
    usecases::UseCaseError,
};

/// What comes with Capsule, read once.
static BUILT_IN: LazyLock<Library> = LazyLock::new(Library::builtin);

/// The profile of somebody who has chosen none: the least there is.
const UNCHOSEN: &str = "minimal";

/// A profile on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Name and contents.
    pub profile: NixProfile,
    /// 0: a built-in one.
    pub revision: i64,
    /// When it was last changed; `None` for a built-in one.
    pub updated_at: Option<jiff::Timestamp>,
}

impl Known {
    pub(super) fn is_built_in(&self) -> bool {
        self.revision == 0
    }
}

/// What one user can choose from.
pub(super) struct Shelf {
    /// Stacks, sprouts and editors, the user's own stacks among them.
    pub library: Library,
    /// The user's own rows.
    pub owned: Owned,
}

impl Shelf {
    /// The shelf of whoever has this.
    ///
    /// # Errors
    /// [`UseCaseError::Unfit`]: an own stack does not go together with what this version brings.
    pub(super) fn of(owned: Owned) -> Result<Self, UseCaseError> {
        let mut library = BUILT_IN.clone();
        add_own(&mut library, &owned.stacks)?;
        Ok(Self { library, owned })
    }

    /// The user's own profiles, then the built-in ones that none of them stands in for.
    pub(super) fn profiles(&self) -> Result<Vec<Known>, UseCaseError> {
        let mut all = Vec::new();
        for built_in in self.library.profiles() {
            let name = built_in.name.as_str();
            if !self.owned.profiles.iter().any(|own| own.name.eq_ignore_ascii_case(name)) {
                all.push(Known { profile: built_in.clone(), revision: 0, updated_at: None });
            }
        }
        for own in &self.owned.profiles {
            all.push(Known {
                profile: profile(&own.name, &own.document)?,
                revision: own.revision,
                updated_at: Some(own.updated_at),
            });
        }
        all.sort_by(|one, other| one.profile.name.cmp(&other.profile.name));
        Ok(all)
    }

    /// One profile, own before built-in.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], with the name that was probably meant.
    pub(super) fn profile(&self, given: &str) -> Result<Known, UseCaseError> {
        let all = self.profiles()?;
        let names: Vec<String> = all.iter().map(|known| known.profile.name.to_string()).collect();
        let found = all.into_iter().find(|known| known.profile.name.as_str().eq_ignore_ascii_case(given));
        found.ok_or_else(|| UseCaseError::NotFound {
            what: "profile",
            given: given.chars().take(64).collect(),
            suggestion: capsule_nix::names::nearest(given, names.iter().map(String::as_str))
                .map(str::to_owned),
        })
    }

    /// The name of the active profile.
    pub(super) fn active(&self) -> &str {
        self.owned.active.as_deref().unwrap_or(UNCHOSEN)
    }

    /// Whether this is the active profile.
    pub(super) fn is_active(&self, known: &Known) -> bool {
        known.profile.name.as_str().eq_ignore_ascii_case(self.active())
    }

    /// Whether the stack is the user's own.
    pub(super) fn is_own_stack(&self, id: &str) -> bool {
        self.owned.stacks.iter().any(|stack| stack.id == id)
    }
}

/// A stored profile.
pub(super) fn profile(name: &str, document: &str) -> Result<NixProfile, UseCaseError> {
    let unreadable = |detail: String| UseCaseError::Store(StoreError::Unreadable { what: "profile", detail });
    let contents: Contents = serde_json::from_str(document).map_err(|error| unreadable(error.to_string()))?;
    let name =
        name.parse().map_err(|error: capsule_nix::names::InvalidName| unreadable(error.to_string()))?;
    Ok(NixProfile { name, contents })
}

/// Adds stacks of the user's own to a library, all together because they may need each other.
fn add_own(library: &mut Library, stacks: &[StoredStack]) -> Result<(), UseCaseError> {
    if stacks.is_empty() {
        return Ok(());
    }
    library.add_file("your stacks", &document(stacks)).map(drop).map_err(|error| UseCaseError::Unfit {
        reason: format!("your own stacks do not go together: {}", error.problem),
        hint: Some("`capsulectl stack remove NAME` removes one".to_owned()),
    })
}

/// Stacks as a file: JSON is YAML.
fn document(stacks: &[StoredStack]) -> String {
    let all: Vec<&str> = stacks.iter().map(|stack| stack.document.as_str()).collect();
    format!("{{\"stacks\":[{}]}}", all.join(","))
}

/// The stacks of a file by id, each as JSON, checked against everything the user has but what they replace.
///
/// # Errors
/// [`UseCaseError::Unfit`] with file, line and the nearest right word; [`UseCaseError::NameTaken`].
pub(super) fn read_stacks(
    owned: &Owned,
    file: &str,
    text: &str,
    replace: bool,
) -> Result<Vec<StoredStack>, UseCaseError> {
    // What is no YAML at all is refused below, with its line.
    let read: Value = serde_saphyr::from_str(text).unwrap_or_default();
    let entries = read["stacks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let id = |entry: &Value| entry["id"].as_str().map(str::to_owned);
    let ids: Vec<String> = entries.iter().filter_map(id).collect();
    let (replaced, mut others): (Vec<StoredStack>, Vec<StoredStack>) =
        owned.stacks.iter().cloned().partition(|own| ids.contains(&own.id));
    if let Some(taken) = replaced.first().filter(|_| !replace) {
        return Err(UseCaseError::NameTaken { what: "stack of yours", name: taken.id.clone() });
    }
    around(&others).add_file(file, text)?;
    let stacks: Vec<StoredStack> = ids
        .into_iter()
        .zip(entries)
        .map(|(id, entry)| StoredStack { id, document: entry.to_string() })
        .collect();
    others.extend(stacks.iter().cloned());
    add_own(&mut BUILT_IN.clone(), &others)?;
    Ok(stacks)
}

/// The library that a new file is read against: without those of `others` that need what the file replaces.
fn around(others: &[StoredStack]) -> Library {
    let mut library = BUILT_IN.clone();
    let mut left: Vec<&StoredStack> = others.iter().collect();
    loop {
        let before = left.len();
        left.retain(|stack| {
            library.add_file("your stacks", &document(std::slice::from_ref(*stack))).is_err()
        });
        if left.len() == before {
            return library;
        }
    }
}

/// Whether the user's stacks still go together without this one.
///
/// # Errors
/// [`UseCaseError::InUse`]: other stacks of theirs, or profiles, name it.
pub(super) fn refuse_needed(owned: &Owned, id: &str) -> Result<(), UseCaseError> {
    let names = |value: &Value| {
        let named = ["requires", "suggests", "when"].iter().any(|key| match &value[*key] {
            Value::Array(list) => list.iter().any(|other| other == id),
            Value::Object(map) => map.contains_key(id),
            _ => false,
        });
        named && value["id"] != id
    };
    let stacks = owned
        .stacks
        .iter()
        .filter(|stack| serde_json::from_str(&stack.document).is_ok_and(|value: Value| names(&value)));
    let mut by: Vec<String> = stacks.map(|stack| format!("stack `{}`", stack.id)).collect();
    for own in &owned.profiles {
        let contents = profile(&own.name, &own.document)?.contents;
        if contents.stacks.iter().any(|stack| stack.as_str() == id) {
            by.push(format!("profile `{}`", own.name));
        }
    }
    if by.is_empty() {
        return Ok(());
    }
    let by = by.join(", ");
    let hint = format!("take it out of {by} first");
    Err(UseCaseError::InUse { what: "stack", name: format!("`{id}`"), by: format!("needed by {by}"), hint })
}
