//! The one place where an alert change becomes words; the end of an operation does in [`ends`]. Every channel lays out the same [`Rendered`], so a
//! mail, a Slack message and a log line never say different things.
//!
//! Everything in here is bounded: at most 20 causes of at most 400 bytes, so the text of a message stays
//! below 32 kB whatever the alert holds. Durations count to the moment of the change, not of the sending, so
//! that a repeated message reads the same.

use std::fmt::Write;

use capsule_api::{Alert, AlertChangeKind, AlertKind, AlertState, SubjectKind};
use jiff::{SignedDuration, Timestamp};

use super::{
    Message, ends,
    message::{Change, News},
    text,
};

/// Causes that are spelled out; the rest is counted.
pub(super) const CAUSES_SHOWN: usize = 20;
pub(super) const CAUSE_BYTES: usize = 400;
pub(super) const SUMMARY_BYTES: usize = 300;
pub(super) const NAME_BYTES: usize = 120;
/// A comment has at most 2,000 characters of at most four bytes; longer ones come from nowhere we know.
pub(super) const COMMENT_BYTES: usize = 8_000;

/// A message in words, without layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `critical`, `resolved`, `test` …: what the title begins with, in brackets.
    pub tag: String,
    /// Name of the subject.
    pub subject: String,
    /// `[critical] web-1: SSH unreachable`: one line, at most 450 bytes.
    pub title: String,
    /// One sentence saying what happened.
    pub lead: String,
    /// Label and value, in the order they are shown.
    pub facts: Vec<(&'static str, String)>,
    /// What stands above the causes: over a resolved alert they are what was last seen.
    pub causes_label: &'static str,
    /// Why, worst first, each with its last values and, where it came later than the alert, since when; at
    /// most 20.
    pub causes: Vec<String>,
    /// How many causes there are beside those in `causes`.
    pub causes_left_out: usize,
    /// User name of who did it.
    pub actor: Option<String>,
    /// What they said; may have several lines.
    pub comment: Option<String>,
    /// What to type next.
    pub next_steps: Vec<String>,
    /// Ids to find the alert and the delivery by.
    pub footer: String,
}

impl Rendered {
    /// The title without its tag, for layouts that show the tag apart.
    pub fn headline(&self) -> &str {
        self.title.get(self.tag.len() + "[] ".len()..).unwrap_or(&self.title)
    }

    /// `and 3 more`, when there are more causes than are spelled out.
    pub fn more_causes(&self) -> Option<String> {
        (self.causes_left_out > 0).then(|| format!("and {} more", self.causes_left_out))
    }

    /// The message as plain text, without the title.
    pub fn plain_text(&self) -> String {
        let mut text = format!("{}\n\n", self.lead);
        let width = self.facts.iter().map(|(label, _)| label.len()).max().unwrap_or_default() + 1;
        for (label, value) in &self.facts {
            let label = format!("{label}:");
            push_line(&mut text, format_args!("{label:width$} {value}"));
        }
        if !self.causes.is_empty() {
            push_line(&mut text, format_args!("\n{}:", self.causes_label));
            for cause in self.causes.iter().cloned().chain(self.more_causes()) {
                push_line(&mut text, format_args!("  - {cause}"));
            }
        }
        if let Some(comment) = &self.comment {
            text.push_str("\nComment:\n");
            for line in comment.lines() {
                push_line(&mut text, format_args!("  {line}"));
            }
        }
        if !self.next_steps.is_empty() {
            text.push_str("\nWhat to type next:\n");
            for command in &self.next_steps {
                push_line(&mut text, format_args!("  {command}"));
            }
        }
        push_line(&mut text, format_args!("\n{}", self.footer));
        text
    }
}

/// The words for a message.
pub fn render(message: &Message) -> Rendered {
    match &message.news {
        News::Change(change) => render_change(message, change),
        News::End(end) => ends::render(message, end),
    }
}

fn render_change(message: &Message, change: &Change) -> Rendered {
    let alert = &change.alert;
    let tag = tag(message, change);
    let subject = text::clean(&alert.subject_name, NAME_BYTES);
    let title = format!("[{tag}] {subject}: {}", text::clean(&alert.summary, SUMMARY_BYTES));
    Rendered {
        title,
        lead: lead(message, change),
        facts: facts(message, change, &subject),
        causes_label: if alert.state == AlertState::Resolved { "Last seen" } else { "Why" },
        causes: causes(alert),
        causes_left_out: alert.causes.len().saturating_sub(CAUSES_SHOWN),
        actor: message.actor.as_deref().map(|name| text::clean(name, NAME_BYTES)),
        comment: message.comment.as_deref().map(|words| text::clean_lines(words, COMMENT_BYTES)),
        next_steps: next_steps(message, alert),
        footer: format!("alert {} · delivery {}", alert.id, message.delivery_id),
        tag,
        subject,
    }
}

