//! What the live view knows and where the person is in it. A value: updates and keys go in, commands come out.

use std::collections::{HashMap, VecDeque};

use capsule_api::{Alert, AlertId, Event, Overview, ServerInfo, XNode, XNodeId};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::{SignedDuration, Timestamp};

use crate::output::{Look, Tone};

/// Lines of the event log that are kept.
const LOG_LINES: usize = 500;
/// How long an answer to a key stays in the footer.
const SAID_FOR: SignedDuration = SignedDuration::from_secs(6);
/// Rows that a page key moves.
const PAGE: isize = 10;

/// The lists as last read.
#[derive(Debug)]
pub struct Fleet {
    /// The daemon.
    pub info: ServerInfo,
    /// The counts.
    pub overview: Overview,
    /// Worst first.
    pub xnodes: Vec<XNode>,
    /// Worst first.
    pub alerts: Vec<Alert>,
}

/// The shares that the bars show, percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor.
    pub cpu: Option<f64>,
    /// Memory.
    pub memory: Option<f64>,
    /// The fullest file system.
    pub disk: Option<f64>,
}

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Events come in.
    Live,
    /// We try again; why the last one ended.
    Reconnecting(String),
}

/// What the feed says.
#[derive(Debug)]
pub enum Update {
    /// The lists were read again.
    Fleet(Box<Fleet>),
    /// The metrics of a server were read.
    Usage(XNodeId, Usage),
    /// Something changed.
    Event(Box<Event>),
    /// The connection changed.
    Link(Link),
    /// A page that was asked for.
    Detail(String),
    /// A word about what was asked for.
    Said(Tone, String),
}

/// What the person wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Leave.
    Quit,
    /// Read everything again.
    Refresh,
    /// The page of a server.
    ShowXNode(XNodeId),
    /// The page of an alert.
    ShowAlert(AlertId),
    /// Say that an alert is being looked at.
    Acknowledge(AlertId),
    /// The metrics around this row are looked at.
    Around(usize),
}

/// The panes, in the order of the tab key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// Servers.
    XNodes,
    /// Open alerts.
    Alerts,
    /// Events.
    Log,
}

/// Everything that is drawn.
#[derive(Debug)]
pub struct State {
    /// What the terminal can show.
    pub look: Look,
    /// The lists; absent before the first answer.
    pub fleet: Option<Fleet>,
    /// By server.
    pub usage: HashMap<XNodeId, Usage>,
    /// Newest last.
    pub log: VecDeque<(Tone, String)>,
    /// How the connection is.
    pub link: Link,
    /// Which pane the keys move in.
    pub focus: Pane,
    /// Selected server.
    pub xnode: usize,
    /// Selected alert.
    pub alert: usize,
    /// How far the log is scrolled back from its end.
    pub log_back: usize,
    /// The page on top, and how far it is scrolled.
    pub detail: Option<(String, u16)>,
    /// Whether the keys are explained on top.
    pub help: bool,
    /// The last word about what was asked for.
    pub said: Option<(Tone, String)>,
    /// When that was.
    pub said_at: Timestamp,
}

