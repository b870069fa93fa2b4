//! Who changed what.

use capsule_api::AuditEntry;

use super::{Listing, Slice, UseCaseError};
use crate::{context::Context, store::audit};

/// The changes, newest first.
pub async fn list(context: &Context, listing: &Listing) -> Result<Slice<AuditEntry>, UseCaseError> {
    let before = listing.after()?.unwrap_or(i64::MAX);
    let mut reader = context.store.reader().await?;
    let rows = audit::list(&mut reader, before, listing.limit_plus_one()).await?;
    Ok(listing.slice(rows, |entry| entry.seq.to_string()))
}
