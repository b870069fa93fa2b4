//! An OpenSSH client configuration taken apart into blocks of settings, included files in their places.

use std::{collections::BTreeMap, sync::Arc};

use capsule_api::IncludedFile;

use super::super::faults::{Fault, Left, Spot, clip};

/// How deep files may include others, as OpenSSH has it.
const DEEPEST_INCLUDE: usize = 16;
/// The most lines of all files together: files that include each other twice would never end.
const MOST_LINES: usize = 1_000_000;

/// A `Host` line's patterns, each with whether it is negated.
type Patterns = Vec<(bool, String)>;

/// An option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub spot: Spot,
    /// In lower case.
    pub option: String,
    pub values: Vec<String>,
}

impl Setting {
    /// The value, of which there is at least one.
    pub fn first(&self) -> &str {
        self.values.first().map(String::as_str).unwrap_or_default()
    }
}

/// Settings that hold for the names which every condition fits.
#[derive(Debug, Clone, Default)]
pub struct Block {
    pub conditions: Vec<Patterns>,
    pub settings: Vec<Setting>,
}

impl Block {
    /// The names it holds for, when it has one condition and no pattern in it.
    pub fn plain_names(&self) -> Option<impl Iterator<Item = &str>> {
        let [patterns] = &self.conditions[..] else { return None };
        let plain = patterns.iter().all(|(negated, pattern)| !negated && is_plain(pattern));
        plain.then(|| patterns.iter().map(|(_, name)| name.as_str()))
    }

    /// Whether it holds for a name.
    pub fn applies_to(&self, name: &str) -> bool {
        self.conditions.iter().all(|patterns| {
            let mut fits = patterns.iter().filter(|(_, pattern)| matches(pattern, name)).peekable();
            fits.peek().is_some() && fits.all(|(negated, _)| !negated)
        })
    }
}

/// The first value of each option that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Settings<'a> {
    pub host_name: Option<&'a Setting>,
    pub user: Option<&'a Setting>,
    pub port: Option<&'a Setting>,
    pub jump: Option<&'a Setting>,
    pub proxy_command: Option<&'a Setting>,
    pub key: Option<&'a Setting>,
}

impl<'a> Settings<'a> {
    /// Takes a setting unless an earlier one said the same.
    pub fn offer(&mut self, setting: &'a Setting) {
        let place = match setting.option.as_str() {
            "hostname" => &mut self.host_name,
            "user" => &mut self.user,
            "port" => &mut self.port,
            "identityfile" => &mut self.key,
            // Whichever of the two comes first turns the other off.
            "proxyjump" if self.proxy_command.is_none() => &mut self.jump,
            "proxycommand" if self.jump.is_none() => &mut self.proxy_command,
            _ => return,
        };
        place.get_or_insert(setting);
    }
}

/// What has been read so far.
#[derive(Debug)]
pub struct Scan<'a> {
    includes: &'a BTreeMap<String, Vec<IncludedFile>>,
    lines: usize,
    pub blocks: Vec<Block>,
    /// The names of each `Host` line that are no patterns.
    pub hosts: Vec<(Spot, Vec<String>)>,
    pub left: Vec<Left>,
    pub faults: Vec<Fault>,
}

