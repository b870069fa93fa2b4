//! Hivelocity: requests, replies, states and orders of its bare metal and virtual machines.
//!
//! A machine has two records: the *deployment* (host name, product, location, tags), on one path for bare metal
//! and on another for virtual machines ([`InstanceRef::place`] is `compute` there), and the *device* (power and
//! what the provisioning is at). Between the creation and the first record there may be an order only; such
//! an instance has the id `order-N`, which every call here resolves as soon as there is a device.
//!
//! The host name must be fully qualified. It is `NAME.MARK.internal`, so that the order, which knows no tags,
//! shows the mark too; [`Instance::name`] is `NAME` again. There is no fixed name for a size: a plan is a
//! product's number. Only machines billed by the hour are offered.

mod catalogue;
mod record;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use capsule_api::{Instance, InstanceRef, ProviderName};
use reqwest::header::HeaderName;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    CallSettings, Catalogue, Created, Credential, Entry, Identity, Mark, NewInstance, Prepared, PreparedFor,
    Provider, ProviderError, Result, api_key,
    http::{Call, Http, Vendor, quota},
    record::{is_same_key, key_name, with_marks},
    values::{found, segment, unknown_outcome},
};
use record::{Kind, Order, classify, host_name, instance, is_marked, order_number, ordered, os_name};

pub(crate) const ENTRY: Entry = Entry { fields: &[api_key("HIVELOCITY_API_KEY")], ended: None, connect };

const PROVIDER: ProviderName = ProviderName::Hivelocity;
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let key = credential.fields.get("api_key").map(|key| key.expose_secret().trim().to_owned());
    let vendor = Vendor {
        provider: PROVIDER,
        base: "https://core.hivelocity.net/api/v2",
        auth: (X_API_KEY, key.unwrap_or_default().into()),
        // Not documented, but there is a limit.
        calls: quota(4, Duration::from_millis(250)),
        creations: None,
        classify,
    };
    Ok(Arc::new(Hivelocity { http: Http::new(vendor, settings)? }))
}

/// One account.
#[derive(Debug)]
struct Hivelocity {
    http: Http,
}

/// Where a reference leads to now.
enum Target {
    /// A device, or what was one.
    Device(Kind, u64),
    /// An order without a device so far.
    Ordered(Order),
    Gone,
}

fn invalid(detail: String) -> ProviderError {
    ProviderError::Invalid { provider: PROVIDER, detail }
}

fn device_id(raw: &Value) -> Option<u64> {
    raw["deviceId"].as_u64().filter(|id| 0 < *id)
}

impl Hivelocity {
    async fn get(&self, path: &str) -> Result<Value> {
        self.http.send(Call::get(path)).await?.json()
    }

    async fn list(&self, path: &str) -> Result<Vec<Value>> {
        self.http.send(Call::get(path)).await?.json()
    }

    /// The deployments of both kinds.
    async fn deployments(&self) -> Result<Vec<(Kind, Value)>> {
        let mut all: Vec<(Kind, Value)> = Vec::new();
        for kind in [Kind::Metal, Kind::Compute] {
            for raw in self.list(kind.path()).await? {
                let is_new =
                    device_id(&raw).is_none() || all.iter().all(|(_, one)| device_id(one) != device_id(&raw));
                if is_new {
                    all.push((kind, raw));
                }
            }
        }
        Ok(all)
    }

    async fn orders(&self) -> Result<Vec<Order>> {
        self.http.send(Call::get("/order/")).await?.json()
    }

    async fn resolve(&self, reference: &InstanceRef) -> Result<Target> {
        let kind = Kind::of(&reference.place);
        let Some(number) = order_number(&reference.id) else {
            return Ok(reference.id.parse().map_or(Target::Gone, |id| Target::Device(kind, id)));
        };
        for (kind, raw) in self.deployments().await? {
            if let (Some(id), true) = (device_id(&raw), raw["orderId"].as_u64() == Some(number)) {
                return Ok(Target::Device(kind, id));
            }
        }
        let Some(reply) = found(self.http.send(Call::get(format!("/order/{number}"))).await)? else {
            return Ok(Target::Gone);
        };
        let order: Order = reply.json()?;
        Ok(if order.is_open() { Target::Ordered(order) } else { Target::Gone })
    }

    /// The device that a reference leads to.
    async fn device(&self, reference: &InstanceRef) -> Result<(Kind, u64)> {
        let provider = PROVIDER;
        match self.resolve(reference).await? {
            Target::Device(kind, id) => Ok((kind, id)),
            Target::Ordered(order) => {
                let detail = format!("order {} is still at `{}`", order.id, order.status);
                Err(ProviderError::Conflict { provider, detail })
            }
            Target::Gone => Err(ProviderError::NotFound { provider, what: format!("device {reference}") }),
        }
    }

    async fn power(&self, reference: &InstanceRef, action: &str, wanted: Option<&str>) -> Result<()> {
        let (_, id) = self.device(reference).await?;
        let path = format!("/device/{id}/power");
        let refused = match self.http.send(Call::post(&path).query("action", action)).await {
            Ok(_) => return Ok(()),
            Err(error @ (ProviderError::Invalid { .. } | ProviderError::Conflict { .. })) => error,
            Err(error) => return Err(error),
        };
        // "Can't do this while server is powered off." is no refusal of switching it off.
        let power = self.get(&path).await?;
        match wanted.is_some() && power["powerStatus"].as_str() == wanted {
            true => Ok(()),
            false => Err(refused),
        }
    }

