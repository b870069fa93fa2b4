//! A cloud in memory for tests: it keeps instances, counts calls, and fails when told to.
//!
//! ```ignore
//! let cloud = Arc::new(ScriptedProvider::new(ProviderName::Vultr));
//! context.clouds.put(&account, cloud.clone());
//! cloud.fail("create", cloud.out_of_stock());      // the next create only
//! cloud.fail_always("instances", cloud.unauthorised());
//! cloud.cut_next_create();                          // made, but the answer is lost
//! cloud.set_lag(2);                                 // the first two look-ups do not see new instances
//! assert_eq!(cloud.count("create"), 1);
//! ```

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use capsule_api::{Instance, InstanceRef, InstanceState, Leftover, ProviderName};
use capsule_providers::{
    Catalogue, Created, Identity, Mark, NewInstance, Prepared, PreparedFor, Provider, ProviderError, Result,
};
use serde_json::json;

/// What stands before the id of a server that is known by its order.
const ORDER: &str = "order-";

/// The cloud.
#[derive(Debug)]
pub struct ScriptedProvider {
    name: ProviderName,
    world: Mutex<World>,
}

/// What is there, and what is to go wrong.
#[derive(Debug, Default)]
struct World {
    identity: Identity,
    catalogue: Catalogue,
    instances: BTreeMap<String, Instance>,
    leftovers: BTreeMap<String, Vec<Leftover>>,
    once: HashMap<&'static str, VecDeque<ProviderError>>,
    always: HashMap<&'static str, ProviderError>,
    calls: Vec<(&'static str, String)>,
    made: u32,
    cut_next_create: bool,
    slow_start: bool,
    slow_delete: bool,
    orders_first: bool,
    lag: u32,
    unknown_looks: u32,
}

impl ScriptedProvider {
    /// Creations are answered with the order's id, which leads to the server and is in no list, as at Hivelocity.
    pub fn set_orders_first(&self, orders_first: bool) {
        self.world().orders_first = orders_first;
    }

