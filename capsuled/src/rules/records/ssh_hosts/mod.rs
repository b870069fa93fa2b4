//! The servers in an OpenSSH client configuration, as ssh_config(5) reads it.
//!
//! Every name on a `Host` line that is no pattern is a server; patterns, negations and `Host *` give values, and
//! the first value of an option wins, wherever it stands. `Match` asks questions that have no answer here, so its
//! blocks are left. Files that `Include` names come with the text, because rules open none.
//!
//! An own reader: the crates for this format open included files themselves and keep no line numbers.

mod scan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use capsule_api::{Host, IncludedFile, SshKeyCreate, XNodeName};

use self::scan::{Block, Scan, Setting, Settings};
use super::{
    faults::{Fault, Left, Spot, clip},
    record::{Reading, Record},
};

/// The user of hosts of repositories, which are no servers to watch.
const REPOSITORY_USER: &str = "git";

/// What is known beside the text.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The files that `Include` lines name, by pattern as it is written.
    pub includes: &'a BTreeMap<String, Vec<IncludedFile>>,
    /// Private keys by the path of their `IdentityFile` line.
    pub keys: &'a BTreeMap<String, String>,
    /// Names of xNodes in lower case: a jump host may be one of them.
    pub known: &'a BTreeSet<String>,
}

/// Reads a configuration.
///
/// # Errors
/// Everything that is wrong with it, by line and option; then nothing of it should be used.
pub fn read(text: &str, beside: Beside<'_>) -> Result<Reading, Vec<Fault>> {
    let mut scan = Scan::new(beside.includes);
    scan.file(text.strip_prefix('\u{feff}').unwrap_or(text), None, &[], 0);
    let Scan { blocks, hosts, left, mut faults, .. } = scan;
    if hosts.iter().all(|(_, names)| names.is_empty()) && faults.is_empty() {
        faults.push(Fault::new(Spot::Line(1), "Host", "no server is named in it"));
    }
    let mut reader = Reader { values: Values::of(&blocks), beside, faults, left };
    let (servers, names) = reader.servers(&hosts);
    let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
    let mut records = Vec::with_capacity(servers.len());
    for server in &servers {
        let mut record = server.record();
        record.ssh_port = reader.port(server.settings.port);
        record.ssh_jump = reader.jump(server, &names, &servers);
        if let Some(path) = server.settings.key.map(Setting::first).filter(|path| *path != "none") {
            match beside.keys.get(path) {
                Some(pem) => record.ssh_key = Some(SshKeyCreate::Pem(pem.clone())),
                None => *keys.entry(path).or_default() += 1,
            }
        }
        records.push(record);
    }
    let Reader { mut faults, mut left, .. } = reader;
    if !faults.is_empty() {
        faults.sort_by(|a, b| a.spot.cmp(&b.spot));
        return Err(faults);
    }
    for (path, count) in &keys {
        let what =
            format!("key {} of {count} {}", clip(path), if *count == 1 { "server" } else { "servers" });
        let reason =
            "keys are read with `--with-keys` only; or `inventory edit NAME --ssh-key FILE`".to_owned();
        left.push(Left { spot: None, what, reason });
    }
    Ok(Reading { records, left, identity_files: keys.into_keys().map(str::to_owned).collect() })
}

/// A server and what the configuration says of it.
struct Server<'a> {
    spot: &'a Spot,
    name: XNodeName,
    address: Host,
    settings: Settings<'a>,
}

impl Server<'_> {
    fn record(&self) -> Record {
        let mut record = Record::at(self.spot.clone());
        record.name = Some(self.name.clone());
        record.address = Some(self.address.clone());
        record.ssh_user = self.settings.user.map(|user| Some(user.first().to_owned()));
        record
    }
}

struct Reader<'a> {
    values: Values<'a>,
    beside: Beside<'a>,
    faults: Vec<Fault>,
    left: Vec<Left>,
}

