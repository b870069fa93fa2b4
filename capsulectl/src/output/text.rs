//! Values as people read them: times, sizes, shares, small graphs. Pure functions.

use std::time::Duration;

use jiff::Timestamp;

use super::look::Look;

/// A duration in its two largest units: `45s`, `5m`, `2h 3m`, `3d 4h`; below a second in milliseconds.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        let ms = duration.as_millis();
        return if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") };
    }
    let units =
        [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let Some(first) = units.iter().position(|(_, count)| *count > 0) else { return "0s".to_owned() };
    let shown = units.iter().skip(first).take(2).filter(|(_, count)| *count > 0);
    shown.map(|(unit, count)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// Milliseconds as a duration text.
pub fn span_ms(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

/// How long ago a moment was, in its largest unit: `12s`, `5m`, `3h`, `9d`.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0).unsigned_abs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long until a moment, in two units; `now` when it has come.
pub fn until(moment: Timestamp, now: Timestamp) -> String {
    match moment.duration_since(now).as_secs() {
        ..=0 => "now".to_owned(),
        seconds => format!("in {}", span(Duration::from_secs(seconds.unsigned_abs()))),
    }
}

/// The age of a moment that may be missing.
pub fn age_or_absent(since: Option<Timestamp>, look: &Look) -> String {
    since.map_or_else(|| look.absent().to_owned(), |since| age(since, look.now))
}

/// A moment in UTC to the second: `2026-11-21 12:00:00Z`.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Bytes in binary units with three digits: `512 B`, `1.5 KiB`, `15.6 GiB`.
pub fn bytes(count: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count.max(0.0);
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Bytes per second.
pub fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// A share with one decimal below 10 and none above.
pub fn percent(share: f64) -> String {
    if share < 9.95 { format!("{share:.1} %") } else { format!("{share:.0} %") }
}

/// A latency in milliseconds with three digits.
pub fn latency(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..10_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// A bar of `cells` characters, filled by `share` (0–100).
pub fn bar(share: f64, cells: usize, look: &Look) -> String {
    let (full, empty) = if look.unicode { ("█", "░") } else { ("#", ".") };
    let filled = ((share.clamp(0.0, 100.0) / 100.0) * cells as f64).round() as usize;
    full.repeat(filled) + &empty.repeat(cells - filled)
}

/// A small graph of at most `cells` characters: neighbouring values are merged into their mean. Heights go
/// from `low` to `high`; a flat line at `low` stays at the bottom.
pub fn sparkline(values: &[f64], cells: usize, low: f64, high: f64, look: &Look) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const LETTERS: [char; 8] = ['_', '.', ',', '-', '~', '=', '+', '#'];
    let steps = if look.unicode { BLOCKS } else { LETTERS };
    let height = |value: f64| {
        let share = if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        steps[((share * 7.0).round() as usize).min(7)]
    };
    merge(values, cells).into_iter().map(height).collect()
}

fn merge(values: &[f64], cells: usize) -> Vec<f64> {
    if values.len() <= cells || cells == 0 {
        return values.to_vec();
    }
    let bounds = |cell: usize| cell * values.len() / cells;
    (0..cells)
        .map(|cell| &values[bounds(cell)..bounds(cell + 1)])
        .map(|part| part.iter().sum::<f64>() / part.len() as f64)
        .collect()
}

/// `1 xnode`, `2 xnodes`.
pub fn count(number: u64, singular: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {singular}{plural}")
}

/// At most `width` characters, with a mark where something was cut.
pub fn clip(text: &str, width: usize, look: &Look) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mark = if look.unicode { "…" } else { "~" };
    text.chars().take(width.saturating_sub(1)).collect::<String>() + mark
}

/// Lines of at most `width` characters, parted between words; a longer word stays whole.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in crate::error::one_line(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{super::look::tests::look, *};

    #[test]
    fn prose_is_parted_between_words() {
        assert_eq!(wrap("one two  three\nfour", 8), ["one two", "three", "four"]);
        assert_eq!(wrap("unbreakable a", 4), ["unbreakable", "a"]);
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        for (seconds, text) in
            [(0, "0s"), (45, "45s"), (300, "5m"), (7_380, "2h 3m"), (273_600, "3d 4h"), (86_401, "1d")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(span_ms(250), "250ms");
    }

    #[test]
    fn sizes_keep_three_digits() {
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(16_750_372_454.0), "15.6 GiB");
        assert_eq!(percent(3.12), "3.1 %");
        assert_eq!(percent(9.96), "10 %");
        assert_eq!(latency(1_234), "1.23 ms");
    }

    #[test]
    fn a_sparkline_merges_what_does_not_fit() {
        let values: Vec<f64> = (0..80).map(f64::from).collect();
        assert_eq!(sparkline(&values, 8, 0.0, 80.0, &look()), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[5.0, 5.0], 8, 5.0, 5.0, &look()), "▁▁");
        let ascii = Look { unicode: false, ..look() };
        assert!(sparkline(&values, 8, 0.0, 80.0, &ascii).is_ascii());
    }

    #[test]
    fn a_bar_is_always_as_wide_as_asked() {
        for share in [-5.0, 0.0, 33.0, 100.0, 250.0] {
            assert_eq!(bar(share, 10, &look()).chars().count(), 10);
        }
    }
}
