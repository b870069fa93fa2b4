//! What the vendors' records have in common: fields that must not be kept, tags that must not be lost, public
//! keys as they are stored. Knows no vendor.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use capsule_api::Instance;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Mark;

/// Words in a field's name that make its value none of our business.
const HIDDEN: &[&str] = &[
    "password",
    "passwd",
    "root_pass",
    "secret",
    "token",
    "private_key",
    "api_key",
    "userdata",
    "user_data",
    "customdata",
    // Vultr's console address, which holds a token.
    "kvm",
];

/// A vendor's raw record without passwords, keys and user data, however deep they lie.
pub(crate) fn metadata(raw: Value) -> Value {
    match raw {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, value)| value.is_boolean() || !is_hidden(name));
            Value::Object(kept.map(|(name, value)| (name, metadata(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(metadata).collect()),
        other => other,
    }
}

fn is_hidden(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `description` holds the word too, so this one is compared whole.
    name == "script" || HIDDEN.iter().any(|word| name.contains(word))
}

/// The tags to set: the marks among `present`, then `wanted`, none twice.
pub(crate) fn keeping_marks(present: &[String], wanted: &[String]) -> Vec<String> {
    let marks = present.iter().filter(|tag| tag.parse::<Mark>().is_ok());
    let mut tags: Vec<String> = Vec::new();
    for tag in marks.chain(wanted) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags
}

/// Whether two public keys in OpenSSH form are the same, whatever their comments say.
pub(crate) fn same_key(one: &str, other: &str) -> bool {
    let parts = |key| str::split_whitespace(key).take(2).collect::<Vec<_>>();
    parts(one).len() == 2 && parts(one) == parts(other)
}

/// A name for a public key that is the same every time: `capsule-` and the beginning of its SHA-256 in hex.
pub(crate) fn key_name(line: &str) -> String {
    let text = line.split_whitespace().nth(1).unwrap_or(line);
    let bytes = STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec());
    let digest = Sha256::digest(&bytes);
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("capsule-{hex}")
}

/// Each instance once: a list that grows while it is read shows the last of a page again on the next, and a
/// server seen twice would be taken for two.
pub(crate) fn distinct(mut instances: Vec<Instance>) -> Vec<Instance> {
    let mut seen = HashSet::new();
    instances.retain(|instance| seen.insert(instance.reference()));
    instances
}

/// Reads `null` as the default, for fields that vendors leave empty in either way.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_removed_however_deep() {
        let raw = json!({
            "id": 1, "root_password": "hunter2", "has_user_data": true,
            "inner": [{"default_password": "x", "script": "#cloud-config", "description": "kept"}],
        });
        let kept = json!({"id": 1, "has_user_data": true, "inner": [{"description": "kept"}]});
        assert_eq!(metadata(raw), kept);
    }

    #[test]
    fn marks_stay_when_tags_are_replaced() {
        let mark = Mark::of(uuid::Uuid::now_v7()).to_string();
        let present = ["old".to_owned(), mark.clone()];
        let wanted = ["web".to_owned(), "web".to_owned(), mark.clone()];
        assert_eq!(keeping_marks(&present, &wanted), [mark, "web".to_owned()]);
    }

    #[test]
    fn keys_are_compared_without_their_comments() {
        assert!(same_key("ssh-ed25519 AAAA me@here", "ssh-ed25519 AAAA"));
        assert!(!same_key("ssh-ed25519 AAAA", "ssh-ed25519 BBBB"));
        assert!(!same_key("", ""));
        assert!(!same_key("ssh-ed25519", "ssh-ed25519"));
    }

    #[test]
    fn a_keys_name_is_that_of_the_key_whatever_its_comment() {
        assert_eq!(key_name("ssh-ed25519 AAAA a"), key_name("ssh-ed25519 AAAA b"));
        assert_ne!(key_name("ssh-ed25519 AAAA"), key_name("ssh-ed25519 AAAB"));
        assert_eq!(key_name("ssh-ed25519 AAAA").len(), "capsule-".len() + 12);
    }
}
