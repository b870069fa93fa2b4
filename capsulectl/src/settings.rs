//! Where the client's own settings come from: a flag wins over the environment, which wins over the file.
//!
//! The only reader of the environment besides the terminal's own words (`NO_COLOR`, `TERM`, `LANG`). Every
//! value remembers its origin, because "why does it use that socket" is the first question when it fails.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    args::{Format, Global},
    error::{Error, Result},
};

const SYSTEM_SOCKET: &str = "/run/capsule/capsuled.sock";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A setting of the client, for the reference.
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

/// Every setting of the client, in the order of `config show`.
pub const DESCRIBED: &[Described] = &[
    Described {
        key: "connection.socket",
        flag: Some("--socket"),
        variable: "CAPSULE_SOCKET",
        default: "your own daemon's socket where it exists, else /run/capsule/capsuled.sock",
        effect: "the daemon's socket",
    },
    Described {
        key: "connection.timeout",
        flag: None,
        variable: "CAPSULE_TIMEOUT",
        default: "30",
        effect: "how long one answer may take, seconds (in the variable also `2m` and the like)",
    },
    Described {
        key: "defaults.output_format",
        flag: Some("--output"),
        variable: "CAPSULE_OUTPUT",
        default: "table",
        effect: "how data is printed: table, wide, json, yaml, csv, name or ndjson",
    },
    Described {
        key: "defaults.log_level",
        flag: None,
        variable: "RUST_LOG",
        default: "off",
        effect: "filter of the client's own log, such as debug; it goes to standard error",
    },
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag(&'static str),
    /// An environment variable.
    Env(&'static str),
    /// The client's file.
    File(PathBuf),
    /// Nothing said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub struct Sourced<T> {
    /// The value in force.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

/// The client's settings in force.
#[derive(Debug)]
pub struct Settings {
    /// The daemon's socket.
    pub socket: Sourced<PathBuf>,
    /// How long one answer of the daemon may take.
    pub timeout: Sourced<Duration>,
    /// How data is printed.
    pub format: Sourced<Format>,
    /// Filter of the client's own log.
    pub log: Sourced<Option<String>>,
    /// The file that was looked for, whether or not it exists.
    pub file: PathBuf,
    /// Keys of the file that nothing reads.
    pub unused: Vec<String>,
}

/// The client's file; unknown keys are reported, not refused, because older tools wrote more of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    connection: Connection,
    defaults: Defaults,
    #[serde(flatten)]
    rest: toml::Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Connection {
    socket: Option<PathBuf>,
    timeout: Option<u64>,
    #[serde(flatten)]
    rest: toml::Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Defaults {
    output_format: Option<Format>,
    log_level: Option<String>,
    #[serde(flatten)]
    rest: toml::Table,
}

/// The environment as a function, so that tests bring their own.
pub trait Environment {
    /// The variable's value; absent when unset, empty or not text.
    fn var(&self, name: &str) -> Option<String>;
}

/// The process's environment.
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }
}

impl Settings {
    /// Puts flags, environment and file together.
    ///
    /// # Errors
    /// A file that is there and cannot be read or parsed, or a variable that cannot be parsed.
    pub fn load(flags: &Global, env: &dyn Environment) -> Result<Self> {
        let path = file_path(env);
        let file = read_file(&path)?;
        let in_file = || Origin::File(path.clone());
        let unused = file.unused();
        Ok(Self {
            socket: socket(flags, env, file.connection.socket, in_file),
            timeout: timeout(env, file.connection.timeout, in_file)?,
            format: format(flags, env, file.defaults.output_format, in_file)?,
            log: log(env, file.defaults.log_level, in_file),
            unused,
            file: path,
        })
    }
}

impl File {
    fn unused(&self) -> Vec<String> {
        let in_section = |section: &str, table: &toml::Table| -> Vec<String> {
            table.keys().map(|key| format!("{section}{key}")).collect()
        };
        let mut keys = in_section("", &self.rest);
        keys.extend(in_section("connection.", &self.connection.rest));
        keys.extend(in_section("defaults.", &self.defaults.rest));
        keys
    }
}

fn file_path(env: &dyn Environment) -> PathBuf {
    if let Some(path) = env.var("CAPSULE_CLIENT_CONFIG") {
        return path.into();
    }
    let base = env.var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| {
        let home = env.var("HOME").map(PathBuf::from).or_else(|| etcetera::home_dir().ok());
        home.map(|home| home.join(".config"))
    });
    base.unwrap_or_else(|| PathBuf::from("/etc")).join("capsule").join("client.toml")
}

fn read_file(path: &Path) -> Result<File> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // A directory we may not look into holds no settings of ours.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(File::default());
        }
        Err(source) => return Err(Error::Local { action: format!("read {}", path.display()), source }),
    };
    toml::from_str(&text).map_err(|error| Error::Usage {
        message: format!("{} is not a client configuration: {}", path.display(), error.message()),
        hint: Some("`capsulectl config show --origin` lists the keys".to_owned()),
    })
}

fn socket(
    flags: &Global,
    env: &dyn Environment,
    file: Option<PathBuf>,
    in_file: impl Fn() -> Origin,
) -> Sourced<PathBuf> {
    if let Some(value) = flags.socket.clone() {
        return Sourced { value, origin: Origin::Flag("--socket") };
    }
    if let Some(value) = env.var("CAPSULE_SOCKET") {
        return Sourced { value: value.into(), origin: Origin::Env("CAPSULE_SOCKET") };
    }
    if let Some(value) = file {
        return Sourced { value, origin: in_file() };
    }
    Sourced { value: default_socket(env, &|path| path.exists()), origin: Origin::Default }
}

