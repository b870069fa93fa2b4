//! What vendors' records and requests have in common: secrets that must not stay in a record, SSH public keys
//! as vendors store them. It knows no vendor and calls none.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use capsule_api::Instance;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Parts of field names whose values let somebody in: passwords, console addresses with a token, user data.
const SECRET: [&str; 8] =
    ["password", "root_pass", "secret", "private_key", "token", "kvm", "user_data", "userdata"];

/// Reads `null` as the default, for fields that vendors leave empty in either way.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A vendor's record without passwords, keys and the like, at any depth.
pub(crate) fn without_secrets(record: Value) -> Value {
    match record {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| {
                let name = name.to_lowercase();
                !SECRET.iter().any(|secret| name.contains(secret))
            });
            Value::Object(kept.map(|(name, value)| (name, without_secrets(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(without_secrets).collect()),
        plain => plain,
    }
}

/// Whether two OpenSSH lines are the same public key, whatever their comments say.
pub(crate) fn is_same_key(a: &str, b: &str) -> bool {
    let essence = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    essence(a).is_some() && essence(a) == essence(b)
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

/// The tags an instance is to have: `tags`, and of those it has now the ones that are a mark.
pub(crate) fn with_marks(now: &[String], tags: &[String]) -> Vec<String> {
    let marks = now.iter().filter(|tag| tag.parse::<crate::Mark>().is_ok());
    let mut wanted: Vec<String> = Vec::new();
    for tag in marks.chain(tags) {
        if !wanted.contains(tag) {
            wanted.push(tag.clone());
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_keeps_everything_but_what_lets_somebody_in() {
        let record = json!({
            "id": 1, "default_password": "x", "kvm": "https://h/?data=1", "Root_Password": "y",
            "nodes": [{"adminSecret": 1, "name": "a"}], "server": {"user_data": "z", "ip": "192.0.2.1"},
        });
        let kept = json!({"id": 1, "nodes": [{"name": "a"}], "server": {"ip": "192.0.2.1"}});
        assert_eq!(without_secrets(record), kept);
    }

    #[test]
    fn a_key_is_the_same_whatever_its_comment() {
        assert!(is_same_key("ssh-ed25519 AAAA ann@example.com", "ssh-ed25519  AAAA"));
        assert!(!is_same_key("ssh-ed25519 AAAA", "ssh-ed25519 AAAB"));
        assert!(!is_same_key("", ""));
        assert_eq!(key_name("ssh-ed25519 AAAA a"), key_name("ssh-ed25519 AAAA b"));
        assert_ne!(key_name("ssh-ed25519 AAAA"), key_name("ssh-ed25519 AAAB"));
        assert_eq!(key_name("ssh-ed25519 AAAA").len(), "capsule-".len() + 12);
    }

    #[test]
    fn a_mark_survives_new_tags() {
        let mark = crate::Mark::of(uuid::Uuid::from_u128(7)).to_string();
        let now = ["old".to_owned(), mark.clone()];
        assert_eq!(with_marks(&now, &["web".to_owned(), "web".to_owned()]), [mark, "web".to_owned()]);
    }
}
