//! `remediation`: what is done by itself when an alert stays open.

use capsule_api::{
    CommandAction, PowerCycleAction, ProposeAction, Remediation, RemediationAction, RemediationCreate,
    RemediationLimits, RemediationMode, RemediationName, RemediationPatch, RemediationRun,
    RemediationRunFilter, RemediationTest, RemediationTrigger, RemediationTry, RemediationVerdict, RunState,
};

use super::{Session, ask, inventory};
use crate::{
    args::remediation::{AddRemediation, Common, EditRemediationArgs, RemediationVerb, RunsArgs, TestArgs},
    client::{Answer, Precondition, encode},
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Sheet, Tone, View, text},
};

/// The default of `--after`, as the daemon has it.
const AFTER_MS: u64 = 300_000;

const VIEW: View<Remediation> = View {
    columns: &[
        Column { title: "NAME", fit: Fit::Keep, cell: |r, _| Cell::toned(Tone::Name, r.name.as_str()) },
        Column { title: "STATE", fit: Fit::Keep, cell: |r, _| standing(r) },
        Column { title: "DOES", fit: Fit::Cut, cell: |r, _| does(&r.action).into() },
        Column { title: "ON", fit: Fit::Cut, cell: |r, _| trigger_text(&r.trigger).into() },
        Column { title: "LIMITS", fit: Fit::Wide, cell: |r, _| limits_text(&r.limits).into() },
        Column { title: "ID", fit: Fit::Wide, cell: |r, _| r.id.to_string().into() },
    ],
    name: |remediation| remediation.name.to_string(),
    empty: "no remediations; make one with `capsulectl remediation add --help`",
};

const RUNS: View<RemediationRun> = View {
    columns: &[
        Column {
            title: "ID",
            fit: Fit::Drop(1),
            cell: |r, _| Cell::from(r.id.short()).exactly(r.id.to_string()),
        },
        Column {
            title: "AGE",
            fit: Fit::Number,
            cell: |r, look| Cell::from(text::age(r.began_at, look.now)).exactly(r.began_at.to_string()),
        },
        Column { title: "REMEDIATION", fit: Fit::Keep, cell: |r, _| r.remediation.as_str().into() },
        Column { title: "XNODE", fit: Fit::Keep, cell: |r, _| r.xnode.as_str().into() },
        Column { title: "ALERT", fit: Fit::Drop(2), cell: |r, _| r.alert_kind.as_str().into() },
        Column { title: "STATE", fit: Fit::Keep, cell: |r, _| run_state(r.state) },
        Column { title: "WHAT", fit: Fit::Cut, cell: |r, _| r.reason.clone().into() },
        Column { title: "ALERT ID", fit: Fit::Wide, cell: |r, _| r.alert_id.to_string().into() },
        Column { title: "OPERATION", fit: Fit::Wide, cell: |r, look| Cell::maybe(r.operation_id, look) },
        Column { title: "EXIT", fit: Fit::Wide, cell: |r, look| Cell::maybe(r.exit_status, look) },
        Column { title: "OUTPUT", fit: Fit::Wide, cell: |r, look| Cell::maybe(r.output.as_ref(), look) },
    ],
    name: |run| run.id.to_string(),
    empty: "nothing was done and nothing was held back",
};

const VERDICTS: View<RemediationVerdict> = View {
    columns: &[
        Column { title: "XNODE", fit: Fit::Keep, cell: |v, _| Cell::toned(Tone::Name, v.xnode.as_str()) },
        Column { title: "ALERT", fit: Fit::Keep, cell: |v, _| v.alert_kind.as_str().into() },
        Column {
            title: "ACTS",
            fit: Fit::Keep,
            cell: |v, _| match v.would_act {
                true => Cell::toned(Tone::Good, "yes"),
                false => Cell::toned(Tone::Dim, "no"),
            },
        },
        Column { title: "WHAT", fit: Fit::Cut, cell: |v, _| v.text.clone().into() },
    ],
    name: |verdict| verdict.xnode.to_string(),
    empty: "no open alert is one for it",
};

const TEST: View<RemediationTest> = View {
    columns: &[
        Column { title: "REMEDIATION", fit: Fit::Keep, cell: |t, _| t.remediation.as_str().into() },
        Column { title: "ENABLED", fit: Fit::Keep, cell: |t, _| t.enabled.to_string().into() },
        Column { title: "MODE", fit: Fit::Keep, cell: |t, _| t.mode.as_str().into() },
        Column {
            title: "ACTS ON",
            fit: Fit::Number,
            cell: |t, _| t.verdicts.iter().filter(|verdict| verdict.would_act).count().to_string().into(),
        },
        Column { title: "HELD", fit: Fit::Number, cell: |t, _| t.verdicts.len().to_string().into() },
    ],
    name: |test| test.remediation.to_string(),
    empty: "no answer",
};

