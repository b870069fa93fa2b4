//! Profiles: what each user wants installed. What a profile means is decided by `capsule-nix`; here it is read, changed
//! and kept.
//!
//! A profile belongs to the user who asks, by user id, also on a shared daemon: nobody sees or changes another's. The
//! built-in ones are everybody's and never change. Whoever changes one gets a copy of their own under the same name, as
//! the earlier tools had it, and deleting that copy brings the built-in one back. Each revision is kept, the first
//! for ever: to it a reset goes.

mod shelf;
mod shown;
pub mod stacks;

use capsule_api::{
    EventKind, Profile, ProfileChange, ProfileCreate, ProfileDiff, ProfileDiffQuery, ProfilePatch,
    ProfilePreview, ProfileVersion,
};
use capsule_nix::{
    expression,
    nixos::Release,
    profiles::{self as nix, Contents, Edited},
};

use self::shelf::{Known, Shelf};
use super::{Expected, UseCaseError};
use crate::{
    context::Context,
    model::Caller,
    store::{Tx, profiles as rows},
};

const WHAT: &str = "profile";
/// The most profiles of one user.
const MOST_PROFILES: usize = 100;
/// The most of a document that is read, in bytes.
const MOST_DOCUMENT: usize = 256 << 10;
/// How many versions of a profile are kept beside the first.
const KEPT_VERSIONS: i64 = 500;
/// The longest note about a change, in characters.
const LONGEST_CHANGE: usize = 200;

async fn shelf(context: &Context, by: &Caller) -> Result<Shelf, UseCaseError> {
    Shelf::of(rows::of_owner(&mut *context.store.reader().await?, by.uid).await?)
}

async fn shelf_in(tx: &mut Tx, by: &Caller) -> Result<Shelf, UseCaseError> {
    Shelf::of(rows::of_owner_in(tx, by.uid).await?)
}

/// Every profile the caller can use, by name.
pub async fn list(context: &Context, by: &Caller) -> Result<Vec<Profile>, UseCaseError> {
    let shelf = shelf(context, by).await?;
    Ok(shelf.profiles()?.iter().map(|known| shown::profile(&shelf, known)).collect())
}

/// One profile with what it comes to.
///
/// # Errors
/// [`UseCaseError::NotFound`]: the profile, or a stack of it.
pub async fn get(context: &Context, by: &Caller, name: &str) -> Result<Profile, UseCaseError> {
    let shelf = shelf(context, by).await?;
    shown::whole(&shelf, &shelf.profile(name)?)
}

/// The caller's active profile with what it comes to.
///
/// # Errors
/// As [`get`].
pub async fn active(context: &Context, by: &Caller) -> Result<Profile, UseCaseError> {
    let shelf = shelf(context, by).await?;
    shown::whole(&shelf, &shelf.profile(shelf.active())?)
}

/// Makes a profile the caller's active one.
///
/// # Errors
/// [`UseCaseError::NotFound`].
pub async fn set_active(context: &Context, by: &Caller, given: String) -> Result<Profile, UseCaseError> {
    let who = by.clone();
    context
        .store
        .change(by, "set_active_profile", target(&given), move |tx| {
            Box::pin(async move {
                let name = shelf_in(tx, &who).await?.profile(&given)?.profile.name;
                rows::set_active(tx, who.uid, name.as_str()).await?;
                announce(tx, &who, name.as_str()).await
            })
        })
        .await
}

/// What was given, as the audit keeps it.
fn target(given: &str) -> String {
    given.chars().take(64).collect()
}

/// Emits that a profile changed, without what is in it: events are for every reader. Returns it as it is now.
async fn announce(tx: &mut Tx, by: &Caller, name: &str) -> Result<Profile, UseCaseError> {
    let shelf = shelf_in(tx, by).await?;
    let known = shelf.profile(name)?;
    let told = serde_json::json!({
        "owner": by.name, "name": known.profile.name, "revision": known.revision, "active": shelf.is_active(&known),
    });
    tx.emit(EventKind::ProfileChanged, name, &told).await?;
    shown::whole(&shelf, &known)
}

/// Makes a profile.
///
/// # Errors
/// [`UseCaseError::NameTaken`], also by a built-in one that is not what it is copied from; [`UseCaseError::NotFound`]
/// for what it is copied from; [`UseCaseError::WrongState`]: the caller has as many as one may.
pub async fn create(context: &Context, by: &Caller, new: ProfileCreate) -> Result<Profile, UseCaseError> {
    let who = by.clone();
    context
        .store
        .change(by, "create_profile", new.name.to_string(), move |tx| {
            Box::pin(async move {
                let shelf = shelf_in(tx, &who).await?;
                let source = new.copy_from.as_deref().map(|from| shelf.profile(from)).transpose()?;
                let (contents, change) = match &source {
                    Some(source) => {
                        (source.profile.contents.clone(), format!("copy of {}", source.profile.name))
                    }
                    None => (Contents::default(), "new".to_owned()),
                };
                let mut name = new.name.to_string();
                if let Ok(known) = shelf.profile(&name) {
                    let stands_in = known.is_built_in() && source.as_ref() == Some(&known);
                    if !stands_in {
                        return Err(UseCaseError::NameTaken { what: WHAT, name });
                    }
                    name = known.profile.name.to_string();
                }
                write(tx, &shelf, &who, &name, &contents, &change).await?;
                announce(tx, &who, &name).await
            })
        })
        .await
}

