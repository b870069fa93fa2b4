//! Between the daemon and the screen: events in, lists read again, metrics by the interval, commands out.
//!
//! It never ends by itself. A lost connection is waited for with growing, jittered pauses and resumed after
//! the last event that was seen; a 410 means too much happened meanwhile, and everything is read anew.

use std::{cmp::Reverse, time::Duration};

use capsule_api::{
    Alert, AlertDetail, AlertFilter, AlertId, AlertNote, Health, HistoryFilter, ProbePoint, SeriesHistory,
    XNode, XNodeFilter, XNodeHealth, XNodeId, XNodeMetrics,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::state::{Command, Fleet, Link, Update, Usage};
use crate::{
    client::Client,
    commands::{alerts, health, inventory, metrics},
    error::{Error, Result},
    output::{Look, Sheet, Tone, look, parse_rows},
    stream::{Events, Message, jitter, reconnect_delay},
};

/// How long events are gathered before the lists are read again.
const GATHER: Duration = Duration::from_millis(150);
/// Servers whose metrics are read, around the selected one: a large screen and some to scroll to.
const AROUND: usize = 100;
/// How far back the graphs of a page go.
const HISTORY: Duration = Duration::from_secs(24 * 3600);

/// Reads all lists.
pub async fn fleet(client: &Client) -> Result<Fleet> {
    let info = client.get("/v1").await?.parse()?;
    let overview = client.get("/v1/overview").await?.parse()?;
    let mut xnodes: Vec<XNode> = parse_rows(&client.list("/v1/xnodes", &XNodeFilter::default()).await?)?;
    xnodes.sort_by(|a, b| (rank(a.health), &a.name).cmp(&(rank(b.health), &b.name)));
    let mut alerts: Vec<Alert> = parse_rows(&client.list("/v1/alerts", &AlertFilter::default()).await?)?;
    alerts.sort_by_key(|alert| (Reverse(alert.severity), Reverse(alert.since)));
    Ok(Fleet { info, overview, xnodes, alerts })
}

/// Worst first; what we know nothing of comes before what is well.
const fn rank(health: Health) -> u8 {
    match health {
        Health::Unhealthy => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Healthy => 3,
    }
}

/// Feeds the screen until it is gone.
pub async fn run(
    client: &Client,
    every: Duration,
    updates: mpsc::Sender<Update>,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut feed = Feed { client, every, updates, last_id: None, shown: Vec::new(), around: 0 };
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let Err(why) = feed.live(&mut commands).await else { return };
        // A connection that held for a while was a good one: begin with the short pauses again.
        failures = if began.elapsed() > Duration::from_secs(10) { 0 } else { failures + 1 };
        if feed.updates.send(Update::Link(Link::Reconnecting(why))).await.is_err() {
            return;
        }
        tokio::time::sleep(reconnect_delay(failures, jitter())).await;
    }
}

struct Feed<'a> {
    client: &'a Client,
    every: Duration,
    updates: mpsc::Sender<Update>,
    last_id: Option<String>,
    shown: Vec<XNodeId>,
    around: usize,
}

