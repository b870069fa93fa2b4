//! The person's terminal in raw mode, and back: on every way out, unwinding included.

use std::io::IsTerminal;

use capsule_api::Terminal;

use crate::{
    error::{Error, Result},
    settings::Environment,
};

/// The terminal passes every key on until this is dropped.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It is none.
    pub fn enter() -> Result<Self> {
        crossterm::terminal::enable_raw_mode().map(|()| Self(())).map_err(terminal_error)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Whether a person types and reads here.
pub fn is_here() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Its kind and size; what cannot be known is what every terminal is.
pub fn describe(env: &dyn Environment) -> Terminal {
    let (columns, rows) = size();
    Terminal { kind: env.var("TERM").unwrap_or_else(|| "vt100".to_owned()), columns, rows }
}

/// Columns and rows.
pub fn size() -> (u16, u16) {
    let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
    (columns.max(1), rows.max(1))
}

fn terminal_error(source: std::io::Error) -> Error {
    Error::Local { action: "take the terminal".to_owned(), source }
}

/// Finds `~.` at the beginning of a line, which hangs up as in OpenSSH; `~~` there is one tilde.
#[derive(Debug)]
pub struct Escapes {
    at_line_start: bool,
    tilde: bool,
}

impl Default for Escapes {
    fn default() -> Self {
        Self { at_line_start: true, tilde: false }
    }
}

impl Escapes {
    /// What of `typed` goes to the other side, and whether the person hung up after it.
    pub fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for &byte in typed {
            if std::mem::take(&mut self.tilde) {
                match byte {
                    b'.' => return (passed, true),
                    b'~' => {}
                    _ => passed.push(b'~'),
                }
            } else if byte == b'~' && self.at_line_start {
                (self.tilde, self.at_line_start) = (true, false);
                continue;
            }
            passed.push(byte);
            self.at_line_start = matches!(byte, b'\r' | b'\n');
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&str]) -> (String, bool) {
        let (mut escapes, mut all) = (Escapes::default(), Vec::new());
        for piece in pieces {
            let (passed, hung_up) = escapes.filter(piece.as_bytes());
            all.extend(passed);
            if hung_up {
                return (String::from_utf8(all).expect("text"), true);
            }
        }
        (String::from_utf8(all).expect("text"), false)
    }

    #[test]
    fn only_a_tilde_and_a_dot_on_a_new_line_hang_up() {
        for (pieces, passed, hung_up) in [
            (&["~."][..], "", true),
            (&["ls\r~", ".more"], "ls\r", true),
            (&["ls ~.\r"], "ls ~.\r", false),
            (&["~~.\r"], "~.\r", false),
            (&["~/bin\r"], "~/bin\r", false),
            (&["~", "\r", "~."], "~\r", true),
        ] {
            assert_eq!(typed(pieces), (passed.to_owned(), hung_up), "{pieces:?}");
        }
    }
}
