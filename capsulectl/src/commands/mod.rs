//! What the commands do, one file for each noun. A command is a request or two and a page of output.

pub mod adopt;
pub mod alerts;
pub mod ask;
pub mod budgets;
pub mod channels;
pub mod client_config;
pub mod config;
pub mod costs;
pub mod deliveries;
pub mod deploy;
pub mod discounts;
pub mod doctor;
pub mod documents;
pub mod events;
pub mod exchange;
pub mod health;
pub mod history;
pub mod import;
pub mod inventory;
pub mod manage;
pub mod metrics;
pub mod migrate;
pub mod names;
pub mod operations;
pub mod overview;
pub mod plans;
pub mod profile_edit;
pub mod profiles;
pub mod provider_fields;
pub mod providers;
pub mod reconcile;
pub mod records;
pub mod remediation;
pub mod ssh;
pub mod stacks;
pub mod status;
pub mod templates;
pub mod tunnel;
pub mod xnode;
pub mod xnode_fields;

use crate::{
    args::{
        Command, Global,
        inventory::InventoryAction,
        monitor::{AlertAction, MonitorAction},
    },
    client::Client,
    error::{Error, Outcome, Result},
    output::Output,
    settings::Settings,
};

/// What every command has at hand.
pub struct Session {
    /// The connection to the daemon.
    pub client: Client,
    /// Where output goes.
    pub out: Output,
    /// The client's settings in force.
    pub settings: Settings,
    /// The global flags.
    pub global: Global,
}

/// Carries out a command; without one, the overview.
pub async fn run(command: Option<Command>, session: &Session) -> Result<Outcome> {
    let Some(command) = command else { return overview::show(session).await };
    let named = names::named(&command);
    match dispatch(command, session).await {
        Err(Error::Refused(problem)) if problem.status == 404 => {
            Err(Error::Refused(names::with_suggestion(session, named, problem).await))
        }
        done => done,
    }
}

async fn dispatch(command: Command, session: &Session) -> Result<Outcome> {
    match command {
        Command::Inventory(args) => match args.action {
            None => inventory::list(session, &args.filter).await,
            Some(InventoryAction::List(list)) => inventory::list(session, &list.filter).await,
            Some(InventoryAction::Add(add)) => inventory::add(session, *add).await,
            Some(InventoryAction::Show(show)) => inventory::show(session, &show.xnode).await,
            Some(InventoryAction::Edit(edit)) => inventory::edit(session, *edit).await,
            Some(InventoryAction::Remove(remove)) => inventory::remove(session, &remove).await,
        },
        Command::XNodes(args) => inventory::list(session, &args.filter).await,
        Command::Monitor(args) => monitor(args.action, session).await,
        Command::CostReport(args) if args.discounts => discounts::list(session).await,
        Command::CostReport(args) => costs::report(session, &args).await,
        Command::Discount(args) => discounts::run(session, args.action).await,
        Command::History(args) => history::list(session, &args).await,
        Command::Stats(_) => history::stats(session).await,
        Command::CleanUp(args) => history::clean_up(session, args.days).await,
        Command::Export(args) => exchange::export(session, &args).await,
        Command::Import(args) => import::import(session, &args).await,
        Command::Migrate(args) => migrate::migrate(session, &args).await,
        Command::SshConfig(args) => exchange::ssh_config(session, &args.action).await,
        Command::Providers(args) => providers::list(session, args.detailed).await,
        Command::Provider(args) => providers::run(session, args.action).await,
        Command::Deploy(args) => deploy::run(session, *args).await,
        Command::Deployments(args) => deploy::list(session, &args).await,
        Command::XNode(args) => xnode::run(session, args.action).await,
        Command::Reconcile(args) => reconcile::run(session, args).await,
        Command::Findings(args) => reconcile::findings(session, &args).await,
        Command::Adopt(args) => adopt::run(session, *args).await,
        Command::Forget(args) => adopt::forget(session, &args).await,
        Command::Show(args) => profiles::show(session, args.profile.as_deref()).await,
        Command::Stacks(_) => stacks::list_all(session).await,
        Command::Stack(args) => stacks::run(session, args.action).await,
        Command::Add(args) => profiles::change(session, profiles::adding(args.stacks)).await,
        Command::Remove(args) => profiles::change(session, profiles::removing(args.stacks)).await,
        Command::Pkg(args) => profiles::packages(session, args.action).await,
        Command::Edit(args) => profile_edit::run(session, args.profile.as_deref()).await,
        Command::Reset(_) => profiles::reset(session).await,
        Command::Profiles(_) => profiles::list(session).await,
        Command::Profile(args) => profiles::run(session, args.action).await,
        Command::Sprouts(_) => stacks::sprouts(session).await,
        Command::Preview(args) => profiles::preview(session, args.profile.as_deref()).await,
        Command::Channel(args) => channels::run(session, args.action).await,
        Command::Remediation(args) => remediation::run(session, args.action).await,
        Command::Templates(args) => templates::run(session, args).await,
        Command::Deliveries(args) => deliveries::run(session, args).await,
        Command::Operations(args) => operations::run(session, args).await,
        Command::Events(args) => events::run(session, &args).await,
        Command::Audit(args) => records::audit(session, args.limit).await,
        Command::Tasks(_) => records::tasks(session).await,
        Command::Ssh(args) => ssh::run(session, args).await,
        Command::Tunnel(args) => tunnel::run(session, args).await,
        Command::Doctor(_) => doctor::run(session).await,
        Command::Config(args) => client_config::run(session, &args.action),
        Command::Completions(args) => documents::completions(&args),
        Command::Man(args) => documents::man(&args),
        Command::Reference => documents::reference(),
    }
}

