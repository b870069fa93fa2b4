//! How help looks: cyan headings, and examples at the end of every page.

use clap::builder::styling::{AnsiColor, Styles};

/// Colours of help pages.
pub const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Cyan.on_default().bold())
    .usage(AnsiColor::Cyan.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Magenta.on_default())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Green.on_default())
    .invalid(AnsiColor::Yellow.on_default());

/// The `Examples:` section of a help page: command lines, each with what it is for.
macro_rules! examples {
    ($($line:literal => $what:literal),+ $(,)?) => {
        concat!("Examples:", $("\n  ", $line, "\n      ", $what),+)
    };
}
pub(crate) use examples;
