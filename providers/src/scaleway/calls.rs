//! The calls that Scaleway's methods are made of: a question to every zone, all pages of a list, one server, an
//! action, the project, an image's id.

use std::future::Future;

use capsule_api::{Arch, Instance, InstanceRef};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    PROVIDER, Scaleway, ZONES, catalogue,
    record::{Power, Record, in_zone, instance},
};
use crate::{
    NewInstance, Offer, ProviderError, Result,
    http::{Call, MOST_PAGES, Reply},
    values::{found, segment},
};

/// The marketplace's name of an image. Anything else is a label of theirs already.
fn label(image: &str) -> &str {
    match image {
        "ubuntu-24.04" => "ubuntu_noble",
        "ubuntu-22.04" => "ubuntu_jammy",
        "debian-12" => "debian_bookworm",
        "debian-13" => "debian_trixie",
        other => other,
    }
}

fn arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64",
        Arch::Aarch64 => "arm64",
    }
}

pub(super) fn zone_path(zone: &str, rest: &str) -> Result<String> {
    Ok(format!("/instance/v1/zones/{}{rest}", segment(PROVIDER, zone)?))
}

pub(super) fn server_path(reference: &InstanceRef, rest: &str) -> Result<String> {
    let id = segment(PROVIDER, &reference.id)?;
    zone_path(&reference.place, &format!("/servers/{id}{rest}"))
}

pub(super) fn conflict(detail: String) -> ProviderError {
    ProviderError::Conflict { provider: PROVIDER, detail }
}

