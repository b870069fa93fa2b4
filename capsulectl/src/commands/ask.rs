//! Questions to the person: only where one sits, and never with `--no-input`.

use std::{
    io::{IsTerminal, Read, Write},
    path::Path,
};

use crossterm::{
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    terminal,
};
use dialoguer::{Confirm, Input};

use super::Session;
use crate::{
    args::channels::SecretArgs,
    error::{Error, Result},
};

/// Longer than any password, signing secret or webhook URL.
const MAX_SECRET_BYTES: u64 = 16 << 10;

/// Goes on only after a yes; `--yes` is one.
pub fn confirm(session: &Session, question: &str) -> Result<()> {
    if session.global.yes {
        return Ok(());
    }
    if !may_ask(session) {
        return Err(Error::usage(format!("not asking: {question}"), "add --yes to go on without a question"));
    }
    let agreed = Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(|error| asking(error.into()))?;
    if agreed { Ok(()) } else { Err(Error::Declined) }
}

/// A secret from where the flags say. `required`: asks when they say nothing.
pub fn secret(session: &Session, args: &SecretArgs, what: &str, required: bool) -> Result<Option<String>> {
    if let Some(secret) = &args.secret {
        session.out.warn(
            "a secret on the command line can be seen by other users; use --secret-file or --secret-stdin",
        );
        return Ok(Some(secret.clone()));
    }
    if let Some(path) = &args.secret_file {
        return from_file(path).map(Some);
    }
    if args.secret_stdin {
        return from_stdin().map(Some);
    }
    if !args.ask_secret && !required {
        return Ok(None);
    }
    if !may_ask(session) {
        return Err(Error::usage(
            format!("not asking for the {what}"),
            "give it with --secret-file FILE or --secret-stdin",
        ));
    }
    loop {
        let secret = unseen(what)?;
        if !secret.is_empty() {
            return Ok(Some(secret));
        }
    }
}

/// A secret read from a file, without the line's end.
pub fn from_file(path: &Path) -> Result<String> {
    let action = || format!("read the secret from {}", path.display());
    let file = std::fs::File::open(path).map_err(|source| Error::Local { action: action(), source })?;
    bounded(file, action())
}

/// A secret read from standard input, without the line's end.
pub fn from_stdin() -> Result<String> {
    bounded(std::io::stdin().lock(), "read the secret from standard input".to_owned())
}

fn bounded(from: impl Read, action: String) -> Result<String> {
    let mut text = String::new();
    let read = from.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text);
    let length = read.map_err(|source| Error::Local { action, source })?;
    if length as u64 > MAX_SECRET_BYTES {
        return Err(Error::usage(
            "the secret is longer than 16 KiB",
            "give the secret alone, nothing around it",
        ));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A value that may be left out by an empty answer; typed unseen when it is secret.
pub fn value(what: &str, secret: bool) -> Result<Option<String>> {
    let answer = match secret {
        true => unseen(what)?,
        false => Input::<String>::new()
            .with_prompt(what)
            .allow_empty(true)
            .interact_text()
            .map_err(|error| asking(error.into()))?,
    };
    Ok(Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty()))
}

/// A line that is typed unseen.
///
/// Key by key, because a line that is read as a whole keeps the signal of Ctrl-C waiting until it has ended, and
/// what the person wanted to stop would go on.
fn unseen(what: &str) -> Result<String> {
    let failed = |source| Error::Local { action: "ask".to_owned(), source };
    // Before the question: what is typed at once must not be seen either.
    let raw = Raw::enter().map_err(failed)?;
    let mut shown = std::io::stderr();
    write!(shown, "{what}: ").map_err(failed)?;
    let typed = read_keys();
    drop(raw);
    writeln!(shown).map_err(failed)?;
    typed.map_err(asking)
}

fn read_keys() -> std::io::Result<String> {
    let mut typed = String::new();
    loop {
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Ok(typed),
            KeyCode::Char('j' | 'm') if control => return Ok(typed),
            KeyCode::Char('c' | 'd') if control => return Err(std::io::ErrorKind::Interrupted.into()),
            KeyCode::Char('u') if control => typed.clear(),
            KeyCode::Char(c) if !control && (typed.len() as u64) < MAX_SECRET_BYTES => typed.push(c),
            KeyCode::Backspace => _ = typed.pop(),
            _ => {}
        }
    }
}

/// The terminal without echo and signals, until it is dropped.
struct Raw;

impl Raw {
    fn enter() -> std::io::Result<Self> {
        terminal::enable_raw_mode().map(|()| Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = terminal::disable_raw_mode();
    }
}

/// Whether somebody is there to be asked.
pub fn may_ask(session: &Session) -> bool {
    !session.global.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Why a question got no answer.
pub fn asking(source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::Interrupted => Error::Interrupted,
        _ => Error::Local { action: "ask".to_owned(), source },
    }
}