/// Writes contents as the profile's next revision.
async fn write(
    tx: &mut Tx,
    shelf: &Shelf,
    by: &Caller,
    name: &str,
    contents: &Contents,
    change: &str,
) -> Result<(), UseCaseError> {
    let is_new = !shelf.owned.profiles.iter().any(|own| own.name.eq_ignore_ascii_case(name));
    if is_new && MOST_PROFILES <= shelf.owned.profiles.len() {
        return Err(UseCaseError::WrongState(format!(
            "there are {MOST_PROFILES} profiles, as many as one may have"
        )));
    }
    let document = serde_json::to_string(contents).expect("names and lists are always JSON");
    let change: String = change.chars().take(LONGEST_CHANGE).collect();
    rows::write(tx, by, name, &document, &change).await?;
    rows::forget_versions(tx, by.uid, name, KEPT_VERSIONS).await?;
    Ok(())
}

/// Changes a profile. A built-in one becomes a copy of the caller's own first.
///
/// # Errors
/// [`UseCaseError::Stale`]; [`UseCaseError::NotFound`] for a stack, or for what is not in the profile;
/// [`UseCaseError::Unfit`] for a package or a document that cannot be; [`UseCaseError::InUse`] for a stack that others
/// need.
pub async fn update(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
    patch: ProfilePatch,
) -> Result<ProfileChange, UseCaseError> {
    let (who, given) = (by.clone(), given.to_owned());
    refuse_long(patch.document.as_deref())?;
    context
        .store
        .change(by, "update_profile", target(&given), move |tx| {
            Box::pin(async move {
                let shelf = shelf_in(tx, &who).await?;
                let known = shelf.profile(&given)?;
                expected.check(WHAT, known.revision)?;
                let first = first_contents(tx, &who, &known).await?;
                let edited = edit(&shelf, &known, first, &patch)?;
                let name = known.profile.name.as_str();
                let changed = edited.contents != known.profile.contents;
                if changed && known.is_built_in() {
                    write(tx, &shelf, &who, name, &known.profile.contents, "copy of the built-in one")
                        .await?;
                }
                let profile = if changed {
                    let shelf = shelf_in(tx, &who).await?;
                    write(tx, &shelf, &who, name, &edited.contents, &summary(&patch)).await?;
                    announce(tx, &who, name).await?
                } else {
                    shown::whole(&shelf, &known)?
                };
                Ok(ProfileChange {
                    profile,
                    changed,
                    copied: changed && known.is_built_in(),
                    along: edited.along.iter().map(ToString::to_string).collect(),
                    doubts: edited.doubts.into_iter().map(shown::doubt).collect(),
                })
            })
        })
        .await
}

fn refuse_long(document: Option<&str>) -> Result<(), UseCaseError> {
    match document {
        Some(text) if MOST_DOCUMENT < text.len() => {
            Err(UseCaseError::invalid("document", format!("it is longer than {} KiB", MOST_DOCUMENT >> 10)))
        }
        _ => Ok(()),
    }
}

/// The contents a profile was made with.
async fn first_contents(tx: &mut Tx, by: &Caller, known: &Known) -> Result<Contents, UseCaseError> {
    let name = known.profile.name.as_str();
    match rows::version_in(tx, by.uid, name, 1).await? {
        Some(document) => Ok(shelf::profile(name, &document)?.contents),
        None => Ok(known.profile.contents.clone()),
    }
}

/// Every part of a patch in its order. Pure: what is refused has changed nothing.
fn edit(shelf: &Shelf, known: &Known, first: Contents, patch: &ProfilePatch) -> Result<Edited, UseCaseError> {
    let library = &shelf.library;
    let mut profile = known.profile.clone();
    let (mut along, mut doubts) = (Vec::new(), Vec::new());
    if patch.reset {
        profile.contents = first;
    }
    if let Some(text) = &patch.document {
        profile.contents = Contents::from_yaml("profile", text, library)?;
    }
    for name in &patch.remove_stacks {
        let edited = nix::remove_stack(library, &profile.contents, name)?;
        profile.contents = edited.contents;
        along.extend(edited.along);
    }
    for name in &patch.add_stacks {
        let edited = nix::add_stack(library, &profile.contents, name)?;
        profile.contents = edited.contents;
        along.extend(edited.along);
    }
    if !patch.remove_packages.is_empty() {
        profile.contents = nix::remove_packages(library, &profile, &names(&patch.remove_packages))?.contents;
    }
    if !patch.add_packages.is_empty() {
        let known = library.known_packages();
        let edited = nix::add_packages(&profile.contents, &names(&patch.add_packages), known)?;
        profile.contents = edited.contents;
        doubts = edited.doubts;
    }
    Ok(Edited { contents: profile.contents, along, doubts })
}

