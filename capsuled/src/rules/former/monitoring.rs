//! `monitoring.yml` and what the earlier monitor remembered.

use capsule_api::{
    ChannelCreate, ChannelRoute, ChannelTarget, ConsoleTarget, EmailTarget, SettingsPatch, SlackTarget,
    SmtpSecurity, ThresholdOverride, ThresholdOverrides, Thresholds, WebhookTarget,
};

use super::{Reader, word};
use crate::rules::{
    records::document::{Faults, Node},
    thresholds,
};

const FIELDS: &[&str] = &[
    "enabled",
    "check_interval_seconds",
    "ping_timeout",
    "ssh_timeout",
    "http_timeout",
    "cpu_warning_threshold",
    "cpu_critical_threshold",
    "memory_warning_threshold",
    "memory_critical_threshold",
    "disk_warning_threshold",
    "disk_critical_threshold",
    "console_alerts",
    "email_alerts",
    "webhook_alerts",
    "slack_alerts",
    "email_recipients",
    "webhook_url",
    "slack_webhook_url",
    "auto_restart_on_failure",
    "auto_scale_on_high_load",
];

impl Reader<'_> {
    pub(super) fn monitoring(&mut self, file: &str, of: &Node, faults: &mut Faults) {
        let seconds = |field: &str, most: f64, faults: &mut Faults| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is within the bounds"
            )]
            faults.number(of, field, 0.1, most).map(|seconds| (seconds * 1_000.0).round() as u64)
        };
        let mut share = |resource: &str, level: &str| {
            faults.number(of, &format!("{resource}_{level}_threshold"), 0.0, 100.0)
        };
        let mut limits = |resource: &str| ThresholdOverride {
            warning: share(resource, "warning"),
            critical: share(resource, "critical"),
            ..ThresholdOverride::default()
        };
        let overrides =
            ThresholdOverrides { cpu: limits("cpu"), memory: limits("memory"), disk: limits("disk") };
        if let Err(error) = thresholds::validate(&thresholds::patch(&Thresholds::default(), &overrides)) {
            let field = ["warning", "critical"].map(|level| format!("{}_{level}_threshold", error.resource));
            let line = field.iter().find_map(|field| of.get(field)).map_or(of.line, |node| node.line);
            faults.add(line, field[0].clone(), error.to_string());
        }
        let patch = SettingsPatch {
            check_interval_ms: seconds("check_interval_seconds", 86_400.0, faults),
            ping_timeout_ms: seconds("ping_timeout", 60.0, faults),
            ssh_timeout_ms: seconds("ssh_timeout", 60.0, faults),
            http_timeout_ms: seconds("http_timeout", 60.0, faults),
            thresholds: (overrides != ThresholdOverrides::default()).then_some(overrides),
            ..SettingsPatch::default()
        };
        if patch.check_interval_ms.is_some_and(|ms| ms < 1_000) {
            let line = of.get("check_interval_seconds").map_or(of.line, |node| node.line);
            faults.add(line, "check_interval_seconds", "it must be at least 1");
        }
        if patch != SettingsPatch::default() {
            self.former.settings = Some((faults.spot(of.line), patch));
        }
        self.channels(file, of, faults);
        if of.get("enabled").is_some() && !faults.flag(of, "enabled") {
            let reason =
                "watching has no switch: `inventory edit NAME --status stopped` ends it for a server";
            self.leave(file, None, "enabled: false", reason);
        }
        for name in ["auto_restart_on_failure", "auto_scale_on_high_load"] {
            if faults.flag(of, name) {
                let reason =
                    "nothing acts by itself after a migration: `remediation --help` says how to allow it";
                self.leave(file, of.get(name).map(|node| node.line), name, reason);
            }
        }
        self.leave_unknown(file, of, FIELDS);
    }

    fn channels(&mut self, file: &str, of: &Node, faults: &mut Faults) {
        let mut add = |line: usize, name: &str, enabled, target, secret: Option<&str>| {
            let spot = crate::rules::records::faults::Spot::In(file.into(), line);
            let new = ChannelCreate {
                name: name.parse().expect("a channel's name"),
                enabled,
                target,
                secret: secret.map(str::to_owned),
                route: ChannelRoute::default(),
            };
            self.former.channels.push((spot, new));
        };
        let line = |field: &str| of.get(field).map_or(of.line, |node| node.line);
        if faults.flag(of, "console_alerts") {
            add(line("console_alerts"), "console", true, ChannelTarget::Console(ConsoleTarget {}), None);
        }
        let wanted = faults.flag(of, "webhook_alerts");
        if let Some(url) = faults.text(of, "webhook_url").filter(|url| !url.is_empty()) {
            let target = WebhookTarget { url: url.to_owned(), headers: Default::default(), ca_pem: None };
            add(line("webhook_url"), "webhook", wanted, ChannelTarget::Webhook(target), None);
        }
        let wanted = faults.flag(of, "slack_alerts");
        if let Some(url) = faults.text(of, "slack_webhook_url").filter(|url| !url.is_empty()) {
            add(line("slack_webhook_url"), "slack", wanted, ChannelTarget::Slack(SlackTarget {}), Some(url));
        }
        let wanted = faults.flag(of, "email_alerts");
        let to: Vec<String> = faults.words(of, "email_recipients");
        if !to.is_empty() {
            // The earlier Capsule named no mail server, so the channel cannot be used before somebody does.
            let target = EmailTarget {
                host: "localhost".parse().expect("a host"),
                port: None,
                security: SmtpSecurity::None,
                username: None,
                from: "capsule@localhost".to_owned(),
                to,
                ca_pem: None,
            };
            add(line("email_recipients"), "email", false, ChannelTarget::Email(target), None);
            if wanted {
                let reason =
                    "made and switched off, because no mail server is named: `channel edit email --help`";
                self.leave(file, Some(line("email_recipients")), "email_alerts", reason);
            }
        }
    }

    pub(super) fn health_history(&mut self, file: &str, of: &Node, faults: &mut Faults) {
        let count = self.remembered(of, faults, |reader, entry, faults| {
            reader.moment(entry, "timestamp", faults);
            if let Some(text) = faults.text(entry, "status")
                && !["healthy", "degraded", "unhealthy", "unknown"].contains(&word(text).as_str())
            {
                faults.unknown(entry, "status", text);
            }
        });
        let reason = "history belongs to a check here, and these name none; checks begin theirs now";
        self.leave(file, None, counted(count, "result"), reason);
    }

    pub(super) fn metrics_history(&mut self, file: &str, of: &Node, faults: &mut Faults) {
        let count = self.remembered(of, faults, |reader, entry, faults| {
            reader.moment(entry, "timestamp", faults);
            for field in ["cpu_percent", "memory_percent", "disk_percent"] {
                faults.number(entry, field, 0.0, 100.0);
            }
        });
        let reason = "one day of readings at most, which a first day here replaces";
        self.leave(file, None, counted(count, "reading"), reason);
    }

    pub(super) fn active_alerts(&mut self, file: &str, of: &Node, faults: &mut Faults) {
        let mut count = 0;
        for (id, entry) in of.fields() {
            if faults.is_map(entry, id) {
                self.moment(entry, "timestamp", faults);
                count += usize::from(!faults.flag(entry, "resolved"));
            }
        }
        let reason = "what still holds is found and told anew by the first checks";
        self.leave(file, None, counted(count, "open alert"), reason);
    }

    /// Looks at every entry of a mapping from servers to lists, and counts them.
    fn remembered(&self, of: &Node, faults: &mut Faults, look: impl Fn(&Self, &Node, &mut Faults)) -> usize {
        let mut count = 0;
        for (xnode, _) in of.fields() {
            for (at, entry) in faults.list(of, xnode).iter().enumerate() {
                count += 1;
                if faults.is_map(entry, &format!("{xnode}[{at}]")) {
                    look(self, entry, faults);
                }
            }
        }
        count
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
