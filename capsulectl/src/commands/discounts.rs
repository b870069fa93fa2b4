//! `discount`: what was agreed with a provider.

use capsule_api::{Discount, DiscountSet};

use super::{Session, ask};
use crate::{
    args::costs::DiscountAction,
    client::{Precondition, encode},
    error::{Outcome, Result},
    output::{Cell, Column, Fit, View},
};

const VIEW: View<Discount> = View {
    columns: &[
        Column { title: "SCOPE", fit: Fit::Keep, cell: |d, _| d.scope.as_str().into() },
        Column { title: "NAME", fit: Fit::Keep, cell: |d, _| d.name.clone().into() },
        Column { title: "PERCENT", fit: Fit::Number, cell: |d, _| percent(d.basis_points).into() },
        Column { title: "FROM", fit: Fit::Keep, cell: |d, look| Cell::maybe(d.valid_from, look) },
        Column { title: "UNTIL", fit: Fit::Keep, cell: |d, look| Cell::maybe(d.valid_until, look) },
    ],
    name: |discount| discount.name.clone(),
    empty: "no discounts; set one with `capsulectl discount set PERCENT --provider NAME`",
};

fn percent(basis_points: u32) -> String {
    let text = format!("{}.{:02}", basis_points / 100, basis_points % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `discount` and `cost-report --discounts`.
pub async fn list(session: &Session) -> Result<Outcome> {
    let rows = session.client.list_all("/v1/discounts", &()).await?;
    session.out.list(&rows, &VIEW)?;
    Ok(Outcome::Done)
}

/// `discount`.
pub async fn run(session: &Session, action: Option<DiscountAction>) -> Result<Outcome> {
    match action {
        None | Some(DiscountAction::List) => return list(session).await,
        Some(DiscountAction::Set { percent: basis_points, scope, from, until }) => {
            let (kind, name) = scope.scope();
            let path = format!("/v1/discounts/{kind}/{}", encode(name));
            let set = DiscountSet { basis_points, valid_from: from, valid_until: until };
            let answer = session.client.put(&path, &set).await?;
            if session.out.is_for_people() {
                session.out.done(&format!("{} % off {kind} {name}", percent(basis_points)));
            } else {
                session.out.one(&answer, &VIEW, |_, _| {})?;
            }
        }
        Some(DiscountAction::Remove { scope }) => {
            let (kind, name) = scope.scope();
            ask::confirm(session, &format!("remove the discount of {kind} {name}?"))?;
            let path = format!("/v1/discounts/{kind}/{}", encode(name));
            session.client.delete(&path, Precondition::Any).await?;
            session.out.done(&format!("removed the discount of {kind} {name}"));
        }
    }
    Ok(Outcome::Done)
}
