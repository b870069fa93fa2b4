//! Amazon EC2, through the vendor's SDK: signatures and XML are not worth writing twice.
//!
//! An id belongs to a region, so every call goes to the one an [`InstanceRef`] names. EC2 keeps a record of a
//! terminated instance for about an hour; lists leave it out, a question for it answers
//! [`InstanceState::Deleted`]. EC2 alone has a real idempotency token: the mark is it, and a launch that went
//! out twice makes one instance.

mod client;
mod errors;
mod firewall;
mod launch;
mod leftovers;
mod prices;
mod records;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_ec2::types::{self, Filter};
use capsule_api::{Instance, InstanceRef, InstanceState, Leftover, ProviderName};
use futures_util::{StreamExt, TryStreamExt, stream};

use self::{client::Calls, launch::code};
use crate::{
    CallSettings, Catalogue, Created, Credential, Entry, Field, Identity, Mark, NewInstance, Prepared,
    PreparedFor, Provider, ProviderError, Result, http::Repeat,
};

/// Instances a page, the most that EC2 gives.
const PAGE: i32 = 1000;
/// A list that never ends is not read further.
const MOST_PAGES: usize = 1000;
/// Regions that are asked side by side.
const REGIONS_AT_ONCE: usize = 6;

pub(crate) const ENTRY: Entry = Entry {
    fields: &[
        // Without a key: `profile` of the vendor's own files, or the instance's role.
        Field {
            name: "access_key_id",
            variable: "AWS_ACCESS_KEY_ID",
            description: "access key id",
            required: false,
            secret: false,
        },
        Field {
            name: "secret_access_key",
            variable: "AWS_SECRET_ACCESS_KEY",
            description: "secret access key",
            required: false,
            secret: true,
        },
        Field {
            name: "session_token",
            variable: "AWS_SESSION_TOKEN",
            description: "session token",
            required: false,
            secret: true,
        },
        Field {
            name: "region",
            variable: "AWS_REGION",
            description: "default region, such as us-east-1",
            required: true,
            secret: false,
        },
        Field {
            name: "profile",
            variable: "AWS_PROFILE",
            description: "profile of the shared AWS files",
            required: false,
            secret: false,
        },
    ],
    ended: None,
    connect,
};

fn connect(credential: &Credential, settings: CallSettings) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(Aws { calls: Calls::new(credential, &settings)?, backoff: settings.backoff }))
}