impl<'a> Scan<'a> {
    /// Nothing read yet.
    pub const fn new(includes: &'a BTreeMap<String, Vec<IncludedFile>>) -> Self {
        Self {
            includes,
            lines: 0,
            blocks: Vec::new(),
            hosts: Vec::new(),
            left: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads a file that stands in a block with these conditions.
    pub fn file(&mut self, text: &str, name: Option<&Arc<str>>, outer: &[Patterns], depth: usize) {
        // `None`: in a `Match` block, of which nothing is taken.
        let mut here: Option<Vec<Patterns>> = Some(outer.to_vec());
        self.open(outer.to_vec());
        for (at, line) in text.lines().enumerate() {
            let spot = match name {
                Some(name) => Spot::In(Arc::clone(name), at + 1),
                None => Spot::Line(at + 1),
            };
            self.lines += 1;
            if MOST_LINES < self.lines {
                self.faults.push(Fault::new(spot, "", "all files together have more than 1,000,000 lines"));
                return;
            }
            let Some((option, values)) = self.words(line, &spot) else { continue };
            match option.to_ascii_lowercase().as_str() {
                "host" => {
                    let mut conditions = outer.to_vec();
                    conditions.push(patterns(&values));
                    let names = values.into_iter().filter(|name| is_plain(name) && !name.starts_with('!'));
                    self.hosts.push((spot, names.collect()));
                    self.open(conditions.clone());
                    here = Some(conditions);
                }
                "match" => {
                    let reason = "its settings hold only sometimes, so none is taken";
                    self.left.push(Left::at(&spot, format!("Match {}", clip(&values.join(" "))), reason));
                    here = None;
                }
                "include" => {
                    let Some(conditions) = &here else { continue };
                    let conditions = conditions.clone();
                    for pattern in &values {
                        self.include(pattern, &spot, &conditions, depth + 1);
                    }
                    self.open(conditions);
                }
                option if here.is_some() => {
                    let setting = Setting { spot, option: option.to_owned(), values };
                    self.blocks.last_mut().expect("a file opens a block").settings.push(setting);
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, conditions: Vec<Patterns>) {
        self.blocks.push(Block { conditions, settings: Vec::new() });
    }

    fn include(&mut self, pattern: &str, spot: &Spot, conditions: &[Patterns], depth: usize) {
        let includes = self.includes;
        let Some(files) = includes.get(pattern) else {
            let reason = "no such file was read";
            self.left.push(Left::at(spot, format!("Include {}", clip(pattern)), reason));
            return;
        };
        if DEEPEST_INCLUDE < depth {
            let reason = format!("files include each other more than {DEEPEST_INCLUDE} levels deep");
            self.faults.push(Fault::new(spot.clone(), "Include", reason));
            return;
        }
        for file in files {
            if MOST_LINES < self.lines {
                return;
            }
            self.file(&file.text, Some(&Arc::from(clip_path(&file.name))), conditions, depth);
        }
    }

    /// The option and its values; `None` for an empty line, a comment, and a line with a fault.
    fn words(&mut self, line: &str, spot: &Spot) -> Option<(String, Vec<String>)> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let end = line.find(|c: char| c.is_whitespace() || c == '=' || c == '"').unwrap_or(line.len());
        let (option, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let mut fault = |reason: &str| {
            self.faults.push(Fault::new(spot.clone(), clip(option), reason));
            None
        };
        if option.is_empty() || !option.chars().all(|c| c.is_ascii_alphanumeric()) {
            return fault("this is no option of ssh_config");
        }
        match split(rest) {
            None => fault("a quotation mark is not closed"),
            Some(values) if values.is_empty() || values[0].is_empty() => fault("its value is missing"),
            Some(values) => Some((option.to_owned(), values)),
        }
    }
}

/// The name of a file as it is shown.
fn clip_path(name: &str) -> String {
    name.chars().take(200).filter(|c| !c.is_control()).collect()
}

/// Words parted by blanks; quotation marks hold together, `#` begins a comment. `None`: a mark is not closed.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '#' if !quoted && word.is_none() => break,
            letter if letter.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

fn patterns(values: &[String]) -> Patterns {
    let pattern = |value: &String| match value.strip_prefix('!') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, value.clone()),
    };
    values.iter().map(pattern).collect()
}

fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

/// Whether a pattern with `*` and `?` fits. Takes at most the product of both lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                retry = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_ssh_config() {
        for (pattern, name, fits) in [
            ("web", "web", true),
            ("web", "web-1", false),
            ("web-*", "web-1", true),
            ("*", "anything", true),
            ("192.0.2.?", "192.0.2.7", true),
            ("192.0.2.?", "192.0.2.17", false),
            ("*.eu.*.org", "a.eu.b.eu.c.org", true),
            ("*a*b", "aab", true),
            ("*a*b", "aba", false),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} and {name}");
        }
    }

    #[test]
    fn words_are_parted_as_openssh_does() {
        assert_eq!(split(" a  \"b c\" # no").expect("closed"), ["a", "b c"]);
        assert_eq!(split("a#b").expect("closed"), ["a#b"]);
        assert_eq!(split("\"\"").expect("closed"), [""]);
        assert_eq!(split("\"open"), None);
    }
}
