//! High load for long: which server could be added beside one, and the words to do it. Nothing is made here.

use capsule_api::{Plan, PlanRequest, PlannedOffer};
use jiff::Timestamp;

use crate::{
    context::Context,
    rules::remediation::Case,
    store::{StoreError, xnodes::StoredXNode},
    usecases::{UseCaseError, templates},
};

/// The proposal, or why there is none.
pub(super) async fn propose(
    context: &Context,
    stored: &StoredXNode,
    case: &Case,
    now: Timestamp,
) -> Result<Result<String, String>, StoreError> {
    let planned = plan(context, stored).await;
    let minutes = now.duration_since(case.opened_at).as_mins();
    Ok(match planned {
        Ok(plan) => match plan.offers.first() {
            Some(offer) => Ok(words(stored, case, minutes, offer)),
            None => Err(format!("{} for {minutes} min, and no account offers a server like it", case.kind)),
        },
        Err(UseCaseError::Store(error)) => return Err(error),
        Err(error) => Err(format!("no server could be planned: {error}")),
    })
}

/// What fits that is at least as large: as the template says, or as it was measured.
async fn plan(context: &Context, stored: &StoredXNode) -> Result<Plan, UseCaseError> {
    let template = stored.xnode.placement.as_ref().and_then(|placement| placement.template.as_deref());
    let known = match template {
        Some(template) => templates::get(context, template).await.ok(),
        None => None,
    };
    let (cores, bytes) = match known {
        Some(template) => (Some(template.vcpus), Some(template.memory_mib << 20)),
        None => {
            let sample = context.live.xnode(stored.key).sample;
            let memory = sample.as_ref().and_then(|sample| sample.memory).map(|memory| memory.total_bytes);
            (sample.and_then(|sample| sample.cpu).map(|cpu| cpu.cores), memory)
        }
    };
    // A kernel shows less memory than was bought: what it keeps for itself is missing.
    let gigabytes = bytes.map(|bytes| u32::try_from(bytes >> 30).unwrap_or(u32::MAX).max(1));
    let request = PlanRequest {
        min_cpu: cores.map(|cores| cores.max(1)),
        min_memory_gb: gigabytes,
        ..PlanRequest::default()
    };
    templates::plan(context, &request).await
}

fn words(stored: &StoredXNode, case: &Case, minutes: i64, offer: &PlannedOffer) -> String {
    let tags: Vec<&str> = stored.xnode.tags.iter().map(capsule_api::Tag::as_str).collect();
    let tags = if tags.is_empty() { String::new() } else { format!(" --tags {}", tags.join(",")) };
    let memory_gb = offer.memory_mib / 1_024;
    format!(
        "{} for {minutes} min: `capsulectl deploy --template {} --region {} --account {}{tags}` would add a \
         server ({} CPUs, {memory_gb} GB) for {} USD an hour",
        case.kind, offer.template, offer.region, offer.account, offer.vcpus, offer.usd_hourly
    )
}