impl<'a> Reader<'a> {
    /// The servers, and which of them each name means.
    fn servers(&mut self, hosts: &'a [(Spot, Vec<String>)]) -> (Vec<Server<'a>>, HashMap<&'a str, usize>) {
        let mut servers: Vec<Server<'a>> = Vec::new();
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (spot, line) in hosts {
            let mut main: Option<usize> = None;
            for name in line {
                if names.contains_key(name.as_str()) {
                    continue;
                }
                let settings = self.values.of_name(name);
                // Names beside each other with one fixed address are one machine.
                let same = |at: &usize| {
                    let fixed = |settings: Settings<'_>| {
                        settings.host_name.map(|s| s.first().to_owned()).filter(|to| !to.contains('%'))
                    };
                    fixed(settings.clone()).is_some_and(|to| fixed(servers[*at].settings.clone()) == Some(to))
                };
                if let Some(at) = main.filter(same) {
                    names.insert(name, at);
                    let reason = format!("it is another name of {}", servers[at].name);
                    self.left.push(Left::at(spot, format!("name {}", clip(name)), reason));
                    continue;
                }
                if let Some(server) = self.server(spot, name, settings) {
                    names.insert(name, servers.len());
                    main = main.or(Some(servers.len()));
                    servers.push(server);
                }
            }
        }
        (servers, names)
    }

    fn server(&mut self, spot: &'a Spot, name: &str, settings: Settings<'a>) -> Option<Server<'a>> {
        let leave = |left: &mut Vec<Left>, reason: &str| {
            left.push(Left::at(spot, format!("host {}", clip(name)), reason));
            None
        };
        if settings.user.is_some_and(|user| user.first() == REPOSITORY_USER) {
            return leave(
                &mut self.left,
                "its user is git, so it holds repositories and is no server to watch",
            );
        }
        let Ok(server_name) = name.parse::<XNodeName>() else {
            return leave(&mut self.left, "the name has letters that a name here cannot have");
        };
        let (at, address) = match settings.host_name {
            None => (spot, name.to_owned()),
            Some(setting) => match expand(setting.first(), name) {
                Some(address) => (&setting.spot, address),
                None => return leave(&mut self.left, "its HostName holds a token other than %h"),
            },
        };
        let address = match address.parse() {
            Ok(address) => address,
            Err(error) => {
                let error: capsule_api::InvalidHost = error;
                self.faults.push(Fault::new(at.clone(), "HostName", error.to_string()));
                return None;
            }
        };
        if settings.proxy_command.is_some_and(|setting| setting.first() != "none") {
            let reason = "taken without it: no program is run to reach a server";
            self.left.push(Left::at(spot, format!("ProxyCommand of {server_name}"), reason));
        }
        Some(Server { spot, name: server_name, address, settings })
    }

    fn port(&mut self, setting: Option<&Setting>) -> Option<u16> {
        let setting = setting?;
        let port = setting.first().parse().ok().filter(|port| *port != 0);
        if port.is_none() {
            let fault = format!("`{}` is no port", clip(setting.first()));
            let fault = Fault::new(setting.spot.clone(), "Port", fault);
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
        port
    }

    /// The jump host in our words: an xNode's name, or `user@host:port`.
    fn jump(
        &mut self,
        server: &Server<'a>,
        names: &HashMap<&str, usize>,
        servers: &[Server<'a>],
    ) -> Option<Option<String>> {
        let setting = server.settings.jump?;
        if setting.first() == "none" {
            return Some(None);
        }
        let mut way: Vec<&str> = setting.first().split(',').map(str::trim).collect();
        let hop = way.pop().unwrap_or_default();
        let parsed = Hop::parse(hop);
        let Some(Hop { user, host, port }) = parsed else {
            let reason = format!("`{}` is no host to jump over", clip(hop));
            self.faults.push(Fault::new(setting.spot.clone(), "ProxyJump", reason));
            return None;
        };
        if !way.is_empty() {
            let reason =
                format!("only the last hop is taken: give {} the hops before it as its jump host", clip(hop));
            self.left.push(Left::at(server.spot, format!("ProxyJump of {}", server.name), reason));
        }
        if user.is_none() && port.is_none() {
            if let Some(at) = names.get(host) {
                return Some(Some(servers[*at].name.to_string()));
            }
            if self.beside.known.contains(&host.to_ascii_lowercase()) {
                return Some(Some(host.to_owned()));
            }
        }
        let settings = self.values.of_name(host);
        let Some(user) = user.or_else(|| settings.user.map(Setting::first)) else {
            let reason = "taken without it: the configuration names no user for it";
            self.left.push(Left::at(&setting.spot, format!("jump host {}", clip(host)), reason));
            return None;
        };
        let address = settings.host_name.and_then(|setting| expand(setting.first(), host));
        let address = address.unwrap_or_else(|| host.to_owned());
        let port = port.or_else(|| settings.port.map(Setting::first)).filter(|port| !port.is_empty());
        Some(Some(match port {
            Some(port) if address.contains(':') => format!("{user}@[{address}]:{port}"),
            Some(port) => format!("{user}@{address}:{port}"),
            None => format!("{user}@{address}"),
        }))
    }
}

/// `[user@]host[:port]` or `ssh://…`.
struct Hop<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Hop<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            // More than one colon is a bare IPv6 address.
            None => match place.split_once(':').filter(|(_, port)| !port.contains(':')) {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let fits = host.parse::<Host>().is_ok()
            && user.is_none_or(|user| !user.is_empty())
            && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
        fits.then_some(Self { user, host, port })
    }
}

/// A host name with `%h` and `%%` replaced; `None` for any other token.
fn expand(text: &str, name: &str) -> Option<String> {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => match letters.next()? {
                'h' => out.push_str(name),
                '%' => out.push('%'),
                _ => return None,
            },
            letter => out.push(letter),
        }
    }
    Some(out)
}

/// Which blocks say something of a name. Most blocks name one host, so those are looked up and not tried.
struct Values<'a> {
    blocks: &'a [Block],
    named: HashMap<&'a str, Vec<usize>>,
    others: Vec<usize>,
}

impl<'a> Values<'a> {
    fn of(blocks: &'a [Block]) -> Self {
        let mut values = Self { blocks, named: HashMap::new(), others: Vec::new() };
        for (at, block) in blocks.iter().enumerate() {
            match block.plain_names() {
                Some(names) => names.for_each(|name| values.named.entry(name).or_default().push(at)),
                None => values.others.push(at),
            }
        }
        values
    }

    /// The first value of each option for a name.
    fn of_name(&self, name: &str) -> Settings<'a> {
        let named = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        let matching = self.others.iter().filter(|at| self.blocks[**at].applies_to(name));
        let mut blocks: Vec<usize> = named.iter().chain(matching).copied().collect();
        blocks.sort_unstable();
        blocks.dedup();
        let mut settings = Settings::default();
        for at in blocks {
            self.blocks[at].settings.iter().for_each(|setting| settings.offer(setting));
        }
        settings
    }
}