impl Feed<'_> {
    /// One connection from opening to loss. `Ok`: the screen is gone. `Err`: why the connection is.
    async fn live(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), String> {
        let mut events = self.open().await.map_err(|error| error.line())?;
        // Opened before reading, so that a change in between is told rather than lost.
        self.read_fleet().await.map_err(|error| error.line())?;
        if self.send(Update::Link(Link::Live)).await.is_err() {
            return Ok(());
        }
        let mut tick = interval(self.every.max(Duration::from_millis(500)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read_again: Option<Instant> = None;
        loop {
            let gathered = async {
                match read_again {
                    Some(moment) => sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = events.next() => match message.map_err(|error| error.line())? {
                    Some(Message::Event(event)) => {
                        self.last_id = Some(event.id.clone());
                        read_again.get_or_insert_with(|| Instant::now() + GATHER);
                        if self.send(Update::Event(event)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Some(Message::Lagged) => return Err("we read too slowly".to_owned()),
                    None => return Err("the daemon ended the stream".to_owned()),
                },
                () = gathered => {
                    read_again = None;
                    self.read_fleet().await.map_err(|error| error.line())?;
                }
                _ = tick.tick() => {
                    self.read_usage().await.map_err(|error| error.line())?;
                }
                command = commands.recv() => match command {
                    None => return Ok(()),
                    Some(Command::Refresh) => {
                        self.read_fleet().await.map_err(|error| error.line())?;
                        self.read_usage().await.map_err(|error| error.line())?;
                    }
                    Some(command) => self.obey(command).await,
                },
            }
        }
    }

    async fn open(&mut self) -> Result<Events> {
        match Events::open(self.client, self.last_id.as_deref(), None).await {
            Err(Error::Refused(problem)) if problem.status == 410 => {
                self.last_id = None;
                Events::open(self.client, None, None).await
            }
            done => done,
        }
    }

    async fn read_fleet(&mut self) -> Result<()> {
        let fleet = fleet(self.client).await?;
        self.shown = fleet.xnodes.iter().map(|xnode| xnode.id).collect();
        // A screen that is gone is noticed by the loop.
        let _ = self.send(Update::Fleet(Box::new(fleet))).await;
        Ok(())
    }

    async fn read_usage(&mut self) -> Result<()> {
        let first = self.around.saturating_sub(AROUND / 2);
        let ids: Vec<XNodeId> = self.shown.iter().skip(first).take(AROUND).copied().collect();
        for id in ids {
            let path = format!("{}/metrics", inventory::path(&id.to_string()));
            let metrics: XNodeMetrics = match self.client.get(&path).await {
                Ok(answer) => answer.parse()?,
                // Removed since the list was read.
                Err(Error::Refused(_)) => continue,
                Err(error) => return Err(error),
            };
            let latest = metrics.latest.as_ref();
            let usage = Usage {
                cpu: metrics::cpu(latest),
                memory: metrics::memory(latest),
                disk: metrics::fullest(latest),
            };
            let _ = self.send(Update::Usage(id, usage)).await;
        }
        Ok(())
    }

    /// Does what the person asked for. That it fails is told, and is no reason to reconnect.
    async fn obey(&mut self, command: Command) {
        let done = match command {
            Command::Around(row) => {
                self.around = row;
                return;
            }
            Command::ShowXNode(id) => self.xnode_page(id).await.map(Update::Detail),
            Command::ShowAlert(id) => self.alert_page(id).await.map(Update::Detail),
            Command::Acknowledge(id) => self.acknowledge(id).await,
            Command::Quit | Command::Refresh => return,
        };
        let update = done.unwrap_or_else(|error| Update::Said(Tone::Bad, error.line()));
        let _ = self.send(update).await;
    }

    async fn acknowledge(&self, id: AlertId) -> Result<Update> {
        let answer = self.client.post(&format!("/v1/alerts/{id}/acknowledge"), &AlertNote::default()).await?;
        let alert: Alert = answer.parse()?;
        Ok(Update::Said(Tone::Good, format!("acknowledged {}: {}", alert.subject_name, alert.summary)))
    }

    async fn xnode_page(&self, id: XNodeId) -> Result<String> {
        let path = inventory::path(&id.to_string());
        let look = page_look();
        let filter =
            HistoryFilter { since: Some(health::since(look.now, HISTORY)), ..HistoryFilter::default() };
        let checks: XNodeHealth = self.client.get(&format!("{path}/health")).await?.parse()?;
        let rows = self.client.list_all(&format!("{path}/health/history"), &filter).await?;
        let points: Vec<ProbePoint> = parse_rows(&rows)?;
        let newest: XNodeMetrics = self.client.get(&format!("{path}/metrics")).await?.parse()?;
        let rows = self.client.list_all(&format!("{path}/metrics/history"), &filter).await?;
        let history: Vec<SeriesHistory> = parse_rows(&rows)?;
        let mut sheet = Sheet::new(&look);
        health::page(&checks, &points, HISTORY, &mut sheet);
        sheet.line("");
        metrics::page(&newest, &history, HISTORY, &mut sheet);
        Ok(sheet.finish())
    }

    async fn alert_page(&self, id: AlertId) -> Result<String> {
        let detail: AlertDetail = self.client.get(&format!("/v1/alerts/{id}")).await?.parse()?;
        let look = page_look();
        let mut sheet = Sheet::new(&look);
        alerts::detail(&detail, &mut sheet);
        Ok(sheet.finish())
    }

    async fn send(&self, update: Update) -> Result<(), mpsc::error::SendError<Update>> {
        self.updates.send(update).await
    }
}

/// Pages are shown inside a window, which colours and cuts them itself.
fn page_look() -> Look {
    let detected = look::Look::detect(true, &crate::settings::ProcessEnvironment, crate::clock::now());
    Look { width: detected.width.map(|width| width.saturating_sub(2)), ..detected }
}