fn path(name: &str) -> String {
    format!("/v1/remediations/{}", encode(name))
}

/// `remediation`.
pub async fn run(session: &Session, verb: Option<RemediationVerb>) -> Result<Outcome> {
    match verb {
        None | Some(RemediationVerb::List) => {
            let rows = session.client.list_all("/v1/remediations", &()).await?;
            session.out.list(&rows, &VIEW)?;
            Ok(Outcome::Done)
        }
        Some(RemediationVerb::Show { name }) => {
            let answer = session.client.get(&path(&name)).await?;
            session.out.one(&answer, &VIEW, page)?;
            Ok(Outcome::Done)
        }
        Some(RemediationVerb::Add(args)) => add(session, args.kind).await,
        Some(RemediationVerb::Edit(args)) => edit(session, &args).await,
        Some(RemediationVerb::Enable { name }) => switch(session, &name, true).await,
        Some(RemediationVerb::Disable { name }) => switch(session, &name, false).await,
        Some(RemediationVerb::Remove { name, dry_run }) => remove(session, &name, dry_run).await,
        Some(RemediationVerb::Runs(args)) => runs(session, args).await,
        Some(RemediationVerb::Test(args)) => test(session, &args).await,
    }
}

async fn add(session: &Session, kind: AddRemediation) -> Result<Outcome> {
    let (name, action, common) = match kind {
        AddRemediation::Command { name, timeout, common, command } => {
            (name, RemediationAction::Command(command_action(command, timeout)), common)
        }
        AddRemediation::PowerCycle { name, force, common } => {
            (name, RemediationAction::PowerCycle(PowerCycleAction { force }), common)
        }
        AddRemediation::Proposal { name, common } => {
            (name, RemediationAction::ProposeDeployment(ProposeAction {}), common)
        }
    };
    let body = body(name, action, &common);
    if common.dry_run {
        let text = serde_json::to_string(&body).unwrap_or_default();
        return inventory::would(session, &format!("make the remediation {}", body.name), &text);
    }
    let answer = session.client.post("/v1/remediations", &body).await?;
    print_changed(session, &answer, "made")
}

/// The first word is the program; clap asked for at least one.
fn command_action(command: Vec<String>, timeout_ms: u64) -> CommandAction {
    let mut words = command.into_iter();
    CommandAction { program: words.next().unwrap_or_default(), args: words.collect(), timeout_ms }
}

fn body(name: RemediationName, action: RemediationAction, common: &Common) -> RemediationCreate {
    let before = RemediationTrigger {
        kinds: common.kinds.clone(),
        after_ms: AFTER_MS,
        ..RemediationTrigger::default()
    };
    RemediationCreate {
        name,
        enabled: common.enable,
        mode: common.mode.unwrap_or(RemediationMode::DryRun),
        trigger: common.trigger.change(&before),
        action,
        limits: common.limits.change(RemediationLimits::default()),
    }
}

async fn edit(session: &Session, args: &EditRemediationArgs) -> Result<Outcome> {
    let current = session.client.get(&path(&args.name)).await?;
    let before: Remediation = current.parse()?;
    let mut trigger = args.trigger.change(&before.trigger);
    trigger.kinds = args.kinds.clone().unwrap_or(trigger.kinds);
    let action = changed_action(&before.action, args)?;
    let limits = args.limits.change(before.limits);
    let patch = RemediationPatch {
        enabled: None,
        mode: args.mode.filter(|mode| *mode != before.mode),
        trigger: (trigger != before.trigger).then_some(trigger),
        action: (action != before.action).then_some(action),
        limits: (limits != before.limits).then_some(limits),
    };
    if patch == RemediationPatch::default() {
        let hint = "`capsulectl remediation edit --help` shows what can be";
        return Err(Error::usage("nothing to change", hint));
    }
    if args.dry_run {
        let text = serde_json::to_string(&patch).unwrap_or_default();
        return inventory::would(session, &format!("change the remediation {}", before.name), &text);
    }
    let etag = inventory::etag(&current, before.revision);
    let answer = session.client.patch(&path(&args.name), Precondition::Unchanged(&etag), &patch).await?;
    print_changed(session, &answer, "changed")
}

