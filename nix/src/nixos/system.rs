//! The options of `configuration.nix`.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    host::{Host, StaticNetwork},
    machine::{Machine, path},
};
use crate::{
    names::StackId,
    options::{Conflict, OptionPath, Options, Origin},
    profiles::Selection,
    stacks::{Given, OptionTable, Stack},
    value::{Text, Value},
};

/// Everything the machine is told, with who asked for it.
pub(super) fn options(selection: &Selection, host: &Host, machine: &Machine) -> Result<Options, Conflict> {
    let mut options = Options::default();
    for chosen in &selection.stacks {
        let stack = chosen.stack;
        let origin = Origin::Stack(stack.id.clone());
        for (path, value) in effective(stack, |other| selection.has(other)) {
            options.set(path, value, origin.clone())?;
        }
        for (path, value) in filled(stack, &host.given, |given| &given.nixos) {
            options.set(path, value, origin.clone())?;
        }
        service_access(&mut options, stack, host, &origin)?;
    }
    if let Some(editor) = selection.editor {
        for (path, data) in &editor.nixos {
            options.set(path.clone(), data.own_value(), Origin::Editor(editor.name.clone()))?;
        }
    }
    software(&mut options, selection)?;
    person(&mut options, host)?;
    identity(&mut options, host)?;
    for (path, value) in machine.boot() {
        options.set(path, value, machine.origin())?;
    }
    if let Some(network) = &host.network {
        for (path, value) in addresses(network) {
            options.set(path, value, Origin::Host("network"))?;
        }
    }
    Ok(options)
}

/// A stack's options beside the others: what `when` says replaces what the stack says otherwise.
fn effective(stack: &Stack, has: impl Fn(&StackId) -> bool) -> BTreeMap<OptionPath, Value> {
    let own = |table: &OptionTable| -> Vec<_> {
        table.iter().map(|(path, data)| (path.clone(), data.own_value())).collect()
    };
    let beside = stack.when.iter().filter(|(other, _)| has(other));
    own(&stack.nixos).into_iter().chain(beside.flat_map(|(_, table)| own(table))).collect()
}

/// The options for which everything they need was given, filled in.
pub(super) fn filled(
    stack: &Stack,
    given: &BTreeMap<Text, Text>,
    table: fn(&Given) -> &OptionTable,
) -> Vec<(OptionPath, Value)> {
    let complete = stack.given.iter().filter(|part| part.needs.iter().all(|name| given.contains_key(name)));
    let fill = |(path, data): (&OptionPath, &crate::stacks::Data)| {
        let names = path.names().map(|name| filled_text(name, given)).collect();
        (OptionPath::from_names(names), filled_value(data.own_value(), given))
    };
    complete.flat_map(|part| table(part).iter().map(fill)).collect()
}

fn filled_value(value: Value, given: &BTreeMap<Text, Text>) -> Value {
    match value {
        Value::Text(text) => Value::Text(filled_text(text.as_str(), given)),
        Value::List(all) => Value::List(all.into_iter().map(|value| filled_value(value, given)).collect()),
        Value::Attrs(all) => {
            Value::Attrs(all.into_iter().map(|(name, value)| (name, filled_value(value, given))).collect())
        }
        other => other,
    }
}

/// One pass from left to right: what was given is never looked into, whatever it holds.
fn filled_text(text: &str, given: &BTreeMap<Text, Text>) -> Text {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        filled.push_str(&rest[..start]);
        let inside = &rest[start + 1..];
        let found = inside.split_once('>').and_then(|(name, after)| {
            let (_, value) = given.iter().find(|(known, _)| known.as_str() == name)?;
            Some((value, after))
        });
        match found {
            Some((value, after)) => {
                filled.push_str(value.as_str());
                rest = after;
            }
            None => {
                filled.push('<');
                rest = inside;
            }
        }
    }
    filled.push_str(rest);
    Text::try_from(filled).expect("texts without control characters, joined")
}

fn service_access(
    options: &mut Options,
    stack: &Stack,
    host: &Host,
    origin: &Origin,
) -> Result<(), Conflict> {
    let ports = [("allowedTCPPorts", &stack.ports.tcp), ("allowedUDPPorts", &stack.ports.udp)];
    for (name, ports) in ports.into_iter().filter(|(_, ports)| !ports.is_empty()) {
        let ports: Vec<u16> = ports.iter().map(|port| (*port).into()).collect();
        options.set(path("networking.firewall").below(name), ports.into(), origin.clone())?;
    }
    if !stack.groups.is_empty() {
        let groups = stack.groups.iter().map(Value::from).collect();
        options.set(user(host).below("extraGroups"), Value::List(groups), origin.clone())?;
    }
    Ok(())
}

