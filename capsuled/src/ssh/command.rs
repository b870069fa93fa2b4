//! What to run on a node. An SSH server hands one string to the user's login shell, so arguments are quoted
//! here, in the only place that builds such a string; nothing is ever interpolated into shell text.

use bytes::Bytes;

use super::SshError;

/// A program and its arguments, with optional bytes on its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    prefix: &'static str,
    words: Vec<String>,
    stdin: Option<Bytes>,
}

impl Command {
    /// Runs `program`, looked up in the node's PATH unless it is an absolute path.
    pub fn new(program: impl Into<String>) -> Self {
        Self { prefix: "", words: vec![program.into()], stdin: None }
    }

    /// Adds an argument; any text without a NUL byte arrives exactly as it is.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.words.push(argument.into());
        self
    }

    /// Adds several arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.words.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sends `bytes` to the program's standard input and then ends it; without this it is empty.
    pub fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// The line for the login shell.
    ///
    /// # Errors
    /// [`SshError::BadCommand`]: an argument holds a NUL byte, which no program can receive.
    pub(super) fn line(&self) -> Result<String, SshError> {
        if self.words.iter().any(|word| word.contains('\0')) {
            return Err(SshError::BadCommand);
        }
        let quoted: Vec<_> = self.words.iter().map(|word| quote(word)).collect();
        Ok(format!("{}{}", self.prefix, quoted.join(" ")))
    }

    pub(super) fn input(&self) -> Option<Bytes> {
        self.stdin.clone()
    }
}

/// A fixed shell script, sent to `sh -s` on standard input. The login shell sees only `exec sh -s`, which
/// means the same to every shell, also to those whose quoting is not POSIX (csh, fish). Parameters are
/// arguments (`$1`, `$2`), never text inside the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    text: &'static str,
    arguments: Vec<String>,
}

impl Script {
    /// A script in the language of POSIX `sh`. It cannot read standard input: it stands there itself.
    pub const fn new(text: &'static str) -> Self {
        Self { text, arguments: Vec::new() }
    }

    /// Adds a positional parameter.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

impl From<Script> for Command {
    fn from(script: Script) -> Self {
        let prefix = if script.arguments.is_empty() { "exec sh -s" } else { "exec sh -s -- " };
        Self { prefix, words: script.arguments, stdin: Some(Bytes::from_static(script.text.as_bytes())) }
    }
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status; `None` when a signal ended it or the node gave none.
    pub status: Option<u32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether the command ended with status 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

/// `word` as one word of a shell. Everything is quoted unless it is plainly harmless: single quotes keep
/// every other character as it is, and a single quote itself is written as `'\''`.
fn quote(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a real shell makes of the line of `command`: its arguments, NUL separated.
    fn heard_by_sh(arguments: &[String]) -> Vec<u8> {
        let command = Command::new("printf").arg("%s\\0").args(arguments);
        let line = command.line().expect("no NUL in it");
        std::process::Command::new("sh").arg("-c").arg(line).output().expect("sh runs").stdout
    }

    #[test]
    fn plain_words_stay_readable() {
        let command = Command::new("systemctl").args(["show", "nginx.service"]);
        assert_eq!(command.line().expect("valid"), "systemctl show nginx.service");
    }

    #[test]
    fn a_nul_byte_is_refused_not_dropped() {
        assert!(matches!(Command::new("ls").arg("a\0b").line(), Err(SshError::BadCommand)));
    }

    #[test]
    fn script_parameters_are_arguments() {
        let line = Command::from(Script::new("echo \"$1\"\n").arg("$(reboot)")).line().expect("valid");
        assert_eq!(line, "exec sh -s -- '$(reboot)'");
        assert_eq!(Command::from(Script::new("")).line().expect("valid"), "exec sh -s");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_argument_arrives_as_it_was_given(arguments in prop::collection::vec("[^\0]{0,40}", 1..4)) {
            let expected: Vec<u8> = arguments.iter().flat_map(|a| [a.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(heard_by_sh(&arguments), expected);
        }

        #[test]
        fn shell_syntax_is_only_text(argument in "[$`'\"\\\\;&|<>(){}*?~!#= \n\t]{1,30}") {
            let expected = [argument.as_bytes(), b"\0"].concat();
            prop_assert_eq!(heard_by_sh(&[argument]), expected);
        }
    }
}
