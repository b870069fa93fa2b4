//! Vultr, virtual machines and bare metal, API v2: its requests, replies, states and error codes.
//!
//! Bare metal is a tree of its own with the same verbs; [`METAL`] as the place of an id says which tree it
//! belongs to. There is no gentle stop: `halt` pulls the plug. A server without a firewall group lets
//! everything in, so there is nothing to do for open ports. A missing thing can be a 400. Source of the shapes:
//! the vendor's OpenAPI document of 2023-12-07 with the fields of its clients of 2026.

mod records;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use capsule_api::{Instance, InstanceRef, InstanceState, ProviderName};
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
use records::{Account, Key, Os, Page, Plan, RegionRecord, instance, offers};

const NAME: ProviderName = ProviderName::Vultr;
/// The most the vendor gives.
const PAGE: usize = 500;
/// The place of a bare metal server's id; a virtual machine's is empty.
const METAL: &str = "bare-metal";

pub(crate) const ENTRY: Entry = Entry { fields: &[api_key("VULTR_API_KEY")], ended: None, connect };

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let vendor = Vendor {
        provider: NAME,
        base: "https://api.vultr.com/v2",
        auth: (AUTHORIZATION, bearer(credential)),
        // Of 30 a second for each client address, which other accounts share.
        calls: quota(10, Duration::from_millis(100)),
        creations: None,
        classify,
    };
    Ok(Arc::new(Vultr { http: Http::new(vendor, settings)? }))
}

/// The body is `{error, status}`; only the message tells refusals apart.
fn classify(status: StatusCode, body: &Value) -> Option<ProviderError> {
    let detail = shortened(&body["error"].as_str()?.into());
    let message = detail.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if !status.is_client_error() || matches!(status.as_u16(), 401 | 404) {
        return None;
    }
    if has(&["not available in", "currently unavailable", "sold out", "out of stock", "no availability"]) {
        return Some(ProviderError::OutOfStock { provider: NAME, detail });
    }
    if has(&["limit", "exceed", "quota"]) {
        return Some(ProviderError::Quota { provider: NAME, detail });
    }
    if has(&["locked", "still installing", "currently being", "is pending"]) {
        return Some(ProviderError::Conflict { provider: NAME, detail });
    }
    None
}

/// One of the two trees of servers.
struct Tree {
    path: &'static str,
    many: &'static str,
    one: &'static str,
    place: &'static str,
}

const VIRTUAL: Tree = Tree { path: "/instances", many: "instances", one: "instance", place: "" };
const BARE: Tree = Tree { path: "/bare-metals", many: "bare_metals", one: "bare_metal", place: METAL };

fn tree(place: &str) -> &'static Tree {
    if place == METAL { &BARE } else { &VIRTUAL }
}

#[derive(Debug)]
struct Vultr {
    http: Http,
}

impl Vultr {
    /// Every record under `key`, page by page.
    async fn list<T: DeserializeOwned>(&self, path: &str, key: &str) -> Result<Vec<T>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let mut call = Call::get(path).query("per_page", PAGE);
            if !cursor.is_empty() {
                call = call.query("cursor", &cursor);
            }
            let reply = self.http.send(call).await?;
            all.extend(reply.field(key, serde_json::from_value::<Vec<T>>)?);
            let next = reply.json::<Page>()?.meta.links.next;
            if next.is_empty() {
                return Ok(all);
            }
            if next == cursor {
                break;
            }
            cursor = next;
        }
        Err(self.http.endless(path))
    }

    async fn servers(&self, tree: &Tree) -> Result<Vec<Instance>> {
        let records: Vec<Value> = self.list(tree.path, tree.many).await?;
        let read = |record| {
            instance(record, tree.place)
                .map_err(|error| ProviderError::Unreadable { provider: NAME, detail: error.to_string() })
        };
        records.into_iter().map(read).collect::<Result<_>>().map(distinct)
    }

    async fn key_id(&self, key: &str) -> Result<Option<String>> {
        let known: Vec<Key> = self.list("/ssh-keys", "ssh_keys").await?;
        Ok(known.into_iter().find(|one| is_same_key(&one.ssh_key, key)).map(|one| one.id))
    }

    async fn uploaded_key(&self, key: &str) -> Result<String> {
        if let Some(id) = self.key_id(key).await? {
            return Ok(id);
        }
        let call = Call::post("/ssh-keys").json(&json!({"name": key_name(key), "ssh_key": key}));
        let reply = self.http.send(call).await?;
        reply.field("ssh_key", serde_json::from_value::<Key>).map(|key| key.id)
    }

    /// The system's number. Those of long standing are known here too, should the list lack them.
    async fn os_id(&self, image: &str) -> Result<u64> {
        if let Ok(id) = image.parse() {
            return Ok(id);
        }
        let (title, known) = match image {
            "ubuntu-24.04" => ("Ubuntu 24.04", Some(2284)),
            "ubuntu-22.04" => ("Ubuntu 22.04", Some(1743)),
            "debian-12" => ("Debian 12", Some(2136)),
            "debian-13" => ("Debian 13", None),
            own => (own, None),
        };
        let all: Vec<Os> = self.list("/os", "os").await?;
        let is_it = |os: &&Os| os.arch == "x64" && os.name.to_lowercase().starts_with(&title.to_lowercase());
        all.iter().find(is_it).map(|os| os.id).or(known).ok_or_else(|| ProviderError::Invalid {
            provider: NAME,
            detail: format!("it has no image `{image}`"),
        })
    }

    /// Sends a power action.
    async fn act(&self, reference: &InstanceRef, verb: &str, wanted: Option<InstanceState>) -> Result<()> {
        let path = format!("{}/{verb}", path(reference)?);
        let sent = self.http.send(Call::post(path)).await;
        acted(self, reference, sent, wanted).await
    }
}

