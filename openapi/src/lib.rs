//! The words both ends of the socket agree on: ids, closed enums and the bodies of every request and reply.
//!
//! This crate does no I/O and knows no rule. Each field's doc comment is the published documentation:
//! meaning, unit, default, limits. Requests refuse unknown fields, replies may grow. Closed sets are
//! enums and ids are newtypes, so a value that exists is a value that was parsed.

pub mod accounts;
pub mod alerts;
pub mod channels;
pub mod checks;
pub mod costs;
pub mod deployments;
pub mod events;
pub mod frames;
pub mod health;
pub mod ids;
pub mod metrics;
pub mod migration;
pub mod money;
pub mod names;
pub mod operations;
pub mod page;
pub mod plans;
pub mod problem;
pub mod profiles;
pub mod providers;
pub mod reconcile;
pub mod records;
pub mod remediation;
pub mod remote;
pub mod server;
pub mod settings;
pub mod stacks;
pub mod templates;
pub mod words;
pub mod xnodes;

pub use accounts::*;
pub use alerts::*;
pub use channels::*;
pub use checks::*;
pub use costs::*;
pub use deployments::*;
pub use events::*;
pub use health::*;
pub use ids::*;
pub use metrics::*;
pub use migration::*;
pub use money::UsdMicros;
pub use names::*;
pub use operations::*;
pub use page::Page;
pub use plans::*;
pub use problem::Problem;
pub use profiles::*;
pub use providers::*;
pub use reconcile::*;
pub use records::*;
pub use remediation::*;
pub use remote::*;
pub use server::*;
pub use settings::*;
pub use stacks::*;
pub use templates::*;
pub use xnodes::*;
