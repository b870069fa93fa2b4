//! A JSON or YAML document of which every value knows its line, so that a fault can be named with its place.
//!
//! serde keeps no positions. JSON is taken apart level by level through raw slices of the text, whose
//! addresses say where they stand; the YAML crate has a type that carries them.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use serde_saphyr::Spanned;

use super::faults::{Fault, Spot, clip};

/// The deepest nesting that is read; files of this kind have less than ten levels.
const DEEPEST: usize = 64;

/// A value and the line it begins on.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub value: Value,
}

/// What stands at a place. Numbers keep their text, so that none loses a digit.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Names and values, in order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a name; of a name that stands twice the last. `null` is as good as absent.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Value::Map(fields) = &self.value else { return None };
        let found = fields.iter().rev().find(|(key, _)| key == name).map(|(_, node)| node);
        found.filter(|node| node.value != Value::Null)
    }

    /// Text, or a number as it is written: ids stand as both.
    pub fn word(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Names and values of a mapping; none of anything else.
    pub fn fields(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }
}

/// Reads JSON.
///
/// # Errors
/// The line and what is wrong there; no content is quoted.
pub fn json(text: &str) -> Result<Node, (usize, String)> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        (error.line(), format!("it is not valid JSON: {reason} (column {})", error.column()))
    })?;
    let ends: Vec<usize> = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
    let source = Source { begin: text.as_ptr() as usize, ends };
    source.node(raw, 0)
}

/// Where a text lies and where its lines end.
struct Source {
    begin: usize,
    ends: Vec<usize>,
}

impl Source {
    fn line(&self, raw: &RawValue) -> usize {
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.begin);
        self.ends.partition_point(|end| *end < offset) + 1
    }

    fn node(&self, raw: &RawValue, depth: usize) -> Result<Node, (usize, String)> {
        let line = self.line(raw);
        if DEEPEST < depth {
            return Err((line, format!("it is nested more than {DEEPEST} levels deep")));
        }
        let text = raw.get();
        let broken = |error: serde_json::Error| (line, format!("it cannot be read: {error}"));
        let value = match text.as_bytes().first() {
            Some(b'{') => {
                let pairs: Pairs<'_> = serde_json::from_str(text).map_err(broken)?;
                let fields = pairs.0.into_iter().map(|(name, raw)| Ok((name, self.node(raw, depth + 1)?)));
                Value::Map(fields.collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(broken)?;
                let items = items.into_iter().map(|raw| self.node(raw, depth + 1));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::Text(serde_json::from_str(text).map_err(broken)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(text.to_owned()),
        };
        Ok(Node { line, value })
    }
}

/// A JSON object in its order, its values still text.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Collect).map(Pairs)
    }
}

/// Reads YAML of one document. An empty one is an empty mapping.
///
/// # Errors
/// The line and that it cannot be read there. Why is not said: such files hold keys, and a message might quote one.
pub fn yaml(text: &str) -> Result<Node, (usize, String)> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node { line: 1, value: Value::Map(Vec::new()) });
    }
    let read: Spanned<Raw> = serde_saphyr::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        (usize::try_from(line).unwrap_or(1), format!("it is not valid YAML (column {column})"))
    })?;
    Ok(node(read, 0))
}

fn node(from: Spanned<Raw>, depth: usize) -> Node {
    let line = usize::try_from(from.referenced.line()).unwrap_or(1);
    let value = match from.value {
        // The crate's own budget ends far deeper documents.
        _ if DEEPEST < depth => Value::Null,
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Number(text) => Value::Number(text),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, depth + 1)).collect()),
        Raw::Map(fields) => {
            Value::Map(fields.into_iter().map(|(name, value)| field(name, value, depth)).collect())
        }
    };
    Node { line, value }
}

/// A name and its value, which counts as standing where its name does: a list begins on the line after.
fn field(name: Spanned<Raw>, value: Spanned<Raw>, depth: usize) -> (String, Node) {
    let line = usize::try_from(name.referenced.line()).unwrap_or(1);
    (name.value.into_name(), Node { line, ..node(value, depth + 1) })
}

