//! Servers that come into the inventory without being made, and leave it without being deleted.

use capsule_api::{Account, AdoptOutcome, AdoptRequest, Adopted, Page, XNode};

use super::{Session, ask, inventory, reconcile::PROVIDER_HOLD, xnode_fields};
use crate::{
    args::reconcile::{AdoptArgs, ForgetArgs},
    client::{Precondition, encode},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Tone, View},
};

const VIEW: View<Adopted> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |a, _| Cell::toned(Tone::Name, a.name.as_str()) },
        Column { title: "OUTCOME", fit: Fit::Keep, cell: |a, _| outcome(a.outcome) },
        Column { title: "ACCOUNT", fit: Fit::Keep, cell: |a, _| a.account.as_str().into() },
        Column { title: "INSTANCE", fit: Fit::Keep, cell: |a, _| a.instance.to_string().into() },
        Column { title: "USD/H", fit: Fit::Number, cell: |a, look| Cell::maybe(a.hourly_cost_micros, look) },
    ],
    name: |adopted| adopted.name.to_string(),
    empty: "nothing to adopt",
};

fn outcome(outcome: AdoptOutcome) -> Cell {
    match outcome {
        AdoptOutcome::Adopted => Cell::toned(Tone::Good, "adopted"),
        AdoptOutcome::AlreadyThere => Cell::toned(Tone::Dim, "already there"),
        AdoptOutcome::WouldAdopt => "would adopt".into(),
    }
}

/// `adopt`.
pub async fn run(session: &Session, args: AdoptArgs) -> Result<Outcome> {
    let body = AdoptRequest {
        account: args.account,
        instances: args.instances,
        tag: args.tag,
        findings: args.finding,
        all_orphans: args.all_orphans,
        name: args.name,
        tags: args.tags,
        ssh: xnode_fields::access(&args.ssh)?,
        dry_run: args.dry_run,
    };
    let answer = session.client.post_held("/v1/adopt", &body, PROVIDER_HOLD).await?;
    let adopted: Page<Adopted> = answer.parse()?;
    session.out.typed_list(&adopted.items, &VIEW)?;
    if args.dry_run {
        session.out.note("nothing was changed");
    }
    Ok(Outcome::Done)
}

/// `forget`.
pub async fn forget(session: &Session, args: &ForgetArgs) -> Result<Outcome> {
    let answer = session.client.get(&inventory::path(&args.xnode)).await?;
    let xnode: XNode = answer.parse()?;
    let left = left_behind(session, &xnode).await?;
    if args.dry_run {
        session.out.note(&format!("would forget {}; {left}; nothing was changed", xnode.name));
        return Ok(Outcome::Done);
    }
    ask::confirm(session, &format!("forget {}? {left}", xnode.name))?;
    let etag = inventory::etag(&answer, xnode.revision);
    let path = inventory::path(&xnode.id.to_string());
    session.client.delete(&path, Precondition::Unchanged(&etag)).await?;
    if session.out.is_for_people() {
        session.out.done(&format!("forgot {}; {left}", xnode.name));
    } else {
        session.out.typed_one(&xnode, &inventory::VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

/// What the provider still has, in words: forgetting ends no bill.
async fn left_behind(session: &Session, xnode: &XNode) -> Result<String> {
    let Some(placement) = &xnode.placement else {
        return Ok("it is not known at a provider".to_owned());
    };
    let account = encode(placement.account.as_str());
    let known: Account = session.client.get(&format!("/v1/accounts/{account}")).await?.parse()?;
    let instance = encode(&placement.instance.to_string());
    let path = format!("/v1/providers/{}/instances/{instance}?account={account}", known.provider);
    let there = format!("{} at {} ({})", placement.instance, known.provider, placement.account);
    let costs = match xnode.hourly_cost_micros {
        Some(cost) => format!("goes on costing ${cost} per hour"),
        None => "goes on costing".to_owned(),
    };
    Ok(match session.client.get_held(&path, PROVIDER_HOLD).await {
        Ok(_) => format!("its server {there} stays and {costs}"),
        Err(Error::Refused(problem)) if problem.status == 404 => format!("{there} is gone already"),
        Err(Error::Refused(problem)) => {
            format!(
                "whether {there} is still there could not be asked ({}); if so it {costs}",
                problem.detail
            )
        }
        Err(error) => return Err(error),
    })
}
