//! What differs between providers and the inventory: asked for, listed, accepted, ignored.

use std::time::Duration;

use capsule_api::{
    AccountSweep, Drift, Finding, FindingFilter, FindingIgnore, FindingKind, FindingState, ReconcileRequest,
};
use serde_json::value::RawValue;

use super::{Session, ask, operations};
use crate::{
    args::reconcile::{FindingsArgs, ReconcileArgs, ScopeArgs},
    client::encode,
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Look, Sheet, Tone, View, parse_rows, text},
};

/// A provider may take this long to say what it has.
pub const PROVIDER_HOLD: Duration = Duration::from_secs(110);

const VIEW: View<Finding> = View {
    columns: &[
        Column {
            title: "ID",
            fit: Fit::Keep,
            cell: |f, _| Cell::from(f.id.short()).exactly(f.id.to_string()),
        },
        Column { title: "KIND", fit: Fit::Keep, cell: |f, _| kind(f) },
        Column { title: "ACCOUNT", fit: Fit::Drop(2), cell: |f, _| f.account.as_str().into() },
        Column { title: "NAME", fit: Fit::Keep, cell: |f, _| Cell::toned(Tone::Name, f.name.clone()) },
        Column { title: "WHAT", fit: Fit::Cut, cell: |f, _| f.summary.clone().into() },
        Column { title: "AGE", fit: Fit::Number, cell: |f, look| age(f, look) },
        Column { title: "STATE", fit: Fit::Wide, cell: |f, _| f.state.as_str().into() },
        Column { title: "PROVIDER", fit: Fit::Wide, cell: |f, _| f.provider.as_str().into() },
        Column { title: "INSTANCE", fit: Fit::Wide, cell: |f, _| f.instance.to_string().into() },
        Column { title: "PLAN", fit: Fit::Wide, cell: |f, _| f.plan.clone().into() },
        Column { title: "REGION", fit: Fit::Wide, cell: |f, _| f.region.clone().into() },
        Column { title: "USD/H", fit: Fit::Wide, cell: |f, look| Cell::maybe(f.hourly_cost_micros, look) },
    ],
    name: |finding| finding.id.to_string(),
    empty: "no findings; `capsulectl findings --sweeps` says what was compared, and when",
};

const DRIFT: View<Drift> = View {
    columns: &[
        Column { title: "FIELD", fit: Fit::Keep, cell: |d, _| d.field.as_str().into() },
        Column { title: "INVENTORY", fit: Fit::Cut, cell: |d, look| Cell::maybe(d.expected.as_ref(), look) },
        Column { title: "PROVIDER", fit: Fit::Cut, cell: |d, _| d.seen.clone().into() },
    ],
    name: |drift| drift.field.to_string(),
    empty: "nothing",
};

const SWEEPS: View<AccountSweep> = View {
    columns: &[
        Column { title: "ACCOUNT", fit: Fit::Keep, cell: |s, _| Cell::toned(Tone::Name, s.account.as_str()) },
        Column { title: "PROVIDER", fit: Fit::Keep, cell: |s, _| s.provider.as_str().into() },
        Column {
            title: "COMPARED",
            fit: Fit::Keep,
            cell: |s, look| Cell::maybe(s.completed_at.map(text::moment), look),
        },
        Column { title: "SERVERS", fit: Fit::Number, cell: |s, _| s.instances.to_string().into() },
        Column { title: "FINDINGS", fit: Fit::Number, cell: |s, _| s.open_findings.to_string().into() },
        Column {
            title: "ERROR",
            fit: Fit::Cut,
            cell: |s, look| match &s.error {
                Some(error) => Cell::toned(Tone::Bad, error.clone()),
                None => Cell::maybe(None::<String>, look),
            },
        },
    ],
    name: |sweep| sweep.account.to_string(),
    empty: "no accounts; `capsulectl provider configure` adds one",
};

fn kind(finding: &Finding) -> Cell {
    let tone = match finding.kind {
        FindingKind::Ghost => Tone::Bad,
        FindingKind::Orphan | FindingKind::Drift => Tone::Warn,
    };
    match finding.state {
        FindingState::Open => Cell::toned(tone, finding.kind.as_str()),
        FindingState::Ignored | FindingState::Ended => Cell::toned(Tone::Dim, finding.kind.as_str()),
    }
}

