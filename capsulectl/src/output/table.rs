//! Tables that fit: a view names the columns of one kind of row once, for people and for CSV alike.
//!
//! Where the terminal is too narrow, the least important columns go first, then long prose is cut; names,
//! ids and states never are, because a cut id is of no use to anybody.

use comfy_table::{
    CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};

use super::look::{Look, Tone};

/// The columns of one kind of row.
pub struct View<T: 'static> {
    /// From left to right.
    pub columns: &'static [Column<T>],
    /// What `-o name` prints: something the commands accept.
    pub name: fn(&T) -> String,
    /// What to say when there is nothing to show.
    pub empty: &'static str,
}

/// One column.
pub struct Column<T> {
    /// The heading, in capitals.
    pub title: &'static str,
    /// When it is shown and what may happen to it.
    pub fit: Fit,
    /// Its text for a row.
    pub cell: fn(&T, &Look) -> Cell,
}

/// What happens to a column where space is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Always whole.
    Keep,
    /// Always whole, right-aligned.
    Number,
    /// Cut where the terminal is too narrow.
    Cut,
    /// Left out where the terminal is too narrow; higher numbers go first.
    Drop(u8),
    /// Only in `-o wide` and in CSV.
    Wide,
}

/// One cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// For people.
    pub text: String,
    /// What the text says beside its words.
    pub tone: Tone,
    /// For CSV, where the text for people is rounded or decorated.
    pub exact: Option<String>,
}

impl<S: Into<String>> From<S> for Cell {
    fn from(text: S) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl Cell {
    /// A cell in a tone.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone, exact: None }
    }

    /// The same cell with another text for CSV.
    pub fn exactly(mut self, exact: impl Into<String>) -> Self {
        self.exact = Some(exact.into());
        self
    }

    /// A cell for a value that may be missing.
    pub fn maybe(value: Option<impl ToString>, look: &Look) -> Self {
        match value {
            Some(value) => Self::from(value.to_string()),
            None => Self::toned(Tone::Dim, look.absent()).exactly(""),
        }
    }
}

/// The smallest width at which cut prose still says something.
const PROSE_MIN: usize = 24;

/// A table as text, each line ended. `wide` shows every column.
pub fn table<T>(view: &View<T>, rows: &[T], wide: bool, look: &Look) -> String {
    let shown: Vec<&Column<T>> =
        view.columns.iter().filter(|column| wide || column.fit != Fit::Wide).collect();
    let cells: Vec<Vec<Cell>> =
        rows.iter().map(|row| shown.iter().map(|column| (column.cell)(row, look)).collect()).collect();
    let widths: Vec<usize> = (0..shown.len()).map(|at| column_width(shown[at].title, &cells, at)).collect();
    let kept = fitting(&shown, &widths, look.width.map(usize::from));
    let mut table = bare_table(look);
    table.set_header(kept.iter().map(|at| heading(shown[*at].title, look)));
    for row in &cells {
        let mut line: comfy_table::Row =
            kept.iter().map(|at| styled(&row[*at], look)).collect::<Vec<_>>().into();
        line.max_height(1);
        table.add_row(line);
    }
    for (index, at) in kept.iter().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        column.set_padding((0, if index + 1 == kept.len() { 0 } else { 1 }));
        match shown[*at].fit {
            Fit::Number => {
                column.set_cell_alignment(CellAlignment::Right);
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            Fit::Cut => {
                let least = widths[*at].min(PROSE_MIN);
                let least = u16::try_from(least).unwrap_or(u16::MAX);
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
            }
            Fit::Keep | Fit::Drop(_) | Fit::Wide => {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Rows as CSV with a heading line; every column, exact values.
pub fn csv<T>(view: &View<T>, rows: &[T], look: &Look) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(
        view.columns.iter().map(|column| column.title.to_ascii_lowercase().replace(' ', "_")),
    )?;
    for row in rows {
        writer.write_record(view.columns.iter().map(|column| {
            let cell = (column.cell)(row, look);
            cell.exact.unwrap_or(cell.text)
        }))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// Indexes of the columns that fit into `width`, in order.
fn fitting<T>(columns: &[&Column<T>], widths: &[usize], width: Option<usize>) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let Some(width) = width else { return kept };
    let least = |at: usize| match columns[at].fit {
        Fit::Cut => widths[at].min(PROSE_MIN),
        _ => widths[at],
    };
    let rank = |at: usize| match columns[at].fit {
        Fit::Drop(rank) => Some(rank),
        Fit::Wide => Some(u8::MAX),
        _ => None,
    };
    loop {
        let needed: usize = kept.iter().map(|at| least(*at) + 2).sum::<usize>().saturating_sub(2);
        let Some(victim) =
            kept.iter().copied().filter(|at| rank(*at).is_some()).max_by_key(|at| (rank(*at), *at))
        else {
            return kept;
        };
        if needed <= width {
            return kept;
        }
        kept.retain(|at| *at != victim);
    }
}

fn column_width(title: &str, cells: &[Vec<Cell>], at: usize) -> usize {
    let longest = cells.iter().map(|row| row[at].text.chars().count()).max().unwrap_or(0);
    longest.max(title.len())
}

fn bare_table(look: &Look) -> Table {
    let mut table = Table::new();
    let rule = if look.unicode { '─' } else { '-' };
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill(rule).junction(rule)));
    table.set_truncation_indicator(if look.unicode { "…" } else { "~" });
    match look.width {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    if look.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

fn heading(title: &str, look: &Look) -> comfy_table::Cell {
    let cell = comfy_table::Cell::new(title);
    if look.color { cell.fg(Color::Cyan).add_attribute(comfy_table::Attribute::Bold) } else { cell }
}

fn styled(cell: &Cell, look: &Look) -> comfy_table::Cell {
    let out = comfy_table::Cell::new(crate::error::one_line(&cell.text));
    if !look.color {
        return out;
    }
    match cell.tone {
        Tone::Plain => out,
        Tone::Heading => out.fg(Color::Cyan),
        Tone::Section | Tone::Warn => out.fg(Color::Yellow),
        Tone::Good => out.fg(Color::Green),
        Tone::Bad => out.fg(Color::Red),
        Tone::Dim => out.add_attribute(comfy_table::Attribute::Dim),
        Tone::Name => out.add_attribute(comfy_table::Attribute::Bold),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::look::tests::look, *};

    const VIEW: View<(&str, u32, &str)> = View {
        columns: &[
            Column { title: "NAME", fit: Fit::Keep, cell: |row, _| row.0.into() },
            Column { title: "COUNT", fit: Fit::Number, cell: |row, _| row.1.to_string().into() },
            Column { title: "WHY", fit: Fit::Cut, cell: |row, _| row.2.into() },
            Column { title: "MORE", fit: Fit::Drop(1), cell: |_, _| "a-long-one".into() },
        ],
        name: |row| row.0.to_owned(),
        empty: "nothing",
    };

    fn rendered(width: Option<u16>) -> String {
        let rows = [("web-1", 3, "no answer from the other side within five seconds"), ("db", 12, "fine")];
        table(&VIEW, &rows, false, &Look { width, ..look() })
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        insta::assert_snapshot!(rendered(Some(100)));
    }

    #[test]
    fn a_narrow_terminal_loses_columns_and_prose_but_never_names() {
        let text = rendered(Some(40));
        insta::assert_snapshot!(text);
        for line in text.lines() {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn nothing_is_cut_where_no_terminal_reads() {
        assert!(rendered(None).contains("within five seconds"));
    }
}
