//! What can be said of a Nix file without Nix: whether it parses, defines an attribute twice, or looks unlike
//! nixfmt's form; and whose wish stands at a place of it.
//!
//! That is the first level. Whether options and packages exist takes nixpkgs, so the caller evaluates where it
//! can, says which level ran, and asks [`origins_at`] for the profile's entry behind a place the evaluator names.

use std::{collections::BTreeMap, ops::Range};

use rnix::{
    Root, SyntaxNode, TextRange,
    ast::{self, HasEntry},
};
use rowan::ast::AstNode;
use serde::Serialize;

use crate::{
    options::{OptionPath, Options, Origin},
    value::Text,
};

/// How far a validation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Read by the parser in this process: names of options and packages were not looked up.
    Syntax,
    /// Evaluated by Nix against nixpkgs.
    Evaluation,
}

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The text is no Nix.
    Syntax,
    /// An attribute is defined twice.
    Duplicate,
    /// A control character, which can hide what a file says.
    ControlCharacter,
    /// The text is not as nixfmt would write it. The file works all the same.
    Format,
}

impl Kind {
    /// Whether Nix would refuse the file, or a person should.
    pub fn is_error(self) -> bool {
        self != Self::Format
    }
}

/// Something wrong at a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What kind it is.
    pub kind: Kind,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// Who asked for what stands there, when we wrote the file.
    pub origins: Vec<Origin>,
}

/// What a validation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How far it went.
    pub level: Level,
    /// What is wrong, in the order of the text.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether nothing is wrong but looks.
    pub fn is_valid(&self) -> bool {
        !self.problems.iter().any(|problem| problem.kind.is_error())
    }
}

/// Reads `text`. `options` are those of the file as it was generated, empty for a file that is not ours.
pub fn validate(text: &str, options: &Options) -> Report {
    let parsed = Root::parse(text);
    let mut problems: Vec<(usize, Kind, String)> = Vec::new();
    let control = |(_, c): &(usize, char)| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    problems.extend(
        text.char_indices()
            .find(control)
            .map(|(at, c)| (at, Kind::ControlCharacter, format!("control character U+{:04X}", u32::from(c)))),
    );
    // What follows the first error is often its consequence.
    let mut errors = parsed.errors().iter().map(|error| syntax(text, error));
    problems.extend(errors.next());
    if parsed.errors().is_empty() {
        for node in parsed.syntax().descendants() {
            duplicates(&node, &mut problems);
        }
        problems.extend(formatting(text));
    }
    problems.sort_by_key(|(at, ..)| *at);
    let problems = problems
        .into_iter()
        .map(|(at, kind, message)| {
            let (line, column) = place(text, at);
            Problem { kind, line, column, message, origins: origins_at(text, options, line, column) }
        })
        .collect();
    Report { level: Level::Syntax, problems }
}

/// Who asked for what stands at a line and column of `text`, both from 1: the origins of the element when it is one of
/// a list, and else of the option. Nobody, where the text has no option that is in `options`.
pub fn origins_at(text: &str, options: &Options, line: usize, column: usize) -> Vec<Origin> {
    let Some(at) = offset(text, line, column) else { return Vec::new() };
    let root = Root::parse(text).syntax();
    let definitions = root.descendants().filter_map(ast::AttrpathValue::cast);
    let around = |definition: &ast::AttrpathValue| span(definition.syntax().text_range()).contains(&at);
    let mut found = Vec::new();
    // Outermost first: the last one that is known is the nearest.
    for definition in definitions.filter(around) {
        let Some(there) = full_path(&definition).and_then(|path| options.get(&path)) else { continue };
        let element = definition.value().and_then(|value| element_at(&value, at));
        let of_element =
            element.map(|index| there.origins_of(index).to_vec()).filter(|origins| !origins.is_empty());
        found = of_element.unwrap_or_else(|| there.origins().into_iter().cloned().collect());
    }
    found
}

fn element_at(value: &ast::Expr, at: usize) -> Option<usize> {
    match value {
        ast::Expr::List(list) => list.items().position(|item| span(item.syntax().text_range()).contains(&at)),
        _ => None,
    }
}

fn span(range: TextRange) -> Range<usize> {
    range.into()
}

/// The path of a definition with those of the sets around it; `None` where a name is computed.
fn full_path(definition: &ast::AttrpathValue) -> Option<OptionPath> {
    let around: Vec<ast::AttrpathValue> =
        definition.syntax().ancestors().filter_map(ast::AttrpathValue::cast).collect();
    let mut names = Vec::new();
    for definition in around.iter().rev() {
        names.extend(path_names(&definition.attrpath()?)?.into_iter().map(|(name, _)| name));
    }
    names.into_iter().map(|name| Text::try_from(name).ok()).collect::<Option<_>>().map(OptionPath::from_names)
}

