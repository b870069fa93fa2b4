//! What `setup` installs and `preview` shows: the packages of a profile as one package.
//!
//! One, so that there is one generation to go back to, and so that whatever is not in the profile any more goes away
//! with the next `setup`. Its name is the same for every profile: installing it replaces the one before. It has two
//! forms that come to the same: `default.nix` for `nix-env -if`, and `flake.nix` beside it for `nix profile`. One
//! profile of Nix cannot be used by both.

use crate::{
    file::{File, comment, one_line, tidy},
    nixos::{Release, System},
    options::{Options, Origin},
    profiles::Selection,
    value::{Text, Value},
};

/// What Nix calls the package.
pub const NAME: &str = "capsule-profile";

/// The two files of the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// For `nix-env -if`, and what `preview` prints.
    pub default: File,
    /// For `nix profile`, in the same directory.
    pub flake: File,
}

/// The packages of a profile as one package, from `release` where a flake has to name one.
pub fn expression(selection: &Selection, release: &Release) -> Expression {
    Expression { default: default(selection), flake: flake(selection, release) }
}

fn default(selection: &Selection) -> File {
    let profile = selection.profile;
    let header = comment(&format!(
        "Profile {}: {}\nStacks: {}",
        profile.name,
        one_line(profile.contents.description.as_str()),
        selection.stacks.iter().map(|chosen| chosen.stack.id.as_str()).collect::<Vec<_>>().join(", ")
    ));
    let mut paths: Vec<Value> =
        selection.packages.iter().map(|selected| Value::Package(selected.attr.clone())).collect();
    paths.extend(selection.interpreter().map(|(interpreter, _)| interpreter));
    let config = config(selection);
    // Manuals and completions are outputs of their own, which an environment leaves out unless asked.
    let source = format!(
        "{header}{{ pkgs ? import <nixpkgs> {{ {config} }} }}:
        pkgs.buildEnv {{
          name = \"{NAME}\";
          paths = {};
          extraOutputsToInstall = [ \"man\" \"info\" ];
        }}",
        Value::List(paths)
    );
    File { name: "default.nix", text: tidy(&source), options: entries(selection) }
}

/// The profile's entries as if they were options, so that a place in the text leads to one.
fn entries(selection: &Selection) -> Options {
    let mut options = Options::default();
    let paths: crate::options::OptionPath = "paths".parse().expect("a path");
    let mut add = |value: Value, origin: &Origin| {
        options.set(paths.clone(), Value::List(vec![value]), origin.clone()).expect("lists are united");
    };
    for selected in &selection.packages {
        selected.origins.iter().for_each(|origin| add(Value::Package(selected.attr.clone()), origin));
    }
    if let Some((interpreter, origins)) = selection.interpreter() {
        origins.iter().for_each(|origin| add(interpreter.clone(), origin));
    }
    options
}

fn config(selection: &Selection) -> String {
    const NAME_OF: &str = "package.pname or (builtins.parseDrvName package.name).name";
    match selection.unfree_predicate(NAME_OF) {
        Some(predicate) => format!("config.allowUnfreePredicate = {predicate};"),
        None => String::new(),
    }
}

fn flake(selection: &Selection, release: &Release) -> File {
    let text = |text: String| Value::Text(Text::try_from(text).expect("made of checked names")).to_string();
    let description = text(format!("Profile {} of Capsule", selection.profile.name));
    let nixpkgs = text(format!("github:NixOS/nixpkgs/nixos-{release}"));
    let systems = Value::List(System::ALL.iter().map(|system| system.as_str().into()).collect());
    let config = config(selection);
    let source = format!(
        "{{
          description = {description};
          inputs.nixpkgs.url = {nixpkgs};
          outputs = {{ nixpkgs, ... }}: {{
            packages = nixpkgs.lib.genAttrs {systems} (system: {{
              default = import ./default.nix {{
                pkgs = import nixpkgs {{ inherit system; {config} }};
              }};
            }});
          }};
        }}"
    );
    File { name: "flake.nix", text: tidy(&source), options: Options::default() }
}
