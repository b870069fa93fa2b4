//! What exists at a fake cloud, and how it changes: the part that all vendors have in common.
//!
//! An instance moves when somebody looks at it, never by the clock, so that a test which looks as often as it
//! likes always sees the same sequence: being made, running, running with an address.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use sha2::{Digest, Sha256};

use super::switches::Settings;

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Being made or booted.
    Provisioning,
    /// Switched on.
    Running,
    /// Switched off, or made and never switched on.
    Stopped,
    /// The vendor's error state.
    Failed,
    /// On its way out.
    Deleting,
    /// Not there any more.
    Gone,
}

/// The truth about an instance, whatever the answers said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeInstance {
    /// The vendor's id.
    pub id: String,
    /// Its name, or label where the vendor has no name.
    pub name: String,
    /// Region or zone.
    pub place: String,
    /// The vendor's name of its size.
    pub plan: String,
    /// The vendor's id or slug of its image.
    pub image: String,
    /// Its tags, labels as `key=value`.
    pub tags: Vec<String>,
    /// Where it is in its life.
    pub phase: Phase,
    /// The address it has or will get.
    pub address: IpAddr,
    /// Whether answers show the address.
    pub address_shown: bool,
    /// Public keys that were installed.
    pub ssh_keys: Vec<String>,
    /// What it was given to run, decoded.
    pub user_data: Option<String>,
    /// Whether it came off the bare-metal path.
    pub bare_metal: bool,
    /// When it was made, RFC 3339 in whole seconds.
    pub created: String,
    pub(super) moving: Option<(Phase, u32)>,
    pub(super) address_in: u32,
    hidden_lists: u32,
    hidden_until: Option<Instant>,
}

impl FakeInstance {
    /// Whether the vendor still has it.
    pub fn exists(&self) -> bool {
        self.phase != Phase::Gone
    }

    /// Whether one of its tags is this.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Whether it carries a mark: as a tag, as a label's value, or as its name where names are unique.
    pub fn carries(&self, mark: &str) -> bool {
        self.name == mark || self.tags.iter().any(|tag| tag.split('=').next_back() == Some(mark))
    }

    /// The shown address.
    pub(super) fn shown(&self) -> Option<IpAddr> {
        self.address_shown.then_some(self.address)
    }

    /// Lets it take the next step, as one look does.
    pub(super) fn look(&mut self) {
        match self.moving {
            Some((to, 0)) => self.arrive(to),
            Some((to, left)) => self.moving = Some((to, left - 1)),
            None if self.phase == Phase::Running && !self.address_shown => match self.address_in {
                0 => self.address_shown = true,
                left => self.address_in = left - 1,
            },
            None => return,
        }
        // An instant change is seen by the first look, address included.
        if self.phase == Phase::Running
            && !self.address_shown
            && self.address_in == 0
            && self.moving.is_none()
        {
            self.address_shown = true;
        }
    }

    fn arrive(&mut self, to: Phase) {
        self.phase = to;
        self.moving = None;
    }

    /// Sets out for another phase, which it reaches after `looks`.
    pub(super) fn go(&mut self, through: Phase, to: Phase, looks: u32) {
        self.phase = through;
        self.moving = Some((to, looks));
    }

    /// The phase it is on its way to.
    pub(super) fn heading(&self) -> Option<Phase> {
        self.moving.map(|(to, _)| to)
    }
}

/// What a creation asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct NewFake {
    pub name: String,
    pub place: String,
    pub plan: String,
    pub image: String,
    pub tags: Vec<String>,
    pub ssh_keys: Vec<String>,
    pub user_data: Option<String>,
    pub bare_metal: bool,
}

/// A public key of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeKey {
    /// The vendor's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// In OpenSSH form.
    pub text: String,
    /// Sixteen bytes with colons between.
    pub fingerprint: String,
}

/// A disk or address that is billed apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeExtra {
    /// The vendor's id.
    pub id: String,
    /// Zone.
    pub place: String,
    /// The instance it hangs on.
    pub instance: Option<String>,
    /// The instance it was made for.
    pub made_for: String,
    /// An address; absent: a disk.
    pub address: Option<IpAddr>,
    /// Whether it is a disk of the host, which goes when its instance is terminated.
    pub is_local: bool,
}

