//! From flags to the bodies that add and change a server.

use std::path::Path;

use capsule_api::{
    Check, CheckCreate, CheckKind, CheckName, ProbeSpec, SshAccessCreate, SshKeyCreate, ThresholdOverride,
    ThresholdOverrides, XNode, XNodeCreate, XNodePatch,
};

use crate::{
    args::{
        check::{self, CheckArg},
        inventory::{AddArgs, Clearable, EditArgs, SshFields},
        values::merge,
    },
    error::{Error, Result},
    output::text,
};

/// Keys and certificates are far smaller; a wrong path must not send a disk image.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The body of `inventory add`.
pub fn create(args: &AddArgs) -> Result<XNodeCreate> {
    let fields = &args.fields;
    Ok(XNodeCreate {
        name: args.name.clone(),
        address: args.address.clone(),
        ipv4: fields.ipv4,
        ipv6: fields.ipv6,
        ssh: access(&fields.ssh)?,
        provider: fields.provider.clone(),
        region: fields.region.clone(),
        status: fields.status,
        tags: fields.tags.clone().unwrap_or_default(),
        hourly_cost_micros: fields.hourly_cost,
        checks: checks(args)?,
        thresholds: fields.thresholds.overrides(),
        metrics_interval_ms: fields.metrics_interval,
    })
}

/// How to log in, with the key read where it is a file of the caller's.
pub fn access(fields: &SshFields) -> Result<SshAccessCreate> {
    Ok(SshAccessCreate {
        port: fields.ssh_port,
        user: fields.ssh_user.clone(),
        jump: fields.jump.clone(),
        key: key(fields)?,
        host_key: fields.host_key.clone(),
    })
}

/// The checks to send: none means the daemon's default ones, which own checks come on top of.
fn checks(args: &AddArgs) -> Result<Option<Vec<CheckCreate>>> {
    let own: Vec<CheckCreate> = args.check.iter().map(read_check).collect::<Result<_>>()?;
    if args.no_default_checks {
        return Ok(Some(own));
    }
    if own.is_empty() {
        return Ok(None);
    }
    let wanted = |kind: CheckKind| match kind {
        CheckKind::Ssh => args.fields.ssh.ssh_user.is_some(),
        kind => kind == CheckKind::Ping,
    };
    let missing = [CheckKind::Ping, CheckKind::Ssh]
        .into_iter()
        .filter(|kind| wanted(*kind) && own.iter().all(|check| check.probe.kind() != *kind));
    let mut all: Vec<CheckCreate> = missing.filter_map(check::plain).collect();
    all.extend(own);
    Ok(Some(all))
}

/// The body of `inventory edit`.
pub fn patch(args: &EditArgs, before: &XNode) -> Result<XNodePatch> {
    let fields = &args.fields;
    let cleared = |field: Clearable| args.clear.contains(&field);
    Ok(XNodePatch {
        name: args.rename.clone(),
        address: args.address.clone(),
        ipv4: set_or_clear(fields.ipv4, cleared(Clearable::Ipv4)),
        ipv6: set_or_clear(fields.ipv6, cleared(Clearable::Ipv6)),
        ssh_port: fields.ssh.ssh_port,
        ssh_user: set_or_clear(fields.ssh.ssh_user.clone(), cleared(Clearable::SshUser)),
        ssh_jump: set_or_clear(fields.ssh.jump.clone(), cleared(Clearable::Jump)),
        ssh_key: set_or_clear(key(&fields.ssh)?, cleared(Clearable::SshKey)),
        ssh_host_key: set_or_clear(fields.ssh.host_key.clone(), cleared(Clearable::HostKey)),
        provider: set_or_clear(fields.provider.clone(), cleared(Clearable::Provider)),
        region: set_or_clear(fields.region.clone(), cleared(Clearable::Region)),
        status: fields.status,
        tags: new_tags(args, before),
        hourly_cost_micros: set_or_clear(fields.hourly_cost, cleared(Clearable::HourlyCost)),
        checks: new_checks(args, before)?,
        thresholds: new_thresholds(args, before),
        metrics_interval_ms: set_or_clear(fields.metrics_interval, cleared(Clearable::MetricsInterval)),
    })
}

