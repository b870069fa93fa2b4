//! `providers.yml` and `openmesh.yml`: credentials and defaults. No value of either is ever part of a message.

use std::collections::BTreeMap;

use super::Reader;
use crate::{
    rules::records::{
        document::{Faults, Node, Value},
        faults::{Spot, clip},
    },
    secret::SecretString,
};

/// A credential as it stands in the file.
#[derive(Debug)]
pub struct FormerAccount {
    /// Where.
    pub spot: Spot,
    /// The provider's name, unchecked.
    pub provider: String,
    /// Its fields; which of them are secret is for the provider to say.
    pub fields: BTreeMap<String, SecretString>,
}

impl Reader<'_> {
    pub(super) fn providers(&mut self, _: &str, of: &Node, faults: &mut Faults) {
        for (provider, node) in of.fields() {
            let mut fields = BTreeMap::new();
            match &node.value {
                Value::Null => {}
                // A bare text is the key itself.
                Value::Text(key) => _ = fields.insert("api_key".to_owned(), SecretString::from(key.as_str())),
                Value::Map(given) => {
                    for (name, value) in given.iter().filter(|(_, value)| value.value != Value::Null) {
                        match value.word() {
                            Some("") => {}
                            Some(text) => _ = fields.insert(name.clone(), SecretString::from(text)),
                            None => {
                                faults.add(
                                    value.line,
                                    format!("{}.{}", clip(provider), clip(name)),
                                    "it must be text",
                                );
                            }
                        }
                    }
                }
                _ => faults.add(node.line, clip(provider), "it must be a mapping"),
            }
            let spot = faults.spot(node.line);
            self.former.accounts.push(FormerAccount { spot, provider: provider.clone(), fields });
        }
    }

    pub(super) fn openmesh(&mut self, file: &str, of: &Node, faults: &mut Faults) {
        for name in ["region", "default_region"] {
            let region = faults.text(of, name).filter(|region| !region.is_empty()).map(str::to_owned);
            self.former.region = self.former.region.take().or(region);
        }
        if let Some(region) = self.former.region.clone() {
            let reason = "used for the AWS account where it names none; otherwise `deploy --region`";
            self.leave(file, None, format!("default region {}", clip(&region)), reason);
        }
        if let Some(path) = faults.text(of, "default_ssh_key").filter(|path| !path.is_empty()) {
            let reason = "no key is a default here: `inventory edit NAME --ssh-user USER --ssh-key FILE`";
            self.leave(file, None, format!("default SSH key {}", clip(path)), reason);
        }
        for name in ["api_key", "api_secret"] {
            if faults.text(of, name).is_some_and(|text| !text.is_empty()) {
                self.leave(file, None, name, "its service is not used any more");
            }
        }
        for name in ["api_endpoint", "timeout", "max_retries", "log_level"] {
            if of.get(name).is_some() {
                self.leave(
                    file,
                    None,
                    name,
                    "it is not used any more; `provider configure` sets it by account",
                );
            }
        }
        let known = [
            "region",
            "default_region",
            "default_ssh_key",
            "api_key",
            "api_secret",
            "api_endpoint",
            "timeout",
            "max_retries",
            "log_level",
        ];
        self.leave_unknown(file, of, &known);
    }
}
