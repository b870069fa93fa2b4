//! Promises of whole configurations: above all that nobody is locked out of their own machine.

use super::*;
use crate::{
    options::Origin,
    profiles::Contents,
    validate::{origins_at, validate},
    value::Text,
};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3mXQ0T0F7E1qf0mQm4y1iG0e4QeR5bqk8u2m3q9xYv ada@example";

fn host() -> Host {
    let mut host = Host::new("web-1".parse().expect("a name"), "ada".parse().expect("a name"));
    host.user_keys = vec![KEY.parse().expect("a key")];
    host
}

fn profile(stacks: &[&str]) -> Profile {
    let stacks = stacks.iter().map(|id| id.parse().expect("an id")).collect();
    Profile { name: "mine".parse().expect("a name"), contents: Contents { stacks, ..Contents::default() } }
}

/// A library with a stack `mine` that sets these options.
fn with_options(options: &str) -> Library {
    let mut library = Library::builtin();
    let text = format!("stacks:\n  - id: mine\n    title: Mine\n    category: Own\n    nixos: {options}\n");
    library.add_file("mine.yaml", &text).unwrap_or_else(|why| panic!("{options}: {why}"));
    library
}

fn refusals(library: &Library, stacks: &[&str], host: &Host) -> Vec<Refusal> {
    match generate(library, &profile(stacks), host) {
        Err(GenerateError::Refused(refusals)) => refusals,
        other => panic!("{:?} was not refused: {:?}", stacks, other.map(|set| set.files[0].text.clone())),
    }
}

#[test]
fn a_machine_nobody_can_log_in_to_is_refused() {
    let library = Library::builtin();
    let mut host = host();
    host.user_keys.clear();
    assert!(matches!(refusals(&library, &[], &host)[..], [Refusal::NoWayIn { .. }]));
    host.password_file = Some("/var/lib/secrets/ada".parse().expect("a path"));
    assert!(generate(&library, &profile(&[]), &host).is_ok(), "there is a console");
    host.platform = Platform::Hetzner;
    assert!(matches!(refusals(&library, &[], &host)[..], [Refusal::NoKey { .. }]));
    host.root_keys = vec![KEY.parse().expect("a key")];
    assert!(generate(&library, &profile(&[]), &host).is_ok());
}

#[test]
fn a_stack_that_would_shut_ssh_is_refused_by_name() {
    for options in [
        "{services.openssh.openFirewall: false}",
        "{services.openssh.ports: [2222]}",
        "{services.openssh.settings.PubkeyAuthentication: false}",
        "{services.openssh.settings.AllowUsers: [bob]}",
        "{services.openssh.settings.DenyUsers: [ada]}",
    ] {
        let refused = refusals(&with_options(options), &["mine"], &host());
        let [Refusal::ShutsSsh { by, .. }] = &refused[..] else { panic!("{options}: {refused:?}") };
        assert_eq!(by, &[Origin::Stack("mine".parse().expect("an id"))]);
    }
}

#[test]
fn contradicting_what_every_machine_has_names_both_sides() {
    for options in ["{services.openssh.enable: false}", "{services.openssh.settings.PermitRootLogin: 'no'}"] {
        let library = with_options(options);
        let refused = generate(&library, &profile(&["mine"]), &host()).expect_err(options);
        let said = refused.to_string();
        assert!(said.contains("stack `base`") && said.contains("stack `mine`"), "{said}");
    }
    let library = with_options("{time.timeZone: Europe/Paris}");
    let refused = generate(&library, &profile(&["mine"]), &host()).expect_err("two zones").to_string();
    assert!(refused.contains("stack `mine`") && refused.contains("the host's time_zone"), "{refused}");
}

#[test]
fn what_nixpkgs_refuses_without_a_name_or_accepts_to_fail_later_is_refused_here() {
    for (options, stacks, said) in [
        ("{boot.loader.systemd-boot.enable: true}", &["mine"][..], "GRUB and systemd-boot"),
        ("{users.users.bob.isNormalUser: true, users.users.bob.isSystemUser: true}", &["mine"], "not both"),
        ("{users.users.bob.description: x}", &["mine"], "isNormalUser or isSystemUser"),
        ("{users.users.root.isNormalUser: true}", &["mine"], "root is no person"),
        ("{services.xserver.videoDrivers: [nvidia]}", &["mine"], "hardware.nvidia.open"),
        ("{hardware.nvidia.datacenter.enable: true}", &["mine", "cuda"], "exclude each other"),
        ("{virtualisation.podman.dockerCompat: true}", &["mine", "docker"], "stand in for docker"),
        ("{networking.nftables.enable: true}", &["mine", "docker"], "iptables"),
        (
            "{networking.networkmanager.enable: true, networking.useNetworkd: true}",
            &["mine"],
            "would both configure the network",
        ),
        ("{services.nginx.virtualHosts.x.enableACME: true}", &["mine"], "acceptTerms"),
        ("{services.grafana.enable: true}", &["mine"], "secret_key"),
        ("{services.redis.servers.second.port: 6379}", &["mine", "database"], "one port"),
        ("{users.defaultUserShell: {nix: pkgs.zsh}}", &["mine"], "programs.zsh.enable"),
        ("{networking.useDHCP: false}", &["mine"], "without DHCP"),
        ("{networking.firewall.allowedTCPPorts: [70000]}", &["mine"], "1 to 65535"),
        ("{users.users.ada.initialPassword: hunter2}", &["mine"], "everybody on the machine could read"),
        ("{services.x.settings.password: hunter2}", &["mine"], "everybody on the machine could read"),
    ] {
        let refused = refusals(&with_options(options), stacks, &host());
        assert!(refused.iter().any(|refusal| refusal.to_string().contains(said)), "{options}: {refused:?}");
        assert!(
            refused.iter().any(|refusal| refusal.to_string().contains("stack `mine`")),
            "{options}: {refused:?}"
        );
    }
}

