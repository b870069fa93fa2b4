//! `deliveries`: what was sent, what waits and why.

use capsule_api::{Delivery, DeliveryFilter};

use super::{Session, names::full_id};
use crate::{
    args::records::{DeliveriesAction, DeliveriesArgs},
    client::encode,
    error::{Outcome, Result},
    output::{Cell, Column, Fit, View, text, words},
};

const VIEW: View<Delivery> = View {
    columns: &[
        Column {
            title: "ID",
            fit: Fit::Keep,
            cell: |d, _| Cell::from(d.id.short()).exactly(d.id.to_string()),
        },
        Column { title: "STATE", fit: Fit::Keep, cell: |d, look| words::delivery(d.state, look) },
        Column { title: "CHANNEL", fit: Fit::Keep, cell: |d, _| d.channel.as_str().into() },
        Column {
            title: "CHANGE",
            fit: Fit::Drop(2),
            // An operation is told only when it has ended.
            cell: |d, _| d.change.map_or("ended", |change| change.as_str()).into(),
        },
        Column { title: "SUMMARY", fit: Fit::Cut, cell: |d, _| d.summary.clone().into() },
        Column {
            title: "AGE",
            fit: Fit::Number,
            cell: |d, look| Cell::from(text::age(d.created_at, look.now)).exactly(d.created_at.to_string()),
        },
        Column { title: "TRIES", fit: Fit::Number, cell: |d, _| d.attempts.to_string().into() },
        Column {
            title: "NEXT",
            fit: Fit::Drop(1),
            cell: |d, look| {
                let exact = d.next_at.map(|at| at.to_string()).unwrap_or_default();
                Cell::maybe(d.next_at.map(|at| text::until(at, look.now)), look).exactly(exact)
            },
        },
        Column { title: "REASON", fit: Fit::Cut, cell: |d, look| Cell::maybe(d.reason.as_ref(), look) },
        Column { title: "ALERT", fit: Fit::Wide, cell: |d, look| Cell::maybe(d.alert_id, look) },
        Column { title: "OPERATION", fit: Fit::Wide, cell: |d, look| Cell::maybe(d.operation_id, look) },
    ],
    name: |delivery| delivery.id.to_string(),
    empty: "no deliveries",
};

/// `deliveries`.
pub async fn run(session: &Session, args: DeliveriesArgs) -> Result<Outcome> {
    match args.action {
        None => {
            let filter = DeliveryFilter {
                state: args.state,
                channel: args.channel,
                alert: args.alert,
                ..DeliveryFilter::default()
            };
            let rows = session.client.list_first("/v1/deliveries", &filter, args.limit).await?;
            session.out.list(&rows, &VIEW)?;
        }
        Some(DeliveriesAction::Retry { delivery }) => {
            let id = match delivery.parse::<uuid::Uuid>() {
                Ok(_) => delivery,
                Err(_) => {
                    let rows = session.client.list("/v1/deliveries", &DeliveryFilter::default()).await?;
                    full_id(&delivery, &rows, "delivery")?
                }
            };
            let path = format!("/v1/deliveries/{}/retry", encode(&id));
            let answer = session.client.post(&path, &serde_json::json!({})).await?;
            let delivery: Delivery = answer.parse()?;
            if session.out.is_for_people() {
                session.out.done(&format!(
                    "trying {} again through {}",
                    delivery.id.short(),
                    delivery.channel
                ));
            } else {
                session.out.one(&answer, &VIEW, |_, _| {})?;
            }
        }
    }
    Ok(Outcome::Done)
}
