//! Reads Rust source as far as imports need it: tokens without comments, strings and test code, and the
//! paths among them, spelled out from the crate's root.
//!
//! A real parser would know more and cost a dependency that has to follow the language. What is given up:
//! paths that a macro assembles, and modules renamed by `use … as`.

use std::{iter::Peekable, str::Chars};

/// A word or a mark of source text, and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The word, `::`, or a single character.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }
}

/// A path as code names it. Inside the crate it begins with `crate`; elsewhere with the crate's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// `["crate", "store", "Store"]`.
    pub segments: Vec<String>,
    /// Where it begins, counted from 1.
    pub line: usize,
}

/// What one file says.
pub struct Source {
    /// Its tokens, outside tests.
    pub tokens: Vec<Token>,
    /// The modules it declares for tests only, whose files are not product code.
    pub test_modules: Vec<String>,
}

/// Reads `text`; code under `#[cfg(test)]` is left out.
pub fn read(text: &str) -> Source {
    without_tests(tokens(text))
}

/// Every path in `tokens` that has more than one segment or stands in a `use`. `module` is where the
/// file stands, for `self` and `super`: `["store", "alerts"]`.
pub fn paths(tokens: &[Token], module: &[String]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut here = module.to_vec();
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).map(|i| tokens[i].text.as_str());
        match token.text.as_str() {
            "{" => {
                blocks.push(here.len());
                here.extend(opens_module(tokens, at));
            }
            "}" => here.truncate(blocks.pop().unwrap_or(module.len())),
            _ if token.is_word() && before != Some("::") && before != Some(".") => {
                let wanted = before == Some("use");
                let is_path = tokens.get(at + 1).is_some_and(|t| t.text == "::");
                if wanted || is_path {
                    let start = found.len();
                    at = expand(tokens, at, &[], &mut found);
                    found[start..].iter_mut().for_each(|path| resolve(path, &here));
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The name, if the brace at `at` opens `mod name {`.
fn opens_module(tokens: &[Token], at: usize) -> Option<String> {
    let keyword = tokens.get(at.checked_sub(2)?)?;
    (keyword.text == "mod").then(|| tokens[at - 1].text.clone())
}

/// Follows the path or the braced tree of paths that begins at `at`; answers where it ends.
fn expand(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens[at].line;
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            return expand_group(tokens, at + 1, &segments, found);
        }
        if !token.is_word() && token.text != "*" {
            break;
        }
        segments.push(token.text.clone());
        at += 1;
        if tokens.get(at).is_none_or(|t| t.text != "::") {
            break;
        }
        at += 1;
    }
    found.push(Path { segments, line });
    at
}

fn expand_group(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "}" => return at + 1,
            "as" => at += 2,
            _ if token.is_word() || token.text == "{" || token.text == "*" => {
                at = expand(tokens, at, prefix, found);
            }
            _ => at += 1,
        }
    }
    at
}

/// Rewrites `self` and `super` to `crate::…`, and the library's own name as the binary says it.
fn resolve(path: &mut Path, here: &[String]) {
    let supers = path.segments.iter().take_while(|s| *s == "super" || *s == "self").count();
    if supers > 0 {
        let up = path.segments[..supers].iter().filter(|s| *s == "super").count();
        let base = &here[..here.len().saturating_sub(up)];
        let rest = path.segments.split_off(supers);
        path.segments = std::iter::once("crate".to_owned()).chain(base.iter().cloned()).chain(rest).collect();
    } else if path.segments[0] == "capsuled" {
        path.segments[0] = "crate".to_owned();
    }
}

/// Drops the items under `#[cfg(test)]`.
fn without_tests(all: Vec<Token>) -> Source {
    let mut source = Source { tokens: Vec::new(), test_modules: Vec::new() };
    let mut at = 0;
    while at < all.len() {
        if let Some(after) = test_attribute(&all, at) {
            let end = item_end(&all, after);
            source.test_modules.extend(declared_module(&all[after..end]));
            at = end;
        } else {
            source.tokens.push(all[at].clone());
            at += 1;
        }
    }
    source
}

/// Where the attribute at `at` ends, if it is `#[cfg(…)]` that holds in tests alone.
fn test_attribute(all: &[Token], at: usize) -> Option<usize> {
    let word = |i: usize| all.get(i).map(|t| t.text.as_str());
    if word(at) != Some("#") || word(at + 1) != Some("[") {
        return None;
    }
    let end = closing(all, at + 1);
    let inside: Vec<&str> = all[at + 2..end].iter().map(|t| t.text.as_str()).collect();
    let test_only = inside.first() == Some(&"cfg") && inside.contains(&"test") && !inside.contains(&"not");
    (test_only && !inside.contains(&"any")).then_some(end + 1)
}

/// Where the item that begins at `at` ends: behind its block or its semicolon.
fn item_end(all: &[Token], mut at: usize) -> usize {
    while let Some(token) = all.get(at) {
        match token.text.as_str() {
            "{" => return closing(all, at) + 1,
            ";" => return at + 1,
            "[" | "(" => at = closing(all, at),
            _ => {}
        }
        at += 1;
    }
    at
}

fn declared_module(item: &[Token]) -> Option<String> {
    let keyword = item.iter().position(|t| t.text == "mod")?;
    let is_file = item.last().is_some_and(|t| t.text == ";");
    is_file.then(|| item[keyword + 1].text.clone())
}

