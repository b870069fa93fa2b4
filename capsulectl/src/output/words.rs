//! The product's states as cells: icon, word and tone, the same in every table and page.

use capsule_api::{
    AccountState, AlertState, CheckStatus, DeliveryState, Health, InstanceState, OperationState, Severity,
    XNodeStatus,
};

use super::{Cell, Icon, Look, Tone};

/// A state with its icon; CSV gets the word alone.
fn state(icon: Icon, tone: Tone, word: &str, look: &Look) -> Cell {
    Cell::toned(tone, format!("{} {word}", look.icon(icon))).exactly(word)
}

/// Health of an xNode.
pub fn health(health: Health, look: &Look) -> Cell {
    let (icon, tone) = match health {
        Health::Healthy => (Icon::Full, Tone::Good),
        Health::Degraded => (Icon::Diamond, Tone::Warn),
        Health::Unhealthy => (Icon::Cross, Tone::Bad),
        Health::Unknown => (Icon::Empty, Tone::Dim),
    };
    state(icon, tone, health.as_str(), look)
}

/// Confirmed state of a check.
pub fn check(status: CheckStatus, look: &Look) -> Cell {
    let (icon, tone) = match status {
        CheckStatus::Up => (Icon::Tick, Tone::Good),
        CheckStatus::Down => (Icon::Cross, Tone::Bad),
        CheckStatus::Unknown => (Icon::Empty, Tone::Dim),
    };
    state(icon, tone, status.as_str(), look)
}

/// Severity of an alert.
pub fn severity(severity: Severity, look: &Look) -> Cell {
    let (icon, tone) = match severity {
        Severity::Info => (Icon::Full, Tone::Plain),
        Severity::Warning => (Icon::Warning, Tone::Warn),
        Severity::Critical => (Icon::Cross, Tone::Bad),
    };
    state(icon, tone, severity.as_str(), look)
}

/// Where an alert stands.
pub fn alert_state(state: AlertState) -> Cell {
    let tone = match state {
        AlertState::Open => Tone::Bad,
        AlertState::Acknowledged => Tone::Warn,
        AlertState::Resolved => Tone::Good,
    };
    Cell::toned(tone, state.as_str())
}

/// Power state in the inventory.
pub fn status(status: XNodeStatus) -> Cell {
    let tone = match status {
        XNodeStatus::Running => Tone::Good,
        XNodeStatus::Stopped => Tone::Dim,
        XNodeStatus::Deploying => Tone::Warn,
        XNodeStatus::Error => Tone::Bad,
    };
    Cell::toned(tone, status.as_str())
}

/// Where a delivery stands.
pub fn delivery(delivery: DeliveryState, look: &Look) -> Cell {
    let (icon, tone) = match delivery {
        DeliveryState::Waiting => (Icon::Empty, Tone::Warn),
        DeliveryState::Sent => (Icon::Tick, Tone::Good),
        DeliveryState::Failed => (Icon::Cross, Tone::Bad),
    };
    state(icon, tone, delivery.as_str(), look)
}

/// Where an operation stands.
pub fn operation(operation: OperationState, look: &Look) -> Cell {
    let (icon, tone) = match operation {
        OperationState::Pending | OperationState::Running => (Icon::Empty, Tone::Warn),
        OperationState::Succeeded => (Icon::Tick, Tone::Good),
        OperationState::Failed => (Icon::Cross, Tone::Bad),
        OperationState::Cancelled => (Icon::Empty, Tone::Dim),
    };
    state(icon, tone, operation.as_str(), look)
}

/// Whether an account's credential works.
pub fn account(account: AccountState, look: &Look) -> Cell {
    let (icon, tone) = match account {
        AccountState::Proved => (Icon::Tick, Tone::Good),
        AccountState::Refused => (Icon::Cross, Tone::Bad),
        AccountState::Unknown => (Icon::Empty, Tone::Dim),
    };
    state(icon, tone, account.as_str(), look)
}

/// What a provider says of an instance.
pub fn instance(state: InstanceState) -> Cell {
    let tone = match state {
        InstanceState::Running => Tone::Good,
        InstanceState::Provisioning => Tone::Warn,
        InstanceState::Error => Tone::Bad,
        InstanceState::Stopped | InstanceState::Deleted | InstanceState::Unknown => Tone::Dim,
    };
    Cell::toned(tone, state.as_str())
}
