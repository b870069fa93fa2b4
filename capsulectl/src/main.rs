//! `capsulectl`, the thin client of `capsuled`: arguments in, a request or two, output formatted.
//!
//! It knows no rule the daemon enforces; everything it can do, `curl --unix-socket` can do too. Starting it
//! must cost less than a prompt's blink, so the runtime, the connection and the log are made only when a
//! command needs them.

mod args;
mod client;
mod clock;
mod commands;
mod error;
mod output;
mod settings;
mod stream;
mod terminal;
mod watch;

use std::{io::IsTerminal, process::ExitCode};

use args::{Cli, Command, Parsed, monitor::MonitorAction, xnode::XNodeAction};
use client::Client;
use commands::Session;
use error::{Error, Outcome, Result};
use output::{Look, Output, talk};
use settings::{ProcessEnvironment, Settings};

fn main() -> ExitCode {
    let parsed = match args::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => return refuse_line(&error),
    };
    let done = match parsed {
        Parsed::Run(cli) => start(*cli),
        Parsed::NotYet(words) => Err(commands::not_yet(words)),
    };
    match done {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(cli: Cli) -> Result<Outcome> {
    if let Some(context) = cli.global.context.as_deref().filter(|context| *context != "default") {
        return Err(Error::NotYet {
            command: format!("--context {context}"),
            hint: "this version speaks to the daemon of this machine only; leave `--context` out".to_owned(),
        });
    }
    match &cli.command {
        Some(Command::Completions(args)) => return commands::documents::completions(args),
        Some(Command::Man(args)) => return commands::documents::man(args),
        Some(Command::Reference) => return commands::documents::reference(),
        _ => {}
    }
    let env = ProcessEnvironment;
    let settings = Settings::load(&cli.global, &env)?;
    let out = Output {
        format: settings.format.value,
        quiet: cli.global.quiet,
        look: Look::detect(cli.global.no_color, &env, clock::now()),
    };
    if let Some(filter) = &settings.log.value {
        start_log(filter, cli.command.as_ref().is_some_and(is_watch) && watch::takes_screen(&out));
    }
    let client = Client::new(settings.socket.value.clone(), settings.timeout.value);
    let session = Session { client, out, settings, global: cli.global };
    // Where a list is shown and commands are run from it, Ctrl-C is for those.
    let interruptible = !cli.command.as_ref().is_some_and(is_manage);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Local { action: "start the runtime".to_owned(), source })?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = commands::run(cli.command, &session) => outcome,
            _ = tokio::signal::ctrl_c(), if interruptible => Err(Error::Interrupted),
        }
    });
    // A prompt or a reader of standard input may hold a thread that nobody waits for any more.
    runtime.shutdown_background();
    outcome
}

const fn is_watch(command: &Command) -> bool {
    matches!(command, Command::Monitor(args) if matches!(args.action, MonitorAction::Watch(_)))
}

const fn is_manage(command: &Command) -> bool {
    matches!(command, Command::XNode(args) if matches!(args.action, XNodeAction::Manage(_)))
}

/// Starts the log on standard error, but never over a full-screen view.
fn start_log(filter: &str, full_screen: bool) {
    if full_screen && std::io::stderr().is_terminal() {
        return talk("the log stays off on the full screen; `2>FILE` sends it to a file");
    }
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn report(error: &Error) {
    if error.is_silent() {
        return;
    }
    talk(&format!("capsulectl: {}", error.line()));
    if let Some(hint) = error.hint() {
        talk(&format!("hint: {}", error::one_line(&hint)));
    }
}

/// What clap has to say: help and version on standard output, mistakes in our own form.
fn refuse_line(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // That nobody reads the help is no failure.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            let (message, hint) = clap_lines(&error.render().to_string());
            report(&Error::Usage { message, hint: Some(hint) });
            ExitCode::from(2)
        }
    }
}

/// The message and the way out from clap's own text, which is laid out over several lines.
fn clap_lines(text: &str) -> (String, String) {
    let mut message = Vec::new();
    let mut hint = None;
    let mut usage = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            hint.get_or_insert_with(|| tip.to_owned());
        } else if let Some(line) = line.strip_prefix("Usage: ") {
            usage = Some(line.to_owned());
        } else if !line.starts_with("For more information") && usage.is_none() {
            message.push(line.strip_prefix("error: ").unwrap_or(line).to_owned());
        }
    }
    let hint = hint.unwrap_or_else(|| match usage {
        Some(usage) => format!("usage: {usage}"),
        None => "`capsulectl --help` shows what there is".to_owned(),
    });
    (message.join(" "), hint)
}
