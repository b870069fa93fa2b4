//! `flake.nix`: which nixpkgs the machine is built from. The lock beside it is not ours to write: it is kept and sent
//! along, and updating it is a decision of its own.

use super::host::Host;
use crate::{
    file::{File, comment, one_line, tidy},
    options::Options,
    profiles::Profile,
    value::{AttributeName, Text, Value},
};

pub(super) fn file(profile: &Profile, host: &Host) -> File {
    let quoted = |text: String| Value::Text(Text::try_from(text).expect("made of checked names")).to_string();
    let description = quoted(format!("{}, from the profile {}", host.name, profile.name));
    let nixpkgs = quoted(format!("github:NixOS/nixpkgs/nixos-{}", host.release));
    let home_manager = quoted(format!("github:nix-community/home-manager/release-{}", host.release));
    let (name, user) = (AttributeName(host.name.as_str()), AttributeName(host.user.as_str()));
    let header = format!("Written by Capsule. Both inputs follow release {}.", host.release);
    let header = comment(&one_line(&header));
    let source = format!(
        "{header}{{
          description = {description};

          inputs = {{
            nixpkgs.url = {nixpkgs};
            home-manager = {{
              url = {home_manager};
              inputs.nixpkgs.follows = \"nixpkgs\";
            }};
          }};

          outputs = {{ nixpkgs, home-manager, ... }}: {{
            nixosConfigurations.{name} = nixpkgs.lib.nixosSystem {{
              modules = [
                ./configuration.nix
                home-manager.nixosModules.home-manager
                {{ home-manager.users.{user} = import ./home.nix; }}
              ];
            }};
          }};
        }}"
    );
    File { name: "flake.nix", text: tidy(&source), options: Options::default() }
}
