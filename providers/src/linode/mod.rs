//! Linode (Akamai): requests, replies, states and error texts of its API v4.
//!
//! A Linode's label is unique in its account, so the label is the intent's mark: a creation sent twice is
//! refused by Linode itself, and that refusal means *look it up*, not *it failed*. The name people gave is
//! therefore not sent; [`Instance::name`] is the label. The address is there from the first answer on.
//!
//! Linode has one kind of stop: it asks the system and pulls the plug itself after some minutes, so `force`
//! changes nothing here. There is no firewall in front of a new Linode: every port is open.

mod catalogue;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use capsule_api::{Instance, InstanceRef, InstanceState, ProviderName};
use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, HeaderName},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    CallSettings, Catalogue, Created, Credential, Entry, Identity, Mark, NewInstance, Prepared, Provider,
    ProviderError, Result, api_key,
    http::{Call, Http, MOST_PAGES, Vendor, bearer, quota, shortened},
    record::{with_marks, without_secrets},
    timestamp,
    values::{found, read, unknown_outcome},
};

pub(crate) const ENTRY: Entry = Entry { fields: &[api_key("LINODE_API_KEY")], ended: None, connect };

const PROVIDER: ProviderName = ProviderName::Linode;
const X_FILTER: HeaderName = HeaderName::from_static("x-filter");

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let vendor = Vendor {
        provider: PROVIDER,
        base: "https://api.linode.com/v4",
        auth: (AUTHORIZATION, bearer(credential)),
        // Lists: 200 a minute, 20 at once and 180 in the minute; what is no list has eight times as many.
        calls: quota(20, Duration::from_millis(333)),
        // 20 in 15 s: 16 at once and 4 in that time.
        creations: Some(quota(16, Duration::from_millis(3_750))),
        classify,
    };
    Ok(Arc::new(Linode { http: Http::new(vendor, settings)? }))
}

/// One account.
#[derive(Debug)]
struct Linode {
    http: Http,
}

/// The part of a Linode that has a meaning here.
#[derive(Debug, Deserialize)]
struct Record {
    id: u64,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    ipv4: Vec<IpAddr>,
    #[serde(default)]
    ipv6: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default, rename = "type")]
    plan: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Page<T> {
    data: Vec<T>,
    #[serde(default)]
    pages: u32,
}

fn state(status: &str) -> InstanceState {
    match status {
        "provisioning" | "booting" | "busy" | "rebuilding" | "cloning" | "restoring" | "migrating" => {
            InstanceState::Provisioning
        }
        "running" | "rebooting" => InstanceState::Running,
        "offline" | "stopped" | "shutting_down" => InstanceState::Stopped,
        "billing_suspension" => InstanceState::Error,
        "deleting" => InstanceState::Deleted,
        _ => InstanceState::Unknown,
    }
}

/// The address outside Linode's private network, IPv4 first. IPv6 comes with its prefix length.
fn address(record: &Record) -> Option<IpAddr> {
    let private = |ip: &&IpAddr| matches!(ip, IpAddr::V4(v4) if v4.octets()[..2] == [192, 168]);
    let v4 = record.ipv4.iter().find(|ip| !private(ip)).copied();
    v4.or_else(|| record.ipv6.as_deref()?.split('/').next()?.parse().ok())
}

fn instance(raw: Value) -> Result<Instance> {
    let record: Record = read(PROVIDER, &raw)?;
    Ok(Instance {
        id: record.id.to_string(),
        provider: PROVIDER,
        status: state(record.status.as_deref().unwrap_or_default()),
        ip_address: address(&record),
        created_at: record.created.as_deref().and_then(timestamp),
        name: record.label.unwrap_or_default(),
        region: record.region.unwrap_or_default(),
        plan: record.plan.unwrap_or_default(),
        tags: record.tags.unwrap_or_default(),
        place: String::new(),
        metadata: without_secrets(raw),
    })
}

/// Linode says why only in words.
fn classify(status: StatusCode, body: &Value) -> Option<ProviderError> {
    if status.is_server_error() {
        return None;
    }
    let reasons: Vec<&str> =
        body["errors"].as_array()?.iter().filter_map(|error| error["reason"].as_str()).collect();
    let text = reasons.join("; ");
    let detail = shortened(&Value::String(format!("{status}: {text}")));
    let says = |words: &[&str]| words.iter().any(|word| text.to_ascii_lowercase().contains(word));
    let provider = PROVIDER;
    if says(&["linode busy"]) {
        return Some(ProviderError::Conflict { provider, detail });
    }
    // The label is the intent's mark: an earlier try was heard after all.
    if says(&["label must be unique"]) {
        return Some(ProviderError::UnknownOutcome { provider, detail });
    }
    if says(&["account limit", "limit reached", "limit exceeded"]) {
        return Some(ProviderError::Quota { provider, detail });
    }
    if says(&["capacity", "not available in", "sold out", "out of stock"]) {
        return Some(ProviderError::OutOfStock { provider, detail });
    }
    None
}

/// `ubuntu-24.04` as Linode writes it: `linode/ubuntu24.04`. Anything else is its own id already.
fn image(name: &str) -> String {
    match name.split_once('-') {
        Some((distribution @ ("ubuntu" | "debian"), version)) => format!("linode/{distribution}{version}"),
        _ => name.to_owned(),
    }
}

fn path(reference: &InstanceRef, action: &str) -> Result<String> {
    let id: u64 = reference.id.parse().map_err(|_| ProviderError::NotFound {
        provider: PROVIDER,
        what: format!("Linode `{}`", reference.id.escape_debug()),
    })?;
    Ok(format!("/linode/instances/{id}{action}"))
}