impl State {
    /// Nothing known yet.
    pub fn new(look: Look) -> Self {
        Self {
            look,
            fleet: None,
            usage: HashMap::new(),
            log: VecDeque::new(),
            link: Link::Live,
            focus: Pane::XNodes,
            xnode: 0,
            alert: 0,
            log_back: 0,
            detail: None,
            help: false,
            said: None,
            said_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// The servers, worst first.
    pub fn xnodes(&self) -> &[XNode] {
        self.fleet.as_ref().map_or(&[], |fleet| &fleet.xnodes)
    }

    /// The open alerts, worst first.
    pub fn alerts(&self) -> &[Alert] {
        self.fleet.as_ref().map_or(&[], |fleet| &fleet.alerts)
    }

    /// Takes in what the feed says.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Fleet(fleet) => self.take_fleet(*fleet),
            Update::Usage(id, usage) => {
                self.usage.insert(id, usage);
            }
            Update::Event(event) => {
                let (tone, text) = crate::commands::events::describe(&event, &self.look);
                let line = format!("{} {}", event.at.strftime("%H:%M:%S"), crate::error::one_line(&text));
                self.push_log(tone, line);
            }
            Update::Link(link) => {
                if let Link::Reconnecting(why) = &link
                    && self.link == Link::Live
                {
                    let line = format!("{} connection lost: {why}", self.look.now.strftime("%H:%M:%S"));
                    self.push_log(Tone::Warn, line);
                }
                self.link = link;
            }
            Update::Detail(text) => {
                self.said = None;
                self.detail = Some((text, 0));
            }
            Update::Said(tone, text) => self.say(tone, text),
        }
    }

    /// The selection stays with the thing, not with the row.
    fn take_fleet(&mut self, fleet: Fleet) {
        let xnode = self.xnodes().get(self.xnode).map(|xnode| xnode.id);
        let alert = self.alerts().get(self.alert).map(|alert| alert.id);
        self.fleet = Some(fleet);
        let at = xnode.and_then(|id| self.xnodes().iter().position(|xnode| xnode.id == id));
        self.xnode = at.unwrap_or(self.xnode).min(self.xnodes().len().saturating_sub(1));
        let at = alert.and_then(|id| self.alerts().iter().position(|alert| alert.id == id));
        self.alert = at.unwrap_or(self.alert).min(self.alerts().len().saturating_sub(1));
    }

    fn say(&mut self, tone: Tone, text: String) {
        self.said = Some((tone, text));
        self.said_at = self.look.now;
    }

    /// Lets time pass: ages grow, and what was said long enough ago goes away.
    pub fn pass(&mut self, now: Timestamp) {
        self.look.now = now;
        if now.duration_since(self.said_at) > SAID_FOR {
            self.said = None;
        }
    }

    fn push_log(&mut self, tone: Tone, line: String) {
        if self.log.len() == LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back((tone, line));
        if self.log_back > 0 {
            self.log_back = (self.log_back + 1).min(self.log.len());
        }
    }

