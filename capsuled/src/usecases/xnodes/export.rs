//! The inventory for other programs.

use std::collections::HashMap;

use capsule_api::{ExportFormat, ExportQuery, XNode, XNodeId};

use super::{UseCaseError, not_found, prometheus_targets, shown};
use crate::{
    context::Context,
    model::Caller,
    rules::records::{ansible, csv, ssh_config},
    store::{
        self,
        xnodes::{Filter, StoredKey},
    },
};

/// The port of Prometheus' node exporter.
const NODE_EXPORTER: u16 = 9_100;

/// The inventory in the form asked for.
///
/// # Errors
/// [`UseCaseError::NotFound`] for a host that is not in it; [`UseCaseError::Invalid`] for a host without Ansible.
pub async fn export(context: &Context, by: &Caller, query: &ExportQuery) -> Result<String, UseCaseError> {
    let format = query.format.unwrap_or(ExportFormat::Csv);
    if query.host.is_some() && format != ExportFormat::Ansible {
        return Err(UseCaseError::invalid("host", "only the format `ansible` knows hosts"));
    }
    if format == ExportFormat::Prometheus {
        return Ok(json(&prometheus_targets(context, NODE_EXPORTER).await?));
    }
    let mut reader = context.store.reader().await?;
    let rows = store::xnodes::list(&mut reader, &Filter::default(), i64::MAX).await?;
    let mut paths: HashMap<XNodeId, String> = HashMap::new();
    let mut xnodes: Vec<XNode> = Vec::with_capacity(rows.len());
    for stored in rows {
        if let Some(StoredKey::Path(path)) = stored.ssh_key {
            paths.insert(stored.xnode.id, path);
        }
        xnodes.push(shown(by.role, stored.xnode));
    }
    match format {
        ExportFormat::Csv => {
            let deployed: HashMap<_, _> = store::costs::deployed(&mut reader).await?.into_iter().collect();
            let deployed_at = |xnode: &XNode| deployed.get(&xnode.id).copied().unwrap_or(xnode.created_at);
            Ok(csv::write(xnodes.iter().map(|xnode| (xnode, deployed_at(xnode)))))
        }
        ExportFormat::Ansible => match &query.host {
            None => Ok(json(&ansible::list(&xnodes))),
            Some(host) => {
                let found = xnodes.iter().find(|xnode| ansible::host_name(xnode) == *host);
                found.map(|xnode| json(&ansible::host(xnode))).ok_or_else(|| not_found(host))
            }
        },
        ExportFormat::SshConfig => {
            // A key by path is a file of the daemon's user, of no use to anybody else.
            let own = by.uid == context.own_uid;
            Ok(ssh_config::write(&xnodes, |xnode| paths.get(&xnode.id).map(String::as_str).filter(|_| own)))
        }
        ExportFormat::Json | ExportFormat::Prometheus => Ok(json(&xnodes)),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("wire types serialise") + "\n"
}