impl Scaleway {
    /// Asks every zone at the same time; the first that fails fails all, by its name.
    pub(super) async fn each_zone<T, F>(&self, ask: impl Fn(Self, &'static str) -> F) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<Vec<T>>> + Send + 'static,
    {
        let mut zones = JoinSet::new();
        for (number, (zone, _)) in ZONES.into_iter().enumerate() {
            let asked = ask(self.clone(), zone);
            zones.spawn(async move { (number, asked.await.map_err(|error| in_zone(zone, error))) });
        }
        let mut answers = Vec::new();
        while let Some(joined) = zones.join_next().await {
            let (number, answer) = joined.expect("asking a zone neither panics nor is aborted");
            answers.push((number, answer?));
        }
        answers.sort_by_key(|(number, _)| *number);
        Ok(answers.into_iter().flat_map(|(_, rows)| rows).collect())
    }

    /// All pages of a list under `servers`, which is an array or, for products, an object by name. How many
    /// there are is said by a header.
    pub(super) async fn pages(&self, path: &str, query: &[(&'static str, String)]) -> Result<Vec<Value>> {
        let (mut pages, mut rows) = (Vec::new(), 0);
        for number in 1..=MOST_PAGES {
            let mut call = Call::get(path).query("page", number).query("per_page", 100);
            for (name, value) in query {
                call = call.query(name, value);
            }
            let reply = self.http.send(call).await?;
            let total = total(&reply);
            let mut page: Value = reply.json()?;
            let page = page["servers"].take();
            let here =
                page.as_array().map(Vec::len).or(page.as_object().map(serde_json::Map::len)).unwrap_or(0);
            rows += here;
            pages.push(page);
            if here == 0 || total.is_none_or(|total| total <= rows) {
                return Ok(pages);
            }
        }
        let detail = format!("{path} has more than {MOST_PAGES} pages");
        Err(ProviderError::Unreadable { provider: PROVIDER, detail })
    }

    pub(super) async fn servers(self, zone: &'static str, tag: Option<String>) -> Result<Vec<Instance>> {
        let query: Vec<_> = tag.map(|tag| ("tags", tag)).into_iter().collect();
        let mut found = Vec::new();
        for page in self.pages(&zone_path(zone, "/servers")?, &query).await? {
            let Value::Array(rows) = page else { continue };
            for row in rows {
                found.push(instance(row, zone)?);
            }
        }
        Ok(found)
    }

    pub(super) async fn products(self, zone: &'static str) -> Result<Vec<Offer>> {
        let products = self.pages(&zone_path(zone, "/products/servers")?, &[]).await?;
        let stock = self.pages(&zone_path(zone, "/products/servers/availability")?, &[]).await?;
        catalogue::offers(zone, &products, &stock)
    }

    /// The server as it is now, raw and read.
    pub(super) async fn server(&self, reference: &InstanceRef) -> Result<Option<(Value, Record)>> {
        let Some(path) = found(server_path(reference, ""))? else { return Ok(None) };
        let Some(reply) = found(self.http.send(Call::get(path)).await)? else { return Ok(None) };
        let mut body: Value = reply.json()?;
        let raw = body["server"].take();
        let record = Record::read(&raw)?;
        Ok(Some((raw, record)))
    }

    pub(super) async fn existing(&self, reference: &InstanceRef) -> Result<Record> {
        let missing = || ProviderError::NotFound { provider: PROVIDER, what: format!("server {reference}") };
        self.server(reference).await?.map(|(_, record)| record).ok_or_else(missing)
    }

    pub(super) async fn act(&self, reference: &InstanceRef, action: &str) -> Result<()> {
        let call = Call::post(server_path(reference, "/action")?).json(&json!({"action": action}));
        self.http.send(call).await?;
        Ok(())
    }

    /// As [`Self::act`], but a refusal of what another call has brought about meanwhile is none.
    pub(super) async fn act_until(
        &self,
        reference: &InstanceRef,
        action: &str,
        wanted: &[Power],
    ) -> Result<()> {
        let refused = match self.act(reference, action).await {
            Err(error @ (ProviderError::Invalid { .. } | ProviderError::Conflict { .. })) => error,
            other => return other,
        };
        match self.server(reference).await? {
            Some((_, record)) if wanted.contains(&record.power()) => Ok(()),
            _ => Err(refused),
        }
    }

    pub(super) async fn switch_on(&self, reference: &InstanceRef, record: &Record) -> Result<()> {
        match record.power() {
            Power::Running | Power::Starting => Ok(()),
            Power::Stopping | Power::Locked => Err(conflict(format!("the server is {}", record.state))),
            Power::Stopped | Power::StoppedInPlace | Power::Unknown => {
                self.act_until(reference, "poweron", &[Power::Running, Power::Starting]).await
            }
        }
    }

    pub(super) async fn project(&self) -> Result<String> {
        if let Some(project) = &self.project {
            return Ok(project.clone());
        }
        let Some(access_key) = &self.access_key else {
            let detail = "its credential needs a project id, or an access key to read it from".to_owned();
            return Err(ProviderError::Invalid { provider: PROVIDER, detail });
        };
        Ok(self.project_of(access_key).await?.0)
    }

    /// The key's default project, and a name for its owner.
    pub(super) async fn project_of(&self, access_key: &str) -> Result<(String, String)> {
        let path = format!("/iam/v1alpha1/api-keys/{}", segment(PROVIDER, access_key)?);
        let key: Value = self.http.send(Call::get(path)).await?.json()?;
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let project = text("default_project_id");
        if project.is_empty() {
            let detail = format!("API key {access_key} has no default project; give a project id");
            return Err(ProviderError::Invalid { provider: PROVIDER, detail });
        }
        let owner = [text("description"), project.clone()].into_iter().find(|name| !name.is_empty());
        Ok((project, owner.unwrap_or_default()))
    }

    /// The image's id in this zone, for this architecture and size: with a block volume, or where there is
    /// none, on the local disk.
    pub(super) async fn image(&self, new: &NewInstance) -> Result<String> {
        if uuid::Uuid::try_parse(&new.image).is_ok() {
            return Ok(new.image.clone());
        }
        for kind in ["instance_sbs", "instance_local"] {
            let call = Call::get("/marketplace/v2/local-images")
                .query("image_label", label(&new.image))
                .query("zone", &new.region)
                .query("type", kind)
                .query("page_size", 100);
            let Some(reply) = found(self.http.send(call).await)? else { continue };
            let body: Value = reply.json()?;
            let fits = |image: &&Value| {
                let sizes = image["compatible_commercial_types"].as_array();
                image["arch"].as_str() == Some(arch(new.arch))
                    && sizes.is_some_and(|sizes| sizes.iter().any(|size| size.as_str() == Some(&new.plan)))
            };
            let id = body["local_images"].as_array().and_then(|images| images.iter().find(fits));
            if let Some(id) = id.and_then(|image| image["id"].as_str()) {
                return Ok(id.to_owned());
            }
        }
        let detail = format!("no image {} for {} in {}", new.image, new.plan, new.region);
        Err(ProviderError::Invalid { provider: PROVIDER, detail })
    }

    /// A block volume's name and size for people; `None`: it is gone.
    pub(super) async fn volume_label(&self, zone: &str, id: &str) -> Result<Option<String>> {
        let call = Call::get(format!(
            "/block/v1/zones/{}/volumes/{}",
            segment(PROVIDER, zone)?,
            segment(PROVIDER, id)?
        ));
        let Some(reply) = found(self.http.send(call).await)? else { return Ok(None) };
        let volume: Value = reply.json()?;
        let size_gb = volume["size"].as_u64().unwrap_or_default() / 1_000_000_000;
        Ok(Some(format!("{}, {size_gb} GB", volume["name"].as_str().unwrap_or(id))))
    }
}

fn total(reply: &Reply) -> Option<usize> {
    reply.headers.get("x-total-count")?.to_str().ok()?.parse().ok()
}
