//! Who may do what: roles from the peer's user and groups, and the role each operation asks for.
//!
//! One table for both the HTTP routes and whatever else offers operations, so an operation cannot be open
//! in one place and closed in another. An operation that is not in the table is refused to everyone.

use capsule_api::Role;

/// Every operation with the least role it asks for.
pub const OPERATIONS: &[(&str, Role)] = &[
    ("get_server_info", Role::Reader),
    ("get_overview", Role::Reader),
    ("list_xnodes", Role::Reader),
    ("get_xnode", Role::Reader),
    ("get_xnode_health", Role::Reader),
    ("list_xnode_health", Role::Reader),
    ("list_probe_history", Role::Reader),
    ("get_xnode_metrics", Role::Reader),
    ("list_metrics_history", Role::Reader),
    ("list_alerts", Role::Reader),
    ("get_alert", Role::Reader),
    ("list_channels", Role::Reader),
    ("get_channel", Role::Reader),
    ("list_deliveries", Role::Reader),
    ("list_remediations", Role::Reader),
    ("get_remediation", Role::Reader),
    ("list_remediation_runs", Role::Reader),
    ("get_settings", Role::Reader),
    ("list_tag_thresholds", Role::Reader),
    ("list_budgets", Role::Reader),
    ("list_providers", Role::Reader),
    ("get_provider", Role::Reader),
    ("list_instances", Role::Reader),
    ("get_instance", Role::Reader),
    ("list_accounts", Role::Reader),
    ("get_account", Role::Reader),
    ("list_templates", Role::Reader),
    ("get_template", Role::Reader),
    ("list_template_equivalents", Role::Reader),
    ("list_regions", Role::Reader),
    ("get_exchange_rate", Role::Reader),
    ("plan_deployment", Role::Reader),
    ("get_cost_report", Role::Reader),
    ("list_history", Role::Reader),
    ("get_stats", Role::Reader),
    ("list_discounts", Role::Reader),
    ("get_inventory_export", Role::Reader),
    ("list_deployments", Role::Reader),
    ("get_deployment", Role::Reader),
    ("list_leftovers", Role::Reader),
    ("list_sweeps", Role::Reader),
    ("list_findings", Role::Reader),
    ("get_finding", Role::Reader),
    ("list_operations", Role::Reader),
    ("get_operation", Role::Reader),
    ("list_events", Role::Reader),
    ("list_tasks", Role::Reader),
    ("list_stacks", Role::Reader),
    ("get_stack", Role::Reader),
    ("list_sprouts", Role::Reader),
    ("list_profiles", Role::Reader),
    ("get_profile", Role::Reader),
    ("get_active_profile", Role::Reader),
    ("list_profile_versions", Role::Reader),
    ("get_profile_diff", Role::Reader),
    ("get_profile_preview", Role::Reader),
    ("get_openapi", Role::Reader),
    ("get_docs", Role::Reader),
    ("get_docs_script", Role::Reader),
    ("get_prometheus_metrics", Role::Reader),
    ("get_prometheus_targets", Role::Reader),
    ("get_healthz", Role::Reader),
    ("get_readyz", Role::Reader),
    ("create_xnode", Role::Operator),
    ("update_xnode", Role::Operator),
    ("delete_xnode", Role::Operator),
    ("create_deployment", Role::Operator),
    ("start_xnode", Role::Operator),
    ("stop_xnode", Role::Operator),
    ("restart_xnode", Role::Operator),
    ("terminate_xnode", Role::Operator),
    ("reconcile_accounts", Role::Operator),
    ("accept_finding", Role::Operator),
    ("ignore_finding", Role::Operator),
    ("adopt_instances", Role::Operator),
    ("run_xnode_checks", Role::Operator),
    ("collect_xnode_metrics", Role::Operator),
    ("acknowledge_alert", Role::Operator),
    ("resolve_alert", Role::Operator),
    ("comment_alert", Role::Operator),
    ("retry_delivery", Role::Operator),
    ("test_channel", Role::Operator),
    ("cancel_operation", Role::Operator),
    ("create_remediation", Role::Operator),
    ("update_remediation", Role::Operator),
    ("test_remediation", Role::Operator),
    ("prove_account", Role::Operator),
    ("update_settings", Role::Operator),
    ("set_tag_thresholds", Role::Operator),
    ("delete_tag_thresholds", Role::Operator),
    ("refresh_templates", Role::Operator),
    ("set_exchange_rate", Role::Operator),
    ("set_budget", Role::Operator),
    ("delete_budget", Role::Operator),
    ("set_discount", Role::Operator),
    ("delete_discount", Role::Operator),
    ("import_inventory", Role::Operator),
    // Only ever the caller's own.
    ("create_profile", Role::Operator),
    ("update_profile", Role::Operator),
    ("delete_profile", Role::Operator),
    ("set_active_profile", Role::Operator),
    ("create_stacks", Role::Operator),
    ("delete_stack", Role::Operator),
    ("migrate_directory", Role::Admin),
    ("create_channel", Role::Admin),
    ("update_channel", Role::Admin),
    ("delete_channel", Role::Admin),
    ("delete_remediation", Role::Admin),
    ("create_account", Role::Admin),
    ("update_account", Role::Admin),
    ("delete_account", Role::Admin),
    ("clean_up_history", Role::Admin),
    ("list_audit", Role::Admin),
    // Operators act on servers and have no shell on them; a tunnel reaches whatever the server does.
    ("open_xnode_shell", Role::Admin),
    ("open_xnode_tunnel", Role::Admin),
    ("open_tunnel_connection", Role::Admin),
];