#[test]
fn a_secret_in_a_file_is_none_in_the_text() {
    let library = with_options("{services.x.settings.password: '$__file{/run/keys/x}'}");
    assert!(generate(&library, &profile(&["mine"]), &host()).is_ok());
}

#[test]
fn releases_that_do_not_fit_are_refused() {
    let library = Library::builtin();
    let with = |release: &str, first: &str| {
        let (release, state_version) = (release.parse().expect("one"), first.parse().expect("one"));
        refusals(&library, &[], &Host { release, state_version, ..host() })
    };
    assert!(matches!(with("25.11", "25.11")[..], [Refusal::Release(_)]));
    assert!(matches!(with("26.05", "27.05")[..], [Refusal::Release(_)]));
    let older = Host { state_version: "24.11".parse().expect("one"), ..host() };
    let set = generate(&library, &profile(&[]), &older).expect("an old machine on a new release");
    assert!(set.files[0].text.contains("system.stateVersion = \"24.11\""));
    assert!(set.file("flake.nix").expect("there").text.contains("nixos-26.05"));
}

#[test]
fn a_platform_without_arm_has_no_arm_machine() {
    let arm = Host { platform: Platform::Linode, system: System::Aarch64, ..host() };
    let refused = refusals(&Library::builtin(), &[], &arm);
    assert!(matches!(refused[..], [Refusal::NoSuchMachine { .. }]), "{refused:?}");
}

#[test]
fn what_was_given_is_checked_and_what_nobody_needs_is_a_slip() {
    let library = Library::builtin();
    for (name, value) in
        [("domain", "a b"), ("email", "nobody"), ("daemon_address", "x"), ("domian", "a.org")]
    {
        let mut host = host();
        host.given = [(Text::from(name), Text::from(value))].into();
        let refused = refusals(&library, &["webserver"], &host);
        assert!(matches!(refused[..], [Refusal::Setting { .. }]), "{name}: {refused:?}");
        if name == "domian" {
            assert_eq!(refused[0].hint().as_deref(), Some("did you mean `domain`?"));
        }
    }
}

#[test]
fn certificates_are_set_up_when_domain_and_address_are_given_and_mentioned_otherwise() {
    let library = Library::builtin();
    let without = generate(&library, &profile(&["webserver"]), &host()).expect("fine without");
    assert!(!without.files[0].text.contains("acme"));
    assert!(without.notes.iter().any(|note| note.contains("domain, email")), "{:?}", without.notes);
    let mut host = host();
    host.given = [("domain", "x.example.org"), ("email", "a@example.org")]
        .map(|(name, value)| (Text::from(name), Text::from(value)))
        .into();
    let with = generate(&library, &profile(&["webserver"]), &host).expect("fine with");
    assert!(with.files[0].text.contains("virtualHosts.\"x.example.org\".enableACME = true;"));
}

#[test]
fn a_place_in_the_configuration_leads_to_the_profiles_entry() {
    let library = Library::builtin();
    let mut profile = profile(&["docker", "security"]);
    profile.contents.custom_packages = vec!["nosuchthing".parse().expect("it could be one")];
    let set = generate(&library, &profile, &host()).expect("only nixpkgs knows that it is none");
    let file = set.file("configuration.nix").expect("there");
    let origins = |text: &str| {
        let line = file.text.lines().position(|line| line.contains(text)).expect(text);
        let column = file.text.lines().nth(line).and_then(|line| line.find(text)).expect(text);
        origins_at(&file.text, &file.options, line + 1, column + 1)
    };
    assert_eq!(origins("pkgs.nosuchthing"), [Origin::Package("nosuchthing".parse().expect("a name"))]);
    assert_eq!(origins("services.fail2ban.enable"), [Origin::Stack("security".parse().expect("an id"))]);
    assert_eq!(origins("\"docker\""), [Origin::Stack("docker".parse().expect("an id"))]);
    assert_eq!(origins("networking.hostName"), [Origin::Host("name")]);
    assert!(validate(&file.text, &file.options).problems.is_empty());
}

#[test]
fn a_home_runs_services_only_where_no_system_does() {
    let library = Library::builtin();
    let profile = profile(&["ollama"]);
    let selection = select(&library, &profile).expect("known");
    let written = |surroundings| home(&selection, &host(), surroundings).expect("no conflict").text;
    assert!(!written(Surroundings::NixOs).contains("services.ollama"));
    assert!(written(Surroundings::Elsewhere).contains("services.ollama.enable = true;"));
}

#[test]
fn an_editor_built_by_home_manager_is_not_installed_beside_itself() {
    let library = Library::builtin();
    let mut profile = profile(&[]);
    for editor in library.editors() {
        profile.contents.editor = Some(editor.name.clone());
        let set = generate(&library, &profile, &host()).expect("every editor");
        let text = &set.file("home.nix").expect("there").text;
        let module = text.contains(&format!("programs.{}.enable", editor.attr));
        let package = text.contains(&format!("pkgs.{}\n", editor.attr));
        assert!(module != package, "{}: {text}", editor.name);
    }
}
