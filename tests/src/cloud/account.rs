//! Any of the eight clouds, as a daemon that has an account there and a suite that counts machines see it.

use std::net::IpAddr;

use super::{FakeCloud, Phase, Recorded, Vendor, aws, aws::FakeAws};

/// A machine that a cloud really has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The vendor's id.
    pub id: String,
    /// The mark of the intent it was made for, where it has one.
    pub mark: Option<String>,
}

/// A cloud that runs inside the test.
pub enum Cloud {
    /// One of ours.
    Fake(FakeCloud),
    /// EC2 by moto.
    Aws(FakeAws),
}

impl Cloud {
    /// Every provider at which servers can be deployed, by the daemon's name of it: all but Equinix, which ended.
    pub const OPEN: [&str; 7] =
        ["digitalocean", "linode", "vultr", "scaleway", "hivelocity", "hetzner", "aws"];

    /// Starts the cloud of a provider; `None`, said loudly, where what it needs is not there.
    pub async fn start(provider: &str) -> Option<Self> {
        match Vendor::ALL.into_iter().find(|vendor| vendor.name() == provider) {
            Some(vendor) => Some(Self::Fake(FakeCloud::start(vendor).await)),
            None => FakeAws::start().await.map(Self::Aws),
        }
    }

    /// The daemon's name of the provider.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Fake(cloud) => cloud.vendor().name(),
            Self::Aws(_) => "aws",
        }
    }

    /// Where to call it.
    pub fn url(&self) -> String {
        match self {
            Self::Fake(cloud) => cloud.url(),
            Self::Aws(cloud) => cloud.url(),
        }
    }

    /// The fields of a credential, with `secret` wherever one of them is secret. The second secret of a vendor
    /// that has two ends in `-2`.
    pub fn credential(&self, secret: &str) -> Vec<(&'static str, String)> {
        let key = ("api_key", secret.to_owned());
        match self.provider() {
            "scaleway" => vec![key, ("access_key", "SCW0123456789ABCDEFG".to_owned())],
            "equinix" => vec![key, ("project_id", "c0ffee00-0000-4000-8000-000000000002".to_owned())],
            "aws" => vec![
                ("access_key_id", "AKIATEST".to_owned()),
                ("secret_access_key", secret.to_owned()),
                ("session_token", format!("{secret}-2")),
                ("region", aws::REGION.to_owned()),
            ],
            _ => vec![key],
        }
    }

    /// A size and a place that it sells, in the vendor's words.
    pub fn offer(&self) -> (&'static str, &'static str) {
        match self {
            Self::Fake(cloud) => (cloud.plans()[0], cloud.places()[0]),
            Self::Aws(_) => (aws::PLAN, aws::REGION),
        }
    }

    /// Every machine from now on is shown with this address.
    pub fn serve_all_at(&self, address: IpAddr) {
        match self {
            Self::Fake(cloud) => cloud.serve_all_at(address),
            Self::Aws(cloud) => cloud.serve_all_at(address),
        }
    }

    /// The next creations are carried out and the connection is cut before the answer.
    pub fn commit_then_cut(&self, creates: usize) {
        match self {
            Self::Fake(cloud) => cloud.switches().commit_then_cut(creates),
            Self::Aws(cloud) => cloud.commit_then_cut(creates),
        }
    }

    /// Creations are refused because nothing is left; the catalogue goes on saying otherwise.
    pub fn out_of_stock(&self, on: bool) {
        match self {
            Self::Fake(cloud) => cloud.switches().out_of_stock(on),
            Self::Aws(cloud) => cloud.out_of_stock(on),
        }
    }

    /// From now on every call is refused as unauthorised, in an answer that repeats the credential; EC2 is never
    /// sent its secret, so its door is told what to say.
    pub fn refuse_and_echo(&self, secret: &str) {
        match self {
            Self::Fake(cloud) => {
                cloud.switches().unauthorised(true);
                cloud.switches().echo_credential(true);
            }
            Self::Aws(cloud) => cloud.refuse_all(&format!("{secret} and {secret}-2 are not accepted")),
        }
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        match self {
            Self::Fake(cloud) => cloud.requests(),
            Self::Aws(cloud) => cloud.requests(),
        }
    }

    /// How many creations were carried out, answered or not.
    pub fn creates(&self) -> usize {
        match self {
            Self::Fake(cloud) => cloud.creates() as usize,
            Self::Aws(cloud) => cloud.creates(),
        }
    }

    /// The public keys that its machines were given.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Fake(cloud) => cloud.all_instances().into_iter().flat_map(|one| one.ssh_keys).collect(),
            Self::Aws(cloud) => cloud.keys(),
        }
    }

    /// The machines that are there, whatever the answers said. One on its way out counts as gone where the
    /// vendor says so.
    pub async fn machines(&self) -> Vec<Machine> {
        let marked = |tags: &[String]| {
            let value = |tag: &String| tag.rsplit('=').next().unwrap_or_default().to_owned();
            tags.iter().map(value).find(|tag| tag.starts_with("capsule-"))
        };
        let says_so = ["linode", "hetzner", "equinix", "hivelocity"].contains(&self.provider());
        match self {
            Self::Fake(cloud) => {
                let there = cloud.instances().into_iter();
                let there = there.filter(|one| !(says_so && one.phase == Phase::Deleting));
                let machine = |one: super::FakeInstance| Machine { mark: marked(&one.tags), id: one.id };
                there.map(machine).collect()
            }
            Self::Aws(cloud) => cloud.machines().await,
        }
    }
}
