//! Commands that come with later work, as a table of usage lines.
//!
//! Each line is the command as the reference prints it; a small reader turns it into clap arguments. So every
//! old script's line parses, mistakes in it are still found, and adding a real command is deleting a line.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// Every such command: usage, two colons, what it will do.
const USAGES: &str = include_str!("later.txt");

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    words: Vec<&'static str>,
    takes: Vec<Takes>,
    line: &'static str,
    about: &'static str,
}

/// One thing a command takes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Takes {
    Position { name: &'static str, required: bool, many: bool },
    Flag { spelling: &'static str, repeated: bool },
    Option { spelling: &'static str, value: &'static str, required: bool },
}

/// The tree with the later commands in it; they are hidden from the list of commands.
pub fn add_to(mut root: Command) -> Command {
    let mut groups: Vec<(&'static str, Command)> = Vec::new();
    for usage in usages() {
        let command = leaf(&usage);
        let [group, _] = usage.words[..] else {
            root = root.subcommand(command.hide(true));
            continue;
        };
        // A group of which something works already.
        if root.find_subcommand(group).is_some() {
            root = root.mut_subcommand(group, |real| real.subcommand(command.hide(true)));
            continue;
        }
        if !groups.iter().any(|(name, _)| *name == group) {
            groups.push((group, self::group(group)));
        }
        if let Some((_, parent)) = groups.iter_mut().find(|(name, _)| *name == group) {
            *parent = std::mem::take(parent).subcommand(command);
        }
    }
    groups.into_iter().fold(root, |root, (_, group)| root.subcommand(group))
}

/// The words of the later command that was given; `None` when a working one was.
pub fn words(matches: &ArgMatches) -> Option<String> {
    let (first, rest) = matches.subcommand()?;
    let given = match rest.subcommand() {
        Some((second, _)) => vec![first, second],
        None => vec![first],
    };
    usages().any(|usage| usage.words == given).then(|| given.join(" "))
}

fn usages() -> impl Iterator<Item = Usage> {
    USAGES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(read)
}

fn group(name: &'static str) -> Command {
    Command::new(name)
        .about("Comes with later work")
        .hide(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(format!("Examples:\n  capsulectl {name} help\n      what comes with later work"))
}

fn leaf(usage: &Usage) -> Command {
    let name = usage.words.last().copied().unwrap_or_default();
    let after = format!("Not available yet in this version.\n\nExamples:\n  capsulectl {}", usage.line);
    let command = Command::new(name).about(usage.about).after_help(after);
    usage.takes.iter().fold(command, |command, takes| command.arg(arg(takes)))
}

fn arg(takes: &Takes) -> Arg {
    match takes {
        Takes::Position { name, required, many } => {
            let arg = Arg::new(*name).value_name(*name).required(*required);
            if *many { arg.num_args(1..) } else { arg }
        }
        Takes::Flag { spelling, repeated } => {
            let action = if *repeated { ArgAction::Count } else { ArgAction::SetTrue };
            spelled(Arg::new(id(spelling)), spelling).action(action)
        }
        Takes::Option { spelling, value, required } => {
            spelled(Arg::new(id(spelling)), spelling).value_name(*value).required(*required)
        }
    }
}

fn id(spelling: &'static str) -> &'static str {
    spelling.trim_start_matches('-')
}

fn spelled(arg: Arg, spelling: &'static str) -> Arg {
    match spelling.strip_prefix("--") {
        Some(long) => arg.long(long),
        None => spelling.chars().nth(1).map_or(arg.clone(), |short| arg.short(short)),
    }
}

fn read(line: &'static str) -> Usage {
    let (usage, about) = line.split_once(" :: ").unwrap_or((line, ""));
    let mut words = Vec::new();
    let mut takes = Vec::new();
    let mut rest = usage.trim();
    while !rest.is_empty() {
        let (part, required) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((inner, after)) => {
                rest = after.trim_start();
                (inner, false)
            }
            None => {
                let end = end_of_part(rest);
                let part = &rest[..end];
                rest = rest[end..].trim_start();
                (part, true)
            }
        };
        let is_word = takes.is_empty() && required && part.starts_with(|c: char| c.is_ascii_lowercase());
        if is_word { words.push(part) } else { takes.extend(read_part(part, required)) }
    }
    Usage { words, takes, line: usage.trim(), about: about.trim() }
}

/// Where an unbracketed part ends: a required option takes its value with it.
fn end_of_part(text: &str) -> usize {
    let first = text.find(' ').unwrap_or(text.len());
    if !text.starts_with('-') {
        return first;
    }
    text[first..].trim_start().find(' ').map_or(text.len(), |more| first + 1 + more)
}

fn read_part(part: &'static str, required: bool) -> Vec<Takes> {
    let (spelling, value) = part.split_once(' ').map_or((part, None), |(name, value)| (name, Some(value)));
    if !spelling.starts_with('-') {
        let many = spelling.ends_with("...");
        return vec![Takes::Position { name: spelling.trim_end_matches("..."), required, many }];
    }
    if let Some(value) = value {
        return vec![Takes::Option { spelling, value, required }];
    }
    let repeated = spelling.ends_with("...");
    spelling.trim_end_matches("...").split('/').map(|spelling| Takes::Flag { spelling, repeated }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_line_says_what_a_command_takes() {
        let usage = read("app create NAME --network N [--tags LIST] [-v...] [--a/--no-a] :: makes an app");
        assert_eq!(usage.words, ["app", "create"]);
        assert_eq!(usage.about, "makes an app");
        assert_eq!(
            usage.takes,
            [
                Takes::Position { name: "NAME", required: true, many: false },
                Takes::Option { spelling: "--network", value: "N", required: true },
                Takes::Option { spelling: "--tags", value: "LIST", required: false },
                Takes::Flag { spelling: "-v", repeated: true },
                Takes::Flag { spelling: "--a", repeated: false },
                Takes::Flag { spelling: "--no-a", repeated: false },
            ]
        );
    }

    #[test]
    fn later_commands_are_told_apart_from_working_ones() {
        let matches = |line: &str| {
            crate::args::command().try_get_matches_from(line.split_whitespace()).expect("the line parses")
        };
        assert_eq!(words(&matches("capsulectl setup")).as_deref(), Some("setup"));
        assert_eq!(words(&matches("capsulectl network show web")).as_deref(), Some("network show"));
        assert_eq!(words(&matches("capsulectl monitor status")), None);
        assert_eq!(words(&matches("capsulectl")), None);
    }

    #[test]
    fn mistakes_in_later_commands_are_still_found() {
        let command = crate::args::command();
        assert!(command.clone().try_get_matches_from(["capsulectl", "app", "create", "web"]).is_err());
        assert!(command.try_get_matches_from(["capsulectl", "setup", "--what"]).is_err());
    }
}
