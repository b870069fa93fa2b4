//! Drawing the live view. Reads the state and decides nothing.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    symbols::border,
    text::{Line, Span},
    widgets::{Block, Borders, Clear, Paragraph, Row, Table, TableState},
};

use super::state::{Link, Pane, State, Usage};
use crate::output::{Cell, Icon, Look, Tone, text, words};

/// From this width on, alerts and log stand side by side.
const WIDE: u16 = 130;
/// Below this width the bars shrink to numbers.
const BARS: u16 = 90;
const BAR_CELLS: usize = 8;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(4), Constraint::Fill(1), Constraint::Length(1)])
            .areas(frame.area());
    header(frame, head, state);
    panes(frame, body, state);
    footer(frame, foot, state);
    if let Some((text, scroll)) = &state.detail {
        page(frame, text, *scroll, &state.look);
    }
    if state.help {
        help(frame, &state.look);
    }
}

fn style(tone: Tone, look: &Look) -> Style {
    if !look.color {
        return match tone {
            Tone::Heading | Tone::Name | Tone::Bad => Style::new().add_modifier(Modifier::BOLD),
            _ => Style::new(),
        };
    }
    match tone {
        Tone::Plain => Style::new(),
        Tone::Heading => Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
        Tone::Section | Tone::Warn => Style::new().fg(Color::Yellow),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Bad => Style::new().fg(Color::Red),
        Tone::Dim => Style::new().add_modifier(Modifier::DIM),
        Tone::Name => Style::new().add_modifier(Modifier::BOLD),
    }
}

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

fn block<'a>(title: String, focused: bool, look: &Look) -> Block<'a> {
    let (set, strong) = if look.unicode { (border::PLAIN, border::THICK) } else { (ASCII, ASCII) };
    let tone = if focused { Tone::Heading } else { Tone::Dim };
    Block::bordered()
        .borders(Borders::ALL)
        .border_set(if focused { strong } else { set })
        .border_style(style(tone, look))
        .title(Span::styled(format!(" {title} "), style(Tone::Section, look)))
}

fn header(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = &state.look;
    let Some(fleet) = &state.fleet else { return };
    let (link_tone, link) = match &state.link {
        Link::Live => (Tone::Good, format!("{} live", look.icon(Icon::Full))),
        Link::Reconnecting(_) => (Tone::Warn, format!("{} reconnecting...", look.icon(Icon::Empty))),
    };
    let up = text::age(fleet.info.started_at, look.now);
    let at = look.now.strftime("%H:%M:%S UTC");
    let who = match area.width >= BARS {
        true => format!("up {up}{0}{1} ({2}){0}", look.dot(), fleet.info.user, fleet.info.role),
        false => String::new(),
    };
    let right = Line::from(vec![
        Span::raw(format!(" {who}{at}{}", look.dot())),
        Span::styled(link, style(link_tone, look)),
        Span::raw(" "),
    ]);
    let block = block(format!("Capsule {}", fleet.info.server_version), false, look)
        .border_style(style(Tone::Heading, look))
        .title_top(right.alignment(Alignment::Right));
    let overview = &fleet.overview;
    let counts = &overview.health;
    let part = |icon: Icon, tone: Tone, count: u32, word: &str| {
        let tone = if count == 0 { Tone::Dim } else { tone };
        Span::styled(format!("{} {count} {word}   ", look.icon(icon)), style(tone, look))
    };
    let first = Line::from(vec![
        part(Icon::Full, Tone::Good, counts.healthy, "healthy"),
        part(Icon::Diamond, Tone::Warn, counts.degraded, "degraded"),
        part(Icon::Cross, Tone::Bad, counts.unhealthy, "unhealthy"),
        part(Icon::Empty, Tone::Dim, counts.unknown, "unknown"),
        part(Icon::Cross, Tone::Bad, overview.critical_alerts, "critical"),
        part(Icon::Warning, Tone::Warn, overview.warning_alerts, "warning"),
    ]);
    let mut facts = vec![
        text::count(counts.total().into(), "xnode"),
        text::count(overview.checks.into(), "check"),
        format!("${} per hour", overview.hourly_cost_micros),
        text::count(overview.probing.probes, "probe"),
    ];
    if overview.waiting_deliveries > 0 {
        facts.push(format!("{} not delivered yet", overview.waiting_deliveries));
    }
    if overview.probing.missed + overview.probing.blind > 0 {
        facts.push(format!("{} missed, {} blind", overview.probing.missed, overview.probing.blind));
    }
    let second = Line::from(facts.join(look.dot()));
    frame.render_widget(Paragraph::new(vec![first, second]).block(block), area);
}

