//! Problems that readings show: processor, memory, disks, each against its thresholds.
//!
//! A threshold has to be exceeded for a while before it is told, and the value has to fall clearly below it
//! before it is not. The timer of each measure is a [`Condition`], which the caller keeps: warning and
//! critical run separately, so a value that is critical for a second does not skip the wait. A pending timer
//! starts again when the value falls below the threshold; one that was told lasts through the hysteresis.

use std::collections::BTreeMap;

use capsule_api::{AlertKind, Cause, Sample, Severity, Threshold, Thresholds};
use jiff::{SignedDuration, Timestamp};

use super::{Look, Verdict, as_it_is, draft, words};
use crate::model::Condition;

const KINDS: [AlertKind; 3] = [AlertKind::HighCpu, AlertKind::HighMemory, AlertKind::LowDisk];
const INODES: &str = "inodes:";
/// How long after its moment a timer is looked at without a new reading, so that the reading which is due at
/// that very moment has its say first.
const READING_FIRST: SignedDuration = SignedDuration::from_secs(5);

/// One measured share.
struct Measure {
    label: String,
    value: f64,
}

/// Drafts, conditions and the next look for everything that is measured. While the host is down nothing is
/// judged: open alerts stay, timers that were running start again later.
pub(super) fn judge(look: &Look, host_is_down: bool, verdict: &mut Verdict) {
    if !host_is_down {
        for kind in KINDS {
            judge_kind(look, kind, verdict);
        }
        return;
    }
    let mut unsuppressed = Verdict::default();
    for kind in KINDS {
        judge_kind(look, kind, &mut unsuppressed);
        match look.open(kind) {
            Some(alert) => {
                verdict.drafts.push(as_it_is(alert));
                let conditions = look.facts.conditions.iter().filter(|condition| condition.kind == kind);
                verdict.conditions.extend(conditions.filter_map(told_only));
            }
            None if unsuppressed.drafts.iter().any(|draft| draft.kind == kind) => {
                verdict.suppressed.push(kind);
            }
            None => {}
        }
    }
}

/// A condition without the timers that have not led to anything yet.
fn told_only(condition: &Condition) -> Option<Condition> {
    let told = condition.told?;
    let critical_since = condition.critical_since.filter(|_| told == Severity::Critical);
    Some(Condition { critical_since, ..condition.clone() })
}

fn judge_kind(look: &Look, kind: AlertKind, verdict: &mut Verdict) {
    let conditions = look.facts.conditions.iter().filter(|condition| condition.kind == kind);
    let Some((sample, measures)) = look.facts.sample.as_ref().and_then(|s| Some((s, measures(s, kind)?)))
    else {
        verdict.conditions.extend(conditions.cloned());
        verdict.drafts.extend(look.open(kind).map(as_it_is));
        return;
    };
    let mut causes = Vec::new();
    for condition in conditions.filter(|condition| keeps_unmeasured(sample, condition)) {
        verdict.conditions.push(condition.clone());
        causes.extend(look.open_cause(kind, &condition.key).cloned());
    }
    let limits = limits(&look.facts.thresholds, kind);
    for (key, measure) in &measures {
        let before = look.condition(kind, key);
        let reading = Reading { at: sample.at, value: measure.value, now: look.now };
        let Some(condition) = advance(kind, key, before, reading, limits) else { continue };
        if let Some(at) = next_look(&condition, limits) {
            verdict.reconsider(at);
        }
        causes.extend(cause(&condition, measure, limits, look.now));
        verdict.conditions.push(condition);
    }
    verdict.drafts.extend(draft(kind, causes, |causes| summary(kind, causes)));
}

/// What a sample says for a kind of alert, by cause key; `None`: nothing.
fn measures(sample: &Sample, kind: AlertKind) -> Option<BTreeMap<String, Measure>> {
    let one = |key: &str, label: &str, value: Option<f64>| {
        let value = value.filter(|value| value.is_finite())?;
        Some(BTreeMap::from([(key.to_owned(), Measure { label: label.to_owned(), value })]))
    };
    match kind {
        AlertKind::HighCpu => one("cpu", "CPU", sample.cpu.map(|cpu| cpu.total_percent)),
        AlertKind::HighMemory => one("memory", "memory", sample.memory.map(|memory| memory.used_percent)),
        // A machine without any file system is one that could not say.
        AlertKind::LowDisk if !sample.disks.is_empty() => Some(disks(sample)),
        _ => None,
    }
}