    /// The number of the first key, uploaded where it is missing.
    async fn key(&self, key: &str) -> Result<u64> {
        for known in self.list("/ssh_key/").await? {
            if let (Some(text), Some(id)) = (known["publicKey"].as_str(), known["sshKeyId"].as_u64())
                && is_same_key(text, key)
            {
                return Ok(id);
            }
        }
        let body = json!({"name": key_name(key), "publicKey": key.trim()});
        let made: Value = self.http.send(Call::post("/ssh_key/").json(&body)).await?.json()?;
        let unreadable = || "an uploaded key has no `sshKeyId`".to_owned();
        made["sshKeyId"]
            .as_u64()
            .ok_or_else(|| ProviderError::Unreadable { provider: PROVIDER, detail: unreadable() })
    }
}

#[async_trait]
impl Provider for Hivelocity {
    fn name(&self) -> ProviderName {
        PROVIDER
    }

    fn login_user(&self, _image: &str) -> &'static str {
        "root"
    }

    /// An order may be looked at by people before it shows anywhere.
    fn visibility_lag(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn bills_stopped(&self) -> bool {
        true
    }

    async fn check_credential(&self) -> Result<Identity> {
        let profile = self.get("/profile/basic").await?;
        let names = ["login", "email", "fullName", "company"];
        let named = names.iter().find_map(|name| profile[*name].as_str().filter(|text| !text.is_empty()));
        let account = match named {
            Some(name) => name.to_owned(),
            None => profile["id"].as_u64().map(|id| id.to_string()).unwrap_or_default(),
        };
        Ok(Identity { account, ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let products = self.http.send(Call::get("/inventory/product")).await?.json()?;
        let locations = self.http.send(Call::get("/inventory/locations")).await?.json()?;
        Ok(catalogue::catalogue(products, locations))
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        let devices = self.list("/device/").await?;
        let mut devices: BTreeMap<u64, Value> =
            devices.into_iter().filter_map(|raw| device_id(&raw).map(|id| (id, raw))).collect();
        let mut all = Vec::new();
        for (kind, raw) in self.deployments().await? {
            let device = device_id(&raw).and_then(|id| devices.remove(&id));
            all.push(instance(kind, Some(raw), device)?);
        }
        // Machines that were bought in another way.
        for device in devices.into_values() {
            all.push(instance(Kind::Metal, None, Some(device))?);
        }
        Ok(all)
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        let (kind, id) = match self.resolve(reference).await? {
            Target::Device(kind, id) => (kind, id),
            Target::Ordered(order) => return Ok(Some(ordered(&order, ""))),
            Target::Gone => return Ok(None),
        };
        let deployment = found(self.get(&format!("{}{id}", kind.path())).await)?;
        let device = found(self.get(&format!("/device/{id}")).await)?;
        if deployment.is_none() && device.is_none() {
            return Ok(None);
        }
        instance(kind, deployment, device).map(Some)
    }

    async fn find_marked(&self, mark: &Mark, region: &str) -> Result<Vec<Instance>> {
        let mut marked = Vec::new();
        let mut known = Vec::new();
        for (kind, raw) in self.deployments().await? {
            if is_marked(&raw, mark) {
                known.extend(raw["orderId"].as_u64());
                marked.push(instance(kind, Some(raw), None)?);
            }
        }
        // What has no device yet. A new order may hold the mark in any of its fields.
        for order in self.orders().await? {
            if order.is_open() && order.mentions(mark) && !known.contains(&order.id) {
                marked.push(ordered(&order, region));
            }
        }
        Ok(marked)
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        let product: u64 =
            new.plan.parse().map_err(|_| invalid(format!("`{}` is no product number", new.plan)))?;
        segment(PROVIDER, &new.region)?;
        let systems = self.list(&format!("/product/{product}/operating-systems")).await?;
        let system = os_name(&systems, &new.image)?;
        let key = match new.ssh_keys.first() {
            Some(key) => self.key(key).await?,
            None => return Err(invalid("a server without a key lets nobody in".to_owned())),
        };
        Ok(json!({"os_name": system, "ssh_key_id": key}))
    }

    fn prepared_for(&self) -> PreparedFor {
        PreparedFor::Plan
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        let kind = if new.bare_metal { Kind::Metal } else { Kind::Compute };
        let product: u64 =
            new.plan.parse().map_err(|_| invalid(format!("`{}` is no product number", new.plan)))?;
        let mut body = json!({
            "hostname": host_name(&new.name, &new.mark),
            "productId": product,
            "osName": prepared["os_name"],
            "locationName": new.region,
            "period": "hourly",
            "publicSshKeyId": prepared["ssh_key_id"],
            "tags": with_marks(&[new.mark.to_string()], &new.tags),
        });
        if let Some(user_data) = &new.user_data {
            body["script"] = user_data.expose_secret().into();
        }
        let raw: Value = self.http.send(Call::create(kind.path()).json(&body)).await?.json()?;
        let instance = instance(kind, Some(raw), None).map_err(unknown_outcome)?;
        Ok(Created { instance })
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.power(reference, "boot", Some("ON")).await
    }

    async fn stop(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.power(reference, "shutdown", Some("OFF")).await
    }

    async fn restart(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.power(reference, "reboot", None).await
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        let Some((kind, id)) = found(self.device(reference).await)? else { return Ok(()) };
        match self.http.delete_gone(Call::delete(format!("{}{id}", kind.path()))).await {
            // 409: it is being cancelled already.
            Err(ProviderError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let (_, id) = self.device(reference).await?;
        let path = format!("/device/{id}/tags");
        let present = self.get(&path).await?;
        let present = present["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let present: Vec<String> = present.map(str::to_owned).collect();
        self.http.send(Call::put(path).json(&json!({"tags": with_marks(&present, tags)}))).await?;
        Ok(())
    }
}
