//! What can go wrong at a fake cloud, and when: set by the test at any time, from any thread.
//!
//! A fault comes before or after the call is carried out, and that is the whole difference between "nothing
//! was made" and "a bill has started". [`Switches::next`] takes faults for calls of any kind;
//! [`Switches::before_creates`] and [`Switches::after_creates`] only for creations.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Where a cloud's metadata service is: an address that no client may be sent to.
pub const METADATA_ADDRESS: &str = "http://169.254.169.254/latest/meta-data/";

/// One way of not answering properly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends without a byte of answer.
    Cut,
    /// No answer, and the connection stays.
    Hang,
    /// This status with the vendor's error body.
    Status {
        /// 429 or 5xx.
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// 307 to this address.
    Redirect(String),
    /// The real answer, ending in its middle although its length was announced.
    Truncated,
    /// 200 with a page of HTML and bytes that are no UTF-8.
    Garbage,
    /// 200 with a body that never ends.
    Endless,
    /// 200 that announces 10 GB, and sends them.
    Enormous,
    /// The real answer, one byte a second.
    Dripping,
}

impl Fault {
    /// Whether the fault replaces the answer only, so that the call was carried out.
    pub fn is_carried_out(&self) -> bool {
        match self {
            Self::Cut | Self::Hang | Self::Status { .. } | Self::Redirect(_) => false,
            Self::Truncated | Self::Garbage | Self::Endless | Self::Enormous | Self::Dripping => true,
        }
    }
}

/// How instances come to life: in looks, which are calls that show the instance (its own or a list).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Looks that see it being made.
    pub provisioning: u32,
    /// Looks that see it running without its address.
    pub address: u32,
    /// Looks that see a power action under way.
    pub power: u32,
    /// Looks that see it going away.
    pub deletion: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { provisioning: 2, address: 1, power: 1, deletion: 1 }
    }
}

impl Pace {
    /// Everything is done by the first look.
    pub const INSTANT: Self = Self { provisioning: 0, address: 0, power: 0, deletion: 0 };
}

/// The state of all switches.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub latency: Duration,
    pub next: VecDeque<Fault>,
    pub before_creates: VecDeque<Fault>,
    pub after_creates: VecDeque<Fault>,
    pub hidden_lists: u32,
    pub hidden_for: Duration,
    pub out_of_stock: bool,
    pub quota: bool,
    pub unauthorised: bool,
    pub echo_credential: bool,
    pub only_credential: Option<String>,
    pub failing_creates: u32,
    pub pace: Pace,
}

/// The switches of one fake cloud. Clones switch the same.
#[derive(Debug, Clone, Default)]
pub struct Switches(Arc<Mutex<Settings>>);

impl Switches {
    pub(super) fn lock(&self) -> MutexGuard<'_, Settings> {
        self.0.lock().expect("no test panics while it switches")
    }

    /// Everything works again, and as fast as at first.
    pub fn clear(&self) {
        *self.lock() = Settings::default();
    }

    /// Every answer takes this long.
    pub fn latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// The next `calls` of any kind meet this.
    pub fn next(&self, calls: usize, fault: Fault) {
        self.lock().next.extend(std::iter::repeat_n(fault, calls));
    }

    /// The next creations meet this and make nothing.
    pub fn before_creates(&self, creates: usize, fault: Fault) {
        self.lock().before_creates.extend(std::iter::repeat_n(fault, creates));
    }

    /// The next creations are carried out, and then meet this.
    pub fn after_creates(&self, creates: usize, fault: Fault) {
        self.lock().after_creates.extend(std::iter::repeat_n(fault, creates));
    }

    /// The next `calls` are answered with a status, and nothing is carried out.
    pub fn storm(&self, calls: usize, status: u16, retry_after: Option<u64>) {
        self.next(calls, Fault::Status { status, retry_after });
    }

    /// The next `calls` are sent elsewhere: to the metadata service.
    pub fn redirect(&self, calls: usize) {
        self.next(calls, Fault::Redirect(METADATA_ADDRESS.to_owned()));
    }

    /// The next creations are carried out and the connection is cut before the answer.
    pub fn commit_then_cut(&self, creates: usize) {
        self.after_creates(creates, Fault::Cut);
    }

    /// The next creations are carried out and answered with this status.
    pub fn commit_then_fail(&self, creates: usize, status: u16) {
        self.after_creates(creates, Fault::Status { status, retry_after: None });
    }

    /// The connection is cut before the next creations are carried out.
    pub fn cut_before_commit(&self, creates: usize) {
        self.before_creates(creates, Fault::Cut);
    }

    /// What is made from now on is missing in this many list calls. Asking for its id finds it.
    pub fn hide_from_lists(&self, lists: u32) {
        self.lock().hidden_lists = lists;
    }

    /// What is made from now on is missing in lists for this long.
    pub fn hide_from_lists_for(&self, time: Duration) {
        self.lock().hidden_for = time;
    }

    /// Creations are refused because nothing is left; the catalogue goes on saying otherwise.
    pub fn out_of_stock(&self, on: bool) {
        self.lock().out_of_stock = on;
    }

    /// Creations are refused because the account's limit is reached.
    pub fn quota(&self, on: bool) {
        self.lock().quota = on;
    }

    /// Every credential is refused.
    pub fn unauthorised(&self, on: bool) {
        self.lock().unauthorised = on;
    }

    /// Refusals of a credential repeat it, as some vendors do.
    pub fn echo_credential(&self, on: bool) {
        self.lock().echo_credential = on;
    }

    /// Every other credential is refused; at first any will do.
    pub fn accept_only(&self, credential: &str) {
        self.lock().only_credential = Some(credential.to_owned());
    }

    /// The next creations end in the vendor's error state instead of running.
    pub fn fail_provisioning(&self, creates: u32) {
        self.lock().failing_creates = creates;
    }

    /// How instances made or changed from now on come to their state.
    pub fn pace(&self, pace: Pace) {
        self.lock().pace = pace;
    }
}