fn changed_action(before: &RemediationAction, args: &EditRemediationArgs) -> Result<RemediationAction> {
    let misplaced = |flags: &str| {
        let message = format!("{flags} does not apply to a remediation of the kind {}", before.kind());
        Error::usage(message, "`capsulectl remediation show NAME` shows it")
    };
    let for_commands = args.timeout.is_some() || !args.command.is_empty();
    match before {
        RemediationAction::Command(command) if args.force.is_none() => {
            let timeout_ms = args.timeout.unwrap_or(command.timeout_ms);
            Ok(RemediationAction::Command(if args.command.is_empty() {
                CommandAction { timeout_ms, ..command.clone() }
            } else {
                command_action(args.command.clone(), timeout_ms)
            }))
        }
        RemediationAction::PowerCycle(power) if !for_commands => {
            let force = args.force.unwrap_or(power.force);
            Ok(RemediationAction::PowerCycle(PowerCycleAction { force }))
        }
        RemediationAction::ProposeDeployment(_) if args.force.is_none() && !for_commands => {
            Ok(before.clone())
        }
        _ if for_commands => Err(misplaced("a program or --timeout")),
        _ => Err(misplaced("--force")),
    }
}

async fn switch(session: &Session, name: &str, on: bool) -> Result<Outcome> {
    let patch = RemediationPatch { enabled: Some(on), ..RemediationPatch::default() };
    let answer = session.client.patch(&path(name), Precondition::Any, &patch).await?;
    print_changed(session, &answer, if on { "enabled" } else { "disabled" })
}

