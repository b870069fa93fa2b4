//! Own discounts: what their owner has agreed with a provider, taken off in reports.

use capsule_api::{AccountName, Discount, DiscountScope, DiscountSet, EventKind, Label, Tag};
use serde_json::json;

use crate::{context::Context, model::Caller, store, usecases::UseCaseError};

/// The whole price.
const WHOLE: u32 = 10_000;

/// Every discount.
pub async fn discounts(context: &Context) -> Result<Vec<Discount>, UseCaseError> {
    Ok(store::costs::discounts(&mut *context.store.reader().await?).await?)
}

/// Sets a discount.
///
/// # Errors
/// [`UseCaseError::Invalid`] for an impossible share, validity or name.
pub async fn set_discount(
    context: &Context,
    by: &Caller,
    scope: DiscountScope,
    name: String,
    set: DiscountSet,
) -> Result<Discount, UseCaseError> {
    if !(1..=WHOLE).contains(&set.basis_points) {
        return Err(UseCaseError::invalid("basis_points", "it must be 1 to 10,000"));
    }
    if set.valid_from.zip(set.valid_until).is_some_and(|(from, until)| until <= from) {
        return Err(UseCaseError::invalid("valid_until", "it must be after `valid_from`"));
    }
    refuse_name(scope, &name)?;
    let discount = context
        .store
        .change(by, "set_discount", format!("{scope} {name}"), move |tx| {
            Box::pin(async move {
                store::costs::set_discount(tx, scope, &name, &set).await?;
                let DiscountSet { basis_points, valid_from, valid_until } = set;
                let discount = Discount { scope, name, basis_points, valid_from, valid_until };
                let subject = format!("discounts/{scope}/{}", discount.name);
                tx.emit(EventKind::SettingsChanged, &subject, &discount).await?;
                Ok::<_, UseCaseError>(discount)
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(discount)
}

fn refuse_name(scope: DiscountScope, name: &str) -> Result<(), UseCaseError> {
    let fault = match scope {
        DiscountScope::Provider => name.parse::<Label>().err(),
        DiscountScope::Account => name.parse::<AccountName>().err(),
        DiscountScope::Tag => name.parse::<Tag>().err(),
    };
    fault.map_or(Ok(()), |error| Err(UseCaseError::invalid("name", error.to_string())))
}

/// Removes a discount.
pub async fn delete_discount(
    context: &Context,
    by: &Caller,
    scope: DiscountScope,
    name: String,
) -> Result<(), UseCaseError> {
    context
        .store
        .change(by, "delete_discount", format!("{scope} {name}"), move |tx| {
            Box::pin(async move {
                if !store::costs::delete_discount(tx, scope, &name).await? {
                    return Err(UseCaseError::not_found("discount", format!("{scope}/{name}")));
                }
                let gone = json!({"scope": scope, "name": name, "basis_points": null});
                tx.emit(EventKind::SettingsChanged, &format!("discounts/{scope}/{name}"), &gone).await?;
                Ok(())
            })
        })
        .await?;
    context.wakes.inventory_changed();
    Ok(())
}