fn tag(message: &Message, change: &Change) -> String {
    let word = match change.change {
        _ if message.test => "test",
        AlertChangeKind::Resolved => "resolved",
        AlertChangeKind::Acknowledged => "acknowledged",
        AlertChangeKind::Commented => "comment",
        AlertChangeKind::Opened
        | AlertChangeKind::Escalated
        | AlertChangeKind::Eased
        | AlertChangeKind::Updated => change.alert.severity.as_str(),
    };
    word.to_owned()
}

fn lead(message: &Message, change: &Change) -> String {
    let severity = change.alert.severity;
    let lasted = human_duration(change.lasted(message.at));
    let who = message.actor.as_deref().map(|name| text::clean(name, NAME_BYTES));
    if message.test {
        let by = who.map(|name| format!(" {name} asked for it.")).unwrap_or_default();
        return format!("This is a test of the channel: messages arrive here.{by}");
    }
    match (change.change, who) {
        (AlertChangeKind::Opened, _) => format!("It began {lasted} ago and is {severity}."),
        (AlertChangeKind::Escalated, _) => format!("It got worse and is {severity} now, after {lasted}."),
        (AlertChangeKind::Eased, _) => {
            format!("It got better and is {severity} now, but not over after {lasted}.")
        }
        (AlertChangeKind::Updated, _) => {
            format!("Its causes changed; it is still {severity} after {lasted}.")
        }
        (AlertChangeKind::Acknowledged, Some(who)) => {
            format!("{who} has seen it and takes care, after {lasted}.")
        }
        (AlertChangeKind::Acknowledged, None) => format!("It was acknowledged after {lasted}."),
        (AlertChangeKind::Commented, Some(who)) => format!("{who} commented, after {lasted}."),
        (AlertChangeKind::Commented, None) => format!("There is a comment, after {lasted}."),
        (AlertChangeKind::Resolved, Some(who)) => format!("{who} resolved it; it lasted {lasted}."),
        (AlertChangeKind::Resolved, None) => format!("The problem is over; it lasted {lasted}."),
    }
}

fn facts(message: &Message, change: &Change, subject: &str) -> Vec<(&'static str, String)> {
    let alert = &change.alert;
    if message.test {
        return vec![("Sent", utc(message.at))];
    }
    let ongoing = alert.state != AlertState::Resolved;
    let mut facts = vec![
        (subject_word(alert.subject.kind), subject.to_owned()),
        ("Kind", alert.kind.to_string()),
        ("Severity", alert.severity.to_string()),
        ("Since", utc(alert.since)),
    ];
    if let Some(at) = alert.resolved_at {
        facts.push(("Over", utc(at)));
    }
    let label = if ongoing { "So far" } else { "Lasted" };
    facts.push((label, human_duration(change.lasted(message.at))));
    if let (true, Some(at)) = (ongoing, alert.acknowledged_at) {
        let by = alert.acknowledged_by.as_deref().map(|name| text::clean(name, NAME_BYTES));
        facts.push(("Seen by", format!("{} at {}", by.unwrap_or_else(|| "somebody".to_owned()), utc(at))));
    }
    facts
}

fn subject_word(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::XNode => "xNode",
        SubjectKind::Tag => "Tag",
        SubjectKind::Provider => "Provider",
        SubjectKind::Account => "Account",
        SubjectKind::Daemon => "Daemon",
    }
}

/// The worst first, the oldest first among equals.
pub(super) fn worst_causes(alert: &Alert) -> Vec<&capsule_api::Cause> {
    let mut causes: Vec<_> = alert.causes.iter().collect();
    causes.sort_by(|a, b| (b.severity, a.since, &a.key).cmp(&(a.severity, b.since, &b.key)));
    causes.truncate(CAUSES_SHOWN);
    causes
}

fn causes(alert: &Alert) -> Vec<String> {
    let line = |cause: &capsule_api::Cause| {
        let text = text::clean(&cause.text, CAUSE_BYTES);
        if cause.since == alert.since { text } else { format!("{text} (since {})", utc(cause.since)) }
    };
    worst_causes(alert).into_iter().map(line).collect()
}

/// Commands that help with this alert, most useful first.
fn next_steps(message: &Message, alert: &Alert) -> Vec<String> {
    if message.test {
        return vec!["capsulectl monitor status".to_owned()];
    }
    let mut steps = look_closer(alert);
    match alert.state {
        AlertState::Open => steps.push(format!("capsulectl monitor ack {}", alert.id.short())),
        AlertState::Acknowledged => steps.push(format!("capsulectl monitor resolve {}", alert.id.short())),
        AlertState::Resolved => {}
    }
    steps
}

