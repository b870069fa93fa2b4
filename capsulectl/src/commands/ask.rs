//! Questions to the person: only where one sits, and never with `--no-input`.

use std::{
    io::{IsTerminal, Read},
    path::Path,
};

use dialoguer::{Confirm, Input, Password};

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
    let agreed = Confirm::new().with_prompt(question).default(false).interact().map_err(asking)?;
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
    Password::new().with_prompt(what).interact().map(Some).map_err(asking)
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
    let answer = if secret {
        Password::new().with_prompt(what).allow_empty_password(true).interact()
    } else {
        Input::<String>::new().with_prompt(what).allow_empty(true).interact_text()
    };
    let answer = answer.map_err(asking)?;
    Ok(Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty()))
}

/// Whether somebody is there to be asked.
pub fn may_ask(session: &Session) -> bool {
    !session.global.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Why a question got no answer.
pub fn asking(error: dialoguer::Error) -> Error {
    let dialoguer::Error::IO(source) = error;
    match source.kind() {
        std::io::ErrorKind::Interrupted => Error::Interrupted,
        _ => Error::Local { action: "ask".to_owned(), source },
    }
}
