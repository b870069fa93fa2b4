//! The `capsuled` binary: reads the command line and hands over to [`capsuled::daemon`].

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use capsuled::{
    api,
    config::{Command, CommandLine, Config, DESCRIBED, Described},
    daemon,
};
use clap::{CommandFactory, Parser};
use serde_json::Value;
use tikv_jemallocator::Jemalloc;

/// The daemon runs for months, and a large import or export must not stay in its memory for as long.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match run(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("capsuled: {error:#}");
            if let Some(hint) =
                error.chain().find_map(|cause| cause.downcast_ref()).and_then(daemon::StartError::hint)
            {
                anstream::eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(line: &CommandLine) -> anyhow::Result<()> {
    match &line.command {
        None => Ok(daemon::run(&line.flags)?),
        Some(Command::CheckConfig) => Ok(check_config(&Config::load(&line.flags)?)?),
        Some(Command::Openapi) => Ok(writeln!(io::stdout(), "{}", api::openapi_json())?),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(*shell, &mut CommandLine::command(), "capsuled", &mut io::stdout());
            Ok(())
        }
        Some(Command::Man { directory }) => man(directory.as_deref()),
        Some(Command::Reference) => reference(),
    }
}

fn check_config(config: &Config) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match &config.file {
        Some(file) => writeln!(out, "file                 {}", file.display())?,
        None => writeln!(out, "file                 none")?,
    }
    let mut say = |name: &str, value: String, origin: &str| writeln!(out, "{name:<20} {value}  ({origin})");
    say("state_dir", config.state_dir.value.display().to_string(), config.state_dir.origin.as_str())?;
    say("socket", config.socket.value.display().to_string(), config.socket.origin.as_str())?;
    say("log", config.log.value.clone(), config.log.origin.as_str())?;
    for (name, setting) in [
        ("probes_at_once", &config.probes_at_once),
        ("collections_at_once", &config.collections_at_once),
        ("ssh_sessions", &config.ssh_sessions),
    ] {
        say(name, setting.value.to_string(), setting.origin.as_str())?;
    }
    Ok(())
}

fn man(directory: Option<&Path>) -> anyhow::Result<()> {
    let page = clap_mangen::Man::new(CommandLine::command()).section("8");
    let mut text = Vec::new();
    page.render(&mut text)?;
    match directory {
        None => io::stdout().write_all(&text)?,
        Some(directory) => {
            let path = directory.join("capsuled.8");
            std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        }
    }
    Ok(())
}

/// The schemas of the OpenAPI document that hold settings, with their titles in the reference.
const SCHEMAS: &[(&str, &str)] = &[
    ("Settings", "Settings of watching (`capsulectl monitor config`, `PATCH /v1/settings`)"),
    ("Thresholds", "Thresholds (global, by tag, by xNode)"),
    ("Threshold", "Parts of a threshold"),
    ("CheckCreate", "Settings of a check"),
    ("PingProbe", "Settings of a ping check"),
    ("TcpProbe", "Settings of a TCP check"),
    ("SshProbe", "Settings of an SSH check"),
    ("HttpProbe", "Settings of an HTTP check"),
    ("EmailTarget", "Settings of an email channel"),
    ("WebhookTarget", "Settings of a webhook channel"),
];

/// The settings of the process, then those in the database, the latter from the OpenAPI document.
fn reference() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "## Settings of the process\n")?;
    writeln!(
        out,
        "A flag wins over the environment, the environment over the file, the file over the default.\n"
    )?;
    writeln!(out, "| key in the file | flag | environment | default | effect |\n|---|---|---|---|---|")?;
    for setting in DESCRIBED {
        let flag = setting.flag.map_or_else(String::new, |flag| format!("`{flag}`"));
        let Described { key, variable, default, effect, .. } = setting;
        writeln!(out, "| `{key}` | {flag} | `{variable}` | {default} | {effect} |")?;
    }
    let document: Value = serde_json::from_str(&api::openapi_json())?;
    for (schema, title) in SCHEMAS {
        writeln!(out, "\n## {title}\n\n| key | meaning, unit, limits, default |\n|---|---|")?;
        let properties = document["components"]["schemas"][schema]["properties"].as_object();
        for (key, property) in properties.into_iter().flatten() {
            writeln!(out, "| `{key}` | {} |", description(property).replace('\n', " ").replace('|', "\\|"))?;
        }
    }
    Ok(())
}

/// What a property says about itself; one that may be null says it in its first alternative.
fn description(property: &Value) -> &str {
    let own = property["description"].as_str();
    own.or_else(|| property["oneOf"][0]["description"].as_str()).unwrap_or_default()
}