async fn remove(session: &Session, name: &str, dry_run: bool) -> Result<Outcome> {
    let current = session.client.get(&path(name)).await?;
    let remediation: Remediation = current.parse()?;
    if dry_run {
        session.out.note(&format!("would remove the remediation {}; nothing was changed", remediation.name));
        return Ok(Outcome::Done);
    }
    ask::confirm(session, &format!("remove the remediation {}?", remediation.name))?;
    let etag = inventory::etag(&current, remediation.revision);
    session.client.delete(&path(name), Precondition::Unchanged(&etag)).await?;
    if session.out.is_for_people() {
        session.out.done(&format!("removed the remediation {}; its runs stay known", remediation.name));
    } else {
        session.out.typed_one(&remediation, &VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

async fn runs(session: &Session, args: RunsArgs) -> Result<Outcome> {
    let filter = RemediationRunFilter {
        remediation: args.remediation,
        xnode: args.xnode,
        state: args.state,
        ..RemediationRunFilter::default()
    };
    let rows = session.client.list_first("/v1/remediation-runs", &filter, args.limit).await?;
    session.out.list(&rows, &RUNS)?;
    Ok(Outcome::Done)
}

async fn test(session: &Session, args: &TestArgs) -> Result<Outcome> {
    let on = RemediationTry { alert: args.alert.clone(), xnode: args.xnode.clone() };
    let answer = session.client.post(&format!("{}/test", path(&args.name)), &on).await?;
    session.out.one(&answer, &TEST, verdicts)?;
    Ok(Outcome::Done)
}

fn verdicts(test: &RemediationTest, sheet: &mut Sheet<'_>) {
    sheet.title(&format!("Remediation {}", test.remediation), "test");
    let standing = match (test.enabled, test.mode) {
        (false, _) => "off: it looks at no alerts until it is enabled",
        (true, RemediationMode::DryRun) => "on, a dry run: it only says what it would do",
        (true, RemediationMode::Act) => "on, and it acts",
    };
    sheet.field("state", standing);
    sheet.field("fleet", &format!("{} watched, {} down, {} not seen", test.fleet, test.down, test.unseen));
    sheet.section("Verdicts");
    if test.verdicts.is_empty() {
        sheet.line(&format!("  {}", VERDICTS.empty));
    } else {
        sheet.table(&VERDICTS, &test.verdicts);
    }
}

fn print_changed(session: &Session, answer: &Answer, done: &str) -> Result<Outcome> {
    if !session.out.is_for_people() {
        session.out.one(answer, &VIEW, |_, _| {})?;
        return Ok(Outcome::Done);
    }
    let remediation: Remediation = answer.parse()?;
    session.out.done(&format!("{done} the remediation {}", remediation.name));
    let name = &remediation.name;
    session.out.note(&match (remediation.enabled, remediation.mode) {
        (false, _) => format!(
            "it is off; `capsulectl remediation test {name}` tries it, `capsulectl remediation enable {name}` switches it on"
        ),
        (true, RemediationMode::DryRun) => {
            format!(
                "it only says what it would do; `capsulectl remediation edit {name} --mode act` makes it act"
            )
        }
        (true, RemediationMode::Act) => {
            format!("it acts; `capsulectl remediation runs --remediation {name}` shows how")
        }
    });
    Ok(Outcome::Done)
}

fn standing(remediation: &Remediation) -> Cell {
    match (remediation.enabled, remediation.mode) {
        (false, _) => Cell::toned(Tone::Dim, "off"),
        (true, RemediationMode::DryRun) => Cell::toned(Tone::Warn, "dry_run"),
        (true, RemediationMode::Act) => Cell::toned(Tone::Good, "act"),
    }
}

fn run_state(state: RunState) -> Cell {
    let tone = match state {
        RunState::Planned | RunState::Running => Tone::Name,
        RunState::Succeeded => Tone::Good,
        RunState::Failed | RunState::Unknown => Tone::Bad,
        RunState::Skipped | RunState::DryRun => Tone::Dim,
        RunState::Proposed => Tone::Warn,
    };
    Cell::toned(tone, state.as_str())
}

fn does(action: &RemediationAction) -> String {
    match action {
        RemediationAction::Command(command) => {
            let words = std::iter::once(&command.program).chain(&command.args);
            words.map(|word| shown_word(word)).collect::<Vec<_>>().join(" ")
        }
        RemediationAction::PowerCycle(power) if power.force => "power-cycle, by power".to_owned(),
        RemediationAction::PowerCycle(_) => "power-cycle".to_owned(),
        RemediationAction::ProposeDeployment(_) => "propose another server".to_owned(),
    }
}

/// A word so that one sees where it ends.
fn shown_word(word: &str) -> String {
    let plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "'\"\\$`;&|".contains(c));
    if plain { word.to_owned() } else { format!("{word:?}") }
}

fn trigger_text(trigger: &RemediationTrigger) -> String {
    let mut parts = vec![trigger.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join("|")];
    parts.extend(trigger.min_severity.map(|severity| format!("{severity} and worse")));
    if !trigger.tags.is_empty() {
        let tags: Vec<_> = trigger.tags.iter().map(|tag| tag.as_str()).collect();
        parts.push(format!("tags {}", tags.join("|")));
    }
    if !trigger.xnodes.is_empty() {
        parts.push(text::count(trigger.xnodes.len() as u64, "server"));
    }
    parts.push(format!("after {}", text::span_ms(trigger.after_ms)));
    parts.join(", ")
}

fn limits_text(limits: &RemediationLimits) -> String {
    let pause = text::span_ms(limits.cooldown_ms);
    format!("{} an hour, {pause} between two on one server", limits.max_per_hour)
}

fn page(remediation: &Remediation, sheet: &mut Sheet<'_>) {
    sheet.title(&format!("Remediation {}", remediation.name), remediation.action.kind().as_str());
    let standing = standing(remediation);
    sheet.toned_field("state", standing.tone, &standing.text);
    sheet.field("does", &does(&remediation.action));
    if let RemediationAction::Command(command) = &remediation.action {
        sheet.field("timeout", &text::span_ms(command.timeout_ms));
    }
    sheet.field("on", &trigger_text(&remediation.trigger));
    if !remediation.trigger.xnodes.is_empty() {
        sheet.field("servers", &remediation.trigger.xnodes.join(", "));
    }
    sheet.field("limits", &limits_text(&remediation.limits));
    sheet.field("id", &remediation.id.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{look::tests::look, table::table};

    fn remediations() -> Vec<Remediation> {
        serde_json::from_value(serde_json::json!([
            {"id": "01939c3e-0000-7000-8000-0000000000b1", "name": "restart-nginx", "enabled": true, "mode": "act",
                "trigger": {"kinds": ["service_down", "http_error"], "min_severity": "critical", "tags": ["web", "eu"],
                    "after_ms": 300_000},
                "action": {"kind": "command", "program": "sh", "args": ["-c", "systemctl restart nginx"],
                    "timeout_ms": 60_000},
                "limits": {"max_per_hour": 3, "cooldown_ms": 1_800_000}, "revision": 2,
                "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z"},
            {"id": "01939c3e-0000-7000-8000-0000000000b2", "name": "revive", "enabled": false, "mode": "dry_run",
                "trigger": {"kinds": ["ssh_unreachable"], "xnodes": ["01939c3e-0000-7000-8000-000000000001"],
                    "after_ms": 900_000},
                "action": {"kind": "power_cycle", "force": true},
                "limits": {"max_per_hour": 1, "cooldown_ms": 7_200_000}, "revision": 1,
                "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z"}
        ]))
        .expect("remediations")
    }

    #[test]
    fn remediations_as_a_table_and_a_page() {
        let look = look();
        let mut sheet = Sheet::new(&look);
        page(&remediations()[0], &mut sheet);
        insta::assert_snapshot!(format!(
            "{}\n{}",
            table(&VIEW, &remediations(), false, &look),
            sheet.finish()
        ));
    }
}
