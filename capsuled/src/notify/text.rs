//! Text that came from outside, made fit to be shown: printable, bounded and free of secrets.

/// `text` on one line in at most `max_bytes` bytes: control characters become spaces, characters that
/// reorder what a person reads are dropped, a cut is marked with `…`.
pub(super) fn clean(text: &str, max_bytes: usize) -> String {
    let printable = text.chars().filter(|c| !reorders(*c)).map(|c| if c.is_control() { ' ' } else { c });
    cut(printable, max_bytes)
}

/// As [`clean`], but keeps line breaks.
pub(super) fn clean_lines(text: &str, max_bytes: usize) -> String {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    let printable =
        unified.chars().filter(|c| !reorders(*c)).map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    cut(printable, max_bytes)
}

/// `text` with every occurrence of a secret replaced by `***`. Short secrets are left alone: replacing
/// them would mangle ordinary words and give the secret away by where the stars stand.
pub(super) fn scrub(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        text = text.replace(secret.as_str(), "***");
    }
    text
}

/// Bidirectional overrides, isolates and marks (Unicode TR9 §2), which can make a line read as another one.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

fn cut(chars: impl Iterator<Item = char>, max_bytes: usize) -> String {
    const MARK: &str = "…";
    let mut kept = String::new();
    for c in chars {
        kept.push(c);
        if kept.len() > max_bytes {
            while kept.len() + MARK.len() > max_bytes && kept.pop().is_some() {}
            kept.push_str(MARK);
            return kept;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_taken_out() {
        assert_eq!(clean("a\r\nBcc: b\u{202e}c\u{1b}[31m", 100), "a  Bcc: bc [31m");
        assert_eq!(clean_lines("a\r\nb\tc", 100), "a\nb c");
    }

    #[test]
    fn a_cut_keeps_within_the_limit_and_on_a_character() {
        assert_eq!(clean("ääää", 8), "ääää");
        let short = clean("äääää", 8);
        assert_eq!(short, "ää…");
        assert!(short.len() <= 8);
    }

    #[test]
    fn secrets_do_not_come_back() {
        let secrets = ["hunter22".to_owned(), "a".to_owned(), String::new()];
        assert_eq!(scrub("a bad password hunter22 was given", &secrets), "a bad password *** was given");
    }
}
