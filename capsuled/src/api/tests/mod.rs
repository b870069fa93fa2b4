//! The API as a client meets it.

mod changes;
mod connections;
mod document;
mod events;
mod inventory;
mod refusals;
mod roles;
mod templates;
