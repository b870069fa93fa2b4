//! Everything that can stop a command, and the exit code each of them means to a script.
//!
//! What the daemon refuses stays a [`Problem`]: its status and code decide the exit code here and nowhere
//! else. Every error is one lower-case line; the way out, when there is one, is a separate `hint:` line.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use capsule_api::Problem;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line cannot mean anything.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// The daemon said no; boxed because a problem is large and errors are returned everywhere.
    #[error("{}", problem_line(.0))]
    Refused(Box<Problem>),
    /// No daemon answered on the socket.
    #[error("capsuled is not reachable at {}", socket.display())]
    Unreachable {
        /// Where we knocked.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection was there and broke, so the request may or may not have been carried out.
    #[error("the connection to capsuled broke")]
    Broken(#[source] hyper::Error),
    /// A stream ended that should have gone on.
    #[error("capsuled ended the connection")]
    Ended,
    /// The daemon did not answer, or an operation did not end, in time.
    #[error("{what} took longer than {}", crate::output::text::span(*after))]
    TimedOut {
        /// What we waited for.
        what: String,
        /// How long we waited.
        after: Duration,
    },
    /// An answer that is not what the API promises, such as one from a much newer daemon.
    #[error("the daemon's answer was not understood")]
    Answer(#[source] serde_json::Error),
    /// An answer that cannot be read at all.
    #[error("the daemon's answer was not understood: {0}")]
    Malformed(&'static str),
    /// A command that comes with later work.
    #[error("`{command}` is not available yet in this version")]
    NotYet {
        /// The words of the command.
        command: String,
        /// What works today.
        hint: String,
    },
    /// A file or program of the caller's.
    #[error("could not {action}")]
    Local {
        /// What we tried.
        action: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The work was done and did not succeed.
    #[error("{message}")]
    Failed {
        /// What did not work.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The caller answered a question with no.
    #[error("nothing was changed")]
    Declined,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Nobody reads our output any more.
    #[error("could not write the output")]
    Output(#[source] io::Error),
}

/// Result of everything a command does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A usage error with the way out.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// The documented exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Refused(problem) => problem_exit_code(problem),
            Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 5,
            Self::Unreachable { .. } | Self::Broken(_) | Self::Ended => 6,
            Self::TimedOut { .. } => 7,
            Self::Interrupted => 130,
            // A reader that went away (`| head`) got what it wanted.
            Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Answer(_)
            | Self::Malformed(_)
            | Self::NotYet { .. }
            | Self::Local { .. }
            | Self::Failed { .. }
            | Self::Declined
            | Self::Output(_) => 1,
        }
    }

    /// The way out, when we know it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::Failed { hint, .. } => hint.clone(),
            Self::Refused(problem) => problem.hint.clone(),
            Self::Unreachable { source, .. } => Some(unreachable_hint(source.kind()).to_owned()),
            Self::Broken(_) => {
                Some("look before asking again: the request may have been carried out".to_owned())
            }
            Self::TimedOut { .. } => {
                Some("`capsulectl doctor` looks at the daemon and the connection".to_owned())
            }
            Self::NotYet { hint, .. } => Some(hint.clone()),
            Self::Answer(_) | Self::Malformed(_) => {
                Some("`capsulectl doctor` compares the versions of client and daemon".to_owned())
            }
            Self::Ended => Some("it stops when its host does; its log may say more".to_owned()),
            Self::Local { .. } | Self::Declined | Self::Interrupted | Self::Output(_) => None,
        }
    }

    /// Whether there is nothing to tell: the reader of our output went away.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The error and what caused it on one line.
    pub fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.ends_with(&text) {
                line = format!("{line}: {text}");
            }
            cause = error.source();
        }
        one_line(&line)
    }
}

/// How a command that did its work ended; a finding is an answer, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 10: `--exit-code` was given and there was something to find.
    Found,
    /// Exit code 1 after a report that already says why.
    Failed,
    /// The exit code of what was run for the caller.
    Status(u8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Found => 10,
            Outcome::Status(code) => code,
        })
    }
}

fn unreachable_hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => {
            "join the group `capsule` (`sudo usermod -aG capsule $USER`, then log in again)"
        }
        _ => "start it with `capsuled`, or `systemctl start capsuled` where it is installed as a service",
    }
}

/// Every exit code and what it means, for the reference.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done"),
    (1, "failed, for a reason that is none of the following"),
    (2, "the command line or a value in it is wrong"),
    (3, "what was named is not there, or no longer"),
    (4, "it is in another state or has changed since it was read, or the name is taken"),
    (5, "not permitted"),
    (6, "the daemon is not reachable, or the connection broke"),
    (7, "it took longer than `--timeout`"),
    (8, "the other end failed: a vendor, a proxy"),
    (9, "refused by a budget or a policy"),
    (10, "something was found, with `--exit-code`"),
    (11, "rolled back to what was there before"),
    (130, "interrupted"),
];

/// The exit code for what the daemon refused. Codes are looked at before the status because one status
/// covers several of ours.
pub fn problem_exit_code(problem: &Problem) -> u8 {
    let code = problem.code.as_str();
    if code.contains("budget") || code.contains("policy") {
        return 9;
    }
    if code == "rolled_back" {
        return 11;
    }
    match problem.status {
        400 | 413 | 422 => 2,
        401 | 403 => 5,
        404 | 410 => 3,
        408 => 7,
        409 | 412 | 428 => 4,
        502 | 504 => 8,
        _ => 1,
    }
}

fn problem_line(problem: &Problem) -> String {
    let text = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    lower_first(text.trim_end_matches('.'))
}

/// Lowers the first letter of a sentence, and leaves names such as `SSH` alone.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().collect::<String>() + chars.as_str()
        }
        _ => text.to_owned(),
    }
}

/// Text from elsewhere on one line and without control characters, which could repaint a terminal.
pub fn one_line(text: &str) -> String {
    let spaced = text.trim_end().chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    spaced.filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Problem {
        Problem {
            kind: "about:blank".into(),
            title: "Title".into(),
            status,
            detail: "There is no xNode `web`.".into(),
            code: code.into(),
            hint: None,
            request_id: "r".into(),
        }
    }

    #[test]
    fn problems_map_to_the_documented_exit_codes() {
        for (status, code, exit) in [
            (400, "bad_request", 2),
            (422, "invalid", 2),
            (403, "forbidden", 5),
            (404, "not_found", 3),
            (409, "name_taken", 4),
            (412, "changed_meanwhile", 4),
            (428, "precondition_required", 4),
            (409, "over_budget", 9),
            (403, "refused_by_policy", 9),
            (502, "provider_failed", 8),
            (500, "rolled_back", 11),
            (503, "busy", 1),
        ] {
            assert_eq!(problem_exit_code(&problem(status, code)), exit, "{status} {code}");
            assert!(EXIT_CODES.iter().any(|(documented, _)| *documented == exit), "{exit}");
        }
    }

    #[test]
    fn an_error_is_one_lower_case_line_without_a_full_stop() {
        let error = Error::Refused(Box::new(problem(404, "not_found")));
        assert_eq!(error.line(), "there is no xNode `web`");
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a b[31m");
        assert_eq!(lower_first("SSH is off"), "SSH is off");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let error = Error::Output(io::ErrorKind::BrokenPipe.into());
        assert!(error.is_silent());
        assert_eq!(error.exit_code(), 0);
    }
}