/// The ids of the three groups on this machine; a group that does not exist gives nobody a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoleGroups {
    /// `capsule`: may see. The socket belongs to it, so the other two roles need it as well.
    pub reader: Option<u32>,
    /// `capsule-operator`: may act.
    pub operator: Option<u32>,
    /// `capsule-admin`: may do everything.
    pub admin: Option<u32>,
}

/// The least role an operation asks for; `None`: there is no such operation, refuse.
pub fn required_role(operation_id: &str) -> Option<Role> {
    OPERATIONS.iter().find(|(id, _)| *id == operation_id).map(|(_, role)| *role)
}

/// Whether `role` may hand the daemon credentials, such as an SSH key in `create_xnode` or `update_xnode`,
/// which otherwise ask for less.
pub fn may_set_credentials(role: Role) -> bool {
    role == Role::Admin
}

/// Whether `role` may say which command a remediation runs, and where: that is a shell on nodes. Switching it
/// off is not.
pub fn may_set_commands(role: Role) -> bool {
    role == Role::Admin
}

/// What a peer may do; `None`: nothing. `groups` are the primary and the supplementary groups of the peer.
/// `role_groups` is `None` on a user's own daemon, where only that user and root count.
pub fn role_of(uid: u32, groups: &[u32], own_uid: u32, role_groups: Option<&RoleGroups>) -> Option<Role> {
    if uid == 0 || uid == own_uid {
        return Some(Role::Admin);
    }
    let known = role_groups?;
    let member = |group: Option<u32>| group.is_some_and(|id| groups.contains(&id));
    if !member(known.reader) {
        return None;
    }
    Some(match (member(known.admin), member(known.operator)) {
        (true, _) => Role::Admin,
        (false, true) => Role::Operator,
        (false, false) => Role::Reader,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: RoleGroups = RoleGroups { reader: Some(10), operator: Some(11), admin: Some(12) };

    #[test]
    fn every_operation_stands_once_and_others_are_refused() {
        for (place, (id, role)) in OPERATIONS.iter().enumerate() {
            assert_eq!(required_role(id), Some(*role));
            assert!(OPERATIONS[..place].iter().all(|(other, _)| other != id), "{id} stands twice");
            // A plan is a question with a body.
            let is_read = id.starts_with("get_") || id.starts_with("list_") || *id == "plan_deployment";
            assert!(is_read || *role != Role::Reader, "a reader must not {id}");
        }
        assert_eq!(required_role("drop_everything"), None);
    }

    #[test]
    fn groups_give_roles_only_to_members_of_the_first() {
        for (groups, role) in [
            (&[][..], None),
            (&[10][..], Some(Role::Reader)),
            (&[10, 11][..], Some(Role::Operator)),
            (&[12, 10][..], Some(Role::Admin)),
            (&[11, 12][..], None),
            (&[99][..], None),
        ] {
            assert_eq!(role_of(1000, groups, 990, Some(&GROUPS)), role, "{groups:?}");
        }
        let missing = RoleGroups { admin: None, operator: None, ..GROUPS };
        assert_eq!(role_of(1000, &[10, 12], 990, Some(&missing)), Some(Role::Reader));
    }

    #[test]
    fn a_users_own_daemon_knows_that_user_and_root() {
        assert_eq!(role_of(1000, &[], 1000, None), Some(Role::Admin));
        assert_eq!(role_of(0, &[], 1000, None), Some(Role::Admin));
        assert_eq!(role_of(1001, &[10, 11, 12], 1000, None), None);
    }

    #[test]
    fn only_admins_hand_over_credentials() {
        assert!(may_set_credentials(Role::Admin));
        assert!(!may_set_credentials(Role::Operator));
    }

    #[test]
    fn only_admins_say_what_runs_on_nodes() {
        assert!(may_set_commands(Role::Admin));
        assert!(!may_set_commands(Role::Operator));
    }
}
