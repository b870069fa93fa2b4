//! Text that came from a machine we do not trust, made safe to store, log and show.

/// The first `max_chars` characters of `bytes`, one line, with everything that is not printable replaced by
/// U+FFFD: control characters could move a terminal's cursor, and bidirectional marks could reorder a line.
pub fn printable(bytes: &[u8], max_chars: usize) -> String {
    // Four bytes is the longest character; looking at more would be work the sender chooses for us.
    let bytes = bytes.get(..max_chars.saturating_mul(4)).unwrap_or(bytes);
    let visible = |c: char| if c.is_control() || is_format(c) { char::REPLACEMENT_CHARACTER } else { c };
    String::from_utf8_lossy(bytes).trim().chars().take(max_chars).map(visible).collect()
}

/// Whether `c` changes how its neighbours are shown instead of showing itself (Unicode category Cf and the
/// line separators), as far as terminals and browsers act on it.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_reorders_text_gets_through() {
        assert_eq!(printable(b"  SSH-2.0-x\x1b[2J\r\n", 255), "SSH-2.0-x\u{fffd}[2J");
        assert_eq!(printable("a\u{202e}b\u{7f}c".as_bytes(), 255), "a\u{fffd}b\u{fffd}c");
        assert_eq!(printable(&[0xff, b'a'], 255), "\u{fffd}a");
    }

    #[test]
    fn the_length_is_bounded_in_characters() {
        assert_eq!(printable("äöü".as_bytes(), 2), "äö");
        assert_eq!(printable(&vec![b'x'; 1 << 20], 255).len(), 255);
    }
}
