//! The sentences of alerts: short, values first, no name of the subject (who tells it adds that).

use capsule_api::{Cause, CheckKind, CheckName};

/// Causes named in a summary before it says how many more there are.
const NAMED_CAUSES: usize = 3;
/// Characters of one cause in a summary.
const CAUSE_LENGTH: usize = 120;

/// What a check is called: `http` and `http-2` say their kind already, `web` becomes `http web`.
pub(super) fn check_label(kind: CheckKind, name: &CheckName) -> String {
    let (kind, name) = (kind.as_str(), name.as_str());
    let tells_kind = name.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    if tells_kind { name.to_owned() } else { format!("{kind} {name}") }
}

/// What a failing check says.
pub(super) fn check_text(label: &str, reason: &str) -> String {
    if reason.is_empty() { format!("{label}: down") } else { format!("{label}: {reason}") }
}

/// The first causes in words, and how many more there are.
pub(super) fn listing(causes: &[Cause]) -> String {
    let named: Vec<String> = causes.iter().take(NAMED_CAUSES).map(|cause| clip(&cause.text)).collect();
    let more = causes.len().saturating_sub(NAMED_CAUSES);
    let tail = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{tail}", named.join("; "))
}

/// A percentage with at most one decimal: `97.2 %`, `90 %`.
pub(super) fn percent(value: f64) -> String {
    let text = format!("{value:.1}");
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

fn clip(text: &str) -> String {
    if text.chars().count() <= CAUSE_LENGTH {
        return text.to_owned();
    }
    let kept: String = text.chars().take(CAUSE_LENGTH - 1).collect();
    format!("{kept}…")
}