fn panes(frame: &mut Frame<'_>, area: Rect, state: &mut State) {
    let rows = u16::try_from(state.xnodes().len()).unwrap_or(u16::MAX).saturating_add(3);
    let upper = rows.max(5).min(area.height * 3 / 5);
    let [above, below] = Layout::vertical([Constraint::Length(upper), Constraint::Fill(1)]).areas(area);
    xnodes(frame, above, state);
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let split = if area.width >= WIDE { Layout::horizontal(halves) } else { Layout::vertical(halves) };
    let [left, right] = split.areas(below);
    alerts(frame, left, state);
    log(frame, right, state);
}

fn span(cell: Cell, look: &Look) -> Span<'static> {
    Span::styled(cell.text, style(cell.tone, look))
}

fn selected(focused: bool) -> Style {
    if focused {
        Style::new().add_modifier(Modifier::REVERSED)
    } else {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

fn xnodes(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = &state.look;
    let focused = state.focus == Pane::XNodes;
    let bars = area.width >= BARS;
    let rows: Vec<Row<'_>> = state
        .xnodes()
        .iter()
        .map(|xnode| {
            let usage = state.usage.get(&xnode.id).copied().unwrap_or_default();
            let Usage { cpu, memory, disk } = usage;
            Row::new(vec![
                Line::styled(xnode.name.to_string(), style(Tone::Name, look)),
                Line::from(span(words::health(xnode.health, look), look)),
                gauge(cpu, (75.0, 90.0), bars, look),
                gauge(memory, (80.0, 95.0), bars, look),
                gauge(disk, (85.0, 95.0), bars, look),
                Line::from(match xnode.open_alerts {
                    0 => Span::styled(look.absent(), style(Tone::Dim, look)),
                    count => Span::styled(count.to_string(), style(Tone::Bad, look)),
                }),
                Line::from(text::age_or_absent(xnode.health_since, look)),
                Line::from(xnode.address.to_string()),
            ])
        })
        .collect();
    let longest =
        state.xnodes().iter().map(|xnode| xnode.name.as_str().len()).max().unwrap_or(4).clamp(4, 30);
    let share = if bars { 15 } else { 6 };
    let widths = [
        Constraint::Length(u16::try_from(longest).unwrap_or(30)),
        Constraint::Length(11),
        Constraint::Length(share),
        Constraint::Length(share),
        Constraint::Length(share),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Fill(1),
    ];
    let head = Row::new(["NAME", "HEALTH", "CPU", "MEMORY", "DISK", "ALERTS", "SINCE", "ADDRESS"])
        .style(style(Tone::Heading, look));
    let table = Table::new(rows, widths)
        .header(head)
        .column_spacing(2)
        .row_highlight_style(selected(focused))
        .block(block(format!("xNodes ({})", state.xnodes().len()), focused, look));
    let mut at = TableState::new().with_selected((!state.xnodes().is_empty()).then_some(state.xnode));
    frame.render_stateful_widget(table, area, &mut at);
}

/// A share as a bar, coloured by the default thresholds; the alerts pane has the configured ones.
fn gauge(share: Option<f64>, (warning, critical): (f64, f64), bars: bool, look: &Look) -> Line<'static> {
    let Some(share) = share else { return Line::styled(look.absent(), style(Tone::Dim, look)) };
    let tone = match share {
        share if share >= critical => Tone::Bad,
        share if share >= warning => Tone::Warn,
        _ => Tone::Good,
    };
    let number = format!("{:>5}", text::percent(share));
    if !bars {
        return Line::styled(number, style(tone, look));
    }
    Line::from(vec![
        Span::styled(text::bar(share, BAR_CELLS, look), style(tone, look)),
        Span::raw(format!(" {number}")),
    ])
}

fn alerts(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = &state.look;
    let focused = state.focus == Pane::Alerts;
    let title = format!("Alerts ({})", state.alerts().len());
    if state.alerts().is_empty() {
        let text = Span::styled(format!("{} no open alerts", look.icon(Icon::Tick)), style(Tone::Good, look));
        frame.render_widget(Paragraph::new(Line::from(text)).block(block(title, focused, look)), area);
        return;
    }
    let rows: Vec<Row<'_>> = state
        .alerts()
        .iter()
        .map(|alert| {
            let seen = match alert.acknowledged_at {
                Some(_) => look.icon(Icon::Tick),
                None => " ",
            };
            Row::new(vec![
                Line::from(span(words::severity(alert.severity, look), look)),
                Line::from(seen),
                Line::styled(alert.subject_name.clone(), style(Tone::Name, look)),
                Line::from(text::age(alert.since, look.now)),
                Line::from(crate::error::one_line(&alert.summary)),
            ])
        })
        .collect();
    let longest = state.alerts().iter().map(|alert| alert.subject_name.len()).max().unwrap_or(4).clamp(4, 24);
    let widths = [
        Constraint::Length(10),
        Constraint::Length(1),
        Constraint::Length(u16::try_from(longest).unwrap_or(24)),
        Constraint::Length(4),
        Constraint::Fill(1),
    ];
    let table = Table::new(rows, widths)
        .column_spacing(1)
        .row_highlight_style(selected(focused))
        .block(block(title, focused, look));
    let mut at = TableState::new().with_selected(Some(state.alert));
    frame.render_stateful_widget(table, area, &mut at);
}

fn log(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = &state.look;
    let room = usize::from(area.height.saturating_sub(2));
    let end = state.log.len() - state.log_back.min(state.log.len());
    let begin = end.saturating_sub(room);
    let lines: Vec<Line<'_>> = state
        .log
        .iter()
        .skip(begin)
        .take(end - begin)
        .map(|(tone, line)| Line::styled(line.clone(), style(*tone, look)))
        .collect();
    let title = match state.log_back {
        0 => "Events".to_owned(),
        back => format!("Events ({back} newer)"),
    };
    let lines = if state.log.is_empty() {
        vec![Line::styled("nothing has changed since this view was opened", style(Tone::Dim, look))]
    } else {
        lines
    };
    frame.render_widget(Paragraph::new(lines).block(block(title, state.focus == Pane::Log, look)), area);
}

fn footer(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = &state.look;
    let line = match (&state.said, &state.link) {
        (Some((tone, text)), _) => Line::styled(format!(" {text}"), style(*tone, look)),
        (None, Link::Reconnecting(why)) => {
            Line::styled(format!(" reconnecting: {why}"), style(Tone::Warn, look))
        }
        (None, Link::Live) => Line::styled(
            " q leave  tab pane  enter open  a acknowledge  r read again  ? keys",
            style(Tone::Dim, look),
        ),
    };
    frame.render_widget(Paragraph::new(line), area);
}

fn page(frame: &mut Frame<'_>, text: &str, scroll: u16, look: &Look) {
    let area = frame.area();
    let lines: Vec<Line<'_>> = text.lines().map(|line| toned(line, look)).collect();
    let hint = Line::styled(" up and down scroll, esc closes ", style(Tone::Dim, look));
    let block = block("Detail".to_owned(), true, look).title_bottom(hint.alignment(Alignment::Right));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)).block(block), area);
}