fn names(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

/// A patch in words, for the profile's history.
fn summary(patch: &ProfilePatch) -> String {
    let mut parts = Vec::new();
    if patch.reset {
        parts.push("reset".to_owned());
    }
    if patch.document.is_some() {
        parts.push("edit".to_owned());
    }
    for (word, names) in [
        ("remove", &patch.remove_stacks),
        ("add", &patch.add_stacks),
        ("pkg remove", &patch.remove_packages),
        ("pkg add", &patch.add_packages),
    ] {
        if !names.is_empty() {
            parts.push(format!("{word} {}", names.join(" ")));
        }
    }
    parts.join(", ")
}

/// Removes a profile of the caller's own with its versions. One that stood in for a built-in one uncovers that.
///
/// # Errors
/// [`UseCaseError::Stale`]; [`UseCaseError::WrongState`] for a built-in one; [`UseCaseError::InUse`] for the active one,
/// unless a built-in one of its name takes its place.
pub async fn delete(
    context: &Context,
    by: &Caller,
    given: &str,
    expected: Expected,
) -> Result<(), UseCaseError> {
    let (who, given) = (by.clone(), given.to_owned());
    context
        .store
        .change(by, "delete_profile", target(&given), move |tx| {
            Box::pin(async move {
                let shelf = shelf_in(tx, &who).await?;
                let known = shelf.profile(&given)?;
                let name = known.profile.name.as_str();
                if known.is_built_in() {
                    return Err(UseCaseError::WrongState(format!(
                        "`{name}` is a built-in profile: it stays"
                    )));
                }
                expected.check(WHAT, known.revision)?;
                let uncovers = shelf.library.profile(name).is_ok();
                if shelf.is_active(&known) && !uncovers {
                    return Err(UseCaseError::InUse {
                        what: WHAT,
                        name: format!("`{name}`"),
                        by: "it is the active one".to_owned(),
                        hint: "`capsulectl profile use NAME` makes another one active".to_owned(),
                    });
                }
                rows::delete(tx, who.uid, name).await?;
                let gone = serde_json::json!({"owner": who.name, "name": name, "deleted": true});
                tx.emit(EventKind::ProfileChanged, name, &gone).await?;
                Ok(())
            })
        })
        .await
}

/// The versions of a profile, newest first; none of a built-in one.
///
/// # Errors
/// [`UseCaseError::NotFound`].
pub async fn versions(
    context: &Context,
    by: &Caller,
    given: &str,
) -> Result<Vec<ProfileVersion>, UseCaseError> {
    let name = shelf(context, by).await?.profile(given)?.profile.name;
    Ok(rows::versions(&mut *context.store.reader().await?, by.uid, name.as_str()).await?)
}

/// What differs between two versions of a profile, or between it and another.
///
/// # Errors
/// [`UseCaseError::NotFound`] for a profile, a version, or a stack that is gone; [`UseCaseError::Invalid`] for another
/// profile together with revisions.
pub async fn diff(
    context: &Context,
    by: &Caller,
    given: &str,
    query: ProfileDiffQuery,
) -> Result<ProfileDiff, UseCaseError> {
    let shelf = shelf(context, by).await?;
    let known = shelf.profile(given)?;
    let name = known.profile.name.as_str();
    if let Some(other) = &query.other {
        if query.from.is_some() || query.to.is_some() {
            return Err(UseCaseError::invalid(
                "other",
                "compare with another profile or between revisions, not both",
            ));
        }
        let other = shelf.profile(other)?.profile;
        let diff = nix::diff(&shelf.library, &known.profile, &other)?;
        return Ok(shown::diff(name.to_owned(), other.name.to_string(), diff));
    }
    let to = query.to.unwrap_or(known.revision);
    // Nothing comes before the first version, nor before a built-in profile.
    let from = query.from.unwrap_or(if 1 < to { to - 1 } else { to });
    let mut both = Vec::new();
    for revision in [from, to] {
        both.push(match revision == known.revision {
            true => known.profile.clone(),
            false => {
                let found =
                    rows::version(&mut *context.store.reader().await?, by.uid, name, revision).await?;
                let missing = || UseCaseError::not_found("version", format!("{name}@{revision}"));
                shelf::profile(name, &found.ok_or_else(missing)?)?
            }
        });
    }
    let diff = nix::diff(&shelf.library, &both[0], &both[1])?;
    Ok(shown::diff(format!("{name}@{from}"), format!("{name}@{to}"), diff))
}

/// The expression that is installed for a profile.
///
/// # Errors
/// As [`get`].
pub async fn preview(context: &Context, by: &Caller, given: &str) -> Result<ProfilePreview, UseCaseError> {
    let shelf = shelf(context, by).await?;
    let known = shelf.profile(given)?;
    let selection = nix::select(&shelf.library, &known.profile)?;
    let expression = expression::expression(&selection, &Release::default()).default.text;
    Ok(ProfilePreview { profile: known.profile.name.to_string(), expression })
}
