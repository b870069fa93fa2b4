//! `migrate`: reads a directory of the earlier Capsule and sends it whole. What of it has a place here is for the daemon
//! to say; the files stay as they are.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use capsule_api::{MigratedFile, MigrationItem, MigrationReport, MigrationRequest};
use jiff::tz::TimeZone;

use super::{Session, import};
use crate::{
    args::exchange::MigrateArgs,
    clock,
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Icon, Sheet, Tone, View, text},
};

/// The daemon takes 64 MiB, of which quotation takes a part.
const MAX_BYTES: u64 = 48 << 20;
/// The daemon takes no more.
const MOST_FILES: usize = 1_000;
/// The directories that the earlier Capsule makes inside its own.
const INNER: [&str; 3] = ["configs", "monitoring_data", "nixos"];

const FILES: View<MigratedFile> = View {
    columns: &[
        Column { title: "FILE", fit: Fit::Keep, cell: |f, _| f.file.clone().into() },
        Column { title: "TAKEN", fit: Fit::Cut, cell: |f, _| Cell::from(taken(f).join("; ")) },
        Column { title: "LEFT", fit: Fit::Number, cell: |f, _| f.left.len().to_string().into() },
    ],
    name: |file| file.file.clone(),
    empty: "no file of the earlier Capsule is there",
};

/// `migrate`.
pub async fn migrate(session: &Session, args: &MigrateArgs) -> Result<Outcome> {
    let directory = args.directory.clone().unwrap_or_else(|| import::at_home("~/.capsule"));
    let files = read(&directory)?;
    if files.is_empty() {
        let message = format!("there is nothing in {}", directory.display());
        return Err(Error::usage(
            message,
            "name the directory of the earlier Capsule: `capsulectl migrate DIR`",
        ));
    }
    let request = MigrationRequest { files, time_zone: time_zone(), dry_run: args.dry_run };
    let answer = session.client.post("/v1/migrations", &request).await?;
    let report: MigrationReport = answer.parse()?;
    if !session.out.is_for_people() {
        if matches!(session.out.format, crate::args::Format::Csv | crate::args::Format::Name) {
            session.out.typed_list(&report.files, &FILES)?;
        } else {
            session.out.typed_one(&report, &EMPTY, |_, _| {})?;
        }
        return Ok(Outcome::Done);
    }
    let mut sheet = Sheet::new(&session.out.look);
    report.files.iter().for_each(|file| show(&mut sheet, file));
    session.out.print(&sheet.finish())?;
    conclude(session, args, &directory, &report);
    Ok(Outcome::Done)
}

/// The whole report has no columns of its own.
const EMPTY: View<MigrationReport> = View { columns: &[], name: |_| String::new(), empty: "nothing" };

fn show(sheet: &mut Sheet<'_>, file: &MigratedFile) {
    sheet.section(&file.file);
    for line in taken(file) {
        let line = sheet.look.paint(Tone::Good, &format!("{} {line}", sheet.look.icon(Icon::Tick)));
        sheet.line(&format!("  {line}"));
    }
    import::leave(sheet, &file.left);
    if file.taken.is_empty() && file.left.is_empty() {
        sheet.line("  nothing to take");
    }
}

/// `3 servers taken, 1 there already`.
fn taken(file: &MigratedFile) -> Vec<String> {
    let line = |count: &capsule_api::MigrationCount| {
        let what = match count.what {
            MigrationItem::XNodes => "server",
            MigrationItem::Lifetimes => "former server",
            MigrationItem::Accounts => "account",
            MigrationItem::Channels => "channel",
            MigrationItem::Settings if 0 < count.created => {
                return "intervals and thresholds taken".to_owned();
            }
            MigrationItem::Settings => return "intervals and thresholds are so already".to_owned(),
        };
        match (count.created, count.present) {
            (created, 0) => format!("{} taken", text::count(created.into(), what)),
            (0, present) => format!("{} there already", text::count(present.into(), what)),
            (created, present) => {
                format!("{} taken, {present} there already", text::count(created.into(), what))
            }
        }
    };
    file.taken.iter().map(line).collect()
}

