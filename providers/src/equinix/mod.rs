//! Equinix Metal: requests, replies and states of a service that ended on 2026-06-30.
//!
//! The client stays whole, for what was written for it and for whoever serves the same API; where nothing
//! answers at all, that is [`ProviderError::Ended`] and not a fault that may pass. Devices belong to a project
//! and a metro. A creation that names no key would let in every key of the project and of its members, so the
//! intent's keys are added to the project first and only they are named.

mod catalogue;
mod record;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use capsule_api::{Instance, InstanceRef, InstanceState, ProviderName};
use reqwest::header::HeaderName;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    CallSettings, Catalogue, Created, Credential, Entry, Field, Identity, Mark, NewInstance, Prepared,
    Provider, ProviderError, Result, api_key,
    http::{Call, Http, MOST_PAGES, Reply, Vendor, quota},
    record::{is_same_key, key_name, with_marks},
    values::{found, segment, unknown_outcome},
};
use record::{classify, instance, operating_system};

const ENDED: &str = "2026-06-30";

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
    ended: Some(ENDED),
    connect,
};

const PROVIDER: ProviderName = ProviderName::Equinix;
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let field = |name: &str| {
        let value = credential.fields.get(name).map(|value| value.expose_secret().trim().to_owned());
        value.unwrap_or_default()
    };
    let project = field("project_id");
    if segment(PROVIDER, &project).is_err() {
        let detail = format!("`{}` is no project id", project.escape_debug());
        return Err(ProviderError::Invalid { provider: PROVIDER, detail });
    }
    let vendor = Vendor {
        provider: PROVIDER,
        base: "https://api.equinix.com/metal/v1",
        auth: (X_AUTH_TOKEN, field("api_key").into()),
        // Not documented.
        calls: quota(5, Duration::from_millis(200)),
        creations: None,
        classify,
    };
    Ok(Arc::new(Equinix { http: Http::new(vendor, settings)?, project }))
}

/// One project.
#[derive(Debug)]
struct Equinix {
    http: Http,
    project: String,
}

/// Where no connection comes about there is no service any more; one that answers late or with a fault is alive.
fn ended(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Unavailable { detail, .. } if detail.contains("(Connect)") => {
            ProviderError::Ended { provider: PROVIDER, date: ENDED }
        }
        other => other,
    }
}

fn device_path(reference: &InstanceRef, rest: &str) -> Result<String> {
    Ok(format!("/devices/{}{rest}", segment(PROVIDER, &reference.id)?))
}

impl Equinix {
    async fn send(&self, call: Call) -> Result<Reply> {
        self.http.send(call).await.map_err(ended)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.send(Call::get(path)).await?.json()
    }

    fn project_path(&self, rest: &str) -> String {
        format!("/projects/{}{rest}", self.project)
    }

    /// All pages of the project's devices, with a tag or without.
    async fn devices(&self, tag: Option<&Mark>) -> Result<Vec<Instance>> {
        let mut all = Vec::new();
        for number in 1..=MOST_PAGES {
            let mut call =
                Call::get(self.project_path("/devices")).query("page", number).query("per_page", 250);
            if let Some(tag) = tag {
                call = call.query("tag", tag);
            }
            let mut page: Value = self.send(call).await?.json()?;
            let last = page["meta"]["last_page"].as_u64().unwrap_or(1);
            if let Value::Array(rows) = page["devices"].take() {
                for row in rows {
                    all.push(instance(row)?);
                }
            }
            if last <= u64::from(number) {
                return Ok(all);
            }
        }
        let detail = format!("the list of devices has more than {MOST_PAGES} pages");
        Err(ProviderError::Unreadable { provider: PROVIDER, detail })
    }

