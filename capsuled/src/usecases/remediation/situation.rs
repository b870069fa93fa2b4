//! What is true at this moment, as the rules want it: open alerts, their xNodes, the runs there were, the fleet.

use std::collections::{HashMap, HashSet};

use capsule_api::{
    Alert, AlertId, AlertKind, AlertState, Health, OperationKind, Outcome, Remediation, RemediationRun,
    Severity, SubjectKind, XNodeId,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    context::{Context, LiveCheck},
    model::XNodeKey,
    rules::{
        health,
        remediation::{Case, Fleet, Moment, Past},
    },
    store::{
        StoreError, alerts, operations, remediations,
        xnodes::{self, StoredXNode},
    },
    usecases::watching,
};

/// How long after the start alerts of the process before are not acted on.
const SETTLING: SignedDuration = SignedDuration::from_mins(1);
/// From so many xNodes on, one query for all is cheaper than one for each.
const ONE_BY_ONE: usize = 100;

/// What is true at this moment.
pub(super) struct Situation {
    /// The open alerts that some remediation is about.
    pub(super) cases: Vec<Case>,
    /// Their xNodes.
    pub(super) xnodes: HashMap<XNodeId, StoredXNode>,
    /// The runs the rules need.
    pub(super) past: Vec<Past>,
    /// The fleet and the time.
    pub(super) moment: Moment,
}

/// Reads what matters to `remediations`.
pub(super) async fn read(context: &Context, remediations: &[Remediation]) -> Result<Situation, StoreError> {
    let wanted = |alert: &Alert| remediations.iter().any(|one| one.trigger.kinds.contains(&alert.kind));
    let mut reader = context.store.reader().await?;
    let open: Vec<(Alert, XNodeId)> = alerts::list_open(&mut reader)
        .await?
        .into_iter()
        .filter(|alert| alert.subject.kind == SubjectKind::XNode && wanted(alert))
        .filter_map(|alert| alert.subject.id.parse().ok().map(|id| (alert, id)))
        .collect();
    drop(reader);
    let stored = read_xnodes(context, &open.iter().map(|(_, id)| *id).collect()).await?;
    let View { past, moment, busy, survey } = View::read(context, remediations).await?;
    let cases = open.iter().filter_map(|(alert, id)| {
        let stored = stored.get(id)?;
        Some(case(context, alert, stored, &survey, busy.contains(id)))
    });
    Ok(Situation { cases: cases.collect(), past, moment, xnodes: stored })
}

/// As if an alert of the first kind had been open on `stored` for long enough.
pub(super) async fn pretend(
    context: &Context,
    remediation: &Remediation,
    stored: StoredXNode,
) -> Result<Situation, StoreError> {
    let View { past, moment, busy, survey } = View::read(context, std::slice::from_ref(remediation)).await?;
    let trigger = &remediation.trigger;
    let busy = busy.contains(&stored.xnode.id);
    let mut case = place(context, &stored, &survey, busy);
    case.kind = trigger.kinds.first().copied().unwrap_or(case.kind);
    let xnodes = HashMap::from([(stored.xnode.id, stored)]);
    Ok(Situation { cases: vec![case], past, moment, xnodes })
}

/// What is true whatever the alerts are.
struct View {
    past: Vec<Past>,
    moment: Moment,
    busy: HashSet<XNodeId>,
    survey: HashMap<XNodeKey, Health>,
}

impl View {
    async fn read(context: &Context, remediations: &[Remediation]) -> Result<Self, StoreError> {
        let now = context.clock.now();
        let mut reader = context.store.reader().await?;
        let past = remediations::relevant(&mut reader, since(remediations, now)).await?;
        let unfinished = operations::list(&mut reader, true, None, i64::MAX).await?;
        let own_host = remediations::own_host(&mut reader).await?;
        let survey = context.live.survey(|checks| seen_health(checks, now));
        let fleet = fleet(&survey, own_host);
        Ok(Self {
            past: past.iter().map(past_of).collect(),
            moment: Moment { fleet, settled_at: context.started_at + SETTLING, now },
            busy: unfinished
                .iter()
                .filter(|operation| steers(operation.kind))
                .filter_map(|operation| operation.resource.parse().ok())
                .collect(),
            survey,
        })
    }
}

/// Whether an operation of this kind changes the server it works on.
const fn steers(kind: OperationKind) -> bool {
    match kind {
        OperationKind::StartXNode
        | OperationKind::StopXNode
        | OperationKind::RestartXNode
        | OperationKind::TerminateXNode
        | OperationKind::Deploy => true,
        OperationKind::RunChecks
        | OperationKind::CollectMetrics
        | OperationKind::RefreshTemplates
        | OperationKind::Reconcile => false,
    }
}

