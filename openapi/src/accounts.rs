//! Provider accounts: what to log in with at a cloud, whether it works, and how to call it.
//!
//! Secret fields go in and never come out; an account shows their names only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountName, Price, ProviderName, words};

words! {
    /// Whether an account's credential works.
    AccountState("account state") {
        /// The provider accepted it.
        Proved = "proved",
        /// The provider refused it.
        Refused = "refused",
        /// It was not tried since it was changed.
        Unknown = "unknown",
    }
}

/// How an account is called, where it differs from the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// Longest wait for one answer in milliseconds, 1,000 to 600,000, default 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Repeats of a call that is safe to repeat, 0 to 10, default 3. A creation is never repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// First pause before a repeat in milliseconds, doubled each time, 10 to 60,000, default 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u64>,
    /// Address to call instead of the provider's own: https, or http on loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// A set of credentials at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Unique name; by default the provider's.
    pub name: AccountName,
    /// The provider.
    pub provider: ProviderName,
    /// The fields that are not secret, those the provider filled in among them.
    pub fields: BTreeMap<String, String>,
    /// The names of the secret fields that are stored; their values are never shown.
    pub secret_fields: Vec<String>,
    /// How it is called.
    pub settings: AccountSettings,
    /// Whether its credential works.
    pub state: AccountState,
    /// Since when the state has been so.
    pub state_at: Option<Timestamp>,
    /// Why it is refused; empty otherwise.
    pub reason: String,
    /// When the provider last accepted the credential, to within ten minutes.
    pub proved_at: Option<Timestamp>,
    /// Whose it is, as far as the provider says: an account, user or project.
    pub owner: String,
    /// xNodes that are billed to it.
    pub xnodes: u32,
    /// Rises with every change to the credential or the settings; the `ETag`.
    pub revision: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its credential or settings were last changed.
    pub updated_at: Timestamp,
}

/// An account to be added. The provider is asked whether it accepts the credential before anything is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountCreate {
    /// Unique name, default the provider's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<AccountName>,
    /// The provider.
    pub provider: ProviderName,
    /// The credential's fields by name, as `GET /v1/providers/{provider}` describes them. Secret ones are
    /// sealed at rest and never shown again. At most 16 of at most 4,096 characters each.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// How it is called.
    #[serde(default)]
    pub settings: AccountSettings,
}

impl std::fmt::Debug for AccountCreate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountCreate")
            .field("name", &self.name)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Changes to an account; an absent field stays. A new credential is tried before it replaces the present one.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// Fields with new values; a field with `null` is removed, the others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Option<String>>,
    /// The whole new settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<AccountSettings>,
}

impl std::fmt::Debug for AccountPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountPatch").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// One field of a provider's credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialField {
    /// Its name.
    pub name: String,
    /// The environment variable that the client reads it from when asked to.
    pub variable: String,
    /// What it is, for people.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is sealed and never shown.
    pub secret: bool,
}

/// A provider: what it sells, what it asks for, and the accounts there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderSummary {
    /// The provider.
    pub name: ProviderName,
    /// What a credential consists of, in the order in which it is asked for.
    pub credential: Vec<CredentialField>,
    /// Number of templates.
    pub templates: u32,
    /// Number of regions.
    pub regions: u32,
    /// The cheapest template's price; absent without templates.
    pub cheapest: Option<Price>,
    /// The dearest template's price; absent without templates.
    pub dearest: Option<Price>,
    /// Whether a template has a GPU.
    pub gpu: bool,
    /// The accounts there, by name.
    pub accounts: Vec<Account>,
    /// When the service ended, if it did: `YYYY-MM-DD`.
    pub ended: Option<String>,
}

/// Which instances to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InstanceFilter {
    /// Only this account, by name; absent: every account of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
}

/// An account that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountFailure {
    /// Which.
    pub account: AccountName,
    /// The stable word for why: `unauthorised`, `rate_limited`, `unavailable`, …
    pub code: String,
    /// Why, for people.
    pub detail: String,
}

/// What a provider has, account by account. An account that failed hides no other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct InstanceList {
    /// The instances, by account and name. Their metadata is absent for readers: user data may be in it.
    pub items: Vec<AccountInstance>,
    /// The accounts that could not be asked.
    pub failures: Vec<AccountFailure>,
}

/// An instance with the account it is billed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountInstance {
    /// The provider's record.
    #[serde(flatten)]
    pub instance: crate::Instance,
    /// The account it is billed to.
    pub account: AccountName,
}