    /// The ids of the keys in the project, added where they are missing.
    async fn keys(&self, keys: &[String]) -> Result<Vec<String>> {
        let path = self.project_path("/ssh-keys");
        let known = self.get(&path).await?;
        let mut ids = Vec::new();
        for key in keys {
            let mut rows = known["ssh_keys"].as_array().into_iter().flatten();
            let same = rows.find(|row| row["key"].as_str().is_some_and(|text| is_same_key(text, key)));
            let id = match same.and_then(|row| row["id"].as_str()) {
                Some(id) => id.to_owned(),
                None => self.add_key(&path, key).await?,
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    async fn add_key(&self, path: &str, key: &str) -> Result<String> {
        let body = json!({"label": key_name(key), "key": key.trim()});
        let made: Value = self.send(Call::post(path).json(&body)).await?.json()?;
        made["id"].as_str().map(str::to_owned).ok_or_else(|| {
            let detail = "an added key has no `id`".to_owned();
            ProviderError::Unreadable { provider: PROVIDER, detail }
        })
    }

    /// Asks for a change of power; a refusal of what is so already is none.
    async fn act(&self, reference: &InstanceRef, action: &str, wanted: Option<InstanceState>) -> Result<()> {
        let call = Call::post(device_path(reference, "/actions")?).json(&json!({"type": action}));
        let refused = match self.send(call).await {
            Ok(_) => return Ok(()),
            Err(error @ (ProviderError::Invalid { .. } | ProviderError::Conflict { .. })) => error,
            Err(error) => return Err(error),
        };
        let state = self.instance(reference).await?.map(|instance| instance.status);
        if wanted.is_some() && state == wanted { Ok(()) } else { Err(refused) }
    }
}

#[async_trait]
impl Provider for Equinix {
    fn name(&self) -> ProviderName {
        PROVIDER
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
        let account = match self.get("/user").await {
            Ok(user) => user["email"].as_str().or(user["full_name"].as_str()).unwrap_or_default().to_owned(),
            // A project's key has no user.
            Err(ProviderError::Unauthorized { .. } | ProviderError::NotFound { .. }) => {
                let projects = self.get("/projects").await?;
                projects["projects"][0]["name"].as_str().unwrap_or_default().to_owned()
            }
            Err(error) => return Err(error),
        };
        let account = if account.is_empty() { self.project.clone() } else { account };
        Ok(Identity { account, ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let plans = self.send(Call::get(self.project_path("/plans"))).await?;
        let metros = self.send(Call::get("/locations/metros")).await?;
        let capacity = self.get("/capacity/metros").await?;
        Ok(catalogue::catalogue(plans.json()?, metros.json()?, &capacity["capacity"]))
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        self.devices(None).await
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        let Some(path) = found(device_path(reference, ""))? else { return Ok(None) };
        found(self.get(&path).await)?.map(instance).transpose()
    }

    async fn find_marked(&self, mark: &Mark, _region: &str) -> Result<Vec<Instance>> {
        let devices = self.devices(Some(mark)).await?;
        Ok(devices.into_iter().filter(|one| one.tags.iter().any(|tag| tag == mark.as_str())).collect())
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        Ok(json!({"ssh_key_ids": self.keys(&new.ssh_keys).await?}))
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        let keys = prepared["ssh_key_ids"].as_array().cloned().unwrap_or_default();
        let mut body = json!({
            "metro": new.region,
            "plan": new.plan,
            "operating_system": operating_system(&new.image),
            "hostname": new.name,
            "billing_cycle": "hourly",
            "tags": with_marks(&[new.mark.to_string()], &new.tags),
        });
        match keys.is_empty() {
            true => body["no_ssh_keys"] = true.into(),
            false => body["project_ssh_keys"] = keys.into(),
        }
        if let Some(user_data) = &new.user_data {
            body["userdata"] = user_data.expose_secret().into();
        }
        let call = Call::create(self.project_path("/devices")).json(&body);
        let raw: Value = self.send(call).await?.json()?;
        let instance = instance(raw).map_err(unknown_outcome)?;
        Ok(Created { instance })
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.act(reference, "power_on", Some(InstanceState::Running)).await
    }

    async fn stop(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.act(reference, "power_off", Some(InstanceState::Stopped)).await
    }

    async fn restart(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.act(reference, "reboot", None).await
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        let Some(path) = found(device_path(reference, ""))? else { return Ok(()) };
        self.http.delete_gone(Call::delete(path)).await.map_err(ended)
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let path = device_path(reference, "")?;
        let present = instance(self.get(&path).await?)?.tags;
        self.send(Call::put(path).json(&json!({"tags": with_marks(&present, tags)}))).await?;
        Ok(())
    }
}
