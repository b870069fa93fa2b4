//! Getting to a server: `ssh`, `xnode tunnel`, `xnode manage`.

use capsule_api::Host;
use clap::{Args, Subcommand};

use super::styles::examples;

/// `ssh`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = examples!(
        "capsulectl ssh web-1" => "a shell there, with the key the daemon keeps; `~.` on a new line hangs up",
        "capsulectl ssh web-1 -- systemctl status nginx" => "one command; its exit status becomes the client's",
        "tar c site | capsulectl ssh web-1 -- tar x -C /srv" => "input and output are passed on byte by byte",
        "capsulectl ssh trust web-1" => "pin the key the server shows next",
    )
)]
pub struct SshArgs {
    /// What to do instead.
    #[command(subcommand)]
    pub action: Option<SshAction>,
    /// Name, id, or unique beginning or end of an id
    #[arg(value_name = "ID", required = true)]
    pub xnode: Option<String>,
    /// Give the command a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// A command for the login shell there; absent: the login shell itself
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What can be done with host keys.
#[derive(Debug, Subcommand)]
pub enum SshAction {
    /// Accept a server's changed host key
    #[command(after_help = examples!(
        "capsulectl ssh trust web-1" => "pin the key the server shows next",
        "capsulectl ssh trust web-1 --host-key 'ssh-ed25519 AAAA...'" => "pin this one",
    ))]
    Trust {
        /// Name, id, or unique beginning or end of an id
        xnode: String,
        /// The key to pin; absent: the next one seen
        #[arg(long, value_name = "KEY")]
        host_key: Option<String>,
    },
}

/// `xnode tunnel`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = examples!(
        "capsulectl xnode tunnel web-1" => "its port 80 on port 8080 here",
        "capsulectl xnode tunnel web-1 --local-port 5433 --remote-port 5432 --background" => "its database, until closed",
        "capsulectl xnode tunnel web-1 --remote-host 10.0.0.7 --remote-port 443" => "what only it reaches",
        "capsulectl xnode tunnel web-1 --reverse --local-port 3000" => "port 3000 here, on port 3000 there",
        "capsulectl xnode tunnel list" => "your open tunnels",
    )
)]
pub struct TunnelArgs {
    /// What to do instead.
    #[command(subcommand)]
    pub action: Option<TunnelAction>,
    /// Name, id, or unique beginning or end of an id
    #[arg(value_name = "ID", required = true)]
    pub xnode: Option<String>,
    /// Port on this machine [default: the remote one, or 8000 more when that is below 1024, or a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub local_port: Option<u16>,
    /// Port on the other side [default: 80; with --reverse the local one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub remote_port: Option<u16>,
    /// Where it leads, as the server sees it; with --reverse where the server listens [default: 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub remote_host: Option<Host>,
    /// The other way round: the server listens and connections come here
    #[arg(long, requires = "local_port")]
    pub reverse: bool,
    /// Leave it open and go on; `tunnel close` ends it
    #[arg(long)]
    pub background: bool,
    /// The process of a tunnel in the background.
    #[arg(long, hide = true, conflicts_with = "background")]
    pub detached: bool,
}

/// What can be done with open tunnels.
#[derive(Debug, Subcommand)]
pub enum TunnelAction {
    /// List your open tunnels on this machine
    #[command(after_help = examples!("capsulectl xnode tunnel list -o json" => "for a script"))]
    List,
    /// Close a tunnel
    #[command(after_help = examples!(
        "capsulectl xnode tunnel close 1a2b3c4d" => "this one",
        "capsulectl xnode tunnel close web-1" => "the one to this server",
        "capsulectl xnode tunnel close --all" => "every one of yours",
    ))]
    Close {
        /// The tunnel's id or its beginning, or the server's name
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        tunnel: Option<String>,
        /// Close all of yours
        #[arg(long)]
        all: bool,
    },
}

/// `xnode manage`.
#[derive(Debug, Args)]
#[command(after_help = examples!("capsulectl xnode manage web-1" => "look at it and choose what to do"))]
pub struct ManageArgs {
    /// Name, id, or unique beginning or end of an id
    #[arg(value_name = "ID")]
    pub xnode: String,
}
