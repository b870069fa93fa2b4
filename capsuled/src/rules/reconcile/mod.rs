//! What a provider's account has and the inventory does not say, and the other way round.
//!
//! A server is an orphan only when it carries our mark, a ghost only when the account's whole list was read, and
//! neither while something is under way: an account that cannot be read says nothing, and a server that was made,
//! switched or deleted moments ago may be told of late ([`GRACE`]). What is undecided keeps the finding it has.

mod drift;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use capsule_api::{FindingKind, InstanceRef, InstanceState, IntentId, IntentKind, XNodeId};
use jiff::{SignedDuration, Timestamp};

pub use drift::{Accepted, accept, as_tag};
pub use record::{Step, ended, steps};

use crate::model::{FindingDetail, IntentOutline, PlacedXNode, ProviderFacts, SeenInstance};

/// How long after its end an intent or a switch may still be contradicted by what a provider lists. The slowest
/// list we know (Hivelocity's, of a device in the making) is behind by a few minutes.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// Everything that one account's comparison looks at.
#[derive(Debug)]
pub struct Look<'a> {
    /// The account's whole list.
    pub seen: &'a [SeenInstance],
    /// Servers that are not in the list and of which the provider would not say whether they are there.
    pub unread: &'a HashSet<InstanceRef>,
    /// The account's xNodes.
    pub placed: &'a [PlacedXNode],
    /// Servers that are in the inventory through another account of the provider: keys may see the same ones.
    pub elsewhere: &'a HashSet<InstanceRef>,
    /// Intents that are under way or ended within [`GRACE`], and those whose mark a listed server carries.
    pub intents: &'a [IntentOutline],
    /// xNodes that are being switched, or were within [`GRACE`].
    pub switched: &'a HashSet<XNodeId>,
    /// When the provider was asked.
    pub listed_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// A difference that should be on record.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// How they differ.
    pub kind: FindingKind,
    /// The server at the provider.
    pub instance: InstanceRef,
    /// The xNode, and the revision that was compared.
    pub xnode: Option<(XNodeId, i64)>,
    /// What is told of it.
    pub detail: FindingDetail,
}

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// The differences, by kind and server.
    pub findings: Vec<Draft>,
    /// Servers about which nothing can be said now.
    pub undecided: HashSet<InstanceRef>,
    /// What providers are newly known to say.
    pub learned: Vec<(XNodeId, ProviderFacts)>,
}

/// Compares an account's whole list with the inventory.
pub fn compare(look: &Look<'_>) -> Comparison {
    let mut found = Comparison::default();
    let moving = Moving::of(look);
    let listed: HashMap<InstanceRef, &SeenInstance> = look
        .seen
        .iter()
        .filter(|seen| is_there(seen))
        .map(|seen| (seen.instance.reference(), seen))
        .collect();
    let mut placed = HashSet::with_capacity(look.placed.len());
    for xnode in look.placed {
        placed.insert(&xnode.instance);
        // Changed while the list was on its way: the list may be of before.
        let is_newer = look.listed_at <= xnode.updated_at;
        let seen = listed.get(&xnode.instance);
        let is_unread = seen.is_none() && look.unread.contains(&xnode.instance);
        if is_newer || is_unread || moving.xnodes.contains(&xnode.id) {
            found.undecided.insert(xnode.instance.clone());
            continue;
        }
        match seen {
            None => found.findings.push(ghost(xnode)),
            Some(seen) => {
                let (drift, known) = drift::compare(xnode, seen);
                if known != xnode.known {
                    found.learned.push((xnode.id, known));
                }
                if !drift.is_empty() {
                    found.findings.push(drifted(xnode, seen, drift));
                }
            }
        }
    }
    for (reference, seen) in &listed {
        let Some(mark) = seen.mark else { continue };
        if placed.contains(reference) || look.elsewhere.contains(reference) {
            continue;
        }
        if moving.intents.contains(&mark) || moving.instances.contains(reference) {
            found.undecided.insert(reference.clone());
            continue;
        }
        let intent = look.intents.iter().find(|intent| intent.id == mark);
        found.findings.push(orphan(seen, intent));
    }
    found.findings.sort_by(|a, b| (a.kind, &a.instance).cmp(&(b.kind, &b.instance)));
    found
}

/// What is under way, or was a moment ago.
struct Moving<'a> {
    intents: HashSet<IntentId>,
    xnodes: HashSet<XNodeId>,
    instances: HashSet<&'a InstanceRef>,
}

impl<'a> Moving<'a> {
    fn of(look: &Look<'a>) -> Self {
        let moves = |intent: &&IntentOutline| {
            !intent.state.is_final() || look.now.duration_since(intent.state_at) < GRACE
        };
        let moving = || look.intents.iter().filter(moves);
        let creates = moving().filter(|intent| intent.kind == IntentKind::Create);
        let mut xnodes: HashSet<XNodeId> = moving().filter_map(|intent| intent.xnode).collect();
        xnodes.extend(look.switched);
        Self {
            intents: creates.map(|intent| intent.id).collect(),
            xnodes,
            instances: moving().filter_map(|intent| intent.instance.as_ref()).collect(),
        }
    }
}

fn is_there(seen: &SeenInstance) -> bool {
    seen.instance.status != InstanceState::Deleted
}

fn ghost(xnode: &PlacedXNode) -> Draft {
    Draft {
        kind: FindingKind::Ghost,
        instance: xnode.instance.clone(),
        xnode: Some((xnode.id, xnode.revision)),
        detail: FindingDetail {
            name: xnode.name.to_string(),
            summary: format!("the provider no longer has it ({})", xnode.instance),
            drift: Vec::new(),
            plan: xnode.plan.clone(),
            region: xnode.region.as_ref().map(ToString::to_string).unwrap_or_default(),
            hourly_cost: None,
        },
    }
}

fn drifted(xnode: &PlacedXNode, seen: &SeenInstance, drift: Vec<capsule_api::Drift>) -> Draft {
    let told: Vec<String> = drift
        .iter()
        .map(|one| format!("{} {} → {}", one.field, one.expected.as_deref().unwrap_or("none"), one.seen))
        .collect();
    Draft {
        kind: FindingKind::Drift,
        instance: xnode.instance.clone(),
        xnode: Some((xnode.id, xnode.revision)),
        detail: FindingDetail {
            name: xnode.name.to_string(),
            summary: told.join(", "),
            drift,
            plan: seen.instance.plan.clone(),
            region: seen.instance.region.clone(),
            hourly_cost: None,
        },
    }
}

fn orphan(seen: &SeenInstance, intent: Option<&IntentOutline>) -> Draft {
    let from = match intent {
        Some(intent) => format!("left over from the deployment of `{}` ({})", intent.name, intent.state),
        None => "its mark is of no deployment known here".to_owned(),
    };
    let instance = &seen.instance;
    let hourly_cost = seen.price.map(|(_, usd)| usd);
    let price = hourly_cost.map(|cost| format!(", ${cost} per hour")).unwrap_or_default();
    Draft {
        kind: FindingKind::Orphan,
        instance: instance.reference(),
        xnode: None,
        detail: FindingDetail {
            name: instance.name.clone(),
            summary: format!("not in the inventory and {}{price}; {from}", instance.status),
            drift: Vec::new(),
            plan: instance.plan.clone(),
            region: instance.region.clone(),
            hourly_cost,
        },
    }
}
