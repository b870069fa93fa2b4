//! Which channels are told of which change of an alert.
//!
//! A route decides who hears of a problem first: when it opens, or when it gets bad enough for a channel
//! that wants only the worst. Whoever was told stays in the conversation until it is over: a mail that says
//! "down" without a mail that says "up again" is worse than no mail. Nobody enters the conversation in the
//! middle: an update, an acknowledgement, a comment or an ending means nothing to who never heard of it.

use capsule_api::{Alert, AlertChangeKind, ChannelRoute, Tag};

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

fn matches(route: &ChannelRoute, alert: &Alert, tags: &[Tag]) -> bool {
    let severe_enough = route.min_severity.is_none_or(|least| least <= alert.severity);
    let kind_wanted = route.kinds.is_empty() || route.kinds.contains(&alert.kind);
    let tag_wanted = route.tags.is_empty() || route.tags.iter().any(|tag| tags.contains(tag));
    severe_enough && kind_wanted && tag_wanted
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