/// A YAML value before its place is turned into a line.
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl Raw {
    fn into_name(self) -> String {
        match self {
            Self::Number(text) | Self::Text(text) => text,
            Self::Bool(value) => value.to_string(),
            Self::Null | Self::List(_) | Self::Map(_) => String::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Raw, D::Error> {
        Raw::deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Raw::Map(fields))
    }
}

/// The faults of one document, and the questions that find them.
#[derive(Debug)]
pub struct Faults {
    file: Option<Arc<str>>,
    /// What was found so far.
    pub found: Vec<Fault>,
}

impl Faults {
    /// Of the only file, or of one of several.
    pub const fn of(file: Option<Arc<str>>) -> Self {
        Self { file, found: Vec::new() }
    }

    /// A line of the document.
    pub fn spot(&self, line: usize) -> Spot {
        match &self.file {
            Some(file) => Spot::In(Arc::clone(file), line),
            None => Spot::Line(line),
        }
    }

    /// Notes a fault.
    pub fn add(&mut self, line: usize, field: impl Into<String>, reason: impl Into<String>) {
        self.found.push(Fault::new(self.spot(line), field, reason));
    }

    /// Notes that something is of another kind.
    fn mistyped(&mut self, node: &Node, field: &str, wanted: &str) {
        self.add(node.line, field, format!("it must be {wanted}"));
    }

    /// Text of a field; absent is fine.
    pub fn text<'n>(&mut self, of: &'n Node, field: &str) -> Option<&'n str> {
        let node = of.get(field)?;
        let word = node.word();
        if word.is_none() {
            self.mistyped(node, field, "text");
        }
        word
    }

    /// Text of a field that has to be there and not empty.
    pub fn needed<'n>(&mut self, of: &'n Node, field: &str) -> Option<&'n str> {
        if of.get(field).is_none() {
            self.add(of.line, field, "it is missing");
            return None;
        }
        let text = self.text(of, field)?;
        if text.is_empty() {
            self.add(of.get(field).map_or(of.line, |node| node.line), field, "it must not be empty");
            return None;
        }
        Some(text)
    }

    /// A field as a type that knows what it may look like; absent and empty are fine.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, of: &Node, field: &str) -> Option<T> {
        let text = self.text(of, field).filter(|text| !text.is_empty())?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(of.get(field).map_or(of.line, |node| node.line), field, error.to_string());
                None
            }
        }
    }

    /// A number of a field within bounds; absent is fine.
    pub fn number(&mut self, of: &Node, field: &str, lowest: f64, highest: f64) -> Option<f64> {
        let node = of.get(field)?;
        let value = match &node.value {
            Value::Number(text) => text.parse::<f64>().ok(),
            _ => None,
        };
        match value {
            Some(value) if lowest <= value && value <= highest => Some(value),
            Some(_) => {
                self.add(node.line, field, format!("it must be {lowest} to {highest}"));
                None
            }
            None => {
                self.mistyped(node, field, "a number");
                None
            }
        }
    }

    /// Yes or no of a field; absent is no.
    pub fn flag(&mut self, of: &Node, field: &str) -> bool {
        match of.get(field).map(|node| (node, &node.value)) {
            None => false,
            Some((_, Value::Bool(value))) => *value,
            Some((node, _)) => {
                self.mistyped(node, field, "true or false");
                false
            }
        }
    }

    /// The items of a list field; absent is none.
    pub fn list<'n>(&mut self, of: &'n Node, field: &str) -> &'n [Node] {
        match of.get(field) {
            None => &[],
            Some(node) => {
                if !matches!(node.value, Value::List(_)) {
                    self.mistyped(node, field, "a list");
                }
                node.items()
            }
        }
    }

    /// Whether the node is a mapping; otherwise that is a fault.
    pub fn is_map(&mut self, node: &Node, field: &str) -> bool {
        let is = matches!(node.value, Value::Map(_));
        if !is {
            self.mistyped(node, field, "a mapping");
        }
        is
    }

    /// The texts of a list field, each parsed; absent is none.
    pub fn words<T: FromStr<Err: fmt::Display>>(&mut self, of: &Node, field: &str) -> Vec<T> {
        let mut words = Vec::new();
        for (at, item) in self.list(of, field).iter().enumerate() {
            let place = format!("{field}[{at}]");
            match item.word().map(str::parse) {
                Some(Ok(word)) => words.push(word),
                Some(Err(error)) => self.add(item.line, place, T::Err::to_string(&error)),
                None => self.mistyped(item, &place, "text"),
            }
        }
        words
    }

    /// A word of no known meaning.
    pub fn unknown(&mut self, of: &Node, field: &str, word: &str) {
        let line = of.get(field).map_or(of.line, |node| node.line);
        self.add(line, field, format!("`{}` is not known", clip(word)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_json_knows_its_line() {
        let text = "{\n  \"a\": [1,\n    {\"b\": null}],\n  \"c\": \"x\\ny\", \"d\":\n true}";
        let read = json(text).expect("valid");
        assert_eq!(read.get("a").map(|node| node.line), Some(2));
        let items = read.get("a").map(Node::items).unwrap_or_default();
        assert_eq!((items[0].integer(), items[1].line), (Some(1), 3));
        assert_eq!(items[1].get("b"), None, "null is as good as absent");
        assert_eq!(read.get("c").and_then(Node::word), Some("x\ny"));
        assert_eq!(read.get("d").map(|node| (node.line, &node.value)), Some((5, &Value::Bool(true))));
    }

    #[test]
    fn broken_json_is_named_by_its_line_and_never_quoted() {
        let (line, reason) = json("{\n \"api_key\": \"canary\",\n oops}").expect_err("broken");
        assert_eq!(line, 3);
        assert!(reason.starts_with("it is not valid JSON") && !reason.contains("canary"), "{reason}");
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(json(&deep).expect_err("deep").1.contains("nested"));
        assert!(json(&"[".repeat(1_000_000)).is_err(), "a bomb is refused and does not overflow the stack");
    }

    #[test]
    fn every_value_of_yaml_knows_its_line() {
        let text = "# ours\nlinode:\n  api_key: \"123\"\n  list: [a, 2]\nempty:\n1: x\n";
        let read = yaml(text).expect("valid");
        let linode = read.get("linode").expect("there");
        assert_eq!(linode.get("api_key").map(|node| (node.line, node.word())), Some((3, Some("123"))));
        assert_eq!(linode.get("list").map(|node| node.items().len()), Some(2));
        assert_eq!(read.get("empty"), None);
        assert_eq!(read.get("1").and_then(Node::word), Some("x"));
        assert_eq!(yaml("\n# nothing\n").expect("empty").fields().len(), 0);
    }

    #[test]
    fn broken_yaml_is_named_by_its_line_and_never_quoted() {
        let (line, reason) = yaml("a: 1\nb: \"canary\n").expect_err("broken");
        assert!((2..=3).contains(&line) && !reason.contains("canary"), "{line}: {reason}");
        assert!(yaml("a: *nowhere\n").is_err());
    }
}
