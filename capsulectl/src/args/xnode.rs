//! `xnode`: servers at their providers.

use clap::{Args, Subcommand};

use super::{styles::examples, templates::BrowseArgs};

/// `xnode`.
#[derive(Debug, Args)]
#[command(after_help = examples!("capsulectl xnode browse" => "what can be had, cheapest first"))]
pub struct XNodeArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: XNodeAction,
}

/// What can be done with servers at their providers.
#[derive(Debug, Subcommand)]
pub enum XNodeAction {
    /// Browse what can be had, by region and size
    Browse(BrowseArgs),
}
