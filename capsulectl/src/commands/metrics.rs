//! `monitor metrics`: the resources of one server, now and over time.

use capsule_api::{
    DiskRate, DiskUse, HistoryFilter, MemoryUse, NetworkRate, Sample, Series, SeriesHistory, XNodeMetrics,
};
use serde::Serialize;

use super::{Session, health::since, inventory, operations};
use crate::{
    args::monitor::MetricsArgs,
    error::{Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View, parse_rows, text},
};

const BAR: usize = 20;
const GRAPH: usize = 48;

const VIEW: View<XNodeMetrics> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |m, _| m.name.as_str().into() },
        Column { title: "CPU", fit: Fit::Number, cell: |m, look| share_cell(cpu(m.latest.as_ref()), look) },
        Column {
            title: "MEMORY",
            fit: Fit::Number,
            cell: |m, look| share_cell(memory(m.latest.as_ref()), look),
        },
        Column {
            title: "DISK",
            fit: Fit::Number,
            cell: |m, look| share_cell(fullest(m.latest.as_ref()), look),
        },
        Column {
            title: "LOAD",
            fit: Fit::Number,
            cell: |m, look| Cell::maybe(m.latest.as_ref().and_then(|s| s.load).map(|load| load[0]), look),
        },
        Column {
            title: "AT",
            fit: Fit::Keep,
            cell: |m, look| Cell::maybe(m.latest.as_ref().map(|s| s.at), look),
        },
        Column { title: "ERROR", fit: Fit::Cut, cell: |m, look| Cell::maybe(m.error.as_ref(), look) },
    ],
    name: |metrics| metrics.name.to_string(),
    empty: "no reading yet",
};

/// One point of one series, as a row.
#[derive(Serialize)]
struct Row {
    series: Series,
    at: jiff::Timestamp,
    min: f64,
    avg: f64,
    max: f64,
}

const ROWS: View<Row> = View {
    columns: &[
        Column { title: "SERIES", fit: Fit::Keep, cell: |r, _| r.series.as_str().into() },
        Column {
            title: "AT",
            fit: Fit::Keep,
            cell: |r, _| Cell::from(text::moment(r.at)).exactly(r.at.to_string()),
        },
        Column { title: "MIN", fit: Fit::Number, cell: |r, _| value_cell(r.series, r.min) },
        Column { title: "AVG", fit: Fit::Number, cell: |r, _| value_cell(r.series, r.avg) },
        Column { title: "MAX", fit: Fit::Number, cell: |r, _| value_cell(r.series, r.max) },
    ],
    name: |row| row.at.to_string(),
    empty: "no readings in that time",
};

const DISKS: View<DiskUse> = View {
    columns: &[
        Column { title: "MOUNT", fit: Fit::Cut, cell: |d, _| d.mount.clone().into() },
        Column { title: "USED", fit: Fit::Number, cell: |d, _| text::bytes(d.used_bytes as f64).into() },
        Column { title: "SIZE", fit: Fit::Number, cell: |d, _| text::bytes(d.total_bytes as f64).into() },
        Column { title: "SHARE", fit: Fit::Keep, cell: |d, look| bar_cell(d.used_percent, look) },
        Column {
            title: "INODES",
            fit: Fit::Drop(1),
            cell: |d, look| Cell::maybe(d.inodes_used_percent.map(text::percent), look),
        },
        Column { title: "DEVICE", fit: Fit::Drop(2), cell: |d, _| d.device.clone().into() },
    ],
    name: |disk| disk.mount.clone(),
    empty: "no file systems",
};

const NETWORK: View<NetworkRate> = View {
    columns: &[
        Column { title: "INTERFACE", fit: Fit::Keep, cell: |n, _| n.interface.clone().into() },
        Column {
            title: "RECEIVED",
            fit: Fit::Number,
            cell: |n, _| text::rate(n.received_bytes_per_second).into(),
        },
        Column { title: "SENT", fit: Fit::Number, cell: |n, _| text::rate(n.sent_bytes_per_second).into() },
    ],
    name: |rate| rate.interface.clone(),
    empty: "no interfaces",
};

const DISK_IO: View<DiskRate> = View {
    columns: &[
        Column { title: "DEVICE", fit: Fit::Keep, cell: |d, _| d.device.clone().into() },
        Column { title: "READ", fit: Fit::Number, cell: |d, _| text::rate(d.read_bytes_per_second).into() },
        Column {
            title: "WRITTEN",
            fit: Fit::Number,
            cell: |d, _| text::rate(d.written_bytes_per_second).into(),
        },
    ],
    name: |rate| rate.device.clone(),
    empty: "no devices",
};

