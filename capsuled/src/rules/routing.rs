//! Which channels are told of which change of an alert, and of which operation's end.
//!
//! A route decides who hears of a problem first: when it opens, or when it gets bad enough for a channel
//! that wants only the worst. Whoever was told stays in the conversation until it is over: a mail that says
//! "down" without a mail that says "up again" is worse than no mail. Nobody enters the conversation in the
//! middle: an update, an acknowledgement, a comment or an ending means nothing to who never heard of it.

use capsule_api::{Alert, AlertChangeKind, ChannelRoute, OperationKind, Tag, Topic};

/// Whether a channel with `route` is told that `change` happened to `alert`, which is as it stands after the
/// change. `tags` are the subject's; `told_before`: the channel was told something of this alert.
pub fn wants(
    route: &ChannelRoute,
    alert: &Alert,
    change: AlertChangeKind,
    tags: &[Tag],
    told_before: bool,
) -> bool {
    if told_before {
        return true;
    }
    match change {
        AlertChangeKind::Opened | AlertChangeKind::Escalated => matches(route, alert, tags),
        AlertChangeKind::Eased
        | AlertChangeKind::Updated
        | AlertChangeKind::Acknowledged
        | AlertChangeKind::Commented
        | AlertChangeKind::Resolved => false,
    }
}

/// Whether a channel with `route` is told that an operation on something with these tags has ended.
pub fn wants_end(route: &ChannelRoute, tags: &[Tag]) -> bool {
    route.tells(Topic::Operations) && tag_wanted(route, tags)
}

/// Whether anybody may be told of the end of such an operation: somebody pays for what it does, and nobody sits
/// there until it is done.
pub const fn is_told(kind: OperationKind) -> bool {
    match kind {
        OperationKind::Deploy
        | OperationKind::StartXNode
        | OperationKind::StopXNode
        | OperationKind::RestartXNode
        | OperationKind::TerminateXNode => true,
        OperationKind::RunChecks
        | OperationKind::CollectMetrics
        | OperationKind::RefreshTemplates
        | OperationKind::Reconcile => false,
    }
}

fn tag_wanted(route: &ChannelRoute, tags: &[Tag]) -> bool {
    route.tags.is_empty() || route.tags.iter().any(|tag| tags.contains(tag))
}

fn matches(route: &ChannelRoute, alert: &Alert, tags: &[Tag]) -> bool {
    let severe_enough = route.min_severity.is_none_or(|least| least <= alert.severity);
    let kind_wanted = route.kinds.is_empty() || route.kinds.contains(&alert.kind);
    route.tells(Topic::Alerts) && severe_enough && kind_wanted && tag_wanted(route, tags)
}

#[cfg(test)]
mod tests {
    use capsule_api::{AlertId, AlertKind, AlertState, Severity, Subject, SubjectKind};
    use jiff::Timestamp;

    use super::*;

    fn alert(severity: Severity) -> Alert {
        Alert {
            id: AlertId(uuid::Uuid::nil()),
            subject: Subject { kind: SubjectKind::XNode, id: "x".to_owned() },
            subject_name: "web-1".to_owned(),
            kind: AlertKind::HighCpu,
            severity,
            state: AlertState::Open,
            summary: String::new(),
            causes: Vec::new(),
            since: Timestamp::UNIX_EPOCH,
            opened_at: Timestamp::UNIX_EPOCH,
            changed_at: Timestamp::UNIX_EPOCH,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
        }
    }

    fn tag(name: &str) -> Tag {
        name.parse().expect("a tag")
    }

    #[test]
    fn a_route_decides_who_hears_of_it_first() {
        let all = ChannelRoute::default();
        let critical = ChannelRoute { min_severity: Some(Severity::Critical), ..all.clone() };
        let disks = ChannelRoute { kinds: vec![AlertKind::LowDisk], ..all.clone() };
        let shop = ChannelRoute { tags: vec![tag("shop"), tag("eu")], ..all.clone() };
        let told = |route: &ChannelRoute, severity, tags: &[Tag]| {
            wants(route, &alert(severity), AlertChangeKind::Opened, tags, false)
        };
        assert!(told(&all, Severity::Info, &[]));
        assert!(!told(&critical, Severity::Warning, &[]));
        assert!(told(&critical, Severity::Critical, &[]));
        assert!(!told(&disks, Severity::Critical, &[]));
        assert!(told(&shop, Severity::Info, &[tag("eu"), tag("x")]));
        assert!(!told(&shop, Severity::Info, &[tag("x")]));
    }

    #[test]
    fn ends_of_operations_go_to_who_asked_for_them_and_alerts_to_nobody_who_did_not() {
        let told = |tell: &[Topic], tags: &[&str]| {
            let tags = tags.iter().copied().map(tag).collect();
            let route = ChannelRoute { tell: tell.to_vec(), tags, ..ChannelRoute::default() };
            let opened = AlertChangeKind::Opened;
            let alert = wants(&route, &alert(Severity::Info), opened, &[tag("web")], false);
            (alert, wants_end(&route, &[tag("web")]))
        };
        assert_eq!(told(&[], &[]), (true, false), "as it was before there was a choice");
        assert_eq!(told(&[Topic::Operations], &[]), (false, true));
        assert_eq!(told(&[Topic::Alerts, Topic::Operations], &["web"]), (true, true));
        assert_eq!(told(&[Topic::Operations], &["db"]), (false, false));
    }

    #[test]
    fn nobody_enters_in_the_middle_except_when_it_gets_worse() {
        for change in AlertChangeKind::ALL.iter().copied() {
            let told = wants(&ChannelRoute::default(), &alert(Severity::Critical), change, &[], false);
            let begins = matches!(change, AlertChangeKind::Opened | AlertChangeKind::Escalated);
            assert_eq!(told, begins, "{change}");
        }
    }

    #[test]
    fn whoever_was_told_hears_the_end_even_when_it_matches_no_more() {
        let route = ChannelRoute { min_severity: Some(Severity::Critical), ..ChannelRoute::default() };
        for change in AlertChangeKind::ALL.iter().copied() {
            assert!(wants(&route, &alert(Severity::Warning), change, &[], true), "{change}");
        }
    }
}
