//! What a remediation would do now. Asks and does nothing.

use capsule_api::{
    AlertId, Remediation, RemediationAction, RemediationTest, RemediationTry, RemediationVerdict,
};
use uuid::Uuid;

use super::{deciding::deed, proposing, situation, situation::Situation, stored};
use crate::{
    context::Context,
    rules::remediation::{self as rules, Case, Verdict},
    usecases::{UseCaseError, alerts, xnodes},
};

const MOST_VERDICTS: usize = 100;

/// What a remediation would do about an alert, on an xNode, or about every open alert it is for.
///
/// # Errors
/// [`UseCaseError::NotFound`]; [`UseCaseError::Invalid`] for both an alert and an xNode, and for an alert that
/// is over or that no remediation can be about.
pub async fn test(
    context: &Context,
    given: &str,
    on: &RemediationTry,
) -> Result<RemediationTest, UseCaseError> {
    let remediation = stored(context, given).await?;
    let known = match (&on.alert, &on.xnode) {
        (Some(_), Some(_)) => {
            return Err(UseCaseError::invalid("xnode", "name an alert or an xNode, not both"));
        }
        (None, Some(xnode)) => {
            let stored = xnodes::stored(&context.store, xnode).await?;
            situation::pretend(context, &remediation, stored).await?
        }
        (Some(alert), None) => only(context, &remediation, alert).await?,
        (None, None) => {
            let mut known = situation::read(context, std::slice::from_ref(&remediation)).await?;
            known.cases.retain(|case| rules::is_for(&remediation, case));
            known
        }
    };
    let mut verdicts = Vec::new();
    for case in known.cases.iter().take(MOST_VERDICTS) {
        verdicts.extend(verdict(context, &remediation, &known, case).await?);
    }
    let fleet = known.moment.fleet;
    Ok(RemediationTest {
        remediation: remediation.name,
        enabled: remediation.enabled,
        mode: remediation.mode,
        fleet: fleet.counted,
        down: fleet.down,
        unseen: fleet.unseen,
        verdicts,
    })
}

async fn only(context: &Context, remediation: &Remediation, alert: &str) -> Result<Situation, UseCaseError> {
    let detail = alerts::get(context, alert).await?;
    let mut known = situation::read(context, std::slice::from_ref(remediation)).await?;
    known.cases.retain(|case| case.alert == detail.alert.id);
    if known.cases.is_empty() {
        let alert = detail.alert;
        let reason = format!(
            "the alert is {} on {}; {} is not for it",
            alert.kind, alert.subject_name, remediation.name
        );
        return Err(UseCaseError::invalid("alert", reason));
    }
    Ok(known)
}

async fn verdict(
    context: &Context,
    remediation: &Remediation,
    known: &Situation,
    case: &Case,
) -> Result<Option<RemediationVerdict>, UseCaseError> {
    let Some(stored) = known.xnodes.get(&case.xnode) else { return Ok(None) };
    let judged = if rules::is_for(remediation, case) {
        Some(rules::judge(remediation, case, &known.past, &known.moment))
    } else {
        None
    };
    let (would_act, held, text) = match judged {
        None => (false, None, "it is not for this one: kind, severity, tag or xNode differ".to_owned()),
        Some(Verdict::Held { why, until }) => {
            (false, Some(why), rules::words(why, until, remediation, case, &known.moment.fleet))
        }
        Some(Verdict::Act) => match &remediation.action {
            RemediationAction::ProposeDeployment(_) => {
                match proposing::propose(context, stored, case, known.moment.now).await? {
                    Ok(text) => (true, None, format!("would propose: {text}")),
                    Err(why) => (false, None, why),
                }
            }
            action => (true, None, format!("would {}", deed(action))),
        },
    };
    Ok(Some(RemediationVerdict {
        alert_id: Some(case.alert).filter(|alert| *alert != AlertId(Uuid::nil())),
        alert_kind: case.kind,
        xnode_id: case.xnode,
        xnode: stored.xnode.name.clone(),
        would_act,
        held,
        text,
    }))
}