impl Linode {
    /// All pages of a list.
    async fn all<T: DeserializeOwned>(&self, path: &str, filter: Option<&Value>) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        for number in 1..=MOST_PAGES {
            let mut call = Call::get(path).query("page", number).query("page_size", 500);
            if let Some(filter) = filter {
                call = call.header(X_FILTER, &filter.to_string());
            }
            let page: Page<T> = self.http.send(call).await?.json()?;
            rows.extend(page.data);
            if page.pages <= number {
                return Ok(rows);
            }
        }
        let detail = format!("{path} has more than {MOST_PAGES} pages");
        Err(ProviderError::Unreadable { provider: PROVIDER, detail })
    }

    /// Asks for a change of power. A refusal of what is so already is none.
    async fn power(&self, reference: &InstanceRef, action: &str, wanted: InstanceState) -> Result<()> {
        let refused = match self.http.send(Call::post(path(reference, action)?)).await {
            Ok(_) => return Ok(()),
            Err(error @ (ProviderError::Invalid { .. } | ProviderError::Conflict { .. })) => error,
            Err(error) => return Err(error),
        };
        match self.instance(reference).await? {
            Some(instance) if instance.status == wanted => Ok(()),
            _ => Err(refused),
        }
    }

    /// User data goes through Linode's metadata service, which not every region and image has; without it the
    /// server would come up and never hear of it.
    async fn takes_user_data(&self, new: &NewInstance) -> Result<()> {
        let image = image(&new.image);
        for (list, id, word) in [("/regions", &new.region, "Metadata"), ("/images", &image, "cloud-init")] {
            let rows: Vec<Value> = self.all(list, None).await?;
            let row = rows.iter().find(|row| row["id"].as_str() == Some(id));
            let words = row.and_then(|row| row["capabilities"].as_array());
            if !words.is_some_and(|words| words.iter().any(|have| have.as_str() == Some(word))) {
                let detail = format!("{id} in {list} takes no user data: it has not `{word}`");
                return Err(ProviderError::Invalid { provider: PROVIDER, detail });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Linode {
    fn name(&self) -> ProviderName {
        PROVIDER
    }

    fn login_user(&self, _image: &str) -> &'static str {
        "root"
    }

    fn visibility_lag(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn bills_stopped(&self) -> bool {
        true
    }

    async fn check_credential(&self) -> Result<Identity> {
        // Works with a token that may not read the account, unlike `/account`.
        let profile: Value = self.http.send(Call::get("/profile")).await?.json()?;
        let account = profile["username"].as_str().or(profile["email"].as_str()).unwrap_or_default();
        Ok(Identity { account: account.to_owned(), ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let regions = self.all("/regions", None).await?;
        let types = self.all("/linode/types", None).await?;
        let availability = self.all("/regions/availability", None).await?;
        Ok(catalogue::catalogue(&regions, &types, &availability))
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        self.all("/linode/instances", None).await?.into_iter().map(instance).collect()
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        let call = match found(path(reference, ""))? {
            Some(path) => Call::get(path),
            None => return Ok(None),
        };
        match found(self.http.send(call).await)? {
            Some(reply) => instance(reply.json()?).map(Some),
            None => Ok(None),
        }
    }

    async fn find_marked(&self, mark: &Mark, _region: &str) -> Result<Vec<Instance>> {
        // The label is what Linode keeps unique.
        let filter = json!({"label": mark.as_str()});
        let rows = self.all("/linode/instances", Some(&filter)).await?;
        let all: Vec<Instance> = rows.into_iter().map(instance).collect::<Result<_>>()?;
        let is_marked =
            |one: &Instance| one.name == mark.as_str() || one.tags.iter().any(|tag| tag == mark.as_str());
        Ok(all.into_iter().filter(is_marked).collect())
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        if new.user_data.is_some() {
            self.takes_user_data(new).await?;
        }
        Ok(Prepared::Null)
    }

    async fn create(&self, new: &NewInstance, _prepared: &Prepared) -> Result<Created> {
        let keys: Vec<&str> = new.ssh_keys.iter().map(|key| key.trim()).collect();
        let mut body = json!({
            "type": new.plan,
            "region": new.region,
            "image": image(&new.image),
            "label": new.mark.as_str(),
            "tags": with_marks(&[new.mark.to_string()], &new.tags),
            "authorized_keys": keys,
            "booted": true,
        });
        if let Some(user_data) = &new.user_data {
            body["metadata"] = json!({"user_data": STANDARD.encode(user_data.expose_secret())});
        }
        let reply = self.http.send(Call::create("/linode/instances").json(&body)).await?;
        let raw: Value = reply.json()?;
        let instance = instance(raw).map_err(unknown_outcome)?;
        Ok(Created { instance })
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.power(reference, "/boot", InstanceState::Running).await
    }

    async fn stop(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.power(reference, "/shutdown", InstanceState::Stopped).await
    }

    async fn restart(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.http.send(Call::post(path(reference, "/reboot")?)).await?;
        Ok(())
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        let Some(path) = found(path(reference, ""))? else { return Ok(()) };
        self.http.delete_gone(Call::delete(path)).await
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let path = path(reference, "")?;
        let raw: Value = self.http.send(Call::get(&path)).await?.json()?;
        let tags = with_marks(&instance(raw)?.tags, tags);
        self.http.send(Call::put(path).json(&json!({"tags": tags}))).await?;
        Ok(())
    }
}
