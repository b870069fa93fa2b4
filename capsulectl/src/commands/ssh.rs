//! `ssh trust`: accepting a changed host key is a decision of a person, never of a program.

use capsule_api::{XNode, XNodePatch};

use super::{Session, ask, inventory};
use crate::{
    args::records::SshAction,
    client::Precondition,
    error::{Outcome, Result},
};

/// `ssh`.
pub async fn run(session: &Session, action: SshAction) -> Result<Outcome> {
    let SshAction::Trust { xnode, host_key } = action;
    let current = session.client.get(&inventory::path(&xnode)).await?;
    let xnode: XNode = current.parse()?;
    let pinned = xnode.ssh.host_key_fingerprint.as_deref().unwrap_or("none");
    let what = match &host_key {
        Some(_) => "pin the given host key",
        None => "pin whatever host key the server shows next",
    };
    ask::confirm(session, &format!("{what} for {}? The pinned one is {pinned}.", xnode.name))?;
    let patch = XNodePatch { ssh_host_key: Some(host_key), ..XNodePatch::default() };
    let etag = inventory::etag(&current, xnode.revision);
    let path = inventory::path(&xnode.id.to_string());
    let answer = session.client.patch(&path, Precondition::Unchanged(&etag), &patch).await?;
    if session.out.is_for_people() {
        session.out.done(&format!(
            "{} will be trusted with {}",
            xnode.name,
            match patch.ssh_host_key {
                Some(Some(_)) => "the given key",
                _ => "the key it shows next",
            }
        ));
    } else {
        session.out.one(&answer, &inventory::VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}
