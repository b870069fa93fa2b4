//! A page for people: frames, sections, labelled values and tables, in the look of the product.

use super::{
    look::{Icon, Look, Tone},
    table::{View, table},
    text::clip,
};

/// Columns of a frame, its borders included.
const FRAME: usize = 60;
/// Columns of the labels of a list of values.
const LABEL: usize = 16;

/// Text being put together.
pub struct Sheet<'a> {
    /// What the terminal can show.
    pub look: &'a Look,
    text: String,
}

impl<'a> Sheet<'a> {
    /// An empty page.
    pub const fn new(look: &'a Look) -> Self {
        Self { look, text: String::new() }
    }

    /// The finished text.
    pub fn finish(self) -> String {
        self.text
    }

    /// A framed title: what on the left, circumstances on the right.
    pub fn title(&mut self, left: &str, right: &str) {
        let line = |a: &str, fill: &str, b: &str| format!("{a}{}{b}", fill.repeat(FRAME - 2));
        let (top, side, bottom) = if self.look.unicode {
            (line("╔", "═", "╗"), "║", line("╚", "═", "╝"))
        } else {
            (line("+", "=", "+"), "|", line("+", "=", "+"))
        };
        let room = FRAME - 4;
        let left = clip(left, room, self.look);
        let right = clip(right, room.saturating_sub(left.chars().count() + 1), self.look);
        let gap = " ".repeat(room.saturating_sub(left.chars().count() + right.chars().count()));
        let body = format!("{} {left}{gap}{right} {}", side, side);
        for text in [top, body, bottom] {
            self.line(&self.look.paint(Tone::Heading, &text));
        }
    }

    /// A framed block with its title in the upper border; each line is text in a tone.
    pub fn block(&mut self, title: &str, lines: &[(Tone, String)]) {
        let u = self.look.unicode;
        let (corners, rule, side) =
            if u { (["┌", "┐", "└", "┘"], "─", "│") } else { (["+", "+", "+", "+"], "-", "|") };
        let fill = rule.repeat(FRAME.saturating_sub(5 + title.chars().count()));
        let title = self.look.paint(Tone::Section, title);
        self.line(&format!("{}{rule} {title} {fill}{}", corners[0], corners[1]));
        for (tone, text) in lines {
            let text = clip(text, FRAME - 4, self.look);
            let gap = " ".repeat(FRAME - 4 - text.chars().count());
            self.line(&format!("{side} {}{gap} {side}", self.look.paint(*tone, &text)));
        }
        self.line(&format!("{}{}{}", corners[2], rule.repeat(FRAME - 2), corners[3]));
    }

    /// A section's title, with an empty line before it.
    pub fn section(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let title = format!("{} {title}", self.look.icon(Icon::Pointer));
        self.line(&self.look.paint(Tone::Section, &title));
    }

    /// A labelled value.
    pub fn field(&mut self, label: &str, value: &str) {
        self.toned_field(label, Tone::Plain, value);
    }

    /// A labelled value in a tone.
    pub fn toned_field(&mut self, label: &str, tone: Tone, value: &str) {
        let value = crate::error::one_line(value);
        // A label that fills its column is still parted from its value.
        let label = format!("{label} ");
        self.line(&format!("  {label:<LABEL$}{}", self.look.paint(tone, &value)));
    }

    /// A line as it is.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// A table, indented by two columns.
    pub fn table<T>(&mut self, view: &View<T>, rows: &[T]) {
        let narrower =
            Look { width: self.look.width.map(|width| width.saturating_sub(2)), ..self.look.clone() };
        for line in table(view, rows, false, &narrower).lines() {
            self.line(&format!("  {line}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::look::tests::look, *};

    fn page(look: &Look) -> String {
        let mut sheet = Sheet::new(look);
        sheet.title("Capsule 0.1.0", "up 3d");
        sheet.block("Fleet", &[(Tone::Good, "3 healthy".into()), (Tone::Plain, "x".repeat(80))]);
        sheet.section("Next");
        sheet.field("address", "192.0.2.1\n");
        sheet.finish()
    }

    #[test]
    fn frames_are_sixty_columns_wide() {
        let text = page(&look());
        insta::assert_snapshot!(text);
        for line in text.lines().take(7) {
            assert_eq!(line.chars().count(), FRAME, "{line}");
        }
    }

    #[test]
    fn frames_have_an_ascii_form() {
        insta::assert_snapshot!(page(&Look { unicode: false, ..look() }));
    }
}