/// A power action that can be asked about.
#[derive(Debug, Clone)]
pub(super) struct Action {
    pub id: u64,
    pub instance: String,
    pub word: String,
    pub started: String,
}

/// A size in the fake catalogue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub name: &'static str,
    pub vcpus: u32,
    pub memory_mib: u64,
    pub disk_gb: u64,
    pub transfer_gb: u64,
    pub hourly: f64,
    pub monthly: f64,
    pub gpus: u32,
}

/// Shorthand for the tables of the vendors.
pub(super) const fn plan(
    name: &'static str,
    (vcpus, memory_mib, disk_gb, transfer_gb): (u32, u64, u64, u64),
    (hourly, monthly): (f64, f64),
    gpus: u32,
) -> Plan {
    Plan { name, vcpus, memory_mib, disk_gb, transfer_gb, hourly, monthly, gpus }
}

/// Everything at one fake cloud.
#[derive(Debug)]
pub(super) struct World {
    /// Second byte of the addresses that are given out when the test gave none.
    pub network: u8,
    /// Whether ids are numbers.
    pub numeric_ids: bool,
    pub instances: Vec<FakeInstance>,
    pub keys: Vec<FakeKey>,
    pub extras: Vec<FakeExtra>,
    pub actions: Vec<Action>,
    pub creates: u32,
    pub addresses: VecDeque<IpAddr>,
    pub common_address: Option<IpAddr>,
    pub prices: BTreeMap<String, (f64, f64)>,
    pub sold_out: BTreeSet<String>,
    next_number: u64,
}

