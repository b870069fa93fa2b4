//! Stacks and sprouts as the caller can choose them, and stacks of the caller's own.

use capsule_api::{EventKind, Sprout, Stack, StackCreate, StacksAdded};
use capsule_nix::profiles as nix;

use super::{
    refuse_long, shelf,
    shelf::{Shelf, read_stacks, refuse_needed},
    shelf_in, shown, target,
};
use crate::{context::Context, model::Caller, store::profiles as rows, usecases::UseCaseError};

/// The most stacks of one user.
const MOST_STACKS: usize = 100;

/// Every stack the caller can choose, and `base`; ours before theirs.
pub async fn list(context: &Context, by: &Caller) -> Result<Vec<Stack>, UseCaseError> {
    let shelf = shelf(context, by).await?;
    all(&shelf)
}

fn all(shelf: &Shelf) -> Result<Vec<Stack>, UseCaseError> {
    let active = shelf.profile(shelf.active())?;
    let selection = nix::select(&shelf.library, &active.profile)?;
    Ok(shelf.library.stacks().iter().map(|stack| shown::stack(shelf, &selection, stack)).collect())
}

/// One stack.
///
/// # Errors
/// [`UseCaseError::NotFound`], with the name that was probably meant.
pub async fn get(context: &Context, by: &Caller, id: &str) -> Result<Stack, UseCaseError> {
    let shelf = shelf(context, by).await?;
    let active = shelf.profile(shelf.active())?;
    let selection = nix::select(&shelf.library, &active.profile)?;
    Ok(shown::stack(&shelf, &selection, shelf.library.stack(id)?))
}

/// Every sprout.
pub async fn sprouts(context: &Context, by: &Caller) -> Result<Vec<Sprout>, UseCaseError> {
    let shelf = shelf(context, by).await?;
    let active = shelf.profile(shelf.active())?;
    let selection = nix::select(&shelf.library, &active.profile)?;
    Ok(shelf.library.sprouts().iter().map(|sprout| shown::sprout(&selection, sprout)).collect())
}

/// Adds the stacks of a file to the caller's own, all of them or none.
///
/// # Errors
/// [`UseCaseError::Unfit`] with file and line; [`UseCaseError::NameTaken`] unless they replace;
/// [`UseCaseError::WrongState`]: the caller has as many as one may.
pub async fn create(context: &Context, by: &Caller, new: StackCreate) -> Result<StacksAdded, UseCaseError> {
    refuse_long(Some(&new.document))?;
    let who = by.clone();
    let file = new.file.unwrap_or_else(|| "stacks.yaml".to_owned());
    context
        .store
        .change(by, "create_stacks", target(&file), move |tx| {
            Box::pin(async move {
                let owned = rows::of_owner_in(tx, who.uid).await?;
                let read = read_stacks(&owned, &file, &new.document, new.replace)?;
                if MOST_STACKS < owned.stacks.len() + read.len() {
                    let reason = format!("one may have {MOST_STACKS} stacks of one's own");
                    return Err(UseCaseError::WrongState(reason));
                }
                for stack in &read {
                    rows::put_stack(tx, who.uid, &stack.id, &stack.document).await?;
                    let told = serde_json::json!({"owner": who.name, "id": stack.id});
                    tx.emit(EventKind::StackChanged, &stack.id, &told).await?;
                }
                let mut stacks = all(&shelf_in(tx, &who).await?)?;
                stacks.retain(|stack| read.iter().any(|new| new.id == stack.id));
                Ok(StacksAdded { stacks })
            })
        })
        .await
}

/// Removes a stack of the caller's own.
///
/// # Errors
/// [`UseCaseError::NotFound`]; [`UseCaseError::WrongState`] for a built-in one; [`UseCaseError::InUse`].
pub async fn delete(context: &Context, by: &Caller, id: &str) -> Result<(), UseCaseError> {
    let (who, id) = (by.clone(), id.to_owned());
    context
        .store
        .change(by, "delete_stack", target(&id), move |tx| {
            Box::pin(async move {
                // Not the whole shelf: this is the way out where own stacks do not go together any more.
                let owned = rows::of_owner_in(tx, who.uid).await?;
                if !owned.stacks.iter().any(|stack| stack.id == id) {
                    let stack = shelf_in(tx, &who).await?.library.stack(&id)?.id.clone();
                    return Err(UseCaseError::WrongState(format!("`{stack}` comes with Capsule: it stays")));
                }
                refuse_needed(&owned, &id)?;
                rows::delete_stack(tx, who.uid, &id).await?;
                let gone = serde_json::json!({"owner": who.name, "id": id, "deleted": true});
                tx.emit(EventKind::StackChanged, &id, &gone).await?;
                Ok(())
            })
        })
        .await
}
