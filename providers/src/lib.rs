//! Eight clouds behind one trait.
//!
//! A [`Provider`] is one account at one cloud. It asks and tells what it saw; it decides nothing, stores
//! nothing and repeats nothing that could bill twice. Everything a vendor does in its own way (states, units,
//! paging, error bodies, the calls a usable server takes) ends in its file; every other word here is ours.
//!
//! A package of its own, because the EC2 client takes minutes to compile and nothing else should wait for it.
//!
//! How a server is made, in three calls of which each may be repeated except the middle one:
//!
//! 1. [`Provider::prepare`]: what must be there first (keys, an image's id, a firewall rule). Idempotent.
//! 2. [`Provider::create`]: the one call that starts the bill. It carries the intent's [`Mark`], is sent once
//!    and never retried here. After [`ProviderError::UnknownOutcome`] the caller asks
//!    [`Provider::find_marked`] until it knows.
//! 3. [`Provider::finish`]: what the vendor wants afterwards (user data, power on). Idempotent.

#[cfg(feature = "aws")]
mod aws;
mod digitalocean;
mod equinix;
mod error;
#[cfg(test)]
mod fake;
mod hetzner;
mod hivelocity;
pub mod http;
mod linode;
mod record;
mod scaleway;
mod values;
mod vultr;

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use capsule_api::{Arch, Instance, InstanceRef, Leftover, Price, ProviderName};
use jiff::Timestamp;
use secrecy::SecretString;

pub use error::ProviderError;

/// What a call gives, or why it does not.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// What to log in with. Which fields a provider needs, [`fields`] says.
#[derive(Debug, Clone, Default)]
pub struct Credential {
    /// Secret and plain fields by name, such as `api_key`, `project_id`, `region`.
    pub fields: BTreeMap<String, SecretString>,
}

/// One field of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in [`Credential::fields`].
    pub name: &'static str,
    /// The environment variable it is also read from by the client.
    pub variable: &'static str,
    /// What it is, for a prompt.
    pub description: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it must never be shown.
    pub secret: bool,
}

/// What a vendor's file offers to this one.
pub(crate) struct Entry {
    /// What a credential consists of, in the order in which it is asked for.
    fields: &'static [Field],
    /// When the service ended, if it did: `YYYY-MM-DD`.
    ended: Option<&'static str>,
    /// Makes an account's client.
    connect: fn(&Credential, CallSettings) -> Result<Arc<dyn Provider>>,
}

/// The field that most vendors ask for and nothing else.
pub(crate) const fn api_key(variable: &'static str) -> Field {
    Field { name: "api_key", variable, description: "API key", required: true, secret: true }
}

const fn entry(provider: ProviderName) -> &'static Entry {
    match provider {
        ProviderName::Hivelocity => &hivelocity::ENTRY,
        ProviderName::DigitalOcean => &digitalocean::ENTRY,
        ProviderName::Vultr => &vultr::ENTRY,
        #[cfg(feature = "aws")]
        ProviderName::Aws => &aws::ENTRY,
        #[cfg(not(feature = "aws"))]
        ProviderName::Aws => &WITHOUT_AWS,
        ProviderName::Equinix => &equinix::ENTRY,
        ProviderName::Linode => &linode::ENTRY,
        ProviderName::Scaleway => &scaleway::ENTRY,
        ProviderName::Hetzner => &hetzner::ENTRY,
    }
}

#[cfg(not(feature = "aws"))]
const WITHOUT_AWS: Entry = Entry {
    fields: &[],
    ended: None,
    connect: |_, _| {
        let detail = "this build was made without the feature `aws`".to_owned();
        Err(ProviderError::Invalid { provider: ProviderName::Aws, detail })
    },
};

/// The credential fields of a provider, in the order in which they are asked for.
pub const fn fields(provider: ProviderName) -> &'static [Field] {
    entry(provider).fields
}

/// When a provider ended its service, if it did: `YYYY-MM-DD`.
pub const fn ended(provider: ProviderName) -> Option<&'static str> {
    entry(provider).ended
}

/// How to call one account.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSettings {
    /// Longest wait for one answer, default 30 s.
    pub timeout: Duration,
    /// Repeats of a call that is safe to repeat, default 3.
    pub max_retries: u32,
    /// The first pause before a repeat, doubled each time, default 1 s.
    pub backoff: Duration,
    /// Instead of the vendor's own address: https, or http on loopback.
    pub endpoint: Option<url::Url>,
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_retries: 3,
            backoff: Duration::from_secs(1),
            endpoint: None,
        }
    }
}

