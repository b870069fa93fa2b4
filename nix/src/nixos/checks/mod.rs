//! What would evaluate and still be of no use, and what would not evaluate for a reason that shows without nixpkgs.
//!
//! The cases come from trying them against nixpkgs: some it accepts (nobody can log in, a time zone that does not
//! exist), some it refuses with a text that names neither stack nor setting.

mod finished;

use std::net::IpAddr;

use super::{
    host::{Cidr, DomainName, Host},
    machine::Machine,
};
use crate::{
    names::nearest,
    options::{Options, Origin},
    stacks::Library,
};
use finished::Look;

/// Why a configuration was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither key nor password: nobody could log in.
    #[error("nobody could log in to `{host}`: neither `{user}` nor root has a key or a password")]
    NoWayIn {
        /// The host.
        host: String,
        /// Its user.
        user: String,
    },
    /// A password helps at a console only, and a rented machine has none at hand.
    #[error("nobody could reach `{host}` over SSH: passwords are not accepted there, and there is no key")]
    NoKey {
        /// The host.
        host: String,
    },
    /// An option that shuts SSH.
    #[error("{} would shut SSH: `{option}` is {value}", who(by))]
    ShutsSsh {
        /// The option.
        option: String,
        /// What it is set to.
        value: String,
        /// Who asked for it.
        by: Vec<Origin>,
    },
    /// A release that gets no repairs, or that the machine is ahead of.
    #[error("{0}")]
    Release(String),
    /// The platform has no machine with that processor.
    #[error("{platform} has no machines with {system}")]
    NoSuchMachine {
        /// The platform.
        platform: &'static str,
        /// The processor.
        system: &'static str,
    },
    /// A setting that is not what it is for.
    #[error("`{setting}` is not {expected}: {given}")]
    Setting {
        /// The setting.
        setting: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        given: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A value that NixOS refuses, or accepts to fail later.
    #[error("{} sets `{option}` to {value}: {why}", who(by))]
    Value {
        /// The option.
        option: String,
        /// What it is set to.
        value: String,
        /// Why that cannot be.
        why: &'static str,
        /// Who asked for it.
        by: Vec<Origin>,
    },
    /// Two options that do not go together.
    #[error("{}: {why}", who(by))]
    Together {
        /// Why not.
        why: &'static str,
        /// Who asked for them.
        by: Vec<Origin>,
    },
    /// A secret as plain text, which everybody on the machine could read.
    #[error("{} sets `{option}` to a text that everybody on the machine could read", who(by))]
    Secret {
        /// The option.
        option: String,
        /// Who asked for it.
        by: Vec<Origin>,
    },
}

impl Refusal {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoWayIn { .. } | Self::NoKey { .. } => Some("give a public SSH key".to_owned()),
            Self::Secret { .. } => {
                Some("name a file on the machine instead, which only root can read".to_owned())
            }
            Self::Setting { nearest, .. } => {
                nearest.as_ref().map(|nearest| format!("did you mean `{nearest}`?"))
            }
            Self::ShutsSsh { .. }
            | Self::Release(_)
            | Self::NoSuchMachine { .. }
            | Self::Value { .. }
            | Self::Together { .. } => None,
        }
    }
}

fn who(by: &[Origin]) -> String {
    by.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Everything that speaks against a configuration.
pub(super) fn refusals(library: &Library, host: &Host, machine: &Machine, options: &Options) -> Vec<Refusal> {
    let mut found = Look { host, options }.refusals();
    found.extend(releases(host));
    if !machine.has_system() {
        let (platform, system) = (host.platform.as_str(), host.system.as_str());
        found.push(Refusal::NoSuchMachine { platform, system });
    }
    found.extend(network(host));
    found.extend(given(library, host));
    found
}

fn releases(host: &Host) -> Option<Refusal> {
    let (release, first) = (host.release.as_str(), host.state_version.as_str());
    if release < super::Release::OLDEST {
        let oldest = super::Release::OLDEST;
        return Some(Refusal::Release(format!(
            "release {release} gets no repairs any more: {oldest} is the oldest that does"
        )));
    }
    // Nix takes a state version from the future without a word.
    (release < first).then(|| {
        Refusal::Release(format!("the machine was installed with {first}, which is newer than {release}"))
    })
}

fn network(host: &Host) -> Option<Refusal> {
    let network = host.network.as_ref()?;
    let empty = [("cards", network.cards.is_empty()), ("addresses", network.addresses.is_empty())];
    let (setting, _) = empty.into_iter().find(|(_, empty)| *empty)?;
    let (setting, given) = (format!("network.{setting}"), "an empty list".to_owned());
    Some(Refusal::Setting { setting, expected: "a list with something in it", given, nearest: None })
}

fn given(library: &Library, host: &Host) -> Vec<Refusal> {
    let known: Vec<&str> = library
        .stacks()
        .iter()
        .flat_map(|stack| &stack.given)
        .flat_map(|given| given.needs.iter().map(|name| name.as_str()))
        .collect();
    let mut found = Vec::new();
    for (name, value) in &host.given {
        let text = value.as_str();
        let expected = match name.as_str() {
            name if !known.contains(&name) => Some("a setting any stack needs"),
            "domain" if text.parse::<DomainName>().is_err() => Some("a domain"),
            "email" | "git_email" if !is_email(text) => Some("an email address"),
            "daemon_address" if text.parse::<IpAddr>().is_err() && text.parse::<Cidr>().is_err() => {
                Some("an address")
            }
            _ => None,
        };
        if let Some(expected) = expected {
            let near = nearest(name.as_str(), known.iter().copied().filter(|known| *known != name.as_str()));
            found.push(Refusal::Setting {
                setting: format!("given.{name}"),
                expected,
                given: crate::names::shown(text),
                nearest: near.filter(|_| !known.contains(&name.as_str())).map(str::to_owned),
            });
        }
    }
    found
}

fn is_email(text: &str) -> bool {
    let unfit = |c: char| c.is_whitespace() || c.is_control() || "<>\"'".contains(c);
    text.split_once('@').is_some_and(|(who, domain)| {
        !who.is_empty() && !who.contains(unfit) && domain.parse::<DomainName>().is_ok()
    })
}
