//! `import`: the file is read here, with what it includes and, when asked, the private keys it names, because the
//! daemon opens no path that a request names. What the text means is for the daemon to say.

mod includes;

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use capsule_api::{ImportFormat, ImportLeft, ImportReport, ImportRequest};

use super::{Session, xnode_fields::read_text};
use crate::{
    args::exchange::ImportArgs,
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Icon, Sheet, Tone, View, text},
};

/// The daemon takes 16 MiB, of which quotation takes a part.
const MAX_FILE_BYTES: u64 = 15 << 20;

const REPORT: View<ImportReport> = View {
    columns: &[
        Column { title: "ROWS", fit: Fit::Number, cell: |r, _| Cell::from(r.rows.to_string()) },
        Column { title: "CREATED", fit: Fit::Number, cell: |r, _| r.created.to_string().into() },
        Column { title: "CHANGED", fit: Fit::Number, cell: |r, _| r.changed.to_string().into() },
        Column { title: "UNCHANGED", fit: Fit::Number, cell: |r, _| r.unchanged.to_string().into() },
        Column { title: "LEFT", fit: Fit::Number, cell: |r, _| r.left.len().to_string().into() },
    ],
    name: |report| report.rows.to_string(),
    empty: "nothing",
};

/// `import`.
pub async fn import(session: &Session, args: &ImportArgs) -> Result<Outcome> {
    let text = read(&args.file)?;
    let format = args.format.unwrap_or_else(|| recognise(&args.file, &text));
    refuse_foreign_flags(args, format)?;
    let includes = match format {
        ImportFormat::SshConfig => includes::read(&text, &args.file, MAX_FILE_BYTES)?,
        ImportFormat::Csv | ImportFormat::Terraform => BTreeMap::new(),
    };
    let mut request = ImportRequest {
        format: Some(format),
        text,
        dry_run: args.dry_run,
        account: args.account.clone(),
        includes,
        identity_files: BTreeMap::new(),
    };
    if args.with_keys {
        request.identity_files = keys(session, &request).await?;
    }
    let answer = session.client.post("/v1/inventory/import", &request).await?;
    if !session.out.is_for_people() {
        session.out.one(&answer, &REPORT, |_, _| {})?;
        return Ok(Outcome::Done);
    }
    let ImportReport { rows, created, changed, unchanged, left, .. } = answer.parse()?;
    let what = if format == ImportFormat::Csv { "row" } else { "server" };
    let rows = text::count(rows.into(), what);
    let counts = format!("{rows}: {created} added, {changed} changed, {unchanged} as before");
    if !left.is_empty() {
        let mut sheet = Sheet::new(&session.out.look);
        sheet.section("Left");
        leave(&mut sheet, &left);
        session.out.print(&sheet.finish())?;
    }
    if args.dry_run {
        session.out.note(&format!("{counts} (nothing was done)"));
    } else {
        session.out.done(&counts);
    }
    Ok(Outcome::Done)
}

/// What was not taken: a line for what and where, and one or more for why.
pub fn leave(sheet: &mut Sheet<'_>, left: &[ImportLeft]) {
    let width = sheet.look.width.map_or(usize::MAX, usize::from);
    for ImportLeft { place, what, reason } in left {
        let place = place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let what = sheet.look.paint(Tone::Warn, &crate::error::one_line(what));
        let mark = sheet.look.icon(Icon::Empty);
        sheet.line(&format!("  {mark} {what}{place}"));
        for line in text::wrap(reason, width.saturating_sub(4)) {
            sheet.line(&format!("    {line}"));
        }
    }
}

fn refuse_foreign_flags(args: &ImportArgs, format: ImportFormat) -> Result<()> {
    let refuse = |flag: &str, of: ImportFormat| {
        Err(Error::usage(format!("{flag} is for {of} and this is {format}"), "say --format if it is not so"))
    };
    match format {
        ImportFormat::Terraform if args.with_keys => refuse("--with-keys", ImportFormat::SshConfig),
        ImportFormat::Csv if args.with_keys => refuse("--with-keys", ImportFormat::SshConfig),
        ImportFormat::Csv | ImportFormat::SshConfig if args.account.is_some() => {
            refuse("--account", ImportFormat::Terraform)
        }
        _ => Ok(()),
    }
}

/// The form by the file's name, otherwise by how the text begins.
fn recognise(file: &Path, text: &str) -> ImportFormat {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "csv" => return ImportFormat::Csv,
        "tfstate" => return ImportFormat::Terraform,
        _ => {}
    }
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return ImportFormat::Terraform;
    }
    let first_word = |line: &str| {
        let line = line.trim_start();
        line.split(|c: char| c.is_whitespace() || c == '=').next().unwrap_or_default().to_ascii_lowercase()
    };
    let mut words = text.lines().map(first_word).filter(|word| !word.is_empty() && !word.starts_with('#'));
    // A heading of CSV has a comma in its first word, or is a column's name.
    match words.any(|word| matches!(word.as_str(), "host" | "match" | "include")) {
        true => ImportFormat::SshConfig,
        false => ImportFormat::Csv,
    }
}

/// The private keys that the configuration names, as the daemon finds them in it.
async fn keys(session: &Session, request: &ImportRequest) -> Result<BTreeMap<String, String>> {
    let trial = ImportRequest { dry_run: true, ..request.clone() };
    let report: ImportReport = session.client.post("/v1/inventory/import", &trial).await?.parse()?;
    let mut keys = BTreeMap::new();
    for path in report.identity_files {
        let key = read_text(&at_home(&path), "the private key")?;
        keys.insert(path, key);
    }
    Ok(keys)
}

/// The path with `~` and `%d` as the home directory.
pub fn at_home(path: &str) -> PathBuf {
    let rest = path.strip_prefix("~/").or_else(|| path.strip_prefix("%d/"));
    match (rest, etcetera::home_dir()) {
        (Some(rest), Ok(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
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
    String::from_utf8(bytes).map_err(|_| Error::usage("the file is not UTF-8 text", "save it in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_recognised_by_its_name_or_by_how_it_begins() {
        let csv = "name,ip_address\nhost,192.0.2.1\n";
        for (file, text, format) in [
            ("fleet.csv", "{", ImportFormat::Csv),
            ("terraform.tfstate", "", ImportFormat::Terraform),
            ("-", " \n{\"version\": 4}", ImportFormat::Terraform),
            ("-", csv, ImportFormat::Csv),
            ("config", "# ours\nUser ops\n\nHOST web\n", ImportFormat::SshConfig),
            ("-", "Include fleet\n", ImportFormat::SshConfig),
            ("config", "name\nweb\n", ImportFormat::Csv),
        ] {
            assert_eq!(recognise(Path::new(file), text), format, "{file}: {text}");
        }
    }
}