/// The intent's name in the vendor's world: every instance we make carries it as a tag (and as its label
/// where labels are unique), so that it can be found when the answer to its creation was lost. At most 40
/// characters of `[a-z0-9-]`, which every vendor accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark(String);

/// What every mark begins with; an instance with such a tag is ours.
pub const MARK_PREFIX: &str = "capsule-";

impl Mark {
    /// The mark of the intent with this id.
    pub fn of(intent: uuid::Uuid) -> Self {
        Self(format!("{MARK_PREFIX}{}", intent.simple()))
    }

    /// The mark as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Mark {
    type Err = uuid::Error;

    /// Reads a mark back, for instance out of a vendor's tags.
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let id = text.strip_prefix(MARK_PREFIX).unwrap_or_default();
        uuid::Uuid::try_parse(id).map(Self::of)
    }
}

/// Who a credential belongs to, as far as the vendor says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Account, user or project, for people.
    pub account: String,
    /// Fields the vendor filled in, to be stored with the credential (Scaleway's `project_id`).
    pub learned: BTreeMap<String, String>,
}

/// A size in one region as the vendor lists it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The vendor's name of the size.
    pub plan: String,
    /// The vendor's name of the region or zone.
    pub region: String,
    /// Virtual processors, or cores of bare metal.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Local disk in GB; 0 where disks are apart.
    pub disk_gb: u64,
    /// Included traffic in GB a month; absent: metered or unlimited.
    pub transfer_gb: Option<u64>,
    /// Number of GPUs.
    pub gpus: u32,
    /// Their model, where the vendor names it.
    pub gpu_model: Option<String>,
    /// Processor architecture.
    pub arch: Arch,
    /// Whether it is a machine of one's own.
    pub bare_metal: bool,
    /// What it costs there.
    pub price: Price,
    /// Whether it can be had now.
    pub available: bool,
}

/// A place as the vendor lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The vendor's name.
    pub name: String,
    /// City or country, for people.
    pub title: String,
}

/// What a vendor sells at the moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// Every size in every region.
    pub offers: Vec<Offer>,
    /// Every region.
    pub regions: Vec<Region>,
}

/// A server to be made.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// The intent; set as a tag, and as label where the vendor's labels are unique.
    pub mark: Mark,
    /// The name people gave it; a host name label.
    pub name: String,
    /// The vendor's name of the size.
    pub plan: String,
    /// The vendor's name of the region or zone.
    pub region: String,
    /// What to install: `ubuntu-24.04`, `debian-12`, … ([`IMAGES`]), or the vendor's own id or slug.
    pub image: String,
    /// Processor architecture of the size, for vendors whose images differ by it.
    pub arch: Arch,
    /// Whether the plan is bare metal, which some vendors order on another path.
    pub bare_metal: bool,
    /// Public keys that may log in, in OpenSSH form, at least one. Where the vendor takes only one it is the
    /// first; the deployment adds the others itself.
    pub ssh_keys: Vec<String>,
    /// cloud-init or script, as the user gave it; plain text, at most 16 KiB.
    pub user_data: Option<SecretString>,
    /// TCP ports to let in, 22 always among them.
    pub open_ports: Vec<u16>,
    /// Further tags, beside the mark.
    pub tags: Vec<String>,
}

/// Images every provider knows under its own name; the vendor's file translates.
pub const IMAGES: &[&str] = &["ubuntu-24.04", "ubuntu-22.04", "debian-12", "debian-13"];

/// What [`Provider::prepare`] found or made, for [`Provider::create`] and [`Provider::finish`]. Vendor-specific
/// and stored with the intent: image ids, key ids, security groups. Never a secret.
pub type Prepared = serde_json::Value;

/// What serves further orders of what [`Provider::prepare`] found or made for one: those with the same keys, ports,
/// image, architecture and user data …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreparedFor {
    /// … anywhere.
    Account,
    /// … in the same region.
    Region,
    /// … of the same size.
    Plan,
    /// … of the same size in the same region.
    Offer,
}

/// What [`Provider::create`] answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The new instance.
    pub instance: Instance,
}

