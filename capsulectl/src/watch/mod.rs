//! The live view: what the daemon says, as it says it, on the full screen.
//!
//! Three parts that share no lock: [`feed`] speaks to the daemon and sends updates, [`state`] is a value that
//! updates and keys change, [`view`] draws it. Changes come by events; an event says *that* something changed
//! and the lists are read again, so a missed detail can never stay on the screen. Metrics are not events and
//! are read every interval, for the rows around the selected one only, so a large fleet costs no more than
//! a screenful. Without a terminal each change is one line.

mod feed;
mod plain;
mod state;
mod view;

use std::{io::IsTerminal, time::Duration};

use crossterm::event::{Event as Input, EventStream, KeyEventKind};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use self::state::{Command, State, Update};
use crate::{
    commands::Session,
    error::{Error, Outcome, Result},
    output::Output,
    settings::{Environment, ProcessEnvironment},
};

/// Updates the screen may be behind; the feed waits beyond that.
const BACKLOG: usize = 64;

/// Whether `monitor watch` takes the full screen: it needs a terminal, and a person at it.
pub fn takes_screen(out: &Output) -> bool {
    let dumb = ProcessEnvironment.var("TERM").is_none_or(|term| term == "dumb");
    let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !dumb;
    terminal && out.is_for_people()
}

/// `monitor watch`.
pub async fn run(session: &Session, every: Duration) -> Result<Outcome> {
    if !takes_screen(&session.out) {
        return plain::run(session).await;
    }
    // The first connection must succeed before the screen is taken, so that a wrong socket is told in words.
    let first = feed::fleet(&session.client).await?;
    let (updates, incoming) = mpsc::channel(BACKLOG);
    let (commands, wanted) = mpsc::channel(BACKLOG);
    let mut state = State::new(session.out.look.clone());
    state.apply(Update::Fleet(Box::new(first)));
    tokio::select! {
        done = screen(state, incoming, commands) => done,
        () = feed::run(&session.client, every, updates, wanted) => Ok(Outcome::Done),
    }
}

/// The terminal in full-screen mode; leaving it in any way, by panic too, gives the terminal back.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> Result<Self> {
        ratatui::try_init()
            .map(Self)
            .map_err(|source| Error::Local { action: "take over the terminal".to_owned(), source })
    }

    fn draw(&mut self, state: &mut State) -> Result<()> {
        state.pass(crate::clock::now());
        self.0
            .draw(|frame| view::draw(frame, state))
            .map(|_| ())
            .map_err(|source| Error::Local { action: "draw".to_owned(), source })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn screen(
    mut state: State,
    mut incoming: mpsc::Receiver<Update>,
    commands: mpsc::Sender<Command>,
) -> Result<Outcome> {
    let signals = |source| Error::Local { action: "listen for signals".to_owned(), source };
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(signals)?;
    let mut screen = Screen::take()?;
    let mut inputs = EventStream::new();
    // Ages go on while nothing happens.
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = second.tick() => {}
            Some(update) = incoming.recv() => state.apply(update),
            input = inputs.next() => match input {
                Some(Ok(Input::Key(key))) if key.kind != KeyEventKind::Release => {
                    match state.key(key) {
                        Some(Command::Quit) => return Ok(Outcome::Done),
                        // A full queue means the daemon is slow; the person may press again.
                        Some(command) => drop(commands.try_send(command)),
                        None => {}
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(source)) => return Err(Error::Local { action: "read keys".to_owned(), source }),
                None => return Ok(Outcome::Done),
            },
            _ = terminate.recv() => return Err(Error::Interrupted),
            _ = hang_up.recv() => return Err(Error::Interrupted),
        }
        // One picture for everything that has come meanwhile.
        while let Ok(update) = incoming.try_recv() {
            state.apply(update);
        }
        screen.draw(&mut state)?;
    }
}
