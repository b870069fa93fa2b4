//! Health as it is now, from memory, and as it was, from telemetry.

use capsule_api::{Check, CheckName, HistoryFilter, Outcome, ProbePoint, XNodeFilter, XNodeHealth};

use super::{
    Listing, Slice, UseCaseError,
    history::{Window, moment},
    watching, xnodes,
};
use crate::{
    context::Context,
    model::CheckKey,
    rules::retention::{self, ProbeSum},
    store::{
        self, checks,
        probes::{self, RawResult},
        xnodes::StoredXNode,
    },
};

/// The health of one xNode.
pub async fn get(context: &Context, given: &str) -> Result<XNodeHealth, UseCaseError> {
    let stored = xnodes::stored(&context.store, given).await?;
    Ok(watching::xnode_health(context, &stored))
}

/// The health of the xNodes that match, by name.
pub async fn list(
    context: &Context,
    filter: &XNodeFilter,
    listing: &Listing,
) -> Result<Slice<XNodeHealth>, UseCaseError> {
    let slice = xnodes::matching(&context.store, filter, listing).await?;
    let items = slice.items.iter().map(|stored| watching::xnode_health(context, stored)).collect();
    Ok(Slice { items, next: slice.next })
}

/// What the probes of an xNode found in a stretch of time, check by check, oldest first.
pub async fn history(
    context: &Context,
    given: &str,
    filter: &HistoryFilter,
) -> Result<Vec<ProbePoint>, UseCaseError> {
    let stored = xnodes::stored(&context.store, given).await?;
    let (settings, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    let window = Window::of(filter, &settings, context.clock.now())?;
    let states = checks::states(&mut *context.store.reader().await?).await?;
    let mut points = Vec::new();
    for check in wanted(&stored, filter.check.as_deref())? {
        if let Some((key, ..)) = states.get(&check.id) {
            points.extend(of_check(context, *key, &check.name, &window).await?);
        }
    }
    Ok(points)
}

/// The checks asked for: all, or the one with this name or id.
fn wanted<'a>(stored: &'a StoredXNode, given: Option<&str>) -> Result<Vec<&'a Check>, UseCaseError> {
    let checks = &stored.xnode.checks;
    let Some(given) = given else { return Ok(checks.iter().collect()) };
    let found = checks.iter().find(|check| check.name.as_str() == given || check.id.to_string() == given);
    let absent = || UseCaseError::not_found("check", given);
    Ok(vec![found.ok_or_else(absent)?])
}

async fn of_check(
    context: &Context,
    key: CheckKey,
    name: &CheckName,
    window: &Window,
) -> Result<Vec<ProbePoint>, UseCaseError> {
    let mut reader = context.store.telemetry_reader().await?;
    let rollups = match window.step_ms() {
        Some(step) => probes::rollups(&mut reader, key, step, window.since_ms, window.until_ms).await?,
        None => Vec::new(),
    };
    let from = window.raw_from(rollups.last().map(|rollup| rollup.at_ms));
    let raw = probes::raw_history(&mut reader, key, from, window.until_ms).await?;
    if rollups.is_empty() && raw.len() <= window.limit {
        return Ok(single_results(name, raw).collect());
    }
    let width_ms = window.reading.width_ms;
    let rollups = rollups.iter().map(|r| (r.at_ms, ProbeSum::from_rollup(r.probes, r.passed, r.latency_us)));
    let raw = raw.iter().map(|result| {
        let mut sum = ProbeSum::default();
        sum.add(result.outcome, result.latency_us);
        (result.at_ms, sum)
    });
    let sums = retention::sum_probes(rollups.chain(raw), width_ms);
    let points = sums.into_iter().map(|(at_ms, sum)| stretch(name, at_ms, width_ms, &sum));
    Ok(window.newest(points.collect()))
}

fn stretch(name: &CheckName, at_ms: i64, span_ms: i64, sum: &ProbeSum) -> ProbePoint {
    let latency = sum.latency_us();
    ProbePoint {
        check: name.clone(),
        at: moment(at_ms),
        span_ms,
        probes: sum.probes,
        passed: sum.passed,
        latency_min_us: latency.map(|[min, ..]| min),
        latency_avg_us: latency.map(|[_, avg, _]| avg),
        latency_max_us: latency.map(|[.., max]| max),
        detail: None,
    }
}

/// Results one by one. Telemetry keeps what a result said only where it differs from the one before.
fn single_results(name: &CheckName, results: Vec<RawResult>) -> impl Iterator<Item = ProbePoint> {
    let mut said = None;
    results.into_iter().map(move |result| {
        said = result.detail.or_else(|| said.take());
        ProbePoint {
            check: name.clone(),
            at: moment(result.at_ms),
            span_ms: 0,
            probes: u32::from(result.outcome != Outcome::Blind),
            passed: u32::from(result.outcome == Outcome::Up),
            latency_min_us: result.latency_us,
            latency_avg_us: result.latency_us,
            latency_max_us: result.latency_us,
            detail: said.clone(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(outcome: Outcome, detail: Option<&str>) -> RawResult {
        RawResult { at_ms: 0, outcome, latency_us: None, detail: detail.map(str::to_owned) }
    }

    #[test]
    fn a_result_that_said_the_same_as_before_shows_it_again() {
        let name = "http".parse().expect("name");
        let results = vec![
            result(Outcome::Up, Some("200 OK")),
            result(Outcome::Up, None),
            result(Outcome::Down, Some("500")),
        ];
        let said: Vec<_> = single_results(&name, results).map(|point| point.detail).collect();
        assert_eq!(said, [Some("200 OK".to_owned()), Some("200 OK".to_owned()), Some("500".to_owned())]);
    }
}
