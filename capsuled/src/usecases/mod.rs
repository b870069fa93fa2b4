//! What the API and the tasks both call; HTTP-free.
//!
//! Every change is one transaction with its event, its audit row and, where the caller sent an idempotency
//! key, the reply ([`crate::store::Store::change`]). What is decided on a row is decided inside that
//! transaction, on the row as it is then. Tasks are rung after the commit.

pub mod accounts;
pub mod alerts;
pub mod audit;
pub mod channels;
pub mod costs;
pub mod deliveries;
pub mod deployments;
pub mod events;
pub mod expiry;
pub mod exposition;
pub mod health;
mod history;
pub mod metrics;
pub mod migration;
pub mod operations;
pub mod overview;
pub mod own_host;
pub mod power;
pub mod problems;
pub mod profiles;
pub mod reaching;
pub mod reconcile;
pub mod remediation;
pub mod remote;
pub mod settings;
pub mod telling;
pub mod templates;
mod text;
pub mod watching;
pub mod xnodes;

use std::fmt::Display;

use capsule_api::{ProviderName, Role};

use crate::{
    rules::selection::{self, Resolution},
    store::StoreError,
};

/// How many candidates an ambiguity names.
const SHOWN_CANDIDATES: usize = 5;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// There is no such thing.
    #[error("there is no {what} `{given}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// As it was given.
        given: String,
        /// A name that looks much like it.
        suggestion: Option<String>,
    },
    /// The given text fits more than one thing.
    #[error("`{given}` fits more than one {what}: {}", fits.join(", "))]
    Ambiguous {
        /// What was looked for.
        what: &'static str,
        /// As it was given.
        given: String,
        /// Some of the things it fits.
        fits: Vec<String>,
    },
    /// Another one has this name.
    #[error("the name `{name}` is taken by another {what}")]
    NameTaken {
        /// What should have had the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A value is well-formed and impossible.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which field, as a path such as `checks[2].timeout_ms`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A profile or a stack cannot be what was given.
    #[error("{reason}")]
    Unfit {
        /// What is wrong, with its place in a file.
        reason: String,
        /// The way out, when there is one.
        hint: Option<String>,
    },
    /// The change was made from another revision.
    #[error("the {what} is at revision {current} now")]
    Stale {
        /// What was to be changed.
        what: &'static str,
        /// Its revision.
        current: i64,
    },
    /// The thing is in a state that does not allow it.
    #[error("{0}")]
    WrongState(String),
    /// Something that would be lost from sight still belongs to it.
    #[error("{what} {name} cannot be removed: {by}")]
    InUse {
        /// What was to be removed.
        what: &'static str,
        /// Its name.
        name: String,
        /// What still belongs to it.
        by: String,
        /// How to see or end that.
        hint: String,
    },
    /// Nobody can be asked.
    #[error("there is no account{} to ask with", at(*.0))]
    NoAccount(Option<ProviderName>),
    /// The caller's role does not allow it.
    #[error("{action} needs the role {needed}")]
    RoleTooLow {
        /// What was to be done.
        action: &'static str,
        /// The least role that may.
        needed: Role,
    },
    /// Only the user the daemon runs as may do it.
    #[error("{action} is only for the user the daemon runs as")]
    OtherUser {
        /// What was to be done.
        action: &'static str,
    },
    /// Events after this point are no longer kept, or belong to another database.
    #[error("the events after `{since}` are no longer there")]
    EventsGone {
        /// Where the caller wanted to continue.
        since: String,
    },
    /// A provider refused or failed.
    #[error(transparent)]
    Provider(#[from] capsule_providers::ProviderError),
    /// A budget or a policy forbids it. `code` is stable: `over_budget`, `refused_by_policy`.
    #[error("{reason}")]
    Policy {
        /// The stable word for it.
        code: &'static str,
        /// Which limit, and by how much.
        reason: String,
    },
    /// The own host is measured without SSH, so there is no way to log in to it.
    #[error("`{name}` is the host the daemon runs on: there is no SSH to it")]
    OwnHost {
        /// Its name.
        name: String,
    },
    /// The inventory does not say how to log in.
    #[error("{0}")]
    NoWay(String),
    /// An xNode was not reached by SSH, or not what lies behind it. `code` is stable: `host_key_changed`,
    /// `unreached`.
    #[error("{reason}")]
    Unreached {
        /// The stable word for it.
        code: &'static str,
        /// Which one and why.
        reason: String,
    },
    /// The database.
    #[error("could not read or write the state")]
    Store(#[from] StoreError),
}

impl UseCaseError {
    /// There is no such thing.
    fn not_found(what: &'static str, given: impl ToString) -> Self {
        Self::NotFound { what, given: given.to_string().chars().take(64).collect(), suggestion: None }
    }

    /// A value that is well-formed and impossible.
    fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }
}

/// Where nobody is: ` at linode`, or nothing for anywhere.
fn at(provider: Option<ProviderName>) -> String {
    provider.map(|provider| format!(" at {provider}")).unwrap_or_default()
}

/// The one of `known` (id and name) that `given` means: an id, a name, or a unique end of an id.
fn find_named<'a, T: Copy + Display>(
    what: &'static str,
    given: &str,
    known: impl IntoIterator<Item = (T, &'a str)>,
) -> Result<T, UseCaseError> {
    let given: String = given.chars().take(64).collect();
    match selection::resolve(&given, known) {
        Resolution::One(id) => Ok(id),
        Resolution::None { suggestion } => Err(UseCaseError::NotFound { what, given, suggestion }),
        Resolution::Ambiguous(fits) => {
            let fits = fits.into_iter().take(SHOWN_CANDIDATES);
            let shown = |(id, name): (T, String)| if name.is_empty() { id.to_string() } else { name };
            Err(UseCaseError::Ambiguous { what, given, fits: fits.map(shown).collect() })
        }
    }
}

/// The revisions a change may be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there.
    Any,
    /// One of these.
    OneOf(Vec<i64>),
}

impl Expected {
    /// Refuses a change made from another revision than `current`.
    fn check(&self, what: &'static str, current: i64) -> Result<(), UseCaseError> {
        match self {
            Self::OneOf(revisions) if !revisions.contains(&current) => {
                Err(UseCaseError::Stale { what, current })
            }
            _ => Ok(()),
        }
    }
}

/// Which rows of a list to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// At most this many.
    pub limit: u32,
    /// Only those after the row with this key, as [`Slice::next`] gave it.
    pub after: Option<String>,
}

impl Listing {
    /// One row more than asked for tells whether there is a next page.
    fn limit_plus_one(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The key to continue after, parsed.
    fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, UseCaseError> {
        let parse = |key: &String| {
            key.parse().map_err(|_| UseCaseError::invalid("cursor", "it is not from this list"))
        };
        self.after.as_ref().map(parse).transpose()
    }

    /// The page out of `rows`, which hold one more than asked for when there is a next page.
    fn slice<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> Slice<T> {
        let limit = self.limit as usize;
        let more = limit < rows.len();
        rows.truncate(limit);
        let next = if more { rows.last().map(key) } else { None };
        Slice { items: rows, next }
    }
}

/// Some rows of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The key of the last one, where more follow.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_has_a_next_key_only_when_more_follow() {
        let listing = Listing { limit: 2, after: None };
        let all = listing.slice(vec![1, 2], ToString::to_string);
        assert_eq!((all.items, all.next), (vec![1, 2], None));
        let some = listing.slice(vec![1, 2, 3], ToString::to_string);
        assert_eq!((some.items, some.next.as_deref()), (vec![1, 2], Some("2")));
    }
}
