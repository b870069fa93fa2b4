//! Nix values, and the one printer that turns them into text.
//!
//! Whatever came from outside is a [`Text`], and a text becomes Nix only through [`Value`]'s `Display`: so there
//! is one place that escapes, and no file that could forget to. Expressions (`Value::Expression`) can only be made
//! inside this package, from its own data. The printer cares for meaning, not for looks: `nixfmt` does those.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::names::PackageName;

/// Words of the language, which stand for no attribute without quotes.
pub(crate) const KEYWORDS: &[&str] =
    &["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"];

/// A text holds a control character that no configuration needs, and that could hide what a file says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("text holds the control character U+{0:04X}")]
pub struct ControlCharacter(pub u32);

/// A text without control characters other than line feed, carriage return and tab. It may hold `${`, quotes and
/// backslashes: printing them is the printer's business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);

impl Text {
    /// The text as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = ControlCharacter;
    fn try_from(text: String) -> Result<Self, ControlCharacter> {
        match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            Some(control) => Err(ControlCharacter(control.into())),
            None => Ok(Self(text)),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::try_from(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text of our own, known when this was compiled.
impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

/// Nix source from our own data. There is no public way to make one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expression(String);

impl Expression {
    pub(crate) fn own(source: impl Into<String>) -> Self {
        Self(source.into())
    }
}

/// A Nix value or one of the few forms of expression our files need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(Text),
    /// A list, in its order.
    List(Vec<Value>),
    /// A set of attributes, in the order of their names.
    Attrs(BTreeMap<Text, Value>),
    /// `pkgs.NAME`.
    Package(PackageName),
    /// Nix source from our own data.
    Expression(Expression),
    /// `argument: body`.
    Lambda(&'static str, Box<Value>),
    /// A function and its arguments.
    Apply(Vec<Value>),
}

impl Value {
    pub(crate) fn expression(source: impl Into<String>) -> Self {
        Self::Expression(Expression::own(source))
    }

    /// What Nix calls this kind of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a Boolean",
            Self::Int(_) => "an integer",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Attrs(_) => "a set",
            Self::Package(_) => "a package",
            Self::Lambda(..) => "a function",
            Self::Expression(_) | Self::Apply(_) => "an expression",
        }
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The elements, when it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            // The lexer reads the digits before it sees the minus, and these do not fit.
            Self::Int(i64::MIN) => write!(f, "{} - 1", i64::MIN + 1),
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(text) => write_string(f, text.as_str()),
            Self::List(elements) => {
                f.write_str("[")?;
                for element in elements {
                    write!(f, " {}", Operand(element))?;
                }
                f.write_str(" ]")
            }
            Self::Attrs(attributes) => {
                f.write_str("{")?;
                for (name, value) in attributes {
                    write!(f, " {} = {value};", AttributeName(name.as_str()))?;
                }
                f.write_str(" }")
            }
            Self::Package(name) => write!(f, "pkgs.{}", name.selector()),
            Self::Expression(Expression(source)) => f.write_str(source),
            Self::Lambda(argument, body) => write!(f, "{argument}: {body}"),
            Self::Apply(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    let gap = if index == 0 { "" } else { " " };
                    write!(f, "{gap}{}", Operand(part))?;
                }
                Ok(())
            }
        }
    }
}

/// A value where only something that holds together may stand: in a list, or as an argument.
struct Operand<'a>(&'a Value);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds_together = match self.0 {
            Value::Int(number) => 0 <= *number,
            Value::Expression(Expression(source)) => {
                source.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c))
            }
            Value::Lambda(..) | Value::Apply(_) => false,
            _ => true,
        };
        if holds_together { write!(f, "{}", self.0) } else { write!(f, "({})", self.0) }
    }
}

/// The name of an attribute, in quotes where it is no identifier.
pub(crate) struct AttributeName<'a>(pub(crate) &'a str);

impl fmt::Display for AttributeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = |c: char| c.is_ascii_alphanumeric() || "_'-".contains(c);
        let identifier = self.0.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && self.0.chars().all(rest)
            && !KEYWORDS.contains(&self.0);
        if identifier { f.write_str(self.0) } else { write_string(f, self.0) }
    }
}

/// Nix reads `\`, `"` and `${` in a string as its own, and a line feed as it stands. The escapes for carriage return
/// and tab keep the text visible.
fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => f.write_str("\\\\")?,
            '"' => f.write_str("\\\"")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '$' if characters.peek() == Some(&'{') => f.write_str("\\$")?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nix_would_read_as_its_own_is_escaped() {
        for (text, printed) in [
            ("a${b}", r#""a\${b}""#),
            ("$${b}", r#""$\${b}""#),
            (r#"say "no" \n"#, r#""say \"no\" \\n""#),
            ("one\ntwo\tthree\r", r#""one\ntwo\tthree\r""#),
            ("''", r#""''""#),
            ("$__file{/x}", r#""$__file{/x}""#),
        ] {
            let value = Value::Text(text.to_owned().try_into().expect("no control characters"));
            assert_eq!(value.to_string(), printed);
        }
    }

    #[test]
    fn what_binds_loosely_gets_parentheses_where_it_must_hold_together() {
        let python = Value::Lambda("python", Box::new(Value::List(vec![Value::expression("python.pip")])));
        let environment = Value::Apply(vec![Value::expression("pkgs.python3.withPackages"), python]);
        let list = Value::List(vec![Value::Int(-1), environment, Value::Int(i64::MIN)]);
        assert_eq!(
            list.to_string(),
            "[ (-1) (pkgs.python3.withPackages (python: [ python.pip ])) (-9223372036854775807 - 1) ]"
        );
    }

    #[test]
    fn an_attribute_name_is_quoted_unless_it_is_an_identifier() {
        for (name, printed) in
            [("enable", "enable"), ("", "\"\""), ("a.b", "\"a.b\""), ("in", "\"in\""), ("7zip", "\"7zip\"")]
        {
            assert_eq!(AttributeName(name).to_string(), printed);
        }
    }

    #[test]
    fn control_characters_do_not_get_in() {
        for control in ["\u{0}", "a\u{1b}[31m", "\u{7f}", "\u{85}"] {
            assert!(Text::try_from(control.to_owned()).is_err(), "{control:?}");
        }
        assert!(Text::try_from("line\n\tnext".to_owned()).is_ok());
    }
}