fn look_closer(alert: &Alert) -> Vec<String> {
    let name = shell_word(&text::clean(&alert.subject_name, NAME_BYTES));
    match (alert.subject.kind, alert.kind) {
        (SubjectKind::XNode, AlertKind::HighCpu | AlertKind::HighMemory | AlertKind::LowDisk) => {
            vec![format!("capsulectl monitor metrics {name}")]
        }
        (SubjectKind::XNode, AlertKind::HostKeyChanged) => {
            vec![format!("capsulectl inventory show {name}"), format!("capsulectl monitor health {name}")]
        }
        (
            SubjectKind::XNode,
            AlertKind::CostThreshold | AlertKind::DeploymentFailed | AlertKind::ExpiresSoon,
        ) => vec![format!("capsulectl inventory show {name}")],
        (SubjectKind::XNode, AlertKind::ServiceDown | AlertKind::SshUnreachable | AlertKind::HttpError) => {
            vec![
                format!("capsulectl monitor health {name} --run-check"),
                format!("capsulectl monitor metrics {name}"),
            ]
        }
        (_, AlertKind::ReconcileDrift) => vec!["capsulectl reconcile".to_owned()],
        (_, AlertKind::CredentialRefused) => vec![format!("capsulectl provider verify {name}")],
        (SubjectKind::Tag, _) => vec![format!("capsulectl inventory --tags {name}")],
        (SubjectKind::Provider, _) => vec![format!("capsulectl inventory --provider {name}")],
        (SubjectKind::Account, _) => vec![format!("capsulectl provider show {name}")],
        (SubjectKind::Daemon, AlertKind::CostThreshold) => vec!["capsulectl inventory".to_owned()],
        (SubjectKind::Daemon, AlertKind::DeploymentFailed) => vec!["capsulectl operations".to_owned()],
        (SubjectKind::Daemon, _) => vec!["capsulectl monitor status --detailed".to_owned()],
    }
}

/// `word` as one word of a POSIX shell: people copy the commands, so a name must not become a command.
pub(super) fn shell_word(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:/=@%+,".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `2026-11-20 22:11:04 UTC`.
pub(super) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The two largest units: `45 s`, `12 min`, `1 h 12 min`, `3 d 4 h`. Below zero counts as `0 s`.
pub(super) fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let parts = match seconds {
        0..60 => vec![(seconds, "s")],
        60..600 => vec![(minutes, "min"), (seconds % 60, "s")],
        600..3_600 => vec![(minutes, "min")],
        3_600..86_400 => vec![(hours, "h"), (minutes, "min")],
        _ => vec![(days, "d"), (hours, "h")],
    };
    let shown = parts.iter().enumerate().filter(|(place, (count, _))| *place == 0 || *count > 0);
    shown.map(|(_, (count, unit))| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn durations_read_like_people_say_them() {
        for (seconds, text) in [
            (-5, "0 s"),
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (4_320, "1 h 12 min"),
            (86_400 * 3 + 4 * 3_600 + 59, "3 d 4 h"),
        ] {
            assert_eq!(human_duration(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn every_change_has_its_words() {
        let mut all = String::new();
        for message in samples::every_change() {
            let rendered = render(&message);
            push_line(&mut all, format_args!("{}\n{}", rendered.title, rendered.plain_text()));
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn the_worst_causes_are_spelled_out_and_the_rest_is_counted() {
        let rendered = render(&samples::many_causes(23));
        assert_eq!(rendered.causes.len(), 20);
        assert_eq!(rendered.more_causes().as_deref(), Some("and 3 more"));
        assert!(rendered.causes[0].starts_with("cause 7 "), "the only critical one comes first");
    }

    #[test]
    fn the_text_stays_below_32_kb_whatever_the_alert_holds() {
        let rendered = render(&samples::enormous());
        assert!(rendered.plain_text().len() <= 32_000, "{} bytes", rendered.plain_text().len());
        assert!(rendered.title.len() <= 450);
        assert!(!rendered.title.contains('\n'));
    }

    #[test]
    fn a_name_cannot_become_a_command() {
        assert_eq!(shell_word("web-1"), "web-1");
        assert_eq!(shell_word("team=a/b"), "team=a/b");
        assert_eq!(shell_word("x; rm -rf '/'"), r"'x; rm -rf '\''/'\'''");
        assert_eq!(shell_word("--force"), "'--force'");
    }
}
