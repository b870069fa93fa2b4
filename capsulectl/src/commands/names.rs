//! Names that were mistyped, and ids that were shortened.

use std::ffi::OsString;

use capsule_api::{Channel, Problem, XNode};
use clap::CommandFactory;
use serde_json::value::RawValue;

use super::Session;
use crate::{
    args::{
        Cli, Command, channels::ChannelAction, inventory::InventoryAction, monitor::MonitorAction,
        remote::SshAction, xnode::XNodeAction,
    },
    error::{Error, Result},
    output::parse_rows,
};

/// The closest a mistyped name may be; 0 is nothing alike, 1 is equal.
const ALIKE: f64 = 0.7;

/// The thing that a command names.
pub enum Named {
    /// An xNode.
    XNode(String),
    /// A channel.
    Channel(String),
}

/// What the command names, when it is something with a name.
pub fn named(command: &Command) -> Option<Named> {
    let xnode = |name: &String| Some(Named::XNode(name.clone()));
    let channel = |name: &String| Some(Named::Channel(name.clone()));
    match command {
        Command::Inventory(args) => match args.action.as_ref()? {
            InventoryAction::Show(args) => xnode(&args.xnode),
            InventoryAction::Edit(args) => xnode(&args.xnode),
            InventoryAction::Remove(args) => args.xnode.first().and_then(xnode),
            InventoryAction::List(_) | InventoryAction::Add(_) => None,
        },
        Command::Monitor(args) => match &args.action {
            MonitorAction::Health(args) => xnode(&args.xnode),
            MonitorAction::Metrics(args) => xnode(&args.xnode),
            MonitorAction::Alerts(args) => args.xnode_id.as_ref().and_then(xnode),
            MonitorAction::Config(args) => args.xnode.as_ref().and_then(xnode),
            _ => None,
        },
        Command::Forget(args) => xnode(&args.xnode),
        Command::Ssh(args) => match &args.action {
            Some(SshAction::Trust { xnode: name, .. }) => xnode(name),
            None => args.xnode.as_ref().and_then(xnode),
        },
        Command::Tunnel(args) => args.xnode.as_ref().and_then(xnode),
        Command::XNode(args) => match &args.action {
            XNodeAction::Tunnel(args) => args.xnode.as_ref().and_then(xnode),
            XNodeAction::Manage(args) => xnode(&args.xnode),
            _ => None,
        },
        Command::Channel(args) => match args.action.as_ref()? {
            ChannelAction::Show { name }
            | ChannelAction::Remove { name, .. }
            | ChannelAction::Test { name } => channel(name),
            ChannelAction::Edit(args) => channel(&args.name),
            ChannelAction::List | ChannelAction::Add(_) => None,
        },
        _ => None,
    }
}

/// The problem with a hint at the name that was probably meant. That looking for one fails is no new error.
pub async fn with_suggestion(
    session: &Session,
    named: Option<Named>,
    mut problem: Box<Problem>,
) -> Box<Problem> {
    let (given, known, all) = match named {
        Some(Named::XNode(given)) => {
            let rows = session.client.list("/v1/xnodes", &()).await.unwrap_or_default();
            let xnodes: Vec<XNode> = parse_rows(&rows).unwrap_or_default();
            (
                given,
                xnodes.into_iter().map(|xnode| xnode.name.to_string()).collect::<Vec<_>>(),
                "capsulectl xnodes",
            )
        }
        Some(Named::Channel(given)) => {
            let rows = session.client.list_all("/v1/channels", &()).await.unwrap_or_default();
            let channels: Vec<Channel> = parse_rows(&rows).unwrap_or_default();
            (
                given,
                channels.into_iter().map(|channel| channel.name.to_string()).collect(),
                "capsulectl channel list",
            )
        }
        None => return problem,
    };
    match closest(&given, known.iter().map(String::as_str)) {
        Some(name) => problem.hint = Some(format!("did you mean `{name}`?")),
        None if problem.hint.is_none() => problem.hint = Some(format!("`{all}` lists what there is")),
        None => {}
    }
    problem
}

/// The name most like the given one, when one is alike at all.
pub fn closest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The answer to `monitor WORD`: a network's name, which comes later, or a mistyped word of ours.
pub fn unknown_monitor_word(words: &[OsString]) -> Error {
    let given = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let root = Cli::command();
    let monitor = root.find_subcommand("monitor");
    let known = monitor.into_iter().flat_map(clap::Command::get_subcommands).map(clap::Command::get_name);
    let hint = match closest(&given, known) {
        Some(word) => format!("networks come with later work; did you mean `monitor {word}`?"),
        None => "networks come with later work; `capsulectl monitor --help` lists what works".to_owned(),
    };
    Error::NotYet { command: format!("monitor {given}"), hint }
}

/// The full id among `rows` that begins or ends with `given`. A full id is taken as it is, so that an old
/// row need not be listed.
///
/// # Errors
/// 404 when there is none, 409 when there are several, as the daemon answers for xNodes and alerts.
pub fn full_id(given: &str, rows: &[Box<RawValue>], what: &str) -> Result<String> {
    #[derive(serde::Deserialize)]
    struct Row {
        id: String,
    }
    if given.parse::<uuid::Uuid>().is_ok() {
        return Ok(given.to_owned());
    }
    let ids: Vec<Row> = parse_rows(rows)?;
    let bare = |text: &str| text.replace('-', "").to_ascii_lowercase();
    let part = bare(given);
    let mut found = ids
        .into_iter()
        .map(|row| row.id)
        .filter(|id| !part.is_empty() && (bare(id).starts_with(&part) || bare(id).ends_with(&part)));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(refused(404, "not_found", format!("there is no {what} `{given}`"))),
        (Some(_), Some(_)) => {
            Err(refused(409, "ambiguous", format!("several {what} ids begin or end with `{given}`")))
        }
    }
}

/// A refusal of the client's own, in the daemon's words and with its exit code.
pub fn refused(status: u16, code: &str, detail: String) -> Error {
    Error::Refused(Box::new(Problem {
        kind: "about:blank".to_owned(),
        title: detail.clone(),
        status,
        detail,
        code: code.to_owned(),
        hint: Some("use the id as the list shows it".to_owned()),
        request_id: String::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_alike_are_suggested() {
        let known = ["web-1", "web-2", "database"];
        assert_eq!(closest("wbe-1", known.into_iter()), Some("web-1"));
        assert_eq!(closest("databse", known.into_iter()), Some("database"));
        assert_eq!(closest("xyz", known.into_iter()), None);
    }

    #[test]
    fn a_shortened_id_must_be_unique() {
        let rows: Vec<Box<RawValue>> =
            ["01939c3e-0000-7000-8000-00001a2b3c4d", "01939c3e-0000-7000-8000-0000ffff3c4d"]
                .map(|id| RawValue::from_string(format!("{{\"id\":\"{id}\"}}")).expect("JSON"))
                .into();
        assert!(full_id("1a2b3c4d", &rows, "delivery").is_ok());
        assert_eq!(full_id("3c4d", &rows, "delivery").expect_err("ambiguous").exit_code(), 4);
        assert_eq!(full_id("0badcafe", &rows, "delivery").expect_err("absent").exit_code(), 3);
    }
}
