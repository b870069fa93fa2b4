//! Seven clouds that run inside the test: stateful, each speaking its vendor's JSON on a loopback port.
//!
//! A [`FakeCloud`] keeps instances, keys, disks and actions, checks what it is asked for against its small
//! catalogue, and does what its [`Switches`] say. It remembers every request, counts the creations that it
//! carried out, and shows the truth beside what it answered. What it owns is the vendors' behaviour; whether
//! the shapes are the vendors' too, the suite `cloud_contract` checks against their published documents.
//!
//! Instances take steps when they are looked at ([`Pace`]) and get the addresses that the test gives, so a real
//! sshd on 127.0.0.9 can be "the server".

pub mod account;
pub mod aws;
mod digitalocean;
mod equinix;
mod hetzner;
mod hivelocity;
mod linode;
pub mod moto;
mod scaleway;
mod scaleway_beside;
mod server;
mod speech;
pub mod switches;
mod vultr;
mod world;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

pub use account::{Cloud, Machine};
use speech::Speech;
pub use switches::{Fault, Pace, Switches};
pub use world::{FakeExtra, FakeInstance, FakeKey, Phase};
use world::{NewFake, World};

/// A vendor that can be faked. EC2 is not among them: moto speaks it, behind [`aws::FakeAws`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    /// DigitalOcean Droplets.
    DigitalOcean,
    /// Linode.
    Linode,
    /// Vultr, virtual and bare metal.
    Vultr,
    /// Equinix Metal.
    Equinix,
    /// Scaleway Instances.
    Scaleway,
    /// Hivelocity bare metal.
    Hivelocity,
    /// Hetzner Cloud.
    Hetzner,
}

impl Vendor {
    /// Every vendor.
    pub const ALL: [Self; 7] = [
        Self::DigitalOcean,
        Self::Linode,
        Self::Vultr,
        Self::Equinix,
        Self::Scaleway,
        Self::Hivelocity,
        Self::Hetzner,
    ];

    /// Its name as the daemon and the contract files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DigitalOcean => "digitalocean",
            Self::Linode => "linode",
            Self::Vultr => "vultr",
            Self::Equinix => "equinix",
            Self::Scaleway => "scaleway",
            Self::Hivelocity => "hivelocity",
            Self::Hetzner => "hetzner",
        }
    }

    /// A mark as a tag of this vendor's kind, for [`FakeCloud::add_orphan`]: Hetzner has labels, and ours is
    /// called `capsule`.
    pub fn tag_of(self, mark: &str) -> String {
        match self {
            Self::Hetzner => format!("capsule={mark}"),
            _ => mark.to_owned(),
        }
    }

    /// Whether a plan is ordered on the path for machines of one's own.
    fn is_metal(self, plan: &str) -> bool {
        match self {
            Self::Equinix | Self::Hivelocity => true,
            Self::Vultr => plan.starts_with("vbm-"),
            _ => false,
        }
    }

    fn speech(self) -> &'static Speech {
        match self {
            Self::DigitalOcean => &digitalocean::SPEECH,
            Self::Linode => &linode::SPEECH,
            Self::Vultr => &vultr::SPEECH,
            Self::Equinix => &equinix::SPEECH,
            Self::Scaleway => &scaleway::SPEECH,
            Self::Hivelocity => &hivelocity::SPEECH,
            Self::Hetzner => &hetzner::SPEECH,
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body: JSON, else text; null when empty.
    pub body: Value,
    /// The credential, without `Bearer `.
    pub credential: Option<String>,
    /// What it was answered, absent when the connection was cut or held.
    pub status: Option<u16>,
}

impl Recorded {
    /// Whether it asked for a change.
    pub fn is_write(&self) -> bool {
        self.method != "GET"
    }
}

#[derive(Debug)]
struct Shared {
    speech: &'static Speech,
    world: Mutex<World>,
    switches: Switches,
    requests: Mutex<Vec<Recorded>>,
}

/// One fake cloud. Clones are the same cloud; it ends with the runtime of the test.
#[derive(Debug, Clone)]
pub struct FakeCloud {
    vendor: Vendor,
    shared: Arc<Shared>,
    port: u16,
    serving: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl FakeCloud {
    /// Starts one on a free port of 127.0.0.1.
    pub async fn start(vendor: Vendor) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let speech = vendor.speech();
        let shared = Arc::new(Shared {
            speech,
            world: Mutex::new(World::new(20 + vendor as u8, speech.numeric_ids)),
            switches: Switches::default(),
            requests: Mutex::default(),
        });
        let cloud = Self { vendor, shared, port, serving: Arc::default() };
        cloud.serve(listener);
        cloud
    }

