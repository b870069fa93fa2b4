//! How a server is switched: what a look at it calls for. Pure: the use case asks and looks again.

use std::time::Duration;

use capsule_api::InstanceState;

/// How long a provider has for a switch before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How a server is to be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
    /// Off and on again.
    OffAndOn,
}

/// What a look at a server that is to be switched calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switching {
    /// The provider says so.
    Done,
    /// Ask the provider.
    Ask,
    /// Look again.
    Wait,
    /// It will not come.
    Failed,
    /// It is no longer there.
    Gone,
}

/// Judges a look at a server that the provider was asked to switch `since_asked` ago, or not yet. What was asked
/// and came to nothing (the answer was lost, the system ignored it) is asked again, except off and on: a second
/// time would take the server away from whoever just got it back.
pub fn judge_switch(seen: InstanceState, wanted: Switch, since_asked: Option<Duration>) -> Switching {
    let is_there = match wanted {
        Switch::On => seen == InstanceState::Running,
        Switch::Off => seen == InstanceState::Stopped,
        Switch::OffAndOn => since_asked.is_some() && seen == InstanceState::Running,
    };
    match (seen, since_asked) {
        _ if is_there => Switching::Done,
        (InstanceState::Error, _) => Switching::Failed,
        (InstanceState::Deleted, _) => Switching::Gone,
        // It takes no orders.
        (InstanceState::Provisioning, _) => Switching::Wait,
        (_, None) => Switching::Ask,
        (_, Some(since)) if wanted != Switch::OffAndOn && ASK_AGAIN <= since => Switching::Ask,
        _ => Switching::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_waits_for_the_machine_and_is_asked_again_when_it_came_to_nothing() {
        use InstanceState::{Deleted, Error, Provisioning, Running, Stopped, Unknown};
        let (soon, late) = (Some(Duration::from_secs(59)), Some(Duration::from_secs(60)));
        for (seen, wanted, since, then) in [
            (Stopped, Switch::Off, None, Switching::Done),
            (Running, Switch::On, None, Switching::Done),
            (Running, Switch::Off, None, Switching::Ask),
            (Running, Switch::Off, soon, Switching::Wait),
            (Running, Switch::Off, late, Switching::Ask),
            (Provisioning, Switch::Off, None, Switching::Wait),
            (Provisioning, Switch::Off, late, Switching::Wait),
            (Unknown, Switch::On, None, Switching::Ask),
            (Running, Switch::OffAndOn, None, Switching::Ask),
            (Running, Switch::OffAndOn, soon, Switching::Done),
            (Stopped, Switch::OffAndOn, late, Switching::Wait),
            (Error, Switch::On, None, Switching::Failed),
            (Deleted, Switch::Off, soon, Switching::Gone),
        ] {
            assert_eq!(judge_switch(seen, wanted, since), then, "{seen} {wanted:?} {since:?}");
        }
    }
}