fn software(options: &mut Options, selection: &Selection) -> Result<(), Conflict> {
    let packages = path("environment.systemPackages");
    for selected in &selection.packages {
        for origin in &selected.origins {
            let one = Value::List(vec![Value::Package(selected.attr.clone())]);
            options.set(packages.clone(), one, origin.clone())?;
        }
    }
    if let Some((interpreter, origins)) = selection.interpreter() {
        for origin in origins {
            options.set(packages.clone(), Value::List(vec![interpreter.clone()]), origin)?;
        }
    }
    for (model, origin) in &selection.models {
        let one = Value::List(vec![model.into()]);
        options.set(path("services.ollama.loadModels"), one, origin.clone())?;
    }
    if let Some(predicate) = selection.unfree_predicate("lib.getName package") {
        options.set(path("nixpkgs.config.allowUnfreePredicate"), predicate, Origin::Host("profile"))?;
    }
    Ok(())
}

/// The path of the person's account.
pub(super) fn user(host: &Host) -> OptionPath {
    path("users.users").below(&host.user)
}

fn person(options: &mut Options, host: &Host) -> Result<(), Conflict> {
    let user = user(host);
    let mut set = |path, value, setting| options.set(path, value, Origin::Host(setting));
    set(user.below("isNormalUser"), true.into(), "user")?;
    set(user.below("extraGroups"), vec!["wheel"].into(), "user")?;
    let keys = |keys: &[super::SshKey]| Value::List(keys.iter().map(Value::from).collect());
    if !host.user_keys.is_empty() {
        set(user.below("openssh").below("authorizedKeys").below("keys"), keys(&host.user_keys), "user_keys")?;
    }
    if !host.root_keys.is_empty() {
        set(path("users.users.root.openssh.authorizedKeys.keys"), keys(&host.root_keys), "root_keys")?;
    }
    match &host.password_file {
        Some(file) => set(user.below("hashedPasswordFile"), file.into(), "password_file")?,
        // Somebody without a password could not answer when sudo asks for it.
        None => set(path("security.sudo.wheelNeedsPassword"), false.into(), "user")?,
    }
    if host.root_keys.is_empty() {
        // Applying as this user sends what was built elsewhere, and nobody signed it.
        set(path("nix.settings.trusted-users"), vec![Value::from(&host.user)].into(), "user")?;
    }
    Ok(())
}

fn identity(options: &mut Options, host: &Host) -> Result<(), Conflict> {
    let mut set = |at, value, setting| options.set(path(at), value, Origin::Host(setting));
    set("networking.hostName", (&host.name).into(), "name")?;
    if let Some(domain) = &host.domain {
        set("networking.domain", domain.into(), "domain")?;
    }
    set("time.timeZone", (&host.time_zone).into(), "time_zone")?;
    set("i18n.defaultLocale", (&host.locale).into(), "locale")?;
    set("system.stateVersion", (&host.state_version).into(), "state_version")?;
    if u16::from(host.ssh_port) != 22 {
        set("services.openssh.ports", vec![u16::from(host.ssh_port)].into(), "ssh_port")?;
    }
    if !host.ports.is_empty() {
        let ports: Vec<u16> = host.ports.iter().map(|port| (*port).into()).collect();
        set("networking.firewall.allowedTCPPorts", ports.into(), "ports")?;
    }
    Ok(())
}

/// Cards are matched by their address: their names change with the kernel, the slot and the mood of the firmware.
fn addresses(network: &StaticNetwork) -> Vec<(OptionPath, Value)> {
    let mut set =
        vec![(path("networking.useNetworkd"), true.into()), (path("networking.useDHCP"), false.into())];
    let uplink = path("systemd.network.networks.\"20-uplink\"");
    match &network.cards[..] {
        [card] => set.push((uplink.below("matchConfig").below("MACAddress"), card.into())),
        cards => {
            let device = path("systemd.network.netdevs.\"10-bond0\"");
            set.push((device.below("netdevConfig").below("Kind"), "bond".into()));
            set.push((device.below("netdevConfig").below("Name"), "bond0".into()));
            set.push((device.below("bondConfig").below("Mode"), "802.3ad".into()));
            set.push((device.below("bondConfig").below("TransmitHashPolicy"), "layer3+4".into()));
            set.push((device.below("bondConfig").below("MIIMonitorSec"), "100ms".into()));
            let member = path("systemd.network.networks.\"10-bond0-member\"");
            let cards: Vec<&str> = cards.iter().map(super::Mac::as_str).collect();
            let cards = Text::try_from(cards.join(" ")).expect("addresses of cards");
            set.push((member.below("matchConfig").below("PermanentMACAddress"), cards.into()));
            set.push((member.below("networkConfig").below("Bond"), "bond0".into()));
            set.push((uplink.below("matchConfig").below("Name"), "bond0".into()));
        }
    }
    let addresses = network.addresses.iter().map(Value::from).collect();
    set.push((uplink.below("address"), Value::List(addresses)));
    let ip = |address: &IpAddr| Value::Text(Text::try_from(address.to_string()).expect("an address"));
    let gateways = network.gateways.iter().map(|gateway| {
        // A gateway outside the machine's own network, as clouds like them, is reached all the same.
        Value::Attrs([("Gateway".into(), ip(gateway)), ("GatewayOnLink".into(), true.into())].into())
    });
    set.push((uplink.below("routes"), Value::List(gateways.collect())));
    if !network.name_servers.is_empty() {
        set.push((uplink.below("dns"), Value::List(network.name_servers.iter().map(ip).collect())));
    }
    set
}