impl World {
    pub(super) fn new(network: u8, numeric_ids: bool) -> Self {
        Self {
            network,
            numeric_ids,
            instances: Vec::new(),
            keys: Vec::new(),
            extras: Vec::new(),
            actions: Vec::new(),
            creates: 0,
            addresses: VecDeque::new(),
            common_address: None,
            prices: BTreeMap::new(),
            sold_out: BTreeSet::new(),
            next_number: 0,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        4_000_000 + self.next_number
    }

    /// A new id of the vendor's kind.
    pub(super) fn id(&mut self) -> String {
        let number = self.number();
        if self.numeric_ids { number.to_string() } else { uuid(number) }
    }

    /// Hourly and monthly price of a plan at present.
    pub(super) fn price(&self, plan: &Plan) -> (f64, f64) {
        self.prices.get(plan.name).copied().unwrap_or((plan.hourly, plan.monthly))
    }

    pub(super) fn sells(&self, plan: &str) -> bool {
        !self.sold_out.contains(plan)
    }

    /// Carries out a creation; the instance is on its way to `to`.
    pub(super) fn create(&mut self, new: NewFake, to: Phase, settings: &mut Settings) -> &mut FakeInstance {
        self.creates += 1;
        let hidden_until = (!settings.hidden_for.is_zero()).then(|| Instant::now() + settings.hidden_for);
        let (hidden_lists, pace) = (settings.hidden_lists, settings.pace);
        let fails = 0 < settings.failing_creates;
        settings.failing_creates = settings.failing_creates.saturating_sub(1);
        let instance = self.add(new);
        instance.address_shown = false;
        instance.address_in = pace.address;
        (instance.hidden_lists, instance.hidden_until) = (hidden_lists, hidden_until);
        match to {
            Phase::Stopped => instance.phase = Phase::Stopped,
            _ => instance.go(Phase::Provisioning, if fails { Phase::Failed } else { to }, pace.provisioning),
        }
        instance
    }

    /// Puts a running instance there that nobody asked for by a call.
    pub(super) fn add(&mut self, new: NewFake) -> &mut FakeInstance {
        let id = self.id();
        let address = self.next_address();
        self.instances.push(FakeInstance {
            id,
            name: new.name,
            place: new.place,
            plan: new.plan,
            image: new.image,
            tags: new.tags,
            phase: Phase::Running,
            address,
            address_shown: true,
            ssh_keys: new.ssh_keys,
            user_data: new.user_data,
            bare_metal: new.bare_metal,
            created: now(),
            moving: None,
            address_in: 0,
            hidden_lists: 0,
            hidden_until: None,
        });
        self.instances.last_mut().expect("it was just added")
    }

    pub(super) fn next_address(&mut self) -> IpAddr {
        if let Some(address) = self.addresses.pop_front().or(self.common_address) {
            return address;
        }
        let [.., high, low] = (self.number() as u16).to_be_bytes();
        Ipv4Addr::new(127, self.network, high, low).into()
    }

    /// An instance that the vendor still has.
    pub(super) fn instance(&mut self, id: &str) -> Option<&mut FakeInstance> {
        self.instances.iter_mut().find(|instance| instance.id == id && instance.exists())
    }

    /// One look at an instance; it may be gone by it.
    pub(super) fn look_at(&mut self, id: &str) -> Option<FakeInstance> {
        let instance = self.instance(id)?;
        instance.look();
        instance.exists().then(|| instance.clone())
    }

    /// What a list call shows, oldest first; each look counts.
    pub(super) fn list(&mut self, wanted: impl Fn(&FakeInstance) -> bool) -> Vec<FakeInstance> {
        let shown = self.list_beside(&wanted);
        for instance in self.instances.iter_mut().filter(|instance| instance.exists() && wanted(instance)) {
            instance.hidden_lists = instance.hidden_lists.saturating_sub(1);
        }
        shown
    }

    /// As [`Self::list`], for a list that a client reads together with the other: hides the same and counts none.
    pub(super) fn list_beside(&mut self, wanted: impl Fn(&FakeInstance) -> bool) -> Vec<FakeInstance> {
        let mut shown = Vec::new();
        for instance in self.instances.iter_mut().filter(|instance| instance.exists() && wanted(instance)) {
            let is_hidden = 0 < instance.hidden_lists
                || instance.hidden_until.is_some_and(|until| Instant::now() < until);
            if is_hidden {
                continue;
            }
            instance.look();
            if instance.exists() {
                shown.push(instance.clone());
            }
        }
        shown
    }

    /// Deletes at the vendor's speed. Whether it was there.
    pub(super) fn delete(&mut self, id: &str, looks: u32) -> bool {
        match self.instance(id) {
            Some(instance) if instance.phase == Phase::Deleting => true,
            Some(instance) => {
                instance.go(Phase::Deleting, Phase::Gone, looks);
                true
            }
            None => false,
        }
    }

    /// A power action: `on`, `off`, or off and on again.
    pub(super) fn power(&mut self, id: &str, to: Phase, looks: u32) -> bool {
        let Some(instance) = self.instance(id) else { return false };
        instance.go(instance.phase, to, looks);
        true
    }

    /// Begins an action that can be asked about.
    pub(super) fn act(&mut self, instance: &str, word: &str) -> Action {
        let action = Action {
            id: self.number(),
            instance: instance.to_owned(),
            word: word.to_owned(),
            started: now(),
        };
        self.actions.push(action.clone());
        action
    }

    /// Looks at an action and its instance: whether it is over.
    pub(super) fn look_at_action(&mut self, id: u64) -> Option<(Action, bool)> {
        let action = self.actions.iter().find(|action| action.id == id)?.clone();
        let over = self.look_at(&action.instance).is_none_or(|instance| instance.heading().is_none());
        Some((action, over))
    }

    pub(super) fn add_key(&mut self, name: &str, text: &str) -> FakeKey {
        let digest = Sha256::digest(text.split_whitespace().nth(1).unwrap_or(text));
        let bytes: Vec<String> = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let (name, text) = (name.to_owned(), text.to_owned());
        let key = FakeKey { id: self.id(), name, text, fingerprint: bytes.join(":") };
        self.keys.push(key.clone());
        key
    }

    /// A key by id or fingerprint.
    pub(super) fn key(&self, id: &str) -> Option<&FakeKey> {
        self.keys.iter().find(|key| key.id == id || key.fingerprint == id)
    }

    pub(super) fn remove_key(&mut self, id: &str) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.id != id && key.fingerprint != id);
        self.keys.len() != before
    }
}

/// A version-4 shaped id that says which one it is.
pub(super) fn uuid(number: u64) -> String {
    format!("c0ffee00-0000-4000-8000-{number:012x}")
}

/// The present, in whole seconds.
#[expect(clippy::disallowed_methods, reason = "a cloud stands outside the daemon and its clock")]
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