/// Processor use of a reading, percent.
pub fn cpu(sample: Option<&Sample>) -> Option<f64> {
    sample?.cpu.map(|cpu| cpu.total_percent)
}

/// Memory use of a reading, percent.
pub fn memory(sample: Option<&Sample>) -> Option<f64> {
    sample?.memory.map(|memory| memory.used_percent)
}

/// Use of the fullest file system of a reading, percent.
pub fn fullest(sample: Option<&Sample>) -> Option<f64> {
    sample?.disks.iter().map(|disk| disk.used_percent).max_by(f64::total_cmp)
}

fn share_cell(share: Option<f64>, look: &Look) -> Cell {
    let exact = share.map(|share| share.to_string()).unwrap_or_default();
    Cell::maybe(share.map(text::percent), look).exactly(exact)
}

fn bar_cell(share: f64, look: &Look) -> Cell {
    Cell::from(format!("{} {}", text::bar(share, 10, look), text::percent(share)))
}

fn value_cell(series: Series, value: f64) -> Cell {
    Cell::from(value_text(series, value)).exactly(value.to_string())
}

fn value_text(series: Series, value: f64) -> String {
    match series {
        Series::Cpu | Series::Memory | Series::Swap | Series::Disk => text::percent(value),
        Series::Load => format!("{value:.2}"),
        Series::NetworkReceived | Series::NetworkSent | Series::DiskRead | Series::DiskWritten => {
            text::rate(value)
        }
    }
}

/// `monitor metrics`.
pub async fn run(session: &Session, args: &MetricsArgs) -> Result<Outcome> {
    let path = inventory::path(&args.xnode);
    if args.collect {
        let started = session.client.post(&format!("{path}/metrics/collect"), &serde_json::json!({})).await?;
        if operations::follow(session, &started, &args.wait).await?.is_none() {
            return Ok(Outcome::Done);
        }
    }
    let filter = HistoryFilter {
        since: Some(since(session.out.look.now, args.since)),
        series: args.series,
        ..HistoryFilter::default()
    };
    let history_path = format!("{path}/metrics/history");
    if args.history {
        let rows = session.client.list_all(&history_path, &filter).await?;
        let history: Vec<SeriesHistory> = parse_rows(&rows)?;
        session.out.typed_list(&flat(history), &ROWS)?;
        return Ok(Outcome::Done);
    }
    let answer = session.client.get(&format!("{path}/metrics")).await?;
    let mut history: Vec<SeriesHistory> = Vec::new();
    if session.out.is_for_people() {
        history = parse_rows(&session.client.list_all(&history_path, &filter).await?)?;
    }
    session.out.one(&answer, &VIEW, |metrics, sheet| page(metrics, &history, args.since, sheet))?;
    Ok(Outcome::Done)
}

fn flat(history: Vec<SeriesHistory>) -> Vec<Row> {
    let rows = |one: SeriesHistory| {
        let series = one.series;
        one.points.into_iter().map(move |point| Row {
            series,
            at: point.at,
            min: point.min,
            avg: point.avg,
            max: point.max,
        })
    };
    history.into_iter().flat_map(rows).collect()
}

/// The newest reading of a server and its history, for people.
pub fn page(
    metrics: &XNodeMetrics,
    history: &[SeriesHistory],
    back: std::time::Duration,
    sheet: &mut Sheet<'_>,
) {
    let look = sheet.look;
    let right = match &metrics.latest {
        Some(sample) => format!("read {} ago", text::age(sample.at, look.now)),
        None => "no reading yet".to_owned(),
    };
    sheet.title(metrics.name.as_str(), &right);
    if let Some(error) = &metrics.error {
        sheet.toned_field("last error", Tone::Bad, error);
    }
    if let Some(at) = metrics.next_at {
        sheet.field("next reading", &text::until(at, look.now));
    }
    if let Some(sample) = &metrics.latest {
        now(sample, sheet);
    }
    let history: Vec<&SeriesHistory> = history.iter().filter(|one| !one.points.is_empty()).collect();
    if history.is_empty() {
        return;
    }
    sheet.section(&format!("Last {}", text::span(back)));
    for one in history {
        sheet.line(&format!("  {}", history_line(one, look)));
    }
}

