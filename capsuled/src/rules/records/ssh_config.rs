//! The inventory as an OpenSSH client configuration.
//!
//! Names, addresses and users are letters, digits and `-_.:$` by their types, so none of them can be a
//! pattern, an option or a second word. A jump host is another `Host` of the same file, or a destination. The
//! daemon's own machine is left out: its address means another machine everywhere else.

use capsule_api::{SshKeySource, XNode};

/// The configuration. `key_path` gives the private key of an xNode where the reader can use it.
pub fn write<'a>(xnodes: &'a [XNode], key_path: impl Fn(&'a XNode) -> Option<&'a str>) -> String {
    let mut text =
        "# Written by `capsulectl ssh-config export`. Use it with `Include`, or `ssh -F FILE NAME`.\n"
            .to_owned();
    for xnode in xnodes.iter().filter(|xnode| !xnode.own_host) {
        text.push_str(&format!("\nHost {}\n", xnode.name));
        let mut line = |key: &str, value: &str| text.push_str(&format!("    {key} {value}\n"));
        line("HostName", xnode.address.as_str());
        line("Port", &xnode.ssh.port.to_string());
        if let Some(user) = &xnode.ssh.user {
            line("User", user);
        }
        if let Some(jump) = &xnode.ssh.jump {
            line("ProxyJump", &destination(jump));
        }
        // OpenSSH before 8.7 knows no escape for a quotation mark, so such a path is left out.
        let path =
            key_path(xnode).filter(|path| !path.contains(['"', '\\']) && !path.contains(char::is_control));
        if let Some(path) = path.filter(|_| xnode.ssh.key == Some(SshKeySource::Path)) {
            line("IdentityFile", &format!("\"{}\"", path.replace('%', "%%")));
        }
    }
    text
}

/// A jump host with brackets around a bare IPv6 address, whose last group OpenSSH would take for the port.
fn destination(jump: &str) -> String {
    match jump.split_once('@') {
        Some((user, host)) if host.parse::<std::net::Ipv6Addr>().is_ok() => format!("{user}@[{host}]"),
        _ => jump.to_owned(),
    }
}

#[cfg(test)]
pub(in crate::rules::records) mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;

    /// An xNode that answers at 192.0.2.1.
    pub(in crate::rules::records) fn xnode(name: &str) -> XNode {
        let fields = json!({
            "id": "01939c3e-0000-7000-8000-000000000001", "name": name, "address": "192.0.2.1", "ipv4": null,
            "ipv6": null, "provider": null, "region": null, "placement": null, "status": "running", "tags": [],
            "ssh": {"port": 22, "user": null, "jump": null, "key": null, "host_key_fingerprint": null},
            "hourly_cost_micros": null, "health": "unknown", "health_since": null, "checks": [], "thresholds": {},
            "metrics_interval_ms": null, "own_host": false, "open_alerts": 0, "revision": 1,
            "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:00:00Z",
        });
        serde_json::from_value(fields).expect("an xNode")
    }

    #[test]
    fn openssh_reads_what_we_write() {
        let mut fleet = [xnode("web-1"), xnode("bastion"), xnode("six")];
        (fleet[0].ssh.port, fleet[0].ssh.user, fleet[0].ssh.jump) =
            (2222, Some("ops".to_owned()), Some("bastion".to_owned()));
        fleet[0].ssh.key = Some(SshKeySource::Path);
        fleet[2].address = "2001:db8::1".parse().expect("an address");
        fleet[2].ssh.jump = Some("me@2001:db8::2".to_owned());
        let text = write(&fleet, |_| Some("/srv/my keys/100%/id"));
        insta::assert_snapshot!(text);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &text).expect("written");
        let resolved = |name: &str| {
            let output = Command::new("ssh").arg("-G").arg("-F").arg(file.path()).arg(name).output();
            let Ok(output) = output else {
                eprintln!("no `ssh` here: OpenSSH did not read the configuration");
                return None;
            };
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).expect("text"))
        };
        let Some(web) = resolved("web-1") else { return };
        for line in [
            "hostname 192.0.2.1",
            "port 2222",
            "user ops",
            "proxyjump bastion",
            "identityfile /srv/my keys/100%%/id",
        ] {
            assert!(web.lines().any(|found| found == line), "`{line}` is not in {web}");
        }
        let six = resolved("six").expect("ssh is there");
        assert!(
            six.contains("hostname 2001:db8::1\n") && six.contains("proxyjump me@[2001:db8::2]\n"),
            "{six}"
        );
    }
}
