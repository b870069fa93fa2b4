//! `show`, `add`, `remove`, `pkg`, `reset`, `profiles`, `profile` and `preview`: what one wants installed.

use capsule_api::{
    ActiveProfileSet, BeforeAfter, ListChange, Profile, ProfileChange, ProfileCreate, ProfileDiff,
    ProfileDiffQuery, ProfileName, ProfilePatch, ProfilePreview, ProfileVersion, SelectedPackage,
    SelectedStack,
};

use super::{
    Session, ask, inventory,
    stacks::{list as words, why, yes},
};
use crate::{
    args::profiles::{PkgAction, ProfileAction},
    client::{Answer, Precondition, encode},
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Sheet, Tone, View, text},
};

/// Columns of profiles.
const VIEW: View<Profile> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |p, _| Cell::toned(Tone::Name, &p.name) },
        Column { title: "ACTIVE", fit: Fit::Keep, cell: |p, look| yes(p.active, look) },
        Column { title: "KIND", fit: Fit::Keep, cell: |p, _| kind(p).into() },
        Column { title: "DESCRIPTION", fit: Fit::Cut, cell: |p, _| p.description.clone().into() },
        Column { title: "STACKS", fit: Fit::Cut, cell: |p, look| words(&p.stacks, look) },
        Column { title: "PACKAGES", fit: Fit::Wide, cell: |p, look| words(&p.custom_packages, look) },
        Column { title: "EDITOR", fit: Fit::Wide, cell: |p, look| Cell::maybe(p.editor.clone(), look) },
        Column { title: "REVISION", fit: Fit::Wide, cell: |p, _| p.revision.to_string().into() },
    ],
    name: |profile| profile.name.clone(),
    empty: "no profiles",
};

const CHANGE_VIEW: View<ProfileChange> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |c, _| Cell::toned(Tone::Name, &c.profile.name) },
        Column { title: "CHANGED", fit: Fit::Keep, cell: |c, _| c.changed.to_string().into() },
        Column { title: "REVISION", fit: Fit::Number, cell: |c, _| c.profile.revision.to_string().into() },
        Column { title: "ALONG", fit: Fit::Cut, cell: |c, look| words(&c.along, look) },
    ],
    name: |change| change.profile.name.clone(),
    empty: "no change",
};

const STACK_VIEW: View<SelectedStack> = View {
    columns: &[
        Column { title: "STACK", fit: Fit::Keep, cell: |s, _| Cell::toned(Tone::Name, &s.id) },
        Column { title: "TITLE", fit: Fit::Cut, cell: |s, _| s.title.clone().into() },
        Column { title: "WHY", fit: Fit::Cut, cell: |s, _| why(&s.presence).into() },
    ],
    name: |stack| stack.id.clone(),
    empty: "no stacks",
};

const PACKAGE_VIEW: View<SelectedPackage> = View {
    columns: &[
        Column { title: "PACKAGE", fit: Fit::Keep, cell: |p, _| Cell::toned(Tone::Name, &p.attr) },
        Column { title: "FROM", fit: Fit::Cut, cell: |p, look| words(&p.from, look) },
    ],
    name: |package| package.attr.clone(),
    empty: "no packages",
};

const VERSION_VIEW: View<ProfileVersion> = View {
    columns: &[
        Column { title: "REVISION", fit: Fit::Number, cell: |v, _| v.revision.to_string().into() },
        Column { title: "WHEN", fit: Fit::Keep, cell: |v, _| text::moment(v.at).into() },
        Column { title: "WHO", fit: Fit::Keep, cell: |v, _| v.by.clone().into() },
        Column { title: "CHANGE", fit: Fit::Cut, cell: |v, _| v.change.clone().into() },
    ],
    name: |version| version.revision.to_string(),
    empty: "a built-in profile has no history",
};

const DIFF_VIEW: View<ProfileDiff> = View {
    columns: &[
        Column { title: "FROM", fit: Fit::Keep, cell: |d, _| d.from.clone().into() },
        Column { title: "TO", fit: Fit::Keep, cell: |d, _| d.to.clone().into() },
        Column { title: "STACKS", fit: Fit::Cut, cell: |d, _| signed(&d.stacks).join(" ").into() },
        Column { title: "PACKAGES", fit: Fit::Cut, cell: |d, _| signed(&d.packages).join(" ").into() },
    ],
    name: |diff| diff.to.clone(),
    empty: "no difference",
};

