//! `stacks`, `stack` and `sprouts`: what a profile can be made of.

use std::path::Path;

use capsule_api::{Sprout, Stack, StackCreate, StackPresence, StackReason, StacksAdded};

use super::{Session, ask, xnode_fields::read_text};
use crate::{
    args::profiles::StackAction,
    client::{Precondition, encode},
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View},
};

/// Columns of stacks.
const VIEW: View<Stack> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |s, _| Cell::toned(Tone::Name, &s.id) },
        Column { title: "ACTIVE", fit: Fit::Keep, cell: |s, look| active(s.active.as_ref(), look) },
        Column { title: "TITLE", fit: Fit::Cut, cell: |s, _| s.title.clone().into() },
        Column { title: "REQUIRES", fit: Fit::Cut, cell: |s, look| list(&s.requires, look) },
        Column { title: "CATEGORY", fit: Fit::Drop(2), cell: |s, _| s.category.clone().into() },
        Column { title: "OWN", fit: Fit::Drop(1), cell: |s, look| yes(s.own, look) },
        Column { title: "UNFREE", fit: Fit::Wide, cell: |s, look| list(&s.unfree, look) },
        Column { title: "PACKAGES", fit: Fit::Wide, cell: |s, look| list(&s.packages, look) },
        Column { title: "PYTHON", fit: Fit::Wide, cell: |s, look| list(&s.python, look) },
    ],
    name: |stack| stack.id.clone(),
    empty: "no stacks",
};

const SPROUT_VIEW: View<Sprout> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |s, _| Cell::toned(Tone::Name, &s.name) },
        Column { title: "ACTIVE", fit: Fit::Keep, cell: |s, look| yes(s.active, look) },
        Column { title: "TITLE", fit: Fit::Cut, cell: |s, _| s.title.clone().into() },
        Column { title: "BRINGS", fit: Fit::Cut, cell: |s, look| list(&brings(s), look) },
        Column { title: "NEEDS", fit: Fit::Cut, cell: |s, look| list(&s.stacks, look) },
        Column { title: "CATEGORY", fit: Fit::Drop(1), cell: |s, _| s.category.clone().into() },
        Column { title: "UNFREE", fit: Fit::Wide, cell: |s, look| list(&s.unfree, look) },
        Column { title: "NOTE", fit: Fit::Wide, cell: |s, look| Cell::maybe(s.note.clone(), look) },
    ],
    name: |sprout| sprout.name.clone(),
    empty: "no sprouts",
};

/// Words in a row, or the sign for nothing.
pub fn list(words: &[String], look: &Look) -> Cell {
    Cell::maybe((!words.is_empty()).then(|| words.join(", ")), look)
}

/// A yes that stands out from nothing.
pub fn yes(is: bool, look: &Look) -> Cell {
    if is { Cell::toned(Tone::Good, "yes") } else { Cell::maybe(None::<String>, look) }
}

/// Why a stack is there, in words.
pub fn why(presence: &StackPresence) -> String {
    match presence.reason {
        StackReason::Always => "always".to_owned(),
        StackReason::Chosen => "chosen".to_owned(),
        StackReason::Needed => format!("needed by {}", presence.needed_by.join(", ")),
    }
}

fn active(presence: Option<&StackPresence>, look: &Look) -> Cell {
    match presence {
        Some(presence) => Cell::toned(Tone::Good, presence.reason.as_str()),
        None => Cell::maybe(None::<String>, look),
    }
}

fn brings(sprout: &Sprout) -> Vec<String> {
    sprout.packages.iter().cloned().chain(sprout.model.iter().map(|model| format!("model {model}"))).collect()
}

/// `stacks`.
pub async fn list_all(session: &Session) -> Result<Outcome> {
    let rows = session.client.list_all("/v1/stacks", &()).await?;
    session.out.list(&rows, &VIEW)?;
    Ok(Outcome::Done)
}

/// `sprouts`.
pub async fn sprouts(session: &Session) -> Result<Outcome> {
    let rows = session.client.list_all("/v1/sprouts", &()).await?;
    session.out.list(&rows, &SPROUT_VIEW)?;
    Ok(Outcome::Done)
}

fn path(name: &str) -> String {
    format!("/v1/stacks/{}", encode(name))
}

/// `stack`.
pub async fn run(session: &Session, action: StackAction) -> Result<Outcome> {
    match action {
        StackAction::Show { name } => {
            let answer = session.client.get(&path(&name)).await?;
            session.out.one(&answer, &VIEW, page)?;
            Ok(Outcome::Done)
        }
        StackAction::Add { file, replace } => add(session, &file, replace).await,
        StackAction::Remove { name } => {
            let stack: Stack = session.client.get(&path(&name)).await?.parse()?;
            ask::confirm(session, &format!("remove the stack {}?", stack.id))?;
            session.client.delete(&path(&name), Precondition::Any).await?;
            if session.out.is_for_people() {
                session.out.done(&format!("removed the stack {}", stack.id));
            } else {
                session.out.typed_one(&stack, &VIEW, |_, _| {})?;
            }
            Ok(Outcome::Done)
        }
    }
}

async fn add(session: &Session, file: &Path, replace: bool) -> Result<Outcome> {
    let document = read_text(file, "stacks")?;
    let body = StackCreate { document, file: Some(file.display().to_string()), replace };
    let added: StacksAdded = session.client.post("/v1/stacks", &body).await?.parse()?;
    if session.out.is_for_people() {
        for stack in &added.stacks {
            session.out.done(&format!("added the stack {0}; `capsulectl add {0}` uses it", stack.id));
        }
    } else {
        session.out.typed_list(&added.stacks, &VIEW)?;
    }
    Ok(Outcome::Done)
}

fn page(stack: &Stack, sheet: &mut Sheet<'_>) {
    sheet.title(&format!("Stack {}", stack.id), if stack.own { "your own" } else { &stack.category });
    sheet.field("title", &stack.title);
    sheet.field("active", &stack.active.as_ref().map_or_else(|| "no".to_owned(), why));
    for (label, words) in [
        ("requires", &stack.requires),
        ("packages", &stack.packages),
        ("python", &stack.python),
        ("unfree", &stack.unfree),
    ] {
        if !words.is_empty() {
            sheet.field(label, &words.join(", "));
        }
    }
    for (other, why) in &stack.suggests {
        sheet.field("goes with", &format!("{other}: {why}"));
    }
    if !stack.nixos_options.is_empty() {
        sheet.section("On NixOS it sets");
        stack.nixos_options.iter().for_each(|option| sheet.line(&format!("  {option}")));
    }
    if !stack.notes.is_empty() {
        sheet.section("Notes");
        stack.notes.iter().for_each(|note| sheet.line(&format!("  {}", crate::error::one_line(note))));
    }
}
