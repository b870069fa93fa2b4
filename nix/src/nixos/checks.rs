//! What would evaluate and still be of no use, and what would not evaluate for a reason that shows without nixpkgs.
//!
//! The cases come from trying them against nixpkgs: some it accepts (nobody can log in, a time zone that does not
//! exist), some it refuses with a text that names neither stack nor setting. Each check reads the finished map of
//! options, so it does not matter who set what.

use std::net::IpAddr;

use super::{
    host::{Cidr, DomainName, Host, Locale, TimeZone, nearest_time_zone},
    machine::{Machine, Platform, path},
    system::user,
};
use crate::{
    names::nearest,
    options::{Definition, OptionPath, Options, Origin},
    stacks::Library,
    value::Value,
};

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
    let look = Look { host, options };
    let mut found = Vec::new();
    found.extend(look.way_in());
    found.extend(look.ssh());
    found.extend(releases(host));
    if !machine.has_system() {
        let (platform, system) = (host.platform.as_str(), host.system.as_str());
        found.push(Refusal::NoSuchMachine { platform, system });
    }
    found.extend(network(host));
    found.extend(given(library, host));
    found.extend(look.values());
    found.extend(look.together());
    found.extend(look.accounts());
    found.extend(look.redis_ports());
    found.extend(look.secrets());
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

/// A host and its finished options.
struct Look<'a> {
    host: &'a Host,
    options: &'a Options,
}