fn age(finding: &Finding, look: &Look) -> Cell {
    Cell::from(text::age(finding.first_seen, look.now)).exactly(finding.first_seen.to_string())
}

fn filter(scope: &ScopeArgs) -> FindingFilter {
    FindingFilter {
        account: scope.account.as_ref().map(ToString::to_string),
        provider: scope.provider,
        ..FindingFilter::default()
    }
}

fn path(finding: &str) -> String {
    format!("/v1/findings/{}", encode(finding))
}

/// `findings`.
pub async fn findings(session: &Session, args: &FindingsArgs) -> Result<Outcome> {
    if let Some(given) = &args.finding {
        let answer = session.client.get(&path(given)).await?;
        session.out.one(&answer, &VIEW, page)?;
        return Ok(Outcome::Done);
    }
    if args.sweeps {
        let rows = session.client.list_all("/v1/sweeps", &()).await?;
        let sweeps: Vec<AccountSweep> = parse_rows(&rows)?;
        let kept = rows.into_iter().zip(&sweeps).filter(|(_, sweep)| in_scope(&args.scope, sweep));
        session.out.list(&kept.map(|(row, _)| row).collect::<Vec<_>>(), &SWEEPS)?;
        return Ok(Outcome::Done);
    }
    let all = args.all.then_some(true);
    let filter = FindingFilter { kind: args.kind, all, ..filter(&args.scope) };
    let rows = session.client.list_first("/v1/findings", &filter, args.limit).await?;
    listed(session, &rows, args.exit_code)
}

fn in_scope(scope: &ScopeArgs, sweep: &AccountSweep) -> bool {
    let same =
        |account: &capsule_api::AccountName| account.as_str().eq_ignore_ascii_case(sweep.account.as_str());
    scope.account.as_ref().is_none_or(same)
        && scope.provider.is_none_or(|provider| provider == sweep.provider)
}

fn listed(session: &Session, rows: &[Box<RawValue>], exit_code: bool) -> Result<Outcome> {
    session.out.list(rows, &VIEW)?;
    let open = parse_rows::<Finding>(rows)?.iter().any(|finding| finding.state == FindingState::Open);
    Ok(if exit_code && open { Outcome::Found } else { Outcome::Done })
}

fn page(finding: &Finding, sheet: &mut Sheet<'_>) {
    sheet.title(&finding.name, finding.kind.as_str());
    sheet.field("state", finding.state.as_str());
    if finding.state == FindingState::Ended {
        sheet.field("over since", &finding.ended_at.map(text::moment).unwrap_or_default());
        sheet.field("because", &finding.ended_because);
    }
    sheet.field("what", &finding.summary);
    sheet.field("account", &format!("{} ({})", finding.account, finding.provider));
    sheet.field("instance", &finding.instance.to_string());
    sheet.field("plan", &finding.plan);
    sheet.field("region", &finding.region);
    if let Some(cost) = finding.hourly_cost_micros {
        sheet.field("usd per hour", &cost.to_string());
    }
    sheet.field("found", &text::moment(finding.first_seen));
    sheet.field("last seen", &text::moment(finding.last_seen));
    sheet.field("id", &finding.id.to_string());
    if !finding.drift.is_empty() {
        sheet.section("Drift");
        sheet.table(&DRIFT, &finding.drift);
    }
}