    /// Takes in a key.
    pub fn key(&mut self, key: KeyEvent) -> Option<Command> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Some(Command::Quit);
        }
        if self.help {
            self.help = false;
            return None;
        }
        if self.detail.is_some() {
            self.detail_key(key.code);
            return None;
        }
        self.main_key(key.code)
    }

    fn detail_key(&mut self, code: KeyCode) {
        let Some((text, scroll)) = &mut self.detail else { return };
        let last = u16::try_from(text.lines().count().saturating_sub(1)).unwrap_or(u16::MAX);
        match code {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => self.detail = None,
            KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => *scroll = (*scroll + 1).min(last),
            KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
            KeyCode::PageDown | KeyCode::Char(' ') => *scroll = scroll.saturating_add(10).min(last),
            KeyCode::Home => *scroll = 0,
            KeyCode::End => *scroll = last,
            _ => {}
        }
    }

    fn main_key(&mut self, code: KeyCode) -> Option<Command> {
        self.said = None;
        match code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Command::Quit),
            KeyCode::Char('?') | KeyCode::Char('h') => {
                self.help = true;
                None
            }
            KeyCode::Char('r') => Some(Command::Refresh),
            KeyCode::Tab | KeyCode::Right => self.turn([Pane::XNodes, Pane::Alerts, Pane::Log]),
            KeyCode::BackTab | KeyCode::Left => self.turn([Pane::Log, Pane::Alerts, Pane::XNodes]),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-PAGE),
            KeyCode::PageDown => self.step(PAGE),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Enter => self.open(),
            KeyCode::Char('a') => self.acknowledge(),
            _ => None,
        }
    }

    fn turn(&mut self, order: [Pane; 3]) -> Option<Command> {
        let at = order.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        self.focus = order[(at + 1) % order.len()];
        None
    }

    fn step(&mut self, by: isize) -> Option<Command> {
        let moved = |at: usize, count: usize| at.saturating_add_signed(by).min(count.saturating_sub(1));
        match self.focus {
            Pane::XNodes => {
                self.xnode = moved(self.xnode, self.xnodes().len());
                return Some(Command::Around(self.xnode));
            }
            Pane::Alerts => self.alert = moved(self.alert, self.alerts().len()),
            Pane::Log => {
                let back = self.log_back.saturating_add_signed(by.saturating_neg());
                self.log_back = back.min(self.log.len().saturating_sub(1));
            }
        }
        None
    }

    fn open(&mut self) -> Option<Command> {
        match self.focus {
            Pane::XNodes => self.xnodes().get(self.xnode).map(|xnode| Command::ShowXNode(xnode.id)),
            Pane::Alerts => self.alerts().get(self.alert).map(|alert| Command::ShowAlert(alert.id)),
            Pane::Log => None,
        }
    }

    fn acknowledge(&mut self) -> Option<Command> {
        if self.focus != Pane::Alerts {
            self.focus = Pane::Alerts;
            self.say(Tone::Plain, "select an alert, then press a".to_owned());
            return None;
        }
        self.alerts().get(self.alert).map(|alert| Command::Acknowledge(alert.id))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{
        commands::{alerts::tests::alerts, inventory::tests::xnodes, overview::tests::overview},
        output::look::tests::look,
    };

    /// A fleet with a bit of everything.
    pub fn fleet() -> Fleet {
        let info = serde_json::from_value(serde_json::json!({
            "api_version": "v1", "server_version": "0.1.0", "role": "admin", "user": "root",
            "state_dir": "/var/lib/capsule", "started_at": "2026-11-18T08:00:00Z"
        }))
        .expect("server info");
        Fleet { info, overview: overview(), xnodes: xnodes(), alerts: alerts() }
    }

    /// A view of that fleet.
    pub fn state() -> State {
        let mut state = State::new(look());
        state.apply(Update::Fleet(Box::new(fleet())));
        state
    }

    fn press(state: &mut State, code: KeyCode) -> Option<Command> {
        state.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn the_selection_follows_the_server_when_the_order_changes() {
        let mut state = state();
        press(&mut state, KeyCode::Down);
        let selected = state.xnodes()[state.xnode].id;
        let mut next = fleet();
        next.xnodes.reverse();
        state.apply(Update::Fleet(Box::new(next)));
        assert_eq!(state.xnodes()[state.xnode].id, selected);
    }

    #[test]
    fn a_selected_server_that_is_removed_leaves_a_valid_selection() {
        let mut state = state();
        press(&mut state, KeyCode::End);
        let mut next = fleet();
        next.xnodes.clear();
        next.alerts.clear();
        state.apply(Update::Fleet(Box::new(next)));
        assert_eq!(press(&mut state, KeyCode::Enter), None);
        press(&mut state, KeyCode::Down);
        assert_eq!(state.xnode, 0);
    }

    #[test]
    fn acknowledging_needs_a_selected_alert() {
        let mut state = state();
        assert_eq!(press(&mut state, KeyCode::Char('a')), None);
        assert_eq!(state.focus, Pane::Alerts);
        let id = state.alerts()[0].id;
        assert_eq!(press(&mut state, KeyCode::Char('a')), Some(Command::Acknowledge(id)));
    }

    #[test]
    fn escape_closes_what_is_on_top_before_it_leaves() {
        let mut state = state();
        state.apply(Update::Detail("page".into()));
        assert_eq!(press(&mut state, KeyCode::Esc), None);
        assert!(state.detail.is_none());
        assert_eq!(press(&mut state, KeyCode::Esc), Some(Command::Quit));
    }
}
