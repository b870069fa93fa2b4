//! From what people type to the thing they mean: a name, an id, or either end of an id.
//!
//! Tables show the last 8 characters of an id and logs show all of it, so both ends are accepted. Anything
//! that could mean two things is refused with the candidates, never guessed.

use std::fmt::Display;

/// Shortest part of an id that is taken as one.
const SHORTEST_PART: usize = 4;
/// How alike a name must be to be offered instead, 0–1 (Jaro-Winkler).
const ALIKE: f64 = 0.8;

/// What a typed text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution<T> {
    /// Exactly this one.
    One(T),
    /// Nothing; `suggestion` is the most similar name, when one is similar at all.
    None {
        /// The most similar name.
        suggestion: Option<String>,
    },
    /// More than one, with their names, in the order given.
    Ambiguous(Vec<(T, String)>),
}

/// Finds what `typed` means among `candidates`, each an id (its `Display` is a UUID) and a name; an empty
/// name matches nothing. In this order: the whole id (with or without hyphens, in either case), the whole
/// name, and an end of the id of at least four characters that no other candidate shares.
pub fn resolve<'a, T: Copy + Display>(
    typed: &str,
    candidates: impl IntoIterator<Item = (T, &'a str)>,
) -> Resolution<T> {
    let candidates: Vec<(T, &str)> = candidates.into_iter().collect();
    let part = hex(typed).filter(|part| SHORTEST_PART <= part.len());
    let is_whole = |id: &T| part.as_deref().is_some_and(|part| plain(id) == part);
    let is_named = |name: &str| !name.is_empty() && name == typed;
    let whole = candidates.iter().find(|(id, _)| is_whole(id));
    if let Some((id, _)) = whole.or_else(|| candidates.iter().find(|(_, name)| is_named(name))) {
        return Resolution::One(*id);
    }
    let ends_so = |id: &T| {
        let id = plain(id);
        part.as_deref().is_some_and(|part| id.starts_with(part) || id.ends_with(part))
    };
    let matching: Vec<&(T, &str)> = candidates.iter().filter(|(id, _)| ends_so(id)).collect();
    match matching.as_slice() {
        [] => Resolution::None { suggestion: suggestion(typed, candidates.iter().map(|(_, name)| *name)) },
        [(only, _)] => Resolution::One(*only),
        several => {
            Resolution::Ambiguous(several.iter().map(|(id, name)| (*id, (*name).to_owned())).collect())
        }
    }
}

/// The most similar of `names`, when one is similar enough to be a slip of the finger.
pub fn suggestion<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| (strsim::jaro_winkler(&typed.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(likeness, _)| ALIKE <= *likeness)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name.to_owned())
}

/// `typed` as hexadecimal digits without hyphens, when it is that.
fn hex(typed: &str) -> Option<String> {
    let is_hex = typed.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_hex.then(|| typed.replace('-', "").to_ascii_lowercase())
}

fn plain(id: &impl Display) -> String {
    id.to_string().replace('-', "")
}

#[cfg(test)]
mod tests {
    use uuid::{Uuid, uuid};

    use super::*;

    const WEB: Uuid = uuid!("01932f10-aaaa-7000-8000-0000000000a1");
    const DB: Uuid = uuid!("01932f10-bbbb-7000-8000-0000000000b2");
    const CAFE: Uuid = uuid!("01940000-cccc-7000-8000-00000000cafe");

    fn find(typed: &str) -> Resolution<Uuid> {
        resolve(typed, [(WEB, "web-1"), (DB, "db-1"), (CAFE, "01932f10"), (Uuid::nil(), "")])
    }

    #[test]
    fn names_and_ids_and_their_ends_find_one() {
        for (typed, found) in [
            ("web-1", WEB),
            ("01932f10-aaaa-7000-8000-0000000000a1", WEB),
            ("01932F10AAAA700080000000000000A1", WEB),
            ("01932f10-aa", WEB),
            ("01932f10b", DB),
            ("000000b2", DB),
            ("cafe", CAFE),
        ] {
            assert_eq!(find(typed), Resolution::One(found), "{typed}");
        }
    }

    #[test]
    fn a_whole_name_wins_over_part_of_an_id() {
        assert_eq!(find("01932f10"), Resolution::One(CAFE));
    }

    #[test]
    fn what_could_be_two_is_refused_with_both() {
        let both = vec![(WEB, "web-1".to_owned()), (DB, "db-1".to_owned())];
        assert_eq!(find("01932f"), Resolution::Ambiguous(both));
    }

    #[test]
    fn too_short_an_end_and_an_empty_text_find_nothing() {
        for typed in ["", "0a1", "-", "----", "b2"] {
            assert!(matches!(find(typed), Resolution::None { .. }), "{typed:?}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_offered_the_name_and_nonsense_is_not() {
        assert_eq!(find("wbe-1"), Resolution::None { suggestion: Some("web-1".to_owned()) });
        assert_eq!(find("WEB-1"), Resolution::None { suggestion: Some("web-1".to_owned()) });
        assert_eq!(find("zzzzzz"), Resolution::None { suggestion: None });
    }
}
