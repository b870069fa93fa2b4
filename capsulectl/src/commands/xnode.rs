//! Servers at their providers: on, off, on again, gone.

use capsule_api::{Leftover, PowerRequest, TerminateRequest};
use serde::Serialize;

use super::{Session, ask, deploy, inventory, manage, operations, templates, tunnel};
use crate::{
    args::{
        deploy::{DeployWaitArgs, ServerArgs},
        xnode::{DeleteArgs, XNodeAction},
    },
    error::{Error, Outcome, Result},
    output::parse_rows,
};

/// `xnode`.
pub async fn run(session: &Session, action: XNodeAction) -> Result<Outcome> {
    match action {
        XNodeAction::Browse(args) => templates::browse(session, &args).await,
        XNodeAction::Deploy { server, auto_configure } => {
            demand(&server, &[("--template", server.template.is_some())])?;
            if auto_configure {
                session.out.note("--auto-configure comes with later work; the server is made without it");
            }
            deploy::server(session, *server).await
        }
        XNodeAction::DeployWithProvider { server } => {
            demand(
                &server,
                &[
                    ("--provider", server.provider.is_some()),
                    ("--template", server.template.is_some()),
                    ("--name", server.name.is_some()),
                ],
            )?;
            deploy::server(session, *server).await
        }
        XNodeAction::Launch(args) => {
            send(session, &args.xnode, "start", &serde_json::json!({}), &args.wait, "running").await
        }
        XNodeAction::Stop(args) => {
            let body = PowerRequest { force: args.force };
            send(session, &args.server.xnode, "stop", &body, &args.server.wait, "stopped").await
        }
        XNodeAction::Restart(args) => {
            let body = PowerRequest { force: args.force };
            send(session, &args.server.xnode, "restart", &body, &args.server.wait, "restarted").await
        }
        XNodeAction::Delete(args) => delete(session, &args).await,
        XNodeAction::Tunnel(args) => tunnel::run(session, args).await,
        XNodeAction::Manage(args) => manage::run(session, &args.xnode).await,
    }
}

fn demand(_: &ServerArgs, needed: &[(&str, bool)]) -> Result<()> {
    let missing: Vec<&str> = needed.iter().filter(|(_, given)| !given).map(|(flag, _)| *flag).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let hint = "`capsulectl deploy` chooses by itself".to_owned();
    Err(Error::usage(format!("{} must be given", missing.join(", ")), hint))
}

async fn send(
    session: &Session,
    xnode: &str,
    what: &str,
    body: &(impl Serialize + Sync),
    wait: &DeployWaitArgs,
    said: &str,
) -> Result<Outcome> {
    let answer = session.client.post(&format!("{}/{what}", inventory::path(xnode)), body).await?;
    match operations::follow(session, &answer, &wait.usual()).await? {
        Some(done) => deploy::finished(session, &done, &format!("{xnode} is {said}, its provider says")),
        None => Ok(Outcome::Done),
    }
}

async fn delete(session: &Session, args: &DeleteArgs) -> Result<Outcome> {
    let xnode = &args.server.xnode;
    let rows = session.client.list_all(&format!("{}/leftovers", inventory::path(xnode)), &()).await?;
    let leftovers: Vec<Leftover> = parse_rows(&rows)?;
    let named = leftovers.iter().map(|left| format!("{} {}", left.kind, left.label)).collect::<Vec<_>>();
    let with = match (named.is_empty(), args.with_volumes) {
        (true, _) => String::new(),
        (false, true) => format!(" with {}", named.join(", ")),
        (false, false) => format!("; {} would go on costing (--with-volumes)", named.join(", ")),
    };
    if args.dry_run {
        session.out.note(&format!("would delete {xnode}{with}; nothing was changed"));
        return Ok(Outcome::Done);
    }
    ask::confirm(session, &format!("delete {xnode} at its provider{with}?"))?;
    let body = TerminateRequest { with_volumes: args.with_volumes };
    send(session, xnode, "terminate", &body, &args.server.wait, "deleted").await
}
