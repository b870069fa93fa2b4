//! Resource readings as they are now, from memory, and as they were, from telemetry.

use capsule_api::{HistoryFilter, Series, SeriesHistory, SeriesPoint, XNodeMetrics};

use super::{
    UseCaseError,
    history::{Window, moment},
    watching, xnodes,
};
use crate::{
    context::Context,
    model::XNodeKey,
    rules::retention::{self, SeriesSum},
    store::{self, samples},
};

/// The newest reading of an xNode.
pub async fn get(context: &Context, given: &str) -> Result<XNodeMetrics, UseCaseError> {
    let stored = xnodes::stored(&context.store, given).await?;
    Ok(watching::xnode_metrics(context, &stored))
}

/// The series of an xNode in a stretch of time; one without a single value is left out.
pub async fn history(
    context: &Context,
    given: &str,
    filter: &HistoryFilter,
) -> Result<Vec<SeriesHistory>, UseCaseError> {
    let stored = xnodes::stored(&context.store, given).await?;
    let (settings, _) = store::settings::find(&mut *context.store.reader().await?).await?;
    let window = Window::of(filter, &settings, context.clock.now())?;
    let all = read(context, stored.key, &window).await?;
    let wanted = |series: Series| filter.series.is_none_or(|only| only == series);
    let histories = Series::ALL.iter().copied().zip(all);
    Ok(histories
        .filter(|(series, values)| wanted(*series) && !values.is_empty())
        .map(|(series, values)| shown(series, values, &window))
        .collect())
}

/// Values of one series with the moment each begins at.
type Values = Vec<(i64, SeriesSum)>;

/// The values of every series in the order of [`Series::ALL`].
async fn read(context: &Context, key: XNodeKey, window: &Window) -> Result<Vec<Values>, UseCaseError> {
    let mut all = vec![Values::new(); Series::ALL.len()];
    let mut reader = context.store.telemetry_reader().await?;
    let rollups = match window.step_ms() {
        Some(step) => samples::rollups(&mut reader, key, step, window.since_ms, window.until_ms).await?,
        None => Vec::new(),
    };
    for r in &rollups {
        let sum = SeriesSum { count: r.count, min: r.min, avg: r.avg, max: r.max };
        let place = Series::ALL.iter().position(|series| *series == r.series);
        if let Some(values) = place.and_then(|place| all.get_mut(place)) {
            values.push((r.at_ms, sum));
        }
    }
    let from = window.raw_from(rollups.last().map(|rollup| rollup.at_ms));
    for row in samples::raw_history(&mut reader, key, from, window.until_ms).await? {
        for (values, value) in all.iter_mut().zip(row.values) {
            values.extend(value.map(|value| (row.at_ms, SeriesSum::of(value))));
        }
    }
    Ok(all)
}

fn shown(series: Series, values: Values, window: &Window) -> SeriesHistory {
    let as_read = window.step_ms().is_none() && values.len() <= window.limit;
    let (step_ms, values) = if as_read {
        (0, values)
    } else {
        let width_ms = window.reading.width_ms;
        (width_ms, window.newest(retention::sum_series(values, width_ms)))
    };
    let points = values.into_iter().map(|(at_ms, sum)| SeriesPoint {
        at: moment(at_ms),
        min: sum.min,
        avg: sum.avg,
        max: sum.max,
    });
    SeriesHistory { series, step_ms, points: points.collect() }
}