/// A line of a page in the tone its beginning tells: pages come as text, without colour.
fn toned<'a>(line: &'a str, look: &Look) -> Line<'a> {
    let tone = match line.chars().next() {
        Some('╔' | '║' | '╚') => Tone::Heading,
        Some('▸') => Tone::Section,
        _ if line.contains('✗') => Tone::Bad,
        _ => Tone::Plain,
    };
    Line::styled(line, style(tone, look))
}

fn help(frame: &mut Frame<'_>, look: &Look) {
    const KEYS: [(&str, &str); 8] = [
        ("up, down, j, k", "move"),
        ("page up, page down, home, end", "move far"),
        ("tab, left, right", "next pane"),
        ("enter", "open the selected server or alert"),
        ("a", "acknowledge the selected alert"),
        ("r", "read everything again"),
        ("?", "these keys"),
        ("q, esc, ctrl-c", "leave"),
    ];
    let lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![
                Span::styled(format!(" {keys:<31}"), style(Tone::Good, look)),
                Span::raw((*what).to_owned()),
            ])
        })
        .collect();
    let area = frame.area();
    let (width, height) = (area.width.min(70), area.height.min(10));
    let at =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, at);
    frame.render_widget(Paragraph::new(lines).block(block("Keys".to_owned(), true, look)), at);
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::{
        super::state::{Update, tests::state},
        *,
    };

    fn drawn(width: u16, height: u16, state: &mut State) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        terminal.draw(|frame| draw(frame, state)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn the_live_view_on_a_usual_terminal() {
        let mut state = state();
        let id = state.xnodes()[0].id;
        state.apply(Update::Usage(id, Usage { cpu: Some(12.0), memory: Some(81.0), disk: Some(97.0) }));
        insta::assert_snapshot!(drawn(100, 26, &mut state));
    }

    #[test]
    fn the_live_view_while_the_daemon_is_away() {
        let mut state = state();
        state.apply(Update::Link(Link::Reconnecting("the daemon ended the stream".into())));
        insta::assert_snapshot!(drawn(80, 24, &mut state));
    }

    #[test]
    fn no_size_of_terminal_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 8), (200, 60)] {
            let mut state = state();
            state.help = true;
            state.apply(Update::Detail("page".into()));
            drawn(width, height, &mut state);
        }
    }
}
