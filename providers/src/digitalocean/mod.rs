//! DigitalOcean Droplets, API v2: its requests, replies, states and error codes.
//!
//! Pages are counted, because `links.pages.next` is an address that somebody else wrote. A Droplet without a
//! cloud firewall lets everything in, so there is nothing to do for open ports. Source of the shapes: the
//! vendor's OpenAPI document of 2026-08-07.

mod records;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use capsule_api::{Instance, InstanceRef, InstanceState, Leftover, ProviderName};
use reqwest::{StatusCode, header::AUTHORIZATION};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    CallSettings, Catalogue, Created, Credential, Entry, Identity, Mark, NewInstance, Prepared, PreparedFor,
    Provider, ProviderError, Region, Result, api_key,
    http::{Call, Http, MOST_PAGES, Vendor, bearer, quota, shortened},
    record::{distinct, is_same_key, key_name, with_marks},
    values::acted,
};
use records::{Account, Key, Page, RegionRecord, Size, instance, offer};

const NAME: ProviderName = ProviderName::DigitalOcean;
/// The most the vendor gives.
const PAGE: usize = 200;

pub(crate) const ENTRY: Entry = Entry { fields: &[api_key("DIGITALOCEAN_API_KEY")], ended: None, connect };

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let vendor = Vendor {
        provider: NAME,
        base: "https://api.digitalocean.com/v2",
        auth: (AUTHORIZATION, bearer(credential)),
        // 250 a minute for each token: 60 at once and 180 in the minute.
        calls: quota(60, Duration::from_millis(333)),
        creations: None,
        classify,
    };
    Ok(Arc::new(DigitalOcean { http: Http::new(vendor, settings)? }))
}

/// 422 is the status of most refusals; only the message tells them apart.
fn classify(status: StatusCode, body: &Value) -> Option<ProviderError> {
    let message = body["message"].as_str()?;
    let detail = shortened(&format!("{}: {message}", body["id"].as_str().unwrap_or("error")).into());
    let message = message.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    match status {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::FORBIDDEN if has(&["exceed", "limit"]) => {
            Some(ProviderError::Quota { provider: NAME, detail })
        }
        StatusCode::UNPROCESSABLE_ENTITY
            if has(&[
                "not available in",
                "unavailable",
                "sold out",
                "out of capacity",
                "region is disabled",
            ]) =>
        {
            Some(ProviderError::OutOfStock { provider: NAME, detail })
        }
        StatusCode::UNPROCESSABLE_ENTITY if has(&["pending event", "locked"]) => {
            Some(ProviderError::Conflict { provider: NAME, detail })
        }
        _ => None,
    }
}

/// A query parameter and its value.
type Filter<'a> = Option<(&'static str, &'a str)>;

#[derive(Debug)]
struct DigitalOcean {
    http: Http,
}

