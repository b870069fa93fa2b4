//! Stacks and sprouts: what a profile can be made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

words! {
    /// Why a stack is part of a profile.
    StackReason("reason") {
        /// Every profile has it.
        Always = "always",
        /// The profile names it.
        Chosen = "chosen",
        /// Other stacks or sprouts of the profile need it.
        Needed = "needed",
    }
}

/// That a stack is part of the profile, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StackPresence {
    /// Why it is there.
    pub reason: StackReason,
    /// Who needs it, such as ``stack `docker` ``; empty unless `reason` is `needed`.
    pub needed_by: Vec<String>,
}

/// A bundle of packages and services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stack {
    /// Its name in profiles and commands.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// Under which heading it is listed.
    pub category: String,
    /// Whether the caller added it; the others come with Capsule.
    pub own: bool,
    /// Stacks that come along.
    pub requires: Vec<String>,
    /// Stacks that go well with it, and why.
    pub suggests: BTreeMap<String, String>,
    /// Packages, as attributes of nixpkgs.
    pub packages: Vec<String>,
    /// Modules of the one Python interpreter.
    pub python: Vec<String>,
    /// Packages of which the licence has to be allowed.
    pub unfree: Vec<String>,
    /// Options it sets on a NixOS machine.
    pub nixos_options: Vec<String>,
    /// What whoever takes it should know.
    pub notes: Vec<String>,
    /// Whether and why the caller's active profile has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<StackPresence>,
}

/// Stacks of the caller's own, from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StackCreate {
    /// The file's text: YAML with `stacks`, a list. At most 256 KiB.
    pub document: String,
    /// The file's name, for errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether own stacks of the same ids are replaced; default: refused.
    #[serde(default)]
    pub replace: bool,
}

/// The stacks that were added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StacksAdded {
    /// The stacks, in the order of the file.
    pub stacks: Vec<Stack>,
}

/// A quick install: one tool, or one language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sprout {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Under which heading it is listed.
    pub category: String,
    /// Stacks it needs.
    pub stacks: Vec<String>,
    /// Packages it brings.
    pub packages: Vec<String>,
    /// Packages of which the licence has to be allowed.
    pub unfree: Vec<String>,
    /// A model that Ollama has to pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What one should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the caller's active profile has it.
    pub active: bool,
}
