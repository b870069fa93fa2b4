//! Not written yet.

use std::sync::Arc;

use capsule_api::ProviderName;

use crate::{CallSettings, Credential, Entry, Field, Provider, ProviderError, Result};

pub(crate) const ENTRY: Entry = Entry {
    fields: &[
        // Without a key: `profile` of the vendor's own files, or the instance's role.
        Field {
            name: "access_key_id",
            variable: "AWS_ACCESS_KEY_ID",
            description: "access key id",
            required: false,
            secret: false,
        },
        Field {
            name: "secret_access_key",
            variable: "AWS_SECRET_ACCESS_KEY",
            description: "secret access key",
            required: false,
            secret: true,
        },
        Field {
            name: "session_token",
            variable: "AWS_SESSION_TOKEN",
            description: "session token",
            required: false,
            secret: true,
        },
        Field {
            name: "region",
            variable: "AWS_REGION",
            description: "default region, such as us-east-1",
            required: true,
            secret: false,
        },
        Field {
            name: "profile",
            variable: "AWS_PROFILE",
            description: "profile of the shared AWS files",
            required: false,
            secret: false,
        },
    ],
    ended: None,
    connect,
};

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let _ = (credential, settings);
    Err(ProviderError::Invalid { provider: ProviderName::Aws, detail: "no client yet".to_owned() })
}
