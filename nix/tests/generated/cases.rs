//! The machines that golden files, properties and the check against nixpkgs look at: every stack alone, every
//! built-in profile, every sprout, all stacks together, and every platform with each processor it has.

use capsule_nix::{
    File,
    expression::expression,
    names::StackId,
    nixos::{Host, Platform, System, generate},
    profiles::{Contents, Profile, select},
    stacks::Library,
    value::Text,
};

pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv ada@example";

pub struct Case {
    pub name: String,
    pub profile: Profile,
    pub host: Host,
}

impl Case {
    /// All files of the machine, and the package `setup` installs, below `setup/`.
    pub fn files(&self, library: &Library) -> Vec<(String, String)> {
        let set =
            generate(library, &self.profile, &self.host).unwrap_or_else(|why| panic!("{}: {why}", self.name));
        let selection = select(library, &self.profile).expect("generated a moment ago");
        let package = expression(&selection, &self.host.release);
        let own = |file: File| (file.name.to_owned(), file.text);
        let below = |file: File| (format!("setup/{}", file.name), file.text);
        set.files.into_iter().map(own).chain([below(package.default), below(package.flake)]).collect()
    }
}

pub fn host() -> Host {
    let mut host = Host::new("web-1".parse().expect("a name"), "ada".parse().expect("a name"));
    host.user_keys = vec![KEY.parse().expect("a key")];
    host.root_keys = vec![KEY.replace("ada@example", "capsule").parse().expect("a key")];
    host.time_zone = "Europe/Berlin".parse().expect("a zone");
    host
}

pub fn given(host: &mut Host) {
    let values = [
        ("domain", "www.example.org"),
        ("email", "ada@example.org"),
        ("git_name", "Ada Lovelace"),
        ("git_email", "ada@example.org"),
        ("daemon_address", "192.0.2.1"),
    ];
    host.given = values.map(|(name, value)| (Text::from(name), Text::from(value))).into();
}

pub fn profile(name: &str, stacks: Vec<StackId>) -> Profile {
    Profile { name: name.parse().expect("a name"), contents: Contents { stacks, ..Contents::default() } }
}

pub fn stacks(library: &Library) -> Vec<Case> {
    let one = |stack: &capsule_nix::stacks::Stack| Case {
        name: format!("stacks/{}", stack.id),
        profile: profile(stack.id.as_str(), vec![stack.id.clone()]),
        host: host(),
    };
    library.choices().map(one).collect()
}

pub fn all_stacks(library: &Library) -> Case {
    let all = library.choices().map(|stack| stack.id.clone()).collect();
    let mut host = host();
    given(&mut host);
    Case { name: "all-stacks".to_owned(), profile: profile("everything", all), host }
}

pub fn profiles(library: &Library) -> Vec<Case> {
    let one = |profile: &Profile| Case {
        name: format!("profiles/{}", profile.name),
        profile: profile.clone(),
        host: host(),
    };
    library.profiles().iter().map(one).collect()
}

pub fn sprouts(library: &Library) -> Vec<Case> {
    let one = |sprout: &capsule_nix::profiles::Sprout| {
        let mut profile = profile(sprout.name.as_str(), Vec::new());
        profile.contents.sprouts = vec![sprout.name.clone()];
        Case { name: format!("sprouts/{}", sprout.name), profile, host: host() }
    };
    library.sprouts().iter().map(one).collect()
}

pub fn platforms(library: &Library) -> Vec<Case> {
    let minimal = library.profile("minimal").expect("built in");
    let mut cases = Vec::new();
    for platform in Platform::ALL {
        for system in System::ALL {
            let host = Host { platform: *platform, system: *system, ..host() };
            if generate(library, minimal, &host).is_ok() {
                let name = format!("platforms/{platform}-{}", system.as_str().trim_end_matches("-linux"));
                cases.push(Case { name, profile: minimal.clone(), host });
            }
        }
    }
    cases
}

/// A machine with two cards and fixed addresses, a password, another port, and systemd-boot.
pub fn unusual(library: &Library) -> Case {
    let settings = r#"
name: rack-7
domain: dc.example.org
user: ada
user_keys: ["KEY"]
password_file: /var/lib/secrets/ada.hash
time_zone: America/New_York
locale: en_GB.UTF-8
state_version: "25.11"
platform: equinix
disk: /dev/disk/by-id/nvme-first
boot: {kind: systemd_boot}
network:
  cards: ["0c:42:a1:00:00:01", "0c:42:a1:00:00:02"]
  addresses: ["198.51.100.7/31", "2001:db8::7/127"]
  gateways: ["198.51.100.6", "2001:db8::6"]
  name_servers: ["147.75.207.207"]
ssh_port: 2222
ports: [8080]
"#;
    let host: Host = serde_saphyr::from_str(&settings.replace("KEY", KEY)).expect("a host");
    let profile = library.profile("prod").expect("built in").clone();
    Case { name: "unusual".to_owned(), profile, host }
}

pub fn all(library: &Library) -> Vec<Case> {
    let mut cases = stacks(library);
    cases.extend(profiles(library));
    cases.extend(sprouts(library));
    cases.extend(platforms(library));
    cases.push(all_stacks(library));
    cases.push(unusual(library));
    cases
}