/// The same order as the daemon's own: a user's daemon in the runtime directory, then the system's; without
/// a runtime directory a user's daemon puts its socket beside its state.
fn default_socket(env: &dyn Environment, exists: &dyn Fn(&Path) -> bool) -> PathBuf {
    let own = match env.var("XDG_RUNTIME_DIR") {
        Some(dir) => Some(PathBuf::from(dir).join("capsule/capsuled.sock")),
        None => env
            .var("HOME")
            .map(PathBuf::from)
            .or_else(|| etcetera::home_dir().ok())
            .map(|home| home.join(".local/state/capsule/capsuled.sock")),
    };
    own.filter(|path| exists(path)).unwrap_or_else(|| SYSTEM_SOCKET.into())
}

/// Where the processes of this user's tunnels listen for who wants to list or close them.
pub fn tunnel_directory(env: &dyn Environment) -> PathBuf {
    match env.var("XDG_RUNTIME_DIR") {
        Some(dir) => PathBuf::from(dir).join("capsule/tunnels"),
        None => {
            let home = env.var("HOME").map(PathBuf::from).or_else(|| etcetera::home_dir().ok());
            home.unwrap_or_else(|| PathBuf::from("/")).join(".local/state/capsule/tunnels")
        }
    }
}

fn timeout(
    env: &dyn Environment,
    file: Option<u64>,
    in_file: impl Fn() -> Origin,
) -> Result<Sourced<Duration>> {
    if let Some(text) = env.var("CAPSULE_TIMEOUT") {
        let value = crate::args::duration(&text).map_err(|error| {
            Error::usage(format!("CAPSULE_TIMEOUT: {error}"), "use a time such as 30s or 2m")
        })?;
        return Ok(Sourced { value, origin: Origin::Env("CAPSULE_TIMEOUT") });
    }
    Ok(match file {
        Some(seconds) => Sourced { value: Duration::from_secs(seconds.max(1)), origin: in_file() },
        None => Sourced { value: DEFAULT_TIMEOUT, origin: Origin::Default },
    })
}

fn format(
    flags: &Global,
    env: &dyn Environment,
    file: Option<Format>,
    in_file: impl Fn() -> Origin,
) -> Result<Sourced<Format>> {
    if let Some(value) = flags.output {
        return Ok(Sourced { value, origin: Origin::Flag("--output") });
    }
    if let Some(text) = env.var("CAPSULE_OUTPUT") {
        let value = <Format as clap::ValueEnum>::from_str(&text, true).map_err(|_| {
            Error::usage(
                format!("CAPSULE_OUTPUT: `{text}` is not an output format"),
                "use one of table, wide, json, yaml, csv, name, ndjson",
            )
        })?;
        return Ok(Sourced { value, origin: Origin::Env("CAPSULE_OUTPUT") });
    }
    Ok(match file {
        Some(value) => Sourced { value, origin: in_file() },
        None => Sourced { value: Format::Table, origin: Origin::Default },
    })
}

fn log(env: &dyn Environment, file: Option<String>, in_file: impl Fn() -> Origin) -> Sourced<Option<String>> {
    if let Some(value) = env.var("RUST_LOG") {
        return Sourced { value: Some(value), origin: Origin::Env("RUST_LOG") };
    }
    match file {
        Some(value) => Sourced { value: Some(value), origin: in_file() },
        None => Sourced { value: None, origin: Origin::Default },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Fixed(HashMap<&'static str, String>);

    impl Environment for Fixed {
        fn var(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }
    }

    fn env(pairs: &[(&'static str, &str)]) -> Fixed {
        Fixed(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    #[test]
    fn the_socket_is_looked_for_where_the_daemon_puts_it() {
        let user = env(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/u")]);
        let bare = env(&[("HOME", "/home/u")]);
        let found = |env: &Fixed, there: bool| default_socket(env, &|_| there).display().to_string();
        assert_eq!(found(&user, true), "/run/user/7/capsule/capsuled.sock");
        assert_eq!(found(&user, false), SYSTEM_SOCKET);
        assert_eq!(found(&bare, true), "/home/u/.local/state/capsule/capsuled.sock");
        assert_eq!(found(&bare, false), SYSTEM_SOCKET);
    }

    #[test]
    fn flag_wins_over_environment_wins_over_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("client.toml");
        std::fs::write(
            &path,
            "[connection]\nsocket = \"/file\"\ntimeout = 5\nbase_url = \"http://x\"\n[defaults]\noutput_format = \"yaml\"\n",
        )
        .expect("written");
        let path = path.display().to_string();
        let only_file = env(&[("CAPSULE_CLIENT_CONFIG", &path)]);
        let both = env(&[("CAPSULE_CLIENT_CONFIG", &path), ("CAPSULE_SOCKET", "/env")]);
        let none = Global::default();
        let flag = Global { socket: Some("/flag".into()), ..Global::default() };
        let socket = |flags: &Global, env: &Fixed| Settings::load(flags, env).expect("loads").socket.value;
        assert_eq!(socket(&none, &only_file), Path::new("/file"));
        assert_eq!(socket(&none, &both), Path::new("/env"));
        assert_eq!(socket(&flag, &both), Path::new("/flag"));
        let loaded = Settings::load(&none, &only_file).expect("loads");
        assert_eq!(loaded.timeout.value, Duration::from_secs(5));
        assert_eq!(loaded.format.value, Format::Yaml);
        assert_eq!(loaded.unused, ["connection.base_url"]);
    }
}
