//! Where every setting of the daemon comes from: flag, then environment, then file, then default. The only
//! reader of the environment.
//!
//! These are the settings a process needs before it has a database. How servers are watched is in the
//! database, changed through the API.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

/// The daemon that knows, watches and steers every server you own.
#[derive(Debug, Parser)]
#[command(name = "capsuled", version, about, long_about = None, after_help = EXAMPLES)]
pub struct CommandLine {
    /// Settings of the process.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  capsuled                              run in the foreground with your own state directory
  capsuled --state-dir /var/lib/capsule --socket /run/capsule/capsuled.sock
  capsuled check-config --config /etc/capsule/capsuled.toml
  capsuled openapi > openapi.json

Then, in another terminal: capsulectl";

/// Settings of the process.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Configuration file (TOML) [default: /etc/capsule/capsuled.toml for root, else ~/.config/capsule/capsuled.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Directory of the databases and the seal key [default: /var/lib/capsule for root, else ~/.local/state/capsule]
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
    /// Unix socket to listen on [default: /run/capsule/capsuled.sock for root, else in $XDG_RUNTIME_DIR/capsule]
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
    /// Log filter, such as info or capsuled::tasks=debug [default: info]
    #[arg(long, value_name = "FILTER", global = true)]
    pub log: Option<String>,
    /// Log format [default: text on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
}

/// What to do instead of running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read the configuration, say what it comes to and where each setting comes from, and exit
    CheckConfig,
    /// Print the OpenAPI document
    Openapi,
    /// Print the completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the man page into a directory
    Man {
        /// Where to; default: standard output
        directory: Option<PathBuf>,
    },
    /// Print every setting: meaning, unit, default, effect (Markdown)
    #[command(hide = true)]
    Reference,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For a journal or a collector.
    Json,
}

/// The file. Every field may be absent; unknown ones are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    state_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    probes_at_once: Option<usize>,
    collections_at_once: Option<usize>,
    ssh_sessions: Option<usize>,
}

/// Where a setting came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// The environment.
    Environment,
    /// The configuration file.
    File,
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// The origin as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// A setting and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// The settings of the process.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that was read, where there was one.
    pub file: Option<PathBuf>,
    /// Directory of the databases and the seal key.
    pub state_dir: Setting<PathBuf>,
    /// Unix socket to listen on.
    pub socket: Setting<PathBuf>,
    /// Log filter.
    pub log: Setting<String>,
    /// Log format; absent: text on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
    /// Probes under way at once, at most.
    pub probes_at_once: Setting<usize>,
    /// Readings under way at once, at most.
    pub collections_at_once: Setting<usize>,
    /// SSH sessions kept open between readings, about 62 KiB each.
    pub ssh_sessions: Setting<usize>,
    /// Directory of systemd credentials, where systemd gave one.
    pub credentials_dir: Option<PathBuf>,
    /// Whether a service manager waits to be told that we are ready.
    pub supervised: bool,
    /// Socket of the SSH agent, for xNodes that log in with it.
    pub agent_socket: Option<PathBuf>,
    /// Faults that a test planned (debug builds).
    pub fault: Option<String>,
    /// Socket on which a test moves time (debug builds).
    pub test_control: Option<PathBuf>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named cannot be read.
    #[error("could not read {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{} is not a valid configuration", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value is out of bounds.
    #[error("`{name}` must be from 1 to {max}")]
    OutOfBounds {
        /// Which setting.
        name: &'static str,
        /// The largest value.
        max: usize,
    },
    /// A value is not what it should be.
    #[error("`{name}` has the value `{value}`, which is not {wanted}")]
    Malformed {
        /// Which setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// There is no home directory to put the state in.
    #[error("neither HOME nor --state-dir says where the state belongs")]
    NoHome,
}

/// A setting of the process, for the generated reference.
pub struct Described {
    /// Key in the file.
    pub key: &'static str,
    /// Flag, where there is one.
    pub flag: Option<&'static str>,
    /// Environment variable.
    pub variable: &'static str,
    /// Default, in words.
    pub default: &'static str,
    /// What it does.
    pub effect: &'static str,
}