impl DigitalOcean {
    /// Every record under `key`, page by page.
    async fn list<T: DeserializeOwned>(&self, path: &str, key: &str, filter: Filter<'_>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut call = Call::get(path).query("per_page", PAGE).query("page", page);
            if let Some((name, value)) = filter {
                call = call.query(name, value);
            }
            let reply = self.http.send(call).await?;
            let records: Vec<T> = reply.field(key, serde_json::from_value)?;
            let (seen, more) = (records.len(), reply.json::<Page>()?);
            all.extend(records);
            if seen == 0 || more.meta.total <= all.len() {
                return Ok(all);
            }
        }
        Err(self.http.endless(path))
    }

    /// The Droplets that `filter` leaves, and all with GPUs, which are in no list but their own.
    async fn droplets(&self, filter: Filter<'_>) -> Result<Vec<Instance>> {
        let mut records: Vec<Value> = self.list("/droplets", "droplets", filter).await?;
        records.extend(self.list("/droplets", "droplets", Some(("type", "gpus"))).await?);
        let instances = records.into_iter().map(|record| instance(record).map_err(unreadable));
        instances.collect::<Result<_>>().map(distinct)
    }

    async fn key_id(&self, key: &str) -> Result<Option<u64>> {
        let known: Vec<Key> = self.list("/account/keys", "ssh_keys", None).await?;
        Ok(known.into_iter().find(|one| is_same_key(&one.public_key, key)).map(|one| one.id))
    }

    async fn uploaded_key(&self, key: &str) -> Result<u64> {
        if let Some(id) = self.key_id(key).await? {
            return Ok(id);
        }
        let call = Call::post("/account/keys").json(&json!({"name": key_name(key), "public_key": key}));
        match self.http.send(call).await {
            Ok(reply) => reply.field("ssh_key", serde_json::from_value::<Key>).map(|key| key.id),
            // Somebody (a repeat of this call, perhaps) was faster: the key is in use on the account.
            Err(error @ ProviderError::Invalid { .. }) => self.key_id(key).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Sends a power action.
    async fn act(&self, reference: &InstanceRef, action: &str, wanted: Option<InstanceState>) -> Result<()> {
        let path = format!("{}/actions", path(reference)?);
        let sent = self.http.send(Call::post(path).json(&json!({"type": action}))).await;
        acted(self, reference, sent, wanted).await
    }
}

#[async_trait]
impl Provider for DigitalOcean {
    fn name(&self) -> ProviderName {
        NAME
    }

    fn login_user(&self, _image: &str) -> &'static str {
        "root"
    }

    fn visibility_lag(&self) -> Duration {
        // Tags are set after the creation was answered.
        Duration::from_secs(60)
    }

    fn bills_stopped(&self) -> bool {
        true
    }

    async fn check_credential(&self) -> Result<Identity> {
        let account: Account =
            self.http.send(Call::get("/account")).await?.field("account", serde_json::from_value)?;
        if account.status == "locked" {
            let detail = format!("the account is locked: {}", account.status_message);
            return Err(ProviderError::Unauthorized { provider: NAME, detail });
        }
        let team = account.team.map(|team| team.name).filter(|name| !name.is_empty());
        Ok(Identity { account: team.unwrap_or(account.email), ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let regions: Vec<RegionRecord> = self.list("/regions", "regions", None).await?;
        let sizes: Vec<Size> = self.list("/sizes", "sizes", None).await?;
        let offers = sizes.iter().flat_map(|size| {
            size.regions.iter().filter_map(|region| offer(size, region, &regions)).collect::<Vec<_>>()
        });
        Ok(Catalogue {
            offers: offers.collect(),
            regions: regions
                .iter()
                .map(|one| Region { name: one.slug.clone(), title: one.name.clone() })
                .collect(),
        })
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        self.droplets(None).await
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        match self.http.send(Call::get(path(reference)?)).await {
            Ok(reply) => reply.field("droplet", instance).map(Some),
            Err(ProviderError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find_marked(&self, mark: &Mark, _region: &str) -> Result<Vec<Instance>> {
        let mut found = self.droplets(Some(("tag_name", mark.as_str()))).await?;
        // The list of GPUs cannot be filtered; and were the filter ever ignored, all would look like ours.
        found.retain(|instance| instance.tags.iter().any(|tag| tag == mark.as_str()));
        Ok(found)
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        let mut ids = Vec::new();
        for key in &new.ssh_keys {
            ids.push(self.uploaded_key(key).await?);
        }
        Ok(json!({"ssh_keys": ids}))
    }

    fn prepared_for(&self) -> PreparedFor {
        PreparedFor::Account
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        let mut tags = vec![new.mark.to_string()];
        tags.extend(new.tags.iter().map(|text| tag(text)));
        let mut body = json!({
            "name": new.name,
            "region": new.region,
            "size": new.plan,
            "image": image(&new.image),
            "ssh_keys": prepared["ssh_keys"],
            "tags": tags,
        });
        if let Some(user_data) = &new.user_data {
            body["user_data"] = user_data.expose_secret().into();
        }
        let reply = self.http.send(Call::create("/droplets").json(&body)).await?;
        reply.field("droplet", instance).map(|instance| Created { instance })
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.act(reference, "power_on", Some(InstanceState::Running)).await
    }

    async fn stop(&self, reference: &InstanceRef, force: bool) -> Result<()> {
        let action = if force { "power_off" } else { "shutdown" };
        self.act(reference, action, Some(InstanceState::Stopped)).await
    }

    async fn restart(&self, reference: &InstanceRef, force: bool) -> Result<()> {
        self.act(reference, if force { "power_cycle" } else { "reboot" }, None).await
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        self.http.delete_gone(Call::delete(path(reference)?)).await
    }

    async fn leftovers(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        let Some(instance) = self.instance(reference).await? else { return Ok(Vec::new()) };
        let volumes = instance.metadata["volume_ids"].as_array().cloned().unwrap_or_default();
        let volume = |id: &Value| {
            let id = id.as_str()?.to_owned();
            Some(Leftover {
                kind: "volume".to_owned(),
                label: id.clone(),
                id,
                place: String::new(),
                price: None,
            })
        };
        Ok(volumes.iter().filter_map(volume).collect())
    }

    async fn delete_leftover(&self, leftover: &Leftover) -> Result<()> {
        let id: uuid::Uuid = leftover.id.parse().map_err(|_| ProviderError::Invalid {
            provider: NAME,
            detail: format!("`{}` is no volume's id", leftover.id),
        })?;
        self.http.delete_gone(Call::delete(format!("/volumes/{id}"))).await
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let Some(instance) = self.instance(reference).await? else {
            return Err(ProviderError::NotFound {
                provider: NAME,
                what: format!("droplet {}", reference.id),
            });
        };
        let tags: Vec<String> = tags.iter().map(|text| tag(text)).collect();
        let wanted = with_marks(&instance.tags, &tags);
        let resources = json!({"resources": [{"resource_id": reference.id, "resource_type": "droplet"}]});
        for name in wanted.iter().filter(|name| !instance.tags.contains(name)) {
            match self.http.send(Call::post("/tags").json(&json!({"name": name}))).await {
                // It may be there already.
                Ok(_) | Err(ProviderError::Invalid { .. }) => {}
                Err(error) => return Err(error),
            }
            self.http.send(Call::post(format!("/tags/{name}/resources")).json(&resources)).await?;
        }
        for name in instance.tags.iter().filter(|name| !wanted.contains(name)) {
            self.http.delete_gone(Call::delete(format!("/tags/{name}/resources")).json(&resources)).await?;
        }
        Ok(())
    }
}

/// A Droplet's path; an id that is no number would lead elsewhere.
fn path(reference: &InstanceRef) -> Result<String> {
    let id: u64 = reference.id.parse().map_err(|_| ProviderError::Invalid {
        provider: NAME,
        detail: format!("`{}` is no Droplet's id", reference.id),
    })?;
    Ok(format!("/droplets/{id}"))
}

/// What the vendor allows in a tag.
fn tag(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
    text.chars().map(|c| if allowed(c) { c } else { '-' }).take(255).collect()
}

fn image(name: &str) -> Value {
    match name {
        "ubuntu-24.04" => "ubuntu-24-04-x64".into(),
        "ubuntu-22.04" => "ubuntu-22-04-x64".into(),
        "debian-12" => "debian-12-x64".into(),
        "debian-13" => "debian-13-x64".into(),
        own => own.parse::<u64>().map_or_else(|_| own.into(), Value::from),
    }
}

fn unreadable(error: serde_json::Error) -> ProviderError {
    ProviderError::Unreadable { provider: NAME, detail: error.to_string() }
}

#[cfg(test)]
mod tests;