fn now(sample: &Sample, sheet: &mut Sheet<'_>) {
    sheet.section("Now");
    if let Some(cpu) = &sample.cpu {
        let more = format!(
            "{}, iowait {}, steal {}",
            text::count(cpu.cores.into(), "core"),
            text::percent(cpu.iowait_percent),
            text::percent(cpu.steal_percent)
        );
        gauge(sheet, "cpu", cpu.total_percent, &more);
    }
    let sizes = |pool: &MemoryUse| {
        format!("{} of {}", text::bytes(pool.used_bytes as f64), text::bytes(pool.total_bytes as f64))
    };
    for (label, pool) in [("memory", &sample.memory), ("swap", &sample.swap)] {
        if let Some(pool) = pool {
            gauge(sheet, label, pool.used_percent, &sizes(pool));
        }
    }
    if let Some([one, five, fifteen]) = sample.load {
        sheet.field("load", &format!("{one:.2} {five:.2} {fifteen:.2}"));
    }
    if let Some(pressure) = &sample.pressure {
        let part =
            |name: &str, share: Option<f64>| share.map(|share| format!("{name} {}", text::percent(share)));
        let parts = [
            part("cpu", pressure.cpu_percent),
            part("memory", pressure.memory_percent),
            part("io", pressure.io_percent),
        ];
        sheet.field("pressure", &parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
    if let Some(seconds) = sample.uptime_seconds {
        let up = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let processes = sample.processes.map(|count| format!(", {count} processes")).unwrap_or_default();
        sheet.field("up", &format!("{}{processes}", text::span(up)));
    }
    table_section(sheet, "File systems", &DISKS, &sample.disks);
    table_section(sheet, "Network", &NETWORK, &sample.network);
    table_section(sheet, "Disk I/O", &DISK_IO, &sample.disk_io);
}

fn gauge(sheet: &mut Sheet<'_>, label: &str, share: f64, more: &str) {
    let bar = text::bar(share, BAR, sheet.look);
    sheet.field(label, &format!("{bar} {:>6} {more}", text::percent(share)));
}

fn table_section<T>(sheet: &mut Sheet<'_>, title: &str, view: &View<T>, rows: &[T]) {
    if !rows.is_empty() {
        sheet.section(title);
        sheet.table(view, rows);
    }
}

fn history_line(one: &SeriesHistory, look: &Look) -> String {
    let averages: Vec<f64> = one.points.iter().map(|point| point.avg).collect();
    let low = one.points.iter().map(|point| point.min).fold(f64::INFINITY, f64::min);
    let high = one.points.iter().map(|point| point.max).fold(f64::NEG_INFINITY, f64::max);
    // Shares are drawn on their full scale, so that 3 % does not look like an emergency.
    let top = match one.series {
        Series::Cpu | Series::Memory | Series::Swap | Series::Disk => 100.0,
        _ => high,
    };
    let graph = text::sparkline(&averages, GRAPH, 0.0, top, look);
    let padding = " ".repeat(GRAPH - graph.chars().count());
    let numbers = format!("{} to {}", value_text(one.series, low), value_text(one.series, high));
    format!("{:<17}{graph}{padding}  {numbers}", one.series.as_str())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::output::look::tests::look;

    /// A reading with everything.
    pub fn metrics() -> XNodeMetrics {
        serde_json::from_value(serde_json::json!({
            "xnode_id": "01939c3e-0000-7000-8000-000000000001", "name": "web-1", "error": null,
            "next_at": "2026-11-21T12:00:48Z",
            "latest": {
                "at": "2026-11-21T11:59:48Z", "uptime_seconds": 1_036_800.0,
                "cpu": {"total_percent": 23.4, "iowait_percent": 0.1, "steal_percent": 0.0, "cores": 4},
                "memory": {"total_bytes": 16_750_372_454_u64, "used_bytes": 10_200_547_328_u64, "used_percent": 60.9},
                "swap": null, "load": [0.42, 0.38, 0.3],
                "disks": [{"mount": "/", "device": "/dev/sda1", "total_bytes": 42_949_672_960_u64,
                    "used_bytes": 30_064_771_072_u64, "used_percent": 73.0, "inodes_used_percent": 12.0}],
                "network": [{"interface": "eth0", "received_bytes_per_second": 123_456.0,
                    "sent_bytes_per_second": 6_543.0}],
                "disk_io": [], "processes": 212,
                "pressure": {"cpu_percent": 1.5, "memory_percent": 0.0, "io_percent": null}
            }
        }))
        .expect("metrics")
    }

    #[test]
    fn metrics_show_the_newest_reading_and_its_history() {
        let points: Vec<serde_json::Value> = (0..100)
            .map(|at| serde_json::json!({"at": "2026-11-21T11:00:00Z", "min": at, "avg": at, "max": at}))
            .collect();
        let history: Vec<SeriesHistory> = ["cpu", "network_received"]
            .map(|series| {
                serde_json::from_value(serde_json::json!({"series": series, "step_ms": 0, "points": points}))
                    .expect("history")
            })
            .into();
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&metrics(), &history, std::time::Duration::from_secs(86_400), &mut sheet);
        insta::assert_snapshot!(sheet.finish());
    }
}