fn set_or_clear<T>(value: Option<T>, clear: bool) -> Option<Option<T>> {
    match value {
        Some(value) => Some(Some(value)),
        None => clear.then_some(None),
    }
}

fn new_tags(args: &EditArgs, before: &XNode) -> Option<Vec<capsule_api::Tag>> {
    let cleared = args.clear.contains(&Clearable::Tags);
    if let Some(tags) = &args.fields.tags {
        return Some(tags.clone());
    }
    if args.add_tag.is_empty() && args.remove_tag.is_empty() {
        return cleared.then(Vec::new);
    }
    let mut tags = if cleared { Vec::new() } else { before.tags.clone() };
    tags.retain(|tag| !args.remove_tag.contains(tag));
    tags.extend(args.add_tag.iter().cloned());
    tags.sort();
    tags.dedup();
    Some(tags)
}

fn new_thresholds(args: &EditArgs, before: &XNode) -> Option<ThresholdOverrides> {
    let cleared = args.clear.contains(&Clearable::Thresholds);
    let base = if cleared { ThresholdOverrides::default() } else { before.thresholds };
    let given = args.fields.thresholds.any();
    (given || cleared).then(|| merge(base, args.fields.thresholds.overrides()))
}

fn new_checks(args: &EditArgs, before: &XNode) -> Result<Option<Vec<CheckCreate>>> {
    if args.check.is_empty() && args.remove_check.is_empty() {
        return Ok(None);
    }
    let mut checks: Vec<CheckCreate> = before.checks.iter().map(as_create).collect();
    for name in &args.remove_check {
        let count = checks.len();
        checks.retain(|check| check.name.as_ref() != Some(name));
        if checks.len() == count {
            return Err(no_such_check(name, before));
        }
    }
    for arg in &args.check {
        let check = read_check(arg)?;
        let name = check.name.clone().or_else(|| check.probe.kind().as_str().parse().ok());
        match checks.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = CheckCreate { name, ..check },
            None => checks.push(check),
        }
    }
    Ok(Some(checks))
}

fn no_such_check(name: &CheckName, xnode: &XNode) -> Error {
    let known: Vec<&str> = xnode.checks.iter().map(|check| check.name.as_str()).collect();
    Error::usage(
        format!("{} has no check `{name}`", xnode.name),
        format!("its checks are: {}", known.join(", ")),
    )
}

/// A stored check as it would be made anew.
pub fn as_create(check: &Check) -> CheckCreate {
    CheckCreate {
        name: Some(check.name.clone()),
        probe: check.probe.clone(),
        interval_ms: check.interval_ms,
        timeout_ms: check.timeout_ms,
        down_after: check.down_after,
        up_after: check.up_after,
        enabled: check.enabled,
    }
}

fn read_check(arg: &CheckArg) -> Result<CheckCreate> {
    let mut check = arg.check.clone();
    if let (ProbeSpec::Http(probe), Some(path)) = (&mut check.probe, &arg.ca_file) {
        probe.ca_pem = Some(read_text(path, "the CA's certificates")?);
    }
    Ok(check)
}

fn key(fields: &SshFields) -> Result<Option<SshKeyCreate>> {
    if let Some(path) = &fields.ssh_key {
        return Ok(Some(SshKeyCreate::Pem(read_text(path, "the private key")?)));
    }
    if let Some(path) = &fields.ssh_key_path_on_daemon {
        return Ok(Some(SshKeyCreate::Path(path.clone())));
    }
    Ok(fields.ssh_agent.then_some(SshKeyCreate::Agent {}))
}