impl Look<'_> {
    fn get(&self, option: &str) -> Option<&Definition> {
        self.options.get(&path(option))
    }

    fn is(&self, option: &str, value: &Value) -> bool {
        self.get(option).is_some_and(|there| there.value() == value)
    }

    fn on(&self, option: &str) -> bool {
        self.is(option, &Value::Bool(true))
    }

    /// Who asked for the first of these options that is set.
    fn by(&self, options: &[&str]) -> Vec<Origin> {
        let mut by: Vec<Origin> = Vec::new();
        for origin in options.iter().filter_map(|option| self.get(option)).flat_map(Definition::origins) {
            if !by.contains(origin) {
                by.push(origin.clone());
            }
        }
        by
    }

    fn below<'b>(&'b self, above: &str) -> impl Iterator<Item = (&'b OptionPath, &'b Definition)> {
        let above = path(above);
        self.options.iter().filter(move |(path, _)| above.holds(path))
    }

    fn way_in(&self) -> Option<Refusal> {
        let host = self.host;
        if !host.user_keys.is_empty() || !host.root_keys.is_empty() {
            return None;
        }
        if host.password_file.is_none() {
            return Some(Refusal::NoWayIn { host: host.name.to_string(), user: host.user.to_string() });
        }
        let console = matches!(host.platform, Platform::VirtualMachine | Platform::BareMetal);
        (!console).then(|| Refusal::NoKey { host: host.name.to_string() })
    }

    fn ssh(&self) -> Vec<Refusal> {
        let host = self.host;
        let shuts = |option: &str, there: &Definition| Refusal::ShutsSsh {
            option: option.to_owned(),
            value: there.value().to_string(),
            by: there.origins().into_iter().cloned().collect(),
        };
        let mut found = Vec::new();
        let mut check = |option: &str, bad: &dyn Fn(&Value) -> bool| {
            if let Some(there) = self.get(option).filter(|there| bad(there.value())) {
                found.push(shuts(option, there));
            }
        };
        let port = Value::Int(u16::from(host.ssh_port).into());
        let person = Value::from(&host.user);
        let names = |value: &Value, name: &Value| value.as_list().is_some_and(|list| list.contains(name));
        let root_only = host.user_keys.is_empty();
        check("services.openssh.enable", &|value| *value != Value::Bool(true));
        check("services.openssh.openFirewall", &|value| *value == Value::Bool(false));
        check("services.openssh.ports", &|value| !names(value, &port));
        check("services.openssh.startWhenNeeded", &|_| false);
        check("services.openssh.settings.PubkeyAuthentication", &|value| *value == Value::Bool(false));
        check("services.openssh.settings.PermitRootLogin", &|value| root_only && *value == Value::from("no"));
        check("services.openssh.settings.AllowUsers", &|value| {
            !names(value, &person) && !(root_only && names(value, &"root".into()))
        });
        check("services.openssh.settings.DenyUsers", &|value| names(value, &person));
        found
    }

    fn values(&self) -> Vec<Refusal> {
        type Wrong = fn(&Value) -> bool;
        let checks: [(&str, &str, Wrong); 6] = [
            ("services.openssh.settings.PermitRootLogin", "sshd knows no such word", |value| {
                let words = ["yes", "no", "prohibit-password", "without-password", "forced-commands-only"];
                !value.as_str().is_some_and(|word| words.contains(&word))
            }),
            ("time.timeZone", "there is no such time zone", |value| {
                !value.as_str().is_some_and(|zone| zone.parse::<TimeZone>().is_ok())
            }),
            ("i18n.defaultLocale", "there is no such locale", |value| {
                !value.as_str().is_some_and(|locale| locale.parse::<Locale>().is_ok())
            }),
            ("networking.firewall.allowedTCPPorts", "a port is 1 to 65535", not_ports),
            ("networking.firewall.allowedUDPPorts", "a port is 1 to 65535", not_ports),
            ("services.openssh.ports", "a port is 1 to 65535", not_ports),
        ];
        let mut found = Vec::new();
        for (option, why, wrong) in checks {
            let Some(there) = self.get(option).filter(|there| wrong(there.value())) else { continue };
            let by = there.origins().into_iter().cloned().collect();
            found.push(Refusal::Value {
                option: option.to_owned(),
                value: there.value().to_string(),
                why,
                by,
            });
        }
        if let Some(Refusal::Value { value, .. }) = found
            .iter()
            .find(|refusal| matches!(refusal, Refusal::Value { option, .. } if option == "time.timeZone"))
            && let Some(near) = nearest_time_zone(value.trim_matches('"'))
        {
            let (setting, nearest) = ("time.timeZone".to_owned(), Some(near.to_owned()));
            let given = value.clone();
            found.push(Refusal::Setting { setting, expected: "a time zone", given, nearest });
        }
        found
    }

    fn together(&self) -> Vec<Refusal> {
        let nvidia = self.get("services.xserver.videoDrivers").is_some_and(|drivers| {
            drivers.value().as_list().is_some_and(|list| list.contains(&"nvidia".into()))
        });
        let acme = self.below("services.nginx.virtualHosts").any(|(path, there)| {
            path.names().last() == Some("enableACME") && *there.value() == Value::Bool(true)
        });
        let terms =
            self.on("security.acme.acceptTerms") && self.get("security.acme.defaults.email").is_some();
        let zsh = self.shells().any(|shell| shell == "zsh");
        let fish = self.shells().any(|shell| shell == "fish");
        let keys = !self.host.user_keys.is_empty() || !self.host.root_keys.is_empty();
        let immutable = self.is("users.mutableUsers", &Value::Bool(false));
        let cases: [(bool, &'static str, &[&str]); 12] = [
            (
                self.on("boot.loader.grub.enable") && self.on("boot.loader.systemd-boot.enable"),
                "GRUB and systemd-boot would both install themselves",
                &["boot.loader.grub.enable", "boot.loader.systemd-boot.enable"],
            ),
            (
                nvidia && self.get("hardware.nvidia.open").is_none(),
                "the NVIDIA driver has to be told whether to use the open module: set hardware.nvidia.open",
                &["services.xserver.videoDrivers"],
            ),
            (
                nvidia && self.on("hardware.nvidia.datacenter.enable"),
                "the NVIDIA data centre driver and the ordinary one exclude each other",
                &["services.xserver.videoDrivers", "hardware.nvidia.datacenter.enable"],
            ),
            (
                acme && !terms,
                "certificates need security.acme.acceptTerms and security.acme.defaults.email",
                &["services.nginx.enable"],
            ),
            (
                self.on("virtualisation.podman.dockerCompat") && self.on("virtualisation.docker.enable"),
                "podman would stand in for docker, and docker is there",
                &["virtualisation.podman.dockerCompat", "virtualisation.docker.enable"],
            ),
            (
                self.on("networking.nftables.enable") && self.on("virtualisation.docker.enable"),
                "docker writes iptables rules, which nftables does not keep",
                &["networking.nftables.enable", "virtualisation.docker.enable"],
            ),
            (
                self.on("networking.networkmanager.enable") && self.on("networking.useNetworkd"),
                "NetworkManager and systemd-networkd would both configure the network",
                &["networking.networkmanager.enable", "networking.useNetworkd"],
            ),
            (
                self.on("services.grafana.enable")
                    && self.get("services.grafana.settings.security.secret_key").is_none(),
                "Grafana needs services.grafana.settings.security.secret_key, as a $__file{…}",
                &["services.grafana.enable"],
            ),
            (
                zsh && !self.on("programs.zsh.enable"),
                "zsh as a login shell needs programs.zsh.enable",
                &["users.defaultUserShell"],
            ),
            (
                fish && !self.on("programs.fish.enable"),
                "fish as a login shell needs programs.fish.enable",
                &["users.defaultUserShell"],
            ),
            (
                immutable && !keys && self.host.password_file.is_none(),
                "without changeable accounts somebody needs a key or a password",
                &["users.mutableUsers"],
            ),
            (
                self.is("networking.useDHCP", &Value::Bool(false)) && self.host.network.is_none(),
                "without DHCP the host needs a `network` of its own",
                &["networking.useDHCP"],
            ),
        ];
        let met = cases.into_iter().filter(|(met, ..)| *met);
        met.map(|(_, why, options)| Refusal::Together { why, by: self.by(options) }).collect()
    }

    fn shells(&self) -> impl Iterator<Item = String> {
        let options = self.options.iter().filter(|(path, _)| {
            let names: Vec<&str> = path.names().collect();
            matches!(names[..], ["users", "defaultUserShell"] | ["users", "users", _, "shell"])
        });
        options.filter_map(|(_, there)| match there.value() {
            Value::Package(package) => Some(package.to_string()),
            _ => None,
        })
    }

    fn accounts(&self) -> Vec<Refusal> {
        let mut names: Vec<&str> =
            self.below("users.users").filter_map(|(path, _)| path.names().nth(2)).collect();
        names.dedup();
        let mut found = Vec::new();
        for name in names {
            let account =
                path("users.users").below(crate::value::Text::try_from(name.to_owned()).expect("it is one"));
            let on = |kind: &'static str| {
                self.options
                    .get(&account.below(kind))
                    .is_some_and(|there| *there.value() == Value::Bool(true))
            };
            let why = match (name, on("isNormalUser"), on("isSystemUser")) {
                ("root", true, _) => "root is no person",
                (_, true, true) => "an account is a person's or the system's, not both",
                (name, false, false) if name != "root" => "an account needs isNormalUser or isSystemUser",
                _ => continue,
            };
            let by = self
                .options
                .iter()
                .filter(|(path, _)| account.holds(path))
                .flat_map(|(_, there)| there.origins());
            let by: Vec<Origin> = by.cloned().collect();
            found.push(Refusal::Together { why, by });
        }
        debug_assert!(self.options.get(&user(self.host).below("isNormalUser")).is_some());
        found
    }

    fn redis_ports(&self) -> Option<Refusal> {
        let servers: Vec<(&OptionPath, &Definition)> = self
            .below("services.redis.servers")
            .filter(|(path, _)| path.names().last() == Some("port"))
            .collect();
        for (index, (_, one)) in servers.iter().enumerate() {
            if let Some((_, other)) =
                servers[index + 1..].iter().find(|(_, other)| other.value() == one.value())
            {
                let by = one.origins().into_iter().chain(other.origins()).cloned().collect();
                return Some(Refusal::Together { why: "two Redis servers would answer on one port", by });
            }
        }
        None
    }

    /// An option that is named like a secret and holds a plain text. A reference to a file is none.
    fn secrets(&self) -> Vec<Refusal> {
        const SECRETS: &[&str] = &[
            "admin_password",
            "apiKey",
            "hashedPassword",
            "initialHashedPassword",
            "initialPassword",
            "password",
            "privateKey",
            "requirePass",
            "secret",
            "secretKey",
            "secret_key",
            "token",
        ];
        let named = |path: &OptionPath| path.names().last().is_some_and(|last| SECRETS.contains(&last));
        let plain =
            |value: &Value| value.as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("$__"));
        let found = self.options.iter().filter(|(path, there)| named(path) && plain(there.value()));
        let refusal = |(path, there): (&OptionPath, &Definition)| Refusal::Secret {
            option: path.to_string(),
            by: there.origins().into_iter().cloned().collect(),
        };
        found.map(refusal).collect()
    }
}

fn not_ports(value: &Value) -> bool {
    let port = |value: &Value| matches!(value, Value::Int(1..=65_535));
    !value.as_list().is_some_and(|list| list.iter().all(port))
}
