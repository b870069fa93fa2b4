//! `config show`: this client's own settings and where each comes from.

use serde::Serialize;

use super::Session;
use crate::{
    args::{Format, records::ConfigAction},
    error::{Outcome, Result},
    output::{Cell, Column, Fit, View, text},
    settings::{Origin, Settings},
};

#[derive(Debug, Serialize)]
struct Setting {
    key: &'static str,
    value: String,
    origin: String,
}

const WITH_ORIGIN: View<Setting> = View {
    columns: &[
        Column { title: "KEY", fit: Fit::Keep, cell: |s, _| s.key.into() },
        Column { title: "VALUE", fit: Fit::Keep, cell: |s, _| s.value.clone().into() },
        Column { title: "ORIGIN", fit: Fit::Cut, cell: |s, _| s.origin.clone().into() },
    ],
    name: |setting| setting.key.to_owned(),
    empty: "no settings",
};

const VALUES: View<Setting> = View {
    columns: &[
        Column { title: "KEY", fit: Fit::Keep, cell: |s, _| s.key.into() },
        Column { title: "VALUE", fit: Fit::Keep, cell: |s, _| Cell::from(s.value.clone()) },
    ],
    name: |setting| setting.key.to_owned(),
    empty: "no settings",
};

/// `config`.
pub fn run(session: &Session, action: &ConfigAction) -> Result<Outcome> {
    let ConfigAction::Show { origin } = action;
    let rows = rows(&session.settings);
    session.out.typed_list(&rows, if *origin { &WITH_ORIGIN } else { &VALUES })?;
    let file = session.settings.file.display();
    if *origin {
        let there = if session.settings.file.exists() { "read" } else { "not there" };
        session.out.note(&format!("file: {file} ({there})"));
    }
    for key in &session.settings.unused {
        session.out.warn(&format!("{file}: nothing in this version reads `{key}`"));
    }
    Ok(Outcome::Done)
}

fn rows(settings: &Settings) -> Vec<Setting> {
    let row = |key, value: String, origin: &Origin| Setting { key, value, origin: origin.to_string() };
    vec![
        row("connection.socket", settings.socket.value.display().to_string(), &settings.socket.origin),
        row("connection.timeout", text::span(settings.timeout.value), &settings.timeout.origin),
        row("defaults.output_format", format_word(settings.format.value).to_owned(), &settings.format.origin),
        row(
            "defaults.log_level",
            settings.log.value.clone().unwrap_or_else(|| "off".to_owned()),
            &settings.log.origin,
        ),
    ]
}

const fn format_word(format: Format) -> &'static str {
    match format {
        Format::Table => "table",
        Format::Wide => "wide",
        Format::Json => "json",
        Format::Yaml => "yaml",
        Format::Csv => "csv",
        Format::Name => "name",
        Format::Ndjson => "ndjson",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        args::Global,
        settings::{DESCRIBED, Environment},
    };

    struct Empty;

    impl Environment for Empty {
        fn var(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn the_reference_describes_what_config_show_lists() {
        let settings = Settings::load(&Global::default(), &Empty).expect("nothing to misread");
        let listed: Vec<_> = rows(&settings).iter().map(|row| row.key).collect();
        let described: Vec<_> = DESCRIBED.iter().map(|setting| setting.key).collect();
        assert_eq!(listed, described);
    }
}
