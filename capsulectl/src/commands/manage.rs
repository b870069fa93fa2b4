//! `xnode manage`: one server, looked at again and again, with what can be done about it.
//!
//! Every action is the command of that name, run as a process of its own: there is one implementation of each, what
//! is shown can be typed, and a shell or a tunnel that ends comes back to the list.

use capsule_api::{Placement, XNode};
use dialoguer::Select;
use tokio::signal::unix::{SignalKind, signal};

use super::{Session, again, ask, inventory};
use crate::{
    error::{Error, Outcome, Result},
    output::talk,
};

/// Something to do: what it is called, and the words of the command.
#[derive(Debug, PartialEq, Eq)]
struct Action {
    title: &'static str,
    words: Vec<String>,
}

/// `xnode manage`.
pub async fn run(session: &Session, given: &str) -> Result<Outcome> {
    if !ask::may_ask(session) || !session.out.is_for_people() {
        return Err(Error::usage(
            "`xnode manage` asks what to do and needs a terminal",
            "`capsulectl inventory show ID`, `capsulectl ssh ID` and the like do one thing each",
        ));
    }
    // Ctrl-C ends what was chosen, and not this. The list itself reads it as a key.
    let interrupt = signal(SignalKind::interrupt());
    let _interrupt =
        interrupt.map_err(|source| Error::Local { action: "listen for signals".to_owned(), source })?;
    let mut chosen = 0;
    loop {
        let answer = session.client.get(&inventory::path(given)).await?;
        let xnode: XNode = answer.parse()?;
        session.out.one(&answer, &inventory::VIEW, inventory::page)?;
        let actions = actions(&xnode);
        let mut titles: Vec<&str> = actions.iter().map(|action| action.title).collect();
        titles.push("look again");
        titles.push("leave");
        let prompt = format!("What about {}?", xnode.name);
        let select = Select::new().with_prompt(prompt).items(&titles).default(chosen.min(titles.len() - 1));
        // Escape and `q` leave, as the last line does.
        let Some(at) = select.interact_opt().map_err(|error| ask::asking(error.into()))? else {
            return Ok(Outcome::Done);
        };
        match actions.get(at) {
            Some(action) => carry_out(session, action)?,
            None if at + 1 == titles.len() => return Ok(Outcome::Done),
            None => {}
        }
        chosen = at;
    }
}

fn carry_out(session: &Session, action: &Action) -> Result<()> {
    session.out.note(&format!("capsulectl {}", action.words.join(" ")));
    let status = again(session)?.args(&action.words).status();
    let status = status.map_err(|source| Error::Local { action: "run the command".to_owned(), source })?;
    if let Some(code) = status.code().filter(|code| *code != 0) {
        talk(&format!("it ended with the exit code {code}"));
    }
    Ok(())
}

/// What can be done about a server as it is.
fn actions(xnode: &XNode) -> Vec<Action> {
    let name = xnode.name.to_string();
    let action = |title, words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Action { title, words }
    };
    let mut actions = vec![
        action("run its checks now", &["monitor", "health", &name, "--run-check"]),
        action("metrics", &["monitor", "metrics", &name]),
        action("alerts", &["monitor", "alerts", "--xnode-id", &name]),
    ];
    if !xnode.own_host && xnode.ssh.user.is_some() {
        actions.push(action("a shell there", &["ssh", &name]));
        actions.push(action("a tunnel to its port 80", &["xnode", "tunnel", &name]));
    }
    if let Some(Placement { .. }) = &xnode.placement {
        actions.push(action("switch on", &["xnode", "launch", &name]));
        actions.push(action("switch off", &["xnode", "stop", &name]));
        actions.push(action("restart", &["xnode", "restart", &name]));
        actions.push(action("delete at its provider", &["xnode", "delete", &name]));
    }
    actions
}
