//! Profiles: a named choice of stacks and packages. Each user has their own; the built-in ones are everybody's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ProfileName, StackPresence};

/// A profile of the caller's, or a built-in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Whether it comes with Capsule and was not changed. The first change makes a copy of the caller's own under
    /// the same name.
    pub built_in: bool,
    /// Whether it is the caller's active one.
    pub active: bool,
    /// Its revision, also its `ETag`; 0 for a built-in one.
    pub revision: i64,
    /// The stacks it names; those have others with them.
    pub stacks: Vec<String>,
    /// Packages beside those of the stacks.
    pub custom_packages: Vec<String>,
    /// The editor that is made the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<String>,
    /// Its sprouts.
    pub sprouts: Vec<String>,
    /// Packages of which the licence is allowed, beyond what the stacks need.
    pub unfree: Vec<String>,
    /// When it was last changed; absent for a built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// The contents as YAML, to be edited and sent back.
    pub document: String,
    /// What it comes to; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<ProfileSelection>,
}

/// What a profile comes to, with all that its stacks need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileSelection {
    /// Stacks, each after what it needs.
    pub stacks: Vec<SelectedStack>,
    /// Packages, each once, without Python's modules.
    pub packages: Vec<SelectedPackage>,
    /// Modules of the one Python interpreter.
    pub python: Vec<SelectedPackage>,
    /// Packages of which the licence is allowed.
    pub unfree: Vec<String>,
    /// Models that Ollama pulls.
    pub models: Vec<String>,
}

/// A stack of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SelectedStack {
    /// Its name.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// Why it is there.
    pub presence: StackPresence,
}

/// A package of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SelectedPackage {
    /// Its attribute.
    pub attr: String,
    /// Who asks for it, such as ``stack `python` ``.
    pub from: Vec<String>,
}

/// A profile to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileCreate {
    /// Its name. A built-in profile's only with that profile as `copy_from`.
    pub name: ProfileName,
    /// Begin with what this profile has, built-in or own; default: with nothing but `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_from: Option<String>,
}

/// A change to a profile: one of these, or several, carried out in this order, all or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfilePatch {
    /// Back to what it was when it was made.
    #[serde(default)]
    pub reset: bool,
    /// New contents as YAML, in place of all there is. At most 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Stacks to remove; what only they needed goes along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_stacks: Vec<String>,
    /// Stacks to add; what they need comes along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_stacks: Vec<String>,
    /// Packages of its own to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_packages: Vec<String>,
    /// Packages to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_packages: Vec<String>,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileChange {
    /// The profile as it is now.
    pub profile: Profile,
    /// Whether anything was different afterwards.
    pub changed: bool,
    /// Whether it was a built-in one, so that this is a copy of the caller's own.
    pub copied: bool,
    /// Stacks that came or went along.
    pub along: Vec<String>,
    /// Names that look like a slip; they were taken all the same.
    pub doubts: Vec<NameDoubt>,
}

/// A name that nobody here knows, beside one that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NameDoubt {
    /// The name as given.
    pub given: String,
    /// The name that may have been meant.
    pub nearest: String,
}

/// Which profile is to be the caller's active one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveProfileSet {
    /// Its name.
    pub name: String,
}

/// What a profile was once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileVersion {
    /// The revision.
    pub revision: i64,
    /// What was done.
    pub change: String,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What to compare: two versions of a profile, or a profile with another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProfileDiffQuery {
    /// The older revision; default: the one before the newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The newer revision; default: the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Another profile, compared with the present one; excludes the revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
}

/// What differs from the first to the second: stacks and packages as they come out, not only as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileDiff {
    /// The first, such as `dev@3`.
    pub from: String,
    /// The second.
    pub to: String,
    /// The description, when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<BeforeAfter>,
    /// The editor, when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<BeforeAfter>,
    /// Stacks.
    pub stacks: ListChange,
    /// Sprouts.
    pub sprouts: ListChange,
    /// Packages.
    pub packages: ListChange,
    /// Modules of the Python interpreter.
    pub python: ListChange,
    /// Packages of which the licence is allowed.
    pub unfree: ListChange,
}

/// A value before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BeforeAfter {
    /// Before; absent: none.
    pub before: Option<String>,
    /// After; absent: none.
    pub after: Option<String>,
}

/// What was added to a list and what was taken from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListChange {
    /// Only in the second.
    pub added: Vec<String>,
    /// Only in the first.
    pub removed: Vec<String>,
}

/// The expression that is installed for a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfilePreview {
    /// The profile's name.
    pub profile: String,
    /// The Nix expression, byte for byte.
    pub expression: String,
}
