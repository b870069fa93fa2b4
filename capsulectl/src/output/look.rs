//! What the terminal can show: colour, box-drawing characters, width. Decided once, at the start.
//!
//! Colour never carries meaning alone: every coloured word also stands there in letters or has an icon.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::settings::Environment;

/// How to print for people.
#[derive(Debug, Clone)]
pub struct Look {
    /// Whether escape codes for colour may be printed.
    pub color: bool,
    /// Whether characters beyond ASCII may be printed.
    pub unicode: bool,
    /// Columns of the terminal; absent when the output goes elsewhere and need not fit.
    pub width: Option<u16>,
    /// The moment that ages are counted from.
    pub now: Timestamp,
}

/// What a piece of text says beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// Headings.
    Heading,
    /// Section titles.
    Section,
    /// In order.
    Good,
    /// Look soon.
    Warn,
    /// Look now.
    Bad,
    /// Of less interest.
    Dim,
    /// Names that matter.
    Name,
}

impl Tone {
    fn style(self) -> Style {
        let fg = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Heading => fg(AnsiColor::Cyan).bold(),
            Self::Section => fg(AnsiColor::Yellow),
            Self::Good => fg(AnsiColor::Green),
            Self::Warn => fg(AnsiColor::Yellow),
            Self::Bad => fg(AnsiColor::Red),
            Self::Dim => Style::new().dimmed(),
            Self::Name => Style::new().bold(),
        }
    }
}

/// The icons of the product, each with what stands for it where only ASCII can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// ✓
    Tick,
    /// ✗
    Cross,
    /// ⚠
    Warning,
    /// ▸
    Pointer,
    /// ●
    Full,
    /// ○
    Empty,
    /// ◆
    Diamond,
}

impl Look {
    /// What standard output can show. `plain` is `--no-color`.
    pub fn detect(plain: bool, env: &dyn Environment, now: Timestamp) -> Self {
        let stdout = std::io::stdout();
        let choice = anstream::AutoStream::choice(&stdout);
        let dumb = env.var("TERM").is_some_and(|term| term == "dumb");
        let width = stdout.is_terminal().then(|| terminal_size::terminal_size().map(|(width, _)| width.0));
        Self {
            color: !plain && choice != anstream::ColorChoice::Never,
            unicode: !dumb && speaks_utf8(env),
            width: width.flatten().filter(|width| *width >= 20),
            now,
        }
    }

    /// Text in a tone.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let style = tone.style();
        if self.color && !text.is_empty() && tone != Tone::Plain {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// An icon as this terminal can show it.
    pub fn icon(&self, icon: Icon) -> &'static str {
        match (icon, self.unicode) {
            (Icon::Tick, true) => "✓",
            (Icon::Tick, false) => "+",
            (Icon::Cross, true) => "✗",
            (Icon::Cross, false) => "x",
            (Icon::Warning, true) => "⚠",
            (Icon::Warning, false) => "!",
            (Icon::Pointer, true) => "▸",
            (Icon::Pointer, false) => ">",
            (Icon::Full, true) => "●",
            (Icon::Full, false) => "*",
            (Icon::Empty, true) => "○",
            (Icon::Empty, false) => "o",
            (Icon::Diamond, true) => "◆",
            (Icon::Diamond, false) => "#",
        }
    }

    /// What stands for a missing value.
    pub const fn absent(&self) -> &'static str {
        if self.unicode { "–" } else { "-" }
    }

    /// What joins facts on one line.
    pub const fn dot(&self) -> &'static str {
        if self.unicode { " · " } else { ", " }
    }
}

/// POSIX order: the first of these that is set decides.
fn speaks_utf8(env: &dyn Environment) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env.var(name)).is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A terminal without colour, with Unicode, 100 columns wide, at a fixed moment.
    pub fn look() -> Look {
        let now = "2026-11-21T12:00:00Z".parse().expect("a moment");
        Look { color: false, unicode: true, width: Some(100), now }
    }

    #[test]
    fn without_colour_not_one_escape_code_is_printed() {
        let plain = look();
        let colored = Look { color: true, ..look() };
        assert_eq!(plain.paint(Tone::Bad, "down"), "down");
        assert_eq!(colored.paint(Tone::Bad, "down"), "\u{1b}[31mdown\u{1b}[0m");
    }

    #[test]
    fn a_terminal_without_utf8_gets_ascii() {
        let ascii = Look { unicode: false, ..look() };
        for icon in
            [Icon::Tick, Icon::Cross, Icon::Warning, Icon::Pointer, Icon::Full, Icon::Empty, Icon::Diamond]
        {
            assert!(ascii.icon(icon).is_ascii());
        }
    }
}
