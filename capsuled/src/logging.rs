//! Log output: one subscriber, text for a terminal and JSON for a journal, and errors printed with their
//! causes.

use std::{
    error::Error,
    fmt,
    io::{self, IsTerminal},
};

use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    layer::{Layered, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// Prints an error and its causes, separated by colons.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A filter that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("`{filter}` is not a log filter")]
pub struct InvalidFilter {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Changes the filter while the daemon runs.
#[derive(Clone)]
pub struct FilterHandle(reload::Handle<EnvFilter, Registry>);

impl FilterHandle {
    /// Uses `filter` from now on.
    pub fn set(&self, filter: &str) -> Result<(), InvalidFilter> {
        let parsed = parse(filter)?;
        if let Err(error) = self.0.reload(parsed) {
            tracing::warn!(error = %error, "could not change the log filter");
        }
        Ok(())
    }
}

fn parse(filter: &str) -> Result<EnvFilter, InvalidFilter> {
    EnvFilter::try_new(filter).map_err(|source| InvalidFilter { filter: filter.to_owned(), source })
}

/// Starts logging to standard error. To be called once.
pub fn start(filter: &str, format: Option<LogFormat>) -> Result<FilterHandle, InvalidFilter> {
    type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
    let terminal = io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let lines: Box<dyn Layer<Filtered> + Send + Sync> = match format {
        LogFormat::Text => Box::new(
            tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(terminal).with_target(false),
        ),
        LogFormat::Json => {
            Box::new(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr))
        }
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(FilterHandle(handle))
}
