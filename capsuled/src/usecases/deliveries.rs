//! What was sent, what waits and why. Sending is the outbox's work.

use capsule_api::{Delivery, DeliveryFilter, DeliveryId, EventKind};

use super::{Listing, Slice, UseCaseError};
use crate::{context::Context, model::Caller, store::deliveries};

/// The deliveries that match, newest first.
pub async fn list(
    context: &Context,
    filter: &DeliveryFilter,
    listing: &Listing,
) -> Result<Slice<Delivery>, UseCaseError> {
    let filter = deliveries::Filter {
        state: filter.state,
        channel: filter.channel.clone(),
        alert: filter.alert,
        id: None,
        before: listing.after()?,
    };
    let mut reader = context.store.reader().await?;
    let rows = deliveries::list(&mut reader, &filter, listing.limit_plus_one()).await?;
    let slice = listing.slice(rows, |(seq, _)| seq.to_string());
    Ok(Slice { items: slice.items.into_iter().map(|(_, delivery)| delivery).collect(), next: slice.next })
}

/// Makes a delivery that waits or was given up due now.
///
/// # Errors
/// [`UseCaseError::WrongState`] when it was sent.
pub async fn retry(context: &Context, by: &Caller, id: DeliveryId) -> Result<Delivery, UseCaseError> {
    let absent = move || UseCaseError::not_found("delivery", id);
    let delivery = context
        .store
        .change(by, "retry_delivery", id.to_string(), move |tx| {
            Box::pin(async move {
                deliveries::find_in(tx, id).await?.ok_or_else(absent)?;
                if !deliveries::retry(tx, id).await? {
                    return Err(UseCaseError::WrongState("the delivery was sent already".to_owned()));
                }
                let delivery = deliveries::find_in(tx, id).await?.ok_or_else(absent)?;
                tx.emit(EventKind::DeliveryChanged, &id.to_string(), &delivery).await?;
                Ok(delivery)
            })
        })
        .await?;
    context.wakes.outbox.ring();
    Ok(delivery)
}