#[async_trait]
impl Provider for Vultr {
    fn name(&self) -> ProviderName {
        NAME
    }

    fn login_user(&self, _image: &str) -> &'static str {
        "root"
    }

    fn visibility_lag(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn bills_stopped(&self) -> bool {
        true
    }

    async fn check_credential(&self) -> Result<Identity> {
        let account: Account =
            self.http.send(Call::get("/account")).await?.field("account", serde_json::from_value)?;
        let name = if account.name.is_empty() { account.email } else { account.name };
        Ok(Identity { account: name, ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let regions: Vec<RegionRecord> = self.list("/regions", "regions").await?;
        let plans: Vec<Plan> = self.list("/plans", "plans").await?;
        let metal: Vec<Plan> = self.list("/plans-metal", "plans_metal").await?;
        let machines = plans.iter().flat_map(|plan| offers(plan, false));
        let region = |one: &RegionRecord| Region {
            name: one.id.clone(),
            title: [one.city.as_str(), one.country.as_str()].join(", "),
        };
        Ok(Catalogue {
            offers: machines.chain(metal.iter().flat_map(|plan| offers(plan, true))).collect(),
            regions: regions.iter().map(region).collect(),
        })
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        let mut all = self.servers(&VIRTUAL).await?;
        all.extend(self.servers(&BARE).await?);
        Ok(all)
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        let tree = tree(&reference.place);
        match self.http.send(Call::get(path(reference)?)).await {
            Ok(reply) => reply.field(tree.one, |record| instance(record, tree.place)).map(Some),
            Err(ProviderError::NotFound { .. }) => Ok(None),
            // A missing server can be a 400; only the list says for certain.
            Err(ProviderError::Invalid { .. }) => {
                Ok(self.servers(tree).await?.into_iter().find(|one| one.id == reference.id))
            }
            Err(error) => Err(error),
        }
    }

    async fn find_marked(&self, mark: &Mark, _region: &str) -> Result<Vec<Instance>> {
        // Bare metal has no filter, and the other tree's filter by tag is for the field that `tags` replaced.
        let mut found = self.instances().await?;
        found.retain(|instance| instance.tags.iter().any(|tag| tag == mark.as_str()));
        Ok(found)
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        let mut ids = Vec::new();
        for key in &new.ssh_keys {
            ids.push(self.uploaded_key(key).await?);
        }
        Ok(json!({"sshkey_id": ids, "os_id": self.os_id(&new.image).await?}))
    }

    fn prepared_for(&self) -> PreparedFor {
        PreparedFor::Account
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        let tree = if new.bare_metal { &BARE } else { &VIRTUAL };
        let mut tags = vec![new.mark.to_string()];
        tags.extend(new.tags.iter().cloned());
        let mut body = json!({
            "region": new.region,
            "plan": new.plan,
            "os_id": prepared["os_id"],
            "sshkey_id": prepared["sshkey_id"],
            "label": new.name,
            "hostname": new.name,
            "tags": tags,
            "activation_email": false,
            // These plans have no other address.
            "enable_ipv6": new.plan.ends_with("-v6"),
        });
        if !new.bare_metal {
            body["backups"] = "disabled".into();
        }
        if let Some(user_data) = &new.user_data {
            body["user_data"] = STANDARD.encode(user_data.expose_secret()).into();
        }
        let reply = self.http.send(Call::create(tree.path).json(&body)).await?;
        let instance = reply.field(tree.one, |record| instance(record, tree.place))?;
        Ok(Created { instance })
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.act(reference, "start", Some(InstanceState::Running)).await
    }

    async fn stop(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.act(reference, "halt", Some(InstanceState::Stopped)).await
    }

    async fn restart(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.act(reference, "reboot", None).await
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        match self.http.delete_gone(Call::delete(path(reference)?)).await {
            // Either it is gone, or it is still being installed.
            Err(ProviderError::Invalid { detail, .. }) => match self.instance(reference).await? {
                None => Ok(()),
                Some(_) => Err(ProviderError::Conflict { provider: NAME, detail }),
            },
            outcome => outcome,
        }
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let Some(instance) = self.instance(reference).await? else {
            return Err(ProviderError::NotFound { provider: NAME, what: format!("server {}", reference.id) });
        };
        let tags = with_marks(&instance.tags, tags);
        self.http.send(Call::patch(path(reference)?).json(&json!({"tags": tags}))).await.map(drop)
    }
}

/// A server's path; an id that is no UUID would lead elsewhere.
fn path(reference: &InstanceRef) -> Result<String> {
    let id: uuid::Uuid = reference.id.parse().map_err(|_| ProviderError::Invalid {
        provider: NAME,
        detail: format!("`{}` is no server's id", reference.id),
    })?;
    Ok(format!("{}/{id}", tree(&reference.place).path))
}

#[cfg(test)]
mod tests;