/// Line and column, from 1, of a byte.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let start = match line.checked_sub(2) {
        None => 0,
        Some(nth) => text.match_indices('\n').nth(nth)?.0 + 1,
    };
    let rest = &text[start..];
    let (at, _) = rest.char_indices().nth(column.checked_sub(1)?).or((column == 1).then_some((0, ' ')))?;
    Some(start + at)
}

fn syntax(text: &str, error: &rnix::ParseError) -> (usize, Kind, String) {
    use rnix::ParseError as E;
    let (at, message) = match error {
        E::Unexpected(range) | E::UnexpectedExtra(range) | E::UnexpectedWanted(_, range, _) => {
            let found = text.get(span(*range)).unwrap_or_default();
            (span(*range).start, format!("unexpected `{}`", crate::names::shown(found)))
        }
        E::UnexpectedDoubleBind(range) => (span(*range).start, "the arguments are bound twice".to_owned()),
        E::DuplicatedArgs(range, name) => {
            (span(*range).start, format!("the argument `{}` is there twice", crate::names::shown(name)))
        }
        E::UnexpectedEOF | E::UnexpectedEOFWanted(_) => {
            (text.trim_end().len(), "the file ends too early".to_owned())
        }
        E::RecursionLimitExceeded => (0, "the file is nested too deeply".to_owned()),
        other => (0, other.to_string()),
    };
    (at, Kind::Syntax, message)
}

fn formatting(text: &str) -> Option<(usize, Kind, String)> {
    let formatted = nixfmt_rs::format(text).ok()?;
    if formatted == text {
        return None;
    }
    let same = text.bytes().zip(formatted.bytes()).take_while(|(one, other)| one == other).count();
    let line = text[..floor(text, same)].rfind('\n').map_or(0, |newline| newline + 1);
    Some((line, Kind::Format, "not as nixfmt would write it".to_owned()))
}

/// The last boundary between characters that is not after `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// What one name of a set is defined as.
enum Defined {
    /// A value that is no set in braces.
    Value,
    /// A set, which further definitions may add to.
    Set(Names),
}

type Names = BTreeMap<String, Defined>;

/// Sets in braces may be written in parts (`a.b = 1; a.c = 2;`), and nothing else may.
fn duplicates(node: &SyntaxNode, problems: &mut Vec<(usize, Kind, String)>) {
    // A set that is the value of a definition was looked into together with what is around it.
    let nested = node.parent().is_some_and(|parent| ast::AttrpathValue::can_cast(parent.kind()));
    let mut names = Names::new();
    if let Some(set) = ast::AttrSet::cast(node.clone()) {
        if !nested {
            collect(&set, &mut names, problems);
        }
    } else if let Some(bindings) = ast::LetIn::cast(node.clone()) {
        collect(&bindings, &mut names, problems);
    }
}

fn collect(entries: &impl HasEntry, names: &mut Names, problems: &mut Vec<(usize, Kind, String)>) {
    for entry in entries.entries() {
        match entry {
            ast::Entry::Inherit(inherit) => {
                for attr in inherit.attrs() {
                    let Some((name, at)) = name_of(&attr) else { continue };
                    if names.insert(name.clone(), Defined::Value).is_some() {
                        problems.push(twice(at, &name));
                    }
                }
            }
            ast::Entry::AttrpathValue(definition) => {
                let Some(path) = definition.attrpath().as_ref().and_then(path_names) else { continue };
                define(&path, definition.value(), names, problems);
            }
        }
    }
}

fn define(
    path: &[(String, usize)],
    value: Option<ast::Expr>,
    names: &mut Names,
    problems: &mut Vec<(usize, Kind, String)>,
) {
    let [(name, at), rest @ ..] = path else { return };
    let set = match &value {
        Some(ast::Expr::AttrSet(set)) if rest.is_empty() => Some(set),
        _ => None,
    };
    if rest.is_empty() && set.is_none() {
        if names.insert(name.clone(), Defined::Value).is_some() {
            problems.push(twice(*at, name));
        }
        return;
    }
    match names.entry(name.clone()).or_insert_with(|| Defined::Set(Names::new())) {
        Defined::Value => problems.push(twice(*at, name)),
        Defined::Set(inner) => match set {
            Some(set) => collect(set, inner, problems),
            None => define(rest, value, inner, problems),
        },
    }
}

fn twice(at: usize, name: &str) -> (usize, Kind, String) {
    (at, Kind::Duplicate, format!("`{}` is defined twice", crate::names::shown(name)))
}

/// The names of a path and where they stand; `None` where one is computed.
fn path_names(path: &ast::Attrpath) -> Option<Vec<(String, usize)>> {
    path.attrs().map(|attr| name_of(&attr)).collect()
}

