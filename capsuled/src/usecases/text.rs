//! Bounds on prose that people send.

use super::UseCaseError;

/// Longest comment.
const LONGEST_COMMENT: usize = 2_000;

/// A comment with its outer blanks removed; `None` when nothing is left.
///
/// # Errors
/// Too long, or with control characters other than line feed and tab: they would act on the terminal of
/// whoever reads it.
pub(super) fn comment(text: Option<String>) -> Result<Option<String>, UseCaseError> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim();
    if LONGEST_COMMENT < text.chars().count() {
        return Err(UseCaseError::invalid("comment", "it must be at most 2,000 characters"));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(UseCaseError::invalid("comment", "it must not contain control characters"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_bounded_and_harmless() {
        assert_eq!(comment(Some("  on it\n".to_owned())).expect("fine"), Some("on it".to_owned()));
        assert_eq!(comment(Some("  ".to_owned())).expect("fine"), None);
        assert!(comment(Some("\u{1b}[2J".to_owned())).is_err());
        assert!(comment(Some("x".repeat(2_001))).is_err());
    }
}
