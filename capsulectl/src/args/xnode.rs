//! `xnode`: servers at their providers.

use clap::{Args, Subcommand};

use super::{
    deploy::{DeployWaitArgs, ServerArgs},
    remote::{ManageArgs, TunnelArgs},
    styles::examples,
    templates::BrowseArgs,
};

/// `xnode`.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "capsulectl xnode deploy --template vultr-vc2-1c-1gb --name web" => "make one",
    "capsulectl xnode stop web" => "switch it off at its provider",
    "capsulectl xnode delete web --with-volumes" => "delete it with its disks",
))]
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
    /// Deploy a server by template
    #[command(after_help = examples!(
        "capsulectl xnode deploy --template vultr-vc2-1c-1gb --name web --region ewr" => "this size, there",
    ))]
    Deploy {
        /// The server.
        #[command(flatten)]
        server: Box<ServerArgs>,
        /// Put the profile on it as well; comes with later work
        #[arg(long)]
        auto_configure: bool,
    },
    /// Deploy a server by explicit choice
    #[command(after_help = examples!(
        "capsulectl xnode deploy-with-provider --provider vultr --template vultr-vc2-1c-1gb --name web" => "at this provider",
    ))]
    DeployWithProvider {
        /// The server.
        #[command(flatten)]
        server: Box<ServerArgs>,
    },
    /// Switch a server on at its provider
    #[command(after_help = examples!("capsulectl xnode launch web" => "and wait until the provider says it runs"))]
    Launch(SwitchArgs),
    /// Switch a server off at its provider
    #[command(after_help = examples!("capsulectl xnode stop web --force" => "by power"))]
    Stop(ForceArgs),
    /// Restart a server at its provider
    #[command(after_help = examples!("capsulectl xnode restart web" => "through its system"))]
    Restart(ForceArgs),
    /// Delete a server at its provider
    #[command(after_help = examples!("capsulectl xnode delete web --with-volumes" => "with what would go on costing"))]
    Delete(DeleteArgs),
    /// Join a port here with one there
    Tunnel(TunnelArgs),
    /// Look at a server and choose what to do
    Manage(ManageArgs),
}

/// Which server, and whether to wait.
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// Name, id, or unique beginning or end of an id
    #[arg(value_name = "ID")]
    pub xnode: String,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: DeployWaitArgs,
}

/// Which server, and how.
#[derive(Debug, Args)]
pub struct ForceArgs {
    /// Which server.
    #[command(flatten)]
    pub server: SwitchArgs,
    /// By power instead of through its system
    #[arg(long)]
    pub force: bool,
}

/// Which server, and with what.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which server.
    #[command(flatten)]
    pub server: SwitchArgs,
    /// With the disks and addresses that would go on costing
    #[arg(long)]
    pub with_volumes: bool,
    /// Say what would be deleted and change nothing
    #[arg(long)]
    pub dry_run: bool,
}