const PREVIEW_VIEW: View<ProfilePreview> = View {
    columns: &[
        Column { title: "PROFILE", fit: Fit::Keep, cell: |p, _| p.profile.clone().into() },
        Column { title: "EXPRESSION", fit: Fit::Keep, cell: |p, _| p.expression.clone().into() },
    ],
    name: |preview| preview.profile.clone(),
    empty: "no expression",
};

fn kind(profile: &Profile) -> &'static str {
    if profile.built_in { "built-in" } else { "own" }
}

/// Path of a profile.
pub fn path(name: &str) -> String {
    format!("/v1/profiles/{}", encode(name))
}

/// A profile by name, or the active one.
pub async fn fetch(session: &Session, name: Option<&str>) -> Result<Answer> {
    match name {
        Some(name) => session.client.get(&path(name)).await,
        None => session.client.get("/v1/active-profile").await,
    }
}

/// The name given, or the active profile's.
async fn name_or_active(session: &Session, name: Option<String>) -> Result<String> {
    match name {
        Some(name) => Ok(name),
        None => Ok(fetch(session, None).await?.parse::<Profile>()?.name),
    }
}

/// `show`.
pub async fn show(session: &Session, name: Option<&str>) -> Result<Outcome> {
    session.out.one(&fetch(session, name).await?, &VIEW, page)?;
    Ok(Outcome::Done)
}

/// `profiles`.
pub async fn list(session: &Session) -> Result<Outcome> {
    session.out.list(&session.client.list_all("/v1/profiles", &()).await?, &VIEW)?;
    Ok(Outcome::Done)
}

/// The change that `add` asks for.
pub fn adding(stacks: Vec<String>) -> ProfilePatch {
    ProfilePatch { add_stacks: stacks, ..ProfilePatch::default() }
}

/// The change that `remove` asks for.
pub fn removing(stacks: Vec<String>) -> ProfilePatch {
    ProfilePatch { remove_stacks: stacks, ..ProfilePatch::default() }
}

/// `pkg`.
pub async fn packages(session: &Session, action: PkgAction) -> Result<Outcome> {
    let patch = match action {
        PkgAction::Add { packages } => ProfilePatch { add_packages: packages, ..ProfilePatch::default() },
        PkgAction::Remove { packages } => {
            ProfilePatch { remove_packages: packages, ..ProfilePatch::default() }
        }
    };
    change(session, patch).await
}

/// Changes the active profile.
pub async fn change(session: &Session, patch: ProfilePatch) -> Result<Outcome> {
    let current = fetch(session, None).await?;
    send(session, &current, &patch).await
}

/// `reset`.
pub async fn reset(session: &Session) -> Result<Outcome> {
    let current = fetch(session, None).await?;
    let profile: Profile = current.parse()?;
    ask::confirm(
        session,
        &format!("set the profile {} back to what it was when it was made?", profile.name),
    )?;
    send(session, &current, &ProfilePatch { reset: true, ..ProfilePatch::default() }).await
}

/// Changes a profile as it was read, and says what came of it.
pub async fn send(session: &Session, current: &Answer, patch: &ProfilePatch) -> Result<Outcome> {
    let before: Profile = current.parse()?;
    let etag = inventory::etag(current, before.revision);
    let answer = session.client.patch(&path(&before.name), Precondition::Unchanged(&etag), patch).await?;
    let change: ProfileChange = answer.parse()?;
    for doubt in &change.doubts {
        session.out.warn(&format!("`{}` is not known here: did you mean `{}`?", doubt.given, doubt.nearest));
    }
    if !session.out.is_for_people() {
        session.out.one(&answer, &CHANGE_VIEW, |_, _| {})?;
        return Ok(Outcome::Done);
    }
    let name = &change.profile.name;
    if !change.changed {
        session.out.note(&format!("the profile {name} has it that way already; nothing was changed"));
        return Ok(Outcome::Done);
    }
    if change.copied {
        session.out.note(&format!("{name} was built-in and is a copy of your own now"));
    }
    let along = match change.along.is_empty() {
        true => String::new(),
        false => format!(", and with that {}", change.along.join(", ")),
    };
    session.out.done(&format!("changed the profile {name}{along}"));
    Ok(Outcome::Done)
}

