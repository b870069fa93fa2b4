//! `edit`: a profile as YAML in the person's own editor. The daemon says whether it can be; until it can, or until the
//! person gives up, the editor opens again on what was typed.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use capsule_api::{Profile, ProfilePatch};

use super::{Session, ask, profiles, xnode_fields::read_text};
use crate::{
    error::{Error, Outcome, Result},
    output::talk,
    settings::{Environment, ProcessEnvironment},
};

/// `edit`.
pub async fn run(session: &Session, name: Option<&str>) -> Result<Outcome> {
    let editor = editor(&ProcessEnvironment)?;
    let current = profiles::fetch(session, name).await?;
    let profile: Profile = current.parse()?;
    let draft = Draft::new(&profile)?;
    loop {
        open(&editor, &draft.0)?;
        let document = read_text(&draft.0, "the profile")?;
        if document == profile.document {
            session.out.note("nothing was changed");
            return Ok(Outcome::Done);
        }
        let patch = ProfilePatch { document: Some(document), ..ProfilePatch::default() };
        match profiles::send(session, &current, &patch).await {
            // Stale and the like cannot be mended in the editor.
            Err(Error::Refused(problem)) if matches!(problem.status, 404 | 422) && ask::may_ask(session) => {
                let error = Error::Refused(problem);
                talk(&format!("capsulectl: {}", error.line()));
                if let Some(hint) = error.hint() {
                    talk(&format!("hint: {}", crate::error::one_line(&hint)));
                }
                ask::confirm(session, "open the editor again? (no: discard the changes)")?;
            }
            done => return done,
        }
    }
}

/// The editor and its arguments.
fn editor(env: &dyn Environment) -> Result<Vec<String>> {
    let line = env.var("VISUAL").or_else(|| env.var("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        return Err(Error::usage("EDITOR names no program", "for example `EDITOR=nano capsulectl edit`"));
    }
    Ok(words)
}

fn open(editor: &[String], path: &Path) -> Result<()> {
    let failed = |source| Error::Local { action: format!("run the editor `{}`", editor[0]), source };
    let status = Command::new(&editor[0]).args(&editor[1..]).arg(path).status().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        message: format!("the editor `{}` failed; nothing was changed", editor[0]),
        hint: Some("EDITOR names another one".to_owned()),
    })
}

/// A file for the editor, gone when this is dropped.
struct Draft(PathBuf);

impl Draft {
    fn new(profile: &Profile) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{}-{}.yaml", profile.name, uuid::Uuid::now_v7()));
        let failed = |source| Error::Local { action: format!("write {}", path.display()), source };
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let draft = Self(path.clone());
        file.write_all(profile.document.as_bytes()).map_err(failed)?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A draft that is left behind in the directory for temporary files harms nobody.
        let _ = fs::remove_file(&self.0);
    }
}