    /// An empty cloud that accepts every credential.
    pub fn new(name: ProviderName) -> Self {
        Self { name, world: Mutex::default() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`Provider::check_credential`] answers.
    pub fn set_identity(&self, identity: Identity) {
        self.world().identity = identity;
    }

    /// What [`Provider::catalogue`] answers.
    pub fn set_catalogue(&self, catalogue: Catalogue) {
        self.world().catalogue = catalogue;
    }

    /// Adds or replaces an instance, as if somebody had done it in the vendor's console.
    pub fn put_instance(&self, instance: Instance) {
        self.world().instances.insert(instance.id.clone(), instance);
    }

    /// Takes an instance away behind our back.
    pub fn remove_instance(&self, id: &str) {
        self.world().instances.remove(id);
    }

    /// Changes an instance behind our back.
    ///
    /// # Panics
    /// When there is no such instance.
    pub fn change_instance(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        change(self.world().instances.get_mut(id).expect("an instance with this id"));
    }

    /// What is there.
    pub fn all(&self) -> Vec<Instance> {
        self.world().instances.values().cloned().collect()
    }

    /// What an instance leaves behind.
    pub fn set_leftovers(&self, id: &str, leftovers: Vec<Leftover>) {
        self.world().leftovers.insert(id.to_owned(), leftovers);
    }

    /// Lets the next call of a method (named as in [`Provider`]) fail; called twice, the next two.
    pub fn fail(&self, method: &'static str, error: ProviderError) {
        self.world().once.entry(method).or_default().push_back(error);
    }

    /// Lets every call of a method fail until [`Self::recover`].
    pub fn fail_always(&self, method: &'static str, error: ProviderError) {
        self.world().always.insert(method, error);
    }

    /// Ends every failure.
    pub fn recover(&self) {
        let mut world = self.world();
        world.once.clear();
        world.always.clear();
    }

    /// The next creation happens and its answer is lost: [`ProviderError::UnknownOutcome`].
    pub fn cut_next_create(&self) {
        self.world().cut_next_create = true;
    }

    /// New instances stay invisible to this many look-ups (`find_marked`, `instances`) altogether.
    pub fn set_lag(&self, look_ups: u32) {
        self.world().lag = look_ups;
    }

    /// The next questions for one instance say that there is none, and until then deletions come to nothing.
    pub fn set_unknown(&self, looks: u32) {
        self.world().unknown_looks = looks;
    }

    /// New instances stay `provisioning` without an address until [`Self::settle`].
    pub fn set_slow_start(&self, slow: bool) {
        self.world().slow_start = slow;
    }

    /// Deleted instances stay there until [`Self::settle`].
    pub fn set_slow_delete(&self, slow: bool) {
        self.world().slow_delete = slow;
    }

    /// Lets what is under way come to its end.
    pub fn settle(&self) {
        let mut world = self.world();
        world.instances.retain(|_, instance| instance.status != InstanceState::Deleted);
        for (number, instance) in world.instances.values_mut().enumerate() {
            if instance.status == InstanceState::Provisioning {
                instance.status = InstanceState::Running;
                instance.ip_address.get_or_insert_with(|| address(number));
            }
        }
    }

    /// How often a method was called.
    pub fn count(&self, method: &str) -> usize {
        self.world().calls.iter().filter(|(called, _)| *called == method).count()
    }

    /// Every call in order: the method and what it was about.
    pub fn calls(&self) -> Vec<(&'static str, String)> {
        self.world().calls.clone()
    }

    /// The vendor refuses the credential.
    pub fn unauthorised(&self) -> ProviderError {
        ProviderError::Unauthorized { provider: self.name, detail: "invalid token".to_owned() }
    }

    /// The vendor has none of that size.
    pub fn out_of_stock(&self) -> ProviderError {
        ProviderError::OutOfStock { provider: self.name, detail: "sold out".to_owned() }
    }

    /// The vendor fails or cannot be reached.
    pub fn unavailable(&self) -> ProviderError {
        ProviderError::Unavailable { provider: self.name, detail: "503".to_owned() }
    }

    /// The answer to a creation is lost.
    pub fn unknown_outcome(&self) -> ProviderError {
        ProviderError::UnknownOutcome { provider: self.name, detail: "the connection was cut".to_owned() }
    }

    /// Notes a call; fails when it is to.
    fn begin(&self, method: &'static str, about: &str) -> Result<MutexGuard<'_, World>> {
        let mut world = self.world();
        world.calls.push((method, about.to_owned()));
        if let Some(error) = world.once.get_mut(method).and_then(VecDeque::pop_front) {
            return Err(error);
        }
        match world.always.get(method) {
            Some(error) => Err(error.clone()),
            None => Ok(world),
        }
    }

    fn change(&self, method: &'static str, id: &str, status: InstanceState) -> Result<()> {
        let mut world = self.begin(method, id)?;
        let unknown = || ProviderError::NotFound { provider: self.name, what: format!("instance {id}") };
        world.instances.get_mut(id).ok_or_else(unknown)?.status = status;
        Ok(())
    }
}

fn address(number: usize) -> std::net::IpAddr {
    let last = u8::try_from(number % 250).expect("below 250");
    [192, 0, 2, last + 1].into()
}

impl World {
    /// What a look-up sees: nothing made by us while the lag lasts.
    fn visible(&mut self) -> Vec<Instance> {
        let hidden = 0 < self.lag;
        self.lag = self.lag.saturating_sub(1);
        let ours = |instance: &Instance| instance.tags.iter().any(|tag| tag.parse::<Mark>().is_ok());
        self.instances.values().filter(|instance| !(hidden && ours(instance))).cloned().collect()
    }
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn name(&self) -> ProviderName {
        self.name
    }

    fn login_user(&self, _image: &str) -> &'static str {
        "root"
    }

    fn visibility_lag(&self) -> Duration {
        Duration::from_secs(120)
    }

    fn bills_stopped(&self) -> bool {
        true
    }

    async fn check_credential(&self) -> Result<Identity> {
        Ok(self.begin("check_credential", "")?.identity.clone())
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        Ok(self.begin("catalogue", "")?.catalogue.clone())
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        Ok(self.begin("instances", "")?.visible())
    }

    async fn instance(&self, reference: &InstanceRef) -> Result<Option<Instance>> {
        let mut world = self.begin("instance", &reference.id)?;
        let unknown = 0 < world.unknown_looks;
        world.unknown_looks = world.unknown_looks.saturating_sub(1);
        let id = reference.id.strip_prefix(ORDER).unwrap_or(&reference.id);
        Ok(world.instances.get(id).filter(|_| !unknown).cloned())
    }

    async fn find_marked(&self, mark: &Mark, _region: &str) -> Result<Vec<Instance>> {
        let visible = self.begin("find_marked", mark.as_str())?.visible();
        let marked = |instance: &Instance| instance.tags.iter().any(|tag| tag == mark.as_str());
        Ok(visible.into_iter().filter(marked).collect())
    }

    async fn prepare(&self, new: &NewInstance) -> Result<Prepared> {
        drop(self.begin("prepare", &new.name)?);
        Ok(json!({"image": new.image}))
    }

    fn prepared_for(&self) -> PreparedFor {
        PreparedFor::Account
    }

    async fn create(&self, new: &NewInstance, _prepared: &Prepared) -> Result<Created> {
        let mut world = self.begin("create", &new.name)?;
        world.made += 1;
        let id = format!("{}-{}", self.name, world.made);
        let mut tags = vec![new.mark.to_string()];
        tags.extend(new.tags.iter().cloned());
        let running = !world.slow_start;
        let instance = Instance {
            id: id.clone(),
            name: new.name.clone(),
            provider: self.name,
            status: if running { InstanceState::Running } else { InstanceState::Provisioning },
            ip_address: running.then(|| address(world.instances.len())),
            region: new.region.clone(),
            created_at: None,
            metadata: json!({"id": id}),
            plan: new.plan.clone(),
            tags,
            place: String::new(),
        };
        world.instances.insert(id, instance.clone());
        let instance = match world.orders_first {
            true => Instance { id: format!("{ORDER}{}", instance.id), ..instance },
            false => instance,
        };
        if std::mem::take(&mut world.cut_next_create) {
            return Err(self.unknown_outcome());
        }
        Ok(Created { instance })
    }

    async fn finish(&self, reference: &InstanceRef, _new: &NewInstance, _prepared: &Prepared) -> Result<()> {
        self.begin("finish", &reference.id).map(drop)
    }

    async fn start(&self, reference: &InstanceRef) -> Result<()> {
        self.change("start", &reference.id, InstanceState::Running)
    }

    async fn stop(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.change("stop", &reference.id, InstanceState::Stopped)
    }

    async fn restart(&self, reference: &InstanceRef, _force: bool) -> Result<()> {
        self.change("restart", &reference.id, InstanceState::Running)
    }

    async fn delete(&self, reference: &InstanceRef) -> Result<()> {
        let mut world = self.begin("delete", &reference.id)?;
        if 0 < world.unknown_looks {
            return Ok(());
        }
        if world.slow_delete {
            if let Some(instance) = world.instances.get_mut(&reference.id) {
                instance.status = InstanceState::Deleted;
            }
        } else {
            world.instances.remove(&reference.id);
        }
        Ok(())
    }

    async fn leftovers(&self, reference: &InstanceRef) -> Result<Vec<Leftover>> {
        Ok(self.begin("leftovers", &reference.id)?.leftovers.get(&reference.id).cloned().unwrap_or_default())
    }

    async fn delete_leftover(&self, leftover: &Leftover) -> Result<()> {
        let mut world = self.begin("delete_leftover", &leftover.id)?;
        world.leftovers.values_mut().for_each(|left| left.retain(|one| one.id != leftover.id));
        Ok(())
    }

    async fn set_tags(&self, reference: &InstanceRef, tags: &[String]) -> Result<()> {
        let mut world = self.begin("set_tags", &reference.id)?;
        if let Some(instance) = world.instances.get_mut(&reference.id) {
            instance.tags.retain(|tag| tag.parse::<Mark>().is_ok());
            instance.tags.extend(tags.iter().cloned());
        }
        Ok(())
    }
}
