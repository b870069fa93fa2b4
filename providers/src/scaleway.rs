//! Not written yet.

use std::sync::Arc;

use capsule_api::ProviderName;

use crate::{CallSettings, Credential, Entry, Field, Provider, ProviderError, Result, api_key};

pub(crate) const ENTRY: Entry = Entry {
    fields: &[
        api_key("SCALEWAY_API_KEY"),
        Field {
            name: "access_key",
            variable: "SCALEWAY_ACCESS_KEY",
            description: "access key, from which the project is read",
            required: false,
            secret: false,
        },
        Field {
            name: "project_id",
            variable: "SCALEWAY_PROJECT_ID",
            description: "project id",
            required: false,
            secret: false,
        },
        Field {
            name: "zone",
            variable: "SCALEWAY_ZONE",
            description: "default zone, such as fr-par-1",
            required: false,
            secret: false,
        },
    ],
    ended: None,
    connect,
};

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let _ = (credential, settings);
    Err(ProviderError::Invalid { provider: ProviderName::Scaleway, detail: "no client yet".to_owned() })
}