/// One account at one cloud.
///
/// Every method ends within a few times [`CallSettings::timeout`]. All but [`Provider::create`] repeat
/// transient failures themselves and may be called again at any time.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// Which cloud.
    fn name(&self) -> ProviderName;

    /// The user that an image's first key logs in as: `root` mostly, `ubuntu` or `admin` on AWS.
    fn login_user(&self, image: &str) -> &'static str;

    /// How long a created instance may stay invisible to [`Provider::find_marked`].
    fn visibility_lag(&self) -> Duration;

    /// Whether a stopped instance goes on costing what a running one does.
    fn bills_stopped(&self) -> bool;

    /// Proves the credential by a call that costs nothing and changes nothing.
    async fn check_credential(&self) -> Result<Identity>;

    /// Everything the vendor sells and where, all pages.
    async fn catalogue(&self) -> Result<Catalogue>;

    /// Every instance of the account, ours or not, all pages and places.
    async fn instances(&self) -> Result<Vec<Instance>>;

    /// One instance; `None`: the vendor says it does not exist (any more).
    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>>;

    /// Every instance that carries the mark, wherever it may be, finished or not. More than one would be a
    /// double. `region` is the one the creation was sent to.
    async fn find_marked(&self, mark: &Mark, region: &str) -> Result<Vec<Instance>>;

    /// Makes sure that what the creation refers to is there. Idempotent.
    async fn prepare(&self, new: &NewInstance) -> Result<Prepared>;

    /// How far that serves: an order that goes from one sold-out offer to the next need not ask again.
    fn prepared_for(&self) -> PreparedFor {
        PreparedFor::Offer
    }

    /// Asks for the instance, once.
    ///
    /// # Errors
    /// [`ProviderError::UnknownOutcome`] when it may have been made; every other error says it was not.
    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created>;

    /// What the vendor wants after the creation. Idempotent.
    async fn finish(&self, reference: &InstanceRef, new: &NewInstance, prepared: &Prepared) -> Result<()> {
        let _ = (reference, new, prepared);
        Ok(())
    }

    /// Switches it on. Idempotent.
    async fn start(&self, reference: &InstanceRef) -> Result<()>;

    /// Switches it off: asks its system first, or pulls the plug with `force`. Idempotent.
    async fn stop(&self, reference: &InstanceRef, force: bool) -> Result<()>;

    /// Restarts it: through its system, or by power with `force`.
    async fn restart(&self, reference: &InstanceRef, force: bool) -> Result<()>;

    /// Asks for its end; what is already gone is success. Done when [`Provider::instance`] says so.
    async fn delete(&self, reference: &InstanceRef) -> Result<()>;

    /// What goes on costing after a delete: disks and addresses that outlive the instance.
    async fn leftovers(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        let _ = reference;
        Ok(Vec::new())
    }

    /// Deletes a leftover; what is already gone is success.
    async fn delete_leftover(&self, leftover: &Leftover) -> Result<()> {
        let _ = leftover;
        Ok(())
    }

    /// Replaces the instance's own tags there by `tags` (the mark stays).
    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()>;
}

/// An account's client.
///
/// # Errors
/// [`ProviderError::Invalid`] when a required field is missing or an endpoint is not allowed.
pub fn connect(
    provider: ProviderName,
    credential: &Credential,
    settings: CallSettings,
) -> Result<Arc<dyn Provider>> {
    for field in fields(provider) {
        if field.required && !credential.fields.contains_key(field.name) {
            let detail = format!("its credential lacks the {} (`{}`)", field.description, field.name);
            return Err(ProviderError::Invalid { provider, detail });
        }
    }
    (entry(provider).connect)(credential, settings)
}

/// A vendor's time in any of the shapes they use: RFC 3339, a blank instead of `T`, no offset (UTC).
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim().replacen(' ', "T", 1);
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// A vendor's price, a JSON number or string, as millionths; rounds what a float cannot hold. `None`: no price.
pub fn micros(value: &serde_json::Value) -> Option<i64> {
    let number = match value {
        serde_json::Value::Number(number) => number.as_f64()?,
        serde_json::Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let micros = (number * 1e6).round();
    (0.0..9e15).contains(&micros).then_some(micros as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_again_among_tags() {
        let id = uuid::Uuid::now_v7();
        let mark = Mark::of(id);
        assert_eq!(mark.as_str().parse::<Mark>().expect("a mark"), mark);
        assert!("web".parse::<Mark>().is_err());
        assert!(mark.as_str().len() <= 40);
    }

    #[test]
    fn prices_are_rounded_to_micros_and_never_negative() {
        for (json, micros_) in [
            (serde_json::json!(0.00743999984115362), Some(7440)),
            (serde_json::json!("0.0060"), Some(6000)),
            (serde_json::json!(5), Some(5_000_000)),
            (serde_json::json!(-1), None),
            (serde_json::json!(null), None),
        ] {
            assert_eq!(micros(&json), micros_, "{json}");
        }
    }

    #[test]
    fn times_of_every_shape_are_read() {
        for text in ["2024-01-02T03:04:05Z", "2024-01-02 03:04:05+00:00", "2024-01-02T03:04:05"] {
            assert_eq!(timestamp(text).map(|at| at.to_string()).as_deref(), Some("2024-01-02T03:04:05Z"));
        }
        assert_eq!(timestamp("yesterday"), None);
    }
}