fn conclude(session: &Session, args: &MigrateArgs, directory: &Path, report: &MigrationReport) {
    let new: u32 = report.files.iter().flat_map(|file| &file.taken).map(|count| count.created).sum();
    match (args.dry_run, new) {
        (true, _) => {
            session.out.note("nothing was done; without --dry-run what is said to be taken is taken")
        }
        (false, 0) => session.out.note("nothing was taken: what has a place here is there already"),
        (false, _) => session.out.done(&format!("took over {}", directory.display())),
    }
    if !args.dry_run && !report.secrets_in.is_empty() {
        let files = report.secrets_in.join(", ");
        session.out.note(&format!("{files}: keys in clear, not needed any more; remove them when all works"));
    }
}

/// The files by their path in the directory; those that are no text of ours are named only.
fn read(directory: &Path) -> Result<BTreeMap<String, Option<String>>> {
    let failed = |path: &Path, source| Error::Local { action: format!("read {}", path.display()), source };
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    let mut wanted = vec![(String::new(), directory.to_owned())];
    while let Some((prefix, here)) = wanted.pop() {
        for entry in std::fs::read_dir(&here).map_err(|source| failed(&here, source))? {
            let path = entry.map_err(|source| failed(&here, source))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                if prefix.is_empty() && INNER.contains(&name.as_str()) {
                    wanted.push((format!("{name}/"), path));
                }
                continue;
            }
            if MOST_FILES <= files.len() {
                let message = format!("{} has more than 1,000 files", directory.display());
                return Err(Error::usage(message, "is it the directory of the earlier Capsule?"));
            }
            let name = format!("{prefix}{name}");
            let text = if is_text(&name) { read_file(&path, &mut bytes)? } else { None };
            files.insert(name, text);
        }
    }
    Ok(files)
}

fn is_text(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    !name.starts_with("nixos/") && matches!(extension, Some("json" | "yml" | "yaml" | "txt"))
}

/// The text; `None` for what the monitor remembered where it is more than can be sent.
fn read_file(path: &PathBuf, bytes: &mut u64) -> Result<Option<String>> {
    let failed = |source| Error::Local { action: format!("read {}", path.display()), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if MAX_BYTES < *bytes + size {
        if path.parent().is_some_and(|parent| parent.ends_with("monitoring_data")) {
            return Ok(None);
        }
        return Err(Error::usage(format!("{} is too large", path.display()), "all files together: 48 MiB"));
    }
    *bytes += size;
    std::fs::read_to_string(path).map(Some).map_err(failed)
}

/// The time zone of this machine by name; without a name, its present distance from UTC.
fn time_zone() -> Option<String> {
    let zone = TimeZone::system();
    if let Some(name) = zone.iana_name() {
        return Some(name.to_owned());
    }
    let seconds = zone.to_offset(clock::now()).seconds();
    // POSIX counts westwards.
    let (sign, distance) = if 0 < seconds { ('-', seconds) } else { ('+', -seconds) };
    Some(format!("<local>{sign}{:02}:{:02}", distance / 3_600, distance / 60 % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_with_its_inner_ones_and_no_others() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in
            ["inventory.json", "inventory.json.backup", "configs/dev.yml", "nixos/flake.nix", "other/x.yml"]
        {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, "{}").expect("written");
        }
        let files = read(dir.path()).expect("read");
        let names: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.is_some())).collect();
        let wanted = [
            ("configs/dev.yml", true),
            ("inventory.json", true),
            ("inventory.json.backup", false),
            ("nixos/flake.nix", false),
        ];
        assert_eq!(names, wanted);
        assert!(read(&dir.path().join("missing")).is_err());
    }
}
