//! Findings on record with their events, and the alerts that follow from them: one for each xNode, and one for each
//! provider that has orphans.

use capsule_api::{
    Alert, AlertChangeKind, AlertKind, AlertState, Cause, EventKind, Finding, FindingFilter, FindingKind,
    FindingState, ProviderName, Severity, Subject, SubjectKind, Tag, XNodeId,
};

use crate::{
    model::AlertDraft,
    rules::{alerts as rules, reconcile},
    store::{StoreError, Tx, alerts, findings, xnodes as stored},
    usecases::{
        telling::{self, Happening},
        xnodes,
    },
};

/// More causes than anybody reads; the summary has the number.
const MOST_CAUSES: usize = 50;

/// Writes how a finding is now, and says so. `false`: it was over.
pub(super) async fn change(tx: &mut Tx, finding: &Finding) -> Result<bool, StoreError> {
    let is_written = findings::update(tx, finding).await?;
    if is_written {
        tx.emit(EventKind::FindingChanged, &finding.id.to_string(), finding).await?;
    }
    Ok(is_written)
}

/// Ends every finding about an xNode that leaves the inventory.
pub(in crate::usecases) async fn end_findings(
    tx: &mut Tx,
    xnode: XNodeId,
    because: &str,
) -> Result<(), StoreError> {
    for finding in findings::lasting_of(tx, xnode).await? {
        let over = reconcile::ended(finding, because.to_owned(), tx.now());
        change(tx, &over).await?;
    }
    Ok(())
}

/// Opens, changes or ends the alert that a finding is a cause of. Ring `wakes.outbox` after the commit.
pub(super) async fn judge(tx: &mut Tx, finding: &Finding) -> Result<(), StoreError> {
    match finding.xnode {
        Some(xnode) => judge_xnode(tx, xnode).await,
        None => judge_orphans(tx, finding.provider).await,
    }
}

async fn judge_xnode(tx: &mut Tx, id: XNodeId) -> Result<(), StoreError> {
    // Whoever takes it out of the inventory ends its alerts.
    let Some(stored) = stored::find_in(tx, id).await? else { return Ok(()) };
    let lasting = findings::lasting_of(tx, id).await?;
    let open: Vec<&Finding> = lasting.iter().filter(|one| one.state == FindingState::Open).collect();
    let causes = open.iter().flat_map(|finding| causes(finding)).collect();
    let summary = open.iter().map(|finding| told(finding)).collect::<Vec<_>>().join("; ");
    let place =
        Place { subject: xnodes::subject(id), name: stored.xnode.name.to_string(), tags: stored.xnode.tags };
    settle(tx, &place, causes, summary).await
}

fn told(finding: &Finding) -> String {
    match finding.kind {
        FindingKind::Drift => format!("its provider says otherwise: {}", finding.summary),
        FindingKind::Orphan | FindingKind::Ghost => finding.summary.clone(),
    }
}

fn causes(finding: &Finding) -> Vec<Cause> {
    let cause = |key: String, severity, text: &str| Cause {
        key,
        severity,
        text: text.to_owned(),
        since: finding.first_seen,
        value: None,
    };
    match finding.kind {
        FindingKind::Ghost => vec![cause("ghost".to_owned(), Severity::Critical, &finding.summary)],
        FindingKind::Orphan => {
            let text = format!("{} in account {}: {}", finding.name, finding.account, finding.summary);
            let key = format!("orphan:{}/{}", finding.account, finding.instance);
            vec![cause(key, Severity::Warning, &text)]
        }
        FindingKind::Drift => {
            let of = |one: &capsule_api::Drift| {
                let text = format!(
                    "{} is {} and not {}",
                    one.field,
                    one.seen,
                    one.expected.as_deref().unwrap_or("none")
                );
                cause(format!("drift:{}", one.field), Severity::Warning, &text)
            };
            finding.drift.iter().map(of).collect()
        }
    }
}

/// Opens, changes or ends the alert about a provider's orphans.
pub(in crate::usecases) async fn judge_orphans(
    tx: &mut Tx,
    provider: ProviderName,
) -> Result<(), StoreError> {
    let filter = FindingFilter {
        provider: Some(provider),
        kind: Some(FindingKind::Orphan),
        ..FindingFilter::default()
    };
    let orphans = findings::list_in(tx, &filter).await?;
    let summary = match orphans.as_slice() {
        [one] => format!("{} in account {} is {}", one.name, one.account, one.summary),
        more => format!("{} servers carry our mark and are not in the inventory", more.len()),
    };
    let causes = orphans.iter().take(MOST_CAUSES).flat_map(causes).collect();
    let place = Place {
        subject: Subject { kind: SubjectKind::Provider, id: provider.to_string() },
        name: provider.to_string(),
        tags: Vec::new(),
    };
    settle(tx, &place, causes, summary).await
}

/// What an alert is about.
struct Place {
    subject: Subject,
    name: String,
    tags: Vec<Tag>,
}

async fn settle(tx: &mut Tx, place: &Place, causes: Vec<Cause>, summary: String) -> Result<(), StoreError> {
    let now = tx.now();
    let open = alerts::open_of(tx, &place.subject).await?;
    let present = open.into_iter().find(|alert| alert.kind == AlertKind::ReconcileDrift);
    let worst = causes.iter().map(|cause| cause.severity).max();
    let (alert, kind, text) = match (present, worst) {
        (None, None) => return Ok(()),
        (Some(alert), None) => {
            let text = format!("over: {}", alert.summary);
            let over =
                Alert { state: AlertState::Resolved, changed_at: now, resolved_at: Some(now), ..alert };
            (over, AlertChangeKind::Resolved, text)
        }
        (present, Some(severity)) => {
            let since = causes.iter().map(|cause| cause.since).min().unwrap_or(now);
            let kind = AlertKind::ReconcileDrift;
            let draft = AlertDraft { kind, severity, summary: summary.clone(), causes, since };
            match present {
                None => (
                    telling::opened(place.subject.clone(), place.name.clone(), draft, now),
                    AlertChangeKind::Opened,
                    summary,
                ),
                Some(alert) => {
                    let Some(kind) = rules::change(&alert, &draft) else { return Ok(()) };
                    let AlertDraft { severity, summary: new, causes, .. } = draft;
                    let alert = Alert { severity, summary: new, causes, changed_at: now, ..alert };
                    (alert, kind, summary)
                }
            }
        }
    };
    telling::tell(tx, &alert, &place.tags, Happening { kind, actor: None, text, comment: None }).await
}
