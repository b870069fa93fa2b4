//! The inventory as Ansible asks a dynamic inventory for it (`--list` with `_meta`, `--host`).
//!
//! Group names may hold letters, digits and underscores only. Two labels that would become one name stay two
//! groups, and no group has the name of a host.

use std::collections::{BTreeMap, BTreeSet};

use capsule_api::XNode;
use serde_json::{Map, Value, json};

/// Names that mean something to Ansible.
const RESERVED: [&str; 2] = ["all", "ungrouped"];

/// What `--list` answers.
pub fn list(xnodes: &[XNode]) -> Value {
    let hosts: BTreeSet<String> = xnodes.iter().map(host_name).collect();
    let mut labels: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for xnode in xnodes {
        for label in labels_of(xnode) {
            labels.entry(label).or_default().push(host_name(xnode));
        }
    }
    let mut groups = Map::new();
    for ((kind, label), members) in labels {
        let name =
            free_name(&format!("{kind}_{label}"), |name| hosts.contains(name) || groups.contains_key(name));
        groups.insert(name, json!({"hosts": members}));
    }
    let children: Vec<&String> = groups.keys().collect();
    let all = json!({"hosts": hosts, "children": children});
    let hostvars: Map<String, Value> = xnodes.iter().map(|xnode| (host_name(xnode), host(xnode))).collect();
    groups.insert("all".to_owned(), all);
    groups.insert("_meta".to_owned(), json!({"hostvars": hostvars}));
    Value::Object(groups)
}

/// What `--host` answers: the xNode's variables.
pub fn host(xnode: &XNode) -> Value {
    let mut vars = json!({
        "ansible_host": xnode.address,
        "ansible_port": xnode.ssh.port,
        "capsule_id": xnode.id,
        "capsule_name": xnode.name,
        "capsule_status": xnode.status,
        "capsule_health": xnode.health,
        "capsule_tags": xnode.tags,
    });
    if let Some(user) = &xnode.ssh.user {
        vars["ansible_user"] = json!(user);
    }
    if let Some(jump) = &xnode.ssh.jump {
        vars["ansible_ssh_common_args"] = json!(format!("-o ProxyJump={jump}"));
    }
    if xnode.own_host {
        vars["ansible_connection"] = json!("local");
    }
    for (name, label) in [("capsule_provider", &xnode.provider), ("capsule_region", &xnode.region)] {
        if let Some(label) = label {
            vars[name] = json!(label);
        }
    }
    vars
}

/// What Ansible calls an xNode: its name, unless that means something to Ansible.
pub fn host_name(xnode: &XNode) -> String {
    let name = xnode.name.to_string();
    if RESERVED.contains(&name.as_str()) { format!("{name}.xnode") } else { name }
}

fn labels_of(xnode: &XNode) -> Vec<(&'static str, String)> {
    let mut labels = vec![("status", xnode.status.to_string()), ("health", xnode.health.to_string())];
    labels.extend(xnode.provider.as_ref().map(|label| ("provider", label.to_string())));
    labels.extend(xnode.region.as_ref().map(|label| ("region", label.to_string())));
    labels.extend(xnode.tags.iter().map(|tag| ("tag", tag.to_string())));
    labels
}

/// The text with everything but letters and digits as `_`, and a number where that is taken.
fn free_name(text: &str, taken: impl Fn(&str) -> bool) -> String {
    let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let numbered = (2..).map(|n| format!("{plain}_{n}"));
    let mut names = std::iter::once(plain.clone()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::records::ssh_config::tests::xnode;

    #[test]
    fn groups_never_clash_with_each_other_or_with_hosts() {
        let mut fleet = [xnode("web-1"), xnode("tag_eu"), xnode("all")];
        fleet[0].tags = vec!["a-b".parse().expect("a tag"), "a.b".parse().expect("a tag")];
        fleet[1].tags = vec!["eu".parse().expect("a tag")];
        let listed = list(&fleet);
        assert_eq!(listed["tag_a_b"]["hosts"], json!(["web-1"]));
        assert_eq!(listed["tag_a_b_2"]["hosts"], json!(["web-1"]));
        assert_eq!(listed["tag_eu_2"]["hosts"], json!(["tag_eu"]));
        assert_eq!(listed["all"]["hosts"], json!(["all.xnode", "tag_eu", "web-1"]));
        assert_eq!(listed["_meta"]["hostvars"]["all.xnode"]["capsule_name"], "all");
    }

    #[test]
    fn a_host_has_what_a_login_needs() {
        let mut one = xnode("web-1");
        (one.ssh.port, one.ssh.user, one.ssh.jump) =
            (2222, Some("ops".to_owned()), Some("bastion".to_owned()));
        let vars = host(&one);
        assert_eq!((&vars["ansible_host"], &vars["ansible_port"]), (&json!("192.0.2.1"), &json!(2222)));
        assert_eq!(vars["ansible_ssh_common_args"], "-o ProxyJump=bastion");
        assert_eq!(host(&xnode("web-2")).get("ansible_user"), None);
    }
}
