//! Problems that checks find, and whether they are all one problem: a dead host.
//!
//! Ping and TCP checks tell whether the host can be reached; SSH and HTTP checks depend on that. When every
//! reachability check is down the host is, unless something got through to it since: a firewall that drops
//! pings must not hide everything else that goes wrong.
//!
//! Severity: whatever is down is critical, with one exception: a ping that fails while the host answers
//! something else is a warning. An SSH check that is down is critical even where everything else passes: no
//! way in is what the owner has to know, and a severity that depends on the neighbours would be told again
//! each time one of them moves.

use capsule_api::{AlertKind, Cause, CheckKind, CheckStatus, Severity};
use jiff::{SignedDuration, Timestamp};

use super::{HOLD_AT_MOST, Look, Verdict, as_it_is, draft, words};
use crate::model::{AlertDraft, CheckFact, Condition};

/// Timer of an alert that is held back until it is clear whether the host is down.
const UNDECIDED: &str = "hold:undecided";
/// Timer of an alert that was held back because the host was down, until its services had time to start.
const RETURNING: &str = "hold:returning";
/// How often an alert that is held back is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_millis(500);
/// How old the newest result of a check may be before it is asked again while its host comes back.
const FRESH: SignedDuration = SignedDuration::from_secs(5);
/// What passes only this long after reachability began to fail proves nothing: the host may have died just
/// then, and its checks are not probed at the same moment.
const PROOF_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// What reachability checks say, taken together.
pub(super) struct Host {
    /// Whether the host is down.
    pub(super) is_down: bool,
    /// Whether anything shows that the host is alive.
    answers: bool,
}

/// Whether the host is down: it has reachability checks, all of them are confirmed down, and neither SSH nor
/// a reading got through after they began to fail.
pub(super) fn host(look: &Look) -> Host {
    let checks = || look.facts.checks.iter().filter(|check| is_reachability(check));
    let some_up = checks().any(|check| check.state.status == CheckStatus::Up);
    let all_down = checks().next().is_some() && checks().all(is_down);
    let since = checks().map(|check| began(check, look.now)).max();
    let alive = all_down && since.is_some_and(|since| got_through(look, since));
    Host { is_down: all_down && !alive, answers: some_up || alive }
}

/// Whether SSH or a reading got through well after `since`, and no SSH check has begun to fail after that.
fn got_through(look: &Look, since: Timestamp) -> bool {
    let ssh = || look.facts.checks.iter().filter(|check| check.kind == CheckKind::Ssh).map(|c| &c.state);
    let passed = ssh().filter(|s| s.status == CheckStatus::Up && s.failures == 0).filter_map(|s| s.last_at);
    let Some(seen) = passed.chain(look.facts.sample.as_ref().map(|sample| sample.at)).max() else {
        return false;
    };
    let failing_since = ssh().filter_map(|state| state.failing_since).max();
    since + PROOF_AFTER < seen && failing_since.is_none_or(|failed| failed < seen)
}

pub(super) fn judge(look: &Look, host: &Host, verdict: &mut Verdict) {
    verdict.drafts.extend(service_down(look, host));
    dependent(look, host, AlertKind::SshUnreachable, verdict);
    dependent(look, host, AlertKind::HttpError, verdict);
    verdict.drafts.extend(host_key_changed(look));
}

/// The kind of alert that a check of `kind` raises.
const fn alert_kind(kind: CheckKind) -> AlertKind {
    match kind {
        CheckKind::Ping | CheckKind::Tcp => AlertKind::ServiceDown,
        CheckKind::Ssh => AlertKind::SshUnreachable,
        CheckKind::Http => AlertKind::HttpError,
    }
}

fn is_reachability(check: &CheckFact) -> bool {
    alert_kind(check.kind) == AlertKind::ServiceDown
}

fn is_down(check: &CheckFact) -> bool {
    check.state.status == CheckStatus::Down
}

/// When a check that is down began to fail.
fn began(check: &CheckFact, now: Timestamp) -> Timestamp {
    let state = &check.state;
    state.since.or(state.failing_since).or(state.last_at).unwrap_or(now)
}

fn service_down(look: &Look, host: &Host) -> Option<AlertDraft> {
    let severity = |check: &CheckFact| match check.kind {
        CheckKind::Ping if host.answers => Severity::Warning,
        _ => Severity::Critical,
    };
    let causes = causes(look, AlertKind::ServiceDown, severity);
    draft(AlertKind::ServiceDown, causes, |causes| {
        if host.is_down {
            return format!("host is down: {}", words::listing(causes));
        }
        summary(look, AlertKind::ServiceDown, causes)
    })
}

/// Every check of a kind that is down, as causes. A check without a confirmed state, because it is new or
/// was changed, keeps the cause it has: unknown is not well.
fn causes(look: &Look, kind: AlertKind, severity: impl Fn(&CheckFact) -> Severity) -> Vec<Cause> {
    let checks = look.facts.checks.iter().filter(|check| alert_kind(check.kind) == kind);
    checks
        .filter(|check| !told_as_host_key(look, check))
        .filter_map(|check| {
            let key = format!("check:{}", check.name);
            match check.state.status {
                CheckStatus::Up => None,
                CheckStatus::Unknown => look.open_cause(kind, &key).cloned(),
                CheckStatus::Down => Some(Cause {
                    severity: severity(check),
                    text: words::check_text(
                        &words::check_label(check.kind, &check.name),
                        &check.state.reason,
                    ),
                    since: began(check, look.now),
                    value: None,
                    key,
                }),
            }
        })
        .collect()
}

