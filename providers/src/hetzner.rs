//! Not written yet.

use std::sync::Arc;

use capsule_api::ProviderName;

use crate::{CallSettings, Credential, Entry, Provider, ProviderError, Result, api_key};

pub(crate) const ENTRY: Entry = Entry { fields: &[api_key("HETZNER_API_KEY")], ended: None, connect };

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let _ = (credential, settings);
    Err(ProviderError::Invalid { provider: ProviderName::Hetzner, detail: "no client yet".to_owned() })
}