fn disks(sample: &Sample) -> BTreeMap<String, Measure> {
    let space = sample.disks.iter().map(|disk| {
        (format!("mount:{}", disk.mount), format!("disk {}", disk.mount), Some(disk.used_percent))
    });
    let inodes = sample.disks.iter().map(|disk| {
        (format!("{INODES}{}", disk.mount), format!("inodes of {}", disk.mount), disk.inodes_used_percent)
    });
    let mut measures: BTreeMap<String, Measure> = BTreeMap::new();
    for (key, label, value) in space.chain(inodes) {
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        // What is mounted twice in one place shows as its fullest.
        let measure = measures.entry(key).or_insert(Measure { label, value });
        measure.value = measure.value.max(value);
    }
    measures
}

/// Whether a condition is kept although the sample does not mention it: inodes of a mount that is still
/// there, in a sample that says nothing of inodes at all.
fn keeps_unmeasured(sample: &Sample, condition: &Condition) -> bool {
    let Some(mount) = condition.key.strip_prefix(INODES) else { return false };
    let still_there = sample.disks.iter().any(|disk| disk.mount == mount);
    still_there && sample.disks.iter().all(|disk| disk.inodes_used_percent.is_none())
}

const fn limits(thresholds: &Thresholds, kind: AlertKind) -> Threshold {
    match kind {
        AlertKind::HighCpu => thresholds.cpu,
        AlertKind::HighMemory => thresholds.memory,
        _ => thresholds.disk,
    }
}

#[derive(Clone, Copy)]
struct Reading {
    at: Timestamp,
    value: f64,
    now: Timestamp,
}

/// Where the timers of a measure stand after a reading; `None`: it is well.
fn advance(
    kind: AlertKind,
    key: &str,
    before: Option<&Condition>,
    reading: Reading,
    limits: Threshold,
) -> Option<Condition> {
    let told = before.and_then(|condition| condition.told);
    let since = |level: Severity, threshold: f64, running: Option<Timestamp>| {
        let lasts = told.is_some_and(|told| level <= told) && threshold - limits.hysteresis <= reading.value;
        (threshold <= reading.value || lasts).then(|| running.unwrap_or(reading.at))
    };
    let warning_since =
        since(Severity::Warning, limits.warning, before.and_then(|condition| condition.warning_since));
    let critical_since =
        since(Severity::Critical, limits.critical, before.and_then(|condition| condition.critical_since));
    let ripe = |level: Severity, since: Option<Timestamp>| {
        let waited = |since: Timestamp| ripe_at(since, limits) <= reading.now;
        since.is_some_and(|since| told.is_some_and(|told| level <= told) || waited(since))
    };
    let told = if ripe(Severity::Critical, critical_since) {
        Some(Severity::Critical)
    } else if ripe(Severity::Warning, warning_since) {
        Some(Severity::Warning)
    } else {
        None
    };
    warning_since.or(critical_since)?;
    Some(Condition { kind, key: key.to_owned(), warning_since, critical_since, told })
}

fn ripe_at(since: Timestamp, limits: Threshold) -> Timestamp {
    since + SignedDuration::from_millis(i64::try_from(limits.for_ms).unwrap_or(i64::MAX / 1_000_000))
}

/// When a timer that is still running could lead to something without a new reading.
fn next_look(condition: &Condition, limits: Threshold) -> Option<Timestamp> {
    let warning = condition.warning_since.filter(|_| condition.told.is_none());
    let critical = condition.critical_since.filter(|_| condition.told != Some(Severity::Critical));
    [warning, critical].into_iter().flatten().map(|since| ripe_at(since, limits) + READING_FIRST).min()
}

fn cause(condition: &Condition, measure: &Measure, limits: Threshold, now: Timestamp) -> Option<Cause> {
    let severity = condition.told?;
    let threshold = if severity == Severity::Critical { limits.critical } else { limits.warning };
    let (at, limit) = (words::percent(measure.value), words::percent(threshold));
    let ends = match measure.value < threshold {
        true => format!(", over below {}", words::percent(threshold - limits.hysteresis)),
        false => String::new(),
    };
    Some(Cause {
        key: condition.key.clone(),
        severity,
        text: format!("{} at {at} ({severity} at {limit}{ends})", measure.label),
        since: condition.warning_since.or(condition.critical_since).unwrap_or(now),
        value: Some(measure.value),
    })
}

fn summary(kind: AlertKind, causes: &[Cause]) -> String {
    let listing = words::listing(causes);
    if kind == AlertKind::LowDisk && 1 < causes.len() {
        return format!("{} file systems low: {listing}", causes.len());
    }
    listing
}