/// The index of the bracket that closes the one at `at`, or of the last token.
fn closing(all: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in all.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    all.len() - 1
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut lexer = Lexer { rest: text.chars().peekable(), line: 1 };
    while let Some(c) = lexer.next() {
        let line = lexer.line;
        match c {
            '/' if lexer.peek() == Some('/') => lexer.skip_line(),
            '/' if lexer.peek() == Some('*') => lexer.skip_block_comment(),
            '"' => lexer.skip_string(),
            '\'' => lexer.skip_char_or_lifetime(),
            ':' if lexer.peek() == Some(':') => {
                lexer.next();
                found.push(Token { text: "::".to_owned(), line });
            }
            _ if c.is_alphabetic() || c == '_' => {
                if let Some(text) = lexer.word(c) {
                    found.push(Token { text, line });
                }
            }
            _ if c.is_whitespace() => {}
            _ => found.push(Token { text: c.to_string(), line }),
        }
    }
    found
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        let mut before = '/';
        while let Some(c) = self.next() {
            match (before, c) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    before = c;
                    continue;
                }
            }
            if depth == 0 {
                return;
            }
            before = ' ';
        }
    }

    /// Behind the opening quote.
    fn skip_string(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => _ = self.next(),
                '"' => return,
                _ => {}
            }
        }
    }

    /// Behind the quote: `'a'` and `'\''` are characters, `'a` is a lifetime and vanishes as well.
    fn skip_char_or_lifetime(&mut self) {
        if self.next() == Some('\\') {
            self.next();
            while self.next().is_some_and(|c| c != '\'') {}
            return;
        }
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.next();
        }
        if self.peek() == Some('\'') {
            self.next();
        }
    }

    /// The word that begins with `first`; `None` if it turns out to be the prefix of a literal.
    fn word(&mut self, first: char) -> Option<String> {
        let mut word = String::from(first);
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            self.next();
            word.push(c);
        }
        let is_prefix = matches!(word.as_str(), "r" | "b" | "c" | "br" | "cr");
        match self.peek() {
            Some('"') if is_prefix && !word.contains('r') => {
                self.next();
                self.skip_string();
                None
            }
            Some('"' | '#') if is_prefix && word.contains('r') => self.raw_string_or_identifier(),
            Some('\'') if word == "b" => {
                self.next();
                self.skip_char_or_lifetime();
                None
            }
            _ => Some(word),
        }
    }

    fn raw_string_or_identifier(&mut self) -> Option<String> {
        let mut hashes = 0;
        while self.peek() == Some('#') {
            self.next();
            hashes += 1;
        }
        if self.peek() != Some('"') {
            let first = self.next()?;
            return self.word(first);
        }
        self.next();
        while let Some(c) = self.next() {
            if c != '"' {
                continue;
            }
            let mut closing = 0;
            while closing < hashes && self.peek() == Some('#') {
                self.next();
                closing += 1;
            }
            if closing == hashes {
                break;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        paths(&read(text).tokens, &module).iter().map(|p| p.segments.join("::")).collect()
    }

    #[test]
    fn trees_are_spelled_out() {
        let text = "use crate::{clock::Clock, store::{self, Tx as T}, rules::*};\nuse sqlx;";
        assert_eq!(
            found(text, &["api"]),
            ["crate::clock::Clock", "crate::store::self", "crate::store::Tx", "crate::rules::*", "sqlx"]
        );
    }

    #[test]
    fn inline_paths_count_and_fields_do_not() {
        let text = "fn f(s: &crate::store::Store) -> Vec<u8> { s.sqlx; Self::new::<axum::Json<u8>>(s) }";
        assert_eq!(found(text, &["api"]), ["crate::store::Store", "Self::new", "axum::Json"]);
    }

    #[test]
    fn self_and_super_are_resolved() {
        assert_eq!(
            found(
                "use super::super::store::Tx; mod inner { use super::a::b; } use self::c;",
                &["api", "xnodes"]
            ),
            ["crate::store::Tx", "crate::api::xnodes::a::b", "crate::api::xnodes::c"]
        );
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = r##"
            //! [`crate::store`]
            /* crate::a::b /* nested */ crate::c::d */
            const A: &str = "crate::e::f \" crate::g";
            const B: &str = r#"crate::h::i " crate::j"#;
            const C: (char, char, u8) = ('"', '\'', b'"');
            fn g<'a>(x: &'a str, r#type: &'a k::L) {}
        "##;
        assert_eq!(found(text, &["api"]), ["k::L"]);
    }

    #[test]
    fn test_code_is_not_product_code() {
        let source = read(
            "#[cfg(test)] mod fixtures; #[cfg(not(test))] use a::b; #[cfg(test)] use c::d;
             #[cfg(all(test, unix))] #[path = \"x\"] mod tests { use e::f; fn g() { h::i } } use j::k;",
        );
        let found: Vec<_> = paths(&source.tokens, &[]).iter().map(|p| p.segments.join("::")).collect();
        assert_eq!(found, ["a::b", "j::k"]);
        assert_eq!(source.test_modules, ["fixtures"]);
    }

    #[test]
    fn a_path_knows_its_line() {
        let source = read("/* a\n b */\n\"x\ny\"\nuse p::q;");
        assert_eq!(paths(&source.tokens, &[])[0].line, 5);
    }
}