/// `preview`.
pub async fn preview(session: &Session, name: Option<&str>) -> Result<Outcome> {
    let name = name_or_active(session, name.map(str::to_owned)).await?;
    let answer = session.client.get(&format!("{}/preview", path(&name))).await?;
    if session.out.is_for_people() {
        session.out.print(&answer.parse::<ProfilePreview>()?.expression)?;
    } else {
        session.out.one(&answer, &PREVIEW_VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

/// `profile`.
pub async fn run(session: &Session, action: ProfileAction) -> Result<Outcome> {
    match action {
        ProfileAction::Use { name } => {
            let answer = session.client.put("/v1/active-profile", &ActiveProfileSet { name }).await?;
            said(session, &answer, |name| format!("the profile {name} is active"))
        }
        ProfileAction::New { name, copy_from } => create(session, name, copy_from).await,
        ProfileAction::Copy { source, dest } => create(session, dest, Some(source)).await,
        ProfileAction::Import { builtin, new } => import(session, builtin, new).await,
        ProfileAction::Delete { name } => delete(session, &name).await,
        ProfileAction::History { name } => {
            let name = name_or_active(session, name).await?;
            let rows = session.client.list_all(&format!("{}/versions", path(&name)), &()).await?;
            session.out.list(&rows, &VERSION_VIEW)?;
            Ok(Outcome::Done)
        }
        ProfileAction::Diff { name, other, from, to } => {
            let name = name_or_active(session, name).await?;
            diff(session, &name, ProfileDiffQuery { from, to, other }).await
        }
    }
}

async fn create(session: &Session, name: ProfileName, copy_from: Option<String>) -> Result<Outcome> {
    let answer = session.client.post("/v1/profiles", &ProfileCreate { name, copy_from }).await?;
    said(session, &answer, |name| {
        format!("made the profile {name}; `capsulectl profile use {name}` makes it the active one")
    })
}

async fn import(session: &Session, builtin: String, new: Option<ProfileName>) -> Result<Outcome> {
    let name = match new {
        Some(name) => name,
        None => fetch(session, Some(&builtin)).await?.parse::<Profile>()?.name.parse().map_err(
            |error: capsule_api::names::InvalidName| {
                crate::error::Error::usage(error.to_string(), "`capsulectl profiles` lists them")
            },
        )?,
    };
    create(session, name, Some(builtin)).await
}

async fn delete(session: &Session, name: &str) -> Result<Outcome> {
    let current = fetch(session, Some(name)).await?;
    let profile: Profile = current.parse()?;
    if !profile.built_in {
        ask::confirm(session, &format!("delete the profile {} with its history?", profile.name))?;
    }
    let etag = inventory::etag(&current, profile.revision);
    session.client.delete(&path(&profile.name), Precondition::Unchanged(&etag)).await?;
    said(session, &current, |name| format!("deleted the profile {name}"))
}

fn said(session: &Session, answer: &Answer, line: impl Fn(&str) -> String) -> Result<Outcome> {
    if session.out.is_for_people() {
        session.out.done(&line(&answer.parse::<Profile>()?.name));
    } else {
        session.out.one(answer, &VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

async fn diff(session: &Session, name: &str, query: ProfileDiffQuery) -> Result<Outcome> {
    let mut asked = format!("{}/diff", path(name));
    let pairs = [
        ("from", query.from.map(|revision| revision.to_string())),
        ("to", query.to.map(|revision| revision.to_string())),
        ("other", query.other.map(|other| encode(&other))),
    ];
    for (key, value) in pairs {
        if let Some(value) = value {
            let sign = if asked.contains('?') { '&' } else { '?' };
            asked += &format!("{sign}{key}={value}");
        }
    }
    session.out.one(&session.client.get(&asked).await?, &DIFF_VIEW, diff_page)?;
    Ok(Outcome::Done)
}

/// What was added and removed, with its sign.
fn signed(change: &ListChange) -> Vec<String> {
    let added = change.added.iter().map(|name| format!("+{name}"));
    added.chain(change.removed.iter().map(|name| format!("-{name}"))).collect()
}

fn diff_page(diff: &ProfileDiff, sheet: &mut Sheet<'_>) {
    sheet.title(&format!("{} {} {}", diff.from, if sheet.look.unicode { "→" } else { "->" }, diff.to), "");
    let mut same = true;
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    for (label, pair) in [("description", &diff.description), ("editor", &diff.editor)] {
        if let Some(BeforeAfter { before, after }) = pair {
            same = false;
            sheet.field(label, &format!("{}, before: {}", value(after), value(before)));
        }
    }
    let lists = [
        ("Stacks", &diff.stacks),
        ("Sprouts", &diff.sprouts),
        ("Packages", &diff.packages),
        ("Python modules", &diff.python),
        ("Unfree licences", &diff.unfree),
    ];
    for (title, change) in lists {
        let lines = signed(change);
        if lines.is_empty() {
            continue;
        }
        same = false;
        sheet.section(title);
        for line in lines {
            let tone = if line.starts_with('+') { Tone::Good } else { Tone::Bad };
            sheet.line(&format!("  {}", sheet.look.paint(tone, &line)));
        }
    }
    if same {
        sheet.line("  no difference");
    }
}

fn page(profile: &Profile, sheet: &mut Sheet<'_>) {
    let active = if profile.active { ", active" } else { "" };
    sheet.title(&format!("Profile {}", profile.name), &format!("{}{active}", kind(profile)));
    if !profile.description.is_empty() {
        sheet.field("description", &profile.description);
    }
    if let Some(editor) = &profile.editor {
        sheet.field("editor", editor);
    }
    if !profile.sprouts.is_empty() {
        sheet.field("sprouts", &profile.sprouts.join(", "));
    }
    if let Some(updated_at) = profile.updated_at {
        let age = text::age(updated_at, sheet.look.now);
        sheet.field("revision", &format!("{}, changed {age} ago", profile.revision));
    }
    let Some(selection) = &profile.selection else { return };
    if !selection.unfree.is_empty() {
        sheet.field("unfree", &selection.unfree.join(", "));
    }
    if !selection.models.is_empty() {
        sheet.field("models", &selection.models.join(", "));
    }
    sheet.section("Stacks");
    sheet.table(&STACK_VIEW, &selection.stacks);
    sheet.section("Packages");
    sheet.table(&PACKAGE_VIEW, &selection.packages);
    if !selection.python.is_empty() {
        sheet.section("Python modules");
        sheet.table(&PACKAGE_VIEW, &selection.python);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::look::tests::look;

    #[test]
    fn a_profile_and_a_difference_as_pages() {
        let profile: Profile = serde_json::from_value(serde_json::json!({
            "name": "dev", "description": "Full-stack", "built_in": false, "active": true, "revision": 3,
            "stacks": ["machine-learning"], "custom_packages": ["tmux"], "sprouts": [], "unfree": [], "document": "",
            "editor": "vim",
            "selection": {
                "stacks": [
                    {"id": "base", "title": "Base system", "presence": {"reason": "always", "needed_by": []}},
                    {"id": "python", "title": "Python",
                        "presence": {"reason": "needed", "needed_by": ["stack `machine-learning`"]}},
                    {"id": "machine-learning", "title": "Machine Learning",
                        "presence": {"reason": "chosen", "needed_by": []}}
                ],
                "packages": [{"attr": "git", "from": ["stack `base`"]}, {"attr": "tmux", "from": ["package `tmux`"]}],
                "python": [{"attr": "numpy", "from": ["stack `machine-learning`"]}], "unfree": [], "models": []
            }
        }))
        .expect("a profile");
        let list = |added: &[&str], removed: &[&str]| {
            let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
            ListChange { added: texts(added), removed: texts(removed) }
        };
        let diff = ProfileDiff {
            from: "dev@2".to_owned(),
            to: "dev@3".to_owned(),
            description: None,
            editor: Some(BeforeAfter { before: None, after: Some("vim".to_owned()) }),
            stacks: list(&["python"], &["docker"]),
            sprouts: ListChange::default(),
            packages: list(&[], &["docker"]),
            python: ListChange::default(),
            unfree: ListChange::default(),
        };
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&profile, &mut sheet);
        sheet.line("");
        diff_page(&diff, &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}
