//! Scaleway Instances: requests, replies, states and error types.
//!
//! Everything belongs to a zone, so [`InstanceRef::place`] is one and lists ask all zones side by side; a zone
//! that does not answer fails the call, because a server that nobody sees there would go on costing. A creation
//! answers with a server that is `stopped`: its user data is set and its power switched on by
//! [`Provider::finish`], which a crash in between leaves to be repeated.
//!
//! The keys travel as tags `AUTHORIZED_KEY=…`, which the images' cloud-init reads: that works with a
//! credential that may not write to the project's key ring, and lets the keys into this one server only.
//! These tags are not shown and survive [`Provider::set_tags`].
//!
//! Block volumes and flexible addresses outlive their server; [`Provider::leftovers`] knows them only as long
//! as the server is there.

mod calls;
mod catalogue;
mod record;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use capsule_api::{Instance, InstanceRef, Leftover, ProviderName};
use reqwest::header::HeaderName;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    CallSettings, Catalogue, Created, Credential, Entry, Field, Identity, Mark, NewInstance, Prepared,
    Provider, ProviderError, Result, api_key,
    http::{Call, Http, Vendor, quota},
    record::with_marks,
    values::{found, segment, unknown_outcome},
};
use calls::{conflict, server_path, zone_path};
use record::{KEY_TAG, Power, classify, instance};

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

const PROVIDER: ProviderName = ProviderName::Scaleway;
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// Every zone that has Instances, and the city it is in.
const ZONES: [(&str, &str); 10] = [
    ("fr-par-1", "Paris 1"),
    ("fr-par-2", "Paris 2"),
    ("fr-par-3", "Paris 3"),
    ("nl-ams-1", "Amsterdam 1"),
    ("nl-ams-2", "Amsterdam 2"),
    ("nl-ams-3", "Amsterdam 3"),
    ("pl-waw-1", "Warsaw 1"),
    ("pl-waw-2", "Warsaw 2"),
    ("pl-waw-3", "Warsaw 3"),
    ("it-mil-1", "Milan 1"),
];

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    let field = |name: &str| credential.fields.get(name).map(|value| value.expose_secret().trim().to_owned());
    let given = |name: &str| field(name).filter(|value| !value.is_empty());
    let vendor = Vendor {
        provider: PROVIDER,
        base: "https://api.scaleway.com",
        auth: (X_AUTH_TOKEN, field("api_key").unwrap_or_default().into()),
        // Not documented. A list asks all zones at once.
        calls: quota(20, Duration::from_millis(50)),
        creations: None,
        classify,
    };
    Ok(Arc::new(Scaleway {
        http: Arc::new(Http::new(vendor, settings)?),
        access_key: given("access_key"),
        project: given("project_id"),
        zone: given("zone").unwrap_or_else(|| ZONES[0].0.to_owned()),
    }))
}

/// One account.
#[derive(Debug, Clone)]
struct Scaleway {
    http: Arc<Http>,
    access_key: Option<String>,
    project: Option<String>,
    zone: String,
}

