//! Not written yet.

use std::sync::Arc;

use capsule_api::ProviderName;

use crate::{CallSettings, Credential, Entry, Field, Provider, ProviderError, Result, api_key};

pub(crate) const ENTRY: Entry = Entry {
    fields: &[
        api_key("EQUINIX_API_KEY"),
        Field {
            name: "project_id",
            variable: "EQUINIX_PROJECT_ID",
            description: "project id",
            required: true,
            secret: false,
        },
    ],
    ended: Some("2026-06-30"),
    connect,
};

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let _ = (credential, settings);
    Err(ProviderError::Invalid { provider: ProviderName::Equinix, detail: "no client yet".to_owned() })
}
