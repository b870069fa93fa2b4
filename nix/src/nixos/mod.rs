//! Whole NixOS configurations: from a profile and a host to the files of one machine.
//!
//! The same profile and host give the same bytes. A configuration that would lock its owner out, or that nixpkgs would
//! refuse for a reason that can be seen here, is refused here, with the entry that asked for it.

mod checks;
mod disk;
mod flake;
mod home;
mod host;
mod machine;
mod readme;
mod system;

pub use checks::Refusal;
pub use home::{Surroundings, home};
pub use host::{
    Cidr, Disk, DomainName, Group, Host, HostName, InvalidPort, Locale, Mac, Port, Release, RemotePath,
    SshKey, StaticNetwork, TimeZone, UserName, nearest_time_zone,
};
pub use machine::{BootLoader, Platform, System};

use crate::{
    file::{File, module},
    options::{Conflict, Options},
    profiles::{Profile, Selection, select},
    stacks::{Library, Unknown},
    value::Value,
};
use machine::{Importing, Machine};

/// No configuration was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The profile names something that is not there.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// Two entries of the profile, or one and the host, want different things of one option.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The machine would not evaluate, not start, or let nobody in. At least one reason, all that were found.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
}

impl GenerateError {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown(unknown) => unknown.hint(),
            Self::Conflict(_) => None,
            Self::Refused(refusals) => refusals.iter().find_map(Refusal::hint),
        }
    }
}

/// The files of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// `configuration.nix`, `hardware-configuration.nix`, `home.nix`, `flake.nix`, `README.md`, and `disko.nix`
    /// where the disk is laid out by us.
    pub files: Vec<File>,
    /// What the operator has to know before applying; the README has it too.
    pub notes: Vec<String>,
}

impl Set {
    /// One of the files.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// Writes the configuration of `host` from `profile`.
///
/// # Errors
/// The profile names something unknown, entries contradict each other, or the machine would be of no use to its owner.
pub fn generate(library: &Library, profile: &Profile, host: &Host) -> Result<Set, GenerateError> {
    let selection = select(library, profile)?;
    let machine = Machine::of(host);
    let options = system::options(&selection, host, &machine)?;
    let refusals = checks::refusals(library, host, &machine, &options);
    if !refusals.is_empty() {
        return Err(GenerateError::Refused(refusals));
    }
    let notes = notes(&selection, host, &machine);
    let mut files = vec![
        configuration(&selection, host, &machine, options),
        hardware(host, &machine)?,
        home(&selection, host, Surroundings::NixOs)?,
        flake::file(profile, host),
    ];
    files.extend(disk::file(host, &machine)?);
    files.push(readme::file(&selection, host, &files, &notes));
    Ok(Set { files, notes })
}

fn configuration(selection: &Selection, host: &Host, machine: &Machine, options: Options) -> File {
    let header = format!(
        "{}: written by Capsule from the profile {}. It is written anew with the next `nixos generate`:\n\
         change the profile, not this file.",
        host.name, selection.profile.name
    );
    let mut imports = vec![Value::expression("./hardware-configuration.nix")];
    imports.extend(machine.imports(Importing::Configuration));
    module("configuration.nix", &header, "config, lib, modulesPath, pkgs, ...", imports, options)
}

fn hardware(host: &Host, machine: &Machine) -> Result<File, Conflict> {
    let mut options = Options::default();
    for (path, value) in machine.hardware() {
        options.set(path, value, machine.origin())?;
    }
    let header = format!(
        "{}: what a machine of this kind ({}) has. If the machine has a file of this name already, that one knows\n\
         better and is kept.",
        host.name, host.platform
    );
    let arguments = "config, lib, modulesPath, ...";
    let imports = machine.imports(Importing::Hardware).into_iter().collect();
    Ok(module("hardware-configuration.nix", &header, arguments, imports, options))
}

fn notes(selection: &Selection, host: &Host, machine: &Machine) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(disk) = machine.disk()
        && host.disk.is_none()
    {
        notes.push(format!("The disk is taken to be {disk}: compare with `lsblk` on the machine."));
    }
    if host.platform == Platform::Equinix && host.network.is_none() {
        notes.push("Equinix Metal bonds its network cards, and DHCP serves only the installation: give the addresses.".to_owned());
    }
    for chosen in &selection.stacks {
        notes.extend(chosen.stack.notes.iter().map(|note| format!("{}: {note}", chosen.stack.title)));
        for given in &chosen.stack.given {
            let missing: Vec<&str> = given
                .needs
                .iter()
                .filter(|name| !host.given.contains_key(*name))
                .map(|name| name.as_str())
                .collect();
            if !missing.is_empty() {
                notes.push(format!(
                    "{}: more is set up when these are given: {}.",
                    chosen.stack.title,
                    missing.join(", ")
                ));
            }
        }
    }
    notes.extend(
        selection
            .sprouts
            .iter()
            .filter_map(|sprout| Some(format!("{}: {}", sprout.title, sprout.note.as_ref()?))),
    );
    notes
}

#[cfg(test)]
mod tests;
