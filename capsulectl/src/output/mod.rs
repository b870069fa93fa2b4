//! Printing: data to standard output in the format asked for, talk to standard error.
//!
//! Commands hand over what the daemon sent; how it looks is decided here. JSON and YAML show all fields,
//! tables and pages what a person wants to see, CSV every column exactly, `name` what other commands accept.

pub mod json;
pub mod look;
pub mod page;
pub mod table;
pub mod text;
pub mod words;

use std::io::Write;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use self::{
    look::{Icon, Look, Tone},
    page::Sheet,
    table::{Cell, Column, Fit, View},
};
use crate::{
    args::Format,
    client::Answer,
    error::{Error, Result},
};

/// Where and how a command prints.
#[derive(Debug, Clone)]
pub struct Output {
    /// What the caller wants.
    pub format: Format,
    /// No notes, only data and errors.
    pub quiet: bool,
    /// What the terminal can show.
    pub look: Look,
}

impl Output {
    /// Whether people read the output, rather than programs.
    pub const fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Prints a list.
    pub fn list<T: DeserializeOwned + Serialize>(
        &self,
        rows: &[Box<RawValue>],
        view: &View<T>,
    ) -> Result<()> {
        match self.format {
            Format::Json => self.print(&json_list(rows)),
            Format::Ndjson => {
                self.print(&rows.iter().map(|row| json::compact(row.get()) + "\n").collect::<String>())
            }
            _ => {
                let rows = parse_rows(rows)?;
                self.typed_list(&rows, view)
            }
        }
    }

    /// Prints a list that the client put together.
    pub fn typed_list<T: Serialize>(&self, rows: &[T], view: &View<T>) -> Result<()> {
        match self.format {
            Format::Table | Format::Wide if rows.is_empty() => {
                self.note(view.empty);
                Ok(())
            }
            Format::Table => self.print(&table::table(view, rows, false, &self.look)),
            Format::Wide => self.print(&table::table(view, rows, true, &self.look)),
            Format::Csv => self.print_bytes(&csv_bytes(view, rows, &self.look)?),
            Format::Name => self.print(&rows.iter().map(|row| (view.name)(row) + "\n").collect::<String>()),
            Format::Yaml => self.print(&yaml(&rows)?),
            Format::Json => self.print(&(json::pretty(&to_json(&rows)?) + "\n")),
            Format::Ndjson => {
                let lines: Result<Vec<String>> = rows.iter().map(|row| Ok(to_json(row)? + "\n")).collect();
                self.print(&lines?.concat())
            }
        }
    }

    /// Prints one thing; `page` writes it for people.
    pub fn one<T: DeserializeOwned + Serialize>(
        &self,
        answer: &Answer,
        view: &View<T>,
        page: impl FnOnce(&T, &mut Sheet<'_>),
    ) -> Result<()> {
        match self.format {
            Format::Json => self.print(&(json::pretty(&answer.text) + "\n")),
            Format::Ndjson => self.print(&(json::compact(&answer.text) + "\n")),
            _ => self.typed_one(&answer.parse()?, view, page),
        }
    }

    /// Prints one thing that the client put together; `page` writes it for people.
    pub fn typed_one<T: Serialize>(
        &self,
        value: &T,
        view: &View<T>,
        page: impl FnOnce(&T, &mut Sheet<'_>),
    ) -> Result<()> {
        match self.format {
            Format::Table | Format::Wide => {
                let mut sheet = Sheet::new(&self.look);
                page(value, &mut sheet);
                self.print(&sheet.finish())
            }
            Format::Csv => self.print_bytes(&csv_bytes(view, std::slice::from_ref(value), &self.look)?),
            Format::Name => self.print(&((view.name)(value) + "\n")),
            Format::Yaml => self.print(&yaml(value)?),
            Format::Json => self.print(&(json::pretty(&to_json(value)?) + "\n")),
            Format::Ndjson => self.print(&(to_json(value)? + "\n")),
        }
    }

    /// Prints data.
    pub fn print(&self, text: &str) -> Result<()> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints data.
    pub fn print_bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Error::Output)
    }

    /// Says something to the person, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            talk(text);
        }
    }

    /// Says that something was done.
    pub fn done(&self, text: &str) {
        let tick = self.look.icon(Icon::Tick);
        self.note(&format!("{tick} {text}"));
    }

    /// Warns, also with `--quiet`: what follows may not be what was meant.
    pub fn warn(&self, text: &str) {
        talk(&format!("capsulectl: warning: {text}"));
    }
}

/// A line on standard error. That nobody reads it is no reason to stop.
pub fn talk(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// The fields of raw rows.
pub fn parse_rows<T: DeserializeOwned>(rows: &[Box<RawValue>]) -> Result<Vec<T>> {
    rows.iter().map(|row| serde_json::from_str(row.get()).map_err(Error::Answer)).collect()
}

fn json_list(rows: &[Box<RawValue>]) -> String {
    let parts: Vec<&str> = rows.iter().map(|row| row.get()).collect();
    json::pretty(&format!("[{}]", parts.join(","))) + "\n"
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::Answer)
}

fn yaml(value: &impl Serialize) -> Result<String> {
    let text = serde_saphyr::to_string(value)
        .map_err(|error| Error::Failed { message: format!("could not write YAML: {error}"), hint: None })?;
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

fn csv_bytes<T>(view: &View<T>, rows: &[T], look: &Look) -> Result<Vec<u8>> {
    table::csv(view, rows, look)
        .map_err(|error| Error::Failed { message: format!("could not write CSV: {error}"), hint: None })
}
