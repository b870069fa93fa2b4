//! The options of `home.nix`.

use super::{host::Host, machine::path, system::filled};
use crate::{
    file::{File, module},
    options::{Conflict, OptionPath, Options, Origin},
    profiles::Selection,
    value::{Text, Value},
};

/// Where a home is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// On a NixOS machine whose configuration comes from the same profile: services are the system's.
    NixOs,
    /// On another Linux, where home-manager runs the services too.
    Elsewhere,
}

/// Writes the home of the host's user.
///
/// # Errors
/// Two entries of the profile want different things of one option.
pub fn home(selection: &Selection, host: &Host, surroundings: Surroundings) -> Result<File, Conflict> {
    let mut options = Options::default();
    // A second Ollama, started by the person, would fight with the system's for its port.
    let wanted = |path: &OptionPath| {
        surroundings == Surroundings::Elsewhere || path.names().next() != Some("services")
    };
    for chosen in &selection.stacks {
        let stack = chosen.stack;
        let own = stack.home.iter().map(|(path, data)| (path.clone(), data.own_value()));
        let given = filled(stack, &host.given, |given| &given.home);
        for (path, value) in own.chain(given).filter(|(path, _)| wanted(path)) {
            options.set(path, value, Origin::Stack(stack.id.clone()))?;
        }
    }
    if let Some(editor) = selection.editor {
        for (path, data) in &editor.home {
            options.set(path.clone(), data.own_value(), Origin::Editor(editor.name.clone()))?;
        }
    }
    let mut set = |at, value| options.set(path(at), value, Origin::Host("user"));
    let directory = Text::try_from(format!("/home/{}", host.user)).expect("a user's name");
    set("home.username", (&host.user).into())?;
    set("home.homeDirectory", directory.into())?;
    set("home.stateVersion", (&host.state_version).into())?;
    packages(&mut options, selection)?;
    let header = format!(
        "Home of {}: written by Capsule from the profile {}. Change the profile, not this file.",
        host.user, selection.profile.name
    );
    Ok(module("home.nix", &header, "config, lib, pkgs, ...", Vec::new(), options))
}

fn packages(options: &mut Options, selection: &Selection) -> Result<(), Conflict> {
    let list = path("home.packages");
    for selected in selection.packages.iter().filter(|selected| !made_by_module(selection, &selected.attr)) {
        for origin in &selected.origins {
            let one = Value::List(vec![Value::Package(selected.attr.clone())]);
            options.set(list.clone(), one, origin.clone())?;
        }
    }
    if let Some((interpreter, origins)) = selection.interpreter() {
        for origin in origins {
            options.set(list.clone(), Value::List(vec![interpreter.clone()]), origin)?;
        }
    }
    if let Some(predicate) = selection.unfree_predicate("lib.getName package") {
        options.set(path("nixpkgs.config.allowUnfreePredicate"), predicate, Origin::Host("profile"))?;
    }
    Ok(())
}

/// home-manager builds editors with their settings inside; the plain package beside one would bring a second
/// program of the same name, and the home would not build.
fn made_by_module(selection: &Selection, attr: &crate::names::PackageName) -> bool {
    selection.editor.is_some_and(|editor| {
        let enable = format!("programs.{attr}.enable");
        editor.attr == *attr && editor.home.keys().any(|path| path.to_string() == enable)
    })
}
