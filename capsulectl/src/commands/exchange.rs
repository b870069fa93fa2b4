//! `export` and `ssh-config`: files are written here, because the daemon opens no path that a request names.

use std::{io::Write, path::Path};

use capsule_api::{ExportFormat, ExportQuery};

use super::Session;
use crate::{
    args::exchange::{ExportArgs, SshConfigAction},
    client::{query_pairs, with_query},
    error::{Error, Outcome, Result},
};

/// `export`.
pub async fn export(session: &Session, args: &ExportArgs) -> Result<Outcome> {
    let format = args.format();
    if args.list && format != ExportFormat::Ansible {
        return Err(Error::usage("only the format ansible knows --list", "leave --list or --format out"));
    }
    write(session, args.file.as_deref(), ExportQuery { format: Some(format), host: args.host.clone() }).await
}

/// `ssh-config`.
pub async fn ssh_config(session: &Session, action: &SshConfigAction) -> Result<Outcome> {
    let SshConfigAction::Export { file } = action;
    write(session, file.as_deref(), ExportQuery { format: Some(ExportFormat::SshConfig), host: None }).await
}

async fn write(session: &Session, file: Option<&Path>, query: ExportQuery) -> Result<Outcome> {
    let answer = session.client.get(&with_query("/v1/inventory/export", &query_pairs(&query))).await?;
    let Some(file) = file.filter(|file| *file != Path::new("-")) else {
        session.out.print(&answer.text)?;
        return Ok(Outcome::Done);
    };
    let failed = |source| Error::Local { action: format!("write {}", file.display()), source };
    let written = std::fs::File::create(file).and_then(|mut out| {
        out.write_all(answer.text.as_bytes())?;
        out.sync_all()
    });
    written.map_err(failed)?;
    session.out.done(&format!("wrote {}", file.display()));
    Ok(Outcome::Done)
}
