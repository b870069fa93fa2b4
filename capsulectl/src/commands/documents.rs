//! Documents made from the command tree: completions, man pages, the reference.

use std::{fmt::Write as _, io::Write as _, path::Path};

use clap::{Arg, Command};

use crate::{
    args::{
        command,
        records::{CompletionsArgs, ManArgs},
    },
    error::{EXIT_CODES, Error, Outcome, Result},
    settings::{DESCRIBED, Described},
};

/// `completions`.
pub fn completions(args: &CompletionsArgs) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "capsulectl", &mut script);
    write_out(&script)
}

/// `man`.
pub fn man(args: &ManArgs) -> Result<Outcome> {
    let root = visible(command().disable_help_subcommand(true));
    match &args.dir {
        None => write_out(&page(root, "capsulectl")?),
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .map_err(|source| Error::Local { action: format!("make {}", dir.display()), source })?;
            pages(&root, "capsulectl", dir)?;
            Ok(Outcome::Done)
        }
    }
}

/// `reference`: every command that works, as Markdown.
pub fn reference() -> Result<Outcome> {
    write_out(reference_text().as_bytes())
}

fn reference_text() -> String {
    let mut root = visible(command().disable_help_subcommand(true));
    root.build();
    let mut text = String::from("# capsulectl\n\n");
    let about = root.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(text, "{about}\n").ok();
    write_options(&mut text, "Options of every command", root.get_arguments());
    write_exit_codes(&mut text);
    write_settings(&mut text);
    write_reference(&mut text, &root, "capsulectl");
    text
}

fn write_exit_codes(text: &mut String) {
    text.push_str("## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in EXIT_CODES {
        writeln!(text, "| {code} | {meaning} |").ok();
    }
    text.push('\n');
}

fn write_settings(text: &mut String) {
    text.push_str("## Settings of the client\n\n");
    text.push_str("A flag wins over the environment, the environment over the file, the file over the default. The file is\n");
    text.push_str("`capsule/client.toml` in $XDG_CONFIG_HOME, which is ~/.config by default; CAPSULE_CLIENT_CONFIG names another.\n\n");
    text.push_str(
        "| key in the file | flag | environment | default | effect |\n| --- | --- | --- | --- | --- |\n",
    );
    for Described { key, flag, variable, default, effect } in DESCRIBED {
        let flag = flag.map(|flag| format!("`{flag}`")).unwrap_or_default();
        writeln!(text, "| `{key}` | {flag} | `{variable}` | {default} | {effect} |").ok();
    }
    text.push('\n');
}

/// The tree without hidden commands: those of later work have no page yet.
fn visible(root: Command) -> Command {
    let hidden = |command: &Command| command.is_hide_set();
    let mut out = Command::new(root.get_name().to_owned())
        .about(root.get_about().cloned().unwrap_or_default())
        .disable_help_subcommand(true)
        .args(root.get_arguments().cloned());
    if let Some(version) = root.get_version() {
        out = out.version(version.to_owned());
    }
    if let Some(after) = root.get_after_help() {
        out = out.after_help(after.clone());
    }
    for sub in root.get_subcommands().filter(|sub| !hidden(sub)) {
        out = out.subcommand(visible(sub.clone()));
    }
    out
}

fn pages(command: &Command, name: &str, dir: &Path) -> Result<()> {
    let path = dir.join(format!("{}.1", name.replace(' ', "-")));
    let text = page(command.clone(), name)?;
    std::fs::write(&path, text)
        .map_err(|source| Error::Local { action: format!("write {}", path.display()), source })?;
    command.get_subcommands().try_for_each(|sub| pages(sub, &format!("{name} {}", sub.get_name()), dir))
}

fn page(command: Command, name: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.name(name.replace(' ', "-")).bin_name(name.to_owned()))
        .render(&mut text)
        .map_err(|source| Error::Local { action: "make the page".to_owned(), source })?;
    Ok(text)
}

fn write_reference(text: &mut String, command: &Command, path: &str) {
    for sub in command.get_subcommands() {
        let path = format!("{path} {}", sub.get_name());
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = sub.clone().render_usage().to_string().replace("Usage: ", "");
        writeln!(text, "## {path}\n\n{about}\n\n```text\n{usage}\n```\n").ok();
        write_options(text, "Takes", sub.get_arguments().filter(|arg| !arg.is_global_set()));
        if let Some(after) = sub.get_after_help() {
            writeln!(text, "```text\n{after}\n```\n").ok();
        }
        write_reference(text, sub, &path);
    }
}

fn write_options<'a>(text: &mut String, title: &str, args: impl Iterator<Item = &'a Arg>) {
    let rows: Vec<String> =
        args.filter(|arg| !arg.is_hide_set() && arg.get_id() != "help").map(option_row).collect();
    if !rows.is_empty() {
        writeln!(text, "| {title} | effect | default |\n| --- | --- | --- |\n{}\n", rows.join("\n")).ok();
    }
}

fn option_row(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .and_then(|names| names.first())
        .map(ToString::to_string);
    let spelling = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let shown = [Some(spelling), value].into_iter().flatten().filter(|part| !part.is_empty());
    let shown = shown.collect::<Vec<_>>().join(" ");
    let help =
        arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|").replace('\n', " ");
    let takes_values = arg.get_action().takes_values();
    let default = arg.get_default_values().first().filter(|_| takes_values);
    let default = default.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
    format!("| `{shown}` | {help} | {default} |")
}

fn write_out(bytes: &[u8]) -> Result<Outcome> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Error::Output)?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_command_that_works() {
        insta::assert_snapshot!(reference_text());
    }

    #[test]
    fn help_reads_well() {
        let help = |path: &[&str]| {
            let mut command = command();
            command.build();
            for word in path {
                command = command.find_subcommand(word).expect("a command").clone();
            }
            command.term_width(100).render_help().to_string()
        };
        let pages = [&[][..], &["inventory", "add"], &["monitor"], &["channel", "add", "email"], &["stacks"]];
        insta::assert_snapshot!(pages.map(help).join("\n--------\n"));
    }

    #[test]
    fn every_page_of_the_manual_can_be_made() {
        let dir = tempfile::tempdir().expect("temporary directory");
        man(&ManArgs { dir: Some(dir.path().to_owned()) }).expect("written");
        for name in ["capsulectl.1", "capsulectl-monitor-watch.1", "capsulectl-channel-add-email.1"] {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        assert!(!dir.path().join("capsulectl-setup.1").exists(), "later work has no page");
    }
}