/// Every setting of the process, in the order of the reference.
pub const DESCRIBED: &[Described] = &[
    Described {
        key: "state_dir",
        flag: Some("--state-dir"),
        variable: "CAPSULE_STATE_DIR",
        default: "/var/lib/capsule for root, else $XDG_STATE_HOME/capsule",
        effect: "directory of the databases and the seal key; one daemon at a time",
    },
    Described {
        key: "socket",
        flag: Some("--socket"),
        variable: "CAPSULE_SOCKET",
        default: "/run/capsule/capsuled.sock for root, else $XDG_RUNTIME_DIR/capsule/capsuled.sock, else in the state directory",
        effect: "Unix socket to listen on; ignored when systemd hands one over",
    },
    Described {
        key: "log",
        flag: Some("--log"),
        variable: "RUST_LOG",
        default: "info",
        effect: "log filter; read again on SIGHUP",
    },
    Described {
        key: "log_format",
        flag: Some("--log-format"),
        variable: "CAPSULE_LOG_FORMAT",
        default: "text on a terminal, else json",
        effect: "how log lines look: text or json",
    },
    Described {
        key: "probes_at_once",
        flag: None,
        variable: "CAPSULE_PROBES_AT_ONCE",
        default: "1024 probes",
        effect: "probes under way at once, 1 to 16384; more wait and are counted as late",
    },
    Described {
        key: "collections_at_once",
        flag: None,
        variable: "CAPSULE_COLLECTIONS_AT_ONCE",
        default: "64 readings",
        effect: "SSH readings under way at once, 1 to 1024",
    },
    Described {
        key: "ssh_sessions",
        flag: None,
        variable: "CAPSULE_SSH_SESSIONS",
        default: "512 sessions",
        effect: "SSH sessions kept open between readings (about 62 KiB each), 1 to 20000",
    },
];

impl Config {
    /// Puts the settings together. `flags` come from the command line; the environment and the file are
    /// read here.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let root = nix::unistd::geteuid().is_root();
        let (path, named) =
            match flags.config.clone().or_else(|| variable("CAPSULE_CONFIG").map(PathBuf::from)) {
                Some(path) => (path, true),
                None => (default_file(root), false),
            };
        let file = read_file(&path, named)?;
        let found = file.is_some().then(|| path.clone());
        let file = file.unwrap_or_default();