fn name_of(attr: &ast::Attr) -> Option<(String, usize)> {
    let at = span(attr.syntax().text_range()).start;
    match attr {
        ast::Attr::Ident(identifier) => Some((identifier.ident_token()?.text().to_owned(), at)),
        ast::Attr::Str(text) => match &text.normalized_parts()[..] {
            [] => Some((String::new(), at)),
            [ast::InterpolPart::Literal(name)] => Some((name.clone(), at)),
            _ => None,
        },
        ast::Attr::Dynamic(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, usize, usize)> {
        let report = validate(text, &Options::default());
        report.problems.iter().map(|problem| (problem.kind, problem.line, problem.column)).collect()
    }

    #[test]
    fn a_broken_file_is_named_by_line_and_column() {
        assert_eq!(found("{\n  a = 1\n}\n"), [(Kind::Syntax, 3, 1)]);
        assert_eq!(found("{ a = ;\n}"), [(Kind::Syntax, 1, 7)]);
        assert_eq!(found("{ a = [ 1 2"), [(Kind::Syntax, 1, 12)]);
    }

    #[test]
    fn what_is_defined_twice_is_found_where_nix_would_find_it() {
        let twice = [
            "{\n  a = 1;\n  a = 2;\n}\n",
            "{\n  a = { };\n  a.b.c = 1;  a.b = 2; }",
            "{ a.b = 1; a = 2; }",
            "{ a = { b = 1; }; a.b = 2; }",
            "let x = 1; x = 2; in x",
            "{ inherit a; a = 1; }",
            "{ \"a\" = 1; a = 2; }",
            "{ x = { y = 1; y = 2; }; }",
            "[ { a = 1; a = 1; } ]",
        ];
        for text in twice {
            assert!(found(text).iter().any(|(kind, ..)| *kind == Kind::Duplicate), "{text}");
        }
        for text in [
            "{ a.b = 1; a.c = 2; }",
            "{ a = { b = 1; }; a.c = 2; }",
            "{ a = { }; a = { b = 1; }; }",
            "{ ${x} = 1; ${y} = 2; }",
        ] {
            assert!(!found(text).iter().any(|(kind, ..)| kind.is_error()), "{text}");
        }
    }

    #[test]
    fn looks_are_mentioned_and_do_not_make_a_file_invalid() {
        let report = validate("{\n  a = 1;\n    b = 2;\n}\n", &Options::default());
        assert!(report.is_valid());
        assert_eq!(report.problems[0].kind, Kind::Format);
        assert_eq!(report.problems[0].line, 3);
        assert!(found("{\n  a = 1;\n}\n").is_empty());
    }

    #[test]
    fn a_place_leads_to_who_asked_for_what_stands_there() {
        let origin = |id: &str| Origin::Stack(id.parse().expect(id));
        let mut options = Options::default();
        let mut set = |path: &str, value: crate::value::Value, id: &str| {
            options.set(path.parse().expect(path), value, origin(id)).expect("no conflict");
        };
        set("services.\"a.b\".enable", true.into(), "one");
        set("list", vec!["x"].into(), "two");
        set("list", vec!["y"].into(), "three");
        let text = "{ pkgs, ... }:\n{\n  services = {\n    \"a.b\".enable = true;\n  };\n  list = [\n    \"x\"\n    \"y\"\n  ];\n  other = 1;\n}\n";
        for (line, column, who) in [
            (4, 5, Some("one")),
            (4, 22, Some("one")),
            (7, 6, Some("two")),
            (8, 5, Some("three")),
            (10, 11, None),
        ] {
            let expected: Vec<Origin> = who.map(origin).into_iter().collect();
            assert_eq!(origins_at(text, &options, line, column), expected, "{line}:{column}");
        }
        assert_eq!(origins_at(text, &options, 6, 3), [origin("two"), origin("three")]);
        let broken = text.replace("list = [", "list = [ ) ");
        assert!(validate(&broken, &options).problems[0].origins.contains(&origin("two")));
    }

    #[test]
    fn a_control_character_is_no_text() {
        assert_eq!(found("{ } # \u{1b}[31m\n")[0].0, Kind::ControlCharacter);
    }

    #[test]
    fn places_count_characters_and_survive_the_end() {
        let text = "ä = 1;\nöb\n";
        for (line, column, at) in [(1, 1, 0), (1, 2, 2), (2, 2, 10)] {
            assert_eq!(offset(text, line, column), Some(at));
            assert_eq!(place(text, at), (line, column));
        }
        assert_eq!(offset(text, 9, 1), None);
        assert_eq!(offset(text, 1, 0), None);
    }
}
