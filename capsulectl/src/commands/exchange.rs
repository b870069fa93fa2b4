//! `export`, `import` and `ssh-config`: files are read and written here, because the daemon opens no path that
//! a request names.

use std::{
    io::{Read, Write},
    path::Path,
};

use capsule_api::{ExportFormat, ExportQuery, ImportReport, ImportRequest};

use super::Session;
use crate::{
    args::exchange::{ExportArgs, ImportArgs, SshConfigAction},
    client::{query_pairs, with_query},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, View},
};

/// The daemon takes 16 MiB, of which quotation takes a part.
const MAX_FILE_BYTES: u64 = 15 << 20;

const REPORT: View<ImportReport> = View {
    columns: &[
        Column { title: "ROWS", fit: Fit::Number, cell: |r, _| Cell::from(r.rows.to_string()) },
        Column { title: "CREATED", fit: Fit::Number, cell: |r, _| r.created.to_string().into() },
        Column { title: "CHANGED", fit: Fit::Number, cell: |r, _| r.changed.to_string().into() },
        Column { title: "UNCHANGED", fit: Fit::Number, cell: |r, _| r.unchanged.to_string().into() },
    ],
    name: |report| report.rows.to_string(),
    empty: "nothing",
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

/// `import`.
pub async fn import(session: &Session, args: &ImportArgs) -> Result<Outcome> {
    let request =
        ImportRequest { text: read(&args.file)?, dry_run: args.dry_run, ..ImportRequest::default() };
    let answer = session.client.post("/v1/inventory/import", &request).await?;
    if !session.out.is_for_people() {
        session.out.one(&answer, &REPORT, |_, _| {})?;
        return Ok(Outcome::Done);
    }
    let ImportReport { rows, created, changed, unchanged, .. } = answer.parse()?;
    let counts = format!("{rows} rows: {created} added, {changed} changed, {unchanged} as before");
    if args.dry_run {
        session.out.note(&format!("{counts} (nothing was done)"));
    } else {
        session.out.done(&counts);
    }
    Ok(Outcome::Done)
}

fn read(file: &Path) -> Result<String> {
    let failed = |source| Error::Local { action: format!("read {}", file.display()), source };
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::usage("the file is larger than 15 MiB", "import it in parts"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::usage("the file is not UTF-8 text", "save it as CSV in UTF-8"))
}
