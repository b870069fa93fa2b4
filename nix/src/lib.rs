//! From a profile to Nix: which stacks and packages there are, what a choice of them comes to, and the text of
//! the expressions and NixOS configurations made of it.
//!
//! Pure: nothing here reads a file, the clock or the network, or runs Nix. The same input gives the same bytes, so
//! a generated set can be compared, and a version of one recomputed. What is applied, where and with whose
//! rights is decided by whoever calls. It is a package of its own because tests of generated text want to run without
//! compiling a daemon, and because nothing in it needs one.
//!
//! | command | starts at |
//! |---|---|
//! | `stacks`, `show` | [`stacks::Library::choices`], [`profiles::select`] |
//! | `add`, `remove` | [`profiles::add_stack`], [`profiles::remove_stack`] |
//! | `pkg add`, `pkg remove` | [`profiles::add_packages`], [`profiles::remove_packages`] |
//! | `edit` | [`profiles::Contents::to_yaml`], [`profiles::Contents::from_yaml`] |
//! | `profiles`, `profile …` | [`stacks::Library::profiles`], [`profiles::diff`] |
//! | `sprouts`, `sprout` | [`stacks::Library::sprouts`] |
//! | `preview` | [`expression::expression`] |
//! | `nixos generate` | [`nixos::generate`], [`nixos::home`] |
//! | `nixos validate` | [`validate::validate`], [`validate::origins_at`] |

pub mod expression;
mod file;
pub mod names;
pub mod nixos;
pub mod options;
pub mod profiles;
pub mod stacks;
pub mod validate;
pub mod value;

pub use file::File;