/// A small text file of the caller's; the daemon opens no path named in a request.
pub fn read_text(path: &Path, what: &str) -> Result<String> {
    let failed = |source| Error::Local { action: format!("read {what} from {}", path.display()), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE_BYTES {
        return Err(Error::usage(format!("{} is too large to be {what}", path.display()), "check the path"));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// What a check asks, in a few words.
pub fn asks(probe: &ProbeSpec) -> String {
    match probe {
        ProbeSpec::Ping(_) => "ping".to_owned(),
        ProbeSpec::Tcp(tcp) => format!("tcp port {}", tcp.port),
        ProbeSpec::Ssh(ssh) => {
            let port = ssh.port.map(|port| format!(" port {port}")).unwrap_or_default();
            let what = if ssh.host_key { "banner and host key" } else { "banner" };
            format!("ssh {what}{port}")
        }
        ProbeSpec::Http(http) => {
            let mut parts = vec![format!("{} {}", http.method, http.url)];
            parts.extend(http.min_tls_days.map(|days| format!("TLS {days} days")));
            parts.extend(http.max_latency_ms.map(|ms| format!("within {}", text::span_ms(ms))));
            parts.extend(http.insecure.then(|| "any certificate".to_owned()));
            parts.join(", ")
        }
    }
}

/// Threshold overrides as lines: resource, what differs.
pub fn threshold_lines(overrides: &ThresholdOverrides) -> Vec<(&'static str, String)> {
    let parts = [("cpu", overrides.cpu), ("memory", overrides.memory), ("disk", overrides.disk)];
    parts.into_iter().filter_map(|(name, part)| Some((name, threshold_text(&part)?))).collect()
}

fn threshold_text(part: &ThresholdOverride) -> Option<String> {
    let mut words = Vec::new();
    words.extend(part.warning.map(|value| format!("warning {value} %")));
    words.extend(part.critical.map(|value| format!("critical {value} %")));
    words.extend(part.hysteresis.map(|value| format!("hysteresis {value}")));
    words.extend(part.for_ms.map(|ms| format!("for {}", text::span_ms(ms))));
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        args::{Cli, Command, inventory::InventoryAction},
        commands::inventory::tests::xnodes,
    };

    fn action(line: &str) -> InventoryAction {
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("the line parses");
        let Some(Command::Inventory(args)) = cli.command else { panic!("inventory") };
        args.action.expect("an action")
    }

    fn created(rest: &str) -> XNodeCreate {
        let InventoryAction::Add(args) = action(&format!("capsulectl inventory add a --address b {rest}"))
        else {
            panic!("add")
        };
        create(&args).expect("a body")
    }

    fn patched(rest: &str) -> XNodePatch {
        let InventoryAction::Edit(args) = action(&format!("capsulectl inventory edit web-1 {rest}")) else {
            panic!("edit")
        };
        patch(&args, &xnodes()[0]).expect("a body")
    }

    fn kinds(checks: &Option<Vec<CheckCreate>>) -> Option<Vec<&'static str>> {
        checks.as_ref().map(|checks| checks.iter().map(|check| check.probe.kind().as_str()).collect())
    }

    #[test]
    fn own_checks_come_on_top_of_the_default_ones() {
        assert_eq!(kinds(&created("").checks), None);
        assert_eq!(kinds(&created("--no-default-checks").checks), Some(vec![]));
        assert_eq!(kinds(&created("--check tcp=1").checks), Some(vec!["ping", "tcp"]));
        assert_eq!(kinds(&created("--ssh-user u --check tcp=1").checks), Some(vec!["ping", "ssh", "tcp"]));
        assert_eq!(kinds(&created("--check ping,interval=9s").checks), Some(vec!["ping"]));
        assert_eq!(kinds(&created("--no-default-checks --check tcp=1").checks), Some(vec!["tcp"]));
    }

    #[test]
    fn editing_sends_only_what_was_said() {
        let sent = |rest: &str| serde_json::to_value(patched(rest)).expect("JSON");
        assert_eq!(sent("--clear region"), serde_json::json!({"region": null}));
        assert_eq!(sent("--add-tag blue --remove-tag eu"), serde_json::json!({"tags": ["blue", "web"]}));
        let thresholds = patched("--cpu-warning 60").thresholds.expect("thresholds");
        assert_eq!((thresholds.cpu.warning, thresholds.disk.warning), (Some(60.0), Some(70.0)));
    }

    #[test]
    fn editing_checks_keeps_the_others() {
        assert_eq!(kinds(&patched("--check tcp=5432").checks), Some(vec!["ping", "http", "tcp"]));
        assert_eq!(kinds(&patched("--remove-check ping").checks), Some(vec!["http"]));
        let checks = patched("--check ping,interval=10s").checks.expect("checks");
        assert_eq!((checks.len(), checks[0].interval_ms), (2, Some(10_000)));
    }
}