async fn monitor(action: MonitorAction, session: &Session) -> Result<Outcome> {
    match action {
        MonitorAction::Status(args) => status::run(session, &args).await,
        MonitorAction::Health(args) => health::run(session, &args).await,
        MonitorAction::Metrics(args) => metrics::run(session, &args).await,
        MonitorAction::Alerts(args) => alerts::list(session, &args).await,
        MonitorAction::Alert(args) => match args.action {
            AlertAction::Show { alert } => alerts::show(session, &alert).await,
            AlertAction::Ack(note) => alerts::note(session, alerts::Step::Acknowledge, &note).await,
            AlertAction::Resolve(note) => alerts::note(session, alerts::Step::Resolve, &note).await,
            AlertAction::Comment(args) => alerts::comment(session, &args).await,
        },
        MonitorAction::Ack(note) => alerts::note(session, alerts::Step::Acknowledge, &note).await,
        MonitorAction::Resolve(note) => alerts::note(session, alerts::Step::Resolve, &note).await,
        MonitorAction::Comment(args) => alerts::comment(session, &args).await,
        MonitorAction::Config(args) => config::run(session, *args).await,
        MonitorAction::Budget(args) => budgets::run(session, args.action).await,
        MonitorAction::Watch(args) => crate::watch::run(session, args.interval).await,
        MonitorAction::Network { .. } => Err(not_yet("monitor network".to_owned())),
        MonitorAction::Other(words) => Err(names::unknown_monitor_word(&words)),
    }
}

/// This client once more, speaking to the same daemon in the same manner; the words of a command are to follow.
pub fn again(session: &Session) -> Result<std::process::Command> {
    let failed = |source| Error::Local { action: "find this program".to_owned(), source };
    let mut command = std::process::Command::new(std::env::current_exe().map_err(failed)?);
    let socket = std::path::absolute(&session.settings.socket.value).map_err(failed)?;
    command.arg("--socket").arg(socket);
    let Global { quiet, no_color, yes, .. } = session.global;
    let flags = [(quiet, "--quiet"), (no_color, "--no-color"), (yes, "--yes")];
    command.args(flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag));
    Ok(command)
}

/// The answer to a command that comes with later work.
pub fn not_yet(command: String) -> Error {
    Error::NotYet { command, hint: "`capsulectl --help` lists what works in this version".to_owned() }
}