    fn serve(&self, listener: TcpListener) {
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&self.shared)));
        *self.serving.lock().expect("unpoisoned") = Some(serving);
    }

    /// Stops listening and drops every connection: calls are refused from now on.
    pub fn stop(&self) {
        if let Some(serving) = self.serving.lock().expect("unpoisoned").take() {
            serving.abort();
        }
    }

    /// Listens again on the same port, with everything still there.
    pub async fn resume(&self) {
        let port = self.port;
        let bind = || async { TcpListener::bind(("127.0.0.1", port)).await };
        self.serve(crate::wait::until("the cloud's port being free", crate::wait::LONG, bind).await);
    }

    /// Which vendor it fakes.
    pub fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// Scheme, host and port; paths are the vendor's own.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What can be made to go wrong.
    pub fn switches(&self) -> &Switches {
        &self.shared.switches
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().expect("no answer panics")
    }

    /// The next instance that has no address yet gets this one; further calls queue up.
    pub fn serve_at(&self, address: IpAddr) {
        self.world().addresses.push_back(address);
    }

    /// Every instance from now on gets this address, once those given by [`Self::serve_at`] are used up.
    pub fn serve_all_at(&self, address: IpAddr) {
        self.world().common_address = Some(address);
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().expect("unpoisoned").clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.requests.lock().expect("unpoisoned").clear();
    }

    /// How many creations were carried out by calls, answered or not.
    pub fn creates(&self) -> u32 {
        self.world().creates
    }

    /// The instances that are there, oldest first.
    pub fn instances(&self) -> Vec<FakeInstance> {
        self.world().instances.iter().filter(|instance| instance.exists()).cloned().collect()
    }

    /// Every instance that ever was.
    pub fn all_instances(&self) -> Vec<FakeInstance> {
        self.world().instances.clone()
    }

    /// One instance that is there.
    ///
    /// # Panics
    /// When it is not.
    pub fn instance(&self, id: &str) -> FakeInstance {
        self.world().instance(id).expect("an instance with this id").clone()
    }

    /// The account's public keys.
    pub fn keys(&self) -> Vec<FakeKey> {
        self.world().keys.clone()
    }

    /// Disks and addresses that are billed apart.
    pub fn extras(&self) -> Vec<FakeExtra> {
        self.world().extras.clone()
    }

    /// Makes a running instance that no call asked for, of the first plan in the first region, and returns its id.
    pub fn add_orphan(&self, name: &str, tags: &[&str]) -> String {
        let (plan, place) = (self.shared.speech.plans[0].name, self.shared.speech.places[0].0);
        self.add_running(name, plan, place, tags)
    }

    /// Makes a running instance that no call asked for and returns its id.
    pub fn add_running(&self, name: &str, plan: &str, place: &str, tags: &[&str]) -> String {
        let new = NewFake {
            name: name.to_owned(),
            plan: plan.to_owned(),
            place: place.to_owned(),
            image: self.shared.speech.image.to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            bare_metal: self.vendor.is_metal(plan),
            ..NewFake::default()
        };
        self.world().add(new).id.clone()
    }

    /// Changes an instance without a call.
    ///
    /// # Panics
    /// When it is not there.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut FakeInstance)) {
        change(self.world().instance(id).expect("an instance with this id"));
    }

    /// Gives it another size.
    pub fn change_size(&self, id: &str, plan: &str) {
        self.change(id, |instance| plan.clone_into(&mut instance.plan));
    }

    /// Moves it to another region or zone.
    pub fn change_place(&self, id: &str, place: &str) {
        self.change(id, |instance| place.clone_into(&mut instance.place));
    }

    /// Gives it another address.
    pub fn change_address(&self, id: &str, address: IpAddr) {
        self.change(id, |instance| instance.address = address);
    }

    /// Gives it other tags.
    pub fn change_tags(&self, id: &str, tags: &[&str]) {
        self.change(id, |instance| instance.tags = tags.iter().map(|&tag| tag.to_owned()).collect());
    }

    /// Puts it into a phase at once.
    pub fn set_phase(&self, id: &str, phase: Phase) {
        self.change(id, |instance| {
            instance.phase = phase;
            instance.moving = None;
        });
    }

    /// Deletes it at once, as somebody in the vendor's console would.
    pub fn delete_behind_our_back(&self, id: &str) {
        self.set_phase(id, Phase::Gone);
    }

    /// Changes a plan's price, hourly and monthly in the vendor's currency.
    pub fn set_price(&self, plan: &str, hourly: f64, monthly: f64) {
        self.world().prices.insert(plan.to_owned(), (hourly, monthly));
    }

    /// Says in the catalogue whether a plan can be had, and refuses to make it when not.
    pub fn set_stock(&self, plan: &str, available: bool) {
        let mut world = self.world();
        if available {
            world.sold_out.remove(plan)
        } else {
            world.sold_out.insert(plan.to_owned())
        };
    }

    /// The vendor's names of the plans it lists.
    pub fn plans(&self) -> Vec<&'static str> {
        self.shared.speech.plans.iter().map(|plan| plan.name).collect()
    }

    /// The vendor's names of its regions or zones.
    pub fn places(&self) -> Vec<&'static str> {
        self.shared.speech.places.iter().map(|&(name, ..)| name).collect()
    }
}
