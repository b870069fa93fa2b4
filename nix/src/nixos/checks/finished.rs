//! Checks of the finished map of options: it does not matter who set what, and every refusal says who did.

use super::{
    super::{
        host::{Host, Locale, TimeZone},
        machine::{Platform, path},
    },
    Refusal,
};
use crate::{
    options::{Definition, OptionPath, Options, Origin},
    value::Value,
};

/// A host and its finished options.
pub(super) struct Look<'a> {
    pub(super) host: &'a Host,
    pub(super) options: &'a Options,
}

impl Look<'_> {
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        let mut found = Vec::new();
        found.extend(self.way_in());
        found.extend(self.ssh());
        found.extend(self.values());
        found.extend(self.together());
        found.extend(self.certificates());
        found.extend(self.shells());
        found.extend(self.accounts());
        found.extend(self.redis_ports());
        found.extend(self.secrets());
        found
    }

    fn get(&self, option: &str) -> Option<&Definition> {
        self.options.get(&path(option))
    }

    fn is(&self, option: &str, value: &Value) -> bool {
        self.get(option).is_some_and(|there| there.value() == value)
    }

    fn on(&self, option: &str) -> bool {
        self.is(option, &Value::Bool(true))
    }

    /// Who asked for these options, as far as they are set.
    fn by(&self, options: &[&str]) -> Vec<Origin> {
        everybody(options.iter().filter_map(|option| self.get(option)))
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
        check("services.openssh.settings.PubkeyAuthentication", &|value| *value == Value::Bool(false));
        check("services.openssh.settings.PermitRootLogin", &|value| root_only && *value == Value::from("no"));
        check("services.openssh.settings.AllowUsers", &|value| {
            !(names(value, &person) || root_only && names(value, &"root".into()))
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
                value.as_str().is_none_or(|zone| zone.parse::<TimeZone>().is_err())
            }),
            ("i18n.defaultLocale", "there is no such locale", |value| {
                value.as_str().is_none_or(|locale| locale.parse::<Locale>().is_err())
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
        found
    }

    fn together(&self) -> Vec<Refusal> {
        let nvidia = self.get("services.xserver.videoDrivers").is_some_and(|drivers| {
            drivers.value().as_list().is_some_and(|list| list.contains(&"nvidia".into()))
        });
        let cases: [(bool, &'static str, &[&str]); 8] = [
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
                self.is("networking.useDHCP", &Value::Bool(false)) && self.host.network.is_none(),
                "without DHCP the host needs a `network` of its own",
                &["networking.useDHCP"],
            ),
        ];
        let met = cases.into_iter().filter(|(met, ..)| *met);
        met.map(|(_, why, options)| Refusal::Together { why, by: self.by(options) }).collect()
    }

    fn certificates(&self) -> Option<Refusal> {
        let wanted = self.below("services.nginx.virtualHosts").filter(|(path, there)| {
            path.names().last() == Some("enableACME") && *there.value() == Value::Bool(true)
        });
        let by = everybody(wanted.map(|(_, there)| there));
        let complete =
            self.on("security.acme.acceptTerms") && self.get("security.acme.defaults.email").is_some();
        let why = "certificates need security.acme.acceptTerms and security.acme.defaults.email";
        (!by.is_empty() && !complete).then_some(Refusal::Together { why, by })
    }

    fn shells(&self) -> Vec<Refusal> {
        let cases = [
            ("zsh", "programs.zsh.enable", "zsh as a login shell needs programs.zsh.enable"),
            ("fish", "programs.fish.enable", "fish as a login shell needs programs.fish.enable"),
        ];
        let missing = cases.into_iter().filter(|(_, enable, _)| !self.on(enable));
        let refusal = |(shell, _, why): (&str, &str, &'static str)| {
            let by = everybody(
                self.below("users")
                    .filter(|(path, there)| {
                        let names: Vec<&str> = path.names().collect();
                        let is_shell = matches!(
                            names[..],
                            ["users", "defaultUserShell"] | ["users", "users", _, "shell"]
                        );
                        is_shell
                            && matches!(there.value(), Value::Package(package) if package.as_str() == shell)
                    })
                    .map(|(_, there)| there),
            );
            (!by.is_empty()).then_some(Refusal::Together { why, by })
        };
        missing.filter_map(refusal).collect()
    }

    fn accounts(&self) -> Vec<Refusal> {
        let accounts = path("users.users");
        let mut names: Vec<&str> =
            self.below("users.users").filter_map(|(path, _)| path.names().nth(2)).collect();
        names.dedup();
        let mut found = Vec::new();
        for name in names {
            let of_account: Vec<(&OptionPath, &Definition)> = self
                .options
                .iter()
                .filter(|(path, _)| accounts.holds(path) && path.names().nth(2) == Some(name))
                .collect();
            let on = |kind: &str| {
                let set = |(path, there): &(&OptionPath, &Definition)| {
                    path.names().nth(3) == Some(kind) && *there.value() == Value::Bool(true)
                };
                of_account.iter().any(set)
            };
            let why = match (name, on("isNormalUser"), on("isSystemUser")) {
                ("root", true, _) => "root is no person",
                (_, true, true) => "an account is a person's or the system's, not both",
                ("root", ..) | (_, true, _) | (_, _, true) => continue,
                (_, false, false) => "an account needs isNormalUser or isSystemUser",
            };
            found.push(Refusal::Together { why, by: everybody(of_account.iter().map(|(_, there)| *there)) });
        }
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

/// Who asked for these, each once.
fn everybody<'a>(definitions: impl Iterator<Item = &'a Definition>) -> Vec<Origin> {
    let mut all: Vec<Origin> = Vec::new();
    for origin in definitions.flat_map(Definition::origins) {
        if !all.contains(origin) {
            all.push(origin.clone());
        }
    }
    all
}

fn not_ports(value: &Value) -> bool {
    let port = |value: &Value| matches!(value, Value::Int(1..=65_535));
    !value.as_list().is_some_and(|list| list.iter().all(port))
}