#[async_trait]
impl Provider for Scaleway {
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
        false
    }

    async fn check_credential(&self) -> Result<Identity> {
        if let Some(access_key) = &self.access_key {
            match self.project_of(access_key).await {
                Ok((project, account)) => {
                    let learned = [("project_id".to_owned(), project)].into();
                    let learned = if self.project.is_some() { Default::default() } else { learned };
                    return Ok(Identity { account, learned });
                }
                // A key that may do servers and nothing else: 403 here proves neither.
                Err(ProviderError::Unauthorized { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.http.send(Call::get(zone_path(&self.zone, "/servers")?).query("per_page", 1)).await?;
        let account = self.project.clone().or_else(|| self.access_key.clone());
        Ok(Identity { account: account.unwrap_or_else(|| self.zone.clone()), ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let offers = self.each_zone(Self::products).await?;
        let region =
            |(name, title): (&str, &str)| crate::Region { name: name.to_owned(), title: title.to_owned() };
        Ok(Catalogue { offers, regions: ZONES.into_iter().map(region).collect() })
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        self.each_zone(|account, zone| account.servers(zone, None)).await
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        let found = self.server(reference).await?;
        found.map(|(raw, _)| instance(raw, &reference.place)).transpose()
    }

    async fn find_marked(&self, mark: &Mark, _region: &str) -> Result<Vec<Instance>> {
        let mark = mark.to_string();
        let found = self.each_zone(|account, zone| account.servers(zone, Some(mark.clone()))).await?;
        Ok(found.into_iter().filter(|one| one.tags.contains(&mark)).collect())
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        if !ZONES.iter().any(|(zone, _)| *zone == new.region) {
            // Where no list looks, nothing may be made.
            let detail = format!("there is no zone {}", new.region);
            return Err(ProviderError::Invalid { provider: PROVIDER, detail });
        }
        Ok(json!({"project": self.project().await?, "image": self.image(new).await?}))
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        let mut tags = with_marks(&[new.mark.to_string()], &new.tags);
        tags.extend(new.ssh_keys.iter().map(|key| format!("{KEY_TAG}{}", key.trim().replace(' ', "_"))));
        let body = json!({
            "name": new.name,
            "commercial_type": new.plan,
            "image": prepared["image"],
            "project": prepared["project"],
            "tags": tags,
            // An address that comes with power-on and goes with the server.
            "dynamic_ip_required": true,
        });
        let call = Call::create(zone_path(&new.region, "/servers")?).json(&body);
        let mut reply: Value = self.http.send(call).await?.json()?;
        let instance = instance(reply["server"].take(), &new.region).map_err(unknown_outcome)?;
        Ok(Created { instance })
    }

    async fn finish(&self, reference: &InstanceRef, new: &NewInstance, _prepared: &Prepared) -> Result<()> {
        let record = self.existing(reference).await?;
        // Read at the first start: later it would come to nothing.
        if let (Some(user_data), Power::Stopped) = (&new.user_data, record.power()) {
            let path = server_path(reference, "/user_data/cloud-init")?;
            self.http.send(Call::patch(path).text(user_data)).await?;
        }
        self.switch_on(reference, &record).await
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        let record = self.existing(reference).await?;
        self.switch_on(reference, &record).await
    }

    /// `poweroff`, which frees the host and ends its bill; Scaleway asks the system first by itself.
    async fn stop(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        match self.existing(reference).await?.power() {
            Power::Stopped | Power::Stopping => Ok(()),
            _ => self.act_until(reference, "poweroff", &[Power::Stopped, Power::Stopping]).await,
        }
    }

    async fn restart(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.act(reference, "reboot").await
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        let Some((_, record)) = self.server(reference).await? else { return Ok(()) };
        let asked = match record.power() {
            Power::Stopped => self.http.send(Call::delete(server_path(reference, "")?)).await.map(|_| ()),
            Power::Running | Power::StoppedInPlace | Power::Unknown => self.act(reference, "terminate").await,
            Power::Starting | Power::Stopping | Power::Locked => {
                return Err(conflict(format!("the server is {}", record.state)));
            }
        };
        found(asked).map(|_| ())
    }

    async fn leftovers(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        let Some((_, record)) = self.server(reference).await? else { return Ok(Vec::new()) };
        let leftover = |kind: &str, id: &str, label: String| Leftover {
            kind: kind.to_owned(),
            id: id.to_owned(),
            place: reference.place.clone(),
            label,
            price: None,
        };
        let mut left = Vec::new();
        for volume in record.surviving_volumes() {
            let label = match volume.is_block() {
                true => self.volume_label(&reference.place, &volume.id).await?,
                false => Some(volume.label()),
            };
            left.extend(label.map(|label| leftover("volume", &volume.id, label)));
        }
        left.extend(record.flexible_addresses().map(|ip| leftover("address", &ip.id, ip.address.clone())));
        Ok(left)
    }

    async fn delete_leftover(&self, leftover: &Leftover) -> Result<()> {
        let (Some(zone), Some(id)) =
            (found(segment(PROVIDER, &leftover.place))?, found(segment(PROVIDER, &leftover.id))?)
        else {
            return Ok(());
        };
        let paths = match leftover.kind.as_str() {
            // A local disk is unknown to the block service, and the other way round.
            "volume" => vec![
                format!("/block/v1/zones/{zone}/volumes/{id}"),
                format!("/instance/v1/zones/{zone}/volumes/{id}"),
            ],
            "address" => vec![format!("/instance/v1/zones/{zone}/ips/{id}")],
            other => {
                let detail = format!("there is no leftover of kind `{}`", other.escape_debug());
                return Err(ProviderError::Invalid { provider: PROVIDER, detail });
            }
        };
        for path in paths {
            if found(self.http.send(Call::delete(path)).await)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let record = self.existing(reference).await?;
        let mut wanted = with_marks(&record.tags, tags);
        wanted.extend(record.tags.into_iter().filter(|tag| tag.starts_with(KEY_TAG)));
        let call = Call::patch(server_path(reference, "")?).json(&json!({"tags": wanted}));
        self.http.send(call).await?;
        Ok(())
    }
}
