//! Where something stands in a file, what is wrong there, and what is left out.

use std::{
    fmt::{Display, Formatter, Result},
    sync::Arc,
};

/// Where something stands, as the program that shows the file counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// A row of a spreadsheet; the heading is the first.
    Row(usize),
    /// A line of the only file.
    Line(usize),
    /// A line of one of several files.
    In(Arc<str>, usize),
}

impl Display for Spot {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Row(row) => write!(f, "row {row}"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::In(file, line) => write!(f, "{file} line {line}"),
        }
    }
}

/// Something that is wrong with a file. The reason never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub spot: Spot,
    /// The column or field; empty for the whole row or line.
    pub field: String,
    /// What is wrong.
    pub reason: String,
}

impl Fault {
    /// A fault of a field, or with an empty `field` of the whole line.
    pub fn new(spot: Spot, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { spot, field: field.into(), reason: reason.into() }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.field.as_str() {
            "" => write!(f, "{}: {}", self.spot, self.reason),
            field => write!(f, "{}, {field}: {}", self.spot, self.reason),
        }
    }
}

/// Something that is not taken over although nothing is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Where; `None` for more than one place.
    pub spot: Option<Spot>,
    /// What.
    pub what: String,
    /// Why, and what helps.
    pub reason: String,
}

impl Left {
    /// Something at one place.
    pub fn at(spot: &Spot, what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { spot: Some(spot.clone()), what: what.into(), reason: reason.into() }
    }
}

/// Text as it may stand in a message: short, and nothing that steers a terminal.
pub fn clip(text: &str) -> String {
    text.chars().take(40).filter(|c| !c.is_control()).collect()
}
