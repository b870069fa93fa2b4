//! Text files around options: the header, the function they are in, and nixfmt's form.

use crate::{options::Options, value::Value};

/// A file we wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, relative to the directory of the set.
    pub name: &'static str,
    /// Its whole text.
    pub text: String,
    /// The options in it and who asked for them: [`crate::validate`] leads from a place in the text to these.
    pub options: Options,
}

/// `text` as comment lines. Every control character, of which some end a line, becomes a space.
pub(crate) fn comment(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("# {}", clean.trim_end()).trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// One line of text out of any, for a heading or a comment.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A NixOS or home-manager module; without arguments a plain set.
pub(crate) fn module(
    name: &'static str,
    header: &str,
    arguments: &str,
    imports: Vec<Value>,
    options: Options,
) -> File {
    let mut body = String::new();
    if !imports.is_empty() {
        body += &format!("imports = {};\n", Value::List(imports));
    }
    let mut group = None;
    for (path, definition) in options.iter() {
        let first = path.names().next();
        if group != first && !body.is_empty() {
            body.push('\n');
        }
        group = first;
        body += &format!("{path} = {};\n", definition.value());
    }
    let function = if arguments.is_empty() { String::new() } else { format!("{{ {arguments} }}:\n") };
    let text = format!("{}{function}{{\n{body}}}\n", comment(header));
    File { name, text: tidy(&text), options }
}

/// `source` as nixfmt leaves it.
pub(crate) fn tidy(source: &str) -> String {
    nixfmt_rs::format(source).expect("what the printer wrote is Nix: properties in tests/hostile.rs")
}
