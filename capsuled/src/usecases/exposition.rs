//! What we know as Prometheus metrics: the fleet, its checks and resources, and how we are doing ourselves.
//!
//! Written here and not through the metrics recorder, because a recorder remembers every label it ever saw:
//! an xNode that was removed would be exported for ever.

use std::fmt::Write;

use capsule_api::{CheckStatus, Overview};

use super::{UseCaseError, overview};
use crate::{
    context::Context,
    store::xnodes::{self, Filter, StoredXNode},
};

/// One metric family in Prometheus' text format.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    lines: String,
}

impl Family {
    fn new(name: &'static str, kind: &'static str, help: &'static str) -> Self {
        Self { name, kind, help, lines: String::new() }
    }

    /// Labels come from names and closed words, which have nothing that would need escaping.
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a string cannot fail.
        let _ = writeln!(self.lines, "{}{labels} {value}", self.name);
    }

    fn only(mut self, value: f64) -> Self {
        self.add(&[], value);
        self
    }

    fn text(&self) -> String {
        format!("# HELP {0} {1}\n# TYPE {0} {2}\n{3}", self.name, self.help, self.kind, self.lines)
    }
}

/// Everything there is to export, the recorder's own counters included.
pub async fn render(context: &Context) -> Result<String, UseCaseError> {
    let overview = overview::get(context).await?;
    let all = {
        let mut reader = context.store.reader().await?;
        xnodes::list(&mut reader, &Filter::default(), i64::MAX).await?
    };
    let families = daemon(&overview).into_iter().chain(checks(context, &all)).chain(resources(context, &all));
    let own: String = families.map(|family| family.text()).collect();
    Ok(own + &context.metrics.render())
}

fn daemon(overview: &Overview) -> Vec<Family> {
    let mut xnodes = Family::new("capsule_xnodes", "gauge", "xNodes by health.");
    let counts = &overview.health;
    for (health, count) in [
        ("healthy", counts.healthy),
        ("degraded", counts.degraded),
        ("unhealthy", counts.unhealthy),
        ("unknown", counts.unknown),
    ] {
        xnodes.add(&[("health", health)], f64::from(count));
    }
    let mut alerts = Family::new("capsule_alerts_open", "gauge", "Open alerts by severity.");
    for (severity, count) in [
        ("critical", overview.critical_alerts),
        ("warning", overview.warning_alerts),
        ("info", overview.info_alerts),
    ] {
        alerts.add(&[("severity", severity)], f64::from(count));
    }
    let probing = &overview.probing;
    let counter = |name, help, value: u64| Family::new(name, "counter", help).only(value as f64);
    let gauge = |name, help, value: f64| Family::new(name, "gauge", help).only(value);
    vec![
        xnodes,
        alerts,
        gauge("capsule_deliveries_waiting", "Deliveries that wait.", f64::from(overview.waiting_deliveries)),
        gauge(
            "capsule_deliveries_failed_24h",
            "Deliveries given up in the last 24 hours.",
            f64::from(overview.failed_deliveries),
        ),
        gauge(
            "capsule_hourly_cost_usd",
            "What all running xNodes cost per hour.",
            overview.hourly_cost_micros.0 as f64 / 1e6,
        ),
        counter("capsule_probes_total", "Probes carried out.", probing.probes),
        counter(
            "capsule_probes_missed_total",
            "Probes that were due and not started in time.",
            probing.missed,
        ),
        counter("capsule_probes_blind_total", "Probes that failed for reasons of our own.", probing.blind),
        gauge(
            "capsule_probe_start_lag_p99_seconds",
            "99th percentile of recent start lags.",
            probing.start_lag_p99_ms / 1e3,
        ),
        gauge(
            "capsule_probe_results_unwritten",
            "Results that wait to be written.",
            probing.unwritten as f64,
        ),
    ]
}

fn checks(context: &Context, all: &[StoredXNode]) -> Vec<Family> {
    let mut up = Family::new("capsule_check_up", "gauge", "Confirmed state of a check: 1 up, 0 down.");
    let mut latency = Family::new("capsule_check_latency_seconds", "gauge", "Latency of the newest answer.");
    for stored in all {
        for check in &stored.xnode.checks {
            let Some(live) = context.live.check(check.id) else { continue };
            let labels = [
                ("xnode", stored.xnode.name.as_str()),
                ("check", check.name.as_str()),
                ("kind", check.probe.kind().as_str()),
            ];
            match live.state.status {
                CheckStatus::Up => up.add(&labels, 1.0),
                CheckStatus::Down => up.add(&labels, 0.0),
                CheckStatus::Unknown => {}
            }
            if let Some(us) = live.last.and_then(|last| last.latency_us) {
                latency.add(&labels, us as f64 / 1e6);
            }
        }
    }
    vec![up, latency]
}

fn resources(context: &Context, all: &[StoredXNode]) -> Vec<Family> {
    let mut cpu = Family::new("capsule_xnode_cpu_percent", "gauge", "Processor use of all cores.");
    let mut memory = Family::new("capsule_xnode_memory_percent", "gauge", "Memory use.");
    let mut disk = Family::new("capsule_xnode_disk_percent", "gauge", "Use of the fullest file system.");
    for stored in all {
        let Some(sample) = context.live.xnode(stored.key).sample else { continue };
        let labels = [("xnode", stored.xnode.name.as_str())];
        if let Some(used) = sample.cpu {
            cpu.add(&labels, used.total_percent);
        }
        if let Some(used) = sample.memory {
            memory.add(&labels, used.used_percent);
        }
        if let Some(fullest) = sample.disks.iter().map(|disk| disk.used_percent).reduce(f64::max) {
            disk.add(&labels, fullest);
        }
    }
    vec![cpu, memory, disk]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_help_type_and_a_line_for_each_label_set() {
        let mut family = Family::new("capsule_check_up", "gauge", "Up.");
        family.add(&[("xnode", "web-1"), ("check", "http")], 1.0);
        family.add(&[], 0.5);
        let wanted = "# HELP capsule_check_up Up.\n# TYPE capsule_check_up gauge\n\
                      capsule_check_up{xnode=\"web-1\",check=\"http\"} 1\ncapsule_check_up 0.5\n";
        assert_eq!(family.text(), wanted);
    }
}