/// `reconcile`.
pub async fn run(session: &Session, args: ReconcileArgs) -> Result<Outcome> {
    if args.accept {
        return accept(session, &args).await;
    }
    if args.ignore || args.tell_again {
        return ignore(session, &args).await;
    }
    if !args.findings.is_empty() {
        let hint = "`--accept` or `--ignore` says what; `capsulectl findings ID` shows one";
        return Err(Error::usage("findings are named and nothing is to be done with them", hint));
    }
    let body = ReconcileRequest { provider: args.scope.provider, account: args.scope.account.clone() };
    let started = session.client.post("/v1/reconcile", &body).await?;
    let Some(done) = operations::follow(session, &started, &args.wait).await? else {
        return Ok(Outcome::Done);
    };
    let rows = session.client.list_all("/v1/findings", &filter(&args.scope)).await?;
    let outcome = listed(session, &rows, args.exit_code)?;
    let items = done.result.and_then(|mut result| result.get_mut("items").map(serde_json::Value::take));
    let sweeps: Vec<AccountSweep> =
        items.and_then(|items| serde_json::from_value(items).ok()).unwrap_or_default();
    let failed: Vec<String> = sweeps
        .iter()
        .filter_map(|sweep| Some(format!("{}: {}", sweep.account, sweep.error.as_ref()?)))
        .collect();
    if failed.is_empty() {
        return Ok(outcome);
    }
    // A list that lacks something must not look whole to a script.
    Err(Error::Failed {
        message: format!("could not compare {}", failed.join("; ")),
        hint: Some("what was known of it stays; `capsulectl findings --sweeps` says since when".to_owned()),
    })
}

async fn chosen(session: &Session, args: &ReconcileArgs) -> Result<Vec<Finding>> {
    if args.all {
        let rows = session.client.list_all("/v1/findings", &filter(&args.scope)).await?;
        let open: Vec<Finding> = parse_rows(&rows)?;
        let (orphans, fitting): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|finding| finding.kind == FindingKind::Orphan);
        if !orphans.is_empty() {
            let count = text::count(orphans.len() as u64, "orphan");
            session.out.note(&format!("{count} left: `capsulectl adopt --all-orphans` takes them in"));
        }
        return Ok(fitting);
    }
    let mut chosen = Vec::new();
    for given in &args.findings {
        chosen.push(session.client.get(&path(given)).await?.parse()?);
    }
    Ok(chosen)
}

async fn accept(session: &Session, args: &ReconcileArgs) -> Result<Outcome> {
    if !args.all && args.findings.is_empty() {
        return Err(Error::usage("nothing to accept", "name findings, or add --all"));
    }
    let chosen = chosen(session, args).await?;
    if args.dry_run || chosen.is_empty() {
        session.out.typed_list(&chosen, &VIEW)?;
        session.out.note("nothing was changed");
        return Ok(Outcome::Done);
    }
    let ghosts: Vec<&str> = chosen
        .iter()
        .filter(|finding| finding.kind == FindingKind::Ghost)
        .map(|finding| finding.name.as_str())
        .collect();
    // A drift changes what is written; a ghost takes checks and history with it.
    if !ghosts.is_empty() {
        ask::confirm(session, &format!("remove {} from the inventory?", ghosts.join(", ")))?;
    }
    let mut accepted: Vec<Finding> = Vec::new();
    let mut refused = None;
    for finding in &chosen {
        let path = format!("{}/accept", path(&finding.id.to_string()));
        match session.client.post_held(&path, &serde_json::json!({}), PROVIDER_HOLD).await {
            Ok(answer) => accepted.push(answer.parse()?),
            Err(error @ Error::Refused(_)) if 1 < chosen.len() => {
                session.out.warn(&format!("{}: {error}", finding.name));
                refused = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    told(session, &accepted, "accepted")?;
    refused.map_or(Ok(Outcome::Done), Err)
}

async fn ignore(session: &Session, args: &ReconcileArgs) -> Result<Outcome> {
    let mut changed: Vec<Finding> = Vec::new();
    for given in &args.findings {
        let body = FindingIgnore { ignored: args.ignore };
        changed.push(session.client.post(&format!("{}/ignore", path(given)), &body).await?.parse()?);
    }
    told(session, &changed, if args.ignore { "ignoring" } else { "telling again of" })?;
    Ok(Outcome::Done)
}

fn told(session: &Session, findings: &[Finding], what: &str) -> Result<()> {
    if !session.out.is_for_people() {
        return session.out.typed_list(findings, &VIEW);
    }
    for finding in findings {
        session.out.done(&format!("{what} {} {}: {}", finding.kind, finding.name, finding.summary));
    }
    Ok(())
}
