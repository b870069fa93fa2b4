//! Domain values shared by rules, store, ports and use cases: plain data, no I/O, no clock.
//!
//! Where a wire type of `capsule-api` says exactly what is meant it is used as it is; what stands here is
//! what never leaves the daemon: integer keys, effective settings, counters.

mod caller;
mod checks;
mod costs;
mod facts;
mod findings;
mod host_keys;
mod intents;
mod offers;

pub use caller::{Caller, IdempotencyKey};
pub use checks::{CheckKey, CheckLimits, CheckPlan, CheckState, Finding, XNodeKey};
pub use costs::{Attribution, BillingReason, PriceInterval, Rate};
pub use facts::{AlertDraft, CheckFact, Condition, XNodeFacts};
pub use findings::{FindingDetail, IntentOutline, PlacedXNode, ProviderFacts, SeenInstance};
pub use host_keys::fingerprint;
pub use intents::Intent;
pub use offers::{LiveCatalogue, LiveRegion, Offer};
