//! The API as a client meets it.

mod accounts;
mod changes;
mod connections;
mod costs;
mod document;
mod events;
mod inventory;
mod migration;
mod profiles;
mod reconcile;
mod records;
mod refusals;
mod remote;
mod roles;
mod templates;