/// Whether a check fails only because the host offers another key, which is an alert of its own. The words
/// are those of the SSH probe; should they ever differ, both alerts are told, and nothing is lost.
fn told_as_host_key(look: &Look, check: &CheckFact) -> bool {
    let fails_by_key = check.kind == CheckKind::Ssh && check.state.reason.contains("host key");
    fails_by_key && look.facts.foreign_host_key.is_some()
}

fn summary(look: &Look, kind: AlertKind, causes: &[Cause]) -> String {
    let total = look.facts.checks.iter().filter(|check| alert_kind(check.kind) == kind).count();
    let listing = words::listing(causes);
    let sort = match kind {
        AlertKind::SshUnreachable => "SSH",
        AlertKind::HttpError => "HTTP",
        _ => "reachability",
    };
    if total < 2 { listing } else { format!("{} of {total} {sort} checks down: {listing}", causes.len()) }
}

/// The alert of checks that depend on the host: drafted, held back, or left as it is.
fn dependent(look: &Look, host: &Host, kind: AlertKind, verdict: &mut Verdict) {
    let open = look.open(kind);
    if let (true, Some(alert)) = (host.is_down, open) {
        verdict.drafts.push(as_it_is(alert));
        return;
    }
    let causes = causes(look, kind, |_| Severity::Critical);
    if causes.is_empty() {
        return;
    }
    if host.is_down {
        verdict.suppressed.push(kind);
        verdict.conditions.push(timer(kind, RETURNING, None));
        return;
    }
    if open.is_none() && hold(look, kind, verdict) {
        return;
    }
    verdict.drafts.extend(draft(kind, causes, |causes| summary(look, kind, causes)));
}

/// Whether an alert that is not open yet is held back, for at most [`HOLD_AT_MOST`]. The timer stays until
/// the alert is open, so that a look in between does not begin again.
fn hold(look: &Look, kind: AlertKind, verdict: &mut Verdict) -> bool {
    let (key, probe) = if look.condition(kind, RETURNING).is_some() {
        (RETURNING, restarted(look, kind))
    } else {
        let asked_at = look.condition(kind, UNDECIDED).and_then(|timer| timer.warning_since);
        let unclear = unclear(look, kind, asked_at);
        if unclear.is_empty() {
            return false;
        }
        (UNDECIDED, unclear)
    };
    let began = look.condition(kind, key).and_then(|timer| timer.warning_since).unwrap_or(look.now);
    verdict.conditions.push(timer(kind, key, Some(began)));
    let over = began + HOLD_AT_MOST;
    if over <= look.now {
        return false;
    }
    verdict.hold.extend(probe.iter().map(|check| check.key));
    verdict.reconsider((look.now + LOOK_AGAIN).min(over));
    true
}

/// Checks of a kind that are down and were not asked a moment ago: their host has come back and they may be
/// well again.
fn restarted<'a>(look: &'a Look, kind: AlertKind) -> Vec<&'a CheckFact> {
    let old = |check: &CheckFact| check.state.last_at.is_none_or(|at| at + FRESH <= look.now);
    let down = look.facts.checks.iter().filter(|check| alert_kind(check.kind) == kind && is_down(check));
    down.filter(|check| old(check)).collect()
}

/// Reachability checks that have to be asked before it is clear that the failure of the checks of a kind is
/// not the host's: none has passed since the newest failure began, or since they were asked. Empty: it is
/// clear.
fn unclear<'a>(look: &'a Look, kind: AlertKind, asked_at: Option<Timestamp>) -> Vec<&'a CheckFact> {
    let failed = look.facts.checks.iter().filter(|check| alert_kind(check.kind) == kind && is_down(check));
    let Some(failed_at) = failed.filter_map(|check| check.state.last_at).max() else { return Vec::new() };
    // A check that fails every second would otherwise stay ahead of every answer.
    let failed_at = asked_at.map_or(failed_at, |asked| asked.min(failed_at));
    let reachability = || look.facts.checks.iter().filter(|check| is_reachability(check));
    let passed_since = |check: &CheckFact| {
        let state = &check.state;
        let passing = state.status == CheckStatus::Up && state.failures == 0;
        passing && state.last_at.is_some_and(|at| failed_at <= at)
    };
    // All down and the host nevertheless not: something got through, which is as good as a pass.
    if reachability().any(passed_since) || reachability().all(is_down) {
        return Vec::new();
    }
    reachability().filter(|check| !is_down(check)).collect()
}

fn timer(kind: AlertKind, key: &str, since: Option<Timestamp>) -> Condition {
    Condition { kind, key: key.to_owned(), warning_since: since, critical_since: None, told: None }
}

fn host_key_changed(look: &Look) -> Option<AlertDraft> {
    let (since, fingerprint) = look.facts.foreign_host_key.as_ref()?;
    let text = format!("the SSH host key is not the pinned one: {fingerprint} was offered");
    let cause =
        Cause { key: "host_key".to_owned(), severity: Severity::Critical, text, since: *since, value: None };
    draft(AlertKind::HostKeyChanged, vec![cause], words::listing)
}
