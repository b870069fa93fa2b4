//! One macro for closed sets of words, so that the JSON spelling, the SQL spelling and the command-line
//! spelling of a state can never drift apart.

/// A text that is not one of the words of a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no {what} (one of: {choices})")]
pub struct UnknownWord {
    /// What was given.
    pub given: String,
    /// The set it should have come from.
    pub what: &'static str,
    /// The words of the set, comma separated.
    pub choices: String,
}

/// Declares an enum whose variants are words: `as_str`, `FromStr`, `Display`, `ALL`, serde and OpenAPI.
/// The word is matched as a token: as a `literal` it would arrive in a group that OpenAPI's derive cannot look into.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* $name:ident ($what:literal) { $($(#[$vmeta:meta])* $variant:ident = $word:tt),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every word of the set, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in JSON, in the database and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| $crate::words::UnknownWord {
                    given: text.to_owned(),
                    what: $what,
                    choices: Self::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use crate::AlertKind;

    #[test]
    fn the_document_spells_words_as_the_wire_does() {
        let schema = serde_json::to_value(AlertKind::schema()).expect("a schema");
        let wire = serde_json::to_value(AlertKind::ALL).expect("words");
        assert_eq!(schema["enum"], wire);
        assert_eq!(wire[0], AlertKind::ALL[0].as_str());
    }
}
