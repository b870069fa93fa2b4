//! `README.md`: what the files are, how to apply them, and how to go back, for whoever finds them without us.

use std::fmt::Write;

use super::host::Host;
use crate::{
    file::{File, one_line},
    options::Options,
    profiles::{Because, Selection},
};

pub(super) fn file(selection: &Selection, host: &Host, files: &[File], notes: &[String]) -> File {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut text, selection, host, files, notes);
    File { name: "README.md", text, options: Options::default() }
}

fn write(
    out: &mut String,
    selection: &Selection,
    host: &Host,
    files: &[File],
    notes: &[String],
) -> std::fmt::Result {
    let profile = selection.profile;
    let name = &host.name;
    writeln!(out, "# {name}\n")?;
    writeln!(out, "NixOS {} for {} ({}), written by Capsule.\n", host.release, host.platform, host.system)?;
    writeln!(out, "- Profile: `{}`{}", profile.name, dash(&one_line(profile.contents.description.as_str())))?;
    writeln!(out, "- User: `{}`", host.user)?;
    writeln!(
        out,
        "- First installed with {} (`system.stateVersion`, which never changes)\n",
        host.state_version
    )?;

    writeln!(out, "## Stacks\n")?;
    for chosen in &selection.stacks {
        let because = match &chosen.because {
            Because::Always => "in every profile".to_owned(),
            Because::Chosen => String::new(),
            Because::NeededBy(by) => {
                format!("needed by {}", by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
        };
        writeln!(out, "- `{}` {}{}", chosen.stack.id, one_line(chosen.stack.title.as_str()), dash(&because))?;
    }

    writeln!(out, "\n## Files\n")?;
    for file in files {
        writeln!(out, "- `{}`: {}", file.name, purpose(file.name))?;
    }

    writeln!(out, "\n## Apply\n")?;
    let login = if host.root_keys.is_empty() { host.user.as_str() } else { "root" };
    writeln!(out, "    capsulectl nixos apply --config-dir . --target {login}@{name} --dry-run")?;
    writeln!(out, "    capsulectl nixos apply --config-dir . --target {login}@{name}\n")?;
    writeln!(
        out,
        "The first shows what would change; the second asks, and goes back by itself when the machine does not"
    )?;
    writeln!(out, "answer any more. Without Capsule, on the machine:\n")?;
    writeln!(out, "    nixos-rebuild switch --flake .#{name}\n")?;

    writeln!(out, "## Go back\n")?;
    writeln!(out, "    capsulectl nixos list-generations")?;
    writeln!(out, "    capsulectl nixos rollback\n")?;
    writeln!(
        out,
        "Without Capsule, on the machine: `nixos-rebuild switch --rollback`. When it does not start: choose an older"
    )?;
    writeln!(out, "generation in the boot menu.\n")?;

    if files.iter().any(|file| file.name == "disko.nix") {
        writeln!(out, "## Install\n")?;
        writeln!(
            out,
            "`disko.nix` is the layout of the disk of a machine that is to become NixOS. Running disko with it erases the"
        )?;
        writeln!(out, "disk; a machine that runs already does not need it.\n")?;
    }

    writeln!(out, "## Secrets\n")?;
    writeln!(
        out,
        "None is in these files, and none may be: everybody on the machine can read the Nix store."
    )?;

    if !notes.is_empty() {
        writeln!(out, "\n## Good to know\n")?;
        for note in notes {
            writeln!(out, "- {}", one_line(note))?;
        }
    }
    Ok(())
}

fn dash(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" – {text}") }
}

fn purpose(name: &str) -> &'static str {
    match name {
        "configuration.nix" => "the system",
        "hardware-configuration.nix" => "what the machine has; one that is on the machine already is kept",
        "home.nix" => "the user's home",
        "flake.nix" => "the release it is built from; `flake.lock` beside it is kept",
        "disko.nix" => "the layout of the disk, for installing",
        _ => "",
    }
}