async fn read_xnodes(
    context: &Context,
    ids: &HashSet<XNodeId>,
) -> Result<HashMap<XNodeId, StoredXNode>, StoreError> {
    let mut reader = context.store.reader().await?;
    let mut found = HashMap::new();
    if ids.len() <= ONE_BY_ONE {
        for id in ids {
            if let Some(stored) = xnodes::find(&mut reader, *id).await? {
                found.insert(*id, stored);
            }
        }
        return Ok(found);
    }
    let all = xnodes::list(&mut reader, &xnodes::Filter::default(), i64::MAX).await?;
    found.extend(all.into_iter().map(|stored| (stored.xnode.id, stored)).filter(|(id, _)| ids.contains(id)));
    Ok(found)
}

/// Runs that ended before this hold nobody back any more.
fn since(remediations: &[Remediation], now: Timestamp) -> Timestamp {
    let longest = remediations.iter().map(|one| one.limits.cooldown_ms).max().unwrap_or(0).max(3_600_000);
    let longest = SignedDuration::from_millis(i64::try_from(longest).unwrap_or(i64::MAX));
    now.saturating_sub(longest).unwrap_or(Timestamp::MIN)
}

pub(super) fn past_of(run: &RemediationRun) -> Past {
    Past {
        remediation: run.remediation_id,
        alert: run.alert_id,
        xnode: run.xnode_id,
        state: run.state,
        held: run.held,
        began_at: run.began_at,
        ended_at: run.ended_at,
    }
}

/// The health that an xNode's checks show now; unknown also when the newest probes were all blind, which leaves
/// their states as they were.
fn seen_health(checks: &[&LiveCheck], now: Timestamp) -> Health {
    let is_blind =
        |check: &&LiveCheck| check.last.as_ref().is_some_and(|last| last.outcome == Outcome::Blind);
    if checks.iter().all(is_blind) {
        return Health::Unknown;
    }
    let views: Vec<_> = checks.iter().map(|check| watching::view(check)).collect();
    health::overall(&views, now)
}

fn fleet(survey: &HashMap<XNodeKey, Health>, own_host: Option<XNodeKey>) -> Fleet {
    let others = || survey.iter().filter(|(key, _)| Some(**key) != own_host).map(|(_, health)| *health);
    let count = |wanted: Option<Health>| {
        let counted = others().filter(|health| wanted.is_none_or(|wanted| wanted == *health)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    Fleet { counted: count(None), down: count(Some(Health::Unhealthy)), unseen: count(Some(Health::Unknown)) }
}

fn case(
    context: &Context,
    alert: &Alert,
    stored: &StoredXNode,
    survey: &HashMap<XNodeKey, Health>,
    busy: bool,
) -> Case {
    Case {
        alert: alert.id,
        kind: alert.kind,
        severity: alert.severity,
        acknowledged: alert.state != AlertState::Open,
        opened_at: alert.opened_at,
        ..place(context, stored, survey, busy)
    }
}

/// What is known of an xNode, under an alert that was always there.
fn place(context: &Context, stored: &StoredXNode, survey: &HashMap<XNodeKey, Health>, busy: bool) -> Case {
    let xnode = &stored.xnode;
    Case {
        alert: AlertId(Uuid::nil()),
        kind: AlertKind::ServiceDown,
        severity: Severity::Critical,
        acknowledged: false,
        opened_at: Timestamp::UNIX_EPOCH,
        xnode: xnode.id,
        tags: xnode.tags.clone(),
        seen: is_seen(context, stored, survey),
        busy,
        no_ssh: if xnode.ssh.user.is_none() {
            Some("no SSH user is set for it")
        } else if stored.ssh_key.is_none() {
            Some("no SSH key is set for it")
        } else if stored.host_key.is_none() {
            Some("its SSH host key is not pinned yet")
        } else {
            None
        },
        no_power: if xnode.own_host {
            Some("it is the host this daemon runs on")
        } else if xnode.placement.is_none() {
            Some("it is not known at a provider")
        } else {
            None
        },
    }
}

/// Whether something recent is known of it: by its checks, or by its readings where it has none.
fn is_seen(context: &Context, stored: &StoredXNode, survey: &HashMap<XNodeKey, Health>) -> bool {
    match survey.get(&stored.key) {
        Some(health) => *health != Health::Unknown,
        None => {
            let live = context.live.xnode(stored.key);
            watching::is_watched(stored.xnode.status) && live.sample.is_some() && live.error.is_none()
        }
    }
}
