//! Arguments of everything about stacks and profiles.

use std::path::PathBuf;

use capsule_api::ProfileName;
use clap::{Args, Subcommand};

use super::styles::examples;

/// `show`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl show" => "stacks with what they need, and packages",
    "capsulectl show prod -o json" => "another profile, for a script",
))]
pub struct ShowArgs {
    /// A profile other than the active one
    pub profile: Option<String>,
}

/// `stacks`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl stacks" => "all of them, and which are active",
    "capsulectl stacks -o wide" => "with their packages",
))]
pub struct StacksArgs {}

/// `stack`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl stack show docker" => "what it brings and sets",
    "capsulectl stack add data.yaml" => "stacks of your own",
))]
pub struct StackArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: StackAction,
}

/// What can be done with a stack.
#[derive(Debug, Subcommand)]
pub enum StackAction {
    /// Everything about a stack
    #[command(after_help = examples!("capsulectl stack show monitoring" => "packages, options and notes"))]
    Show {
        /// The stack's name
        name: String,
    },
    /// Add stacks of your own from a YAML file: all of it or nothing
    #[command(after_help = examples!(
        "capsulectl stack add data.yaml" => "a list `stacks:` with id, title, category, packages, requires, nixos",
        "capsulectl stack add data.yaml --replace" => "over those of the same names",
    ))]
    Add {
        /// The file
        file: PathBuf,
        /// Replace own stacks of the same names
        #[arg(long)]
        replace: bool,
    },
    /// Remove a stack of your own
    #[command(after_help = examples!("capsulectl stack remove data --yes" => "refused while a profile names it"))]
    Remove {
        /// The stack's name
        name: String,
    },
}

/// `add` and `remove`.
#[derive(Debug, Args)]
pub struct StackNames {
    /// Stacks, as `capsulectl stacks` lists them
    #[arg(required = true, value_name = "STACK")]
    pub stacks: Vec<String>,
}

/// `pkg`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl pkg add ripgrep fd" => "beside those of the stacks",
    "capsulectl pkg remove fd" => "and away again",
))]
pub struct PkgArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: PkgAction,
}

/// What can be done with packages.
#[derive(Debug, Subcommand)]
pub enum PkgAction {
    /// Add packages to the active profile: all of them or none
    #[command(after_help = examples!(
        "capsulectl pkg add ripgrep fd" => "attributes of nixpkgs",
        "capsulectl pkg add python3Packages.requests" => "a module of the one Python",
    ))]
    Add {
        /// Packages, as attributes of nixpkgs
        #[arg(required = true, value_name = "PKG")]
        packages: Vec<String>,
    },
    /// Remove packages from the active profile
    #[command(after_help = examples!("capsulectl pkg remove fd" => "not those that come with a stack"))]
    Remove {
        /// Packages that were added
        #[arg(required = true, value_name = "PKG")]
        packages: Vec<String>,
    },
}

/// `edit`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl edit" => "the active profile in $VISUAL or $EDITOR",
    "EDITOR=nano capsulectl edit prod" => "another one",
))]
pub struct EditProfileArgs {
    /// A profile other than the active one
    pub profile: Option<String>,
}

/// `reset`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl reset" => "asks first",
    "capsulectl reset --yes" => "in a script",
))]
pub struct ResetArgs {}

/// `profiles`.
#[derive(Debug, Args)]
#[command(after_help = examples!("capsulectl profiles" => "built-in and own ones"))]
pub struct ProfilesArgs {}

/// `sprouts`.
#[derive(Debug, Args)]
#[command(after_help = examples!("capsulectl sprouts" => "nine tools and models"))]
pub struct SproutsArgs {}

/// `preview`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl preview" => "the expression of the active profile, exactly",
    "capsulectl preview ml > default.nix" => "another profile's, as a file",
))]
pub struct PreviewArgs {
    /// A profile other than the active one
    pub profile: Option<String>,
}

/// `profile`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = examples!(
    "capsulectl profile use dev" => "from now on",
    "capsulectl profile copy dev work" => "one of your own",
    "capsulectl profile diff dev prod" => "two profiles",
))]
pub struct ProfileArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: ProfileAction,
}

/// What can be done with a profile.
#[derive(Debug, Subcommand)]
pub enum ProfileAction {
    /// Make a profile the active one
    #[command(after_help = examples!("capsulectl profile use dev" => "built-in or own"))]
    Use {
        /// The profile's name
        name: String,
    },
    /// Make a profile
    #[command(after_help = examples!(
        "capsulectl profile new work" => "with nothing but the base stack",
        "capsulectl profile new work --copy-from dev" => "with what another has",
    ))]
    New {
        /// Its name
        name: ProfileName,
        /// Begin with what this profile has
        #[arg(long, value_name = "SRC")]
        copy_from: Option<String>,
    },
    /// Copy a profile
    #[command(after_help = examples!("capsulectl profile copy dev work" => "built-in or own"))]
    Copy {
        /// The profile to copy
        source: String,
        /// The new profile's name
        dest: ProfileName,
    },
    /// Delete a profile of your own
    #[command(after_help = examples!(
        "capsulectl profile delete work" => "with its history; asks first",
        "capsulectl profile delete dev --yes" => "your changes to a built-in one: that comes back",
    ))]
    Delete {
        /// The profile's name
        name: String,
    },
    /// Copy a built-in profile to change it
    #[command(after_help = examples!(
        "capsulectl profile import web" => "under its own name",
        "capsulectl profile import web shop" => "under another",
    ))]
    Import {
        /// The built-in profile
        builtin: String,
        /// The new profile's name
        new: Option<ProfileName>,
    },
    /// What was changed, when and by whom
    #[command(after_help = examples!("capsulectl profile history" => "of the active profile"))]
    History {
        /// A profile other than the active one
        name: Option<String>,
    },
    /// What differs between two versions, or from another profile
    #[command(after_help = examples!(
        "capsulectl profile diff" => "the last change of the active profile",
        "capsulectl profile diff dev --from 1" => "everything since it was made",
        "capsulectl profile diff dev prod" => "two profiles",
    ))]
    Diff {
        /// A profile other than the active one
        name: Option<String>,
        /// Another profile to compare with
        #[arg(conflicts_with_all = ["from", "to"])]
        other: Option<String>,
        /// The older revision [default: the one before]
        #[arg(long, value_name = "REVISION")]
        from: Option<i64>,
        /// The newer revision [default: the present one]
        #[arg(long, value_name = "REVISION")]
        to: Option<i64>,
    },
}