/// One account.
struct Aws {
    calls: Calls,
    /// The first pause while something new does not show yet.
    backoff: Duration,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("region", &self.calls.home()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for Aws {
    fn name(&self) -> ProviderName {
        ProviderName::Aws
    }

    fn login_user(&self, image: &str) -> &'static str {
        if image.starts_with("ubuntu") {
            "ubuntu"
        } else if image.starts_with("debian") {
            "admin"
        } else {
            // Most images of Amazon's own and of others.
            "ec2-user"
        }
    }

    fn visibility_lag(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn bills_stopped(&self) -> bool {
        false
    }

    async fn check_credential(&self) -> Result<Identity> {
        let caller = self.calls.call("identity", self.calls.sts().get_caller_identity().send()).await?;
        let dry_run = self.calls.region("").describe_instances().dry_run(true);
        match self.calls.limited("dry run", dry_run.send()).await {
            Ok(_) => {}
            Err(error) if code(&error) == Some(errors::DRY_RUN) => {}
            Err(error) => return Err(self.calls.translated(Repeat::Safe, "dry run", error)),
        }
        let account = caller.arn().or(caller.account()).unwrap_or_default().to_owned();
        Ok(Identity { account, ..Identity::default() })
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        self.sold().await
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        let regions = self.enabled_regions().await?;
        let lists: Vec<_> = regions.iter().map(|region| self.described(region, None)).collect();
        // One region that cannot be read fails all: a list with a gap would make its machines look gone.
        let lists: Vec<Vec<Instance>> = stream::iter(lists).buffered(REGIONS_AT_ONCE).try_collect().await?;
        Ok(lists.into_iter().flatten().collect())
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        let place = self.calls.place(&reference.place);
        Ok(self.record(reference).await?.map(|record| records::instance(&record, place)))
    }

    async fn find_marked(&self, mark: &Mark, region: &str) -> Result<Vec<Instance>> {
        self.marked(mark, self.calls.place(region)).await
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        self.find_or_make(new).await
    }

    fn prepared_for(&self) -> PreparedFor {
        PreparedFor::Region
    }

    async fn create(&self, new: &NewInstance, prepared: &Prepared) -> Result<Created> {
        self.launch(new, prepared).await
    }

    /// Waits until EC2 finds what it has just made, or the first question for it would say that it is gone.
    async fn finish(&self, reference: &InstanceRef, _: &NewInstance, _: &Prepared) -> Result<()> {
        for pause in self.pauses() {
            if self.instance(reference).await?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
        let detail = format!("the new {} does not show", of(reference));
        Err(ProviderError::Unavailable { provider: ProviderName::Aws, detail })
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        let call = self.calls.region(&reference.place).start_instances().instance_ids(&reference.id);
        self.calls.call(&of(reference), call.send()).await.map(drop)
    }

    async fn stop(&self, reference: &InstanceRef, force: bool) -> Result<()> {
        let call = self.calls.region(&reference.place).stop_instances().instance_ids(&reference.id);
        self.calls.call(&of(reference), call.force(force).send()).await.map(drop)
    }

    /// EC2 knows one restart: it asks the system, and pulls the plug when that does not answer in a few minutes.
    async fn restart(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        let call = self.calls.region(&reference.place).reboot_instances().instance_ids(&reference.id);
        self.calls.call(&of(reference), call.send()).await.map(drop)
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        let call = self.calls.region(&reference.place).terminate_instances().instance_ids(&reference.id);
        match self.calls.call(&of(reference), call.send()).await {
            Ok(_) | Err(ProviderError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn leftovers(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        self.kept(reference).await
    }

    async fn delete_leftover(&self, leftover: &Leftover) -> Result<()> {
        self.delete_kept(leftover).await
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let tag = records::words_tag(tags)?;
        let call = self.calls.region(&reference.place).create_tags().resources(&reference.id).tags(tag);
        self.calls.call(&of(reference), call.send()).await.map(drop)
    }
}

impl Aws {
    /// EC2's own record of an instance.
    async fn record(&self, reference: &InstanceRef) -> Result<Option<types::Instance>> {
        let asked = self.calls.region(&reference.place).describe_instances().instance_ids(&reference.id);
        let found = match self.calls.call(&of(reference), asked.send()).await {
            Ok(found) => found,
            Err(ProviderError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut reservations = found.reservations.unwrap_or_default().into_iter();
        Ok(reservations.find_map(|reservation| reservation.instances.unwrap_or_default().into_iter().next()))
    }

    /// The instances of a region that are not gone, all pages.
    async fn described(&self, region: &str, only: Option<Filter>) -> Result<Vec<Instance>> {
        let client = &self.calls.region(region);
        let filters = &only.map(|filter| vec![filter]);
        pages("instances", |next| async move {
            let asked = client.describe_instances().max_results(PAGE).set_next_token(next);
            let page = self.calls.call("instances", asked.set_filters(filters.clone()).send()).await?;
            let records = page.reservations().iter().flat_map(|reservation| reservation.instances());
            let records = records.map(|record| records::instance(record, region));
            let there = records.filter(|instance| instance.status != InstanceState::Deleted).collect();
            Ok((there, page.next_token))
        })
        .await
    }
}

/// Every item of a list; `ask` gets the token of a page and answers with its items and the token of the next.
async fn pages<T, F>(what: &str, mut ask: impl FnMut(Option<String>) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<(Vec<T>, Option<String>)>>,
{
    let mut all = Vec::new();
    let mut next = None;
    for _ in 0..MOST_PAGES {
        let (items, token) = ask(next).await?;
        all.extend(items);
        next = token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(all);
        }
    }
    let detail = format!("its list of {what} did not end after {MOST_PAGES} pages");
    Err(ProviderError::Unreadable { provider: ProviderName::Aws, detail })
}

fn of(reference: &InstanceRef) -> String {
    format!("instance {reference}")
}