        let state_dir =
            match pick(flags.state_dir.clone(), path_variable("CAPSULE_STATE_DIR"), file.state_dir) {
                Some(setting) => setting,
                None => Setting { value: default_state_dir(root)?, origin: Origin::Default },
            };
        let socket =
            pick(flags.socket.clone(), path_variable("CAPSULE_SOCKET"), file.socket).unwrap_or_else(|| {
                Setting { value: default_socket(root, &state_dir.value), origin: Origin::Default }
            });
        let log = pick(flags.log.clone(), variable("RUST_LOG"), file.log)
            .unwrap_or_else(|| Setting { value: "info".to_owned(), origin: Origin::Default });
        let log_format = match variable("CAPSULE_LOG_FORMAT") {
            Some(word) => Some(parse_log_format(&word)?),
            None => None,
        };
        Ok(Self {
            file: found,
            state_dir: absolute(state_dir),
            socket: absolute(socket),
            log,
            log_format: flags.log_format.or(log_format).or(file.log_format),
            probes_at_once: number(
                "probes_at_once",
                "CAPSULE_PROBES_AT_ONCE",
                file.probes_at_once,
                1_024,
                16_384,
            )?,
            collections_at_once: number(
                "collections_at_once",
                "CAPSULE_COLLECTIONS_AT_ONCE",
                file.collections_at_once,
                64,
                1_024,
            )?,
            ssh_sessions: number("ssh_sessions", "CAPSULE_SSH_SESSIONS", file.ssh_sessions, 512, 20_000)?,
            credentials_dir: path_variable("CREDENTIALS_DIRECTORY"),
            supervised: path_variable("NOTIFY_SOCKET").is_some(),
            agent_socket: path_variable("SSH_AUTH_SOCK"),
            fault: if cfg!(debug_assertions) { variable("CAPSULED_FAULT") } else { None },
            test_control: if cfg!(debug_assertions) { path_variable("CAPSULED_TEST_CONTROL") } else { None },
        })
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn pick<T>(flag: Option<T>, environment: Option<T>, file: Option<T>) -> Option<Setting<T>> {
    let candidates = [(flag, Origin::Flag), (environment, Origin::Environment), (file, Origin::File)];
    candidates.into_iter().find_map(|(value, origin)| value.map(|value| Setting { value, origin }))
}

/// A relative path means the same to whoever reads it in another directory.
fn absolute(setting: Setting<PathBuf>) -> Setting<PathBuf> {
    let value = std::path::absolute(&setting.value).unwrap_or(setting.value);
    Setting { value, ..setting }
}

fn number(
    name: &'static str,
    variable_name: &'static str,
    file: Option<usize>,
    default: usize,
    max: usize,
) -> Result<Setting<usize>, ConfigError> {
    let environment = match variable(variable_name) {
        Some(text) => Some(text.parse().map_err(|_| ConfigError::Malformed {
            name: variable_name,
            value: text,
            wanted: "a whole number",
        })?),
        None => None,
    };
    let setting =
        pick(None, environment, file).unwrap_or(Setting { value: default, origin: Origin::Default });
    if setting.value == 0 || max < setting.value {
        return Err(ConfigError::OutOfBounds { name, max });
    }
    Ok(setting)
}

fn parse_log_format(word: &str) -> Result<LogFormat, ConfigError> {
    LogFormat::from_str(word, true).map_err(|_| ConfigError::Malformed {
        name: "CAPSULE_LOG_FORMAT",
        value: word.to_owned(),
        wanted: "`text` or `json`",
    })
}

/// Reads the file; one that was not named may be absent.
fn read_file(path: &Path, named: bool) -> Result<Option<File>, ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => return Ok(None),
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    let invalid = |source| ConfigError::Invalid { path: path.to_owned(), source: Box::new(source) };
    toml::from_str(&text).map(Some).map_err(invalid)
}

fn home() -> Option<PathBuf> {
    etcetera::home_dir().ok()
}

fn default_file(root: bool) -> PathBuf {
    let own =
        || Some(path_variable("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))?.join("capsule"));
    let directory = if root { None } else { own() };
    directory.unwrap_or_else(|| PathBuf::from("/etc/capsule")).join("capsuled.toml")
}

fn default_state_dir(root: bool) -> Result<PathBuf, ConfigError> {
    // Under systemd the unit's StateDirectory= says it, for whichever user the service runs as.
    if let Some(given) = path_variable("STATE_DIRECTORY") {
        return Ok(given);
    }
    if root {
        return Ok(PathBuf::from("/var/lib/capsule"));
    }
    let base = path_variable("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")));
    Ok(base.ok_or(ConfigError::NoHome)?.join("capsule"))
}

fn default_socket(root: bool, state_dir: &Path) -> PathBuf {
    let directory = if root {
        PathBuf::from("/run/capsule")
    } else {
        path_variable("XDG_RUNTIME_DIR")
            .map_or_else(|| state_dir.to_owned(), |runtime| runtime.join("capsule"))
    };
    directory.join("capsuled.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file() {
        let setting = pick(Some(1), Some(2), Some(3)).expect("there");
        assert_eq!((setting.value, setting.origin), (1, Origin::Flag));
        let setting = pick(None, Some(2), Some(3)).expect("there");
        assert_eq!((setting.value, setting.origin), (2, Origin::Environment));
        let setting = pick(None, None, Some(3)).expect("there");
        assert_eq!((setting.value, setting.origin), (3, Origin::File));
    }

    #[test]
    fn an_unknown_key_in_the_file_is_refused_with_its_line() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("capsuled.toml");
        fs::write(&path, "log = \"debug\"\nstatedir = \"/x\"\n").expect("written");
        let error = read_file(&path, true).expect_err("refused");
        assert!(crate::logging::Chain(&error).to_string().contains("statedir"));
    }
}
